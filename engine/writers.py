"""What can be chosen to write: finished runs that learnt to write, the catalogue's models that do, and any other by its id."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine.catalog import Catalog
from engine.errors import Problem, Refused
from engine.models import ModelFacts
from engine.reading import RunSummary
from engine.store import Store
from engine.tasks import all_tasks

RUN, MODEL = "run:", "model:"
WRITER_FIX = "Choose a model made for writing, such as SmolLM2, Qwen or Llama."


@dataclass(frozen=True)
class Writer:
    """Something that writes, as a list shows it."""

    id: str  # "run:ID" or "model:ID"
    name: str
    kind: Literal["run", "model"]
    base: str  # the untuned model's id: its own, or the one below a run


@dataclass(frozen=True)
class Chosen:
    """Where a writer lies."""

    run: Path | None  # the folder of a finished run; None: the untuned model
    model: str
    revision: str | None


def writers(store: Store, runs: Iterable[RunSummary], catalog: Catalog) -> tuple[Writer, ...]:
    """The finished runs that write, as `runs` orders them, then the catalogue's models, those that need no download first."""
    tuned = [Writer(RUN + one.id, one.name, "run", one.model) for one in runs if one.state == "finished" and writes(store.folder(one.id))]
    untuned = sorted((one for one in catalog.models if one.writes), key=lambda one: one.download_bytes > 0)
    return (*tuned, *(Writer(MODEL + one.id, one.name, "model", one.id) for one in untuned))


def chosen(writer: str, store: Store, facts: Callable[[str], ModelFacts]) -> Chosen:
    """Where the writer of this id lies; an id without "run:" or "model:" is a model's. Raises Refused for what cannot write.

    `facts` finds out about an untuned model, and raises Refused too.
    """
    if writer.startswith(RUN):
        folder = store.folder(writer.removeprefix(RUN))
        if not writes(folder):
            raise Refused(Problem("write", "This run has no model that writes.", "Choose a finished run that learnt to write."))
        return Chosen(folder, "", None)
    found = facts(writer.removeprefix(MODEL).strip())
    if not found.writes:
        message = f"{Path(found.id).name} reads texts and has no language-modelling head to write with."
        raise Refused(Problem("model", message, WRITER_FIX))
    return Chosen(None, found.id, found.revision)


def writes(run_folder: Path) -> bool:
    """Whether the run's kept model writes: a decoder, or a model with one, with the head that its base came with; one of its own would
    name classes."""
    model = _plan(run_folder).get("model")
    came = isinstance(model, dict) and model.get("head") == [] and (model.get("decoder") is True or bool(model.get("decoder_layers")))
    return came and (run_folder / "model" / "shur.json").exists()


def sorts(run_folder: Path) -> bool:
    """Whether the run learnt to say something of a text, a class or a number, and not to write."""
    task = all_tasks().get(str(_plan(run_folder).get("task")))
    return task is None or task.writes is None


def _plan(run_folder: Path) -> dict[str, Any]:
    """The run's plan as it lies there; empty where it cannot be read."""
    try:
        found = json.loads((run_folder / "plan.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
