"""Tags, any number of them on a text: read from columns of 0 and 1, or from one column of lists. Pure.

Whatever they came as, a row's tags become one cell of JSON, ["insult", "threat"], in a column of their own, which the fixes, the
doctor and the split read like any label. A row of which one tag is unknown has no such cell.
"""

from __future__ import annotations

import ast
import json
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.data.columns import ColumnFacts, evenly
from engine.data.header import NAMES_OF_TEXT
from engine.data.numbers import numbers
from engine.data.rows import MISSING
from engine.data.table import Table, counted, listed, shown
from engine.errors import Problem

ON = {"1", "1.0", "true", "yes", "y", "t", "x", "on", "✓", "✔", "হ্যাঁ"}
OFF = {"0", "0.0", "false", "no", "n", "f", "off", "-", "না"}
SIGNS = ("|", ";", ",")  # between tags; the first that is common enough
NAMES_OF_LISTS = ("tags", "labels", "genres", "topics", "categories", "emotions", "keywords", "label", "tag", "genre", "categories_list")
LOOKED = 2000  # cells of a column, evenly spread
LONGEST_TAG = 60  # characters
NUMERIC = 0.9  # of the cells are one number each, from which the column holds no lists
Marks = NDArray[np.int8]
MOST_TAGS = 500
FEW_ROWS_OF_A_TAG = 5  # below it nothing of a tag can be learnt and tested


@dataclass(frozen=True)
class Tags:
    """How the tags of a table stand there."""

    columns: tuple[str, ...]  # of 0 and 1 each; or one of lists
    sign: str = ""  # between the tags of a list that is no JSON

    @classmethod
    def of(cls, table: Table, columns: Sequence[str]) -> Tags:
        return cls(tuple(columns), _sign(table.column(columns[0])) if len(columns) == 1 else "")


def own_name(table: Table) -> str:
    """What the column of a row's tags is called: as no other of this table."""
    name = "the row's tags"
    while name in table.columns:
        name += "’"
    return name


def with_tags(table: Table, tags: Tags, name: str) -> Table:
    """The table with the row's tags in a column of this name; as it is where it lacks a column of theirs."""
    if not set(tags.columns) <= set(table.columns) or name in table.columns:
        return table
    cells = _of_columns(table, tags.columns) if len(tags.columns) > 1 else _of_lists(table.column(tags.columns[0]), tags.sign)
    return replace(table, columns=(*table.columns, name), data=table.data.append_column(name, pa.chunked_array([cells])))


def marked(cell: str) -> bool | None:
    """Whether a cell says that the tag is on; None where it says neither."""
    told = "".join(str(unicodedata.digit(sign)) if sign.isdecimal() else sign for sign in cell.strip().casefold())
    return True if told in ON else False if told in OFF else None


def _blank(cell: str | None) -> bool:
    return cell is None or not cell.strip()


def _marks(column: pa.ChunkedArray) -> Marks:
    """1, 0 or -1 (unknown) for each cell. Where all that is written says "on" a blank says "off", as in a column of crosses."""
    cells = column.combine_chunks().dictionary_encode()
    values = cells.dictionary.to_pylist()
    known = [marked(one) if not _blank(one) else None for one in values]
    only_on = all(one is True or _blank(cell) for cell, one in zip(values, known, strict=True))
    blank = 0 if only_on and any(one is True for one in known) else -1
    told = [blank if _blank(cell) else -1 if one is None else int(one) for cell, one in zip(values, known, strict=True)]
    table = np.array([*told, blank], dtype=np.int8)  # the last for cells that are null
    places = pc.fill_null(cells.indices, len(values)).to_numpy(zero_copy_only=False)
    found: Marks = table[places]
    return found


def _of_columns(table: Table, columns: Sequence[str]) -> pa.Array:
    marks = np.stack([_marks(table.column(name)) for name in columns], axis=1)
    kinds, place = np.unique(marks, axis=0, return_inverse=True)
    cells = [None if (kind < 0).any() else _cell([name for name, on in zip(columns, kind.tolist(), strict=True) if on]) for kind in kinds]
    return pa.array(cells, pa.string()).take(pa.array(place.ravel()))


