"""Figures of numbers equal those of scipy and scikit-learn; their intervals are those of a bootstrap over rows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from engine import number_metrics, resampling

DICE = np.random.default_rng(3)
WANTED = DICE.integers(1, 11, 150).astype(float)
GIVEN = 0.6 * WANTED + DICE.normal(0, 1.5, 150)
OTHER = 0.3 * WANTED + DICE.normal(0, 2.0, 150)


def figures(given: np.ndarray, wanted: np.ndarray) -> dict[str, resampling.Figure]:
    every = (*number_metrics.off_by(given, wanted), number_metrics.spearman(given, wanted), number_metrics.pearson(given, wanted))
    return {one.id: one for one in every}


def test_figures_are_those_of_scikit_learn_and_scipy() -> None:
    found = {name: one.value for name, one in figures(GIVEN, WANTED).items()}
    assert found == pytest.approx(
        {
            "mae": metrics.mean_absolute_error(WANTED, GIVEN),
            "rmse": metrics.root_mean_squared_error(WANTED, GIVEN),
            "r2": metrics.r2_score(WANTED, GIVEN),
            "spearman": stats.spearmanr(GIVEN, WANTED).statistic,
            "pearson": stats.pearsonr(GIVEN, WANTED).statistic,
        }
    )


def test_large_numbers_lose_no_digits() -> None:
    far = {name: one.value for name, one in figures(GIVEN + 1e8, WANTED + 1e8).items()}
    assert far == pytest.approx({name: one.value for name, one in figures(GIVEN, WANTED).items()}, rel=1e-6)


def test_ranks_of_equal_numbers_are_their_mean() -> None:
    values = [3.0, 1.0, 3.0, 2.0, 3.0]
    assert number_metrics.ranks(values).tolist() == stats.rankdata(values).tolist()


@pytest.mark.parametrize("id", ["mae", "rmse", "r2", "spearman", "pearson"])
def test_an_interval_is_near_scipy_s_bootstrap(id: str) -> None:
    reference = {
        "mae": lambda x, y: np.abs(x - y).mean(),
        "rmse": lambda x, y: np.sqrt(((x - y) ** 2).mean()),
        "r2": lambda x, y: metrics.r2_score(y, x),
        "spearman": lambda x, y: stats.spearmanr(x, y).statistic,
        "pearson": lambda x, y: stats.pearsonr(x, y).statistic,
    }[id]
    wanted = stats.bootstrap(
        (GIVEN, WANTED), reference, paired=True, vectorized=False, n_resamples=1000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    found = resampling.interval(figures(GIVEN, WANTED)[id])
    width = wanted.high - wanted.low
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=0.12 * width)


def test_the_paired_test_is_that_of_scipy_for_the_mean_error() -> None:
    ours = resampling.compare(figures(GIVEN[:25], WANTED[:25])["mae"], figures(OTHER[:25], WANTED[:25])["mae"])
    first, second = np.abs(GIVEN[:25] - WANTED[:25]), np.abs(OTHER[:25] - WANTED[:25])
    told = stats.permutation_test(
        (first, second), lambda x, y: (x - y).mean(), permutation_type="samples", vectorized=False, n_resamples=5000,
        rng=np.random.default_rng(2),
    )  # fmt: skip
    assert ours.p_value == pytest.approx(told.pvalue, abs=0.02)


def test_always_the_same_number_has_no_order_and_explains_nothing() -> None:
    flat = {name: one.value for name, one in figures(np.full(150, WANTED.mean()), WANTED).items()}
    assert (flat["spearman"], flat["pearson"], flat["r2"]) == (0.0, 0.0, pytest.approx(0.0, abs=1e-12))
    alike = {name: one.value for name, one in figures(GIVEN, np.full(150, 3.0)).items()}
    assert (alike["spearman"], alike["r2"]) == (0.0, 0.0), "where nothing differs there is nothing to explain"


@pytest.mark.parametrize("rows", [20, 99, 500])
def test_a_margin_holds_for_nine_in_ten_of_later_rows_whatever_the_errors(rows: int) -> None:
    """On average over sets of validation rows: 0.9 to 0.9 + 1 / (rows + 1), as split conformal prediction promises."""
    dice, held = np.random.default_rng(5), []
    for _ in range(600):
        errors = dice.standard_t(2, rows) * dice.choice((0.2, 3.0), rows)
        later = dice.standard_t(2, 400) * dice.choice((0.2, 3.0), 400)
        half = number_metrics.margin(errors.tolist(), [0.0] * rows)
        assert half is not None
        held.append(float((np.abs(later) <= half).mean()))
    assert 0.9 - 0.008 <= np.mean(held) <= 0.9 + 1 / (rows + 1) + 0.008


def test_a_margin_is_one_of_the_distances_and_too_few_rows_give_none() -> None:
    assert number_metrics.margin([float(at) for at in range(1, 100)], [0.0] * 99) == 90
    assert number_metrics.margin([1.0] * 19, [0.0] * 19) is None


def test_ranks_of_rows_drawn_again_are_those_among_them() -> None:
    dice = np.random.default_rng(4)
    counts = dice.multinomial(40, np.full(40, 1 / 40), size=5).astype(float)
    given, wanted = dice.integers(0, 6, 40).astype(float), dice.integers(0, 4, 40).astype(float)
    again = number_metrics.spearman(given.tolist(), wanted.tolist()).on(counts)
    slow = [stats.spearmanr(np.repeat(given, row.astype(int)), np.repeat(wanted, row.astype(int))).statistic for row in counts]
    assert again == pytest.approx(slow)
