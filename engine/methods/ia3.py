"""(IA)³: three learnt vectors a block stretch or shrink what is there: the keys, the values, and what the MLP's last matrix takes in.

A few thousand parameters in all. ModernBERT computes query, key and value in one matrix, so there one vector stretches all three;
stretching the queries too changes nothing that stretching the keys could not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.errors import Problem
from engine.hardware import Hardware
from engine.methods import Footprint, Method, _peft
from engine.models import Linear, ModelFacts

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Ia3Knobs:
    """(IA)³ has no settings of its own."""


def check(knobs: Ia3Knobs, facts: ModelFacts, hardware: Hardware) -> tuple[Problem, ...]:
    return ()


def stretched(facts: ModelFacts) -> tuple[tuple[Linear, ...], tuple[Linear, ...]]:
    """Of one block: the matrices whose outputs are stretched, and the last of its feed-forward, whose inputs are."""
    apart = tuple(linear for linear in facts.linears if linear.role in ("key", "value"))
    together = tuple(linear for linear in facts.linears if linear.role == "query")  # ModernBERT's, all three in one
    return apart or together, tuple(linear for linear in facts.linears if linear.name == facts.linears[-1].name)


def footprint(knobs: Ia3Knobs, facts: ModelFacts) -> Footprint:
    outputs, inputs = stretched(facts)
    return Footprint(adapted=(*outputs, *inputs))


def trainable(knobs: Ia3Knobs, facts: ModelFacts, labels: int) -> int:
    outputs, inputs = stretched(facts)
    return facts.layers * (sum(one.outputs for one in outputs) + sum(one.inputs for one in inputs)) + facts.head_parameters(labels)


def saved_bytes(knobs: Ia3Knobs, facts: ModelFacts, labels: int) -> int:
    return 4 * trainable(knobs, facts, labels)


def prepare(model: torch.nn.Module, knobs: Ia3Knobs, facts: ModelFacts) -> torch.nn.Module:
    from peft import IA3Config

    outputs, inputs = stretched(facts)
    last = _peft.modules_of(model, inputs, facts)
    config = IA3Config(target_modules=[*_peft.modules_of(model, outputs, facts), *last], feedforward_modules=last)
    return _peft.wrapped(model, config, facts)


METHOD = Method(
    id="ia3",
    name="(IA)³",
    summary="Learns to stretch and shrink the keys, the values and the middle of each block: a few thousand numbers in all.",
    source="Liu et al. 2022, Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper, https://arxiv.org/abs/2205.05638",
    trains="Three vectors a block that stretch what is there",
    quality="Several points below LoRA: 39.8 against 47.8 on GSM8K",
    quality_source="PEFT's method comparison, MetaMathQA, Llama-3.2-3B",
    place=80,
    knobs=Ia3Knobs,
    learning_rate=1e-2,  # the paper's 3e-3 is for T0; held-out loss on MiniLM, IMDb, 50 steps of 16: 5e-3 0.626, 1e-2 0.624, 2e-2 0.592
    learning_rate_range=(3e-4, 5e-2),
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
