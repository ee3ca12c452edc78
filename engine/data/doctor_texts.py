"""What the doctor sees in single texts: damaged letters, HTML, links and names, a text far too long, and the scripts they are in. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

import ftfy.badness
import pyarrow as pa
import pyarrow.compute as pc

from engine.data.columns import evenly
from engine.data.finding import Finding, Remedy
from engine.data.repairs import LINK, REPAIRS, USER, column_as_fixed
from engine.data.rows import Usable
from engine.data.table import counted, shown
from engine.fix import Fix

LOOKED = 50_000  # texts looked at; of more, as many evenly spread
FEW = 0.005  # share of texts below which a link or a tag is not worth a word
OFTEN = 0.1
FAR_LONGER = 8.0  # times the length that 99 of 100 texts stay below
LONG = 2000  # characters
SCRIPT_TEXTS, SCRIPT_CHARACTERS = 5000, 1000  # the script is judged by so much: more took three quarters of the whole checkup's time
MIXED = 0.1  # share of texts in the rarer script
MOSTLY_BANGLISH = 0.2  # share of the texts in Latin letters
BANGLISH_WORDS = (
    "ami tumi apni amra amar tomar apnar tar ki keno kivabe kothay khub valo bhalo vlo kharap onek ekta ekti eta ota ei oi na nai nei "
    "hobe hoy hoise hoyeche hocche korte kore korlam korbo korchi kora bhai vai apu taka kono jonno theke diye niye sathe ache ase "
    "chilo chhilo gelo lage laglo dekhe dekhlam kinbo kinlam dam poysa mone sob shob sobai thik ekdom moto tai abar akta hoi kintu"
)
BANGLISH = frozenset(BANGLISH_WORDS.split())
ADDRESSES = re.compile(f"{LINK}|{USER}")
BENGALI, LATIN = re.compile(r"[\u0980-\u09ff]"), re.compile(r"[A-Za-z]")
TEXTS = {  # kind of repair -> id, title, effect, button
    "remove-html": (
        "html", "HTML in the texts",
        "Tags and codes such as &amp; take up room and say nothing about the text; the model may cling to them where one class has more.",
        "Remove the HTML",
    ),
    "replace-links": (
        "links", "Web addresses in the texts",
        "An address falls into many meaningless pieces, which crowd out words where texts are cut.",
        "Put [link] in their place",
    ),
    "replace-users": (
        "users", "User names in the texts",
        "Names such as @someone fall into meaningless pieces, and the model may learn who wrote instead of what.",
        "Put [user] in their place",
    ),
    "strip-invisible": (
        "invisible", "Invisible signs in texts or labels",
        "Byte-order marks and zero-width blanks split words that look whole, and make labels differ that look the same.",
        "Remove them",
    ),
}  # fmt: skip


def findings(rows: Usable) -> Iterator[Finding]:
    """What is to be said of these texts; there is at least one."""
    whole = len(rows.texts)
    numbers = evenly(rows.numbers, LOOKED).to_pylist()
    texts = pa.chunked_array([evenly(rows.texts, LOOKED).combine_chunks()], pa.string())
    mended, changed = column_as_fixed(texts, "repair-encoding")
    yield from _damaged(texts, mended, changed, numbers, whole)
    texts = mended  # a soft hyphen within a damaged letter is no sign of its own
    for kind, (name, title, effect, button) in TEXTS.items():
        mask = pc.match_substring_regex(texts, REPAIRS[kind].pattern)
        if kind == "remove-html" and (pc.sum(mask).as_py() or 0):
            mask = column_as_fixed(texts, kind)[1]  # "&c;" looks like a code and is none
        in_labels = False
        if kind == "strip-invisible":
            labels = pc.match_substring_regex(evenly(rows.labels, LOOKED), REPAIRS[kind].pattern)
            in_labels, mask = bool(pc.any(labels).as_py()), pc.or_(mask, labels)
        count = pc.sum(mask).as_py() or 0
        if in_labels or (count >= FEW * len(texts) and count > 1):
            remedy = Remedy(button, (str(Fix(kind)),))
            harm = 2 if count >= OFTEN * len(texts) else 1
            yield _finding(name, title, effect, harm, texts, numbers, mask, whole, (remedy,), around=REPAIRS[kind].pattern)
    yield from _far_longer(rows)
    yield from _scripts(pc.utf8_slice_codeunits(evenly(texts, SCRIPT_TEXTS), 0, SCRIPT_CHARACTERS).to_pylist(), whole)


def _finding(
    name: str, title: str, effect: str, harm: int, texts: pa.ChunkedArray, numbers: list[int], mask: pa.ChunkedArray, whole: int,
    remedies: tuple[Remedy, ...] = (), around: str = "",
) -> Finding:  # fmt: skip
    """The finding of these texts, reckoned up where only some were looked at."""
    places = pc.indices_nonzero(mask).to_pylist()
    pattern = re.compile(re.sub(r"\\x\{(..)\}", r"\\x\1", around)) if around else None
    examples = []
    for place in places[:3]:
        text = texts[place].as_py()
        found = pattern.search(text) if pattern else None
        start = word_before(text, found.start() - 40) if found else 0
        examples.append(f"row {numbers[place]:,}: {'…' if start else ''}{shown(text[start : start + 300], 100)}")
    looked = None if len(texts) == whole else len(texts)
    weight = {2: 2, 3: 3}.get(harm, 1)
    return Finding(name, title, round(len(places) * whole / len(texts)), weight, effect, tuple(examples), remedies, looked)  # type: ignore[arg-type]


def _damaged(texts: pa.ChunkedArray, new: pa.ChunkedArray, changed: pa.ChunkedArray, numbers: list[int], whole: int) -> Iterator[Finding]:
    """Letters that were decoded wrongly, and those that are lost. `new`: the texts repaired."""
    if pc.any(changed).as_py():
        remedy = Remedy("Repair them", (str(Fix("repair-encoding")),))
        told = _finding(
            "mojibake", "Letters that were damaged on the way", "Words with wrong letters are words that no model has ever seen.", 2, texts,
            numbers, changed, whole, (remedy,),
        )  # fmt: skip
        pairs = zip(texts.filter(changed).slice(0, 3).to_pylist(), new.filter(changed).slice(0, 3).to_pylist(), strict=True)
        yield Finding(told.id, told.title, told.rows, told.harm, told.effect, tuple(map(_beside, pairs)), told.remedies, told.looked)
    lost = pc.or_(
        pc.match_substring_regex(new, "\ufffd"),
        pa.array([bool(value and not value.isascii() and ftfy.badness.badness(value) > 2) for value in new.to_pylist()]),
    )
    if pc.any(lost).as_py():
        yield _finding(
            "lost-letters", "Letters that are lost",
            "They cannot be brought back from this file. Where there are many, save the original again as UTF-8.",
            2 if (pc.sum(lost).as_py() or 0) >= 0.01 * len(texts) else 1, texts, numbers, lost, whole,
        )  # fmt: skip


def _beside(pair: tuple[str, str]) -> str:
    """What was damaged beside what it becomes, where the two first differ."""
    old, new = pair
    at = next((place for place, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), 0)
    start = word_before(old, at - 20)
    return f"{shown(old[start : at + 30], 60)} → {shown(new[start : at + 28], 60)}"


def word_before(text: str, at: int) -> int:
    """Where the word that holds this place begins: a text that is shown from within a word could begin with a sign of the letter before."""
    return text.rfind(" ", 0, max(0, at)) + 1


def _far_longer(rows: Usable) -> Iterator[Finding]:
    lengths = pc.utf8_length(rows.texts)
    usual = pc.quantile(lengths, q=0.99).to_pylist()[0] or 0
    bound = max(LONG, round(FAR_LONGER * usual))
    longer = pc.greater(lengths, bound)
    count = pc.sum(longer).as_py() or 0
    if not count or len(rows.texts) < 100:
        return
    told = zip(
        rows.numbers.filter(longer).to_pylist(), lengths.filter(longer).to_pylist(), rows.texts.filter(longer).to_pylist(), strict=True
    )
    examples = tuple(f"row {number:,}: {length:,} characters, beginning {shown(text, 60)}" for number, length, text in list(told)[:3])
    yield Finding(
        "far-longer", "A text far longer than the rest" if count == 1 else "Texts far longer than the rest", count, 1,
        f"99 of 100 texts have up to {usual:,.0f} characters. Often a quotation mark that never closes has swallowed other rows; "
        "the model reads the beginning and the end only.",
        examples, (Remedy("Leave out" if count == 1 else "Leave them out", (str(Fix("drop-longer", (str(bound),))),)),),
    )  # fmt: skip


def _scripts(texts: list[str], whole: int) -> Iterator[Finding]:
    """Bengali, Bengali in Latin letters, English: which of them the texts are in, where they are of several."""
    bengali = mixed = latin = banglish = 0
    examples: dict[str, str] = {}
    for raw in texts:
        text = ADDRESSES.sub(" ", raw)
        in_bengali, in_latin = len(BENGALI.findall(text)), len(LATIN.findall(text))
        if not in_bengali and not in_latin:
            continue
        share = in_bengali / (in_bengali + in_latin)
        if share >= 0.8:
            bengali += 1
            examples.setdefault("Bengali", text)
        elif share > 0.2:
            mixed += 1
            examples.setdefault("mixed", text)
        else:
            latin += 1
            if sum(word in BANGLISH for word in re.findall(r"[a-z]+", text.lower())) >= 2:
                banglish += 1
                examples.setdefault("Banglish", text)
    written = bengali + mixed + latin
    is_banglish = banglish >= MOSTLY_BANGLISH * max(latin, 1) and banglish >= 5
    parts = [("Bengali letters", bengali), ("both", mixed), ("Latin letters", latin)]
    of_latin = f" Of those in Latin letters {banglish / max(latin, 1):.0%} or more are Bengali (Banglish)." if is_banglish else ""
    if not written or (min(bengali + mixed, latin + mixed) < MIXED * written and not (is_banglish and latin >= MIXED * written)):
        return
    title = "Texts in more than one script"
    if is_banglish and bengali + mixed < MIXED * written:
        title = "Bengali in Latin letters (Banglish)"
    told = ", ".join(f"{count / written:.0%} in {name}" for name, count in parts if count / written >= 0.01)
    yield Finding(
        "scripts", title,
        whole, 1,
        f"{told}.{of_latin} Choose a model that reads them all: how each reads your texts stands below the model.",
        tuple(f"{name}: {shown(text, 90)}" for name, text in examples.items()),
    )  # fmt: skip


def cut(lengths: tuple[int, ...], max_length: int, most: int, keep: str, rows: int) -> Finding | None:
    """Texts that are cut at the chosen length, from the tokens of a sample; None where hardly any is. `most`: what the model reads.

    `keep` as the knob of that name, or "answer" where each holds a prompt and what is written behind it.
    """
    longer = [length for length in lengths if length > max_length]
    share = len(longer) / max(1, len(lengths))
    if share < 0.01:
        return None
    lost = sum(length - max_length for length in longer) / sum(lengths)
    kept = {
        "ends": "the model reads their beginning and end",
        "start": "the model reads their beginning",
        "answer": "some of the prompt, or the end of the answer, is left out",
    }[keep]
    room = min(most, lengths[min(len(lengths) - 1, round(0.95 * len(lengths)))])
    remedies: tuple[Remedy, ...] = ()
    if room > max_length:
        times = sum(min(length, room) for length in lengths) / sum(min(length, max_length) for length in lengths)
        remedies = (Remedy(f"Read up to {room:,} tokens (about {times:.1f} × the time)", settings={"max_length": room}),)
    return Finding(
        "cut", f"Texts that are cut at {max_length:,} tokens", round(share * rows), 2 if share >= 0.2 else 1,
        f"{share:.0%} of the texts are longer; of these {kept}. {lost:.0%} of all the text is never seen. "
        "Reading more takes more time and memory.",
        (f"The longest of {counted(len(lengths), 'text')} looked at has {lengths[-1]:,} tokens.",), remedies,
        looked=len(lengths) if len(lengths) < rows else None,
    )  # fmt: skip
