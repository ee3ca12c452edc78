"""What the Runs place says about a run and its verdict, as safe HTML. Pure: records in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from engine.evaluate import Evaluation
from engine.store import RunRecord
from ui import words

if TYPE_CHECKING:
    from engine.plan import Plan
    from engine.studio import RunSummary

PACE_STEPS = 40  # the last steps, over which the time left is reckoned
SAMPLES = 12


def runs_table(runs: Sequence[RunSummary]) -> str:
    """All runs, newest first, each a link to its page."""
    if not runs:
        return '<p>No runs yet. <a href="?place=train" data-place="train">Start one on Train.</a></p>'
    lines = "".join(
        f'<tr><th scope="row">{link(run.id, run.name)}</th><td>{state_mark(run.state)}{_progress(run)}</td>'
        f'<td class="number">{words.percent(run.accuracy) if run.accuracy is not None else "–"}</td>'
        f'<td class="number">{words.percent(run.macro_f1) if run.macro_f1 is not None else "–"}</td>'
        f'<td class="number">{words.duration(run.seconds)}</td><td class="soft">{words.moment(run.created)}</td></tr>'
        for run in runs
    )
    head = '<th scope="col">Run</th><th scope="col">State</th><th scope="col" class="number">Accuracy</th><th scope="col" class="number">Macro F1</th>'
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="All runs"><table class="list"><thead><tr>'
        f'{head}<th scope="col" class="number">Worked</th><th scope="col">Created</th></tr></thead><tbody>{lines}</tbody></table></div>'
    )


def link(run_id: str, name: str) -> str:
    return f'<a href="?run={escape(run_id)}" data-place="runs" data-run="{escape(run_id)}">{escape(name)}</a>'


def state_mark(state: str) -> str:
    return f'<span class="state {escape(state)}">{words.STATES.get(state, state)}</span>'


def _progress(run: RunSummary) -> str:
    return f' <span class="soft">{run.progress:.0%}</span>' if run.state == "running" and run.total_steps else ""


def heading(run: RunSummary) -> str:
    """The run's name and state, and how to get back to the list."""
    preset = f" · preset {escape(run.preset)}" if run.preset else ""
    return (
        f'<p class="soft"><a href="?place=runs" data-place="runs">All runs</a></p><h1>{escape(run.name)}</h1>'
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
    told = [f"{share:.0%}" if total else "", f"step {words.count(record.step)} of {words.count(record.total_steps)}" if training else ""]
    left = seconds_left(record, now) if training else None
    told += [f"{words.duration(left)} left" if left is not None else ""]
    told += [f"{words.figure(record.steps[-1].rows_per_second, 1)} rows a second" if training and record.steps else ""]
    line = " · ".join(one for one in told if one)
    message = f'<p class="soft">{escape(record.message)}</p>' if record.message and record.message != phase else ""
    return (
        f'<div class="now">{mark}<p><b>{phase}</b> {line}</p>'
        f'<div class="track" role="progressbar" aria-label="{phase}" aria-valuenow="{share * 100:.0f}" aria-valuemin="0" aria-valuemax="100">'
        f'<span style="width:{share * 100:.1f}%"></span></div>{message}</div>'
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
    """Every setting of the run, folded away."""
    if plan is None:
        return ""
    reasons = {one.name: one.reason for one in plan.decisions}
    lines = "".join(
        f'<tr><th scope="row">{escape(name.replace("_", " "))}</th><td>{escape("no limit" if value is None else words.value(value))}</td>'
        f'<td class="soft">{escape(reasons.get(name, ""))}</td></tr>'
        for name, value in plan.settings.items()
    )
    return f'<div class="scroll" tabindex="0" role="region" aria-label="Settings"><table><tbody>{lines}</tbody></table></div>'


def verdict(evaluation: Evaluation | None) -> str:
    """The verdict sentence first, then the evidence."""
    if evaluation is None:
        return ""
    warned = "".join(f"<li>{escape(one)}</li>" for one in evaluation.warnings)
    listed = f'<ul class="notes">{warned}</ul>' if warned else ""
    return f'<div class="verdict"><p class="sentence">{escape(evaluation.sentence)}</p>{listed}</div>'


def scores_table(evaluation: Evaluation | None) -> str:
    """The model beside the baselines on the same rows."""
    if evaluation is None:
        return ""
    one = evaluation
    interval = "{} <span class='soft'>({:.1f} to {:.1f})</span>"
    model = (
        f'<tr class="ours"><th scope="row">This model</th>'
        f'<td class="number">{interval.format(words.percent(one.accuracy.value), one.accuracy.low * 100, one.accuracy.high * 100)}</td>'
        f'<td class="number">{interval.format(words.percent(one.macro_f1.value), one.macro_f1.low * 100, one.macro_f1.high * 100)}</td>'
        f'<td class="number">{words.percent(one.weighted_f1)}</td><td></td></tr>'
    )
    others = "".join(
        f'<tr><th scope="row">{escape(other.name)}</th><td class="number">{words.percent(other.accuracy)}</td>'
        f'<td class="number">{words.percent(other.macro_f1)}</td><td class="number">{words.percent(other.weighted_f1)}</td>'
        f'<td class="soft">{chance(other.p_value)}</td></tr>'
        for other in one.baselines
    )
    return (
        f"<h3>On {words.counted(one.rows, 'row')} it had not seen</h3>"
        '<div class="scroll" tabindex="0" role="region" aria-label="Scores"><table><thead><tr><th scope="col"></th><th scope="col" class="number">Accuracy</th>'
        '<th scope="col" class="number">Macro F1</th><th scope="col" class="number">Weighted F1</th><th scope="col">Against this model</th></tr></thead>'
        f"<tbody>{model}{others}</tbody></table></div>"
        f'<p class="soft">In brackets: the 95 % interval. Macro precision {words.percent(one.macro_precision)}, macro recall '
        f"{words.percent(one.macro_recall)}, weighted precision {words.percent(one.weighted_precision)}, weighted recall "
        f"{words.percent(one.weighted_recall)}, loss {words.figure(one.loss)}.</p>"
    )


def chance(p_value: float) -> str:
    """McNemar's test in words."""
    if p_value < 0.05:
        return f"more than chance (p {'&lt; 0.001' if p_value < 0.001 else f'= {p_value:.3f}'})"
    return f"may be chance (p = {p_value:.2f})"


def classes_table(evaluation: Evaluation | None) -> str:
    if evaluation is None:
        return ""
    lines = "".join(
        f'<tr><th scope="row">{escape(one.label)}</th><td class="number">{words.percent(one.precision)}</td>'
        f'<td class="number">{words.percent(one.recall)}</td><td class="number">{words.percent(one.f1)}</td><td class="number">{words.count(one.rows)}</td></tr>'
        for one in evaluation.per_class
    )
    return (
        '<h3>Class by class</h3><div class="scroll" tabindex="0" role="region" aria-label="Scores of each class"><table><thead><tr>'
        '<th scope="col">Label</th><th scope="col" class="number">Precision</th><th scope="col" class="number">Recall</th>'
        f'<th scope="col" class="number">F1</th><th scope="col" class="number">Rows</th></tr></thead><tbody>{lines}</tbody></table></div>'
        '<p class="soft">Precision: how often it is right when it gives this label. Recall: how many rows with this label it finds.</p>'
    )


def samples_table(evaluation: Evaluation | None) -> str:
    """Some test rows with what the model says of them."""
    if evaluation is None or not evaluation.samples:
        return ""
    lines = "".join(
        f'<tr class="{"right" if one.label == one.predicted else "wrong"}"><td class="text">{escape(one.text)}</td><td>{escape(one.label)}</td>'
        f'<td>{"✓" if one.label == one.predicted else "✗"} {escape(one.predicted)}</td><td class="number">{words.percent(one.confidence)}</td></tr>'
        for one in evaluation.samples[:SAMPLES]
    )
    return (
        '<h3>Some rows, and what it says of them</h3><div class="scroll" tabindex="0" role="region" aria-label="Sample predictions"><table class="samples">'
        '<thead><tr><th scope="col">Text</th><th scope="col">True label</th><th scope="col">It says</th><th scope="col" class="number">Sure</th></tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )
