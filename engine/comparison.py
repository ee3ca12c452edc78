"""What a comparison of methods says: figures over seeds, how steady the loss was, what differs by more than chance, what to take. Pure.

Leaves to `study` what is compared, and to `studies` where the runs' records come from.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from engine import scoring
from engine.scoring import Interval
from engine.verdict import CHANCE, FEW_ROWS, p_words, percent

# Student's t, 97.5 % quantile, for 1 to 19 degrees of freedom (two to five seeds, two to twenty folds), as in any table of it.
STUDENT = {
    1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228, 11: 2.201, 12: 2.179,
    13: 2.160, 14: 2.145, 15: 2.131, 16: 2.120, 17: 2.110, 18: 2.101, 19: 2.093,
}  # fmt: skip
FEWEST_SEEDS = 3  # below which Student's t says nothing of use
SPIKE = 4.0  # spreads that one step must rise by; of changes that are normally distributed 1 in 30,000 does
SPIKE_SHARE = 0.1  # of the mean loss that it must rise by at least, so that a smooth curve has no spikes
DIVERGED = 1.2  # times the loss of the first fifth of the steps
NORMAL = 1.4826  # a normal distribution's standard deviation over its median absolute deviation
NORMAL_95 = 1.96  # standard deviations to either side that hold 95 % of a normal distribution
FEWEST_STEPS = 5  # after the warm-up, below which nothing is said of stability
TESTS = 2  # of each pair of methods: of rows right, and of macro F1
EDGE = 0.05  # below this saving of memory and minutes together, a lighter method is not worth naming


@dataclass(frozen=True)
class Stability:
    """How steady a loss curve was. Shares of the mean loss after the warm-up."""

    spread: float  # of the change from step to step: its median absolute deviation as a standard deviation, over the mean loss
    spikes: int  # rises above `threshold` in one step
    threshold: float  # share of the mean loss
    diverged: bool  # the last fifth lies above the first fifth by more than DIVERGED says, or a loss was no number


def stability(losses: Sequence[float], warmup: int) -> Stability | None:
    """How steady these losses, one a step from the first on, were after the warm-up; None where too few came after it.

    The spread is robust, so that the spikes that it is to tell do not widen it. Divergence is judged over all steps, warm-up included.
    """
    finite = [loss for loss in losses if math.isfinite(loss)]
    after = [loss for loss in losses[warmup:] if math.isfinite(loss)]
    if len(after) < FEWEST_STEPS:
        return None
    mean = sum(after) / len(after)
    changes = [later - earlier for earlier, later in itertools.pairwise(after)]
    middle = statistics.median(changes)
    spread = NORMAL * statistics.median(abs(one - middle) for one in changes)
    if mean <= 0:
        return Stability(0.0, 0, SPIKE_SHARE, len(finite) < len(losses))
    threshold = max(SPIKE * spread / mean, SPIKE_SHARE)
    fifth = max(1, len(finite) // 5)
    first, last = sum(finite[:fifth]) / fifth, sum(finite[-fifth:]) / fifth
    diverged = len(finite) < len(losses) or last > DIVERGED * first
    return Stability(spread / mean, sum(one > threshold * mean for one in changes), threshold, diverged)


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % interval, and where that comes from."""

    value: float
    low: float
    high: float
    basis: Literal["rows", "range", "seeds"]  # one run's rows drawn again; or the wider of that and of the seeds' range or spread


def over_seeds(figures: Sequence[Interval], bounds: tuple[float, float] = (0.0, 1.0)) -> Figure | None:
    """The mean of the seeds' figures with its interval; of one seed its own bootstrap interval; None where there is none.

    To each side it reaches as far as Student's t over the seeds, or as the runs' bootstrap intervals do on average where that is
    farther: the seeds share their test rows, so that what chance put there is not in their spread, and a few may agree by chance.
    Of two seeds it is the range that counts: Student's t with one degree of freedom reaches twelve deviations far, and so from 0 to 100 %.
    """
    if not figures:
        return None
    if len(figures) == 1:
        return Figure(figures[0].value, figures[0].low, figures[0].high, "rows")
    values = [one.value for one in figures]
    mean = statistics.fmean(values)
    if len(values) < FEWEST_SEEDS:
        half = max(values) - mean
    else:
        half = STUDENT[min(len(values) - 1, max(STUDENT))] * statistics.stdev(values) / math.sqrt(len(values))
    below = max(half, statistics.fmean(one.value - one.low for one in figures))
    above = max(half, statistics.fmean(one.high - one.value for one in figures))
    return Figure(mean, max(bounds[0], mean - below), min(bounds[1], mean + above), "range" if len(values) < FEWEST_SEEDS else "seeds")


