"""What our own processes hold of the memory: it comes free before the next run of the queue begins, so that run is planned with it."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Collection
from dataclasses import dataclass, replace

import psutil

from engine.hardware import MIB, Hardware

MOST = 0.9  # of all memory: the system and the page need the rest


@dataclass(frozen=True)
class Held:
    """Bytes that go when our processes end."""

    ram_bytes: int = 0
    gpu_bytes: int = 0


def held(pids: Collection[int], gpu_told_bytes: int = 0) -> Held:
    """What these processes hold. `gpu_told_bytes` is what they told of the GPU: in a container nvidia-smi knows no process."""
    if not pids:
        return Held()
    return Held(sum(_resident(pid) for pid in pids), gpu_held(_ask_nvidia(), pids) or gpu_told_bytes)


def once_free(hardware: Hardware, ours: Held) -> Hardware:
    """The machine as it will be without what is ours; never with less than is free now."""
    gpus = tuple(replace(one, free_bytes=_more(one.free_bytes, ours.gpu_bytes, one.total_bytes)) for one in hardware.gpus[:1])
    free = _more(hardware.ram_free_bytes, ours.ram_bytes, hardware.ram_bytes)
    return replace(hardware, ram_free_bytes=free, gpus=gpus + hardware.gpus[1:])


def gpu_held(told: str, pids: Collection[int]) -> int:
    """Bytes that these processes hold, from nvidia-smi's lines "pid, MiB"."""
    rows = ([part.strip() for part in line.split(",")] for line in told.splitlines())
    return MIB * sum(int(row[1]) for row in rows if len(row) == 2 and row[0] in map(str, pids) and row[1].isdigit())


def _more(free: int, ours: int, total: int) -> int:
    return max(free, min(round(MOST * total), free + ours))


def _resident(pid: int) -> int:
    """Without pages of files and libraries: those count as free already, or stay with others."""
    with contextlib.suppress(psutil.Error):
        told = psutil.Process(pid).memory_info()._asdict()
        return int(told["rss"] - told.get("shared", 0))
    return 0


def _ask_nvidia() -> str:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    command = [program, "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"]
    try:
        return subprocess.run(command, timeout=10, capture_output=True, text=True, check=False).stdout
    except (subprocess.TimeoutExpired, OSError):
        return ""
