"""Tags (multi-label classification): any number of several labels for each text, through a head with one output a tag.

Each output is a yes or no of its own: what is learnt is binary cross-entropy through a sigmoid, the mean over tags and rows. From
which chance on a tag is given is chosen on the validation rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import tag_baselines, tag_metrics, told
from engine.errors import Problem, RunFailed
from engine.knobs import knob
from engine.models import ModelFacts
from engine.tasks import Judges, Task, classify

if TYPE_CHECKING:
    import numpy as np
    import torch

    from engine.resampling import Figure
    from engine.told import Told

MOST_WEIGHT = 100.0  # of a row that has a tag, against one that lacks it
LEAST_CHANCE = 1e-7  # nearer to 0 and 1 a chance counts as this in the loss of the checks
NO_TAG = "no tag"


@dataclass(frozen=True)
class TagKnobs(classify.TextKnobs):
    class_weights: str = knob(
        "none",
        label="Weight of a tag",
        choices={"none": "Every row counts alike", "balanced": "Rare tags weigh more"},
        help="Balanced: the rows that have a tag pull as much as those that lack it, however few they are. Finds more of the rare tags, "
        "at the price of more false alarms.",
    )


def load_model(folder: Path, classes: Sequence[str], **how: Any) -> torch.nn.Module:
    """As classify's, with one output a tag."""
    return classify.load_model(folder, classes, problem="multi_label_classification", **how)


def learn(
    model: torch.nn.Module,
    tokenizer: Any,
    rows: Sequence[Sequence[int]],
    labels: Sequence[Sequence[int]],
    *,
    classes: Sequence[str] = (),
    most: int | None = None,
    weights: Sequence[float] | None = None,
) -> torch.Tensor:
    """Binary cross-entropy in nats, the mean over rows and tags; with `weights` that of each tag's rows that have it is so many times."""
    import torch

    device = next(model.parameters()).device
    logits = model(**{name: one.to(device) for name, one in classify.collate(tokenizer, rows, most).items()}).logits.float()
    wanted = torch.tensor(labels, dtype=torch.float32, device=device)
    more = None if weights is None else torch.tensor(weights, dtype=torch.float32, device=device)
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted, pos_weight=more)


def balanced(labels: Sequence[Sequence[int]], classes: int) -> tuple[float, ...]:
    """Of each tag how many rows lack it for one that has it, at most 100; 1 where none has it."""
    there = [sum(row[at] for row in labels) for at in range(classes)]
    return tuple(min(MOST_WEIGHT, max(1 / MOST_WEIGHT, (len(labels) - one) / one)) if one else 1.0 for one in there)


def chances(
    model: torch.nn.Module, tokenizer: Any, rows: Sequence[Sequence[int]], *, classes: Sequence[str] = (), **how: Any
) -> np.ndarray:
    """Each tag's chance for each encoded row, (rows, tags) float64; `how` as classify.outputs takes it."""
    import torch

    return torch.sigmoid(torch.from_numpy(classify.outputs(model, tokenizer, rows, **how))).numpy()


def scores(
    labels: Sequence[Sequence[int]], answers: np.ndarray, classes: Sequence[str], *, threshold: float | None = None
) -> dict[str, float]:
    """ "loss" as in training, without weights; "average_precision"; "micro_f1", "macro_f1", "exact" and the others of `figures`.

    `threshold`: from which chance on a tag is given; chosen on these very rows where it is None, as the checks on validation rows do.
    """
    import numpy as np

    if not np.isfinite(answers).all():
        fix = "Lower the learning rate; bf16 or fp32 also helps where the precision was fp16."
        raise RunFailed(Problem("settings.learning_rate", "The model's answers are no numbers any more.", fix))
    wanted = np.asarray(labels, dtype=np.float64)
    sure = np.clip(np.where(wanted > 0, answers, 1 - answers), LEAST_CHANCE, 1.0)
    given = answers >= (tag_metrics.threshold(answers, labels) if threshold is None else threshold)
    order = {"average_precision": tag_metrics.average_precision(answers, labels)}
    return {"loss": float(-np.log(sure).mean()), **order, **{one.id: one.value for one in figures(given, labels, classes)}}


