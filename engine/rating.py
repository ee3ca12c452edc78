"""What people make of rows on a scale of 1 to 5: the mean with its interval, and each person's own. Pure; numpy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine import resampling
from engine.agreement import FEWEST
from engine.scoring import Interval


@dataclass(frozen=True)
class Rating:
    """How some people rate the same rows by one criterion."""

    rows: int  # that somebody rated
    mean: float | None  # of all ratings; None where there is none
    interval: Interval | None  # of that mean, 95 %, by drawing the rows again; None on fewer than FEWEST rows
    each: tuple[float | None, ...]  # each person's own mean; None for who rated nothing

    @property
    def figure(self) -> str:
        """3.8 (3.5 to 4.1)."""
        if self.mean is None:
            return "–"
        return f"{self.mean:.1f}" + (f" ({self.interval.low:.1f} to {self.interval.high:.1f})" if self.interval else "")


def rating(answers: Sequence[Sequence[str | None]]) -> Rating:
    """`answers`: for each person, the rating of each row as "1" to "5", None where there is none."""
    each = tuple(_mean([int(one) for one in person if one is not None]) for person in answers)
    given = [[int(one) for one in row if one is not None] for row in zip(*answers, strict=True)]
    sums = np.array([(sum(row), len(row)) for row in given if row], dtype=np.float64).reshape(-1, 2)
    if not len(sums):
        return Rating(0, None, None, each)
    figure = resampling.Figure("rating", "Mean rating", "higher", "", sums, resampling.ratio)
    return Rating(len(sums), figure.value, resampling.interval(figure) if len(sums) >= FEWEST else None, each)


def _mean(ratings: Sequence[int]) -> float | None:
    return sum(ratings) / len(ratings) if ratings else None
