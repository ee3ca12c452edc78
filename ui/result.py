"""What the Runs place says about a run and its verdict, as safe HTML. Pure: records in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from engine import evaluate
from engine.evaluate import Evaluation, Interval
from engine.reading import RunSummary
from engine.store import RunRecord
from engine.study import Study
from engine.varied import NAMES
from ui import tables, words
from ui.tables import Column

if TYPE_CHECKING:
    from engine.plan import Plan
    from engine.verdict import Rival

PACE_STEPS = 40  # the last steps, over which the time left is reckoned
SAMPLES = 12
LISTED = 200
SAMPLE_CHARACTERS = 400


def runs_table(runs: Sequence[RunSummary], studies: Sequence[Study] = ()) -> str:
    """All runs, newest first, each a link to its page; those of a study stand below it."""
    if not runs and not studies:
        return '<p>No runs yet. <a href="?place=train" data-place="train">Start one on Train.</a></p>'
    columns = (
        Column("Run"), Column("State"), Column("Accuracy", number=True), Column("Macro F1", number=True),
        Column("Worked", number=True), Column("Created", style="soft"),
    )  # fmt: skip
    lines = _grouped(runs[:LISTED], studies)
    rows = [_run_line(one) if isinstance(one, RunSummary) else _study_line(one, runs) for one, _ in lines]
    more = f'<p class="soft">The newest {LISTED} of {words.counted(len(runs), "run")}.</p>' if len(runs) > LISTED else ""
    return tables.table("All runs", columns, rows, row_styles=[style for _, style in lines]) + more


def _grouped(runs: Sequence[RunSummary], studies: Sequence[Study]) -> list[tuple[RunSummary | Study, str]]:
    """Runs and studies by the time they were made, newest first, each study followed by its runs; with the style of each line."""
    known = {one.id for one in studies}
    heads: list[RunSummary | Study] = [*studies, *(one for one in runs if one.study not in known)]
    found: list[tuple[RunSummary | Study, str]] = []
    for head in sorted(heads, key=lambda one: one.created, reverse=True):
        found.append((head, ""))
        found += [(one, "of-study") for one in reversed(runs) if not isinstance(head, RunSummary) and one.study == head.id]
    return found


def _run_line(run: RunSummary) -> tuple[str, ...]:
    figures = (escape(run.figure), "") if run.figure else (tables.number(run.accuracy), tables.number(run.macro_f1))
    return (
        link(run.id, run.name), f"{state_mark(run.state)}{_progress(run)}", *figures,
        words.duration(run.seconds), words.moment(run.created),
    )  # fmt: skip


def _study_line(study: Study, runs: Sequence[RunSummary]) -> tuple[str, ...]:
    mine = [one for one in runs if one.study == study.id]
    done = sum(one.state == "finished" for one in mine)
    told = f"{done} of {words.counted(len(study.cells), 'run')} finished"
    name = f'{study_link(study)} <span class="soft">{NAMES[study.varies].lower()}</span>'
    return name, told, "", "", words.duration(sum(one.seconds for one in mine)), words.moment(study.created)


def study_link(study: Study) -> str:
    address = f"?place=runs&amp;study={escape(study.id)}"
    return f'<a href="{address}" data-place="runs" data-study="{escape(study.id)}">{escape(study.name)}</a>'


def link(run_id: str, name: str) -> str:
    return f'<a href="?run={escape(run_id)}" data-place="runs" data-run="{escape(run_id)}">{escape(name)}</a>'


def state_mark(state: str) -> str:
    return f'<span class="state {escape(state)}">{words.STATES.get(state, state)}</span>'


def _progress(run: RunSummary) -> str:
    return f' <span class="soft">{run.progress:.0%}</span>' if run.state == "running" and run.total_steps else ""


def heading(run: RunSummary) -> str:
    """The run's name and state, and how to get back to the list."""
    preset = f" · preset {escape(run.preset)}" if run.preset else ""
    address = f'href="?place=runs&amp;study={escape(run.study)}" data-study="{escape(run.study)}"' if run.study else ""
    part = f' · <a {address} data-place="runs">The study it belongs to</a>' if run.study else ""
    return (
        f'<p class="soft"><a href="?place=runs" data-place="runs">All runs</a>{part}</p><h1>{escape(run.name)}</h1>'
        f'<p class="soft">{escape(run.data)} · {escape(run.model)} · {escape(run.method)}{preset} · {words.moment(run.created)}</p>'
    )


