"""People review a judged run: a fold of its page in which links are made, and what came of them is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from engine import account, reviews
from engine.errors import Refused
from engine.reviews import QUESTIONS
from ui import review as shown
from ui.border import bind

if TYPE_CHECKING:
    from engine.studio import Studio
    from ui.tabs.runs import Runs

FULL = """const full = () => requestAnimationFrame(() => element.querySelectorAll('a.full').forEach(one => (one.textContent = one.href)));
full(); watch('value', full);"""  # the address with the host by which this page was reached
USUAL, FEW_ROWS = 120, 100  # rows
USUAL_ROWS = "100 to 200 are usual."
SWAYED = "With Accuracy they see the model's answer, which sways those who give a label too."
SAID = "With Accuracy they see the model's answer; the others ask about the text."
WRITTEN = "They see what the model was given and what it wrote, and can unfold what was wanted."
TICK_SECONDS = 3.0


@dataclass(frozen=True)
class Review:
    """The components that handlers read and write."""

    column: Any
    names: Any
    rows: Any
    questions: Any
    make: Any
    links: Any
    outcome: Any
    download: Any
    text: Any  # what they said as CSV, on its way to a download
    timer: Any


def build() -> Review:
    """Draws the fold inside the Blocks that is open; out of sight until a run is judged."""
    parts: dict[str, Any] = {"text": gr.Textbox(visible=False), "timer": gr.Timer(TICK_SECONDS, active=False)}
    with gr.Column(visible=False, elem_id="review") as parts["column"], gr.Accordion("Ask people", open=False, elem_id="review-fold"):
        parts["links"] = gr.HTML("", elem_id="review-links", elem_classes=["slot"], js_on_load=FULL)
        parts["outcome"] = gr.HTML("", elem_id="review-outcome", elem_classes=["slot"])
        with gr.Row(elem_classes=["actions"]):
            parts["download"] = gr.Button("Download what they said", visible=False, elem_id="review-download")
        with gr.Row():
            parts["names"] = gr.Textbox(
                lines=3, label="Who shall judge", elem_id="review-names",
                info="One name a line; two people or more show how far one can agree at all.",
            )  # fmt: skip
            with gr.Column(min_width=240):
                parts["rows"] = gr.Number(
                    USUAL, precision=0, minimum=reviews.FEWEST_ROWS, maximum=reviews.MOST_ROWS, label="Rows", elem_id="review-rows",
                    info=USUAL_ROWS,
                )  # fmt: skip
        parts["questions"] = gr.CheckboxGroup(
            [(shown.NAMES[one], one) for one in QUESTIONS], value=["label"], label="What they are asked", elem_id="review-questions",
            info=SWAYED,
        )  # fmt: skip
        with gr.Row(elem_classes=["actions"]):
            parts["make"] = gr.Button("Make links", elem_id="review-make")
    return Review(**parts)


def wire(studio: Studio, runs: Runs) -> None:
    """Connects the fold of a run's page."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": 4}
    place, opened = runs.review, runs.opened
    drawn = [place.column, place.links, place.outcome, place.download, place.timer]
    runs.judged.change(bind(on_judged, studio), opened, drawn, **quiet)
    runs.judged.change(bind(on_kind, studio), opened, [place.rows, place.questions], **quiet)
    place.make.click(bind(on_make, studio), [opened, place.names, place.rows, place.questions], drawn, **quiet)
    place.timer.tick(bind(on_tick, studio), opened, [place.outcome, place.download], **quiet)
    place.download.click(bind(on_download, studio), opened, place.text, **quiet).then(
        None, place.text, None, js="text => shur.download('review.csv', text, 'text/csv')"
    )


def on_judged(studio: Studio, run_id: str) -> list[Any]:
    """The fold of a judged run; none for another."""
    try:
        if not run_id or not _can_be_judged(studio, run_id):
            return [gr.update(visible=False), "", "", gr.update(visible=False), gr.update(active=False)]
        sheet = studio.reviews.newest(run_id)
        return [gr.update(visible=True), shown.links(sheet), *on_tick(studio, run_id), gr.update(active=sheet is not None)]
    except Refused:  # deleted meanwhile
        return [gr.update(visible=False), "", "", gr.update(visible=False), gr.update(active=False)]


def _can_be_judged(studio: Studio, run_id: str) -> bool:
    if studio.evaluation(run_id) is not None:
        return studio.explorer.has_answers(run_id)
    return studio.account(run_id) is not None and (studio.store.folder(run_id) / account.TEXTS).exists()


def on_kind(studio: Studio, run_id: str) -> list[Any]:
    """How many rows there are to judge, and what can be asked of them, which depends on what the run learnt."""
    try:
        told = studio.account(run_id) if run_id else None
    except Refused:  # deleted meanwhile
        told = None
    questions = [(shown.NAMES[one], one) for one in reviews.offered(told)]
    if told is None:
        return [gr.update(value=USUAL, info=USUAL_ROWS), gr.update(choices=questions, value=["label"], info=SWAYED)]
    rows = min(USUAL, max(reviews.FEWEST_ROWS, told.written))
    if not reviews.writes(told):
        return [gr.update(value=rows, info=USUAL_ROWS), gr.update(choices=questions, value=["accuracy"], info=SAID)]
    more = "For the usual 100 to 200, set “Rows written in the test” higher and train again."
    few = f"This run answered {told.written} rows in its test. {more}"
    return [
        gr.update(value=rows, info=few if told.written < FEW_ROWS else USUAL_ROWS),
        gr.update(choices=questions, value=[one for _, one in questions], info=WRITTEN),
    ]


def on_make(studio: Studio, run_id: str, names: str, rows: float | None, questions: list[str]) -> list[Any]:
    """A new sheet with a link for each person."""
    studio.reviews.make(run_id, (names or "").splitlines(), int(rows or 0), questions=questions)
    return on_judged(studio, run_id)


def on_tick(studio: Studio, run_id: str) -> list[Any]:
    """What they have said by now."""
    sheet = studio.reviews.newest(run_id) if run_id else None
    if sheet is None:
        return ["", gr.update(visible=False)]
    said = [studio.reviews.said(sheet, place) for place in range(len(sheet.people))]
    return [shown.outcome(sheet, reviews.outcome(sheet, said)), gr.update(visible=any(said))]


def on_download(studio: Studio, run_id: str) -> str:
    sheet = studio.reviews.newest(run_id)
    return shown.to_csv(sheet, [studio.reviews.said(sheet, place) for place in range(len(sheet.people))]) if sheet else ""
