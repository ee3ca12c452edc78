"""How good the model is on rows it has not seen: figures, intervals, comparison with the baselines, one sentence. Pure; numpy only.

The figures follow scikit-learn's definitions. A class that has neither test rows nor predictions is left out of the
macro averages, in the figure and in every bootstrap draw alike, as scikit-learn leaves it out.

Intervals are percentile bootstraps over test rows (Efron & Tibshirani 1993, chapter 13). Accuracy and F1 depend on the rows
only through how many stand in each cell (label, predicted), so drawing the cell counts from a multinomial IS the
resampling of rows, at a cost that does not grow with them.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.baselines import Guess
from engine.errors import Problem, RunFailed

if TYPE_CHECKING:
    from engine.data.split import Rows

VERSION = 1
DRAWS = 1000
FEW_ROWS = 100  # below it a 95 % interval of accuracy is 10 points wide to either side at 50 % right
UNEVEN_SHARE = 0.6  # of the largest class: above it accuracy alone flatters a model that ignores the others
CHANCE = 0.05
SAMPLES = 12
SAMPLE_CHARACTERS = 1000
SMALLEST_PROBABILITY = 1e-12  # the loss of one row is at most 27.6 nats

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval, all as shares (0 to 1)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ClassScore:
    label: str
    precision: float
    recall: float
    f1: float
    rows: int  # test rows with this label
    predicted: int  # test rows that the model gave this label


@dataclass(frozen=True)
class BaselineScore:
    """A baseline on the same rows, and the model against it."""

    id: str  # "majority", "tfidf"
    name: str
    accuracy: float
    macro_f1: float
    weighted_f1: float
    only_model_right: int  # rows
    only_baseline_right: int  # rows
    p_value: float  # McNemar's exact test of rows right
    macro_f1_gain: Interval  # the model's macro F1 less the baseline's; -1 to 1
    note: str  # how it was made, and any bound that was applied


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
    unseen_accuracy: float | None = None  # on the other rows; None where there is no such overlap
    version: int = VERSION


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
                    BaselineScore(**{**_known(BaselineScore, one), "macro_f1_gain": Interval(**one["macro_f1_gain"])}) for one in told["baselines"]
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


def scores(labels: Sequence[int], probabilities: NDArray[np.floating[Any]], classes: Sequence[str]) -> dict[str, float]:
    """The figures of one pass over a split, as shares: accuracy, macro and weighted precision, recall and F1; and the loss in nats per row.

    `probabilities` is (rows, classes). Raises RunFailed where one is not finite.
    """
    truth = np.asarray(labels, dtype=np.int64)
    _finite(probabilities)
    told = _figures(confusion_matrix(truth, _predicted(probabilities), len(classes)))
    return {**told, "loss": _loss(truth, probabilities)}


def evaluate(
    *,
    classes: Sequence[str],
    train: Rows,
    test: Rows,
    probabilities: NDArray[np.floating[Any]],
    guesses: Sequence[Guess] = (),
    step: int = 0,
    seed: int = 0,
) -> Evaluation:
    """The whole verdict on the test rows. `probabilities` is (rows, classes); `guesses` are the baselines' answers to the same rows.

    `train` serves only to count test texts that stand there too. Raises RunFailed where a probability is not finite.
    """
    _finite(probabilities)
    truth = np.asarray(test.labels, dtype=np.int64)
    predicted = _predicted(probabilities)
    matrix = confusion_matrix(truth, predicted, len(classes))
    figures = _figures(matrix)
    accuracy, macro_f1 = intervals(matrix, seed=seed)
    baselines = tuple(_compared(truth, predicted, guess, len(classes), seed) for guess in guesses)
    known = set(train.texts)
    unseen = np.array([text not in known for text in test.texts], dtype=bool)
    seen_rows = int((~unseen).sum())
    unseen_accuracy = float((truth == predicted)[unseen].mean()) if seen_rows and unseen.any() else None
    rows_per_class = matrix.sum(axis=1)
    warnings = _warnings(rows_per_class, classes, seen_rows, unseen_accuracy)
    sentence = verdict(
        rows=len(truth),
        accuracy=accuracy,
        macro_f1=macro_f1,
        uneven=len(classes) > 2 or rows_per_class.max() > UNEVEN_SHARE * len(truth),
        baselines=baselines,
        seen_rows=seen_rows,
    )
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
        loss=_loss(truth, probabilities),
        per_class=_per_class(matrix, classes),
        confusion=tuple(tuple(int(count) for count in row) for row in matrix),
        baselines=baselines,
        sentence=sentence,
        warnings=warnings,
        samples=samples(test, probabilities, classes),
        step=step,
        seen_rows=seen_rows,
        unseen_accuracy=unseen_accuracy,
    )


def _finite(probabilities: NDArray[np.floating[Any]]) -> None:
    if not np.isfinite(probabilities).all():
        raise RunFailed(
            Problem("run", "The model's answers are not numbers any more: training has blown up.", "Lower the learning rate or choose fp32 precision.")
        )


def _predicted(probabilities: NDArray[np.floating[Any]]) -> Whole:
    return np.asarray(probabilities.argmax(axis=1), dtype=np.int64)


def _loss(truth: Whole, probabilities: NDArray[np.floating[Any]]) -> float:
    of_label = probabilities[np.arange(len(truth)), truth].astype(np.float64)
    return float(-np.log(np.maximum(of_label, SMALLEST_PROBABILITY)).mean())


def confusion_matrix(truth: Whole, predicted: Whole, classes: int) -> Whole:
    """(classes, classes): how many rows of each label (row) got each prediction (column)."""
    return np.bincount(truth * classes + predicted, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def _ratio(part: Any, whole: Any) -> Floats:
    """part / whole, 0 where whole is 0."""
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    return np.divide(part, whole, out=np.zeros(np.broadcast(part, whole).shape), where=whole > 0)


def _figures(matrix: Whole) -> dict[str, float]:
    right, labelled, predicted = np.diagonal(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    there = (labelled + predicted) > 0
    share = labelled / labelled.sum()
    precision, recall, f1 = _ratio(right, predicted), _ratio(right, labelled), _ratio(2 * right, labelled + predicted)
    return {
        "accuracy": float(right.sum() / labelled.sum()),
        "macro_f1": float(f1[there].mean()),
        "macro_precision": float(precision[there].mean()),
        "macro_recall": float(recall[there].mean()),
        "weighted_f1": float(f1 @ share),
        "weighted_precision": float(precision @ share),
        "weighted_recall": float(recall @ share),
    }


def _per_class(matrix: Whole, classes: Sequence[str]) -> tuple[ClassScore, ...]:
    right, labelled, predicted = np.diagonal(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    precision, recall, f1 = _ratio(right, predicted), _ratio(right, labelled), _ratio(2 * right, labelled + predicted)
    return tuple(
        ClassScore(label, float(precision[at]), float(recall[at]), float(f1[at]), int(labelled[at]), int(predicted[at]))
        for at, label in enumerate(classes)
    )


# Intervals and tests


def intervals(matrix: Whole, *, seed: int = 0, draws: int = DRAWS) -> tuple[Interval, Interval]:
    """Accuracy and macro F1, each with its 95 % interval, from a confusion matrix.

    Where every row is right (or wrong) all draws are alike and the bootstrap says nothing; the exact bound of a
    proportion stands instead (Clopper & Pearson 1934), for macro F1 as a stand-in.
    """
    rows = int(matrix.sum())
    label, predicted = np.nonzero(matrix)
    counts = np.random.default_rng(seed).multinomial(rows, matrix[label, predicted] / rows, size=draws)
    right = counts[:, label == predicted].sum(axis=1) / rows
    f1 = _macro_f1(counts, label, predicted, matrix.shape[0])
    figures = _figures(matrix)
    accuracy, macro_f1 = _percentiles(figures["accuracy"], right), _percentiles(figures["macro_f1"], f1)
    if accuracy.value in (0.0, 1.0):
        edge = 0.025 ** (1 / rows)
        low, high = (edge, 1.0) if accuracy.value == 1.0 else (0.0, 1.0 - edge)
        return Interval(accuracy.value, low, high), Interval(macro_f1.value, low, high)
    return accuracy, macro_f1


def _percentiles(value: float, drawn: Floats) -> Interval:
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Interval(value, float(low), float(high))


def _macro_f1(counts: Whole, label: Whole, predicted: Whole, classes: int) -> Floats:
    """(draws,) macro F1 from (draws, cells) counts, where cell i holds rows of `label[i]` that were given `predicted[i]`."""
    right = _summed(counts[:, label == predicted], label[label == predicted], classes)
    either = _summed(counts, label, classes) + _summed(counts, predicted, classes)
    return np.asarray(_ratio(2 * right, either).sum(axis=1) / (either > 0).sum(axis=1), dtype=np.float64)


def _summed(counts: Whole, group: Whole, groups: int) -> Floats:
    """(draws, groups): the cells' counts summed by group. Exact: the sums are whole and far below 2**53."""
    member = np.zeros((len(group), groups))
    member[np.arange(len(group)), group] = 1.0
    return np.asarray(counts @ member, dtype=np.float64)


