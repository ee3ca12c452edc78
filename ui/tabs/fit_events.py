"""Check the fit, on the Train place: a button begins it, a timer follows it, and when it is over the preview is drawn anew."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import gradio as gr

from engine.errors import Refused
from ui import cards, request, words
from ui.border import bind
from ui.tabs.train import Train

if TYPE_CHECKING:
    from engine.studio import Preview, Studio

CHECK = "Check the fit"
LABELS = {"measuring": "Measuring …", "measured": "Measure again", "failed": "Check again"}


def wire(studio: Studio, train: Train, everything: list[Any], once: dict[str, Any]) -> None:
    train.check_fit.click(bind(on_check_fit, studio, train), everything, outputs(train), **once)
    train.fit_timer.tick(bind(on_fit_tick, studio, train), everything, [*outputs(train), train.fit_over], **once)


def outputs(train: Train) -> list[Any]:
    """What `shown` fills, in its order."""
    return [train.fit, train.fit_timer, train.check_fit]


def shown(studio: Studio, found: Preview) -> tuple[str, Any, Any]:
    """What is known of the fit of this run, whether to look again soon, and whether it can be checked now."""
    plan = found.plan or found.too_large
    if plan is None:
        return "", gr.update(active=False), gr.update(value=CHECK, interactive=False)
    state = studio.fit_state(plan)
    going = state.state == "measuring"
    return cards.fit(state), gr.update(active=going), gr.update(value=LABELS.get(state.state, CHECK), interactive=not going)


def on_check_fit(studio: Studio, train: Train, token: str, *values: Any) -> tuple[str, Any, Any]:
    """Begins to measure what the fields hold now."""
    spec = request.run_spec(request.unguessed(train.offer.told(values)), train.offer)
    try:
        studio.measure_fit(spec, token or None)
    except Refused as refused:
        return words.problems(refused.problems), gr.update(active=False), gr.update(interactive=True)
    return shown(studio, studio.preview(spec, token or None))


def on_fit_tick(studio: Studio, train: Train, token: str, *values: Any) -> tuple[str, Any, Any, str]:
    """How far it is; when it is over the preview is drawn anew, since its figures are now measured."""
    spec = request.run_spec(request.unguessed(train.offer.told(values)), train.offer)
    found = studio.preview(spec, token or None)
    plan = found.plan or found.too_large
    over = plan is None or studio.fit_state(plan).state != "measuring"
    told = shown(studio, found)
    return *told, f"{time.time()}" if over else gr.skip()
