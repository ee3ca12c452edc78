"""A study's result, folded from its runs' records: a line for each method, and what to take. Only what changed is read again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engine import comparison, findings, study
from engine.comparison import Advice, Answers, Candidate, Figure, Stability
from engine.errors import Refused
from engine.evaluate import BaselineScore, Evaluation
from engine.findings import Arm
from engine.methods import Method
from engine.plan import Plan
from engine.reading import Reader, RunSummary
from engine.store import RunRecord
from engine.study import Study
from engine.verdict import CHANCE

POINTS = 30  # of a loss curve: several lie over one another, and single steps would hide them
GOING = ("queued", "running")
TO_RESUME = ("stopped", "failed", "killed")


@dataclass(frozen=True)
class RunResult:
    """What one run of a study has come to."""

    id: str
    seed: int
    summary: RunSummary
    fix: str  # what can be done where it did not finish
    planned: Plan | None
    judged: Evaluation | None
    answers: Answers | None
    peak_bytes: int | None  # of the process, or of the GPU where there is one, in the last attempt
    rows_per_second: float | None  # the middle one of all steps
    saved_bytes: int | None
    stability: Stability | None
    curve: tuple[tuple[int, float], ...]  # (step, mean loss of the steps that share the point)


@dataclass(frozen=True)
class Row:
    """The line of an arm in the result: means over the seeds that have a figure, the peak of all."""

    method: str  # the arm's id: the method's, or the variant's where one method is studied
    name: str
    state: str  # "queued", "running", "finished", "stopped", "failed", "killed", "missing"; of several seeds the first that applies
    reason: str  # why it did not finish, and what to do; else what it does now
    done: int  # runs finished
    runs: tuple[RunResult, ...]
    train_rows: int  # of each run, made ones included; 0 while it is not known
    trainable_share: float | None
    learning_rate: float | None
    steps: int  # taken, of all its runs
    total_steps: int  # of one run
    accuracy: Figure | None
    macro_f1: Figure | None
    peak_bytes: int | None
    seconds: float | None  # of a run
    rows_per_second: float | None
    saved_bytes: int | None
    stability: Stability | None  # the widest spread, all spikes, any divergence


@dataclass(frozen=True)
class Result:
    """A study as it stands."""

    study: Study
    state: str  # "running", "queued", "finished", "stopped"
    rows: tuple[Row, ...]
    baselines: tuple[BaselineScore, ...]
    test_rows: int
    advice: Advice
    done: int  # runs over; a stopped one is not
    share: float  # of all steps, those taken
    total: int
    seconds_left: float | None

    @property
    def can_resume(self) -> bool:
        """Whether any of its runs was stopped, has failed or is missing, whatever else waits or works."""
        unfinished = any(run.summary.state in TO_RESUME for row in self.rows for run in row.runs)
        return unfinished or any(len(row.runs) < len(self.study.seeds) for row in self.rows)


class Results:
    """Folds studies of one home. Remembers each run's part until its files change."""

    def __init__(self, reader: Reader, methods: Mapping[str, Method]) -> None:
        self._reader = reader
        self._methods = methods
        self._runs: dict[str, dict[str, tuple[object, RunResult]]] = {}  # study -> run -> its files' sizes and times, and its part
        self._advised: dict[str, tuple[object, Advice]] = {}

    def forget(self, study_id: str) -> None:
        """Lets go of a study that was deleted."""
        self._runs.pop(study_id, None)
        self._advised.pop(study_id, None)

    def fold(self, made: Study, there: Mapping[tuple[str, int], RunSummary]) -> Result:
        """The study as it stands, with the newest run of each method and seed."""
        known = self._runs.get(made.id, {})
        self._runs[made.id] = {one.id: known[one.id] for one in there.values() if one.id in known}  # without those that were deleted
        rows = tuple(self._row(made, arm, there) for arm in made.arms)
        over = sum(one.state not in (*GOING, "new", "stopped") for one in there.values())
        begun = sum(one.step / max(1, one.total_steps) for one in there.values() if one.state in (*GOING, "stopped"))
        judged = [next((run.judged for run in row.runs if run.judged), None) for row in rows]
        tested = [one for one in judged if one is not None]
        if made.varies != "folds":  # of which each has test rows of its own
            tested = tested[:1]
        baselines = findings.pooled(tested) if tested else ()
        states = {one.state for one in there.values()}
        state = "running" if "running" in states else "queued" if states & {"queued", "new"} else "stopped"
        if state == "stopped" and len(there) == len(made.cells) and states <= {"finished", "failed"}:
            state = "finished"
        return Result(
            study=made,
            state=state,
            rows=rows,
            baselines=baselines,
            test_rows=sum(one.rows for one in tested),
            advice=self._advice(made, rows, {one.name: one.accuracy for one in baselines}),
            done=over,
            share=min(1.0, (over + begun) / max(1, len(made.cells))),
            total=len(made.cells),
            seconds_left=_left(rows) if state in GOING else None,
        )

    def _advice(self, made: Study, rows: Sequence[Row], baselines: Mapping[str, float]) -> Advice:
        """What to take; worked out again only when a figure has changed, for with 14 methods and 5 seeds it takes a second."""
        candidates = _candidates(rows)
        unfinished = sum(row.state != "finished" for row in rows)
        known = tuple(
            (one.method, one.quality, one.accuracy, one.memory_bytes, one.seconds, one.loses, tuple(one.answers)) for one in candidates
        )
        stamp = known, unfinished
        if made.id not in self._advised or self._advised[made.id][0] != stamp:
            if made.varies == "methods":
                advice = comparison.advise(candidates, unfinished=unfinished, baselines=baselines)
            else:
                judged = {row.method: tuple(run.judged for run in row.runs if run.judged) for row in rows}
                advice = findings.advise(made.varies, [Arm(one, judged[one.method]) for one in candidates], unfinished)
            self._advised[made.id] = stamp, advice
        return self._advised[made.id][1]

    def _row(self, made: Study, arm: str, there: Mapping[tuple[str, int], RunSummary]) -> Row:
        runs = [self._run(made.id, there[arm, seed], seed) for seed in made.seeds if (arm, seed) in there]
        missing = [seed for seed in made.seeds if (arm, seed) not in there]
        state, reason = _state(runs, missing, made, arm)
        judged = [run.judged for run in runs if run.judged]
        plan = next((run.planned for run in runs if run.planned), None)
        steady = [run.stability for run in runs if run.stability]
        return Row(
            method=arm,
            name=made.name_of(arm, self._methods),
            state=state,
            reason=reason,
            done=sum(run.summary.state == "finished" for run in runs),
            runs=tuple(runs),
            train_rows=plan.learnt_rows if plan else 0,
            trainable_share=plan.trainable_share if plan else None,
            learning_rate=float(plan.settings[study.OWN_RULE]) if plan else None,
            steps=sum(run.summary.step for run in runs),
            total_steps=plan.steps if plan else 0,
            accuracy=comparison.over_seeds([one.accuracy for one in judged]),
            macro_f1=comparison.over_seeds([one.macro_f1 for one in judged]),
            peak_bytes=max((run.peak_bytes for run in runs if run.peak_bytes), default=None),
            seconds=_mean([run.summary.seconds for run in runs if run.summary.state == "finished"]),
            rows_per_second=_mean([run.rows_per_second for run in runs if run.rows_per_second]),
            saved_bytes=max((run.saved_bytes for run in runs if run.saved_bytes), default=None),
            stability=Stability(
                max(one.spread for one in steady), sum(one.spikes for one in steady), max(one.threshold for one in steady),
                any(one.diverged for one in steady),
            ) if steady else None,
        )  # fmt: skip

    def _run(self, study_id: str, summary: RunSummary, seed: int) -> RunResult:
        folder = self._reader.store.folder(summary.id)
        stamp = tuple(_size(folder / name) for name in ("events.jsonl", "evaluation.json", "predictions.jsonl", "plan.json"))
        read = self._runs.setdefault(study_id, {})  # another viewer may have deleted the study meanwhile
        known = read.get(summary.id)
        if known is None or known[0] != stamp:
            known = read[summary.id] = stamp, self._read_run(summary, seed, folder)
        return replace(known[1], summary=summary)

    def _read_run(self, summary: RunSummary, seed: int, folder: Path) -> RunResult:
        reader = self._reader
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
        )


