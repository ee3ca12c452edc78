"""Which labels are likely wrong, from probabilities that were given by models that had not seen the rows. Pure; numpy only.

Confident learning (Northcutt, Jiang & Chuang 2021, https://arxiv.org/abs/1911.00068): a class's threshold is the mean probability of
that class among the rows labelled with it. A row that reaches another class's threshold, and whose most probable class is not its
label, is suspect; the larger the gap between the two probabilities, the more. The same rows as cleanlab's
`find_label_issues(filter_by="confident_learning", return_indices_ranked_by="normalized_margin")`, which would bring pandas and
scikit-learn into the page's process for these few lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.scoring import Chances

NEAR = 1e-6  # a threshold is reached from here on, so that rounding decides nothing


@dataclass(frozen=True)
class Suspect:
    """A row whose label is likely wrong, and what it may be."""

    place: int  # in the rows that were looked at
    suggested: int  # class id
    margin: float  # probability of the label less that of the suggested class; the lower, the more suspect


def suspects(labels: Sequence[int], probabilities: Chances) -> tuple[Suspect, ...]:
    """The suspect rows, the most suspect first. `probabilities` is (rows, classes), from models that had not seen these rows."""
    truth = np.asarray(labels, dtype=np.int64)
    if not len(truth):
        return ()
    chances = np.asarray(probabilities, dtype=np.float64)
    rows = np.arange(len(truth))
    counts = np.bincount(truth, minlength=chances.shape[1])
    sums = np.bincount(truth, weights=chances[rows, truth], minlength=chances.shape[1])
    thresholds = np.divide(sums, counts, out=np.full(len(counts), np.inf), where=counts > 0)
    confident = np.where(chances >= thresholds - NEAR, chances, -1.0)
    suggested = confident.argmax(axis=1)
    doubted = (confident[rows, suggested] >= 0) & (suggested != truth) & (chances.argmax(axis=1) != truth)
    margins = chances[rows, truth] - chances[rows, suggested]
    found = np.flatnonzero(doubted)
    return tuple(Suspect(int(at), int(suggested[at]), float(margins[at])) for at in found[np.argsort(margins[found], kind="stable")])
