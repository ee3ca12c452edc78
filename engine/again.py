"""A run that was trained again with corrected labels, beside the run before it: both on the same rows with the same labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine import answers
from engine.baselines import Guess
from engine.data import corrected
from engine.data.split import Prepared
from engine.data.table import counted
from engine.errors import Refused
from engine.spec import DataSpec

EARLIER = "earlier"  # id of the baseline
NAME = "The run before the corrections"
NOTE = "The same test rows, judged by the labels as they were corrected."
FRESH = "A surer test is rows that nobody has looked at."


@dataclass(frozen=True)
class Earlier:
    """The run in whose answers the corrections were found."""

    run_id: str
    guess: Guess | None  # its answers to the test rows; None where it has none to some of them
    remarks: tuple[str, ...]  # what limits the comparison, a sentence each


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
        told = {one.key: one.predicted for one in answers.read(home / "runs" / run_id)}
    except Refused:  # deleted, or never judged
        return Earlier(run_id, None, (*remarks, "The run before the corrections is not there any more to compare with."))
    numbers = {name: at for at, name in enumerate(prepared.classes)}
    if any(key not in told or told[key] not in numbers for key in keys):
        return Earlier(run_id, None, (*remarks, "The run before the corrections was tested on other rows, so the two cannot be compared."))
    return Earlier(run_id, Guess(EARLIER, NAME, tuple(numbers[told[key]] for key in keys), NOTE), remarks)


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
