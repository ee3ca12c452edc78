"""Check the fit, seen from the page: starts the measuring process, follows it, remembers what it found. One at a time; no torch here.

HOME/measuring/<id>/    spec.json plan.json status result.json log.txt, removed when it is over
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
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine import plan as planning
from engine import spec as specs
from engine.errors import LIGHTER_FIX, Problem, explain
from engine.measured import Measured, Remembered, key
from engine.plan import Plan
from engine.side_process import end_group, exit_code
from engine.spec import RunSpec
from engine.store import write_whole

PASSING_KEPT = 50
SECONDS = 900.0  # at most; a model of a billion parameters on two cores takes half of it


@dataclass(frozen=True)
class FitState:
    """How far the check of one plan's fit is."""

    state: Literal["none", "measuring", "measured", "failed"]
    message: str = ""  # what it does now
    measured: Measured | None = None
    problem: Problem | None = None
    peak_bytes: int | None = None  # the memory that was reached when it ran out, where that is known


class Measuring:
    """The one measurement of a home that goes on in this app, and the outcomes of the last ones.

    `machine` names the processor and its memory; `busy` tells whether a run is at work, beside which nothing true can be measured.
    """

    def __init__(
        self, home: Path, environment: Callable[[str | None], Mapping[str, str]], machine: Callable[[], str], busy: Callable[[], bool]
    ) -> None:
        self._home = home
        self._environment = environment
        self._machine = machine
        self._busy = busy
        self._remembered = Remembered(home)
        self._guard = threading.RLock()
        self._passing: OrderedDict[str, FitState] = OrderedDict()  # what is not worth remembering longer than the app lives
        self._now: tuple[str, Path, subprocess.Popen[bytes]] | None = None
        for left in (home / "measuring").glob("*"):
            if time.time() - left.stat().st_mtime > 2 * SECONDS:  # of an app that was killed
                shutil.rmtree(left, ignore_errors=True)

    def remembered(self, plan: Plan) -> Measured | None:
        return self._remembered.get(key(plan, self._machine()))

    def state(self, plan: Plan) -> FitState:
        """Of this plan: being measured, measured, failed, or none."""
        name = key(plan, self._machine())
        with self._guard:
            if self._now is not None and self._now[0] == name:
                return FitState("measuring", _status(self._now[1]))
            passing = self._passing.get(name)
        if passing is not None:
            return passing
        found = self._remembered.get(name)
        return FitState("measured", measured=found) if found is not None else FitState("none")

    @property
    def is_going_on(self) -> bool:
        with self._guard:
            return self._now is not None

    def start(self, spec: RunSpec, plan: Plan, token: str | None) -> None:
        """Begins to measure this plan; one that is being measured is given up for it."""
        name = key(plan, self._machine())
        with self._guard:
            self.cancel()
            folder = self._home / "measuring" / secrets.token_hex(8)
            folder.mkdir(parents=True)
            write_whole(folder / "spec.json", specs.to_json(spec).encode())
            write_whole(folder / "plan.json", planning.to_json(plan).encode())
            command = [sys.executable, "-m", "engine.measure", str(folder), str(self._home)]
            with (folder / "log.txt").open("wb") as log:
                process = subprocess.Popen(
                    command, cwd=Path(__file__).parents[1], env=self._environment(token), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    start_new_session=True,
                )  # fmt: skip
            self._passing.pop(name, None)
            self._now = name, folder, process
        threading.Thread(target=self._follow, args=(name, folder, process), name="measuring-fit", daemon=True).start()

    def cancel(self) -> None:
        """Ends the measurement that goes on, if one does."""
        with self._guard:
            now, self._now = self._now, None
            if now is not None:
                end_group(now[2])

    def _follow(self, name: str, folder: Path, process: subprocess.Popen[bytes]) -> None:
        code = exit_code(process, SECONDS)
        found = _result(folder, code)
        shutil.rmtree(folder, ignore_errors=True)
        disturbed = self._busy()
        with self._guard:
            if self._now is None or self._now[2] is not process:  # given up
                return
            if disturbed:
                found = _failed("A run began meanwhile, so what was measured is wrong.", "Check the fit again when it has ended.")
            if found.measured is not None and not found.measured.taken_by_others:
                try:
                    self._remembered.add(name, found.measured)
                except OSError as error:
                    found = FitState("failed", problem=explain(error, "memory"))
            if found.problem is not None or (found.measured is not None and found.measured.taken_by_others):
                self._passing[name] = found
                while len(self._passing) > PASSING_KEPT:
                    self._passing.popitem(last=False)
            self._now = None


def _status(folder: Path) -> str:
    try:
        return (folder / "status").read_text("utf-8")
    except OSError:
        return "Starting"


def _result(folder: Path, code: int | None) -> FitState:
    """What the process wrote, or how it ended without writing."""
    try:
        told = json.loads((folder / "result.json").read_text("utf-8"))
        if "measured" in told:
            return FitState("measured", measured=Measured(**told["measured"]))
        return FitState("failed", problem=Problem(**told["problem"]), peak_bytes=told["peak_bytes"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    if code is None:
        return _failed(f"Measuring took more than {SECONDS / 60:.0f} minutes and was ended.", "Choose a smaller model or batch.")
    if code == -signal.SIGKILL:
        killed = "It does not fit: the system ended the measuring process for want of memory."
        return FitState("failed", problem=Problem("memory", killed, LIGHTER_FIX, of_memory=True))
    return _failed(f"The measuring process broke off (code {code}).", "Try again, or start without measuring.")


def _failed(message: str, fix: str) -> FitState:
    return FitState("failed", problem=Problem("memory", message, fix))
