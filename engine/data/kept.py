"""Tables with many rows, found again by whoever opens the same file next: the page for another column, the run for its split.

So a large file is read once. What is kept lies in Arrow files of the home's cache, a few at most; the oldest go.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from engine.data.files import open_file
from engine.data.gather import mapped
from engine.data.table import Mapped, Table
from engine.data.watch import Watch

FOLDER = "tables"  # of the home's cache
VERSION = 3  # of what is kept; another one is read anew
MOST_FILES = 8
MOST_BYTES = 4_000_000_000  # of all that is kept
STALE_SECONDS = 3600.0  # after which a file that no table names was left by a reading that died


def opened(
    path: Path,
    limit_bytes: int,
    cache: Path,
    *,
    field: str = "data.source",
    sheet: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    watch: Watch | None = None,
    always: bool = False,
) -> Table:
    """As `open_file`, from what was kept where the file is still the same: size, time of its last change, sheet, header and encoding.

    `always`: few rows are kept too.
    """
    folder = cache / FOLDER
    try:
        key = key_of(path, sheet, header, encoding)
        large = path.stat().st_size > limit_bytes
    except (OSError, ValueError):  # `open_file` tells it in words
        return open_file(path, limit_bytes, field=field)
    if not large and (found := _found(folder, key)):
        return found
    table = open_file(path, limit_bytes, field=field, sheet=sheet, header=header, encoding=encoding, watch=watch, folder=folder)
    if always or table.mapped or (table.test and table.test.mapped):
        with contextlib.suppress(OSError):  # a full disk: it is read again then
            _keep(folder, key, table)
    return table


def key_of(path: Path, sheet: str | None, header: bool | None, encoding: str | None = None) -> str:
    """Names a file as it is now, and how it is read. Raises OSError or ValueError where it cannot be looked at."""
    stat = path.stat()
    told = [VERSION, str(path.absolute()), stat.st_size, stat.st_mtime_ns, sheet, header, encoding]
    return hashlib.sha256(json.dumps(told).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def is_kept(cache: Path, key: str) -> bool:
    """Whether `opened` finds the rows of this key without reading the file."""
    return (cache / FOLDER / f"{key}.json").exists()


def _found(folder: Path, key: str) -> Table | None:
    note = folder / f"{key}.json"
    try:
        told = json.loads(note.read_text("utf-8"))
        table = _table(folder, told["table"])
        test = _table(folder, told["test"]) if told["test"] else None
        os.utime(note)
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):  # none, or one that was swept away or cut short
        return None
    return replace(table, test=test)


def _table(folder: Path, told: dict[str, Any]) -> Table:
    path = folder / told["file"]
    places, numbered, names = told["places"], told["numbered"], tuple(told["columns"])
    data = mapped(path)
    return Table(
        columns=names,
        data=pa.table([data.column(place) for place in places], names=list(names)),
        numbers=data.column("number") if numbered else None,
        mapped=Mapped(path, tuple(places)),
        sha256=told["sha256"],
        origin=told["origin"],
        notes=tuple(told["notes"]),
        left_out=told["left_out"],
        has_header=told["has_header"],
        sheets=tuple(told["sheets"]),
        sheet=told["sheet"],
        encodings=tuple(told["encodings"]),
        unsure=told["unsure"],
    )


def _keep(folder: Path, key: str, table: Table) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    told = {"table": _told(folder, table), "test": _told(folder, table.test) if table.test else None}
    beside = folder / f".{secrets.token_hex(8)}"
    beside.write_text(json.dumps(told, ensure_ascii=False), "utf-8")
    os.replace(beside, folder / f"{key}.json")
    _sweep(folder)


def _told(folder: Path, table: Table) -> dict[str, Any]:
    """What the Table is besides its cells; those few that lie in memory are laid down."""
    place = table.mapped
    if place is None:
        place = Mapped(folder / f"{secrets.token_hex(8)}.arrow", tuple(range(len(table.columns))))
        names = [str(number) for number in place.places]
        whole = pa.table([*table.data.columns, table.row_numbers()], names=[*names, "number"])
        with pa.ipc.new_file(str(place.path), whole.schema) as file:
            file.write_table(whole)
    return {
        "columns": table.columns,
        "sha256": table.sha256,
        "origin": table.origin,
        "notes": table.notes,
        "left_out": table.left_out,
        "has_header": table.has_header,
        "sheets": table.sheets,
        "sheet": table.sheet,
        "encodings": table.encodings,
        "unsure": table.unsure,
        "file": place.path.name,
        "places": place.places,
        "numbered": table.numbers is not None,
    }


def _sweep(folder: Path) -> None:
    """Lets go of what was used longest ago, beyond the bounds, and of what no table names. What is open stays readable."""
    notes = sorted(folder.glob("*.json"), key=lambda one: one.stat().st_mtime, reverse=True)
    named: set[str] = set()
    kept_bytes = 0
    for number, note in enumerate(notes):
        files = [folder / one["file"] for one in json.loads(note.read_text("utf-8")).values() if one]
        kept_bytes += sum(one.stat().st_size for one in files if one.exists())
        if number and (number >= MOST_FILES or kept_bytes > MOST_BYTES):
            note.unlink(missing_ok=True)
        else:
            named |= {one.name for one in files}
    old = time.time() - STALE_SECONDS
    for one in folder.glob("*.arrow"):
        if one.name not in named and one.stat().st_mtime < old:
            with contextlib.suppress(OSError):  # it is open, on Windows
                one.unlink()
