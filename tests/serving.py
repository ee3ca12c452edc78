"""The real app as a process of its own, for tests that need its server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import machine

ROOT = Path(__file__).parents[1]
LOOK = "import app, os, sys; app.serve(app.options(sys.argv[1:], os.environ), dispatch=False)"


@dataclass(frozen=True)
class Served:
    """Where the app listens, and what it said at the start."""

    url: str
    said: tuple[str, ...]
    process: subprocess.Popen[str]
    home: Path


@contextmanager
def serving(
    home: Path, *flags: str, port: int | None = None, dispatch: bool = True, fresh: bool = False, **environment: str
) -> Iterator[Served]:
    """Starts the app on a home and a free port of this machine, and ends it afterwards. Raises AssertionError if it does not come up.

    The home knows the machine's speed; `fresh` leaves that to the app. Without `dispatch` it leaves runs as they are written, so that
    a run can stand still at work without a process behind it.
    """
    port = port or free_port()
    if not fresh:
        machine.settle(home)
    start = ["app.py"] if dispatch else ["-c", LOOK]
    command = [sys.executable, *start, "--port", str(port), "--home", str(home), *flags]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SHUR_", "SPACE_", "GRADIO_"))}
    with subprocess.Popen(
        command, cwd=ROOT, env={**clean, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield Served(f"http://127.0.0.1:{port}/", tuple(_until_it_listens(process)), process, home)
        finally:
            process.terminate()


def _until_it_listens(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    for line in process.stdout:
        yield line.strip()
        if line.startswith("Shur listens on"):
            return
    raise AssertionError("the app ended before it listened; it said what stands above")


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
