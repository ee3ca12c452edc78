"""Studio: the one object that a page or a shell is given. It looks, previews, starts runs and reads them; it never loads torch.

Everything that it tells about a run is read from the run's folder, so two pages, a page and a shell, or a page after a restart
see the same.
"""

from __future__ import annotations

import contextlib
import os
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engine import catalog as presets
from engine import coach, fitting, models, reasons, token_fit, trained, uploads
from engine import plan as planning
from engine import spec as specs
from engine.account import Account
from engine.asked import asked
from engine.augment import Augmentation, making
from engine.augment.making import Example
from engine.augment.translators import Translator
from engine.catalog import Catalog
from engine.checks import gigabytes
from engine.coach import Finding
from engine.conversation import Said
from engine.data import doctor_texts
from engine.data.doctor import Checkup
from engine.data.profile import DataFacts
from engine.decoding import Decoding
from engine.errors import LIGHTER_FIX, Problem, Refused
from engine.evaluate import Evaluation
from engine.events import Event
from engine.explorer import Explorer
from engine.facts import FILE, Facts
from engine.fitting import Change, Scene, changes
from engine.guide import Measured, measured
from engine.hardware import Hardware
from engine.held import Held, held
from engine.hub import environment_without_tokens, keep_caches_in
from engine.judged import Judged, untuned_beside
from engine.knobs import Value, settle
from engine.made_examples import MadeExamples
from engine.measured import with_measured
from engine.measuring import FitState, Measuring
from engine.methods import Method, all_methods
from engine.models import ModelFacts, TokenFacts
from engine.plan import Plan
from engine.playground import Asked, Playground
from engine.predict import Prediction, Predictor
from engine.probing import Look, Probing
from engine.reading import Reader, RunSummary
from engine.reasons import Reason
from engine.reviews import Reviews
from engine.rows_shown import RowsShown, rows_shown
from engine.spec import DataSpec, RunSpec
from engine.store import RunRecord, Store, write_whole
from engine.studies import Fit, Proposal, Studies
from engine.study import Budget, Study, subject
from engine.study_result import Result
from engine.supervisor import WORKER, Supervisor
from engine.taking_in import Arriving, StillReadingError, TakingIn
from engine.tasks import Task, all_tasks
from engine.token_fit import TokenFit
from engine.varied import Variants
from engine.verdict import Rival
from engine.writers import Writer, chosen, sorts, writers

LIMIT_BYTES = 500_000_000
SHARED_LIMIT_BYTES = 100_000_000
NAME_CHARACTERS = 80

__all__ = ["Preview", "RunSummary", "Studio"]


@dataclass(frozen=True)
class Preview:
    """What will happen if Start is pressed. `plan` is None while a problem keeps it from being made."""

    problems: tuple[Problem, ...]
    plan: Plan | None
    data: DataFacts | None
    model: ModelFacts | None
    too_large: Plan | None = None  # the plan where nothing but memory keeps it from being made; it can be measured
    changes: tuple[Change, ...] = ()  # that make it fit, or quicker; empty where it fits and is quick
    arriving: Arriving | None = None  # how far the reading of the data is; a problem tells it too

    @property
    def is_ready(self) -> bool:
        return self.plan is not None and all(problem.severity != "error" for problem in self.problems)


