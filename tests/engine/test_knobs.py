"""A knob's one declaration: what is drawn from it, and what it lets through."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.augment import Augmentation
from engine.data.split import Split
from engine.knobs import Knob, knob, knobs_of, read, settle
from engine.methods import all_methods
from engine.spec import Training
from engine.tasks import all_tasks


@dataclass(frozen=True)
class Toy:
    rank: int = knob(8, label="Rank", low=1, high=256, help="Size.", basic=True)
    rate: float | None = knob(None, label="Rate", low=1e-7, high=1.0, help="Step.")
    twice: bool = knob(False, label="Twice", help="Or once.")
    kind: str = knob("a", label="Kind", choices={"a": "The first", "b": "The second"}, help="Which.")


RANK, RATE, TWICE, KIND = knobs_of(Toy)


def test_a_knob_tells_all_that_was_declared() -> None:
    assert Knob("rank", "whole", 8, "Rank", "Size.", 1, 256, (), "", True) == RANK
    assert [one.kind for one in (RANK, RATE, TWICE, KIND)] == ["whole", "number", "switch", "choice"]
    assert KIND.choices == (("a", "The first"), ("b", "The second"))


@pytest.mark.parametrize(
    ("one", "raw", "value"),
    [
        (RANK, 16, 16), (RANK, "16", 16), (RANK, 16.0, 16), (RANK, " 16 ", 16), (RANK, "১৬", 16), (RANK, 1, 1), (RANK, 256, 256),
        (RATE, "2e-4", 2e-4), (RATE, 1, 1.0),
        (TWICE, "yes", True), (TWICE, "Off", False), (TWICE, True, True), (TWICE, 0, False),
        (KIND, "b", "b"),
    ],
)  # fmt: skip
def test_a_value_is_read_as_it_is_typed_in_a_shell(one: Knob, raw: bool | int | float | str, value: bool | int | float | str) -> None:
    found, problem = read(one, raw)
    assert problem is None
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("one", "raw", "words"),
    [
        (RANK, 0, "a whole number from 1 to 256"), (RANK, 257, "from 1 to 256"), (RANK, 1.5, "whole"), (RANK, "many", "whole"),
        (RANK, True, "whole"), (RANK, math.nan, "whole"), (RANK, math.inf, "whole"), (RANK, 10**400, "whole"), (RANK, "", "whole"),
        (RATE, 0, "from 1e-07 to 1"), (TWICE, "maybe", "yes or no"), (TWICE, 2, "yes or no"),
        (KIND, "c", "one of a, b"), (KIND, 1, "one of a, b"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_with_its_place_and_its_fix(one: Knob, raw: bool | int | float | str, words: str) -> None:
    value, problem = read(one, raw)
    assert value is None
    assert problem is not None
    assert problem.field == f"settings.{one.name}"
    assert words in problem.message
    assert problem.fix


@given(st.sampled_from([RANK, RATE, TWICE, KIND]), st.one_of(st.booleans(), st.integers(), st.floats(), st.text()))
def test_whatever_is_typed_gives_a_value_within_bounds_or_a_problem(one: Knob, raw: bool | int | float | str) -> None:
    value, problem = read(one, raw)
    assert (value is None) == (problem is not None)
    if isinstance(value, (int, float)) and one.low is not None and one.high is not None:
        assert one.low <= value <= one.high


def test_settling_takes_what_it_knows_and_leaves_the_rest_at_its_default() -> None:
    assert settle(Toy, {"rank": 4, "unknown": 1}) == Toy(rank=4)


def _declared() -> list[type]:
    return [Split, Augmentation, Training, *(one.knobs for one in all_tasks().values()), *(one.knobs for one in all_methods().values())]


@pytest.mark.parametrize("declared", _declared(), ids=lambda one: f"{one.__module__}.{one.__name__}")
def test_every_knob_of_the_product_has_words_and_a_default_that_it_would_let_through(declared: type) -> None:
    for one in knobs_of(declared):
        assert one.label, one.name
        assert one.help.endswith((".", "?")), one.name
        if one.kind in ("whole", "number"):
            assert one.low is not None, one.name
            assert one.high is not None, one.name
        if one.default is not None:
            assert read(one, one.default) == (one.default, None)


def test_no_two_knobs_that_can_meet_share_a_name() -> None:
    shared = [one.name for declared in (Split, Augmentation, Training) for one in knobs_of(declared)]
    for task in all_tasks().values():
        for method in all_methods().values():
            names = [*shared, *(one.name for one in knobs_of(task.knobs)), *(one.name for one in knobs_of(method.knobs))]
            assert len(names) == len(set(names))
