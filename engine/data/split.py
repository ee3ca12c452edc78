"""Rows for training, validation and test: seeded, the same on every machine; and the texts and labels themselves.

By chance every class has its share of each part; or no group stands in two parts, or the newest rows are the test, or the test is
one of several folds. `split_sizes` is arithmetic over class counts: the preview knows the sizes before a row is moved, and
`split_rows` keeps to them. For groups and times both look at the rows' Layout.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.data import corrected, tags
from engine.data.chosen import with_own_names
from engine.data.fixes import mended, reshaped
from engine.data.grouping import parts_of_groups
from engine.data.layout import Layout, beside, laid_out
from engine.data.numbers import Scale
from engine.data.profile import fingerprint, inspect
from engine.data.rows import Usable, pooled, usable
from engine.data.shares import Shares, fold_starts, rows_of_parts, thinned
from engine.data.sources import LIMIT_BYTES, load
from engine.data.table import Table, listed
from engine.data.texts import Texts
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


@dataclass(frozen=True)
class Rows:
    """One part of the data."""

    texts: list[str]
    labels: list[int]  # class ids: places in Prepared.classes
    numbers: list[int]  # each row's number in its source, 1 the first below the header
    second: list[str] | None = None  # what stands beside the text: a context, an input, the other of a pair
    answers: list[str] | None = None  # texts to be written; `labels` say nothing then
    values: list[float] | None = None  # numbers to be learnt; likewise
    tags: list[tuple[int, ...]] | None = None  # 1 for each tag of Prepared.classes that the row has, else 0; likewise

    @property
    def targets(self) -> list[Any]:
        """What is learnt of each row: a class id, a number or tags."""
        return self.tags if self.tags is not None else self.labels if self.values is None else self.values

    def spelt(self) -> Texts:
        return Texts(self.texts, self.second, self.answers)


@dataclass(frozen=True)
class Prepared:
    """Everything that training and evaluation read."""

    classes: tuple[str, ...]  # names; the index is the class id
    train: Rows
    validation: Rows
    test: Rows
    sha256: str  # as DataFacts.sha256
    notes: tuple[str, ...]

    @property
    def scale(self) -> Scale | None:
        """Of the training rows' numbers, where numbers are learnt."""
        return Scale.of(self.train.values) if self.train.values else None


def class_names(classes: Iterable[str]) -> tuple[str, ...]:
    """The names in the order of their ids: alphabetical, so that it does not hang on the order of the rows."""
    return tuple(sorted(classes))


def check(
    classes: dict[str, int], split: Split, layout: Layout | None = None, *, has_test: bool = False, of_tags: bool = False
) -> tuple[Problem, ...]:
    """What keeps these classes from being split so, or makes the result doubtful: too few rows or groups, a class missing in a part.

    `of_tags`: they are combinations of tags, none of which need stand in every part.
    """
    problems: list[Problem] = []
    needed = 3 * len(classes)
    if of_tags:
        return tuple(_check_folds({}, split, layout)) if split.folds is not None else ()
    if split.max_rows is not None and split.max_rows < needed:
        message = f"At most {split.max_rows:,} rows are too few for {len(classes):,} classes: 3 of each are needed."
        problems.append(Problem("settings.max_rows", message, f"Set max_rows to {needed:,} or more, or leave it empty."))
    if split.folds is not None:
        problems += _check_folds(classes, split, layout)
    if not problems and layout is not None and layout.names == class_names(classes):
        problems += _absent(layout, split, has_test=has_test)
    return tuple(problems)


def _check_folds(classes: dict[str, int], split: Split, layout: Layout | None) -> Iterator[Problem]:
    folds = split.folds or 1
    if split.fold > folds:
        yield Problem("settings.fold", f"Fold {split.fold} is asked for, and there are {folds}.", f"Set fold to {folds} or less.")
    if layout is not None and layout.times is not None:
        message = "Folds would test on old rows what was learnt from new ones, and the split goes by time."
        yield Problem("settings.folds", message, "Leave folds empty, or split by chance or by groups.")
    elif layout is not None and layout.groups is not None and layout.group_count <= folds:
        message = f"{layout.group_count} groups are too few for {folds} folds and validation rows besides."
        yield Problem("settings.folds", message, f"Set folds to {max(2, layout.group_count - 1)} or less, or split by chance.")
    elif layout is None and (rare := [name for name, rows in classes.items() if rows < folds]):
        message = f"{listed(rare)} {'has' if len(rare) == 1 else 'have'} fewer rows than the {folds} folds: some fold tests none of them."
        yield Problem("settings.folds", message, f"Set folds to {max(2, min(classes.values()))}, or add rows.", "warning")


def _absent(layout: Layout, split: Split, *, has_test: bool) -> Iterator[Problem]:
    """Classes that the groups or the times leave out of a part."""
    field, why = ("data.group", "its groups are") if layout.groups is not None else ("data.time", "its rows are by their date")
    parts = _placed(layout, split, has_test)
    there = {name: set(layout.classes[places].tolist()) for name, places in parts.items()}
    for part, words in (("train", "training"), ("validation", "validation"), ("test", "test")):
        missing = [name for at, name in enumerate(layout.names) if at not in there[part]]
        if not missing or (part == "test" and has_test):
            continue
        message = f"No {words} row has the class {listed(missing)}: {why} all in another part."
        severity: Literal["error", "warning"] = "error" if part == "train" else "warning"
        yield Problem(field, message, "Split by chance, or add rows of it from other groups or times.", severity)


