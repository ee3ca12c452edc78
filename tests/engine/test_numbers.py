"""Numbers as people write them: what is read, what is left out rather than read wrongly, and what is said of it."""

from __future__ import annotations

import pyarrow as pa
import pytest

from engine.data.numbers import Scale, numbers
from engine.data.profile import profile
from engine.data.table import Table
from engine.errors import Refused
from engine.spec import DataSpec


def read(*cells: str | None) -> list[float | None]:
    found: list[float | None] = numbers(pa.chunked_array([pa.array(cells, pa.string())]))[0].to_pylist()
    return found


def said(*cells: str) -> tuple[str, ...]:
    return numbers(pa.chunked_array([pa.array(cells, pa.string())]))[1]


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        (("4.5", "3", "-2.0", "+1", "1e3", "−4", ".5"), [4.5, 3.0, -2.0, 1.0, 1000.0, -4.0, 0.5]),
        (("4,5", "3", "1.000,5"), [4.5, 3.0, 1000.5]),
        (("1,234.5", "1,234", "7"), [1234.5, 1234.0, 7.0]),
        (("1.234,5", "1.234", "7"), [1234.5, 1234.0, 7.0]),
        (("0,123", "4,567"), [0.123, 4.567]),
        (("12,34,567", "1"), [1234567.0, 1.0]),
        (("1 234,5", "1\u00a0000"), [1234.5, 1000.0]),
        (("1'234.5", "2"), [1234.5, 2.0]),
        (("৪.৫", "৩", "১,২৩,৪৫৬"), [4.5, 3.0, 123456.0]),
        (("4 stars", "1 star", "3"), [4.0, 1.0, 3.0]),
        (("৫ স্টার", "৪ স্টার"), [5.0, 4.0]),
        (("4/5", "3/5"), [4.0, 3.0]),
        (("4 out of 5", "5 of 5"), [4.0, 5.0]),
        (("$12.50", "$3"), [12.5, 3.0]),
        (("Rating: 4", "Rating: 5"), [4.0, 5.0]),
        (("5 ★", "4★"), [5.0, 4.0]),
        ((None, "", " "), [None, None, None]),
    ],
)
def test_numbers_are_read_as_people_write_them(cells: tuple[str, ...], wanted: list[float | None]) -> None:
    assert read(*cells) == wanted


@pytest.mark.parametrize(
    "cell",
    [
        "5-6", "5 to 6", "<5", "~4", "(5)", "2024-01-01", "12:30", "4½", "nan", "inf", "1_000", "1,2,3", "2 1", "4. 5", "1e999", "★★★",
        "x" * 90,
    ],
)  # fmt: skip
def test_what_is_not_plainly_one_number_is_none(cell: str) -> None:
    assert read("3", "4", cell) == [3.0, 4.0, None]


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        (("5 km", "6 km", "3 miles"), [5.0, 6.0, None]),
        (("4/5", "3/5", "2/10"), [4.0, 3.0, None]),
        (("12%", "3%", "0.5"), [12.0, 3.0, None]),
        (("5k", "2k", "3"), [5.0, 2.0, None]),
        (("10 thousand", "12", "13"), [None, 12.0, 13.0]),
        (("4.5", "3.5", "1,5"), [4.5, 3.5, None]),
    ],
)
def test_numbers_in_another_unit_than_most_are_left_out_and_never_mixed(cells: tuple[str, ...], wanted: list[float | None]) -> None:
    assert read(*cells) == wanted


def test_how_commas_and_units_were_read_is_said() -> None:
    assert said("4,5", "1.000,5") == ("A comma begins the decimals: 4,5 is 4.5", "A point groups digits: 1.000,5 is 1000.5")
    assert said("1,234", "5") == ("A comma groups digits: 1,234 is 1234",)
    assert said("4 stars", "3") == ("Of 1 label the number alone is read: '4 stars' is 4",)
    assert said("4.5", "3") == ()


def test_the_scale_is_the_mean_and_the_standard_deviation() -> None:
    assert Scale.of([1.0, 2.0, 3.0, 6.0]) == Scale(3.0, pytest.approx(3.5**0.5), 1.0, 6.0)
    assert Scale.of([2.0, 2.0]) == Scale(2.0, 1.0, 2.0, 2.0), "of equal numbers nothing is divided by 0"


def a_table(values: list[str]) -> Table:
    told = {"review": [f"text {at} of many words" for at in range(len(values))], "rating": values}
    return Table(tuple(told), pa.table({name: pa.array(column, pa.string()) for name, column in told.items()}), "f" * 64, "a.csv")


def test_rows_without_a_number_are_counted_and_the_column_is_guessed() -> None:
    found = profile(a_table([str(at % 10) for at in range(40)] + ["n/a", "", "bad"]), None, DataSpec("file:a.csv", target="number"))
    assert (found.text, found.label, found.usable) == ("review", "rating", 40)
    assert found.dropped == {"without a label": 1, "with a label that is no number": 2}
    assert "Numbers from 0 to 9, 4.5 on average (standard deviation 2.87)" in found.notes


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (["good", "bad"] * 20, "holds 0 numbers in 40 rows, such as 'good'"),
        (["7"] * 40, "holds one number only: 7"),
    ],
)
def test_a_column_that_holds_no_numbers_to_learn_is_told(values: list[str], says: str) -> None:
    with pytest.raises(Refused) as caught:
        profile(a_table(values), None, DataSpec("file:a.csv", label="rating", target="number"))
    assert any(says in one.message for one in caught.value.problems), caught.value.problems
