"""The Try place: a finished run's model, some text, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr

from engine.errors import Problem, Refused
from ui import words
from ui.border import bind

if TYPE_CHECKING:
    from engine.predict import Prediction

    from engine.studio import Studio

ONE, MANY = "One text", "One text a line"
MOST_LINES = 500
NOTHING = Problem("try", "There is no text yet.", "Type or paste one.")
NO_MODEL = Problem("try", "No model is chosen.", "Finish a run on Train; then choose it here.")


@dataclass(frozen=True)
class Try:
    """The components that handlers read and write."""

    run: Any
    none: Any
    text: Any
    way: Any
    ask: Any
    answer: Any


def build() -> Try:
    """Draws the place inside the Blocks that is open."""
    gr.HTML("<h1>Try a trained model</h1>")
    none = gr.HTML("", elem_classes=["slot"], elem_id="try-none")
    with gr.Row(elem_id="try-columns"):
        with gr.Column(min_width=300, elem_id="try-ask"):
            run = gr.Dropdown([], value=None, label="Run", allow_custom_value=False, filterable=False, elem_id="try-run")
            text = gr.Textbox(label="Text", lines=6, max_lines=16, placeholder="Type or paste a text …", elem_id="try-text", rtl=False)
            way = gr.Radio([ONE, MANY], value=ONE, label="Read it as", elem_classes=["segments"], elem_id="try-way")
            ask = gr.Button("Classify", variant="primary", size="lg", elem_id="try-go")
            gr.HTML(
                '<p class="soft">The first answer takes some seconds: the model is loaded into a process of its own, which ends when idle.</p>'
            )
        with gr.Column(min_width=300, elem_id="try-answer-column"):
            answer = gr.HTML('<p class="soft">The answer appears here.</p>', elem_id="try-answer", min_height=80)
    return Try(run, none, text, way, ask, answer)


def wire(studio: Studio, place: Try) -> None:
    shown: dict[str, Any] = {
        "api_visibility": "private",
        "show_progress": "full",
        "show_progress_on": [place.answer],
        "concurrency_limit": 4,
    }
    place.ask.click(bind(on_ask, studio), [place.run, place.text, place.way], place.answer, **shown)


def on_open(studio: Studio, run_id: str, chosen: str | None) -> tuple[Any, str]:
    """The finished runs to choose from; the one of the address, else the one that was chosen, else the newest."""
    finished = [one for one in studio.runs() if one.state == "finished"]
    ids = [one.id for one in finished]
    value = next((one for one in (run_id, chosen) if one in ids), ids[0] if ids else None)
    named = [(f"{one.name} · {words.percent(one.accuracy)}" if one.accuracy is not None else one.name, one.id) for one in finished]
    nothing = '<p>No run has finished yet. <a href="?place=train" data-place="train">Start one on Train.</a></p>'
    return gr.update(choices=named, value=value), "" if finished else nothing


def on_ask(studio: Studio, run_id: str | None, text: str, way: str) -> str:
    """One text as bars, several as a table."""
    texts = [line for line in text.splitlines() if line.strip()] if way == MANY else [text]
    problem = NO_MODEL if not run_id else NOTHING if not any(one.strip() for one in texts) else None
    if problem or not run_id:
        return words.problem(problem or NO_MODEL)
    try:
        told = studio.predict(run_id, texts[:MOST_LINES])
    except Refused as refused:
        return words.problems(refused.problems)
    return bars(told[0]) if way == ONE else table(texts, told)


def bars(prediction: Prediction) -> str:
    """The label, then every class's probability as a bar, highest first."""
    ordered = sorted(prediction.probabilities.items(), key=lambda pair: -pair[1])
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="bar"><span style="width:{share * 100:.1f}%"></span></td>'
        f'<td class="number">{words.percent(share)}</td></tr>'
        for name, share in ordered
    )
    return (
        f'<p class="sentence" role="status">{escape(prediction.label)}</p><table class="bars wide"><caption class="unseen">Probability of each class'
        f'</caption>{lines}</table><p class="soft">{milliseconds(prediction.milliseconds)}</p>'
    )


def table(texts: Sequence[str], told: Sequence[Prediction]) -> str:
    """A line each; what lies beyond the bound is said."""
    lines = "".join(
        f'<tr><td class="text">{escape(text)}</td><td>{escape(one.label)}</td><td class="number">{words.percent(max(one.probabilities.values()))}</td></tr>'
        for text, one in zip(texts, told, strict=False)
    )
    left = len(texts) - len(told)
    more = f'<p class="soft">{words.counted(left, "line")} more than the {MOST_LINES} that fit here were left out.</p>' if left > 0 else ""
    each = sum(one.milliseconds for one in told) / max(1, len(told))
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Answers"><table class="samples"><thead><tr><th scope="col">Text</th><th scope="col">It says</th>'
        f'<th scope="col" class="number">Sure</th></tr></thead><tbody>{lines}</tbody></table></div>{more}'
        f'<p class="soft">{words.counted(len(told), "text")} · {milliseconds(each)} each</p>'
    )


def milliseconds(number: float) -> str:
    return f"{number:.1f}{words.HARD_SPACE}ms" if number < 10 else f"{number:,.0f}{words.HARD_SPACE}ms"
