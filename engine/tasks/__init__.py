"""What is learnt: one file a task, found by its TASK. A task knows columns, encoding, head and metrics, and nothing of the method."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch


@dataclass(frozen=True)
class Task:
    """One kind of thing to learn. `knobs` is a dataclass of engine.knobs."""

    id: str
    name: str
    summary: str
    knobs: type
    headline: str  # the metric shown first
    load_model: Callable[..., torch.nn.Module]  # (folder, classes, dtype=, attention=) -> model with the task's head
    load_tokenizer: Callable[[Path], Any]
    encode: Callable[[Any, Sequence[str], Any], list[list[int]]]  # (tokenizer, texts, knobs) -> token ids a row
    collate: Callable[..., dict[str, torch.Tensor]]  # (tokenizer, rows, most=) -> padded batch, its width rounded up within `most`
    loss: Callable[..., torch.Tensor]  # (logits, labels, weights=) -> mean over the rows
    probabilities: Callable[..., np.ndarray]  # (model, tokenizer, rows of ids, batch_size=, …) -> (rows, classes)
    balanced: Callable[[Sequence[int], int], tuple[float, ...]] | None = None  # (labels, classes) -> weights of `loss`, if asked for


@cache
def all_tasks() -> dict[str, Task]:
    """Every task, by id."""
    found = [importlib.import_module(f"{__name__}.{one.name}").TASK for one in pkgutil.iter_modules(__path__)]
    return {task.id: task for task in found}
