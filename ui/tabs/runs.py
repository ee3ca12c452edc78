"""The Runs place: the list of runs, and one run's page. Its handlers are in runs_events.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from ui.tabs import closer, coach_events, explorer, review

TICK_SECONDS, REST_SECONDS = 1.5, 6.0  # with the drawing after it a change is seen within 2 s; where nothing goes on, another page made it
CHARTS = {"loss": "Loss", "metric": "Quality on held-out rows", "memory": "Memory", "rate": "Learning rate", "norm": "Gradient norm"}
FIGURE = '<figure class="chart"><figcaption>{title}</figcaption><div data-chart="{name}" role="img" aria-label="{title}"></div></figure>'
MATRIX = '<h2>Where it goes wrong</h2><div data-chart="confusion" role="img" aria-label="Confusion matrix" id="confusion"></div>'
DRAW = "watch('value', () => shur.draw(props.value));"
AGAIN = (
    "Resume goes on from the last save with the same settings. After running out of memory, or a loss that is not finite, "
    "choose Clone: it takes the settings to Train, where you change them."
)
COST = {
    "queued": "Stop takes it out of the queue; you can resume it.",
    "running": "Stop and save: ends at the next step and saves; you can resume. Kill: ends at once, back to the last save.",
    "stopped": "Resume goes on from the last save, with the same order of rows.",
    "failed": AGAIN,
    "killed": AGAIN,
    "finished": "Take it home: the model, its card and ten lines of Python, as a zip; whole: merged into one model that needs no base "
    "beside it and answers no slower. Report: all that is known of it, and what is not, in one file. Clone takes its settings to Train.",
}
ASK = {
    "kill": ("Kill the run now?", "Its process ends at once. What it saved last stays, and you can resume from there.", "Kill it"),
    "delete": ("Delete this run?", "Its model, checkpoints and figures are removed from the disk. This cannot be undone.", "Delete it"),
}


@dataclass(frozen=True)
class Runs:
    """The components that handlers read and write."""

    timer: Any
    opened: Any  # the id of the run that is shown; "" for the list
    seen: Any  # what was drawn last, so that a tick redraws only what is new
    judged: Any  # the run whose verdict was drawn last
    listing: Any
    heading: Any
    now: Any
    buttons: dict[str, Any]  # "stop", "resume", "kill", "clone", "export", "merged", "report", "try", "delete"
    cost: Any  # what the buttons do
    ask: Any
    question: Any
    asked: Any  # "kill" or "delete" while the question stands
    yes: Any
    no: Any
    figures: Any
    plotly: Any
    coach: Any
    followed: Any  # the pressed button of the coach
    begun: Any  # the run that it began
    warnings: Any
    verdict: Any
    tables: Any
    matrix: Any
    classes: Any
    samples: Any
    made: Any  # rows made for its training
    closer: closer.Closer
    explorer: explorer.Explorer
    review: review.Review
    settings: Any
    log: Any
    file: Any
    cloned: Any
    gone: Any


def pace(going: bool) -> Any:
    """How often the page asks what is new: each time costs the browser a part of the processor that trains."""
    return gr.update(value=TICK_SECONDS if going else REST_SECONDS)


def build() -> Runs:
    """Draws the place inside the Blocks that is open."""
    parts: dict[str, Any] = {
        "timer": gr.Timer(TICK_SECONDS, active=False),
        "opened": gr.Textbox(visible=False),
        "seen": gr.State(""),
        "judged": gr.State(""),
        "asked": gr.Textbox(visible=False),
        "cloned": gr.Textbox(visible=False),
        "gone": gr.Textbox(visible=False),
    }
    with gr.Column(elem_classes=["all-runs"]):
        gr.HTML("<h1>Runs</h1>")
        parts["listing"] = gr.HTML("", elem_id="run-list")
    with gr.Column(elem_classes=["one-run"], elem_id="run-page"):
        parts["heading"] = gr.HTML("", elem_id="run-heading")
        parts["now"] = gr.HTML("", elem_id="run-now")
        parts["verdict"] = gr.HTML("", elem_id="verdict", elem_classes=["slot"])
        _buttons(parts)
        parts |= coach_events.build()
        parts["warnings"] = gr.HTML("", elem_id="run-warnings", elem_classes=["slot"])
        _evidence(parts)
        parts["explorer"] = explorer.build()
        parts["closer"] = closer.build()
        parts["review"] = review.build()
        parts["figures"] = gr.HTML(None, html_template="", js_on_load=DRAW, elem_id="figures")
        boxes = "".join(FIGURE.format(name=name, title=title) for name, title in CHARTS.items())
        hint = '<p class="soft">Drag to zoom, double-click to see all.</p>'
        gr.HTML(f'<h2>How training went</h2><div class="charts">{boxes}</div>{hint}', elem_id="charts")
        parts["plotly"] = gr.Plot(visible="hidden", elem_id="plotly", show_label=False, container=False)
        with gr.Accordion("Settings of this run", open=False):
            parts["settings"] = gr.HTML("")
        with gr.Accordion("Log", open=False):
            parts["log"] = gr.HTML("", elem_id="log", autoscroll=True, max_height=360)
    return Runs(**parts)


def _buttons(parts: dict[str, Any]) -> None:
    with gr.Row(elem_classes=["actions"]):
        made = {
            "stop": gr.Button("Stop and save", variant="primary", visible=False, elem_id="run-stop"),
            "resume": gr.Button("Resume", variant="primary", visible=False, elem_id="run-resume"),
            "try": gr.Button("Try it", variant="primary", visible=False, elem_id="run-try"),
            "export": gr.Button("Take it home", visible=False, elem_id="run-export"),
            "merged": gr.Button("Take it home whole", visible=False, elem_id="run-export-merged"),
            "report": gr.Button("Report", visible=False, elem_id="run-report"),
            "clone": gr.Button("Clone", elem_id="run-clone"),
            "kill": gr.Button("Kill", visible=False, elem_id="run-kill"),
            "delete": gr.Button("Delete", visible=False, elem_id="run-delete"),
        }
    parts["buttons"] = made
    parts["cost"] = gr.HTML("", elem_id="run-cost", elem_classes=["slot"])
    parts["file"] = gr.File(label="Ready to download", visible=False, interactive=False, elem_id="run-file")
    with gr.Row(visible=False, elem_classes=["ask"], elem_id="ask") as parts["ask"]:
        parts["question"] = gr.HTML("")
        parts["yes"] = gr.Button("Delete it", variant="stop", size="sm", elem_id="ask-yes")
        parts["no"] = gr.Button("Keep it", size="sm", elem_id="ask-no")


def _evidence(parts: dict[str, Any]) -> None:
    parts["tables"] = gr.HTML("", elem_id="scores", elem_classes=["slot"])
    with gr.Row(visible=False, elem_id="evidence") as parts["matrix"]:
        with gr.Column(min_width=320):
            gr.HTML(MATRIX)
        with gr.Column(min_width=320):
            parts["classes"] = gr.HTML("", elem_id="classes")
    parts["samples"] = gr.HTML("", elem_id="samples", elem_classes=["slot"])
    parts["made"] = gr.HTML("", elem_id="made-rows", elem_classes=["slot"])
