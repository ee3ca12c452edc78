"""A run is a folder: create, append, read from an offset, fold, list, delete. The events on disk are the truth.

    HOME/runs/<id>/spec.json  plan.json  events.jsonl  log.txt  checkpoints/  model/  evaluation.json  predictions.jsonl
    HOME/uploads/<id>/NAME    HOME/cache/    HOME/studies/<id>/study.json (studies.py)

events.jsonl has one writer at a time: the worker while it lives, the supervisor before and after.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

from engine.errors import Problem, Refused
from engine.events import (
    Ended,
    Evaluated,
    Event,
    Progress,
    Queued,
    Resources,
    Sampled,
    Saved,
    Started,
    Step,
    Warned,
    from_line,
    to_line,
)

RUN_ID = re.compile(r"[a-z0-9][a-z0-9-]{3,80}")
State = Literal["new", "queued", "running", "finished", "stopped", "failed", "killed"]


@dataclass(frozen=True)
class RunRecord:
    """The fold of a run's events. Never the truth: `fold` makes it again from nothing."""

    id: str
    state: State = "new"
    phase: str = ""
    message: str = ""  # what it does now, in words
    done: int = 0
    total: int = 0
    step: int = 0
    total_steps: int = 0
    started: Started | None = None
    created: float = 0.0
    begun: float = 0.0  # of the current attempt
    updated: float = 0.0
    ended: Ended | None = None
    steps: tuple[Step, ...] = ()
    evaluations: tuple[Evaluated, ...] = ()
    resources: tuple[Resources, ...] = ()
    warnings: tuple[Warned, ...] = ()
    saved: tuple[Saved, ...] = ()
    samples: tuple[dict[str, Any], ...] = ()
    attempts: int = 0
    seconds: float = 0.0  # worked, over all attempts that ended

    @property
    def is_over(self) -> bool:
        return self.state in ("finished", "stopped", "failed", "killed")


@dataclass
class _Folding:
    """Growing lists behind a RunRecord, so that folding n events costs n, not n squared."""

    record: RunRecord
    steps: list[Step] = field(default_factory=list)
    evaluations: list[Evaluated] = field(default_factory=list)
    resources: list[Resources] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)
    saved: list[Saved] = field(default_factory=list)


def fold(record: RunRecord, events: Iterable[Event]) -> RunRecord:
    """The record after these events. A resumed run's steps past the checkpoint it went on from are replaced by the new ones."""
    work = _Folding(record, list(record.steps), list(record.evaluations), list(record.resources), list(record.warnings), list(record.saved))
    for event in events:
        work.record = replace(_folded(work, event), updated=event.time)
    return replace(
        work.record,
        steps=tuple(work.steps),
        evaluations=tuple(work.evaluations),
        resources=tuple(work.resources),
        warnings=tuple(work.warnings),
        saved=tuple(work.saved),
    )


def _folded(work: _Folding, event: Event) -> RunRecord:
    record = work.record
    match event:
        case Queued():
            lost = event.time - record.begun if record.state == "running" else 0.0  # an attempt that ran out of memory has no Ended
            created, seconds = record.created or event.time, record.seconds + max(0.0, lost)
            return replace(record, state="queued", message="Waiting for its turn", created=created, seconds=seconds, ended=None)
        case Started():
            return replace(record, state="running", started=event, begun=event.time, ended=None, attempts=record.attempts + 1)
        case Progress():
            return replace(record, phase=event.phase, message=event.message, done=event.done, total=event.total)
        case Step():
            if work.steps and work.steps[-1].step >= event.step:
                while work.steps and work.steps[-1].step >= event.step:
                    work.steps.pop()
                work.evaluations[:] = [one for one in work.evaluations if one.step < event.step]
            work.steps.append(event)
            return replace(record, step=event.step, total_steps=event.total)
        case Evaluated():
            last = work.evaluations[-1] if work.evaluations else None
            if last and (last.split != event.split or last.step >= event.step):  # told again, by a resumed run
                work.evaluations[:] = [one for one in work.evaluations if one.split != event.split or one.step < event.step]
            work.evaluations.append(event)
        case Sampled():
            return replace(record, samples=event.rows)
        case Resources():
            work.resources.append(event)
        case Saved():
            work.saved.append(event)
        case Warned():
            work.warnings.append(event)
        case Ended():
            return replace(record, state=event.status, ended=event, message=event.reason, seconds=record.seconds + event.seconds)
    return record


