"""How far a classifier's confidence can be trusted, and what it pays to let it stay silent. Pure; numpy only; shares from 0 to 1.

Confidence is the predicted class's probability. Expected calibration error: Guo et al. 2017, https://arxiv.org/abs/1706.04599, 15 bins
of equal width. Few rows give an error above 0 also where every confidence is true, so what chance alone gives is told beside it
(consistency resampling, Bröcker & Smith 2007, https://doi.org/10.1175/WAF993.1).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.scoring import SMALLEST_PROBABILITY, Chances, Floats, Interval, Whole, predicted_classes

BINS = 15
DRAWS = 1000
STEPS = 100  # thresholds of the curve of answered rows, a hundredth apart
CURVE_POINTS = 120  # of one class's precision over recall; a picture is about 500 pixels wide
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.2, 10.0
FEWEST_TO_FIT = 30  # rows; a temperature from fewer is luck
Z = 1.959963984540054  # of a 95 % interval


@dataclass(frozen=True)
class Answers:
    """A model's answers to the test rows."""

    rows: tuple[int, ...]  # 1-based numbers in the source
    texts: tuple[str, ...]
    labels: Whole  # (rows,) class ids
    probabilities: Floats  # (rows, classes)
    classes: tuple[str, ...]
    seconds: tuple[str, ...] | None = None  # what the model read beside each text


@dataclass(frozen=True)
class Bin:
    """The rows whose confidence lies between `low` and `high`."""

    low: float
    high: float
    rows: int
    confidence: float  # mean
    right: float  # share


@dataclass(frozen=True)
class Silence:
    """What happens if rows below a confidence are left to a person."""

    threshold: float
    answered: int  # rows
    share: float  # of all rows
    right: Interval | None  # of the answered ones; None where none is left


@dataclass(frozen=True)
class Curve:
    """One class against all others: precision over recall as the threshold falls."""

    label: str
    rows: int  # with this label
    average_precision: float
    recall: tuple[float, ...]
    precision: tuple[float, ...]


@dataclass(frozen=True)
class Confidence:
    """How sure the model is, and how often rightly."""

    rows: int
    accuracy: float
    mean_confidence: float
    error: float  # expected calibration error
    error_by_chance: float  # below which 95 % of perfectly calibrated models would stay on so many rows
    bins: tuple[Bin, ...]  # those that hold a row
    silence: tuple[Silence, ...]  # by rising threshold, 0 to 1
    curves: tuple[Curve, ...]  # of classes that have test rows, in the order of the classes
    temperature: float = 1.0  # by which the answers were cooled


def answers(lines: Iterable[str], classes: Sequence[str]) -> Answers | None:
    """The answers of a predictions.jsonl (what worker.py writes); None where there is none, or a line is of other classes."""
    place = {name: at for at, name in enumerate(classes)}
    rows, texts, labels, chances, seconds = [], [], [], [], []
    for line in lines:
        try:
            told = json.loads(line)
            labels.append(place[told["label"]])
            chances.append([float(told["probabilities"][name]) for name in classes])
            rows.append(int(told["row"]))
            texts.append(str(told["text"]))
            seconds += [str(told["second"])] if "second" in told else []
        except (ValueError, KeyError, TypeError):
            return None
    if not rows:
        return None
    beside = tuple(seconds) if len(seconds) == len(texts) else None
    return Answers(tuple(rows), tuple(texts), np.asarray(labels, dtype=np.int64), np.asarray(chances), tuple(classes), beside)


def confidence_of(told: Answers, *, temperature: float = 1.0, seed: int = 0) -> Confidence:
    """Everything known of these answers' confidence, once cooled by `temperature`."""
    chances = cooled(told.probabilities, temperature)
    sure, right = chances.max(axis=1), predicted_classes(chances) == told.labels
    bins = binned(sure, right)
    return Confidence(
        rows=len(sure),
        accuracy=float(right.mean()),
        mean_confidence=float(sure.mean()),
        error=calibration_error(bins),
        error_by_chance=error_by_chance(sure, seed=seed),
        bins=bins,
        silence=tuple(silence_at(sure, right, at / STEPS) for at in range(STEPS + 1)),
        curves=tuple(curve(name, told.labels == at, chances[:, at]) for at, name in enumerate(told.classes) if (told.labels == at).any()),
        temperature=temperature,
    )


# Calibration


def _bin_of(sure: Floats, bins: int) -> NDArray[np.intp]:
    """Bins are open below and closed above, as Guo et al. have them: a confidence of 1 belongs to the last."""
    return np.clip(np.ceil(sure * bins).astype(np.intp) - 1, 0, bins - 1)


