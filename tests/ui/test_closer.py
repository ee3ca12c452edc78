"""What is said of a judged run beyond its verdict: true to the figures, in plain words, safe."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest

from engine import account
from engine.calibration import Answers, Confidence, confidence_of
from engine.edge_cases import Finding, Move
from engine.errors import Problem
from engine.probed import Probed, Speed
from engine.probing import Look
from engine.scoring import Interval
from engine.store import Store
from engine.studio import Studio
from tests import looks
from tests.ui import homes
from ui import confidence, probed, verdict_figures
from ui.tabs import closer_events

CLASSES = ("নেতিবাচক", "<b>neutral</b>", "positive")


def told(rows: int = 400, *, heat: float = 1.0, classes: tuple[str, ...] = CLASSES) -> Confidence:
    """Of a made-up model that is as sure as it should be; the hotter, the surer."""
    dice = np.random.default_rng(1)
    logits = 3 * dice.standard_normal((rows, len(classes)))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.minimum((dice.random((rows, 1)) > true.cumsum(axis=1)).sum(axis=1), len(classes) - 1)
    numbers = tuple(range(1, rows + 1))
    return confidence_of(Answers(numbers, ("words",) * rows, labels, true, classes), temperature=1 / heat)


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


@pytest.mark.parametrize(("task", "seen"), [("regress", True), ("instruct", False)])
def test_of_a_run_without_classes_edge_cases_and_speed_are_folded_away_and_of_one_that_writes_nothing(
    task: str, seen: bool, tmp_path: Path
) -> None:
    run_id = homes.finished_writer(tmp_path, 1_000_000.0)
    folder = Store(tmp_path).folder(run_id)
    kept = (folder / account.FILE).read_text("utf-8").replace('"instruct"', f'"{task}"')
    (folder / account.FILE).write_text(kept, "utf-8")
    column, *_, sure, classes, look = closer_events.on_judged(Studio(tmp_path, dispatch=False), run_id)
    assert column["visible"] is seen
    if seen:
        assert (sure["visible"], classes["visible"], look["label"]) == (False, False, "Edge cases and speed")
        timed = Probed(1, "CPU", 9.0, 40, 0, (), (Speed("tuned", 0.02, 0.04, 100, 8, 210.0),), None, 0, None, None, 0)
        shown = probed.found(Look("done", found=timed))
        assert "Edge cases" not in shown
        assert "One text takes 20" in plain(shown)
        assert "confidence" not in probed.state(Look("none"), sorts=False)
        far = Finding("capitals", "ALL IN CAPITALS", True, 40, None, 0, 0, (), Move(Interval(0.6, 0.5, 0.7), 0.8, 1.1))
        none = Finding("latin", "Bengali typed in Latin letters", True, 0, None, 0, 0, ())
        shown = plain(probed.found(Look("done", found=replace(timed, edge_cases=(far, none)))))
        assert "“ALL IN CAPITALS” moves its numbers by 0.600 on average, beside a mean error of 0.800" in shown
        assert "It stumbles" in shown
        assert "Off after" in shown
        assert "Applies to no text here: Bengali typed in Latin letters." in shown


def test_a_model_is_called_too_sure_too_shy_or_neither() -> None:
    assert "can be believed, as far as 400 rows can tell" in plain(confidence.verdict(told()))
    assert confidence.verdict(told(40)).startswith("40\u00a0rows are too few to say whether")
    assert "too sure of itself: on average" in confidence.verdict(told(heat=4))
    assert "more often right than it believes" in confidence.verdict(told(heat=0.3))


def test_a_threshold_is_told_as_what_it_answers_and_how_much_of_that_is_right() -> None:
    figures = told()
    at = figures.silence[80]
    assert at.right is not None
    said = plain(confidence.at_threshold(figures, 0.8))
    assert f"At 0.80 it answers {100 * at.share:.1f} % of rows, with {100 * at.right.value:.1f} % right" in said
    assert f"{400 - at.answered} rows of 400 would be left to a person" in said
    assert "left to a person" not in confidence.at_threshold(figures, 0.0)
    shy = told(heat=0.1)
    assert "it answers nothing" in confidence.at_threshold(shy, 0.99)
    assert confidence.usual(figures) == 0.8
    assert confidence.usual(shy) < 0.8
    assert confidence.silence_table(shy).count("<tr") < confidence.silence_table(figures).count("<tr")


def test_of_many_classes_the_weakest_are_drawn_and_labels_are_never_run() -> None:
    many = told(900, classes=tuple(f"intent {at}" for at in range(20)))
    assert len(verdict_figures.precision(many)["data"]) == confidence.DRAWN
    assert "the 6 weakest of 20 classes" in confidence.curves_told(many)
    assert "<b>neutral" not in confidence.curves_told(told())


@pytest.mark.parametrize("rows", [1, 400])
def test_plotly_knows_every_property_of_the_pictures(rows: int) -> None:
    drawn = verdict_figures.confidence(told(rows))
    assert set(drawn) == {"calibration", "silence", "precision"}
    for figure in drawn.values():
        go.Figure(figure)


def test_where_no_answers_were_kept_that_is_said() -> None:
    assert "were not kept" in confidence.sureness(None)
    assert confidence.at_threshold(None, 0.8) == confidence.silence_table(None) == confidence.curves_told(None) == ""
    assert verdict_figures.confidence(None) == {}


def a_look(**changed: object) -> Look:
    return Look("done", found=replace(looks.a_look(0), **changed))


def test_a_look_says_what_the_model_stumbles_over_and_how_quick_it_is() -> None:
    told = plain(probed.found(a_look()))
    assert "It stumbles: “Bengali typed in Latin letters” changes 98.0 % of its answers." in told
    assert "One text takes 14 ms; merged into one model, 7.4 ms." in told
    assert "Applies to no text here: all in small letters." in told
    assert "&lt;b&gt;Neutral" in told
    assert "<b>Neutral" not in told
    steady = tuple(one for one in looks.a_look(0).edge_cases if one.id == "typos")
    assert "fairly steady" in probed.edge_cases(looks_with(steady))
    assert "No text here could be changed" in probed.edge_cases(looks_with(()))


def looks_with(findings: tuple[Finding, ...]) -> Probed:
    return replace(looks.a_look(0), edge_cases=findings)


def test_how_far_a_look_is_and_why_it_ended_is_said() -> None:
    assert "Takes one to three minutes" in plain(probed.state(Look("none")))
    assert "Timing it …" in probed.state(Look("looking", "Timing it"))
    assert "broke off" in probed.state(Look("failed", problem=Problem("run", "The process broke off.", "Look again.")))
    assert probed.state(a_look()) == probed.found(Look("none")) == ""


def test_what_correcting_brings_is_said_before_and_after() -> None:
    would = plain(probed.correction(looks.a_look(0), 0.07, 0.02, on=False))
    assert "would make the error on the test rows 2.0 % instead of 7.0 % (temperature 1.60, learnt from 100 validation rows" in would
    assert "makes the error" in probed.correction(looks.a_look(0), 0.07, 0.02, on=True)
    assert "That is worse: better leave it." in plain(probed.correction(looks.a_look(0), 0.02, 0.07, on=False))
    assert "nothing to correct" in probed.correction(replace(looks.a_look(0), temperature=0.998), 0.07, 0.07, on=False)
    assert "could not tell" in probed.correction(replace(looks.a_look(0), temperature=None), 0.07, 0.07, on=False)
    assert "A closer look" in probed.correction(None, 0.07, 0.07, on=False)


# What the buttons do


@pytest.fixture
def judged_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Studio, str]]:
    """A judged run that a look was taken at; in place of another look a process that waits to be ended."""
    run_id = homes.finished(tmp_path, 1_000_000.0)
    folder = Store(tmp_path).folder(run_id)
    looks.answer(folder, homes.CLASSES)
    (folder / "model").mkdir()
    (folder / "model" / "shur.json").write_text("{}")
    looks.probed_run(folder)
    studio = Studio(tmp_path, dispatch=False)
    monkeypatch.setattr(studio._probing, "_command", lambda *_: [sys.executable, "-c", "import signal; signal.pause()"])
    yield studio, run_id
    studio.close()


def test_correcting_its_confidence_keeps_the_threshold_and_is_undone_as_easily(judged_run: tuple[Studio, str]) -> None:
    studio, run_id = judged_run
    plainly = closer_events.shown(studio, run_id)
    corrected = closer_events.on_correct(studio, run_id, True, 0.7)
    assert len(plainly) == len(corrected) == 9
    assert (plainly[2]["value"], corrected[2]["value"], corrected[4]["value"]) == (False, True, 0.7)
    assert "would make the error" in plainly[3]
    assert "makes the error" in corrected[3]
    assert plainly[1] != corrected[1]
    assert closer_events.on_correct(studio, run_id, False, plainly[4]["value"])[1] == plainly[1]


def test_a_look_is_begun_and_given_up_by_the_same_button_and_what_was_found_before_stays(judged_run: tuple[Studio, str]) -> None:
    studio, run_id = judged_run
    before = closer_events.looked(studio, run_id)
    state, found, button, timer = closer_events.on_look(studio, run_id, "")
    assert "Starting" in state
    assert found == before[1] != ""
    assert (button["value"], timer["active"]) == ("Stop looking", True)
    while_it_goes_on = closer_events.on_tick(studio, run_id, 0.7)
    assert "Starting" in while_it_goes_on[0]
    given_up = closer_events.on_look(studio, run_id, "")
    assert (given_up[2]["value"], given_up[3]["active"]) == ("Look again", False)
    over = closer_events.on_tick(studio, run_id, 0.7)
    assert len(over) == len(while_it_goes_on) == 15
    assert over[13].count("untuned model") == 1
    assert "Untuned model, by nearest neighbours (500 of the rows)" in over[14]


def test_a_run_that_is_not_judged_or_gone_has_no_folds(judged_run: tuple[Studio, str]) -> None:
    studio, run_id = judged_run
    assert len(closer_events.on_judged(studio, run_id)) == 16
    assert closer_events.on_judged(studio, run_id)[0]["visible"] is True
    studio.delete(run_id)
    assert len(closer_events.on_judged(studio, run_id)) == 16
    assert closer_events.on_judged(studio, run_id)[0]["visible"] is False
    assert closer_events.on_tick(studio, run_id, 0.7)[3]["active"] is False
