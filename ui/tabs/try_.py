"""The Try place: a finished run's model, some text, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr

from engine.errors import Problem, Refused
from engine.told import MOSTLY, number
from ui import tables, words
from ui.account import given_from
from ui.border import bind

if TYPE_CHECKING:
    from engine.predict import Prediction
    from engine.studio import Studio

CLASSIFY = "Classify"
ONE, MANY = "One text", "One text a line"
SLOW = "The first answer takes some seconds: the model is loaded into a process of its own, which ends when idle."
MOST_LINES = 500
TEXT_SHOWN = 400  # characters
MOST_TAGS = 6  # with a column of their own where several texts are asked about
SECOND = "This run reads pairs: what stands beside the text …"
NOTHING = Problem("try", "There is no text yet.", "Type or paste one.")
NO_MODEL = Problem("try", "No model is chosen.", "Finish a run on Train; then choose it here.")


@dataclass(frozen=True)
class Try:
    """The components that handlers read and write."""

    run: Any
    none: Any
    text: Any
    second: Any
    way: Any
    ask: Any
    answer: Any


def build() -> Try:
    """Draws the place inside the Blocks that is open."""
    none = gr.HTML("", elem_classes=["slot"], elem_id="try-none")
    with gr.Row(elem_id="try-columns"):
        with gr.Column(min_width=300, elem_id="try-ask"):
            # Any value may come in: an app that was started again does not know the choices that an open page still shows
            run = gr.Dropdown([], value=None, label="Run", allow_custom_value=True, elem_id="try-run")
            text = gr.Textbox(label="Text", lines=6, max_lines=16, placeholder="Type or paste a text …", elem_id="try-text", rtl=False)
            second = gr.Textbox(
                label="Text beside it", lines=3, max_lines=16, placeholder=SECOND, elem_id="try-second", rtl=False, visible=False
            )
            way = gr.Radio([ONE, MANY], value=ONE, label="Read it as", elem_classes=["segments"], elem_id="try-way")
            ask = gr.Button(CLASSIFY, variant="primary", size="lg", interactive=False, elem_id="try-go")
            gr.HTML(f'<p class="soft">{SLOW}</p>')
        with gr.Column(min_width=300, elem_id="try-answer-column"):
            answer = gr.HTML('<p class="soft">The answer appears here.</p>', elem_id="try-answer", min_height=80)
    return Try(run, none, text, second, way, ask, answer)


def wire(studio: Studio, place: Try) -> None:
    shown: dict[str, Any] = {
        "api_visibility": "private",
        "show_progress": "full",
        "show_progress_on": [place.answer],
        "concurrency_limit": 4,
    }
    place.ask.click(bind(on_ask, studio), [place.run, place.text, place.way, place.second], place.answer, **shown)
    place.run.change(bind(on_run, studio), place.run, [place.second, place.ask], show_progress="hidden", api_visibility="private")


def on_open(studio: Studio, run_id: str, chosen: str | None) -> tuple[Any, str, Any]:
    """The finished runs that tell classes apart; the one of the address, else the chosen, else the newest. Only then can one ask."""
    finished = [one for one in studio.runs() if one.state == "finished" and studio.sorts(one.id)]
    ids = [one.id for one in finished]
    value = next((one for one in (run_id, chosen) if one in ids), ids[0] if ids else None)
    figures = [words.percent(one.accuracy) if one.accuracy is not None else one.figure for one in finished]
    named = [(f"{one.name} · {figure}" if figure else one.name, one.id) for one, figure in zip(finished, figures, strict=True)]
    nothing = '<p>No run has finished yet. <a href="?place=train" data-place="train">Start one on Train.</a></p>'
    return gr.update(choices=named, value=value), "" if finished else nothing, gr.update(interactive=bool(finished))


def on_run(studio: Studio, run_id: str | None) -> tuple[Any, Any]:
    """A second text is asked for where the run reads pairs; the button says what the run does."""
    try:
        task = studio.task_of(str(run_id)) if run_id else None
        pairs = bool(run_id) and studio.reads_pairs(str(run_id))
        return gr.update(visible=pairs), gr.update(value=task.asks if task else CLASSIFY)
    except Refused:
        return gr.update(visible=False), gr.update(value=CLASSIFY)


def on_ask(studio: Studio, run_id: str | None, text: str, way: str, second: str = "") -> str:
    """One text as bars, several as a table; of pairs, line by line, or every line with the one text beside it."""
    texts = _texts(text, way)
    problem = NO_MODEL if not run_id else NOTHING if not any(one.strip() for one in texts) else None
    if problem or not run_id:
        return words.problem(problem or NO_MODEL)
    try:
        beside = _beside(_texts(second, way), len(texts)) if studio.reads_pairs(run_id) else None
        told = studio.predict(run_id, texts[:MOST_LINES], None if beside is None else beside[:MOST_LINES])
    except Refused as refused:
        return words.problems(refused.problems)
    return bars(told[0]) if way == ONE else table(texts, told)


def _texts(text: str, way: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip()] if way == MANY else [text]


def _beside(seconds: list[str], count: int) -> list[str]:
    """One for each text; a single one stands beside them all."""
    if len(seconds) == 1:
        return seconds * count
    if len(seconds) != count:
        message = f"There are {count:,} texts and {len(seconds):,} beside them."
        raise Refused(Problem("try", message, "Write as many lines into both, or one line beside them all."))
    return seconds


def bars(prediction: Prediction) -> str:
    """The label, then every class's probability as a bar, highest first."""
    ordered, least = sorted(prediction.probabilities.items(), key=lambda pair: -pair[1]), prediction.threshold
    given = {name: "" if least is None else "given" if share >= least else "not given" for name, share in ordered}
    chart = ordered and tables.bars(
        "Probability of each class" if least is None else "Chance of each tag",
        ((name, share, words.percent(share), given[name]) for name, share in ordered),
        wide=True,
    )
    took = milliseconds(prediction.milliseconds)
    if least is not None:
        took = f"{given_from(least)} {took}"
    near = ""
    if prediction.margin is not None:
        near = tables.soft(f", mostly within ±{number(prediction.margin)}")
        took = f"{near_words(prediction.margin)} {took}"
    return f'<p class="sentence" role="status">{escape(prediction.label)}{near}</p>{chart or ""}<p class="soft">{took}</p>'


