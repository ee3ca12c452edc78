"""Ctrl-C, and a polite request to end, as something to look for instead of a break."""

from __future__ import annotations

import queue
import signal


class Interrupts:
    """How often the process was asked to end and nobody has looked.

    A signal's handler runs between any two steps of the main thread, also while that holds a lock: there a Semaphore waited for ever
    for the step that its release had interrupted. SimpleQueue's `put` is made to be called so.
    """

    def __init__(self) -> None:
        self._asked: queue.SimpleQueue[None] = queue.SimpleQueue()

    def listen(self) -> Interrupts:
        """Counts from now on. For the main thread."""
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, lambda *_: self._asked.put(None))
        return self

    def came(self, seconds: float) -> bool:
        """Whether one came or comes within so many seconds; each is told once."""
        try:
            self._asked.get(timeout=seconds)
        except queue.Empty:
            return False
        return True
