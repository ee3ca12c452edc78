"""The doctor: what is wrong with the rows, how many it concerns, what it does to the result, and how to put it right. Pure, bounded.

What is missing is told in doctor_missing.py, labels in doctor_labels.py, single texts in doctor_texts.py; here are the rows beside each
other. Nothing is changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from engine.data import doctor_labels, doctor_missing, doctor_near, doctor_texts, legacy
from engine.data.chosen import Chosen
from engine.data.columns import ColumnFacts, evenly
from engine.data.finding import Finding, Harm, Remedy
from engine.data.fixes import Applied, compared, conflicting, joined, later_copies, mended, nameless, reshaped
from engine.data.header import PADDED
from engine.data.rows import Usable, pooled, usable
from engine.data.table import Table, counted, listed, shown
from engine.fix import DELIMITERS, Fix
from engine.spec import DataSpec

MUCH = 0.01  # share of rows from which a doubt weighs
MOSTLY_APART = 0.8  # of the texts with several labels that a column has to tell apart, to be worth a word
MOST_ASPECTS = 20  # different values that such a column has: of more, any column tells them apart
LOOKED_FOR_TWINS = 2000  # rows in which a column is compared with the label
TWINS = 0.95  # of the rows in which a column gives the label away


@dataclass(frozen=True)
class Checkup:
    """What was found in the rows as they are with the fixes made, the most harmful first, and those fixes."""

    findings: tuple[Finding, ...]
    applied: tuple[Applied, ...]

    def beside(self, finding: Finding | None) -> Checkup:
        """The same with one more finding in its place."""
        more = self.findings if finding is None else (*self.findings, finding)
        return replace(self, findings=tuple(sorted(more, key=lambda one: -one.harm)))


def examine(table: Table, test: Table | None, data: DataSpec, *, clean_html: bool = True, weighted: bool = False) -> Checkup:
    """What the doctor finds. Raises nothing: rows without a text or a label column have nothing to be judged by.

    `weighted`: rare classes weigh more in training already.
    """
    before = Chosen.of(table, data)
    chosen = Chosen.of(reshaped(table, data.fixes), data)
    if not chosen.text or not chosen.label:
        return Checkup((), ())
    made = mended(table, test, data, chosen.text, chosen.label, chosen.tags(reshaped(table, data.fixes)), chosen.second)
    table, test = made.table, made.test
    how: dict[str, Any] = {"clean_html": clean_html, "second": chosen.second, "target": data.target}
    rows = usable(table, chosen.text, chosen.label, **how)
    given = None
    if test is not None and {chosen.text, chosen.label} <= set(test.columns):
        given = usable(test, chosen.text, chosen.label, **how)
        if data.resplit:
            rows, given = pooled(rows, given), None
    if rows.tags is not None:
        rows, given = _by_tags(rows), None if given is None else _by_tags(given)
    whole, whole_given = _whole(rows), None if given is None else _whole(given)  # a row is the same as another where all of it is
    near = doctor_near.findings(_parts(rows), rows, None if given is None else _parts(given), given) if len(rows.texts) else ()
    found = [
        *_of_the_file(table),
        *_encoding(table, chosen.text, chosen=data.encoding is not None),
        *_spilt(table, before.text),
        *doctor_missing.findings(table, rows, chosen, data.target),
        *(doctor_labels.findings(rows, given, table.column(chosen.label), weighted=weighted) if data.target == "class" else ()),
        *(_rows(whole, whole_given, table, chosen) if len(rows.texts) else ()),
        *near,
        *(doctor_texts.findings(whole) if len(rows.texts) else ()),
    ]
    return Checkup(tuple(sorted(found, key=lambda one: -one.harm)), made.applied)


def _whole(rows: Usable) -> Usable:
    """The rows with all that is read and written of them as their text."""
    return replace(rows, texts=joined(_parts(rows)))


def _parts(rows: Usable) -> list[pa.ChunkedArray]:
    """What is read and written of the rows, column by column."""
    parts = [rows.texts, rows.second, rows.answers if rows.answers is not None and rows.answers != rows.texts else None]
    return [one for one in parts if one is not None and (one.num_chunks or one is rows.texts)]


def _by_tags(rows: Usable) -> Usable:
    """The rows with their tags as their label: two are the same where all of them are."""
    return replace(rows, labels=rows.tags if rows.tags is not None else rows.labels)


def _of_the_file(table: Table) -> Iterator[Finding]:
    """What stands at the beginning of the file and is read past."""
    padded = next((note for note in table.notes if note.startswith(PADDED)), "")
    if any("byte-order mark" in note for note in table.notes):
        effect = "Other programs take it for a part of the first column's name. It does no harm here: it is left out as the file is read."
        yield Finding("byte-order-mark", "A byte-order mark at the beginning of the file", 1, 1, effect)
    if padded:
        effect = f"It does no harm: they are removed as the file is read ({padded.removeprefix(f'{PADDED}: ')})."
        yield Finding("header-blanks", "Blanks around the names of columns", 1, 1, effect)


def _encoding(table: Table, text: str, *, chosen: bool) -> Iterator[Finding]:
    """Which encoding the file was read by, where its bytes do not say so beyond doubt."""
    if not table.encodings:
        return
    codec, *others = table.encodings
    beyond = pc.fill_null(pc.invert(_is_ascii(table.column(text))), False)
    numbers, texts = (one.filter(beyond).slice(0, 3).to_pylist() for one in (table.row_numbers(), table.column(text)))
    examples = tuple(f"row {number:,}: {shown(_from_first_beyond(one), 80)}" for number, one in zip(numbers, texts, strict=True))
    if chosen:
        remedies: tuple[Remedy, ...] = (Remedy("Judge it by its bytes again", encoding=""),)
        effect = "You chose it. Where the examples show wrong letters, choose another below the file."
    else:
        remedies = tuple(Remedy(f"Read as {legacy.WORDS[one]}", encoding=one) for one in others[:3])
        effect = "The file does not say which it is. " + (
            "Another one is as likely: look at the examples, and choose it where they show wrong letters. More stand below the file."
            if table.unsure
            else "Where the examples show wrong letters, choose another; more stand below the file."
        )
    yield Finding(
        "encoding", f"Read as {legacy.WORDS[codec]}", _count(beyond), 2 if table.unsure and not chosen else 1, effect, examples, remedies
    )


def _is_ascii(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array([pc.string_is_ascii(chunk) for chunk in values.chunks], pa.bool_())


def _from_first_beyond(text: str) -> str:
    """The text from a little before its first sign beyond ASCII."""
    first = next((at for at, sign in enumerate(text) if sign > "\x7f"), 0)
    start = doctor_texts.word_before(text, first - 30)
    return f"…{text[start:]}" if start else text


def _spilt(table: Table, text: str) -> Iterator[Finding]:
    """Nameless columns that a few rows reach: a delimiter inside a text that stands in no quotation marks."""
    extra = nameless(table)
    if not extra or text in extra or not text:
        return
    reached = pc.is_valid(table.column(extra[0]))
    numbers = table.row_numbers().filter(reached)
    many = len(numbers)
    places = pc.indices_nonzero(reached).to_pylist()[:3]
    examples = tuple(
        f"row {numbers[at].as_py():,}: …{shown(_end(table.column(text)[place].as_py() or ''), 60)} | "
        f"{shown(table.column(extra[0])[place].as_py() or '', 40)}"
        for at, place in enumerate(places)
    )
    word = next((name for name in DELIMITERS if any(f"{name}-separated" in note for note in table.notes)), "comma")
    yield Finding(
        "spilt-cells", f"Texts that spill into {'a column' if len(extra) == 1 else 'columns'} without a name", many,
        2,
        f"A {word} inside these texts was taken for the end of a cell, so the model sees only their beginning.",
        examples, (Remedy("Join the cells again", (str(Fix("join-cells", (text, word))),)),),
    )  # fmt: skip


def _end(text: str) -> str:
    return text[doctor_texts.word_before(text, len(text) - 40) :]


def _harm(count: int, whole: int, most: Harm = 2) -> Harm:
    return most if count >= MUCH * whole else 1


def _rows(rows: Usable, given: Usable | None, table: Table, chosen: Chosen) -> Iterator[Finding]:
    """What rows do to each other: leaks, contradictions, copies."""
    texts = compared(rows.texts)
    noun = "text" if rows.second is None else "pair"
    if given is not None:
        yield from _leaks(texts, compared(given.texts), rows, given)
    conflicts = conflicting(texts, rows.labels)
    if count := _count(conflicts):
        aspect = _aspect(table, chosen, rows, texts, conflicts) if given is None and not chosen.labels and not chosen.second else None
        yield _contradiction(rows, texts, conflicts, count, aspect, noun)
    copies = later_copies(texts, rows.labels)
    exact = _count(copies)
    labelled = " with the same label" if rows.answers is None else " with the same answer" if rows.answers != rows.texts else ""
    if exact:
        unless = (
            "" if given is not None else " Copies can land in the training rows and in the test, so the result looks better than it is."
        )
        yield Finding(
            "copies", "Copies of an earlier row", exact, _harm(exact, len(texts), 2 if given is None else 1),
            f"The same {noun}{labelled} is learnt more than once and weighs more than others.{unless}",
            _most_copied(texts.filter(copies)), (Remedy("Keep the first of each", (str(Fix("drop-copies")),)),),
        )  # fmt: skip
    yield from _sorted(rows)


def _leaks(texts: pa.ChunkedArray, tested: pa.ChunkedArray, rows: Usable, given: Usable) -> Iterator[Finding]:
    leaked = pc.is_in(texts, pc.unique(tested))
    both = pc.is_in(tested, pc.unique(texts.filter(leaked)))
    count = _count(both)
    if not count:
        return
    dropped = _count(leaked)
    yield Finding(
        "leakage", "Test texts that stand in the training rows too", count, _harm(count, len(tested), 3),
        f"{count:,} of the {counted(len(tested), 'test text')} were seen in training, so the result looks better than it will be on "
        f"new texts. Put right, {counted(dropped, 'training row')} are left out and the test stays as it is.",
        _examples(given, both, "test row"), (Remedy("Leave them out of training", (str(Fix("drop-leaked")),)),),
    )  # fmt: skip


def _contradiction(
    rows: Usable, texts: pa.ChunkedArray, conflicts: pa.ChunkedArray, count: int, aspect: tuple[str, int] | None, noun: str
) -> Finding:
    told: dict[str, set[str]] = {}
    for text, label in zip(texts.filter(conflicts).to_pylist(), rows.labels.filter(conflicts).to_pylist(), strict=True):
        told.setdefault(text, set()).add(label)
    examples = tuple(f"{shown(text, 80)} → {listed(sorted(labels))}" for text, labels in list(told.items())[:3])
    carry = f"{counted(len(told), noun)} {'carries' if len(told) == 1 else 'carry'} several labels."
    remedies = [Remedy("Leave them all out", (str(Fix("drop-conflicts")),))]
    if aspect is None:
        effect = f"{carry} No model can be right on all of them."
    else:
        column, apart = aspect
        effect = (
            f"{carry} In {apart:,} of them the column {column!r} differs where the label does: the label may be about both. "
            "A model that reads the text alone cannot be right on all of them."
        )
        remedies.insert(0, Remedy(f"Read {column} beside the text", second=column))
    return Finding(
        "contradictions", f"The same {noun} with different labels", count, _harm(count, len(texts)), effect, examples, tuple(remedies)
    )


def _aspect(table: Table, chosen: Chosen, rows: Usable, texts: pa.ChunkedArray, conflicts: pa.ChunkedArray) -> tuple[str, int] | None:
    """The column that tells texts with several labels apart (the "food" or "service" that each is about), and how many; None without one.

    It has few values, and is not the label in other words.
    """
    places = pc.index_in(rows.numbers.filter(conflicts), value_set=pa.concat_arrays(table.row_numbers().chunks))
    told, labels = texts.filter(conflicts).to_pylist(), rows.labels.filter(conflicts).to_pylist()
    whole = len(set(told))
    for column in sorted(_of_few_values(chosen), key=lambda one: one.distinct):
        if _says_the_label(table, column.name, chosen.label):
            continue
        found: dict[tuple[str, str | None], set[str]] = {}
        for text, value, label in zip(told, table.column(column.name).take(places).to_pylist(), labels, strict=True):
            found.setdefault((text, value), set()).add(label)
        apart = whole - len({text for (text, _), several in found.items() if len(several) > 1})
        if apart >= MOSTLY_APART * whole:
            return column.name, apart
    return None


def _of_few_values(chosen: Chosen) -> list[ColumnFacts]:
    return [
        one
        for one in chosen.columns
        if one.role == "label" and one.distinct <= MOST_ASPECTS and one.name not in (chosen.text, chosen.label, chosen.second)
    ]


def _says_the_label(table: Table, column: str, label: str) -> bool:
    """Whether the column's value gives the label away, as a rating does a sentiment. Looked at in up to 2,000 rows."""
    both = zip(*(evenly(table.column(one), LOOKED_FOR_TWINS).to_pylist() for one in (column, label)), strict=True)
    counts = Counter(both)
    best: dict[str | None, int] = {}
    for (value, _), many in counts.items():
        best[value] = max(best.get(value, 0), many)
    return sum(best.values()) >= TWINS * counts.total()


