"""Studies: real folders, a toy for a worker, and results folded from runs as the worker writes them."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import filelock
import pytest

from engine import drawing, evaluate, study, study_report
from engine import spec as specs
from engine.errors import Refused
from engine.events import Ended, Resources, Saved, Started, Step
from engine.models import EMBEDDED
from engine.processes import REPOSITORY
from engine.spec import DataSpec, RunSpec
from engine.store import append_event
from engine.studio import Studio
from engine.study import Budget
from tests import machine
from tests.engine.test_supervisor import TOY, until
from tests.ui.homes import an_evaluation

BASE = RunSpec(DataSpec("sample:film-reviews-en"), EMBEDDED, preset="quick", settings={"rank": 4, "learning_rate": 0.01, "seed": 7})
PAIR = ["lora", "full"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return machine.settle(tmp_path / "home")


@pytest.fixture
def studio(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    """With toy workers: a run does what its study's name says (toy_worker.py)."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    made = Studio(home, worker=TOY)
    yield made
    made.close()


@pytest.fixture
def looking(home: Path) -> Studio:
    """One that starts nothing."""
    return Studio(home, dispatch=False)


def let_go(studio: Studio) -> None:
    for run_id in studio.store.ids():
        (studio.store.folder(run_id) / "go").touch()


# Before


def test_every_method_has_a_plan_or_a_reason(looking: Studio) -> None:
    fits = looking.methods_that_fit(BASE)
    assert [one.method for one in fits] == list(looking.methods)
    assert all((one.plan is None) == bool(one.problems) for one in fits)
    assert {"lora", "full"} <= {one.method for one in fits if one.plan}


def test_all_runs_share_what_a_fair_comparison_needs_and_keep_their_own_rate(looking: Studio) -> None:
    told = looking.compare_preview(BASE, PAIR, 2, Budget("steps", 40))
    lora, full = told.plans["lora"], told.plans["full"]
    shared = "batch_size accumulation max_length precision patience max_steps epochs"
    for name in (*shared.split(), "evaluate_every", "warmup_steps", "split_seed", "seed", "length_grouping"):
        assert lora.settings[name] == full.settings[name], name
    assert (lora.steps, full.steps, lora.settings["patience"]) == (40, 40, 0)
    assert (lora.settings["rank"], lora.settings["seed"]) == (4, 7)
    for method, plan in told.plans.items():
        assert plan.settings["learning_rate"] == looking.methods[method].learning_rate
    assert told.runs == 4
    assert told.memory_bytes == max(lora.memory_bytes, full.memory_bytes)
    assert told.kept_bytes == 2 * (lora.save_bytes + full.save_bytes)
    assert told.disk_bytes == told.kept_bytes + full.disk_bytes - full.save_bytes, "full fine-tuning works on the larger checkpoints"
    assert "Your learning rate of 0.01 is not used here." in told.notes


def test_the_batch_is_the_largest_that_the_heaviest_method_can_take(looking: Studio) -> None:
    fits = {one.method: one.plan for one in looking.methods_that_fit(BASE)}
    lora, full = fits["lora"], fits["full"]
    assert lora is not None
    assert full is not None
    tight = replace(full, settings={**full.settings, "batch_size": 4, "accumulation": 4})
    told = study.equal(BASE, {"lora": lora, "full": tight}, Budget(), 1)
    assert (told.settings["batch_size"], told.settings["accumulation"]) == (4, 4)


def test_minutes_buy_equal_steps_or_equal_shares_and_a_sentence_says_which(looking: Studio) -> None:
    fits = {one.method: one.plan for one in looking.methods_that_fit(BASE)}
    lora, full = fits["lora"], fits["full"]
    assert lora is not None
    assert full is not None
    quick = {"loading": 10.0, "training": 1.0 * lora.steps, "validation": 0.0, "test": 2.0}
    slow = {**quick, "training": 59.0 * full.steps}
    plans = {"lora": replace(lora, seconds_parts=quick), "full": replace(full, seconds_parts=slow)}
    plenty = study.equal(BASE, plans, Budget("minutes", 31), 1)
    assert plenty.settings["max_steps"] == 30  # (31 x 60 - 24) / 60 = 30.6
    assert plenty.notes[0].startswith("30 steps for every run")
    scarce = study.equal(BASE, plans, Budget("minutes", 10), 1)
    assert "max_steps" not in scarce.settings
    assert {method: own["max_steps"] for method, own in scarce.own.items()} == {
        "lora": 170,
        "full": 4,
    }  # 300 s each, 12 of them fixed; 170 are ten passes
    assert "its own number of steps: 4 to 170" in scarce.notes[0]
    with pytest.raises(Refused, match="1 minute is too few: 2 runs with 1 seed take about 2 minutes for one step and one evaluation"):
        study.equal(BASE, plans, Budget("minutes", 1), 1)
    with pytest.raises(Refused, match="Give a number of steps instead"):
        study.equal(BASE, {**plans, "full": replace(full, seconds=None)}, Budget("minutes", 10), 1)


