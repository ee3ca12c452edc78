"""What is learnt: one file a task, found by its TASK. A task knows columns, encoding, head and metrics, and nothing of the method."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engine.chat import Chat
from engine.data.texts import Texts
from engine.errors import Problem
from engine.models import ModelFacts

if TYPE_CHECKING:
    import numpy as np
    import torch

    from engine.baselines import Answered
    from engine.data.numbers import Scale
    from engine.data.split import Prepared
    from engine.resampling import Figure
    from engine.told import Part, Told


Pieces = list[tuple[str, bool]]  # a row's words, and whether they are learnt
# What the target column holds: a class, a number, a text to be written; "tags": any of several, of one column or of many; "nothing": the
# text itself is learnt.
Target = Literal["class", "number", "tags", "text", "nothing"]


@dataclass(frozen=True)
class Writes:
    """How the answers of a task are judged whose model writes."""

    prompts: Callable[[Texts], tuple[Texts, list[str]]]  # test rows -> what the model is given of them, and what it should write
    figures: Callable[[Sequence[str], Sequence[str]], tuple[Figure, ...]]  # (written, wanted) -> figures, the headline among them
    headline: str  # the figure told first; of the loss: "perplexity_word"
    accepted: Callable[[str], list[str]] = lambda wanted: [wanted]  # of what should be written: all that count as right, the first learnt
    stops: tuple[str, ...] = ()  # words at which an answer ends
    chats: bool = False  # a row's first text may be a conversation as JSON, [{"role": …, "content": …}, …]
    ends: Callable[[Any, Any], tuple[int, ...]] | None = None  # (tokenizer, knobs) -> tokens that end one, besides the model's own


@dataclass(frozen=True)
class Judges:
    """How the answers of a task are judged that gives neither classes nor texts."""

    figures: Callable[[Any, Sequence[Any], Sequence[str]], tuple[Figure, ...]]  # (answers, targets, classes) -> the headline first
    rivals: tuple[Callable[[Prepared], Answered], ...]
    sentence: Callable[[Sequence[Told]], str]
    warnings: Callable[[Any, Sequence[Any], Sequence[str]], tuple[str, ...]]  # (answers, targets, classes) -> what is wrong with them
    spelt: Callable[[Any, Sequence[str]], str]  # (one answer or target, classes) -> as a person reads it
    untuned: bool  # whether what the untuned model says means anything
    threshold: Callable[[Any, Sequence[Any]], float] | None = (
        None  # (answers, targets of validation rows) -> from which chance on it is yes
    )
    margin: Callable[[Any, Sequence[Any]], float | None] | None = (
        None  # (answers, targets of validation rows) -> how near most of its numbers lie
    )
    parts: Callable[[Any, Sequence[Any], Sequence[str]], tuple[Part, ...]] | None = (
        None  # (answers, targets, classes) -> each class's figures
    )
    right: Callable[[Sequence[Any], Scale | None], Sequence[Any]] = (
        lambda targets, scale: targets  # the targets on the scale on which the model answers
    )


@dataclass(frozen=True)
class Task:
    """One kind of thing to learn. `knobs` is a dataclass of engine.knobs.

    Rows are lists of token ids; `answers` gives an array with a row for each of them, which `scores` turns into figures.
    """

    id: str
    name: str
    summary: str
    place: int  # in the list that the page offers
    target: Target
    knobs: type
    headline: str  # the figure shown first, and the one by which the best checkpoint is kept unless `selects_by` or a person says another
    figures: tuple[str, ...]  # that `scores` gives and a checkpoint can be kept by
    facts: Callable[[ModelFacts], ModelFacts]  # the model as this task loads it: its head, its parameters
    check: Callable[[Any, ModelFacts], tuple[Problem, ...]]  # (knobs, facts as the model came) -> what keeps it from learning this
    load_model: Callable[..., torch.nn.Module]  # (folder, classes, dtype=, attention=) -> model with the task's head
    load_tokenizer: Callable[[Path], Any]
    encode: Callable[[Any, Texts, Any], list[list[int]]]  # (tokenizer, texts, knobs) -> token ids a row
    collate: Callable[..., dict[str, torch.Tensor]]  # (tokenizer, rows, most=) -> padded batch, its width rounded up within `most`
    learn: Callable[..., torch.Tensor]  # (model, tokenizer, rows, labels, classes=, most=, weights=) -> loss, the mean over `counted`
    counted: Callable[[Sequence[Sequence[int]]], int]  # of so many things (rows, or tokens learnt) `learn` gives the mean
    answers: Callable[..., np.ndarray]  # (model, tokenizer, rows, classes=, batch_size=, …) -> (rows, …)
    scores: Callable[[Sequence[Any], Any, Sequence[str]], dict[str, float]]  # (labels, answers, classes) -> figures, "loss" among them
    balanced: Callable[[Sequence[Any], int], tuple[float, ...]] | None = None  # (labels, classes) -> weights for `learn`, if asked for
    asks: str = "Classify"  # on the button that has a run say something of a text
    selects_by: str | None = None  # the figure by which the best checkpoint is kept, where it is not the headline
    loss_unit: str = "nats a row"  # of the mean that `learn` gives, as it stands at an axis
    logits: int = 0  # tokens of a row at most, behind which all words of the vocabulary are scored
    writes: Writes | None = None
    judges: Judges | None = None  # neither of the two: it gives classes
    pairs: bool = False  # whether it makes no sense without a second text
    encoder_decoders: bool = False  # whether a model learns it that reads with an encoder and writes with a decoder of its own
    caches: bool = True  # whether a row goes through the model as the one sequence that it is (features.py)
    shown: Callable[[Texts, Any, Chat], list[Pieces]] | None = None  # rows as the model sees them; raises RunFailed for one it cannot take

    @property
    def sorts(self) -> bool:
        """Whether each answer is a chance for every class."""
        return self.writes is None and self.judges is None


@cache
def all_tasks() -> dict[str, Task]:
    """Every task, by id, in the order that the page offers them. Files whose name begins with "_" are shared by several."""
    names = [one.name for one in pkgutil.iter_modules(__path__) if not one.name.startswith("_")]
    found = [importlib.import_module(f"{__name__}.{name}").TASK for name in names]
    return {task.id: task for task in sorted(found, key=lambda task: (task.place, task.name))}
