"""Check the fit: real steps of tiny models in the real process, what is remembered of them, and every way in which it can end badly."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine import measure, measuring
from engine.errors import Problem, Refused
from engine.facts import Facts
from engine.measured import Measured, key, with_measured
from engine.measuring import FitState
from engine.models import EMBEDDED
from engine.plan import Plan
from engine.spec import DataSpec, RunSpec
from engine.studio import Studio
from tests.tiny import tiny

FOUND = Measured(
    peak_memory_bytes=2 * 10**9, longest=80, steps=5, seconds_a_batch=0.5, seconds_a_row_checked=0.01,
    seconds_a_row_tested=0.02, seconds_once=3.0, loading_seconds=4.0, save_bytes=123_456,
)  # fmt: skip


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tiny("bert", tmp_path / "tiny-bert")


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    monkeypatch.setattr(Facts, "measure", lambda self, *, wait: None)  # the processor's speed is not what these are about
    made = Studio(tmp_path / "home", dispatch=False)
    yield made
    made.close()


def a_spec(base: Path, method: str = "lora", **settings: object) -> RunSpec:
    chosen = {"batch_size": 8, "max_length": 32, "precision": "fp32", "max_steps": 50, **settings}
    return RunSpec(DataSpec("sample:product-reviews-bn"), str(base), method, preset=None, settings=chosen)  # type: ignore[arg-type]


def minilm() -> RunSpec:
    """A run whose batch takes most of its memory."""
    return replace(a_spec(Path(EMBEDDED), batch_size=128, max_length=128), model=EMBEDDED)


def planned(studio: Studio, spec: RunSpec) -> Plan:
    plan = studio.preview(spec).plan
    assert plan is not None
    return plan


def remember(studio: Studio, plan: Plan, found: Measured) -> None:
    studio._measuring._remembered.add(key(plan, studio._machine()), found)


def outcome(studio: Studio, plan: Plan) -> FitState:
    wait = threading.Event()
    for _ in range(600):
        state = studio.fit_state(plan)
        if state.state in ("measured", "failed"):
            return state
        wait.wait(0.1)
    raise AssertionError("not measured")


@pytest.mark.parametrize("method", ["lora", "last_layers"])
def test_what_was_measured_replaces_the_estimate_for_the_same_run_and_no_other(studio: Studio, base: Path, method: str) -> None:
    own = {"top_blocks": 1} if method == "last_layers" else {}
    spec = a_spec(base, method, **own)
    before = planned(studio, spec)
    assert (before.memory_basis, studio.fit_state(before).state) == ("estimated", "none")
    studio.measure_fit(spec)
    assert studio.fit_state(before).state == "measuring"
    told = outcome(studio, before)
    assert told.measured is not None, told.problem
    assert told.measured.steps == 5
    assert told.measured.longest == 32
    assert told.measured.peak_memory_bytes > 200_000_000
    assert told.measured.save_bytes > 10_000
    assert (told.measured.seconds_once > 0) == (method == "last_layers")
    after = planned(studio, spec)
    assert (after.memory_basis, after.seconds_basis) == ("measured", "measured")
    assert after.memory_bytes == told.measured.peak_memory_bytes
    assert after.seconds is not None
    assert after.seconds > 50 * told.measured.seconds_a_batch
    assert planned(studio, a_spec(base, method, batch_size=4, **own)).memory_basis == "estimated"
    assert planned(studio, a_spec(base, method, learning_rate=1e-4, **own)).memory_basis == "measured", "the rate changes neither"
    assert not list((studio.home / "measuring").iterdir()), "nothing is left behind"
    assert studio.runs() == []


def test_seconds_follow_from_what_was_measured(studio: Studio, base: Path) -> None:
    plan = planned(studio, a_spec(base))
    told = with_measured(plan, FOUND)
    assert told.seconds_parts["frozen"] == 3.0
    assert told.seconds_parts["training"] == pytest.approx(plan.steps * plan.settings["accumulation"] * 0.5)
    assert told.seconds_parts["test"] == pytest.approx(0.02 * plan.rows["test"])
    assert told.save_bytes == 123_456
    assert key(told, "here") == key(plan, "here")


def test_more_than_is_free_keeps_the_run_from_starting(studio: Studio) -> None:
    spec = minilm()
    plan = planned(studio, spec)
    remember(studio, plan, replace(FOUND, peak_memory_bytes=round(1.05 * plan.memory_available_bytes)))
    found = studio.preview(spec)
    assert not found.is_ready
    assert found.plan is None
    assert found.too_large is not None
    assert any(one.of_memory and "were measured" in one.message for one in found.problems)
    assert found.changes, "what was measured counts, not what was estimated"
    assert all(one.memory_bytes <= plan.memory_available_bytes for one in found.changes)
    with pytest.raises(Refused, match="were measured"):
        studio.start(spec)


def test_a_run_at_work_is_not_measured_beside(studio: Studio, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studio._supervisor, "workers", lambda: {"a-run": 1})
    with pytest.raises(Refused, match="A run is at work"):
        studio.measure_fit(a_spec(base))


def test_what_cannot_be_planned_is_refused(studio: Studio, base: Path) -> None:
    with pytest.raises(Refused, match="Rank"):
        studio.measure_fit(a_spec(base, rank=9999))


def test_a_newer_measurement_takes_the_place_of_one_that_goes_on_and_can_be_given_up(studio: Studio, base: Path) -> None:
    first, second = a_spec(base), a_spec(base, batch_size=4)
    plans = planned(studio, first), planned(studio, second)
    studio.measure_fit(first)
    studio.measure_fit(second)
    assert studio.fit_state(plans[0]).state == "none"
    assert studio.fit_state(plans[1]).state == "measuring"
    studio.cancel_fit()
    assert studio.fit_state(plans[1]).state == "none"


@pytest.mark.parametrize(("code", "said"), [(-9, "want of memory"), (None, "took more than"), (3, "broke off (code 3)")])
def test_a_process_that_ends_without_a_result_is_told_in_words(tmp_path: Path, code: int | None, said: str) -> None:
    found = measuring._result(tmp_path, code)
    assert said in str(found.problem)


def test_data_that_changed_meanwhile_is_told(studio: Studio, base: Path, tmp_path: Path) -> None:
    csv = tmp_path / "mine.csv"
    csv.write_text("text,label\n" + "".join(f"some text {at},{'yes' if at % 2 else 'no'}\n" for at in range(200)), "utf-8")
    spec = replace(a_spec(base), data=DataSpec(f"file:{csv}"))
    plan = planned(studio, spec)
    studio._measuring.start(spec, replace(plan, data_sha256="0" * 64), None)
    told = outcome(studio, replace(plan, data_sha256="0" * 64))
    assert told.problem is not None
    assert "The data changed" in told.problem.message


def test_what_is_too_large_by_the_estimate_can_be_measured_and_then_started(
    studio: Studio, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tight = replace(studio.hardware, ram_free_bytes=500_000_000)
    monkeypatch.setattr(studio.facts, "hardware_to_plan", lambda: tight)
    spec = a_spec(base)
    found = studio.preview(spec)
    assert found.plan is None
    assert found.too_large is not None
    assert any(one.of_memory for one in found.problems)
    remember(studio, found.too_large, replace(FOUND, peak_memory_bytes=400_000_000))
    found = studio.preview(spec)
    assert found.is_ready
    assert found.plan is not None
    assert found.plan.memory_basis == "measured"


def test_a_slow_run_by_measurement_is_offered_what_makes_it_quicker(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = replace(studio.hardware, fp32_flops=1e11, bf16_flops=3e11)
    monkeypatch.setattr(studio.facts, "hardware_to_plan", lambda: quick)
    spec = minilm()
    plan = planned(studio, spec)
    assert studio.preview(spec).changes == ()
    remember(studio, plan, replace(FOUND, seconds_a_batch=200.0))
    offered = studio.preview(spec).changes
    assert offered
    assert all(one.seconds is not None and one.seconds <= 0.75 * 1.1 * 50 * 200 for one in offered)


def test_running_out_of_memory_while_measuring_offers_lighter_ways(studio: Studio) -> None:
    spec = minilm()
    plan = planned(studio, spec)
    problem = Problem("memory", "It does not fit.", "", of_memory=True)
    studio._measuring._passing[key(plan, studio._machine())] = FitState("failed", problem=problem)
    found = studio.preview(spec)
    assert found.changes
    assert any("does not fit" in one.message and one.severity == "warning" for one in found.problems)


def test_what_would_fit_is_held_against_the_memory_that_was_reached_not_against_what_seemed_free(studio: Studio) -> None:
    spec = minilm()
    plan = planned(studio, spec)
    estimated = sum(plan.memory_parts.values())
    short = Problem("memory", "It does not fit.", "", of_memory=True)
    reached = round(0.7 * estimated)
    studio._measuring._passing[key(plan, studio._machine())] = FitState("failed", problem=short, peak_bytes=reached)
    offered = studio.preview(spec).changes
    assert offered
    assert all(one.memory_bytes <= reached for one in offered if one.fits)
    assert all(one.memory_bytes < estimated for one in offered)


def test_the_memory_that_was_reached_is_told_with_the_shortage(tmp_path: Path) -> None:
    short = {"field": "memory", "message": "It does not fit.", "fix": "Smaller.", "of_memory": True}
    (tmp_path / "result.json").write_text(json.dumps({"problem": short, "peak_bytes": 123}), "utf-8")
    assert measuring._result(tmp_path, 1) == FitState("failed", problem=Problem(**short), peak_bytes=123)


@pytest.mark.parametrize(("idle", "own", "taken"), [(0.5, 10.0, 0.45), (5.0, 5.0, 0.0), (0.5, 18.0, 0.0)])
def test_other_programs_count_where_they_leave_nothing_over(monkeypatch: pytest.MonkeyPatch, idle: float, own: float, taken: float) -> None:
    """Of 20 seconds of all cores."""
    now = iter([(100.0, 50.0, 1.0), (120.0, 50.0 + idle, 1.0 + own)])
    monkeypatch.setattr(measure._Quiet, "_now", lambda self: next(now))
    assert measure._Quiet().taken_by_others() == pytest.approx(taken, abs=0.05)


def test_what_was_measured_beside_others_is_told_and_not_remembered(
    studio: Studio, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(studio, a_spec(base))
    beside = FitState("measured", measured=replace(FOUND, taken_by_others=0.4))
    monkeypatch.setattr(measuring, "_result", lambda folder, code: beside)
    studio.measure_fit(a_spec(base))
    assert outcome(studio, plan) == beside
    other = Studio(studio.home, dispatch=False)
    assert other.fit_state(plan).state == "none"
    other.close()


@pytest.mark.parametrize("changed", ["text", "settings", "version"])
def test_other_rows_or_libraries_are_measured_anew(studio: Studio, base: Path, monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    plan = planned(studio, a_spec(base))
    before = key(plan, "here")
    if changed == "version":
        monkeypatch.setattr("engine.measured._versions", lambda: ["other"])
    other = {"text": replace(plan, text="other"), "settings": replace(plan, settings={**plan.settings, "clean_html": False})}
    assert key(other.get(changed, plan), "here") != before
    assert key(plan, "elsewhere") != key(plan, "here")
