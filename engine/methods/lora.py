"""LoRA: the weights stay frozen; beside each chosen matrix W a low-rank update B·A is learnt, W' = W + (alpha / rank) · B·A.

A is (rank, inputs) and B is (outputs, rank), so a matrix costs rank x (inputs + outputs) trained parameters. The layers between
the last block and the logits are trained whole, since they start untrained. Kept in PEFT's own format.

Variants: rsLoRA (Kalajdzievski 2023, https://arxiv.org/abs/2312.03732) scales by alpha / √rank. DoRA (Liu et al. 2024,
https://arxiv.org/abs/2402.09353) learns each output's length apart from its direction: one number more an output. PiSSA (Meng et al.
2024, https://arxiv.org/abs/2404.02948) begins with the strongest directions of W, which are taken out of the frozen part; what is kept
is plain LoRA of twice the rank beside the unchanged W, so that the base need not be decomposed again to use it. Beside a W in 16 bits
the two differ by the rounding of its frozen part: by up to 0.08 seen where logits reach 5, on tiny models in bf16.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import Problem
from engine.hardware import Hardware
from engine.knobs import knob
from engine.methods import Footprint, Method, _peft
from engine.models import ModelFacts

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class LoraKnobs(_peft.LowRank):
    rslora: bool = knob(False, label="Rank-stabilised", help="Scales by alpha / √rank instead, which lets high ranks learn (rsLoRA).")
    dora: bool = knob(
        False,
        label="DoRA",
        help="Learns the length of each output apart from its direction: often a little better at low ranks. "
        "Half as slow again, and a third more memory.",
    )
    init: str = knob(
        "default",
        label="Begin with",
        choices={"default": "No change", "pissa": "The strongest directions (PiSSA)", "loftq": "What 4 bits lost (LoftQ)"},
        help="How the update begins. PiSSA learns faster and needs a minute to decompose the weights. LoftQ makes up for what was lost "
        "by storing the weights in 4 bits.",
    )


def check(knobs: LoraKnobs, facts: ModelFacts, hardware: Hardware) -> tuple[Problem, ...]:
    problems = _peft.rank_problems(knobs.rank, knobs.targets, facts)
    if knobs.init == "loftq":
        message = "LoftQ makes up for weights stored in 4 bits, and LoRA leaves them as they are."
        problems += (Problem("settings.init", message, "Choose the method QLoRA, or begin with no change or PiSSA."),)
    if knobs.dora and knobs.init == "pissa":
        message = "DoRA and PiSSA cannot be combined: what both have learnt cannot be kept beside the unchanged base."
        problems += (Problem("settings.init", message, "Turn off DoRA, or begin with no change."),)
    return problems


def footprint(knobs: LoraKnobs, facts: ModelFacts) -> Footprint:
    adapted = _peft.targeted(knobs.targets, facts)
    return Footprint(adapted=adapted, drops_inputs=knobs.dropout > 0, rank=knobs.rank, outputs_again=2 if knobs.dora else 0)


def updates(knobs: LoraKnobs, facts: ModelFacts) -> int:
    """Parameters of all updates."""
    per_block = 0
    for linear in _peft.targeted(knobs.targets, facts):
        per_block += knobs.rank * (linear.inputs + linear.outputs) + (linear.outputs if knobs.dora else 0)
    return facts.layers * per_block


def trainable(knobs: LoraKnobs, facts: ModelFacts, labels: int) -> int:
    return updates(knobs, facts) + facts.head_parameters(labels)


def saved_bytes(knobs: LoraKnobs, facts: ModelFacts, labels: int) -> int:
    return 4 * ((2 if knobs.init == "pissa" else 1) * updates(knobs, facts) + facts.head_parameters(labels))


def config(knobs: LoraKnobs, facts: ModelFacts) -> Any:
    """PEFT's configuration of this update."""
    from peft import LoraConfig

    return LoraConfig(
        r=knobs.rank,
        lora_alpha=2 * knobs.rank if knobs.alpha is None else knobs.alpha,
        lora_dropout=knobs.dropout,
        use_rslora=knobs.rslora,
        use_dora=knobs.dora,
        init_lora_weights="pissa" if knobs.init == "pissa" else True,
        target_modules=[linear.name for linear in _peft.targeted(knobs.targets, facts)],
        bias="none",
    )


def prepare(model: torch.nn.Module, knobs: LoraKnobs, facts: ModelFacts) -> torch.nn.Module:
    made = _peft.wrapped(model, config(knobs, facts), facts)
    if knobs.init == "pissa":
        for side in _sides(made):  # the beginning is needed again when what was learnt is told apart from it
            side.register_buffer("began", side.weight.detach().float().clone(), persistent=False)
    return made


def save(model: torch.nn.Module, folder: Path) -> None:
    """PEFT's format; for PiSSA the difference from its beginning, as plain LoRA of twice the rank: [B, -B0] · [A; A0]."""
    import torch
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    trained: Any = model
    told = trained.peft_config[_peft.ADAPTER]
    if told.init_lora_weights != "pissa":
        return _peft.save(model, folder)
    kept = {}
    for name, tensor in get_peft_model_state_dict(trained, save_embedding_layers=False).items():
        if ".lora_A." in name or ".lora_B." in name:
            began = trained.get_submodule(name.removesuffix("weight") + _peft.ADAPTER).began
            tensor = torch.cat([tensor, began], dim=0) if ".lora_A." in name else torch.cat([tensor, -began], dim=1)
        kept[name] = tensor.detach().cpu().contiguous()
    save_file(kept, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    alpha = told.lora_alpha * (math.sqrt(2) if told.use_rslora else 2)
    plain = dataclasses.replace(told, r=2 * told.r, lora_alpha=alpha, init_lora_weights=True, inference_mode=True)
    plain.save_pretrained(str(folder))


def _sides(model: torch.nn.Module) -> list[Any]:
    """Every A and B of the model."""
    from peft.tuners.lora import LoraLayer

    layers = [module for module in model.modules() if isinstance(module, LoraLayer)]
    return [side for layer in layers for side in (layer.lora_A[_peft.ADAPTER], layer.lora_B[_peft.ADAPTER])]


METHOD = Method(
    id="lora",
    name="LoRA",
    summary="Learns a small update beside the frozen weights: close to full fine-tuning at a fraction of its memory and size.",
    source="Hu et al. 2021, LoRA: Low-Rank Adaptation of Large Language Models, https://arxiv.org/abs/2106.09685",
    trains="A small update beside each matrix",
    quality="1 to 2 points below full",
    quality_source="Akula 2025, table 1; Likhon 2026, section 4",
    place=10,
    knobs=LoraKnobs,
    learning_rate=5e-4,  # DistilBERT on IMDb: 62.7 % at 2e-5, 88.4 % at 1e-3; MiniLM here: 5e-4 (design.md section 7)
    learning_rate_range=(2e-5, 5e-3),
    freezes_body=True,
    check=check,
    footprint=footprint,
    trainable=trainable,
    saved_bytes=saved_bytes,
    prepare=prepare,
    save=save,
    load=_peft.load,
    merge=_peft.merge,
)
