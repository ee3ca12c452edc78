"""What a comparison of methods says of a task without classes: told apart by one figure, beside the untuned model and baselines. Pure.

Where a task gives classes, `comparison` says it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine import redrawn
from engine.comparison import Advice, Difference, Figure, lightest, pairs_among, still_open, what
from engine.criterion import UNTUNED, Criterion
from engine.redrawn import Redrawn
from engine.scoring import Interval
from engine.verdict import CHANCE, FEW_ROWS, p_words


@dataclass(frozen=True)
class Level:
    """What is reached without this training: by the untuned model or by a baseline."""

    id: str
    name: str
    quality: float
    beside: float | None = None  # the second figure


@dataclass(frozen=True)
class Ranked:
    """What of a method counts when one is to be chosen."""

    method: str
    name: str
    quality: Figure
    beside: Figure | None
    memory_bytes: int | None  # at the peak, measured; None: not known
    seconds: float  # of a run, measured
    redrawn: Mapping[int, Redrawn]  # by seed
    beats: frozenset[str] = frozenset()  # ids of levels that it is better than by more than chance, with every seed
    loses: frozenset[str] = frozenset()  # of those that are better than it, likewise


def difference(one: Ranked, other: Ranked, criterion: Criterion, comparisons: int) -> Difference:
    """Whether one is better than the other by more than chance: with every seed that both have, and in the same direction.

    A paired bootstrap over the test rows, taken as normal; the level of 5 % is shared by so many comparisons (Bonferroni).
    """
    level = CHANCE / max(1, comparisons)
    signs, p_values, gains = [], [], []
    for seed in sorted(one.redrawn.keys() & other.redrawn.keys()):
        first, second = one.redrawn[seed], other.redrawn[seed]
        gain = redrawn.gain(first, second)
        if gain is None:
            continue  # other test rows: the data was changed between the runs, or not all of the same rows were answered
        errors = redrawn.errors_apart(first, second, by_ratio=criterion.has_no_end) / small_sample(first.rows, level)
        p_values.append(2 * (1 - statistics.NormalDist().cdf(abs(errors))))
        gains.append(gain)
        signs.append(0 if p_values[-1] >= level else 1 if criterion.ahead(gain.value) > 0 else -1)
    if not signs:
        return Difference(one.method, other.method, 1.0, None, False, "")
    beyond = len(set(signs)) == 1 and signs[0] != 0
    closest = min(gains, key=lambda gain: abs(gain.value))
    return Difference(one.method, other.method, max(p_values), closest, beyond, (one if signs[0] > 0 else other).method if beyond else "")


def small_sample(rows: int, level: float) -> float:
    """By how much a bootstrap over so few rows is too sure of itself: Student's t over the normal quantile, and the bias of its variance.

    The quantile by Abramowitz & Stegun 1964, 26.7.5, its first two terms.
    """
    freedom = max(2, rows - 1)
    normal = statistics.NormalDist().inv_cdf(1 - level / 2)
    student = normal + (normal**3 + normal) / (4 * freedom) + (5 * normal**5 + 16 * normal**3 + 3 * normal) / (96 * freedom**2)
    return student / normal * math.sqrt(rows / freedom)


def advise(
    candidates: Sequence[Ranked], criterion: Criterion, beside: Criterion | None, levels: Sequence[Level], unfinished: int
) -> Advice:
    """The best method, and of those within noise of it the one that takes the least memory times minutes; none where none is of use."""
    if len(candidates) < 2:
        told = "There is nothing to choose between yet: fewer than two methods have been judged on the test rows."
        return Advice("", candidates[0].method if candidates else "", tuple(one.method for one in candidates), (), (told,))

    def figure(one: Ranked) -> str:
        return f"{criterion.in_text} {criterion.words(one.quality.value)}"

    def figures(one: Ranked) -> str:
        second = f", {beside.in_text} {beside.words(one.beside.value)}" if beside is not None and one.beside is not None else ""
        return figure(one) + second

    best = max(candidates, key=lambda one: (criterion.ahead(one.quality.value), -one.seconds))
    comparisons = pairs_among(len(candidates))
    differences = tuple(difference(best, one, criterion, comparisons) for one in candidates if one is not best)
    worse = {one.second for one in differences if one.better == best.method}
    alike = [one for one in candidates if one.method not in worse]
    take = lightest(alike, best)
    floor = next((one for one in levels if one.id == UNTUNED), levels[0] if levels else None)
    learnt = floor is None or any(floor.id in one.beats for one in candidates)
    ahead = [level for level in levels if all(level.id in one.loses for one in candidates)]
    worth = learnt and not ahead
    if worth:
        lead = [*what(take, best, alike, figures, figure), *_above(candidates, levels, criterion)]
    else:
        nothing = [*_nothing(floor, criterion, figure(best)), *_but(candidates, floor, beside)]
        lead = _behind(best, ahead, criterion, figure(best)) if ahead else nothing
    sentences = (
        *lead,
        *_noise(best, alike, candidates, differences, criterion),
        *(_ground(take, candidates, levels) if worth else ()),
        *still_open(unfinished),
    )
    return Advice(take.method if worth else "", best.method, tuple(one.method for one in alike), differences, sentences)


def _nothing(floor: Level | None, criterion: Criterion, nearest: str) -> list[str]:
    """No method has learnt anything that shows."""
    if floor is None:
        return []
    return [
        f"None of these has learnt enough to be of use: none is better than {_named(floor)} ({criterion.words(floor.quality)}) by more "
        f"than chance. The nearest reaches {nearest}.",
        "Compare again with more steps or more rows.",
    ]


def _but(candidates: Sequence[Ranked], floor: Level | None, beside: Criterion | None) -> list[str]:
    """The second figure, where by that the training did help: texts may be nearer to what was wanted, and not yet alike word by word."""
    if floor is None or floor.beside is None or beside is None:
        return []
    told = [(one.name, one.beside) for one in candidates if one.beside is not None]
    helped = [(name, one) for name, one in told if beside.ahead((one.low if beside.better == "higher" else one.high) - floor.beside) > 0]
    if not helped:
        return []
    name, best = max(helped, key=lambda each: beside.ahead(each[1].value))
    return [
        f"By {beside.in_text} the training did help: {name} reaches {beside.words(best.value)} ({beside.bounds_words(best)}), "
        f"{_named(floor)} {beside.words(floor.beside)}."
    ]


def _behind(best: Ranked, ahead: Sequence[Level], criterion: Criterion, nearest: str) -> list[str]:
    """Every method is clearly worse than what takes no training of this kind."""
    reached = " and ".join(f"{_named(one)} reaches {criterion.words(one.quality)}" for one in ahead)
    return [
        f"None of these is worth taking yet: {reached}, and is better than each of them by more than chance.",
        f"The nearest is {best.name} ({nearest}).",
        "Compare again with more steps, another preset, or another model.",
    ]


def _above(candidates: Sequence[Ranked], levels: Sequence[Level], criterion: Criterion) -> list[str]:
    """What reaches a better figure than every method."""
    most = max(criterion.ahead(one.quality.value) for one in candidates)
    above = [f"{_named(one)} reaches {criterion.words(one.quality)}" for one in levels if criterion.ahead(one.quality) > most]
    return [f"But {' and '.join(above)}, better than any method here: train longer, or take another model."] if above else []


def _named(level: Level) -> str:
    return "the untuned model" if level.id == UNTUNED else level.name


def _noise(
    best: Ranked, alike: Sequence[Ranked], candidates: Sequence[Ranked], differences: Sequence[Difference], criterion: Criterion
) -> list[str]:
    """Which differences mean something and which do not, and how that was told."""
    told, names = [], {one.method: one.name for one in candidates}
    even = [f"{one.name} ({criterion.words(one.quality.value)})" for one in alike if one is not best]
    if even:
        told.append(f"Within noise of {best.name}: {', '.join(even)}.")
    lower = [f"{names[one.second]} ({_by(one, criterion)})" for one in differences if one.better == best.method]
    if lower:
        told.append(f"Worse than {best.name} by more than chance: {', '.join(lower)}.")
    rows = next((one.rows for one in best.redrawn.values()), 0)
    each = "" if max(len(one.redrawn) for one in candidates) < 2 else " with every seed"
    pairs = pairs_among(len(candidates))
    every = f" over all {pairs:,} pairs of methods" if pairs > 1 else ""
    told.append(f"Told apart on the same {rows:,} test rows{each} by a paired bootstrap of {criterion.in_text}, at 5 %{every}.")
    if any(one.gain is None for one in differences):
        told.append("Not every pair was judged on the same rows; those count as within noise.")
    if 0 < rows < FEW_ROWS:
        told.append(f"So few test rows (under {FEW_ROWS}) tell only large differences apart.")
    return told


def _by(one: Difference, criterion: Criterion) -> str:
    return f"{criterion.apart_words(one.gain.value)}, {p_words(one.p_value)}" if one.gain else p_words(one.p_value)


def _ground(take: Ranked, candidates: Sequence[Ranked], levels: Sequence[Level]) -> list[str]:
    """How it stands against what needs no training of this kind."""
    told = []
    for level in levels:
        if level.id not in take.beats and level.id not in take.loses:
            others = "other methods here are" if any(level.id in one.beats for one in candidates) else "no method here is"
            told.append(f"Mind: {take.name} is not better than {_named(level)} by more than chance; {others}.")
    return told


# Studies of one method


def over_folds(
    figures: Sequence[Interval], mean: Interval, criterion: Criterion, levels: Sequence[Level], against: Mapping[str, Sequence[bool | None]]
) -> tuple[str, ...]:
    """Mean and spread over the folds, and in how many the model is better than each level, by its id: None where chance explains it."""
    if len(figures) < 2:
        return (f"{criterion.name} {criterion.words(figures[0].value)} on the first fold; the others are not judged yet.",)
    values = [one.value for one in figures]
    told = [
        f"{criterion.name} {criterion.words(mean.value)} ({_interval(mean, criterion)}) on average over {len(figures)} folds; "
        f"the folds lie between {criterion.words(min(values))} and {criterion.words(max(values))}."
    ]
    for level in levels:
        found, name = against.get(level.id, ()), _named(level)
        better, worse = sum(one is True for one in found), sum(one is False for one in found)
        told.append(
            f"{name[0].upper()}{name[1:]} reaches {criterion.words(level.quality)} on average; by more than chance the model is better in "
            f"{better} of {len(figures)} folds, and worse in {worse}."
        )
    return (*told, "The interval is for a model trained on so many rows.")


def curve(shares: Sequence[Ranked], criterion: Criterion, little: float) -> tuple[str, ...]:
    """Whether more rows would help, by what the last step of the curve brought. From the smallest share to the largest.

    `little`: below it, as a share of the figure, a gain is hardly worth more rows.
    """
    last, before = shares[-1], shares[-2]
    listed = f"{criterion.name}: {', '.join(f'{criterion.words(one.quality.value)} with {one.name}' for one in shares)}."
    paired = [
        gain
        for seed in sorted(last.redrawn.keys() & before.redrawn.keys())
        if (gain := redrawn.gain(last.redrawn[seed], before.redrawn[seed]))
    ]
    if not paired:
        return (listed, "The runs were judged on different test rows, so the gain cannot be told.")
    value, *ends = (statistics.fmean(criterion.ahead(getattr(one, side)) for one in paired) for side in ("value", "low", "high"))
    low, high = sorted(ends)
    did = "better" if value >= 0 else "worse"
    span = Figure(value, low, high, "rows") if value >= 0 else Figure(-value, -high, -low, "rows")
    apart = f"{criterion.apart_words(value)} ({criterion.bounds_words(span)})"
    step = f"From {before.name.removesuffix(' of the rows')} to {last.name} the {criterion.in_text} got {did} by {apart}"
    if low > 0:
        told = "more rows would probably still help."
    elif high < little * abs(before.quality.value):
        told = "more rows of this kind would bring little; better rows or another model may bring more."
    else:
        rows = next(iter(last.redrawn.values())).rows
        told = f"that is within noise on {rows:,} test rows, so whether more rows would help cannot be told."
    return (f"{step}: {told}", listed)


def _interval(one: Interval, criterion: Criterion) -> str:
    return criterion.bounds_words(Figure(one.value, one.low, one.high, "rows"))
