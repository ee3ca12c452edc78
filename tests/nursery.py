"""Workers without the wait for torch: one process has loaded it and forks for every run. What each then does is the worker's own main.

For tests that start a worker over and over; a fresh interpreter takes some 7 s of processor time before it does anything.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import threading
import time
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
LOADED = ("torch", "transformers.models.bert.modeling_bert", "peft", "sklearn.linear_model", "scipy.stats", "engine.train")
NO_CODE = 256  # answered for a worker that is still at work


class Forked:
    """A worker that the nursery forked, asked as a `subprocess.Popen` is."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self.pid, self._nursery, self._code = pid, nursery, None

    def poll(self) -> int | None:
        """Its exit code, a killed one's below zero; None while it is at work."""
        if self._code is None:
            code = self._nursery.ask("poll", str(self.pid))
            self._code = None if code == NO_CODE else code
        return self._code

    def wait(self, timeout: float = 60.0) -> int:
        """Its exit code. Raises TimeoutExpired after so many seconds."""
        tick, end = threading.Event(), time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                os.kill(self.pid, 9)
                raise subprocess.TimeoutExpired("engine.worker", timeout)
            tick.wait(0.01)
        return code


class Nursery:
    """The process that forks; it ends with the tests."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.nursery"]
        self._process = subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        atexit.register(self._process.terminate)

    def start(self, folder: Path) -> Forked:
        """A worker for this run; what it says goes to the run's log."""
        return Forked(self, self.ask("start", str(folder)))

    def ask(self, *words: str) -> int:
        """One line there, one number back."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        print(*words, sep="\t", file=stdin, flush=True)
        return int(stdout.readline())


@cache
def nursery() -> Nursery:
    """The one of this test process, started when it is first asked for."""
    return Nursery()


def serve() -> None:
    """Answers until its stdin ends. Loads modules and computes nothing: threads would not live through a fork."""
    from importlib import import_module

    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for name in ("engine.worker", *LOADED):
        import_module(name)
    for line in sys.stdin:
        verb, told = line.rstrip("\n").split("\t")
        answer = _born(Path(told)) if verb == "start" else _ended(int(told))
        print(answer, flush=True)


def _born(folder: Path) -> int:
    pid = os.fork()
    if pid:
        return pid
    with (folder / "log.txt").open("ab") as log, open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    code = 1
    try:
        from engine import worker

        code = worker.main(folder)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _ended(pid: int) -> int:
    done, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else NO_CODE


if __name__ == "__main__":
    serve()