def progress(record: RunRecord, now: float) -> str:
    """Phase, percent, step, time left, rows a second; or how it ended and what to do."""
    mark = state_mark(record.state)
    if record.ended is not None and record.is_over:
        fix = f" {escape(record.ended.fix)}" if record.ended.fix else ""
        return f'<div class="now">{mark}<p role="status">{escape(record.ended.reason)}{fix}</p>{_worked(record)}</div>'
    if record.state != "running":
        return f'<div class="now">{mark}<p role="status">{escape(record.message) or "Waiting for its turn"}</p></div>'
    phase = words.PHASES.get(record.phase, record.phase.capitalize() or "Starting")
    training = record.phase == "training" and record.total_steps
    done, total = (record.step, record.total_steps) if training else (record.done, record.total)
    share = min(1.0, done / total) if total else 0.0
    left = seconds_left(record, now) if training else None
    told = [
        f"{share:.0%}" if total else "",
        f"step {words.count(record.step)} of {words.count(record.total_steps)}" if training else "",
        f"{words.duration(left)} left" if left is not None else "",
        f"{words.figure(record.steps[-1].rows_per_second, 1)} rows a second" if training and record.steps else "",
    ]
    line = " · ".join(one for one in told if one)
    message = f'<p class="soft">{escape(record.message)}</p>' if record.message and record.message != phase else ""
    return (
        f'<div class="now">{mark}<p><b>{phase}</b> {line}</p>'
        f'<div class="track" role="progressbar" aria-label="{phase}" aria-valuenow="{share * 100:.0f}" aria-valuemin="0" '
        f'aria-valuemax="100"><span style="width:{share * 100:.1f}%"></span></div>{message}</div>'
    )


def seconds_left(record: RunRecord, now: float) -> float | None:
    """From the pace of the newest steps of this attempt; None before there is one."""
    recent = [step for step in record.steps[-PACE_STEPS:] if step.time >= record.begun]
    if len(recent) < 2 or recent[-1].step == recent[0].step:
        return None
    pace = (recent[-1].time - recent[0].time) / (recent[-1].step - recent[0].step)
    return max(0.0, pace * (record.total_steps - record.step) - (now - recent[-1].time))


def _worked(record: RunRecord) -> str:
    peak = max((one.ram_peak_bytes for one in record.resources), default=0)
    gpu = max((one.vram_peak_bytes or 0 for one in record.resources), default=0)
    told = [
        f"Worked {words.duration(record.seconds)}",
        f"peak memory {words.size(peak)}" if peak else "",
        f"on the GPU {words.size(gpu)}" if gpu else "",
    ]
    told += [
        f"{words.counted(record.attempts, 'attempt')}" if record.attempts > 1 else "",
        escape(record.started.device) if record.started else "",
    ]
    return f'<p class="soft">{" · ".join(one for one in told if one)}</p>'


def warnings(record: RunRecord) -> str:
    """What the run wants to be known, newest first."""
    listed = "".join(
        f'<li>{escape(one.message)} <span class="fix">{escape(one.fix)}</span></li>' for one in reversed(record.warnings[-20:])
    )
    return f'<div class="told"><h3>Worth knowing</h3><ul>{listed}</ul></div>' if listed else ""


def plan_lines(plan: Plan | None) -> str:
    """Every setting of the run, and why where it was chosen automatically."""
    if plan is None:
        return ""
    columns = (Column("Setting"), Column("Value"), Column("Why, where it was automatic", style="soft"))
    settings = ((name, "no limit" if value is None else words.value(value)) for name, value in plan.settings.items())
    rows = ((escape(name.replace("_", " ")), escape(value), escape(plan.reason(name) or "")) for name, value in settings)
    return tables.table("Settings of this run", columns, rows)