@dataclass(frozen=True, eq=False)
class Answers:
    """What a run said of the test rows, as class numbers in the rows' order."""

    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    classes: int


def read_answers(lines: Sequence[Mapping[str, Any]]) -> Answers | None:
    """The answers of a predictions.jsonl, whose objects hold "row", "label" and "predicted"; None where there is no row."""
    if not lines:
        return None
    lines = sorted(lines, key=lambda one: int(one["row"]))
    names = sorted({str(one[what]) for one in lines for what in ("label", "predicted")} | set(lines[0].get("probabilities", {})))
    number = {name: at for at, name in enumerate(names)}
    labels, predicted = (np.array([number[str(one[what])] for one in lines], dtype=np.int64) for what in ("label", "predicted"))
    return Answers(labels, predicted, len(names))


@dataclass(frozen=True)
class Difference:
    """Two methods on the same test rows, with every seed that both have finished."""

    first: str
    second: str
    p_value: float  # the largest over the seeds, of McNemar's exact test on rows right
    gain: Interval | None  # of macro F1, of the seed with the smallest difference; None where no rows can be paired
    beyond_chance: bool
    better: str  # the one that is better, "" where it is within noise
    by_rows: bool = False  # McNemar's test told it, with every seed; else macro F1 did


def difference(first: str, second: str, pairs: Sequence[tuple[Answers, Answers]], comparisons: int) -> Difference:
    """Whether one is better by more than chance: with every seed, and in the same direction, either more rows right or a higher macro F1.

    The level of 5 % is shared by both tests and by so many comparisons (Bonferroni). Macro F1 is judged by its paired bootstrap, taken
    as normal; it is there for uneven classes, where a method that only ever says the largest one may have as many rows right.
    """
    level = CHANCE / (TESTS * max(1, comparisons))
    width = statistics.NormalDist().inv_cdf(1 - level / 2)
    by_rows, signs, p_values, gains = [], [], [], []
    for one, other in pairs:
        if len(one.labels) != len(other.labels) or (one.labels != other.labels).any():
            continue  # other test rows: the data was changed between the runs
        right, also = one.predicted == one.labels, other.predicted == other.labels
        only_one, only_other = int((right & ~also).sum()), int((~right & also).sum())
        p_values.append(scoring.compare(only_one, only_other))
        gains.append(scoring.gain(one.labels, one.predicted, other.predicted, one.classes))
        by_rows.append(0 if p_values[-1] >= level else 1 if only_one > only_other else -1)
        reach = width * (gains[-1].high - gains[-1].low) / (2 * NORMAL_95)
        by_f1 = 0 if abs(gains[-1].value) <= reach else 1 if gains[-1].value > 0 else -1
        signs.append(by_rows[-1] or by_f1)
    if not signs:
        return Difference(first, second, 1.0, None, False, "")
    beyond = len(set(signs)) == 1 and signs[0] != 0
    closest = min(gains, key=lambda one: abs(one.value))
    better = (first if signs[0] > 0 else second) if beyond else ""
    return Difference(first, second, max(p_values), closest, beyond, better, beyond and by_rows == signs)


