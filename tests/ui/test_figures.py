"""Figures as plain data: valid for Plotly, thin enough for a screen, steady under a viewer's zoom."""

from __future__ import annotations

from pathlib import Path

import plotly.graph_objects as go
import pytest

from engine.events import Resources, Step
from engine.store import RunRecord, fold
from tests.ui import homes
from ui import figures


def a_record(steps: int, total: int = 100) -> RunRecord:
    return fold(RunRecord("20261123-000000-reviews-ab12"), homes.training(1_000_000.0, steps, total))


@pytest.mark.parametrize("steps", [0, 1, 62])
def test_plotly_knows_every_property_that_the_curves_use(steps: int) -> None:
    drawn = figures.curves(a_record(steps))
    assert set(drawn) == set(figures.NAMES)
    for figure in drawn.values():
        go.Figure(figure)  # raises ValueError for an unknown property


def test_plotly_knows_every_property_that_the_matrix_uses() -> None:
    go.Figure(figures.confusion(homes.an_evaluation()))


def test_the_matrix_has_the_persons_labels_and_true_labels_down_the_side() -> None:
    figure = figures.confusion(homes.an_evaluation())
    assert figure["layout"]["xaxis"]["ticktext"] == list(homes.CLASSES)
    assert figure["data"][0]["customdata"][0][1] == ["নেতিবাচক", "Neutral", 4]
    assert "Noto Sans Bengali" in figure["layout"]["font"]["family"]


def test_two_long_labels_that_are_shortened_alike_keep_a_row_each() -> None:
    names = ("a very long label that ends in one", "a very long label that ends in two")
    figure = figures.confusion(homes.an_evaluation(names))
    assert figure["data"][0]["y"] == [0, 1]


def test_seventy_seven_classes_still_fit_and_leave_their_numbers_to_the_pointer() -> None:
    figure = figures.confusion(homes.an_evaluation(tuple(f"intent {at}" for at in range(77))))
    assert figure["data"][0]["texttemplate"] == ""
    assert figure["layout"]["height"] <= 1400


def test_a_long_run_costs_no_more_to_draw_than_a_short_one() -> None:
    figure = figures.loss(a_record(20_000, 20_000))
    assert len(figure["data"][0]["x"]) <= figures.POINTS
    assert figure["data"][0]["x"][-1] == 20_000  # the newest step is always there


def test_the_newest_memory_reading_is_always_drawn() -> None:
    record = fold(RunRecord("a-run"), [Resources(float(at), at, at) for at in range(1000, 2001)])
    figure = figures.memory(record)
    assert len(figure["data"][0]["x"]) <= figures.POINTS + 1
    assert figure["data"][0]["x"][-1] == pytest.approx(1000 / 60)


def test_a_gpu_is_drawn_beside_the_process() -> None:
    record = fold(RunRecord("a-run"), [Resources(1.0, 10**9, 10**9, 3 * 10**9, 4 * 10**9)])
    assert [series["name"] for series in figures.memory(record)["data"]] == ["GPU, used", "GPU, peak", "RAM, used"]


def test_a_zoom_outlives_a_redraw_because_the_revision_is_the_runs() -> None:
    before, after = figures.loss(a_record(10)), figures.loss(a_record(20))
    assert before["layout"]["uirevision"] == after["layout"]["uirevision"] == "20261123-000000-reviews-ab12"


def test_a_loss_that_is_not_finite_leaves_a_gap_and_not_an_error() -> None:
    record = fold(
        RunRecord("a-run"), [Step(float(at), at, 3, 0.1, loss, 1e-4, loss, 1.0) for at, loss in ((1, 0.7), (2, float("nan")), (3, 0.6))]
    )
    assert figures.loss(record)["data"][0]["y"] == [0.7, None, 0.6]
    assert figures.gradient_norm(record)["data"][0]["y"] == [0.7, None, 0.6]


def test_axes_say_their_units() -> None:
    drawn = figures.curves(a_record(20))
    assert drawn["loss"]["layout"]["yaxis"]["title"]["text"] == "Loss (nats a row)"
    assert figures.curves(a_record(20), "loss", "nats a token")["loss"]["layout"]["yaxis"]["title"]["text"] == "Loss (nats a token)"
    assert drawn["memory"]["layout"]["yaxis"]["title"]["text"] == "Memory (GB)"
    assert drawn["memory"]["layout"]["xaxis"]["title"]["text"] == "Minutes"


def test_the_page_needs_no_plotly_package(tmp_path: Path) -> None:
    assert "import plotly" not in Path(figures.__file__).read_text("utf-8")


def test_a_curve_without_a_point_has_no_made_up_figures_at_its_axes() -> None:
    before, after = figures.held_out(RunRecord("run"), "macro_f1")["layout"], figures.held_out(a_record(20), "macro_f1")["layout"]
    assert before["yaxis"]["showticklabels"] is False
    assert [one["text"] for one in before["annotations"]] == ["Nothing yet"]
    assert after["annotations"] == []
    assert "showticklabels" not in after["yaxis"]
