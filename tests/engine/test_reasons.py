"""Why a judged run is not better, and what to try."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from engine import catalog, models
from engine.catalog import Catalog
from engine.coach import Advice
from engine.events import Evaluated, Step
from engine.plan import Plan
from engine.reasons import Reason, reasons
from engine.scoring import Interval
from engine.store import RunRecord
from engine.studio import Studio
from engine.tasks import all_tasks
from tests.finished import finished_run, judged, plan_of
from tests.ui.homes import an_evaluation

BENGALI, ENGLISH = ["মোবাইলটা ভালো, কিন্তু ব্যাটারি চলে না।"] * 3, ["The phone is good, the battery is not."] * 3
KNOWN: Catalog = catalog.load()


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """A plan that nothing is to be said of."""
    facts = all_tasks()["classify"].facts(models.find(models.EMBEDDED, token=None, home=tmp_path))
    return plan_of(facts, "lora", {"max_rows": None, "max_steps": None, "train_share": 1.0, "max_length": 128, "epochs": 3.0})


def record(*checks: tuple[float, bool], total: int = 100) -> RunRecord:
    """A run that took all its steps, with a check every ten of them: its loss, and whether it was the best so far."""
    events = [Evaluated(0.0, "validation", 10 * at, {"loss": loss}, best=best) for at, (loss, best) in enumerate(checks, 1)]
    return RunRecord("run", state="finished", step=total, total_steps=total, evaluations=tuple(events))


NOTHING = RunRecord("run")


def with_settings(plan: Plan, **settings: Any) -> Plan:
    return dataclasses.replace(plan, settings={**plan.settings, **settings})


def kinds(found: tuple[Reason, ...]) -> list[str]:
    return [one.kind for one in found]


def test_of_a_run_that_lacks_nothing_nothing_is_said(plan: Plan) -> None:
    assert reasons(plan, NOTHING, KNOWN, ENGLISH, an_evaluation()) == ()


def test_a_model_that_breaks_bengali_apart_gives_way_to_one_that_was_made_for_it(plan: Plan) -> None:
    (found,) = reasons(dataclasses.replace(plan, tokens_per_word=4.4), NOTHING, KNOWN, BENGALI)
    assert found.kind == "reading"
    assert "4.4 pieces" in found.message
    (advice,) = found.advice
    entry = next(one for one in KNOWN.models if one.id == advice.model)
    assert "Bengali" in entry.languages
    assert not entry.writes
    assert advice.trains


@pytest.mark.parametrize("task", ["write", "instruct", "answer", "label_by_writing"])
def test_for_a_model_that_writes_the_table_of_readers_is_pointed_to(plan: Plan, task: str) -> None:
    """Bengali's only writer of the list is a T5, which can learn two of these tasks."""
    (found,) = reasons(dataclasses.replace(plan, task=task, tokens_per_word=4.4), NOTHING, KNOWN, BENGALI)
    assert found.advice == ()
    assert "How each model reads your texts" in found.message


def test_three_pieces_a_word_are_much_for_bengali_and_usual_for_other_spellings(plan: Plan) -> None:
    apart = dataclasses.replace(plan, tokens_per_word=3.2)
    assert kinds(reasons(apart, NOTHING, KNOWN, BENGALI)) == ["reading"]
    assert reasons(apart, NOTHING, KNOWN, ENGLISH) == ()


def test_in_latin_letters_the_table_of_readers_is_pointed_to(plan: Plan) -> None:
    (found,) = reasons(dataclasses.replace(plan, tokens_per_word=4.4), NOTHING, KNOWN, ENGLISH)
    assert found.advice == ()
    assert "How each model reads your texts" in found.message


def test_a_quick_look_at_some_of_the_rows_offers_four_times_as_many(plan: Plan) -> None:
    quick = dataclasses.replace(
        with_settings(plan, max_rows=1000, max_steps=120), rows={"train": 800, "validation": 100, "test": 100}, class_counts={"a": 9000}
    )
    (found,) = reasons(quick, NOTHING, KNOWN)
    assert "1,000 of 9,000 rows" in found.message
    assert found.advice == (Advice("train again on 4,000 rows, for up to 4 times as long", {"max_rows": 4000, "max_steps": 480}),)


