"""A run that was trained again with corrected labels, beside the run before it: both on the same rows with the same labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import answers
from engine.baselines import Answered, Guess
from engine.data import corrected
from engine.data.split import Prepared
from engine.data.table import counted
from engine.errors import Refused
from engine.spec import DataSpec
from engine.told import EARLIER

NAME = "The run before the corrections"
NOTE = "The same test rows, judged by the labels as they were corrected."
FRESH = "A surer test is rows that nobody has looked at."


@dataclass(frozen=True)
class Earlier:
    """The run in whose answers the corrections were found."""

    run_id: str
    guess: Guess | None  # its answers to the test rows; None where it has none to some of them, or gives no classes
    remarks: tuple[str, ...]  # what limits the comparison, a sentence each
    answered: Answered | None = None  # its answers where they are numbers or tags


def earlier_run(data: DataSpec, home: Path) -> str:
    """The newest run in whose answers these corrections were found; "" where there is none."""
    try:
        return max((one.run for one in corrected.opened(data.corrections, home)), default="")
    except Refused:
        return ""


def earlier(data: DataSpec, prepared: Prepared, home: Path) -> Earlier | None:
    """What the run before the corrections says of these test rows; None where no labels were corrected."""
    if not data.corrections:
        return None
    keys = [corrected.key(row, text) for row, text in zip(prepared.test.numbers, prepared.test.texts, strict=True)]
    remarks = _of_the_test(data, home, set(keys))
    run_id = earlier_run(data, home)
    if not run_id or Path(run_id).name != run_id:
        return Earlier("", None, remarks)
    try:
        told = {one.key: one for one in answers.read(home / "runs" / run_id)}
    except Refused:  # deleted, or never judged
        return Earlier(run_id, None, (*remarks, "The run before the corrections is not there any more to compare with."))
    said: list[Any] = [_said(told[key], prepared.classes) if key in told else None for key in keys]
    if any(one is None for one in said):
        return Earlier(run_id, None, (*remarks, "The run before the corrections was tested on other rows, so the two cannot be compared."))
    if prepared.test.values is None and prepared.test.tags is None:
        return Earlier(run_id, Guess(EARLIER, NAME, tuple(said), NOTE), remarks)
    return Earlier(run_id, None, remarks, Answered(EARLIER, NAME, tuple(said), NOTE))


def _said(one: answers.Answer, classes: Sequence[str]) -> Any:
    """What it said as the task counts it: a number, 1 or 0 for each tag, or a class id; None where there is no such class or tag."""
    if one.numbers is not None:
        return one.numbers[1]
    if one.tags is not None:
        return tuple(int(name in one.tags[1]) for name in classes) if set(one.tags[1]) <= set(classes) else None
    return classes.index(one.predicted) if one.predicted in classes else None


def _of_the_test(data: DataSpec, home: Path, tested: set[corrected.Key]) -> tuple[str, ...]:
    """What the corrections did to the test itself."""
    corrections = corrected.opened(data.corrections, home)
    changed = sum(one.key in tested for one in corrections)
    if not changed:
        return ()
    labels = counted(changed, "label of the test rows was", "labels of the test rows were")
    return (
        f"{labels} corrected after a model's answers had been seen, so this test is another than before, and a little too kind. {FRESH}",
    )
