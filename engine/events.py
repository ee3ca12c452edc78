"""What happens in a run, typed. A run's truth is its events on disk, one JSON object a line; a RunRecord is their fold (store.py).

Every event has `time`, seconds since the epoch (UTC). Bytes, seconds and rows everywhere.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Literal

Phase = Literal["data", "model", "tokens", "training", "evaluation", "saving"]
Status = Literal["finished", "stopped", "failed", "killed"]


@dataclass(frozen=True)
class Queued:
    """The run waits for its turn. Emitted again by Resume, and when memory ran out, with resume=True."""

    time: float
    resume: bool = False
    at_once: bool = False  # before all others: it was at work when memory ran out


@dataclass(frozen=True)
class Started:
    """A worker process took the run up."""

    time: float
    pid: int
    pid_created: float  # the process's creation time: a pid alone can be reused
    versions: dict[str, str]  # package -> version, python and shur included
    device: str  # in words: "Tesla T4", "CPU, 2 cores"


@dataclass(frozen=True)
class Progress:
    """The run is in a phase, `done` of `total` units through it (total 0: unknown)."""

    time: float
    phase: Phase
    message: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Step:
    """One optimiser step was taken."""

    time: float
    step: int
    total: int
    epoch: float
    loss: float  # mean nats per label over the step's effective batch
    learning_rate: float
    grad_norm: float  # before clipping
    rows_per_second: float


@dataclass(frozen=True)
class Evaluated:
    """The model was scored on a split. `metrics` has at least "loss"; of a task with classes "macro_f1" too."""

    time: float
    split: Literal["validation", "test"]
    step: int
    metrics: dict[str, float]
    best: bool = False
    never: tuple[str, ...] = ()  # classes that have rows in the split, and that the model gave as its answer to none


@dataclass(frozen=True)
class Sampled:
    """Some rows with what the model says of them: text, label, predicted, confidence."""

    time: float
    rows: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Resources:
    """Memory of the worker's process (and its GPU), now and at its peak."""

    time: float
    ram_bytes: int
    ram_peak_bytes: int
    vram_bytes: int | None = None  # CUDA's context included
    vram_peak_bytes: int | None = None


@dataclass(frozen=True)
class Saved:
    """Something was written whole: a checkpoint that can be resumed from, or the model that is kept."""

    time: float
    what: Literal["checkpoint", "model"]
    step: int
    path: str  # relative to the run's folder
    bytes: int


@dataclass(frozen=True)
class Warned:
    """Something a person should know; the run goes on."""

    time: float
    message: str
    fix: str = ""


@dataclass(frozen=True)
class Ended:
    """The run is over, for now: a stopped, failed or killed one can be resumed. `reason` is a sentence."""

    time: float
    status: Status
    reason: str
    fix: str = ""
    seconds: float = 0.0  # of this attempt


Event = Queued | Started | Progress | Step | Evaluated | Sampled | Resources | Saved | Warned | Ended
KINDS: dict[str, type[Event]] = {
    kind.__name__: kind for kind in (Queued, Started, Progress, Step, Evaluated, Sampled, Resources, Saved, Warned, Ended)
}


def to_line(event: Event) -> str:
    """The event as one line of strict JSON (no NaN: a value that is not finite becomes null), without the newline."""
    return json.dumps({"event": type(event).__name__, **_finite(dataclasses.asdict(event))}, ensure_ascii=False, allow_nan=False)


def from_line(line: str) -> Event:
    """The event that `to_line` wrote. Raises ValueError when the line is none; a null number comes back as NaN."""
    told = json.loads(line)
    kind = KINDS.get(str(told.pop("event", ""))) if isinstance(told, dict) else None
    if kind is None:
        raise ValueError(f"not an event: {line[:80]!r}")
    known = {one.name: one for one in dataclasses.fields(kind)}
    values = {name: value for name, value in told.items() if name in known}
    for name, value in values.items():
        if value is None and known[name].type == "float":
            values[name] = float("nan")
        elif known[name].type == "dict[str, float]":
            values[name] = {key: float("nan") if one is None else one for key, one in value.items()}
        elif isinstance(value, list):
            values[name] = tuple(value)
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"not a whole {kind.__name__}: {line[:80]!r}") from error


def _finite(value: Any) -> Any:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return value
