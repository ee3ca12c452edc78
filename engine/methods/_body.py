"""Where things stand in a model of any supported family: its blocks, its head, and what lies between the two."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.models import ModelFacts

if TYPE_CHECKING:
    import torch

FINAL_NORMS = ("norm", "final_norm", "final_layer_norm")  # beside the blocks; DeBERTa's LayerNorm there is of its positions


def blocks(model: torch.nn.Module) -> dict[str, torch.nn.Module]:
    """The blocks by their paths, from the first. transformers marks each as one that gradient checkpointing can recompute."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    return {name: one for name, one in model.named_modules() if isinstance(one, GradientCheckpointingLayer)}


def final_norm(model: torch.nn.Module) -> str | None:
    """The path of the norm between the last block and the head, where the family has one."""
    beside = ".".join(list(blocks(model))[-1].split(".")[:-2])  # "model.layers.1" -> "model"
    names = {name for name, _ in model.get_submodule(beside).named_children()}
    return next((f"{beside}.{name}".lstrip(".") for name in FINAL_NORMS if name in names), None)


def is_in_head(name: str, facts: ModelFacts) -> bool:
    """Whether the parameter of this name lies in a module of the head."""
    return any(part in facts.head for part in name.split("."))


def train_only(model: torch.nn.Module, wanted: Callable[[str], bool]) -> torch.nn.Module:
    """The model with gradients for the parameters whose names are wanted, and for no others."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(wanted(name))
    return model


def with_even_norms(model: torch.nn.Module) -> torch.nn.Module:
    """The model with the whole of every norm in 32 bits of which a part is: torch takes no norm of two dtypes on a CPU."""
    import torch

    for module in model.modules():
        own = list(module.parameters(recurse=False))
        trained = len(own) > 1 and any(one.requires_grad for one in own)  # its dtype may still change
        if (trained or len({one.dtype for one in own}) > 1) and not isinstance(module, torch.nn.Linear):
            for one in own:
                one.data = one.data.float()
    return model
