"""Large files on their way in, seen from the page: a process of its own reads each (intake.py), the page follows it and may cancel.

Small files are left to whoever opens them. A few are read at a time, the others wait for their turn. Processes outlive the page that
asked for them, so what they have read is there for the next.

HOME/reading/<id>/    as intake.py tells, and log.txt; removed when it is over
"""

from __future__ import annotations

import json
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from engine.data import kept
from engine.errors import Problem, Refused
from engine.intake import PASSING, Request
from engine.side_process import exit_code
from engine.store import write_whole

LARGE_BYTES = 8_000_000  # from which reading takes so long that it is worth a process, which itself takes half a second to begin
PACKED = (b"PK", b"PAR1", b"ARROW1", b"\xff\xff\xff\xff")  # zips, workbooks, Parquet and Arrow can hold far more than they weigh
FILES = ("data.source", "data.test")  # the fields that hold one
AT_ONCE = 2
SECONDS = 1800.0  # at most; a sheet of a million rows takes 4 minutes on a busy core
POLITE_SECONDS = 3.0  # between asking a process to end and killing it
ENDED_KEPT = 50
CANCELLED_SECONDS = 3.0  # in which a preview that was asked for before Cancel does not begin it anew
PASSING_SECONDS = 60.0  # after which it is tried again where want of memory, room or time ended it, and not the file


@dataclass(frozen=True)
class Arriving:
    """How far the reading of a file is."""

    name: str
    share: float = 0.0  # of the file
    rows: int = 0
    waiting: bool = False  # for others to be read
    field: str = "data.source"  # that asked for it


class StillReadingError(Refused):
    """The rows are not there yet."""

    def __init__(self, arriving: Arriving) -> None:
        super().__init__(Problem(arriving.field, f"{arriving.name} is being read.", "Wait until all of its rows are in, or cancel."))
        self.arriving = arriving


@dataclass(frozen=True)
class _Job:
    folder: Path
    name: str
    process: subprocess.Popen[bytes]


@dataclass(frozen=True)
class _Ended:
    path: Path
    problems: tuple[Problem, ...]
    forget_at: float = float("inf")


