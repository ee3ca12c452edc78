"""What happens on the Runs place. A tick looks at the size of the run's events and redraws only what is new; nothing is kept per viewer."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import time
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.components.plot import PlotData

from engine import document, reported
from engine.account import FILE as ACCOUNT
from engine.errors import Refused
from engine.store import write_whole
from engine.study_result import GOING
from ui import account, coach, figures, more_data, result, words
from ui.border import bind
from ui.tabs import closer_events, coach_events, explorer_events, review, train_events
from ui.tabs.runs import ASK, COST, Runs, pace
from ui.tabs.train import Train

if TYPE_CHECKING:
    from engine.store import RunRecord, write_whole
    from engine.studio import RunSummary, Studio

BUTTONS = 9  # of a run's page
NO_FIGURE = PlotData(type="plotly", plot=json.dumps({"data": [], "layout": {"height": 10}}))  # brings Gradio's own copy of Plotly
FOLDER_KEY = secrets.token_bytes(32)  # the name of a download's folder cannot be guessed from the run's id


def wire(studio: Studio, runs: Runs, train: Train, page_files: Path) -> None:
    """Connects the list, the run's page and its buttons with handlers."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": 8}
    button, opened = runs.buttons, runs.opened
    runs.timer.tick(bind(on_tick, studio), [opened], [runs.seen, runs.judged], **quiet)
    runs.seen.change(bind(on_news, studio), [opened], _live(runs), **quiet)
    runs.judged.change(bind(on_judged, studio), [opened], _verdict(runs), **quiet)
    look: dict[str, Any] = {"fn": bind(on_tick, studio), "inputs": [opened], "outputs": [runs.seen, runs.judged], **quiet}
    button["stop"].click(bind(on_stop, studio), opened, button["stop"], **quiet).then(**look)
    button["resume"].click(bind(on_resume, studio), [opened, train.token], None, **quiet).then(**look)
    for what in ("kill", "delete"):
        button[what].click(bind(on_ask, what), None, [runs.ask, runs.question, runs.yes, runs.asked], **quiet)
    runs.no.click(lambda: gr.update(visible=False), None, runs.ask, **quiet)
    runs.yes.click(bind(on_yes, studio), [opened, runs.asked], [runs.ask, runs.gone], **quiet).then(**look).then(
        None, runs.gone, None, js="gone => gone && shur.go('runs')"
    )
    button["clone"].click(bind(on_clone, studio, train), opened, [runs.cloned, *train_events.refill(train)], **quiet).then(
        None, runs.cloned, None, js="cloned => cloned && shur.go('train')"
    ).then(**train_events.redrawing(studio, train), **quiet)  # data alone may be other than what the fields hold
    button["try"].click(None, opened, None, js="run => shur.go('try', run)")
    shown = {**quiet, "show_progress": "full", "show_progress_on": [runs.file]}
    button["export"].click(bind(on_export, studio, page_files, False), opened, runs.file, **shown)
    button["merged"].click(bind(on_export, studio, page_files, True), opened, runs.file, **shown)
    button["report"].click(bind(on_report, studio, page_files), opened, runs.file, **shown)
    coach_events.wire(studio, runs, train, look)
    closer_events.wire(studio, runs, train)
    explorer_events.wire(studio, runs, train)
    review.wire(studio, runs)


def _live(runs: Runs) -> list[Any]:
    return [
        runs.listing,
        runs.heading,
        runs.now,
        *runs.buttons.values(),
        runs.cost,
        runs.coach,
        runs.warnings,
        runs.figures,
        runs.log,
        runs.timer,
    ]


def _verdict(runs: Runs) -> list[Any]:
    return [runs.verdict, runs.tables, runs.matrix, runs.classes, runs.samples, runs.made, runs.settings, runs.file, runs.ask, runs.figures]


def on_open(run_id: str) -> tuple[Any, ...]:
    """The Runs place was opened at this run, or at the list. Whatever was drawn before is drawn anew."""
    fresh = secrets.token_hex(4)
    return run_id, gr.update(active=True), NO_FIGURE, fresh, fresh


def on_tick(studio: Studio, run_id: str) -> tuple[str, str]:
    """A cheap look: what is on disk, in a few words. Only when they differ from the last ones is anything drawn."""
    if not run_id:
        told = [f"{one.id}:{one.state}:{one.step}:{one.name}:{one.accuracy}:{one.figure}" for one in studio.runs()]
        return " ".join([*told, *(one.id for one in studio.studies())]) or "none", ""
    try:
        folder = studio.store.folder(run_id)
    except Refused:
        return f"{run_id} gone", run_id
    sizes = [_size(folder / name) for name in ("events.jsonl", "log.txt", "evaluation.json", ACCOUNT, "spec.json")]
    return f"{run_id} {sizes}", f"{run_id} {sizes[2:4]}"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def on_news(studio: Studio, run_id: str) -> list[Any]:
    """Everything that moves while a run goes; for the list, the list."""
    if not run_id:
        every = studio.runs()
        table = result.runs_table(every, studio.studies())
        return [table, *(gr.skip() for _ in range(BUTTONS + 7)), pace(any(one.state in GOING for one in every))]
    summary = next((one for one in studio.runs() if one.id == run_id), None)
    if summary is None:
        return [gr.skip(), _nowhere(run_id), "", *(gr.update(visible=False) for _ in range(BUTTONS)), "", "", "", {}, "", pace(False)]
    record = studio.record(run_id)
    log = f'<pre tabindex="0">{escape(studio.log_tail(run_id)) or "Nothing yet."}</pre>'
    live = figures.curves(record, *_metric(studio, run_id))
    return [
        gr.skip(),
        result.heading(summary),
        result.progress(record, time.time()),
        *_shown(studio, summary, record),
        f'<p class="soft">{COST.get(summary.state, "")}</p>',
        coach_events.shown(studio, run_id, record),
        result.warnings(record),
        live,
        log,
        pace(summary.state in GOING),
    ]


