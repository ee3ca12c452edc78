"""Rows into parts: stratified, seeded, the same everywhere, and of the sizes that the preview showed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.data.profile import profile
from engine.data.sources import load
from engine.data.split import Split, check, picked, prepare, split_rows, split_sizes
from engine.errors import Refused
from engine.knobs import knobs_of
from engine.spec import DataSpec

COUNTS = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.integers(2, 90), min_size=2, max_size=12)
SHARES = st.floats(0.01, 0.4)


@settings(max_examples=300)
@given(
    counts=COUNTS,
    validation=SHARES,
    test=SHARES,
    most=st.one_of(st.none(), st.integers(20, 300)),
    given_test=st.one_of(st.none(), st.integers(1, 50)),
)
def test_the_sizes_foretold_are_those_of_the_split(
    counts: dict[str, int], validation: float, test: float, most: int | None, given_test: int | None
) -> None:
    split = Split(validation_share=validation, test_share=test, max_rows=most)
    labels = [name for name, count in counts.items() for _ in range(count)]
    parts = split_rows(labels, split, has_test=given_test is not None)
    told = split_sizes(counts, given_test, split, resplit=False)
    assert told["train"] == len(parts["train"])
    assert told["validation"] == len(parts["validation"])
    assert told["test"] == (len(parts["test"]) if given_test is None else min(given_test, most or given_test))
    every = [place for part in parts.values() for place in part]
    assert len(set(every)) == len(every) <= (most or len(labels))
    if not check(counts, split):
        for name, count in counts.items():
            within = {part for part, places in parts.items() if any(labels[place] == name for place in places)}
            assert "train" in within
            if count >= 3:
                assert within == ({"train", "validation", "test"} if given_test is None else {"train", "validation"})


@settings(max_examples=200)
@given(counts=COUNTS, validation=SHARES, test=SHARES)
def test_a_part_is_off_its_share_by_the_rounding_alone(counts: dict[str, int], validation: float, test: float) -> None:
    sizes = split_sizes(counts, None, Split(validation_share=validation, test_share=test), resplit=False)
    whole = sum(counts.values())
    assert sum(sizes.values()) == whole
    assert abs(sizes["test"] - test * whole) <= max(0.5, len(counts))
    assert abs(sizes["validation"] - validation * whole) <= max(0.5, len(counts))


def test_imdb_is_split_80_10_10_as_in_the_recipe() -> None:
    sizes = split_sizes({"pos": 25_000, "neg": 25_000}, 25_000, Split(), resplit=True)
    assert sizes == {"train": 40_000, "validation": 5_000, "test": 5_000}
    assert split_sizes({"pos": 12_500, "neg": 12_500}, 25_000, Split(), resplit=False) == {
        "train": 22_500,
        "validation": 2_500,
        "test": 25_000,
    }


def test_each_part_has_the_classes_in_their_shares() -> None:
    labels = ["ham"] * 870 + ["spam"] * 130
    parts = split_rows(labels, Split())
    assert {name: Counter(labels[place] for place in places) for name, places in parts.items()} == {
        "train": {"ham": 696, "spam": 104},
        "validation": {"ham": 87, "spam": 13},
        "test": {"ham": 87, "spam": 13},
    }


def test_the_split_is_the_same_on_every_machine_and_another_for_another_seed() -> None:
    labels = ["a", "b"] * 20
    assert split_rows(labels, Split())["test"] == [9, 10, 17, 22]  # as made by this code on the first machine; must never change
    assert split_rows(labels, Split(split_seed=7))["test"] != [9, 10, 17, 22]


def test_rows_are_thinned_by_class_and_by_chance() -> None:
    labels = ["a"] * 900 + ["b"] * 90 + ["c"] * 4
    kept = picked(labels, 100, seed=1)
    assert Counter(labels[place] for place in kept) == {"a": 89, "b": 8, "c": 3}
    assert kept == sorted(kept)
    assert kept[50] != 50


def test_a_limit_too_low_for_the_classes_is_a_problem() -> None:
    (problem,) = check({str(number): 50 for number in range(77)}, Split(max_rows=100))
    assert (problem.field, "231" in problem.fix) == ("settings.max_rows", True)
    assert check({"a": 50, "b": 50}, Split(max_rows=20)) == ()


def test_the_knobs_of_splitting_have_words_and_bounds() -> None:
    names = [one.name for one in knobs_of(Split)]
    assert names == ["validation_share", "test_share", "split_seed", "max_rows", "train_share", "folds", "fold", "clean_html"]
    assert all(one.label and one.help for one in knobs_of(Split))


def written(folder: Path, name: str, rows: list[tuple[str, str]]) -> str:
    path = folder / name
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    return f"file:{path}"


def rows_of(count: int, start: int = 0) -> list[tuple[str, str]]:
    return [(f"this is row number {place}<br />indeed", ("pos", "neg", "neu")[place % 3]) for place in range(start, start + count)]


def test_prepared_rows_hold_clean_texts_class_ids_and_row_numbers(tmp_path: Path) -> None:
    rows = [*rows_of(30), ("", "pos"), *rows_of(30, start=30)]
    prepared = prepare(DataSpec(written(tmp_path, "data.csv", rows)), Split(), home=tmp_path)
    assert prepared.classes == ("neg", "neu", "pos")
    for part in (prepared.train, prepared.validation, prepared.test):
        for text, label, number in zip(part.texts, part.labels, part.numbers, strict=True):
            original, name = rows[number - 1]
            assert text == original.replace("<br />", " ")
            assert prepared.classes[label] == name
    assert sorted(prepared.train.numbers + prepared.validation.numbers + prepared.test.numbers) == [n for n in range(1, 62) if n != 31]


def test_a_given_test_file_is_the_test_and_the_rest_is_split(tmp_path: Path) -> None:
    spec = DataSpec(written(tmp_path, "data.csv", rows_of(60)), written(tmp_path, "test.csv", rows_of(30, start=58)))
    prepared = prepare(spec, Split(), home=tmp_path)
    facts = profile(*load(spec, home=tmp_path), spec)
    assert (len(prepared.train.texts), len(prepared.validation.texts), len(prepared.test.texts)) == (54, 6, 30)
    assert prepared.test.numbers == list(range(1, 31))
    assert prepared.sha256 == facts.sha256


def test_resplit_pools_both_files(tmp_path: Path) -> None:
    spec = DataSpec(written(tmp_path, "data.csv", rows_of(60)), written(tmp_path, "test.csv", rows_of(30, start=60)), resplit=True)
    prepared = prepare(spec, Split(), home=tmp_path)
    assert (len(prepared.train.texts), len(prepared.validation.texts), len(prepared.test.texts)) == (72, 9, 9)


def test_preparing_refuses_what_the_preview_refuses(tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        prepare(DataSpec(written(tmp_path, "data.csv", rows_of(9))), Split(), home=tmp_path)
    assert caught.value.problems[0].field == "data.source"


@pytest.mark.parametrize("name", ["imdb/imdb_train_5k.csv", "other/banking77_train.csv", "bengali/sentiment_train.tsv", "messy/spam.csv"])
@pytest.mark.parametrize("split", [Split(), Split(max_rows=1000, test_share=0.15, validation_share=0.15)])
def test_real_files_are_split_as_foretold(shared_data: Path, name: str, split: Split) -> None:
    spec = DataSpec(f"file:{shared_data / name}")
    prepared = prepare(spec, split, home=shared_data)
    facts = profile(*load(spec, home=shared_data), spec)
    parts = {"train": prepared.train, "validation": prepared.validation, "test": prepared.test}
    assert {part: len(rows.texts) for part, rows in parts.items()} == split_sizes(facts.classes, None, split, resplit=False)
    assert all(set(rows.labels) == set(range(len(prepared.classes))) for rows in parts.values())
