"""A sheet of an Excel workbook (.xlsx) as a Table, with every value as it is shown: 007, 18-digit ids, dates by year, no float noise.

openpyxl reads the cells in its read-only mode. A quick pass over each sheet's XML beforehand counts the rows, so that the fullest sheet
can be offered first, and finds merged cells, which that mode does not know.
"""

from __future__ import annotations

import datetime
import hashlib
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from engine.data.gather import MOST_COLUMNS, About, Batches, Gather
from engine.data.header import MOST_TITLES, has_header
from engine.data.table import Table, counted, listed, shown
from engine.data.watch import Opening
from engine.errors import Problem, Refused

WORKBOOK, BINARY, MACROS = "xl/workbook.xml", "xl/workbook.bin", "xl/vbaProject.bin"
CHUNK = 1 << 20
MOST_ROWS = 1_048_576  # that a sheet can have
MOST_TIMES, MUCH = 200, 50_000_000  # a workbook that is so much, and so many times its size once unpacked, was made to do harm
LONGEST_ROW = 1 << 24  # bytes of XML: openpyxl takes 60 times as much for it
MOST_MERGED = 100_000  # cells that are filled from the first of their merged range
LOOK = 1000  # rows in which header and title rows are looked for
ROW_END = re.compile(rb"</(?:\w+:)?row>")
VALUE = re.compile(rb"<(?:\w+:)?(?:v|is)[ >]")
MERGED = re.compile(rb'mergeCell ref="([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})"')
ZEROS = re.compile(r"0{2,30}")
SAVE_AGAIN = "Open it in a spreadsheet program and save it again as .xlsx or CSV (UTF-8)."
# What openpyxl raises for damaged XML and for parts that are missing.
BROKEN = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, OSError, RuntimeError, SyntaxError, TypeError, ValueError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def is_workbook(names: set[str]) -> bool:
    return WORKBOOK in names or BINARY in names


@dataclass(frozen=True)
class _Sheet:
    title: str
    rows: int  # that hold a value
    merged: tuple[tuple[int, int, int, int], ...]  # first and last row, first and last column, from 0


def read(opening: Opening, archive: zipfile.ZipFile, sha256: str) -> Table:
    """The rows of the sheet that was asked for, else of the one with most rows. Raises Refused."""
    names = set(archive.namelist())
    if MACROS in names:
        raise opening.refused(f"{opening.name} is a workbook with macros, which are not opened.", "Save it as .xlsx, without macros.")
    if BINARY in names:
        raise opening.refused(f"{opening.name} is a binary Excel workbook (.xlsb).", "Save it as .xlsx.")
    unpacked = sum(one.file_size for one in archive.infolist())
    if unpacked > max(MUCH, MOST_TIMES * opening.path.stat().st_size):
        message = f"{opening.name} holds {unpacked / 1e6:,.0f} MB in {opening.path.stat().st_size / 1e6:,.1f} MB, which no table does."
        raise opening.refused(message, SAVE_AGAIN)
    try:
        return _read(opening, archive, sha256)
    except Refused:
        raise
    except BROKEN as error:
        raise opening.refused(f"{opening.name} is a damaged Excel workbook and cannot be read.", SAVE_AGAIN) from error


def _read(opening: Opening, archive: zipfile.ZipFile, sha256: str) -> Table:
    import openpyxl

    with opening.path.open("rb") as file:  # an open file: of a path openpyxl wants a certain ending
        book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
        return _read_book(opening, archive, sha256, book)


def _read_book(opening: Opening, archive: zipfile.ZipFile, sha256: str, book: Any) -> Table:
    try:
        # `_worksheet_path` is openpyxl's own; there is no public way from a sheet to its part of the archive.
        looked = [(one, _look(archive, one._worksheet_path, one.title, opening)) for one in book.worksheets]
        order = sorted(looked, key=lambda pair: (pair[0].sheet_state != "visible", -pair[1].rows))
        titles = tuple(sheet.title for _, sheet in order if sheet.rows) or tuple(sheet.title for _, sheet in order)
        if not order:
            raise opening.refused(f"{opening.name} has no sheet with cells.", "Choose a workbook with a table.")
        told = next((pair for pair in order if pair[1].title == opening.sheet), None) if opening.sheet else order[0]
        if told is None:
            message = f"{opening.name} has no sheet {shown(opening.sheet or '')!r}; its sheets are {listed(titles, 10)}."
            raise Refused(Problem("data.sheet", message, "Choose one of its sheets."))
        sheet, about = told
        if not about.rows:
            other = f"Choose another sheet: {listed(titles)}." if titles[0] != about.title else "Choose a workbook with a table."
            raise opening.refused(f"The sheet {shown(about.title)!r} of {opening.name} is empty.", other)
        sheet.reset_dimensions()  # what the file tells of its own size is often wrong
        rows = _filled_in(sheet.iter_rows(max_row=MOST_ROWS), about.merged)
        sum_of_sheet = hashlib.sha256(f"{sha256}:{about.title}".encode()).hexdigest()
        return _table(opening, rows, about, titles, sum_of_sheet)
    finally:
        book.close()


