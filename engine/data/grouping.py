"""Whole groups into parts: as near to the shares, and to each class's share, as the groups allow. Pure, the same on every machine.

The largest groups are placed first, each where it brings the parts' class counts nearest to what they should be, as
scikit-learn's StratifiedGroupKFold does for parts of one size; here the parts' shares may differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Counts = dict[int, dict[int, int]]  # group -> class -> rows


def parts_of_groups(
    groups: NDArray[np.int32], classes: NDArray[np.int32], shares: Sequence[float], draw: Callable[[int], bytes]
) -> NDArray[np.int32]:
    """The part of each row, 0 for the first share. `draw` decides between groups of one size.

    Every part gets a group where there are as many; the last part holds every class that stands in two groups or more.
    """
    counts = _counts(groups, classes)
    whole = {int(number): int(rows) for number, rows in zip(*np.unique(classes, return_counts=True), strict=True)}
    have = [dict.fromkeys(whole, 0) for _ in shares]
    part: dict[int, int] = {}
    for group in sorted(counts, key=lambda one: (-sum(counts[one].values()), draw(one))):
        told = counts[group]
        # Of sum over classes of (have + rows - wanted)² / (class size x share), what changes when the group goes to this part.
        costs = [
            sum(rows * (2 * (have[at][name] - share * whole[name]) + rows) / whole[name] for name, rows in told.items()) / share
            for at, share in enumerate(shares)
        ]
        _put(group, costs.index(min(costs)), part, have, counts)
    _fill_empty(part, have, counts, len(shares))
    _give_last_every_class(part, have, counts, len(shares) - 1)
    return np.array([part[int(group)] for group in groups], dtype=np.int32)


def _counts(groups: NDArray[np.int32], classes: NDArray[np.int32]) -> Counts:
    found: Counts = {}
    pairs, rows = np.unique(np.stack([groups, classes]), axis=1, return_counts=True)
    for group, name, count in zip(pairs[0].tolist(), pairs[1].tolist(), rows.tolist(), strict=True):
        found.setdefault(group, {})[name] = count
    return found


def _put(group: int, at: int, part: dict[int, int], have: list[dict[int, int]], counts: Counts) -> None:
    before = part.get(group)
    part[group] = at
    for name, rows in counts[group].items():
        have[at][name] += rows
        if before is not None:
            have[before][name] -= rows


def _fill_empty(part: dict[int, int], have: list[dict[int, int]], counts: Counts, parts: int) -> None:
    """A part without a group takes the smallest one of a part that has another."""
    for at in range(parts):
        sizes = Counter(part.values())
        if sizes[at]:
            continue
        spare = [one for one, where in part.items() if sizes[where] > 1]
        if spare:
            _put(min(spare, key=lambda one: (sum(counts[one].values()), one)), at, part, have, counts)


def _give_last_every_class(part: dict[int, int], have: list[dict[int, int]], counts: Counts, last: int) -> None:
    """What is not in the training rows cannot be learnt: a class that is missing there gets its smallest group back."""
    for name in have[last]:
        if have[last][name]:
            continue
        sizes = Counter(part.values())
        there = [one for one in counts if name in counts[one] and sizes[part[one]] > 1]
        if there:
            _put(min(there, key=lambda one: (sum(counts[one].values()), one)), last, part, have, counts)
