"""How quick a model answers: one text at a time, and in batches. Pure but for the clock, which is passed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from engine.errors import is_out_of_memory

T = TypeVar("T")
WARM_UP = 3  # answers before the clock counts: the first are slow
SINGLES, SINGLE_SECONDS = 100, 12.0  # texts one by one, at most
BATCH_SECONDS = 2.5  # for each size of batch
BATCHES = (1, 4, 8, 16, 32, 64, 128, 256)
ENOUGH_BATCHES = 3


@dataclass(frozen=True)
class Timed:
    median_seconds: float
    slow_seconds: float  # the 95th of 100
    timed: int
    best_batch: int
    rows_per_second: float


def timed(answer: Callable[[list[T], int], object], texts: Sequence[T], clock: Callable[[], float]) -> Timed:
    """Seconds a text by itself, and rows a second at the best size of batch; larger batches are tried while they help.

    `answer(texts, batch size)` answers them all. The texts are taken in their order and from the start again.
    """

    def taken(count: int, start: int = 0) -> list[T]:
        return [texts[(start + at) % len(texts)] for at in range(count)]

    def seconds(count: int, start: int = 0) -> float:
        begun = clock()
        answer(taken(count, start), count)
        return clock() - begun

    for at in range(WARM_UP):
        seconds(1, at)
    singles: list[float] = []
    while len(singles) < SINGLES and (len(singles) < 10 or sum(singles) < SINGLE_SECONDS):
        singles.append(seconds(1, len(singles)))
    best, pace, misses = 1, len(singles) / sum(singles), 0
    for size in BATCHES[1:]:
        try:
            found = _pace(seconds, size)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            break
        if found > pace:
            best, pace, misses = size, found, 0
        else:
            misses += 1
        if misses == 2:
            break
    return Timed(float(np.median(singles)), float(np.percentile(singles, 95)), len(singles), best, pace)


def _pace(seconds: Callable[[int, int], float], size: int) -> float:
    """Rows a second in batches of this size, after one that does not count."""
    seconds(size, 0)
    spent: list[float] = []
    while len(spent) < ENOUGH_BATCHES and sum(spent) < BATCH_SECONDS:
        spent.append(seconds(size, size * len(spent)))
    return size * len(spent) / sum(spent)
