"""When training has stopped getting better."""

from typing import Any

import pytest

from engine.patience import best_step, without_gain


def checks(*figures: tuple[float, float]) -> list[dict[str, Any]]:
    """A check every ten steps, of (macro F1, loss)."""
    return [{"step": 10 * at, "metrics": {"macro_f1": f1, "mae": loss, "loss": loss}} for at, (f1, loss) in enumerate(figures, 1)]


def test_the_first_of_equally_good_checks_is_the_best() -> None:
    assert best_step(checks((0.2, 1.0), (0.5, 0.9), (0.5, 0.8), (0.4, 0.7)), "macro_f1") == 20


@pytest.mark.parametrize("figure", ["loss", "mae"])
def test_of_a_loss_or_an_error_the_lowest_is_the_best(figure: str) -> None:
    assert best_step(checks((0.2, 1.0), (0.5, 0.7), (0.6, 0.8)), figure) == 20


def test_a_figure_that_stands_still_is_no_standstill_while_the_loss_falls() -> None:
    history = checks((0.18, 1.6), (0.18, 1.5), (0.18, 1.4), (0.18, 1.3))
    assert without_gain(history, best_step(history, "macro_f1")) == 0


def test_a_loss_that_falls_by_less_than_a_hundredth_is_no_gain() -> None:
    history = checks((0.18, 1.6), (0.18, 1.599), (0.18, 1.598), (0.18, 1.597))
    assert without_gain(history, best_step(history, "macro_f1")) == 3


def test_many_small_falls_that_add_up_to_a_hundredth_are_one() -> None:
    history = checks((0.18, 1.6), (0.18, 1.59), (0.18, 1.58), (0.18, 1.579))
    assert without_gain(history, best_step(history, "macro_f1")) == 1


def test_a_figure_that_still_rises_while_the_loss_does_too_is_a_gain() -> None:
    history = checks((0.5, 0.4), (0.6, 0.5), (0.7, 0.6))
    assert without_gain(history, best_step(history, "macro_f1")) == 0


def test_overfitting_is_waited_for_no_longer_than_before() -> None:
    history = checks((0.7, 0.4), (0.69, 0.5), (0.7, 0.6), (0.68, 0.7))
    assert without_gain(history, best_step(history, "macro_f1")) == 3


def test_nothing_was_waited_for_before_the_first_check() -> None:
    assert without_gain([], None) == 0
