"""What a run said of each test row, read from its predictions.jsonl, and the rows to look at among them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from engine.data import corrected
from engine.errors import Problem, Refused

FILE = "predictions.jsonl"


@dataclass(frozen=True)
class Answer:
    """One test row and what the model said of it."""

    row: int  # 1-based number in its source
    text: str
    label: str  # as it stood when the run was judged
    predicted: str
    probabilities: dict[str, float]  # of every class, in the model's order
    second: str | None = None  # what the model read beside the text

    @property
    def is_right(self) -> bool:
        return self.predicted == self.label

    @property
    def confidence(self) -> float:
        return self.probabilities.get(self.predicted, 0.0)

    @cached_property
    def key(self) -> corrected.Key:
        return corrected.key(self.row, self.text)


def read(run_folder: Path) -> tuple[Answer, ...]:
    """The run's answers in the order of its test rows. Raises Refused where there are none, or the file is damaged."""
    try:
        with (run_folder / FILE).open(encoding="utf-8") as lines:
            return tuple(_answer(line) for line in lines)
    except FileNotFoundError as error:
        raise Refused(Problem("run", "This run has no answers to look at yet.", "Wait until it has been judged.")) from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise Refused(Problem("run", "The file of this run's answers is damaged.", "Clone the run and train again.")) from error


def _answer(line: str) -> Answer:
    told = json.loads(line)
    chances = {str(name): float(share) for name, share in told["probabilities"].items()}
    return Answer(int(told["row"]), str(told["text"]), str(told["label"]), str(told["predicted"]), chances, told.get("second"))


def surest_first(answers: Iterable[Answer]) -> list[Answer]:
    """The same, those first of which the model was surest: a sure mistake is the model's worst, or a wrong label."""
    return sorted(answers, key=lambda one: (-one.confidence, one.row))


def of_cell(answers: Sequence[Answer], label: str, predicted: str) -> list[Answer]:
    """The rows of one cell of the confusion matrix, surest first."""
    return surest_first(one for one in answers if one.label == label and one.predicted == predicted)


def confusions(answers: Sequence[Answer]) -> list[tuple[str, str, int]]:
    """The cells off the diagonal that hold rows, (label, predicted, rows), the fullest first."""
    found = Counter((one.label, one.predicted) for one in answers if not one.is_right)
    return [(label, predicted, rows) for (label, predicted), rows in sorted(found.items(), key=lambda item: (-item[1], item[0]))]