def binned(sure: Floats, right: NDArray[np.bool_], *, bins: int = BINS) -> tuple[Bin, ...]:
    """The rows by confidence, in bins of equal width; empty ones are left out."""
    place = _bin_of(sure, bins)
    return tuple(
        Bin(at / bins, (at + 1) / bins, int(here.sum()), float(sure[here].mean()), float(right[here].mean()))
        for at in range(bins)
        if (here := place == at).any()
    )


def calibration_error(bins: Sequence[Bin]) -> float:
    """How far confidence and share of right rows lie apart, on average over the rows."""
    rows = sum(one.rows for one in bins)
    return sum(one.rows * abs(one.right - one.confidence) for one in bins) / rows if rows else 0.0


def error_by_chance(sure: Floats, *, bins: int = BINS, seed: int = 0, draws: int = DRAWS) -> float:
    """The calibration error that a perfectly calibrated model with these confidences exceeds in 5 of 100 tests of this size."""
    place, dice = _bin_of(sure, bins), np.random.default_rng(seed)
    member = np.zeros((len(sure), bins))
    member[np.arange(len(sure)), place] = 1.0
    surplus = np.empty(draws)
    at_once = max(1, 2_000_000 // len(sure))  # rows drawn at a time, within some tens of megabytes
    for start in range(0, draws, at_once):
        drawn = dice.random((min(at_once, draws - start), len(sure))) < sure
        surplus[start : start + len(drawn)] = np.abs((drawn - sure) @ member).sum(axis=1) / len(sure)
    return float(np.percentile(surplus, 95))


# Temperature


def cooled(probabilities: Chances, temperature: float) -> Floats:
    """The probabilities as softmax(logits / temperature) gives them; the predicted class never changes."""
    logs = np.log(np.maximum(probabilities.astype(np.float64), SMALLEST_PROBABILITY))
    if temperature == 1.0:
        return probabilities.astype(np.float64)
    powers = np.exp((logs - logs.max(axis=1, keepdims=True)) / temperature)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float64)


def fitted_temperature(labels: Whole, probabilities: Chances) -> float | None:
    """The temperature with the least loss on these rows, which must not be test rows (Guo et al. 2017, section 4.2).

    The loss is convex in 1 / temperature, so the root of its slope is found by halving. None where the rows cannot tell: they are
    few, all right (the lower the better, without end) or no better than guessing (the higher the better).
    """
    if len(labels) < FEWEST_TO_FIT:
        return None
    logs = np.log(np.maximum(probabilities.astype(np.float64), SMALLEST_PROBABILITY))
    of_label = logs[np.arange(len(labels)), labels].mean()

    def slope(temperature: float) -> float:  # of the loss over 1 / temperature
        return float((cooled(probabilities, temperature) * logs).sum(axis=1).mean() - of_label)

    low, high = LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE
    if slope(low) <= 0 or slope(high) >= 0:
        return None
    for _ in range(50):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return math.sqrt(low * high)


# Staying silent


def silence_at(sure: Floats, right: NDArray[np.bool_], threshold: float) -> Silence:
    """What is answered at this confidence or above, and how much of it is right, with its 95 % interval."""
    kept = sure >= threshold
    answered = int(kept.sum())
    return Silence(threshold, answered, answered / len(sure), share_of(int(right[kept].sum()), answered) if answered else None)


def share_of(part: int, whole: int) -> Interval:
    """part / whole with Wilson's 95 % score interval (Wilson 1927)."""
    share = part / whole
    middle = (share + Z**2 / (2 * whole)) / (1 + Z**2 / whole)
    reach = Z * math.sqrt(share * (1 - share) / whole + Z**2 / (4 * whole**2)) / (1 + Z**2 / whole)
    return Interval(share, max(0.0, middle - reach) if part else 0.0, min(1.0, middle + reach) if part < whole else 1.0)


# Precision over recall


def curve(label: str, truly: NDArray[np.bool_], chance: Floats) -> Curve:
    """Precision and recall of one class at every threshold, thinned to what a picture can show; average precision from all of them."""
    order = np.argsort(-chance, kind="stable")
    hits, last = np.cumsum(truly[order]), np.append(np.diff(chance[order]) != 0, True)  # rows of equal chance come together
    found, given = hits[last], np.flatnonzero(last) + 1
    recall, precision = found / truly.sum(), found / given
    average = float((np.diff(recall, prepend=0.0) * precision).sum())
    shown = np.unique(np.linspace(0, len(recall) - 1, min(CURVE_POINTS, len(recall))).astype(int))
    return Curve(label, int(truly.sum()), average, tuple(map(float, recall[shown])), tuple(map(float, precision[shown])))
