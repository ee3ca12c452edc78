"""The coach on recorded curves (tests/curves, made by tests/benchmarks/coach_curves.py) and on what no recording has."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from engine.coach import Finding, Lesson, findings, guessing_loss
from engine.events import Ended, Evaluated, Step
from engine.methods import all_methods
from engine.store import RunRecord

ROOT = Path(__file__).parents[2]
CURVES = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted((ROOT / "tests" / "curves").glob("*.json"))}
LESSON = Lesson({"learning_rate": 5e-4, "warmup_steps": 0, "epochs": 2.0, "class_weights": "none", "rank": 8, "alpha": 16}, (50, 50), 5e-4,
                (2e-5, 5e-3), adapter=True)  # fmt: skip


def lesson_of(curve: dict[str, Any]) -> Lesson:
    method = all_methods()[curve["method"]]
    return Lesson(curve["settings"], tuple(curve["class_rows"]), method.learning_rate, method.learning_rate_range, method.freezes_body)


def replayed(curve: dict[str, Any]) -> Iterable[RunRecord]:
    """The run as the page would have seen it: after every eighth step, after every check, and at its end."""
    steps = [Step(0.0, step, curve["total"], epoch, loss, 0.0, 1.0, 1.0) for step, epoch, loss in curve["steps"]]
    checks = [Evaluated(0.0, "validation", step, figures, never=tuple(map(str, never))) for step, figures, never in curve["checks"]]
    for at in sorted({*range(8, len(steps) + 1, 8), *(one.step for one in checks)}):
        seen = tuple(one for one in checks if one.step <= at)
        yield RunRecord("a", "running", step=at, total_steps=curve["total"], steps=tuple(steps[:at]), evaluations=seen)
    ended = Ended(0.0, curve["status"], "The loss stopped being a number." if curve["status"] == "failed" else "")
    yield RunRecord(
        "a", curve["status"], step=len(steps), total_steps=curve["total"], ended=ended, steps=tuple(steps), evaluations=tuple(checks)
    )


def heard(curve: dict[str, Any]) -> list[tuple[Finding, int]]:
    """The first finding of each kind over the whole run, in their order, with the step at which it was told."""
    found: dict[str, tuple[Finding, int]] = {}
    for record in replayed(curve):
        for one in findings(record, lesson_of(curve)):
            found.setdefault(one.kind, (one, record.step))
    return list(found.values())


def is_false(one: Finding, told_at: int, curve: dict[str, Any]) -> bool:
    """Whether the rest of the run shows that what was said did not hold. What was said at the end has no rest, and is true as told."""
    checks = curve["checks"]
    before = [(step, told, never) for step, told, never in checks if step <= told_at]
    later = [(step, told, never) for step, told, never in checks if step > told_at]
    last = sum(loss for _, _, loss in curve["steps"][-8:]) / 8
    guess = guessing_loss(curve["class_rows"])
    match one.kind:
        case "plateau":  # stopping would have cost a point, or a twentieth of the loss
            gained = max((told["macro_f1"] for _, told, _ in later), default=0) - max(told["macro_f1"] for _, told, _ in before)
            fell = min((told["loss"] for _, told, _ in later), default=9) / min(told["loss"] for _, told, _ in before)
            return gained > 0.01 or fell < 0.95
        case "overfitting":
            return any(told["loss"] < min(told["loss"] for _, told, _ in before) for _, told, _ in later)
        case "never_predicted":  # given after all
            return bool(later) and not checks[-1][2]
        case "rate_high" | "diverged":
            return curve["status"] == "finished" and last < 0.98 * guess
        case "rate_low":
            return last < 0.9 * guess
    raise AssertionError(one.kind)


if __name__ == "__main__":  # what each curve makes the coach say: python -m tests.engine.test_coach
    for name, curve in CURVES.items():
        said = [f"{'FALSE ' if is_false(one, at, curve) else ''}{one.kind} at {at}: {one.message}" for one, at in heard(curve)]
        print(f"{name}: {curve['fault'] or 'healthy'}", *said, sep="\n    ")
