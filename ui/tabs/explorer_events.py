"""What happens in the error explorer. Corrections lie in the run's folder, so that a reload finds them; nothing is kept per viewer."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from engine import answers
from engine.answers import Answer
from engine.data import corrected
from engine.errors import Refused
from engine.explorer import Doubted
from ui import explorer as shown
from ui import words
from ui.border import bind
from ui.tabs import train_events

if TYPE_CHECKING:
    from engine.occlusion import Moved
    from engine.studio import Studio
    from ui.tabs.runs import Runs
    from ui.tabs.train import Train

MISTAKES, DOUBTED = json.dumps(["mistakes"]), json.dumps(["doubted"])
MOST_GROUPS = 64  # in the list; the others, cells of the matrix or tags, are clicked
INFO = {"class": "Or click a cell of the matrix above.", "tags": "Or click a count in the table of tags above."}


def wire(studio: Studio, runs: Runs, train: Train) -> None:
    """Connects it; `runs.judged` changes when another verdict is shown, `runs.opened` holds the run's id."""
    place, opened = runs.explorer, runs.opened
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": 8}
    busy = {**quiet, "show_progress": "minimal", "show_progress_on": [place.table]}
    rows = [place.page, place.table]
    made = [place.line, place.again, place.download, place.back]
    whole = [place.column, place.before, place.pick, place.slices, place.columns, place.weak, *rows, *made, place.through]
    runs.judged.change(bind(on_judged, studio), opened, whole, **quiet)
    place.pick.input(bind(on_pick, studio), [opened, place.pick], rows, **quiet)
    place.heard.click(bind(on_heard, studio), [opened, place.pick, place.page, place.heard], [place.pick, *rows], **busy)
    # One at a time, in their order, and none left out: two labels may be changed before the first is written.
    ordered = {**quiet, "trigger_mode": "multiple", "concurrency_limit": 1}
    place.relabelled.click(bind(on_relabelled, studio), [opened, place.relabelled], made, **ordered)
    place.back.click(bind(on_back, studio), [opened, place.pick, place.page], [*rows, *made], **quiet)
    place.download.click(bind(on_download, studio), opened, place.text, **quiet).then(
        None, place.text, None, js="text => shur.download('corrections.csv', text, 'text/csv')"
    )
    place.again.click(bind(on_again, studio, train), opened, [place.sent, *train_events.refill(train)], **quiet).then(
        None, place.sent, None, js="sent => sent && shur.go('train')"
    ).then(**train_events.redrawing(studio, train), **quiet)  # where every other field held the same already, none has told of a change
    place.through.click(bind(on_through, studio), opened, [place.pick, *rows], **busy)
    place.weak.expand(bind(on_weak, studio), opened, [place.slices, place.columns], **quiet)
    place.columns.click(bind(on_columns, studio), [opened, train.token], place.slices, **quiet)


def on_judged(studio: Studio, run_id: str) -> list[Any]:
    """The explorer of a judged run; none for another."""
    try:
        if not run_id or not _is_judged(studio, run_id):
            return _nothing()
        explorer = studio.explorer
        before = shown.before(explorer.before(run_id), *explorer.changed(run_id), explorer.mean_errors(run_id))
        start = [gr.update(visible=True), before, _picks(studio, run_id, MISTAKES), "", gr.update(visible=False), gr.update(open=False)]
        through = gr.update(visible=explorer.kind(run_id) == "class")
        return [*start, *_rows_drawn(studio, run_id, MISTAKES, 0), *_made(studio, run_id), through]
    except Refused:  # deleted meanwhile, or written by hand
        return _nothing()


def _is_judged(studio: Studio, run_id: str) -> bool:
    judged = studio.evaluation(run_id) is not None or studio.account(run_id) is not None
    return judged and studio.explorer.has_answers(run_id) and bool(studio.explorer.answers(run_id))


def _nothing() -> list[Any]:
    hidden = (gr.update(visible=False) for _ in range(3))
    return [gr.update(visible=False), "", gr.skip(), "", gr.skip(), gr.skip(), 0, "", "", *hidden, gr.skip()]


def _picks(studio: Studio, run_id: str, value: str) -> Any:
    """Which rows there are to look at, with how many of each."""
    explorer = studio.explorer
    listed = [(f"{name} ({rows:,})", json.dumps(list(pick))) for pick, name, rows in explorer.groups(run_id)]
    choices = listed[:MOST_GROUPS]
    if value not in [one for _, one in choices]:
        pick = json.loads(value)
        choices.append((f"{answers.name_of(pick)} ({len(explorer.rows(run_id, pick)):,})", value))
    return gr.update(choices=choices, value=value, info=INFO.get(explorer.kind(run_id), ""))