@pytest.mark.parametrize(
    "changed",
    [{"class_counts": {"a": 600, "b": 400}}, {"settings": {"max_rows": 1000, "train_share": 0.25}}, {"settings": {"max_rows": 2000}}],
)
def test_no_row_was_left_out_by_a_limit_that_was_not_reached_nor_by_a_study(plan: Plan, changed: dict[str, Any]) -> None:
    quick = dataclasses.replace(
        with_settings(plan, **{"max_rows": 1000, **changed.get("settings", {})}),
        rows={"train": 800, "validation": 100, "test": 100},
        class_counts=changed.get("class_counts", {"a": 9000}),
    )
    assert reasons(quick, NOTHING, KNOWN) == ()


def test_a_run_that_still_got_better_may_go_on_for_as_long_again(plan: Plan) -> None:
    falling = record((0.9, True), (0.8, True), (0.7, True), (0.6, True))
    (found,) = reasons(plan, falling, KNOWN)
    assert "from 0.90 to 0.60" in found.message
    assert found.advice[0].settings == {"epochs": 6.0}
    (found,) = reasons(with_settings(plan, max_steps=120), falling, KNOWN)
    assert found.advice[0].settings == {"max_steps": 240}


@pytest.mark.parametrize(
    "ended",
    [
        record((0.9, True), (0.8, True), (0.7, True), (0.71, False)),
        record((0.71, True), (0.705, True), (0.7, True), (0.699, True)),
        record((0.9, True), (0.8, True), (0.7, True)),
        dataclasses.replace(record((0.9, True), (0.8, True), (0.7, True), (0.6, True)), step=60),
    ],
    ids=["not the best", "hardly falls", "few checks", "ended early"],
)
def test_a_run_whose_loss_stood_still_or_that_ended_early_is_not_called_unfinished(plan: Plan, ended: RunRecord) -> None:
    assert reasons(plan, ended, KNOWN) == ()


def test_texts_that_are_cut_may_be_read_whole_as_far_as_the_model_reads(plan: Plan) -> None:
    cut = dataclasses.replace(plan, cut_share=0.3)
    (found,) = reasons(cut, NOTHING, KNOWN)
    assert found.advice[0].settings == {"max_length": 256}
    (found,) = reasons(with_settings(cut, max_length=400), NOTHING, KNOWN)
    assert found.advice[0].settings == {"max_length": 512}
    (found,) = reasons(with_settings(cut, max_length=512), NOTHING, KNOWN)
    assert found.advice == ()


def test_few_rows_are_a_reason(plan: Plan) -> None:
    few = dataclasses.replace(plan, rows={"train": 270, "validation": 30, "test": 30})
    (found,) = reasons(few, NOTHING, KNOWN)
    assert found.kind == "few_rows"
    assert "270" in found.message


def test_doubted_labels_and_one_mistake_above_all_count_only_for_a_model_that_tells_labels_apart(plan: Plan) -> None:
    told = judged()
    cells = ((50, 1, 0), (20, 50, 1), (1, 0, 50))
    apart = dataclasses.replace(told, confusion=cells)
    assert kinds(reasons(plan, NOTHING, KNOWN, ENGLISH, apart, doubted=20)) == ["labels", "confused"]
    guesses = tuple(dataclasses.replace(one, macro_f1_gain=Interval(0.0, -0.1, 0.1)) for one in apart.baselines)
    assert reasons(plan, NOTHING, KNOWN, ENGLISH, dataclasses.replace(apart, baselines=guesses), doubted=20) == ()


def test_the_mistake_above_all_is_told_by_its_labels(plan: Plan) -> None:
    told = dataclasses.replace(judged(), confusion=((50, 1, 0), (20, 50, 1), (1, 0, 50)))
    (found,) = reasons(plan, NOTHING, KNOWN, ENGLISH, told)
    assert f"20 of its 23 mistakes call {told.classes[1]} “{told.classes[0]}”" in found.message