def compare(only_first_right: int, only_second_right: int) -> float:
    """McNemar's exact p: how often two equally good answerers would differ at least this much on the rows that only one got right.

    The two-sided binomial test with p = 1/2 (McNemar 1947; exact form in Fagerland, Lydersen & Laake 2013).
    """
    trials, fewer = only_first_right + only_second_right, min(only_first_right, only_second_right)
    if trials == 0:
        return 1.0
    terms = [math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1) - trials * math.log(2) for k in range(fewer + 1)]
    return min(1.0, 2 * math.fsum(math.exp(term) for term in terms))


def _compared(truth: Whole, predicted: Whole, guess: Guess, classes: int, seed: int) -> BaselineScore:
    guessed = np.asarray(guess.predicted, dtype=np.int64)
    figures = _figures(confusion_matrix(truth, guessed, classes))
    only_model = int(((predicted == truth) & (guessed != truth)).sum())
    only_baseline = int(((predicted != truth) & (guessed == truth)).sum())
    return BaselineScore(
        id=guess.id,
        name=guess.name,
        accuracy=figures["accuracy"],
        macro_f1=figures["macro_f1"],
        weighted_f1=figures["weighted_f1"],
        only_model_right=only_model,
        only_baseline_right=only_baseline,
        p_value=compare(only_model, only_baseline),
        macro_f1_gain=gain(truth, predicted, guessed, classes, seed=seed),
        note=guess.note,
    )


