"""Studies: the card on the Train place that starts one, and a study's page on the Runs place. Handlers: compare_events.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from engine.varied import FOLDS
from ui.tabs.runs import TICK_SECONDS
from ui.tabs.train import Newest

STEPS, MINUTES = "Steps a run", "Minutes in all"
SEEDS = ["1", "2", "3", "4", "5"]
CHARTS = {
    "study-curve": "Quality against training rows",
    "study-memory": "Quality against memory",
    "study-time": "Quality against time",
    "study-loss": "Training loss of the first seed, smoothed",
}
FIGURE = (
    '<figure class="chart"><figcaption>{title} <button type="button" class="png" data-picture="{name}" '
    'aria-label="Save the picture {title} as PNG">PNG</button></figcaption>'
    '<div data-chart="{name}" role="img" aria-label="{title}"></div></figure>'
)
DRAW = "watch('value', () => shur.draw(props.value));"
USE = "shur.use = (run) => { props.value = run; trigger('click'); };"
WHAT = {
    "methods": "Every method learns the same rows in the same order, one run after the other. "
    "Then you see which is best for your data, what it costs, and which differences are only chance.",
    "folds": "The rows are cut into parts, and the chosen method learns once for each, tested on that part. "
    "Every row is tested once, so that the figure hangs less on which rows happened to be the test: for few rows, under 5,000 or so.",
    "shares": "The chosen method learns from a part of the training rows, then from more, up to all. "
    "Then you see whether more rows would help before you collect and label them.",
    "made": "The chosen method learns with the rows that More data makes on the first card, and without them, in as many steps. "
    "Then you see whether they help, by how much, and whether that is more than chance.",
}
KINDS = [("Compare methods", "methods"), ("Cross-validate", "folds"), ("Would more rows help?", "shares"), ("Do made rows help?", "made")]
SHARES = "10, 25, 50, 100"


@dataclass(frozen=True)
class Card:
    """The components of the card on the Train place."""

    newest: Any  # a Newest for each open page, of what is weighed
    change: Any  # the number of a change, given by page.js
    column: Any
    varies: Any
    what: Any
    folds: Any
    shares: Any
    offered: Any  # the ids of the methods that can be chosen, with blanks between, "none" where there are none; "" while the card is closed
    methods: Any
    unfit: Any
    kind: Any
    amount: Any
    seeds: Any
    told: Any
    start: Any
    close: Any
    refused: Any
    started: Any  # the id of the study that Start made, for page.js


@dataclass(frozen=True)
class StudyPage:
    """The components of a study's page."""

    timer: Any
    opened: Any  # the id of the study that is shown; "" for none
    seen: Any
    heading: Any
    now: Any
    advice: Any
    buttons: dict[str, Any]  # "stop", "resume", "extend", "csv", "markdown", "html", "delete"
    extension: Any
    more_methods: Any
    more_seeds: Any
    extend: Any
    leave: Any  # closes what can be added
    ask: Any
    yes: Any
    no: Any
    gone: Any
    table: Any
    figures: Any
    conditions: Any
    text: Any  # of an export, for page.js
    use: Any
    used: Any


def build_card() -> Card:
    """Draws the card inside the Blocks that is open; closed."""
    parts: dict[str, Any] = {
        "newest": gr.State(Newest()),
        "change": gr.Number(0, precision=0, visible=False),
        "offered": gr.Textbox("", visible=False),
        "started": gr.Textbox("", visible=False),
    }
    with gr.Column(visible=False, elem_classes=["compare"], elem_id="compare-card") as parts["column"]:
        gr.HTML("<h2>Study</h2>")
        parts["varies"] = gr.Radio(KINDS, value="methods", label="What is studied", elem_classes=["segments"], elem_id="study-varies")
        parts["what"] = gr.HTML(what("methods"), elem_id="study-what")
        parts["folds"] = gr.Textbox(
            str(FOLDS),
            label="Folds",
            max_lines=1,
            visible=False,
            elem_id="study-folds",
            info="Runs; 5 is usual, 10 is surer and takes twice as long.",
        )
        parts["shares"] = gr.Textbox(
            SHARES,
            label="Parts of the training rows",
            max_lines=1,
            visible=False,
            elem_id="study-shares",
            info="In per cent, with commas between.",
        )
        parts["methods"] = gr.CheckboxGroup([], label="Methods", elem_id="compare-methods")
        parts["unfit"] = gr.HTML("", elem_id="compare-unfit", elem_classes=["slot"])
        with gr.Row():
            parts["kind"] = gr.Radio(
                [STEPS, MINUTES], value=STEPS, label="Budget", elem_classes=["segments"], min_width=220, elem_id="compare-kind"
            )
            parts["amount"] = gr.Textbox(
                "", label="How much", placeholder="automatic", max_lines=1, min_width=160, elem_id="compare-amount",
                info="Empty: as many steps as one run by itself would take.",
            )  # fmt: skip
            parts["seeds"] = gr.Radio(
                SEEDS, value="1", label="Seeds", elem_classes=["segments"], min_width=220, elem_id="compare-seeds",
                info="The same again with other random numbers. Two or more show how much is luck.",
            )  # fmt: skip
        parts["told"] = gr.HTML("", elem_id="compare-told")
        parts["refused"] = gr.HTML("", elem_classes=["slot"], elem_id="compare-refused")
        with gr.Row(elem_classes=["actions"]):
            parts["start"] = gr.Button("Start comparing", variant="primary", interactive=False, elem_id="compare-start")
            parts["close"] = gr.Button("Close", elem_id="compare-close")
    return Card(**parts)


