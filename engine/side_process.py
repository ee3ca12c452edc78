"""A process beside the page's that holds models, so that the page never loads torch: asked in lines of JSON, it answers in such lines.

Both directions have a thread of their own, so that neither side ever waits for a full pipe.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from engine.errors import Problem, redact

MEMORY_CODES = (-9, 137)  # killed, which nobody here did: by the system, for want of memory
WORDS = 300  # characters of what it last said on stderr


class IdleEndError(Exception):
    """The process ended by itself, cleanly, before it took the question."""


class SideProcess:
    """The running process. `lines` holds its answers; None, and nothing after it, once it has ended."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._last_words: deque[str] = deque(maxlen=20)
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(environment),
            cwd=Path(__file__).parents[1], start_new_session=True,  # Ctrl+C in the app's terminal is the app's to handle
        )  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._stdin: IO[bytes] = self._process.stdin
        threading.Thread(target=self._read_answers, args=(self._process.stdout,), daemon=True).start()
        self._listener = threading.Thread(target=self._read_words, args=(self._process.stderr,), daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def send(self, told: Mapping[str, Any]) -> None:
        """One line, in ASCII, so that no separator within a text breaks it. Writing to a process that reads no more never waits here."""
        threading.Thread(target=self._send, args=(json.dumps(told).encode() + b"\n",), daemon=True).start()

    def how_it_ended(self, field: str, name: str, fix: str) -> tuple[int, Problem]:
        """Waits for its end. Its exit code, and what is told of it under `field`, where it is called `name`; `fix`: after an idle end."""
        code = self._process.wait()
        if code in MEMORY_CODES:
            message = f"The system ended {name}, most likely for want of memory."
            return code, Problem(field, message, "Close other programs, or choose a smaller model.", of_memory=True)
        if code == 0:
            return code, Problem(field, f"{name[0].upper()}{name[1:]} had ended, being idle.", fix)
        self._listener.join(1)
        words = next((redact(line.strip()) for line in reversed(self._last_words) if line.strip()), "")
        return code, Problem(field, f"{name[0].upper()}{name[1:]} broke off (code {code}). {words[:WORDS]}".strip(), "Try again.")

    def _send(self, line: bytes) -> None:
        with contextlib.suppress(OSError, ValueError):  # it has ended; whoever listens hears of it
            self._stdin.write(line)
            self._stdin.flush()

    def _read_answers(self, stdout: IO[bytes]) -> None:
        with stdout:
            for line in stdout:
                with contextlib.suppress(ValueError):  # half a line, of a process that was killed in the middle of it
                    self.lines.put(json.loads(line))
        self.lines.put(None)
        with contextlib.suppress(OSError):  # what was not yet written has no reader any more
            self._stdin.close()

    def _read_words(self, stderr: IO[bytes]) -> None:
        with stderr:
            for line in stderr:
                self._last_words.append(line.decode("utf-8", "replace"))


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Kills a process that was started in a session of its own, and all that it started; returns when it is gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def exit_code(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """Waits for its end; None where it took longer than that and was ended."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        end_group(process)
        return None
