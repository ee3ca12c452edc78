"""Which test rows a model saw as it was trained, and which it nearly saw. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.data import near
from engine.data.fixes import joined
from engine.data.split import Rows


@dataclass(frozen=True)
class Overlap:
    """Of each test row, whether what is read of it stands among the training rows."""

    seen: NDArray[np.bool_]
    nearly: NDArray[np.bool_]  # none that is seen; where few words are changed, of a row with the same label

    @property
    def counts(self) -> tuple[int, int]:
        return int(self.seen.sum()), int(self.nearly.sum())


def overlap(train: Rows, test: Rows) -> Overlap:
    """What training and test share."""
    read, tested = _columns(train), _columns(test)
    if len(read) != len(tested) or not train.texts or not test.texts:
        return Overlap(np.zeros(len(test.texts), np.bool_), np.zeros(len(test.texts), np.bool_))
    first, second = joined(read), joined(tested)
    seen, spelt = _shared(first, second), _shared(near.nearly(first), near.nearly(second))
    answered = [[*columns, *_answers(rows)] for columns, rows in ((read, train), (tested, test))]
    _, twin = near.across(answered[0], _labels(train), answered[1], _labels(test))
    return Overlap(seen, (spelt | (twin >= 0)) & ~seen)


def _shared(first: pa.ChunkedArray, second: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Which of the second texts stand among the first. The smaller part is hashed: a million texts would take a gigabyte."""
    there = first.filter(pc.is_in(first, pc.unique(second)))
    return np.asarray(pc.is_in(second, pc.unique(there)))


def _columns(rows: Rows) -> list[pa.ChunkedArray]:
    return [_column(one) for one in (rows.texts, rows.second) if one is not None]


def _answers(rows: Rows) -> list[pa.ChunkedArray]:
    """What is written is compared by itself: a prompt that is nearly the same may ask for something else."""
    return [] if rows.answers is None or rows.answers == rows.texts else [_column(rows.answers)]


def _labels(rows: Rows) -> pa.ChunkedArray:
    return _column([""] * len(rows.texts) if rows.answers is not None else [str(one) for one in rows.targets])


def _column(values: Sequence[str]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, pa.string())])
