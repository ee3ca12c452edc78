"""How alike two texts are: an encoder's word vectors, one vector made of them for each text, and the cosine of the two.

That one is their mean, unless the model's own files say otherwise (pooling.py). The cosine of a pair learns its label, brought to 0 to 1 by
the lowest and the highest of the training rows; the loss is the squared difference. This is what sentence-transformers calls pooling with
CosineSimilarityLoss (https://sbert.net/docs/package_reference/sentence_transformer/losses.html#cosinesimilarityloss), a few lines without
its own trainer. A row holds both texts, one after the other, the tokens of the second as ~id, a negative number.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import number_baselines, number_metrics, pooling, told
from engine.data.numbers import Scale
from engine.data.texts import Texts
from engine.errors import Problem, RunFailed
from engine.knobs import knob
from engine.models import ModelFacts
from engine.tasks import Judges, Task, _batches, classify

if TYPE_CHECKING:
    import numpy as np
    import torch

    from engine.resampling import Figure
    from engine.told import Told

Row = Sequence[int]
POOLING = ("bert", "roberta", "xlm-roberta")  # whose bare model brings a layer behind the first token, which nothing here reads
AS_IT_IS = Scale(0.0, 1.0)


@dataclass(frozen=True)
class SimilarKnobs:
    max_length: int | None = knob(
        None,
        label="Text length",
        low=8,
        high=8192,
        unit="tokens",
        help="Of each of the two texts; what is longer is cut. Empty: what nearly all texts need, within a bound for this hardware.",
    )
    keep: str = knob(
        "start",
        label="Of a longer text, keep",
        choices={"ends": "Its beginning and end", "start": "Its beginning"},
        help="Sentences tend to say at the beginning what they are about.",
    )


def facts(found: ModelFacts) -> ModelFacts:
    """The model without any head."""
    return replace(found, head=(), head_fixed=0, head_per_label=0)


def check(knobs: SimilarKnobs, facts: ModelFacts) -> tuple[Problem, ...]:
    """A decoder's words know nothing of those behind them, so that their mean says little."""
    if facts.projects:
        message = f"{facts.id} came with a layer behind its text vectors that is left out here: untuned it may do worse than they say."
        return (Problem("model", message, "Compare its untuned figure with another model's.", "warning"),)
    if not facts.decoder:
        return ()
    message = f"{facts.id} writes; texts are compared by a model that reads them whole, an encoder."
    return (Problem("model", message, "Choose an encoder, such as all-MiniLM-L6-v2 or a BERT."),)


def load_model(
    folder: Path, classes: Sequence[str], *, dtype: str = "float32", pad_token_id: int | None = None, quantisation: Any = None
) -> torch.nn.Module:
    """The bare encoder of a local folder. Weights from safetensors only; no code of the folder is run."""
    import torch
    from transformers import AutoModel

    config = json.loads((folder / "config.json").read_text("utf-8"))
    bare = {"add_pooling_layer": False} if config.get("model_type") in POOLING else {}
    model = AutoModel.from_pretrained(
        folder,
        dtype=getattr(torch, dtype),
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
        **bare,
        **({} if quantisation is None else {"quantization_config": quantisation, "device_map": {"": classify.device()}}),
        **classify.without_attention_dropout(folder),
    )
    modes = pooling.read(folder)
    if modes != pooling.MEAN:
        setattr(model.config, pooling.KEY, list(modes))  # in the config, so that a model that is kept whole tells it too
    return model  # type: ignore[no-any-return]


def encode(tokenizer: Any, texts: Texts, knobs: SimilarKnobs) -> list[list[int]]:
    """Both texts of each row, each at most `max_length` tokens long."""
    if texts.second is None:
        raise RunFailed(Problem("data.second", "Two texts are compared, and there is one.", "Choose a column for the second."))
    first, second = (classify.encode(tokenizer, Texts(one), knobs) for one in (texts.first, texts.second))  # type: ignore[arg-type]
    return [[*one, *(~token for token in other)] for one, other in zip(first, second, strict=True)]


def collate(tokenizer: Any, rows: Sequence[Row], most: int | None = None) -> dict[str, torch.Tensor]:
    """(2 x rows, width): the first texts of all rows, then the second ones."""
    return classify.collate(
        tokenizer, [*([one for one in row if one >= 0] for row in rows), *([~one for one in row if one < 0] for row in rows)], most
    )


