"""How an encoder's word vectors become the one vector of a text: as the model's own files say, the mean where they say nothing.

A model of sentence-transformers tells it in 1_Pooling/config.json, today as "pooling_mode", before as a flag for each mode; of several
the vectors stand one behind the other. A model that was trained here and kept whole tells it in its config.json, as `KEY`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

FILE = "1_Pooling/config.json"
KEY = "sentence_pooling"
PROJECTION = "_Dense/config.json"  # of a layer behind the pooling, which is left out here
MEAN = ("mean",)
FLAGS = {  # mode -> its flag, in the order in which several stand in the vector
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}
WORDS = {
    "cls": "the vector of its first token",
    "max": "the largest number at each place of its word vectors",
    "mean": "the mean of its word vectors",
    "mean_sqrt_len_tokens": "the sum of its word vectors, by the root of their number",
    "weightedmean": "the mean of its word vectors, later ones weighing more",
    "lasttoken": "the vector of its last token",
}
LINES = {  # as Python of `states`, (tokens, width), and of `ids`
    "cls": "states[0]",
    "max": "states.max(0).values",
    "mean": "states.mean(0)",
    "mean_sqrt_len_tokens": "states.sum(0) / len(ids) ** 0.5",
    "weightedmean": "torch.arange(1.0, len(ids) + 1) @ states / sum(range(1, len(ids) + 1))",
    "lasttoken": "states[-1]",
}


def read(folder: Path) -> tuple[str, ...]:
    """The modes of the folder's model."""
    told = _json(folder / FILE)
    if told is None:
        kept = (_json(folder / "config.json") or {}).get(KEY)
        return _known(kept if isinstance(kept, list) else [])
    mode = told.get("pooling_mode")
    return _known([mode] if isinstance(mode, str) else mode if isinstance(mode, list) else [one for one in FLAGS if told.get(FLAGS[one])])


def _known(modes: Sequence[Any]) -> tuple[str, ...]:
    return tuple(one for one in modes if one in FLAGS) or MEAN


def _json(path: Path) -> dict[str, Any] | None:
    try:
        told = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None


def projects(files: Collection[str]) -> bool:
    """Whether another layer stands behind the pooling."""
    return any(one.endswith(PROJECTION) for one in files)


def in_words(modes: Sequence[str]) -> str:
    return " and ".join(WORDS[one] for one in modes)


def line(modes: Sequence[str]) -> str:
    """The vector as Python of `states` and `ids`."""
    told = [LINES[one] for one in modes]
    return told[0] if len(told) == 1 else f"torch.cat([{', '.join(told)}])"


def config(modes: Sequence[str], width: int) -> dict[str, Any]:
    """What stands in 1_Pooling/config.json, in the form that every version of sentence-transformers since 2.0 reads."""
    return {"word_embedding_dimension": width, **{flag: mode in modes for mode, flag in FLAGS.items()}}


def pooled(states: torch.Tensor, mask: torch.Tensor, modes: Sequence[str]) -> torch.Tensor:
    """(rows, width x modes) of word vectors, (rows, tokens, width), and their mask, (rows, tokens), padded on the right."""
    import torch

    there = mask.unsqueeze(-1).to(states.dtype)
    counts = there.sum(dim=1)
    found = []
    for mode in modes:
        match mode:
            case "cls":
                found.append(states[:, 0])
            case "max":
                found.append(states.masked_fill(there == 0, float("-inf")).max(dim=1).values)
            case "lasttoken":
                found.append(states[torch.arange(len(states), device=states.device), mask.long().sum(dim=1) - 1])
            case "weightedmean":
                weights = there * torch.arange(1, states.shape[1] + 1, device=states.device).view(1, -1, 1)
                found.append((states * weights).sum(dim=1) / weights.sum(dim=1))
            case "mean_sqrt_len_tokens":
                found.append((states * there).sum(dim=1) / counts.sqrt())
            case _:
                found.append((states * there).sum(dim=1) / counts)
    return found[0] if len(found) == 1 else torch.cat(found, dim=-1)