def _sorted(rows: Usable) -> Iterator[Finding]:
    """Labels that come one class after another."""
    count, classes = len(rows.labels), len(rows.classes())
    if count < 50 or classes < 2:
        return
    names = pa.concat_arrays(rows.labels.chunks)
    turns = pc.sum(pc.not_equal(names.slice(1), names.slice(0, count - 1))).as_py() or 0
    if turns <= 1.2 * (classes - 1) + 1 and count >= 5 * classes:
        yield Finding(
            "sorted", "The rows are sorted by label", count, 1,
            "It does no harm: rows are picked for each part by chance, every class in its share, and shuffled before training.",
        )  # fmt: skip


def _count(mask: pa.ChunkedArray) -> int:
    return int(pc.sum(mask).as_py() or 0)


def _examples(rows: Usable, mask: pa.ChunkedArray, noun: str = "row") -> tuple[str, ...]:
    """The first three of these rows."""
    numbers, texts = rows.numbers.filter(mask).slice(0, 3).to_pylist(), rows.texts.filter(mask).slice(0, 3).to_pylist()
    return tuple(f"{noun} {number:,}: {shown(text, 100)}" for number, text in zip(numbers, texts, strict=True))


def _most_copied(texts: pa.ChunkedArray) -> tuple[str, ...]:
    counts = sorted(pc.value_counts(texts).to_pylist(), key=lambda one: (-one["counts"], one["values"]))[:3]
    return tuple(f"{shown(one['values'], 100)} ({one['counts'] + 1:,} times)" for one in counts)
