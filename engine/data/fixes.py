"""The rows with a person's fixes made, so that the preview, training and the verdict see the same. Pure; the source stays as it came."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.data import near, repeats
from engine.data.near import nearly
from engine.data.repairs import OF_LABELS, REPAIRS, column_as_fixed
from engine.data.rows import is_there, is_written
from engine.data.table import Table, by_chunk, shown, without_tags
from engine.data.tags import Tags, with_tags
from engine.fix import DELIMITERS, Fix, read_all
from engine.spec import DataSpec

NAMELESS = re.compile(r"column \d+( \(\d+\))?")
DROPS = {  # fix -> why a row is left out, as in "12 left out: ..."
    "drop-class": "of a class that you left out",
    "drop-no-second": "with a blank second text",
    "drop-longer": "far longer than the rest",
    "drop-conflicts": "with a text that has several labels",
    "drop-copies": "copies of an earlier row",
    "drop-near-copies": "nearly the same as an earlier row",
    "drop-leaked": "with a text of the test rows",
    "drop-nearly-leaked": "nearly the same as a test row",
}


@dataclass(frozen=True)
class Applied:
    """A fix that was made: what it did, in words, and to how many rows."""

    fix: str
    words: str
    rows: int


@dataclass(frozen=True)
class Mended:
    table: Table
    test: Table | None
    applied: tuple[Applied, ...]


def mended(table: Table, test: Table | None, data: DataSpec, text: str, label: str, tags: Tags | None = None, second: str = "") -> Mended:
    """The rows with all of the data's fixes made. `text` and `label` are the columns decided on; "": those that need them are left.

    `second`: the column of what is read beside the text, which is repaired and compared together with it. With `tags`, `label` is the
    name of the column that they are put into.
    """
    fixes, _ = read_all(data.fixes)
    if tags is not None:  # which are read of cells that are in their place
        fixes = tuple(sorted(fixes, key=lambda one: one.kind != "join-cells"))
    applied = []
    parts = [table] if test is None else [table, test]
    for fix in fixes:
        if tags is not None and fix.kind != "join-cells":
            parts = [with_tags(part, tags, label) for part in parts]
        before, rows = parts, 0
        if fix.kind == "join-cells":
            parts = [_joined(part, fix) for part in parts]
            rows = sum(_spilt(part) for part in before)
        elif not text or not label or any(name not in part.columns for part in parts for name in (text, label)):
            continue
        elif fix.kind in REPAIRS:
            parts, rows = _repaired(parts, fix, (text, second) if second else (text,), label)
        elif fix.kind == "merge-labels":
            parts, rows = _merged(parts, fix, label)
        else:
            drop = _drops(parts, fix, text, label, second, pooled=data.resplit, written=data.target == "text")
            parts = [_without(part, rows_of, DROPS[fix.kind]) for part, rows_of in zip(parts, drop, strict=True)]
            rows = sum(before_it.rows - part.rows for before_it, part in zip(before, parts, strict=True))
        applied.append(Applied(str(fix), in_words(fix), rows))
    if tags is not None:
        parts = [with_tags(part, tags, label) for part in parts]
    if not fixes:
        return Mended(parts[0], parts[1] if test is not None else None, ())
    told = "\n".join([*map(str, fixes), *filter(None, [second])]).encode()
    parts = [replace(part, sha256=hashlib.sha256(part.sha256.encode() + told).hexdigest()) for part in parts]
    return Mended(parts[0], parts[1] if test is not None else None, tuple(applied))


def reshaped(table: Table, fixes: Sequence[str]) -> Table:
    """The table with the columns that it has once the fixes are made, from which the text and the label are chosen."""
    for fix in read_all(fixes)[0]:
        if fix.kind == "join-cells":
            table = _joined(table, fix)
    return table


def in_words(fix: Fix) -> str:
    """What a fix does, as a line of a list."""
    match fix:
        case Fix("join-cells", (column, _)):
            return f"Cells that had spilled out of {column!r} are joined again"
        case Fix("merge-labels", (old, new)):
            return f"Label {shown(old, 40)!r} counts as {shown(new, 40)!r}"
        case Fix("drop-class", (name,)):
            return f"Rows of class {shown(name, 40)!r} are left out"
        case Fix("drop-longer", (most,)):
            return f"Texts longer than {int(most):,} characters are left out"
    return {
        "repair-encoding": "Damaged letters are repaired",
        "strip-invisible": "Invisible signs are removed",
        "remove-html": "HTML is removed from the texts",
        "replace-links": "Web addresses became [link]",
        "replace-users": "User names became [user]",
        "drop-no-second": "Pairs without a second text are left out",
        "drop-conflicts": "Texts with several labels are left out",
        "drop-copies": "Copies are left out; the first of each stays",
        "drop-near-copies": "Near copies are left out; the first of each stays",
        "drop-leaked": "Training rows with a text of the test rows are left out",
        "drop-nearly-leaked": "Training rows that are nearly the same as a test row are left out",
    }[fix.kind]


# Cells that spilled into columns without a name


def nameless(table: Table) -> list[str]:
    """The columns without a name at the table's end that fewer than half of the rows reach."""
    found: list[str] = []
    for name in reversed(table.columns):
        column = table.column(name)
        if not table.has_header or not NAMELESS.fullmatch(name) or 2 * (len(column) - column.null_count) >= table.rows:
            break
        found.insert(0, name)
    return found


