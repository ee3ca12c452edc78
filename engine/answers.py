"""What a run said of each test row, read from its folder, and the rows to look at among them, whatever the task.

predictions.jsonl, or written.jsonl where no classes are told apart, in a run's folder hold a line a row.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from engine.data import corrected
from engine.errors import Problem, Refused

FILE = "predictions.jsonl"
WRITTEN = "written.jsonl"
Kind = Literal["class", "number", "tags", "text"]
Pick = Sequence[str]  # which rows: ["mistakes"], ["cell", label, predicted], ["missed", tag] …


@dataclass(frozen=True)
class Score:
    """How good a written text is, by the figure that its task tells first."""

    name: str
    value: float
    better: str  # "higher" or "lower"


@dataclass(frozen=True)
class Answer:
    """One test row and what the model said of it."""

    row: int  # 1-based number in its source
    text: str  # of a task that writes, all that the model was given
    label: str  # as it stood when the run was judged, and as a correction names it: a class, "4.5", '["a", "b"]', a wanted text
    predicted: str  # likewise
    probabilities: dict[str, float]  # of every class or tag, in the model's order; empty where there are none
    second: str | None = None  # what the model read beside the text
    numbers: tuple[float, float] | None = None  # the right one and the model's, both on the scale on which it answers
    tags: tuple[tuple[str, ...], tuple[str, ...]] | None = None  # those that the row has, and those given
    score: Score | None = None
    before: str | None = None  # what the untuned model wrote
    ended: str = "end"  # as generation says

    @property
    def kind(self) -> Kind:
        if self.numbers is not None:
            return "number"
        return "tags" if self.tags is not None else "class" if self.score is None else "text"

    @property
    def is_right(self) -> bool:
        return self.predicted == self.label

    @property
    def confidence(self) -> float:
        return self.probabilities.get(self.predicted, 0.0)

    @property
    def off(self) -> float:
        """By how much a number is too high; below 0: too low."""
        return self.numbers[1] - self.numbers[0] if self.numbers else 0.0

    @property
    def missed(self) -> tuple[str, ...]:
        """Tags that the row has and did not get."""
        return tuple(one for one in self.tags[0] if one not in self.tags[1]) if self.tags else ()

    @property
    def extra(self) -> tuple[str, ...]:
        """Tags that it got and has not."""
        return tuple(one for one in self.tags[1] if one not in self.tags[0]) if self.tags else ()

    @property
    def error(self) -> float:
        """How wrong it is, the more the worse: a distance, a count of wrong tags, 1 for another class; of a text its score."""
        if self.score is not None:
            return self.score.value if self.score.better == "lower" else -self.score.value
        return abs(self.off) if self.numbers else float(len(self.missed) + len(self.extra)) if self.tags else float(not self.is_right)

    @cached_property
    def key(self) -> corrected.Key:
        return corrected.key(self.row, self.text)


def is_there(run_folder: Path) -> bool:
    """Whether the run's answers were kept so that they can be looked at. Runs of earlier days kept of some tasks too little."""
    if (run_folder / FILE).exists():
        return True
    try:
        with (run_folder / WRITTEN).open(encoding="utf-8") as lines:
            return _kept(json.loads(next(lines, "{}")))
    except (OSError, ValueError):
        return False


def _kept(told: Mapping[str, Any]) -> bool:
    return any(name in told for name in ("numbers", "wanted_each", "score"))


def read(run_folder: Path) -> tuple[Answer, ...]:
    """The run's answers in the order of its test rows. Raises Refused where there are none, or the file is damaged."""
    name, made = (FILE, _answer) if (run_folder / FILE).exists() else (WRITTEN, _other)
    try:
        with (run_folder / name).open(encoding="utf-8") as lines:
            return tuple(made(json.loads(line)) for line in lines)
    except FileNotFoundError as error:
        raise Refused(Problem("run", "This run has no answers to look at yet.", "Wait until it has been judged.")) from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise Refused(Problem("run", "The file of this run's answers is damaged.", "Clone the run and train again.")) from error


