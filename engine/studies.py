"""The studies of a home: made, queued, stopped, resumed, extended, deleted, and read back from their runs' records.

    HOME/studies/<id>/study.json      what was asked for (study.py)
    HOME/runs/*/spec.json             each run names its study; that alone ties them together

So nothing is lost when the app ends half-way through the queueing: what has no run yet is told, and `resume` puts it in the queue.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import filelock

from engine import comparison, study
from engine.comparison import Advice, Answers, Candidate, Figure, Stability
from engine.errors import Problem, Refused
from engine.evaluate import BaselineScore, Evaluation
from engine.methods import Method
from engine.plan import Plan
from engine.reading import Reader, RunSummary
from engine.spec import RunSpec
from engine.store import RUN_ID, RunRecord, write_whole
from engine.study import Budget, Study
from engine.verdict import CHANCE

POINTS = 30  # of a loss curve: several lie over one another, and single steps would hide them
GOING = ("queued", "running")
TO_RESUME = ("stopped", "failed", "killed")


class Runs(Protocol):
    """What a study needs of the runs' owner."""

    reader: Reader
    methods: Mapping[str, Method]

    def planned(self, spec: RunSpec, token: str | None) -> tuple[Plan | None, tuple[Problem, ...]]: ...
    def submit(self, spec: RunSpec, token: str | None) -> str: ...
    def stop(self, run_id: str) -> None: ...
    def resume(self, run_id: str, token: str | None = None) -> None: ...
    def delete(self, run_id: str) -> None: ...


@dataclass(frozen=True)
class Fit:
    """Whether a method can be used: its plan, or the problems that keep it out."""

    method: str
    name: str
    plan: Plan | None
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Proposal:
    """What a comparison would do: every run's plan by method, under equal conditions."""

    plans: dict[str, Plan]
    notes: tuple[str, ...]
    seconds: float | None  # of all runs; None: no figure for this hardware
    memory_bytes: int  # of the run that needs most
    disk_bytes: int  # that all models take which are kept, and the run at work besides
    runs: int


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
    peak_bytes: int | None  # of the process, or of the GPU where there is one
    rows_per_second: float | None  # the middle one of all steps
    saved_bytes: int | None
    stability: Stability | None
    curve: tuple[tuple[int, float], ...]  # (step, mean loss of the steps that share the point)


@dataclass(frozen=True)
class Row:
    """A method's line in the result: means over the seeds that have a figure, the peak of all."""

    method: str
    name: str
    state: str  # "queued", "running", "finished", "stopped", "failed", "killed", "missing"; of several seeds the first that applies
    reason: str  # why it did not finish, and what to do; else what it does now
    done: int  # runs finished
    runs: tuple[RunResult, ...]
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
    done: int  # runs over
    total: int
    seconds_left: float | None

    @property
    def can_resume(self) -> bool:
        return any(row.state in (*TO_RESUME, "missing") for row in self.rows) and self.state not in GOING


