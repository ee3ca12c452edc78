"""What a person asked for, as JSON both ways, strictly."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import Refused
from engine.spec import VERSION, DataSpec, RunSpec, from_json, to_json

SPEC = RunSpec(DataSpec("sample:reviews", text="লেখা"), "all-MiniLM-L6-v2", settings={"epochs": 2, "rslora": True, "schedule": "linear"})


def test_a_spec_comes_back_as_it_was() -> None:
    assert from_json(to_json(SPEC)) == SPEC


@pytest.mark.parametrize(
    ("source", "known_as"),
    [
        ("file:uploads/0a1b2c3d4e5f6071/রিভিউ.csv", "রিভিউ.csv"),
        ("file:C:\\me\\a.csv", "a.csv"),
        ("hub:stanfordnlp/imdb", "hub:stanfordnlp/imdb"),
    ],
)
def test_a_file_is_known_by_its_name_and_not_by_where_it_lies(source: str, known_as: str) -> None:
    assert DataSpec(source).known_as == known_as


def test_a_spec_saved_by_a_windows_editor_is_read() -> None:
    assert from_json("\ufeff" + to_json(SPEC)) == SPEC


@given(
    st.builds(
        RunSpec,
        st.builds(DataSpec, st.text(), test=st.none() | st.text(), resplit=st.booleans(), text=st.none() | st.text()),
        st.text(),
        settings=st.dictionaries(st.text(), st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()),
        name=st.none() | st.text(),
    )
)
def test_any_spec_comes_back_as_it_was(spec: RunSpec) -> None:
    assert from_json(to_json(spec)) == spec


def test_only_data_and_model_must_be_there() -> None:
    assert from_json('{"data": {"source": "sample:reviews"}, "model": "m"}') == RunSpec(DataSpec("sample:reviews"), "m")


def test_everything_wrong_is_told_at_once() -> None:
    told = {
        "data": {"source": 7, "texxt": "a", "resplit": "yes"},
        "method": None,
        "settings": {"rank": [8], "alpha": None},
        "colour": "blue",
    }
    with pytest.raises(Refused) as refused:
        from_json(json.dumps(told))
    fields = {problem.field for problem in refused.value.problems}
    assert fields == {
        "spec.data.source", "spec.data.texxt", "spec.data.resplit", "spec.model", "spec.method", "spec.colour", "settings.rank",
        "settings.alpha",
    }  # fmt: skip
    assert all(problem.fix for problem in refused.value.problems)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        "null",
        '"spec"',
        "[" * 100_000,
        "1" * 5000,
        '{"model": "\\ud800"}',
        '{"data": [], "model": "m"}',
        '{"data": "x", "model": "m"}',
    ],
    ids=lambda text: repr(text[:20]),
)
def test_what_is_no_spec_is_refused_in_words(text: str) -> None:
    with pytest.raises(Refused) as refused:
        from_json(text)
    assert all(problem.message and problem.fix for problem in refused.value.problems)


def test_a_spec_of_a_later_version_asks_for_an_update() -> None:
    with pytest.raises(Refused, match="Update Shur"):
        from_json(to_json(replace(SPEC, version=VERSION + 1)))
