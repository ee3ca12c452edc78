"""How weights are made trainable: one file a method, found by its METHOD. Nothing else knows a method by name.

To add one, add a file here; the contract tests run over whatever is found. Files whose name begins with "_" are shared by several.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engine.errors import Problem
from engine.hardware import Hardware
from engine.models import Linear, ModelFacts

if TYPE_CHECKING:
    import torch

    Open = Callable[[Path], torch.nn.Module]  # a folder -> the untuned model with a fresh head


@dataclass(frozen=True)
class Footprint:
    """What a method does to a model, besides the parameters that it trains: all that memory and time depend on."""

    adapted: tuple[Linear, ...] = ()  # matrices of a block beside which something is learnt from what they take in
    drops_inputs: bool = True  # out of which some are left at random: a copy and its mask are kept
    rank: int = 0  # numbers a token between the two matrices of an update
    outputs_again: int = 0  # times that what an adapted matrix puts out is held once more, because something is learnt of each output
    shared: bool = False  # the two matrices are one pair for all, never trained, from which each layer takes a copy in its precision
    own_parameters: int = 0  # of the model's own body, that are trained and so lie in 32 bits
    blocks: int | None = None  # topmost blocks that gradients pass through; None: all of them; 0: none, the head alone
    caches: bool = False  # the blocks below those are computed once, and their output is kept on disk
    bits: Literal[4, 8] | None = None  # in which the matrices of the blocks are stored; None: as the precision says
    double_quantised: bool = False
    virtual_tokens: int = 0  # learnt ones before every row, which take room from the text
    prefix_tokens: int = 0  # learnt keys and values in every block, which take a position each but are not computed


@dataclass(frozen=True)
class Along:
    """What a method does while training goes on, beyond learning by gradients."""

    begin: Callable[[torch.nn.Module, int], None]  # (model to train, steps): before the first step, also of a resumed run
    penalty: Callable[[torch.nn.Module], torch.Tensor]  # added to the loss of every batch
    stepped: Callable[[torch.nn.Module, int], None]  # (model, steps done): after the optimiser's step, before gradients are dropped
    state: Callable[[torch.nn.Module], dict[str, torch.Tensor]]  # what a checkpoint must hold besides weights
    restore: Callable[[torch.nn.Module, dict[str, torch.Tensor]], None]


@dataclass(frozen=True)
class Method:
    """One way to fine-tune. `knobs` is a dataclass of engine.knobs; the callables take an instance of it."""

    id: str
    name: str
    summary: str  # one sentence a lay person understands
    source: str  # the paper and its URL
    trains: str  # what is learnt, in a few words: "a low-rank update beside each matrix"
    quality: str  # what is typical, in a few words, from `quality_source`
    quality_source: str
    place: int  # in the list that the page offers
    knobs: type
    learning_rate: float  # the method's own rule, used where none is given
    learning_rate_range: tuple[float, float]  # outside it, a warning
    freezes_body: bool  # what is kept stands beside the base, whose frozen weights may lie in 16 bits
    check: Callable[[Any, ModelFacts, Hardware], tuple[Problem, ...]]  # what cannot be combined, each with the nearest that works
    footprint: Callable[[Any, ModelFacts], Footprint]
    trainable: Callable[[Any, ModelFacts, int], int]  # (knobs, facts, labels) -> parameters trained, the head's included
    saved_bytes: Callable[[Any, ModelFacts, int], int]  # (knobs, facts, labels) -> bytes of the weights kept
    prepare: Callable[[torch.nn.Module, Any, ModelFacts], torch.nn.Module]  # (loaded model, knobs, facts) -> model to train
    save: Callable[[torch.nn.Module, Path], None]  # (trained model, folder) -> weights and config in the folder
    load: Callable[[Path, Path, Open], torch.nn.Module]  # (saved, base, how to open a folder) -> trained model
    checkpointing: bool = True  # works with gradient checkpointing
    merge: Callable[[torch.nn.Module], torch.nn.Module] | None = None  # (trained model) -> a plain one with equal answers
    quantisation: Callable[[Any, ModelFacts, str], Any] | None = None  # (knobs, facts, precision) -> transformers' config for loading
    along: Along | None = None


@cache
def all_methods() -> dict[str, Method]:
    """Every method, by id, in the order that the page offers them."""
    names = [one.name for one in pkgutil.iter_modules(__path__) if not one.name.startswith("_")]
    found = [importlib.import_module(f"{__name__}.{name}").METHOD for name in names]
    return {method.id: method for method in sorted(found, key=lambda method: (method.place, method.name))}
