"""The verdict on a trained model: figures with intervals, the baselines beside it, one sentence, rows to look at. Pure; numpy only.

The figures themselves are made in `scoring`, the words in `verdict`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine import scoring, verdict
from engine.baselines import Guess
from engine.scoring import BaselineScore, Chances, ClassScore, Interval
from engine.verdict import Rival

if TYPE_CHECKING:
    from engine.data.overlap import Overlap
    from engine.data.split import Rows

__all__ = ["BaselineScore", "ClassScore", "Evaluation", "Interval", "Sample", "evaluate", "from_json", "samples", "scores", "to_json"]

VERSION = 1
UNEVEN_SHARE = 0.6  # of the largest class: above it accuracy alone flatters a model that ignores the others
FEWEST_TO_MISS = 5  # rows of a class on which its absence from the answers says something
SAMPLES = 12
SAMPLE_CHARACTERS = 1000


@dataclass(frozen=True)
class Sample:
    """One test row and what the model says of it."""

    number: int  # 1-based row number in the source
    text: str  # cut to SAMPLE_CHARACTERS
    label: str
    predicted: str
    confidence: float  # the predicted label's probability


@dataclass(frozen=True)
class Evaluation:
    """Everything known of a model's quality on the test rows; evaluation.json holds just this."""

    rows: int
    classes: tuple[str, ...]
    accuracy: Interval
    macro_f1: Interval
    macro_precision: float
    macro_recall: float
    weighted_precision: float
    weighted_recall: float
    weighted_f1: float
    loss: float  # mean nats per row
    per_class: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]  # rows: the label, columns: what was predicted, in the order of `classes`
    baselines: tuple[BaselineScore, ...]
    sentence: str
    warnings: tuple[str, ...]
    samples: tuple[Sample, ...]
    step: int  # of the checkpoint that was scored
    seen_rows: int = 0  # test rows whose text stands among the training rows too
    nearly_seen_rows: int = 0  # others that nearly do: a word of ten apart, or case, punctuation and blanks
    unseen_accuracy: float | None = None  # on the rows that do neither; None where all do, or none
    version: int = VERSION


def headline(evaluation: Evaluation, beside: Sequence[Rival]) -> tuple[str, tuple[str, ...]]:
    """The verdict in a sentence, against the strongest of the baselines and these; and a sentence for each that it does not name."""
    one = evaluation
    if not beside:
        return one.sentence, ()
    uneven = is_uneven(one.per_class)
    named = verdict.strongest(one.rows, one.baselines, beside, uneven=uneven)
    told = verdict.sentence(one.rows, one.accuracy, one.macro_f1, one.baselines, uneven=uneven, seen_rows=seen_by(one), beside=beside)
    return told, tuple(other.sentence for other in beside if other is not named)


def seen_by(evaluation: Evaluation) -> int:
    """The test rows that the model saw in training, or nearly."""
    return evaluation.seen_rows + evaluation.nearly_seen_rows


def tells_apart(evaluation: Evaluation) -> bool:
    """Whether its doubts say anything of the labels: by more than chance better than the largest class, and than no other worse."""
    gains = {one.id: one.macro_f1_gain for one in evaluation.baselines}
    return "majority" in gains and gains["majority"].low > 0 and all(one.high >= 0 for one in gains.values())


def is_uneven(per_class: Sequence[ClassScore]) -> bool:
    """Whether accuracy alone would flatter a model: more than two classes, or one that prevails."""
    return len(per_class) > 2 or max(one.rows for one in per_class) > UNEVEN_SHARE * sum(one.rows for one in per_class)


