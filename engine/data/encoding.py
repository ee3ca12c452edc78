"""What a file's bytes are: a picture, a workbook, or text in which encoding. Found by trying to decode, over the whole file.

Finding columns in the text is left to tabular.
"""

from __future__ import annotations

import codecs
import hashlib
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from engine.data import legacy
from engine.data.watch import Watch
from engine.errors import Problem

CHUNK = 1 << 20  # bytes read at once
HEAD = 1 << 16  # bytes in which signs of binary content are looked for
MOST_SEARCHED = 1 << 25  # bytes in which lines beyond ASCII are looked for

CHOOSE_TABLE = "Choose a table: CSV, Excel (.xlsx), JSON, Parquet, Arrow, or a zip of one."
FROM_SHEET = "Open it in a spreadsheet program and save it as .xlsx or CSV (UTF-8)."
UNPACK = "Unpack it first, then choose the CSV file inside."

# First bytes of what people upload by mistake, with what to do instead. Strict enough that no column name begins so.
KINDS: tuple[tuple[bytes, str, str], ...] = (
    (rb"\x89PNG\r\n\x1a\n", "a picture (PNG)", CHOOSE_TABLE),
    (rb"\xff\xd8\xff", "a picture (JPEG)", CHOOSE_TABLE),
    (rb"GIF8[79]a", "a picture (GIF)", CHOOSE_TABLE),
    (rb"II\*\x00|MM\x00\*", "a picture (TIFF)", CHOOSE_TABLE),
    (rb"BM....\x00\x00\x00\x00", "a picture (BMP)", CHOOSE_TABLE),
    (rb"RIFF....WEBP", "a picture (WebP)", CHOOSE_TABLE),
    (rb"RIFF....(WAVE|AVI )|OggS\x00|ID3[\x02-\x04]|....ftyp", "a sound, a film or a phone's picture", CHOOSE_TABLE),
    (rb"%PDF-", "a PDF document", "Copy its table into a spreadsheet and save that as CSV (UTF-8)."),
    (rb"\{\\rtf", "a text document (RTF)", "Copy its table into a spreadsheet and save that as CSV (UTF-8)."),
    (rb"\xd0\xcf\x11\xe0", "an old Excel or Word file", FROM_SHEET),
    (rb"SQLite format 3\x00", "a SQLite database", "Export its table as CSV."),
    (rb"\x1f\x8b|BZh[1-9]1AY&SY|\xfd7zXZ\x00|7z\xbc\xaf|\x28\xb5\x2f\xfd", "a compressed file", UNPACK),
    (rb"\x80[\x02-\x05](\x95|\}|\]|c)", "a Python pickle", "Save it as CSV; with pandas: .to_csv(..., index=False)."),
    (rb"\x7fELF|MZ\x90\x00", "a program", CHOOSE_TABLE),
)
MARKUP = re.compile(r"\s*<(!doctype|html|\?xml|head|body|svg)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Encoding:
    """How to decode a file. `unreadable` bytes become U+FFFD, counted so that it can be said."""

    codec: str
    words: str
    unreadable: int = 0
    choices: tuple[str, ...] = ()  # codecs that it may be too, this one first; () where that is beyond doubt
    unsure: bool = False  # another one is as likely


@dataclass(frozen=True)
class Scan:
    """What one pass over the bytes found."""

    sha256: str
    head: bytes
    valid_utf8: bool
    line_ends: dict[str, int]  # "CRLF", "LF", "CR" -> count, by bytes; meant for encodings of one byte a line feed


def scan(path: Path, watch: Watch) -> Scan:
    """One pass over the file: its sum, its first bytes, whether all of it is UTF-8, and its line ends. Raises Cancelled."""
    digest, decoder, valid, head = hashlib.sha256(), codecs.getincrementaldecoder("utf-8")(), True, b""
    pairs = feeds = returns = 0
    last = b""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            watch.at(0.0)
            digest.update(chunk)
            head = head or chunk[:HEAD]
            if valid:
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError:
                    valid = False
            pairs += (last + chunk).count(b"\r\n")  # a pair may lie across two chunks; `last` is one byte, so none counts twice
            feeds += chunk.count(b"\n")
            returns += chunk.count(b"\r")
            last = chunk[-1:]
    if valid:
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            valid = False
    ends = {"CRLF": pairs, "LF": feeds - pairs, "CR": returns - pairs}
    return Scan(digest.hexdigest(), head, valid, {name: count for name, count in ends.items() if count})


def encoding_of(path: Path, found: Scan, name: str, field: str, chosen: str | None = None) -> Encoding | Problem:
    """The file's encoding, or the Problem that it holds no text (a picture, a workbook) or one in an encoding that is not known.

    `chosen`: a codec of `legacy.WORDS`, for a file that is neither marked nor UTF-8.
    """
    if chosen is not None and chosen not in legacy.WORDS:
        known = ", ".join(legacy.WORDS)
        return Problem("data.encoding", f"There is no encoding {chosen[:40]!r} to choose.", f"Choose one of: {known}.")
    for pattern, what, fix in KINDS:
        if re.match(pattern, found.head, re.DOTALL):
            return Problem(field, f"{name} is {what}, whatever its name says.", fix)
    encoding = _by_mark(path, found) or _wide(found.head) or _narrow(path, found, chosen)
    if isinstance(encoding, str):
        fix = "Choose its encoding below the file, or open it in the program it came from and save it as CSV (UTF-8)."
        return Problem(field, f"{name} is in an encoding that is not known: {encoding}.", fix)
    if encoding is None:
        return Problem(
            field, f"{name} does not hold text that can be read: it is a picture, a program or another binary file.", CHOOSE_TABLE
        )
    start = found.head.decode(encoding.codec, errors="replace")
    if MARKUP.match(start):
        fix = "Download the data file itself, not the page that shows it."
        return Problem(field, f"{name} is a web page or XML, not a table: it begins with {start.strip()[:20]!r}.", fix)
    return encoding


def _by_mark(path: Path, found: Scan) -> Encoding | None:
    if found.head.startswith(codecs.BOM_UTF8):
        return Encoding("utf-8-sig", "UTF-8 with a byte-order mark", 0 if found.valid_utf8 else _damage(path, "utf-8")[1])
    for mark, codec, words in (
        (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
        (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
        (codecs.BOM_UTF16_LE, "utf-16", "UTF-16, little-endian"),
        (codecs.BOM_UTF16_BE, "utf-16", "UTF-16, big-endian"),
    ):
        if found.head.startswith(mark):
            start = found.head[: len(found.head) // 4 * 4].decode(codec, errors="replace")
            return Encoding(codec, words, _damage(path, codec)[1]) if _plausible(start) else None
    return None


def _wide(head: bytes) -> Encoding | None:
    """UTF-16 without a mark: in either order its delimiters and line ends, ASCII all, leave a NUL at every second place."""
    if head.count(0) < len(head) / 20:
        return None
    best: tuple[int, Encoding] | None = None
    for codec, words in (("utf-16-le", "UTF-16, little-endian, unmarked"), ("utf-16-be", "UTF-16, big-endian, unmarked")):
        text = head[: len(head) // 2 * 2].decode(codec, errors="replace")
        ascii_characters = sum(character < "\x80" for character in text)
        if _plausible(text) and ascii_characters > len(text) / 20 and (best is None or ascii_characters > best[0]):
            best = ascii_characters, Encoding(codec, words)
    return best[1] if best else None


def _plausible(text: str) -> bool:
    """Whether nearly all of it is characters that people write; NULs, private and unassigned ones are few."""
    odd = sum(
        character == "\ufffd" or (unicodedata.category(character) in ("Cc", "Cn", "Co", "Cs") and character not in "\t\n\r")
        for character in text
    )
    return odd <= len(text) / 50 + 1


def _narrow(path: Path, found: Scan, chosen: str | None) -> Encoding | str | None:
    """An encoding of a byte or two a character, what is known of one that fits none, or None for what is no text."""
    head = found.head
    controls = len(head) - len(head.translate(None, bytes(set(range(32)) - {9, 10, 13})))
    # Compressed and compiled data are about 11 % control bytes and never valid UTF-8; dirty text is neither.
    if controls > len(head) / 10 + 8 or (not found.valid_utf8 and controls > len(head) / 50 + 8):
        return None
    if found.valid_utf8:
        return Encoding("utf-8", "UTF-8")
    if chosen is not None:
        return Encoding(chosen, f"{legacy.WORDS[chosen]}, as you chose", _damage(path, chosen)[1], (chosen, *legacy.WORDS))
    whole, broken = _damage(path, "utf-8")
    if whole >= 10 * broken:  # text beyond ASCII that is nearly all right: a few damaged bytes, not another encoding
        return Encoding("utf-8", "UTF-8", broken)
    told = legacy.judged(_beyond(path))
    if told is None:
        return "neither UTF-8, UTF-16 nor one of those from before Unicode"
    return Encoding(told.codec, legacy.WORDS[told.codec], _damage(path, told.codec)[1], (told.codec, *told.others), told.unsure)


def _beyond(path: Path) -> bytes:
    """The first lines that hold bytes beyond ASCII, HEAD bytes of them. By such bytes alone an encoding is told from others."""
    told, size = [], 0
    with path.open("rb") as file:
        while size < HEAD and file.tell() < MOST_SEARCHED and (line := file.readline(HEAD)):
            if not line.isascii():
                told.append(line)
                size += len(line)
    return b"".join(told)


def _damage(path: Path, codec: str) -> tuple[int, int]:
    """How many characters beyond ASCII decode, and how many places do not."""
    decoder = codecs.getincrementaldecoder(codec)(errors="replace")
    whole = broken = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            text = decoder.decode(chunk)
            lost = text.count("\ufffd")
            broken += lost
            whole += len(text) - lost - len(text.encode("ascii", errors="ignore"))
    return whole, broken + decoder.decode(b"", final=True).count("\ufffd")
