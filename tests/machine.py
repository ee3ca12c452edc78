"""This machine's speed, measured once in a test process and put into any home: measuring loads torch, which takes seconds each time."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from engine.hardware import Hardware, detect, probe


def settle(home: Path) -> Path:
    """The home, which knows the machine from now on."""
    (home / "cache").mkdir(parents=True, exist_ok=True)
    (home / "cache" / "hardware.json").write_text(_measured(), "utf-8")
    return home


def known(home: Path) -> Hardware:
    """What `hardware.probe` tells, without its process."""
    return detect(settle(home))


@cache
def _measured() -> str:
    with tempfile.TemporaryDirectory() as home:
        told = Path(home) / "cache" / "hardware.json"
        for _ in range(3):  # its process may die on a machine that is short of memory for a moment
            probe(Path(home))
            if told.exists():
                return told.read_text("utf-8")
        raise AssertionError("the machine's speed could not be measured; python -m engine.hardware FOLDER says why")
