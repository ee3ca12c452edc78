"""The playground, seen from the page: asks the process that writes (playing.py) for texts, and tells how far they are. No torch here.

A ticket stands for texts that are asked for together, such as one of each column; they are written one after the other, so that each has
the machine to itself and their tokens a second can be compared. The process starts with the first text, ends when idle, and is ended
when a training run begins.
"""

from __future__ import annotations

import queue
import secrets
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from engine.conversation import Said
from engine.decoding import Decoding
from engine.errors import Problem, Refused
from engine.side_process import IdleEndError, SideProcess

IDLE_SECONDS = 300.0
SILENT_SECONDS = 600.0  # without a word the process counts as stuck; a GGUF file's conversion took 127 s on two busy cores
ABANDONED_SECONDS = 120.0  # after which texts that nobody looks at are stopped; a browser ticks a hidden page once a minute
MOST_WAITING = 8  # tickets
TICKETS_KEPT = 64
MOST_CHARACTERS = 200_000  # of everything that was said

STARTING = "Starting"
State = Literal["waiting", "preparing", "writing", "done", "stopped", "failed"]
OVER: tuple[State, ...] = ("done", "stopped", "failed")
BEGAN = "A training run began"


@dataclass(frozen=True)
class Asked:
    """One text to be written."""

    run: Path | None  # the folder of a finished run; None: the untuned `model`
    model: str = ""
    revision: str | None = None
    said: Said = field(default_factory=lambda: Said(()))
    decoding: Decoding = field(default_factory=Decoding)
    stops: tuple[str, ...] = ()
    token: str | None = None  # of the Hub; goes to the process and nowhere else
    reserve_bytes: int = 0  # of what is free now, that a run at work may still take

    @property
    def which(self) -> dict[str, str | None]:
        return {"run": str(self.run.resolve())} if self.run else {"model": self.model, "revision": self.revision}


@dataclass(frozen=True)
class Text:
    """How far a text is."""

    state: State = "waiting"
    message: str = ""  # what goes on while it gets ready
    text: str = ""
    tokens: int = 0
    seconds: float = 0.0  # of writing alone
    form: str = ""  # what the prompt was put into, as conversation.Prompt tells it
    ended: str = ""  # as generation.Written tells it
    how: str = ""  # as shelf.Ready tells it
    ready_seconds: float = 0.0
    prompt_tokens: int = 0
    bytes: int = 0  # that the process held
    problems: tuple[Problem, ...] = ()

    @property
    def is_over(self) -> bool:
        return self.state in OVER

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds if self.seconds else 0.0


@dataclass
class _Ticket:
    asked: tuple[Asked, ...]
    texts: list[Text]
    looked_at: float
    stopped: bool = False


def played_by_python(home: Path) -> list[str]:
    """The command of the real process."""
    return [sys.executable, "-m", "engine.playing", str(home.resolve()), str(IDLE_SECONDS)]


