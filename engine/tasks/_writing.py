"""What the tasks share that teach a model to write: rows of prompt and answer, packing, the loss over answers, the figures.

Packed, several rows stand one after another in one line of the batch; each token sees its own row alone, and positions begin anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.chat import Chat
from engine.data.texts import Texts
from engine.knobs import knob
from engine.tasks import Pieces, Target, Task, Writes, _batches, _language, classify

if TYPE_CHECKING:
    import numpy as np
    import torch

EVERY = 10**9  # tokens of a row: its answer may be nearly all of it
MOST_NATS = 700.0  # e to this still fits a float
Row = Sequence[int]


def max_length() -> Any:
    return knob(
        None,
        label="Text length",
        low=8,
        high=8192,
        unit="tokens",
        help="Of prompt and answer together; what is longer is cut. Empty: what nearly all rows need, within a bound for this hardware.",
    )


def packing() -> Any:
    return knob(
        True,
        label="Pack short rows",
        help="Puts short rows one after another, without one seeing another: nothing is computed for padding, the result is the same.",
    )


def written_rows() -> Any:
    return knob(
        40,
        label="Rows written in the test",
        low=0,
        high=1000,
        unit="rows",
        help="So many test rows are answered by the model and by the untuned one, side by side. "
        "More make the figures surer and take longer.",
    )


def max_new_tokens(default: int) -> Any:
    return knob(default, label="New tokens at most", low=1, high=2048, unit="tokens", help="How long an answer in the test may become.")


def cut_to_fit(prompt: Callable[[int], list[int]], answer: list[int], most: int) -> list[int]:
    """Prompt and answer in at most so many tokens, the answer marked as learnt: it may take all but an eighth, at least, of the room.

    `prompt(room)` gives the prompt in at most `room` tokens.
    """
    answer = answer[: max(1, most - most // 8)]
    return [*prompt(max(1, most - len(answer))), *(~one for one in answer)]


def ended(tokenizer: Any, ids: list[int]) -> list[int]:
    """With the token that ends a text, where the tokenizer has one: what the model learns to stop by."""
    return ids if tokenizer.eos_token_id is None else [*ids, int(tokenizer.eos_token_id)]


def learn(
    model: torch.nn.Module,
    tokenizer: Any,
    rows: Sequence[Row],
    labels: Sequence[Any],
    *,
    classes: Sequence[str] = (),
    most: int | None = None,
    weights: Any = None,
    packed: bool = False,
) -> torch.Tensor:
    """Nats of a learnt token, the mean over all of these rows."""
    nats = surprises_packed(model, rows, most) if packed and most else _language.surprises(model, tokenizer, rows, most)
    return nats.sum() / max(1, len(nats))


def packs(lengths: Sequence[int], most: int) -> list[list[int]]:
    """The rows' numbers in lines of at most `most` tokens, the longest first, each put into the first line that has room."""
    lines: list[tuple[int, list[int]]] = []
    for number in sorted(range(len(lengths)), key=lambda at: -lengths[at]):
        place = next((at for at, (taken, _) in enumerate(lines) if taken + lengths[number] <= most), None)
        if place is None:
            lines.append((lengths[number], [number]))
        else:
            taken, held = lines[place]
            lines[place] = (taken + lengths[number], [*held, number])
    return [held for _, held in lines]


def surprises_packed(model: torch.nn.Module, rows: Sequence[Row], most: int) -> torch.Tensor:
    """As `_language.surprises`, of rows that are packed into lines of at most `most` tokens, in another order."""
    import torch

    lines = packs([len(row) for row in rows], max(most, max(map(len, rows))))
    width = max(sum(len(rows[at]) for at in line) for line in lines)
    device = next(model.parameters()).device
    ids, positions = (torch.zeros((len(lines), width), dtype=torch.long) for _ in range(2))
    places, targets = [], []
    for number, line in enumerate(lines):
        start = 0
        for at in line:
            row, end = rows[at], start + len(rows[at])
            ids[number, start:end] = torch.tensor(_language.plain(row))
            positions[number, start:end] = torch.arange(len(row))
            places += [(number, start + place - 1) for place in _language.learnt(row)]
            targets += [~row[place] for place in _language.learnt(row)]
            start = end
        positions[number, start:] = torch.arange(width - start)
    # without a mask, transformers takes each place where positions begin anew for another text, sliding windows included
    batch = {"input_ids": ids.to(device), "position_ids": positions.to(device)}
    logits = _language.logits_at(model, batch, places)
    return torch.nn.functional.cross_entropy(logits.float(), torch.tensor(targets, dtype=torch.long, device=device), reduction="none")


def surprise_of_rows(
    model: torch.nn.Module,
    tokenizer: Any,
    rows: Sequence[Row],
    *,
    classes: Sequence[str] = (),
    batch_size: int = 32,
    autocast: str | None = None,
    said: Any = None,
    present: Any = None,
    most: int | None = None,
) -> np.ndarray:
    """(rows, 2): the nats of a row's learnt tokens, summed, and how many they are."""
    import numpy as np

    found = np.zeros((len(rows), 2))

    def work(numbers: list[int]) -> None:
        nats = _language.surprises(model, tokenizer, [rows[at] for at in numbers], most).double().cpu().numpy()
        start = 0
        for at in numbers:
            count = len(_language.learnt(rows[at]))
            found[at] = nats[start : start + count].sum(), count
            start += count

    _batches.in_batches(rows, batch_size, autocast, model, work, said)
    return found


def scores(labels: Sequence[Any], answers: Any, classes: Sequence[str]) -> dict[str, float]:
    """ "loss", nats a learnt token, and "perplexity", e to it."""
    loss = float(answers[:, 0].sum() / max(1.0, answers[:, 1].sum()))
    return {"loss": loss, "perplexity": math.exp(min(loss, MOST_NATS))}


@dataclass(frozen=True)
class Said:
    """What a task that writes says of itself."""

    id: str
    name: str
    summary: str
    place: int
    target: Target


def task(
    said: Said,
    knobs: type,
    encode: Callable[[Any, Texts, Any], list[list[int]]],
    check: Callable[..., Any],
    writes: Writes,
    shown: Callable[[Texts, Any, Chat], list[Pieces]],
    *,
    encoder_decoders: bool = False,
) -> Task:
    """The task, with all that those which write have in common."""
    return Task(
        id=said.id,
        name=said.name,
        summary=said.summary,
        place=said.place,
        target=said.target,
        knobs=knobs,
        headline="loss",
        figures=("loss",),
        facts=_language.facts,
        check=check,
        load_model=_language.load_model,
        load_tokenizer=classify.load_tokenizer,
        encode=encode,
        collate=_language.collate,
        learn=learn,
        counted=_language.counted,
        answers=surprise_of_rows,
        scores=scores,
        loss_unit="nats a token",
        logits=EVERY,
        writes=writes,
        encoder_decoders=encoder_decoders,
        shown=shown,
    )
