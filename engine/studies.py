"""The studies of a home: made, queued, stopped, resumed, extended, deleted, and read back from their runs' records.

    HOME/studies/<id>/study.json      what was asked for (study.py)
    HOME/runs/*/spec.json             each run names its study; that alone ties them together

So nothing is lost when the app ends half-way through the queueing: what has no run yet is told, and `resume` puts it in the queue.
"""

from __future__ import annotations

import re
import secrets
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import filelock

from engine import spec as specs
from engine import study
from engine.errors import Problem, Refused
from engine.methods import Method
from engine.plan import Plan
from engine.reading import Reader, RunSummary
from engine.spec import RunSpec
from engine.store import RUN_ID, write_whole
from engine.study import Budget, Study
from engine.study_result import GOING, TO_RESUME, Result, Results
from engine.varied import Variants


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
    """What a study would do: every run's plan by arm, under equal conditions."""

    plans: dict[str, Plan]
    notes: tuple[str, ...]
    seconds: float | None  # of all runs; None: no figure for this hardware
    memory_bytes: int  # of the run that needs most
    kept_bytes: int  # on the disk, of all models together
    disk_bytes: int  # those, and what the run at work needs besides
    runs: int


class Studies:
    """The studies under one home."""

    def __init__(self, home: Path, runs: Runs, clock: Callable[[], float] = time.time) -> None:
        self.folder = home / "studies"
        self._runs = runs
        self._clock = clock
        self._results = Results(runs.reader, runs.methods)

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
        self,
        base: RunSpec,
        methods: Sequence[str] | None,
        seeds: int = 1,
        budget: Budget | None = None,
        token: str | None = None,
        variants: Variants | None = None,
    ) -> tuple[Proposal, Study]:
        """What a study would do, and the study that would do it. Raises Refused with every problem.

        `methods` None: all that fit. With `variants` it is the base's method that is studied, and `methods` are not looked at.
        """
        if variants is not None and variants.settings:
            return self._propose_variants(base, variants, seeds, budget or Budget(), token)
        fits = {one.method: one for one in self.fits(base, token)}
        chosen = self._chosen(methods, fits)
        numbers = study.seeds_of(base, seeds)
        plans = {method: plan for method in chosen if (plan := fits[method].plan)}
        conditions = study.equal(base, plans, budget or Budget(), seeds)
        settings = {name: value for name, value in base.settings.items() if name not in (study.OWN_RULE, "seed")}
        shared = replace(base, settings={**settings, **conditions.settings}, study=None)
        made = Study(
            id="", name=base.name or study.subject(base), created=self._clock(), base=shared, methods=tuple(plans), seeds=numbers,
            budget=budget or Budget(), own=conditions.own, notes=conditions.notes, refused={},
        )  # fmt: skip
        return self._proposal(made, tuple(plans), numbers, token), made

    def _propose_variants(self, base: RunSpec, variants: Variants, seeds: int, budget: Budget, token: str | None) -> tuple[Proposal, Study]:
        """The same with one method, which learns once for each variant."""
        settings = {name: value for name, value in base.settings.items() if name not in (*variants.names, "seed")}
        numbers = study.seeds_of(base, seeds)
        plans: dict[str, Plan] = {}
        for arm, own in variants.settings.items():
            plan, problems = self._runs.planned(replace(base, settings={**settings, **own}, study=None), token)
            if plan is None:
                raise Refused(*(one for one in problems if one.severity == "error"))
            plans[arm] = plan
        conditions = study.equal_variants(base, plans, variants, budget, seeds)
        shared = replace(base, settings={**settings, **conditions.settings}, study=None)
        made = Study(
            id="", name=base.name or study.subject(base), created=self._clock(), base=shared, methods=(base.method,), seeds=numbers,
            budget=budget, own=conditions.own, notes=conditions.notes, refused={}, varies=variants.varies, variants=variants.settings,
        )  # fmt: skip
        return self._proposal(made, made.arms, numbers, token), made

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
        kept_out = " ".join(_of_names(names, reason) for reason, names in reasons.items())
        message = f"{only} this data, model and machine. {kept_out}"
        raise Refused(Problem("study.methods", message, "Choose a smaller model or a shorter text, so that two methods fit."))

    def _proposal(self, made: Study, arms: Sequence[str], seeds: Sequence[int], token: str | None) -> Proposal:
        plans: dict[str, Plan] = {}
        problems: list[Problem] = []
        for arm in arms:
            spec = study.spec_of(replace(made, id="x"), arm, seeds[0], self._runs.methods)
            plan, found = self._runs.planned(spec, token)
            if plan is None:
                problems += [one for one in found if one.severity == "error"]
            else:
                plans[arm] = plan
        if problems:
            raise Refused(*dict.fromkeys(problems))
        each = plans.values()
        kept_bytes = len(seeds) * sum(plan.save_bytes for plan in each)
        disk_bytes = kept_bytes + max(plan.disk_bytes - plan.save_bytes for plan in each)
        free = min(plan.disk_free_bytes for plan in each)
        if disk_bytes > free:
            message = f"All these runs need {disk_bytes / 1e9:.1f} GB on the disk, {kept_bytes / 1e9:.1f} GB of it to keep the models; "
            message += f"{free / 1e9:.1f} GB are free."
            raise Refused(Problem("study.methods", message, "Free some space, or choose fewer seeds or methods that store less."))
        known = [seconds for plan in each if (seconds := study.seconds_of(plan, len(seeds))) is not None]
        seconds = sum(known) if len(known) == len(plans) else None
        most = max(plan.memory_bytes for plan in each)
        return Proposal(plans, made.notes, seconds, most, kept_bytes, disk_bytes, len(seeds) * len(plans))

    # The study

    def start(
        self,
        base: RunSpec,
        methods: Sequence[str] | None,
        seeds: int = 1,
        budget: Budget | None = None,
        token: str | None = None,
        variants: Variants | None = None,
    ) -> str:
        """A new study with all its runs at the end of the queue; its id. Raises Refused as `propose` does."""
        _, made = self.propose(base, methods, seeds, budget, token, variants)
        words = re.sub(r"[^a-z0-9]+", "-", made.name.lower()).strip("-")[:40].strip("-") or "study"
        made = replace(made, id=f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(made.created))}-{words}-{secrets.token_hex(2)}")
        self._keep(made)
        with self._lock(made.id):
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
        """The newest run of each arm and seed."""
        found: dict[tuple[str, int], RunSummary] = {}
        for one in self.runs_of(made.id):
            spec = self._asked(one.id)
            seed, arm = (spec.settings.get("seed"), study.arm_of(made, spec)) if spec else (None, None)
            if isinstance(seed, int) and arm is not None:
                found[arm, seed] = one
        return found

    def _asked(self, run_id: str) -> RunSpec | None:
        try:
            return specs.from_json(self._runs.reader.spec_json(run_id))
        except Refused:
            return None

    def _lock(self, study_id: str) -> filelock.BaseFileLock:
        """Held while a study is changed or its runs are queued: two pages may press Resume."""
        return filelock.FileLock(self.folder / study_id / "queue.lock")

    def _queue_missing(self, study_id: str, token: str | None) -> None:
        """Puts every run that is not there in the queue; what is refused now is written down with its reason. Under the lock."""
        made, there = self.load(study_id), self._by_cell(self.load(study_id))
        refused: dict[str, str] = {}
        for arm, seed in made.cells:
            if (arm, seed) in there:
                continue
            try:
                if (method := made.method_of(arm)) not in self._runs.methods:
                    raise Refused(Problem("method", f"There is no method {method!r}.", "Delete this study."))
                self._runs.submit(study.spec_of(made, arm, seed, self._runs.methods), token)
            except Refused as error:
                refused[f"{arm}/{seed}"] = str(error)
        if refused != made.refused:
            self._keep(replace(made, refused=refused))

    def stop(self, study_id: str) -> None:
        """Takes its waiting runs out of the queue, then asks the one at work to save and end."""
        going = [one for one in self._by_cell(self.load(study_id)).values() if one.state in GOING]
        for one in sorted(going, key=lambda one: (one.state == "running", -one.created)):
            self._runs.stop(one.id)

    def resume(self, study_id: str, token: str | None = None) -> None:
        """Puts what was stopped, failed, killed or never queued back in the queue. Raises Refused where there is nothing to resume."""
        self.load(study_id)
        with self._lock(study_id):
            made = self.load(study_id)
            there = self._by_cell(made)
            if not self._resume_runs(made, there, token) and all(cell in there for cell in made.cells):
                fix = "Extend it by methods or seeds, or start another."
                raise Refused(Problem("study", "Nothing of this study is left to resume.", fix))
            self._queue_missing(study_id, token)

    def _resume_runs(self, made: Study, there: Mapping[tuple[str, int], RunSummary], token: str | None) -> int:
        """Puts its runs that did not finish back in the queue, and says how many those are. Under the lock."""
        again = [there[cell].id for cell in made.cells if cell in there and there[cell].state in TO_RESUME]
        for run_id in again:
            self._runs.resume(run_id, token)
        return len(again)

    def extend(
        self, study_id: str, methods: Sequence[str] = (), seeds: int | None = None, token: str | None = None, *, resume: bool = False
    ) -> None:
        """More methods, or more seeds in all, under the conditions that the study has. Raises Refused where they do not fit it.

        `resume`: what did not finish is put back in the queue before them, unless they are refused.
        """
        self.load(study_id)
        with self._lock(study_id):
            made = self.load(study_id)
            grown, arms = self._grown(made, methods, seeds, token)
            self._proposal(grown, arms, grown.seeds, token)
            if resume:
                self._resume_runs(made, self._by_cell(made), token)
            self._keep(grown)
            self._queue_missing(study_id, token)

    def _grown(self, made: Study, methods: Sequence[str], seeds: int | None, token: str | None) -> tuple[Study, Sequence[str]]:
        """The study with what is added, and the arms whose runs are new."""
        if methods and made.variants:
            raise Refused(Problem("study.methods", "This study is of one method.", "Give it more seeds, or start a comparison of methods."))
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
            shared_out = [one for one in made.own.values() if "max_steps" in one]
            if shared_out:  # the minutes; the newcomer gets the least steps of the others
                fewest = min(shared_out, key=lambda one: one["max_steps"])
                own[method] |= {name: fewest[name] for name in ("max_steps", "epochs")}
        return replace(made, methods=(*made.methods, *more), seeds=numbers, own=own), more or made.arms

    def delete(self, study_id: str) -> None:
        """Removes the study with all its runs. Raises Refused while one of them is at work."""
        self.load_or_damaged(study_id)
        runs = self.runs_of(study_id)
        if any(one.state == "running" for one in runs):
            raise Refused(Problem("study", "A run of this study is at work.", "Stop the study first, then delete it."))
        for one in runs:
            self._runs.delete(one.id)
        shutil.rmtree(self.folder / study_id, ignore_errors=True)
        self._results.forget(study_id)

    def load_or_damaged(self, study_id: str) -> None:
        """Raises Refused for a study that is not there; one whose file is damaged can still be deleted."""
        if study_id not in self.ids():
            self.load(study_id)

    def result(self, study_id: str) -> Result:
        """The study as it stands. Raises Refused for an unknown or damaged one."""
        made = self.load(study_id)
        return self._results.fold(made, self._by_cell(made))


def _of_names(names: Sequence[str], message: str) -> str:
    """The message with the methods that it is about before it, unless it begins with the name already."""
    return message if message.startswith(names[0]) and len(names) == 1 else f"{', '.join(names)}: {message}"


def _refuse_unfit(fits: Sequence[Fit]) -> None:
    """Raises Refused with what keeps each of these methods out."""
    problems = []
    for one in fits:
        for problem in one.problems:
            alike = len({fit.problems for fit in fits}) == 1
            problems.append(problem if alike else replace(problem, message=_of_names([one.name], problem.message)))
    if problems:
        raise Refused(*dict.fromkeys(problems))
