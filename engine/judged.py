"""What is told of a judged run beyond its evaluation, read from its folder and made again only when that has changed. No torch.

predictions.jsonl        the answers to the test rows: how sure they were
model/temperature.json   {"temperature": 1.6}, where a person has its confidence corrected
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar, cast

from engine import calibration, evaluate
from engine.calibration import Answers, Confidence
from engine.store import Store

Made = TypeVar("Made")
KEPT = 8  # of runs; the answers to 25,000 test rows take some tens of megabytes


class Judged:
    """Reads what a run's test says besides its verdict. Any thread may ask."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._guard = threading.Lock()
        self._known: OrderedDict[tuple[str, str], tuple[Hashable, Any]] = OrderedDict()

    def confidence(self, run_id: str) -> Confidence | None:
        """How sure the run's model is, and how often rightly; None where its answers were not kept. Raises Refused for no run."""
        folder = self._store.folder(run_id)
        return self._once("confidence", run_id, _stamp(folder), lambda: _confidence(folder))

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


def _confidence(folder: Path) -> Confidence | None:
    told = answers_of(folder)
    return calibration.confidence_of(told) if told is not None else None


def _stamp(folder: Path, *more: str) -> tuple[tuple[int, int], ...]:
    """Changes when one of the files does."""
    return tuple(_size_and_time(folder / name) for name in ("predictions.jsonl", "evaluation.json", *more))


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        told = path.stat()
    except OSError:
        return 0, 0
    return told.st_size, told.st_mtime_ns
