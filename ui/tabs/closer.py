"""A closer look at a judged run, folded below its evidence: how sure it is, class by class, edge cases and speed.

Its handlers are in closer_events.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

TICK_SECONDS = 1.5
CHART = '<figure class="closer"><figcaption>{title}</figcaption><div data-chart="{name}" role="img" aria-label="{title}"></div></figure>'
DRAW = "watch('value', () => shur.draw(props.value));"
ALL = "Edge cases and speed"
SILENT = "<h3>Let it answer only where it is sure</h3>"


@dataclass(frozen=True)
class Closer:
    """The components that handlers read and write."""

    column: Any
    sureness: Any
    correct: Any
    correction: Any
    threshold: Any
    silence: Any
    thresholds: Any
    curves: Any
    figures: Any
    folds: tuple[Any, Any, Any]  # how sure, each class, the look: only the last of a run that gives numbers or tags
    look: Any
    state: Any
    found: Any
    timer: Any  # ticks while a look goes on


def build() -> Closer:
    """Draws the folds inside the Blocks that is open; out of sight until a run is judged."""
    parts: dict[str, Any] = {"timer": gr.Timer(TICK_SECONDS, active=False)}
    with gr.Column(visible=False, elem_classes=["closer"], elem_id="closer") as parts["column"]:
        with gr.Accordion("How sure it is, and whether rightly", open=False, elem_id="closer-sure") as sure:
            _sure(parts)
        with gr.Accordion("Each class: precision against recall", open=False, elem_id="closer-classes") as classes, gr.Row():
            with gr.Column(min_width=320):
                parts["curves"] = gr.HTML("", elem_id="curves")
            with gr.Column(min_width=320):
                gr.HTML(CHART.format(name="precision", title="Precision over recall"))
        with gr.Accordion(ALL, open=False, elem_id="closer-look") as look:
            parts["state"] = gr.HTML("", elem_id="look-state", elem_classes=["slot"])
            with gr.Row(elem_classes=["actions"]):
                parts["look"] = gr.Button("Look closer", elem_id="look-go")
            parts["found"] = gr.HTML("", elem_id="look-found", elem_classes=["slot"])
    parts["folds"] = (sure, classes, look)
    parts["figures"] = gr.HTML(None, html_template="", js_on_load=DRAW, elem_id="closer-figures")  # it hears nothing while out of sight
    return Closer(**parts)


def _sure(parts: dict[str, Any]) -> None:
    with gr.Row():
        with gr.Column(min_width=320):
            parts["sureness"] = gr.HTML("", elem_id="sureness")
            parts["correct"] = gr.Checkbox(False, label="Correct its confidence", interactive=False, elem_id="correct")
            parts["correction"] = gr.HTML("", elem_id="correction")
        with gr.Column(min_width=320):
            gr.HTML(CHART.format(name="calibration", title="Right against sure"))
    gr.HTML(SILENT)
    with gr.Row():
        with gr.Column(min_width=320):
            parts["threshold"] = gr.Slider(
                0, 1, value=0.8, step=0.01, label="Least confidence", elem_id="threshold", buttons=[],
                info="It answers rows of which it is at least so sure; the others go to a person.",
            )  # fmt: skip
            parts["silence"] = gr.HTML("", elem_id="silence")
            parts["thresholds"] = gr.HTML("", elem_id="thresholds")
        with gr.Column(min_width=320):
            gr.HTML(CHART.format(name="silence", title="Rows answered, and right of those"))
