"""check() and plan(): from what a person asked and the facts, every Problem at once, or every number decided with its reason.

Pure: no file, no network, no clock; both take what `sources`, `models` and `hardware` have found out before.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Literal

from engine.errors import Problem, Refused
from engine.knobs import Value
from engine.models import Linear, ModelFacts

VERSION = 1


@dataclass(frozen=True)
class Decision:
    """A value that the person left open, and why it came out so, in words that a lay person reads."""

    name: str  # the knob's name
    value: Value
    reason: str


@dataclass(frozen=True)
class Plan:
    """Everything decided about one run. Bytes, seconds, rows; shares are 0 to 1."""

    task: str
    method: str
    text: str  # column
    label: str  # column
    labels: tuple[str, ...]  # class names; the index is the class id
    class_counts: dict[str, int]  # usable rows of each class, before the split
    rows: dict[str, int]  # "train", "validation", "test"
    settings: dict[str, Any]  # every knob of split, task, training and method; a Value, None only for max_rows and max_steps (no limit)
    effective_batch: int  # rows per optimiser step
    steps: int  # optimiser steps, at most
    decisions: tuple[Decision, ...]
    trainable_parameters: int
    parameters: int
    memory_bytes: int
    memory_available_bytes: int
    memory_parts: dict[str, int]
    memory_basis: Literal["estimated", "measured"]
    seconds: float | None  # of the whole run; None: no figure for this hardware
    seconds_parts: dict[str, float]  # "loading", "tokenising", "training", "validation", "test"; empty where seconds is None
    seconds_basis: Literal["estimated", "measured"]
    disk_bytes: int  # the most that the run needs while it goes: download, checkpoints, what is kept
    disk_free_bytes: int
    save_bytes: int  # what is kept at the end: the adapter or the whole model
    device: Literal["cpu", "cuda"]
    device_words: str
    model: ModelFacts
    data_sha256: str
    tokens_per_word: float | None  # None: the model's tokenizer could not be read beforehand
    cut_share: float | None  # share of the sampled texts longer than max_length
    notes: tuple[str, ...]  # what a person should know and need not act on
    version: int = VERSION

    @property
    def trainable_share(self) -> float:
        return self.trainable_parameters / self.parameters

    def reason(self, name: str) -> str | None:
        """Why this setting has its value, where it was decided automatically."""
        return next((decision.reason for decision in self.decisions if decision.name == name), None)


def to_json(plan: Plan) -> str:
    """The plan as JSON text, as it lies in the run's folder."""
    return json.dumps(dataclasses.asdict(plan), ensure_ascii=False, indent=2) + "\n"


def from_json(text: str) -> Plan:
    """The plan that `to_json` wrote. Raises Refused when it is from a newer version or is not whole."""
    told = json.loads(text)
    version = told.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise Refused(Problem("plan.version", f"This plan has version {version!r}; this Shur reads up to {VERSION}.", "Update Shur."))
    model = told["model"]
    facts = ModelFacts(**{**_tupled(model), "linears": tuple(Linear(**linear) for linear in model["linears"])})
    decisions = tuple(Decision(**decision) for decision in told["decisions"])
    return Plan(**{**_tupled(told), "model": facts, "decisions": decisions})


def _tupled(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has no tuples: every list of a frozen dataclass of ours was one."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