class Store:
    """The runs under one home folder. Holds no state of its own besides the path."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.runs = home / "runs"

    def create(self, spec_json: str, plan_json: str, name: str, now: float | None = None) -> str:
        """A new run's id, its folder on disk with spec.json and plan.json. The id says when and what: 20261122-2357-reviews-lora-x3f."""
        now = time.time() if now is None else now
        words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-") or "run"
        moment = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
        self.runs.mkdir(parents=True, exist_ok=True)
        while True:
            folder = self.runs / (run_id := f"{moment}-{words}-{secrets.token_hex(2)}")
            with contextlib.suppress(FileExistsError):  # of 200 runs of one second two get the same id in every fourth try
                folder.mkdir()
                break
        write_whole(folder / "plan.json", plan_json.encode())
        write_whole(folder / "spec.json", spec_json.encode())
        return run_id

    def folder(self, run_id: str) -> Path:
        """The run's folder. Raises Refused for an id that is none, so that no path from outside gets through."""
        if not RUN_ID.fullmatch(run_id) or not (self.runs / run_id).is_dir():
            raise Refused(Problem("run", f"There is no run {run_id!r}.", "Pick one from the list under Runs."))
        return self.runs / run_id

    def append(self, run_id: str, event: Event) -> None:
        append_event(self.folder(run_id) / "events.jsonl", event)

    def read(self, run_id: str, offset: int = 0) -> tuple[list[Event], int]:
        """The events from byte `offset` on, and the offset for the next read. Only whole lines are read; a damaged one is passed over."""
        path = self.folder(run_id) / "events.jsonl"
        if not path.exists():
            return [], 0
        with path.open("rb") as file:
            file.seek(offset)
            grown = file.read()
        whole = grown[: grown.rfind(b"\n") + 1]
        events = []
        for line in whole.splitlines():
            try:
                events.append(from_line(line.decode()))
            except ValueError:
                continue
        return events, offset + len(whole)

    def record(self, run_id: str) -> RunRecord:
        return fold(RunRecord(run_id), self.read(run_id)[0])

    def ids(self) -> list[str]:
        """All runs, newest first. A folder without spec.json was never whole and is left out."""
        if not self.runs.is_dir():
            return []
        return sorted(
            (one.name for one in self.runs.iterdir() if (one / "spec.json").exists() and RUN_ID.fullmatch(one.name)), reverse=True
        )

    def json(self, run_id: str, name: str) -> dict[str, Any] | None:
        """A JSON file of the run ("spec.json", "plan.json", "evaluation.json"), or None where it is not there yet."""
        path = self.folder(run_id) / name
        return json.loads(path.read_text("utf-8")) if path.exists() else None

    def delete(self, run_id: str) -> None:
        """Removes the run's folder. Renamed first, so that a half-deleted run is never listed."""
        folder = self.folder(run_id)
        gone = folder.with_name(f".deleted-{folder.name}")
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def append_event(path: Path, event: Event) -> None:
    """Adds one whole line in one write. A line that a crash left half written is closed first, so it damages no other."""
    line = to_line(event).encode("utf-8", "replace") + b"\n"  # a file name may hold what UTF-8 cannot say
    with path.open("ab") as file:
        if file.tell():
            with path.open("rb") as before:
                before.seek(-1, os.SEEK_END)
                if before.read(1) != b"\n":
                    line = b"\n" + line
        file.write(line)


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file so that it is either the old one or the whole new one, also after a crash."""
    write_whole_with(path, lambda file: file.write(content))


def write_whole_with(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """As `write_whole`, for content that `write` puts into the open file itself."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with beside.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
