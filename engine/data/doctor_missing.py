"""What the doctor sees of the rows that are left out: those that lack what is learnt of them, or their text. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from engine.data.chosen import Chosen
from engine.data.dialogues import is_answered, is_in_order, is_open, speakers, turns_of
from engine.data.finding import Finding, Remedy
from engine.data.numbers import numbers
from engine.data.rows import NO_ANSWER, NO_LABEL, NO_NUMBER, NO_TAGS, NO_TEXT, NO_TURN, Usable, is_there, is_written, told_of_each
from engine.data.table import MORE_CELLS, Table, shown
from engine.fix import Fix

MUCH_LEFT_OUT = 0.05  # share of rows from which what is left out weighs
SHOWN = 3


def findings(table: Table, rows: Usable, chosen: Chosen, target: str) -> Iterator[Finding]:
    """A finding for each reason. `table`: whole, from which `rows` are those that can be learnt from."""
    label, text = chosen.label, chosen.text
    whole = len(rows.texts) + sum(rows.dropped.values())

    def told(reason: str, id: str, title: str, effect: str, examples: Callable[[], tuple[str, ...]] = tuple) -> Iterator[Finding]:
        if count := rows.dropped.get(reason, 0):
            yield Finding(id, title, count, 2 if count >= MUCH_LEFT_OUT * whole else 1, effect, examples())

    nothing = "They are left out: there is nothing to read."
    if target == "number":
        effect = "They are left out: without its number nothing can be learnt from a row. Write it in to use them."
        yield from told(NO_LABEL, "no-number", "Rows without a number", effect, lambda: _lacking(table, label, text))
        effect = (
            "They are left out: a range, two numbers, a sign such as < or another unit than the rest cannot be read for certain. "
            "Write one number into each to use them."
        )
        yield from told(NO_NUMBER, "not-a-number", "Numbers that cannot be read", effect, lambda: _unreadable(table, label))
    elif target == "tags":
        effect = (
            "They are left out of training and test: whether an unknown tag is on or off cannot be guessed. "
            "Write 1 or 0 (or yes and no) into them to use them; a row without any tag is fine."
        )
        title = "Tags that are missing or cannot be read"
        yield from told(NO_TAGS, "unread-tags", title, effect, lambda: _cells(table, pc.invert(_says(table, label)), chosen.labels))
    elif label == text and target == "text":
        yield from told(NO_ANSWER, "no-text", "Rows with an empty text", nothing, lambda: _blank(table, text))
        effect = (
            "They are left out: there is nothing to learn where the assistant answers nobody, or where a turn is no text "
            '({"role": "user", "content": "…"} or {"from": "human", "value": "…"}). Write the turns so to use them.'
        )
        title = "Conversations that cannot be read or are not answered"
        yield from told(NO_TURN, "no-turn", title, effect, lambda: _unanswered(table, text))
        yield from _out_of_order(rows)
    elif label == text:
        yield from told(NO_ANSWER, "no-text", "Rows with an empty text", nothing, lambda: _blank(table, text))
    elif target == "text":
        effect = "They are left out: the model would have nothing to write. Write the answers in to use them."
        yield from told(NO_ANSWER, "no-answer", "Rows with nothing to be written", effect, lambda: _lacking(table, label, text))
        yield from _out_of_order(rows)
        yield from _answered_already(rows, label)
    else:
        effect = "They are left out: nothing can be learnt from them."
        yield from told(NO_LABEL, "no-label", "Rows without a label", effect, lambda: _lacking(table, label, text))
    if rows.second is not None and target != "text":
        yield from _alone(rows)
    beside = chosen.labels if target == "tags" else (label,)
    yield from told(NO_TEXT, "no-text", "Rows with an empty text", nothing, lambda: _lacking(table, text, label, beside))
    effect = "They are left out: which cell belongs where cannot be told. Put texts that hold the delimiter into quotation marks."
    yield from told(MORE_CELLS, "broken-rows", "Rows with more cells than there are columns", effect)
    for noun in ("line", "record"):
        effect = "They are left out: they are no JSON object like the others. Mend them in the file, and choose it again."
        yield from told(f"broken {noun}s", "broken-json", f"Broken {noun}s of JSON", effect, partial(_broken, table, noun))


def _alone(rows: Usable) -> Iterator[Finding]:
    """Pairs that lack their second text."""
    lack = pc.invert(is_written(rows.second))
    if count := pc.sum(lack).as_py():
        told = zip(rows.numbers.filter(lack).slice(0, SHOWN).to_pylist(), rows.texts.filter(lack).slice(0, SHOWN).to_pylist(), strict=True)
        effect = "The model is asked to compare the first text with nothing. Write the second one in, or leave these rows out."
        yield Finding(
            "no-second", "Pairs without a second text", count, 2 if count >= MUCH_LEFT_OUT * len(rows.texts) else 1, effect,
            tuple(f"row {number:,}: {shown(text, 100)}" for number, text in told),
            (Remedy("Leave these rows out", (str(Fix("drop-no-second")),)),),
        )  # fmt: skip


def _lacking(table: Table, column: str, other: str, beside: Sequence[str] = ()) -> tuple[str, ...]:
    """The first rows with nothing in this column, with what stands in the other one, or by name in those beside it."""
    lack = pc.and_(pc.invert(_says(table, column)), is_there(table.column(other)))
    if len(beside) > 1:
        return _cells(table, lack, beside)
    told = table.column(other).filter(lack).slice(0, SHOWN).to_pylist()
    return tuple(f"row {number:,}: {shown(one, 100)}" for number, one in zip(_numbers(table, lack), told, strict=True))


def _unreadable(table: Table, column: str) -> tuple[str, ...]:
    """The first cells that hold something else than a number."""
    values, _ = numbers(pc.utf8_trim_whitespace(table.column(column)))
    odd = pc.and_(_says(table, column), pc.invert(pc.is_valid(values)))
    told = table.column(column).filter(odd).slice(0, SHOWN).to_pylist()
    return tuple(f"row {number:,}: {shown(one, 100)}" for number, one in zip(_numbers(table, odd), told, strict=True))


def _blank(table: Table, column: str) -> tuple[str, ...]:
    """The first rows with nothing in this column, with whatever else stands in them."""
    return _cells(table, pc.invert(_says(table, column)), [one for one in table.columns if one != column], name_blanks=False)


def _unanswered(table: Table, column: str) -> tuple[str, ...]:
    """The first cells that are no conversation with an answer."""
    odd = pc.and_(_says(table, column), pc.invert(told_of_each(table.column(column), is_answered)))
    told = table.column(column).filter(odd).slice(0, SHOWN).to_pylist()
    return tuple(f"row {number:,}: {shown(one, 100)}" for number, one in zip(_numbers(table, odd), told, strict=True))


def _out_of_order(rows: Usable) -> Iterator[Finding]:
    """Conversations that some chat templates refuse."""
    odd = pc.invert(told_of_each(rows.texts, is_in_order))
    count = pc.sum(odd).as_py() or 0
    if count:
        numbers = rows.numbers.filter(odd).slice(0, SHOWN).to_pylist()
        told = [" → ".join(speakers(turns_of(one) or ())) for one in rows.texts.filter(odd).slice(0, SHOWN).to_pylist()]
        effect = (
            "Some models' chat templates refuse them, and training would end there. Put the turns in order (a system prompt, user, "
            "assistant, user, …), or choose ChatML as the form of a conversation, which takes any order."
        )
        examples = tuple(f"row {number:,}: {shown(one, 100)}" for number, one in zip(numbers, told, strict=True))
        yield Finding("out-of-order", "Conversations whose turns are out of order", count, 2, effect, examples)


def _answered_already(rows: Usable, label: str) -> Iterator[Finding]:
    """Conversations with an answer of their own, beside a column of answers."""
    mask = told_of_each(rows.texts, lambda cell: cell.lstrip().startswith("[{") and is_answered(cell) and not is_open(cell))
    count = pc.sum(mask).as_py() or 0
    if count:
        numbers = rows.numbers.filter(mask).slice(0, SHOWN).to_pylist()
        told = [(turns_of(one) or [("", "")])[-1][1] for one in rows.texts.filter(mask).slice(0, SHOWN).to_pylist()]
        effect = (
            f"Their own answer is learnt, and column {label!r} is not read for them. To learn what stands there, take the last turn out of "
            "these conversations."
        )
        examples = tuple(f"row {number:,}: {shown(one, 100)}" for number, one in zip(numbers, told, strict=True))
        yield Finding("answered-already", "Conversations that end with an answer of their own", count, 2, effect, examples)


def _broken(table: Table, noun: str) -> tuple[str, ...]:
    """Which ones, as they were told when the file was read."""
    note = next((one for one in table.notes if f"broken {noun}" in one and ": " in one), "")
    return (note.partition(": ")[2],) if note else ()


def _cells(table: Table, mask: pa.ChunkedArray, columns: Sequence[str], *, name_blanks: bool = True) -> tuple[str, ...]:
    """The first of these rows with these columns by name."""
    found = []
    for number, row in zip(_numbers(table, mask), table.data.filter(mask).slice(0, SHOWN).to_pylist(), strict=True):
        cells = [f"{name} {row[name] or 'is blank'}" for name in columns if row[name] or name_blanks]
        found.append(f"row {number:,}: {shown(', '.join(cells), 100) if cells else 'all of it is blank'}")
    return tuple(found)


def _says(table: Table, column: str) -> pa.ChunkedArray:
    return is_there(pc.utf8_trim_whitespace(table.column(column)))


def _numbers(table: Table, mask: pa.ChunkedArray) -> list[int]:
    found: list[int] = table.row_numbers().filter(mask).slice(0, SHOWN).to_pylist()
    return found
