"""The error explorer, below a judged run's matrix: rows to look at and put right. Its handlers are in explorer_events.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

HEAR = "shur.explore = words => { props.value = words; trigger('click'); };"  # the table's buttons, and the matrix's cells
RELABEL = "shur.relabel = words => { props.value = words; trigger('click'); };"  # the table's lists of labels
DRAWN = "watch('value', () => shur.redrawn('#explorer-table'));"


@dataclass(frozen=True)
class Explorer:
    """The components that handlers read and write."""

    column: Any
    before: Any  # this run against the one before its corrections
    pick: Any  # which rows, as JSON
    page: Any  # of them, from 0
    table: Any
    heard: Any
    relabelled: Any
    line: Any
    again: Any
    download: Any
    back: Any
    through: Any
    weak: Any
    slices: Any
    columns: Any
    text: Any  # the corrections as CSV, on their way to a download
    sent: Any  # changes when Train was filled


def build() -> Explorer:
    """Draws it inside the Blocks that is open; out of sight until a run is judged."""
    parts: dict[str, Any] = {"page": gr.State(0), "text": gr.Textbox(visible=False), "sent": gr.Textbox(visible=False)}
    parts["heard"] = gr.HTML("", html_template="", js_on_load=HEAR, elem_classes=["slot"])  # they hear nothing inside what is out of sight
    parts["relabelled"] = gr.HTML("", html_template="", js_on_load=RELABEL, elem_classes=["slot"])
    with gr.Column(visible=False, elem_id="explorer") as parts["column"]:
        gr.HTML("<h2>Look at its mistakes</h2>")
        parts["before"] = gr.HTML("", elem_id="explorer-before", elem_classes=["slot"])
        parts["pick"] = gr.Dropdown(
            [], value=None, label="Rows", allow_custom_value=True, elem_id="explorer-rows",
            info="Or click a cell of the matrix above.",
        )  # fmt: skip
        parts["table"] = gr.HTML("", elem_id="explorer-table", js_on_load=DRAWN)
        parts["line"] = gr.HTML("", elem_id="explorer-corrected")
        with gr.Row(elem_classes=["actions"]):
            parts["again"] = gr.Button("Train again with them", variant="primary", visible=False, elem_id="explorer-again")
            parts["download"] = gr.Button("Download the corrections", visible=False, elem_id="explorer-download")
            parts["back"] = gr.Button("Take them back", visible=False, elem_id="explorer-back")
            parts["through"] = gr.Button("Look for wrong labels in the training rows", elem_id="explorer-through")
        with gr.Accordion("Where it is weakest", open=False, elem_id="explorer-weak") as parts["weak"]:
            parts["slices"] = gr.HTML("", elem_id="explorer-slices")
            parts["columns"] = gr.Button("Look at the data's other columns too", visible=False, size="sm", elem_id="explorer-columns")
    return Explorer(**parts)
