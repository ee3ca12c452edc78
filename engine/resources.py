"""How much memory this process takes, now and at its peak; of a GPU what torch holds and, beside it, CUDA's context.

Torch does not count that. With it the figure compares with what nvidia-smi calls free, and so with what a plan needs. Torch is asked once
the process has loaded it, never before.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil

from engine import hardware, opening
from engine.events import Event, Resources
from engine.memory import RATES

SECONDS = 2.0  # between two looks
# A context with its code took 0.6 to 0.8 GB on an H200 (torch 2.11, CUDA 13.0). Beyond this another program came or grew meanwhile;
# below nothing, one ended.
MOST_BESIDE_BYTES = 1_500_000_000


class VideoMemory:
    """Memory of the first GPU that this process took since this was made, which is before it uses the GPU. Any thread may ask.

    What an optimiser pages is counted as far as it lies beside torch's own memory within `MOST_BESIDE_BYTES`.
    """

    def __init__(self, free: Callable[[], int | None] = hardware.gpu_free_bytes) -> None:
        self._free_before = free()  # bytes; other programs' are already gone from it
        self._beside = RATES["cuda"].overhead  # until it can be told
        self._peak = 0
        self._lock = threading.Lock()

    def now(self) -> tuple[int, int] | None:
        """Bytes that are taken and the most so far; (0, 0) before the GPU is used, None where torch is not loaded."""
        if "torch" not in sys.modules:
            return None
        import torch  # waits until a thread that is just loading it has done so

        if not torch.cuda.is_initialized():
            return 0, 0
        with self._lock:
            held = self._look(torch.cuda)
            self._peak = max(self._peak, torch.cuda.max_memory_reserved() + self._beside)
            return held + self._beside, self._peak

    def _look(self, cuda: Any) -> int:
        """Bytes that torch holds. Learns what lies beside them, where torch took and gave nothing while the GPU was asked."""
        before = int(cuda.memory_reserved())
        free, total = cuda.mem_get_info()
        held = int(cuda.memory_reserved())
        there = total if self._free_before is None else self._free_before
        if held == before and 0 < there - free - held <= MOST_BESIDE_BYTES:
            self._beside = there - free - held
        return held


class Watch:
    """Looks at the memory of this process, and of its GPU where it has one."""

    def __init__(self, me: psutil.Process, video: VideoMemory | None) -> None:
        self._me, self._video, self._peak = me, video, 0

    def look(self) -> Resources:
        now = self._me.memory_info().rss
        self._peak = max(self._peak, now, opening.highest_ram())
        told = self._video.now() if self._video else None
        return Resources(time.time(), now, self._peak, *(told or (None, None)))

    def until(self, done: threading.Event, emit: Callable[[Event], None]) -> None:
        """An event every SECONDS."""
        while not done.is_set():
            emit(self.look())
            done.wait(SECONDS)