def _state(runs: Sequence[RunResult], missing: Sequence[int], made: Study, arm: str) -> tuple[str, str]:
    """What state an arm is in over its seeds, and a sentence on it."""
    states = [run.summary.state for run in runs]
    for state in ("running", "queued", "new"):
        if state in states:
            return ("queued" if state == "new" else state), next(run.summary.message for run in runs if run.summary.state == state)
    if missing:
        refused = next((made.refused[key] for seed in missing if (key := f"{arm}/{seed}") in made.refused), "")
        return "missing", refused or "It was never put in the queue, or it was deleted. Press Resume to queue it."
    for run in runs:
        if run.summary.state in TO_RESUME:
            return run.summary.state, f"{run.summary.message} {run.fix}".strip()
    return "finished", next((run.summary.message for run in runs), "")


def _candidates(rows: Sequence[Row]) -> list[Candidate]:
    """Methods with a judged run of every seed, or at least of one while others failed."""
    found = []
    for row in rows:
        judged = [run for run in row.runs if run.judged is not None and run.summary.state == "finished"]
        if not judged or row.macro_f1 is None or row.accuracy is None or row.seconds is None:
            continue
        baselines: dict[str, list[bool]] = {}
        behind: dict[str, list[bool]] = {}
        for run in judged:
            for one in run.judged.baselines if run.judged else ():
                more, unlike = one.only_model_right - one.only_baseline_right, one.p_value < CHANCE
                ahead = (unlike and more > 0) or one.macro_f1_gain.low > 0
                baselines.setdefault(one.id, []).append(ahead)
                behind.setdefault(one.name, []).append(not ahead and more < 0 and (unlike or one.macro_f1_gain.high < 0))
        found.append(
            Candidate(
                row.method, row.name, row.macro_f1, row.accuracy, row.peak_bytes, row.seconds,
                {run.seed: run.answers for run in judged if run.answers is not None},
                {name: all(ahead) for name, ahead in baselines.items()},
                frozenset(name for name, lost in behind.items() if all(lost)),
            )
        )  # fmt: skip
    return found


def _left(rows: Sequence[Row]) -> float | None:
    """Seconds that the runs which wait or work still take: as their plans say, or as their own pace and other runs of the method say."""
    left = 0.0
    for row in rows:
        for run in row.runs:
            if run.summary.state not in (*GOING, "new") or run.planned is None:
                continue
            whole = row.seconds if row.seconds is not None else run.planned.seconds
            if whole is None:
                return None
            left += max(0.0, whole - (run.summary.seconds if run.summary.state == "running" else 0.0))
    return left


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


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _size(path: Path) -> tuple[int, int]:
    try:
        told = path.stat()
    except FileNotFoundError:
        return 0, 0
    return told.st_size, told.st_mtime_ns
