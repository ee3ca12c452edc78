"""Fixes as they are recorded, what they do to a text, and that training gets the rows that the preview told of."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import fix
from engine.data.profile import inspect
from engine.data.repairs import repaired, text_as_fixed
from engine.data.sources import load
from engine.data.split import Split, prepare
from engine.spec import DataSpec


@given(st.sampled_from(sorted(fix.KINDS)), st.lists(st.text(), min_size=2, max_size=2))
def test_a_fix_is_read_as_it_was_written(kind: str, values: list[str]) -> None:
    told = fix.Fix(kind, tuple(values[: fix.KINDS[kind]]))
    if kind not in ("drop-longer", "join-cells"):
        assert fix.read(str(told)) == told


@pytest.mark.parametrize("text", ["mend", "merge-labels:a", "merge-labels:a=b=c", "drop-copies:a", "drop-longer:many", "join-cells:a=x"])
def test_a_fix_that_is_none_is_told(text: str) -> None:
    assert not isinstance(fix.read(text), fix.Fix)


def test_bengali_stays_whole_and_a_text_is_fixed_for_prediction_as_for_training() -> None:
    text = "র‍্যাব ক্ষমা চাইল, “ভালো” — naïve café Ünïcode"
    assert repaired(text) == text
    fixes, _ = fix.read_all(["replace-users", "replace-links", "remove-html", "drop-copies"])
    assert text_as_fixed("@abc <b>see</b> http://a.bc/d", fixes) == "[user]  see  [link]"


def test_training_gets_the_rows_of_the_preview(shared_data: Path) -> None:
    told = DataSpec(
        f"file:{shared_data / 'bengali/sentiment_train.tsv'}", f"file:{shared_data / 'bengali/sentiment_test.tsv'}",
        fixes=("drop-leaked", "drop-copies", "drop-conflicts"),
    )  # fmt: skip
    facts, _ = inspect(*load(told, home=shared_data), told)
    made = prepare(told, Split(), home=shared_data)
    assert len(made.train.texts) + len(made.validation.texts) == facts.usable
    assert not set(made.train.texts) & set(made.test.texts)
    assert made.sha256 == facts.sha256
