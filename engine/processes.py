"""Worker processes: start one, see whether it lives, find it again, end it; and what its events say about it.

A worker has a session of its own, so that neither Ctrl-C in the app's terminal nor the app's death reaches it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from engine.events import Ended, Queued, Started, from_line
from engine.obituary import Marks
from engine.store import write_whole

REPOSITORY = Path(__file__).resolve().parents[1]
CLOCK_SLACK_SECONDS = 2.0  # a process's creation time moves when the machine's clock is set
MILESTONE = re.compile(rb'^\{"event": "(?:Queued|Started|Ended)".*\n', re.MULTILINE)


@dataclass
class Trail:
    """How far a run's events have been read, and the newest of those that change its state."""

    offset: int = 0  # bytes
    last_at: int = 0  # the byte after the newest such event
    last: Queued | Started | Ended | None = None

    def follow(self, events: Path) -> None:
        """Reads what has been added. A damaged line is passed over; a file that has shrunk is read anew."""
        try:
            size = events.stat().st_size
            if size == self.offset:
                return
            if size < self.offset:
                self.offset, self.last_at, self.last = 0, 0, None
            with events.open("rb") as file:
                file.seek(self.offset)
                grown = file.read()
        except FileNotFoundError:
            self.offset, self.last_at, self.last = 0, 0, None
            return
        whole = grown[: grown.rfind(b"\n") + 1]
        for line in MILESTONE.finditer(whole):
            try:
                event = from_line(line[0].decode())
            except ValueError:
                continue
            if isinstance(event, (Queued, Started, Ended)):
                self.last, self.last_at = event, self.offset + line.end()
        self.offset += len(whole)


@dataclass(frozen=True)
class Birth:
    """What was the case when a worker was started; born.json in the run's folder, for a later app."""

    marks: Marks
    events_bytes: int  # the length of events.jsonl: what stands behind it was told by this worker, or after its end

    def write(self, folder: Path) -> None:
        write_whole(folder / "born.json", json.dumps(dataclasses.asdict(self)).encode())

    @classmethod
    def read(cls, folder: Path) -> Birth | None:
        """What `write` wrote; None where it cannot be read."""
        try:
            told = json.loads((folder / "born.json").read_text("utf-8"))
            return cls(Marks(**told["marks"]), int(told["events_bytes"]))
        except (OSError, ValueError, TypeError, KeyError):
            return None


@dataclass
class Worker:
    """A live worker process. `child` is None for one that an earlier app started."""

    process: psutil.Process
    birth: Birth | None
    child: subprocess.Popen[bytes] | None = None
    leaving_since: float | None = None  # it has told its end and is still there

    def is_over(self, trail: Trail) -> bool:
        """Whether this worker has told its end; also when the run was queued again before the worker had left."""
        if self.birth is None:
            return isinstance(trail.last, Ended)
        return trail.last_at > self.birth.events_bytes and isinstance(trail.last, (Ended, Queued))

    def is_alive(self) -> bool:
        if self.child is not None:
            return self.child.poll() is None
        try:
            return bool(self.process.is_running()) and self.process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def kill(self) -> None:
        """Ends the worker and all that it has started, at once. Its session has its pid as number."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # nobody is left; macOS says the second for a zombie
            return


def spawn(command: Sequence[str], folder: Path, environment: Mapping[str, str], birth: Birth) -> Worker:
    """A new worker on the run's folder, its output going to the run's log. Raises OSError where the system gives no process."""
    with (folder / "log.txt").open("ab") as log:
        child = subprocess.Popen(
            [*command, str(folder)],
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Worker(psutil.Process(child.pid), birth, child)


def same_process(started: Started) -> psutil.Process | None:
    """The worker that told this start, if it lives: the process of its pid, created when it says. A pid alone may be another's by now."""
    try:
        process = psutil.Process(started.pid)
        same = abs(process.create_time() - started.pid_created) <= CLOCK_SLACK_SECONDS
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:
        return None


def running(command: Sequence[str], runs: Path) -> dict[str, psutil.Process]:
    """Every process that runs `command` on a folder of `runs`, by run id; so a worker is found whose Started is not written yet."""
    found = {}
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or [""]
        ours = words[1:-1] == list(command[1:]) and Path(words[-1]).parent == runs.resolve()
        if ours and process.info["status"] != psutil.STATUS_ZOMBIE:
            found[Path(words[-1]).name] = process
    return found