def check(knobs: TagKnobs, facts: ModelFacts) -> tuple[Problem, ...]:
    return ()


def figures(given: Any, wanted: Sequence[Sequence[int]], classes: Sequence[str]) -> tuple[Figure, ...]:
    return tag_metrics.figures(given, wanted)


def sentence(figures: Sequence[Told]) -> str:
    """How many of the tags given are right and of those there found, against the strongest baseline; how many rows are right in all."""
    by = {one.id: one for one in figures}
    first, right, found, exact = by["micro_f1"], by["micro_precision"], by["micro_recall"], by["exact"]
    parts = [
        f"On {first.rows:,} unseen rows {_percent(right)} of the tags it gives are right, and it finds {_percent(found)} of those that are "
        f"there: micro F1 {told.shown(first)}."
    ]
    best = told.strongest(first)
    if best is not None:
        parts.append(f"{best.name}, the strongest baseline, reaches {told.number(best.value)}: {told.against(best, first.better)}.")
    parts.append(f"In {_percent(exact)} of the rows every tag is right.")
    return " ".join(parts)


def _percent(one: Told) -> str:
    return f"{100 * one.value.value:.0f}\u00a0%"


def warnings(given: Any, wanted: Sequence[Sequence[int]], classes: Sequence[str]) -> tuple[str, ...]:
    """Tags that are never or always given, or that no test row has."""
    found = []
    each = tag_metrics.parts(given, wanted, classes)
    never = [one.name for one in each if one.rows and not one.given]
    always = [one.name for one in each if one.given == len(wanted) > one.rows]
    absent = [one.name for one in each if not one.rows]
    if never:
        found.append(
            f"It gives no test row {_named(never)}, though some have {'it' if len(never) == 1 else 'them'}: add rows, train longer, "
            "or let rare tags weigh more."
        )
    if always:
        found.append(
            f"It gives every test row {_named(always)}, though some have not: it has not learnt where not to. Train longer or faster."
        )
    if absent:
        found.append(f"No test row has {_named(absent)}: how well the model tells {'it' if len(absent) == 1 else 'them'} is not known.")
    return tuple(found)


def _named(tags: Sequence[str]) -> str:
    shown = ", ".join(f"“{one}”" for one in tags[:5])
    return f"the tag{'' if len(tags) == 1 else 's'} {shown}{f' and {len(tags) - 5} more' if len(tags) > 5 else ''}"


def spelt(given: Sequence[int], classes: Sequence[str]) -> str:
    """The names of the tags that are on; "no tag"."""
    return ", ".join(name for name, on in zip(classes, given, strict=True) if on) or NO_TAG


TASK = Task(
    id="tag",
    name="Give each text tags",
    summary="Learns which of several tags each text has: none, one or many. Topics, emotions, kinds of abuse.",
    place=22,
    target="tags",
    knobs=TagKnobs,
    headline="micro_f1",
    selects_by="average_precision",
    figures=("average_precision", "micro_f1", "macro_f1", "exact", "loss"),
    facts=lambda facts: facts,
    check=check,
    load_model=load_model,
    load_tokenizer=classify.load_tokenizer,
    encode=classify.encode,
    collate=classify.collate,
    learn=learn,
    counted=len,
    answers=chances,
    scores=scores,
    balanced=balanced,
    asks="Find the tags",
    loss_unit="nats a tag",
    judges=Judges(
        figures=figures, rivals=tag_baselines.ALL, sentence=sentence, warnings=warnings, spelt=spelt, untuned=False,
        threshold=tag_metrics.threshold, parts=tag_metrics.parts,
    ),
)  # fmt: skip
