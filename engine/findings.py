"""What a study of one method says: how sure its figure is (folds), whether more rows would help (shares), or made ones did. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine import scoring, verdict
from engine.comparison import STUDENT, Advice, Answers, Candidate, difference
from engine.evaluate import Evaluation, seen_by
from engine.scoring import BaselineScore, Interval
from engine.varied import Varies
from engine.verdict import percent

NOTHING_YET = "There is nothing to say yet: too few runs have been judged on the test rows."
LITTLE = 0.01  # of macro F1: where the last step of a curve brings surely less, more rows bring little


@dataclass(frozen=True)
class Arm:
    """A line of the study that is judged: its id, name, rows learnt from, and its runs' verdicts."""

    candidate: Candidate
    judged: tuple[Evaluation, ...]


def advise(varies: Varies, arms: Sequence[Arm], unfinished: int) -> Advice:
    """The paragraph over the table. `unfinished`: arms that are not judged yet."""
    if not arms or (varies != "folds" and len(arms) < 2):
        return Advice("", "", (), (), (NOTHING_YET,))
    candidates = [arm.candidate for arm in arms]
    match varies:
        case "folds":
            told = over_folds([arm.judged[0] for arm in arms])
        case "made":
            return _made(candidates[0], candidates[-1])
        case _:
            told = curve(candidates)
    return Advice("", "", tuple(arm.candidate.method for arm in arms), (), (*told, *left(unfinished)))


def left(unfinished: int) -> tuple[str, ...]:
    """What is said of runs that are not judged yet."""
    return () if not unfinished else (f"{unfinished} {'run is' if unfinished == 1 else 'runs are'} not judged yet; this may change.",)


# Folds


def over_folds(folds: Sequence[Evaluation]) -> tuple[str, ...]:
    """Mean and spread over the folds, and the verdict on all rows together."""
    told = []
    if len(folds) > 1:
        values = [one.accuracy.value for one in folds]
        right, balanced = mean_over_folds(values), mean_over_folds([one.macro_f1.value for one in folds])
        told.append(
            f"{verdict.with_interval(right)} right on average over {len(folds)} folds, macro F1 {verdict.with_interval(balanced)}; "
            f"the folds lie between {percent(min(values))} and {percent(max(values))}."
        )
    matrix = np.sum([one.confusion for one in folds], axis=0).astype(np.int64)
    accuracy, macro_f1 = scoring.intervals(matrix)
    rows = int(matrix.sum())
    every = verdict.sentence(rows, accuracy, macro_f1, pooled(folds), uneven=False, seen_rows=max(map(seen_by, folds)))
    told.append(f"All folds together: {every}" if len(folds) > 1 else every)
    if len(folds) > 1:
        told.append("The first interval is for a model trained on so many rows, the second for these very rows.")
    return tuple(told)


def mean_over_folds(values: Sequence[float], bounds: tuple[float, float] = (0.0, 1.0)) -> Interval:
    """The mean over folds with its 95 % interval, which stays within the bounds.

    The folds share training rows, so their variance alone is too small; it is widened by test over training rows, 1 / (folds - 1), as in
    Nadeau & Bengio 2003, Inference for the Generalization Error, https://doi.org/10.1023/A:1024068626366.
    """
    mean, count = statistics.fmean(values), len(values)
    half = STUDENT[min(count - 1, max(STUDENT))] * statistics.stdev(values) * math.sqrt(1 / count + 1 / (count - 1))
    return Interval(mean, max(bounds[0], mean - half), min(bounds[1], mean + half))


def pooled(folds: Sequence[Evaluation]) -> tuple[BaselineScore, ...]:
    """Each baseline over all folds, against the model on the same rows."""
    found, rows = [], sum(fold.rows for fold in folds)
    for first in folds[0].baselines:
        same = [(one, fold.rows) for fold in folds for one in fold.baselines if one.id == first.id]
        only_model, only_baseline = sum(one.only_model_right for one, _ in same), sum(one.only_baseline_right for one, _ in same)
        found.append(
            replace(
                first,
                accuracy=sum(one.accuracy * count for one, count in same) / max(1, rows),
                macro_f1=sum(one.macro_f1 * count for one, count in same) / max(1, rows),
                only_model_right=only_model,
                only_baseline_right=only_baseline,
                p_value=scoring.compare(only_model, only_baseline),
                macro_f1_gain=mean_of([one.macro_f1_gain for one, _ in same]),
            )
        )
    return tuple(found)


