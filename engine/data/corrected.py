"""Corrections of single labels, numbers and tags: a CSV that lies beside the data, and the rows of a split with them applied.

The file that they correct stays as it came. They are applied after the rows were drawn by the labels as they stand in it, so that
a corrected label moves no other row from one part to another, and two runs are compared on the same rows.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from engine.data.rows import Usable
from engine.data.table import clean, counted, shown
from engine.errors import Problem, Refused

if TYPE_CHECKING:
    from engine.data.split import Rows

FIELD = "data.corrections"
COLUMNS = ("row", "text", "old label", "new label", "run")
FEWEST = 3  # rows of a class: one to learn from, one to check, one to test
FIX = "Use the data that they were made for, or remove the corrections."

Key = tuple[int, str]
Kept = TypeVar("Kept")


@dataclass(frozen=True)
class Correction:
    """Another label for one row, or none: the row is left out."""

    row: int  # 1-based number in its source
    text: str
    old: str  # a class, or as `of_number` and `of_tags` spell the others
    new: str | None  # None: left out
    run: str = ""  # the run in whose answers it was found

    @property
    def key(self) -> Key:
        return key(self.row, self.text)


def key(row: int, text: str) -> Key:
    """Tells a row of the data from all others: its number, and a sum over its text, for a changed file may number its rows anew."""
    plain = " ".join(clean(text, clean_html=True).split())
    return row, hashlib.sha256(plain.encode("utf-8", "replace")).hexdigest()[:32]


def of_number(value: float) -> str:
    """A number as a correction names it: 4.5, 4, 1200000."""
    return f"{value:.15g}"


def of_tags(names: Iterable[str]) -> str:
    """Tags as a correction names them: ["a", "b"] as JSON, sorted; [] is no tag."""
    return json.dumps(sorted(names), ensure_ascii=False)


def to_csv(corrections: Iterable[Correction]) -> str:
    """The corrections as CSV text, with the mark by which spreadsheets know UTF-8. An empty new label: left out."""
    written = io.StringIO(newline="")
    told = csv.writer(written)
    told.writerow(COLUMNS)
    told.writerows((one.row, one.text, one.old, one.new or "", one.run) for one in corrections)
    return "\ufeff" + written.getvalue()


def from_csv(text: str) -> tuple[Correction, ...]:
    """The corrections that `to_csv` wrote, also after a spreadsheet had them. Raises Refused where it is something else."""
    csv.field_size_limit(2**31 - 1)  # Python's own stops at 131,072 characters
    fix = "Choose a file of corrections that Shur wrote."
    try:
        lines = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
        missing = [name for name in COLUMNS[:4] if name not in (lines.fieldnames or ())]
        if missing:
            raise Refused(Problem(FIELD, f"This file of corrections has no column {missing[0]!r}.", fix))
        return tuple(_correction(line) for line in lines)
    except (csv.Error, ValueError) as error:
        raise Refused(Problem(FIELD, f"This is no file of corrections: {error}.", fix)) from error


def _correction(line: Mapping[str, str | None]) -> Correction:
    row, text, old = line["row"] or "", line["text"] or "", _label(line["old label"])
    return Correction(int(row), text, old, _label(line["new label"]) or None, line.get("run") or "")


def _label(told: str | None) -> str:
    return unicodedata.normalize("NFC", told or "").strip()


def opened(source: str | None, home: Path) -> tuple[Correction, ...]:
    """The corrections of "file:PATH", a relative path in the home; none for None. Raises Refused where there is no such file."""
    if not source:
        return ()
    told = Path(source.removeprefix("file:"))
    try:
        path = told if told.is_absolute() or told.exists() else home / told
        return from_csv(path.read_bytes().decode("utf-8"))  # read_text would change line ends within texts
    except UnicodeDecodeError as error:
        raise Refused(Problem(FIELD, f"{told.name} is not UTF-8 text.", "Save it as CSV in UTF-8.")) from error
    except (OSError, ValueError) as error:
        raise Refused(Problem(FIELD, f"There is no file of corrections {shown(told.name)!r}.", "Remove the corrections.")) from error


def joined(earlier: Iterable[Correction], later: Iterable[Correction]) -> tuple[Correction, ...]:
    """Both, as corrections of the data as it came; where both correct a row, the later counts. One that ends where it began falls away."""
    found = {one.key: one for one in earlier}
    for one in later:
        before = found.get(one.key)
        found[one.key] = replace(one, old=before.old) if before else one
    return tuple(one for one in found.values() if one.new != one.old)


def fingerprint_with(sha256: str, corrections: Sequence[Correction]) -> str:
    """The data's sum, another for other corrections."""
    told = "".join(f"{one.key}{one.new!r}" for one in corrections)
    return hashlib.sha256(f"{sha256}+{told}".encode("utf-8", "replace")).hexdigest() if corrections else sha256


