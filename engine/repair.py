"""A run that ran out of memory, made lighter so that it can go on by itself: smaller batches first, then checkpointing.

The rows of every step, their order and the loss stay what they were: a batch is computed in pieces, one after the other, and their
gradients are summed. What was tried is written into the run's plan, so that every later attempt starts with it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from engine import plan as planning
from engine.errors import Refused
from engine.events import Event, Progress, Queued, Step, Warned, from_line
from engine.methods import all_methods
from engine.plan import Plan
from engine.store import write_whole

REPAIRABLE = ("training", "evaluation")  # phases whose memory grows with the batch


def lighter(plan: Plan) -> tuple[Plan, str] | None:
    """The plan with the next smaller demand, and what changed in words; None where nothing is left to try."""
    batch, accumulation = plan.settings["batch_size"], plan.settings["accumulation"]
    if plan.pieces < batch:
        pieces = min(batch, 2 * plan.pieces)
        said = (
            f"Each batch of {batch} rows is now computed in {pieces} parts: {-(-batch // pieces)} × {accumulation * pieces} "
            f"instead of {-(-batch // plan.pieces)} × {accumulation * plan.pieces}, still {plan.effective_batch} rows a step."
        )
        return _with_less(replace(plan, pieces=pieces), pieces / plan.pieces), said
    if not plan.settings["checkpointing"] and all_methods()[plan.method].checkpointing:
        settings = {**plan.settings, "checkpointing": True}
        said = (
            "Gradient checkpointing is now on: activations are computed twice instead of kept, which takes a quarter to a half more time."
        )
        return _with_less(replace(plan, settings=settings), 2.0), said
    return None


def _with_less(plan: Plan, times: float) -> Plan:
    """The same with the estimate for activations so many times smaller."""
    parts = {**plan.memory_parts, "activations": round(plan.memory_parts.get("activations", 0) / times)}
    return replace(plan, memory_parts=parts, memory_bytes=sum(parts.values()), memory_basis="estimated")


def repaired(folder: Path, time: float, phase: str, step: int) -> tuple[Event, ...]:
    """Writes the lighter plan into the run's folder; the events that say so and queue the run again. Empty: it cannot be helped so."""
    if phase not in REPAIRABLE:
        return ()
    path = folder / "plan.json"
    try:
        found = lighter(planning.from_json(path.read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError, Refused):
        return ()
    if found is None:
        return ()
    plan, said = found
    write_whole(path, planning.to_json(plan).encode())
    at_step = f"at step {step + 1} of {plan.steps:,}"
    where = at_step if phase == "training" and step < plan.steps else "while the model was judged"
    warned = Warned(time, f"Memory ran out {where}. {said}", "It goes on by itself from its last save, in a fresh process.")
    return warned, Queued(time, resume=True, at_once=True)


def last_phase(events: str) -> tuple[str, int]:
    """The phase that these lines of events end in, and the last step that they tell of."""
    phase, step = "", 0
    for line in events.split("\n"):
        if line.startswith(('{"event": "Progress"', '{"event": "Step"')):
            try:
                told = from_line(line)
            except ValueError:
                continue
            if isinstance(told, Progress):
                phase = told.phase
            elif isinstance(told, Step):  # the Progress before it may lie further back than these lines reach
                phase, step = "training", told.step
    return phase, step