def _spilt(table: Table) -> int:
    """The rows that reach into nameless columns."""
    columns = nameless(table)
    if not columns:
        return 0
    reached = pc.is_valid(table.column(columns[0]))
    for name in columns[1:]:
        reached = pc.or_(reached, pc.is_valid(table.column(name)))
    return int(pc.sum(reached).as_py() or 0)


def _joined(table: Table, fix: Fix) -> Table:
    """Each row that reaches into nameless columns has that many cells of the text joined; what stood behind them moves back."""
    column, delimiter = fix.values[0], DELIMITERS[fix.values[1]]
    extra = nameless(table)
    if not extra or column not in table.columns or column in extra:
        return table
    at, width = table.columns.index(column), len(table.columns) - len(extra)
    names = table.columns[:width]
    columns = [table.column(name).to_pylist() for name in table.columns]
    for row in range(table.rows):
        spilt = next((count for count in range(len(extra), 0, -1) if columns[width + count - 1][row] is not None), 0)
        if spilt:
            cells = [cell[row] for cell in columns]
            columns[at][row] = delimiter.join(cell or "" for cell in cells[at : at + spilt + 1])
            for place in range(at + 1, width):
                columns[place][row] = cells[place + spilt]
    data = pa.table([pa.chunked_array([pa.array(columns[place], pa.string())]) for place in range(width)], names=list(names))
    return replace(table, columns=names, data=data)


# Texts and labels


def _set(table: Table, name: str, values: pa.ChunkedArray) -> Table:
    return replace(table, data=table.data.set_column(table.columns.index(name), name, values))


def _repaired(parts: list[Table], fix: Fix, texts: Sequence[str], label: str) -> tuple[list[Table], int]:
    rows, done = 0, []
    for made in parts:
        masks: list[pa.ChunkedArray] = []
        for name in dict.fromkeys((*texts, *([label] if fix.kind in OF_LABELS else []))):
            if name in made.columns:
                values, changed = column_as_fixed(made.column(name), fix.kind)
                made, masks = _set(made, name, values), [*masks, changed]
        rows += pc.sum(reduce(pc.or_, masks)).as_py() or 0
        done.append(made)
    return done, rows


def _merged(parts: list[Table], fix: Fix, label: str) -> tuple[list[Table], int]:
    old, new = fix.values
    rows, done = 0, []
    for part in parts:
        values = part.column(label)
        same = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(values), old), False)
        rows += pc.sum(same).as_py() or 0
        done.append(_set(part, label, pc.if_else(same, pa.scalar(new, pa.string()), values)))
    return done, rows


# Rows left out


