"""Figures of a classifier on held-out rows, with intervals and tests. Pure; numpy only; shares from 0 to 1.

The figures follow scikit-learn's definitions. A class that has neither test rows nor predictions is left out of the
macro averages, in the figure and in every bootstrap draw alike, as scikit-learn leaves it out.

The interval of a share, such as accuracy, is Wilson's (1927); others are percentile bootstraps over test rows (Efron & Tibshirani 1993,
chapter 13). F1 depends on the rows only through how many stand in each cell (label, predicted), so drawing the cells' counts from a
multinomial is the very resampling of rows, at a cost that does not grow with them.

Of few rows percentiles come out too narrow, as z does beside Student's t; they are widened by as much (Hesterberg 2015, "What teachers
should know about the bootstrap", section 5.3). Of 1,000 simulated tests with 100 rows 93 to 97 % then hold the truth
(tests/engine/test_intervals.py); only where a few rows make up most of a sum, as of squared errors with a long tail, fewer do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.baselines import Guess
from engine.errors import Problem, RunFailed

DRAWS = 1000
Z = 1.959964  # normal distribution, 97.5 % quantile
SMALLEST_PROBABILITY = 1e-12  # the loss of one row is at most 27.6 nats

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Chances = NDArray[np.floating[Any]]  # (rows, classes)


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval, all as shares (0 to 1)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ClassScore:
    label: str
    precision: float
    recall: float
    f1: float
    rows: int  # test rows with this label
    predicted: int  # test rows that the model gave this label


@dataclass(frozen=True)
class BaselineScore:
    """A baseline on the same rows, and the model against it."""

    id: str  # "majority", "tfidf"
    name: str
    accuracy: float
    macro_f1: float
    weighted_f1: float
    only_model_right: int  # rows
    only_baseline_right: int  # rows
    p_value: float  # McNemar's exact test of rows right
    macro_f1_gain: Interval  # the model's macro F1 less the baseline's; -1 to 1
    note: str  # how it was made, and any bound that was applied


def check(probabilities: Chances) -> None:
    """Raises RunFailed where there is no row, or a probability that is not finite."""
    if not len(probabilities):
        raise RunFailed(Problem("data.test", "There are no rows to judge the model on.", "Give the test split at least 10 % of the rows."))
    if not np.isfinite(probabilities).all():
        raise RunFailed(
            Problem(
                "run",
                "The model's answers are not numbers any more: training has blown up.",
                "Lower the learning rate or choose fp32 precision.",
            )
        )


def predicted_classes(probabilities: Chances) -> Whole:
    return np.asarray(probabilities.argmax(axis=1), dtype=np.int64)


def loss_of(truth: Whole, probabilities: Chances) -> float:
    of_label = probabilities[np.arange(len(truth)), truth].astype(np.float64)
    return float(-np.log(np.maximum(of_label, SMALLEST_PROBABILITY)).mean())


def confusion_matrix(truth: Whole, predicted: Whole, classes: int) -> Whole:
    """(classes, classes): how many rows of each label (row) got each prediction (column)."""
    return np.bincount(truth * classes + predicted, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def _ratio(part: Any, whole: Any) -> Floats:
    """part / whole, 0 where whole is 0."""
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    result: Floats = np.zeros(np.broadcast(part, whole).shape)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


def figures_of(matrix: Whole) -> dict[str, float]:
    right, labelled, predicted = np.diagonal(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    there = (labelled + predicted) > 0
    share = labelled / labelled.sum()
    precision, recall, f1 = _ratio(right, predicted), _ratio(right, labelled), _ratio(2 * right, labelled + predicted)
    return {
        "accuracy": float(right.sum() / labelled.sum()),
        "macro_f1": float(f1[there].mean()),
        "macro_precision": float(precision[there].mean()),
        "macro_recall": float(recall[there].mean()),
        "weighted_f1": float(f1 @ share),
        "weighted_precision": float(precision @ share),
        "weighted_recall": float(recall @ share),
    }


def class_scores(matrix: Whole, classes: Sequence[str]) -> tuple[ClassScore, ...]:
    right, labelled, predicted = np.diagonal(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    precision, recall, f1 = _ratio(right, predicted), _ratio(right, labelled), _ratio(2 * right, labelled + predicted)
    return tuple(
        ClassScore(label, float(precision[at]), float(recall[at]), float(f1[at]), int(labelled[at]), int(predicted[at]))
        for at, label in enumerate(classes)
    )


# Intervals and tests


def intervals(matrix: Whole, *, seed: int = 0, draws: int = DRAWS) -> tuple[Interval, Interval]:
    """Accuracy and macro F1, each with its 95 % interval, from a confusion matrix.

    Where every row is right (or wrong) all draws are alike and the bootstrap says nothing; the bounds of accuracy stand in for macro F1's.
    """
    rows = int(matrix.sum())
    label, predicted = np.nonzero(matrix)
    counts = np.random.default_rng(seed).multinomial(rows, matrix[label, predicted] / rows, size=draws)
    accuracy = wilson(int(np.trace(matrix)), rows)
    macro_f1 = figures_of(matrix)["macro_f1"]
    if accuracy.value in (0.0, 1.0):
        return accuracy, Interval(macro_f1, accuracy.low, accuracy.high)
    return accuracy, between(macro_f1, _macro_f1(counts, label, predicted, matrix.shape[0]), rows)


def wilson(hits: int, rows: int) -> Interval:
    """A share with Wilson's 95 % interval, which holds the truth as often as it says of few rows too, and where nearly all are right.

    Of 33 rows with 90 % right a percentile bootstrap holds it 87 times in 100, this one 95.
    """
    share = hits / rows
    middle = (share + Z**2 / (2 * rows)) / (1 + Z**2 / rows)
    half = Z * math.sqrt(share * (1 - share) / rows + Z**2 / (4 * rows**2)) / (1 + Z**2 / rows)
    return Interval(share, max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half)))


def between(value: float, drawn: Floats, rows: int) -> Interval:
    """A value with the 95 % interval of what was drawn, of so many rows."""
    tail = 100 * _tail(rows)
    low, high = np.percentile(drawn, (tail, 100 - tail), method="weibull")  # whose tails are as wide as asked for, of any count of draws
    return Interval(value, float(low), float(high))


def _tail(rows: int) -> float:
    """The share of draws to leave out at either end: 0.025 of many rows, 0.021 of 50, 0.006 of 10."""
    if rows < 4:
        return 0.0
    free = rows - 1
    # Student's 97.5 % quantile by its expansion about the normal one (Abramowitz & Stegun 26.7.5)
    t = Z + (Z**3 + Z) / (4 * free) + (5 * Z**5 + 16 * Z**3 + 3 * Z) / (96 * free**2)
    return 0.5 * math.erfc(t * math.sqrt(rows / free) / math.sqrt(2))


def _macro_f1(counts: Whole, label: Whole, predicted: Whole, classes: int) -> Floats:
    """(draws,) macro F1 from (draws, cells) counts, where cell i holds rows of `label[i]` that were given `predicted[i]`."""
    right = _summed(counts[:, label == predicted], label[label == predicted], classes)
    either = _summed(counts, label, classes) + _summed(counts, predicted, classes)
    return np.asarray(_ratio(2 * right, either).sum(axis=1) / (either > 0).sum(axis=1), dtype=np.float64)


def _summed(counts: Whole, group: Whole, groups: int) -> Floats:
    """(draws, groups): the cells' counts summed by group. Exact: the sums are whole and far below 2**53."""
    member = np.zeros((len(group), groups))
    member[np.arange(len(group)), group] = 1.0
    return np.asarray(counts @ member, dtype=np.float64)


