"""What one run of a study has come to, read from its folder: figures, answers, memory, pace, how steady its loss was."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine import account, comparison, redrawn
from engine.account import Account
from engine.comparison import Answers, Stability
from engine.errors import Refused
from engine.evaluate import Evaluation
from engine.plan import Plan
from engine.reading import Reader, RunSummary
from engine.redrawn import Redrawn
from engine.scoring import Interval
from engine.store import RunRecord
from engine.verdict import percent

POINTS = 30  # of a loss curve: several lie over one another, and single steps would hide them
FILES = ("events.jsonl", "evaluation.json", "predictions.jsonl", "plan.json", account.FILE, redrawn.FILE)


@dataclass(frozen=True)
class RunResult:
    """What one run of a study has come to."""

    id: str
    seed: int
    summary: RunSummary
    fix: str  # what can be done where it did not finish
    planned: Plan | None
    judged: Evaluation | None  # of a task with classes
    answers: Answers | None
    peak_bytes: int | None  # of the process, or of the GPU where there is one, in the last attempt
    rows_per_second: float | None  # the middle one of all steps
    saved_bytes: int | None
    stability: Stability | None
    curve: tuple[tuple[int, float], ...]  # (step, mean loss of the steps that share the point)
    account: Account | None = None  # of a task without
    redrawn: dict[str, Redrawn] = field(default_factory=dict)  # its figures by which it can be told from others

    @property
    def figures(self) -> dict[str, Interval]:
        """By their ids, what it was judged by; nothing before that."""
        if self.judged is not None:
            return {"macro_f1": self.judged.macro_f1, "accuracy": self.judged.accuracy}
        return {one.id: one.value for one in self.account.figures if one.rows} if self.account is not None else {}

    @property
    def in_words(self) -> str:
        """91.2 % right, macro F1 90.5 %; or ROUGE-L 0.312. "" before it is judged."""
        if self.judged is not None:
            return f"{percent(self.judged.accuracy.value)} right, macro F1 {percent(self.judged.macro_f1.value)}"
        return account.headline_words(self.account) or "" if self.account is not None else ""


def stamp(folder: Path) -> tuple[tuple[int, int], ...]:
    """Changes when one of the files that `read` reads does."""
    return tuple(_size(folder / name) for name in FILES)


def read(reader: Reader, summary: RunSummary, seed: int) -> RunResult:
    """The run as it stands."""
    folder = reader.store.folder(summary.id)
    record = reader.record(summary.id)
    try:
        plan: Plan | None = reader.plan(summary.id)
    except Refused:
        plan = None
    warmup = int(plan.settings["warmup_steps"]) if plan else 0
    told = sorted(step.rows_per_second for step in record.steps)
    return RunResult(
        id=summary.id,
        seed=seed,
        summary=summary,
        fix=record.ended.fix if record.ended else "",
        planned=plan,
        judged=reader.evaluation(summary.id),
        answers=_answers(folder / "predictions.jsonl"),
        peak_bytes=_peak(record),
        rows_per_second=told[len(told) // 2] if told else None,
        saved_bytes=next((one.bytes for one in reversed(record.saved) if one.what == "model"), None),
        stability=comparison.stability([step.loss for step in record.steps], warmup),
        curve=_thinned([(step.step, step.loss) for step in record.steps]),
        account=reader.account(summary.id),
        redrawn=redrawn.read(folder / redrawn.FILE),
    )


def _peak(record: RunRecord) -> int | None:
    """Of the last attempt: one before it may have ended for want of memory, with a larger batch.

    Nothing before its first step, when neither model nor torch need be loaded; a run may have been resumed after its last.
    """
    first = next((step.time for step in record.steps if step.time >= record.begun), None)
    if first is None and record.state != "finished":
        return None
    told = [one for one in record.resources if one.time >= (record.begun if first is None else first)]
    gpu = max((one.vram_peak_bytes or 0 for one in told), default=0)
    return gpu or max((one.ram_peak_bytes for one in told), default=0) or None


def _answers(path: Path) -> Answers | None:
    try:
        with path.open(encoding="utf-8") as file:
            return comparison.read_answers([json.loads(line) for line in file])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _thinned(points: Sequence[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
    """At most POINTS of them, each the mean of neighbours."""
    width = max(1, -(-len(points) // POINTS))
    groups = [points[at : at + width] for at in range(0, len(points), width)]
    return tuple((group[-1][0], sum(loss for _, loss in group) / len(group)) for group in groups)


def _size(path: Path) -> tuple[int, int]:
    try:
        told = path.stat()
    except FileNotFoundError:
        return 0, 0
    return told.st_size, told.st_mtime_ns
