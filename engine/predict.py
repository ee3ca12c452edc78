"""Try: a trained model answers texts from a process of its own, so that the page never loads torch.

`Predictor` is the page's side. `python -m engine.predict RUN_FOLDER HOME [IDLE_SECONDS]` is the other side: it loads the run's model
once and answers one JSON object a line on stdout for each on stdin, until stdin closes or nothing was asked for a while.

    <- {"ready": true, "classes": ["Negative", …]}         or {"problems": […]}, and it ends
    -> {"texts": ["…"]}                                          and "seconds": ["…"] where the model reads pairs
    <- {"probabilities": [[0.1, …]], "milliseconds": 12.3}       or {"problems": […]}
    <- {"labels": ["6.7"], "probabilities": null, "margin": 0.6, …}  where it gives a number
    <- {"labels": ["insult, threat"], "threshold": 0.35, …}      where it gives tags
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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from engine.errors import Problem, Refused, explain
from engine.hub import environment_without_tokens
from engine.side_process import IdleEndError, SideProcess

IDLE_SECONDS = 300.0
LOAD_SECONDS = 180.0  # a 1.8B model from a slow disk; MiniLM takes 4
ANSWER_SECONDS = 120.0
MAX_TEXTS = 1000
MAX_CHARACTERS = 100_000  # of one text


@dataclass(frozen=True)
class Prediction:
    """What the model says of one text."""

    label: str
    probabilities: dict[str, float]  # of every class, by label name, in the model's own order; empty where it gives a number
    milliseconds: float  # of the model's work: the request's time divided by its texts
    threshold: float | None = None  # from which chance on a tag is given; None where there are none
    margin: float | None = None  # within which of its number the right one mostly lies

    @property
    def confidence(self) -> float:
        return self.probabilities[self.label]


def served_by_python(run_folder: Path, home: Path) -> list[str]:
    """The command of the real server."""
    return [sys.executable, "-m", "engine.predict", str(run_folder.resolve()), str(home.resolve()), str(IDLE_SECONDS)]


class Predictor:
    """Answers texts by a run's model. One model is loaded at a time; any thread may ask; no torch here.

    `command(run_folder, home)` is what starts the server.
    """

    def __init__(
        self,
        home: Path,
        *,
        command: Callable[[Path, Path], list[str]] = served_by_python,
        load_seconds: float = LOAD_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self.home = home
        self._command = command
        self._load_seconds = load_seconds
        self._answer_seconds = answer_seconds
        self._asking = threading.Lock()  # held for a whole question: one at a time
        self._changing = threading.Lock()  # held for a moment, around _server and _closed
        self._server: _Server | None = None
        self._closed = False

    def ask(self, run_folder: Path, texts: Sequence[str], seconds: Sequence[str] | None = None) -> list[Prediction]:
        """What the run's model says of each text, with the one of `seconds` beside it where it reads pairs.

        Starts its process, or uses the one that is there. Raises Refused with the reason.
        """
        _check(texts)
        if seconds is not None and len(seconds) != len(texts):
            raise Refused(Problem("try", f"These are {len(texts):,} texts and {len(seconds):,} beside them.", "Give one for each text."))
        if not self._asking.acquire(timeout=self._load_seconds + self._answer_seconds):
            raise Refused(Problem("try", "The model is busy with other texts.", "Try again in a moment."))
        try:
            server = self._running(run_folder)
            try:
                return server.ask(texts, seconds, self._answer_seconds)
            except IdleEndError:  # it ended, being idle, just as it was asked
                return self._running(run_folder).ask(texts, seconds, self._answer_seconds)
        except IdleEndError as error:
            raise Refused(Problem("try", "The model's process ended before it answered.", "Try again.")) from error
        finally:
            self._asking.release()

    def release(self, run_folder: Path) -> None:
        """Ends the process of this run's model, if it is the one that is loaded; a question to it is refused."""
        with self._changing:
            server = self._server
        if server and server.which[0] == run_folder.resolve():
            server.kill()

    def processes(self) -> list[int]:
        """The process that holds a model now, by its id: one or none."""
        with self._changing:
            server = self._server
        return [server.pid] if server and server.is_alive() else []

    def close(self) -> None:
        """Ends the process at once, also in the middle of a question. Nothing can be asked after it."""
        with self._changing:
            self._closed = True
            server = self._server
        if server:
            server.kill()

    def _running(self, run_folder: Path) -> _Server:
        """The server of this run's model, ready to be asked. Another is ended first, so that two models never share the memory."""
        which = (run_folder.resolve(), _written(run_folder / "model"))
        server = self._server
        if server and (server.which != which or not server.is_alive()):
            server.kill()
            server = None
        if server is None:
            with self._changing:
                if self._closed:
                    raise Refused(Problem("try", "Shur is closing.", "Start it again."))
                server = self._server = _Server(which, self._command(run_folder, self.home))
            server.wait_until_ready(self._load_seconds)
        return server


