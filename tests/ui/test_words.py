"""Numbers as the page writes them."""

from __future__ import annotations

import pytest

from engine.errors import Problem
from ui import words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (599, "9 min 59 s"),
        (640, "11 min"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (90_000, "25 h"),
    ],
)
def test_a_duration_is_as_exact_as_a_person_needs(seconds: float, text: str) -> None:
    assert words.duration(seconds).replace("\u00a0", " ") == text


@pytest.mark.parametrize(("seconds", "text"), [(20, "under 1 min"), (95, "2 min"), (3590, "1 h"), (4000, "1 h 10 min")])
def test_an_estimate_is_no_more_exact_than_it_is(seconds: float, text: str) -> None:
    assert words.about(seconds).replace("\u00a0", " ") == text


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1400, "1.4 kB"), (1_400_000, "1.4 MB"), (21e9, "21 GB"), (1.54e12, "1.5 TB")]
)
def test_a_size_has_the_unit_that_suits_it(amount: float, text: str) -> None:
    assert words.size(amount).replace("\u00a0", " ") == text


def test_two_sizes_share_the_unit_of_the_larger() -> None:
    assert words.of_sizes(60_000_000, 90e9).replace("\u00a0", " ") == "0.06 of 90 GB"
    assert words.of_sizes(1.1e9, 21.04e9).replace("\u00a0", " ") == "1.1 of 21 GB"


@pytest.mark.parametrize(
    ("share", "text"), [(0.912, "91.2 %"), (1.0, "100.0 %"), (0.0, "0.0 %"), (0.99999, "over 99.9 %"), (0.00001, "under 0.1 %")]
)
def test_only_all_is_a_hundred_percent_and_only_none_is_zero(share: float, text: str) -> None:
    assert words.percent(share).replace("\u00a0", " ") == text


def test_a_share_of_trained_weights_keeps_its_small_digits() -> None:
    assert [words.small_share(share).replace("\u00a0", " ") for share in (1.0, 0.0134, 0.00081)] == ["100 %", "1.3 %", "0.081 %"]


def test_counts_are_in_groups_of_three_and_one_is_singular() -> None:
    assert words.counted(12_345, "row").replace("\u00a0", " ") == "12,345 rows"
    assert words.counted(1, "class", "classes").replace("\u00a0", " ") == "1 class"


def test_a_number_that_is_not_finite_is_a_dash() -> None:
    assert words.figure(float("nan")) == words.figure(float("inf")) == "–"


def test_a_problem_cannot_smuggle_in_markup() -> None:
    told = words.problem(Problem("data.label", "Column '<img src=x onerror=alert(1)>' is empty.", "Pick <b>another</b>."))
    assert "<img" not in told
    assert "<b>another" not in told
    assert "&lt;img" in told


def test_errors_stand_before_warnings() -> None:
    told = words.problems([Problem("a", "small", severity="warning"), Problem("b", "large")])
    assert told.index("large") < told.index("small")
