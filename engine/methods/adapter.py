"""Bottleneck adapters: two narrow matrices with a ReLU between them, put into every block; the model's own weights stay frozen.

    sequential   y -> y + up(relu(down(y)))        y: what a sublayer's last matrix gives, before the residual and its norm
    parallel     y -> y + scale · up(relu(down(x)))  x: what the feed-forward takes in, y: what it gives

Houlsby et al. put one after attention and one after the feed-forward, Pfeiffer et al. (https://arxiv.org/abs/2005.00247) one after
the feed-forward; the parallel one is He et al.'s (https://arxiv.org/abs/2110.04366), with their scale of 4. An adapter of width w on
hidden size h costs 2·h·w + w + h parameters. `up` starts at zero, so training starts from the model as it is.

Each adapter is a child module, "adapter", of the matrix whose output it changes, and works by a forward hook on it, so the names of
all other weights stay. Kept as _delta.py says; `added` in delta.json names the adapted matrices within a block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import Problem
from engine.hardware import Hardware
from engine.knobs import knob
from engine.methods import Footprint, Method, _delta
from engine.methods._body import blocks, is_in_head, train_only
from engine.models import Linear, ModelFacts

if TYPE_CHECKING:
    import torch

HOW = (
    f"{_delta.HOW} Then add to the output of each matrix of `added` what its adapter makes of that output, or of what `takes_in` takes in."
)


@dataclass(frozen=True)
class AdapterKnobs:
    adapter_place: str = knob(
        "houlsby",
        label="Adapters",
        choices={
            "houlsby": "After attention and feed-forward (Houlsby)",
            "pfeiffer": "After the feed-forward (Pfeiffer)",
            "parallel": "Beside the feed-forward (He)",
        },
        help="Where the small modules stand in each block. After both is the original; after the feed-forward alone is half the size.",
    )
    adapter_reduction: int = knob(
        8,
        label="Adapter reduction",
        low=1,
        high=256,
        basic=True,
        help="How many times narrower than the model an adapter is: a model 768 wide gets adapters 96 wide at 8. "
        "16 is half the size, 2 suits hard tasks with many rows.",
    )
    adapter_scale: float = knob(
        4.0, label="Adapter scale", low=0.01, high=100.0, help="How strongly adapters beside the feed-forward count; the others have none."
    )


@dataclass(frozen=True)
class Added:
    """What delta.json says of the adapters. Paths are those of matrices within a block."""

    at: tuple[str, ...]  # or of a T5 their ends; each of them has a child "adapter" with down.weight, down.bias, up.weight, up.bias
    takes_in: str | None  # the matrix whose input the adapter takes; None: it takes the output of its own
    scale: float  # of what the adapter adds


def check(knobs: AdapterKnobs, facts: ModelFacts, hardware: Hardware) -> tuple[Problem, ...]:
    if knobs.adapter_reduction <= facts.hidden_size:
        return ()
    return (
        Problem(
            "settings.adapter_reduction",
            f"Adapter reduction {knobs.adapter_reduction} leaves nothing of this model's width, {facts.hidden_size}.",
            f"Choose at most {facts.hidden_size}; 8 or 16 is usual.",
        ),
    )


def _width(knobs: AdapterKnobs, facts: ModelFacts) -> int:
    return max(1, facts.hidden_size // knobs.adapter_reduction)


def _sites(knobs: AdapterKnobs, facts: ModelFacts) -> tuple[Linear, ...]:
    """The matrices whose output an adapter changes: the last of each sublayer. Of a T5 both stand in the blocks of encoder and decoder."""
    attention = next(one for one in facts.linears if one.role == "attention_output").name
    feed_forward = [one for one in facts.linears if one.role == "mlp"][-1].name
    wanted = (attention, feed_forward) if knobs.adapter_place == "houlsby" else (feed_forward,)
    return tuple(one for name in wanted for one in facts.linears if one.name == name)


def footprint(knobs: AdapterKnobs, facts: ModelFacts) -> Footprint:
    """An adapter keeps what it takes in, which is as wide as the block, and its own bottleneck."""
    width = _width(knobs, facts)
    return Footprint(adapted=tuple(Linear(f"{one.name}.adapter", one.outputs, width, one.role) for one in _sites(knobs, facts)))


def trainable(knobs: AdapterKnobs, facts: ModelFacts, labels: int) -> int:
    width = _width(knobs, facts)
    of_one = 2 * facts.hidden_size * width + width + facts.hidden_size
    return facts.layers * len(_sites(knobs, facts)) * of_one + facts.head_parameters(labels)


def saved_bytes(knobs: AdapterKnobs, facts: ModelFacts, labels: int) -> int:
    return 4 * trainable(knobs, facts, labels)


def prepare(model: torch.nn.Module, knobs: AdapterKnobs, facts: ModelFacts) -> torch.nn.Module:
    block = next(iter(blocks(model).values()))
    at = tuple(dict.fromkeys(_path(block, one.name, facts) for one in _sites(knobs, facts)))
    parallel = knobs.adapter_place == "parallel"
    first = next(one for one in facts.linears if one.role == "mlp")
    added = Added(at, _path(block, first.name, facts) if parallel else None, knobs.adapter_scale if parallel else 1.0)
    train_only(model, partial(is_in_head, facts=facts))
    return attach(model, added, _width(knobs, facts))


def _path(block: torch.nn.Module, name: str, facts: ModelFacts) -> str:
    """The matrix's path within the block: `name` itself, or the one that ends in it ("output.dense" ends two of BERT's).

    An encoder's block and a decoder's name the same matrix by another path each, of which `name` is the end that both have.
    """
    paths = [path for path, _ in block.named_modules()]
    return name if name in paths or facts.encoder_decoder else next(path for path in paths if path.endswith(f".{name}"))


def _whole_path(block: torch.nn.Module, end: str) -> str:
    paths = [path for path, _ in block.named_modules()]
    return end if end in paths else next(path for path in paths if path.endswith(f".{end}"))


def attach(model: torch.nn.Module, added: Added, width: int) -> torch.nn.Module:
    """The model with fresh adapters in every block. They are trained in 32 bits whatever the model lies in."""
    from torch import nn

    for block in blocks(model).values():
        for path in added.at:
            site = block.get_submodule(_whole_path(block, path))
            outputs = int(site.out_features)  # type: ignore[arg-type]
            first = block.get_submodule(_whole_path(block, added.takes_in)) if added.takes_in else None
            inputs = int(first.in_features) if first is not None else outputs  # type: ignore[arg-type]
            place = next(site.parameters()).device
            pair = nn.ModuleDict({"down": nn.Linear(inputs, width, device=place), "up": nn.Linear(width, outputs, device=place)})
            nn.init.zeros_(pair["up"].weight)  # type: ignore[arg-type]
            nn.init.zeros_(pair["up"].bias)  # type: ignore[arg-type]
            site.add_module("adapter", pair)
            if first is not None:
                seen: dict[str, Any] = {}
                first.register_forward_pre_hook(partial(_see, seen))
                site.register_forward_hook(partial(_beside, pair, added.scale, seen))
            else:
                site.register_forward_hook(partial(_after, pair, added.scale))
    model.adapters_added = added  # type: ignore[assignment]
    return model


def _bottleneck(pair: Any, hidden: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = pair["up"](pair["down"](hidden).relu())
    return found


def _after(pair: Any, scale: float, module: Any, taken_in: Any, given: torch.Tensor) -> torch.Tensor:
    return given + scale * _bottleneck(pair, given)


def _see(seen: dict[str, Any], module: Any, taken_in: tuple[torch.Tensor, ...]) -> None:
    seen["x"] = taken_in[0]


def _beside(pair: Any, scale: float, seen: dict[str, Any], module: Any, taken_in: Any, given: torch.Tensor) -> torch.Tensor:
    return given + scale * _bottleneck(pair, seen.pop("x"))


def _added_to(model: torch.nn.Module) -> Added:
    found: Any = model.adapters_added
    assert isinstance(found, Added)
    return found


def save(model: torch.nn.Module, folder: Path) -> None:
    _delta.save(model, folder, METHOD.id, asdict(_added_to(model)), HOW)


def load(saved: Path, base: Path, open_model: Callable[[Path], torch.nn.Module]) -> torch.nn.Module:
    from safetensors import safe_open

    told = _delta.added(saved)
    assert told is not None
    with safe_open(saved / _delta.WEIGHTS, framework="pt") as kept:
        width = next(kept.get_slice(name).get_shape()[0] for name in kept.keys() if name.endswith("adapter.down.weight"))  # noqa: SIM118
    model = attach(open_model(base), Added(tuple(told["at"]), told["takes_in"], told["scale"]), width)
    return _delta.put(model, saved)


METHOD = Method(
    id="adapter",
    name="Adapters",
    summary="Puts small trained modules into the frozen model: close to full fine-tuning, and some megabytes to keep.",
    source="Houlsby et al. 2019, Parameter-Efficient Transfer Learning for NLP, https://arxiv.org/abs/1902.00751",
    trains="Small modules inside each block",
    quality="Close to full",
    quality_source="Akula 2025, table 1; Houlsby et al. 2019: within 0.4 % on GLUE",
    place=60,
    knobs=AdapterKnobs,
    learning_rate=5e-4,  # between the 3e-4 and 3e-3 of the three rates that Houlsby et al. search
    learning_rate_range=(3e-5, 5e-3),
    freezes_body=True,
    check=check,
    footprint=footprint,
    trainable=trainable,
    saved_bytes=saved_bytes,
    prepare=prepare,
    save=save,
    load=load,
)
