"""Last layers: the topmost blocks, the norm above them and the head are trained; embeddings and lower blocks stay as they are.

What the frozen part makes of a row never changes, so it is computed once and kept on disk (engine/features.py): later passes and
checks run only the top.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import Problem
from engine.hardware import Hardware
from engine.knobs import knob
from engine.methods import Footprint, Method, _delta
from engine.methods._body import blocks, final_norm, is_in_head, train_only
from engine.models import ModelFacts

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class LastLayersKnobs:
    top_blocks: int = knob(
        2,
        label="Blocks trained",
        low=1,
        high=64,
        basic=True,
        help="How many of the model's topmost blocks are trained. A quarter of them often comes close to all; more learn more.",
    )


def _blocks_there(facts: ModelFacts) -> int:
    """All of them, or those of the decoder, where an encoder reads for it and stays as it is."""
    return facts.decoder_layers or facts.layers


def _trained_blocks(knobs: LastLayersKnobs, facts: ModelFacts) -> int:
    return min(knobs.top_blocks, _blocks_there(facts) - 1)


def check(knobs: LastLayersKnobs, facts: ModelFacts, hardware: Hardware) -> tuple[Problem, ...]:
    there = _blocks_there(facts)
    if knobs.top_blocks < there:
        return ()
    fewer = f"Choose at most {there - 1}, or the method Full fine-tuning, which trains all."
    return (
        Problem(
            "settings.top_blocks",
            f"Blocks trained is {knobs.top_blocks}, but this model has {there} in all, and one at least must stay frozen.",
            fewer if there > 1 else "Choose the method Full fine-tuning, or Frozen body.",
        ),
    )


def footprint(knobs: LastLayersKnobs, facts: ModelFacts) -> Footprint:
    return Footprint(own_parameters=_own(knobs, facts), blocks=_trained_blocks(knobs, facts), caches=not facts.encoder_decoder)


def _own(knobs: LastLayersKnobs, facts: ModelFacts) -> int:
    return _trained_blocks(knobs, facts) * facts.block_parameters + facts.final_norm_parameters


def trainable(knobs: LastLayersKnobs, facts: ModelFacts, labels: int) -> int:
    return _own(knobs, facts) + facts.head_parameters(labels)


def saved_bytes(knobs: LastLayersKnobs, facts: ModelFacts, labels: int) -> int:
    return 4 * trainable(knobs, facts, labels)


def prepare(model: torch.nn.Module, knobs: LastLayersKnobs, facts: ModelFacts) -> torch.nn.Module:
    top = list(blocks(model))[-_trained_blocks(knobs, facts) :]
    norm = final_norm(model)
    inside = tuple(f"{path}." for path in [*top, *([norm] if norm else [])])
    return train_only(model, lambda name: name.startswith(inside) or is_in_head(name, facts))


def save(model: torch.nn.Module, folder: Path) -> None:
    _delta.save(model, folder, METHOD.id)


METHOD = Method(
    id="last_layers",
    name="Last layers",
    summary="Trains the topmost blocks; the lower ones are computed once and kept, so every later pass is several times faster.",
    source="Lee, Tang and Lin 2019, What Would Elsa Do? Freezing Layers During Transformer Fine-Tuning, https://arxiv.org/abs/1911.03090",
    trains="The topmost blocks",
    quality="90 % of full with a quarter of the blocks",
    quality_source="Lee, Tang and Lin 2019, abstract",
    place=40,
    knobs=LastLayersKnobs,
    learning_rate=1e-4,  # MiniLM, 800 IMDb reviews, 100 steps: 84.5 % at 1e-4, 77 at 3e-4, 81 at 1e-3 (200 validation rows)
    learning_rate_range=(5e-6, 2e-3),
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
