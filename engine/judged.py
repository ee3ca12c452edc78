"""What is told of a judged run beyond its evaluation, read from its folder and made again only when that has changed. No torch.

predictions.jsonl        the answers to the test rows: how sure they were
model/temperature.json   {"temperature": 1.6}, where a person has its confidence corrected
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

from engine import calibration, evaluate, scoring, trained, verdict
from engine import spec as specs
from engine.baselines import Guess
from engine.calibration import Answers, Confidence
from engine.probed import Probed
from engine.store import Store
from engine.verdict import Rival

Made = TypeVar("Made")
EARLIER_RUNS = 50  # the newest, that are looked through
KEPT = 16  # of runs; the answers to 25,000 test rows take some tens of megabytes


class Judged:
    """Reads what a run's test says besides its verdict. Any thread may ask."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._guard = threading.Lock()
        self._known: OrderedDict[tuple[str, str], tuple[Hashable, Any]] = OrderedDict()

    def confidence(self, run_id: str, temperature: float | None = None) -> Confidence | None:
        """How sure the run's model is, and how often rightly; None where its answers were not kept. Raises Refused for no run.

        Corrected by this temperature, or as the model is used now.
        """
        folder = self._store.folder(run_id)
        cool = trained.temperature_of(folder / "model") if temperature is None else temperature
        return self._once(f"confidence at {cool!r}", run_id, _stamp(folder), lambda: _confidence(folder, cool))

    def earlier(self, run_id: str) -> Rival | None:
        """The newest earlier run that answered the very same test rows, against this one; None where there is none."""
        folder = self._store.folder(run_id)
        before = [one for one in self._store.ids() if one < run_id][:EARLIER_RUNS]  # an id begins with its time
        stamp = (_stamp(folder), tuple((one, _size_and_time(self._store.runs / one / "evaluation.json")) for one in before))
        return self._once("earlier", run_id, stamp, lambda: self._earlier(folder, before))

    def _earlier(self, folder: Path, before: Sequence[str]) -> Rival | None:
        mine = answers_of(folder)
        if mine is None:
            return None
        for other in before:
            theirs = _predicted(self._store.runs / other, mine)
            if theirs is not None:
                name = specs.from_json((self._store.runs / other / "spec.json").read_text("utf-8")).name or other
                return _against(mine, Guess("earlier", f"Earlier run: {name}", theirs, "The same test rows."), name)
        return None

    def _once(self, what: str, run_id: str, stamp: Hashable, make: Callable[[], Made]) -> Made:
        key = what, run_id
        with self._guard:
            if key in self._known and self._known[key][0] == stamp:
                self._known.move_to_end(key)
                return cast(Made, self._known[key][1])
        made = make()
        with self._guard:
            self._known[key] = stamp, made
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        return made


def answers_of(folder: Path) -> Answers | None:
    """A judged run's answers to its test rows; None where they cannot be read."""
    try:
        classes = evaluate.from_json((folder / "evaluation.json").read_text("utf-8")).classes
        with (folder / "predictions.jsonl").open(encoding="utf-8") as lines:
            return calibration.answers(lines, classes)
    except (OSError, ValueError):
        return None


def _predicted(folder: Path, mine: Answers) -> tuple[int, ...] | None:
    """Another run's answers (class ids) to these very rows, in their order; None where it has others."""
    try:
        judged = evaluate.from_json((folder / "evaluation.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    if judged.rows != len(mine.rows) or judged.classes != mine.classes:
        return None
    theirs = answers_of(folder)
    if theirs is None:
        return None
    predicted = dict(
        zip(zip(theirs.rows, theirs.texts, strict=True), scoring.predicted_classes(theirs.probabilities).tolist(), strict=True)
    )
    found = [predicted.get(key) for key in zip(mine.rows, mine.texts, strict=True)]
    return tuple(one for one in found if one is not None) if None not in found else None


def _against(mine: Answers, guess: Guess, name: str) -> Rival:
    predicted = scoring.predicted_classes(mine.probabilities)
    score = scoring.against(mine.labels, predicted, guess, len(mine.classes), 0)
    return Rival(score, len(mine.rows), f"the earlier run “{name}”", verdict.beside_earlier(score, name))


def untuned_beside(found: Probed) -> Rival | None:
    """The model before its training against the trained one, where a closer look asked it."""
    if found.untuned is None or found.tuned_accuracy is None:
        return None
    rows, untuned = found.untuned_rows, found.untuned
    if rows < found.test_rows:
        untuned = replace(untuned, name=f"{untuned.name} ({rows:,} of the rows)")
    told = verdict.beside_untuned(found.untuned, rows, found.test_rows, found.tuned_accuracy)
    return Rival(untuned, rows, "the untuned model", told)


def model_stamp(folder: Path) -> int:
    """Tells a run's model from the one that it becomes when the run is resumed; 0 where there is none."""
    return _size_and_time(folder / "model" / "shur.json")[1]


def _confidence(folder: Path, temperature: float) -> Confidence | None:
    told = answers_of(folder)
    return calibration.confidence_of(told, temperature=temperature) if told is not None else None


def _stamp(folder: Path, *more: str) -> tuple[tuple[int, int], ...]:
    """Changes when one of the files does."""
    return tuple(_size_and_time(folder / name) for name in ("predictions.jsonl", "evaluation.json", *more))


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        told = path.stat()
    except OSError:
        return 0, 0
    return told.st_size, told.st_mtime_ns
