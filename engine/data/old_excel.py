"""A sheet of an old Excel workbook (.xls, of Excel 97 to 2003) as a Table.

python-calamine reads it, in Rust, a whole sheet at a time: the format ends at 65,536 rows and 256 columns. It does not tell how a number is
formatted, so 007 comes as 7, which a note says.
"""

from __future__ import annotations

from typing import Any

from engine.data import sheets
from engine.data.encoding import CHOOSE_TABLE
from engine.data.sheets import SAVE_AGAIN, Sheet
from engine.data.table import Table
from engine.data.watch import Opening
from engine.errors import Refused

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # the container, which old Word documents and locked new workbooks have too
NO_FORMATS = "Numbers as they are stored, not as they are formatted: 007 is 7"


def is_old_excel(head: bytes) -> bool:
    return head.startswith(OLE)


def read(opening: Opening, sha256: str) -> Table:
    """The rows of the sheet that was asked for, else of the one with most rows. Raises Refused."""
    import python_calamine

    try:
        with opening.path.open("rb") as file:
            return _read(opening, sha256, python_calamine.load_workbook(file))
    except python_calamine.PasswordError as error:
        raise opening.refused(f"{opening.name} is locked with a password.", "Save it without one.") from error
    except (python_calamine.CalamineError, ValueError, OverflowError) as error:
        message = f"{opening.name} is a damaged Excel workbook, or an old Word document or another old Office file; no sheet can be read."
        raise opening.refused(message, f"{CHOOSE_TABLE} {SAVE_AGAIN}") from error
    except Refused:
        raise
    except BaseException as error:  # a panic of the Rust code is none of Python's exceptions
        if type(error).__name__ != "PanicException":
            raise
        raise opening.refused(f"{opening.name} is a damaged Excel workbook and cannot be read.", SAVE_AGAIN) from error


def _read(opening: Opening, sha256: str, book: Any) -> Table:
    about, told = [], []
    for one in book.sheets_metadata:
        if str(one.typ).endswith("WorkSheet"):
            sheet = book.get_sheet_by_name(one.name)
            opening.watch.at(0.0)
            told.append(sheet)
            rows = sum(any(cell not in ("", None) for cell in row) for row in sheet.iter_rows())
            about.append(Sheet(one.name, rows, _merged(sheet), str(one.visible).endswith("Visible")))
    place, titles = sheets.wanted(opening, about)
    cells = ([sheets.as_shown(cell) for cell in row] for row in told[place].iter_rows())
    return sheets.table(opening, cells, about[place], titles, sha256, "Old Excel workbook", (NO_FORMATS,))


def _merged(sheet: Any) -> tuple[sheets.Range, ...]:
    """Its merged ranges. The rows that python-calamine gives begin with the sheet's first row, but at the first column that is filled."""
    right = sheet.start[1] if sheet.start else 0
    return tuple((top, bottom, left - right, last - right) for (top, left), (bottom, last) in sheet.merged_cell_ranges or ())
