"""Frozen body: the head alone is trained, on what the body makes of each text.

The body never changes, so its answer for a row is computed once (engine/features.py) and every later pass costs next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import Problem
from engine.hardware import Hardware
from engine.methods import Footprint, Method, _delta
from engine.methods._body import is_in_head, train_only
from engine.models import ModelFacts

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class HeadKnobs:
    """The frozen body has no settings of its own."""


def check(knobs: HeadKnobs, facts: ModelFacts, hardware: Hardware) -> tuple[Problem, ...]:
    if facts.head:
        return ()
    message = "A model that writes keeps the head that it came with, so with a frozen body there is nothing left to train."
    return (Problem("method", message, "Choose the method LoRA, or the task Sort texts into classes."),)


def footprint(knobs: HeadKnobs, facts: ModelFacts) -> Footprint:
    return Footprint(blocks=0, caches=True)


def trainable(knobs: HeadKnobs, facts: ModelFacts, labels: int) -> int:
    return facts.head_parameters(labels)


def saved_bytes(knobs: HeadKnobs, facts: ModelFacts, labels: int) -> int:
    return 4 * trainable(knobs, facts, labels)


def prepare(model: torch.nn.Module, knobs: HeadKnobs, facts: ModelFacts) -> torch.nn.Module:
    return train_only(model, partial(is_in_head, facts=facts))


def save(model: torch.nn.Module, folder: Path) -> None:
    _delta.save(model, folder, METHOD.id)


METHOD = Method(
    id="head",
    name="Frozen body",
    summary="Trains only the layers that give the answer. The fastest by far, and a first impression of what the model already knows.",
    source="Peters, Ruder and Smith 2019, To Tune or Not to Tune? (feature extraction), https://arxiv.org/abs/1903.05987",
    trains="The head alone",
    quality="Often far below: 66 against 88 % of last layers on 1,000 film reviews",
    quality_source="Measured here: MiniLM, 200 steps of 16 reviews, 100 test rows",
    place=50,
    knobs=HeadKnobs,
    learning_rate=1e-3,  # MiniLM, 800 IMDb reviews: 1e-3, 3e-3, 1e-2 and 3e-2 all end at 65 % after 16 passes
    learning_rate_range=(1e-4, 2e-2),
    freezes_body=True,
    check=check,
    footprint=footprint,
    trainable=trainable,
    saved_bytes=saved_bytes,
    prepare=prepare,
    save=save,
    load=_delta.load,
    merge=_delta.as_it_is,
)