def _look(archive: zipfile.ZipFile, part: str, title: str, opening: Opening) -> _Sheet:
    rows, merged, rest = 0, [], b""
    with archive.open(part) as file:
        while chunk := file.read(CHUNK):
            opening.watch.at(0.0)
            *whole, rest = ROW_END.split(rest + chunk)
            rows += sum(VALUE.search(one) is not None for one in whole)
            merged += MERGED.findall(rest) if not whole else []
            if len(rest) > LONGEST_ROW:
                limit = f"{LONGEST_ROW / 1e6:,.0f} MB"
                raise opening.refused(f"The sheet {shown(title)!r} of {opening.name} has a row of more than {limit}.", SAVE_AGAIN)
    merged += MERGED.findall(rest)
    ranges = {(int(top) - 1, int(bottom) - 1, _column(left), _column(right)) for left, top, right, bottom in merged}
    return _Sheet(title, rows, tuple(sorted(ranges)))


def _column(letters: bytes) -> int:
    place = 0
    for letter in letters:
        place = place * 26 + letter - 64
    return place - 1


def _filled_in(rows: Iterator[Any], merged: tuple[tuple[int, int, int, int], ...]) -> Iterator[tuple[list[str], int]]:
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
    for number, row in enumerate(rows):
        cells = [_text(cell) for cell in row]
        filled = sum(1 for cell in cells if cell.strip())
        for column, source in inside.get(number, ()):
            if source == (number, column):
                first[source] = cells[column] if column < len(cells) else ""
            elif value := first.get(source):
                cells += [""] * (column + 1 - len(cells))
                cells[column] = value
        yield cells, filled


def _text(cell: Any) -> str:
    """A cell as it is shown; "" for an empty one and for an error such as #REF!."""
    value = cell.value
    match value:
        case None:
            return ""
        case str():
            return "" if cell.data_type == "e" else value
        case bool():
            return "TRUE" if value else "FALSE"
        case int():
            zeros = cell.number_format if value >= 0 else ""
            return str(value).zfill(len(zeros)) if zeros and ZEROS.fullmatch(zeros) else str(value)
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.15g}"
        case datetime.datetime():
            return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(" ", "seconds")
        case datetime.date() | datetime.time():
            return value.isoformat()
        case _:
            return str(value)


def _table(opening: Opening, rows: Iterator[tuple[list[str], int]], sheet: _Sheet, sheets: tuple[str, ...], sha256: str) -> Table:
    first: list[tuple[list[str], int]] = []
    for row in rows:
        if row[1]:
            first.append(row)
        if len(first) == LOOK:
            break
    usual = Counter(filled for _, filled in first).most_common(1)[0][0] if first else 0
    titles = 0
    while usual > 1 and titles < min(MOST_TITLES, len(first) - 1) and first[titles][1] == 1:
        titles += 1
    first = first[titles:]
    cells = [one for one, _ in first]
    header = cells[0] if cells and has_header(cells, opening.header) else []
    width = max((len(one) for one in cells), default=0)
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
    notes = [f"Excel workbook, sheet {shown(sheet.title)!r}"]
    notes += [f"{counted(titles, 'row')} above the header left out"] if titles else []
    notes += [] if header else ["The first row is data already, so there is no header; the columns were numbered"]
    notes += ["Merged cells: each got the value of the first"] if sheet.merged else []
    notes += [f"{counted(wide, 'row')} with cells beyond the last column: those were left out"] if wide else []
    about = About(sha256, tuple(notes), (), {"empty rows": blank}, has_header=bool(header), sheets=sheets, sheet=sheet.title)
    return gather.table(header, about)
