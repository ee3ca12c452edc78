"""`python -m engine fit`: what a run would need, estimated or measured, and what would make it fit, as one JSON object."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable
from typing import Any

from engine.errors import Problem, Refused
from engine.fitting import Change
from engine.interrupts import Interrupts
from engine.measuring import FitState
from engine.plan import Plan
from engine.spec import RunSpec
from engine.studio import Preview, Studio

DONE, FAILED, REFUSED = 0, 1, 2
LOOK_SECONDS = 0.3


def add_options(fit: argparse.ArgumentParser) -> None:
    """The options beside those of `train`."""
    fit.add_argument("--measure", action="store_true", help="take a few real steps, instead of estimating")


def fit(told: argparse.Namespace, spec: RunSpec, studio: Studio, interrupts: Interrupts, say: Callable[[str], None]) -> int:
    """Tells the fit on stdout; 0: it fits, 1: the measurement did not come to an end, 2: it cannot be started as it is."""
    say("Looking at the data, the model and this machine")
    studio.facts.measure(wait=True)
    preview = studio.preview(spec)
    problem: Problem | None = None
    plan = preview.plan or preview.too_large
    if told.measure and plan is not None:
        problem = _measured(studio, spec, plan, interrupts, say)
        preview = studio.preview(spec)
    for one in preview.problems:
        say(f"{'Mind' if one.severity == 'warning' else one.field}: {one}")
    state = studio.fit_state(plan) if plan else FitState("none")
    if state.measured is not None and state.measured.taken_by_others:
        say(f"Mind: other programs took {state.measured.taken_by_others:.0%} of the processor while it was measured.")
    print(json.dumps(outcome(preview, problem, state), ensure_ascii=False))
    if preview.plan is None or not preview.is_ready:
        return REFUSED
    return DONE if problem is None else FAILED


def _measured(studio: Studio, spec: RunSpec, plan: Plan, interrupts: Interrupts, say: Callable[[str], None]) -> Problem | None:
    """Measures and waits; the Problem, where it did not come to an end."""
    try:
        studio.measure_fit(spec)
    except Refused as refused:
        return refused.problems[0]
    said = ""
    while (state := studio.fit_state(plan)).state == "measuring":
        if state.message != said:
            said = state.message
            say(said)
        if interrupts.came(LOOK_SECONDS):
            studio.cancel_fit()
            return Problem("memory", "Given up, as you asked.", "Measure again, or start without measuring.")
    return state.problem


def outcome(preview: Preview, problem: Problem | None, state: FitState) -> dict[str, Any]:
    """The fit as JSON values; bytes and seconds. A run that was seen not to fit can be "ready" all the same: it makes itself lighter."""
    plan = preview.plan or preview.too_large
    known = {one.message for one in preview.problems}
    told = [dataclasses.asdict(one) for one in (*preview.problems, *([problem] if problem and problem.message not in known else []))]
    return {
        "fits": preview.is_ready and not (state.problem is not None and state.problem.of_memory),
        "ready": preview.is_ready,
        "measured_beside_others": state.measured.taken_by_others if state.measured else None,
        "plan": _needs(plan) if plan else None,
        "changes": [_change(one) for one in preview.changes],
        "problems": told,
    }


def _needs(plan: Plan) -> dict[str, Any]:
    return {
        "method": plan.method,
        "model": plan.model.id,
        "device": plan.device_words,
        "rows": plan.rows,
        "steps": plan.steps,
        "batch": {"rows": plan.settings["batch_size"], "accumulation": plan.settings["accumulation"], "effective": plan.effective_batch},
        "max_length": plan.settings["max_length"],
        "precision": plan.settings["precision"],
        "trainable_parameters": plan.trainable_parameters,
        "parameters": plan.parameters,
        "memory_bytes": plan.memory_bytes,
        "memory_available_bytes": plan.memory_available_bytes,
        "memory_basis": plan.memory_basis,
        "memory_estimate_by_part": plan.memory_parts,
        "seconds": plan.seconds,
        "seconds_basis": plan.seconds_basis,
        "seconds_by_part": plan.seconds_parts,
        "disk_bytes": plan.disk_bytes,
        "save_bytes": plan.save_bytes,
    }


def _change(change: Change) -> dict[str, Any]:
    told = dataclasses.asdict(change)
    return {name: value for name, value in told.items() if value not in (None, {})}