class Playground:
    """Texts written by a process of its own. Any thread may ask. `environment()` is what the process finds around it, without a token."""

    def __init__(
        self,
        home: Path,
        environment: Callable[[], Mapping[str, str]],
        *,
        command: Callable[[Path], list[str]] = played_by_python,
        silent_seconds: float = SILENT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._home = home
        self._environment = environment
        self._command = command
        self._silent_seconds = silent_seconds
        self._clock = clock
        self._guard = threading.RLock()  # held for moments, around everything below
        self._tickets: OrderedDict[str, _Ticket] = OrderedDict()
        self._queue: queue.Queue[_Ticket | None] = queue.Queue()
        self._process: SideProcess | None = None
        self._writes: tuple[_Ticket, int] | None = None  # the text that is being written, and its number
        self._number = 0
        self._gave_way = ""  # to what
        self._thread: threading.Thread | None = None
        self._closed = False

    # What a page asks

    def begin(self, asked: Sequence[Asked]) -> str:
        """Puts these texts in line and returns their ticket. Raises Refused where there is nothing to go on from, or the line is long."""
        _check(asked)
        with self._guard:
            if self._closed:
                raise Refused(Problem("write", "Shur is closing.", "Start it again."))
            if sum(not all(text.is_over for text in one.texts) for one in self._tickets.values()) >= MOST_WAITING:
                raise Refused(Problem("write", "Others wait for their texts already.", "Try again in a minute."))
            ticket, number = _Ticket(tuple(asked), [Text() for _ in asked], self._clock()), secrets.token_hex(8)
            self._tickets[number] = ticket
            over = [key for key, one in self._tickets.items() if all(text.is_over for text in one.texts)]
            for key in over[: max(0, len(self._tickets) - TICKETS_KEPT)]:
                del self._tickets[key]
            self._queue.put(ticket)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="playground", daemon=True)
                self._thread.start()
        return number

    def look(self, ticket: str) -> tuple[Text, ...]:
        """How far its texts are. Raises Refused for a ticket that is not, or no longer, known."""
        with self._guard:
            found = self._tickets.get(ticket)
            if found is None:
                raise Refused(Problem("write", "These texts are not kept any more.", "Press Write again."))
            found.looked_at = self._clock()
            return tuple(found.texts)

    def stop(self, ticket: str) -> None:
        """Ends its texts where they are. A model that is still being made ready is given up, and the process with it."""
        with self._guard:
            found = self._tickets.get(ticket)
            if found is not None:
                self._stop(found)

    def _stop(self, ticket: _Ticket) -> None:
        ticket.stopped = True
        if self._writes is not None and self._writes[0] is ticket and self._process is not None:
            if any(text.state == "preparing" for text in ticket.texts):
                self._process.kill()
            else:
                self._process.send({"stop": self._number})

    def give_way(self, to: str = BEGAN) -> None:
        """Ends the process at once, since a training run begins, or whatever `to` tells, and says so to whoever looks."""
        with self._guard:
            if self._process is not None and self._process.is_alive():
                self._gave_way = to
                self._process.kill()
                working = self._writes[0] if self._writes is not None else None
                for one in self._tickets.values():  # those that wait would take the memory again at once
                    if one is not working and not all(text.is_over for text in one.texts):
                        one.stopped = True

    @property
    def notice(self) -> Problem | None:
        """Why the models are no longer there, until one is loaded again; None where there is nothing to say."""
        with self._guard:
            return replace(_gave_way(self._gave_way), severity="warning") if self._gave_way else None

    def processes(self) -> list[int]:
        """The process that holds models now, by its id: one or none."""
        with self._guard:
            return [self._process.pid] if self._process is not None and self._process.is_alive() else []

    def close(self) -> None:
        """Ends the process at once. Nothing can be asked after it."""
        with self._guard:
            self._closed = True
            self._queue.put(None)
            if self._process is not None:
                self._process.kill()

    # The thread that speaks with the process

    def _work(self) -> None:
        while (ticket := self._queue.get()) is not None:
            for at in range(len(ticket.texts)):
                try:
                    self._write(ticket, at)
                except Refused as refused:
                    self._put(ticket, at, state="failed", problems=refused.problems)

    def _put(self, ticket: _Ticket, at: int, **changed: Any) -> None:
        with self._guard:
            ticket.texts[at] = replace(ticket.texts[at], **changed)

    def _write(self, ticket: _Ticket, at: int) -> None:
        """Follows one text to its end. Raises Refused where the process ends before."""
        try:
            self._follow(ticket, at)
        except IdleEndError:  # it ended, being idle, just as it was asked
            self._follow(ticket, at)

    def _follow(self, ticket: _Ticket, at: int) -> None:
        with self._guard:
            if ticket.stopped or self._closed:
                self._put(ticket, at, state="stopped")
                return
            process, asked = self._running(), ticket.asked[at]
            self._number, self._writes, self._gave_way = self._number + 1, (ticket, at), ""
            self._put(ticket, at, state="preparing", message=STARTING)
            process.send(
                {
                    "write": self._number, "which": asked.which, "beside": [one.which for one in ticket.asked if one is not asked],
                    "token": asked.token, "said": asdict(asked.said),
                    "decoding": asdict(asked.decoding), "stops": list(asked.stops), "reserve_bytes": asked.reserve_bytes,
                }
            )  # fmt: skip
        try:
            while not ticket.texts[at].is_over:
                self._hear(ticket, at, process)
        finally:
            with self._guard:
                self._writes = None

    def _hear(self, ticket: _Ticket, at: int, process: SideProcess) -> None:
        try:
            told = process.lines.get(timeout=self._silent_seconds)
        except queue.Empty:
            process.kill()
            message = f"The model was silent for {self._silent_seconds:,.0f} seconds."
            raise Refused(Problem("write", message, "Try a shorter prompt or a smaller model.")) from None
        if told is None:
            self._ended(ticket, at, process)
            return
        if told.pop("id", None) != self._number:
            return
        if "problems" in told:
            self._put(ticket, at, state="failed", problems=tuple(Problem(**one) for one in told["problems"]))
        elif "message" in told:
            self._put(ticket, at, message=_so_far(told["message"], told["done"], told["total"]))
        elif "ended" in told:
            self._put(ticket, at, state="stopped" if told["ended"] == "budget" else "done", **told)
        else:
            self._put(ticket, at, state="writing", message="", **told)
            abandoned = self._clock() - ticket.looked_at > ABANDONED_SECONDS
            if abandoned or ticket.stopped:  # the latter: asked for just before it began to write
                with self._guard:
                    self._stop(ticket)

    def _ended(self, ticket: _Ticket, at: int, process: SideProcess) -> None:
        """Tells how the process ended in the middle of a text."""
        code, problem = process.how_it_ended("write", "the process that writes", "Press Write again.")
        with self._guard:
            if ticket.stopped or self._closed:
                self._put(ticket, at, state="stopped")
                return
            if self._gave_way:
                ticket.stopped = True  # the text beside it would load everything again
                problem = _gave_way(self._gave_way)
            elif code == 0 and ticket.texts[at].message == STARTING:
                raise IdleEndError
        raise Refused(problem)

    def _running(self) -> SideProcess:
        if self._process is None or not self._process.is_alive():
            self._process = SideProcess(self._command(self._home), self._environment())
        return self._process


def _so_far(message: str, done: int, total: int) -> str:
    return f"{message}: {100 * done // total} %" if total else message


def _check(asked: Sequence[Asked]) -> None:
    problems = []
    if not asked or any(not one.run and not one.model for one in asked):
        problems.append(Problem("write", "No model is chosen.", "Choose one."))
    if any(not one.said.turns or not one.said.turns[-1].text.strip() for one in asked):
        problems.append(Problem("prompt", "There is no prompt yet.", "Type one, or press one of the examples."))
    longest = max((_characters(one.said) for one in asked), default=0)
    if longest > MOST_CHARACTERS:
        message = f"These are {longest:,} characters, and up to {MOST_CHARACTERS:,} are taken."
        problems.append(Problem("prompt", message, "Shorten the prompt, or press Clear."))
    if problems:
        raise Refused(*problems)


def _gave_way(to: str) -> Problem:
    return Problem("write", f"{to}, so the models were put away and their memory is free for it.", "Press Write to load them again.")


def _characters(said: Said) -> int:
    return sum(len(one.text) for one in said.turns) + len(said.system) + len(said.context)
