"""Try's second sheet: a prompt, and what two models write after it, side by side. Its handlers are in write_events.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from engine.decoding import Decoding
from engine.knobs import knobs_of
from ui import form, written
from ui.written import Exchange

SIDES = ("left", "right")
TITLES = {"left": "Left", "right": "Right"}
KNOBS = knobs_of(Decoding)
WAYS = (("As the model was taught", "automatic"), ("A chat", "chat"), ("A text to go on with", "text"))
EXAMPLES = (
    "The movie was fantastic because",
    "The movie was terrible because",
    "সিনেমাটা দারুণ ছিল, কারণ",
    "Write a friendly reply to a customer whose parcel is late.",
)
TICK_SECONDS, SLOW_SECONDS = 0.25, 3.0  # between looks while a text grows, and while models are held
LASTS = (
    "Loading takes some seconds, once: the models stay in a process of their own until nothing was asked for five minutes or a training "
    "run begins, which takes the memory back. They write one after the other, so that their speeds can be compared."
)


@dataclass
class Session:
    """What one open page asked for. Handlers change it in place."""

    ticket: str = ""
    sides: tuple[str, ...] = ()  # of the ticket's texts, in their order
    writers: dict[str, str] = field(default_factory=dict)  # who wrote each side's exchanges
    exchanges: dict[str, list[Exchange]] = field(default_factory=lambda: {side: [] for side in SIDES})
    drawn: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Write:
    """The components that handlers read and write."""

    session: Any
    writers: dict[str, Any]  # by SIDES
    columns: dict[str, Any]
    prompt: Any
    system: Any
    context: Any
    way: Any
    stops: Any
    knobs: dict[str, Any]  # by the names of KNOBS
    detail: Any
    advanced: Any
    examples: dict[str, Any]  # by their texts
    go: Any
    stop: Any
    clear: Any
    note: Any
    timer: Any


def build() -> Write:
    """Draws the sheet inside the Blocks that is open."""
    parts: dict[str, Any] = {"session": gr.State(Session()), "writers": {}, "columns": {}, "knobs": {}, "examples": {}}
    with gr.Row(elem_id="write-writers"):
        for side in SIDES:
            parts["writers"][side] = gr.Dropdown(
                [], value=None, label=f"{TITLES[side]}: a run or an untuned model", allow_custom_value=True, min_width=280,
                info="Or the id of another model: of the Hub, in a folder, or a GGUF file." if side == "left" else "Empty: the left alone.",
                elem_id=f"write-{side}", elem_classes=["knob"],
            )  # fmt: skip
    with gr.Row(elem_id="write-said"):
        parts["prompt"] = gr.Textbox(
            label="Prompt", lines=3, max_lines=12, placeholder="Type a prompt, or press an example …", info="Shift + Enter writes.",
            elem_id="write-prompt",
        )  # fmt: skip
        parts["system"] = gr.Textbox(
            label="System prompt", lines=3, max_lines=12, elem_id="write-system", placeholder="You answer in one short sentence.",
            info="How to behave, for models that chat. Others do not read it.",
        )  # fmt: skip
    with gr.Row(elem_classes=["examples"]):
        for text in EXAMPLES:
            parts["examples"][text] = gr.Button(text, size="sm", elem_classes=["example"])
    _settings(parts)
    with gr.Row(elem_classes=["actions"]):
        parts["go"] = gr.Button("Write", variant="primary", size="lg", elem_id="write-go")
        parts["stop"] = gr.Button("Stop", size="lg", interactive=False, elem_id="write-stop")
        parts["clear"] = gr.Button("Clear", size="lg", elem_id="write-clear")
    parts["note"] = gr.HTML("", elem_classes=["slot"], elem_id="write-note")
    with gr.Row(elem_id="write-columns"):
        for side in SIDES:
            with gr.Column(min_width=280, elem_classes=["written"]):
                parts["columns"][side] = gr.HTML(written.NOTHING, elem_id=f"written-{side}")
    gr.HTML(f'<p class="soft">{LASTS}</p>')
    parts["timer"] = gr.Timer(TICK_SECONDS, active=False)
    return Write(**parts)


def _settings(parts: dict[str, Any]) -> None:
    """Every setting of writing; the basic ones in view."""
    with gr.Row(elem_id="write-basic"):
        for knob in KNOBS:
            if knob.basic:
                parts["knobs"][knob.name] = form.widget(knob, place="write", default=True)
        parts["detail"] = gr.Checkbox(False, label="Advanced", info="Shows every setting.", min_width=160, elem_id="write-detail")
    with gr.Column(visible=False, elem_id="write-advanced") as parts["advanced"]:
        parts["way"] = gr.Radio(list(WAYS), value="automatic", label="Read the prompt as", elem_classes=["segments"], elem_id="write-way")
        with gr.Row():
            for knob in KNOBS:
                if not knob.basic:
                    parts["knobs"][knob.name] = form.widget(knob, place="write", default=True)
            parts["context"] = gr.Textbox(
                label="Context", lines=1, max_lines=6, min_width=180, elem_classes=["knob"], elem_id="write-context",
                info="What stands beside the prompt, for a run that learnt with one: the text that holds the answer, say.",
            )  # fmt: skip
            parts["stops"] = gr.Textbox(
                label="Stop words", lines=1, max_lines=4, min_width=180, elem_classes=["knob"], elem_id="write-stops",
                info="A text ends before the first of them, one a line.",
            )  # fmt: skip
