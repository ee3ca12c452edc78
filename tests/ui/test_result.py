"""What the Runs place says of a run."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import get_args

import pytest

from engine import account, reasons
from engine.coach import Advice, Kind
from engine.evaluate import Sample
from engine.events import Ended, Progress, Queued, Started
from engine.reasons import Reason
from engine.store import RunRecord, Store, fold
from engine.studio import Studio
from engine.train_command import outcome
from tests.finished import told as a_told
from tests.ui import homes
from ui import coach, result
from ui.tabs import runs_events

NOW = 1_000_000.0


def a_record(steps: int = 62) -> RunRecord:
    return fold(RunRecord("20261123-000000-reviews-ab12"), homes.training(NOW, steps))


def test_a_run_at_work_says_phase_percent_step_time_left_and_pace() -> None:
    told = result.progress(a_record(), NOW).replace("\u00a0", " ")
    for part in ("Training", "62%", "step 62 of 100", "38 s left", "21.0 rows a second", 'aria-valuenow="62"'):
        assert part in told


def test_the_time_left_follows_the_newest_steps_of_this_attempt() -> None:
    slow = a_record()
    resumed = fold(slow, [Queued(NOW, resume=True), Started(NOW + 1, 2, 1.0, {}, "CPU, 2 cores")])
    assert result.seconds_left(resumed, NOW + 2) is None  # nothing is known of its pace yet
    assert result.seconds_left(slow, NOW) == pytest.approx(38)  # steps of a second each, 38 of them left


def test_a_run_that_ended_says_why_and_what_to_do() -> None:
    ended = fold(a_record(20), [Ended(NOW, "failed", "The machine ran out of <memory>.", "Press Resume.", 22.0)])
    told = result.progress(ended, NOW)
    assert "ran out of &lt;memory&gt;" in told
    assert "Press Resume." in told
    assert "peak memory" in told


def test_a_run_that_waits_says_so() -> None:
    assert "Waiting" in result.progress(fold(RunRecord("a-run"), [Queued(NOW)]), NOW)


@pytest.mark.parametrize("phase", ["data", "model", "tokens", "evaluation", "saving"])
def test_every_phase_has_words(phase: str) -> None:
    record = fold(RunRecord("a-run"), [Started(NOW, 1, 1.0, {}, "CPU"), Progress(NOW, phase, "", 1, 4)])
    told = result.progress(record, NOW)
    assert "25%" in told
    assert f"<b>{phase}</b>" not in told


def test_the_verdict_stands_before_its_evidence_and_names_the_interval() -> None:
    evaluation = homes.an_evaluation()
    assert evaluation.sentence in result.verdict(evaluation)
    table = result.scores_table(evaluation).replace("\u00a0", " ")
    assert "91.2 %" in table
    assert "(88.4 to 93.5)" in table
    assert "more than chance, p &lt; 0.001" in table
    assert "may be chance, p = 0.40" in table


def test_a_persons_text_is_shown_and_never_run() -> None:
    bad = Sample(1, "<script>alert(1)</script>" * 100, "<b>x</b>", "<i>y</i>", 0.5)
    told = result.samples_table(replace(homes.an_evaluation(), samples=(bad,)))
    assert "<script" not in told
    assert "<b>x" not in told
    assert "<i>y" not in told


def test_before_there_is_a_verdict_nothing_is_claimed() -> None:
    assert result.verdict(None) == result.scores_table(None) == result.classes_table(None) == result.samples_table(None) == ""


def test_a_run_that_writes_is_listed_with_its_first_figure_in_words(tmp_path: Path) -> None:
    run_id = homes.finished(tmp_path, NOW)
    folder = Store(tmp_path).folder(run_id)
    (folder / "evaluation.json").unlink()
    (folder / account.FILE).write_text(account.to_json(a_told("instruct")), "utf-8")
    (one,) = Studio(tmp_path, dispatch=False).runs()
    assert (one.figure, one.accuracy) == ("ROUGE-L 3.50", None)
    assert one.sentence is not None
    assert "ROUGE-L 3.50" in result.runs_table([one])
    last = outcome(Studio(tmp_path, dispatch=False), run_id)
    assert last["sentence"] == one.sentence
    assert {figure["id"] for figure in last["metrics"]["figures"]} == {"perplexity_token", "perplexity_word", "rougeL"}
    assert "samples" not in last["metrics"]


def test_whatever_the_coach_and_the_verdict_find_has_a_title() -> None:
    assert set(coach.TITLES) == {*get_args(Kind), *get_args(reasons.Kind)}


def test_why_a_run_is_not_better_is_told_with_its_button_and_safe() -> None:
    told = coach.reasons(
        [Reason("cut", "<b>30 %</b> are cut.", (Advice("read 256 tokens", {"max_length": 256}),)), Reason("few_rows", "Few.")]
    )
    assert "&lt;b&gt;30 %&lt;/b&gt; are cut." in told
    assert told.count("<button") == 1
    assert json.loads(unescape(re.search('data-pick="([^"]+)"', told)[1])) == {"kind": "cut", "choice": 0}  # type: ignore[index]
    assert coach.reasons([]) == ""


def test_below_the_verdict_of_a_quick_look_stands_what_may_keep_it_from_being_better(tmp_path: Path) -> None:
    studio = Studio(tmp_path, dispatch=False)
    run_id = homes.finished(tmp_path, NOW)
    verdict = runs_events.on_judged(studio, run_id)[0]
    assert "What may keep it from being better" in verdict
    assert '"kind": "few_rows"' in unescape(verdict) or 'data-coach="few_rows"' in verdict
    (studio.store.folder(run_id) / "predictions.jsonl").write_text("no answers", "utf-8")
    assert "What may keep it from being better" in runs_events.on_judged(Studio(tmp_path, dispatch=False), run_id)[0]
