"""A closer look at a finished run, seen from the page: starts the process (probe.py), follows it, reads what it found. No torch here.

One look at a time in this app; what it found stays in the run's folder and outlives the app.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from engine import account, judged, probed
from engine.errors import Problem, Refused
from engine.probed import Probed
from engine.side_process import end_group, exit_code
from engine.store import Store, write_whole

SECONDS = 1800.0  # at most; a model of a billion parameters on two cores takes a third of it
FIX = "Look again when the machine has nothing else to do."

Command = Callable[[Path, Path], list[str]]


def looked_by_python(run_folder: Path, home: Path) -> list[str]:
    """The command of the real look."""
    return [sys.executable, "-m", "engine.probe", str(run_folder.resolve()), str(home.resolve())]


@dataclass(frozen=True)
class Look:
    """How far the closer look at one run is."""

    state: Literal["none", "looking", "done", "failed"]
    message: str = ""  # what it does now
    found: Probed | None = None  # of the newest look that came to an end, also while another goes on or after one failed
    problem: Problem | None = None


class Probing:
    """The one closer look that goes on in this app. `busy` tells whether a run is at work, beside which no speed can be measured."""

    def __init__(
        self,
        store: Store,
        environment: Callable[[str | None], Mapping[str, str]],
        busy: Callable[[], bool],
        command: Command = looked_by_python,
    ) -> None:
        self._store = store
        self._environment = environment
        self._busy = busy
        self._command = command
        self._guard = threading.RLock()
        self._now: tuple[str, subprocess.Popen[bytes]] | None = None

    def look(self, run_id: str) -> Look:
        """Of this run: going on, done, failed or none. Raises Refused for no run."""
        run_folder = self._store.folder(run_id)
        folder = run_folder / probed.FOLDER
        found = _found(run_folder)
        with self._guard:
            if self._now is not None and self._now[0] == run_id:
                return Look("looking", _status(folder), found)
        problem = _problem(folder)
        if problem is not None:
            return Look("failed", found=found, problem=problem)
        return Look("done", found=found) if found is not None else Look("none")

    def start(self, run_id: str, token: str | None) -> None:
        """Begins a look at this run. Raises Refused where there is nothing to look at, a run is at work or another is looked at."""
        run_folder = self._store.folder(run_id)
        answered = (run_folder / "predictions.jsonl").exists() or (run_folder / account.FILE).exists()
        if not (run_folder / "model" / "shur.json").exists() or not answered:
            raise Refused(Problem("run", "This run has no judged model yet.", "Let it finish, or resume it."))
        if self._busy():
            raise Refused(Problem("run", "A run is at work on this machine, so its speed would be told wrong.", "Wait until it has ended."))
        folder = run_folder / probed.FOLDER
        with self._guard:
            if self._now is not None:
                raise Refused(Problem("run", "Another run is looked at just now.", "Try again in a minute or two."))
            folder.mkdir(exist_ok=True)
            (folder / probed.PROBLEM).unlink(missing_ok=True)
            write_whole(folder / probed.STATUS, b"Starting")
            with (folder / "log.txt").open("wb") as log:
                process = subprocess.Popen(
                    self._command(run_folder, self._store.home), cwd=Path(__file__).parents[1], env=self._environment(token),
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                )  # fmt: skip
            self._now = run_id, process
        threading.Thread(target=self._follow, args=(folder, process), name="looking-closer", daemon=True).start()

    def cancel(self, run_id: str | None = None) -> None:
        """Ends the look that goes on, or only one at this run."""
        with self._guard:
            if self._now is None or run_id not in (None, self._now[0]):
                return
            (_, process), self._now = self._now, None
            end_group(process)

    def give_way(self) -> None:
        """Ends the look that goes on, since a run begins, and says so beside it."""
        with self._guard:
            run_id = self._now[0] if self._now else None
            self.cancel()
            if run_id is not None:
                told = Problem("run", "A run began meanwhile, so the closer look was given up.", "Look again when it has ended.")
                write_whole(self._store.folder(run_id) / probed.FOLDER / probed.PROBLEM, json.dumps(asdict(told)).encode())

    def _follow(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        code = exit_code(process, SECONDS)
        with self._guard:
            if self._now is None or self._now[1] is not process:  # given up
                return
            if code != 0 and not (folder / probed.PROBLEM).exists() and folder.exists():
                write_whole(folder / probed.PROBLEM, json.dumps(asdict(_ended(code))).encode())
            self._now = None


def _ended(code: int | None) -> Problem:
    if code is None:
        return Problem("run", f"Looking closer took more than {SECONDS / 60:.0f} minutes and was ended.", FIX)
    if code == -signal.SIGKILL:
        return Problem("run", "The system ended the process, most likely for want of memory.", "Close other programs and look again.")
    return Problem("run", f"The process broke off (code {code}).", FIX)


def _status(folder: Path) -> str:
    try:
        return (folder / probed.STATUS).read_text("utf-8")
    except OSError:
        return "Starting"


def _problem(folder: Path) -> Problem | None:
    try:
        return Problem(**json.loads((folder / probed.PROBLEM).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _found(run_folder: Path) -> Probed | None:
    """What was found of the run's model as it is now."""
    try:
        found = probed.from_json((run_folder / probed.FOLDER / probed.RESULT).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if found.model_stamp == judged.model_stamp(run_folder) else None
