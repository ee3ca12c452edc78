"""A sheet of a workbook, whoever read its cells, as a Table: titles above the header, merged cells, rows wider than the header."""

from __future__ import annotations

import datetime
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from engine.data.gather import MOST_COLUMNS, About, Batches, Gather
from engine.data.header import MOST_TITLES, has_header
from engine.data.table import Table, counted, listed, shown
from engine.data.watch import Opening
from engine.errors import Problem, Refused

MOST_MERGED = 100_000  # cells that are filled from the first of their merged range
LOOK = 1000  # rows in which header and title rows are looked for
SAVE_AGAIN = "Open it in a spreadsheet program and save it again as .xlsx or CSV (UTF-8)."

Range = tuple[int, int, int, int]  # first and last row, first and last column, from 0


@dataclass(frozen=True)
class Sheet:
    title: str
    rows: int  # that hold a value
    merged: tuple[Range, ...] = ()
    visible: bool = True


def wanted(opening: Opening, sheets: Sequence[Sheet]) -> tuple[int, tuple[str, ...]]:
    """The place of the sheet that was asked for, else of the fullest that is seen, and the titles to choose from. Raises Refused."""
    order = sorted(sheets, key=lambda one: (not one.visible, -one.rows))
    titles = tuple(one.title for one in order if one.rows) or tuple(one.title for one in order)
    if not order:
        raise opening.refused(f"{opening.name} has no sheet with cells.", "Choose a workbook with a table.")
    told = next((one for one in order if one.title == opening.sheet), None) if opening.sheet else order[0]
    if told is None:
        message = f"{opening.name} has no sheet {shown(opening.sheet or '')!r}; its sheets are {listed(titles, 10)}."
        raise Refused(Problem("data.sheet", message, "Choose one of its sheets."))
    if not told.rows:
        other = f"Choose another sheet: {listed(titles)}." if titles[0] != told.title else "Choose a workbook with a table."
        raise opening.refused(f"The sheet {shown(told.title)!r} of {opening.name} is empty.", other)
    return sheets.index(told), titles


def as_shown(value: Any) -> str:
    """A cell's value as it is shown: "" for an empty one, whole numbers without a point, dates by year, no float noise."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "TRUE" if value else "FALSE"
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.15g}"
        case datetime.datetime():
            return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(" ", "seconds")
        case datetime.date() | datetime.time():
            return value.isoformat()
        case _:
            return str(value)


def table(
    opening: Opening,
    cells: Iterable[list[str]],
    sheet: Sheet,
    titles: tuple[str, ...],
    sha256: str,
    kind: str,
    own: tuple[str, ...] = (),
) -> Table:
    """The Table of a sheet's cells, each as it is shown. `sha256`: of the whole file; `kind`: of workbook; `own`: notes of it."""
    first: list[tuple[list[str], int]] = []
    rows = _filled_in(cells, sheet.merged)
    for row in rows:
        if row[1]:
            first.append(row)
        if len(first) == LOOK:
            break
    usual = Counter(filled for _, filled in first).most_common(1)[0][0] if first else 0
    above = 0
    while usual > 1 and above < min(MOST_TITLES, len(first) - 1) and first[above][1] == 1:
        above += 1
    first = first[above:]
    looked = [one for one, _ in first]
    header = looked[0] if looked and has_header(looked, opening.header) else []
    width = max((len(one) for one in looked), default=0)
    gather = Gather(opening, width)
    batches, blank, pending, wide, number = Batches(gather), 0, 0, 0, 0
    for source in (first[1:] if header else first, rows):
        for one, filled in source:
            number += 1
            if number % 64 == 0:
                opening.watch.at(number / max(1, sheet.rows))
            if not filled and not any(one):
                pending += 1  # empty rows behind the last one are none
                continue
            blank, pending = blank + pending, 0
            wide += any(one[width:])
            batches.add([*one[:width], *[""] * (width - len(one))], number)
    batches.flush()
    notes = [f"{kind}, sheet {shown(sheet.title)!r}", *own]
    notes += [f"{counted(above, 'row')} above the header left out"] if above else []
    notes += [] if header else ["The first row is data already, so there is no header; the columns were numbered"]
    notes += ["Merged cells: each got the value of the first"] if sheet.merged else []
    notes += [f"{counted(wide, 'row')} with cells beyond the last column: those were left out"] if wide else []
    summed = hashlib.sha256(f"{sha256}:{sheet.title}".encode()).hexdigest()
    about = About(summed, tuple(notes), (), {"empty rows": blank}, has_header=bool(header), sheets=titles, sheet=sheet.title)
    return gather.table(header, about)


def _filled_in(rows: Iterable[list[str]], merged: tuple[Range, ...]) -> Iterator[tuple[list[str], int]]:
    """Each row's cells as text, with how many were filled before those of merged ranges got the value of their first."""
    inside: dict[int, list[tuple[int, tuple[int, int]]]] = {}
    count = 0
    for top, bottom, left, right in merged:
        count += (bottom - top + 1) * (right - left + 1)
        if count > MOST_MERGED or right > MOST_COLUMNS or bottom < top:
            break
        for row in range(top, bottom + 1):
            inside.setdefault(row, []).extend((column, (top, left)) for column in range(left, right + 1))
    first: dict[tuple[int, int], str] = {}
    for number, cells in enumerate(rows):
        filled = sum(1 for cell in cells if cell.strip())
        for column, source in inside.get(number, ()):
            if source == (number, column):
                first[source] = cells[column] if column < len(cells) else ""
            elif value := first.get(source):
                cells += [""] * (column + 1 - len(cells))
                cells[column] = value
        yield cells, filled
