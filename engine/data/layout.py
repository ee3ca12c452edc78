"""What a split by groups or by time must know of each row, in a few bytes a row; and everything that is wrong with such a column. Pure.

The preview and the split read the same Layout, so the sizes that are foretold are those of the split.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.data.dates import NONE, read_dates
from engine.data.rows import Usable
from engine.data.table import counted, listed, shown
from engine.errors import Problem
from engine.spec import DataSpec

Whole = NDArray[np.int32]
PARTS = 3  # that a split fills: training, validation, test
MOSTLY = 0.5  # share of a column's values that must be dates


@dataclass(frozen=True, eq=False)
class Layout:
    """The usable rows in their order: class and, where the split goes by it, group or time. At most 12 bytes a row."""

    names: tuple[str, ...]  # of the classes, alphabetical
    classes: Whole  # place in `names` of each row
    groups: Whole | None  # number of each row's group
    times: NDArray[np.int64] | None  # seconds since 1970

    @property
    def group_count(self) -> int:
        return 0 if self.groups is None else int(self.groups.max(initial=-1)) + 1


def beside(data: DataSpec) -> str | None:
    """The column that the split goes by, if it goes by one."""
    return data.group if data.group is not None else data.time


def laid_out(
    rows: Usable, given: Usable | None, data: DataSpec, taken: tuple[str, str]
) -> tuple[Usable, Layout | None, list[Problem], list[str]]:
    """The rows that can be split, their layout (None: split by chance, or it cannot be done), what is wrong and what should be known.

    `given` are the test rows that stay the test; `taken` are the text and the label column. Rows without a date are left out.
    """
    name = beside(data)
    if name is None:
        return rows, None, [], []
    field = "data.group" if data.group is not None else "data.time"
    if not name:
        return rows, None, [Problem(field, "The column that rows are split by is not chosen yet.", "Pick it, or split by chance.")], []
    fix = "Choose another column, or split by chance."
    if data.group and data.time:
        message = f"The rows are to be split by the groups of {data.group!r} and by the time in {data.time!r}; only one of them can be."
        return rows, None, [Problem("data.time", message, "Leave one of the two out.")], []
    if name in taken:
        role = "texts" if name == taken[0] else "labels"
        return rows, None, [Problem(field, f"Column {shown(name)!r} holds the {role}, so rows cannot be split by it.", fix)], []
    if rows.beside is None:
        return rows, None, [Problem(field, f"There is no column {shown(name)!r} in all of the rows.", fix)], []
    if data.time:
        return _by_time(rows, name, fix)
    return _by_group(rows, given, name, fix)


def _by_group(rows: Usable, given: Usable | None, name: str, fix: str) -> tuple[Usable, Layout | None, list[Problem], list[str]]:
    assert rows.beside is not None
    values = _group_names(rows.beside)
    blank = sum(value is None for value in values)
    numbers: dict[str, int] = {}
    groups = np.zeros(len(values), dtype=np.int32)
    alone = 0
    for at, value in enumerate(values):  # a row of an unknown group stands by itself
        alone += value is None
        groups[at] = numbers.setdefault(value, len(numbers)) if value is not None else -alone
    groups[groups < 0] = len(numbers) - 1 - groups[groups < 0]
    layout = replace(_of_classes(rows), groups=groups)
    parts = PARTS - (given is not None)
    if len(rows.texts) and layout.group_count < parts:
        only = f"{shown(next(iter(numbers)))!r}" if len(numbers) == 1 else listed(list(numbers))
        message = f"Column {name!r} has {counted(layout.group_count, 'group')} only, {only}, and the rows go into {parts} parts."
        return rows, None, [Problem("data.group", message, fix)], []
    notes = [f"Rows with the same {name!r} stay in one part: {counted(layout.group_count - blank, 'group')}"]
    if layout.group_count == len(values):
        notes = [f"Every row has a {name!r} of its own, so this is a split by chance"]
    if blank:
        notes.append(f"{counted(blank, 'row')} without {name!r}, each taken as a group of its own")
    if given is not None and given.beside is not None:
        both = set(numbers) & {value for value in _group_names(given.beside) if value is not None}
        if both:
            stand = "stands" if len(both) == 1 else "stand"
            notes.append(
                f"{counted(len(both), 'group')} of {name!r} {stand} in the given test rows and the others: {listed(sorted(both), 3)}"
            )
    return rows, layout, [], notes


def _group_names(values: pa.ChunkedArray) -> list[str | None]:
    return [value or None for value in pc.utf8_trim_whitespace(values).to_pylist()]


def _by_time(rows: Usable, name: str, fix: str) -> tuple[Usable, Layout | None, list[Problem], list[str]]:
    assert rows.beside is not None
    dates = read_dates(rows.beside.to_pylist())
    known = dates.known
    examples = f": {listed([shown(one, 30) for one in dates.unread])}" if dates.unread else ""
    if len(known) and known.mean() < MOSTLY:
        message = f"{counted(int((~known).sum()), 'value')} of column {name!r} of {len(known):,} cannot be read as a date{examples}."
        return rows, None, [Problem("data.time", message, fix)], []
    kept = rows
    if not known.all():
        keep = pa.array(known)
        dropped = {**rows.dropped, f"without a date in {name!r} that can be read": int((~known).sum())}
        kept = replace(rows.at(keep), dropped=dropped)
    times = dates.seconds[known]
    if len(times) and times.min() == times.max():
        return kept, None, [Problem("data.time", f"All rows have the same date in column {name!r}.", fix)], []
    span = f"{_day(int(times.min()))} to {_day(int(times.max()))}" if len(times) else ""
    notes = [f"The newest rows by {name!r} are the test: {span}", *dates.notes]
    if examples:
        notes.append(f"Not read as a date{examples}")
    return kept, replace(_of_classes(kept), times=times), [], notes


def _of_classes(rows: Usable) -> Layout:
    names = tuple(sorted(rows.classes()))
    number = {name: at for at, name in enumerate(names)}
    return Layout(names, np.array([number[name] for name in rows.labels.to_pylist()], dtype=np.int32), None, None)


def _day(seconds: int) -> str:
    """2021-04-03; of any year that a date can have."""
    return str(np.datetime64(seconds, "s").astype("datetime64[D]")) if seconds != NONE else ""
