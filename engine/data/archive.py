"""What a zip holds, as a Table: an Excel workbook, a table, or texts in folders that are named by their label (as in aclImdb).

Nothing is unpacked under a name of the archive's own, so no entry can be written outside of it; and nothing is unpacked beyond what
`Opening` allows, whatever size the archive tells of itself.
"""

from __future__ import annotations

import re
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

from engine.data import excel, folders
from engine.data.folders import Entry
from engine.data.gather import too_much
from engine.data.table import Table, listed, shown
from engine.data.watch import Opening
from engine.errors import Problem, Refused

FIRST = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
CHUNK = 1 << 20
DEEPEST = 50  # folders within folders
MOST_DIRECTORY = 30_000_000  # bytes of the list of entries; Python takes ten times as much. aclImdb's 100,000 files take 11 MB
TABLES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".arrow", ".feather", ".xlsx")
JUNK = re.compile(r"(^|/)(__MACOSX/|\.|Thumbs\.db$|desktop\.ini$)")
TRAIN, TEST = re.compile(r"(^|[^a-z])train(ing)?([^a-z]|$)"), re.compile(r"(^|[^a-z])test(ing)?([^a-z]|$)")
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, struct.error, OverflowError)
SAVE_AGAIN = "Pack it again; the file may have been cut off or damaged on its way."
TO_SHEET = "Copy its table into a spreadsheet and save that as .xlsx or CSV (UTF-8)."
INSIDE = "Put a table in it, or a folder of texts for each label."

Opener = Callable[[Opening], Table]


def is_zip(head: bytes) -> bool:
    return head.startswith(FIRST)


def read(opening: Opening, sha256: str, open_inside: Opener) -> Table:
    """The rows of what the archive holds. Raises Refused: damaged, locked, too large once unpacked, or nothing in it that is a table."""
    try:
        if _directory_bytes(opening.path) > MOST_DIRECTORY:
            raise opening.refused(f"{opening.name} holds too many files.", "Put the texts into one table, such as a CSV file.")
        with zipfile.ZipFile(opening.path) as archive:
            return _read(opening, archive, sha256, open_inside)
    except Refused:
        raise
    except BROKEN as error:
        raise opening.refused(f"{opening.name} is a damaged zip archive or Excel workbook and cannot be read.", SAVE_AGAIN) from error


