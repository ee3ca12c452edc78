"""A few rows as the model will read and write them, before anything starts: what the page shows beside the template. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import chat
from engine.data.profile import DataFacts
from engine.data.table import clean
from engine.data.texts import Texts
from engine.errors import Problem, RunFailed
from engine.facts import cleans_html
from engine.knobs import Value, knobs_of, read, settle
from engine.models import ModelFacts
from engine.tasks import Pieces, Task

ROWS = 3
UNKNOWN = "The model's own form is known once it is here; until then, or where it has none, this one is shown."


@dataclass(frozen=True)
class RowsShown:
    """`rows` are pieces of text with whether they are learnt; `problem` where a row cannot be put into the form."""

    rows: tuple[Pieces, ...]
    problem: Problem | None = None
    note: str = ""


def rows_shown(task: Task, settings: dict[str, Value], data: DataFacts, model: ModelFacts | None, folder: Path | None) -> RowsShown | None:
    """The first rows of the data as this task has the model see them; None where the task shows none, or the settings cannot be read.

    `folder`: where the model's files lie, if they are here.
    """
    if task.shown is None or not data.text or not data.label:
        return None
    told = {knob.name: read(knob, settings[knob.name]) for knob in knobs_of(task.knobs) if knob.name in settings}
    if any(problem for _, problem in told.values()):
        return None
    knobs: Any = settle(task.knobs, {name: value for name, (value, _) in told.items() if value is not None})
    if model is not None and any(one.field == "settings.template" for one in task.check(knobs, model)):
        return None
    rows = [row for row in data.sample if row.get(data.text) and row.get(data.label)]
    html = cleans_html(settings)

    def cleaned(column: str) -> list[str]:
        return [clean(row.get(column, ""), clean_html=html) for row in rows]

    answers = cleaned(data.label) if data.target == "text" else [row[data.label] for row in rows]
    texts = Texts(cleaned(data.text), cleaned(data.second) if data.second else None, answers)
    found = chat.read(folder) if folder is not None else chat.Chat()
    own = "chat_template" in {knob.name for knob in knobs_of(task.knobs)} and knobs.chat_template == "own"
    note = UNKNOWN if own and not found.template else ""
    template = vars(knobs).get("template")
    if data.second and isinstance(template, str) and "{context}" not in template:
        note = f"Column {data.second!r} is not read: the template has no place for it, {{context}}."
    try:
        return RowsShown(tuple(task.shown(texts, knobs, found)[:ROWS]), note=note)
    except (ValueError, KeyError, IndexError):  # a template that is half typed; `check` tells it once the model is known
        return None
    except RunFailed as error:
        return RowsShown((), error.problem)
