"""Confidence against scikit-learn, statsmodels and a worked example; its intervals and bounds by simulation."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, log_loss, precision_recall_curve
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from engine import calibration, enough, scoring, verdict
from engine.scoring import BaselineScore, ClassScore, Interval

CLASSES = ("নেতিবাচক", "neutral", "positive")


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def drawn(rows: int, seed: int, temperature: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and a model's probabilities that are true once they are cooled by `temperature`."""
    dice = np.random.default_rng(seed)
    logits = 2.5 * dice.standard_normal((rows, 3))
    truly = softmax(logits)
    labels = (dice.random((rows, 1)) > truly.cumsum(axis=1)).sum(axis=1)
    return np.minimum(labels, 2), softmax(logits * temperature)


def test_the_error_of_a_worked_example() -> None:
    # four rows at 0.9, three of them right, and one at 0.6, wrong: 4/5 * |0.75 - 0.9| + 1/5 * |0 - 0.6| = 0.24
    sure, right = np.array([0.9, 0.9, 0.9, 0.9, 0.6]), np.array([True, True, True, False, False])
    bins = calibration.binned(sure, right)
    assert calibration.calibration_error(bins) == pytest.approx(0.24)
    assert [one.rows for one in bins] == [1, 4]
    assert calibration.binned(np.array([1.0]), np.array([True]))[0].high == 1.0


@given(rows=st.integers(1, 300), seed=st.integers(0, 1000))
@settings(max_examples=40)
def test_the_bins_are_those_of_scikit_learn(rows: int, seed: int) -> None:
    labels, chances = drawn(rows, seed, 2.0)
    sure, right = chances.max(axis=1), chances.argmax(axis=1) == labels
    shares, means = calibration_curve(right, sure, n_bins=calibration.BINS)
    bins = calibration.binned(sure, right)
    assert [one.right for one in bins] == pytest.approx(shares)
    assert [one.confidence for one in bins] == pytest.approx(means)


def test_a_calibrated_model_stays_below_the_bound_of_chance_95_times_in_100() -> None:
    below = 0
    for seed in range(400):
        labels, chances = drawn(150, seed)
        sure, right = chances.max(axis=1), chances.argmax(axis=1) == labels
        error = calibration.calibration_error(calibration.binned(sure, right))
        below += error <= calibration.error_by_chance(sure, seed=seed, draws=200)
    assert 0.92 <= below / 400 <= 0.98


@pytest.mark.parametrize("true", [0.5, 1.0, 2.3])
def test_the_temperature_that_was_put_in_comes_out_and_has_the_least_loss(true: float) -> None:
    labels, chances = drawn(4000, 7, true)
    found = calibration.fitted_temperature(labels, chances)
    assert found == pytest.approx(true, rel=0.1)
    best = minimize_scalar(
        lambda at: log_loss(labels, calibration.cooled(chances, at), labels=[0, 1, 2]), bounds=(0.2, 10), method="bounded"
    )
    assert found == pytest.approx(best.x, rel=1e-3)


def test_a_temperature_is_not_learnt_where_the_rows_cannot_tell() -> None:
    sure = np.tile([0.9, 0.05, 0.05], (100, 1))
    assert calibration.fitted_temperature(np.zeros(100, int), sure) is None  # all right
    assert calibration.fitted_temperature(np.ones(100, int), sure) is None  # all wrong
    assert calibration.fitted_temperature(np.array([0, 1] * 10), sure[:20]) is None  # few


@given(temperature=st.floats(0.2, 10), seed=st.integers(0, 100))
@settings(max_examples=30)
def test_cooling_changes_no_answer_and_is_the_softmax_of_the_divided_logits(temperature: float, seed: int) -> None:
    logits = np.random.default_rng(seed).standard_normal((20, 3)) * 3
    cooled = calibration.cooled(softmax(logits), temperature)
    assert np.array_equal(cooled.argmax(axis=1), logits.argmax(axis=1))
    np.testing.assert_allclose(cooled, softmax(logits / temperature), atol=1e-9)


@given(whole=st.integers(1, 5000), share=st.floats(0, 1))
@settings(max_examples=60)
def test_the_interval_of_a_share_is_that_of_statsmodels(whole: int, share: float) -> None:
    part = round(share * whole)
    low, high = proportion_confint(part, whole, method="wilson")
    found = calibration.share_of(part, whole)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)


def test_the_intervals_of_a_share_and_of_two_models_cover_the_truth_about_95_times_in_100() -> None:
    dice = np.random.default_rng(3)
    parts = dice.binomial(300, 0.88, 1000)
    covered = sum(one.low <= 0.88 <= one.high for one in (calibration.share_of(int(part), 300) for part in parts))
    assert 930 <= covered <= 970
    truth = dice.integers(0, 2, 200_000)  # of a world in which one is right in 85 and the other in 78 of 100
    first, second = (np.where(dice.random(len(truth)) < right, truth, 1 - truth) for right in (0.85, 0.78))
    gap = scoring.gain(truth, first, second, 2, draws=2).value
    covered = 0
    for draw in range(1000):
        at = dice.integers(0, len(truth), 400)
        found = scoring.gain(truth[at], first[at], second[at], 2, seed=draw, draws=400)
        covered += found.low <= gap <= found.high
    assert 930 <= covered <= 970