class Studies:
    """The studies under one home."""

    def __init__(self, home: Path, runs: Runs, clock: Callable[[], float] = time.time) -> None:
        self.folder = home / "studies"
        self._runs = runs
        self._clock = clock
        self._results: dict[str, tuple[object, RunResult]] = {}
        self._advised: dict[str, tuple[object, Advice]] = {}

    # Before

    def fits(self, base: RunSpec, token: str | None = None) -> tuple[Fit, ...]:
        """For every method by itself a plan, or the problems that keep it out."""
        found = []
        for method in self._runs.methods.values():
            plan, problems = self._runs.planned(study.for_method(base, method), token)
            errors = tuple(one for one in problems if one.severity == "error")
            found.append(Fit(method.id, method.name, plan, errors))
        return tuple(found)

    def propose(
        self, base: RunSpec, methods: Sequence[str] | None, seeds: int = 1, budget: Budget | None = None, token: str | None = None
    ) -> tuple[Proposal, Study]:
        """What a comparison would do, and the study that would do it. `methods` None: all that fit. Raises Refused with every problem."""
        fits = {one.method: one for one in self.fits(base, token)}
        chosen = self._chosen(methods, fits)
        numbers = study.seeds_of(base, seeds)
        plans = {method: plan for method in chosen if (plan := fits[method].plan)}
        conditions = study.equal(base, plans, budget or Budget(), seeds)
        settings = {name: value for name, value in base.settings.items() if name not in (study.OWN_RULE, "seed")}
        shared = replace(base, settings={**settings, **conditions.settings}, study=None)
        made = Study(
            id="", name=base.name or _name(base), created=self._clock(), base=shared, methods=tuple(plans), seeds=numbers,
            budget=budget or Budget(), own=conditions.own, notes=conditions.notes, refused={},
        )  # fmt: skip
        return self._proposal(made, tuple(plans), numbers, token), made

    def _chosen(self, methods: Sequence[str] | None, fits: Mapping[str, Fit]) -> tuple[str, ...]:
        """The methods to compare. Raises Refused where fewer than two can be."""
        if methods is not None:
            study.check_methods(methods, self._runs.methods)
            _refuse_unfit([fits[one] for one in methods])
            return tuple(dict.fromkeys(methods))
        fitting = tuple(one.method for one in fits.values() if one.plan is not None)
        if len(fitting) >= 2:
            return fitting
        unfit = [one for one in fits.values() if one.plan is None]
        common = [problem for problem in unfit[0].problems if all(problem in one.problems for one in unfit)] if not fitting else []
        if common:
            raise Refused(*common)  # what is wrong has nothing to do with the method
        reasons: dict[str, list[str]] = {}
        for one in unfit:
            reasons.setdefault(one.problems[0].message, []).append(one.name)
        only = f"Only {fits[fitting[0]].name} fits" if fitting else "No method fits"
        kept_out = " ".join(f"{', '.join(names)}: {reason}" for reason, names in reasons.items())
        message = f"{only} this data, model and machine. {kept_out}"
        raise Refused(Problem("study.methods", message, "Choose a smaller model or a shorter text, so that two methods fit."))

    def _proposal(self, made: Study, methods: Sequence[str], seeds: Sequence[int], token: str | None) -> Proposal:
        plans: dict[str, Plan] = {}
        problems: list[Problem] = []
        for method in methods:
            spec = study.spec_of(replace(made, id="x"), self._runs.methods[method], seeds[0])
            plan, found = self._runs.planned(spec, token)
            if plan is None:
                problems += [one for one in found if one.severity == "error"]
            else:
                plans[method] = plan
        if problems:
            raise Refused(*dict.fromkeys(problems))
        each = plans.values()
        disk_bytes = len(seeds) * sum(plan.save_bytes for plan in each) + max(plan.disk_bytes - plan.save_bytes for plan in each)
        free = min(plan.disk_free_bytes for plan in each)
        if disk_bytes > free:
            message = f"All these runs together keep {disk_bytes / 1e9:.1f} GB on the disk; {free / 1e9:.1f} GB are free."
            raise Refused(Problem("study.methods", message, "Free some space, or choose fewer seeds or methods that store less."))
        known = [plan.seconds for plan in each if plan.seconds is not None]
        seconds = len(seeds) * sum(known) if len(known) == len(plans) else None
        return Proposal(plans, made.notes, seconds, max(plan.memory_bytes for plan in each), disk_bytes, len(seeds) * len(plans))

    # The study

    def start(
        self, base: RunSpec, methods: Sequence[str] | None, seeds: int = 1, budget: Budget | None = None, token: str | None = None
    ) -> str:
        """A new study with all its runs at the end of the queue; its id. Raises Refused as `propose` does."""
        _, made = self.propose(base, methods, seeds, budget, token)
        words = re.sub(r"[^a-z0-9]+", "-", made.name.lower()).strip("-")[:40].strip("-") or "study"
        made = replace(made, id=f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(made.created))}-{words}-{secrets.token_hex(2)}")
        self._keep(made)
        self._queue_missing(made.id, token)
        return made.id

    def _keep(self, made: Study) -> None:
        folder = self.folder / made.id
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "study.json", study.to_json(made).encode())

    def ids(self) -> list[str]:
        """All studies, newest first."""
        if not self.folder.is_dir():
            return []
        return sorted(
            (one.name for one in self.folder.iterdir() if (one / "study.json").exists() and RUN_ID.fullmatch(one.name)), reverse=True
        )

    def load(self, study_id: str) -> Study:
        """What was asked for. Raises Refused for an unknown or damaged study."""
        path = self.folder / study_id / "study.json"
        if not RUN_ID.fullmatch(study_id) or not path.is_file():
            raise Refused(Problem("study", f"There is no study {study_id!r}.", "Pick one from the list under Runs."))
        return study.from_json(path.read_text("utf-8"))

    def all(self) -> list[Study]:
        """All studies that can be read, newest first."""
        found = []
        for study_id in self.ids():
            try:
                found.append(self.load(study_id))
            except (Refused, OSError):
                continue
        return found

    def runs_of(self, study_id: str) -> list[RunSummary]:
        """Its runs, oldest first."""
        return [one for one in reversed(self._runs.reader.runs()) if one.study == study_id]

    def _by_cell(self, made: Study) -> dict[tuple[str, int], RunSummary]:
        """The newest run of each method and seed."""
        found: dict[tuple[str, int], RunSummary] = {}
        for one in self.runs_of(made.id):
            seed = self._seed(one.id)
            if seed is not None:
                found[one.method, seed] = one
        return found

    def _seed(self, run_id: str) -> int | None:
        try:
            seed = json.loads(self._runs.reader.spec_json(run_id)).get("settings", {}).get("seed")
        except (Refused, ValueError, AttributeError):
            return None
        return seed if isinstance(seed, int) else None

    def _queue_missing(self, study_id: str, token: str | None) -> None:
        """Puts every run that is not there in the queue; what is refused now is written down with its reason."""
        with filelock.FileLock(self.folder / study_id / "queue.lock"):  # two pages may press Resume
            made, there = self.load(study_id), self._by_cell(self.load(study_id))
            refused: dict[str, str] = {}
            for method, seed in made.cells:
                if (method, seed) in there:
                    continue
                try:
                    if method not in self._runs.methods:
                        raise Refused(Problem("method", f"There is no method {method!r}.", "Delete this study."))
                    self._runs.submit(study.spec_of(made, self._runs.methods[method], seed), token)
                except Refused as error:
                    refused[f"{method}/{seed}"] = str(error)
            if refused != made.refused:
                self._keep(replace(made, refused=refused))

    def stop(self, study_id: str) -> None:
        """Takes its waiting runs out of the queue, then asks the one at work to save and end."""
        going = [one for one in self._by_cell(self.load(study_id)).values() if one.state in GOING]
        for one in sorted(going, key=lambda one: (one.state == "running", -one.created)):
            self._runs.stop(one.id)

    def resume(self, study_id: str, token: str | None = None) -> None:
        """Puts what was stopped, failed, killed or never queued back in the queue. Raises Refused where there is nothing to resume."""
        made = self.load(study_id)
        there = self._by_cell(made)
        again = [there[cell].id for cell in made.cells if cell in there and there[cell].state in TO_RESUME]
        if not again and all(cell in there for cell in made.cells):
            raise Refused(Problem("study", "Nothing of this study is left to resume.", "Extend it by methods or seeds, or start another."))
        for run_id in again:
            self._runs.resume(run_id, token)
        self._queue_missing(study_id, token)

    def extend(self, study_id: str, methods: Sequence[str] = (), seeds: int | None = None, token: str | None = None) -> None:
        """More methods, or more seeds in all, under the conditions that the study has. Raises Refused where they do not fit it."""
        made = self.load(study_id)
        unknown = [one for one in methods if one not in self._runs.methods]
        if unknown:
            raise Refused(Problem("study.methods", f"There is no method {unknown[0]!r}.", f"Choose from: {', '.join(self._runs.methods)}."))
        numbers = made.seeds
        if seeds is not None:
            numbers = study.seeds_of(replace(made.base, settings={**made.base.settings, "seed": made.seeds[0]}), seeds)
            if len(numbers) < len(made.seeds):
                message = f"The study has {len(made.seeds)} seeds already; {seeds} would be fewer."
                raise Refused(Problem("study.seeds", message, f"Choose {len(made.seeds)} to {study.MOST_SEEDS}."))
        more = tuple(one for one in dict.fromkeys(methods) if one not in made.methods)
        if not more and numbers == made.seeds:
            raise Refused(Problem("study.methods", "Neither a new method nor another seed is chosen.", "Choose one of them."))
        own = dict(made.own)
        for method in more:
            own[method] = {}
            plan, _ = self._runs.planned(study.for_method(made.base, self._runs.methods[method]), token)
            if plan is not None and plan.reason(study.OWN_RULE) is None:
                own[method][study.OWN_RULE] = self._runs.methods[method].learning_rate
            if "max_steps" not in made.base.settings:  # the minutes were shared out; the newcomer gets the least steps of the others
                fewest = min(made.own.values(), key=lambda one: one["max_steps"])
                own[method] |= {name: fewest[name] for name in ("max_steps", "epochs")}
        grown = replace(made, methods=(*made.methods, *more), seeds=numbers, own=own)
        self._proposal(grown, more or made.methods, numbers, token)
        self._keep(grown)
        self._queue_missing(study_id, token)

    def delete(self, study_id: str) -> None:
        """Removes the study with all its runs. Raises Refused while one of them is at work."""
        self.load_or_damaged(study_id)
        runs = self.runs_of(study_id)
        if any(one.state == "running" for one in runs):
            raise Refused(Problem("study", "A run of this study is at work.", "Stop the study first, then delete it."))
        for one in runs:
            self._runs.delete(one.id)
            self._results.pop(one.id, None)
        shutil.rmtree(self.folder / study_id, ignore_errors=True)

    def load_or_damaged(self, study_id: str) -> None:
        """Raises Refused for a study that is not there; one whose file is damaged can still be deleted."""
        if study_id not in self.ids():
            self.load(study_id)

    # Its result

    def result(self, study_id: str) -> Result:
        """The study as it stands, folded from its runs' records; only runs that changed are read again."""
        made = self.load(study_id)
        there = self._by_cell(made)
        rows = tuple(self._row(made, method, there) for method in made.methods)
        over = sum(one.state not in (*GOING, "new") for one in there.values())
        judged = next((run.judged for row in rows for run in row.runs if run.judged), None)
        states = {one.state for one in there.values()}
        state = "running" if "running" in states else "queued" if states & {"queued", "new"} else "stopped"
        if state == "stopped" and len(there) == len(made.cells) and states <= {"finished", "failed"}:
            state = "finished"
        return Result(
            study=made,
            state=state,
            rows=rows,
            baselines=judged.baselines if judged else (),
            test_rows=judged.rows if judged else 0,
            advice=self._advice(study_id, rows),
            done=over,
            total=len(made.cells),
            seconds_left=_left(rows) if state in GOING else None,
        )

    def _advice(self, study_id: str, rows: Sequence[Row]) -> Advice:
        """What to take; worked out again only when a figure has changed, for with 14 methods and 5 seeds it takes a second."""
        candidates = _candidates(rows)
        unfinished = sum(row.state in (*GOING, "new", "missing") for row in rows)
        known = tuple((one.method, one.quality, one.accuracy, one.memory_bytes, one.seconds, tuple(one.answers)) for one in candidates)
        stamp = known, unfinished
        if study_id not in self._advised or self._advised[study_id][0] != stamp:
            self._advised[study_id] = stamp, comparison.advise(candidates, unfinished=unfinished)
        return self._advised[study_id][1]

    def _row(self, made: Study, method: str, there: Mapping[tuple[str, int], RunSummary]) -> Row:
        runs = [self._run(there[method, seed], seed) for seed in made.seeds if (method, seed) in there]
        missing = [seed for seed in made.seeds if (method, seed) not in there]
        state, reason = _state(runs, missing, made, method)
        judged = [run.judged for run in runs if run.judged]
        plan = next((run.planned for run in runs if run.planned), None)
        known = self._runs.methods.get(method)
        steady = [run.stability for run in runs if run.stability]
        return Row(
            method=method,
            name=known.name if known else method,
            state=state,
            reason=reason,
            done=sum(run.summary.state == "finished" for run in runs),
            runs=tuple(runs),
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

    def _run(self, summary: RunSummary, seed: int) -> RunResult:
        folder = self._runs.reader.store.folder(summary.id)
        stamp = tuple(_size(folder / name) for name in ("events.jsonl", "evaluation.json", "predictions.jsonl", "plan.json"))
        known = self._results.get(summary.id)
        if known is None or known[0] != stamp:
            known = stamp, self._read_run(summary, seed, folder)
            self._results[summary.id] = known
        return replace(known[1], summary=summary)

    def _read_run(self, summary: RunSummary, seed: int, folder: Path) -> RunResult:
        reader = self._runs.reader
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


def _refuse_unfit(fits: Sequence[Fit]) -> None:
    """Raises Refused with what keeps each of these methods out."""
    problems = []
    for one in fits:
        for problem in one.problems:
            named = problem if len({fit.problems for fit in fits}) == 1 else replace(problem, message=f"{one.name}: {problem.message}")
            problems.append(named)
    if problems:
        raise Refused(*dict.fromkeys(problems))


def _name(base: RunSpec) -> str:
    source = base.data.source
    data = Path(source.removeprefix("file:")).stem if source.startswith("file:") else source.split(":", 1)[-1].split("/")[-1]
    return f"{data} · {Path(base.model).name}"


def _state(runs: Sequence[RunResult], missing: Sequence[int], made: Study, method: str) -> tuple[str, str]:
    """What state a method is in over its seeds, and a sentence on it."""
    states = [run.summary.state for run in runs]
    for state in ("running", "queued", "new"):
        if state in states:
            return ("queued" if state == "new" else state), next(run.summary.message for run in runs if run.summary.state == state)
    if missing:
        refused = next((made.refused[key] for seed in missing if (key := f"{method}/{seed}") in made.refused), "")
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
        for run in judged:
            for one in run.judged.baselines if run.judged else ():
                ahead = one.p_value < CHANCE and one.only_model_right > one.only_baseline_right
                baselines.setdefault(one.id, []).append(ahead or one.macro_f1_gain.low > 0)
        found.append(
            Candidate(
                row.method, row.name, row.macro_f1, row.accuracy, row.peak_bytes or 0, row.seconds,
                {run.seed: run.answers for run in judged if run.answers is not None},
                {name: all(ahead) for name, ahead in baselines.items()},
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
    gpu = max((one.vram_peak_bytes or 0 for one in record.resources), default=0)
    return gpu or max((one.ram_peak_bytes for one in record.resources), default=0) or None


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
