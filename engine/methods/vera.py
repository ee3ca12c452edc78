"""VeRA: one pair of random matrices A and B, the same for all layers and never trained; each layer learns two vectors that scale them.

W' = W + diag(b)·B·diag(d)·A, with d of the rank's length and b of the outputs'. A and B are kept beside the vectors, so that the model
comes back equal on every machine. Ranks are far higher than LoRA's, since a rank costs one number a matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.errors import Problem
from engine.hardware import Hardware
from engine.knobs import knob
from engine.methods import Footprint, Method, _peft
from engine.models import ModelFacts

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class VeraKnobs:
    rank: int = knob(
        256,
        label="Rank",
        low=1,
        high=2048,
        basic=True,
        help="Width of the shared random matrices. 256 to 1,024 are usual: a rank costs one learnt number a matrix.",
    )
    dropout: float = knob(
        0.0, label="VeRA dropout", low=0.0, high=0.9, help="Share of the update's inputs left out at random; none is usual."
    )
    targets: str = _peft.where()


def check(knobs: VeraKnobs, facts: ModelFacts, hardware: Hardware) -> tuple[Problem, ...]:
    return ()


def footprint(knobs: VeraKnobs, facts: ModelFacts) -> Footprint:
    adapted = _peft.targeted(knobs.targets, facts)
    return Footprint(adapted=adapted, drops_inputs=knobs.dropout > 0, rank=knobs.rank, outputs_again=1, shared=True)


def trainable(knobs: VeraKnobs, facts: ModelFacts, labels: int) -> int:
    per_block = sum(one.outputs + knobs.rank for one in _peft.targeted(knobs.targets, facts))
    return facts.layers * per_block + facts.head_parameters(labels)


def saved_bytes(knobs: VeraKnobs, facts: ModelFacts, labels: int) -> int:
    """The vectors, and the shared matrices, which are as wide as the widest that they stand beside."""
    linears = _peft.targeted(knobs.targets, facts)
    shared = knobs.rank * (max(one.inputs for one in linears) + max(one.outputs for one in linears))
    return 4 * (trainable(knobs, facts, labels) + shared)


def prepare(model: torch.nn.Module, knobs: VeraKnobs, facts: ModelFacts) -> torch.nn.Module:
    from peft import VeraConfig

    config = VeraConfig(
        r=knobs.rank,
        vera_dropout=knobs.dropout,
        target_modules=[linear.name for linear in _peft.targeted(knobs.targets, facts)],
        save_projection=True,
        bias="none",
    )
    return _peft.wrapped(model, config, facts)


METHOD = Method(
    id="vera",
    name="VeRA",
    summary="LoRA with random matrices that all layers share; only two vectors a matrix are learnt, so there is very little to keep.",
    source="Kopiczko et al. 2023, VeRA: Vector-based Random Matrix Adaptation, https://arxiv.org/abs/2310.11454",
    trains="Two vectors beside each matrix",
    quality="About LoRA's with a tenth of its parameters",
    quality_source="Kopiczko et al. 2023, table 2",
    place=90,
    knobs=VeraKnobs,
    learning_rate=2e-3,  # held-out loss on MiniLM, IMDb, 50 steps of 16: 1e-3 0.664, 2e-3 0.655, 4e-3 0.664, 1e-2 0.685; the paper: 4e-3
    learning_rate_range=(2e-4, 2e-2),
    freezes_body=True,
    check=check,
    footprint=footprint,
    trainable=trainable,
    saved_bytes=saved_bytes,
    prepare=prepare,
    save=_peft.save,
    load=_peft.load,
    merge=_peft.merge,
)
