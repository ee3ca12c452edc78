"""Agreement between people: against published worked examples, the reference libraries, and by simulation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa

from engine import agreement as agreeing
from engine.agreement import agreement, cohen, fleiss, nearness

# Worked example of Fleiss (1971) as Wikipedia's "Fleiss' kappa" retells it: 14 raters, 10 rows, 5 classes; kappa 0.210
FLEISS = ((0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1), (7, 7, 0, 0, 0), (3, 2, 6, 3, 0),
          (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7))  # fmt: skip
# Worked example of "Cohen's kappa" there: 50 proposals, 20 yes of both, 15 no of both, 5 and 10 in between; kappa 0.40
COHEN = ((0, 0),) * 20 + ((0, 1),) * 5 + ((1, 0),) * 10 + ((1, 1),) * 15


def test_the_published_examples_come_out() -> None:
    rows = np.array([[at for at, count in enumerate(row) for _ in range(count)] for row in FLEISS])
    assert round(fleiss(rows, np.eye(5)).value, 3) == 0.210
    assert round(cohen(np.array(COHEN), np.eye(2)).value, 3) == 0.4


@pytest.mark.parametrize("seed", range(20))
def test_the_figures_equal_those_of_the_reference_libraries(seed: int) -> None:
    dice = np.random.default_rng(seed)
    rows, people, classes = dice.integers(12, 200), dice.integers(2, 6), dice.integers(2, 6)
    codes = judged(dice, rows, people, classes, 0.5)
    assert cohen(codes[:, :2], np.eye(classes)).value == pytest.approx(cohen_kappa_score(codes[:, 0], codes[:, 1]))
    assert fleiss(codes, np.eye(classes)).value == pytest.approx(fleiss_kappa(aggregate_raters(codes, classes)[0]))


@pytest.mark.parametrize("seed", range(20))
def test_weighted_by_the_squared_distance_it_equals_the_reference_of_two_and_the_definition_of_more(seed: int) -> None:
    """Of two: scikit-learn. Of more: 1 less the mean squared distance of two ratings of a row over that of any two ratings of all."""
    dice = np.random.default_rng(seed)
    people, classes = dice.integers(3, 6), 5
    codes = judged(dice, dice.integers(12, 80), people, classes, 0.5)
    expected = cohen_kappa_score(codes[:, 0], codes[:, 1], labels=list(range(classes)), weights="quadratic")
    assert cohen(codes[:, :2], nearness(classes)).value == pytest.approx(expected)
    within = np.mean([(row[one] - row[other]) ** 2 for row in codes for one in range(people) for other in range(people) if one != other])
    every = codes.ravel()
    assert fleiss(codes, nearness(classes)).value == pytest.approx(1 - within / np.mean(np.subtract.outer(every, every) ** 2))


def test_of_ratings_near_ones_are_nearly_agreement_and_both_figures_are_told() -> None:
    first = [str(1 + at % 5) for at in range(60)]
    near = [str(min(5, int(one) + (at % 2))) for at, one in enumerate(first)]
    found = agreement([first, near], scale=("1", "2", "3", "4", "5"))
    assert found.weighted is not None
    assert found.kappa is not None
    assert found.kappa.value < 0.7 < found.weighted.value
    assert found.words.startswith("Agreement beyond chance is good (weighted Cohen's kappa 0.")
    assert "; unweighted 0." in found.words
    gap = agreement([["1", "5"] * 10, ["1", "5"] * 10], scale=("1", "2", "3", "4", "5"))
    assert gap.weighted is not None
    assert gap.weighted.value == 1


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("people", [2, 3])
def test_the_interval_holds_the_truth_in_95_of_100_draws(people: int, ordered: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreeing, "DRAWS", 400)
    figure = cohen if people == 2 else fleiss
    dice = np.random.default_rng(11)
    weights = nearness(3) if ordered else np.eye(3)
    truth = figure(judged(dice, 400_000, people, 3, 0.6), weights).value
    held = 0
    for _ in range(1000):
        found = agreeing._interval(figure(judged(dice, 150, people, 3, 0.6), weights), 1)
        held += found.low <= truth <= found.high
    assert 930 <= held <= 970


def judged(dice: np.random.Generator, rows: int, people: int, classes: int, sure: float) -> np.ndarray:
    """Answers of people who see the true class with this probability, and else guess."""
    true = dice.integers(classes, size=(rows, 1))
    return np.where(dice.random((rows, people)) < sure, true, dice.integers(classes, size=(rows, people)))


def told(rows: Sequence[str]) -> list[str | None]:
    return [None if one == "-" else one for one in rows]


def test_twelve_rows_on_which_all_agree_prove_no_perfect_agreement() -> None:
    found = agreement([told("AB" * 6)] * 2).kappa
    assert found is not None
    assert found.value == found.high == 1
    assert found.low == pytest.approx(2 * 0.7575 - 1, abs=1e-3)  # Wilson's bound of 12 of 12 is 75.7 %


def test_it_is_said_in_words_what_the_figure_means() -> None:
    truth = "AB" * 30
    off = truth[:-3] + "AAA"
    far = "AABB" * 15
    assert "is good (Cohen's kappa" in agreement([told(truth), told(off)]).words
    assert "Revise the guideline" in agreement([told(truth), told(far)]).words
    assert "Fleiss' kappa" in agreement([told(truth), told(off), told(truth)]).words


def test_only_rows_that_all_have_judged_count() -> None:
    found = agreement([told("AB" * 10 + "-" * 5), told("AB" * 10 + "A" * 5)])
    assert (found.rows, found.same) == (20, 1.0)


def test_too_few_rows_or_one_answer_alone_are_no_agreement() -> None:
    few = agreement([told("AB"), told("AB")])
    assert few.kappa is None
    assert "too few" in few.words
    alone = agreement([told("A" * 30), told("A" * 30)])
    assert alone.kappa is None
    assert "the same one" in alone.words


@pytest.mark.parametrize("answers", [[], [["A"]], [["A"], ["A", "B"]]])
def test_one_person_alone_is_no_agreement(answers: list[list[str | None]]) -> None:
    with pytest.raises(ValueError, match="two people"):
        agreement(answers)
