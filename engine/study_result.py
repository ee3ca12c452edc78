"""A study's result, folded from its runs' records: a line for each method, and what to take. Only what changed is read again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from engine import comparison, study, study_advice, study_run
from engine.comparison import Advice, Figure, Stability
from engine.criterion import Criterion
from engine.methods import Method
from engine.ranking import Level
from engine.reading import Reader, RunSummary
from engine.study import Study
from engine.study_run import RunResult
from engine.tasks import all_tasks

__all__ = ["GOING", "TO_RESUME", "Result", "Results", "Row", "RunResult"]

GOING = ("queued", "running")
TO_RESUME = ("stopped", "failed", "killed")


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
    quality: Figure | None  # by the study's first criterion
    beside: Figure | None  # by its second
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
    criteria: tuple[Criterion, ...]  # what it ranks by, and a second figure where there is one
    baselines: tuple[Level, ...]
    test_rows: int
    advice: Advice
    done: int  # runs over; a stopped one is not
    share: float  # of all steps, those taken
    total: int
    seconds_left: float | None

    @property
    def loss_unit(self) -> str:
        """Of the loss that its runs learn by."""
        task = all_tasks().get(self.study.base.task)
        return task.loss_unit if task is not None else "nats a row"

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
        runs = {arm: [self._run(made.id, there[arm, seed], seed) for seed in made.seeds if (arm, seed) in there] for arm in made.arms}
        criteria = study_advice.criteria(made, runs)
        rows = tuple(self._row(made, arm, runs[arm], criteria) for arm in made.arms)
        levels, test_rows = study_advice.levels(made, runs, criteria)
        over = sum(one.state not in (*GOING, "new", "stopped") for one in there.values())
        begun = sum(one.step / max(1, one.total_steps) for one in there.values() if one.state in (*GOING, "stopped"))
        states = {one.state for one in there.values()}
        state = "running" if "running" in states else "queued" if states & {"queued", "new"} else "stopped"
        if state == "stopped" and len(there) == len(made.cells) and states <= {"finished", "failed"}:
            state = "finished"
        return Result(
            study=made,
            state=state,
            rows=rows,
            criteria=criteria,
            baselines=levels,
            test_rows=test_rows,
            advice=self._advice(made, rows, criteria, levels),
            done=over,
            share=min(1.0, (over + begun) / max(1, len(made.cells))),
            total=len(made.cells),
            seconds_left=_left(rows) if state in GOING else None,
        )

    def _advice(self, made: Study, rows: Sequence[Row], criteria: Sequence[Criterion], levels: Sequence[Level]) -> Advice:
        """What to take; worked out again only when a figure has changed, for with 14 methods and 5 seeds it takes a second."""
        lines = [study_advice.Line(row.method, row.name, row.quality, row.beside, row.peak_bytes, row.seconds, row.runs) for row in rows]
        unfinished = sum(row.state != "finished" for row in rows)
        judged = tuple(tuple(run.id for run in row.runs if run.figures and run.summary.state == "finished") for row in rows)
        figures = tuple((one.method, one.quality, one.beside, one.memory_bytes, one.seconds) for one in lines)
        stamp = figures, judged, tuple(criteria), tuple(levels), unfinished
        if made.id not in self._advised or self._advised[made.id][0] != stamp:
            self._advised[made.id] = stamp, study_advice.advise(made, lines, criteria, levels, unfinished)
        return self._advised[made.id][1]

    def _row(self, made: Study, arm: str, runs: Sequence[RunResult], criteria: Sequence[Criterion]) -> Row:
        missing = [seed for seed in made.seeds if all(run.seed != seed for run in runs)]
        state, reason = _state(runs, missing, made, arm)
        figures = [comparison.over_seeds([run.figures[one.id] for run in runs if one.id in run.figures], one.bounds) for one in criteria]
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
            quality=figures[0],
            beside=figures[1] if len(figures) > 1 else None,
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
        stamp = study_run.stamp(folder)
        read = self._runs.setdefault(study_id, {})  # another viewer may have deleted the study meanwhile
        known = read.get(summary.id)
        if known is None or known[0] != stamp:
            known = read[summary.id] = stamp, study_run.read(self._reader, summary, seed)
        return replace(known[1], summary=summary)


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


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
