"""Which check on the validation rows was the best, and how many since then brought no gain. Pure.

A check is {"step": int, "metrics": {figure: value}}; `metrics` holds "loss" and the figure that checkpoints are kept by.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

LESS_IS_BETTER = ("loss", "mae")  # of the figures that a checkpoint can be kept by
FALL = 0.01  # of the lowest loss so far; less is no gain


def best_step(history: Sequence[dict[str, Any]], figure: str) -> int:
    """The step of the best check, the first of equals."""
    sign = -1 if figure in LESS_IS_BETTER else 1
    best: int = max(history, key=lambda one: (sign * one["metrics"][figure], -one["step"]))["step"]
    return best


def without_gain(history: Sequence[dict[str, Any]], best: int | None) -> int:
    """How many checks since the best, or since the loss last fell by FALL.

    Both count: while a model still gives every row to the largest class, its macro F1 stands still, but its loss already falls. Of
    ABSA_Restaurant.xlsx's five classes a quick run was once ended so at step 48 of 120.
    """
    last, lowest = best or 0, float("inf")
    for one in history:
        if one["metrics"]["loss"] < (1 - FALL) * lowest:
            lowest = one["metrics"]["loss"]
            last = max(last, one["step"])
    return sum(one["step"] > last for one in history)
