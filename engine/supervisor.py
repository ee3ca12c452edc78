"""The background thread that runs the queue: starts workers, watches them, says why one died, and finds those that outlived an app.

One dispatcher per home: whoever holds HOME/dispatcher.lock starts and buries; every other app or shell on the same home only adds
to the queue and asks, and takes over when the lock comes free. All that it needs to know lies in the run folders, so a dispatcher
may be killed at any moment and the next one goes on:

    events.jsonl   the last Queued, Started or Ended tells whether the run waits, works or is over
    stop, kill     asked for by a person; `stop` is obeyed by the worker, `kill` by the dispatcher
    born.json      the system's counters when the worker was started (obituary.py)
    HOME/bell      grows by a byte when somebody asks for something, so that an idle dispatcher looks at one file only
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import filelock
import psutil

from engine.errors import Problem, Refused, ShurError, explain
from engine.events import Ended, Progress, Queued, Started
from engine.hub import DATASETS_CACHE, datasets_cache
from engine.obituary import inquire, marks, obituary, ran_out_of_memory, tail
from engine.processes import Birth, Trail, Worker, running, same_process, spawn
from engine.repair import last_phase, repaired
from engine.store import Store

WORKER = (sys.executable, "-m", "engine.worker")
WATCH_SECONDS = 0.2  # between looks at a live worker; one look takes about 20 us
IDLE_SECONDS = 0.5  # between looks at the bell
SWEEP_SECONDS = 20.0  # between looks at every run, whatever the bell says
GRACE_SECONDS = 10.0  # how old a run without Queued must be before its submission counts as broken off
OWNER_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH")  # all that huggingface_hub looks at in the environment
EXIT_SECONDS = 20.0  # how long a worker may take to leave after it told its end


@dataclass
class Supervisor:
    """Runs the queue of one home. Made once per process; `start` begins the thread, `close` ends it and leaves workers alone."""

    store: Store
    command: Sequence[str] = WORKER  # the run's folder is added as the last argument
    share: bool = False  # others reach the page: workers do not get the owner's token from the environment
    clock: Callable[[], float] = time.time
    grace_seconds: float = GRACE_SECONDS
    exit_seconds: float = EXIT_SECONDS
    make_room: Callable[[], None] = lambda: None  # called before a worker is started
    trouble: str = ""  # what keeps the thread from its work, in words
    _trails: dict[str, Trail] = field(default_factory=dict)
    _live: dict[str, Worker] = field(default_factory=dict)
    _tokens: dict[str, str] = field(default_factory=dict)  # in memory only
    _wake: threading.Event = field(default_factory=threading.Event)
    _guard: threading.RLock = field(default_factory=threading.RLock)
    _closing: bool = False
    _thread: threading.Thread | None = None
    _bell_seen: tuple[int, int] = (-1, -1)
    _swept: float = 0.0
    _said: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        # A singleton or a lock per thread would let two supervisors of one process both dispatch.
        self._lock = filelock.FileLock(self.store.home / "dispatcher.lock", thread_local=False, is_singleton=False)
        self._bell = self.store.home / "bell"

    # What a person asks for; any process on the home may

    def submit(self, spec_json: str, plan_json: str, name: str, token: str | None = None) -> str:
        """A new run at the end of the queue; its id. The token reaches the worker's environment and nothing else."""
        run_id = self.store.create(spec_json, plan_json, name, self.clock())
        if token:
            self._tokens[run_id] = token
        self.store.append(run_id, Queued(self.clock()))
        self._ring()
        return run_id

    def stop(self, run_id: str) -> None:
        """Asks a run to save and end at its next step, or takes it out of the queue."""
        self._ask(run_id, "stop")

    def enough(self, run_id: str) -> None:
        """Asks a run to end its training at its next step, and to keep and judge the best so far."""
        self._ask(run_id, "enough")

    def kill(self, run_id: str) -> None:
        """Ends a run's process at once; what was saved before stays."""
        self._ask(run_id, "kill")

    def resume(self, run_id: str, token: str | None = None) -> None:
        """Puts a stopped, failed or killed run back in the queue. Raises Refused for one that is not over, or finished."""
        with self._guard:
            match self.last(run_id):
                case Ended(status="finished"):
                    raise Refused(Problem("run", "This run is finished; there is nothing left to resume.", "Clone it to train again."))
                case Ended():
                    pass
                case _:
                    raise Refused(Problem("run", "This run is already waiting or working.", "Watch it under Runs."))
            if token:
                self._tokens[run_id] = token
            folder = self.store.folder(run_id)
            for asked in ("stop", "kill", "enough"):
                (folder / asked).unlink(missing_ok=True)
            self.store.append(run_id, Queued(self.clock(), resume=True))
        self._ring()

    def delete(self, run_id: str) -> None:
        """Removes a run for good. Raises Refused while its worker is at work."""
        with self._guard:
            last, worker = self.last(run_id), self._live.get(run_id)
            if isinstance(last, Started) or (worker and not worker.is_over(self._trails[run_id])):
                raise Refused(Problem("run", "This run is at work.", "Stop it first, then delete it."))
            self.store.delete(run_id)
            self._tokens.pop(run_id, None)
        self._ring()

    def last(self, run_id: str) -> Queued | Started | Ended | None:
        """The newest event that changed the run's state."""
        with self._guard:
            trail = self._trails.setdefault(run_id, Trail())
            trail.follow(self.store.folder(run_id) / "events.jsonl")
            return trail.last

    def workers(self) -> dict[str, int]:
        """The process of each run that is at work, whoever started it."""
        with self._guard:
            if self.dispatches:
                return {run_id: worker.process.pid for run_id, worker in self._live.items() if worker.is_alive()}
        found = {}
        for run_id in self.store.ids():
            with suppress(Refused, OSError):
                last = self.last(run_id)
                if isinstance(last, Started) and same_process(last) is not None:
                    found[run_id] = last.pid
        return found

    @property
    def dispatches(self) -> bool:
        """Whether this process is the one that starts workers on this home."""
        return self._lock.is_locked

    def _ask(self, run_id: str, what: str) -> None:
        if not isinstance(self.last(run_id), Ended):
            (self.store.folder(run_id) / what).touch()
            self._ring()

    def _ring(self) -> None:
        with self._bell.open("ab") as file:
            file.write(b".")
        self._wake.set()

    # The thread

    def start(self) -> None:
        """Begins the thread. Raises OSError where the home cannot be written."""
        self.store.home.mkdir(parents=True, exist_ok=True)
        self._thread = threading.Thread(target=self._work, name="supervisor", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread and frees the lock. A worker goes on; the next app finds it."""
        self._closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self._lock.release()

    def _work(self) -> None:
        while not self._closing:
            try:
                self.tick()
            except (OSError, ShurError, ValueError, psutil.Error) as error:
                self._say(explain(error).message)
            self._wake.wait(WATCH_SECONDS if self._live else IDLE_SECONDS)
            self._wake.clear()

    def _say(self, trouble: str) -> None:
        self.trouble = trouble
        if trouble not in self._said:
            print(f"Shur: the queue has trouble: {trouble}", file=sys.stderr)
            self._said.add(trouble)

    def tick(self) -> None:
        """One look at everything that may have changed; starts, ends and buries what is due. Does nothing without the lock."""
        with self._guard:
            self._forget_tokens()
            if not self._lock.is_locked and not self._take_over():
                return
            for run_id in list(self._live):
                self._watch(run_id)
            if self._is_due():
                self._sweep()
            if not self._live:
                self._start_next()

    def _take_over(self) -> bool:
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            return False
        try:
            for run_id, process in running(self.command, self.store.runs).items():
                self._live[run_id] = Worker(process, Birth.read(self.store.runs / run_id))
        except (OSError, psutil.Error):
            self._lock.release()  # a dispatcher that missed a live worker would start a second one
            raise
        self._swept = 0.0
        return True

    def _is_due(self) -> bool:
        """Whether somebody rang, or the last sweep is long ago."""
        try:
            told = self._bell.stat()
            bell = told.st_mtime_ns, told.st_size
        except FileNotFoundError:
            bell = 0, 0
        if bell == self._bell_seen and 0 <= self.clock() - self._swept < SWEEP_SECONDS:
            return False
        self._bell_seen, self._swept = bell, self.clock()
        return True

    def _watch(self, run_id: str) -> None:
        worker, folder = self._live[run_id], self.store.runs / run_id
        if not folder.is_dir() or (folder / "kill").exists():
            worker.kill()
        if worker.is_alive():
            self._see_out(run_id, worker)
            return
        worker.kill()  # whatever it started and left behind
        del self._live[run_id]
        self._swept = 0.0
        with self._tolerating(run_id):
            self.last(run_id)
            if not worker.is_over(self._trails[run_id]):
                self._bury(run_id, worker.child.returncode if worker.child else None, worker.birth)

    def _see_out(self, run_id: str, worker: Worker) -> None:
        """Kills a worker that has told its end but does not leave, so that it cannot hold up the queue."""
        with self._tolerating(run_id):
            self.last(run_id)
            if not worker.is_over(self._trails[run_id]):
                return
            if worker.leaving_since is None:
                worker.leaving_since = self.clock()
            elif self.clock() - worker.leaving_since > self.exit_seconds:
                worker.kill()

    def _sweep(self) -> None:
        """Ends the runs that wait no longer, died unseen, or were never quite submitted."""
        self.trouble = ""
        present = self.store.ids()
        for gone in self._trails.keys() - set(present):
            del self._trails[gone]
        for run_id in present:
            if run_id not in self._live:
                with self._tolerating(run_id):
                    self._settle(run_id)

    def _settle(self, run_id: str) -> None:
        folder = self.store.folder(run_id)
        match self.last(run_id):
            case Started() as started:
                process = same_process(started)
                if process is not None:
                    self._live[run_id] = Worker(process, Birth.read(folder))
                else:
                    self._bury(run_id, None, Birth.read(folder))
            case Queued() if (folder / "kill").exists() or (folder / "stop").exists():
                ended = Ended(self.clock(), "stopped", "Taken out of the queue before its turn came.", "Press Resume to queue it again.")
                self.store.append(run_id, ended)
            case None:
                submitted = (folder / "spec.json").stat().st_mtime
                if abs(self.clock() - submitted) > self.grace_seconds:
                    self.store.append(run_id, Queued(submitted))
                    reason = "Its events are missing: the app ended while it was put in the queue, or they were deleted."
                    self.store.append(run_id, Ended(self.clock(), "failed", reason, "Press Resume to start it."))
                else:
                    self._swept = 0.0  # look again soon

    def _bury(self, run_id: str, exit_code: int | None, birth: Birth | None) -> None:
        """Writes the end of a run whose worker died without telling it; one that ran out of memory is queued again, made lighter."""
        folder, last = self.store.folder(run_id), self.last(run_id)
        began = isinstance(last, Started)
        evidence = inquire(folder, exit_code, birth.marks if birth else None, asked=(folder / "kill").exists(), began=began)
        if ran_out_of_memory(evidence) and not (folder / "stop").exists():
            lighter = repaired(folder, self.clock(), *last_phase(tail(folder / "events.jsonl")))
            for event in lighter:
                self.store.append(run_id, event)
            if lighter:
                return
        heard = (folder / "events.jsonl").stat().st_mtime
        seconds = max(0.0, heard - last.time) if isinstance(last, Started) else 0.0
        self.store.append(run_id, obituary(evidence, self.clock(), seconds))

    def _start_next(self) -> None:
        queued = {run_id: trail.last for run_id, trail in self._trails.items() if isinstance(trail.last, Queued)}
        waiting = [(not one.at_once, one.time, run_id) for run_id, one in queued.items()]
        for *_, run_id in sorted(waiting):
            with self._tolerating(run_id):
                if self._begin(run_id):
                    return

    def _begin(self, run_id: str) -> bool:
        """Starts the run's worker, if it still waits."""
        folder = (self.store.runs / run_id).resolve()
        if not folder.is_dir():
            del self._trails[run_id]
            return False
        self._settle(run_id)
        if not isinstance(self.last(run_id), Queued):
            return False
        self.store.append(run_id, Progress(self.clock(), "data", "Starting"))
        birth = Birth(marks(), (folder / "events.jsonl").stat().st_size)
        birth.write(folder)
        self.make_room()
        try:
            self._live[run_id] = spawn(self.command, folder, self.environment(self._tokens.get(run_id)), birth)
        except OSError as error:
            problem = explain(error)
            self.store.append(
                run_id, Ended(self.clock(), "failed", f"The training process could not be started. {problem.message}", problem.fix)
            )
            return False
        return True

    def environment(self, token: str | None) -> dict[str, str]:
        """What a process that trains, or measures how it would, finds around it; where others reach the page, no token but this."""
        settings = {
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "PYTHONFAULTHANDLER": "1",
            "PYTHONUTF8": "1",
            "PYTHONUNBUFFERED": "1",
            DATASETS_CACHE: str(datasets_cache(self.store.home)),
        }
        inherited = dict(os.environ)
        if self.share:
            inherited = {name: value for name, value in inherited.items() if name not in OWNER_TOKENS}
            settings["HF_HUB_DISABLE_IMPLICIT_TOKEN"] = "1"  # nor the one that the owner's login left on the disk
        return {**inherited, **settings, **({"HF_TOKEN": token} if token else {})}

    def _forget_tokens(self) -> None:
        """A token lives as long as its run."""
        for run_id in list(self._tokens):
            if not (self.store.runs / run_id).is_dir() or isinstance(self.last(run_id), Ended):
                self._tokens.pop(run_id, None)

    @contextmanager
    def _tolerating(self, run_id: str) -> Iterator[None]:
        """One run that cannot be read or written keeps no other from its turn."""
        try:
            yield
        except (OSError, ShurError, ValueError, psutil.Error) as error:
            if (self.store.runs / run_id).is_dir():
                self._say(f"{run_id}: {explain(error).message}")