def _of_lists(column: pa.ChunkedArray, sign: str) -> pa.Array:
    cells = column.combine_chunks().dictionary_encode()
    told = [taken_apart(one, sign) for one in cells.dictionary.to_pylist()]
    known = [None if one is None else _cell(one) for one in told]
    none = len(known)
    return pa.array([*known, _cell([])], pa.string()).take(pc.fill_null(cells.indices, none))


def taken_apart(cell: str | None, sign: str) -> list[str] | None:
    """The tags of a cell of a list, sorted, each once; none of a blank one. None where it cannot be told."""
    told = (cell or "").strip()
    if told in MISSING:
        return None
    if told.startswith("["):
        found = _as_list(told)
        if found is None:
            return None
    else:
        found = told.split(sign) if sign else [told]
    tags = {" ".join(unicodedata.normalize("NFC", one).split()) for one in found} - {""}
    return sorted(tags) if all(len(one) <= LONGEST_TAG for one in tags) else None


def _as_list(cell: str) -> list[str] | None:
    """A list of texts as JSON or as Python writes it."""
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(cell)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return [str(one) for one in found] if isinstance(found, list) and all(isinstance(one, str | int) for one in found) else None
    return None


def _cell(tags: Sequence[str]) -> str:
    return json.dumps(list(tags), ensure_ascii=False)


def _sign(column: pa.ChunkedArray) -> str:
    """What stands between the tags: of | ; and , the one in most cells, the earlier of equals; "" where there is none."""
    cells = [one for one in evenly(column, LOOKED).to_pylist() if one and not one.lstrip().startswith("[")]
    rows = {sign: sum(sign in one for one in cells) for sign in SIGNS}
    best = max(SIGNS, key=lambda sign: rows[sign])
    return best if rows[best] else ""


# Which columns they are


def is_marks(column: ColumnFacts) -> bool:
    """Whether the column says yes or no, or crosses some rows."""
    return bool(column.filled) and column.distinct <= 2 and all(marked(one) is not None for one in column.examples)


def mark_columns(columns: Sequence[ColumnFacts], taken: Sequence[str] = ()) -> tuple[str, ...]:
    """The columns that could each be a tag, where there are several."""
    found = [one for one in columns if one.name not in taken and is_marks(one)]
    whole = max((one.filled for one in columns), default=0)
    differ = any(one.distinct > 1 or one.filled < whole for one in found)
    return tuple(one.name for one in found) if len(found) > 1 and differ else ()


