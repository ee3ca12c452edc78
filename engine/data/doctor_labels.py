"""What the doctor sees in the labels: several spellings of one, rare classes, one that outweighs the rest. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from engine.data.finding import Finding, Remedy
from engine.data.header import NUMBER
from engine.data.rows import Usable
from engine.data.table import counted, listed, shown
from engine.fix import Fix

RARE = 10  # rows below which a class can hardly be learnt and not be tested
RARE_SHARE = 0.5  # of the classes: if more are rare, it is the data that is small
LOPSIDED = 4.0  # times as many rows in the largest class as in the smallest that is not rare
LOPSIDED_OF_MANY = 8.0  # the same where there are more than ten classes: some are always small
FEW_A_CLASS = 50
MISSPELT = 0.02  # share of the other spelling's rows that a slip of the pen has at most
NOTHING = frozenset({"n/a", "na", "n.a.", "null", "nil", "none", "-", "--", "—", "?", "??", "undefined", "unlabeled", "unlabelled"})
MOST_CLASSES = 300  # among which spellings are compared
SHORT = {  # what people write for short -> the word; merged only where the word is a class too
    "pos": "positive", "+": "positive", "neg": "negative", "-": "negative", "neu": "neutral", "neut": "neutral", "y": "yes", "n": "no",
    "t": "true", "f": "false",
}  # fmt: skip


def findings(rows: Usable, given: Usable | None, column: pa.ChunkedArray, *, weighted: bool) -> Iterator[Finding]:
    """What is to be said of these labels. `column` is the label column as it is, blanks and all."""
    classes = rows.classes()
    yield from _blanks(column)
    everywhere = dict(Counter(classes) + Counter(given.classes() if given else {}))
    pairs = variants(everywhere)
    if pairs:
        yield _variants(pairs, everywhere)
    yield from _nothing({name: count for name, count in everywhere.items() if name not in pairs})
    classes = merged(classes, pairs)
    yield from _rare({name: count for name, count in classes.items() if not _says_nothing(name, classes)})
    if not weighted:
        yield from _lopsided(classes)
    few = sum(classes.values()) / max(1, len(classes))
    if len(classes) > 1 and few < FEW_A_CLASS:
        yield Finding(
            "few-rows", "Few rows for so many classes" if len(classes) > 5 else "Few rows for each class", sum(classes.values()), 2,
            f"{sum(classes.values()):,} rows for {len(classes)} classes are {few:.0f} for each, before a part is kept for the test. About "
            f"{FEW_A_CLASS} for each give a first model, 200 a good one.",
        )  # fmt: skip


def _blanks(column: pa.ChunkedArray) -> Iterator[Finding]:
    told = pc.value_counts(column.drop_null()).to_pylist()
    padded = [one for one in told if one["values"] != one["values"].strip() and one["values"].strip()]
    if padded:
        examples = tuple(f"{one['values']!r}, {counted(one['counts'], 'row')}" for one in padded[:3])
        yield Finding(
            "label-blanks", "Blanks around labels", sum(one["counts"] for one in padded), 1,
            "It does no harm: they are removed, so that '2' and ' 2' are one class.", examples,
        )  # fmt: skip


def variants(classes: dict[str, int]) -> dict[str, str]:
    """Labels that seem to be another spelling of one that has more rows: theirs -> that one."""
    if len(classes) > MOST_CLASSES:
        return {}
    names = sorted(classes, key=lambda name: (-classes[name], name))
    found: dict[str, str] = {}
    first: dict[str, str] = {}
    for name in names:
        same = first.setdefault(_plain(name), name)
        if same != name:
            found[name] = same
    words = {key: name for key, name in first.items() if name not in found}
    for key, name in words.items():
        long = words.get(SHORT.get(key, ""))
        if long is None and key in SHORT.values():
            continue
        alone = len(key) > 1 or sum(other.startswith(key) for other in words if other != key) < 2  # "n" beside No and Neutral is either
        if long is not None and alone and name not in found:
            old, new = (name, long)
            found[old] = new
    kept = [name for name in names if name not in found]
    for name in reversed(kept):
        like = [one for one in kept if one not in found and one != name and _is_slip(name, one, classes)]
        if len(like) == 1:
            found[name] = like[0]
    return {name: found.get(target, target) for name, target in found.items()}


def merged(classes: dict[str, int], pairs: dict[str, str]) -> dict[str, int]:
    """The classes as they are with these spellings counted as one."""
    told: Counter[str] = Counter()
    for name, count in classes.items():
        told[pairs.get(name, name)] += count
    return dict(sorted(told.items(), key=lambda item: (-item[1], item[0])))


def _plain(name: str) -> str:
    """A label as its spellings are compared: neither case, blanks nor joining signs count, and 2.0 is 2. A- and A are two grades."""
    if NUMBER.fullmatch(name):
        return f"{float(name.replace(',', '.')):g}" if re.fullmatch(r"[+-]?\d+([.,]\d+)?", name) else name
    told = re.sub(r"(?<!\d)[\s_\-./]+|[\s_\-./]+(?!\d)", " ", unicodedata.normalize("NFKC", name).casefold()).strip(" .,;:!\"'")
    grade = re.search(r"(?<=\w)[+\-−]$", name.strip())
    return f"{told.removesuffix('+')}{grade[0]}" if told and grade else told or name


def _is_slip(name: str, other: str, classes: dict[str, int]) -> bool:
    """Whether a rare label is a much more frequent one with a letter wrong, missing, too many or in the wrong place."""
    one, two = name.casefold(), other.casefold()
    if classes[name] > max(1, MISSPELT * classes[other]) or len(two) < 5 or one[0] != two[0] or re.search(r"\d", name + other):
        return False
    return _one_apart(one, two)


def _one_apart(one: str, two: str) -> bool:
    if abs(len(one) - len(two)) > 1:
        return False
    at = next((place for place in range(min(len(one), len(two))) if one[place] != two[place]), min(len(one), len(two)))
    rest, other = one[at:], two[at:]
    swapped = len(rest) > 1 and len(other) > 1 and rest[0] == other[1] and rest[1] == other[0] and rest[2:] == other[2:]
    return rest[1:] == other[1:] or rest[1:] == other or rest == other[1:] or swapped


def _variants(pairs: dict[str, str], classes: dict[str, int]) -> Finding:
    rows = sum(classes[name] for name in pairs)
    fixes = tuple(str(Fix("merge-labels", (old, new))) for old, new in pairs.items())
    examples = tuple(f"{shown(old, 40)} ({classes[old]:,}) → {shown(new, 40)} ({classes[new]:,})" for old, new in list(pairs.items())[:3])
    return Finding(
        "label-variants", "One label in several spellings", rows, 3,
        "Each spelling is a class of its own now, so the model is asked to tell apart what is the same, and is marked wrong for it.",
        examples, (Remedy(f"Merge {counted(len(pairs), 'label')}", fixes),),
    )  # fmt: skip


def _says_nothing(name: str, classes: Collection[str]) -> bool:
    """Whether a label may stand for "no label here"; a minus beside a plus is one."""
    return name.casefold() in NOTHING and not (name == "-" and "+" in classes)


def _nothing(classes: dict[str, int]) -> Iterator[Finding]:
    told = {name: count for name, count in classes.items() if _says_nothing(name, classes)}
    if not told:
        return
    names = listed(list(told))
    meant = all(name.casefold() == "none" for name in told)  # "none of these" is often a class
    effect = f"{names} {'is' if len(told) == 1 else 'are'} learnt as a class, as if these rows had that in common. "
    fixes = tuple(str(Fix("drop-class", (name,))) for name in told)
    enough = len(classes) - len(told) > 1
    yield Finding(
        "no-label-class", "A class that may mean “no label”", sum(told.values()), 1 if meant else 2,
        effect + ("If it means “none of these”, keep it; if nobody has labelled these rows, leave them out."),
        tuple(f"{shown(name, 40)}: {counted(count, 'row')}" for name, count in list(told.items())[:3]),
        (Remedy("Leave these rows out", fixes),) if enough else (),
    )  # fmt: skip


def _rare(classes: dict[str, int]) -> Iterator[Finding]:
    rare = {name: count for name, count in classes.items() if count < RARE}
    if not rare or len(rare) > RARE_SHARE * len(classes) or len(classes) - len(rare) < 2:
        return
    total = sum(rare.values())
    remedies = [Remedy(f"Leave out {counted(len(rare), 'class', 'classes')}", tuple(str(Fix("drop-class", (name,))) for name in rare))]
    if len(rare) > 1 and total >= RARE and "other" not in classes:
        remedies.append(Remedy("Put them together as 'other'", tuple(str(Fix("merge-labels", (name, "other"))) for name in rare)))
    examples = tuple(f"{shown(name, 40)}: {counted(count, 'row')}" for name, count in list(rare.items())[:3])
    alone = min(rare.values()) == 1
    yield Finding(
        "rare-classes", "Classes with hardly any rows", total, 2,
        f"{listed(list(rare))} {'has' if len(rare) == 1 else 'have'} fewer than {RARE} rows. The model will hardly ever name "
        f"{'it' if len(rare) == 1 else 'them'}, and the test cannot judge it."
        + (" A class with one row keeps the training from starting." if alone else ""),
        examples, tuple(remedies),
    )  # fmt: skip


def _lopsided(classes: dict[str, int]) -> Iterator[Finding]:
    common = {name: count for name, count in classes.items() if count >= RARE}
    if len(common) < 2:
        return
    (large, most), (small, least) = max(common.items(), key=lambda one: one[1]), min(common.items(), key=lambda one: one[1])
    if most < (LOPSIDED if len(common) <= 10 else LOPSIDED_OF_MANY) * least:
        return
    share = most / sum(common.values())
    yield Finding(
        "imbalance", "Some classes have far more rows than others", least, 2,
        f"{shown(large, 40)} has {most:,} rows, {shown(small, 40)} has {least:,}. The model gains most by naming the large ones"
        + (f": always saying {shown(large, 40)} is right {share:.0%} of the time." if share >= 0.5 else ", and misses the small ones."),
        tuple(f"{shown(name, 40)}: {count:,}" for name, count in list(common.items())[-3:]),
        (Remedy("Let rare classes weigh more", settings={"class_weights": "balanced"}),),
    )  # fmt: skip