def cosines(model: torch.nn.Module, tokenizer: Any, rows: Sequence[Row], most: int | None = None) -> torch.Tensor:
    """(rows,) in 32 bits, with gradients where torch keeps them."""
    import torch

    device = next(model.parameters()).device
    batch = {name: one.to(device) for name, one in collate(tokenizer, rows, most).items()}
    mask = batch["attention_mask"]
    states = model(**batch).last_hidden_state[:, -mask.shape[1] :].float()  # a method may put tokens of its own before
    vectors = pooling.pooled(states, mask, getattr(model.config, pooling.KEY, pooling.MEAN))
    return torch.nn.functional.cosine_similarity(vectors[: len(rows)], vectors[len(rows) :], dim=-1)


def wanted(labels: Sequence[float], scale: Scale) -> list[float]:
    """The labels brought to 0 to 1; one beyond those of the training rows is taken to the nearer end."""
    return [min(1.0, max(0.0, (one - scale.low) / ((scale.high - scale.low) or 1.0))) for one in labels]


def learn(
    model: torch.nn.Module,
    tokenizer: Any,
    rows: Sequence[Row],
    labels: Sequence[float],
    *,
    classes: Sequence[str] = (),
    most: int | None = None,
    weights: Any = None,
    scale: Scale = AS_IT_IS,
) -> torch.Tensor:
    """Squared difference between cosine and label, the mean over the rows."""
    import torch

    found = cosines(model, tokenizer, rows, most)
    return torch.nn.functional.mse_loss(found, torch.tensor(wanted(labels, scale), dtype=torch.float32, device=found.device))


def answers(
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
    scale: Scale = AS_IT_IS,
) -> np.ndarray:
    """The cosine of each row's texts, (rows,) float64 from -1 to 1; the longest rows first, `said(done)` after every batch."""
    import numpy as np

    found = np.empty(len(rows))

    def work(numbers: list[int]) -> None:
        found[numbers] = cosines(model, tokenizer, [rows[at] for at in numbers], most).double().cpu().numpy()

    _batches.in_batches(rows, batch_size, autocast, model, work, said)
    return found


def scores(labels: Sequence[float], answers: np.ndarray, classes: Sequence[str], *, scale: Scale = AS_IT_IS) -> dict[str, float]:
    """ "loss" as in training, "spearman" and "pearson"."""
    import numpy as np

    if not np.isfinite(answers).all():
        raise RunFailed(Problem("settings.learning_rate", "The model's answers are no numbers any more.", "Lower the learning rate."))
    found = {one.id: one.value for one in figures(answers, labels, classes)}
    return {"loss": float(np.mean((answers - np.array(wanted(labels, scale))) ** 2)), **found}


def figures(answers: Any, targets: Sequence[float], classes: Sequence[str]) -> tuple[Figure, ...]:
    return number_metrics.spearman(answers, targets), number_metrics.pearson(answers, targets)


def sentence(figures: Sequence[Told]) -> str:
    """How alike its order of the pairs is to that of the labels, against the strongest baseline and the untuned model."""
    order = figures[0]
    parts = [
        f"Its order of {order.rows:,} unseen pairs, from unlike to alike, agrees with the labels to {told.shown(order)} "
        "(Spearman: 1 is the same order, 0 none)."
    ]
    best = told.strongest(order)
    if best is not None:
        parts.append(f"{best.name} reaches {told.number(best.value)}: {told.against(best, order.better)}.")
    if order.before is not None and order.gain is not None and order.p_value is not None:
        untuned = told.Other("untuned", "", order.before, order.gain, order.p_value)
        parts.append(f"The untuned model reaches {told.number(order.before)}: {told.against(untuned, order.better)}.")
    return " ".join(parts)


def warnings(answers: Any, targets: Sequence[float], classes: Sequence[str]) -> tuple[str, ...]:
    import numpy as np

    if np.std(answers) < 1e-3:
        return ("It finds every pair equally alike: it tells nothing apart. Train longer, or with a lower learning rate.",)
    return ()


def spelt(value: float, classes: Sequence[str]) -> str:
    return f"{value:.3g}"


TASK = Task(
    id="similar",
    name="Compare two texts",
    summary="Learns how alike two texts are, from pairs with a number, or with yes and no: paraphrases, duplicates, search.",
    place=27,
    target="number",
    knobs=SimilarKnobs,
    headline="spearman",
    figures=("spearman", "pearson", "loss"),
    facts=facts,
    check=check,
    load_model=load_model,
    load_tokenizer=classify.load_tokenizer,
    encode=encode,
    collate=collate,
    learn=learn,
    counted=len,
    answers=answers,
    scores=scores,
    asks="Compare",
    loss_unit="squared error",
    judges=Judges(
        figures=figures,
        rivals=(number_baselines.cosine_of_words,),
        sentence=sentence,
        warnings=warnings,
        spelt=spelt,
        untuned=True,
        right=lambda targets, scale: wanted(targets, scale or AS_IT_IS),
    ),
    pairs=True,
    caches=False,
)
