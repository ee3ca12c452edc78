"""Any figure that is worked out from sums over rows, with its interval and a paired test against another on the same rows. Pure.

A `Figure` holds for each row what is summed (BLEU: matches and lengths; a mean: the value and 1) and how the sums become the figure.
The interval is a percentile bootstrap over rows (Efron & Tibshirani 1993, chapter 13), as in `scoring.between`. The test is approximate
randomisation (Riezler & Maxwell 2005, https://aclanthology.org/W05-0908): how often swapping the two on rows by chance makes a gap as
large as the one seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.scoring import DRAWS, Interval, between, wilson

AT_ONCE = 2_000_000  # drawn numbers that lie in memory at a time: 16 MB
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """One figure of a set of texts."""

    id: str
    name: str
    better: str  # "higher", "lower" or "" where neither is
    note: str  # how it is counted, with the reference that it equals
    rows: Floats  # (rows, sums): what each row adds
    of: Callable[[Floats], Floats]  # (draws, sums) -> (draws,)
    anew: Callable[[Floats], Floats] | None = None  # (draws, rows), how often each is drawn -> (draws,); where what is summed changes too

    @property
    def value(self) -> float:
        return float(self.of(self.rows.sum(axis=0, keepdims=True))[0])

    def on(self, counts: Floats) -> Floats:
        """(draws,): the figure of rows drawn so often, `counts` (draws, rows)."""
        return self.anew(counts) if self.anew else self.of(counts @ self.rows)


@dataclass(frozen=True)
class Gap:
    """One figure of two answerers on the same rows."""

    first: float
    second: float
    gain: Interval  # first less second
    p_value: float  # 0 to 1: how often chance alone makes a gap this large


def mean(id: str, name: str, values: Floats, *, better: str, note: str) -> Figure:
    """The mean of a value for each row; rows without one (NaN) are left out."""
    there = np.isfinite(values)
    rows = np.stack([np.where(there, values, 0.0), there.astype(np.float64)], axis=1)
    return Figure(id, name, better, note, rows, ratio)


def ratio(sums: Floats) -> Floats:
    """First sum over second; 0 where there is nothing."""
    found: Floats = np.zeros(len(sums))
    np.divide(sums[:, 0], sums[:, 1], out=found, where=sums[:, 1] > 0)
    return found


def interval(figure: Figure, *, seed: int = 0, draws: int = DRAWS) -> Interval:
    """The figure with its 95 % interval. Of rows that are right or wrong Wilson's: where all are right, all draws are alike."""
    if figure.of is ratio and figure.anew is None and np.isin(figure.rows, (0.0, 1.0)).all() and (rows := int(figure.rows[:, 1].sum())):
        return wilson(int(figure.rows[:, 0].sum()), rows)
    return between(figure.value, redrawn(figure, seed=seed, draws=draws), len(figure.rows))


def redrawn(figure: Figure, *, seed: int = 0, draws: int = DRAWS) -> Floats:
    """(draws,): the figure of rows drawn again; of as many rows and with the same seed, the same rows are drawn."""
    return np.concatenate([figure.on(counts) for counts in _drawn(len(figure.rows), seed, draws)])


def compare(first: Figure, second: Figure, *, seed: int = 0, draws: int = DRAWS) -> Gap:
    """The first against the second on the same rows in the same order: the gain with its 95 % interval, and the test."""
    assert first.id == second.id
    assert first.rows.shape == second.rows.shape
    gap = first.value - second.value
    drawn = [first.on(counts) - second.on(counts) for counts in _drawn(len(first.rows), seed, draws)]
    extreme = 0
    totals, moved = (first.rows.sum(axis=0), second.rows.sum(axis=0)), second.rows - first.rows
    for swapped in _swapped(len(first.rows), seed, draws):
        change = swapped @ moved
        extreme += int((np.abs(first.of(totals[0] + change) - second.of(totals[1] - change)) >= abs(gap) - 1e-12).sum())
    return Gap(first.value, second.value, between(gap, np.concatenate(drawn), len(first.rows)), (extreme + 1) / (draws + 1))


def _drawn(rows: int, seed: int, draws: int) -> Iterator[Floats]:
    """(some, rows): how often each row is drawn."""
    dice = np.random.default_rng(seed)
    for some in _pieces(rows, draws):
        yield dice.multinomial(rows, np.full(rows, 1 / rows), size=some).astype(np.float64)


def _swapped(rows: int, seed: int, draws: int) -> Iterator[Floats]:
    """(some, rows): 1 where the two answers change places."""
    dice = np.random.default_rng(seed + 1)
    for some in _pieces(rows, draws):
        yield dice.integers(0, 2, size=(some, rows)).astype(np.float64)


def _pieces(rows: int, draws: int) -> Iterator[int]:
    most = max(1, AT_ONCE // max(1, rows))
    for start in range(0, draws, most):
        yield min(most, draws - start)
