"""The coach on a run's page: what its buttons do. What it says is drawn with the rest of what moves, in runs_events.py."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import gradio as gr

from engine.errors import Refused
from ui import coach
from ui.border import bind

if TYPE_CHECKING:
    from engine.store import RunRecord
    from engine.studio import Studio
    from ui.tabs.runs import Runs
    from ui.tabs.train import Train

HEAR = "shur.follow = words => { props.value = words; trigger('click'); };"


def build() -> dict[str, Any]:
    """What it says, what hears its buttons, and the run that a button began, inside the column that is open."""
    return {
        "coach": gr.HTML("", elem_classes=["slot"], elem_id="coach"),
        "followed": gr.HTML("", html_template="", js_on_load=HEAR, elem_classes=["slot"]),
        "begun": gr.Textbox(visible=False),
    }


def wire(studio: Studio, runs: Runs, train: Train, look: dict[str, Any]) -> None:
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": 1}
    runs.followed.click(bind(on_follow, studio), [runs.opened, runs.followed, train.token], runs.begun, **quiet).then(
        None, runs.begun, None, js="begun => begun && shur.go('runs', begun)"
    ).then(**look)


def shown(studio: Studio, run_id: str, record: RunRecord) -> str:
    """What the coach says of the run as it stands; nothing where its plan cannot be read."""
    try:
        return coach.card(studio.coached(run_id), is_over=record.is_over)
    except Refused:
        return ""


def on_follow(studio: Studio, run_id: str, told: str, token: str) -> str:
    """The run that the pressed button began; "" where it asked this one to keep its best."""
    match json.loads(told):
        case {"kind": str(kind), "choice": int(choice)}:
            return studio.follow(run_id, kind, choice, token or None)
    return ""
