"""How each model reads the texts, on the Train place: looked at when it is opened, and again with every preview while it is open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from engine.errors import Refused
from ui import request, token_fit, words
from ui.border import bind, while_open

if TYPE_CHECKING:
    from engine.studio import Studio
    from ui.tabs.train import Train

TAKE = "shur.take = model => { props.value = model; trigger('click'); };"
OPEN = "open"


def build() -> dict[str, Any]:
    """The folded table, the button that asks for more, and what hears the table's own buttons."""
    with gr.Accordion(token_fit.TITLE, open=False, elem_id="token-fit") as folded:
        table = gr.HTML("", elem_id="token-fit-table")
        more = gr.Button("Look at the others too", size="sm", visible=False, elem_id="token-fit-more")
    taken = gr.HTML("", html_template="", js_on_load=TAKE, elem_classes=["slot"])
    opened = gr.Textbox(visible=False)
    return {"token_fit": {"folded": folded, "table": table, "more": more, "taken": taken, "opened": opened}}


def wire(studio: Studio, train: Train, everything: list[Any], taken: dict[str, Any], redraw: dict[str, Any], once: dict[str, Any]) -> None:
    """`taken`: the event of another model; `redraw`: the one of a new preview."""
    part = train.token_fit
    inputs, outputs = [part["opened"], *everything], [part["table"], part["more"]]
    part["folded"].expand(lambda: OPEN, None, part["opened"], **once).then(bind(on_look, studio, train), inputs, outputs, **once)
    part["folded"].collapse(None, None, part["opened"], js="() => ''", **once)
    while_open(train.previewed, part["opened"])(bind(on_look, studio, train), inputs, outputs, **{**once, "trigger_mode": "always_last"})
    waiting = part["more"].click(lambda: gr.update(value="Looking …", interactive=False), None, part["more"], **once)
    waiting.then(bind(on_more, studio, train), inputs, outputs, **once)
    part["taken"].click(lambda model: model, part["taken"], train.fields["model"], **once).then(**taken, **once).then(**redraw)


def on_look(studio: Studio, train: Train, opened: str, token: str, *values: Any) -> tuple[Any, Any]:
    """The table for what the fields hold now, of what is on this machine; nothing is looked at while it is folded."""
    return _looked(studio, train, token, values, fetch=False) if opened else (gr.skip(), gr.skip())


def on_more(studio: Studio, train: Train, opened: str, token: str, *values: Any) -> tuple[Any, Any]:
    """The table with the models that have to be asked for at the Hub."""
    return _looked(studio, train, token, values, fetch=True)


def _looked(studio: Studio, train: Train, token: str, values: tuple[Any, ...], *, fetch: bool) -> tuple[str, Any]:
    spec = request.run_spec(request.unguessed(train.offer.told(values)), train.offer)
    try:
        fits = studio.token_fits(spec, token or None, fetch=fetch)
    except Refused as refused:
        return words.problems(refused.problems), gr.update(visible=False)
    left = token_fit.others(fits)
    label = f"Look at {words.counted(left, 'other')} too: fetches 1 to 35 MB each, no weights"
    return token_fit.table(fits, spec.model), gr.update(value=label, visible=left > 0, interactive=True)
