"""A large file on its way in, on the Train place: how far its reading is, and a button that ends it. A timer follows; the rest waits."""

from __future__ import annotations

import time
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr

from ui import request, words
from ui.border import bind

if TYPE_CHECKING:
    from engine.studio import Preview, Studio
    from engine.taking_in import Arriving
    from ui.tabs.train import Train

TICK_SECONDS = 0.5
LOOKING = '<p role="status">All rows are read. Looking at what is in them …</p>'
WAITING = '<p class="soft">The figures appear here once all rows are in.</p>'


def build() -> dict[str, Any]:
    """The line and its button, inside the card that is open; nothing is to be seen of them while nothing is read."""
    with gr.Row(visible=False, elem_classes=["with-removal"], elem_id="arriving") as row:
        line = gr.HTML("", elem_id="arriving-line")
        cancel = gr.Button("Cancel", size="sm", min_width=90, scale=0, elem_id="arriving-cancel")
    timer, over = gr.Timer(TICK_SECONDS, active=False), gr.Textbox(visible=False)
    return {"arriving": {"row": row, "line": line, "cancel": cancel, "timer": timer, "over": over}}


def wire(studio: Studio, train: Train, everything: list[Any], redraw: dict[str, Any], once: dict[str, Any]) -> None:
    part, files = train.arriving, [train.fields["file"], train.fields["test_file"]]
    part["timer"].tick(bind(on_tick, studio, train), everything, [part["line"], part["cancel"], part["timer"], part["over"]], **once)
    part["over"].change(**redraw)
    part["cancel"].click(bind(on_cancel, studio, train), everything, [*files, train.upload_problem], **once).then(**redraw)


def outputs(train: Train) -> list[Any]:
    """What `shown` fills, in its order."""
    return [train.arriving[name] for name in ("row", "line", "cancel", "timer")]


def shown(found: Preview) -> list[Any]:
    """How far the reading is, and whether to look again soon."""
    going = found.arriving is not None
    return [gr.update(visible=going), card(found.arriving), gr.update(visible=True), gr.update(active=going)]


def card(arriving: Arriving | None) -> str:
    """How far it is, in words and as a bar. The bar alone is spoken of to screen readers, which else would hear every tick."""
    if arriving is None:
        return ""
    if arriving.waiting:
        return f'<p role="status">{escape(arriving.name)} waits until other files are read.</p>'
    share = f"{arriving.share:.0%}".replace("%", "\u00a0%")
    far = f"{words.counted(arriving.rows, 'row')} · {share}" if arriving.rows else "Looking at its bytes"
    return (
        f'<p>Reading <b>{escape(arriving.name)}</b> <span class="soft">{far}</span></p>'
        f'<div class="track" role="progressbar" aria-label="Reading {escape(arriving.name)}" aria-valuenow="{arriving.share * 100:.0f}" '
        f'aria-valuemin="0" aria-valuemax="100"><span style="width:{arriving.share * 100:.1f}%"></span></div>'
    )


def on_tick(studio: Studio, train: Train, token: str, *values: Any) -> tuple[Any, Any, Any, Any]:
    """How far it is now; when it is over the preview is drawn anew, with the rows or with what keeps them out."""
    arriving = studio.arriving(request.data_spec(train.offer.told(values)))
    if arriving is None:
        return LOOKING, gr.update(visible=False), gr.update(active=False), f"{time.time()}"
    return card(arriving), gr.skip(), gr.skip(), gr.skip()


def on_cancel(studio: Studio, train: Train, token: str, *values: Any) -> tuple[Any, Any, Any]:
    """Ends the reading and lets go of the file that was read; a press that comes too late changes nothing."""
    data = request.data_spec(train.offer.told(values))
    arriving = studio.arriving(data)
    if arriving is None:
        return (gr.skip(),) * 3
    studio.cancel_reading(data)
    files = ("", gr.skip()) if arriving.field == "data.source" else (gr.skip(), "")
    return *files, '<p class="soft" role="status">Reading was cancelled. Choose a file when you like.</p>'
