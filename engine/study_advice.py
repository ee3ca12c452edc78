"""What a study is judged by and what it says, from its runs. Pure.

Where the task gives classes it is macro F1 and accuracy, elsewhere the figure that the task tells first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine import comparison, criterion, findings, ranking
from engine.account import Told
from engine.comparison import Advice, Candidate, Figure
from engine.criterion import ACCURACY, MACRO_F1, UNTUNED, Criterion
from engine.findings import Arm
from engine.ranking import Level, Ranked
from engine.scoring import Interval
from engine.study import Study
from engine.study_run import RunResult
from engine.tasks import all_tasks
from engine.told import beats
from engine.verdict import CHANCE

Runs = Mapping[str, Sequence[RunResult]]  # by arm


@dataclass(frozen=True)
class Line:
    """An arm of a study: its figures over the seeds, what it took, its runs."""

    method: str
    name: str
    quality: Figure | None
    beside: Figure | None
    memory_bytes: int | None
    seconds: float | None
    runs: tuple[RunResult, ...]

    @property
    def judged(self) -> list[RunResult]:
        """Its runs that are finished and judged."""
        return [run for run in self.runs if run.figures and run.summary.state == "finished"]


def sorts(made: Study) -> bool:
    """Whether its runs give classes."""
    task = all_tasks().get(made.base.task)
    return task is None or task.sorts


def criteria(made: Study, runs: Runs) -> tuple[Criterion, ...]:
    """What the study ranks by, and a second figure beside it."""
    if sorts(made):
        return MACRO_F1, ACCURACY
    judged = [run for of_arm in runs.values() for run in of_arm if run.account is not None]

    def same_rows(figure: str) -> bool:
        kept = [run.redrawn.get(figure) for run in judged]
        return made.varies == "folds" or len({one and one.on for one in kept}) < 2

    accounts = [run.account for run in judged if run.account is not None]
    return criterion.of_accounts(accounts, same_rows, all_tasks()[made.base.task].figures)


def levels(made: Study, runs: Runs, by: Sequence[Criterion]) -> tuple[tuple[Level, ...], int]:
    """What is reached without this training, and the test rows. Of folds all, for each has test rows of its own; else of one run."""
    firsts = [next((run for run in of_arm if run.figures), None) for of_arm in runs.values()]
    tested = [run for run in firsts if run is not None]
    if made.varies != "folds":
        tested = tested[:1]
    if judged := [run.judged for run in tested if run.judged is not None]:
        pooled = findings.pooled(judged)
        return tuple(Level(one.id, one.name, one.macro_f1, one.accuracy) for one in pooled), sum(one.rows for one in judged)
    rows = [run.account.rows for run in tested if run.account is not None]
    names: dict[str, str] = {}
    values: dict[tuple[str, str], list[float]] = {}
    for run in tested:
        for one in by:
            for id, name, value, _ in beside(run, one.id):
                names[id] = name
                values.setdefault((id, one.id), []).append(value)
    means = {key: sum(told) / len(told) for key, told in values.items()}
    second = by[1].id if len(by) > 1 else ""
    found = [Level(id, name, means[id, by[0].id], means.get((id, second))) for id, name in names.items() if (id, by[0].id) in means]
    return tuple(found), sum(rows)


def beside(run: RunResult, figure: str) -> list[tuple[str, str, float, bool | None]]:
    """What the untuned model and the baselines reach by this figure: id, name, value, whether the run is better beyond chance."""
    one: Told | None = next((one for one in run.account.figures if one.id == figure), None) if run.account else None
    if one is None:
        return []
    told = [(other.id, other.name, other.value, beats(other.gain, other.p_value, one.better)) for other in one.others]
    if one.before is not None and one.gain is not None and one.p_value is not None:
        told.insert(0, (UNTUNED, "Untuned model", one.before, beats(one.gain, one.p_value, one.better)))
    return told


def advise(made: Study, lines: Sequence[Line], by: Sequence[Criterion], known: Sequence[Level], unfinished: int) -> Advice:
    """What to take, or what a study of one method says."""
    if sorts(made):
        candidates = _candidates(lines)
        if made.varies == "methods":
            reached = {one.name: one.beside for one in known if one.beside is not None}
            return comparison.advise(candidates, unfinished=unfinished, baselines=reached)
        judged = {line.method: tuple(run.judged for run in line.runs if run.judged) for line in lines}
        return findings.advise(made.varies, [Arm(one, judged[one.method]) for one in candidates], unfinished)
    ranked = _ranked(lines, by[0], known)
    if made.varies == "methods":
        return ranking.advise(ranked, by[0], by[1] if len(by) > 1 else None, known, unfinished)
    return _of_one_method(made, lines, ranked, by[0], known, unfinished)


def _of_one_method(
    made: Study, lines: Sequence[Line], ranked: Sequence[Ranked], by: Criterion, known: Sequence[Level], unfinished: int
) -> Advice:
    """Of folds and of shares of the rows."""
    if not ranked or (made.varies != "folds" and len(ranked) < 2):
        return Advice("", "", (), (), (findings.NOTHING_YET,))
    if made.varies == "folds":
        runs = [line.judged[0] for line in lines if line.judged]
        figures = [run.figures[by.id] for run in runs]
        mean = findings.mean_over_folds([one.value for one in figures], by.bounds) if len(figures) > 1 else Interval(0.0, 0.0, 0.0)
        against = {one.id: [ahead for run in runs for id, _, _, ahead in beside(run, by.id) if id == one.id] for one in known}
        told = ranking.over_folds(figures, mean, by, known, against)
    else:
        told = ranking.curve(ranked, by, findings.LITTLE)
    return Advice("", "", tuple(one.method for one in ranked), (), (*told, *findings.left(unfinished)))


def _ranked(lines: Sequence[Line], by: Criterion, known: Sequence[Level]) -> list[Ranked]:
    """Arms with a judged run of every seed, or at least of one while others failed."""
    found = []
    for line in lines:
        if not line.judged or line.quality is None or line.seconds is None:
            continue
        told = [{id: ahead for id, _, _, ahead in beside(run, by.id)} for run in line.judged]
        beaten, ahead = (frozenset(one.id for one in known if all(each.get(one.id) is better for each in told)) for better in (True, False))
        kept = {run.seed: run.redrawn[by.id] for run in line.judged if by.id in run.redrawn}
        found.append(Ranked(line.method, line.name, line.quality, line.beside, line.memory_bytes, line.seconds, kept, beaten, ahead))
    return found


def _candidates(lines: Sequence[Line]) -> list[Candidate]:
    """The same where the task gives classes."""
    found = []
    for line in lines:
        if not line.judged or line.quality is None or line.beside is None or line.seconds is None:
            continue
        baselines: dict[str, list[bool]] = {}
        behind: dict[str, list[bool]] = {}
        for run in line.judged:
            for one in run.judged.baselines if run.judged else ():
                more, unlike = one.only_model_right - one.only_baseline_right, one.p_value < CHANCE
                ahead = (unlike and more > 0) or one.macro_f1_gain.low > 0
                baselines.setdefault(one.id, []).append(ahead)
                behind.setdefault(one.name, []).append(not ahead and more < 0 and (unlike or one.macro_f1_gain.high < 0))
        found.append(
            Candidate(
                line.method, line.name, line.quality, line.beside, line.memory_bytes, line.seconds,
                {run.seed: run.answers for run in line.judged if run.answers is not None},
                {name: all(ahead) for name, ahead in baselines.items()},
                frozenset(name for name, lost in behind.items() if all(lost)),
            )
        )  # fmt: skip
    return found
