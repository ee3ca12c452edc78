"""How near a written text comes to its reference in meaning, by a local encoder: BERTScore and the cosine of the whole texts.

BERTScore (Zhang et al. 2020, https://arxiv.org/abs/1904.09675) matches each token's last hidden state with the nearest of the other text;
precision is the mean over the written text's tokens, recall over the reference's, F1 their harmonic mean. As its authors' package has it,
special tokens can be matched but are not counted, without idf weights and without rescaling; the figures equal that package's
(tests/engine/test_likeness.py). torch is imported where it is needed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.resampling import Figure, Floats, mean

if TYPE_CHECKING:
    import torch

BATCH = 32
MOST_TOKENS = 512


@dataclass(frozen=True)
class Encoder:
    """An encoder that reads meaning."""

    model: torch.nn.Module
    tokenizer: Any
    name: str
    most: int  # tokens of one text


@dataclass(frozen=True)
class _Read:
    """One text as the encoder sees it."""

    states: torch.Tensor  # (tokens, width), each of length 1
    counted: torch.Tensor  # (tokens,) False for special tokens
    whole: torch.Tensor  # (width,) mean of all tokens, of length 1


def open_encoder(folder: Path, name: str) -> Encoder:
    """The encoder of a local folder, on the GPU where there is one. No code of the folder is run."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    told: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    model = AutoModel.from_pretrained(folder, dtype=torch.float32, use_safetensors=True, **told)
    tokenizer = AutoTokenizer.from_pretrained(folder, **told)
    most = min(MOST_TOKENS, int(getattr(model.config, "max_position_embeddings", MOST_TOKENS)))
    return Encoder(model.to("cuda" if torch.cuda.is_available() else "cpu").eval(), tokenizer, name, most)


def likeness(
    encoder: Encoder, written: Sequence[str], references: Sequence[Sequence[str]], said: Callable[[int], object] = lambda _done: None
) -> tuple[Figure, Figure]:
    """BERTScore's F1 and the cosine, each the best of a row's references. A text without a token gets 0."""
    pairs = [(text, one) for text, row in zip(written, references, strict=True) for one in row]
    rows = [at for at, row in enumerate(references) for _ in row]
    matched, near = np.zeros(len(written)), np.full(len(written), -1.0)
    for start in range(0, len(pairs), BATCH):
        part = pairs[start : start + BATCH]
        first, second = _read(encoder, [one for one, _ in part]), _read(encoder, [one for _, one in part])
        for at, one, other in zip(rows[start : start + BATCH], first, second, strict=True):
            matched[at] = max(matched[at], _f1(one, other))
            near[at] = max(near[at], float(one.whole @ other.whole))
        said(min(rows[min(start + BATCH, len(rows)) - 1] + 1, len(written)))
    return _figures(encoder, matched, near)


def _figures(encoder: Encoder, matched: Floats, near: Floats) -> tuple[Figure, Figure]:
    cut = f"Of a text its first {encoder.most} tokens."
    by_token = f"Mean F1 of BERTScore with {encoder.name}, last layer, no idf, not rescaled: unlike texts get far more than 0. "
    by_text = f"Mean cosine of the texts' mean states in {encoder.name}, -1 to 1. "
    return (
        mean("bertscore", "BERTScore", matched, better="higher", note=by_token + cut),
        mean("cosine", "Cosine", near, better="higher", note=by_text + cut),
    )


def _f1(written: _Read, reference: _Read) -> float:
    if not written.counted.any() or not reference.counted.any():
        return 0.0
    alike = written.states @ reference.states.T
    precision = float(alike.max(dim=1).values[written.counted].mean())
    recall = float(alike.max(dim=0).values[reference.counted].mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _read(encoder: Encoder, texts: Sequence[str]) -> list[_Read]:
    import torch

    plain = [unicodedata.normalize("NFC", one).strip() for one in texts]
    told = encoder.tokenizer(
        plain, truncation=True, max_length=encoder.most, padding=True, return_tensors="pt", return_special_tokens_mask=True
    )
    special = told.pop("special_tokens_mask").bool()
    device = next(encoder.model.parameters()).device
    with torch.inference_mode():
        states = encoder.model(**told.to(device)).last_hidden_state.float().cpu()
    mask = told["attention_mask"].bool().cpu()
    found = []
    for at in range(len(texts)):
        own = states[at][mask[at]]
        whole = torch.nn.functional.normalize(own.mean(dim=0), dim=-1)
        found.append(_Read(torch.nn.functional.normalize(own, dim=-1), ~special[at][mask[at]], whole))
    return found
