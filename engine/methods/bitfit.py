"""BitFit: of the body only the biases are trained, those of its matrices and of its norms; and the head.

A model without biases has nothing to train so: most decoders, and ModernBERT. Qwen2 has them in query, key and value.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import Problem
from engine.hardware import Hardware
from engine.methods import Footprint, Method, _delta
from engine.methods._body import is_in_head, train_only, with_even_norms
from engine.models import ModelFacts

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class BitFitKnobs:
    """BitFit has no settings of its own."""


def check(knobs: BitFitKnobs, facts: ModelFacts, hardware: Hardware) -> tuple[Problem, ...]:
    if facts.bias_parameters:
        return ()
    return (
        Problem(
            "method",
            f"BitFit trains biases, and this model ({facts.architecture}) has none.",
            "Choose LN tuning, which is as small, or LoRA; or a model with biases, such as a BERT or Qwen2.",
        ),
    )


def footprint(knobs: BitFitKnobs, facts: ModelFacts) -> Footprint:
    return Footprint(own_parameters=facts.bias_parameters)


def trainable(knobs: BitFitKnobs, facts: ModelFacts, labels: int) -> int:
    return facts.bias_parameters + facts.head_parameters(labels)


def saved_bytes(knobs: BitFitKnobs, facts: ModelFacts, labels: int) -> int:
    return 4 * trainable(knobs, facts, labels)


def prepare(model: torch.nn.Module, knobs: BitFitKnobs, facts: ModelFacts) -> torch.nn.Module:
    return with_even_norms(train_only(model, lambda name: name.endswith(".bias") or is_in_head(name, facts)))


def save(model: torch.nn.Module, folder: Path) -> None:
    _delta.save(model, folder, METHOD.id)


METHOD = Method(
    id="bitfit",
    name="BitFit",
    summary="Trains only the biases, a thousandth of the model: tiny to keep, and good where rows are few.",
    source="Ben Zaken, Ravfogel and Goldberg 2022, BitFit: Simple Parameter-efficient Fine-tuning, https://arxiv.org/abs/2106.10199",
    trains="The biases",
    quality="90 to 95 % of full",
    quality_source="Likhon 2026, section 2",
    place=130,
    knobs=BitFitKnobs,
    learning_rate=1e-3,  # the top of what the paper searches for BERT; so few parameters need large steps
    learning_rate_range=(1e-4, 1e-2),
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
