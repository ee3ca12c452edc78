"""JSON as a Table: a record on each line, an array of records or of rows, {"data": [...]}, or a list for each column.

Lines and arrays are read as a stream. An object within a record becomes columns (`user.name`, see json_columns); a list its JSON text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from engine.data import json_columns
from engine.data.encoding import Encoding, Scan
from engine.data.gather import BATCH, MOST_COLUMNS, About, Batches, Gather
from engine.data.header import has_header
from engine.data.table import Table, counted, listed
from engine.data.tabular import lines, place_in
from engine.data.watch import Opening
from engine.errors import Refused

BEGINS = re.compile(r"\s*(\{\s*(\}|\"[^\"]*\"\s*:)|\[\s*[\[{])")
ENDINGS = (".json", ".jsonl", ".ndjson")
WHOLE_BYTES = 100_000_000  # of an object that has to stand in memory as a whole, which takes about six times as much
PIECE = 1 << 20  # characters of an array read at once
LONGEST = 1 << 25  # characters of one record
MOST_BROKEN = 0.2  # share of lines that may be no record; they are left out and named
FIX_SHAPE = 'Write one record a line, such as {"text": "…", "label": "…"}.'
DECODER = json.JSONDecoder()

Records = Iterator[tuple[int, Any]]  # number of the line or place, and what stands there; BROKEN where it is none
BROKEN = object()


def is_json(start: str, name: str) -> bool:
    """Whether a file that begins so is JSON."""
    return BEGINS.match(start) is not None or (name.lower().endswith(ENDINGS) and start.lstrip("\ufeff \t\r\n")[:1] in ("{", "["))


def read(opening: Opening, found: Scan, encoding: Encoding) -> Table:
    """The rows of a JSON file. Raises Refused for JSON that holds no rows, and for what is broken beyond use."""
    try:
        if _has_lines(opening, encoding):
            return _table(opening, found, encoding, lambda: _by_line(opening, encoding), "a record on each line", "line")
        with lines(opening.path, encoding) as file:
            first = file.read(1000).lstrip("\ufeff \t\r\n")[:1]
        if first == "[":
            return _table(opening, found, encoding, lambda: _elements(opening, encoding), "an array", "record")
        rows, shape = _rows_of(_whole(opening, encoding), opening)
        return _table(opening, found, encoding, lambda: iter(enumerate(rows, 1)), shape, "record")
    except RecursionError as error:
        raise opening.refused(f"{opening.name} is JSON nested too deep to be a table.", FIX_SHAPE) from error


def _has_lines(opening: Opening, encoding: Encoding) -> bool:
    if opening.name.lower().endswith((".jsonl", ".ndjson")):
        return True
    with lines(opening.path, encoding) as file:
        told = [one for one in (file.readline(LONGEST).strip("\ufeff \t\r\n") for _ in range(30)) if one][:20]
    if not told or told[0] in ("[", "{") or (told[0][0] == "[" and _parsed(told[0]) is BROKEN):
        return False
    parsed = [isinstance(_parsed(one), dict | list) for one in told]
    return sum(parsed) > 1 or (sum(parsed) == 1 and len(told) > 1 and not parsed[-1] and parsed[0])


def _parsed(line: str) -> Any:
    try:
        return json.loads(line.rstrip(", \t"))
    except (ValueError, RecursionError):  # ValueError: also a number of 5,000 digits
        return BROKEN


def _by_line(opening: Opening, encoding: Encoding) -> Records:
    size = opening.path.stat().st_size
    with lines(opening.path, encoding) as file:
        for number, line in enumerate(file, 1):
            if number % 512 == 0:
                opening.watch.at(place_in(file) / size)
            if told := line.strip("\ufeff \t\r\n\x00"):
                yield number, _parsed(told)


def _elements(opening: Opening, encoding: Encoding) -> Records:
    """The elements of an array one by one. Raises Refused at the first fault: nothing behind it can be told apart."""
    size, buffer, place, number = opening.path.stat().st_size, "", 0, 0
    with lines(opening.path, encoding) as file:
        buffer = file.read(PIECE)
        place = buffer.index("[") + 1
        while True:
            while (begin := _blank(buffer, place)) >= len(buffer) and (more := file.read(PIECE)):
                buffer, place = more, 0
            if buffer[begin : begin + 1] == "]" and number == 0:
                return
            value, end = _element(buffer, begin)
            while end is None and len(buffer) - begin < LONGEST and (more := file.read(max(PIECE, len(buffer) - begin))):
                buffer, begin = buffer[begin:] + more, 0
                value, end = _element(buffer, begin)
            if end is None:
                message = f"{opening.name} is broken JSON: record {number + 1:,} cannot be read: {shortly(buffer[begin:])!r}."
                raise opening.refused(message, "Save it again; the file may have been cut off.")
            number += 1
            yield number, value
            opening.watch.at(place_in(file) / size)
            if buffer[end] == "]":
                return
            place = end + 1


def shortly(text: str) -> str:
    return " ".join(text[:40].split())


def _blank(text: str, place: int) -> int:
    while place < len(text) and text[place] in " \t\r\n":
        place += 1
    return place


def _element(buffer: str, begin: int) -> tuple[Any, int | None]:
    """The value that begins here and the place of the comma or bracket behind it; None where the buffer does not reach so far."""
    try:
        value, end = DECODER.raw_decode(buffer, begin)
    except ValueError:
        return None, None
    end = _blank(buffer, end)
    return (value, end) if buffer[end : end + 1] in (",", "]") else (None, None)


def _whole(opening: Opening, encoding: Encoding) -> Any:
    size = opening.path.stat().st_size
    if size > WHOLE_BYTES:
        message = f"{opening.name} is one JSON object of {size / 1e6:,.0f} MB; the limit for that is {WHOLE_BYTES / 1e6:,.0f} MB."
        raise opening.refused(message, FIX_SHAPE)
    with lines(opening.path, encoding) as file:
        text = file.read().strip("\ufeff \t\r\n\x00")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        message = f"{opening.name} is broken JSON: {error.msg} in line {error.lineno:,}, place {error.colno:,}."
        raise opening.refused(message, "Correct it there, or save it again; the file may have been cut off.") from error
    except ValueError as error:
        raise opening.refused(f"{opening.name} holds a number that is too long to be read.", "Write it in quotation marks.") from error


def _rows_of(told: Any, opening: Opening) -> tuple[Sequence[Any], str]:
    """The records in an object, and in words how they stand there."""
    values = list(told.values()) if isinstance(told, dict) else []
    if isinstance(told, dict) and isinstance(told.get("columns"), list) and _is_rows(told.get("data"), list):
        return [told["columns"], *told["data"]], "columns and rows"
    if len(values) > 1 and all(isinstance(one, list) for one in values) and not any(_is_rows(one, dict) for one in values):
        if len({len(one) for one in values}) > 1:
            told_of = ", ".join(f"{name}: {len(one):,}" for name, one in list(told.items())[:5])
            message = f"In {opening.name} the columns differ in length ({shortly(told_of)})."
            raise opening.refused(message, FIX_SHAPE)
        return [dict(zip(told, row, strict=True)) for row in zip(*values, strict=True)], "a list for each column"
    lists = {name: one for name, one in told.items() if _is_rows(one, dict) or _is_rows(one, list)} if values else {}
    if lists:
        name = max(lists, key=lambda name: len(lists[name]))
        others = f"; not used: {listed([one for one in lists if one != name])}" if len(lists) > 1 else ""
        return lists[name], f"the list {shortly(name)!r}{others}"
    if values and all(isinstance(one, dict) and one for one in values):
        if all(key.isdecimal() for one in values for key in one):  # pandas: {"text": {"0": …}, "label": {"0": …}}
            keys = dict.fromkeys(key for one in values for key in one)
            return [{name: one.get(key) for name, one in told.items()} for key in keys], "an object for each column"
        return values, "an object for each row"
    if values:
        return [told], "one record"
    raise opening.refused(f"{opening.name} is JSON without rows.", FIX_SHAPE)


def _is_rows(value: Any, kind: type) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], kind)


@dataclass
class _Reading:
    columns: list[str]
    header: bool = True  # False: rows without names
    gather: Gather | None = None
    broken: list[int] = field(default_factory=list)  # numbers of what is no record
    repeated: int = 0
    rows: int = 0
    late: dict[str, None] = field(default_factory=dict)  # names that came after the first batch
    spread: frozenset[str] = frozenset()  # keys whose objects became columns
    whole: frozenset[str] = frozenset()  # those of them that turned out to have too many names


def _table(opening: Opening, found: Scan, encoding: Encoding, records: Callable[[], Records], shape: str, noun: str) -> Table:
    reading = _read(opening, records, ())
    if reading.late:  # a second time, now that every name is known: an Arrow file has to know them from the start
        known, whole = json_columns.known(tuple(reading.late), reading.spread, reading.whole)
        reading = _read(opening, records, known, whole)
    if reading.gather is None or len(reading.broken) > MOST_BROKEN * reading.rows or reading.gather.rows == 0:
        raise _unusable(opening, reading, noun)
    notes = [f"{encoding.words}, JSON: {shape}"]
    if not reading.header:
        notes.append("The first row is data already, so there is no header; the columns were numbered")
    if encoding.unreadable:
        notes.append(f"{counted(encoding.unreadable, 'character')} could not be read and became �")
    if reading.spread:
        first = next(name for name in reading.columns if name.partition(".")[0] in reading.spread)
        notes.append(f"Objects within the records became columns, such as {shortly(first)!r}")
    later = []
    if reading.broken:
        later.append(f"{counted(len(reading.broken), f'broken {noun}')} left out: {_numbers(reading.broken, noun)}")
    about = About(
        found.sha256,
        tuple(notes),
        tuple(later),
        {f"broken {noun}s": len(reading.broken)},
        has_header=reading.header,
        encodings=encoding.choices,
        unsure=encoding.unsure,
    )
    return reading.gather.table(reading.columns if reading.header else (), about)


def _unusable(opening: Opening, reading: _Reading, noun: str) -> Refused:
    if not reading.broken:
        return opening.refused(f"{opening.name} is JSON without rows.", FIX_SHAPE)
    message = (
        f"In {opening.name}, {len(reading.broken):,} of {counted(reading.rows, noun)} hold no record: {_numbers(reading.broken, noun)}."
    )
    return opening.refused(message, FIX_SHAPE)


def _numbers(broken: list[int], noun: str) -> str:
    shown = ", ".join(f"{number:,}" for number in broken[:5])
    return f"{noun}{'s' if len(broken) > 1 else ''} {shown}{f' and {len(broken) - 5:,} more' if len(broken) > 5 else ''}"


def _read(opening: Opening, records: Callable[[], Records], known: Sequence[str], whole: frozenset[str] = frozenset()) -> _Reading:
    """`known`: the columns, where they are; `whole`: keys whose objects stay JSON text."""
    stream = records()
    first = list(islice(stream, BATCH))
    usual = list if sum(isinstance(one, list) for _, one in first) > len(first) / 2 else dict
    good: list[Any] = [one for _, one in first if isinstance(one, usual)]
    spread = json_columns.spread(good) - whole if usual is dict else frozenset()
    if spread:
        good = [json_columns.flat(one, spread) for one in good]
    reading, skip = _layout(good, usual, known, opening.header)
    reading.spread = spread
    if not good:
        reading.broken, reading.rows = [number for number, _ in first], len(first)
        return reading
    places = set(reading.columns)
    reading.gather = Gather(opening, len(reading.columns))
    batches = Batches(reading.gather)
    for source in (first, stream):
        for number, one in source:
            if skip and isinstance(one, list):
                skip = False
                continue
            reading.rows += 1
            if not isinstance(one, usual) or (usual is list and len(one) > len(reading.columns)):
                reading.broken.append(number)
            elif usual is list:
                batches.add([*map(text_of, one), *[None] * (len(reading.columns) - len(one))], reading.rows)
            elif isinstance(one, dict):
                one = json_columns.flat(one, spread) if spread else one
                if len(one) > len(places) or any(name not in places for name in one):
                    reading.late.update((name, None) for name in (*reading.columns, *one))
                    if len(reading.late) > MOST_COLUMNS:
                        names, reading.whole = json_columns.known(tuple(reading.late), spread, reading.whole)
                        reading.late = dict.fromkeys(names)
                        Gather(opening, len(reading.late))
                batches.add([text_of(one.get(name)) for name in reading.columns], reading.rows)
    batches.flush()
    return reading


def _layout(good: list[Any], usual: type, known: Sequence[str], told: bool | None) -> tuple[_Reading, bool]:
    """The columns, and whether the first row is their names."""
    if usual is dict:
        return _Reading(list(known or dict.fromkeys(name for one in good for name in one))), False
    rows = [[text_of(cell) or "" for cell in one] for one in good[:1000]]
    width = max(map(len, good), default=0)
    header = bool(rows) and bool(rows[0]) and has_header(rows, told)
    return _Reading((rows[0] if header else []) + [""] * (width - (len(rows[0]) if header else 0)), header=header), header


def text_of(value: Any) -> str | None:
    """A JSON value as a cell."""
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case float():
            return None if value != value else repr(value)
        case int():
            return str(value)
        case _:
            return json.dumps(value, ensure_ascii=False)
