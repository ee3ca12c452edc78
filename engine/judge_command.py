"""`python -m engine judge RUN`: a closer look at a finished run, and all that is known of how good it is, as one JSON object."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable
from typing import Any

from engine import evaluate
from engine.errors import Problem, Refused
from engine.interrupts import Interrupts
from engine.studio import Studio
from engine.tasks import all_tasks

DONE, FAILED = 0, 1
LOOK_SECONDS = 0.3


def add_options(judge: argparse.ArgumentParser) -> None:
    judge.add_argument("run", help="the run's id, as `runs` lists it")
    judge.add_argument("--confidence", choices=("corrected", "plain"), help="how sure the model says it is from now on, also in exports")
    judge.add_argument("--kept", action="store_true", help="tell what the last look found, without looking again")


def judge(told: argparse.Namespace, studio: Studio, interrupts: Interrupts, say: Callable[[str], None]) -> int:
    """Tells the look on stdout; 0: done, 1: it did not come to an end. Raises Refused where there is nothing to look at."""
    account = studio.account(told.run)
    if account is not None and all_tasks()[account.task].writes is not None:
        message = "A closer look asks for classes, numbers, tags or likeness, and this run writes."
        raise Refused(Problem("run", message, f"Read its figures and texts: python -m engine report {told.run}"))
    if account is not None and told.confidence is not None:
        message = "Only of a run that gives classes can the confidence be corrected."
        raise Refused(Problem("confidence", message, "Leave --confidence out."))
    if account is None and studio.evaluation(told.run) is None:
        raise Refused(Problem("run", "This run is not judged yet.", "Let it finish, or resume it."))
    problem = None if told.kept else _looked(told.run, studio, interrupts, say)
    if told.confidence is not None:
        studio.correct_confidence(told.run, on=told.confidence == "corrected")
    print(json.dumps(outcome(studio, told.run, problem), ensure_ascii=False))
    return DONE if problem is None else FAILED


def _looked(run_id: str, studio: Studio, interrupts: Interrupts, say: Callable[[str], None]) -> Problem | None:
    """Looks and waits; the Problem, where it did not come to an end."""
    studio.look_closer(run_id)
    said = ""
    while (look := studio.look(run_id)).state == "looking":
        if look.message != said:
            said = look.message
            say(said)
        if interrupts.came(LOOK_SECONDS):
            studio.give_up_look(run_id)
            return Problem("run", "Given up, as you asked.", "Look again.")
    return look.problem


def outcome(studio: Studio, run_id: str, problem: Problem | None = None) -> dict[str, Any]:
    """All that is known of how good the run's model is, as JSON values; shares and seconds."""
    account = studio.account(run_id)
    evaluation, confidence, look = studio.evaluation(run_id), studio.judged.confidence(run_id), studio.look(run_id)
    beside = studio.beside(run_id)
    sure: dict[str, Any] | None = None
    if confidence is not None:
        sure = {
            "rows": confidence.rows,
            "accuracy": confidence.accuracy,
            "mean_confidence": confidence.mean_confidence,
            "expected_calibration_error": confidence.error,
            "error_by_chance": confidence.error_by_chance,
            "temperature": confidence.temperature,
            "answered": [dataclasses.asdict(one) for one in confidence.silence[::10]],
            "average_precision": {one.label: one.average_precision for one in confidence.curves},
        }
    return {
        "run": run_id,
        "sentence": evaluate.headline(evaluation, beside)[0] if evaluation else account.sentence if account else None,
        "beside": [{"sentence": one.sentence, "rows": one.rows, **dataclasses.asdict(one.score)} for one in beside],
        "confidence": sure,
        "look": dataclasses.asdict(look.found) if look.found else None,
        "problem": dataclasses.asdict(problem) if problem else None,
    }
