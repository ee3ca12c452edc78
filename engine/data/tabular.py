"""A CSV or TSV file as a Table: delimiter, quoting and header found by parsing, then read in one stream with Python's csv module.

Why csv and not arrow's or pandas' reader: it alone takes lone carriage returns, embedded newlines, NULs and rows of uneven width without
raising or shifting cells. Measured on 15 x the 5,000 IMDb reviews (101 MB), two cores: csv into arrow 1.4 s and 250 MB at the peak,
pandas 1.3 s and 390 MB, arrow 0.15 s and 180 MB. Never csv.Sniffer: it finds a space in IMDb. Never str.splitlines: it breaks at U+0085.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Literal, cast

from engine.data.encoding import CHOOSE_TABLE, Encoding, Scan
from engine.data.gather import About, Batches, Gather
from engine.data.header import has_header, titles_above
from engine.data.table import MORE_CELLS, Table, counted
from engine.data.watch import Opening
from engine.errors import Problem, Refused

DELIMITERS = {",": "comma-separated", "\t": "tab-separated", ";": "semicolon-separated", "|": "pipe-separated"}
UNUSED = "\x1f"  # stands for "no delimiter": csv wants one
SAMPLE = 1 << 21  # characters in which delimiter and header are looked for
LOOK_ROWS = 512  # between two tellings of how far it is
MOST_BROKEN = 0.2  # share of rows that may have more cells than there are columns; they are left out and counted
END = "\x00end of file\x00"  # a row of its own behind the last line: if it is swallowed, a quotation mark never closed

csv.field_size_limit(2**31 - 1)  # its own limit of 131,072 characters refuses long documents; the file's size is bounded instead


@dataclass(frozen=True)
class Dialect:
    """How a file's cells are told apart, and what its first row is."""

    delimiter: str  # "": every line is one cell
    quoted: bool  # False: quotation marks are part of the text
    width: int  # columns
    header: tuple[str, ...]  # the first row; () where it is data already
    titles: int = 0  # rows above it that name the whole table, those of blank cells between them too


@dataclass
class Reading:
    """A file's rows as they are read."""

    gather: Gather
    rows: int = 0  # read, those left out too
    titles: int = 0
    blank: int = 0
    repeated_headers: int = 0
    broken: list[int] = field(default_factory=list)  # numbers of rows with more cells than columns
    short: int = 0
    unclosed: int | None = None  # the line in which a quotation mark opens that never closes


def read(opening: Opening, found: Scan, encoding: Encoding) -> Table:
    """The rows of a text file. Raises Refused for what is no table: blanks alone, rows that do not fit their header."""
    name, field = opening.name, opening.field
    with lines(opening.path, encoding) as file:
        sample = file.read(SAMPLE)
        whole = not file.read(1)
    if not sample.strip("\ufeff \t\r\n\x00"):
        raise Refused(Problem(field, f"{name} is empty: it holds nothing but blanks.", CHOOSE_TABLE))
    dialect = dialect_of(sample, whole=whole, header=opening.header)
    reading = _read(opening, encoding, dialect)
    if reading.unclosed is not None:
        opened, dialect = reading.unclosed, replace(dialect, quoted=False)
        reading = _read(opening, encoding, dialect)
        if len(reading.broken) + reading.short > reading.rows * 0.01:
            raise Refused(_never_closed(opened, name, field))
    if problem := _cannot_use(reading, dialect, name, field):
        raise Refused(problem)
    notes, later = _notes(reading, dialect, encoding, found)
    left_out = {
        "empty rows": reading.blank,
        "repeated header rows": reading.repeated_headers,
        MORE_CELLS: len(reading.broken),
    }
    about = About(
        found.sha256,
        tuple(notes),
        tuple(later),
        left_out,
        has_header=bool(dialect.header),
        encodings=encoding.choices,
        unsure=encoding.unsure,
    )
    return reading.gather.table(dialect.header, about)


def _cannot_use(reading: Reading, dialect: Dialect, name: str, field: str) -> Problem | None:
    if len(reading.broken) > reading.rows * MOST_BROKEN:
        message = (
            f"In {name}, {len(reading.broken):,} of {counted(reading.rows, 'row')} have more cells than the "
            f"{counted(dialect.width, 'column')} of the table; the first is row {reading.broken[0]:,}."
        )
        return Problem(
            field, message, f"Put texts that contain {_named(dialect.delimiter)} in quotation marks, or save the table again as CSV."
        )
    return None


def _never_closed(line: int, name: str, field: str) -> Problem:
    message = f"In {name}, a quotation mark opens in line {line:,} and never closes, so the rest of the file would be one cell."
    return Problem(field, message, 'Close it, or double it where it belongs to the text ("").')


def _named(delimiter: str) -> str:
    return {",": "a comma", "\t": "a tab", ";": "a semicolon", "|": "a |"}.get(delimiter, "a delimiter")


def lines(path: Path, encoding: Encoding) -> io.TextIOWrapper:
    return path.open(encoding=encoding.codec, errors="replace", newline="")  # "": lines end at \n, \r and \r\n alone, untranslated


def place_in(file: io.TextIOWrapper) -> int:
    """How many bytes of the file were read."""
    return cast(io.BufferedReader, file.buffer).tell()


