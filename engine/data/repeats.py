"""What stands in several rows, exactly and in little memory: hashes say which rows may have a twin, and only those are compared.

Grouping a million texts by the texts themselves took 1.4 GB beside them; this takes eight bytes a row and what really comes again.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

PIECE = 16_384  # rows that are Python's own strings at a time


def count_distinct(values: pa.ChunkedArray) -> int:
    """How many different values there are."""
    again = may_repeat(values)
    return int(len(again) - again.sum()) + int(pc.count_distinct(values.filter(pa.array(again))).as_py())


def later_copies(*columns: pa.ChunkedArray, among: pa.ChunkedArray) -> pa.ChunkedArray:
    """Which rows, of those that count, have in all columns the values of an earlier one that counts."""
    some = may_repeat(*columns) & np.asarray(among)
    names = [str(number) for number in range(len(columns))]
    rows = pa.table([*(one.filter(pa.array(some)) for one in columns), np.flatnonzero(some)], names=[*names, "place"])
    some[rows.group_by(names).aggregate([("place", "min")]).column("place_min").to_numpy()] = False
    return pa.chunked_array([pa.array(some)])


def with_several(keys: pa.ChunkedArray, values: pa.ChunkedArray, among: pa.ChunkedArray) -> pa.ChunkedArray:
    """Which rows, of those that count, have a key that stands elsewhere with another value."""
    some = may_repeat(keys) & np.asarray(among)
    rows = pa.table({"key": keys.filter(pa.array(some)), "value": values.filter(pa.array(some))})
    told = rows.group_by("key").aggregate([("value", "count_distinct")])
    several = told.column("key").filter(pc.greater(told.column("value_count_distinct"), 1))
    some[some] = np.asarray(pc.is_in(rows.column("key"), several))
    return pa.chunked_array([pa.array(some)])


def may_repeat(*columns: pa.ChunkedArray) -> NDArray[np.bool_]:
    """False for each row whose values stand in no other one; nearly always true for the rest alone."""
    hashes = np.empty(len(columns[0]), dtype=np.int64)
    for begin in range(0, len(hashes), PIECE):
        cells = [column.slice(begin, PIECE).to_pylist() for column in columns]
        told = map(hash, cells[0]) if len(cells) == 1 else map(hash, zip(*cells, strict=True))
        hashes[begin : begin + PIECE] = np.fromiter(told, dtype=np.int64)
    in_order = np.sort(hashes)
    return np.isin(hashes, np.unique(in_order[1:][in_order[1:] == in_order[:-1]]))