def to_json(evaluation: Evaluation) -> str:
    """The evaluation as strict JSON text."""
    return json.dumps(dataclasses.asdict(evaluation), ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def from_json(text: str) -> Evaluation:
    """The evaluation that `to_json` wrote. Unknown fields of a later version are passed over. Raises ValueError where it is none."""
    try:
        told: dict[str, Any] = json.loads(text)
        return Evaluation(
            **{
                **_known(Evaluation, told),
                "classes": tuple(told["classes"]),
                "accuracy": Interval(**told["accuracy"]),
                "macro_f1": Interval(**told["macro_f1"]),
                "per_class": tuple(ClassScore(**_known(ClassScore, one)) for one in told["per_class"]),
                "confusion": tuple(tuple(row) for row in told["confusion"]),
                "baselines": tuple(
                    BaselineScore(**{**_known(BaselineScore, one), "macro_f1_gain": Interval(**one["macro_f1_gain"])})
                    for one in told["baselines"]
                ),
                "warnings": tuple(told["warnings"]),
                "samples": tuple(Sample(**_known(Sample, one)) for one in told["samples"]),
            }
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a whole evaluation: {error}") from error


def _known(kind: type, told: dict[str, Any]) -> dict[str, Any]:
    names = {one.name for one in dataclasses.fields(kind)}
    return {name: value for name, value in told.items() if name in names}


def scores(labels: Sequence[int], probabilities: Chances, classes: Sequence[str]) -> dict[str, float]:
    """The figures of one pass over a split, as shares: accuracy, macro and weighted precision, recall and F1; and the loss in nats per row.

    `probabilities` is (rows, classes). Raises RunFailed where there is none, or one is not finite.
    """
    truth = np.asarray(labels, dtype=np.int64)
    scoring.check(probabilities)
    matrix = scoring.confusion_matrix(truth, scoring.predicted_classes(probabilities), len(classes))
    return {**scoring.figures_of(matrix), "loss": scoring.loss_of(truth, probabilities)}


def never_predicted(labels: Sequence[int], probabilities: Chances, classes: Sequence[str]) -> tuple[str, ...]:
    """The classes with at least FEWEST_TO_MISS rows here that are the model's answer to no row at all."""
    rows = np.bincount(np.asarray(labels, dtype=np.int64), minlength=len(classes))
    given = np.bincount(scoring.predicted_classes(probabilities), minlength=len(classes))
    return tuple(name for name, has, got in zip(classes, rows, given, strict=True) if has >= FEWEST_TO_MISS and not got)


def evaluate(
    test: Rows,
    probabilities: Chances,
    classes: Sequence[str],
    guesses: Sequence[Guess] = (),
    *,
    shared: Overlap | None = None,
    step: int = 0,
    seed: int = 0,
) -> Evaluation:
    """The whole verdict on the test rows. `probabilities` is (rows, classes); `guesses` are the baselines' answers to the same rows.

    With `shared`, the test texts that stand among the training rows are counted, and the others scored by themselves.
    Raises RunFailed as `scores` does.
    """
    truth = np.asarray(test.labels, dtype=np.int64)
    figures = scores(test.labels, probabilities, classes)
    predicted = scoring.predicted_classes(probabilities)
    matrix = scoring.confusion_matrix(truth, predicted, len(classes))
    accuracy, macro_f1 = scoring.intervals(matrix, seed=seed)
    baselines = tuple(scoring.against(truth, predicted, guess, len(classes), seed) for guess in guesses)
    seen_rows, nearly_seen_rows = shared.counts if shared is not None else (0, 0)
    unseen = ~(shared.seen | shared.nearly) if shared is not None else np.ones(len(truth), dtype=bool)
    unseen_accuracy = float((truth == predicted)[unseen].mean()) if unseen.any() and not unseen.all() else None
    per_class = scoring.class_scores(matrix, classes)
    return Evaluation(
        rows=len(truth),
        classes=tuple(classes),
        accuracy=accuracy,
        macro_f1=macro_f1,
        macro_precision=figures["macro_precision"],
        macro_recall=figures["macro_recall"],
        weighted_precision=figures["weighted_precision"],
        weighted_recall=figures["weighted_recall"],
        weighted_f1=figures["weighted_f1"],
        loss=figures["loss"],
        per_class=per_class,
        confusion=tuple(tuple(int(count) for count in row) for row in matrix),
        baselines=baselines,
        sentence=verdict.sentence(
            len(truth), accuracy, macro_f1, baselines, uneven=is_uneven(per_class), seen_rows=seen_rows + nearly_seen_rows
        ),
        warnings=verdict.warnings(per_class, (seen_rows, nearly_seen_rows), unseen_accuracy, baselines),
        samples=samples(test, probabilities, classes),
        step=step,
        seen_rows=seen_rows,
        nearly_seen_rows=nearly_seen_rows,
        unseen_accuracy=unseen_accuracy,
    )


def samples(test: Rows, probabilities: Chances, classes: Sequence[str], *, limit: int = SAMPLES) -> tuple[Sample, ...]:
    """Up to `limit` rows to look at: half of them wrong where there are so many, each half spread evenly over the test rows."""
    predicted = scoring.predicted_classes(probabilities)
    wrong = np.flatnonzero(predicted != np.asarray(test.labels))
    right = np.flatnonzero(predicted == np.asarray(test.labels))
    of_wrong = min(len(wrong), max(limit // 2, limit - len(right)))
    chosen = [*_spread(wrong, of_wrong), *_spread(right, min(len(right), limit - of_wrong))]
    return tuple(
        Sample(
            number=test.numbers[at],
            text=test.texts[at] if len(test.texts[at]) <= SAMPLE_CHARACTERS else test.texts[at][: SAMPLE_CHARACTERS - 1] + "…",
            label=classes[test.labels[at]],
            predicted=classes[predicted[at]],
            confidence=float(probabilities[at, predicted[at]]),
        )
        for at in chosen
    )


def _spread(rows: NDArray[np.intp], count: int) -> list[int]:
    return [int(rows[at * len(rows) // count]) for at in range(count)]