def what(varies: str) -> str:
    """What such a study does, for the card."""
    return f'<p class="soft">{WHAT[varies]}</p>'


def build_page() -> StudyPage:
    """Draws a study's page inside the Blocks that is open."""
    parts: dict[str, Any] = {
        "timer": gr.Timer(TICK_SECONDS, active=False),
        "opened": gr.Textbox("", visible=False),
        "seen": gr.State(""),
        "gone": gr.Textbox("", visible=False),
        "text": gr.Textbox("", visible=False),
        "used": gr.Textbox("", visible=False),
        "use": gr.HTML("", html_template="", js_on_load=USE, elem_id="study-use"),
    }
    with gr.Column(elem_classes=["one-study"], elem_id="study-page"):
        parts["heading"] = gr.HTML("", elem_id="study-heading")
        parts["now"] = gr.HTML("", elem_id="study-now")
        parts["advice"] = gr.HTML("", elem_id="study-advice", elem_classes=["slot"])
        _buttons(parts)
        parts["table"] = gr.HTML("", elem_id="study-table")
        boxes = "".join(FIGURE.format(name=name, title=title) for name, title in CHARTS.items())
        gr.HTML(f'<h2>Pictures</h2><div class="charts">{boxes}</div>', elem_id="study-charts")
        parts["figures"] = gr.HTML(None, html_template="", js_on_load=DRAW, elem_id="study-figures")
        parts["conditions"] = gr.HTML("", elem_id="study-conditions")
    return StudyPage(**parts)


def _buttons(parts: dict[str, Any]) -> None:
    with gr.Row(elem_classes=["actions"]):
        parts["buttons"] = {
            "stop": gr.Button("Stop and save", variant="primary", visible=False, elem_id="study-stop"),
            "resume": gr.Button("Resume", variant="primary", visible=False, elem_id="study-resume"),
            "extend": gr.Button("Extend …", elem_id="study-extend"),
            "csv": gr.Button("CSV", elem_id="study-csv"),
            "markdown": gr.Button("Markdown", elem_id="study-markdown"),
            "html": gr.Button("HTML file", elem_id="study-html"),
            "delete": gr.Button("Delete", visible=False, elem_id="study-delete"),
        }
    with gr.Column(visible=False, elem_classes=["compare"], elem_id="study-extension") as parts["extension"]:
        parts["more_methods"] = gr.CheckboxGroup([], label="More methods, under the same conditions", elem_id="study-more-methods")
        parts["more_seeds"] = gr.Radio(
            SEEDS, value="1", label="Seeds in all", elem_classes=["segments"], elem_id="study-more-seeds",
            info="Each further seed runs everything once more.",
        )  # fmt: skip
        with gr.Row(elem_classes=["actions"]):
            parts["extend"] = gr.Button("Add these runs", elem_id="study-add")
            parts["leave"] = gr.Button("Close", elem_id="study-leave")
    with gr.Row(visible=False, elem_classes=["ask"], elem_id="study-ask") as parts["ask"]:
        gr.HTML("<p><b>Delete this study?</b> All its runs with their models and figures are removed from the disk.</p>")
        parts["yes"] = gr.Button("Delete it", variant="stop", size="sm", elem_id="study-yes")
        parts["no"] = gr.Button("Keep it", size="sm", elem_id="study-no")
