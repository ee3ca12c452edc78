"""All that is known of a judged run in one place, for its report: of one that gives classes, and of one that writes."""

from __future__ import annotations

from dataclasses import dataclass

from engine import reviews
from engine import spec as specs
from engine.account import Account
from engine.answers import Answer
from engine.calibration import Confidence
from engine.data.doctor import Checkup
from engine.errors import Problem, Refused
from engine.evaluate import Evaluation
from engine.plan import Plan
from engine.probed import Probed
from engine.reasons import Reason
from engine.reviews import Outcome
from engine.slices import Slice
from engine.spec import RunSpec
from engine.store import RunRecord
from engine.studio import Studio
from engine.study_result import Result
from engine.verdict import Rival


@dataclass(frozen=True)
class KnownRun:
    """What is known of every judged run."""

    run_id: str
    spec: RunSpec
    spec_json: str
    plan: Plan
    record: RunRecord
    checkup: Checkup | None  # None where the data cannot be opened any more
    studies: tuple[Result, ...]  # of the same data, task, model and method
    reasons: tuple[Reason, ...]  # that may keep it from being better

    @property
    def title(self) -> str:
        return self.spec.name or self.run_id


@dataclass(frozen=True)
class KnownAccount(KnownRun):
    """All that is known of a judged run that writes."""

    account: Account
    reviewed: Outcome | None = None  # what people said of some answers; None where nobody was asked
    look: Probed | None = None  # what a closer look told
    answers: tuple[Answer, ...] = ()  # none where too little was kept of them
    slices: tuple[Slice, ...] = ()
    corrected: int = 0  # numbers or tags put right by hand


@dataclass(frozen=True)
class Known(KnownRun):
    """All that is known of a judged run that gives classes."""

    evaluation: Evaluation
    beside: tuple[Rival, ...]
    confidence: Confidence | None
    look: Probed | None
    answers: tuple[Answer, ...]
    slices: tuple[Slice, ...]
    doubted: int | None  # rows whose labels are likely wrong; None where nobody has looked
    corrected: int  # labels put right by hand
    reviewed: Outcome | None  # what people said of some rows; None where nobody was asked


def known(studio: Studio, run_id: str) -> Known:
    """Everything about the run. Raises Refused for a run that is not judged."""
    evaluation = studio.evaluation(run_id)
    if evaluation is None:
        raise Refused(Problem("run", "This run is not judged yet, so there is nothing to report.", "Let it finish, or resume it."))
    text = studio.spec_json(run_id)
    spec, explorer = specs.from_json(text), studio.explorer
    has_answers = explorer.has_answers(run_id)
    return Known(
        run_id, spec, text, studio.plan(run_id), studio.record(run_id), _checkup(studio, spec),
        studies_of(studio, spec), studio.reasons(run_id), evaluation, studio.beside(run_id), studio.judged.confidence(run_id),
        studio.look(run_id).found,
        explorer.answers(run_id) if has_answers else (),
        explorer.slices(run_id) if has_answers else (),
        len(explorer.doubted(run_id)) if has_answers and explorer.was_looked_through(run_id) else None,
        len(explorer.all_corrections(run_id)) if has_answers else 0,
        _reviewed(studio, run_id),
    )  # fmt: skip


def known_account(studio: Studio, run_id: str) -> KnownAccount | None:
    """Everything about a run that writes; None where it has no account."""
    account = studio.account(run_id)
    if account is None:
        return None
    text = studio.spec_json(run_id)
    spec = specs.from_json(text)
    plan, record = studio.plan(run_id), studio.record(run_id)
    said, look, explorer = _reviewed(studio, run_id), studio.look(run_id).found, studio.explorer
    rows = (
        (explorer.answers(run_id), explorer.slices(run_id), len(explorer.all_corrections(run_id))) if explorer.has_answers(run_id) else ()
    )
    studies, why = studies_of(studio, spec), studio.reasons(run_id)
    return KnownAccount(run_id, spec, text, plan, record, _checkup(studio, spec), studies, why, account, said, look, *rows)


def _checkup(studio: Studio, spec: RunSpec) -> Checkup | None:
    try:
        return studio.checkup(spec, studio.preview(spec))
    except Refused:
        return None


def _reviewed(studio: Studio, run_id: str) -> Outcome | None:
    sheet = studio.reviews.newest(run_id)
    return reviews.outcome(sheet, [studio.reviews.said(sheet, place) for place in range(len(sheet.people))]) if sheet else None


def studies_of(studio: Studio, spec: RunSpec) -> tuple[Result, ...]:
    """Studies of what this run learns, by its model and its method."""
    mine = [one for one in studio.studies() if _same(one.base, spec) and spec.method in (one.base.method, *one.methods)]
    return tuple(studio.study(one.id) for one in mine)


def _same(one: RunSpec, other: RunSpec) -> bool:
    """Whether both learn the same of the same data; a column that neither names is the one that is guessed."""
    columns = [(one.data.label, other.data.label), (one.data.labels, other.data.labels)]
    told = all(first == second for first, second in columns if first and second)
    return told and (one.data.source, one.model, one.task) == (other.data.source, other.model, other.task)