def mean_of(gains: Sequence[Interval]) -> Interval:
    """The mean of the values and of both bounds."""
    return Interval(
        statistics.fmean(one.value for one in gains),
        statistics.fmean(one.low for one in gains),
        statistics.fmean(one.high for one in gains),
    )


# With and without rows made from the others


def _made(without: Candidate, more: Candidate) -> Advice:
    """Whether the made rows helped, with the difference and its interval."""
    seeds = sorted(without.answers.keys() & more.answers.keys())
    found = difference(more.method, without.method, [(more.answers[seed], without.answers[seed]) for seed in seeds], 1)
    gain = gain_of(more, without)
    both = f"{percent(more.quality.value)} with them, {percent(without.quality.value)} without"
    if gain is None:
        told: tuple[str, ...] = ("The runs were judged on different test rows, so whether the made rows helped cannot be told.",)
        return Advice("", "", (without.method, more.method), (), told)
    did, low, high = ("raised", gain.low, gain.high) if gain.value >= 0 else ("lowered", -gain.high, -gain.low)
    points = f"{did} macro F1 by {abs(100 * gain.value):.1f} points ({100 * low:.1f} to {100 * high:.1f})"
    rows = len(next(iter(without.answers.values())).labels)
    each = "" if len(seeds) < 2 else f", the mean over {len(seeds)} seeds"
    if found.better == more.method:
        says = "They help: keep them."
    elif found.better == without.method:
        says = "They harm: leave them out."
    elif gain.low > 0 or gain.high < 0:
        says = "But the seeds, or the two tests below, do not agree on it: try more seeds before you decide."
    else:
        says = f"That is within noise on {rows:,} test rows, so leave them out unless more seeds or rows say otherwise."
    lead = f"The made rows {points}{each}. {says}"
    how = "Told apart on the same test rows by McNemar's exact test of the rows right or a paired bootstrap of macro F1, at 5 % over both"
    how += "." if len(seeds) < 2 else ", and the same with every seed."
    best = more.method if found.better == more.method else without.method
    alike = (without.method, more.method) if not found.better else (best,)
    return Advice("", best, alike, (found,), (lead, f"Macro F1: {both}.", how))


# Shares of the training rows


def curve(shares: Sequence[Candidate]) -> tuple[str, ...]:
    """Whether more rows would help, by what the last step of the curve brought. From the smallest share to the largest."""
    last, before = shares[-1], shares[-2]
    listed = ", ".join(f"{percent(one.quality.value)} with {one.name}" for one in shares)
    gain = gain_of(last, before)
    if gain is None:
        return (f"Macro F1: {listed}.", "The runs were judged on different test rows, so the gain cannot be told.")
    low, high = 100 * gain.low, 100 * gain.high
    did = "gained" if gain.value >= 0 else "lost"
    step = f"From {_plain(before.name)} to {last.name} it {did} {abs(100 * gain.value):.1f} points ({low:.1f} to {high:.1f})"
    if gain.low > 0:
        told = "more rows would probably still help."
    elif gain.high < LITTLE:
        told = "more rows of this kind would bring little; better labels or another model may bring more."
    else:
        rows = len(next(iter(last.answers.values())).labels)
        told = f"that is within noise on {rows:,} test rows, so whether more rows would help cannot be told."
    return (f"{step}: {told}", f"Macro F1: {listed}.")


def _plain(name: str) -> str:
    """50 % out of "50 % of the rows"."""
    return name.removesuffix(" of the rows")


def gain_of(one: Candidate, other: Candidate) -> Interval | None:
    """How far the first one's macro F1 lies above the other's on the same test rows; over seeds the mean. None where none can be paired."""
    gains = [
        scoring.gain(ours.labels, ours.predicted, theirs.predicted, ours.classes)
        for seed in sorted(one.answers.keys() & other.answers.keys())
        if _same_rows(ours := one.answers[seed], theirs := other.answers[seed])
    ]
    return mean_of(gains) if gains else None


def _same_rows(ours: Answers, theirs: Answers) -> bool:
    return len(ours.labels) == len(theirs.labels) and bool((ours.labels == theirs.labels).all()) and ours.classes == theirs.classes
