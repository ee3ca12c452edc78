"""Prefix tuning: every block attends to learnt keys and values that stand before those of the text; everything else stays frozen.

A virtual token costs a key and a value a block. The keys and values are learnt as they are, without the paper's two-layer network,
as in P-tuning v2 (Liu et al. 2021, https://arxiv.org/abs/2110.07602), which showed that it does as well for classification.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.errors import Problem
from engine.hardware import Hardware
from engine.methods import Footprint, Method, _peft
from engine.models import ModelFacts

if TYPE_CHECKING:
    import torch

WITHOUT = {"distilbert": "DistilBERT", "deberta-v2": "DeBERTa", "modernbert": "ModernBERT"}  # whose code takes no keys from outside


@dataclass(frozen=True)
class PrefixKnobs(_peft.VirtualTokens):
    """Only how many tokens."""


def check(knobs: PrefixKnobs, facts: ModelFacts, hardware: Hardware) -> tuple[Problem, ...]:
    if facts.encoder_decoder:
        # peft 0.21.2, get_prompt: its 2 x layers keys and values are doubled and then cut in fours, of which the decoder takes two
        message = (
            "Prefix tuning is not learnt right by a model with an encoder and a decoder: the library gives the encoder no prefix, and "
        )
        message += "several of the decoder's blocks the same one."
        return (Problem("method", message, "Choose P-tuning or prompt tuning, which stand before what the encoder reads, or LoRA."),)
    if facts.architecture not in WITHOUT:
        return ()
    message = f"Prefix tuning cannot be combined with {WITHOUT[facts.architecture]}, whose blocks take no keys and values from outside."
    return (Problem("method", message, "Choose P-tuning or LoRA, or a model of the kind BERT, RoBERTa, ELECTRA, Llama or Qwen."),)


def footprint(knobs: PrefixKnobs, facts: ModelFacts) -> Footprint:
    return Footprint(prefix_tokens=knobs.virtual_tokens)


def trainable(knobs: PrefixKnobs, facts: ModelFacts, labels: int) -> int:
    return knobs.virtual_tokens * facts.layers * 2 * facts.kv_heads * facts.head_dim + facts.head_parameters(labels)


def saved_bytes(knobs: PrefixKnobs, facts: ModelFacts, labels: int) -> int:
    return 4 * trainable(knobs, facts, labels)


def prepare(model: torch.nn.Module, knobs: PrefixKnobs, facts: ModelFacts) -> torch.nn.Module:
    from peft import PrefixTuningConfig

    config = PrefixTuningConfig(
        num_virtual_tokens=knobs.virtual_tokens,
        num_layers=facts.layers,
        token_dim=facts.hidden_size,  # PEFT itself works out a decoder's fewer keys and values from its config
        num_attention_heads=facts.heads,
        num_transformer_submodules=1,
    )
    return _peft.wrapped(model, config, facts)


METHOD = Method(
    id="prefix",
    name="Prefix tuning",
    summary="Learns keys and values that every block reads before the text, as if an instruction stood there.",
    source="Li and Liang 2021, Prefix-Tuning: Optimizing Continuous Prompts for Generation, https://arxiv.org/abs/2101.00190",
    trains="Keys and values before the text, in every block",
    quality="2 to 3 points below full",
    quality_source="Akula 2025, table 1",
    place=100,
    knobs=PrefixKnobs,
    learning_rate=5e-3,  # as in P-tuning v2; held-out loss on MiniLM, IMDb, 50 steps of 16: 2e-3 0.669, 5e-3 0.631, 2e-2 0.711
    learning_rate_range=(3e-4, 5e-2),
    freezes_body=True,
    checkpointing=False,  # the keys and values reach the blocks through a cache, which checkpointing turns off
    check=check,
    footprint=footprint,
    trainable=trainable,
    saved_bytes=saved_bytes,
    prepare=prepare,
    save=_peft.save,
    load=_peft.load,
)