def split_sizes(
    classes: dict[str, int], given_test: int | None, split: Split, resplit: bool, layout: Layout | None = None
) -> dict[str, int]:
    """Rows of "train", "validation" and "test", from the usable rows of each class. With `resplit`, `classes` counts the pooled rows.

    With `layout` the rows are looked at. Folds leave a given test set aside.
    """
    given = given_test if not resplit and split.folds is None else None
    if layout is not None:
        sizes = {name: len(places) for name, places in _placed(layout, split, given is not None).items()}
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
        return {name: places.tolist() for name, places in _placed(layout, split, has_test).items()}
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
def _placed(layout: Layout, split: Split, has_test: bool) -> dict[str, NDArray[np.int64]]:
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


def prepare(
    data: DataSpec,
    split: Split,
    *,
    home: Path,
    token: str | None = None,
    limit_bytes: int = LIMIT_BYTES,
    text: str | None = None,
    label: str | None = None,
    second: str | None = None,
    labels: tuple[str, ...] = (),
) -> Prepared:
    """Texts and class ids of every part; `text` and `label` are the columns that were decided on. Raises Refused as `profile` does."""
    table, test = load(data, home=home, token=token, limit_bytes=limit_bytes)
    corrections = corrected.opened(data.corrections, home)
    return parted(table, test, data, split, corrections, text=text, label=label, second=second, labels=labels)


def parted(
    table: Table,
    test: Table | None,
    data: DataSpec,
    split: Split,
    corrections: Sequence[corrected.Correction] = (),
    *,
    text: str | None = None,
    label: str | None = None,
    second: str | None = None,
    labels: tuple[str, ...] = (),
) -> Prepared:
    """As `prepare`, of tables that are open."""
    data = replace(data, text=text or data.text, label=label or data.label, labels=labels or data.labels)
    data = data if second is None else replace(data, second=second)
    data = with_own_names(table, data)
    facts, problems = inspect(table, test, data, clean_html=split.clean_html, corrections=corrections)
    has_test = facts.given_test is not None and split.folds is None
    problems += check(facts.classes, split, facts.layout, has_test=has_test, of_tags=bool(facts.tags))
    if any(problem.severity == "error" for problem in problems):
        raise Refused(*problems)
    whole = reshaped(table, data.fixes)
    told_tags = tags.Tags.of(whole, facts.labels) if facts.labels else None
    made = mended(table, test, data, facts.text, facts.label, told_tags, facts.second)
    table, test = made.table, made.test
    how: dict[str, Any] = {"clean_html": split.clean_html, "beside": beside(data), "second": facts.second, "target": data.target}
    rows = usable(table, facts.text, facts.label, **how)
    given = usable(test, facts.text, facts.label, **how) if test is not None else None
    if given is not None and data.resplit:
        rows, given = pooled(rows, given), None
    rows, layout, _, _ = laid_out(rows, given, data, (facts.text, facts.label))
    classes = class_names(facts.classes)
    names = rows.labels.to_pylist()
    parts = split_rows(names, split, has_test=has_test, layout=layout)
    ids = {name: number for number, name in enumerate(classes)}
    train, validation, tested = (_rows(rows, parts[part], ids, tuple(facts.tags)) for part in ("train", "validation", "test"))
    if given is not None and has_test:
        tested = _rows(given, picked(given.labels.to_pylist(), split.max_rows, split.split_seed), ids, tuple(facts.tags))
    by_key = {one.key: one for one in corrections}
    train, validation, tested = (corrected.applied(part, classes, by_key) for part in (train, validation, tested))
    if facts.tags:
        classes = tuple(facts.tags)
    return Prepared(classes, train, validation, tested, fingerprint(table, test, corrections), facts.notes)


def _rows(rows: Usable, places: list[int], ids: dict[str, int], names: tuple[str, ...]) -> Rows:
    """The rows at these places, which ascend. `names` of the tags, where there are any."""
    at = pa.array(places, pa.int64())
    labels = [ids.get(name, 0) if rows.tags is not None else ids[name] for name in rows.labels.take(at).to_pylist()]
    second, answers = (None if one is None else _taken(one, places) for one in (rows.second, rows.answers))
    values = None if rows.values is None else rows.values.take(at).to_pylist()
    tagged = None if rows.tags is None else tags.rows_of(rows.tags.take(at).to_pylist(), names)
    return Rows(_taken(rows.texts, places), labels, rows.numbers.take(at).to_pylist(), second, answers, values, tagged)


def _taken(texts: pa.ChunkedArray, places: list[int]) -> list[str]:
    """Chunk by chunk: taken at once, all texts would be copied into one array first."""
    wanted, begin = np.array(places, dtype=np.int64), 0
    taken: list[str] = []
    for chunk in texts.chunks:
        first, end = np.searchsorted(wanted, (begin, begin + len(chunk)))
        taken += chunk.take(pa.array(wanted[first:end] - begin)).to_pylist()
        begin += len(chunk)
    return taken
