"""Table: rows as text, whatever they came from; and the one way in which a text is cleaned.

Every value is a string or null, so that an 18-digit id or the label "007" stays what it was. Opening is left to tabular and hub.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

MORE_CELLS = "rows with more cells than columns"  # a reason for which rows are left out
# C0 and C1 control characters and DEL, but not tab, line feed and carriage return. U+0085 stands in 1,573 of IMDb's 50,000 reviews.
CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x{80}-\x{9f}]"  # RE2's spelling, for arrow
CONTROL_PYTHON = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f]")
# UTF-8 that was read as Latin-1 or cp1252 has C1 characters within its letters ("à¦\x96" was খ). As spaces they would be lost for good,
# and what mends such letters would make wrong ones of the rest, so a whole sequence stays until it is mended.
NEXT = r"[\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]"
TORN_LETTER = (
    rf"[\xc2-\xdf][\x80-\x9f]|[\xe0-\xef][\x80-\x9f]{NEXT}|[\xe0-\xef]{NEXT}[\x80-\x9f]|"
    rf"[\xf0-\xf4]{NEXT}{{2}}[\x80-\x9f]|[\xf0-\xf4]{NEXT}[\x80-\x9f]{NEXT}|[\xf0-\xf4][\x80-\x9f]{NEXT}{{2}}"
)
TORN_OR_CONTROL = re.compile(f"({TORN_LETTER})|{CONTROL_PYTHON.pattern}")
TORN_LETTER_ARROW = re.sub(r"\\x(..)", r"\\x{\1}", TORN_LETTER)
LINE_BREAK_TAG = r"(?i)<br[ \t\r\n]*/?>"
LINE_BREAK_TAG_PYTHON = re.compile(LINE_BREAK_TAG)


@dataclass(frozen=True)
class Mapped:
    """The Arrow file that a table's columns are mapped from, and their places in it."""

    path: Path
    places: tuple[int, ...]


@dataclass(frozen=True)
class Table:
    """Rows of named text columns. A missing value is null; nothing but cleaning has changed the others."""

    columns: tuple[str, ...]
    data: pa.Table  # string columns only
    sha256: str  # of the file's bytes; of revision, subset and split for a Hub data set
    origin: str  # in words: "reviews.csv"
    notes: tuple[str, ...] = ()  # what was detected and changed, in words
    left_out: dict[str, int] = field(default_factory=dict)  # rows that are not in `data`: reason -> count
    numbers: pa.ChunkedArray | None = None  # each row's number in the source, 1 the first below the header; None: 1, 2, 3, ...
    has_header: bool = True
    sheets: tuple[str, ...] = ()  # of the workbook or zip that it stands in, the default one first
    sheet: str = ""  # which of them it is
    encodings: tuple[str, ...] = ()  # codecs that its text may be in, the one that it was read by first; () where that is beyond doubt
    unsure: bool = False  # another of them is as likely
    mapped: Mapped | None = None  # where it lies on disk, if it does not lie in memory
    test: Table | None = None  # the rows for testing that came in the same file

    @property
    def rows(self) -> int:
        return int(self.data.num_rows)

    def column(self, name: str) -> pa.ChunkedArray:
        return self.data.column(self.columns.index(name))

    def row_numbers(self) -> pa.ChunkedArray:
        return self.numbers if self.numbers is not None else pa.chunked_array([pa.array(range(1, self.rows + 1), pa.int64())])


def clean(text: str, *, clean_html: bool) -> str:
    """The text as the model gets to see it, in training and afterwards: in NFC, and control characters and (if asked) `<br />` as spaces.

    What belongs to a damaged letter stays, so that it can be mended.

    Joiners (ZWJ, ZWNJ), combining signs and capital letters stay: Bengali needs the former, cased models the latter.
    """
    text = unicodedata.normalize("NFC", TORN_OR_CONTROL.sub(_spaced, text))
    return LINE_BREAK_TAG_PYTHON.sub(" ", text) if clean_html else text


def _spaced(found: re.Match[str]) -> str:
    return found[1] or " "


def without_controls(values: pa.Array) -> tuple[pa.Array, int]:
    """The values in NFC with control characters as spaces, and how many of those there were. `clean` for a whole column, tags aside."""
    found = pc.sum(pc.count_substring_regex(values, CONTROL)).as_py() or 0
    if found:
        torn = pc.fill_null(pc.match_substring_regex(values, TORN_LETTER_ARROW), False)
        old = values.filter(torn).to_pylist()
        kept = [TORN_OR_CONTROL.sub(_spaced, value) for value in old]
        values = pc.replace_substring_regex(values, CONTROL, " ")
        if kept:
            found -= sum(len(CONTROL_PYTHON.findall(value)) for value in kept)
            values = pc.replace_with_mask(values, torn, pa.array(kept, values.type))
    if not pc.all(pc.string_is_ascii(values)).as_py():
        values = pc.utf8_normalize(values, "NFC")
    return values, found


def by_chunk(values: pa.ChunkedArray, change: Callable[[pa.Array], pa.Array]) -> pa.ChunkedArray:
    """The values changed, chunk by chunk: one that stays as it was is no copy, so that what is mapped from disk stays there."""
    made = (change(chunk) for chunk in values.chunks)
    return pa.chunked_array([old if new.equals(old) else new for old, new in zip(values.chunks, made, strict=True)], values.type)


def without_tags(values: pa.ChunkedArray) -> tuple[pa.ChunkedArray, int]:
    """The values with `<br />` as a space, and in how many of them it stood."""
    found = pc.sum(pc.match_substring_regex(values, LINE_BREAK_TAG)).as_py() or 0
    return (by_chunk(values, lambda chunk: pc.replace_substring_regex(chunk, LINE_BREAK_TAG, " ")) if found else values), found


def shown(value: str, length: int = 60) -> str:
    """The value on one line, cut to `length` characters, as it stands in a message."""
    line = " ".join(clean(value, clean_html=False).split())
    return line if len(line) <= length else line[: length - 1] + "…"


def counted(count: int, one: str, many: str = "") -> str:
    """A count with its noun: "1 row", "5,000 rows"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(values: list[str] | tuple[str, ...], most: int = 5) -> str:
    """The first few values in words: "negative, positive", "a, b, c, d, e and 72 more"."""
    words = ", ".join(shown(value, 40) for value in values[:most])
    return f"{words} and {len(values) - most:,} more" if len(values) > most else words