def gain(truth: Whole, first: Whole, second: Whole, classes: int, *, seed: int = 0, draws: int = DRAWS) -> Interval:
    """How far the first answers' macro F1 lies above the second's, with its 95 % interval from a paired bootstrap over rows."""
    cells, counted = np.unique((truth * classes + first) * classes + second, return_counts=True)
    label, one, other = cells // classes**2, cells // classes % classes, cells % classes
    counts = np.random.default_rng(seed).multinomial(len(truth), counted / len(truth), size=draws)
    drawn = _macro_f1(counts, label, one, classes) - _macro_f1(counts, label, other, classes)
    whole = counted[np.newaxis, :]
    value = _macro_f1(whole, label, one, classes) - _macro_f1(whole, label, other, classes)
    return _percentiles(float(value[0]), drawn)


# In words


def percent(share: float) -> str:
    """91.2 % with a no-break space. 100.0 % only where all is right, 0.0 % only where nothing is."""
    return f"{_points(share)}\u00a0%"


def _points(share: float) -> str:
    shown = f"{100 * share:.1f}"
    if shown == "100.0" and share < 1:
        return "99.9"
    return "0.1" if shown == "0.0" and share > 0 else shown


def p_words(p_value: float) -> str:
    """p = 0.0003, p = 0.031, p = 0.42; p < 0.0001 where it is smaller than that."""
    if p_value < 0.0001:
        return "p\u00a0<\u00a00.0001"
    places = 4 if p_value < 0.01 else 3 if p_value < 0.1 else 2
    return f"p\u00a0=\u00a0{p_value:.{places}f}"


def with_interval(figure: Interval) -> str:
    """91.2 % (90.0 to 92.4)."""
    return f"{percent(figure.value)} ({_points(figure.low)} to {_points(figure.high)})"


def verdict(
    *,
    rows: int,
    accuracy: Interval,
    macro_f1: Interval,
    uneven: bool,
    baselines: Sequence[BaselineScore],
    seen_rows: int = 0,
) -> str:
    """What a person should take from the test, in a line. `uneven`: more than two classes or one that prevails, so macro F1 is told too."""
    what = "test rows" if seen_rows else "unseen rows"
    told = [f"{percent(accuracy.value)} right on {rows:,} {what} ({_points(accuracy.low)} to {_points(accuracy.high)})"]
    told[0] += f", macro F1 {with_interval(macro_f1)}." if uneven else "."
    if rows < FEW_ROWS:
        told.append(f"So few test rows (under {FEW_ROWS}) give only a rough idea.")
    by_id = {one.id: one for one in baselines}
    majority, tfidf = by_id.get("majority"), by_id.get("tfidf")
    if majority and _sign(majority) <= 0:
        told.append(_no_better_than_guessing(majority, macro_f1, uneven=uneven))
    if tfidf:
        figure = percent(tfidf.accuracy) + (f" (macro F1 {percent(tfidf.macro_f1)})" if uneven else "")
        told.append(f"TF-IDF reaches {figure}: {_against(tfidf, uneven=uneven)}.")
    return " ".join(told)


