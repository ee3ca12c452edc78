"""What a closer look at a finished run found (probe.py), as JSON and back. Pure.

RUN/probe/probed.json   all of it, whole, of the newest look that came to an end
RUN/probe/status        a sentence: what is being done
RUN/probe/problem.json  why the newest look did not come to an end
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Literal

from engine.edge_cases import Example, Finding, Move
from engine.scoring import BaselineScore, Interval

FOLDER = "probe"
RESULT, STATUS, PROBLEM = "probed.json", "status", "problem.json"


@dataclass(frozen=True)
class Speed:
    """How quick a model answers on this machine, from text to answer."""

    id: Literal["tuned", "untuned", "merged"]
    median_seconds: float  # of one text by itself
    slow_seconds: float  # that 95 of 100 texts stay below
    timed: int  # texts
    best_batch: int
    rows_per_second: float  # in batches of `best_batch`


@dataclass(frozen=True)
class Probed:
    """Everything that a closer look found. What could not be found is None, with the reason in `notes`."""

    model_stamp: int  # of the model that was looked at; a resumed run has another
    device: str  # in words
    seconds: float
    test_rows: int  # of the run
    edge_rows: int  # of them, changed in every way
    edge_cases: tuple[Finding, ...]
    speed: tuple[Speed, ...]
    untuned: BaselineScore | None
    untuned_rows: int  # test rows that the untuned model answered; its figures and the tuned model's beside it are of these
    tuned_accuracy: float | None  # on those rows
    temperature: float | None
    temperature_rows: int  # validation rows that it was fitted on
    notes: tuple[str, ...] = ()


def to_json(told: Probed) -> str:
    return json.dumps(dataclasses.asdict(told), ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def from_json(text: str) -> Probed:
    """What `to_json` wrote. Raises ValueError where it is none."""
    try:
        told: dict[str, Any] = json.loads(text)
        untuned = told["untuned"]
        return Probed(
            **{
                **told,
                "edge_cases": tuple(_finding(one) for one in told["edge_cases"]),
                "speed": tuple(Speed(**one) for one in told["speed"]),
                "untuned": BaselineScore(**{**untuned, "macro_f1_gain": Interval(**untuned["macro_f1_gain"])}) if untuned else None,
                "notes": tuple(told["notes"]),
            }
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a whole closer look: {error}") from error


def _finding(told: dict[str, Any]) -> Finding:
    changed, move, examples = told["changed"], told.get("move"), tuple(Example(**one) for one in told["examples"])
    moved = Move(**{**move, "mean": Interval(**move["mean"])}) if move else None
    return Finding(**{**told, "changed": Interval(**changed) if changed else None, "examples": examples, "move": moved})
