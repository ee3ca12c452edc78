"""How many rows of each class a part gets: arithmetic over class counts alone. Pure."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Shares:
    """Of all rows, from 0 to 1; with `folds` the test is the fold of this number, from 1 on, instead."""

    validation: float
    test: float
    folds: int | None = None
    fold: int = 1


def thinned(classes: dict[str, int], most: int | None) -> dict[str, int]:
    """Rows of each class when at most `most` are used: in proportion, but 3 of each that has them where there is room."""
    whole = sum(classes.values())
    if most is None or whole <= most:
        return dict(classes)
    floor = min(3, most // len(classes))
    return _shared_out(classes, most / whole, most, {name: (min(floor, count), count) for name, count in classes.items()})


def rows_of_parts(classes: dict[str, int], share: Shares, *, has_test: bool) -> dict[str, dict[str, int]]:
    """Rows of each class in each part. A class of 2 goes to training and to the test, or to training and validation if that is given."""
    whole = sum(classes.values())
    if has_test:
        test = dict.fromkeys(classes, 0)
    elif share.folds is not None:
        starts = fold_starts(classes)
        test = {name: _in_fold(starts[name], count, share.folds, share.fold) for name, count in classes.items()}
    else:
        bounds = {name: _bounds(count, 2) for name, count in classes.items()}
        test = _shared_out(classes, share.test, round(whole * share.test), bounds)
    left = {name: classes[name] - test[name] for name in classes}
    validation = _shared_out(
        classes, share.validation, round(whole * share.validation), {name: _bounds(count, 1) for name, count in left.items()}
    )
    return {"train": {name: left[name] - validation[name] for name in classes}, "validation": validation, "test": test}


def fold_starts(classes: dict[str, int]) -> dict[str, int]:
    """Where dealing a class out to the folds begins: where the class before it ended, so that the folds are of one size."""
    names = sorted(classes)
    return dict(zip(names, itertools.accumulate((classes[name] for name in names), initial=0), strict=False))


def _in_fold(start: int, count: int, folds: int, fold: int) -> int:
    """How many of `count` rows, dealt out one by one from `start` on, come into this fold."""
    first = (fold - 1 - start) % folds
    return 0 if first >= count else 1 + (count - 1 - first) // folds


def _bounds(count: int, spare: int) -> tuple[int, int]:
    """The fewest and the most rows that a part may take of `count` when `spare` must stay (one where there are but two)."""
    most = max(0, count - (spare if count > 2 else 1))
    return min(1, most), most


def _shared_out(classes: dict[str, int], share: float, wanted: int, bounds: dict[str, tuple[int, int]]) -> dict[str, int]:
    """`share` of each class within its bounds, `wanted` in all where the bounds allow it.

    What rounding down leaves goes to the largest remainders, ties by name; what the lower bounds took too much, the largest excess gives.
    """
    exact = {name: round(count * share, 9) for name, count in classes.items()}  # 9 digits: 100 x 0.29 is 28.999999999999996
    given = {name: min(max(math.floor(exact[name]), low), high) for name, (low, high) in bounds.items()}
    missing = wanted - sum(given.values())
    for name in sorted(classes, key=lambda name: (math.floor(exact[name]) - exact[name], name)):
        if missing > 0 and given[name] <= exact[name] and given[name] < bounds[name][1]:
            given[name] += 1
            missing -= 1
    while missing < 0 and (spare := [name for name in classes if given[name] > bounds[name][0]]):
        given[max(spare, key=lambda name: (given[name] - exact[name], name))] -= 1
        missing += 1
    return given
