"""Rows for training, validation and test: their texts and labels, as `placing` draws them, and what keeps them from being split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from engine.data import corrected, tags
from engine.data.chosen import with_own_names
from engine.data.fixes import mended, reshaped
from engine.data.layout import Layout, beside, laid_out
from engine.data.numbers import Scale
from engine.data.placing import Split, picked, placed, split_rows, split_sizes
from engine.data.profile import fingerprint, inspect
from engine.data.rows import Usable, pooled, usable
from engine.data.sources import LIMIT_BYTES, load
from engine.data.table import Table, listed
from engine.data.texts import Texts
from engine.errors import Problem, Refused
from engine.spec import DataSpec

__all__ = ["Prepared", "Rows", "Split", "check", "class_names", "parted", "picked", "prepare", "split_rows", "split_sizes"]


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
    parts = placed(layout, split, has_test)
    there = {name: set(layout.classes[places].tolist()) for name, places in parts.items()}
    for part, words in (("train", "training"), ("validation", "validation"), ("test", "test")):
        missing = [name for at, name in enumerate(layout.names) if at not in there[part]]
        if not missing or (part == "test" and has_test):
            continue
        message = f"No {words} row has the class {listed(missing)}: {why} all in another part."
        severity: Literal["error", "warning"] = "error" if part == "train" else "warning"
        yield Problem(field, message, "Split by chance, or add rows of it from other groups or times.", severity)


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
    if facts.tags:
        classes = tuple(facts.tags)
    train, validation, tested = (corrected.applied(part, classes, by_key) for part in (train, validation, tested))
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