class Studio:
    """Everything that a person can do, on one home folder. Without `dispatch` it only looks: nothing that waits is started.

    `reads_apart`: a large file is read by a process of its own, and until its rows are there a preview tells how far it is.
    """

    def __init__(
        self, home: Path, *, share: bool = False, limit_bytes: int | None = None, dispatch: bool = True, worker: Sequence[str] = WORKER,
        reads_apart: bool = False,
    ) -> None:  # fmt: skip
        self.home = Path(home).resolve()
        keep_caches_in(self.home)
        self.share = share
        self.limit_bytes = limit_bytes or (SHARED_LIMIT_BYTES if share else LIMIT_BYTES)
        self.catalog: Catalog = presets.load()
        self.methods: Mapping[str, Method] = all_methods()
        self.tasks: Mapping[str, Task] = all_tasks()
        self.store = Store(self.home)
        self.reader = Reader(self.store)
        self.judged = Judged(self.store)
        self.playground = Playground(self.home, environment_without_tokens)
        self._supervisor = Supervisor(self.store, worker, share=share, make_room=self.playground.give_way)
        self._taking_in = TakingIn(self.home, lambda: self._supervisor.environment(None)) if reads_apart else None
        self.facts = Facts(self.home, share=share, limit_bytes=self.limit_bytes, ours=self._held, taking_in=self._taking_in)
        self._predictor = Predictor(self.home)
        self._measuring = Measuring(self.home, self._supervisor.environment, self._machine, lambda: bool(self._supervisor.workers()))
        self._probing = Probing(self.store, self._supervisor.environment, lambda: bool(self._supervisor.workers()))
        self._studies = Studies(self.home, self)
        self._examples = MadeExamples(self.facts)
        self.explorer = Explorer(self.reader, self.facts, self.predict)
        self.reviews = Reviews(self.store)
        if dispatch:
            self._supervisor.start()

    @property
    def hardware(self) -> Hardware:
        """The machine, as it was at most a few seconds ago."""
        return self.facts.hardware()

    def _machine(self) -> str:
        """Tells one machine from another."""
        found = self.facts.hardware()
        return f"{found.cpu}, {found.cores} cores, {found.ram_bytes} bytes"

    def _token(self, token: str | None) -> str | None:
        """The token that was typed in, else the owner's own; that one serves nobody else's requests."""
        return token or (None if self.share else os.environ.get("HF_TOKEN")) or None

    def _held(self) -> Held:
        """What comes free before a run that is started now gets its turn; nothing where no run is at work."""
        workers, playing = self._supervisor.workers(), self.playground.processes()
        told = 0
        for run_id in workers:
            with contextlib.suppress(Refused):  # deleted meanwhile
                told += next((one.vram_bytes or 0 for one in reversed(self.reader.record(run_id).resources)), 0)
        before = [*workers.values(), *self._predictor.processes()] if workers else []
        return held([*before, *playing], told)

    @property
    def trouble(self) -> str:
        """What keeps the queue from moving, in words; usually ""."""
        return self._supervisor.trouble

    # Before a run

    def add_upload(self, path: str | Path, name: str) -> str:
        """Takes a file in and returns its source, "file:uploads/…". Raises Refused above the limit."""
        kept = uploads.keep(Path(path), name, self.home, self.limit_bytes)
        return f"{FILE}{kept.relative_to(self.home).as_posix()}"

    def inspect(self, data: DataSpec, settings: Mapping[str, Value] | None = None, token: str | None = None) -> DataFacts:
        """What is in the data. Raises Refused with everything that is wrong with it."""
        return self.facts.data(data, settings or {}, self._token(token))

    def checkup(self, spec: RunSpec, found: Preview, token: str | None = None) -> Checkup:
        """What the doctor finds in the run's rows, and the fixes made in them. Raises Refused where the rows cannot be opened."""
        told, plan = self.facts.checkup(spec.data, spec.settings, self._token(token)), found.plan or found.too_large
        tokens = self.facts.tokens(found.model, found.data, self._token(token)) if found.model and found.data else None
        if plan is None or tokens is None or "max_length" not in plan.settings:
            return told
        answers = spec.data.target == "text"
        length, keep = int(plan.settings["max_length"]), "answer" if answers else str(plan.settings.get("keep", "start"))
        rows = sum(count for part, count in plan.rows.items() if part != "made")
        return told.beside(doctor_texts.cut(tokens.lengths, length, plan.model.max_tokens, keep, rows))

    def arriving(self, data: DataSpec) -> Arriving | None:
        """How far the reading of a large file is; None where its rows are there, or cannot be had."""
        return self.facts.arriving(data)

    def cancel_reading(self, data: DataSpec) -> None:
        """Ends the reading of the data's files, if it goes on."""
        self.facts.cancel_reading(data)

    def columns(self, data: DataSpec, token: str | None = None) -> tuple[str, ...]:
        """The names of the data's columns, also where it cannot be used as it is. Raises Refused where it cannot be opened."""
        return self.facts.columns(data, self._token(token))

    def hub_layout(self, dataset_id: str, token: str | None = None) -> dict[str, tuple[str, ...]]:
        """A Hub data set's subsets with their splits, the default one first. Raises Refused."""
        return self.facts.hub_layout(dataset_id, self._token(token))

    def model(self, model: str, token: str | None = None) -> ModelFacts:
        """What is known of a model. Raises Refused, with the fix, for one that cannot be used."""
        return self.facts.model(model, self._token(token))

    def preview(self, spec: RunSpec, token: str | None = None) -> Preview:
        """What would happen, or every problem that keeps it from happening. Never raises Refused."""
        self.facts.measure(wait=False)
        found = self._preview(spec, self._token(token))
        return replace(found, changes=self._changes(spec, found, self._token(token)))

    def _by_measure(self, plan: Plan, problems: list[Problem]) -> tuple[Plan, list[Problem]]:
        """The plan as it was measured, and the problems without those that rest on the estimate alone."""
        state = self._measuring.state(plan)
        if state.measured is not None:
            plan = with_measured(plan, state.measured)
            return plan, [one for one in problems if not one.of_memory] + over_memory(plan)
        if state.problem is not None and state.problem.of_memory:
            fix = "Apply one of the changes offered; if you start it as it is, it goes on by itself with smaller batches."
            problems = [*problems, replace(state.problem, fix=fix, severity="warning")]
        return plan, problems

    def _changes(self, spec: RunSpec, found: Preview, token: str | None) -> tuple[Change, ...]:
        if found.data is None or found.model is None:
            return ()
        data = found.data

        def find(model_id: str) -> tuple[ModelFacts, TokenFacts | None]:
            model = self.facts.model(model_id, token)
            return model, self.facts.tokens(model, data, token)

        tokens = self.facts.tokens(found.model, data, token)
        scene = Scene(spec, data, found.model, tokens, self.facts.hardware_to_plan(), self.catalog)
        return changes(self._scaled(scene, found.plan or found.too_large), find)

    def _scaled(self, scene: Scene, plan: Plan | None) -> Scene:
        """With the estimates corrected by what was measured of this run."""
        state = self._measuring.state(plan) if plan else FitState("none")
        if plan is None or state.state not in ("measured", "failed"):
            return scene
        estimated = sum(plan.memory_parts.values())
        if state.measured is not None:
            work = scene.decided()
            seconds = fitting.seconds_of(scene, work) if work else None
            times = plan.seconds / seconds if plan.seconds and seconds else 1.0
            return replace(scene, memory_times=plan.memory_bytes / max(1, estimated), seconds_times=times)
        if state.problem is not None and state.problem.of_memory:
            there = min(plan.memory_available_bytes, state.peak_bytes or plan.memory_available_bytes)
            return replace(scene, memory_times=max(1.0, 1.1 * there / max(1, estimated)), ran_out_at=there)
        return scene

    def guide(self) -> dict[str, Measured]:
        """What the two presets that redo a guide's table gave here."""
        return measured(self.runs(), self.evaluation, self.account)

    def account(self, run_id: str) -> Account | None:
        """The verdict of a run whose model gives no classes; None where there is none. Raises Refused for a run that is not there."""
        return self.reader.account(run_id)

    def rows_shown(self, spec: RunSpec, found: Preview) -> RowsShown | None:
        """The first rows as the model would read and write them; None where the task shows none."""
        return self._rows_shown(spec, found.data, found.model)

    def _rows_shown(self, spec: RunSpec, data: DataFacts | None, model: ModelFacts | None) -> RowsShown | None:
        task = self.tasks.get(spec.task)
        if task is None or data is None:
            return None
        return rows_shown(task, spec.settings, data, model, models.at_hand(model, self.home) if model else None)

    def _preview(self, spec: RunSpec, token: str | None) -> Preview:
        problems: list[Problem] = []
        data: DataFacts | None = None
        model: ModelFacts | None = None
        tokens = arriving = None
        try:
            found, told = self.facts.look(spec.data, spec.settings, token)
            problems += told
            data = None if any(problem.severity == "error" for problem in told) else found
        except Refused as error:
            problems += error.problems
            arriving = error.arriving if isinstance(error, StillReadingError) else None
        try:
            model = self.facts.model(spec.model, token)
            if data is not None:
                tokens = self.facts.tokens(model, data, token)
        except Refused as error:
            problems += error.problems
        hardware = self.facts.hardware_to_plan()
        problems += planning.check(spec, data, model, tokens, hardware, self.catalog)
        speakers: tuple[Translator, ...] = ()
        try:
            speakers = self.facts.translators(settle(Augmentation, asked(spec, self.catalog).values), token)
        except Refused as error:
            problems += error.problems
        read = self._rows_shown(spec, data, model)
        problems += [read.problem] if read is not None and read.problem is not None else []
        problems = list(dict.fromkeys(problems))
        made, unsure = None, None
        if data is not None and model is not None:
            try:
                made = planning.plan(spec, data, model, tokens, hardware, self.catalog, whatever_memory=True, speakers=speakers)
                made, problems = self._by_measure(made, problems)
            except Refused as error:
                problems += [problem for problem in error.problems if problem not in problems]
        if any(problem.severity == "error" for problem in problems):
            made, unsure = None, made
        return Preview(tuple(problems), made, data, model, unsure, arriving=arriving)

    # The fit, measured

    def measure_fit(self, spec: RunSpec, token: str | None = None) -> None:
        """Begins to take a few real steps of this run, in the background. Raises Refused while a run is at work, and as `start` does."""
        if self._supervisor.workers():
            message = "A run is at work on this machine, so what is measured now would be wrong."
            raise Refused(Problem("memory", message, "Wait until it has ended, or stop it under Runs."))
        self.facts.measure(wait=True)
        preview = self._preview(spec, self._token(token))
        plan = preview.plan or preview.too_large
        if plan is None:
            raise Refused(*(problem for problem in preview.problems if problem.severity == "error"))
        if self.share and self._measuring.is_going_on:
            raise Refused(Problem("memory", "Somebody else checks the fit just now.", "Try again in a minute."))
        self.playground.give_way("A run's fit is checked")  # it is planned with all memory
        self._measuring.start(replace(spec, data=self._lasting(spec.data), study=None), plan, self._token(token))

    def fit_state(self, plan: Plan) -> FitState:
        """Whether this plan's fit was measured, is being measured, or could not be."""
        return self._measuring.state(plan)

    def cancel_fit(self) -> None:
        """Gives up the measurement that goes on."""
        self._measuring.cancel()

    # Runs

    def start(self, spec: RunSpec, token: str | None = None) -> str:
        """Puts a run in the queue and returns its id. Raises Refused with every error that `preview` shows."""
        return self.submit(replace(spec, study=None), token)

    def submit(self, spec: RunSpec, token: str | None = None) -> str:
        """As `start`, also for a run of a study."""
        self.facts.measure(wait=True)
        preview = self._preview(spec, self._token(token))
        if preview.plan is None or not preview.is_ready:
            raise Refused(*(problem for problem in preview.problems if problem.severity == "error"))
        self._measuring.cancel()  # else it would measure beside a run
        self._probing.give_way()
        spec = replace(spec, name=_clean_name(spec.name or "") or _name_of(spec), data=self._lasting(spec.data))
        return self._supervisor.submit(specs.to_json(spec), planning.to_json(preview.plan), spec.name or "", self._token(token))

    def _lasting(self, data: DataSpec) -> DataSpec:
        """Paths that hold from every working folder: whole, or relative to the home."""
        located = self.facts.located(data)

        def kept(source: str) -> str:
            path = Path(source.removeprefix(FILE))
            inside = source.startswith(FILE) and path.is_relative_to(self.home)
            return f"{FILE}{path.relative_to(self.home).as_posix()}" if inside else source

        test, corrections = (kept(one) if one else None for one in (located.test, located.corrections))
        return replace(located, source=kept(located.source), test=test, corrections=corrections)

    def stop(self, run_id: str) -> None:
        """Asks a run to save and end at its next step; takes a waiting one out of the queue."""
        self._supervisor.stop(run_id)

    def enough(self, run_id: str) -> None:
        """Asks a run to end its training at its next step, and to keep and judge the best so far."""
        self._supervisor.enough(run_id)

    def coached(self, run_id: str) -> tuple[Finding, ...]:
        """What the coach sees in the run's curves and answers, the gravest first. Raises Refused for no run."""
        return coach.findings(self.record(run_id), coach.lesson(self.plan(run_id)), self.account(run_id))

    def reasons(self, run_id: str) -> tuple[Reason, ...]:
        """What may keep a judged run from being better, the likeliest first; none before. Raises Refused for no run."""
        evaluation = self.evaluation(run_id)
        if evaluation is None and self.account(run_id) is None:
            return ()
        texts: list[str] = []
        with contextlib.suppress(Refused):  # a damaged file of answers keeps no other reason back
            texts = [one.text for one in self.explorer.answers(run_id)]
        doubted = sum(one.part == "test" for one in self.explorer.doubted(run_id)) if texts else 0
        return reasons.reasons(self.plan(run_id), self.record(run_id), self.catalog, texts, evaluation, doubted)

    def follow(self, run_id: str, kind: str, choice: int, token: str | None = None) -> str:
        """Does what the coach, or a reason, advises: the id of the run that was started, or "" where this one was asked to keep its best.

        `choice` counts the advice of the finding of this kind from 0. Raises Refused where the coach says something else by now.
        """
        said: list[Finding | Reason] = [*self.coached(run_id), *self.reasons(run_id)]
        told = next((one.advice for one in said if one.kind == kind), ())
        if not 0 <= choice < len(told):
            raise Refused(Problem("coach", "The coach says something else of this run by now.", "Read it anew, and press again."))
        wanted = told[choice]
        if not wanted.trains:
            self.enough(run_id)
            return ""
        spec = self.clone(run_id)
        spec = replace(spec, settings={**spec.settings, **wanted.settings}, model=wanted.model or spec.model)
        begun = self.start(spec, token)
        if not self.record(run_id).is_over:
            self.stop(run_id)
        return begun

    def kill(self, run_id: str) -> None:
        """Ends a run's process at once. What was saved before stays."""
        self._supervisor.kill(run_id)

    def resume(self, run_id: str, token: str | None = None) -> None:
        """Puts a stopped, failed or killed run back in the queue. Raises Refused for any other."""
        self._measuring.cancel()
        self._probing.give_way()
        self._supervisor.resume(run_id, self._token(token))

    def delete(self, run_id: str) -> None:
        """Removes a run and all that it made. Raises Refused while it is at work."""
        folder = self.store.folder(run_id)
        self._supervisor.delete(run_id)
        self._probing.cancel(run_id)
        self._predictor.release(folder)
        self.reader.forget(run_id)

    def rename(self, run_id: str, name: str) -> None:
        """Gives a run another name. Raises Refused for a blank one."""
        cleaned = _clean_name(name)
        if not cleaned:
            raise Refused(Problem("name", "The name is empty.", "Write a name."))
        spec = replace(specs.from_json(self.spec_json(run_id)), name=cleaned)
        write_whole(self.store.folder(run_id) / "spec.json", specs.to_json(spec).encode())

    def clone(self, run_id: str) -> RunSpec:
        """What was asked for in that run, for a new one. Raises Refused where its spec cannot be read."""
        return replace(specs.from_json(self.spec_json(run_id)), name=None, study=None)

    def read(self, run_id: str, offset: int = 0) -> tuple[list[Event], int]:
        """The run's events from a byte offset on, and the offset to read from next time."""
        return self.store.read(run_id, offset)

    def record(self, run_id: str) -> RunRecord:
        """The run as it stands. Only what was added since the last call is read."""
        return self.reader.record(run_id)

    def runs(self) -> list[RunSummary]:
        """All runs, newest first."""
        return self.reader.runs()

    def evaluation(self, run_id: str) -> Evaluation | None:
        """The verdict on the test rows; None until the run is judged."""
        return self.reader.evaluation(run_id)

    def plan(self, run_id: str) -> Plan:
        """What was decided for the run. Raises Refused where its plan cannot be read."""
        return self.reader.plan(run_id)

    def spec_json(self, run_id: str) -> str:
        """The run's spec as JSON text, for `python -m engine train --spec FILE`."""
        return self.reader.spec_json(run_id)

    def log_tail(self, run_id: str, limit_bytes: int = 20_000) -> str:
        """The end of the run's log, without anything that looks like a token."""
        return self.reader.log_tail(run_id, limit_bytes)

    # Studies: the same data learnt under conditions that differ in one thing

    def planned(self, spec: RunSpec, token: str | None) -> tuple[Plan | None, tuple[Problem, ...]]:
        """A run's plan, None where something keeps it from being made, and all problems."""
        found = self._preview(spec, self._token(token))
        return (found.plan if found.is_ready else None), found.problems

    def methods_that_fit(self, spec: RunSpec, token: str | None = None) -> tuple[Fit, ...]:
        """Every method with its plan for this data, model and machine, or the problems that keep it out."""
        return self._studies.fits(spec, token)

    def token_fits(self, spec: RunSpec, token: str | None = None, *, fetch: bool = False) -> tuple[TokenFit, ...]:
        """How each model reads the data's texts, the best first; `fetch` asks the Hub for vocabularies. Raises Refused as `look`."""
        data = self.facts.look(spec.data, spec.settings, self._token(token))[0]
        return token_fit.fits(spec, data, self.facts, self.catalog, self.planned, self._token(token), fetch=fetch)

    def made_examples(self, spec: RunSpec, most: int = 6, token: str | None = None) -> tuple[Example, ...]:
        """Some of the rows that this run would make, beside their originals; none where it makes none, or needs a model to make them.

        Raises Refused where the rows cannot be opened.
        """
        return self._examples.of(spec, asked(spec, self.catalog).values, most, self._token(token))

    def made_rows(self, run_id: str, most: int = 6) -> tuple[tuple[Example, ...], int]:
        """Some of the rows that a run made, beside their originals, and how many it made."""
        return making.shown(self.store.folder(run_id), most)

    def compare_preview(
        self,
        spec: RunSpec,
        methods: Sequence[str] | None = None,
        seeds: int = 1,
        budget: Budget | None = None,
        token: str | None = None,
        variants: Variants | None = None,
    ) -> Proposal:
        """What `compare` would do: how long, how much memory, under which conditions. Raises Refused as it does."""
        return self._studies.propose(spec, methods, seeds, budget, token, variants)[0]

    def compare(
        self,
        spec: RunSpec,
        methods: Sequence[str] | None = None,
        seeds: int = 1,
        budget: Budget | None = None,
        token: str | None = None,
        variants: Variants | None = None,
    ) -> str:
        """A new study of these methods (None: all that fit), or of these variants of one, its runs queued; its id.

        Raises Refused with every problem.
        """
        self.facts.measure(wait=True)
        return self._studies.start(spec, methods, seeds, budget, token, variants)

    def studies(self) -> list[Study]:
        """All studies, newest first."""
        return self._studies.all()

    def study(self, study_id: str) -> Result:
        """A study as it stands. Raises Refused where there is none."""
        return self._studies.result(study_id)

    def stop_study(self, study_id: str) -> None:
        """Empties its part of the queue and asks the run at work to save and end."""
        self._studies.stop(study_id)

    def resume_study(self, study_id: str, token: str | None = None) -> None:
        """Queues again what did not finish, and what was never queued. Raises Refused where nothing is left."""
        self._studies.resume(study_id, token)

    def extend_study(
        self, study_id: str, methods: Sequence[str] = (), seeds: int | None = None, token: str | None = None, *, resume: bool = False
    ) -> None:
        """More methods, or more seeds in all, under the same conditions. `resume`: what did not finish comes first, as by `resume_study`.

        Raises Refused where they do not fit.
        """
        self._studies.extend(study_id, methods, seeds, token, resume=resume)

    def delete_study(self, study_id: str) -> None:
        """Removes the study and its runs. Raises Refused while one is at work."""
        self._studies.delete(study_id)

    # Afterwards

    def export(self, run_id: str, *, merged: bool = False) -> Path:
        """The zip to take home, or one with the adapter merged into its base. Raises Refused for a run without a model."""
        from engine.export import export

        return export(self.store, run_id, merged=merged)

    def can_merge(self, run_id: str) -> bool:
        """Whether what the run learnt stands beside a base, and can be merged into it."""
        method = self.methods.get(self.plan(run_id).method)
        return method is not None and method.freezes_body and method.merge is not None

    def predict(self, run_id: str, texts: Sequence[str], seconds: Sequence[str] | None = None) -> list[Prediction]:
        """What the run's model says of each text, with the one of `seconds` beside it where it reads pairs.

        Raises Refused for a run without a model, and for one that reads pairs where there are none.
        """
        if self.reads_pairs(run_id) != (seconds is not None):
            fix = "Give a second text for each." if seconds is None else "Leave the second text out."
            raise Refused(Problem("try", f"This run reads {'one text' if seconds is not None else 'two texts'} at a time.", fix))
        return self._predictor.ask(self.store.folder(run_id), texts, seconds)

    def reads_pairs(self, run_id: str) -> bool:
        """Whether the run's model reads a second text beside each. Raises Refused for no run."""
        return bool((self.store.json(run_id, "plan.json") or {}).get("second"))

    def task_of(self, run_id: str) -> Task | None:
        """What the run learnt, by its plan; None where that says nothing known. Raises Refused for no run."""
        return self.tasks.get(str((self.store.json(run_id, "plan.json") or {}).get("task")))

    def writers(self) -> tuple[Writer, ...]:
        """What can be chosen to write: finished runs that learnt it, newest first, then the catalogue's models."""
        return writers(self.store, self.runs(), self.catalog)

    def sorts(self, run_id: str) -> bool:
        """Whether the run learnt to say something of a text, a class or a number. Raises Refused for no run."""
        return sorts(self.store.folder(run_id))

    def write(self, said: Sequence[tuple[str, Said]], decoding: Decoding, *, stops: Sequence[str] = (), token: str | None = None) -> str:
        """Has each of these writers (an id of `writers`, or any model's) go on from what was said; a ticket of `playground`.

        Raises Refused for what cannot write, and where there is no prompt.
        """
        token, reserve = self._token(token), self._reserved()
        asked = []
        for writer, what in said:
            place = chosen(writer, self.store, lambda model: self.facts.model(model, token))
            asked.append(Asked(place.run, place.model, place.revision, what, decoding, tuple(stops), token, reserve))
        return self.playground.begin(asked)

    def _reserved(self) -> int:
        """Bytes that the runs at work may still take of what is free now."""
        found = 0
        for run_id, pid in self._supervisor.workers().items():
            with contextlib.suppress(Refused):  # deleted meanwhile
                told = next((one.vram_bytes or 0 for one in reversed(self.reader.record(run_id).resources)), 0)
                has = held([pid], told)
                found += max(0, self.plan(run_id).memory_bytes - (has.gpu_bytes if self.hardware.gpus else has.ram_bytes))
        return found

    def beside(self, run_id: str) -> tuple[Rival, ...]:
        """What else answered the same test rows: an earlier run, and the model before its training where it was asked. With a sentence."""
        found = self._probing.look(run_id).found
        return tuple(one for one in (untuned_beside(found) if found else None, self.judged.earlier(run_id)) if one is not None)

    def look_closer(self, run_id: str, token: str | None = None) -> None:
        """Begins to try edge cases and to time this run's model, in the background. Raises Refused where that is not possible now."""
        self._probing.start(run_id, self._token(token))

    def look(self, run_id: str) -> Look:
        """How far the closer look at this run is, and what it found."""
        return self._probing.look(run_id)

    def correct_confidence(self, run_id: str, *, on: bool) -> None:
        """Has the run's model say how sure it is by the temperature that a look learnt, here, in Try and in exports; or as it came."""
        found = self._probing.look(run_id).found
        if on and (found is None or found.temperature is None):
            raise Refused(Problem("run", "How to correct this model's confidence is not known.", "Look closer at the run first."))
        trained.set_temperature(self.store.folder(run_id) / "model", found.temperature if on and found else None)

    def give_up_look(self, run_id: str) -> None:
        """Ends the closer look at this run, if one goes on."""
        self._probing.cancel(run_id)

    def close(self) -> None:
        """Ends the background work of this process. Runs go on."""
        self._measuring.cancel()
        self._probing.cancel()
        if self._taking_in is not None:
            self._taking_in.close()
        self._predictor.close()
        self.playground.close()
        self._supervisor.close()


def over_memory(plan: Plan) -> list[Problem]:
    """Told where more was measured than is free."""
    if plan.memory_bytes <= plan.memory_available_bytes:
        return []
    needed, there = gigabytes(plan.memory_bytes), gigabytes(plan.memory_available_bytes)
    return [Problem("memory", f"{needed} of memory were measured, and {there} are free.", LIGHTER_FIX, of_memory=True)]


def _name_of(spec: RunSpec) -> str:
    """What a run is called that the person gave no name: its data, model and method."""
    return _clean_name(f"{subject(spec)} · {spec.method}")


def _clean_name(name: str) -> str:
    printable = "".join(" " if unicodedata.category(one) in ("Cc", "Zl", "Zp") else one for one in name)
    return " ".join(printable.split())[:NAME_CHARACTERS].strip()
