"""What happens in the folds below a judged run's evidence. All of it is read from the run's folder; nothing is kept per viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from engine.errors import Refused
from ui import confidence, verdict_figures
from ui.border import bind
from ui.tabs.closer import Closer

if TYPE_CHECKING:
    from engine.calibration import Confidence
    from engine.studio import Studio


def wire(studio: Studio, closer: Closer, judged: Any, opened: Any) -> None:
    """Connects the folds; `judged` changes when another verdict is shown, `opened` holds the run's id."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": 8}
    judged.change(bind(on_judged, studio), [opened], outputs(closer), **quiet)
    moved = {**quiet, "trigger_mode": "always_last"}
    closer.threshold.change(bind(on_threshold, studio), [opened, closer.threshold], closer.silence, **moved)


def outputs(closer: Closer) -> list[Any]:
    """What `on_judged` fills, in its order."""
    return [closer.column, closer.sureness, closer.threshold, closer.silence, closer.thresholds, closer.curves, closer.figures]


def on_judged(studio: Studio, run_id: str) -> list[Any]:
    """The folds of a judged run; none of them for another."""
    try:
        judged = bool(run_id) and studio.evaluation(run_id) is not None
        told = _told(studio, run_id) if judged else None
    except Refused:  # deleted meanwhile
        judged, told = False, None
    if not judged:
        return [gr.update(visible=False), *("" if at != 1 else gr.skip() for at in range(5)), gr.skip()]
    threshold = confidence.usual(told) if told else confidence.USUAL
    return [
        gr.update(visible=True),
        confidence.sureness(told),
        gr.update(value=threshold, visible=told is not None),
        confidence.at_threshold(told, threshold),
        confidence.silence_table(told),
        confidence.curves_told(told),
        verdict_figures.confidence(told),
    ]


def on_threshold(studio: Studio, run_id: str, threshold: float) -> str:
    """What would be answered, and how well, at this confidence."""
    return confidence.at_threshold(_told(studio, run_id), threshold) if run_id else ""


def _told(studio: Studio, run_id: str) -> Confidence | None:
    return studio.judged.confidence(run_id)