class Costed(Protocol):
    """Something that learnt: how good it is, and what it took."""

    @property
    def method(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def quality(self) -> Figure: ...
    @property
    def memory_bytes(self) -> int | None: ...
    @property
    def seconds(self) -> float: ...


C = TypeVar("C", bound=Costed)


@dataclass(frozen=True)
class Candidate:
    """What of a method counts when one is to be chosen."""

    method: str
    name: str
    quality: Figure  # macro F1
    accuracy: Figure
    memory_bytes: int | None  # at the peak, measured; None: not known
    seconds: float  # of a run, measured
    answers: Mapping[int, Answers]  # by seed
    beats: Mapping[str, bool]  # baseline id -> whether it is better by more than chance with every seed
    loses: frozenset[str] = frozenset()  # names of baselines that are better by more than chance with every seed


@dataclass(frozen=True)
class Advice:
    """What to take, and why."""

    take: str  # a method's id; "" where nothing can be said, or none is worth taking
    best: str  # the method with the highest macro F1
    alike: tuple[str, ...]  # methods within noise of the best, itself included
    differences: tuple[Difference, ...]  # of the best against every other
    sentences: tuple[str, ...]


def pairs_among(methods: int) -> int:
    """How many comparisons of two share the level: all, for which of them are made is picked from the very answers that are tested."""
    return methods * (methods - 1) // 2


def advise(candidates: Sequence[Candidate], *, unfinished: int = 0, baselines: Mapping[str, float] | None = None) -> Advice:
    """The best method, and of those within noise of it the one that takes the least memory times minutes; none where none is of use.

    `baselines`: the share right of each, by its name, to be told where it is more than any method's; one that is more than each of them
    by more than chance makes all of them not worth taking.
    Of methods that are all equally good it calls one worse than the best in at most 5 % of studies (simulated with 100 to 2,000 test
    rows: 2 % with two, five and 14 methods and two classes of one size, 5 % with two methods and five classes of very different sizes).
    """
    if len(candidates) < 2:
        told = "There is nothing to choose between yet: fewer than two methods have been judged on the test rows."
        return Advice("", candidates[0].method if candidates else "", tuple(one.method for one in candidates), (), (told,))
    best = max(candidates, key=lambda one: (one.quality.value, one.accuracy.value, -one.seconds))
    others = [one for one in candidates if one is not best]
    comparisons = pairs_among(len(candidates))
    differences = tuple(difference(best.method, one.method, _pairs(best, one), comparisons) for one in others)
    worse = {one.second for one in differences if one.better == best.method}
    alike = [one for one in candidates if one.method not in worse]
    take = lightest(alike, best)
    learnt = any(one.beats.get("majority", True) for one in candidates)
    ahead = {name: share for name, share in (baselines or {}).items() if all(name in one.loses for one in candidates)}
    worth = learnt and not ahead
    sentences = (
        *(
            what(take, best, alike, _figures, lambda one: f"macro F1 {percent(one.quality.value)}")
            if worth
            else _behind(best, ahead)
            if learnt
            else _nothing(baselines or {})
        ),
        *(_above(candidates, baselines or {}) if worth else ()),
        *_noise(best, alike, [one for one in candidates if one.method in worse], differences),
        *(_ground(take, candidates) if worth else ()),
        *still_open(unfinished),
    )
    return Advice(take.method if worth else "", best.method, tuple(one.method for one in alike), differences, sentences)


def _pairs(one: Candidate, other: Candidate) -> list[tuple[Answers, Answers]]:
    return [(one.answers[seed], other.answers[seed]) for seed in sorted(one.answers.keys() & other.answers.keys())]


def lightest(alike: Sequence[C], best: C) -> C:
    """The one that costs least, where that saves enough to be worth naming; the best where what they save is not known."""
    costs = {one.method: cost for one in alike if (cost := _cost(one)) is not None}
    if best.method not in costs:
        return best
    found = min((one for one in alike if one.method in costs), key=lambda one: costs[one.method])
    return best if costs[found.method] > (1 - EDGE) * costs[best.method] else found


def _cost(one: Costed) -> float | None:
    return None if one.memory_bytes is None else max(1, one.memory_bytes) * max(0.001, one.seconds)


def _figures(one: Candidate) -> str:
    return f"macro F1 {percent(one.quality.value)}, {percent(one.accuracy.value)} right"


def what(take: C, best: C, alike: Sequence[C], figures: Callable[[C], str], figure: Callable[[C], str]) -> list[str]:
    """What to take, and what it has over the best. `figures` tells all of one's figures, `figure` the first."""
    if take is best:
        level = any(one is not best and one.quality.value == best.quality.value for one in alike)
        told = "no figure is better" if level else "the best figure"
        why = "the best of those compared" if len(alike) == 1 else f"{told}, and none that is as good within noise is lighter"
        return [f"Take {take.name}: {why} ({figures(take)})."]
    return [
        f"Take {take.name}: {best.name} has the best figure ({figure(best)}), but the difference is within noise, "
        f"and {take.name} ({figures(take)}) needs {size(take.memory_bytes or 0)} and {minutes(take.seconds)} a run "
        f"against {size(best.memory_bytes or 0)} and {minutes(best.seconds)}.",
        f"Where every point counts, take {best.name}.",
    ]


def _nothing(baselines: Mapping[str, float]) -> list[str]:
    """No method is better than the largest class."""
    alone = ", ".join(f"{name} {percent(share)}" for name, share in baselines.items())
    return [
        "None of these has learnt enough to be of use: none is better than always saying the largest class by more than chance.",
        *([f"Without any training of this kind: {alone} right."] if alone else []),
        "Compare again with more steps; if that changes nothing, the texts do not tell the labels.",
    ]


def _behind(best: Candidate, ahead: Mapping[str, float]) -> list[str]:
    """Every method is clearly worse than what takes seconds and no graphics card."""
    reached = " and ".join(f"{name} reaches {percent(share)} right" for name, share in ahead.items())
    return [
        f"None of these is worth taking yet: {reached}, and is better than each of them by more than chance.",
        f"The nearest is {best.name} (macro F1 {percent(best.quality.value)}, {percent(best.accuracy.value)} right).",
        "Compare again with more steps, or with another model.",
    ]


def _above(candidates: Sequence[Candidate], baselines: Mapping[str, float]) -> list[str]:
    """A baseline that is right more often than every method."""
    most = max(one.accuracy.value for one in candidates)
    above = [f"{name} reaches {percent(share)} right" for name, share in baselines.items() if share > most]
    return [f"But {' and '.join(above)}, more than any method here: train longer, or take another model."] if above else []


def _noise(best: Candidate, alike: Sequence[Candidate], worse: Sequence[Candidate], differences: Sequence[Difference]) -> list[str]:
    """Which differences mean something and which do not, and how that was told."""
    told = []
    names = {one.method: one.name for one in (*alike, *worse)}
    even = [f"{one.name} ({percent(one.quality.value)})" for one in alike if one is not best]
    if even:
        told.append(f"Within noise of {best.name}: {', '.join(even)}.")
    lower = [f"{names[one.second]} ({_by(one)})" for one in differences if one.better == best.method and one.second in names]
    if lower:
        told.append(f"Worse than {best.name} by more than chance: {', '.join(lower)}.")
    seeds = max(len(one.answers) for one in (*alike, *worse))
    rows = len(next(iter(best.answers.values())).labels) if best.answers else 0
    each = "" if seeds < 2 else " with every seed"
    pairs = pairs_among(len(names))
    told.append(
        f"Told apart on the same {rows:,} test rows{each} by McNemar's exact test of the rows right or a paired bootstrap of macro F1, "
        f"at 5 % over both tests{f' of all {pairs:,} pairs of methods' if pairs > 1 else ''}."
    )
    if 0 < rows < FEW_ROWS:
        told.append(f"So few test rows (under {FEW_ROWS}) tell only large differences apart.")
    return told


def _by(one: Difference) -> str:
    if one.by_rows or one.gain is None:
        return p_words(one.p_value)
    return f"macro F1 lower by {100 * one.gain.value:.1f} points"


def still_open(unfinished: int) -> list[str]:
    if not unfinished:
        return []
    return [f"{unfinished} {'method is' if unfinished == 1 else 'methods are'} not judged yet, or not with every seed; this may change."]


def _ground(take: Candidate, candidates: Sequence[Candidate]) -> list[str]:
    """How it stands against models that need no training of this kind."""
    told = []
    if not take.beats.get("majority", True):
        told.append(
            f"Mind: {take.name} is not better than always saying the largest class by more than chance: its budget was too small, or it "
            "suits these texts badly."
        )
    elif not take.beats.get("tfidf", True):
        others = "no method here does" if not any(one.beats.get("tfidf", True) for one in candidates) else "other methods here do"
        told.append(f"Mind: {take.name} does not beat TF-IDF with logistic regression by more than chance; {others}.")
    return told


def size(amount_bytes: float) -> str:
    """1.2 GB, 340 MB, 1.4 MB."""
    if amount_bytes >= 1e9:
        return f"{amount_bytes / 1e9:.1f}\u00a0GB"
    return f"{amount_bytes / 1e6:.{1 if amount_bytes < 1e7 else 0}f}\u00a0MB"


def minutes(seconds: float) -> str:
    """40 s, 3.5 min, 95 min."""
    if seconds < 60:
        return f"{seconds:.0f}\u00a0s"
    return f"{seconds / 60:.{1 if seconds < 600 else 0}f}\u00a0min"
