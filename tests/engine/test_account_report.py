"""The report on a run that writes: everything in it, nothing of classes, nothing ticked without evidence."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest

from engine import account_report, document, gathered, judge_command, readiness, report_command, reported
from engine.account import Other, Sample, Told
from engine.answers import Answer, Score
from engine.document import Check
from engine.errors import Refused
from engine.gathered import KnownAccount
from engine.interrupts import Interrupts
from engine.probed import Probed, Speed
from engine.reviews import Asked, Person, Sheet, outcome
from engine.scoring import Interval
from engine.slices import MEAN_ERROR, Slice
from engine.studio import Studio
from tests.ui import homes

HOSTILE = "<script>alert(1)</script> | `বাংলা` *x* \n# y"


@pytest.fixture
def known(tmp_path: Path) -> KnownAccount:
    found = gathered.known_account(Studio(tmp_path, dispatch=False), homes.finished_writer(tmp_path, 1_000_000.0))
    assert found is not None
    return found


def checks(told: KnownAccount) -> dict[str, Check]:
    return {one.name: one for one in readiness.checks_of_account(told.account, told.plan, told.studies, told.reviewed, writes=True)}


def test_figures_stand_beside_the_untuned_model_s_and_texts_side_by_side(known: KnownAccount) -> None:
    told = document.to_markdown(account_report.document(known))
    assert all(f"## {title}" in told for title, _ in account_report.WRITES)
    assert told.index(known.account.sentence.split(" ")[0]) < told.index("## How good it is")
    assert "| ROUGE-L | 3.50 (3.10 to 4.00) | 9.25 | better, p = 0.0001 | 40 |" in told
    assert "| 1 | secret text 1 | good | good | bad |" in told
    assert "12 by itself" in told
    assert json.loads(known.spec_json)["model"] in told
    for absent in ("accuracy", "Accuracy", "F1 ", "Label by label", "all rows", "nats a row"):
        assert absent not in told, absent
    assert document.to_html(account_report.document(known)).count("<svg") == 2


def test_the_worst_rows_and_the_weak_parts_are_told_of_texts_numbers_and_tags(known: KnownAccount) -> None:
    written = [Answer(at, f"prompt {at}", "wanted", "written", {}, score=Score("chrF", at, "higher")) for at in (40, 7)]
    told = document.to_markdown(account_report.document(replace(known, answers=tuple(written))))
    assert told.index("prompt 7") < told.index("prompt 40")
    numbers = (Answer(1, "one", "4", "6.5", {}, numbers=(4.0, 6.5)), Answer(2, "two", "4", "1", {}, numbers=(4.0, 1.0)))
    weak = Slice("Script", "Bengali", (0,), Interval(2.5, 2.0, 3.0), 0.5, 0.001, MEAN_ERROR)
    told = document.to_markdown(account_report.document(replace(known, answers=numbers, slices=(weak,), corrected=3)))
    assert told.index("| 2 | two | 4 | 1.00 | -3 |") < told.index("| 1 | one | 4 | 6.50 | +2.5 |")
    assert "| Script: Bengali | 2.50 (2.00 to 3.00) | 0.500 | 1 | p = 0.0010 |" in told
    assert "3 rows were put right" in told
    tagged = (Answer(3, "three", '["rude"]', '["late"]', {}, tags=(("rude",), ("late",))),)
    told = document.to_markdown(account_report.document(replace(known, answers=tagged)))
    assert "| 3 | three | rude | late | rude: missed; late: given wrongly |" in told


def test_a_tick_needs_a_figure_and_what_nobody_looked_at_is_open(known: KnownAccount) -> None:
    told = checks(known)
    assert {name for name, one in told.items() if one.done} == {
        "A strict split", "Several figures", "Better than the untuned model", "Enough answers", "Answers come to an end",
    }  # fmt: skip
    seen = checks(replace(known, account=replace(known.account, seen_rows=7)))["A strict split"]
    assert not seen.done
    assert seen.told.startswith("7 of the 40")
    endless = replace(known.account, samples=tuple(replace(one, ended="length") for one in known.account.samples), written=9)
    told = checks(replace(known, account=endless))
    assert not told["Answers come to an end"].done
    assert not told["Enough answers"].done


def test_a_run_that_is_no_better_than_the_untuned_model_is_not_ticked_and_says_which_is(known: KnownAccount) -> None:
    first = next(one for one in known.account.figures if one.id == known.account.headline)
    assert first.gain is not None
    worse = replace(first, gain=replace(first.gain, value=-first.gain.value))
    for figure, words in ((worse, "the untuned model is better, beyond chance"), (replace(first, p_value=0.4), "may be chance")):
        told = checks(replace(known, account=replace(known.account, figures=(figure,))))["Better than the untuned model"]
        assert (told.done, words in told.told) == (False, True), told


def test_nothing_stands_in_the_list_that_no_evidence_can_tick(known: KnownAccount) -> None:
    assert not {"Read by people", "Speed where it will run", "Another split"} & set(checks(known))
    told = document.to_markdown(account_report.document(known))
    assert "read 50 answers yourself" in told
    assert "tells tokens a second" in told


@pytest.mark.parametrize(("rows", "people", "done"), [(50, 2, True), (49, 2, False), (60, 1, False)])
def test_fifty_answers_rated_by_two_are_a_review_and_stand_in_the_report(known: KnownAccount, rows: int, people: int, done: bool) -> None:
    asked = tuple(Asked(at, f"text {at}", "good", "good") for at in range(rows))
    sheet = Sheet("run", 1, (), ("fluency", "tone"), tuple(Person(str(at), "") for at in range(people)), asked, writes=True)
    said = [{at: {"fluency": "4", "tone": str(1 + at % 5)} for at in range(rows)}] * people
    told = replace(known, reviewed=outcome(sheet, said))
    assert checks(told)["Reviewed by people"].done is done
    assert f"| Fluency | 4.0 (4.0 to 4.0) | {rows} |" in document.to_markdown(account_report.document(told))


def test_the_speed_that_a_closer_look_told_ticks_its_item_where_nothing_is_written(known: KnownAccount, tmp_path: Path) -> None:
    look = Probed(1, "CPU, 2 cores", 9.0, 40, 0, (), (Speed("tuned", 0.02, 0.04, 100, 8, 210.0),), None, 0, None, None, 0)

    def item(found: Probed | None) -> Check:
        listed = readiness.checks_of_account(known.account, known.plan, (), None, found, writes=False)
        return next(one for one in listed if one.name == "Speed where it will run")

    assert not item(None).done
    assert item(look).done
    assert "20 ms" in item(look).told
    numbers = replace(known, look=look, plan=replace(known.plan, task="regress"))
    told = document.to_markdown(account_report.document(numbers))
    assert "20 ms | 40 ms | 210 | 8" in told


def test_what_was_written_stays_text(known: KnownAccount) -> None:
    hostile = replace(known, account=replace(known.account, samples=(Sample(1, HOSTILE, HOSTILE, HOSTILE, HOSTILE, "end"),)))
    page = document.to_html(account_report.document(hostile))
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 4


def test_the_report_is_written_from_the_shell_for_either_kind_of_run(tmp_path: Path) -> None:
    studio = Studio(tmp_path, dispatch=False)
    for run_id, title in ((homes.finished_writer(tmp_path, 2.0), "What it writes"), (homes.finished(tmp_path, 1.0), "Label by label")):
        assert title in {one.title for one in reported.document(studio, run_id).sections}
        assert report_command.tell(Namespace(run=run_id, to=tmp_path / "r.md"), studio) == 0
        assert f"## {title}" in (tmp_path / "r.md").read_text("utf-8")


def test_a_run_that_says_numbers_is_reported_beside_what_needs_no_language_model(known: KnownAccount) -> None:
    others = (Other("ridge", "Ridge regression", 3.9, Interval(-0.4, -0.9, -0.1), 0.01),)
    figure = Told("mae", "Mean error", "lower", "How it is counted.", 40, Interval(3.5, 3.1, 4.0), others=others)
    samples = tuple(replace(one, before=None) for one in known.account.samples)
    account = replace(known.account, task="regress", headline="mae", figures=(figure,), samples=samples, notes=("Ridge: of words.",))
    told = document.to_markdown(account_report.document(replace(known, account=account, plan=replace(known.plan, task="regress"))))
    assert "| Figure | Tuned | Ridge regression | Rows |" in told
    assert "3.90: the model is better, by more than chance (p = 0.01" in told
    assert "## What it says" in told
    for absent in ("Untuned", "nats a token", "likeliest word", "Answers come to an end", "How it is asked"):
        assert absent not in told, absent


def test_what_is_known_of_a_run_that_gives_numbers_is_told_from_the_shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    studio = Studio(tmp_path, dispatch=False)
    run_id = homes.finished_writer(tmp_path, 2.0)
    kept = studio.store.folder(run_id) / "account.json"
    kept.write_text(kept.read_text("utf-8").replace('"instruct"', '"regress"'), "utf-8")
    asked = Namespace(run=run_id, kept=True, confidence=None)
    assert judge_command.judge(asked, studio, Interrupts(), lambda _: None) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["sentence"].startswith("ROUGE-L")
    assert (told["look"], told["confidence"]) == (None, None)
    with pytest.raises(Refused, match="gives classes"):
        judge_command.judge(Namespace(run=run_id, kept=True, confidence="plain"), studio, Interrupts(), lambda _: None)


def test_what_asks_for_classes_says_so_of_a_run_that_writes(tmp_path: Path) -> None:
    studio = Studio(tmp_path, dispatch=False)
    run_id = homes.finished_writer(tmp_path, 2.0)
    with pytest.raises(Refused, match="this run writes"):
        judge_command.judge(Namespace(run=run_id, kept=False, confidence=None), studio, Interrupts(), lambda _: None)