def check(rows: Usable, given: Usable | None, corrections: Sequence[Correction]) -> tuple[list[Problem], list[str]]:
    """What keeps these corrections from being applied to these rows, and what they do, in words."""
    if not corrections:
        return [], []
    wanted = {one.row for one in corrections}
    there: dict[Key, list[str]] = {}
    for part in (rows, given) if given is not None else (rows,):
        numbers = part.numbers.to_pylist()
        for at in (at for at, number in enumerate(numbers) if number in wanted):
            there.setdefault(key(numbers[at], part.texts[at].as_py()), []).append(_spelt(part, at))
    lost = [one for one in corrections if one.old not in there.get(one.key, ())]
    problems = []
    if lost:
        message = f"{counted(len(lost), 'correction')} of {len(corrections):,} fit no row: {_why_lost(lost[0], there)}"
        problems.append(Problem(FIELD, message, FIX))
    problems += _unknown(rows, [one.new for one in corrections if one.new is not None])
    if not problems and rows.values is None and rows.tags is None:
        problems += _emptied(rows.classes(), corrections)
    relabelled = sum(one.new is not None for one in corrections)
    what = ("label was corrected", "labels were corrected")
    if rows.values is not None:
        what = ("number was corrected", "numbers were corrected")
    elif rows.tags is not None:
        what = ("row's tags were corrected", "rows' tags were corrected")
    told = [counted(relabelled, *what)] if relabelled else []
    left = len(corrections) - relabelled
    told += [counted(left, "row is left out by a correction", "rows are left out by corrections")] if left else []
    return problems, [] if problems else told


def _spelt(rows: Usable, at: int) -> str:
    """What a row is labelled with, as a correction names it."""
    if rows.values is not None:
        return of_number(rows.values[at].as_py())
    return of_tags(json.loads(rows.tags[at].as_py())) if rows.tags is not None else str(rows.labels[at].as_py())


def _unknown(rows: Usable, new: Sequence[str]) -> Iterable[Problem]:
    """What these rows cannot be corrected to."""
    if rows.values is not None:
        wrong = next((one for one in new if number_of(one) is None), None)
        if wrong is not None:
            yield Problem(FIELD, f"A correction gives {shown(wrong, 40)!r}, which is no number.", "Write it as 4.5, without a unit.")
        return
    if rows.tags is not None:
        known = {tag for cell in rows.tags.unique().to_pylist() for tag in json.loads(cell)}
        lists = [tags_of(one) for one in new]
        if any(one is None for one in lists):
            yield Problem(
                FIELD, f"A correction gives {shown(new[lists.index(None)], 40)!r}, which is no list.", 'Write tags as ["a", "b"].'
            )
        unknown = sorted({tag for one in lists for tag in one or () if tag not in known})
    else:
        unknown = sorted(set(new) - set(rows.classes()))
    if unknown:
        what = "tag" if rows.tags is not None else "label"
        message = f"No row of the data has the {what} {shown(unknown[0], 40)!r}, which a correction gives."
        yield Problem(FIELD, message, f"Correct to a {what} that the data has.")


def _why_lost(one: Correction, there: Mapping[Key, list[str]]) -> str:
    if one.key in there:
        return f"row {one.row:,} is labelled {shown(there[one.key][0], 40)!r}, not {shown(one.old, 40)!r}."
    return f"row {one.row:,} does not hold the text {shown(one.text, 40)!r}."


def _emptied(classes: Mapping[str, int], corrections: Sequence[Correction]) -> Iterable[Problem]:
    left = Counter(dict(classes))
    for one in corrections:
        left[one.old] -= 1
        if one.new is not None:
            left[one.new] += 1
    for name, count in left.items():
        if count < FEWEST <= classes[name]:
            message = f"The corrections leave {counted(max(0, count), 'row')} of {shown(name, 40)!r}; {FEWEST} are needed."
            yield Problem(FIELD, message, "Take some of them back, or give the class another name in the file itself.")


def applied(rows: Rows, classes: Sequence[str], corrections: Mapping[Key, Correction]) -> Rows:
    """The rows of one part with these corrections, those left out gone. `classes`: names of classes, or of tags."""
    if not corrections:
        return rows
    ids, wanted = {name: number for number, name in enumerate(classes)}, {number for number, _ in corrections}
    kept, targets = [], list(rows.targets)
    for at, (text, number) in enumerate(zip(rows.texts, rows.numbers, strict=True)):
        one = corrections.get(key(number, text)) if number in wanted else None
        if one is not None and one.old == _named(rows, at, classes):
            if one.new is None:
                continue
            targets[at] = _target(rows, one.new, ids)
        kept.append(at)

    def taken(column: list[Kept] | None) -> list[Kept] | None:
        return None if column is None else [column[at] for at in kept]

    left = replace(
        rows, texts=taken(rows.texts) or [], labels=taken(rows.labels) or [], numbers=taken(rows.numbers) or [],
        second=taken(rows.second), answers=taken(rows.answers), values=taken(rows.values), tags=taken(rows.tags),
    )  # fmt: skip
    learnt: list[Any] = taken(targets) or []
    if rows.tags is not None:
        return replace(left, tags=learnt)
    return replace(left, labels=learnt) if rows.values is None else replace(left, values=learnt)


def _named(rows: Rows, at: int, classes: Sequence[str]) -> str:
    """What a row is labelled with, as a correction names it."""
    if rows.values is not None:
        return of_number(rows.values[at])
    return of_tags(name for name, on in zip(classes, rows.tags[at], strict=True) if on) if rows.tags else classes[rows.labels[at]]


def _target(rows: Rows, new: str, ids: Mapping[str, int]) -> Any:
    if rows.values is not None:
        return number_of(new)
    return tuple(int(name in (tags_of(new) or ())) for name in ids) if rows.tags is not None else ids[new]


def number_of(told: str) -> float | None:
    """The number that a correction gives; None where it is none."""
    try:
        value = float(told)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def tags_of(told: str) -> list[str] | None:
    """The tags that a correction gives; None where it is no list of them."""
    try:
        found = json.loads(told)
    except ValueError:
        return None
    return found if isinstance(found, list) and all(isinstance(one, str) for one in found) else None