def compared(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts as they are compared: without line-break tags, and blanks around them."""
    return by_chunk(without_tags(texts)[0], pc.utf8_trim_whitespace)


def joined(columns: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    """The columns' texts in one, a line each. Where the first has nothing there is nothing; of the others it counts as none."""
    if len(columns) == 1:
        return columns[0]
    first, *more = (pa.concat_arrays(one.chunks) if one.num_chunks else pa.array([], pa.string()) for one in columns)
    return pa.chunked_array([pc.binary_join_element_wise(first, *(pc.fill_null(one, "") for one in more), "\n")])


def _drops(parts: list[Table], fix: Fix, text: str, label: str, second: str, *, pooled: bool, written: bool) -> list[pa.ChunkedArray]:
    """For each part, which of its rows the fix leaves out. Given test rows are compared only where they are pooled with the others.

    `written`: the label is a text too, which counts where one is too long.
    """
    read = [[compared(part.column(name)) for name in dict.fromkeys((text, second)) if name in part.columns] for part in parts]
    texts = [joined(one) for one in read]
    labels = [pc.utf8_trim_whitespace(part.column(label)) for part in parts]
    match fix.kind:
        case "drop-class":
            return [_true(pc.equal(one, fix.values[0])) for one in labels]
        case "drop-no-second":
            read_too = [part.column(second) if second in part.columns else texts[at] for at, part in enumerate(parts)]
            return [pc.and_(is_there(one), pc.invert(is_written(beside))) for one, beside in zip(texts, read_too, strict=True)]
        case "drop-longer":
            if written and label != text:
                texts = [joined([one, part.column(label)]) for one, part in zip(texts, parts, strict=True)]
            return [_true(pc.greater(pc.utf8_length(one), int(fix.values[0]))) for one in texts]
        case "drop-leaked" | "drop-nearly-leaked":
            none = [pa.chunked_array([pa.repeat(False, len(one))]) for one in texts]
            if len(parts) == 1 or pooled:
                return none
            if fix.kind == "drop-leaked":
                return [_true(pc.and_(is_there(texts[0]), pc.is_in(texts[0], pc.unique(texts[1])))), none[1]]
            twins = _true(pc.and_(is_there(texts[0]), pc.is_in(nearly(texts[0]), pc.unique(nearly(texts[1])))))
            if len(read[0]) == len(read[1]):
                twins = pc.or_(twins, pa.chunked_array([near.across(read[0], labels[0], read[1], labels[1])[0]]))
            return [twins, none[1]]
    sizes = [part.rows for part in parts]
    used = len(parts) if pooled else 1
    all_texts, all_labels = _end_to_end(texts[:used]), _end_to_end(labels[:used])
    if fix.kind == "drop-near-copies":
        columns = [_end_to_end(of_part) for of_part in zip(*read[:used], strict=True)] if len(set(map(len, read[:used]))) == 1 else []
        drop = _near_copies(all_texts, all_labels, columns, written=written and label != text)
    else:
        drop = conflicting(all_texts, all_labels) if fix.kind == "drop-conflicts" else later_copies(all_texts, all_labels)
    ends = [sum(sizes[:place]) for place in range(len(sizes) + 1)]
    return [drop.slice(ends[at], size) if at < used else pa.chunked_array([pa.repeat(False, size)]) for at, size in enumerate(sizes)]


def _end_to_end(columns: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    return pa.chunked_array([chunk for one in columns for chunk in one.chunks], pa.string())


def _near_copies(texts: pa.ChunkedArray, labels: pa.ChunkedArray, columns: Sequence[pa.ChunkedArray], *, written: bool) -> pa.ChunkedArray:
    """Which rows nearly are an earlier one of the same label. `columns`: what `texts` are joined of. `written`: the label is a text."""
    if written:
        answers, labels = compared(labels), by_chunk(labels, lambda chunk: pc.if_else(is_there(chunk), "written", ""))
        texts, columns = joined([texts, answers]), [*columns, answers]
    drop = later_copies(nearly(texts), labels)
    if columns:
        among = np.asarray(_whole(texts, labels)) & ~np.asarray(drop)
        drop = pc.or_(drop, pa.chunked_array([near.within(columns, labels, among).earlier >= 0]))
    return drop


def later_copies(texts: pa.ChunkedArray, labels: pa.ChunkedArray) -> pa.ChunkedArray:
    """Which rows have the text and the label of an earlier one."""
    return repeats.later_copies(texts, labels, among=_whole(texts, labels))


def conflicting(texts: pa.ChunkedArray, labels: pa.ChunkedArray) -> pa.ChunkedArray:
    """Which rows have a text that stands elsewhere with another label."""
    return repeats.with_several(texts, labels, _whole(texts, labels))


def _whole(texts: pa.ChunkedArray, labels: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.and_(is_there(texts), is_there(labels))


def _true(mask: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.fill_null(mask, False)


def _without(table: Table, drop: pa.ChunkedArray, reason: str) -> Table:
    count = pc.sum(drop).as_py() or 0
    if not count:
        return table
    keep = pc.invert(drop)
    left_out = {**table.left_out, reason: table.left_out.get(reason, 0) + count}
    return replace(table, data=table.data.filter(keep), numbers=table.row_numbers().filter(keep), left_out=left_out)