def verdict(evaluation: Evaluation | None, beside: Sequence[Rival] = ()) -> str:
    """The verdict in one sentence, before all evidence; below it one for each that answered the same rows and is not the strongest."""
    if evaluation is None:
        return ""
    sentence, others = evaluate.headline(evaluation, beside)
    more = "".join(f'<p class="beside">{escape(one)}</p>' for one in others)
    remarks = tables.notes(escape(one) for one in evaluation.warnings)
    return f'<div class="verdict"><p class="sentence">{escape(sentence)}</p>{more}{remarks}</div>'


def scores_table(evaluation: Evaluation | None, beside: Sequence[Rival] = ()) -> str:
    """The model beside the baselines, and whatever else answered the same rows."""
    if evaluation is None:
        return ""
    one = evaluation
    columns = (
        Column(""), Column("Accuracy", number=True), Column("Macro F1", number=True), Column("Weighted F1", number=True),
        Column("Difference in rows right", style="soft"),
    )  # fmt: skip
    model = ("This model", _interval(one.accuracy), _interval(one.macro_f1), tables.number(one.weighted_f1), "")
    others = (
        (
            escape(other.name),
            tables.number(other.accuracy),
            tables.number(other.macro_f1),
            tables.number(other.weighted_f1),
            chance(other.p_value),
        )
        for other in (*one.baselines, *(told.score for told in beside))
    )
    rest = (
        f"In brackets the 95 % interval. Macro precision {tables.number(one.macro_precision)}, "
        f"macro recall {tables.number(one.macro_recall)}, weighted precision {tables.number(one.weighted_precision)}, "
        f"weighted recall {tables.number(one.weighted_recall)}, loss {words.figure(one.loss)} nats a row."
    )
    table = tables.table("Scores", columns, (model, *others), row_styles=("ours",))
    seen = one.seen_rows or one.nearly_seen_rows
    title = f"On {words.counted(one.rows, 'test row')}" if seen else f"On {words.counted(one.rows, 'row')} it had not seen"
    return f'<h2>{title}</h2>{table}<p class="soft">{rest}</p>'


def _interval(figure: Interval) -> str:
    return f"{tables.number(figure.value)} {tables.soft(f'({figure.low * 100:.1f} to {figure.high * 100:.1f})')}"


def chance(p_value: float) -> str:
    """McNemar's test in words."""
    if p_value < 0.05:
        return f"more than chance, p {'&lt; 0.001' if p_value < 0.001 else f'= {p_value:.3f}'}"
    return f"may be chance, p = {p_value:.2f}"


def classes_table(evaluation: Evaluation | None) -> str:
    if evaluation is None:
        return ""
    columns = (Column("Label"), *(Column(name, number=True) for name in ("Precision", "Recall", "F1", "Rows")))
    rows = (
        (escape(one.label), *map(tables.number, (one.precision, one.recall, one.f1)), words.count(one.rows)) for one in evaluation.per_class
    )
    told = "Precision: how often it is right when it gives this label. Recall: how many of the rows with this label it finds."
    return f'<h2>Class by class</h2>{tables.table("Scores of each class", columns, rows, tall=True)}<p class="soft">{told}</p>'


def samples_table(evaluation: Evaluation | None) -> str:
    """Some test rows with what the model says of them."""
    if evaluation is None or not evaluation.samples:
        return ""
    shown = evaluation.samples[:SAMPLES]
    columns = (
        Column("Text", style="text"),
        Column("True label", style="label"),
        Column("It says", style="label"),
        Column("Sure", number=True),
    )
    rows = (
        (tables.cut(one.text, SAMPLE_CHARACTERS), escape(one.label), f"{mark}\u00a0{escape(one.predicted)}", tables.number(one.confidence))
        for one, mark in zip(shown, ("✓" if one.label == one.predicted else "✗" for one in shown), strict=True)
    )
    styles = ["right" if one.label == one.predicted else "wrong" for one in shown]
    return f"<h2>Some rows, and what it says of them</h2>{tables.table('Sample predictions', columns, rows, row_styles=styles)}"
