"""Full fine-tuning: every weight is trained. The most accurate where data and memory allow, and the largest to keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import Problem
from engine.hardware import Hardware
from engine.methods import Footprint, Method
from engine.models import ModelFacts

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class FullKnobs:
    """Full fine-tuning has no settings of its own."""


def check(knobs: FullKnobs, facts: ModelFacts, hardware: Hardware) -> tuple[Problem, ...]:
    return ()


def footprint(knobs: FullKnobs, facts: ModelFacts) -> Footprint:
    return Footprint(own_parameters=facts.body_parameters)


def trainable(knobs: FullKnobs, facts: ModelFacts, labels: int) -> int:
    return facts.parameters(labels)


def saved_bytes(knobs: FullKnobs, facts: ModelFacts, labels: int) -> int:
    return 4 * facts.parameters(labels)


def prepare(model: torch.nn.Module, knobs: FullKnobs, facts: ModelFacts) -> torch.nn.Module:
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    return model


def save(model: torch.nn.Module, folder: Path) -> None:
    model.save_pretrained(folder)  # type: ignore[operator]


def load(saved: Path, base: Path, open_model: Callable[[Path], torch.nn.Module]) -> torch.nn.Module:
    return open_model(saved)


METHOD = Method(
    id="full",
    name="Full fine-tuning",
    summary="Trains every weight. Often the most accurate, and the heaviest in memory, time and size.",
    source="Howard and Ruder 2018, Universal Language Model Fine-tuning, https://arxiv.org/abs/1801.06146",
    trains="Every weight",
    quality="The yardstick; most accurate where rows are many",
    quality_source="Likhon 2026, LLM Fine-Tuning on a Budget, section 2",
    place=30,
    knobs=FullKnobs,
    learning_rate=3e-5,  # middle of the 1e-5 to 5e-5 that background.md section 3 gives
    learning_rate_range=(1e-6, 2e-4),
    freezes_body=False,
    check=check,
    footprint=footprint,
    trainable=trainable,
    saved_bytes=saved_bytes,
    prepare=prepare,
    save=save,
    load=load,
)