def compare(only_first_right: int, only_second_right: int) -> float:
    """McNemar's exact p: how often two equally good answerers would differ at least this much on the rows that only one got right.

    The two-sided binomial test with p = 1/2 (McNemar 1947; exact form in Fagerland, Lydersen & Laake 2013).
    """
    trials, fewer = only_first_right + only_second_right, min(only_first_right, only_second_right)
    if trials == 0:
        return 1.0
    terms = [math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1) - trials * math.log(2) for k in range(fewer + 1)]
    return min(1.0, 2 * math.fsum(math.exp(term) for term in terms))


def against(truth: Whole, predicted: Whole, guess: Guess, classes: int, seed: int) -> BaselineScore:
    guessed = np.asarray(guess.predicted, dtype=np.int64)
    figures = figures_of(confusion_matrix(truth, guessed, classes))
    only_model = int(((predicted == truth) & (guessed != truth)).sum())
    only_baseline = int(((predicted != truth) & (guessed == truth)).sum())
    return BaselineScore(
        id=guess.id,
        name=guess.name,
        accuracy=figures["accuracy"],
        macro_f1=figures["macro_f1"],
        weighted_f1=figures["weighted_f1"],
        only_model_right=only_model,
        only_baseline_right=only_baseline,
        p_value=compare(only_model, only_baseline),
        macro_f1_gain=gain(truth, predicted, guessed, classes, seed=seed),
        note=guess.note,
    )


def gain(truth: Whole, first: Whole, second: Whole, classes: int, *, seed: int = 0, draws: int = DRAWS) -> Interval:
    """How far the first answers' macro F1 lies above the second's, with its 95 % interval from a paired bootstrap over rows."""
    cells, counted = np.unique((truth * classes + first) * classes + second, return_counts=True)
    label, one, other = cells // classes**2, cells // classes % classes, cells % classes
    counts = np.random.default_rng(seed).multinomial(len(truth), counted / len(truth), size=draws)
    drawn = _macro_f1(counts, label, one, classes) - _macro_f1(counts, label, other, classes)
    whole = counted[np.newaxis, :]
    value = _macro_f1(whole, label, one, classes) - _macro_f1(whole, label, other, classes)
    return between(float(value[0]), drawn, len(truth))