def _nowhere(run_id: str) -> str:
    back = '<a href="?place=runs" data-place="runs">See all runs.</a>'
    return f"<h1>There is no run {escape(run_id)}</h1><p>It may have been deleted. {back}</p>"


def _metric(studio: Studio, run_id: str) -> tuple[str, str]:
    """The figure that is drawn beside the loss, and the loss's unit."""
    try:
        plan = studio.plan(run_id)
        task = studio.tasks[plan.task]
    except (Refused, KeyError):
        return "macro_f1", "nats a row"
    chosen = str(plan.settings.get("select_by", "macro_f1"))
    return "macro_f1" if chosen == "loss" and "macro_f1" in task.figures else chosen, task.loss_unit


def _shown(studio: Studio, summary: RunSummary, record: RunRecord) -> list[Any]:
    """Which buttons make sense now, in the order of Runs.buttons."""
    going = summary.state in GOING
    finished = summary.state == "finished"
    kept = any(one.what == "model" for one in record.saved)
    return [
        gr.update(visible=going, interactive=True),
        gr.update(visible=summary.state in ("stopped", "failed", "killed")),
        gr.update(visible=finished and kept),
        gr.update(visible=finished and kept),
        gr.update(visible=finished and kept and _can_merge(studio, summary.id)),
        gr.update(visible=summary.sentence is not None),  # it is judged
        gr.update(visible=True),
        gr.update(visible=summary.state == "running"),
        gr.update(visible=not going),
    ]


def _can_merge(studio: Studio, run_id: str) -> bool:
    try:
        return studio.can_merge(run_id)
    except Refused:
        return False


def on_judged(studio: Studio, run_id: str) -> list[Any]:
    """The verdict and its evidence, drawn once when they are there."""
    try:
        evaluation = studio.evaluation(run_id) if run_id else None
        plan = studio.plan(run_id) if run_id else None
        beside = studio.beside(run_id) if evaluation else ()
    except Refused:
        evaluation, plan, beside = None, None, ()
    why = coach.reasons(studio.reasons(run_id)) if plan is not None else ""
    told = studio.account(run_id) if run_id else None
    if told is not None:
        return [
            account.verdict(told) + why,
            account.figures(told) + account.parts(told),
            gr.update(visible=False),
            "",
            account.samples(told),
            _made(studio, run_id),
            result.plan_lines(plan),
            gr.update(value=None, visible=False),
            gr.update(visible=False),
            gr.skip(),
        ]
    matrix = {"confusion": figures.confusion(evaluation)} if evaluation else gr.skip()
    return [
        result.verdict(evaluation, beside) + why,
        result.scores_table(evaluation, beside),
        gr.update(visible=evaluation is not None),
        result.classes_table(evaluation),
        result.samples_table(evaluation),
        _made(studio, run_id),
        result.plan_lines(plan),
        gr.update(value=None, visible=False),
        gr.update(visible=False),
        matrix,
    ]


def _made(studio: Studio, run_id: str) -> str:
    try:
        return more_data.made(*studio.made_rows(run_id)) if run_id else ""
    except Refused:
        return ""


def on_stop(studio: Studio, run_id: str) -> Any:
    studio.stop(run_id)
    return gr.update(interactive=False)


def on_resume(studio: Studio, run_id: str, token: str) -> None:
    studio.resume(run_id, token or None)


def on_ask(what: str) -> tuple[Any, ...]:
    """The question before something that cannot be taken back."""
    question, cost, answer = ASK[what]
    return gr.update(visible=True), f"<p><b>{question}</b> {cost}</p>", answer, what


def on_yes(studio: Studio, run_id: str, what: str) -> tuple[Any, str]:
    if what == "kill":
        studio.kill(run_id)
        return gr.update(visible=False), ""
    studio.delete(run_id)
    return gr.update(visible=False), run_id


def on_clone(studio: Studio, train: Train, run_id: str) -> list[Any]:
    """The run's spec, back in the fields of the Train place."""
    return [f"{run_id} {secrets.token_hex(2)}", *train_events.shown(studio, train, studio.clone(run_id))]


def on_export(studio: Studio, page_files: Path, merged: bool, run_id: str) -> Any:
    """The zip, for download."""
    return _ready(studio.export(run_id, merged=merged), page_files, run_id)


def on_report(studio: Studio, page_files: Path, run_id: str) -> Any:
    """The report as one HTML file, for download."""
    made = studio.store.folder(run_id) / f"report-{run_id}.html"
    write_whole(made, document.to_html(reported.document(studio, run_id)).encode("utf-8", "replace"))
    return _ready(made, page_files, run_id)


def _ready(made: Path, page_files: Path, run_id: str) -> Any:
    """The file, linked into the one folder that Gradio may serve from: one for each run, however often it is asked for."""
    folder = page_files / hashlib.blake2b(run_id.encode(), key=FOLDER_KEY, digest_size=16).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / secrets.token_hex(8)
    try:
        os.link(made, beside)
    except OSError:  # another file system
        shutil.copy2(made, beside)
    os.replace(beside, folder / made.name)
    beside.unlink(missing_ok=True)  # a rename onto another link of the same file leaves both
    return gr.update(value=str(folder / made.name), label=f"Ready to download: {words.size(made.stat().st_size)}", visible=True)