def _rows(studio: Studio, run_id: str, pick: str | None) -> Sequence[Answer | Doubted]:
    """The picked rows, the worst mistakes first."""
    return studio.explorer.rows(run_id, json.loads(pick or MISTAKES))


def _rows_drawn(studio: Studio, run_id: str, pick: str | None, page: int, why: tuple[corrected.Key, Moved] | None = None) -> list[Any]:
    """The page of rows that is shown, and its number."""
    made = {one.key: one for one in studio.explorer.corrections(run_id)}
    table = shown.rows_table(_rows(studio, run_id, pick), page, studio.explorer.classes(run_id), made, why)
    return [page, f'<div data-drawn="{secrets.token_hex(4)}">{table}</div>']  # so that the same is drawn again too


def _made(studio: Studio, run_id: str) -> list[Any]:
    """What was put right, and the buttons for it."""
    made = studio.explorer.corrections(run_id)
    return [shown.corrected_line(made, studio.explorer.kind(run_id)), *(gr.update(visible=bool(made)) for _ in range(3))]


def on_pick(studio: Studio, run_id: str, pick: str | None) -> list[Any]:
    return _rows_drawn(studio, run_id, pick, 0)


def on_heard(studio: Studio, run_id: str, pick: str | None, page: int, told: str) -> list[Any]:
    """A cell of the matrix, another page, or what moved a row's answer."""
    match json.loads(told):
        case {"do": "cell", "label": int(label), "said": int(said)}:
            evaluation = studio.evaluation(run_id)
            names = evaluation.classes if evaluation else studio.explorer.classes(run_id)
            pick = json.dumps(["cell", names[label], names[said]])
            return [_picks(studio, run_id, pick), *_rows_drawn(studio, run_id, pick, 0)]
        case {"do": "rows", "pick": list(wanted)}:
            pick = json.dumps(wanted)
            return [_picks(studio, run_id, pick), *_rows_drawn(studio, run_id, pick, 0)]
        case {"do": "page", "page": int(wanted)}:
            return [gr.skip(), *_rows_drawn(studio, run_id, pick, max(0, wanted))]
        case {"do": "why", "row": str(row)}:
            key = shown.key_of(row)
            return [gr.skip(), *_rows_drawn(studio, run_id, pick, page, (key, studio.explorer.moved(run_id, key)))]
    return [gr.skip() for _ in range(3)]


def on_relabelled(studio: Studio, run_id: str, told: str) -> list[Any]:
    """Another label for a row, by its place among the run's labels, below 0: the row is left out; or its number, or its tags by place."""
    explorer, classes = studio.explorer, studio.explorer.classes(run_id)
    match json.loads(told):
        case {"row": str(row), "label": int(label)}:
            explorer.correct(run_id, shown.key_of(row), classes[label] if label >= 0 else None)
        case {"row": str(row), "number": str(number)}:
            explorer.correct(run_id, shown.key_of(row), number)
        case {"row": str(row), "tags": list(places)}:
            explorer.correct(run_id, shown.key_of(row), corrected.of_tags(classes[at] for at in places))
    return _made(studio, run_id)


def on_back(studio: Studio, run_id: str, pick: str | None, page: int) -> list[Any]:
    studio.explorer.take_back(run_id)
    return [*_rows_drawn(studio, run_id, pick, page), *_made(studio, run_id)]


def on_download(studio: Studio, run_id: str) -> str:
    return corrected.to_csv(studio.explorer.all_corrections(run_id))


def on_again(studio: Studio, train: Train, run_id: str) -> list[Any]:
    """The run's spec with the corrections, in the fields of the Train place."""
    return [f"{run_id} {secrets.token_hex(2)}", *train_events.shown(studio, train, studio.explorer.again(run_id))]


def on_through(studio: Studio, run_id: str) -> list[Any]:
    """Looks through the training rows, which takes a moment."""
    studio.explorer.look_through(run_id)
    return [_picks(studio, run_id, DOUBTED), *_rows_drawn(studio, run_id, DOUBTED, 0)]


def on_weak(studio: Studio, run_id: str) -> list[Any]:
    """The parts, and only then the button for more of them: asked for before, the fuller table could be drawn first and be lost."""
    return [shown.slices_table(studio.explorer.slices(run_id)), gr.update(visible=True)]


def on_columns(studio: Studio, run_id: str, token: str) -> str:
    """By the data's other columns too, or why they cannot be looked at."""
    try:
        return shown.slices_table(studio.explorer.slices(run_id, columns=True, token=token or None))
    except Refused as refused:
        return words.problems(refused.problems) + shown.slices_table(studio.explorer.slices(run_id))
