"""Prompt tuning: learnt embeddings stand before the text's, and nothing else but the head is trained.

They begin as embeddings of words of the model's own vocabulary, as the paper found best. An encoder's head reads the first token, which
is now a learnt one: it begins as the model's own first token ([CLS]), so that what the head reads is what it was made to read. (On
MiniLM, whose [CLS] was hardly trained, it made no difference: held-out loss 0.655 against 0.658.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import Problem
from engine.hardware import Hardware
from engine.methods import Footprint, Method, _peft
from engine.models import ModelFacts

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class PromptKnobs(_peft.VirtualTokens):
    """Only how many tokens."""


def check(knobs: PromptKnobs, facts: ModelFacts, hardware: Hardware) -> tuple[Problem, ...]:
    return ()


def footprint(knobs: PromptKnobs, facts: ModelFacts) -> Footprint:
    return Footprint(virtual_tokens=knobs.virtual_tokens)


def trainable(knobs: PromptKnobs, facts: ModelFacts, labels: int) -> int:
    return knobs.virtual_tokens * facts.embedding_size + facts.head_parameters(labels)


def saved_bytes(knobs: PromptKnobs, facts: ModelFacts, labels: int) -> int:
    return 4 * trainable(knobs, facts, labels)


def prepare(model: torch.nn.Module, knobs: PromptKnobs, facts: ModelFacts) -> torch.nn.Module:
    import torch
    from peft import PromptTuningConfig

    first = None if facts.decoder else _first_token(Path(str(model.name_or_path)))
    config = PromptTuningConfig(
        prompt_tuning_init="SAMPLE_VOCAB",
        num_virtual_tokens=knobs.virtual_tokens,
        token_dim=facts.embedding_size,
        num_layers=facts.layers,
        num_attention_heads=facts.heads,
        num_transformer_submodules=1,
    )
    made: Any = _peft.wrapped(model, config, facts)
    if first is not None:
        with torch.no_grad():
            made.prompt_encoder[_peft.ADAPTER].embedding.weight[0] = made.word_embeddings.weight[first]
    return _peft.reads_last_token(made)


def load(saved: Path, base: Path, open_model: Callable[[Path], torch.nn.Module]) -> torch.nn.Module:
    return _peft.reads_last_token(_peft.load(saved, base, open_model))


def _first_token(folder: Path) -> int | None:
    """The id of the token that begins every text of this model, such as [CLS]."""
    from transformers import AutoTokenizer

    found: int | None = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False).cls_token_id
    return found


METHOD = Method(
    id="prompt",
    name="Prompt tuning",
    summary="Learns a few tokens that stand before every text. Very small, and weaker than the others on small models.",
    source="Lester et al. 2021, The Power of Scale for Parameter-Efficient Prompt Tuning, https://arxiv.org/abs/2104.08691",
    trains="A few tokens before the text",
    quality="Far below LoRA on small models: 34.3 at best against 47.8 on GSM8K",
    quality_source="PEFT's method comparison, MetaMathQA, Llama-3.2-3B",
    place=110,
    knobs=PromptKnobs,
    learning_rate=5e-3,  # held-out loss on MiniLM, IMDb, 50 steps of 16: 1e-3 0.674, 5e-3 0.655, 2e-2 0.738
    learning_rate_range=(3e-4, 5e-2),
    freezes_body=True,
    check=check,
    footprint=footprint,
    trainable=trainable,
    saved_bytes=saved_bytes,
    prepare=prepare,
    save=_peft.save,
    load=load,
)
