"""Classification: one label for each text, through a sequence-classification head on an encoder or a decoder.

A decoder's head reads the last token that is not padding (98.3 against 95 % of one public test for pooling wrongly), so rows are
padded on the right and the model is told its padding token.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import encoder_decoders, evaluate
from engine.data.texts import Texts
from engine.errors import Problem, Refused
from engine.knobs import knob
from engine.models import ModelFacts
from engine.tasks import Task, _batches, _pairs
from engine.tasks._pairs import cut, special_tokens

if TYPE_CHECKING:
    import numpy as np
    import torch


__all__ = ["TASK", "ClassifyKnobs", "TextKnobs", "collate", "cut", "encode", "load_model", "load_tokenizer", "special_tokens"]


@dataclass(frozen=True)
class TextKnobs:
    """How much of a text is read."""

    max_length: int | None = knob(
        None,
        label="Text length",
        low=8,
        high=8192,
        unit="tokens",
        help="Longer texts are cut. Time and memory grow with it. Empty: what nearly all texts need, within a bound for this hardware.",
    )
    keep: str = knob(
        "ends",
        label="Of a longer text, keep",
        choices={"ends": "Its beginning and end", "start": "Its beginning"},
        help="Reviews tend to give their verdict at the end, so both ends beat the beginning alone.",
    )


@dataclass(frozen=True)
class ClassifyKnobs(TextKnobs):
    class_weights: str = knob(
        "none",
        label="Weight of a class",
        choices={"none": "Every row counts alike", "balanced": "Rare classes weigh more"},
        help="Balanced: each class pulls as much as any other, however few rows it has. Finds more of the rare ones, at the price of "
        "more false alarms among the common ones.",
    )


def load_model(
    folder: Path,
    classes: Sequence[str],
    *,
    dtype: str = "float32",
    pad_token_id: int | None = None,
    quantisation: Any = None,
    problem: str = "single_label_classification",
) -> torch.nn.Module:
    """The model of a local folder with a head for these classes. Weights from safetensors only; no code of the folder is run.

    `problem` is what the head is for, as transformers names it.

    Transformers 5 would load a checkpoint in the dtype it was saved in; full fine-tuning in pure 16 bits loses small updates,
    so `dtype` is always given. `quantisation` is a config of transformers; with it the model lies on the GPU at once, where there is one.
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(
        folder,
        dtype=getattr(torch, dtype),
        num_labels=len(classes),
        id2label=dict(enumerate(classes)),
        label2id={name: index for index, name in enumerate(classes)},
        problem_type=problem,
        ignore_mismatched_sizes=True,  # a checkpoint with a head for other classes gives its body
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
        **({} if quantisation is None else {"quantization_config": quantisation, "device_map": {"": device()}}),
        **without_attention_dropout(folder),
    )
    if pad_token_id is not None:
        model.config.pad_token_id = pad_token_id
    model.config.use_cache = False
    return model  # type: ignore[no-any-return]


def device() -> str:
    """Where a model is opened at once that cannot be moved afterwards."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def without_attention_dropout(folder: Path) -> dict[str, float]:
    """What turns off dropout inside attention, and there alone, for this folder's architecture.

    Torch's fused attention has no dropout on a CPU; with it, every layer keeps its (heads, length, length) matrix. MiniLM with LoRA
    at batch 16 x 256 tokens took 1.7 times the processor time and 2.5 instead of 1.55 GB. The other dropouts stay.
    """
    told = json.loads((folder / "config.json").read_text("utf-8"))
    return {name: 0.0 for name in ("attention_probs_dropout_prob", "attention_dropout") if name in told}


def load_tokenizer(folder: Path) -> Any:
    """The folder's tokenizer, without a truncation or padding of its own, and with a padding token (the end token where it has none).

    Raises Refused where there is no token that could be one.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    if tokenizer.pad_token_id is None:
        message = "This model's tokenizer has no token to fill shorter rows with: none for padding, an end, or what is unknown."
        raise Refused(Problem("model", message, "Name a pad_token in its tokenizer_config.json, or choose another model."))
    if tokenizer.is_fast:
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
    tokenizer.model_max_length = 10**9  # cutting is `encode`'s work; spares a warning for every long text
    _pairs.settle_segments(tokenizer, folder)
    encoder_decoders.settle(tokenizer, folder)
    return tokenizer


def encode(tokenizer: Any, texts: Texts, knobs: ClassifyKnobs) -> list[list[int]]:
    """Token ids of each text, special tokens included, at most `max_length` long; of a pair where there is a second one.

    Text that spells a special token stays text.
    """
    assert knobs.max_length is not None, "plan decides the length"
    if texts.second is not None:
        return _pairs.encode(tokenizer, texts.first, texts.second, knobs.max_length, knobs.keep)
    before, after = special_tokens(tokenizer)
    room = knobs.max_length - len(before) - len(after)
    empty = [tokenizer.unk_token_id if tokenizer.unk_token_id is not None else tokenizer.eos_token_id]
    bodies = tokenizer(list(texts.first), add_special_tokens=False, split_special_tokens=True, truncation=False)["input_ids"]
    return [before + cut(body or empty, room, knobs.keep) + after for body in bodies]