def test_what_is_computed_once_is_paid_once_and_not_by_the_step(looking: Studio) -> None:
    fits = {one.method: one.plan for one in looking.methods_that_fit(BASE)}
    lora, head = fits["lora"], fits["head"]
    assert lora is not None
    assert head is not None
    assert head.seconds_parts["frozen"] > 0 == lora.seconds_parts["frozen"]
    parts = {"loading": 10.0, "frozen": 0.0, "training": 2.0 * lora.steps, "validation": 0.0, "test": 2.0}
    once = {**parts, "frozen": 48.0, "training": 1.0 * head.steps}
    plans = {"lora": replace(lora, seconds_parts=parts), "head": replace(head, seconds_parts=once)}
    assert study.equal(BASE, plans, Budget("minutes", 3), 1).settings["max_steps"] == 36  # (180 - 24 - 48) / 3
    assert study.equal(BASE, plans, Budget("minutes", 5.2), 2).settings["max_steps"] == 36  # (312 - 2 x 24 - 48) / 6
    told = looking.compare_preview(BASE, ["lora", "head"], 3, Budget("steps", 20))
    whole = sum(plan.seconds or 0.0 for plan in told.plans.values())
    assert told.seconds == pytest.approx(3 * whole - 2 * told.plans["head"].seconds_parts["frozen"])


@pytest.mark.parametrize("amount", [float("nan"), float("inf"), -1.0])
def test_minutes_that_are_no_length_of_time_are_refused(looking: Studio, amount: float) -> None:
    with pytest.raises(Refused, match="minutes"):
        looking.compare_preview(BASE, PAIR, 1, Budget("minutes", amount))


@pytest.mark.parametrize("seed", ["abc", 1.5, -1])
def test_a_seed_that_is_no_whole_number_is_refused(looking: Studio, seed: float | str) -> None:
    with pytest.raises(Refused, match="it must be a whole number"):
        looking.compare_preview(replace(BASE, settings={"seed": seed}), PAIR, 1, Budget("steps", 20))


