"""The process that writes for the playground: `python -m engine.playing HOME [IDLE_SECONDS]`. It holds the models (shelf.py) and streams.

One JSON object a line, requests on stdin and answers on stdout, until stdin closes or nothing was asked for a while. One text is
written at a time; what else is asked waits.

    -> {"write": 7, "which": {"run": "/…/runs/ID"} or {"model": "…", "revision": …}, "beside": [which, …], "token": null,
        "said": {"turns": [{"role": "user", "text": "…"}, …], "system": "", "context": "", "way": "automatic"},
        "decoding": {…}, "stops": ["…"], "reserve_bytes": 0}
    <- {"id": 7, "message": "Downloading …", "done": 3, "total": 9}                     any number, while it gets ready
    <- {"id": 7, "form": "chat", "how": "swapped", "ready_seconds": 0.01, "prompt_tokens": 5, "bytes": …}
    <- {"id": 7, "text": "…so far", "tokens": 4, "seconds": 0.3}                        any number
    <- {"id": 7, "text": "…", "tokens": 12, "seconds": 0.9, "ended": "end", "bytes": …}     or {"id": 7, "problems": […]}
    -> {"stop": 7}                                                                     ends it after its next token
"""

from __future__ import annotations

import dataclasses
import json
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from engine.conversation import Said, Turn, prompt
from engine.decoding import Decoding
from engine.errors import Problem, Refused, RunFailed, explain, is_out_of_memory
from engine.generation import Budget, generate
from engine.shelf import Shelf, Which, held_bytes

BETWEEN_SECONDS = 0.05  # between two lines of a text that grows; a screen shows no more
NO_MEMORY = Problem(
    "model", "Memory ran out while it wrote.", "Ask for fewer new tokens, shorten the prompt, or choose a smaller model.", of_memory=True
)


class Writing:
    """Reads requests, writes texts, tells how far they are."""

    def __init__(self, shelf: Shelf, answers: IO[bytes]) -> None:
        self._shelf = shelf
        self._answers = answers
        self._stopped: set[int] = set()

    def serve(self, requests: IO[bytes], idle_seconds: float) -> int:
        """Until nothing is asked for so long; the exit code. Where `requests` end the process ends at once, whatever it does."""
        waiting: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._listen, args=(requests, waiting), daemon=True).start()
        while True:
            try:
                asked = waiting.get(timeout=idle_seconds)
            except queue.Empty:
                return 0
            try:
                self._write(asked)
            except Exception as error:  # the border of one request
                traceback.print_exc()
                self._tell(asked["write"], problems=[dataclasses.asdict(one) for one in _told(error)])

    def _listen(self, requests: IO[bytes], waiting: queue.Queue[dict[str, Any]]) -> None:
        for line in requests:
            told = json.loads(line)
            if "stop" in told:
                self._stopped.add(told["stop"])
            else:
                waiting.put(told)
        os._exit(0)  # the page is gone, and with it whoever reads

    def _tell(self, number: int, **told: Any) -> None:
        self._answers.write(json.dumps({"id": number, **told}, allow_nan=False).encode() + b"\n")
        self._answers.flush()

    def _write(self, asked: dict[str, Any]) -> None:
        number, decoding = asked["write"], Decoding(**asked["decoding"])
        beside = [Which(**one) for one in asked["beside"]]

        def say(message: str, done: int, total: int) -> None:
            self._tell(number, message=message, done=done, total=total)

        with self._shelf.ready(Which(**asked["which"]), beside, asked["token"], say, reserve_bytes=asked["reserve_bytes"]) as ready:
            turns = tuple(Turn(**one) for one in asked["said"]["turns"])
            given = prompt(ready.tokenizer, Said(**{**asked["said"], "turns": turns}), ready.ends, ready.taught)
            self._tell(number, form=given.form, how=ready.how, ready_seconds=ready.seconds, prompt_tokens=len(given.ids), bytes=ready.bytes)
            growing = _Growing(lambda **told: self._tell(number, **told))
            done = generate(
                ready.model,
                ready.tokenizer,
                [given.ids],
                decoding,
                stops=[*asked["stops"], *given.stops],
                ends=given.ends,
                budget=Budget(may_go_on=lambda: number not in self._stopped),
                autocast=ready.autocast,
                heard=growing.heard,
            )
        one = done.texts[0]
        self._stopped.discard(number)
        text, tokens, ended = (one.text, one.tokens, one.ended) if one else ("", 0, "budget")
        self._tell(number, text=text, tokens=tokens, seconds=done.seconds, ended=ended, bytes=held_bytes())


class _Growing:
    """Tells a text that grows, not more often than anybody sees."""

    def __init__(self, tell: Callable[..., None], clock: Callable[[], float] = time.monotonic) -> None:
        self._tell, self._clock = tell, clock
        self._begun = clock()
        self._told = float("-inf")
        self._tokens = 0

    def heard(self, _: int, text: str) -> None:
        self._tokens += 1
        now = self._clock()
        if now - self._told >= BETWEEN_SECONDS:
            self._told = now
            self._tell(text=text, tokens=self._tokens, seconds=now - self._begun)


def _told(error: Exception) -> tuple[Problem, ...]:
    if isinstance(error, Refused):
        return error.problems
    if isinstance(error, RunFailed):  # a conversation that a run's template does not take
        return (error.problem,)
    if is_out_of_memory(error):
        return (NO_MEMORY,)
    return (dataclasses.replace(explain(error, "model"), fix="Try another prompt or another model."),)


def main(home: Path, idle_seconds: float) -> int:
    from engine.hardware import usable_cores
    from engine.opening import be_considerate

    be_considerate()  # before torch is loaded
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not stand among the answers
    import torch

    torch.set_num_threads(usable_cores())
    return Writing(Shelf(home), answers).serve(sys.stdin.buffer, idle_seconds)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 300.0))