def collate(tokenizer: Any, rows: Sequence[Sequence[int]], most: int | None = None) -> dict[str, torch.Tensor]:
    """The rows as (batch, width) `input_ids` and `attention_mask`, padded on the right to the longest of them.

    Pairs get `token_type_ids` besides, where the model tells their two texts apart by them.

    With `most`, the tokens of the longest row there can be, the width is rounded up within it, so that few widths occur (see `rounded`).
    """
    import torch

    width = max(len(row) for row in rows)
    width = width if most is None else max(width, min(most, rounded(width)))
    ids = torch.full((len(rows), width), tokenizer.pad_token_id, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for at, row in enumerate(rows):
        ids[at, : len(row)] = torch.tensor(row)
        mask[at, : len(row)] = 1
    batch = {"input_ids": ids, "attention_mask": mask}
    starts = [_pairs.second_starts(tokenizer, row) for row in rows]
    if any(starts):
        batch["token_type_ids"] = torch.zeros_like(ids)
        for at, start in enumerate(starts):
            if start:
                batch["token_type_ids"][at, start : len(rows[at])] = 1
    return batch


def rounded(width: int) -> int:
    """The next multiple of 8, from 64 on of 16, from 128 on of 32.

    Batches of ever other widths leave the C library's heap in pieces: MiniLM with LoRA, 16 rows of 60 to 256 tokens, took 2.65 GB after
    50 steps and went on growing; in multiples of 32 it stayed at 1.70 GB from the tenth step on, for 4 % more processor time.
    """
    step = 8 if width <= 64 else 16 if width <= 128 else 32
    return -(-width // step) * step


def loss(logits: torch.Tensor, labels: torch.Tensor, weights: Sequence[float] | None = None) -> torch.Tensor:
    """Cross-entropy in nats, mean over the rows, computed in 32 bits. logits (batch, classes), labels (batch,).

    `weights`, one a class, are 1 in the mean over the training rows. The sum is divided by the rows and not by their weights, so that
    pieces of a batch add up to the whole.
    """
    import torch

    if weights is None:
        return torch.nn.functional.cross_entropy(logits.float(), labels)
    told = torch.tensor(weights, dtype=torch.float32, device=logits.device)
    return torch.nn.functional.cross_entropy(logits.float(), labels, weight=told, reduction="sum") / len(labels)


def learn(
    model: torch.nn.Module,
    tokenizer: Any,
    rows: Sequence[Sequence[int]],
    labels: Sequence[int],
    *,
    classes: Sequence[str] = (),
    most: int | None = None,
    weights: Sequence[float] | None = None,
) -> torch.Tensor:
    """The loss of these rows, as `loss` gives it; `most` as `collate` takes it."""
    import torch

    device = next(model.parameters()).device
    logits = model(**{name: one.to(device) for name, one in collate(tokenizer, rows, most).items()}).logits
    return loss(logits, torch.tensor(labels, device=device), weights)


def balanced(labels: Sequence[int], classes: int) -> tuple[float, ...]:
    """A weight for each class, rows / (classes x rows of the class): all classes pull alike, and the mean over the rows is 1."""
    counts = Counter(labels)
    there = len(counts)
    return tuple(len(labels) / (there * counts[one]) if counts[one] else 1.0 for one in range(classes))


def probabilities(
    model: torch.nn.Module,
    tokenizer: Any,
    rows: Sequence[Sequence[int]],
    *,
    classes: Sequence[str] = (),
    batch_size: int = 32,
    autocast: str | None = None,
    said: Any = None,
    present: Any = None,
    most: int | None = None,
) -> np.ndarray:
    """Each class's probability for each encoded row, (rows, classes) float64; the arguments as `outputs` takes them."""
    import torch

    how: dict[str, Any] = {"batch_size": batch_size, "autocast": autocast, "said": said, "present": present, "most": most}
    return torch.softmax(torch.from_numpy(outputs(model, tokenizer, rows, **how)), dim=-1).numpy()


def outputs(
    model: torch.nn.Module,
    tokenizer: Any,
    rows: Sequence[Sequence[int]],
    *,
    batch_size: int = 32,
    autocast: str | None = None,
    said: Any = None,
    present: Any = None,
    most: int | None = None,
) -> np.ndarray:
    """What the head says of each encoded row, (rows, outputs) float64. `said(done)` is called after every batch.

    `present(numbers)`, where given, is called before each with the numbers of its rows: what is known of them is put in place.

    `most`: as `collate` takes it. Rows are taken longest first, so that a batch wastes little on padding and running out of memory
    shows at once.
    """
    import numpy as np

    device = next(model.parameters()).device
    order: list[int] = []
    found: list[np.ndarray] = []

    def work(numbers: list[int]) -> None:
        batch = collate(tokenizer, [rows[at] for at in numbers], most)
        if present is not None:
            present(numbers)
        logits = model(**{name: tensor.to(device) for name, tensor in batch.items()}).logits
        found.append(logits.double().cpu().numpy())
        order.extend(numbers)

    _batches.in_batches(rows, batch_size, autocast, model, work, said)
    result = np.empty((len(rows), found[0].shape[1] if found else 0))
    result[order] = np.concatenate(found) if found else 0
    return result


def check(knobs: ClassifyKnobs, facts: ModelFacts) -> tuple[Problem, ...]:
    return ()


TASK = Task(
    id="classify",
    name="Sort texts into classes",
    summary="Learns which label each text gets: sentiment, topic, intent, spam.",
    place=10,
    target="class",
    knobs=ClassifyKnobs,
    headline="macro_f1",
    figures=("macro_f1", "weighted_f1", "accuracy", "loss"),
    facts=lambda facts: facts,
    check=check,
    load_model=load_model,
    load_tokenizer=load_tokenizer,
    encode=encode,
    collate=collate,
    learn=learn,
    counted=len,
    answers=probabilities,
    scores=evaluate.scores,
    balanced=balanced,
)
