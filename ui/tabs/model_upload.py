"""A GGUF file that is handed over as the model to tune: its field in the card Model, and what happens with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from engine.errors import Problem, Refused
from engine.facts import FILE
from engine.packaged import GGUF
from ui import words
from ui.border import bind

if TYPE_CHECKING:
    from engine.studio import Studio
    from ui.tabs.train import Train

ANOTHER = Problem("model", "This is no GGUF file: its name does not end in .gguf.", "Choose another.")


def build() -> dict[str, Any]:
    """Draws the field inside the card that is open."""
    file = gr.File(label="Or a GGUF file", file_types=[GGUF], height=112, elem_id="model-upload", elem_classes=["upload"])
    return {"model_upload": {"file": file, "problem": gr.HTML("", elem_classes=["slot"], elem_id="problems-model-upload")}}


def wire(studio: Studio, train: Train, redraw: dict[str, Any], once: dict[str, Any]) -> None:
    part, typed = train.model_upload, train.fields["other_model"]
    part["file"].upload(bind(on_upload, studio), part["file"], [typed, part["file"], part["problem"]], **once).then(**redraw)


def on_upload(studio: Studio, path: str) -> tuple[Any, None, str]:
    """Takes the file into the home, lets go of Gradio's own copy, and writes where it lies into the field above."""
    try:
        if not path.lower().endswith(GGUF):
            return gr.skip(), None, words.problems([ANOTHER])
        kept = studio.add_upload(path, Path(path).stem + GGUF)
    except Refused as refused:
        return gr.skip(), None, words.problems(refused.problems)
    finally:
        Path(path).unlink(missing_ok=True)
    return kept.removeprefix(FILE), None, ""
