"""A file of any kind that is known as a Table: its kind is judged by its bytes, not by its name.

What is particular to a kind is left to tabular, json_rows, columnar, excel and archive.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from engine.data import archive, columnar, json_rows, tabular
from engine.data.encoding import CHOOSE_TABLE, Encoding, encoding_of, scan
from engine.data.table import Table, shown
from engine.data.watch import Opening, Watch
from engine.errors import Problem, Refused


def open_file(
    path: Path,
    limit_bytes: int,
    *,
    name: str | None = None,
    field: str = "data.source",
    sheet: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    watch: Watch | None = None,
    folder: Path | None = None,
) -> Table:
    """The file's rows; of a zip with rows for testing, those are the Table's `test`.

    Many rows are laid down in `folder`, if one is given. Raises Refused for what is no table: missing, too large, empty, a picture,
    damaged; Cancelled where `watch` was told to.
    """
    opening = Opening(path, name or path.name, limit_bytes, field, sheet, header, watch or Watch(), folder, encoding=encoding)
    table: Table | None = None
    try:
        _check(opening)
        table = _open(opening)
        return table
    except OSError as error:
        words = error.strerror or type(error).__name__
        raise Refused(Problem(field, f"{opening.name} could not be read: {words}.", "Check the file and try again.")) from error
    finally:
        used = {one.mapped.path for one in (table, table and table.test) if one and one.mapped}
        for one, close in opening.laid.items():
            if one not in used:
                with contextlib.suppress(OSError):
                    close()
                    one.unlink()


def _check(opening: Opening) -> None:
    path, name = opening.path, opening.name
    try:
        if not path.exists():
            raise opening.refused(f"There is no file {shown(name)!r}.", "Check the path, or choose the file again.")
        if not path.is_file():
            raise opening.refused(f"{shown(name)} is not a file but a folder or a device.", "Choose a file; pack a folder into a zip.")
        size = path.stat().st_size
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise opening.refused(f"{shown(name)!r} cannot be opened ({type(error).__name__}).", "Choose another file.") from error
    if size == 0:
        raise opening.refused(f"{name} is empty: it has 0 bytes.", CHOOSE_TABLE)
    if size > opening.limit_bytes:
        fix = "Choose a smaller file, or keep only the columns and rows that you need."
        raise opening.refused(f"{name} has {size / 1e6:,.1f} MB; the limit is {opening.limit_bytes / 1e6:,.0f} MB.", fix)


def _open(opening: Opening) -> Table:
    found = scan(opening.path, opening.watch)
    if archive.is_zip(found.head):
        return archive.read(opening, found.sha256, _open)
    if columnar.is_columnar(found.head) and not (found.valid_utf8 and b"\0" not in found.head):
        return columnar.read(opening, found.sha256, found.head)
    encoding = encoding_of(opening.path, found, opening.name, opening.field, opening.encoding)
    if not isinstance(encoding, Encoding):
        raise Refused(encoding)
    if json_rows.is_json(found.head.decode(encoding.codec, errors="replace"), opening.name):
        return json_rows.read(opening, found, encoding)
    return tabular.read(opening, found, encoding)
