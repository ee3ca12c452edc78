"""A sheet of an Excel workbook (.xlsx) as a Table, with every value as it is shown: 007, 18-digit ids, dates by year, no float noise.

openpyxl reads the cells in its read-only mode. A quick pass over each sheet's XML beforehand counts the rows, so that the fullest sheet
can be offered first, and finds merged cells, which that mode does not know.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from typing import Any

from engine.data import sheets
from engine.data.sheets import SAVE_AGAIN, Sheet
from engine.data.table import Table, shown
from engine.data.watch import Opening
from engine.errors import Refused

WORKBOOK, BINARY, MACROS = "xl/workbook.xml", "xl/workbook.bin", "xl/vbaProject.bin"
CHUNK = 1 << 20
MOST_ROWS = 1_048_576  # that a sheet can have
MOST_TIMES, MUCH = 200, 50_000_000  # a workbook that is so much, and so many times its size once unpacked, was made to do harm
LONGEST_ROW = 1 << 24  # bytes of XML: openpyxl takes 60 times as much for it
ROW_END = re.compile(rb"</(?:\w+:)?row>")
VALUE = re.compile(rb"<(?:\w+:)?(?:v|is)[ >]")
MERGED = re.compile(rb'mergeCell ref="([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})"')
ZEROS = re.compile(r"0{2,30}")
# What openpyxl raises for damaged XML and for parts that are missing.
BROKEN = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, OSError, RuntimeError, SyntaxError, TypeError, ValueError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def is_workbook(names: set[str]) -> bool:
    return WORKBOOK in names or BINARY in names


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
        looked = [_look(archive, one._worksheet_path, one.title, opening, one.sheet_state == "visible") for one in book.worksheets]
        place, titles = sheets.wanted(opening, looked)
        told = book.worksheets[place]
        told.reset_dimensions()  # what the file tells of its own size is often wrong
        cells = ([_text(cell) for cell in row] for row in told.iter_rows(max_row=MOST_ROWS))
        return sheets.table(opening, cells, looked[place], titles, sha256, "Excel workbook")
    finally:
        book.close()


def _look(archive: zipfile.ZipFile, part: str, title: str, opening: Opening, visible: bool) -> Sheet:
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
    return Sheet(title, rows, tuple(sorted(ranges)), visible)


def _column(letters: bytes) -> int:
    place = 0
    for letter in letters:
        place = place * 26 + letter - 64
    return place - 1


def _text(cell: Any) -> str:
    """A cell as it is shown; "" for an empty one and for an error such as #REF!."""
    value = cell.value
    match value:
        case str() if cell.data_type == "e":
            return ""
        case bool():
            return sheets.as_shown(value)
        case int():
            zeros = cell.number_format if value >= 0 else ""
            return str(value).zfill(len(zeros)) if zeros and ZEROS.fullmatch(zeros) else str(value)
        case _:
            return sheets.as_shown(value)