@pytest.mark.parametrize(
    ("methods", "seeds", "budget", "words"),
    [
        (["lora"], 1, None, "only LoRA is chosen"),
        ([], 1, None, "no method is chosen"),
        (["lora", "magic"], 1, None, "There is no method 'magic'"),
        (PAIR, 0, None, "0 seeds are asked for"),
        (PAIR, 6, None, "6 seeds are asked for"),
        (PAIR, 1, Budget("steps", 0), "0 steps is too small for one evaluation"),
        (PAIR, 1, Budget("steps", 10**6), "more than 100 passes"),
        (PAIR, 1, Budget("steps", 1.5), "1.5 steps, but steps are whole"),
        (PAIR, 1, Budget("steps", float("inf")), "steps are whole"),
        (PAIR, 1, Budget("minutes", 0.1), "too few"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused_with_a_fix(
    looking: Studio, methods: list[str], seeds: int, budget: Budget | None, words: str
) -> None:
    with pytest.raises(Refused, match=words) as told:
        looking.compare_preview(BASE, methods, seeds, budget)
    assert all(problem.fix for problem in told.value.problems)
    assert not looking.studies()


def test_where_no_method_fits_the_common_reason_is_told_or_each_one_s_own(looking: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refused, match="There is no file"):
        looking.compare_preview(replace(BASE, data=DataSpec("file:/nowhere.csv")))
    real = looking.planned

    def only_lora(spec: RunSpec, token: str | None) -> object:
        plan, problems = real(spec, token)
        if spec.method == "lora":
            return plan, problems
        return None, (specs.Problem("model", f"{spec.method} needs more memory.", "Take a smaller model."),)

    monkeypatch.setattr(looking, "planned", only_lora)
    with pytest.raises(Refused, match=r"Only LoRA fits this data, model and machine. .*full needs more memory"):
        looking.compare_preview(BASE)


def test_a_method_s_name_is_not_said_twice(looking: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    def planned(spec: RunSpec, token: str | None) -> object:
        named = looking.methods[spec.method].name
        return None, (specs.Problem("method", f"{named} needs a GPU." if spec.method == "lora" else "It is too large.", "Take another."),)

    monkeypatch.setattr(looking, "planned", planned)
    with pytest.raises(Refused) as told:
        looking.compare_preview(BASE, PAIR)
    assert [one.message for one in told.value.problems] == ["LoRA needs a GPU.", "Full fine-tuning: It is too large."]
    with pytest.raises(Refused, match=r"machine\. .*LoRA needs a GPU\.") as told:
        looking.compare_preview(BASE)
    assert "LoRA: LoRA" not in str(told.value)


# The queue


def test_a_study_queues_every_method_with_each_seed_and_ends_finished(studio: Studio) -> None:
    study_id = studio.compare(replace(BASE, name="start step end"), PAIR, 2, Budget("steps", 20))
    until(lambda: studio.study(study_id).state == "finished")
    runs = [one for one in reversed(studio.runs()) if one.study == study_id]
    assert [one.method for one in runs] == ["lora", "full", "lora", "full"]
    assert [specs.from_json(studio.spec_json(one.id)).settings["seed"] for one in runs] == [7, 7, 8, 8]
    assert {studio.plan(one.id).steps for one in runs} == {20}
    again = Studio(studio.home, dispatch=False)
    assert [one.id for one in again.studies()] == [study_id]
    assert [(row.method, row.state, row.done) for row in again.study(study_id).rows] == [("lora", "finished", 2), ("full", "finished", 2)]


def test_a_study_is_stopped_resumed_extended_and_deleted(studio: Studio) -> None:
    study_id = studio.compare(replace(BASE, name="start hold end"), PAIR, 1, Budget("steps", 20))
    until(lambda: studio.study(study_id).rows[0].state == "running")
    with pytest.raises(Refused, match="Stop the study first"):
        studio.delete_study(study_id)
    studio.stop_study(study_id)
    until(lambda: studio.study(study_id).state == "stopped")
    assert [row.state for row in studio.study(study_id).rows] == ["stopped", "stopped"]
    assert studio.study(study_id).rows[1].steps == 0, "the second run never began"
    let_go(studio)
    studio.resume_study(study_id)
    until(lambda: studio.study(study_id).state == "finished")
    with pytest.raises(Refused, match="Nothing of this study is left to resume"):
        studio.resume_study(study_id)
    with pytest.raises(Refused, match="Neither a new method nor another seed"):
        studio.extend_study(study_id, ["lora"], 1)
    studio.extend_study(study_id, [], 2)
    assert len(studio.study(study_id).rows[0].runs) == 2
    let_go(studio)
    until(lambda: studio.study(study_id).state == "finished")
    studio.delete_study(study_id)
    assert (studio.studies(), studio.runs()) == ([], [])
    with pytest.raises(Refused, match="There is no study"):
        studio.study(study_id)


def stopped(studio: Studio) -> str:
    """A study whose two runs were taken out of the queue."""
    study_id = studio.compare(BASE, PAIR, 1, Budget("steps", 20))
    for run in studio.runs():
        studio.store.append(run.id, Ended(time.time(), "stopped", "Taken out of the queue before its turn came."))
    return study_id


def test_a_stopped_study_that_is_extended_can_still_be_resumed(looking: Studio) -> None:
    study_id = stopped(looking)
    looking.extend_study(study_id, ["bitfit"])
    told = looking.study(study_id)
    assert [row.state for row in told.rows] == ["stopped", "stopped", "queued"]
    assert (told.state, told.can_resume) == ("queued", True)
    looking.resume_study(study_id)
    told = looking.study(study_id)
    assert ([row.state for row in told.rows], told.can_resume) == (["queued"] * 3, False)


def test_what_was_stopped_is_resumed_before_what_is_added_and_not_at_all_where_that_is_refused(looking: Studio) -> None:
    study_id = stopped(looking)
    with pytest.raises(Refused, match="There is no method"):
        looking.extend_study(study_id, ["magic"], resume=True)
    assert [row.state for row in looking.study(study_id).rows] == ["stopped", "stopped"]
    looking.extend_study(study_id, ["bitfit"], resume=True)
    told = looking.study(study_id)
    assert [row.state for row in told.rows] == ["queued"] * 3
    turns = [looking.reader.record(row.runs[0].id).updated for row in told.rows]
    assert max(turns[:2]) <= turns[2]


def test_a_study_is_extended_under_its_lock(looking: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    study_id = looking.compare(BASE, PAIR, 1, Budget("steps", 20))
    real, held = looking.planned, []

    def planned(spec: RunSpec, token: str | None) -> object:
        try:
            with filelock.FileLock(looking.home / "studies" / study_id / "queue.lock", timeout=0):
                held.append(False)
        except filelock.Timeout:
            held.append(True)
        return real(spec, token)

    monkeypatch.setattr(looking, "planned", planned)
    looking.extend_study(study_id, ["bitfit"])
    assert held
    assert all(held)


def test_who_joins_a_study_of_shared_minutes_gets_the_fewest_steps(looking: Studio) -> None:
    study_id = looking.compare(replace(BASE, settings={"max_steps": 40, "seed": 7}), PAIR, 1, Budget("steps", 20))
    made = looking.study(study_id).study
    base = replace(made.base, settings={**made.base.settings, "max_steps": 40})
    own = {"lora": {"max_steps": 9, "epochs": 1.0}, "full": {"max_steps": 4, "epochs": 1.0}}
    path = looking.home / "studies" / study_id / "study.json"
    path.write_text(study.to_json(replace(made, base=base, own=own)))  # as where minutes were too few for equal steps
    looking.extend_study(study_id, ["bitfit"])
    row = next(one for one in looking.study(study_id).rows if one.method == "bitfit")
    assert row.total_steps == 4


def test_a_half_queued_study_says_so_and_resume_completes_it(looking: Studio) -> None:
    study_id = looking.compare(BASE, PAIR, 1, Budget("steps", 20))
    gone = next(one for one in looking.runs() if one.method == "full")
    looking.delete(gone.id)
    lora, full = looking.study(study_id).rows
    assert (lora.state, full.state) == ("queued", "missing")
    assert "Press Resume" in full.reason
    looking.resume_study(study_id)
    assert [row.state for row in looking.study(study_id).rows] == ["queued", "queued"]
    assert len(looking.runs()) == 2


def test_a_clone_and_a_spec_file_of_its_runs_belong_to_no_study(looking: Studio) -> None:
    looking.compare(BASE, PAIR, 1, Budget("steps", 20))
    run_id = looking.runs()[0].id
    assert specs.from_json(looking.spec_json(run_id)).study is not None
    assert looking.clone(run_id).study is None
    started = looking.start(specs.from_json(looking.spec_json(run_id)))
    assert specs.from_json(looking.spec_json(started)).study is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 99}', '{"version": 1, "id": "x"}'])
def test_a_damaged_study_is_refused_and_can_be_deleted(looking: Studio, text: str) -> None:
    study_id = looking.compare(BASE, PAIR, 1, Budget("steps", 20))
    (looking.home / "studies" / study_id / "study.json").write_text(text)
    assert looking.studies() == []
    with pytest.raises(Refused):
        looking.study(study_id)
    looking.delete_study(study_id)
    assert looking.runs() == []


@pytest.mark.parametrize("name", ["../../etc", "", "nothing-here-at-all"])
def test_an_unknown_study_is_refused(looking: Studio, name: str) -> None:
    for ask in (looking.study, looking.stop_study, looking.resume_study, looking.delete_study):
        with pytest.raises(Refused, match="There is no study"):
            ask(name)


def test_study_json_holds_everything(looking: Studio) -> None:
    study_id = looking.compare(BASE, PAIR, 3, Budget("minutes", 20))
    kept = looking.study(study_id).study
    assert study.from_json(study.to_json(kept)) == kept
    assert kept.seeds == (7, 8, 9)


# The result


def judged_run(studio: Studio, run_id: str, *, wrong: int, seconds: float, peak: int) -> None:
    """Writes what a worker writes: 30 steps, a model, answers to 120 test rows with so many wrong."""
    folder = studio.store.folder(run_id)
    events, now = folder / "events.jsonl", time.time()
    append_event(events, Started(now, 1, 1.0, {}, "toy"))
    for step in range(1, 31):
        append_event(events, Step(now + step, step, 30, step / 30, 0.7 - step / 100, 1e-3, 1.0, 20.0))
    append_event(events, Resources(now + 30, peak // 2, peak))
    append_event(events, Saved(now + 31, "model", 30, "model", 1_400_000))
    lines = [{"row": row, "label": "ab"[row % 2], "predicted": "ab"[(row + (row < wrong)) % 2], "probabilities": {}} for row in range(120)]
    (folder / "predictions.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    share = 1 - wrong / 120
    figure = evaluate.Interval(share, share - 0.05, min(1.0, share + 0.05))
    (folder / "evaluation.json").write_text(evaluate.to_json(replace(an_evaluation(), accuracy=figure, macro_f1=figure)))
    append_event(events, Ended(now + 32, "finished", "All 30 steps are done.", seconds=seconds))


@pytest.fixture
def done(looking: Studio) -> tuple[Studio, str]:
    """A study of two methods with two seeds: LoRA a little worse, much cheaper."""
    study_id = looking.compare(replace(BASE, name="Reviews | রিভিউ"), PAIR, 2, Budget("steps", 30))
    for row in looking.study(study_id).rows:
        for run in row.runs:
            lora = row.method == "lora"
            judged_run(looking, run.id, wrong=14 if lora else 12, seconds=60 if lora else 200, peak=10**9 if lora else 3 * 10**9)
    return looking, study_id


def test_the_result_is_folded_from_the_runs_records(done: tuple[Studio, str]) -> None:
    studio, study_id = done
    result = studio.study(study_id)
    lora, full = result.rows
    assert result.state == "finished"
    assert lora.quality is not None
    assert (lora.quality.value, lora.quality.basis) == (pytest.approx(1 - 14 / 120), "range")
    assert "Two seeds are too few" in study_report.interval_note(result)
    assert (lora.peak_bytes, lora.seconds, lora.rows_per_second, lora.saved_bytes) == (10**9, 60, 20.0, 1_400_000)
    assert lora.trainable_share == studio.plan(lora.runs[0].id).trainable_share
    assert lora.stability is not None
    assert (lora.stability.spikes, lora.stability.diverged) == (0, False)
    assert [one.id for one in result.baselines] == ["majority", "tfidf"]
    assert (result.advice.best, result.advice.take) == ("full", "lora")
    assert "within noise" in result.advice.sentences[0]
    assert full.learning_rate == studio.methods["full"].learning_rate


def test_a_baseline_far_above_all_methods_leads_and_none_is_marked(done: tuple[Studio, str]) -> None:
    studio, study_id = done
    for row in studio.study(study_id).rows:
        for run in row.runs:
            path = studio.store.folder(run.id) / "evaluation.json"
            kept = evaluate.from_json(path.read_text())
            lead = {"accuracy": 0.99, "only_model_right": 1, "only_baseline_right": 40, "p_value": 1e-9}
            ahead = [replace(one, **lead, macro_f1_gain=evaluate.Interval(-0.2, -0.3, -0.1)) for one in kept.baselines if one.id == "tfidf"]
            path.write_text(evaluate.to_json(replace(kept, baselines=(kept.baselines[0], *ahead))))
    told = studio.study(study_id)
    assert told.advice.sentences[0].startswith("None of these is worth taking yet: TF-IDF")
    assert 'class="take"' not in study_report.to_html(told)
    assert "True" not in study_report.to_csv(told).splitlines()[1].rsplit(",", 1)[1]


def test_the_peak_is_that_of_the_attempt_that_came_through(done: tuple[Studio, str]) -> None:
    studio, study_id = done
    run_id = studio.study(study_id).rows[0].runs[0].id
    events, now = studio.store.folder(run_id) / "events.jsonl", time.time() + 100
    append_event(events, Started(now, 2, 1.0, {}, "toy"))
    append_event(events, Resources(now + 1, 10**8, 2 * 10**8))
    append_event(events, Ended(now + 2, "finished", "All 30 steps are done.", seconds=1.0))
    assert studio.study(study_id).rows[0].runs[0].peak_bytes == 2 * 10**8


def test_no_peak_is_told_before_the_first_step(looking: Studio) -> None:
    study_id = looking.compare(BASE, PAIR, 1, Budget("steps", 30))
    run_id, now = looking.study(study_id).rows[0].runs[0].id, time.time()
    events = looking.store.folder(run_id) / "events.jsonl"
    append_event(events, Started(now, 1, 1.0, {}, "toy"))
    append_event(events, Resources(now + 1, 77_300_000, 77_300_000))
    assert looking.study(study_id).rows[0].peak_bytes is None
    append_event(events, Step(now + 2, 1, 30, 0.1, 0.7, 1e-3, 1.0, 20.0))
    append_event(events, Resources(now + 3, 10**9, 2 * 10**9))
    assert looking.study(study_id).rows[0].peak_bytes == 2 * 10**9


def test_what_was_stopped_or_has_failed_is_not_judged_yet(looking: Studio) -> None:
    study_id = looking.compare(BASE, [*PAIR, "bitfit"], 1, Budget("steps", 30))
    lora, full, bitfit = looking.study(study_id).rows
    for row in (lora, full):
        judged_run(looking, row.runs[0].id, wrong=10, seconds=10, peak=10**9)
    looking.store.append(bitfit.runs[0].id, Ended(time.time(), "failed", "The machine ran out of memory.", "Choose a smaller batch."))
    assert "1 method is not judged yet" in looking.study(study_id).advice.sentences[-1]


def test_what_was_deleted_is_not_remembered(done: tuple[Studio, str]) -> None:
    studio, study_id = done
    results = studio._studies._results
    run_id = studio.study(study_id).rows[0].runs[0].id
    studio.delete(run_id)
    studio.study(study_id)
    assert run_id not in results._runs[study_id]
    studio.delete_study(study_id)
    assert (results._runs, results._advised) == ({}, {})


def test_the_table_says_whose_time_holds_what_is_computed_once(looking: Studio) -> None:
    told = looking.study(looking.compare(BASE, ["lora", "head"], 1, Budget("steps", 20)))
    assert "Frozen body" in study_report.notes(told)
    assert "computing its frozen part" in study_report.to_markdown(told)
    assert "frozen part" not in study_report.notes(looking.study(looking.compare(BASE, PAIR, 1, Budget("steps", 20))))


def test_a_failed_method_stands_there_with_its_reason(looking: Studio) -> None:
    study_id = looking.compare(BASE, PAIR, 1, Budget("steps", 30))
    lora, full = looking.study(study_id).rows
    judged_run(looking, lora.runs[0].id, wrong=10, seconds=10, peak=10**9)
    looking.store.append(full.runs[0].id, Ended(time.time(), "failed", "The machine ran out of memory.", "Choose a smaller batch."))
    result = looking.study(study_id)
    assert (result.state, result.can_resume, result.rows[1].state) == ("finished", True, "failed")
    assert result.rows[1].reason == "The machine ran out of memory. Choose a smaller batch."
    assert "ran out of memory" in study_report.to_markdown(result)


def test_the_result_goes_out_as_csv_markdown_and_html(done: tuple[Studio, str]) -> None:
    studio, study_id = done
    result = studio.study(study_id)
    rows = list(csv.DictReader(io.StringIO(study_report.to_csv(result))))
    assert [one["method"] for one in rows] == ["lora", "full", "majority", "tfidf"]
    assert (rows[0]["take"], rows[1]["take"], rows[0]["peak_memory_bytes"]) == ("True", "False", "1000000000")
    markdown = study_report.to_markdown(result)
    assert "# Reviews | রিভিউ" in markdown
    assert len({line.count("|") for line in markdown.splitlines() if line.startswith("|")}) == 1
    page = study_report.to_html(replace(result, study=replace(result.study, name="<script>alert(1)</script>")))
    assert page.count("<svg") == 3
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org", "")
    assert "Noto Sans Bengali" in page


def test_a_study_without_a_result_goes_out_too(looking: Studio) -> None:
    result = looking.study(looking.compare(BASE, PAIR, 1, Budget("steps", 30)))
    assert "<svg" not in study_report.to_html(result)
    assert "nothing to choose between yet" in study_report.to_markdown(result)
    assert len(study_report.to_csv(result).splitlines()) == 3


def test_a_picture_has_round_ticks_and_every_name() -> None:
    assert drawing.ticks(0.13, 0.97) == [0.2, 0.4, 0.6, 0.8]
    drawn = drawing.plot(
        [drawing.Series("A & B", 0, ((1.0, 90.0),)), drawing.Series("ক", 1, ((1.0, 90.0),)),
         drawing.Series("gone", 2, ((1.0, float("nan")),))], "x", "y",
    )  # fmt: skip
    assert "A &amp; B" in drawn
    assert "ক" in drawn
    assert "gone" not in drawn
    assert drawing.plot([], "x", "y") == ""
