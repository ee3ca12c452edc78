"""What is kept of a method that changes some of the model's own weights, or puts small modules beside them: those alone.

    delta.safetensors   the trained parameters, 32 bits, under the names that they have in transformers' model
    delta.json          {"format": 1, "method": "head", "load": how, in words, "added": {…} or null}

Whatever `added` describes (adapter.py) is put into the model first; then, with transformers and safetensors and nothing of Shur:

    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=…)
    model.load_state_dict(load_file("delta.safetensors"), strict=False)
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.methods._body import with_even_norms

if TYPE_CHECKING:
    import torch

FORMAT = 1
WEIGHTS, TOLD = "delta.safetensors", "delta.json"
HOW = "Open the base with AutoModelForSequenceClassification, or AutoModelForCausalLM or AutoModelForSeq2SeqLM if it writes, then"
HOW += " load_state_dict(load_file('delta.safetensors'), strict=False)."


def save(model: torch.nn.Module, folder: Path, method: str, added: dict[str, Any] | None = None, how: str = HOW) -> None:
    """Writes the trained parameters and what is to be known of them."""
    from safetensors.torch import save_file

    kept = {name: one.detach().float().cpu().contiguous() for name, one in model.named_parameters() if one.requires_grad}
    save_file(kept, folder / WEIGHTS)
    told = {"format": FORMAT, "method": method, "load": how, "added": added}
    (folder / TOLD).write_text(json.dumps(told, indent=1), "utf-8")


def added(folder: Path) -> dict[str, Any] | None:
    """What was put beside the model's own weights, as `save` was told it."""
    told: dict[str, Any] | None = json.loads((folder / TOLD).read_text("utf-8"))["added"]
    return told


def put(model: torch.nn.Module, folder: Path) -> torch.nn.Module:
    """The model with the trained parameters in place, in the 32 bits that they were trained in."""
    from safetensors.torch import load_file

    kept = load_file(folder / WEIGHTS)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in kept)
        if name in kept:
            parameter.data = kept.pop(name).to(parameter.device)
    if kept:
        raise KeyError(f"the base has no {next(iter(kept))}")
    return with_even_norms(model)


def load(saved: Path, base: Path, open_model: Callable[[Path], torch.nn.Module]) -> torch.nn.Module:
    """The trained model of a method that adds nothing."""
    return put(open_model(base), saved)


def as_it_is(model: torch.nn.Module) -> torch.nn.Module:
    """Merged: the trained weights are the model's own, so it already is a plain one."""
    return model
