"""Regression: a number for each text, through a head with one output on an encoder or a decoder.

What is learnt is (number - mean) / spread of the training rows, so that learning rates suit whatever the unit is; every answer comes
back in the person's unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import number_baselines, number_metrics, told
from engine.data.numbers import Scale
from engine.errors import Problem, RunFailed
from engine.models import ModelFacts
from engine.tasks import Judges, Task, classify

if TYPE_CHECKING:
    import numpy as np
    import torch

    from engine.resampling import Figure
    from engine.told import Told

AS_IT_IS = Scale(0.0, 1.0)
# Of 1,000 simulated tests with lognormal numbers and errors the interval of RMSE held the truth in 63 % (50 rows) to 73 % (200 rows),
# whatever the kind of bootstrap, for the rare large errors were not among the rows. One row made up so much of the squares in 86 to 54 %
# of them, and in none of 100 rows with normal errors.
FEW, HANGS = 20, 0.2  # rows; share of the squares
FLAT = 0.2  # of the targets' standard deviation


@dataclass(frozen=True)
class RegressKnobs(classify.TextKnobs):
    """Learning numbers has no settings of its own."""


def facts(found: ModelFacts) -> ModelFacts:
    """The model with one output, whatever the number of classes is taken to be."""
    return replace(found, head_fixed=found.head_fixed + found.head_per_label, head_per_label=0)


def load_model(folder: Path, classes: Sequence[str], **how: Any) -> torch.nn.Module:
    """As classify's, with one output."""
    return classify.load_model(folder, ("number",), problem="regression", **how)


def learn(
    model: torch.nn.Module,
    tokenizer: Any,
    rows: Sequence[Sequence[int]],
    labels: Sequence[float],
    *,
    classes: Sequence[str] = (),
    most: int | None = None,
    weights: Any = None,
    scale: Scale = AS_IT_IS,
) -> torch.Tensor:
    """Squared error in squares of the spread, the mean over the rows."""
    import torch

    device = next(model.parameters()).device
    batch = {name: one.to(device) for name, one in classify.collate(tokenizer, rows, most).items()}
    wanted = torch.tensor([(one - scale.mean) / scale.spread for one in labels], dtype=torch.float32, device=device)
    return torch.nn.functional.mse_loss(model(**batch).logits.squeeze(-1).float(), wanted)


def numbers(
    model: torch.nn.Module,
    tokenizer: Any,
    rows: Sequence[Sequence[int]],
    *,
    classes: Sequence[str] = (),
    scale: Scale = AS_IT_IS,
    **how: Any,
) -> np.ndarray:
    """The number of each encoded row, (rows,) float64, in the unit of the labels; `how` as classify.outputs takes it."""
    found: np.ndarray = classify.outputs(model, tokenizer, rows, **how).reshape(len(rows)) * scale.spread + scale.mean
    return found


def scores(labels: Sequence[float], answers: np.ndarray, classes: Sequence[str], *, scale: Scale = AS_IT_IS) -> dict[str, float]:
    """ "loss" in squares of the spread, as in training; "mae" and "rmse" in the labels' unit; "r2"; "spearman"."""
    import numpy as np

    if not np.isfinite(answers).all():
        fix = "Lower the learning rate; bf16 or fp32 also helps where the precision was fp16."
        raise RunFailed(Problem("settings.learning_rate", "The model's answers are no numbers any more.", fix))
    found = {one.id: one.value for one in figures(answers, labels, classes)}
    return {"loss": (found["rmse"] / scale.spread) ** 2, **found}


def check(knobs: RegressKnobs, facts: ModelFacts) -> tuple[Problem, ...]:
    return ()


def figures(answers: Any, targets: Sequence[float], classes: Sequence[str]) -> tuple[Figure, ...]:
    return (*number_metrics.off_by(answers, targets), number_metrics.spearman(answers, targets))


def sentence(figures: Sequence[Told]) -> str:
    """How far it is off, against the strongest baseline; what of the differences it explains; how well it ranks."""
    by = {one.id: one for one in figures}
    off, explained, order = by["mae"], by["r2"], by["spearman"]
    parts = [f"Its numbers are off by {told.shown(off)} on average, on {off.rows:,} unseen rows."]
    best = told.strongest(off)
    if best is not None:
        parts.append(f"{best.name}, the strongest baseline, is off by {told.number(best.value)}: {told.against(best, off.better)}.")
    much = explained.value.value
    share = (
        f"{100 * much:.0f}\u00a0% of how the numbers differ is explained" if much > 0 else "Nothing of how the numbers differ is explained"
    )
    parts.append(f"{share} (R²); the order of the rows agrees to {told.number(order.value.value)} (Spearman, 1 is the same order).")
    return " ".join(parts)


def warnings(answers: Any, targets: Sequence[float], classes: Sequence[str]) -> tuple[str, ...]:
    """Answers that hardly differ; figures that hang on one row."""
    import numpy as np

    found = []
    if np.std(answers) < FLAT * np.std(targets):
        found.append("It gives nearly the same number to every text: it has learnt little more than their mean. Train longer or faster.")
    squares = (np.asarray(answers) - np.asarray(targets)) ** 2
    share = float(squares.max() / squares.sum()) if squares.any() else 0.0
    if len(squares) >= FEW and share > HANGS:
        found.append(
            f"One row of {len(squares):,} makes up {share:.0%} of all squared errors: R² and the root mean squared error hang on it, and "
            "their intervals are too narrow. Go by the mean error and the order, and look at that row."
        )
    return tuple(found)


def spelt(value: float, classes: Sequence[str]) -> str:
    return f"{value:.4g}"


TASK = Task(
    id="regress",
    name="Give each text a number",
    summary="Learns a number for each text: a rating, a score, a price.",
    place=25,
    target="number",
    knobs=RegressKnobs,
    headline="mae",
    figures=("mae", "loss", "spearman", "r2"),
    facts=facts,
    check=check,
    load_model=load_model,
    load_tokenizer=classify.load_tokenizer,
    encode=classify.encode,
    collate=classify.collate,
    learn=learn,
    counted=len,
    answers=numbers,
    scores=scores,
    asks="Give the number",
    loss_unit="squared error",
    judges=Judges(
        figures=figures,
        rivals=number_baselines.ALL,
        sentence=sentence,
        warnings=warnings,
        spelt=spelt,
        untuned=False,
        margin=number_metrics.margin,
    ),
)
