"""The doctor on the Train place: its findings with every preview, and what its buttons do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from engine.errors import Refused
from ui import doctor, request
from ui.border import bind

if TYPE_CHECKING:
    from engine.spec import RunSpec
    from engine.studio import Preview, Studio
    from ui.tabs.train import Train

MEND = "shur.mend = words => { props.value = words; trigger('click'); };"


def build() -> dict[str, Any]:
    """The list and what hears its buttons, inside the card that is open."""
    return {
        "doctor": gr.HTML("", elem_classes=["slot"], elem_id="doctor"),
        "mended": gr.HTML("", html_template="", js_on_load=MEND, elem_classes=["slot"]),
    }


def wire(train: Train, everything: list[Any], refill: list[Any], redraw: dict[str, Any], once: dict[str, Any]) -> None:
    train.mended.click(bind(on_mend, train), [train.mended, *everything], refill, **once).then(**redraw)


def shown(studio: Studio, spec: RunSpec, found: Preview, token: str) -> str:
    """The findings for the rows that the fields ask for; nothing where they cannot be opened."""
    try:
        return doctor.card(studio.checkup(spec, found, token or None), spec.settings)
    except Refused:
        return ""


def on_mend(train: Train, picked: str, token: str, *values: Any) -> list[Any]:
    """Every field with what the pressed button holds done or undone."""
    from ui.tabs.train_events import refilled

    spec = request.run_spec(request.unguessed(train.offer.told(values)), train.offer)
    return refilled(request.fields(doctor.changed(spec, picked), train.offer))
