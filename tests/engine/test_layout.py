"""Splits by groups, by time and into folds: what belongs together stays together, and the preview's sizes are those of the split."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.data import placing
from engine.data.dates import read_dates
from engine.data.layout import Layout
from engine.data.profile import inspect
from engine.data.sources import load
from engine.data.split import Split, check, prepare, split_rows, split_sizes
from engine.errors import Refused
from engine.spec import DataSpec

NAMES = ("neg", "neu", "pos")


def laid(classes: list[int], *, groups: list[int] | None = None, times: list[int] | None = None) -> Layout:
    return Layout(
        NAMES,
        np.array(classes, dtype=np.int32),
        None if groups is None else np.unique(groups, return_inverse=True)[1].astype(np.int32),
        None if times is None else np.array(times, dtype=np.int64),
    )


ROWS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 25)), min_size=30, max_size=300)
SPLITS = st.builds(
    Split,
    validation_share=st.floats(0.05, 0.4), test_share=st.floats(0.05, 0.4), split_seed=st.integers(0, 9),
    max_rows=st.one_of(st.none(), st.integers(20, 200)), train_share=st.sampled_from((0.1, 0.5, 1.0)),
    folds=st.one_of(st.none(), st.integers(2, 5)), fold=st.integers(1, 2),
)  # fmt: skip


@settings(max_examples=150)
@given(rows=ROWS, split=SPLITS, has_test=st.booleans())
def test_no_group_stands_in_two_parts_and_the_sizes_are_those_foretold(
    rows: list[tuple[int, int]], split: Split, *, has_test: bool
) -> None:
    layout = laid([name for name, _ in rows], groups=[group for _, group in rows])
    labels = [NAMES[at] for at in layout.classes]
    has_test = has_test and split.folds is None
    parts = split_rows(labels, split, has_test=has_test, layout=layout)
    counts = {name: labels.count(name) for name in set(labels)}
    told = split_sizes(counts, 7 if has_test else None, split, resplit=False, layout=layout)
    assert {part: told[part] for part in ("train", "validation")} == {part: len(parts[part]) for part in ("train", "validation")}
    assert told["test"] == (min(7, split.max_rows or 7) if has_test else len(parts["test"]))
    assert layout.groups is not None
    within = {part: set(layout.groups[places].tolist()) for part, places in parts.items()}
    assert not within["train"] & within["validation"]
    assert not within["train"] & within["test"]
    assert not within["validation"] & within["test"]
    every = [place for places in parts.values() for place in places]
    assert len(every) == len(set(every))


@settings(max_examples=100)
@given(counts=st.dictionaries(st.sampled_from("abcdef"), st.integers(2, 60), min_size=2), folds=st.integers(2, 6), seed=st.integers(0, 5))
def test_every_row_is_tested_in_exactly_one_fold_and_the_folds_are_of_one_size(counts: dict[str, int], folds: int, seed: int) -> None:
    labels = [name for name, count in counts.items() for _ in range(count)]
    tested: list[int] = []
    for fold in range(1, folds + 1):
        split = Split(folds=folds, fold=fold, split_seed=seed)
        parts = split_rows(labels, split)
        assert split_sizes(counts, None, split, resplit=False) == {part: len(places) for part, places in parts.items()}
        assert {labels[place] for place in parts["train"]} == set(counts) or min(counts.values()) < 3
        tested += parts["test"]
    assert sorted(tested) == list(range(len(labels)))
    sizes = [split_sizes(counts, None, Split(folds=folds, fold=fold), resplit=False)["test"] for fold in range(1, folds + 1)]
    assert max(sizes) - min(sizes) <= 1


def test_groups_are_as_near_to_the_shares_and_as_stratified_as_they_allow() -> None:
    dice = random.Random(5)
    groups = [dice.randrange(120) for _ in range(3000)]
    classes = [dice.choices((0, 1, 2), (6, 3, 1))[0] for _ in groups]
    layout = laid(classes, groups=groups)
    parts = split_rows([NAMES[at] for at in classes], Split(), layout=layout)
    assert abs(len(parts["test"]) - 300) <= 15
    assert abs(len(parts["validation"]) - 300) <= 15
    for places in parts.values():
        shares = np.bincount(layout.classes[places], minlength=3) / len(places)
        assert np.abs(shares - (0.6, 0.3, 0.1)).max() < 0.02


def test_grouped_folds_test_every_row_once() -> None:
    layout = laid([at % 3 for at in range(90)], groups=[at // 5 for at in range(90)])
    labels = [NAMES[at] for at in layout.classes]
    tested = [place for fold in (1, 2, 3) for place in split_rows(labels, Split(folds=3, fold=fold), layout=layout)["test"]]
    assert sorted(tested) == list(range(90))


def test_the_newest_rows_are_the_test_and_those_before_them_the_validation() -> None:
    times = [(at * 37) % 100 for at in range(100)]
    layout = laid([at % 3 for at in range(100)], times=times)
    parts = split_rows([NAMES[at] for at in layout.classes], Split(), layout=layout)
    assert {part: sorted(times[place] for place in places) for part, places in parts.items()} == {
        "train": list(range(80)), "validation": list(range(80, 90)), "test": list(range(90, 100)),
    }  # fmt: skip


def test_a_smaller_share_of_the_training_rows_is_part_of_a_larger_one() -> None:
    labels = [NAMES[at % 3] for at in range(300)]
    tenth, half, whole = (split_rows(labels, Split(train_share=share)) for share in (0.1, 0.5, 1.0))
    assert set(tenth["train"]) < set(half["train"]) < set(whole["train"])
    assert [len(one["train"]) for one in (tenth, half, whole)] == [24, 120, 240]
    assert tenth["test"] == whole["test"]
    assert tenth["validation"] == whole["validation"]


def test_a_class_of_one_group_or_of_the_newest_rows_is_told() -> None:
    groups = [at % 12 for at in range(120)]
    alone = laid([2 if group == 0 else at // 12 % 2 for at, group in enumerate(groups)], groups=groups)
    told = check(dict.fromkeys(NAMES, 40), Split(), alone)
    assert [(one.field, one.severity) for one in told] == [("data.group", "warning")] * 2
    assert "No validation row has the class pos" in told[0].message
    late = laid([2 if at > 95 else at % 2 for at in range(100)], times=list(range(100)))
    told = check(dict.fromkeys(NAMES, 40), Split(), late)
    assert [(one.field, one.severity) for one in told] == [("data.time", "error"), ("data.time", "warning")]
    assert "No training row has the class pos" in told[0].message


def test_folds_that_cannot_be_made_are_refused() -> None:
    counts = dict.fromkeys(NAMES, 40)
    assert [one.field for one in check(counts, Split(folds=3, fold=4))] == ["settings.fold"]
    by_time = laid([0, 1, 2] * 10, times=list(range(30)))
    assert "old rows" in check(counts, Split(folds=3), by_time)[0].message
    few = laid([0, 1, 2] * 10, groups=[at % 3 for at in range(30)])
    assert "3 groups are too few for 3 folds" in check(counts, Split(folds=3), few)[0].message
    assert [one.severity for one in check({"a": 30, "b": 4}, Split(folds=5))] == ["warning"]


def test_dates_are_read_as_people_write_them() -> None:
    def days(*values: str) -> list[str]:
        told = read_dates(values)
        return [str(datetime.fromtimestamp(one, UTC).date()) if known else "" for one, known in zip(told.seconds, told.known, strict=True)]

    assert days("2021-04-03", "2021-04-03T23:30:00+06:00", "3 April 2021", "Apr 3, 2021") == ["2021-04-03"] * 4
    assert days("03/04/2021", "25/12/2020") == ["2021-04-03", "2020-12-25"]
    assert days("04/03/2021", "12/25/2020") == ["2021-04-03", "2020-12-25"]
    assert days("১৬ ডিসেম্বর ২০২১", "৩/৪/২০২১") == ["2021-12-16", "2021-04-03"]
    assert days("1617408000", "1617408000000") == ["2021-04-03"] * 2
    assert days("2019", "2020") == ["2019-01-01", "2020-01-01"]
    assert days("yesterday", "5", "", "n/a", "99/99/2021") == [""] * 5
    assert "March or April" in read_dates(["03/04/2021"]).notes[0]
    assert read_dates(["25/04/2021", "junk"]).unread == ("junk",)


def written(folder: Path, lines: list[str], name: str = "a.csv") -> str:
    (folder / name).write_text("\n".join(["text,label,author,date", *lines]) + "\n", "utf-8")
    return f"file:{folder / name}"


def lines_of(count: int) -> list[str]:
    return [
        f"a text of number {at} here,{NAMES[at % 3]},{f'a{at % 11}' if at % 10 else ''},2021-0{1 + at % 9}-1{at % 7}" for at in range(count)
    ]


@pytest.mark.parametrize("by", ["group", "time"])
def test_a_file_is_split_by_its_column_as_the_preview_says(tmp_path: Path, by: str) -> None:
    lines = [*lines_of(120), "one more text,pos,a1,someday"]
    column = "author" if by == "group" else "date"
    spec = DataSpec(written(tmp_path, lines), **{by: column})
    facts, problems = inspect(*load(spec, home=tmp_path), spec)
    assert problems == ()
    prepared = prepare(spec, Split(), home=tmp_path)
    sizes = {
        name: len(part.texts) for name, part in (("train", prepared.train), ("validation", prepared.validation), ("test", prepared.test))
    }
    assert sizes == split_sizes(facts.classes, None, Split(), resplit=False, layout=facts.layout)
    rows = [line.split(",") for line in lines]
    if by == "group":
        authors = [{rows[number - 1][2] for number in part.numbers} - {""} for part in (prepared.train, prepared.validation, prepared.test)]
        assert not authors[0] & authors[1]
        assert not authors[0] & authors[2]
        assert "12 rows without 'author', each taken as a group of its own" in facts.notes
    else:
        assert facts.dropped == {"without a date in 'date' that can be read": 1}
        assert max(rows[number - 1][3] for number in prepared.train.numbers) <= min(rows[number - 1][3] for number in prepared.test.numbers)
        assert any("Not read as a date: someday" in note for note in facts.notes)


def test_a_column_that_cannot_split_is_told_with_what_to_do(tmp_path: Path) -> None:
    lines = [f"{line},same" for line in lines_of(60)]
    source = written(tmp_path, lines).replace("a.csv", "b.csv")
    (tmp_path / "b.csv").write_text("text,label,author,date,one\n" + "\n".join(lines) + "\n", "utf-8")

    def told(**by: str) -> tuple[str, str]:
        spec = DataSpec(source, text="text", label="label", **by)
        (problem,) = inspect(*load(spec, home=tmp_path), spec)[1]
        with pytest.raises(Refused):
            prepare(spec, Split(), home=tmp_path)
        assert problem.fix
        return problem.field, problem.message

    assert told(group="one") == ("data.group", "Column 'one' has 1 group only, 'same', and the rows go into 3 parts.")
    assert told(group="nobody")[1].startswith("There is no column 'nobody'")
    assert told(group="label")[1].startswith("Column 'label' holds the labels")
    assert told(time="author")[1].startswith("60 values of column 'author' of 60 cannot be read as a date: a1")
    assert "not chosen yet" in told(group="")[1]
    assert told(time="one")[0] == "data.time"
    assert "only one of them" in told(time="date", group="author")[1]


def test_the_preview_looks_at_the_rows_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    real = placing.parts_of_groups
    monkeypatch.setattr(placing, "parts_of_groups", lambda *told: calls.append(1) or real(*told))
    layout = laid([at % 3 for at in range(60)], groups=[at // 4 for at in range(60)])
    for _ in range(3):
        split_sizes(dict.fromkeys(NAMES, 20), None, Split(), resplit=False, layout=layout)
    assert calls == [1]