def table(texts: Sequence[str], told: Sequence[Prediction]) -> str:
    """A line each; what lies beyond the bound is said."""
    tags = list(told[0].probabilities) if told and told[0].threshold is not None else []
    sure = [tables.Column(name, number=True) for name in tags[:MOST_TAGS]] or [tables.Column("Sure", number=True)]
    columns = (tables.Column("Text", style="text"), tables.Column("It says", style="label"), *sure)
    rows = (
        (tables.cut(text, TEXT_SHOWN), escape(one.label), *_sure(one, tags[:MOST_TAGS])) for text, one in zip(texts, told, strict=False)
    )
    left = len(texts) - len(told)
    more = f"{words.counted(left, 'line')} more than the {MOST_LINES} that fit here were left out. " if left > 0 else ""
    if told and told[0].margin is not None:
        more = f"{near_words(told[0].margin)} {more}"
    each = milliseconds(sum(one.milliseconds for one in told) / max(1, len(told)))
    return f'{tables.table("Answers", columns, rows)}<p class="soft">{more}{words.counted(len(told), "text")}, {each} each</p>'


def near_words(margin: float) -> str:
    """How far a number can be trusted."""
    return f"For {100 * MOSTLY:.0f}{words.HARD_SPACE}% of texts like those it was tested on the right number lies within ±{number(margin)}."


def _sure(one: Prediction, tags: Sequence[str]) -> list[str]:
    """Each tag's chance; without tags that of the likeliest class."""
    if tags:
        return [words.percent(one.probabilities[name]) for name in tags]
    return [words.percent(max(one.probabilities.values())) if one.probabilities else ""]


def milliseconds(number: float) -> str:
    return f"{number:.1f}{words.HARD_SPACE}ms" if number < 10 else f"{number:,.0f}{words.HARD_SPACE}ms"
