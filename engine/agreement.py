"""How far people agree who judged the same rows: Cohen's kappa for two, Fleiss' for more, with intervals and in words. Pure; numpy only.

Cohen (1960), "A coefficient of agreement for nominal scales"; Fleiss (1971), "Measuring nominal scale agreement among many raters".
Ratings have an order, so that 4 beside 5 is nearly agreement and 1 beside 5 none: theirs is weighted by the squared distance (Cohen 1968,
"Weighted kappa"; among more than two every pair of ratings of a row counts so, as Gwet 2014 puts it), with the unweighted beside it.
Intervals: the rows are drawn again (`resampling`). The words are those of background.md section 6: over 0.7 good, 0.4 to 0.7 moderate,
below 0.4 revise the guideline; such borders are customs, not laws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine import resampling, scoring
from engine.resampling import Figure, Floats
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
    weighted: Interval | None = None  # of ratings; None likewise

    @property
    def figure(self) -> str:
        """Cohen's kappa 0.63, 0.46 to 0.77, on 120 rows; of ratings the weighted one first."""
        if self.kappa is None:
            return f"no {self.kind}, on {self.rows} rows"
        if self.weighted is None:
            return f"{self.kind} {_told(self.kappa)}, on {self.rows:,} rows"
        return f"weighted {self.kind} {_told(self.weighted)}, on {self.rows:,} rows; unweighted {_told(self.kappa)}"

    @property
    def level(self) -> str:
        """Good, moderate or low; or why that cannot be told."""
        if self.kappa is None:
            few = f"{self.rows} rows that all have judged are too few" if self.rows < FEWEST else "all answers are the same one"
            return f"cannot be told: {few}"
        value = (self.weighted or self.kappa).value
        return "is good" if value > GOOD else "is moderate" if value >= MODERATE else "is low"

    @property
    def words(self) -> str:
        """What people should take from it."""
        advice = " Revise the guideline, and judge again." if self.level == "is low" else ""
        return f"Agreement beyond chance {self.level} ({self.figure}).{advice}"


def _told(kappa: Interval) -> str:
    return f"{kappa.value:.2f}, {kappa.low:.2f} to {kappa.high:.2f}"


def agreement(answers: Sequence[Sequence[str | None]], *, scale: Sequence[str] | None = None, seed: int = 0) -> Agreement:
    """`answers`: for each person, the answer to each row, None where there is none. Rows that somebody left out do not count.

    `scale`: the answers that there can be, in order and equally far apart, where they are ratings.

    Raises ValueError for fewer than two people, or for lists of unequal length.
    """
    if len(answers) < 2 or len({len(one) for one in answers}) != 1:
        raise ValueError("two people or more, asked about the same rows")
    whole = [row for row in zip(*answers, strict=True) if None not in row]
    kind = "Cohen's kappa" if len(answers) == 2 else "Fleiss' kappa"
    same = sum(len(set(row)) == 1 for row in whole) / len(whole) if whole else 0.0
    given = {str(answer) for row in whole for answer in row}
    number = {answer: at for at, answer in enumerate(scale if scale is not None else sorted(given))}
    if len(whole) < FEWEST or len(given) < 2:
        return Agreement(kind, len(answers), len(whole), same, None)
    codes = np.array([[number[str(answer)] for answer in row] for row in whole], dtype=np.int64)
    figure = cohen if len(answers) == 2 else fleiss
    weighted = None if scale is None else _interval(figure(codes, nearness(len(number))), seed)
    return Agreement(kind, len(answers), len(whole), same, _interval(figure(codes, np.eye(len(number))), seed), weighted)


def nearness(classes: int) -> Floats:
    """(classes, classes): 1 for the same rating, 0 for the two ends of the scale, between them less by the square of the distance."""
    apart = np.subtract.outer(np.arange(classes), np.arange(classes)) / max(1, classes - 1)
    return np.asarray(1 - apart**2)


def cohen(codes: Codes, weights: Floats) -> Figure:
    """Cohen's kappa of (rows, 2) answers: what they agree beyond what their own habits alone would give. NaN where it has no meaning.

    `weights`, (classes, classes): how much two answers agree, from 0 to 1; the unit matrix where only the same one is agreement.
    """
    classes = len(weights)
    pairs = np.eye(classes * classes)[codes[:, 0] * classes + codes[:, 1]]

    def of(sums: Floats) -> Floats:
        table = sums.reshape(-1, classes, classes) / sums.sum(axis=1)[:, None, None]
        by_chance = np.einsum("dk,kl,dl->d", table.sum(axis=2), weights, table.sum(axis=1))
        return _beyond(np.einsum("dkl,kl->d", table, weights), by_chance)

    return Figure("kappa", "Cohen's kappa", "higher", "", pairs, of)


def fleiss(codes: Codes, weights: Floats) -> Figure:
    """Fleiss' kappa of (rows, people) answers: what they agree beyond what the answers' shares would give. NaN where it has no meaning.

    `weights` as for `cohen`.
    """
    (rows, people), classes = codes.shape, len(weights)
    counts = np.bincount((np.arange(rows)[:, None] * classes + codes).ravel(), minlength=rows * classes).reshape(rows, classes)
    alike = ((counts @ weights * counts).sum(axis=1) - people) / (people * (people - 1))  # nobody is paired with himself

    def of(sums: Floats) -> Floats:
        shares = sums[:, 1:] / sums[:, 1:].sum(axis=1, keepdims=True)
        return _beyond(sums[:, 0] * people / sums[:, 1:].sum(axis=1), np.einsum("dk,kl,dl->d", shares, weights, shares))

    return Figure("kappa", "Fleiss' kappa", "higher", "", np.column_stack([alike, counts]), of)


def _beyond(seen: Floats, by_chance: Floats) -> Floats:
    found: Floats = np.full(len(seen), np.nan)
    np.divide(seen - by_chance, 1 - by_chance, out=found, where=by_chance < 1 - 1e-12)
    return found


def _interval(figure: Figure, seed: int) -> Interval:
    drawn = resampling.redrawn(figure, seed=seed, draws=DRAWS)
    if figure.value == 1:  # then all draws are alike: Wilson's bound of the share of rows agreed on, as of two labels of one size
        return Interval(1.0, 2 * scoring.wilson(len(figure.rows), len(figure.rows)).low - 1, 1.0)
    return scoring.between(figure.value, drawn[np.isfinite(drawn)], len(figure.rows))
