"""Studio: the one object that a page or a shell is given. It looks, previews, starts runs and reads them; it never loads torch.

Everything that it tells about a run is read from the run's folder, so two pages, a page and a shell, or a page after a restart
see the same.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import threading
import time
import unicodedata
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine import catalog as presets
from engine import plan as planning
from engine import spec as specs
from engine.catalog import Catalog
from engine.data.profile import DataFacts
from engine.errors import Problem, Refused, explain, redact
from engine.events import Event
from engine.facts import FILE, Facts
from engine.hardware import Hardware
from engine.knobs import Value
from engine.methods import Method, all_methods
from engine.models import ModelFacts
from engine.plan import Plan
from engine.spec import DataSpec, RunSpec
from engine.store import RunRecord, State, Store, fold, write_whole
from engine.supervisor import WORKER, Supervisor
from engine.tasks import Task, all_tasks

if TYPE_CHECKING:
    from engine.evaluate import Evaluation
    from engine.predict import Prediction

LIMIT_BYTES = 500_000_000
SHARED_LIMIT_BYTES = 100_000_000
RECORDS_KEPT = 16
NAME_CHARACTERS = 80


@dataclass(frozen=True)
class Preview:
    """What will happen if Start is pressed. `plan` is None while a problem keeps it from being made."""

    problems: tuple[Problem, ...]
    plan: Plan | None
    data: DataFacts | None
    model: ModelFacts | None

    @property
    def is_ready(self) -> bool:
        return self.plan is not None and all(problem.severity != "error" for problem in self.problems)


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


class Studio:
    """Everything that a person can do, on one home folder."""

    def __init__(self, home: Path, *, share: bool = False, limit_bytes: int | None = None, worker: Sequence[str] = WORKER) -> None:
        self.home = Path(home).resolve()
        self.share = share
        self.limit_bytes = limit_bytes or (SHARED_LIMIT_BYTES if share else LIMIT_BYTES)
        self.catalog: Catalog = presets.load()
        self.methods: Mapping[str, Method] = all_methods()
        self.tasks: Mapping[str, Task] = all_tasks()
        self.store = Store(self.home)
        self.facts = Facts(self.home, share=share, limit_bytes=self.limit_bytes)
        self._guard = threading.RLock()
        self._followed: OrderedDict[str, _Followed] = OrderedDict()
        self._summaries: dict[str, tuple[tuple[int, ...], RunSummary]] = {}
        self._supervisor = Supervisor(self.store, worker)
        self._supervisor.start()

    @property
    def hardware(self) -> Hardware:
        """The machine, as it was at most a few seconds ago."""
        return self.facts.hardware()

    @property
    def trouble(self) -> str:
        """What keeps the queue from moving, in words; usually ""."""
        return self._supervisor.trouble

    # Before a run

    def add_upload(self, path: str | Path, name: str) -> str:
        """Takes a file in and returns its source, "file:uploads/…". The same bytes are kept once. Raises Refused above the limit."""
        uploads = self.home / "uploads"
        uploads.mkdir(parents=True, exist_ok=True)
        beside = uploads / f".{secrets.token_hex(8)}"
        try:
            sha256 = _copy(Path(path), beside, self.limit_bytes)
            folder = uploads / sha256[:16]
            folder.mkdir(exist_ok=True)
            target = folder / _safe_name(name)
            os.replace(beside, target)
        finally:
            beside.unlink(missing_ok=True)
        return f"{FILE}{target.relative_to(self.home).as_posix()}"

    def inspect(self, data: DataSpec, settings: Mapping[str, Value] | None = None, token: str | None = None) -> DataFacts:
        """What is in the data. Raises Refused with everything that is wrong with it."""
        return self.facts.data(data, settings or {}, _token(token))

    def model(self, model: str, token: str | None = None) -> ModelFacts:
        """What is known of a model. Raises Refused, with the fix, for one that cannot be used."""
        return self.facts.model(model, _token(token))

    def preview(self, spec: RunSpec, token: str | None = None) -> Preview:
        """What would happen, or every problem that keeps it from happening. Never raises Refused."""
        self.facts.measure(wait=False)
        return self._preview(spec, _token(token))

    def _preview(self, spec: RunSpec, token: str | None) -> Preview:
        problems: list[Problem] = []
        data: DataFacts | None = None
        model: ModelFacts | None = None
        tokens = None
        try:
            data = self.facts.data(spec.data, spec.settings, token)
        except Refused as error:
            problems += error.problems
        try:
            model = self.facts.model(spec.model, token)
            if data is not None:
                tokens = self.facts.tokens(model, data, token)
        except Refused as error:
            problems += error.problems
        hardware = self.hardware
        problems += planning.check(spec, data, model, tokens, hardware, self.catalog)
        problems = list(dict.fromkeys(problems))
        made: Plan | None = None
        if data is not None and model is not None and all(problem.severity != "error" for problem in problems):
            try:
                made = planning.plan(spec, data, model, tokens, hardware, self.catalog)
            except Refused as error:
                problems += [problem for problem in error.problems if problem not in problems]
        return Preview(tuple(problems), made, data, model)

    # Runs

    def start(self, spec: RunSpec, token: str | None = None) -> str:
        """Puts a run in the queue and returns its id. Raises Refused with every error that `preview` shows."""
        self.facts.measure(wait=True)
        preview = self._preview(spec, _token(token))
        if preview.plan is None or not preview.is_ready:
            raise Refused(*(problem for problem in preview.problems if problem.severity == "error"))
        spec = replace(spec, name=_clean_name(spec.name or "") or _name_of(spec), data=self._lasting(spec.data))
        return self._supervisor.submit(specs.to_json(spec), planning.to_json(preview.plan), spec.name or "", _token(token))

    def _lasting(self, data: DataSpec) -> DataSpec:
        """Paths that hold from every working folder: whole, or relative to the home."""
        located = self.facts.located(data)

        def kept(source: str) -> str:
            path = Path(source.removeprefix(FILE))
            inside = source.startswith(FILE) and path.is_relative_to(self.home)
            return f"{FILE}{path.relative_to(self.home).as_posix()}" if inside else source

        return replace(located, source=kept(located.source), test=kept(located.test) if located.test else None)

    def stop(self, run_id: str) -> None:
        """Asks a run to save and end at its next step; takes a waiting one out of the queue."""
        self._supervisor.stop(run_id)

    def kill(self, run_id: str) -> None:
        """Ends a run's process at once. What was saved before stays."""
        self._supervisor.kill(run_id)

    def resume(self, run_id: str, token: str | None = None) -> None:
        """Puts a stopped, failed or killed run back in the queue. Raises Refused for any other."""
        self._supervisor.resume(run_id, token)

    def delete(self, run_id: str) -> None:
        """Removes a run and all that it made. Raises Refused while it is at work."""
        self._supervisor.delete(run_id)
        with self._guard:
            self._followed.pop(run_id, None)
            self._summaries.pop(run_id, None)

    def rename(self, run_id: str, name: str) -> None:
        """Gives a run another name. Raises Refused for a blank one."""
        cleaned = _clean_name(name)
        if not cleaned:
            raise Refused(Problem("name", "The name is empty.", "Write a name."))
        spec = replace(specs.from_json(self.spec_json(run_id)), name=cleaned)
        write_whole(self.store.folder(run_id) / "spec.json", specs.to_json(spec).encode())

    def clone(self, run_id: str) -> RunSpec:
        """What was asked for in that run, for a new one. Raises Refused where its spec cannot be read."""
        return replace(specs.from_json(self.spec_json(run_id)), name=None)

    def read(self, run_id: str, offset: int = 0) -> tuple[list[Event], int]:
        """The run's events from a byte offset on, and the offset to read from next time."""
        return self.store.read(run_id, offset)

    def record(self, run_id: str) -> RunRecord:
        """The run as it stands. Only what was added since the last call is read."""
        with self._guard:
            followed = self._followed.setdefault(run_id, _Followed(RunRecord(run_id)))
            self._followed.move_to_end(run_id)
            while len(self._followed) > RECORDS_KEPT:
                self._followed.popitem(last=False)
            try:
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
        stamp = tuple(_size_and_time(folder / name) for name in ("events.jsonl", "spec.json", "evaluation.json"))
        flat = tuple(number for pair in stamp for number in pair)
        with self._guard:
            known = self._summaries.get(run_id)
            if known is None or known[0] != flat:
                known = flat, self._summarise(run_id, folder)
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
        judged = self.evaluation(run_id)
        return RunSummary(
            id=run_id,
            name=spec.name or run_id,
            state=record.state,
            message=record.message,
            created=record.created or (folder / "spec.json").stat().st_mtime,
            seconds=record.seconds,
            data=spec.data.source,
            model=spec.model,
            method=spec.method,
            preset=spec.preset,
            step=record.step,
            total_steps=record.total_steps,
            accuracy=judged.accuracy.value if judged else None,
            macro_f1=judged.macro_f1.value if judged else None,
            sentence=judged.sentence if judged else None,
        )

    def evaluation(self, run_id: str) -> Evaluation | None:
        """The verdict on the test rows; None until the run is judged."""
        from engine import evaluate

        try:
            return evaluate.from_json((self.store.folder(run_id) / "evaluation.json").read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return None

    def plan(self, run_id: str) -> Plan:
        """What was decided for the run. Raises Refused where its plan cannot be read."""
        try:
            return planning.from_json((self.store.folder(run_id) / "plan.json").read_text("utf-8"))
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise Refused(Problem("run", "This run's plan cannot be read.", "Clone the run to plan it anew.")) from error

    def spec_json(self, run_id: str) -> str:
        """The run's spec as JSON text, for `python -m engine train --spec FILE`."""
        try:
            return (self.store.folder(run_id) / "spec.json").read_text("utf-8")
        except (OSError, ValueError) as error:
            raise Refused(explain(error)) from error

    def log_tail(self, run_id: str, limit_bytes: int = 20_000) -> str:
        """The end of the run's log, without anything that looks like a token."""
        path = self.store.folder(run_id) / "log.txt"
        try:
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - limit_bytes))
                return redact(file.read().decode("utf-8", "replace"))
        except FileNotFoundError:
            return ""

    # Afterwards

    def export(self, run_id: str) -> Path:
        """The zip to take home. Raises Refused for a run without a model."""
        from engine.export import export

        return export(self.store, run_id)

    def predict(self, run_id: str, texts: Sequence[str]) -> list[Prediction]:
        """What the run's model says of each text. Raises Refused for a run without a model."""
        raise NotImplementedError

    def close(self) -> None:
        """Ends the background work of this process. Runs go on."""
        self._supervisor.close()


