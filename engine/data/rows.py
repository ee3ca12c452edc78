"""The rows that can be learnt from: those with a text and a label, cleaned; the others counted by reason. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from engine.data.dialogues import is_answered
from engine.data.numbers import numbers
from engine.data.strata import strata
from engine.data.table import Table, by_chunk, counted, without_tags

ALIKE = "all rows"  # the label of each, where none is learnt
NO_LABEL = "without a label"  # the reasons for which rows are left out, as in "3 left out: without a label"
NO_TEXT = "with an empty text"
NO_ANSWER = "with nothing to be written"
NO_TURN = "with no conversation in which the assistant answers"
NO_NUMBER = "with a label that is no number"
NO_TAGS = "with a tag that is missing or cannot be read"
# What programs write for "nothing here". "None" and "NA" may be meant as class names and stay.
MISSING = ("nan", "NaN", "NAN", "null", "NULL", "<NA>", "#N/A")


@dataclass(frozen=True)
class Usable:
    """Rows with text and label, in the source's order."""

    texts: pa.ChunkedArray  # cleaned
    labels: pa.ChunkedArray  # names without blanks around them
    numbers: pa.ChunkedArray  # of the row in its source, from 1
    dropped: dict[str, int]  # reason in words -> rows
    notes: tuple[str, ...]
    beside: pa.ChunkedArray | None = None  # what the split goes by: the row's group or time, as it stands
    second: pa.ChunkedArray | None = None  # what is read beside the text; "" where there is nothing
    answers: pa.ChunkedArray | None = None  # texts to be written; the labels are all alike then
    values: pa.ChunkedArray | None = None  # numbers to be learnt, float64; the labels are all alike then
    tags: pa.ChunkedArray | None = None  # lists of tags as JSON; the labels are what the split keeps in its share then

    def at(self, keep: pa.Array | pa.ChunkedArray) -> Usable:
        """The rows where this mask is true."""
        more = (None if one is None else one.filter(keep) for one in (self.beside, self.second, self.answers, self.values, self.tags))
        return Usable(self.texts.filter(keep), self.labels.filter(keep), self.numbers.filter(keep), self.dropped, self.notes, *more)

    def classes(self) -> dict[str, int]:
        """Rows of each class, the largest first, those of equal size by name."""
        told = {one["values"]: one["counts"] for one in pc.value_counts(self.labels).to_pylist()}
        return dict(sorted(told.items(), key=lambda item: (-item[1], item[0])))


def usable(
    table: Table, text: str, label: str, *, clean_html: bool, beside: str | None = None, second: str = "", target: str = "class"
) -> Usable:
    """The rows of this table that have a text and a label. `beside`: a column that is kept with them where the table has it.

    Where something is to be written `label` is its column, or that of the text, which holds conversations then; where a number is
    learnt, rows whose label is none are left out. Of tags it is the column that `tags.with_tags` makes.
    """
    texts, tagged = without_tags(table.column(text)) if clean_html else (table.column(text), 0)
    told = table.column(label)
    labels = by_chunk(told, pc.utf8_trim_whitespace)
    trimmed = pc.sum(pc.not_equal(labels, told)).as_py() or 0
    labelled = is_there(labels)
    written = is_written(texts)
    values, said = numbers(labels) if target == "number" else (None, ())
    measured = labelled if values is None else pc.and_(labelled, pc.is_valid(values))
    talks = target == "text" and label == text
    answered = told_of_each(texts, is_answered) if talks else written
    keep = pc.and_(pc.and_(measured, written), answered)
    dropped = dict(table.left_out)
    lacks = {"text": NO_ANSWER, "nothing": NO_ANSWER, "tags": NO_TAGS}.get(target, NO_LABEL)
    reasons = {lacks: pc.invert(labelled), NO_NUMBER: pc.and_not(labelled, measured), NO_TEXT: pc.and_not(measured, written)}
    reasons[NO_TURN] = pc.and_not(pc.and_(measured, written), answered)
    for reason, rows in reasons.items():
        if count := pc.sum(rows).as_py():
            dropped[reason] = count
    notes = list(said)
    if tagged:
        notes.append(f"<br /> became a space in {counted(tagged, 'text')}")
    if trimmed and target == "class":
        notes.append(f"Blanks around {counted(trimmed, 'label')} were removed")
    kept = table.column(beside) if beside in table.columns else None
    other = _filled(table.column(second)) if second in table.columns else None
    if other is not None and clean_html:
        other, _ = without_tags(other)
    found = Usable(texts, labels, table.row_numbers(), dropped, tuple(notes), kept, other, values=values)
    if not pc.all(keep).as_py():  # else they stay where they are
        found = found.at(keep)
    if target == "class":
        return found
    if target == "tags":
        return replace(found, tags=found.labels, labels=strata(found.labels))
    if clean_html and target == "text" and label != text:
        found = replace(found, labels=without_tags(found.labels)[0])
    alike = pa.chunked_array([pa.repeat(pa.scalar(ALIKE), len(found.texts))])
    return replace(found, labels=alike, answers=None if target == "number" else found.labels)


def told_of_each(values: pa.ChunkedArray, tell: Callable[[str], bool]) -> pa.ChunkedArray:
    """What `tell` says of each value."""
    return pa.chunked_array([pa.array([tell(one or "") for one in chunk.to_pylist()], pa.bool_()) for chunk in values.chunks], pa.bool_())


def _filled(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return by_chunk(values, lambda chunk: pc.fill_null(chunk, ""))


def is_there(labels: pa.ChunkedArray) -> pa.ChunkedArray:
    """Which of these trimmed values say something."""
    return pc.and_(pc.greater(_length(labels), 0), pc.invert(pc.is_in(labels, pa.array(MISSING))))


def is_written(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Which of these values are more than blanks."""
    return pa.chunked_array([pc.greater(_length(pc.utf8_trim_whitespace(chunk)), 0) for chunk in texts.chunks], pa.bool_())


def _length(values: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    return pc.fill_null(pc.utf8_length(values), 0)


def pooled(first: Usable, second: Usable) -> Usable:
    """Both, one after the other, as if they had been one table."""
    made = Usable(
        _joined(first.texts, second.texts),
        _joined(first.labels, second.labels),
        _joined(first.numbers, second.numbers),
        dict(Counter(first.dropped) + Counter(second.dropped)),
        tuple(dict.fromkeys(first.notes + second.notes)),
        *(
            _joined(one, other) if one is not None and other is not None else None
            for one, other in (
                (first.beside, second.beside),
                (first.second, second.second),
                (first.answers, second.answers),
                (first.values, second.values),
                (first.tags, second.tags),
            )
        ),
    )
    return made if made.tags is None else replace(made, labels=strata(made.tags))


def _joined(first: pa.ChunkedArray, second: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array([*first.chunks, *second.chunks], first.type)


def words_in(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """How many words each text has, between blanks. Splitting chunk by chunk takes 0.8 s for 100 MB, counting a pattern 2.2 s."""
    counts = []
    for chunk in texts.chunks:
        trimmed = pc.ascii_trim_whitespace(chunk)
        words = pc.list_value_length(pc.ascii_split_whitespace(trimmed))
        counts.append(pc.if_else(pc.equal(trimmed, ""), pa.scalar(0, pa.int32()), words))
    return pa.chunked_array(counts, pa.int32())