def _written(folder: Path) -> int:
    """Changes when a resumed run has written its model anew; 0 where there is none."""
    return folder.stat().st_mtime_ns if folder.exists() else 0


def _check(texts: Sequence[str]) -> None:
    problems = []
    if not texts:
        problems.append(Problem("try", "There is no text.", "Type one."))
    if len(texts) > MAX_TEXTS:
        problems.append(Problem("try", f"These are {len(texts):,} texts.", f"Try up to {MAX_TEXTS:,} at once."))
    for number, text in enumerate(texts[:MAX_TEXTS], 1):
        which = "The text" if len(texts) == 1 else f"Text {number}"
        if not text.strip():
            problems.append(Problem("try", f"{which} is blank.", "Type something."))
        elif len(text) > MAX_CHARACTERS:
            problems.append(Problem("try", f"{which} has {len(text):,} characters.", f"Shorten it to {MAX_CHARACTERS:,}."))
    if problems:
        raise Refused(*problems)


class _Server:
    """The process that answers by one model."""

    def __init__(self, which: tuple[Path, int], command: list[str]) -> None:
        self.which = which
        self.classes: tuple[str, ...] = ()
        self._killed = False
        self._process = SideProcess(command, environment_without_tokens())  # the base lies in the cache since the training
        self.pid = self._process.pid
        self.is_alive = self._process.is_alive

    def kill(self) -> None:
        self._killed = True
        self._process.kill()

    def wait_until_ready(self, seconds: float) -> None:
        try:
            self.classes = tuple(self._next(seconds, "load")["classes"])
        except Refused:
            self.kill()
            raise
        except IdleEndError as error:
            raise Refused(Problem("try", "The model's process ended before it was ready.", "Try again.")) from error

    def ask(self, texts: Sequence[str], beside: Sequence[str] | None, seconds: float) -> list[Prediction]:
        self._process.send({"texts": list(texts)} if beside is None else {"texts": list(texts), "seconds": list(beside)})
        answer = self._next(seconds, "answer")
        each = answer["milliseconds"] / len(texts)
        labels, chances = answer.get("labels"), answer["probabilities"]
        told = [{} for _ in texts] if chances is None else [dict(zip(self.classes, row, strict=True)) for row in chances]
        labels = labels or [max(one, key=lambda name: one[name]) for one in told]
        threshold = answer.get("threshold")
        margin = answer.get("margin")
        return [Prediction(label, one, each, threshold, margin) for label, one in zip(labels, told, strict=True)]

    def _next(self, seconds: float, what: str) -> dict[str, Any]:
        """The process's next line. Raises Refused with its problems, or with how it ended; IdleEndError where it just stopped."""
        try:
            answer = self._process.lines.get(timeout=seconds)
        except queue.Empty:
            self.kill()  # else this answer might come in the middle of the next
            message = f"The model did not {what} within {seconds:,.0f} seconds."
            raise Refused(Problem("try", message, "Try fewer or shorter texts, or free some memory, and try again.")) from None
        if answer is None:
            raise self._ended()
        if "problems" in answer:
            raise Refused(*(Problem(**one) for one in answer["problems"]))
        return answer

    def _ended(self) -> Refused | IdleEndError:
        self._process.lines.put(None)  # for whoever asks again
        code, problem = self._process.how_it_ended("try", "the model's process", "Try again.")
        if self._killed:
            return Refused(Problem("try", "The model was put away.", "Try again."))
        return IdleEndError() if code == 0 else Refused(problem)