def _sign(against: BaselineScore) -> int:
    """1 where the model has more rows right than chance allows, -1 where fewer, 0 where chance explains it."""
    if against.p_value >= CHANCE:
        return 0
    return 1 if against.only_model_right > against.only_baseline_right else -1


def _gain_sign(against: BaselineScore) -> int:
    return 1 if against.macro_f1_gain.low > 0 else -1 if against.macro_f1_gain.high < 0 else 0


def _no_better_than_guessing(majority: BaselineScore, macro_f1: Interval, *, uneven: bool) -> str:
    guessing = f"guessing the largest class ({percent(majority.accuracy)})"
    if _sign(majority) < 0:
        said = f"Right less often than {guessing}"
    elif majority.only_model_right > majority.only_baseline_right:
        said = f"Not better than {guessing} by more than chance"
    else:
        said = f"Not better than {guessing}"
    if uneven and _gain_sign(majority) > 0:
        said += f", but it does find the other classes (macro F1 {percent(macro_f1.value)} against {percent(majority.macro_f1)})"
    return said + "."


def _against(tfidf: BaselineScore, *, uneven: bool) -> str:
    p = f"(McNemar {p_words(tfidf.p_value)})"
    right = _sign(tfidf)
    balanced = _gain_sign(tfidf) if uneven else right
    match right, balanced:
        case 1, -1:
            return f"the model is right more often, by more than chance {p}, but treats the classes less evenly"
        case 1, _:
            return f"the model is better, by more than chance {p}"
        case -1, 1:
            return f"the model is right less often, by more than chance {p}, but treats the classes more evenly"
        case -1, _:
            return f"the model is worse, by more than chance {p}"
        case 0, 1:
            return f"the model's macro F1 is better, by more than chance; its rows right are not {p}"
        case 0, -1:
            return f"the model's macro F1 is worse, by more than chance; its rows right are not {p}"
    if tfidf.only_model_right == tfidf.only_baseline_right:
        return "the model is no better and no worse"
    nominal = "better" if tfidf.only_model_right > tfidf.only_baseline_right else "worse"
    return f"the model is {nominal}, but not by more than chance {p}"


def _warnings(rows_per_class: Whole, classes: Sequence[str], seen_rows: int, unseen_accuracy: float | None) -> tuple[str, ...]:
    rows = int(rows_per_class.sum())
    told = []
    if rows < FEW_ROWS:
        told.append(f"There are only {rows:,} test rows: the interval is wide, and another split would give another figure.")
    absent = [label for label, count in zip(classes, rows_per_class, strict=True) if count == 0]
    if absent:
        told.append(f"No test row has the label {', '.join(absent)}: nothing is known of the model there.")
    if seen_rows:
        told.append(f"{seen_rows:,} of the {rows:,} test texts stand among the training rows too, so the figures flatter.")
        if unseen_accuracy is not None:
            told[-1] += f" On the other {rows - seen_rows:,}: {percent(unseen_accuracy)} right."
    return tuple(told)


# Rows to look at


def samples(test: Rows, probabilities: NDArray[np.floating[Any]], classes: Sequence[str], *, limit: int = SAMPLES) -> tuple[Sample, ...]:
    """Up to `limit` rows to look at: half of them wrong where there are so many, each half spread evenly over the test rows."""
    predicted = _predicted(probabilities)
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


def _spread(from_: NDArray[np.intp], count: int) -> list[int]:
    return [int(from_[at * len(from_) // count]) for at in range(count)]


def prediction_lines(test: Rows, probabilities: NDArray[np.floating[Any]], classes: Sequence[str]) -> Iterator[str]:
    """predictions.jsonl, line by line: the row's number in the source, its label, what was predicted, every class's probability. No text."""
    predicted = _predicted(probabilities)
    for at, number in enumerate(test.numbers):
        told = {
            "row": number,
            "label": classes[test.labels[at]],
            "predicted": classes[predicted[at]],
            "probabilities": [round(float(one), 6) for one in probabilities[at]],
        }
        yield json.dumps(told, ensure_ascii=False, allow_nan=False) + "\n"