def _token(token: str | None) -> str | None:
    return token or os.environ.get("HF_TOKEN") or None


def _name_of(spec: RunSpec) -> str:
    """What a run is called that the person gave no name: its data, model and method."""
    source = spec.data.source
    data = Path(source.removeprefix(FILE)).stem if source.startswith(FILE) else source.split(":", 1)[-1].split("/")[-1]
    model = Path(spec.model).name
    return _clean_name(f"{data} · {model} · {spec.method}")


def _clean_name(name: str) -> str:
    printable = "".join(" " if unicodedata.category(one) in ("Cc", "Zl", "Zp") else one for one in name)
    return " ".join(printable.split())[:NAME_CHARACTERS].strip()


def _safe_name(name: str) -> str:
    """A file name that is one on every system: no folders, no control characters, at most 120 bytes, its ending kept."""
    last = re.split(r"[/\\]", name)[-1]
    plain = re.sub(r'[\x00-\x1f\x7f<>:"|?*]', "_", unicodedata.normalize("NFC", last)).strip(" .")
    stem, dot, ending = plain.rpartition(".") if len(plain.rpartition(".")[2]) <= 8 else (plain, "", "")
    short = (stem or ending).encode()[:100].decode("utf-8", "ignore").strip(" .")
    return f"{short}{dot}{ending}" if stem and short else (short or "data")


def _copy(source: Path, target: Path, limit_bytes: int) -> str:
    """Copies in pieces and returns the sha256. Raises Refused as soon as the limit is passed."""
    digest, done = hashlib.sha256(), 0
    with source.open("rb") as read, target.open("xb") as write:
        while piece := read.read(1 << 20):
            done += len(piece)
            if done > limit_bytes:
                limit = f"{limit_bytes / 1e6:,.0f} MB"
                raise Refused(Problem("data.source", f"The file is larger than {limit}.", f"Upload a part of at most {limit}."))
            digest.update(piece)
            write.write(piece)
        write.flush()
        os.fsync(write.fileno())
    return digest.hexdigest()


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        told = path.stat()
    except FileNotFoundError:
        return 0, 0
    return told.st_size, told.st_mtime_ns
