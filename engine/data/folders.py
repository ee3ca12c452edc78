"""Texts in the folders of a zip, one a file, as a Table: the folder's name is the label, and those below "test" are for testing."""

from __future__ import annotations

import hashlib
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from engine.data.gather import About, Batches, Gather, too_much
from engine.data.table import Table, counted, listed, shown
from engine.data.watch import Opening

TRAIN, TEST = {"train", "training"}, {"test", "testing"}
CHECKED = {"dev", "val", "valid", "validation"}
UNLABELLED = {"unsup", "unsupervised", "unlabeled", "unlabelled", "unlabel"}
ENDINGS = (".txt", ".text", "")
MOST_TEXT_BYTES = 10_000_000  # of one file
COLUMNS = ("text", "label", "file")


@dataclass(frozen=True)
class Entry:
    """A file of the archive; `path` is how it calls itself, with / between its parts."""

    info: zipfile.ZipInfo
    path: str

    @property
    def ending(self) -> str:
        return PurePosixPath(self.path).suffix.lower()


@dataclass(frozen=True)
class Placed:
    """A file with the label and the part that its folders give it."""

    entry: Entry
    label: str
    part: str  # "train", "test", "validation" or ""


def sorted_in(entries: Sequence[Entry]) -> list[Placed]:
    """The files that stand in a folder of a label: one that has no folder of texts below it."""
    paths = [(one, PurePosixPath(one.path)) for one in entries if one.ending in ENDINGS or one.ending[1:].isdecimal()]
    above = {folder for _, path in paths for folder in path.parent.parents}
    paths = [(one, path) for one, path in paths if len(path.parts) > 1 and path.parent not in above]
    alone = len({path.parent for _, path in paths}) == 1
    return [placed for one, path in paths if (placed := _placed(one, path, alone=alone))]


def _placed(entry: Entry, path: PurePosixPath, *, alone: bool) -> Placed | None:
    above = [part.lower() for part in path.parts[:-2]]
    label = path.parts[-2]
    if label.lower() in TRAIN | TEST | CHECKED or alone:
        return None
    part = next((name for name, names in (("train", TRAIN), ("test", TEST), ("validation", CHECKED)) if names & set(above)), "")
    return Placed(entry, label, part)


def read(opening: Opening, archive: zipfile.ZipFile, sha256: str, files: Sequence[Placed], others: int) -> Table:
    """The rows: those for training, and as their `test` those below a folder "test"."""
    labelled = [one for one in files if one.label.lower() not in UNLABELLED]
    test = [one for one in labelled if one.part == "test"]
    rest = [one for one in labelled if one.part != "test"] or test
    done = _Done(len(labelled))
    notes = ["A zip of folders: each folder's name is the label of its texts"]
    if unlabelled := len(files) - len(labelled):
        notes.append(f"{counted(unlabelled, 'text')} in folders without a label left out")
    if others:
        notes.append(f"{counted(others, 'file')} outside of these folders left out")
    if checked := sum(one.part == "validation" for one in rest):
        notes.append(f"{counted(checked, 'text')} for validation stand among the rows; Shur picks its own")
    table = _table(opening, archive, rest, sha256, notes, done)
    if not test or test is rest:
        return table
    given = _table(opening, archive, test, hashlib.sha256(f"{sha256}:test".encode()).hexdigest(), [], done)
    return replace(table, test=given)


@dataclass
class _Done:
    files: int  # to be read
    read: int = 0
    read_bytes: int = 0


def _table(opening: Opening, archive: zipfile.ZipFile, files: Sequence[Placed], sha256: str, notes: list[str], done: _Done) -> Table:
    gather = Gather(opening, len(COLUMNS))
    batches, odd, western = Batches(gather), [], 0
    for number, one in enumerate(sorted(files, key=lambda one: one.entry.path), 1):
        with archive.open(one.entry.info) as file:
            told = file.read(MOST_TEXT_BYTES + 1)
        done.read, done.read_bytes = done.read + 1, done.read_bytes + len(told)
        if done.read_bytes > opening.most_text_bytes:
            raise too_much(opening)
        opening.watch.at(done.read / done.files)
        text, narrow = _text(told)
        western += narrow
        if text is None or len(told) > MOST_TEXT_BYTES:
            odd.append(one.entry.path)
        else:
            batches.add([text, one.label, PurePosixPath(one.entry.path).name], number)
    batches.flush()
    if not gather.rows:
        raise opening.refused(f"{opening.name} holds no text that can be read.", "Put a folder of .txt files for each label in it.")
    classes = Counter(one.label for one in files)
    later = [f"{counted(western, 'text')} read as Western European (cp1252)"] if western else []
    later += [f"{counted(len(odd), 'file')} that hold no text left out: {listed([shown(one) for one in odd], 3)}"] if odd else []
    notes = [*notes, f"Folders: {listed(sorted(classes), 10)}"] if notes else []
    return gather.table(COLUMNS, About(sha256, tuple(notes), tuple(later), {"files that hold no text": len(odd)}))


def _text(told: bytes) -> tuple[str | None, bool]:
    """The file's text and whether it had to be read as cp1252; None for what is no text."""
    try:
        return told.decode("utf-16" if told[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"), False
    except UnicodeDecodeError:
        controls = len(told) - len(told.translate(None, bytes(set(range(32)) - {9, 10, 13})))
        return (None, False) if controls > len(told) / 50 else (told.decode("cp1252", "replace"), True)
