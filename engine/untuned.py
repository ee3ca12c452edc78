"""What the model could do before it was tuned: an encoder by its nearest neighbours, a decoder by the words of the labels.

Both answer as many test rows as their time allows, in an order by chance, and say how many. torch is imported where it is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import Problem, RunFailed

if TYPE_CHECKING:
    import numpy as np
    import torch

NEIGHBOURS = 10
BATCH = 16
FEWEST = 30  # answered test rows, for a figure that says anything
CLASSES_AT_ONCE = 16
BEFORE, AFTER = "Text: ", "\nLabel:"


def neighbours(known: np.ndarray, labels: Sequence[int], asked: np.ndarray) -> list[int]:
    """The class of each asked row by its nearest known ones, the nearer the weightier. Rows are (n, width), of length 1."""
    from sklearn.neighbors import KNeighborsClassifier

    model = KNeighborsClassifier(n_neighbors=min(NEIGHBOURS, len(known)), weights="distance")  # on a sphere, as good as the cosine
    model.fit(known, list(labels))
    return [int(one) for one in model.predict(asked)]


def embeddings(
    model: torch.nn.Module,
    batch_of: Callable[[list[list[int]]], dict[str, torch.Tensor]],
    rows: Sequence[list[int]],
    autocast: str | None,
    may_go_on: Callable[[], bool],
) -> np.ndarray:
    """The mean of each row's last hidden states, of length 1: (rows done, width), of the first rows, as far as `may_go_on` lets it."""
    import numpy as np
    import torch

    body = model.base_model
    device = next(model.parameters()).device
    mixed = torch.autocast(device.type, dtype=getattr(torch, autocast or "bfloat16"), enabled=autocast is not None)
    found: list[np.ndarray] = []
    with torch.inference_mode(), mixed:
        for start in range(0, len(rows), BATCH):
            if not may_go_on():
                break
            batch = {name: one.to(device) for name, one in batch_of(list(rows[start : start + BATCH])).items()}
            states = body(**batch).last_hidden_state.float()  # type: ignore[operator]
            mask = batch["attention_mask"].unsqueeze(-1).float()
            mean = (states * mask).sum(dim=1) / mask.sum(dim=1)
            found.append(torch.nn.functional.normalize(mean, dim=-1).cpu().numpy())
    return np.concatenate(found) if found else np.empty((0, 1))


def open_decoder(folder: Path, dtype: str) -> torch.nn.Module:
    """The decoder with the language head that it came with. Raises RunFailed for a checkpoint without one."""
    import torch
    from transformers import AutoModelForCausalLM

    opened: Any = AutoModelForCausalLM.from_pretrained(
        folder, dtype=getattr(torch, dtype), use_safetensors=True, local_files_only=True, trust_remote_code=False, output_loading_info=True
    )
    model, told = opened
    if any("lm_head" in name for name in told["missing_keys"]) and not model.config.tie_word_embeddings:
        raise RunFailed(Problem("model", "The model came without a head that writes words.", "Nothing is to be done about it."))
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()  # type: ignore[no-any-return]


def by_label_words(
    model: torch.nn.Module,
    tokenizer: Any,
    texts: Sequence[str],
    classes: Sequence[str],
    *,
    most: int,
    autocast: str | None,
    may_go_on: Callable[[], bool],
) -> list[int]:
    """For each text the class whose name the model expects most after it, measured against how much it expects it after no text.

    Without that, a label that is a common word wins every time (Holtzman et al. 2021, https://arxiv.org/abs/2104.08315). `most`: tokens
    of a text. The answers of the first texts, as far as `may_go_on` lets it.
    """

    def ids(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])

    start = [tokenizer.bos_token_id] if tokenizer.bos_token_id is not None else []
    names, before, after = [ids(f" {name}") for name in classes], ids(BEFORE), ids(AFTER)
    usual = _expected(model, [*start, *before, *after], names, autocast)
    found: list[int] = []
    for text in texts:
        if not may_go_on():
            break
        told = _expected(model, [*start, *before, *ids(text)[:most], *after], names, autocast)
        found.append(max(range(len(names)), key=lambda at, told=told: told[at] - usual[at]))  # type: ignore[misc]
    return found


def _expected(model: torch.nn.Module, prompt: list[int], names: Sequence[list[int]], autocast: str | None) -> list[float]:
    """The log of the chance that each name follows the prompt."""
    import torch

    device = next(model.parameters()).device
    mixed = torch.autocast(device.type, dtype=getattr(torch, autocast or "bfloat16"), enabled=autocast is not None)
    found: list[float] = []
    for first in range(0, len(names), CLASSES_AT_ONCE):
        group = names[first : first + CLASSES_AT_ONCE]
        longest = max(map(len, group))
        rows = torch.tensor([prompt + name + [0] * (longest - len(name)) for name in group], device=device)
        mask = torch.tensor([[1] * (len(prompt) + len(name)) + [0] * (longest - len(name)) for name in group], device=device)
        with torch.inference_mode(), mixed:  # the vocabulary is wide, so only the last places are worked out
            logits = model(input_ids=rows, attention_mask=mask, logits_to_keep=longest + 1).logits[:, :-1].float()
        chances = torch.log_softmax(logits, dim=-1).gather(2, rows[:, len(prompt) :].unsqueeze(-1)).squeeze(-1)
        found += [float(chances[at, : len(name)].sum()) for at, name in enumerate(group)]
    return found
