"""Rows for training, validation and test: stratified, seeded, the same on every machine; and the texts and labels themselves.

`split_sizes` is arithmetic over class counts: the preview knows the sizes before a row is moved, and `split_rows` keeps to them.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from engine.data.profile import fingerprint, inspect
from engine.data.rows import Usable, pooled, usable
from engine.data.sources import LIMIT_BYTES, load
from engine.errors import Problem, Refused
from engine.knobs import knob
from engine.spec import DataSpec


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
    clean_html: bool = knob(True, label="Clean <br /> tags", help="Turns the line-break tags that web pages leave in texts into a space.")


@dataclass(frozen=True)
class Rows:
    """One part of the data."""

    texts: list[str]
    labels: list[int]  # class ids: places in Prepared.classes
    numbers: list[int]  # each row's number in its source, 1 the first below the header


@dataclass(frozen=True)
class Prepared:
    """Everything that training and evaluation read."""

    classes: tuple[str, ...]  # names; the index is the class id
    train: Rows
    validation: Rows
    test: Rows
    sha256: str  # as DataFacts.sha256
    notes: tuple[str, ...]


def class_names(classes: Iterable[str]) -> tuple[str, ...]:
    """The names in the order of their ids: alphabetical, so that it does not hang on the order of the rows."""
    return tuple(sorted(classes))


def check(classes: dict[str, int], split: Split) -> tuple[Problem, ...]:
    """What keeps these classes from being split so: too few rows for all of them to be learnt, checked and tested."""
    needed = 3 * len(classes)
    if split.max_rows is None or split.max_rows >= needed:
        return ()
    message = f"At most {split.max_rows:,} rows are too few for {len(classes):,} classes: 3 of each are needed."
    return (Problem("settings.max_rows", message, f"Set max_rows to {needed:,} or more, or leave it empty."),)


def split_sizes(classes: dict[str, int], given_test: int | None, split: Split, resplit: bool) -> dict[str, int]:
    """Rows of "train", "validation" and "test", from the usable rows of each class. With `resplit`, `classes` counts the pooled rows."""
    given = given_test if not resplit else None
    parts = _parts(thinned(classes, split.max_rows), split, has_test=given is not None)
    sizes = {name: sum(counts.values()) for name, counts in parts.items()}
    if given is not None:
        sizes["test"] = given if split.max_rows is None else min(given, split.max_rows)
    return sizes


def split_rows(labels: Sequence[str], split: Split, *, has_test: bool = False) -> dict[str, list[int]]:
    """Places in `labels` for "train", "validation" and "test" (empty if `has_test`: one is given), each ascending.

    Every class with 3 rows or more stands in every part.
    """
    places: dict[str, list[int]] = {}
    for place in picked(labels, split.max_rows, split.split_seed):
        places.setdefault(labels[place], []).append(place)
    parts = _parts({name: len(of_class) for name, of_class in places.items()}, split, has_test=has_test)
    chosen: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for name, of_class in places.items():
        drawn = sorted(of_class, key=lambda place: _draw(split.split_seed, "split", place))
        test, validation = parts["test"][name], parts["validation"][name]
        chosen["test"] += drawn[:test]
        chosen["validation"] += drawn[test : test + validation]
        chosen["train"] += drawn[test + validation :]
    return {name: sorted(part) for name, part in chosen.items()}


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


def thinned(classes: dict[str, int], most: int | None) -> dict[str, int]:
    """Rows of each class when at most `most` are used: in proportion, but 3 of each that has them where there is room."""
    whole = sum(classes.values())
    if most is None or whole <= most:
        return dict(classes)
    floor = min(3, most // len(classes))
    return _shared_out(classes, most / whole, most, {name: (min(floor, count), count) for name, count in classes.items()})


def _parts(classes: dict[str, int], split: Split, *, has_test: bool) -> dict[str, dict[str, int]]:
    """Rows of each class in each part. A class of 2 goes to training and to the test, or to training and validation if that is given."""
    whole = sum(classes.values())
    none = dict.fromkeys(classes, 0)
    test = none if has_test else _shared_out(
        classes, split.test_share, round(whole * split.test_share), {name: _bounds(count, 2) for name, count in classes.items()}
    )  # fmt: skip
    left = {name: classes[name] - test[name] for name in classes}
    validation = _shared_out(
        classes, split.validation_share, round(whole * split.validation_share), {name: _bounds(count, 1) for name, count in left.items()}
    )
    return {"train": {name: left[name] - validation[name] for name in classes}, "validation": validation, "test": test}


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


def prepare(
    data: DataSpec,
    split: Split,
    *,
    home: Path,
    token: str | None = None,
    limit_bytes: int = LIMIT_BYTES,
    text: str | None = None,
    label: str | None = None,
) -> Prepared:
    """Texts and class ids of every part; `text` and `label` are the columns that were decided on. Raises Refused as `profile` does."""
    table, test = load(data, home=home, token=token, limit_bytes=limit_bytes)
    data = replace(data, text=text or data.text, label=label or data.label)
    facts, problems = inspect(table, test, data, clean_html=split.clean_html)
    problems += check(facts.classes, split)
    if any(problem.severity == "error" for problem in problems):
        raise Refused(*problems)
    rows = usable(table, facts.text, facts.label, clean_html=split.clean_html)
    given = usable(test, facts.text, facts.label, clean_html=split.clean_html) if test is not None else None
    if given is not None and data.resplit:
        rows, given = pooled(rows, given), None
    classes = class_names(facts.classes)
    names = rows.labels.to_pylist()
    parts = split_rows(names, split, has_test=given is not None)
    ids = {name: number for number, name in enumerate(classes)}
    train, validation, tested = (_rows(rows, parts[part], ids) for part in ("train", "validation", "test"))
    if given is not None:
        tested = _rows(given, picked(given.labels.to_pylist(), split.max_rows, split.split_seed), ids)
    return Prepared(classes, train, validation, tested, fingerprint(table, test), facts.notes)


def _rows(rows: Usable, places: list[int], ids: dict[str, int]) -> Rows:
    at = pa.array(places, pa.int64())
    labels = [ids[name] for name in rows.labels.take(at).to_pylist()]
    return Rows(rows.texts.take(at).to_pylist(), labels, rows.numbers.take(at).to_pylist())
