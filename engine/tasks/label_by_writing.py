"""Classification by writing: the model reads the text in a template and writes the label's name; no head is added.

The classes are told apart by how likely the model finds each name (with an end behind it where one name begins another), so every
class has a probability, as in Sort texts into classes: the whole verdict is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine import evaluate
from engine.chat import Chat
from engine.data.texts import Texts
from engine.errors import Problem, RunFailed
from engine.knobs import knob
from engine.models import ModelFacts
from engine.tasks import Pieces, Task, _batches, _language, _template, classify

if TYPE_CHECKING:
    import numpy as np
    import torch

TEMPLATE = "Text: {text}\nLabel:"
LABEL_TOKENS = 8  # of a name, taken when memory is reckoned: Bengali names under an English tokenizer have some more
STUB = "Label:"  # that a name is cut into tokens behind


@dataclass(frozen=True)
class LabelKnobs(classify.ClassifyKnobs):
    template: str = knob(
        TEMPLATE,
        label="Template",
        high=4000,
        help="What the model reads; {text} is your text. It writes the label behind it, so words that lead there help: "
        "“Review: {text} Sentiment:”.",
    )


def check(knobs: LabelKnobs, facts: ModelFacts) -> tuple[Problem, ...]:
    return (*_language.check(facts), *_template.check(knobs.template, ("text",)))


def encode(tokenizer: Any, texts: Texts, knobs: LabelKnobs) -> list[list[int]]:
    """Token ids of each text in the template, at most `max_length` long, before the label."""
    assert knobs.max_length is not None, "plan decides the length"
    return [_template.ids(tokenizer, knobs.template, {"text": text}, knobs.max_length, knobs.keep) for text in texts.joined()]


def names(tokenizer: Any, classes: Sequence[str]) -> list[list[int]]:
    """Token ids of each class name, behind a blank; with an end behind all of them where one begins another."""
    found = [_template.behind(tokenizer, STUB, f" {name}") for name in classes]
    if any(one != other and other[: len(one)] == one for one in found for other in found):
        end = [tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else _template.pieces_ids(tokenizer, "\n")
        found = [[*one, *end] for one in found]
    if len({tuple(one) for one in found}) < len(found):
        message = "This model's tokenizer writes two of the labels alike, so it cannot tell them apart by writing."
        raise RunFailed(Problem("model", message, "Choose another model, other label names, or the task Sort texts into classes."))
    return found


def learn(
    model: torch.nn.Module,
    tokenizer: Any,
    rows: Sequence[Sequence[int]],
    labels: Sequence[int],
    *,
    classes: Sequence[str],
    most: int | None = None,
    weights: Sequence[float] | None = None,
) -> torch.Tensor:
    """Nats of a row's label, the mean over the rows; `weights`, one a class, as in classify."""
    import torch

    told = names(tokenizer, classes)
    nats = _language.surprises(model, tokenizer, [[*row, *(~one for one in told[label])] for row, label in zip(rows, labels, strict=True)])
    if weights is None:
        return nats.sum() / len(rows)
    each = torch.tensor([weights[label] for label in labels for _ in told[label]], dtype=nats.dtype, device=nats.device)
    return (nats * each).sum() / len(rows)


def paths(told: Sequence[Sequence[int]]) -> list[tuple[list[int], list[int]]]:
    """What must be read behind a prompt to see every name's chance: beginnings of names, each with the names it serves.

    A name of one token is seen behind the prompt itself; the longest beginnings serve all that start alike.
    """
    found: list[tuple[list[int], list[int]]] = []
    for number in sorted(range(len(told)), key=lambda at: -len(told[at])):
        start = list(told[number][:-1])
        serving = next((served for path, served in found if path[: len(start)] == start), None)
        if serving is None:
            found.append((start, [number]))
        else:
            serving.append(number)
    return found


def probabilities(
    model: torch.nn.Module,
    tokenizer: Any,
    rows: Sequence[Sequence[int]],
    *,
    classes: Sequence[str],
    batch_size: int = 32,
    autocast: str | None = None,
    said: Any = None,
    present: Any = None,
    most: int | None = None,
) -> np.ndarray:
    """Each class's probability for each encoded row, (rows, classes) float64: softmax over the names' log-likelihoods."""
    import numpy as np
    import torch

    told = names(tokenizer, classes)
    found = np.empty((len(rows), len(classes)))
    device = next(model.parameters()).device

    def work(numbers: list[int]) -> None:
        for path, served in paths(told):
            read = [[*rows[at], *path] for at in numbers]
            batch = {name: one.to(device) for name, one in _language.collate(tokenizer, read, most).items()}
            places = [(number, len(rows[at]) - 1 + step) for number, at in enumerate(numbers) for step in range(len(path) + 1)]
            logits = _language.logits_at(model, batch, places).double().view(len(numbers), len(path) + 1, -1)
            chances = torch.log_softmax(logits, dim=-1)
            for name in served:
                spelt = torch.tensor(told[name], device=device).expand(len(numbers), -1)
                found[numbers, name] = chances[:, : spelt.shape[1]].gather(2, spelt.unsqueeze(-1)).sum(dim=(1, 2)).cpu().numpy()

    _batches.in_batches(rows, batch_size, autocast, model, work, said)
    shifted = np.exp(found - found.max(axis=1, keepdims=True)) if len(rows) else found
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def shown(texts: Texts, knobs: LabelKnobs, chat: Chat) -> list[Pieces]:
    rows = zip(texts.joined(), texts.answers or [""] * len(texts), strict=True)
    return [[(_template.filled(knobs.template, {"text": text}), False), (f" {label}", True)] for text, label in rows]


TASK = Task(
    id="label_by_writing",
    name="Sort texts by writing the label",
    summary="The model learns to write the label behind the text, with the head it came with: for models that write.",
    place=20,
    target="class",
    knobs=LabelKnobs,
    headline="macro_f1",
    figures=("macro_f1", "weighted_f1", "accuracy", "loss"),
    facts=_language.facts,
    check=check,
    load_model=_language.load_model,
    load_tokenizer=classify.load_tokenizer,
    encode=encode,
    collate=_language.collate,
    learn=learn,
    counted=len,
    answers=probabilities,
    scores=evaluate.scores,
    balanced=classify.balanced,
    logits=LABEL_TOKENS,
    shown=shown,
)
