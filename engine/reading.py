"""What the page and the shell read of runs: records, summaries and the files of a run, read again only when they have changed."""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path

from engine import account, evaluate
from engine import plan as planning
from engine import spec as specs
from engine.account import Account
from engine.errors import Problem, Refused, explain, redact
from engine.evaluate import Evaluation
from engine.plan import Plan
from engine.spec import DataSpec, RunSpec
from engine.store import RunRecord, State, Store, fold

COLOURED = re.compile(r"\x1b\[[0-9;]*m")  # how libraries print bold and colours
RECORDS_KEPT = 16  # a record of 50,000 steps takes about 10 MB


@dataclass(frozen=True)
class RunSummary:
    """One line of the list of runs."""

    id: str
    name: str
    state: State
    message: str  # what it does now, or why it ended
    created: float  # seconds since the epoch
    seconds: float  # worked so far, over all attempts
    data: str  # as in its spec: "sample:…", "hub:…", "file:…"
    model: str
    method: str
    preset: str | None
    step: int
    total_steps: int  # 0: not known yet
    accuracy: float | None  # on the test rows, 0 to 1; None until it is judged
    macro_f1: float | None
    sentence: str | None  # the verdict
    figure: str | None = None  # of a run that writes, the figure told first, in words
    study: str | None = None  # the comparison that it belongs to

    @property
    def progress(self) -> float:
        """Share of the steps done, 0 to 1; 1 only for a finished run."""
        if self.state == "finished":
            return 1.0
        return min(0.999, self.step / self.total_steps) if self.total_steps else 0.0


@dataclass
class _Followed:
    """A run's record as far as its events were read."""

    record: RunRecord
    offset: int = 0


class Reader:
    """Reads the runs of a store. Any thread may ask."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._guard = threading.RLock()
        self._followed: OrderedDict[str, _Followed] = OrderedDict()
        self._summaries: dict[str, tuple[tuple[tuple[int, int], ...], RunSummary]] = {}

    def forget(self, run_id: str) -> None:
        """Lets go of a run that was deleted."""
        with self._guard:
            self._followed.pop(run_id, None)
            self._summaries.pop(run_id, None)

    def record(self, run_id: str) -> RunRecord:
        """The run as it stands. Only what was added since the last call is read."""
        with self._guard:
            followed = self._followed.setdefault(run_id, _Followed(RunRecord(run_id)))
            self._followed.move_to_end(run_id)
            while len(self._followed) > RECORDS_KEPT:
                self._followed.popitem(last=False)
            try:
                if _size_and_time(self.store.folder(run_id) / "events.jsonl")[0] < followed.offset:
                    followed.record, followed.offset = RunRecord(run_id), 0  # the file was cut short by hand or by a crash
                events, followed.offset = self.store.read(run_id, followed.offset)
            except Refused:
                self._followed.pop(run_id, None)
                raise
            if events:
                followed.record = fold(followed.record, events)
            return followed.record

    def runs(self) -> list[RunSummary]:
        """All runs, newest first. A run is read again only when its files have changed."""
        found = []
        for run_id in self.store.ids():
            try:
                found.append(self._summary(run_id))
            except (OSError, Refused):  # deleted while the list is made
                continue
        return sorted(found, key=lambda one: (one.created, one.id), reverse=True)

    def _summary(self, run_id: str) -> RunSummary:
        folder = self.store.folder(run_id)
        stamp = tuple(_size_and_time(folder / name) for name in ("events.jsonl", "spec.json", "evaluation.json", account.FILE))
        with self._guard:
            known = self._summaries.get(run_id)
            if known is None or known[0] != stamp:
                known = stamp, self._summarise(run_id, folder)
                self._summaries[run_id] = known
        summary = known[1]
        if summary.state == "running":
            begun = self.record(run_id).begun
            return replace(summary, seconds=summary.seconds + max(0.0, time.time() - begun))
        return summary

    def _summarise(self, run_id: str, folder: Path) -> RunSummary:
        record = self.record(run_id)
        try:
            spec = specs.from_json(self.spec_json(run_id))
        except Refused:
            spec = RunSpec(DataSpec(""), "", method="", preset=None, name=f"{run_id} (its spec is damaged)")
        judged, told = self.evaluation(run_id), self.account(run_id)
        return RunSummary(
            id=run_id,
            name=spec.name or run_id,
            state=record.state,
            message=record.message,
            created=record.created or (folder / "spec.json").stat().st_mtime,
            seconds=record.seconds,
            data=spec.data.known_as,
            model=spec.model,
            method=spec.method,
            preset=spec.preset,
            step=record.step,
            total_steps=record.total_steps,
            accuracy=judged.accuracy.value if judged else None,
            macro_f1=judged.macro_f1.value if judged else None,
            sentence=judged.sentence if judged else told.sentence if told else None,
            figure=account.headline_words(told) if told else None,
            study=spec.study,
        )

    def evaluation(self, run_id: str) -> Evaluation | None:
        """The verdict on the test rows; None until the run is judged."""
        try:
            return evaluate.from_json((self.store.folder(run_id) / "evaluation.json").read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return None

    def account(self, run_id: str) -> Account | None:
        """The verdict on a run that writes; None until it is judged, and for a run that gives classes."""
        try:
            return account.from_json((self.store.folder(run_id) / account.FILE).read_text("utf-8"))
        except (OSError, ValueError):
            return None

    def plan(self, run_id: str) -> Plan:
        """What was decided for the run. Raises Refused where its plan cannot be read."""
        try:
            return planning.from_json((self.store.folder(run_id) / "plan.json").read_text("utf-8"))
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise Refused(Problem("run", "This run's plan cannot be read.", "Clone the run to plan it anew.")) from error

    def spec_json(self, run_id: str) -> str:
        """The run's spec as JSON text, for `python -m engine train --spec FILE`."""
        try:
            return (self.store.folder(run_id) / "spec.json").read_text("utf-8")
        except (OSError, ValueError) as error:
            raise Refused(explain(error)) from error

    def log_tail(self, run_id: str, limit_bytes: int = 20_000) -> str:
        """The end of the run's log, without colours and anything that looks like a token."""
        path = self.store.folder(run_id) / "log.txt"
        try:
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - limit_bytes))
                return redact(COLOURED.sub("", file.read().decode("utf-8", "replace")))
        except FileNotFoundError:
            return ""


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        told = path.stat()
    except FileNotFoundError:
        return 0, 0
    return told.st_size, told.st_mtime_ns
