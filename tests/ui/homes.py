"""Homes with runs in them, written as the worker writes them, so that the page can be looked at without training anything."""

from __future__ import annotations

import contextlib
import json
import math
from pathlib import Path

import psutil

from engine import account, catalog, evaluate, models, plan, spec
from engine.evaluate import BaselineScore, ClassScore, Evaluation, Interval, Sample
from engine.events import Ended, Evaluated, Event, Progress, Queued, Resources, Saved, Started, Step, Warned
from engine.facts import Facts
from engine.hardware import Hardware
from engine.knobs import knobs_of
from engine.plan import Plan
from engine.spec import DataSpec, RunSpec
from engine.store import Store, write_whole
from engine.tasks import all_tasks
from tests import finished as made_up

CLASSES = ("নেতিবাচক", "Neutral", "Positive")
TOTAL = 100  # steps
MACHINE = Hardware("a CPU", 2, 24_000_000_000, 21_000_000_000, 90_000_000_000, bf16_units=True, fp32_flops=1e11, bf16_flops=3e11)
SPEC = RunSpec(
    DataSpec("sample:film-reviews-en"), models.EMBEDDED, preset="quick", settings={"rank": 8}, name="Film reviews · MiniLM · LoRA"
)


def a_plan(home: Path, asked: RunSpec = SPEC) -> Plan:
    """The real plan, for a machine that is always the same."""
    facts = Facts(home, share=False, limit_bytes=100_000_000)
    data, model = facts.data(asked.data, asked.settings, None), facts.model(asked.model, None)
    return plan.plan(asked, data, model, facts.tokens(model, data, None), MACHINE, catalog.load())


def an_evaluation(classes: tuple[str, ...] = CLASSES) -> Evaluation:
    """A verdict in which the diagonal holds 50 rows and every other cell 4."""
    count = len(classes)
    cells = tuple(tuple(50 if i == j else 4 for j in range(count)) for i in range(count))
    text = "মোবাইলটা ভালো, কিন্তু ব্যাটারি এক দিনও চলে না। " * 3
    return Evaluation(
        rows=sum(map(sum, cells)), classes=classes, accuracy=Interval(0.912, 0.884, 0.935), macro_f1=Interval(0.905, 0.87, 0.93),
        macro_precision=0.91, macro_recall=0.9, weighted_precision=0.91, weighted_recall=0.91, weighted_f1=0.911, loss=0.31,
        per_class=tuple(ClassScore(name, 0.9, 0.91, 0.905, 58, 58) for name in classes), confusion=cells,
        baselines=(
            BaselineScore("majority", "Always the largest class", 0.36, 0.18, 0.19, 100, 10, 1e-9, Interval(0.7, 0.6, 0.8), ""),
            BaselineScore("tfidf", "TF-IDF with logistic regression", 0.887, 0.88, 0.88, 14, 9, 0.4, Interval(0.02, -0.01, 0.05), ""),
        ),
        sentence="91.2 % right on 174 unseen rows (88.4 to 93.5). TF-IDF reaches 88.7: better, but not by more than chance.",
        warnings=("Few test rows: the interval is wide.",), step=90,
        samples=tuple(Sample(at + 1, text, classes[at % 2], classes[at % count], 0.83) for at in range(6)),
    )  # fmt: skip


def training(now: float, steps: int, total: int = TOTAL) -> list[Event]:
    """The events of a run that took so many steps, one a second, the newest just now."""
    start = now - steps - 2
    events: list[Event] = [
        Queued(start),
        Started(start + 1, 1, 1.0, {"python": "3.11"}, "CPU, 2 cores"),
        Progress(start + 2, "training", "Training", 0, total),
    ]
    for step in range(1, steps + 1):
        time, loss = start + 2 + step, 0.7 * math.exp(-step / 50)
        wobble = 0.04 * math.sin(step * 1.7)
        events.append(Step(time, step, total, step / total, loss + wobble, 5e-4 * (1 - step / total), 1.5 + math.sin(step), 21.0))
        events.append(Resources(time, 900_000_000 + step * 1_000_000, 1_000_000_000 + step * 1_000_000))
        if step % 10 == 0:
            scores = {"loss": loss + 0.05, "macro_f1": 0.5 + step / 250, "accuracy": 0.5 + step / 240}
            events.append(Evaluated(time, "validation", step, scores, best=True))
    return events


def add_run(home: Path, events: list[Event], *, judged: bool = False, asked: RunSpec = SPEC) -> str:
    """A run with these events; its id."""
    store = Store(home)
    run_id = store.create(spec.to_json(asked), plan.to_json(a_plan(home, asked)), asked.name or "run", events[0].time if events else None)
    for event in events:
        store.append(run_id, event)
    if judged:
        write_whole(store.folder(run_id) / "evaluation.json", evaluate.to_json(an_evaluation()).encode())
    (store.folder(run_id) / "log.txt").write_text("".join(f"step {at} loss {0.7 / at:.3f}\n" for at in range(1, 40)), "utf-8")
    return run_id


def finished(home: Path, now: float) -> str:
    events = training(now - 60, 90)
    warned = Warned(now - 30, "Held-out loss has not moved for 3 checks.", "It will stop by itself after 1 more.")
    kept = Saved(now - 5, "model", 90, "model", 1_400_000)
    return add_run(home, [*events, warned, kept, Ended(now, "finished", "Trained, judged and saved.", "", 95.0)], judged=True)


def finished_writer(home: Path, now: float, task: str = "instruct") -> str:
    """A run that learnt to write, with its account."""
    run_id = finished(home, now)
    folder = Store(home).folder(run_id)
    (folder / "evaluation.json").unlink()
    planned = json.loads((folder / "plan.json").read_text("utf-8"))
    planned |= {"task": task, "labels": ["all rows"], "class_counts": {"all rows": 60}}
    planned["model"] |= {"head": [], "decoder": True}
    knobs = {one.name: one.default for one in knobs_of(all_tasks()[task].knobs)}
    planned["settings"] = {**planned["settings"], **knobs, "max_length": 96, "select_by": "loss"}
    (folder / "plan.json").write_text(json.dumps(planned), "utf-8")
    asked = json.loads((folder / "spec.json").read_text("utf-8"))
    asked |= {"task": task, "data": {**asked["data"], "target": all_tasks()[task].target}}
    (folder / "spec.json").write_text(json.dumps(asked), "utf-8")
    events = (folder / "events.jsonl").read_text("utf-8").replace('"macro_f1"', '"perplexity"').replace('"accuracy"', '"also"')
    (folder / "events.jsonl").write_text(events, "utf-8")
    (folder / account.FILE).write_text(account.to_json(made_up.told(task)), "utf-8")
    return run_id


def running(home: Path, now: float) -> str:
    return add_run(home, training(now, 62))


def failed(home: Path, now: float) -> str:
    ended = Ended(now, "failed", "The machine ran out of memory.", "Choose a smaller batch size, then press Resume.", 22.0)
    return add_run(home, [*training(now - 20, 20), ended])


def end_all(home: Path) -> None:
    """Kills the workers that still run on this home, so that a test leaves none behind."""
    store = Store(home)
    for run_id in store.ids():
        started = store.record(run_id).started
        with contextlib.suppress(psutil.NoSuchProcess):
            worker = psutil.Process(started.pid) if started else None
            if worker and started and abs(worker.create_time() - started.pid_created) < 1:
                worker.kill()
