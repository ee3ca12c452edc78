"""How far numbers are off and how well they rank: figures over rows for `resampling`. Pure; numpy only.

Spearman's is Pearson's correlation of the ranks among all rows, those of equal numbers being their mean. Rows that are drawn again are
ranked anew: with the ranks that they had, 90 % of intervals held the truth of 50 rows, and 95 % so (ranks are no sums over rows).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from engine.resampling import Figure, Floats, mean, ratio
from engine.told import MOSTLY

FEWEST = 20  # rows that a margin is learnt from; of 20 the share that it holds for differs by 7 points from one set of rows to another


def off_by(given: Sequence[float], wanted: Sequence[float]) -> tuple[Figure, ...]:
    """Mean absolute error, root mean squared error and R² of the numbers given for the rows, as scikit-learn counts them."""
    told, truth = np.asarray(given, dtype=np.float64), np.asarray(wanted, dtype=np.float64)
    error = told - truth
    moved = truth - truth.mean()  # about zero, so that the squares lose no digits
    squares = np.stack([error**2, np.ones(len(error))], axis=1)
    around = np.stack([error**2, moved**2, moved, np.ones(len(error))], axis=1)
    return (
        mean("mae", "Mean error", np.abs(error), better="lower", note="Mean of the distances from the right number (MAE)."),
        Figure(
            "rmse", "Root mean squared error", "lower", "Large misses weigh more than in the mean error (RMSE).", squares, _root
        ),
        Figure(
            "r2", "R²", "higher",
            "Share of the differences between the numbers that is explained: 1 is all, 0 as good as always saying their mean.",
            around, _explained,
        ),
    )  # fmt: skip


def margin(given: Sequence[float], wanted: Sequence[float]) -> float | None:
    """How far from the model's number the right one lies at most for MOSTLY of the rows; None of fewer than FEWEST.

    Split conformal prediction (Vovk et al. 2005; Lei et al. 2018, https://arxiv.org/abs/1604.04173): of rows that the model did not
    learn from and that are drawn as later ones are, the k-th smallest distance, k = (rows + 1) times the share, rounded up, holds for at
    least that share of later rows, whatever the model.
    """
    apart = np.sort(np.abs(np.asarray(given, dtype=np.float64) - np.asarray(wanted, dtype=np.float64)))
    place = math.ceil((len(apart) + 1) * MOSTLY - 1e-9)
    return float(apart[place - 1]) if len(apart) >= FEWEST and place <= len(apart) else None


def spearman(given: Sequence[float], wanted: Sequence[float]) -> Figure:
    """How alike two orders of the rows are: 1 the same, 0 none, -1 the reverse; 0 where all of one side are equal."""
    note = "Whether higher numbers are given to rows that have higher ones: 1 is the same order, 0 none (Spearman's rank correlation)."
    plain = _correlation("spearman", "Order (Spearman)", note, ranks(given), ranks(wanted))
    first, second = _Ranked(given), _Ranked(wanted)
    return replace(plain, anew=lambda counts: _alike(counts, first.of(counts), second.of(counts)))


def pearson(given: Sequence[float], wanted: Sequence[float]) -> Figure:
    """How near the rows lie to a straight line: 1 on it, 0 nowhere near."""
    note = "How near the rows lie to a straight line: 1 is on it, 0 nowhere near (Pearson's correlation)."
    told, truth = (np.asarray(one, dtype=np.float64) for one in (given, wanted))
    return _correlation("pearson", "Straight line (Pearson)", note, told, truth)


def _correlation(id: str, name: str, note: str, given: Floats, wanted: Floats) -> Figure:
    x, y = _standard(given), _standard(wanted)
    rows = np.stack([x, y, x * x, y * y, x * y, np.ones(len(x))], axis=1)
    return Figure(id, name, "higher", note, rows, _correlated)


class _Ranked:
    """Numbers that are ranked among rows drawn again."""

    def __init__(self, values: Sequence[float]) -> None:
        found, self._group = np.unique(np.asarray(values, dtype=np.float64), return_inverse=True)
        self._order = np.argsort(self._group, kind="stable")
        self._start = np.searchsorted(self._group[self._order], np.arange(len(found)))

    def of(self, counts: Floats) -> Floats:
        """(draws, rows): each row's rank about their mean, of rows that are drawn so often."""
        each = np.add.reduceat(counts[:, self._order], self._start, axis=1)  # (draws, different numbers)
        found = np.cumsum(each, axis=1) - (each - 1) / 2 - (counts.shape[1] + 1) / 2
        return np.asarray(found[:, self._group])


def _alike(counts: Floats, first: Floats, second: Floats) -> Floats:
    """(draws,): the correlation of numbers about their mean."""
    above = np.einsum("dr,dr,dr->d", counts, first, second)
    below = np.sqrt(np.einsum("dr,dr,dr->d", counts, first, first) * np.einsum("dr,dr,dr->d", counts, second, second))
    found: Floats = np.zeros(len(counts))
    np.divide(above, below, out=found, where=below > 1e-12)
    return np.clip(found, -1.0, 1.0)


def _standard(values: Floats) -> Floats:
    spread = float(values.std())
    return np.asarray((values - values.mean()) / (spread if spread > 1e-9 * max(1.0, float(np.abs(values).max(initial=0.0))) else np.inf))


def ranks(values: Sequence[float]) -> Floats:
    """From 1 on, the mean rank for equal numbers."""
    _, place, counts = np.unique(np.asarray(values, dtype=np.float64), return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[place], dtype=np.float64)


def _root(sums: Floats) -> Floats:
    return np.sqrt(ratio(sums))


def _explained(sums: Floats) -> Floats:
    """1 - squared errors / squared distances from the drawn rows' own mean; 0 where those are all equal."""
    around = sums[:, 1] - np.divide(sums[:, 2] ** 2, sums[:, 3], out=np.zeros(len(sums)), where=sums[:, 3] > 0)
    left = np.divide(sums[:, 0], around, out=np.ones(len(sums)), where=around > 1e-12)
    return np.asarray(1 - left)


def _correlated(sums: Floats) -> Floats:
    x, y, xx, yy, xy, count = sums.T
    above = count * xy - x * y
    below = np.sqrt(np.maximum(0.0, count * xx - x * x) * np.maximum(0.0, count * yy - y * y))
    found: Floats = np.zeros(len(sums))
    np.divide(above, below, out=found, where=below > 1e-12)
    return np.clip(found, -1.0, 1.0)
