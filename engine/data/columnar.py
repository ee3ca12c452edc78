"""Parquet, Arrow and Feather files as a Table, batch by batch. Numbers of classes that the file names become those names.

Everything is checked before it is used: a damaged Arrow file would else be read beyond its end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.data.gather import About, Gather, text_array, too_much
from engine.data.json_rows import text_of
from engine.data.table import Table, listed
from engine.data.watch import Opening

ROWS = 2048  # turned into text at once
LISTS = 64  # the same of rows with lists
VALUES, MOST_VALUES = 50_000, 50_000_000  # in the lists of rows that are read at once, and of a column
PARQUET, ARROW, STREAM, FEATHER_1 = b"PAR1", b"ARROW1", b"\xff\xff\xff\xff", b"FEA1"
INDEX = "__index_level_0__"  # pandas' own row numbers
SAVE_AGAIN = "Save it again; the file may have been cut off or damaged on its way."
MOST_METADATA = 50_000_000  # bytes of names and statistics
BROKEN = (pa.ArrowException, OSError, ValueError, KeyError, TypeError, NotImplementedError, OverflowError)


def is_columnar(head: bytes) -> bool:
    """Whether a file that begins so is one of ours."""
    return head.startswith((PARQUET, ARROW, STREAM, FEATHER_1))


def read(opening: Opening, sha256: str, head: bytes) -> Table:
    """The rows of the file. Raises Refused for one that is damaged, or holds nothing that is text."""
    if head.startswith(FEATHER_1):
        raise opening.refused(f"{opening.name} is a Feather file of the first version.", "Save it as Feather version 2 or as Parquet.")
    kind = "Parquet" if head.startswith(PARQUET) else "Arrow"
    try:
        with ExitStack() as stack:
            schema, batches, rows = _parquet(opening, stack) if kind == "Parquet" else _arrow(opening, head, stack)
            return _table(opening, sha256, kind, schema, batches, rows)
    except MemoryError as error:  # arrow raises it for a damaged length as well
        raise opening.refused(f"{opening.name} asks for more memory than there is: it is damaged, or far too large.", SAVE_AGAIN) from error
    except BROKEN as error:
        raise opening.refused(f"{opening.name} is a damaged {kind} file and cannot be read.", SAVE_AGAIN) from error


Batches = Iterator[pa.RecordBatch]


def _parquet(opening: Opening, stack: ExitStack) -> tuple[pa.Schema, Batches, int]:
    told: dict[str, Any] = {
        "thrift_string_size_limit": MOST_METADATA, "thrift_container_size_limit": 1_000_000, "page_checksum_verification": True,
        "arrow_extensions_enabled": False,
    }  # fmt: skip
    file = stack.enter_context(pq.ParquetFile(opening.path, **told))
    # Texts stay packed until their size is known: ten bytes on disk can stand for a text of ten megabytes in every row.
    leaves = [file.schema.column(place) for place in range(len(file.schema))]
    packed = [one.path for one in leaves if one.physical_type == "BYTE_ARRAY"]
    at_once = _rows_at_once(opening, file.metadata, [place for place, one in enumerate(leaves) if one.max_repetition_level])
    file = stack.enter_context(pq.ParquetFile(opening.path, read_dictionary=packed, **told))
    return file.schema_arrow, file.iter_batches(batch_size=at_once, use_threads=False), file.metadata.num_rows


def _rows_at_once(opening: Opening, told: pq.FileMetaData, lists: list[int]) -> int:
    """Rows that are read together: fewer where they hold lists, each of which a few bytes can make long."""
    groups = [told.row_group(number) for number in range(told.num_row_groups)] if lists else []
    values = max((sum(group.column(place).num_values for group in groups) for place in lists), default=0)
    if values > MOST_VALUES:
        message = f"{opening.name} has a column of lists with {values:,} values; the limit is {MOST_VALUES:,}."
        raise opening.refused(message, "Keep only columns with one value for each row, and save it again.")
    return max(1, min(ROWS, VALUES * int(told.num_rows) // max(1, values)))


def _arrow(opening: Opening, head: bytes, stack: ExitStack) -> tuple[pa.Schema, Batches, int]:
    source = stack.enter_context(pa.memory_map(str(opening.path)))
    if head.startswith(STREAM):
        stream = stack.enter_context(pa.ipc.open_stream(source))
        return stream.schema, iter(stream), 0
    file = stack.enter_context(pa.ipc.open_file(source))
    return file.schema, (file.get_batch(place) for place in range(file.num_record_batches)), 0


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


@dataclass(frozen=True)
class _Column:
    place: int
    name: str
    classes: pa.Array | None  # names of the classes that its numbers stand for


def _table(opening: Opening, sha256: str, kind: str, schema: pa.Schema, batches: Batches, rows: int) -> Table:
    named = _classes(schema)
    odd = [one.name for one in schema if _is_bytes(one.type)]
    columns = [
        _Column(place, one.name, named.get(one.name)) for place, one in enumerate(schema) if one.name != INDEX and not _is_bytes(one.type)
    ]
    if not columns:
        raise opening.refused(f"{opening.name} has no column that holds text.", "Choose a file with a column of texts and one of labels.")
    gather, done = Gather(opening, len(columns)), 0
    step = LISTS if any(pa.types.is_nested(one.type) for one in schema) else ROWS
    for batch in batches:
        batch.validate(full=True)
        for begin in range(0, batch.num_rows, step):
            part = batch.slice(begin, step)
            gather.add([_text(part.column(one.place), one, opening) for one in columns], pa.array(range(done + 1, done + 1 + len(part))))
            done += len(part)
            opening.watch.at(done / rows if rows else 0.0)
    if not done:
        raise opening.refused(f"{opening.name} holds no rows.", "Choose a file with a row for each text.")
    notes = [f"{kind} file", *([f"Columns that hold no plain text were left out: {listed(odd)}"] if odd else [])]
    notes += [f"The numbers in {one.name!r} became the names of their classes" for one in columns if one.classes is not None]
    return gather.table([one.name for one in columns], About(sha256, tuple(notes)))


def _is_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):  # a picture or a sound, as `datasets` writes it
        return any(_is_bytes(kind.field(place).type) for place in range(kind.num_fields))
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def _classes(schema: pa.Schema) -> dict[str, pa.Array]:
    """Class names by column, where `datasets` wrote the file and knew them."""
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        told = {name: one["names"] for name, one in features.items() if isinstance(one, dict) and one.get("_type") == "ClassLabel"}
        return {name: pa.array(names, pa.string()) for name, names in told.items() if pa.types.is_integer(schema.field(name).type)}
    except (*BROKEN, AttributeError, RecursionError):
        return {}


def _text(values: pa.Array, column: _Column, opening: Opening) -> pa.Array:
    """The values as text."""
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    if column.classes is not None:
        there = pc.and_(pc.greater_equal(values, 0), pc.less(values, len(column.classes)))
        return column.classes.take(pc.if_else(there, values, pa.scalar(None, values.type)).cast(pa.int64()))
    if pa.types.is_dictionary(values.type):
        sizes = pc.binary_length(values.dictionary) if _is_text(values.dictionary.type) else None
        if sizes is not None and (pc.sum(sizes.take(values.indices)).as_py() or 0) > opening.most_text_bytes:
            raise too_much(opening)
        return _text(values.dictionary_decode(), column, opening)
    kind = values.type
    if pa.types.is_floating(kind):  # as it is written, without noise: 1.0 and 0.1, and nothing for "not a number"
        return text_array([text_of(one) for one in pc.cast(values, pa.float64()).to_pylist()] if kind.bit_width == 64 else _short(values))
    if pa.types.is_timestamp(kind):
        needless = r"( 00:00:00)?(Z?)$" if kind.unit == "s" else r"( 00:00:00)?\.?0*(Z?)$"
        return pc.replace_substring_regex(pc.cast(values, pa.string()), needless, r"\2")
    if pa.types.is_nested(kind) or pa.types.is_duration(kind) or pa.types.is_interval(kind):
        return text_array([None if one is None else json.dumps(one, ensure_ascii=False, default=str) for one in values.to_pylist()])
    return pc.cast(values, pa.string())


def _short(values: pa.Array) -> list[str | None]:
    """Numbers of 32 bits in their own shortest form: 0.1, not 0.10000000149011612."""
    return [None if one in (None, "nan") else one for one in pc.cast(pc.cast(values, pa.float32()), pa.string()).to_pylist()]
