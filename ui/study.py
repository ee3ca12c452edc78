"""What the page says about a study, as safe HTML. Pure: a result in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from engine import study_report
from engine.methods import all_methods
from engine.study_result import GOING
from engine.varied import NAMES, TITLES
from ui import result as run_words
from ui import tables, words
from ui.tables import Column

if TYPE_CHECKING:
    from engine.comparison import Figure, Stability
    from engine.criterion import Criterion
    from engine.errors import Problem
    from engine.studies import Fit, Proposal
    from engine.study import Study
    from engine.study_result import Result, Row

NOT_THERE = "–"
TO_USE = ("methods", "made")


def unfit(fits: Sequence[Fit]) -> str:
    """The methods that cannot be chosen, greyed out, each with its reason and what to do.

    What ails all methods alike is told above the button, and not here.
    """
    common = frozenset.intersection(*(frozenset(one.problems) for one in fits)) if fits else frozenset()
    kept_out = [(one, next((problem for problem in one.problems if problem not in common), None)) for one in fits if one.plan is None]
    lines = "".join(
        f'<li><span class="box" aria-hidden="true"></span><span><b>{escape(one.name)}</b> '
        f"{escape(problem.message.removeprefix(f'{one.name} '))} {escape(problem.fix)}</span></li>"
        for one, problem in kept_out
        if problem is not None
    )
    return f'<p class="soft">Not possible here:</p><ul class="unfit">{lines}</ul>' if lines else ""


def proposal(told: Proposal | None, found: Sequence[Problem]) -> str:
    """How long it will take in all, the most memory, and what is equal; or what keeps it from starting."""
    if told is None:
        return "".join(words.problem(one) for one in found)
    time = words.about(told.seconds) if told.seconds is not None else "no figure for this hardware"
    there = max(plan.memory_available_bytes for plan in told.plans.values())
    mark = '<span class="mark">estimated</span>'
    lines = (
        ("Runs", f"{words.count(told.runs)}, one after the other"),
        ("Time", f"{time} in all {mark}"),
        ("Memory", f"{words.of_sizes(told.memory_bytes, there)} at most {mark}"),
        ("Keeps", f"{words.size(told.kept_bytes)}, and {words.size(told.disk_bytes - told.kept_bytes)} more while it runs {mark}"),
    )
    return tables.figures(lines) + tables.notes(escape(one) for one in told.notes) + _each(told)


def _each(told: Proposal) -> str:
    """What each run will do and need, folded away."""
    columns = (
        Column("Method"), Column("Learning rate", number=True), Column("Steps", number=True), Column("Memory", number=True),
        Column("Time a run", number=True), Column("Keeps", number=True),
    )  # fmt: skip
    names = {one.id: one.name for one in all_methods().values()}
    rows = [
        (
            escape(names.get(arm, arm)),
            words.rate(float(plan.settings["learning_rate"])),
            words.count(plan.steps),
            words.size(plan.memory_bytes),
            NOT_THERE if plan.seconds is None else words.about(plan.seconds),
            words.size(plan.save_bytes),
        )
        for arm, plan in told.plans.items()
    ]
    drawn = tables.table("Each method", columns, rows)
    return f"<details><summary>Learning rate, memory and time of each</summary>{drawn}</details>"


def heading(study: Study) -> str:
    made = f"{escape(study.base.data.known_as)} · {escape(study.base.model)} · {words.moment(study.created)}"
    what = f"Comparison of {len(study.methods)} methods" if study.varies == "methods" else f"{NAMES[study.varies]} · {study.methods[0]}"
    return (
        '<p class="soft"><a href="?place=runs" data-place="runs">All runs</a></p>'
        f'<h1>{escape(study.name)}</h1><p class="soft">{escape(what)} · {made}</p>'
    )


def now(result: Result) -> str:
    """How far it is, and how long it will still take."""
    mark = run_words.state_mark(result.state)
    share = result.share
    left = f" · {words.about(result.seconds_left)} left {_estimated()}" if result.seconds_left is not None else ""
    working = next((f"{row.name}: {row.reason}" for row in result.rows if row.state == "running"), "")
    line = f"{result.done} of {words.counted(result.total, 'run')} done{left}"
    bar = (
        f'<div class="track" role="progressbar" aria-label="Comparison" aria-valuenow="{share * 100:.0f}" aria-valuemin="0" '
        f'aria-valuemax="100"><span style="width:{share * 100:.1f}%"></span></div>'
    )
    moving = result.state in GOING
    message = f'<p class="soft">{escape(working)}</p>' if working and moving else ""
    return f'<div class="now">{mark}<p role="status">{line}</p>{bar if moving else ""}{message}</div>'


def _estimated() -> str:
    return '<span class="mark">estimated</span>'


def advice(result: Result) -> str:
    """The paragraph: what to take and why, and what the differences are not."""
    first, *rest = result.advice.sentences
    more = f"<p>{escape(' '.join(rest))}</p>" if rest else ""
    told = result.advice
    says = told.take or told.differences or (told.alike and result.study.varies != "methods")
    style = "sentence" if says else "soft"
    return f'<div class="verdict"><p class="{style}">{escape(first)}</p>{more}</div>'


def table(result: Result, notes: str) -> str:
    """A line for each method, and the baselines below them."""
    columns = (
        Column(TITLES[result.study.varies]), *(Column(one.name, number=True) for one in result.criteria),
        Column("Peak memory", number=True),
        Column("Time a run", number=True), Column("To store", number=True), Column("Rows a second", number=True),
        Column("Trained", number=True), Column("Learning rate", number=True), Column("Loss spread", number=True),
        Column("Spikes", number=True), *([Column("Use", style="use")] if result.study.varies in TO_USE else ()),
    )  # fmt: skip
    rows = [_row(row, result, take=row.method == result.advice.take) for row in result.rows]
    blank = [""] * (len(columns) - 1 - len(result.criteria))
    rows += [(escape(one.name), *study_report.levels(one, result.criteria), *blank) for one in result.baselines]
    styles = ["ours" if row.method == result.advice.take else "" for row in result.rows] + ["soft"] * len(result.baselines)
    on = f"On {words.counted(result.test_rows, 'test row')}" if result.test_rows else "Run by run"
    drawn = tables.table("Runs compared", columns, rows, row_styles=styles)
    lower = "".join(f"{one.name}: lower is better. " for one in result.criteria if one.better == "lower")
    measured = f"{lower}Memory, time and sizes are measured; time holds whatever else the machine did meanwhile."
    return f'<h2>{on}</h2>{drawn}<p class="soft">{escape(measured)} {escape(notes)}</p>'


def _row(row: Row, result: Result, *, take: bool) -> tuple[str, ...]:
    varies = result.study.varies
    mark = ' <span class="take">take this</span>' if take else ""
    rows = f' <span class="soft">{words.count(row.train_rows)} rows</span>' if varies in ("shares", "made") and row.train_rows else ""
    named = f'aria-label="Use this: {escape(row.name)}"'
    use = f'<button type="button" class="pick" data-use="{escape(row.runs[0].id)}" {named}>Use this</button>' if row.runs else ""
    last = (use,) if varies in TO_USE else ()  # a fold, or a part of the rows, is nothing to train with
    return (
        f"{escape(row.name)}{rows}{mark}{_state(row)}",
        *(interval(figure, one) for figure, one in zip((row.quality, row.beside), result.criteria, strict=False)),
        NOT_THERE if row.peak_bytes is None else words.size(row.peak_bytes),
        NOT_THERE if row.seconds is None else words.duration(row.seconds),
        NOT_THERE if row.saved_bytes is None else words.size(row.saved_bytes),
        NOT_THERE if row.rows_per_second is None else words.figure(row.rows_per_second, 1),
        NOT_THERE if row.trainable_share is None else words.small_share(row.trainable_share),
        NOT_THERE if row.learning_rate is None else words.rate(row.learning_rate),
        *_steady(row.stability),
        *last,
    )


def _state(row: Row) -> str:
    """What of its runs there is to open, and why it did not finish where it did not."""
    links = " · ".join(run_words.link(run.id, f"seed {run.seed}") for run in row.runs)
    mark = "" if row.state == "finished" else run_words.state_mark(row.state)
    step = next((run.summary for run in row.runs if run.summary.state == "running"), None)
    told = f" {words.count(step.step)} of {words.count(step.total_steps)}" if step and step.total_steps else ""
    why = f'<span class="why">{escape(row.reason)}</span>' if row.state in ("failed", "killed", "missing") else ""
    return f'<span class="runs">{mark}{told} {links}</span>{why}'


def _steady(steady: Stability | None) -> tuple[str, str]:
    if steady is None:
        return NOT_THERE, NOT_THERE
    return words.percent(steady.spread), f"{steady.spikes}{' diverged' if steady.diverged else ''}"


def interval(figure: Figure | None, criterion: Criterion) -> str:
    if figure is None:
        return NOT_THERE
    return f"{criterion.words(figure.value)} {tables.soft(f'({criterion.bounds_words(figure)})')}"


def conditions(lines: Sequence[str]) -> str:
    return f"<h2>What was equal</h2>{tables.notes(escape(one) for one in lines)}"
