"""`python -m engine train`: a run from the shell, told on stderr while it goes, and as one JSON object at the end of stdout."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

from engine import evaluate
from engine.errors import Refused
from engine.events import Ended, Evaluated, Event, Progress, Queued, Saved, Started, Step, Warned
from engine.interrupts import Interrupts
from engine.plan import Plan
from engine.spec import RunSpec
from engine.studio import Studio
from engine.tasks import all_tasks

DONE, FAILED = 0, 1
LOOK_SECONDS = 0.2
TOLD = {
    "average_precision": "average precision",
    "micro_f1": "micro F1",
    "macro_f1": "macro F1",
    "perplexity": "perplexity",
    "mae": "mean error",
    "spearman": "Spearman",
}  # figures of a check
STEP_LINE_SECONDS = 2.0  # between two lines about steps


def train(spec: RunSpec, studio: Studio, interrupts: Callable[[], Interrupts], say: Callable[[str], None]) -> int:
    """Starts a run of this spec, follows it to its end and returns the exit code. `interrupts` counts Ctrl-C once it is called.

    Raises Refused with every problem.
    """
    say("Looking at the data, the model and this machine")
    studio.facts.measure(wait=True)
    preview = studio.preview(spec)
    for problem in preview.problems:
        if problem.severity == "warning":
            say(f"Mind: {problem}")
    if not preview.is_ready or preview.plan is None:
        raise Refused(*(problem for problem in preview.problems if problem.severity == "error"))
    _tell_plan(preview.plan, say)
    run_id = studio.start(spec)
    say(f"Run {run_id}")
    try:
        follow(studio, run_id, interrupts(), say)
        result = outcome(studio, run_id)
    except Refused as refused:  # it was deleted while it was watched
        for problem in refused.problems:
            say(f"{problem.field}: {problem}")
        print(json.dumps({"problems": [dataclasses.asdict(problem) for problem in refused.problems]}))
        return FAILED
    print(json.dumps(result))
    return DONE if result["status"] == "finished" else FAILED


def follow(studio: Studio, run_id: str, interrupts: Interrupts, say: Callable[[str], None]) -> None:
    """Tells the run's events on stderr until it is over. The first interrupt stops it, the second kills it."""
    offset, asked = 0, 0
    teller = _Teller(say)
    while not studio.record(run_id).is_over:
        if interrupts.came(LOOK_SECONDS):
            asked += 1
            if asked == 1:
                say("Stopping at the next step and saving. Press Ctrl-C again to kill the run.")
                studio.stop(run_id)
            else:
                say("Killing the run.")
                studio.kill(run_id)
        events, offset = studio.read(run_id, offset)
        for event in events:
            teller.tell(event)
    for event in studio.read(run_id, offset)[0]:
        teller.tell(event)


@dataclasses.dataclass
class _Teller:
    """Events as lines on stderr; not every step."""

    say: Callable[[str], None]
    last_step_at: float = 0.0
    last_progress: str = ""

    def tell(self, event: Event) -> None:
        match event:
            case Queued():
                self.say("Waiting for its turn" if not event.resume else "Waiting for its turn, to go on")
            case Started():
                self.say(f"Started on {event.device}")
            case Progress() if event.message != self.last_progress:
                self.last_progress = event.message
                self.say(event.message)
            case Step() if event.time - self.last_step_at >= STEP_LINE_SECONDS or event.step == event.total:
                self.last_step_at = event.time
                self.say(f"step {event.step} of {event.total}  loss {event.loss:.4f}  {event.rows_per_second:.1f} rows/s")
            case Evaluated():
                figures = f"loss {event.metrics['loss']:.4f}"
                for name, words in TOLD.items():
                    if name in event.metrics:
                        figures += f"  {words} {event.metrics[name]:.4f}"
                self.say(f"{event.split} after step {event.step}  {figures}{'  (best so far)' if event.best else ''}")
            case Saved(what="model"):
                self.say("The model is saved")
            case Warned():
                self.say(f"Mind: {event.message} {event.fix}".rstrip())
            case Ended():
                self.say(f"{event.status.capitalize()}: {event.reason} {'' if event.status == 'finished' else event.fix}".rstrip())


def outcome(studio: Studio, run_id: str) -> dict[str, Any]:
    """What the last line of stdout holds: how the run ended, and its verdict where it has one."""
    record = studio.record(run_id)
    judged = studio.evaluation(run_id)
    ended = record.ended
    result: dict[str, Any] = {
        "run": run_id,
        "folder": str(studio.store.folder(run_id)),
        "status": record.state,
        "reason": ended.reason if ended else "",
        "fix": ended.fix if ended else "",
        "steps": record.step,
        "seconds": round(record.seconds, 3),
        "peak_memory_bytes": max((one.ram_peak_bytes for one in record.resources), default=None),
        "peak_vram_bytes": max((one.vram_peak_bytes for one in record.resources if one.vram_peak_bytes), default=None),
        "metrics": None,
        "baselines": [],
    }
    if judged:
        told = json.loads(evaluate.to_json(judged))
        result["baselines"] = told.pop("baselines")
        result["sentence"] = told.pop("sentence")
        result["metrics"] = {name: value for name, value in told.items() if name not in ("samples", "version")}
    elif account := studio.account(run_id):
        told = dataclasses.asdict(account)
        result["sentence"], result["baselines"] = told.pop("sentence"), told.pop("notes")
        result["metrics"] = {name: value for name, value in told.items() if name not in ("samples", "version")}
    return result


def _tell_plan(plan: Plan, say: Callable[[str], None]) -> None:
    rows = ", ".join(f"{count:,} {name}" for name, count in plan.rows.items())
    writes = all_tasks()[plan.task].writes
    say(f"Rows: {rows}." + ("" if writes else f" {'Tags' if plan.label_columns else 'Classes'}: {', '.join(plan.labels)}."))
    say(f"Text: {plan.text}. {'Answer' if writes else 'Label'}: {plan.learnt_from}. Model: {plan.model.id} on {plan.device_words}.")
    for decision in plan.decisions:
        say(f"  {decision.name} = {decision.value}: {decision.reason}")
    minutes = "" if plan.seconds is None else f", about {max(1, round(plan.seconds / 60))} min"
    say(f"At most {plan.steps:,} steps of {plan.effective_batch} rows, {plan.memory_bytes / 1e9:.1f} GB of memory{minutes} (estimated).")
