"""How right the tags are that rows get: figures over rows for `resampling`, those of each tag, and the chance from which one is given.

Pure; numpy only. Wanted and given are (rows, tags) of 0 and 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.resampling import Figure, Floats, mean, ratio
from engine.told import Part

USUAL = 0.5
THRESHOLDS = tuple(round(0.05 * at, 2) for at in range(1, 20))
LEAST_GAIN = 0.005  # of micro F1 on the validation rows, for which another threshold than 0.5 is taken


def figures(given: Any, wanted: Sequence[Sequence[int]]) -> tuple[Figure, ...]:
    """Micro and macro F1, exactly right rows, Hamming loss, micro precision and recall, as scikit-learn counts them (0 for 0 of 0)."""
    hits, told, there = _sums(given, wanted)
    tags = max(1, there.shape[1])
    rows = np.stack([hits.sum(axis=1), told.sum(axis=1), there.sum(axis=1)], axis=1)
    wrong = (told + there - 2 * hits).sum(axis=1)
    each = np.concatenate([hits, told, there], axis=1)
    return (
        Figure(
            "micro_f1", "Micro F1", "higher",
            "Of all tags of all rows together: the harmonic mean of how many given ones are right and how many there are found.",
            rows, _micro,
        ),
        Figure(
            "macro_f1", "Macro F1", "higher",
            "The mean over the tags of each one's F1, so that a rare tag counts as much as a common one; a tag that is neither given nor "
            "there counts 0.",
            each, _macro,
        ),
        mean(
            "exact", "Exactly right", (wrong == 0).astype(np.float64), better="higher",
            note="Share of the rows all of whose tags are right (subset accuracy).",
        ),
        mean(
            "hamming", "Wrong tags", wrong / tags, better="lower",
            note="Share of all yes and no about tags that is wrong (Hamming loss).",
        ),
        Figure("micro_precision", "Right of those given", "higher", "Micro precision.", rows[:, :2], ratio),
        Figure("micro_recall", "Found of those there", "higher", "Micro recall.", rows[:, [0, 2]], ratio),
    )  # fmt: skip


def parts(given: Any, wanted: Sequence[Sequence[int]], tags: Sequence[str]) -> tuple[Part, ...]:
    """Precision, recall and F1 of each tag, 0 where there is nothing to divide by."""
    hits, told, there = (one.sum(axis=0) for one in _sums(given, wanted))
    return tuple(
        Part(name, _share(hits[at], told[at]), _share(hits[at], there[at]), _share(2 * hits[at], told[at] + there[at]),
             int(there[at]), int(told[at]))
        for at, name in enumerate(tags)
    )  # fmt: skip


def threshold(chances: Any, wanted: Sequence[Sequence[int]]) -> float:
    """The chance from which a tag is given: that with the best micro F1 on these rows; 0.5 where no other is clearly better."""
    told = np.asarray(chances, dtype=np.float64)
    if not told.size:
        return USUAL
    found = {one: float(_micro(_rows(told >= one, wanted))[0]) for one in (*THRESHOLDS, USUAL)}
    best = max(found, key=lambda one: (found[one], -abs(one - USUAL)))
    return best if found[best] > found[USUAL] + LEAST_GAIN else USUAL


def average_precision(chances: Any, wanted: Sequence[Sequence[int]]) -> float:
    """How well chances put the tags that are there before those that are not, over all rows and tags: 1 where all of them stand first.

    The micro-averaged average precision of scikit-learn. It moves where micro F1 does not yet, while the best that can be done with
    chances is to give every row the commonest tags: on 1,600 questions with ten tags (MiniLM, LoRA) it rose from each of ten checks to
    the next, while F1 and the loss first went up and down.
    """
    told, there = np.asarray(chances, dtype=np.float64).ravel(), np.asarray(wanted, dtype=np.float64).ravel()
    if not there.any():
        return 0.0
    order = np.argsort(-told, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(told[order])), len(order) - 1)  # equal chances count together
    hits = np.cumsum(there[order])[ends]
    return float((np.diff(hits, prepend=0.0) * hits / (ends + 1)).sum() / there.sum())


def _rows(given: Any, wanted: Sequence[Sequence[int]]) -> Floats:
    return np.stack([one.sum() for one in _sums(given, wanted)])[None, :]


def _sums(given: Any, wanted: Sequence[Sequence[int]]) -> tuple[Floats, Floats, Floats]:
    """Right, given and there, each (rows, tags)."""
    there = np.asarray(wanted, dtype=np.float64).reshape(len(wanted), -1)
    told = np.asarray(given, dtype=np.float64).reshape(there.shape)
    return told * there, told, there


def _micro(sums: Floats) -> Floats:
    return ratio(np.stack([2 * sums[:, 0], sums[:, 1] + sums[:, 2]], axis=1))


def _macro(sums: Floats) -> Floats:
    hits, told, there = np.split(sums, 3, axis=1)
    each = np.divide(2 * hits, told + there, out=np.zeros_like(hits), where=told + there > 0)
    return np.asarray(each.mean(axis=1))


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
