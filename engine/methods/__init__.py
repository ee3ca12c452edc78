"""How weights are made trainable: one file a method, found by its METHOD. Nothing else knows a method by name.

To add one, add a file here; the contract tests run over whatever is found.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import Problem
from engine.models import ModelFacts

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Method:
    """One way to fine-tune. `knobs` is a dataclass of engine.knobs; the callables take an instance of it."""

    id: str
    name: str
    summary: str  # one sentence a lay person understands
    source: str  # the paper and its URL
    knobs: type
    learning_rate: float  # the method's own rule, used where none is given
    learning_rate_range: tuple[float, float]  # outside it, a warning
    freezes_body: bool  # the model's own weights are not trained: they may be kept in 16 bits
    check: Callable[[Any, ModelFacts], tuple[Problem, ...]]  # (knobs, facts) -> what cannot be combined
    trainable: Callable[[Any, ModelFacts, int], int]  # (knobs, facts, labels) -> parameters trained, the head's included
    saved_bytes: Callable[[Any, ModelFacts, int], int]  # (knobs, facts, labels) -> bytes of the weights kept
    prepare: Callable[[torch.nn.Module, Any, ModelFacts], torch.nn.Module]  # (loaded model, knobs, facts) -> model to train
    save: Callable[[torch.nn.Module, Path], None]  # (trained model, folder) -> weights and config in the folder
    load: Callable[[Path, Path, Callable[[Path], torch.nn.Module]], torch.nn.Module]  # (saved, base, how to open a folder) -> trained model


@cache
def all_methods() -> dict[str, Method]:
    """Every method, by id, in the order that the page offers them."""
    found = [importlib.import_module(f"{__name__}.{one.name}").METHOD for one in pkgutil.iter_modules(__path__)]
    return {method.id: method for method in sorted(found, key=lambda method: (method.id != "lora", method.name))}
