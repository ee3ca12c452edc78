"""A judged run's figures as its test rows are drawn again, kept so that two runs can be told apart later, without their answers. Pure.

The very same rows are drawn for every run with as many test rows (`resampling`), so that draw by draw the difference of two runs is
that of a paired bootstrap over rows. redrawn.json in a run's folder holds just this.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine import resampling, scoring
from engine.resampling import Figure, Floats
from engine.scoring import Interval

FILE = "redrawn.json"
DIGITS = 7  # that matter, of what is kept


@dataclass(frozen=True, eq=False)
class Redrawn:
    """One figure of a run on its test rows, and on every drawing of them."""

    figure: str  # its id
    rows: int
    on: str  # tells these rows and what was wanted of them from any others
    value: float
    drawn: Floats  # (draws,)


def of(figure: Figure, rows: Sequence[Any]) -> Redrawn:
    """The figure with what it becomes on rows drawn again. `rows`: what tells each row from others, and what was wanted of it."""
    on = hashlib.sha256(json.dumps([list(map(str, one)) for one in rows]).encode()).hexdigest()[:16]
    return Redrawn(figure.id, len(figure.rows), on, figure.value, resampling.redrawn(figure))


def gain(one: Redrawn, other: Redrawn) -> Interval | None:
    """How far the first lies above the second on the same rows, with its 95 % interval; None where the rows are not the same."""
    same = (one.figure, one.on, one.rows, len(one.drawn)) == (other.figure, other.on, other.rows, len(other.drawn))
    return scoring.between(one.value - other.value, one.drawn - other.drawn, one.rows) if same else None


def errors_apart(one: Redrawn, other: Redrawn, *, by_ratio: bool) -> float:
    """How many standard errors the first lies above the second; the two have a `gain`.

    By their ratio, so on a scale of logarithms, where a figure has no upper end: one that is a hundred times too large also scatters a
    hundred times as much, and would never be told from the other by the difference.
    """
    first, second = (np.append(each.drawn, each.value) for each in (one, other))
    if by_ratio and min(first.min(), second.min()) > 0:
        first, second = np.log(first), np.log(second)
    apart = first - second
    error = float(apart[:-1].std())
    return float(apart[-1]) / error if error > 0 else math.copysign(math.inf, apart[-1]) if apart[-1] else 0.0


def to_json(kept: Sequence[Redrawn]) -> str:
    """Strict JSON text."""
    told = [
        {"figure": one.figure, "rows": one.rows, "on": one.on, "value": one.value,
         "drawn": [float(f"{value:.{DIGITS}g}") for value in one.drawn]} for one in kept
    ]  # fmt: skip
    return json.dumps(told, allow_nan=False) + "\n"


def read(path: Path) -> dict[str, Redrawn]:
    """By the figures' ids, what `to_json` wrote; nothing where it cannot be read."""
    try:
        told = json.loads(path.read_text("utf-8"))
        kept = (Redrawn(one["figure"], one["rows"], one["on"], one["value"], np.asarray(one["drawn"], dtype=np.float64)) for one in told)
        return {one.figure: one for one in kept}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