# The other side


@dataclass(frozen=True)
class Said:
    """Answers as a person reads them, and where there are classes the probability of each."""

    labels: list[str]
    probabilities: list[list[float]] | None
    threshold: float | None = None  # from which chance on a tag is given
    margin: float | None = None  # of a number


def serve(
    load: Callable[[], tuple[Sequence[str], Callable[..., Any]]], requests: IO[bytes], answers: IO[bytes], idle_seconds: float
) -> int:
    """Answers requests until they end or stay out for `idle_seconds`. `load` gives the class names, and texts -> probabilities or Said.

    Returns the exit code: 0, or 1 where the model could not be loaded.
    """

    def tell(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer, allow_nan=False).encode() + b"\n")
        answers.flush()

    try:
        classes, probabilities = load()
    except Exception as error:  # the border: told in words, the traceback on stderr
        traceback.print_exc()
        tell({"problems": _told(error)})
        return 1
    tell({"ready": True, "classes": list(classes)})
    waiting: queue.Queue[bytes | None] = queue.Queue()
    threading.Thread(target=_read_requests, args=(requests, waiting), daemon=True).start()
    while True:
        try:
            line = waiting.get(timeout=idle_seconds)
        except queue.Empty:
            return 0
        if line is None:
            return 0
        try:
            begun = time.perf_counter()
            asked = json.loads(line)
            found = probabilities(asked["texts"], *([asked["seconds"]] if "seconds" in asked else []))
            spent = 1000 * (time.perf_counter() - begun)
            labels, chances = (found.labels, found.probabilities) if isinstance(found, Said) else (None, found)
            rows = None if chances is None else [[float(one) for one in row] for row in chances]
            answer: dict[str, Any] = {"labels": labels, "probabilities": rows, "milliseconds": spent}
            if isinstance(found, Said):
                answer |= {"threshold": found.threshold, "margin": found.margin}
        except Exception as error:  # the border of one request
            traceback.print_exc()
            answer = {"problems": _told(error)}
        tell(answer)


def _told(error: Exception) -> list[dict[str, str]]:
    if isinstance(error, Refused):
        problems: tuple[Problem, ...] = error.problems
    else:
        problems = (dataclasses.replace(explain(error, "try"), fix="Try fewer or shorter texts, or another run."),)
    return [dataclasses.asdict(problem) for problem in problems]


def _read_requests(requests: IO[bytes], waiting: queue.Queue[bytes | None]) -> None:
    for line in requests:
        waiting.put(line)
    waiting.put(None)


def load_model(run_folder: Path, home: Path) -> tuple[Sequence[str], Callable[..., Any]]:
    """The run's class names, and texts -> (texts, classes) probabilities or Said. The one place here that loads a model."""
    from engine.trained import open_trained

    trained = open_trained(run_folder / "model", home=home)
    # the first call is slow; it shall not stand in a person's milliseconds
    trained.answers(["a"], ["a"] if trained.task.pairs else None)
    if trained.task.judges is None:
        return trained.classes, trained.probabilities

    def said(texts: list[str], seconds: list[str] | None = None) -> Said:
        assert trained.task.judges is not None
        found, threshold = trained.answers(texts, seconds), trained.kept.threshold
        told = found if threshold is None else found >= threshold
        labels = [trained.task.judges.spelt(one, trained.classes) for one in told]
        return Said(labels, found.tolist() if found.ndim == 2 else None, threshold, trained.kept.margin)

    return trained.classes, said


def main(run_folder: Path, home: Path, idle_seconds: float) -> int:
    adjust = Path("/proc/self/oom_score_adj")
    if adjust.exists():
        adjust.write_text("500")  # before the page, should the system run out of memory
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not stand among the answers
    return serve(lambda: load_model(run_folder, home), sys.stdin.buffer, answers, idle_seconds)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else IDLE_SECONDS))