def test_no_more_than_four_are_told(plan: Plan) -> None:
    every = dataclasses.replace(
        with_settings(plan, max_rows=300), tokens_per_word=5.0, cut_share=0.5, rows={"train": 240, "validation": 30, "test": 30},
        class_counts={"a": 9000},
    )  # fmt: skip
    falling = record((0.9, True), (0.8, True), (0.7, True), (0.6, True))
    assert kinds(reasons(every, falling, KNOWN, BENGALI)) == ["reading", "rows", "unfinished", "cut"]


def test_what_a_reason_advises_is_trained_from_the_page(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    studio = Studio(home)
    run_id = finished_run(home, models.EMBEDDED)
    kept = studio.reader.plan(run_id)
    monkeypatch.setattr(studio.reader, "plan", lambda _: dataclasses.replace(kept, cut_share=0.4))
    (found,) = studio.reasons(run_id)
    assert found.kind == "cut"
    asked: list[Any] = []
    monkeypatch.setattr(studio, "start", lambda spec, token: asked.append(spec) or "begun")
    assert studio.follow(run_id, "cut", 0) == "begun"
    assert asked[0].settings == {"rank": 4, "max_length": 32}
    assert asked[0].model == models.EMBEDDED


def test_of_a_run_that_makes_no_mistake_nothing_is_said(plan: Plan) -> None:
    few = dataclasses.replace(plan, rows={"train": 270, "validation": 30, "test": 30})
    assert reasons(few, NOTHING, KNOWN, ENGLISH, dataclasses.replace(judged(), accuracy=Interval(1.0, 0.9, 1.0))) == ()


def test_where_a_simpler_model_learnt_more_from_the_same_rows_they_are_not_called_few(plan: Plan) -> None:
    few = dataclasses.replace(plan, rows={"train": 270, "validation": 30, "test": 30})
    worse = [dataclasses.replace(one, macro_f1_gain=Interval(-0.3, -0.4, -0.2)) if one.id == "tfidf" else one for one in judged().baselines]
    assert kinds(reasons(few, NOTHING, KNOWN, ENGLISH, dataclasses.replace(judged(), baselines=tuple(worse)))) == ["simpler"]


def test_bengali_with_addresses_in_it_is_bengali(plan: Plan) -> None:
    linked = [f"{one} https://example.org/a-long-address-of-a-page" for one in BENGALI]
    (found,) = reasons(dataclasses.replace(plan, tokens_per_word=5.1), NOTHING, KNOWN, linked)
    assert found.advice[0].model == "sagorsarker/bangla-bert-base"


def test_rows_are_not_few_where_others_were_left_out(plan: Plan) -> None:
    rows = {"train": 240, "validation": 30, "test": 30}
    few = dataclasses.replace(with_settings(plan, max_rows=300), rows=rows, class_counts={"a": 697})
    assert kinds(reasons(few, NOTHING, KNOWN)) == ["rows"]


def test_a_model_that_tf_idf_is_better_than_does_not_judge_labels(plan: Plan) -> None:
    """On 42 Bengali comments a model that never gave one of the classes doubted 18 of its 20 mistakes."""
    apart = an_evaluation()
    behind = Interval(-0.2, -0.3, -0.1)
    worse = tuple(dataclasses.replace(one, macro_f1_gain=behind) if one.id == "tfidf" else one for one in apart.baselines)
    assert kinds(reasons(plan, NOTHING, KNOWN, ENGLISH, dataclasses.replace(apart, baselines=worse), doubted=20)) == ["simpler"]


def test_a_run_that_saw_a_fifth_of_its_rows_may_see_all(plan: Plan) -> None:
    step = Step(0.0, 10, 10, 0.2, 1.0, 1e-4, 1.0, 30.0)
    ended = dataclasses.replace(record((0.9, True), total=10), steps=(step,))
    (found,) = reasons(with_settings(plan, max_steps=10), ended, KNOWN)
    assert "ended after 10 steps, and had seen 20.0\u00a0% of its training rows" in found.message.replace("20.0 %", "20.0\u00a0%")
    assert found.advice == (Advice("train again for a whole pass", {"max_steps": 50}),)
    assert reasons(plan, dataclasses.replace(ended, steps=(dataclasses.replace(step, epoch=1.0),)), KNOWN) == ()
    assert reasons(plan, dataclasses.replace(ended, total_steps=50), KNOWN) == (), "stopped on purpose"