def _answer(told: Mapping[str, Any]) -> Answer:
    chances = {str(name): float(share) for name, share in told["probabilities"].items()}
    return Answer(int(told["row"]), str(told["text"]), str(told["label"]), str(told["predicted"]), chances, told.get("second"))


def _other(told: Mapping[str, Any]) -> Answer:
    """A line of a run that gives numbers or tags, or that writes."""
    number = int(told["number"])
    if "score" in told:
        score = Score(**told["score"])
        return Answer(
            number, str(told["prompt"]), str(told["wanted"]), str(told["written"]), {},
            score=score, before=told["before"], ended=str(told["ended"]),
        )  # fmt: skip
    text, second = str(told.get("text", told["prompt"])), told.get("second")
    if "numbers" in told:
        wanted, said = map(float, told["numbers"])
        return Answer(number, text, str(told["label"]), corrected.of_number(said), {}, second, numbers=(wanted, said))
    there, given = (tuple(name for name, on in told[f"{what}_each"].items() if on) for what in ("wanted", "given"))
    chances = {str(name): float(chance) for name, chance in told["chance_each"].items()}
    return Answer(number, text, corrected.of_tags(there), corrected.of_tags(given), chances, second, tags=(there, given))


def worst_first(answers: Iterable[Answer]) -> list[Answer]:
    """The same, the most wrong first; of classes those of which the model was surest: its worst mistakes, or wrong labels."""
    return sorted(answers, key=lambda one: (-one.error, -one.confidence, one.row))


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


def name_of(pick: Pick) -> str:
    """What a group of rows is called that belongs to one label or tag."""
    match list(pick):
        case ["cell", label, said]:
            return f"{label}, called {said}"
        case ["missed", tag]:
            return f"{tag}, missed"
        case ["extra", tag]:
            return f"{tag}, given wrongly"
    return "Rows"


def groups(answers: Sequence[Answer]) -> list[tuple[Pick, str, int]]:
    """Which rows there are to look at: how they are picked, their name, and how many they are; the widest first."""
    kind = answers[0].kind if answers else "class"
    if kind == "text":
        cut = sum(one.ended in ("length", "budget") for one in answers)
        name = answers[0].score.name if answers[0].score else ""
        found: list[tuple[Pick, str, int]] = [(("mistakes",), f"Worst {name} first", len(answers))]
        return found + ([(("cut",), "Answers that were cut off", cut)] if cut else [])
    if kind == "number":
        high, low = sum(one.off > 0 for one in answers), sum(one.off < 0 for one in answers)
        return [(("mistakes",), "Largest errors first", len(answers)), (("high",), "Too high", high), (("low",), "Too low", low)]
    wrong = sum(not one.is_right for one in answers)
    if kind == "class":
        cells: list[tuple[Pick, int]] = [(("cell", label, said), rows) for label, said, rows in confusions(answers)]
        return [(("mistakes",), "All mistakes", wrong), *((pick, name_of(pick), rows) for pick, rows in cells)]
    each = Counter(("missed", tag) for one in answers for tag in one.missed)
    each.update(("extra", tag) for one in answers for tag in one.extra)
    ordered = sorted(each.items(), key=lambda item: (-item[1], item[0]))
    return [(("mistakes",), "Rows with a wrong tag", wrong), *((pick, name_of(pick), rows) for pick, rows in ordered)]


def picked(answers: Sequence[Answer], pick: Pick) -> list[Answer]:
    """The rows of a group, the worst first."""
    match list(pick):
        case ["cell", label, said]:
            return of_cell(answers, label, said)
        case ["missed", tag]:
            return sorted((one for one in answers if tag in one.missed), key=lambda one: (one.probabilities.get(tag, 0.0), one.row))
        case ["extra", tag]:
            return sorted((one for one in answers if tag in one.extra), key=lambda one: (-one.probabilities.get(tag, 0.0), one.row))
        case ["high"]:
            return worst_first(one for one in answers if one.off > 0)
        case ["low"]:
            return worst_first(one for one in answers if one.off < 0)
        case ["cut"]:
            return worst_first(one for one in answers if one.ended in ("length", "budget"))
        case _:
            return worst_first(one for one in answers if one.kind in ("number", "text") or not one.is_right)
