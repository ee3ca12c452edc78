"""A file that lies on this machine, told by its path: it is read where it lies, and no copy is made. Not in a shared app."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from engine.errors import Problem
from engine.facts import FILE
from ui import words
from ui.border import bind

if TYPE_CHECKING:
    from engine.studio import Studio

NOTHING_TOLD = Problem("data.source", "There is no path yet.", "Write where the file lies, such as ~/reviews.csv.")


def build(studio: Studio) -> dict[str, Any]:
    """The field and its button, inside the card that is open."""
    with gr.Row(visible=not studio.share, elem_id="path-row"):
        path = gr.Textbox(
            label="Or where it lies on this machine", max_lines=1, placeholder="~/reviews.csv", scale=4, elem_id="path",
            info="A large file need not be copied: it is read where it lies.",
        )  # fmt: skip
        take = gr.Button("Take this file", size="sm", min_width=120, elem_id="path-take")
    return {"own_path": {"path": path, "take": take}}


def on_path(studio: Studio, forgotten: int, path: str) -> tuple[Any, ...]:
    """The file at this path, and so many fields emptied that belonged to the last one. Whether it can be opened shows with the preview."""
    told = path.strip().strip("\"'")
    if not told:
        return gr.skip(), words.problem(NOTHING_TOLD), *(gr.skip() for _ in range(4 + forgotten))
    try:
        whole = str(Path(told).expanduser().absolute())
    except RuntimeError:  # "~nobody"
        whole = told
    studio.facts.chosen_again(f"{FILE}{whole}")
    return f"{FILE}{whole}", "", None, None, None, [], *([""] * forgotten)


def wire(studio: Studio, part: dict[str, Any], told: list[Any], redraw: dict[str, Any], once: dict[str, Any]) -> None:
    """`told`: the fields of the file, of what is wrong with it, of the columns, and those that belonged to the last file."""
    gr.on([part["path"].submit, part["take"].click], bind(on_path, studio, len(told) - 6), part["path"], told, **once).then(**redraw)
