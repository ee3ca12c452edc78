"""Events as lines: nothing is lost on the way, and no line that is damaged breaks reading."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.events import (
    KINDS,
    Ended,
    Evaluated,
    Event,
    Progress,
    Queued,
    Resources,
    Sampled,
    Saved,
    Started,
    Step,
    Warned,
    from_line,
    to_line,
)

EXAMPLES: list[Event] = [
    Queued(1.5, resume=True),
    Started(2.0, 42, 1.25, {"python": "3.11", "torch": "2.13"}, "CPU, 2 cores"),
    Progress(3.0, "tokens", "লেখা থেকে টোকেন", 5, 10),
    Step(4.0, 1, 10, 0.1, 0.69, 2e-4, 1.5, 21.0),
    Evaluated(5.0, "validation", 1, {"loss": 0.5, "macro_f1": 0.8}, best=True),
    Sampled(6.0, ({"text": "line\nbreak\u2028\u0085", "label": "ভালো", "predicted": "মন্দ", "confidence": 0.5},)),
    Resources(7.0, 10, 20),
    Saved(8.0, "checkpoint", 1, "checkpoints/step-00000001", 100),
    Warned(9.0, "Mind this.", "Do that."),
    Ended(10.0, "finished", "All 10 steps are done.", seconds=8.0),
]


def test_there_is_an_example_of_every_kind() -> None:
    assert {type(event) for event in EXAMPLES} == set(KINDS.values())


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: type(event).__name__)
def test_an_event_comes_back_from_its_line_as_it_was(event: Event) -> None:
    line = to_line(event)
    assert "\n" not in line
    assert from_line(line) == event


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_travels_as_null_and_comes_back_as_nan(number: float) -> None:
    line = to_line(Evaluated(1.0, "test", 3, {"loss": number, "macro_f1": 0.5}))
    assert "null" in line
    back = from_line(line)
    assert isinstance(back, Evaluated)
    assert math.isnan(back.metrics["loss"])
    assert back.metrics["macro_f1"] == 0.5
    step = from_line(to_line(Step(1.0, 1, 2, 0.5, number, 0.1, 1.0, 1.0)))
    assert isinstance(step, Step)
    assert math.isnan(step.loss)


def test_a_missing_video_memory_stays_none() -> None:
    assert from_line(to_line(Resources(1.0, 2, 3))) == Resources(1.0, 2, 3, None, None)


def test_a_field_of_a_later_version_is_passed_over() -> None:
    assert from_line('{"event": "Queued", "time": 1.0, "priority": 7}') == Queued(1.0)


@pytest.mark.parametrize(
    "line", ["", "null", "[]", "7", "{}", '{"event": "Nothing"}', '{"event": []}', '{"event": "Step", "time": 1}', '{"event": "Que']
)
def test_a_line_that_is_no_whole_event_is_refused_with_a_value_error(line: str) -> None:
    with pytest.raises(ValueError, match=r"^"):
        from_line(line)


@given(st.sampled_from(EXAMPLES), st.integers(0, 10_000), st.integers(0, 255))
def test_a_line_with_one_damaged_byte_is_read_or_refused_but_never_breaks(event: Event, place: int, value: int) -> None:
    damaged = bytearray(to_line(event).encode())
    damaged[place % len(damaged)] = value
    try:
        back = from_line(damaged.decode())
    except ValueError:
        return
    assert type(back) in KINDS.values()


@given(st.text())
def test_any_text_survives_in_a_message(text: str) -> None:
    warned = Warned(1.0, text)
    assert from_line(to_line(warned)) == warned


def test_every_event_has_its_time_first() -> None:
    for kind in KINDS.values():
        assert dataclasses.fields(kind)[0].name == "time"
