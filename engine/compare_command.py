"""`python -m engine compare`: a study from the shell. Progress on stderr, the result as one JSON object at the end of stdout.

Ctrl-C stops the study and saves it, a second one kills the run at work; `--resume ID` goes on with it. Leaves the options that
`train` has too to `__main__`.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine import study_report
from engine.errors import Problem, Refused, explain
from engine.interrupts import Interrupts
from engine.spec import RunSpec
from engine.studio import Studio
from engine.study import Budget, seeds_of
from engine.study_result import GOING, Result, RunResult
from engine.varied import Variants, by_shares, in_folds, with_and_without

DONE, FAILED = 0, 1
FILES = {"csv": study_report.to_csv, "markdown": study_report.to_markdown, "html": study_report.to_html}
# What a study has from its start, so that it cannot be asked for with --resume.
CONDITIONS = (
    "folds",
    "shares",
    "with_and_without",
    "steps",
    "minutes",
    "data",
    "test",
    "text",
    "label",
    "group",
    "time",
    "sheet",
    "header",
    "encoding",
    "model",
    "method",
    "preset",
    "set",
    "name",
    "spec",
)
LOOK_SECONDS = 0.5


def add_options(compare: argparse.ArgumentParser) -> None:
    """The options beside those of `train`."""
    compare.add_argument("--methods", metavar="ID,ID", help="what to compare, with commas between; left out: all that fit")
    compare.add_argument(
        "--folds", type=int, metavar="N", help="cross-validate one method instead: N runs, each row tested once; 5 is usual"
    )
    compare.add_argument("--shares", metavar="S,S", help="a learning curve of one method instead: 0.1,0.25,0.5,1 of the training rows")
    compare.add_argument(
        "--with-and-without", action="store_true", default=None,
        help="one method instead, with the rows that --set augment=noise (or synonyms, back_translation) makes, and without",
    )  # fmt: skip
    compare.add_argument("--seeds", type=int, metavar="N", help="runs of each method, 1 to 5; left out: 1")
    compare.add_argument("--steps", type=int, metavar="N", help="steps of every run")
    compare.add_argument("--minutes", type=float, metavar="M", help="minutes for the whole comparison, by the estimate")
    compare.add_argument("--resume", metavar="ID", help="go on with this comparison; with --methods or --seeds it is extended by them")
    for kind in FILES:
        compare.add_argument(f"--{kind}", metavar="FILE", type=Path, help=f"write the result as {kind.upper()} too")


def compare(told: argparse.Namespace, spec: RunSpec | None, studio: Studio, interrupts: Interrupts, say: Callable[[str], None]) -> int:
    """Starts a comparison of this spec (None: goes on with `--resume`), follows it to its end and returns the exit code.

    Raises Refused with every problem.
    """
    _check(told)
    methods = [one.strip() for one in told.methods.split(",") if one.strip()] if told.methods is not None else None
    study_id = _resumed(told, methods, studio) if spec is None else _started(told, spec, methods, studio, say)
    say(f"Study {study_id}")
    result = _follow(studio, study_id, interrupts, say)
    for sentence in result.advice.sentences:
        say(sentence)
    if result.can_resume:
        say(f"Go on with: python -m engine compare --resume {study_id} --home {studio.home}")
    print(json.dumps(outcome(studio, result)), flush=True)
    written = _written(told, result, say)
    return DONE if written and result.state == "finished" and all(row.state == "finished" for row in result.rows) else FAILED


def _check(told: argparse.Namespace) -> None:
    """Raises Refused for what can be told before hours go by: files that cannot be written, conditions that a study has already."""
    problems = []
    for kind in FILES:
        path: Path | None = getattr(told, kind)
        if path is not None and not _can_be_written(path):
            problems.append(Problem(kind, f"The file {path} cannot be written.", "Choose a file in a folder that is there and yours."))
    given = [f"--{name.replace('_', '-')}" for name in CONDITIONS if getattr(told, name, None) not in (None, [])] if told.resume else []
    if given:
        verb = "is" if len(given) == 1 else "are"
        message = f"{' and '.join(given)} {verb} given beside --resume, but a comparison keeps its conditions."
        problems.append(Problem("arguments", message, "Leave that out, or start another comparison without --resume."))
    if problems:
        raise Refused(*problems)


def _can_be_written(path: Path) -> bool:
    return os.access(path, os.W_OK) and path.is_file() if path.exists() else path.parent.is_dir() and os.access(path.parent, os.W_OK)


def _written(told: argparse.Namespace, result: Result, say: Callable[[str], None]) -> bool:
    """Writes the files that were asked for; False where one could not be."""
    whole = True
    for kind, text in FILES.items():
        path: Path | None = getattr(told, kind)
        try:
            if path is not None:
                path.write_text(text(result), "utf-8")
        except OSError as error:
            say(f"{path} is not written: {explain(error)}")
            whole = False
    return whole


def _started(told: argparse.Namespace, spec: RunSpec, methods: list[str] | None, studio: Studio, say: Callable[[str], None]) -> str:
    if told.steps is not None and told.minutes is not None:
        raise Refused(Problem("study.budget", "Both --steps and --minutes are given.", "Give one of them."))
    budget = Budget("minutes", told.minutes) if told.minutes is not None else Budget("steps", told.steps)
    seeds = 1 if told.seeds is None else told.seeds
    seeds_of(spec, seeds)  # refuses a wrong number before the machine is measured
    variants = _variants(told, spec)
    say("Looking at the data, the model and this machine")
    studio.facts.measure(wait=True)
    if methods is None and variants is None:
        for fit in studio.methods_that_fit(spec):
            for problem in fit.problems[:1]:
                say(f"Left out: {fit.name}. {problem}")
    proposal = studio.compare_preview(spec, methods, seeds, budget, variants=variants)
    for note in proposal.notes:
        say(note)
    for method, plan in proposal.plans.items():
        rate, memory = plan.settings["learning_rate"], plan.memory_bytes / 1e9
        say(f"  {method}: learning rate {rate:g}, {plan.steps:,} steps, {memory:.1f} GB (estimated)")
    minutes = "" if proposal.seconds is None else f", about {max(1, round(proposal.seconds / 60))} min in all"
    say(f"{proposal.runs} runs{minutes} (estimated).")
    return studio.compare(spec, methods, seeds, budget, variants=variants)


def _variants(told: argparse.Namespace, spec: RunSpec) -> Variants | None:
    """What is studied instead of several methods. Raises Refused where more than one thing would vary."""
    kinds = ("methods", "folds", "shares", "with_and_without")
    given = [f"--{name.replace('_', '-')}" for name in kinds if getattr(told, name) is not None]
    if len(given) > 1:
        raise Refused(Problem("arguments", f"{' and '.join(given)} are given; a study varies one thing.", "Give one of them."))
    if told.folds is not None:
        return in_folds(told.folds)
    if told.with_and_without:
        return with_and_without(spec)
    if told.shares is None:
        return None
    try:
        return by_shares([float(one) for one in told.shares.split(",")])
    except ValueError as error:
        raise Refused(
            Problem("study.shares", f"The shares are {told.shares!r}.", "Give numbers with commas between: 0.1,0.5,1.")
        ) from error


def _resumed(told: argparse.Namespace, methods: list[str] | None, studio: Studio) -> str:
    before = studio.study(told.resume)
    new = [one for one in methods or [] if one not in before.study.methods]
    if new or (told.seeds is not None and told.seeds != len(before.study.seeds)):
        studio.extend_study(told.resume, new, told.seeds, resume=True)
    elif before.can_resume:
        studio.resume_study(told.resume)
    return str(told.resume)


def _follow(studio: Studio, study_id: str, interrupts: Interrupts, say: Callable[[str], None]) -> Result:
    """Tells what the runs do until none waits or works. The first interrupt stops the study, the second kills the run at work."""
    told: dict[str, tuple[str, int]] = {}
    asked = 0
    while True:
        result = studio.study(study_id)
        for row in result.rows:
            for run in row.runs:
                _tell(run, f"{row.name}, seed {run.seed}", told, say)
        if result.state not in GOING:
            return result
        if not interrupts.came(LOOK_SECONDS):
            continue
        asked += 1
        if asked == 1:
            say("Stopping at the next step and saving. Press Ctrl-C again to kill the run at work.")
            studio.stop_study(study_id)
            continue
        say("Killing the run at work.")
        for run in (run for row in studio.study(study_id).rows for run in row.runs if run.summary.state == "running"):
            studio.kill(run.id)


def _tell(run: RunResult, name: str, told: dict[str, tuple[str, int]], say: Callable[[str], None]) -> None:
    """A line when a run's state changes, and at every tenth of its steps."""
    state, step, total = run.summary.state, run.summary.step, run.summary.total_steps
    tenth = 10 * step // total if total and state == "running" else -1
    before = told.get(run.id, ("queued", -1))
    told[run.id] = (state, tenth)
    if before[0] != state:
        figures = f", {run.in_words}" if state == "finished" and run.figures else ""
        say(f"{name}: {state}{figures}")
    elif before[1] != tenth and tenth >= 0:
        say(f"{name}: step {step} of {total}")


