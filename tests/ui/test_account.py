"""The verdict of a run that gives no classes on the page: as many places filled as for classes, the baselines beside the figures."""

from __future__ import annotations

from dataclasses import replace
from html import unescape
from typing import Any

from engine.account import Account, Other, Sample, Told, from_json, to_json
from engine.errors import Problem, Refused
from engine.predict import Prediction
from engine.scoring import Interval
from engine.told import Margin, number
from ui import account
from ui.tabs import try_
from ui.tabs.runs_events import on_judged

FIGURE = Told(
    "mae", "Mean error", "lower", "How far off.", 100, Interval(2.2, 1.9, 2.5),
    others=(
        Other("mean", "Always the mean", 3.4, Interval(-1.2, -1.5, -0.9), 0.001),
        Other("ridge", "<Ridge>", 2.1, Interval(0.1, -0.2, 0.4), 0.5),
    ),
)  # fmt: skip
MADE = Account(
    "regress", 100, 100, "mae", (FIGURE,), "It is off by 2.2.", (), (Sample(7, "a <b>text</b>", "3", "6.7", None, "end"),), 40,
    notes=("Always the mean: every row gets 5.4.",),
)  # fmt: skip


class Toy:
    """A studio that holds one run, with an account or without."""

    def __init__(self, made: Account | None) -> None:
        self.made = made

    def evaluation(self, run_id: str) -> None:
        return None

    def plan(self, run_id: str) -> None:
        return None

    def account(self, run_id: str) -> Account | None:
        return self.made

    def reasons(self, run_id: str) -> tuple[()]:
        return ()

    def made_rows(self, run_id: str) -> Any:
        raise Refused(Problem("run", "None were made.", "Go on."))


def test_a_run_with_an_account_fills_every_place_that_one_with_classes_fills() -> None:
    toys: list[Any] = [Toy(MADE), Toy(None)]
    with_account, without = (on_judged(toy, "a run") for toy in toys)
    assert len(with_account) == len(without)


def test_baselines_stand_beside_the_figure_with_what_chance_says_and_nothing_is_left_untold_or_unescaped() -> None:
    told = account.figures(MADE).replace("\u00a0", " ")
    assert "Always the mean" in told
    assert "the model is better, p = 0.0010" in told
    assert "may be chance, p = 0.50" in told
    assert "Untuned" not in told
    assert "&lt;Ridge&gt;" in told
    rows = account.samples(MADE)
    assert "&lt;b&gt;" in rows
    assert "Untuned" not in rows


def test_a_figure_that_is_as_good_as_nothing_has_no_sign() -> None:
    assert [number(value) for value in (-0.0004, -0.4, 12.34, -145.6)] == ["0.000", "-0.400", "12.3", "-146"]


def test_a_number_s_margin_stands_under_the_verdict_with_whether_it_held() -> None:
    kept, broken = Margin(0.61, 120, Interval(0.91, 0.85, 0.95)), Margin(0.61, 120, Interval(0.7, 0.6, 0.8))
    told = unescape(account.verdict(replace(MADE, margin=kept))).replace("\u00a0", " ")
    assert "90 % of the right numbers should lie within ±0.610 of the model's, by 120 validation rows" in told
    assert "of the test rows 91.0 % do (85 to 95)." in told
    assert "not what was promised" in account.verdict(replace(MADE, margin=broken))
    assert from_json(to_json(replace(MADE, margin=kept))).margin == kept


def test_try_tells_a_number_with_how_near_the_right_one_mostly_lies() -> None:
    one = Prediction("4.2", {}, 12.0, margin=0.6)
    shown = try_.bars(one)
    assert "4.2" in shown
    assert "mostly within ±0.600" in shown
    assert "For 90\u00a0% of texts like those it was tested on" in try_.table(["a"], [one])
    assert "within" not in try_.bars(Prediction("4.2", {}, 12.0))
