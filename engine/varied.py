"""What differs between the runs of a study: the method; or, with one method, the fold, the share of rows, or rows made from them. Pure.

Each line of a study is an arm: a method, or a variant, which is some settings over those that all share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from engine.augment import NAMES as WAYS
from engine.augment import NONE, SUITED
from engine.data.split import Split
from engine.errors import Problem, Refused
from engine.knobs import Value, knobs_of, read
from engine.spec import RunSpec
from engine.tasks import all_tasks

Varies = Literal["methods", "folds", "shares", "made"]
TITLES: dict[Varies, str] = {"methods": "Method", "folds": "Fold", "shares": "Training rows", "made": "Training rows"}
NAMES: dict[Varies, str] = {
    "methods": "Comparison of methods",
    "folds": "Cross-validation",
    "shares": "Learning curve",
    "made": "With and without more data",
}
FOLDS = 5  # unless another number is asked for
ENOUGH_ROWS = 5_000  # from here on one test set tells enough, and folds cost more than they tell
SHARES = (0.1, 0.25, 0.5, 1.0)
MOST_SHARES = 8


@dataclass(frozen=True)
class Variants:
    """The arms of a study of one method: id -> the settings that are its own. Of methods there are none: they are the arms."""

    varies: Varies = "methods"
    settings: dict[str, dict[str, Value]] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """The settings that differ, which no other setting of the study may hold."""
        return frozenset(name for settings in self.settings.values() for name in settings)


def in_folds(count: int) -> Variants:
    """Cross-validation: a run for each fold. Raises Refused for a number that cannot be."""
    number = _read("folds", count, "study.folds")
    return Variants("folds", {f"fold-{at}": {"folds": int(number), "fold": at} for at in range(1, int(number) + 1)})


def by_shares(shares: Sequence[float]) -> Variants:
    """A learning curve: a run for each share of the training rows, all of them the last. Raises Refused for what is no share."""
    read_shares = sorted({_read("train_share", one, "study.shares") for one in shares})
    if not 2 <= len(read_shares) <= MOST_SHARES:
        message = f"{len(read_shares)} different shares are given; a curve takes 2 to {MOST_SHARES}."
        raise Refused(Problem("study.shares", message, "Give for example 0.1, 0.25, 0.5 and 1."))
    return Variants("shares", {f"share-{one:g}": {"train_share": one} for one in read_shares})


def with_and_without(asked: RunSpec) -> Variants:
    """A run with the rows that its way of making more makes, and one without. Raises Refused where none are made."""
    task, kind = all_tasks().get(asked.task), asked.settings.get("augment")
    if task is not None and task.target not in SUITED:
        message = f"Rows are made only where a text gets a label, tags or a number, and in “{task.name}” it gets none of them."
        fix = "Compare methods, cross-validate, or see whether more rows would help."
        raise Refused(Problem("settings.augment", message, fix))
    if kind not in WAYS:
        message = "No way to make more rows is chosen, so there is nothing to compare with."
        raise Refused(Problem("settings.augment", message, f"Set augment to {', '.join(WAYS)}."))
    return Variants("made", {"without": {"augment": NONE}, "with": {"augment": str(kind)}})


def _read(name: str, raw: float, field: str) -> float:
    knob = next(one for one in knobs_of(Split) if one.name == name)
    value, problem = read(knob, raw)
    if problem is not None or value is None:
        told = problem or Problem(field, f"{knob.label} is empty.", "Give a number.")
        raise Refused(Problem(field, told.message, told.fix))
    return float(value)


def name_of(varies: Varies, settings: Mapping[str, Value], method: str) -> str:
    """What an arm is called."""
    match varies:
        case "folds":
            return f"Fold {settings['fold']} of {settings['folds']}"
        case "shares":
            return f"{100 * float(settings['train_share']):g}\u00a0% of the rows"
        case "made":
            kind = str(settings["augment"])
            return "As they came" if kind == NONE else f"With rows made by {WAYS[kind]}"
        case "methods":
            return method


def notes_of(varies: Varies) -> tuple[str, ...]:
    """What is equal in a study of one method and what differs, a sentence each."""
    same = "Equal for all: model, method, learning rate, batch, text length and every other setting."
    match varies:
        case "folds":
            return (
                same,
                "Every row is tested once, by a model that has not learnt from it; of the other rows a part is kept for validation.",
                "A test set that was given is left aside: the folds are cut from the other rows.",
            )
        case "shares":
            return (
                same,
                "The validation and the test rows are the same, and a smaller share of the training rows is part of every larger one.",
                "Every run takes the same number of steps, so that rows are compared and not time; of each the best checkpoint is kept.",
            )
        case "made":
            return (
                same,
                "The validation and the test rows are the same and as they came; only the training rows have copies beside them.",
                "Both take the same number of steps, so that rows are compared and not time; of each the best checkpoint is kept.",
            )
        case "methods":
            return ()