def outcome(studio: Studio, result: Result) -> dict[str, Any]:
    """What the last line of stdout holds."""

    def figure(one: Any) -> dict[str, Any] | None:
        return None if one is None else {"value": one.value, "low": one.low, "high": one.high, "over": one.basis}

    by = [one for one in result.criteria if one.id]
    rows = []
    for row in result.rows:
        steady = row.stability
        rows.append({
            "method": row.method, "name": row.name, "training_rows": row.train_rows,
            "state": row.state, "reason": "" if row.state == "finished" else row.reason,
            "runs": [run.id for run in row.runs], "trainable_share": row.trainable_share, "learning_rate": row.learning_rate,
            "steps": row.total_steps, **{one.id: figure(told) for one, told in zip(by, (row.quality, row.beside), strict=False)},
            "peak_memory_bytes": row.peak_bytes, "seconds": row.seconds, "rows_per_second": row.rows_per_second,
            "stored_bytes": row.saved_bytes,
            "stability": None if steady is None else {
                "spread": steady.spread, "spikes": steady.spikes, "threshold": steady.threshold, "diverged": steady.diverged,
            },
        })  # fmt: skip
    return {
        "study": result.study.id,
        "folder": str(studio.home / "studies" / result.study.id),
        "state": result.state,
        "varies": result.study.varies,
        "methods": rows,
        "ranked_by": {"id": by[0].id, "name": by[0].name, "better": by[0].better} if by else None,
        "baselines": [
            {"id": one.id, "name": one.name, **{each.id: value for each, value in zip(by, (one.quality, one.beside), strict=False)}}
            for one in result.baselines
        ],
        "test_rows": result.test_rows,
        "take": result.advice.take,
        "best": result.advice.best,
        "within_noise_of_best": list(result.advice.alike),
        "differences": [
            {"first": one.first, "second": one.second, "p_value": one.p_value, "beyond_chance": one.beyond_chance, "better": one.better}
            for one in result.advice.differences
        ],
        "sentences": list(result.advice.sentences),
        "conditions": list(result.study.notes),
    }