def _rows(lines: Iterable[str], dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """Each row with the number of the line in which it ends; the last is [END] unless a quotation mark never closed."""
    marks: Literal[0, 3] = csv.QUOTE_MINIMAL if dialect.quoted else csv.QUOTE_NONE
    reader = csv.reader(chain(lines, [END]), delimiter=dialect.delimiter or UNUSED, quoting=marks)
    for row in reader:
        yield reader.line_num, [UNUSED.join(row)] if not dialect.delimiter and row else row


def dialect_of(sample: str, *, whole: bool, header: bool | None = None) -> Dialect:
    """The delimiter and quoting under which the sample's rows are most even; one column where there is no such delimiter."""
    best, best_score = Dialect("", True, 1, ()), 0.0
    for delimiter in DELIMITERS:
        for quoted in (True, False):
            dialect, score = _judged(sample, Dialect(delimiter, quoted, 0, ()), whole=whole, told=header)
            if score > best_score + 1e-9:
                best, best_score = dialect, score
    if best_score == 0:
        rows = [row for _, row in _rows(io.StringIO(sample, newline=""), best) if row and row != [END]]
        best = replace(best, header=tuple(rows[0]) if rows and has_header(rows[:1000], header) else ())
    return best


def _judged(sample: str, dialect: Dialect, *, whole: bool, told: bool | None) -> tuple[Dialect, float]:
    """The dialect with its width and header, and how well the sample parses with it: 1 if every row is as wide as the first, 0 not at all.

    What counts against a quoted reading is the share of characters in cells torn over several lines: stray marks swallow rows. Against an
    unquoted one, rows with cells that stand in marks. So a tie goes to the quoted one.
    """
    rows = [row for _, row in _rows(io.StringIO(sample, newline=""), dialect) if row]
    swallowed = rows[-1] != [END]
    torn = sum(sum(map(len, row)) for row in rows if any("\n" in cell or "\r" in cell for cell in row)) / len(sample)
    if not swallowed:
        rows.pop()
    if (swallowed or not whole) and len(rows) > 1:
        rows.pop()  # cut off where the sample ends, or all the rest of it
    titles = titles_above(rows) if told is not False else 0
    rows = rows[titles:]
    if not rows:
        return dialect, 0.0
    widths = Counter(map(len, rows))
    usual = max(widths, key=lambda width: (widths[width], width))
    first, even = len(rows[0]), widths[usual] / len(rows)
    score = even * (1.0 if first == usual else 0.8 if first > 1 else 0.3)
    if usual < 2 or score < (0.3 if first == usual else 0.5 if first > 1 else 0.28):
        return dialect, 0.0
    if dialect.quoted:
        score -= 0.25 * torn
    else:
        score -= 0.001 + 0.25 * sum(any(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in row) for row in rows) / len(rows)
    header = has_header(rows[:1000], told)
    filled = Counter(_filled(row) for row in rows[1:])
    width = max(first, max(filled, key=lambda width: (filled[width], width), default=0))
    return replace(dialect, width=width, header=tuple(rows[0]) if header else (), titles=titles), max(score, 1e-6)


def _filled(row: list[str]) -> int:
    """The row's width without the empty cells at its end."""
    width = len(row)
    while width and not row[width - 1].strip():
        width -= 1
    return width


def _read(opening: Opening, encoding: Encoding, dialect: Dialect) -> Reading:
    """The whole file, in batches of columns: at no time does more than one batch stand in Python's own memory."""
    reading = Reading(Gather(opening, dialect.width))
    batches, size = Batches(reading.gather), opening.path.stat().st_size
    header, row_ended, row = list(dialect.header), 0, [END]
    with lines(opening.path, encoding) as file:
        awaiting_header, titles = bool(header), dialect.titles
        for line, row in _rows(file, dialect):
            begins, row_ended = row_ended + 1, line
            if row == [END]:
                break
            if titles and row:
                titles -= 1
                reading.titles += any(cell.strip() for cell in row)
                continue
            if awaiting_header and row:
                awaiting_header = False
                continue
            reading.rows += 1
            if reading.rows % LOOK_ROWS == 0:
                opening.watch.at(place_in(file) / size)
            filled = len(row) if row and row[-1] else _filled(row)
            if filled == 0:
                reading.blank += 1
            elif row == header:
                reading.repeated_headers += 1
            elif filled > dialect.width:
                reading.broken.append(reading.rows)
            else:
                reading.short += len(row) < dialect.width
                cells = row if len(row) == dialect.width else row[: dialect.width] + [""] * (dialect.width - len(row))
                batches.add(cells, reading.rows)
        else:
            reading.unclosed = begins
    batches.flush()
    return reading


def _notes(reading: Reading, dialect: Dialect, encoding: Encoding, found: Scan) -> tuple[list[str], list[str]]:
    notes = [f"{encoding.words}, {DELIMITERS.get(dialect.delimiter, 'one column')}"]
    if reading.titles:
        notes.append(f"{counted(reading.titles, 'row')} above the header left out")
    if not dialect.header:
        notes.append("The first row is data already, so there is no header; the columns were numbered")
    if not dialect.quoted:
        notes.append("Quotation marks were read as part of the texts, because they do not close")
    if encoding.unreadable:
        notes.append(f"{counted(encoding.unreadable, 'character')} could not be read and became �")
    if len(found.line_ends) > 1 and not encoding.codec.startswith(("utf-16", "utf-32")):
        notes.append("Mixed line ends: " + ", ".join(f"{count:,} {kind}" for kind, count in found.line_ends.items()))
    later = []
    if reading.short:
        later.append(f"{counted(reading.short, 'row')} with fewer cells than columns: the missing ones are empty")
    if reading.broken:
        later.append(f"{counted(len(reading.broken), 'row')} with more cells than columns left out, the first is row {reading.broken[0]:,}")
    return notes, later
