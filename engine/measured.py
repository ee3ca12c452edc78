"""What a measurement of the fit found out, remembered by all that it depends on, and a plan that rests on it instead of on the estimate.

HOME/cache/measured.json    key -> Measured, the newest MOST of them
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import filelock

import engine
from engine.augment import Augmentation
from engine.data.split import Split
from engine.knobs import knobs_of
from engine.methods import all_methods
from engine.plan import Plan
from engine.spec import Training
from engine.store import write_whole
from engine.tasks import all_tasks

MOST = 200
FORMAT = 2
# Settings of training that change neither the memory nor the time of a step.
INDIFFERENT = ("epochs", "learning_rate", "max_steps", "warmup_steps", "schedule", "weight_decay", "max_grad_norm", "evaluate_every",
               "select_by", "patience", "keep_checkpoints", "seed", "accumulation")  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """A few real steps on the longest rows, and some as training takes them. Bytes, seconds."""

    peak_memory_bytes: int  # of the GPU where there is one, else of the process
    longest: int  # tokens of the longest row
    steps: int  # that were taken
    seconds_a_batch: float  # of training, a batch of this data on average
    seconds_a_row_checked: float
    seconds_a_row_tested: float  # with nothing from the disk
    seconds_once: float  # of what is computed once before the first step: the frozen part of the rows
    loading_seconds: float
    save_bytes: int
    taken_by_others: float = 0.0  # the share of the processor that other programs took meanwhile, where nothing of it was left over


def key(plan: Plan, machine: str) -> str:
    """Names everything that the figures depend on: rows, model, method, shape of the steps, machine, libraries."""
    training = {knob.name for knob in knobs_of(Training)} - set(INDIFFERENT)
    kinds = (Split, Augmentation, all_methods()[plan.method].knobs, all_tasks()[plan.task].knobs)
    own = {knob.name for kind in kinds for knob in knobs_of(kind)}
    told = {
        "format": FORMAT,
        "data": [plan.data_sha256, plan.text, plan.label, *plan.label_columns],
        "rows": plan.rows,
        "model": [plan.model.id, plan.model.revision, *_stamps(plan)],
        "method": plan.method,
        "task": plan.task,
        "labels": len(plan.labels),
        "settings": {name: plan.settings[name] for name in sorted(training | own) if name in plan.settings},
        "pieces": plan.pieces,
        "machine": [machine, plan.device_words],
        "versions": _versions(),
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _stamps(plan: Plan) -> list[list[float]]:
    """Size and time of the weights of a folder, which has no revision."""
    if plan.model.source != "folder" or plan.model.folder is None:
        return []
    files = [Path(plan.model.folder) / name for name in plan.model.weight_files]
    return [[one.stat().st_size, one.stat().st_mtime] for one in files if one.exists()]


@cache
def _versions() -> list[str]:
    found = [engine.__version__]
    for name in ("torch", "transformers", "peft", "bitsandbytes"):
        with contextlib.suppress(PackageNotFoundError):
            found.append(version(name))
    return found


class Remembered:
    """The measurements of a home. Every process of the home may read and add."""

    def __init__(self, home: Path) -> None:
        self._path = home / "cache" / "measured.json"
        self._lock = filelock.FileLock(self._path.with_suffix(".lock"))

    def get(self, name: str) -> Measured | None:
        """What was measured under this key; None where nothing was."""
        told = self._all().get(name)
        try:
            return Measured(**told) if told else None
        except TypeError:  # an older Shur's
            return None

    def add(self, name: str, found: Measured) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock:
            kept = {**self._all(), name: dataclasses.asdict(found)}
            write_whole(self._path, json.dumps(dict(list(kept.items())[-MOST:]), indent=1).encode())

    def _all(self) -> dict[str, dict[str, Any]]:
        try:
            told = json.loads(self._path.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return told if isinstance(told, dict) else {}


def with_measured(plan: Plan, found: Measured) -> Plan:
    """The plan with memory, time and size as measured; what was not measured (tokenising, writing, the baselines) stays estimated."""
    settings, rows = plan.settings, plan.rows
    checks = -(-plan.steps // settings["evaluate_every"])
    timing = {
        **{name: plan.seconds_parts[name] for name in ("translating",) if name in plan.seconds_parts},
        "loading": found.loading_seconds,
        "tokenising": plan.seconds_parts.get("tokenising", 0.0),
        "frozen": found.seconds_once,
        "training": plan.steps * settings["accumulation"] * found.seconds_a_batch,
        "validation": checks * rows["validation"] * found.seconds_a_row_checked,
        "test": rows["test"] * found.seconds_a_row_tested,
        **{name: seconds for name, seconds in plan.seconds_parts.items() if name == "writing"},
    }
    return replace(
        plan,
        memory_bytes=found.peak_memory_bytes,
        memory_basis="measured",
        seconds=sum(timing.values()),
        seconds_parts=timing,
        seconds_basis="measured",
        save_bytes=found.save_bytes,
    )
