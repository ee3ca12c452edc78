"""More data on the Train place: the choice, examples while it is open, and the way to a comparison with and without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from engine.augment import BACK_TRANSLATION, NONE, SUITED, Augmentation
from engine.errors import Refused
from engine.knobs import knobs_of
from ui import form, more_data, request, words
from ui.border import bind, while_open

if TYPE_CHECKING:
    from engine.studio import Studio
    from ui.tabs.train import Train

OPEN = "open"
OF_TRANSLATION = ("translator", "translator_back", "language", "language_between", "translation_minutes")


def build() -> dict[str, Any]:
    """The fold, inside the card that is open."""
    knobs = {knob.name: knob for knob in knobs_of(Augmentation)}
    made: dict[str, Any] = {}
    with gr.Accordion(more_data.TITLE, open=False, elem_id="more-data") as folded:
        gr.HTML(more_data.LEAD)
        with gr.Row():
            made["augment"] = form.widget(knobs["augment"])
            with gr.Column(visible=False, min_width=180) as of_words:
                made["augment_share"] = form.widget(knobs["augment_share"])
            with gr.Column(visible=False, min_width=180) as of_all:
                made["augment_copies"] = form.widget(knobs["augment_copies"])
        with gr.Column(visible=False, elem_classes=["in-pairs"]) as of_translation, gr.Row():
            for name in OF_TRANSLATION:
                made[name] = form.widget(knobs[name])
        examples = gr.HTML("", elem_id="more-data-examples")
        compare = gr.Button("Compare with and without …", size="sm", visible=False, elem_id="more-data-compare")
    opened = gr.Textbox(visible=False)
    parts = {"folded": folded, "words": of_words, "all": of_all, "translation": of_translation, "examples": examples, "compare": compare}
    return {"more_data": {**parts, "opened": opened, "knobs": made}}


def wire(studio: Studio, train: Train, everything: list[Any], redraw: dict[str, Any], once: dict[str, Any]) -> None:
    """`redraw`: the event of a new preview."""
    part = train.more_data
    inputs, latest = [part["opened"], *everything], {**once, "trigger_mode": "always_last"}
    shown = [part["words"], part["all"], part["translation"], part["compare"]]
    part["knobs"]["augment"].change(bind(on_kind), part["knobs"]["augment"], shown, **latest).then(**redraw)
    train.fields["task"].change(bind(on_task, train), train.fields["task"], [part["folded"], part["knobs"]["augment"]], **latest)
    part["folded"].expand(lambda: OPEN, None, part["opened"], **once).then(bind(on_look, studio, train), inputs, part["examples"], **once)
    part["folded"].collapse(None, None, part["opened"], js="() => ''", **once)
    while_open(train.previewed, part["opened"])(bind(on_look, studio, train), inputs, part["examples"], **latest)


def on_task(train: Train, task: str) -> tuple[Any, Any]:
    """Rows are made only where a text gets a label, tags or a number; elsewhere there is no fold, and nothing left in it."""
    suited = train.offer.targets.get(task) in SUITED
    return gr.update(visible=suited), gr.skip() if suited else gr.update(value=form.AUTOMATIC)


def on_kind(kind: str) -> tuple[Any, ...]:
    """The settings that belong to this way of making rows."""
    makes = kind not in ("", NONE)
    translates = kind == BACK_TRANSLATION
    return tuple(gr.update(visible=one) for one in (makes and not translates, makes, translates, makes))


def on_look(studio: Studio, train: Train, opened: str, token: str, *values: Any) -> Any:
    """Examples for what the fields hold now; nothing is looked at while it is folded."""
    if not opened:
        return gr.skip()
    spec = request.run_spec(request.unguessed(train.offer.told(values)), train.offer)
    match spec.settings.get("augment", NONE):
        case "none":
            return more_data.NONE_YET
        case "back_translation":
            return more_data.AFTERWARDS
    try:
        return more_data.table(studio.made_examples(spec, token=token or None))
    except Refused as refused:
        return words.problems(refused.problems)