def _directory_bytes(path: Path) -> int:
    """How long the list of entries is by what the archive's end tells; Python reads as much of it, and no more."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - (1 << 16) - 200))
        tail = file.read()
    told = [int.from_bytes(tail[one.start() + 12 :][:4], "little") for one in re.finditer(rb"PK\x05\x06", tail)]
    told = [one for one in told if one != 0xFFFFFFFF]  # then the longer form tells it
    return max([0, *told, *(int.from_bytes(tail[one.start() + 40 :][:8], "little") for one in re.finditer(rb"PK\x06\x06", tail))])


def _read(opening: Opening, archive: zipfile.ZipFile, sha256: str, open_inside: Opener) -> Table:
    infos = archive.infolist()
    if sum(one.file_size for one in infos) > opening.most_text_bytes:
        raise too_much(opening)
    if any(one.flag_bits & 1 for one in infos):
        raise opening.refused(f"{opening.name} is locked with a password.", "Pack it again without one.")
    names = {one.filename for one in infos}
    if excel.is_workbook(names):
        return excel.read(opening, archive, sha256)
    _refuse_other_documents(opening, names)
    files = [one for one in infos if not one.is_dir() and not stat.S_ISLNK(one.external_attr >> 16)]  # of a link, its target is no text
    entries = [Entry(one, one.filename.replace("\\", "/")) for one in files]
    for one in entries:
        if one.path.startswith("/") or ".." in one.path.split("/") or re.match(r"[A-Za-z]:", one.path):
            message = f"{opening.name} holds a path that leads out of it: {shown(one.path)!r}."
            raise opening.refused(message, "Pack it again with plain folders.")
    if any(one.path.count("/") > DEEPEST for one in entries):
        raise opening.refused(f"{opening.name} holds folders within folders, more than {DEEPEST} deep.", INSIDE)
    entries = [one for one in entries if not JUNK.search(one.path)]
    tables = [one for one in entries if one.ending in TABLES]
    texts = folders.sorted_in(entries)
    if texts and len(texts) > len(tables):
        return folders.read(opening, archive, sha256, texts, len(entries) - len(texts))
    tables = tables or [one for one in entries if one.ending == ".txt"][:2]
    if not tables:
        inside = f"it holds {listed([one.path for one in entries], 3)}" if entries else "it is empty"
        raise opening.refused(f"{opening.name} is a zip without a table: {inside}.", INSIDE)
    return _chosen(opening, archive, tables, sha256, open_inside)


def _refuse_other_documents(opening: Opening, names: set[str]) -> None:
    if "word/document.xml" in names:
        raise opening.refused(f"{opening.name} is a Word document.", TO_SHEET)
    if "content.xml" in names and "mimetype" in names:
        raise opening.refused(f"{opening.name} is an OpenDocument file.", "Open it and save it as .xlsx or CSV (UTF-8).")
    if "ppt/presentation.xml" in names:
        raise opening.refused(f"{opening.name} is a presentation.", TO_SHEET)


def _chosen(opening: Opening, archive: zipfile.ZipFile, tables: list[Entry], sha256: str, open_inside: Opener) -> Table:
    """The table that was asked for, else the one called train, else the largest; beside "train", "test" are the rows for testing."""
    order = sorted(tables, key=lambda one: (not TRAIN.search(one.path.lower()), -one.info.file_size))
    told = next((one for one in order if one.path == opening.sheet), None) if opening.sheet else order[0]
    titles = tuple(one.path for one in order)
    if told is None:
        message = f"{opening.name} holds no {shown(opening.sheet or '')!r}; it holds {listed(titles, 10)}."
        raise Refused(Problem("data.sheet", message, "Choose one of its tables."))
    table = _unpacked(opening, archive, told, open_inside)
    tests = [one for one in order if TEST.search(one.path.lower()) and not TRAIN.search(one.path.lower())]
    pair = len(tests) == 1 and bool(TRAIN.search(told.path.lower()))
    test = _unpacked(opening, archive, tests[0], open_inside) if pair else None
    others = [one.path for one in order if one is not told and not (pair and one is tests[0])]
    notes = [f"From a zip: {shown(told.path)}"]
    notes += [f"Its {shown(tests[0].path)} are the rows for testing"] if test else []
    notes += [f"Not used: {listed(others)}"] if others else []
    several = titles if len(titles) > 1 else ()
    return replace(
        table, notes=(*notes, *table.notes), test=test, origin=opening.name, sheets=several, sheet=told.path if several else table.sheet
    )


def _unpacked(opening: Opening, archive: zipfile.ZipFile, entry: Entry, open_inside: Opener) -> Table:
    with tempfile.TemporaryDirectory() as folder:
        path, done = Path(folder) / "table", 0
        with archive.open(entry.info) as packed, path.open("xb") as file:
            while piece := packed.read(CHUNK):
                done += len(piece)
                if done > opening.most_text_bytes:
                    raise too_much(opening)
                opening.watch.at(0.0)
                file.write(piece)
        inside = opening.of(path, PurePosixPath(entry.path).name)
        if not done:
            raise opening.refused(f"{shown(entry.path)} in {opening.name} is empty.", "Choose another file.")
        with path.open("rb") as file:
            if is_zip(file.read(4)) and entry.ending != ".xlsx":
                raise opening.refused(f"{opening.name} holds a zip within a zip.", "Unpack it, and choose the one inside.")
        return open_inside(inside)
