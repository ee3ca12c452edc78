"""Which rows are for training, validation and test: seeded, the same on every machine.

By chance every class has its share of each part; or no group stands in two parts, or the newest rows are the test, or the test is
one of several folds. `split_sizes` is arithmetic over class counts: the preview knows the sizes before a row is moved, and
`split_rows` keeps to them. For groups and times both look at the rows' Layout.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.data.grouping import parts_of_groups
from engine.data.layout import Layout
from engine.data.shares import Shares, fold_starts, rows_of_parts, thinned
from engine.knobs import knob


@dataclass(frozen=True)
class Split:
    """The knobs of splitting. Shares are of all rows that are split; a given test set is not."""

    validation_share: float = knob(
        0.1, label="Share for validation", low=0.01, high=0.4,
        help="Rows held out to see during training whether it still gains; they pick the best checkpoint. 0.1 is a tenth.",
    )  # fmt: skip
    test_share: float = knob(
        0.1, label="Share for the test", low=0.01, high=0.4,
        help="Rows seen only once, at the end, for the verdict. Not used where a test set is given. With few rows, 0.2 is surer.",
    )  # fmt: skip
    split_seed: int = knob(42, label="Seed of the split", low=0, high=2**31 - 1, help="Another number picks other rows for each part.")
    max_rows: int | None = knob(
        None, label="At most this many rows", low=20, high=100_000_000, unit="rows",
        help="Uses a part of the data, picked by chance with every class in its share. A given test set is cut to as many too. Empty: all.",
    )  # fmt: skip
    train_share: float = knob(
        1.0, label="Share of the training rows", low=0.01, high=1.0,
        help="Learns from a part of the training rows only, with the same validation and test rows: to see what more rows bring. 1 is all.",
    )  # fmt: skip
    folds: int | None = knob(
        None, label="Folds", low=2, high=20,
        help="Cuts all rows into so many parts of one size, one of which is the test. Cross-validation trains once for each. Empty: none.",
    )  # fmt: skip
    fold: int = knob(1, label="Fold that is the test", low=1, high=20, help="Which of the folds is the test of this run, from 1 on.")
    clean_html: bool = knob(True, label="Clean <br /> tags", help="Turns the line-break tags that web pages leave in texts into a space.")

    @property
    def shares(self) -> Shares:
        return Shares(self.validation_share, self.test_share, self.folds, self.fold)


def split_sizes(
    classes: dict[str, int], given_test: int | None, split: Split, resplit: bool, layout: Layout | None = None
) -> dict[str, int]:
    """Rows of "train", "validation" and "test", from the usable rows of each class. With `resplit`, `classes` counts the pooled rows.

    With `layout` the rows are looked at. Folds leave a given test set aside.
    """
    given = given_test if not resplit and split.folds is None else None
    if layout is not None:
        sizes = {name: len(places) for name, places in placed(layout, split, given is not None).items()}
    else:
        parts = rows_of_parts(thinned(classes, split.max_rows), split.shares, has_test=given is not None)
        parts["train"] = thinned(parts["train"], _kept(sum(parts["train"].values()), split))
        sizes = {name: sum(counts.values()) for name, counts in parts.items()}
    if given is not None:
        sizes["test"] = given if split.max_rows is None else min(given, split.max_rows)
    return sizes


def _kept(rows: int, split: Split) -> int | None:
    """How many of so many training rows are used; None for all."""
    return None if split.train_share >= 1 else max(1, round(rows * split.train_share))


def split_rows(labels: Sequence[str], split: Split, *, has_test: bool = False, layout: Layout | None = None) -> dict[str, list[int]]:
    """Places in `labels` for "train", "validation" and "test" (empty if `has_test`: one is given), each ascending.

    Every class with 3 rows or more stands in every part, unless groups or times (`layout`) keep it out.
    """
    if layout is not None:
        return {name: places.tolist() for name, places in placed(layout, split, has_test).items()}
    places: dict[str, list[int]] = {}
    for place in picked(labels, split.max_rows, split.split_seed):
        places.setdefault(labels[place], []).append(place)
    counts = {name: len(of_class) for name, of_class in places.items()}
    parts = rows_of_parts(counts, split.shares, has_test=has_test)
    folds = fold_starts(counts)
    chosen: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for name, of_class in places.items():
        drawn = sorted(of_class, key=lambda place: _draw(split.split_seed, "split", place))
        if split.folds is not None and not has_test:
            drawn = _fold_first(drawn, folds[name], split.folds, split.fold)
        test, validation = parts["test"][name], parts["validation"][name]
        chosen["test"] += drawn[:test]
        chosen["validation"] += drawn[test : test + validation]
        chosen["train"] += drawn[test + validation :]
    chosen["train"] = _fewer(chosen["train"], labels, split)
    return {name: sorted(part) for name, part in chosen.items()}


def _fold_first(drawn: list[int], start: int, folds: int, fold: int) -> list[int]:
    """The same, those first that come into this fold when they are dealt out one by one from `start` on."""
    first = (fold - 1 - start) % folds
    dealt = set(range(first, len(drawn), folds))
    return [drawn[at] for at in sorted(range(len(drawn)), key=lambda at: at not in dealt)]


def _fewer(train: list[int], labels: Sequence[str], split: Split) -> list[int]:
    """The share of the training rows that is used; of a larger share these are a part."""
    train = sorted(train)
    return [train[at] for at in picked([labels[place] for place in train], _kept(len(train), split), split.split_seed)]


@lru_cache(maxsize=16)  # a preview asks some thirty times about the same split
def placed(layout: Layout, split: Split, has_test: bool) -> dict[str, NDArray[np.int64]]:
    """The places of every part where the split goes by groups or by time."""
    labels = [layout.names[at] for at in layout.classes]
    used = np.array(picked(labels, split.max_rows, split.split_seed), dtype=np.int64)
    if layout.groups is not None:
        part = _of_groups(layout.groups[used], layout.classes[used], split, has_test=has_test)
    else:
        assert layout.times is not None
        part = _of_times(layout.times[used], split, has_test=has_test)
    places = {name: used[part == at] for at, name in enumerate(("test", "validation", "train"))}
    places["train"] = np.array(_fewer(places["train"].tolist(), labels, split), dtype=np.int64)
    return places


def _of_groups(groups: NDArray[np.int32], classes: NDArray[np.int32], split: Split, *, has_test: bool) -> NDArray[np.int32]:
    """0 for a test row, 1 for validation, 2 for training; no group in two of them."""

    def draw(group: int) -> bytes:
        return _draw(split.split_seed, "group", group)

    validation = split.validation_share
    if has_test:
        return 1 + parts_of_groups(groups, classes, (validation, 1 - validation), draw)
    if split.folds is None:
        return parts_of_groups(groups, classes, (split.test_share, validation, 1 - split.test_share - validation), draw)
    part = np.zeros(len(groups), dtype=np.int32)
    rest = parts_of_groups(groups, classes, (1 / split.folds,) * split.folds, draw) != split.fold - 1
    of_rest = validation * len(groups) / max(1, rest.sum())
    part[rest] = 1 + parts_of_groups(groups[rest], classes[rest], (of_rest, 1 - of_rest), draw)
    return part


def _of_times(times: NDArray[np.int64], split: Split, *, has_test: bool) -> NDArray[np.int32]:
    """0 for the newest rows, 1 for those before them, 2 for the oldest; rows of one date in the order of the source."""
    newest = np.argsort(times, kind="stable")[::-1]
    part = np.full(len(times), 2, dtype=np.int32)
    test = 0 if has_test else max(1, round(len(times) * split.test_share))
    part[newest[: test + max(1, round(len(times) * split.validation_share))]] = 1
    part[newest[:test]] = 0
    return part


def picked(labels: Sequence[str], most: int | None, seed: int) -> list[int]:
    """The places that stay when at most `most` rows are used, every class in its share; ascending."""
    if most is None or len(labels) <= most:
        return list(range(len(labels)))
    places: dict[str, list[int]] = {}
    for place, name in enumerate(labels):
        places.setdefault(name, []).append(place)
    kept = thinned({name: len(of_class) for name, of_class in places.items()}, most)
    return sorted(
        place for name, of_class in places.items() for place in sorted(of_class, key=lambda place: _draw(seed, "thin", place))[: kept[name]]
    )


def _draw(seed: int, purpose: str, place: int) -> bytes:
    """A number by chance that no machine, library or version makes otherwise; `random` promises that for `random()` alone."""
    return hashlib.blake2b(f"{seed}:{purpose}:{place}".encode(), digest_size=8).digest()
