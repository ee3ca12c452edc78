"""What happens in the folds below a judged run's evidence. All of it is read from the run's folder; nothing is kept per viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from engine.errors import Refused
from engine.tasks import all_tasks
from ui import confidence, probed, result, verdict_figures, words
from ui.border import bind
from ui.tabs.closer import ALL, Closer

if TYPE_CHECKING:
    from engine.studio import Studio
    from ui.tabs.runs import Runs
    from ui.tabs.train import Train

LABELS = {"looking": "Stop looking", "done": "Look again", "failed": "Look again"}


def wire(studio: Studio, runs: Runs, train: Train) -> None:
    """Connects the folds of a run's page."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": 8}
    closer, opened = runs.closer, runs.opened
    runs.judged.change(bind(on_judged, studio), opened, [*_of_confidence(closer), *_of_look(closer), *closer.folds], **quiet)
    moved = {**quiet, "trigger_mode": "always_last"}
    closer.threshold.change(bind(on_threshold, studio), [opened, closer.threshold], closer.silence, **moved)
    closer.correct.input(bind(on_correct, studio), [opened, closer.correct, closer.threshold], _of_confidence(closer), **quiet)
    closer.look.click(bind(on_look, studio), [opened, train.token], _of_look(closer), **quiet)
    everything = [*_of_look(closer), *_of_confidence(closer), runs.verdict, runs.tables]
    closer.timer.tick(bind(on_tick, studio), [opened, closer.threshold], everything, **quiet)


def _of_confidence(closer: Closer) -> list[Any]:
    """What `shown` fills, in its order."""
    return [
        closer.column, closer.sureness, closer.correct, closer.correction, closer.threshold, closer.silence, closer.thresholds,
        closer.curves, closer.figures,
    ]  # fmt: skip


def _of_look(closer: Closer) -> list[Any]:
    """What `looked` fills, in its order."""
    return [closer.state, closer.found, closer.look, closer.timer]


def on_judged(studio: Studio, run_id: str) -> list[Any]:
    """The folds of a judged run; none of them for another."""
    try:
        if run_id and studio.evaluation(run_id) is not None:
            return [*shown(studio, run_id), *looked(studio, run_id), *_folds(sorts=True)]
        if run_id and _is_timed(studio, run_id):
            return [gr.update(visible=True), *(gr.skip() for _ in range(8)), *looked(studio, run_id), *_folds(sorts=False)]
        return _nothing()
    except Refused:  # deleted meanwhile
        return _nothing()


def _nothing() -> list[Any]:
    return [gr.update(visible=False), *(gr.skip() for _ in range(8)), "", "", gr.skip(), gr.update(active=False), *_folds(sorts=True)]


def _folds(*, sorts: bool) -> list[Any]:
    return [gr.update(visible=sorts), gr.update(visible=sorts), gr.update(label=ALL)]


def _is_timed(studio: Studio, run_id: str) -> bool:
    """Whether it gives numbers, tags or likeness, at which a closer look can be taken."""
    account = studio.account(run_id)
    return account is not None and all_tasks()[account.task].writes is None


def shown(studio: Studio, run_id: str, threshold: float | None = None) -> list[Any]:
    """How sure the model is, as it is used now, with the threshold kept where it was."""
    told, look = studio.judged.confidence(run_id), studio.look(run_id).found
    if told is None:
        return [gr.update(visible=True), confidence.sureness(None), gr.update(visible=False), "", gr.update(visible=False), "", "", "", {}]
    on = told.temperature != 1.0
    temperature = look.temperature if look else None
    plain = studio.judged.confidence(run_id, 1.0) if on else told
    cooled = studio.judged.confidence(run_id, temperature) if temperature and not on else told
    assert plain is not None
    assert cooled is not None
    threshold = confidence.usual(told) if threshold is None else threshold
    return [
        gr.update(visible=True),
        confidence.sureness(told),
        gr.update(value=on, visible=True, interactive=on or probed.corrects(look)),
        probed.correction(look, plain.error, cooled.error, on=on),
        gr.update(value=threshold, visible=True),
        confidence.at_threshold(told, threshold),
        confidence.silence_table(told),
        confidence.curves_told(told),
        verdict_figures.confidence(told),
    ]


def looked(studio: Studio, run_id: str) -> list[Any]:
    """How far the closer look is, and what it found."""
    look = studio.look(run_id)
    going = look.state == "looking"
    return [
        probed.state(look, sorts=studio.account(run_id) is None),
        probed.found(look),
        gr.update(value=LABELS.get(look.state, "Look closer")),
        gr.update(active=going),
    ]


def on_threshold(studio: Studio, run_id: str, threshold: float) -> str:
    """What would be answered, and how well, at this confidence."""
    return confidence.at_threshold(studio.judged.confidence(run_id), threshold) if run_id else ""


def on_correct(studio: Studio, run_id: str, on: bool, threshold: float) -> list[Any]:
    """Corrects the model's confidence from now on, or leaves it as it came."""
    studio.correct_confidence(run_id, on=on)
    return shown(studio, run_id, threshold)


def on_look(studio: Studio, run_id: str, token: str) -> list[Any]:
    """Begins a closer look, or ends the one that goes on."""
    if studio.look(run_id).state == "looking":
        studio.give_up_look(run_id)
        return looked(studio, run_id)
    try:
        studio.look_closer(run_id, token or None)
    except Refused as refused:
        return [words.problems(refused.problems), *(gr.skip() for _ in range(3))]
    return looked(studio, run_id)


def on_tick(studio: Studio, run_id: str, threshold: float) -> list[Any]:
    """What the look does now; when it is over, all that it adds to the page."""
    try:
        told = looked(studio, run_id)
        if studio.look(run_id).state == "looking":
            return [told[0], gr.skip(), *told[2:], *(gr.skip() for _ in range(11))]
        if studio.evaluation(run_id) is None:
            return [*told, *(gr.skip() for _ in range(11))]
        evaluation, beside = studio.evaluation(run_id), studio.beside(run_id)
        return [*told, *shown(studio, run_id, threshold), result.verdict(evaluation, beside), result.scores_table(evaluation, beside)]
    except Refused:  # deleted meanwhile, or the list is shown
        return [*(gr.skip() for _ in range(3)), gr.update(active=False), *(gr.skip() for _ in range(11))]
