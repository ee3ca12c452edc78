"""How far people agree who judged the same rows: Cohen's kappa for two, Fleiss' for more, with intervals and in words. Pure; numpy only.

Cohen (1960), "A coefficient of agreement for nominal scales"; Fleiss (1971), "Measuring nominal scale agreement among many raters".
Intervals: the rows are drawn again (bootstrap, percentiles). The words are those of background.md section 6: over 0.7 good, 0.4 to 0.7
moderate, below 0.4 revise the guideline; such borders are customs, not laws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.scoring import Interval

GOOD, MODERATE = 0.7, 0.4
DRAWS = 2000
FEWEST = 10  # rows that all have judged, below which nothing is said

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Agreement:
    """How far some people agree on one question."""

    kind: str  # "Cohen's kappa" or "Fleiss' kappa"
    people: int
    rows: int  # that all of them judged
    same: float  # share of rows on which all say the same
    kappa: Interval | None  # None where there are too few rows, or all answers are one and the same

    @property
    def figure(self) -> str:
        """Cohen's kappa 0.63, 0.46 to 0.77, on 120 rows."""
        if self.kappa is None:
            return f"no {self.kind}, on {self.rows} rows"
        return f"{self.kind} {self.kappa.value:.2f}, {self.kappa.low:.2f} to {self.kappa.high:.2f}, on {self.rows:,} rows"

    @property
    def level(self) -> str:
        """Good, moderate or low; or why that cannot be told."""
        if self.kappa is None:
            few = f"{self.rows} rows that all have judged are too few" if self.rows < FEWEST else "all answers are the same one"
            return f"cannot be told: {few}"
        value = self.kappa.value
        return "is good" if value > GOOD else "is moderate" if value >= MODERATE else "is low"

    @property
    def words(self) -> str:
        """What people should take from it."""
        advice = " Revise the guideline, and judge again." if self.level == "is low" else ""
        return f"Agreement beyond chance {self.level} ({self.figure}).{advice}"


def agreement(answers: Sequence[Sequence[str | None]], *, seed: int = 0) -> Agreement:
    """`answers`: for each person, the answer to each row, None where there is none. Rows that somebody left out do not count.

    Raises ValueError for fewer than two people, or for lists of unequal length.
    """
    if len(answers) < 2 or len({len(one) for one in answers}) != 1:
        raise ValueError("two people or more, asked about the same rows")
    whole = [row for row in zip(*answers, strict=True) if None not in row]
    kind = "Cohen's kappa" if len(answers) == 2 else "Fleiss' kappa"
    same = sum(len(set(row)) == 1 for row in whole) / len(whole) if whole else 0.0
    number = {answer: at for at, answer in enumerate(sorted({str(answer) for row in whole for answer in row}))}
    if len(whole) < FEWEST or len(number) < 2:
        return Agreement(kind, len(answers), len(whole), same, None)
    codes = np.array([[number[str(answer)] for answer in row] for row in whole], dtype=np.int64)
    figure = cohen if len(answers) == 2 else fleiss
    return Agreement(kind, len(answers), len(whole), same, _interval(codes, len(number), figure, seed))


def cohen(codes: Codes, classes: int) -> float:
    """Cohen's kappa of (rows, 2) answers: what they agree beyond what their own habits alone would give. NaN where it has no meaning."""
    table = np.bincount(codes[:, 0] * classes + codes[:, 1], minlength=classes * classes).reshape(classes, classes) / len(codes)
    return _beyond(float(np.trace(table)), float(table.sum(axis=1) @ table.sum(axis=0)))


def fleiss(codes: Codes, classes: int) -> float:
    """Fleiss' kappa of (rows, people) answers: what they agree beyond what the answers' shares would give. NaN where it has no meaning."""
    rows, people = codes.shape
    counts = np.bincount((np.arange(rows)[:, None] * classes + codes).ravel(), minlength=rows * classes).reshape(rows, classes)
    pairs = (counts * (counts - 1)).sum() / (rows * people * (people - 1))
    shares = counts.sum(axis=0) / counts.sum()
    return _beyond(float(pairs), float(shares @ shares))


def _beyond(seen: float, by_chance: float) -> float:
    return float("nan") if by_chance >= 1 else (seen - by_chance) / (1 - by_chance)


def _interval(codes: Codes, classes: int, figure: Callable[[Codes, int], float], seed: int) -> Interval:
    dice = np.random.default_rng(seed)
    drawn = np.array([figure(codes[dice.integers(len(codes), size=len(codes))], classes) for _ in range(DRAWS)])
    drawn = drawn[np.isfinite(drawn)]
    low, high = np.quantile(drawn, (0.025, 0.975)) if len(drawn) else (np.nan, np.nan)
    return Interval(figure(codes, classes), float(low), float(high))