def guess(table: Table, columns: Sequence[ColumnFacts], taken: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """The columns of tags and the reason; or none, and why."""
    marks = mark_columns(columns, taken)
    if marks:
        first = next(one for one in columns if one.name == marks[0])
        return marks, f"{len(marks)} columns say yes or no ({listed([shown(one, 12) for one in first.examples[:2]])}): each is a tag."
    free = [one for one in columns if one.name not in taken and one.filled and one.name.lower() not in NAMES_OF_TEXT]
    ordered = sorted(free, key=lambda one: one.name.lower() not in NAMES_OF_LISTS)
    for one in ordered:
        if _is_of_lists(table.column(one.name)):
            return (one.name,), f"It holds lists of tags, such as {shown(max(one.examples, key=len), 40)}."
    return (), f"No columns say yes or no, and none holds lists of tags; there are {listed([one.name for one in columns], 10)}."


def _is_of_lists(column: pa.ChunkedArray) -> bool:
    """Whether many cells hold several short values, and those come again and again."""
    looked = evenly(column, LOOKED)
    cells = [one for one in looked.to_pylist() if one and one.strip()]
    values, _ = numbers(looked)
    if len(values) - values.null_count > NUMERIC * len(cells):  # the comma in 2,32 begins the decimals
        return False
    sign = _sign(column)
    found = [taken_apart(one, sign) for one in cells]
    tags = Counter(tag for one in found if one for tag in one)
    several = sum(one is not None and len(one) > 1 for one in found)
    read = sum(one is not None for one in found)
    short = all(len(tag.split()) <= 4 for tag in tags)
    return read > 0.9 * len(cells) and several > 0.1 * len(cells) and short and 2 <= len(tags) <= sum(tags.values()) / 3


# What is in them


def names(rows: pa.ChunkedArray, tags: Tags) -> dict[str, int]:
    """Rows of each tag: of columns in their order, of lists by name."""
    found = Counter[str]()
    for one in pc.value_counts(rows).to_pylist():
        for tag in json.loads(one["values"]):
            found[tag] += one["counts"]
    ordered = tags.columns if len(tags.columns) > 1 else sorted(found)
    return {name: found[name] for name in ordered}


def rows_of(cells: Sequence[str], tags: Sequence[str]) -> list[tuple[int, ...]]:
    """1 for each tag that a row has, 0 for each other, in the order of `tags`; what is none of them is passed over."""
    known: dict[str, tuple[int, ...]] = {}
    for cell in set(cells):
        there = set(json.loads(cell))
        known[cell] = tuple(int(tag in there) for tag in tags)
    return [known[cell] for cell in cells]


def in_words(cells: pa.ChunkedArray) -> str:
    """ "1.4 tags a row on average; 120 rows have none"."""
    rows = {one["values"]: one["counts"] for one in pc.value_counts(cells).to_pylist()}
    whole = sum(rows.values())
    none = rows.get(_cell([]), 0)
    mean = sum(len(json.loads(cell)) * count for cell, count in rows.items()) / max(1, whole)
    return (
        f"{mean:.2g} tags a row on average; {counted(none, 'row has', 'rows have')} none, which is an answer too. "
        "Split by chance, every part has its share of each combination of tags; rare combinations go by their rarest tag"
    )


def problems(found: Mapping[str, int], rows: int, lost: int, tags: Tags) -> Iterator[Problem]:
    """What keeps these tags from being learnt, or what a person should know of them. `rows` can be used, `lost` could not be read."""
    field = "data.labels"
    if lost > rows:
        message = f"Of {counted(lost + rows, 'row')} the tags of {lost:,} are missing or cannot be read."
        yield Problem(field, message, "Pick columns of 0 and 1 (or yes and no), or one column of lists.")
        return
    if rows and len(found) < 2:
        only = f"one tag only, {next(iter(found))!r}" if found else "no tag"
        fix = "Pick more columns of tags, or choose the task Sort texts into classes."
        if len(tags.columns) == 1 and found and all(marked(one) is not None for one in found):
            only = "yes and no, which is one tag"
        yield Problem(field, f"{listed(list(tags.columns))} {'hold' if len(tags.columns) > 1 else 'holds'} {only}.", fix)
        return
    if len(tags.columns) == 1 and all(marked(one) is not None for one in found):
        fix = "Pick more columns of tags, or choose the task Sort texts into classes."
        yield Problem(field, f"{tags.columns[0]!r} says yes or no, which is one tag only.", fix)
        return
    if len(found) > MOST_TAGS:
        message = f"There are {len(found):,} different tags; up to {MOST_TAGS} can be learnt."
        yield Problem(field, message, "Pick another column, or leave the rare tags out of the file.")
        return
    never = [name for name, count in found.items() if not count]
    always = [name for name, count in found.items() if rows and count == rows]
    few = [name for name, count in found.items() if 0 < count < FEW_ROWS_OF_A_TAG]
    if never:
        message = f"No row has the tag {listed(never)}: there is nothing to learn of it, and the model will never give it."
        yield Problem(field, message, "Take it off the columns of tags, or add rows that have it.", "warning")
    if always:
        message = f"Every row has the tag {listed(always)}: the model will give it to every text, which tells nothing."
        yield Problem(field, message, "Take it off the columns of tags, or add rows that lack it.", "warning")
    if few:
        told = listed([f"{name} ({found[name]})" for name in few])
        message = f"Fewer than {FEW_ROWS_OF_A_TAG} rows have the tag {told}: that is too few to learn it and to test it."
        yield Problem(field, message, "Add rows that have it, or take it off the tags.", "warning")