@given(st.integers(0, 60), st.integers(0, 60))
@settings(max_examples=40)
def test_mcnemar_is_that_of_statsmodels(one: int, other: int) -> None:
    assert scoring.compare(one, other) == pytest.approx(mcnemar([[50, one], [other, 9]], exact=True).pvalue if one + other else 1.0)


def test_at_a_threshold_the_answered_share_and_how_much_of_it_is_right() -> None:
    sure, right = np.array([0.95, 0.85, 0.85, 0.6]), np.array([True, True, False, False])
    at = calibration.silence_at(sure, right, 0.8)
    assert (at.answered, at.share) == (3, 0.75)
    assert at.right is not None
    assert at.right.value == pytest.approx(2 / 3)
    assert calibration.silence_at(sure, right, 0.99).right is None


@given(rows=st.integers(2, 200), seed=st.integers(0, 1000))
@settings(max_examples=40)
def test_precision_over_recall_is_that_of_scikit_learn(rows: int, seed: int) -> None:
    dice = np.random.default_rng(seed)
    truly, chance = dice.random(rows) < 0.4, dice.random(rows).round(1)  # many ties
    truly[0] = True
    found = calibration.curve("good", truly, chance)
    precision, recall, _ = precision_recall_curve(truly, chance)
    assert found.average_precision == pytest.approx(average_precision_score(truly, chance))
    assert list(found.recall) == pytest.approx(recall[-2::-1])
    assert list(found.precision) == pytest.approx(precision[-2::-1])


def test_the_whole_of_some_answers_and_what_was_kept_of_them() -> None:
    labels, chances = drawn(500, 1, 2.0)
    lines = [
        json.dumps(
            {"row": at + 1, "text": "কথা", "label": CLASSES[label], "predicted": "", "probabilities": dict(zip(CLASSES, row, strict=True))}
        )
        for at, (label, row) in enumerate(zip(labels, chances.tolist(), strict=True))
    ]
    answers = calibration.answers(lines, CLASSES)
    assert answers is not None
    hot = calibration.confidence_of(answers)
    assert hot.error > hot.error_by_chance
    assert hot.mean_confidence > hot.accuracy
    cool = calibration.confidence_of(answers, temperature=2.0)
    assert cool.error <= cool.error_by_chance
    assert cool.accuracy == hot.accuracy
    assert [one.label for one in cool.curves] == list(CLASSES)
    assert cool.silence[0].answered == 500
    assert calibration.answers(lines, ("other", "classes")) is None
    assert calibration.answers([], CLASSES) is None


@pytest.mark.parametrize(("differing", "gap"), [(0.1, 0.03), (0.2, 0.05), (0.3, 0.1)])
def test_with_the_rows_that_are_needed_the_test_tells_eight_times_in_ten(differing: float, gap: float) -> None:
    rows = enough.rows_needed(differing, gap)
    dice = np.random.default_rng(5)
    counts = dice.multinomial(rows, [(differing + gap) / 2, (differing - gap) / 2, 1 - differing], 1000)
    told = np.mean([scoring.compare(int(one), int(other)) < 0.05 for one, other, _ in counts])
    assert 0.74 <= told <= 0.84  # the exact test is a little more careful than the formula
    assert enough.difference_told(rows, differing) == pytest.approx(gap, rel=0.01)


def test_a_test_set_that_is_too_small_to_tell_is_warned_of() -> None:
    def against(model: int, baseline: int) -> BaselineScore:
        p = scoring.compare(model, baseline)
        return BaselineScore("tfidf", "TF-IDF", 0.8, 0.8, 0.8, model, baseline, p, Interval(0.0, -0.1, 0.1), "")

    def score(rows: int) -> list[ClassScore]:
        return [ClassScore(name, 0.8, 0.8, 0.8, rows // 2, rows // 2) for name in ("a", "b")]

    few = verdict.warnings(score(300), (0, 0), None, [against(25, 16)])
    assert few[0] == (
        "The test set is too small to tell the model from TF-IDF: on 300 rows a difference under 6.0 points may be chance. "
        "To settle the 3.0 points seen here takes about 1,200 rows."
    )
    assert verdict.warnings(score(300), (0, 0), None, [against(60, 16)]) == ()  # it does tell
    assert verdict.warnings(score(20_000), (0, 0), None, [against(900, 880)]) == ()  # it would tell what matters
    assert "To settle" not in verdict.warnings(score(300), (0, 0), None, [against(20, 20)])[0]