class TakingIn:
    """The readings of one home that go on in this app, and why the last ones failed. Any thread may ask."""

    def __init__(self, home: Path, environment: Callable[[], Mapping[str, str]]) -> None:
        self._home = home
        self._environment = environment
        self._guard = threading.RLock()
        self._jobs: dict[str, _Job] = {}
        self._ended: OrderedDict[str, _Ended] = OrderedDict()
        for left in (home / "reading").glob("*"):
            if time.time() - left.stat().st_mtime > 2 * SECONDS:  # of an app that was killed
                shutil.rmtree(left, ignore_errors=True)

    def ready(
        self, path: Path, limit_bytes: int, *, field: str, sheet: str | None = None, header: bool | None = None, encoding: str | None = None
    ) -> None:
        """Returns where the file can be opened at once. Raises StillReadingError while it is read, Refused where it cannot be.

        The first who asks begins the reading.
        """
        try:
            key = kept.key_of(path, sheet, header, encoding)
            if not is_large(path, limit_bytes) or kept.is_kept(self._home / "cache", key):
                return
        except (OSError, ValueError):  # whoever opens it tells it in words
            return
        asked = Request(str(path), path.name, limit_bytes, str(self._home / "cache"), field, sheet, header, encoding)
        with self._guard:
            ended = self._ended.get(key)
            if ended is not None and time.monotonic() < ended.forget_at:
                raise Refused(*(replace(one, field=field) if one.field in FILES else one for one in ended.problems))
            if key not in self._jobs:
                if len(self._jobs) >= AT_ONCE:
                    raise StillReadingError(Arriving(path.name, waiting=True, field=field))
                self._begin(key, asked)
            job = self._jobs[key]
        raise StillReadingError(replace(_state(job), field=field))

    def _begin(self, key: str, asked: Request) -> None:
        folder = self._home / "reading" / secrets.token_hex(8)
        folder.mkdir(parents=True)
        write_whole(folder / "request.json", json.dumps(asdict(asked)).encode("utf-8", "surrogatepass"))
        command = [sys.executable, "-m", "engine.intake", str(folder)]
        with (folder / "log.txt").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=Path(__file__).parents[1], env=self._environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self._ended.pop(key, None)
        self._jobs[key] = job = _Job(folder, asked.name, process)
        threading.Thread(target=self._follow, args=(key, job, asked), name="reading-file", daemon=True).start()

    def _follow(self, key: str, job: _Job, asked: Request) -> None:
        try:
            code: int | None = job.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            end(job.process)
            code = None
        problems = _result(job, code, asked.field)
        shutil.rmtree(job.folder, ignore_errors=True)
        with self._guard:
            if self._jobs.get(key) is not job:  # cancelled
                return
            del self._jobs[key]
            if problems:
                passing = code in (None, PASSING) or code < 0
                self._remember(key, _Ended(Path(asked.path), problems, time.monotonic() + PASSING_SECONDS if passing else float("inf")))

    def _remember(self, key: str, ended: _Ended) -> None:
        self._ended[key] = ended
        while len(self._ended) > ENDED_KEPT:
            self._ended.popitem(last=False)

    def cancel(self, path: Path, *, sheet: str | None = None, header: bool | None = None, encoding: str | None = None) -> None:
        """Ends the reading of this file, if it is being read. Returns at once; the process is given a moment to clear up."""
        try:
            key = kept.key_of(path, sheet, header, encoding)
        except (OSError, ValueError):
            return
        with self._guard:
            job = self._jobs.pop(key, None)
            if job is None:
                return
            problem = Problem("data.source", f"Reading {path.name} was cancelled.", "Choose a file again.")
            self._remember(key, _Ended(path, (problem,), time.monotonic() + CANCELLED_SECONDS))
        threading.Thread(target=end, args=(job.process,), name="ending-a-reading").start()

    def forget(self, path: Path) -> None:
        """The file was chosen again: how its last reading ended keeps it out no longer."""
        with self._guard:
            for key in [key for key, ended in self._ended.items() if ended.path == path]:
                del self._ended[key]

    def close(self) -> None:
        """Ends all readings."""
        with self._guard:
            jobs, self._jobs = list(self._jobs.values()), {}
        for job in jobs:
            end(job.process)


def is_large(path: Path, limit_bytes: int) -> bool:
    """Whether reading this file takes long. One above the limit does not: it is refused at once. Raises OSError."""
    size = path.stat().st_size
    if size > limit_bytes or not path.is_file():
        return False
    if size >= LARGE_BYTES:
        return True
    with path.open("rb") as file:
        return file.read(6).startswith(PACKED)


def _state(job: _Job) -> Arriving:
    try:
        told = json.loads((job.folder / "state.json").read_text("utf-8"))
        return Arriving(job.name, float(told["share"]), int(told["rows"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Arriving(job.name)


def _result(job: _Job, code: int | None, field: str) -> tuple[Problem, ...]:
    """What the process wrote, or how it ended without writing."""
    try:
        return tuple(Problem(**one) for one in json.loads((job.folder / "result.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        pass
    smaller = "Keep only the columns and rows that you need, and save it again."
    if code is None:
        return (Problem(field, f"Reading {job.name} took more than {SECONDS / 60:.0f} minutes and was ended.", smaller),)
    if code == -signal.SIGKILL:
        return (Problem(field, f"The system ended the reading of {job.name} for want of memory.", smaller),)
    return (Problem(field, f"The reading of {job.name} broke off (code {code}).", "Save it again, and choose it again."),)


def end(process: subprocess.Popen[bytes]) -> None:
    """Asks the process to end and clear up, and kills it if it does not."""
    process.terminate()
    exit_code(process, POLITE_SECONDS)
