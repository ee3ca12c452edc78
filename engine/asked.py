"""What a person asked for, read: the preset below, their own settings above it, and every Problem with them. Pure.

Leaves to `deciding` what was left open.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from engine.augment import Augmentation
from engine.catalog import Catalog, Recipe
from engine.data.split import Split
from engine.errors import Problem, Refused
from engine.knobs import Knob, Value, knobs_of, read
from engine.methods import Method, all_methods
from engine.spec import RunSpec, Training
from engine.tasks import Task, all_tasks

T = TypeVar("T")
BOUND_TO_ITS_METHOD = ("learning_rate",)  # a preset's rate for LoRA would wreck full fine-tuning


@dataclass(frozen=True)
class Asked:
    """The spec with its names looked up and its values read. None for a method or task that does not exist."""

    method: Method | None
    task: Task | None
    recipe: Recipe | None
    own: dict[str, Value]  # what the person set, in the knobs' own types; wrong values are left out and told in `problems`
    preset: dict[str, Value]  # what the preset sets and the person did not
    knobs: dict[str, Knob]  # of split, more data, task, training and method
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]

    @property
    def values(self) -> dict[str, Value]:
        return {**self.preset, **self.own}


def asked(spec: RunSpec, catalog: Catalog) -> Asked:
    """Everything that can be told without knowing the data, the model or the hardware."""
    problems: list[Problem] = []
    method = _known(spec.method, all_methods(), "method", problems)
    task = _known(spec.task, all_tasks(), "task", problems)
    recipe = None
    if spec.preset:
        try:
            recipe = catalog.recipe(spec.preset)
        except Refused as error:
            problems += error.problems
    if not spec.model.strip():
        problems.append(Problem("model", "No model is chosen yet.", "Choose a model."))
    if not spec.data.source.strip():
        problems.append(Problem("data.source", "No data is chosen yet.", "Choose a data set or upload a file."))
    types = [Split, Augmentation, Training, *(task.knobs for task in (task,) if task), *(method.knobs for method in (method,) if method)]
    knobs = {knob.name: knob for kind in types for knob in knobs_of(kind)}
    own, found = _read(spec.settings, knobs, method)
    problems += found
    preset: dict[str, Value] = {}
    notes: list[str] = []
    if recipe is not None:
        fitting = {name: value for name, value in recipe.settings.items() if name in knobs}
        if method and recipe.method and recipe.method != method.id:
            for name in BOUND_TO_ITS_METHOD:
                if fitting.pop(name, None) is not None and name not in own:
                    notes.append(f"The {knobs[name].label.lower()} of the preset {recipe.name} is made for another method and is not used.")
        preset, found = _read(fitting, knobs, method)
        problems += found
        preset = {name: value for name, value in preset.items() if name not in own}
    return Asked(method, task, recipe, own, preset, knobs, tuple(problems), tuple(notes))


def _known(name: str, there: dict[str, T], what: str, problems: list[Problem]) -> T | None:
    if name not in there:
        problems.append(Problem(what, f"There is no {what} {name!r}.", f"Choose one of: {', '.join(there)}."))
    return there.get(name)


def _read(settings: dict[str, Value], knobs: dict[str, Knob], method: Method | None) -> tuple[dict[str, Value], list[Problem]]:
    values: dict[str, Value] = {}
    problems = []
    for name, raw in settings.items():
        if name not in knobs:
            problems += _unknown(name, knobs, method)
            continue
        value, problem = read(knobs[name], raw)
        if problem is not None:
            problems.append(problem)
        elif value is not None:
            values[name] = value
    return values, problems


def _unknown(name: str, knobs: Iterable[str], method: Method | None) -> list[Problem]:
    owner = next((one for one in all_methods().values() if any(knob.name == name for knob in knobs_of(one.knobs))), None)
    if owner is not None:
        if method is None:  # told already; the setting may be right once the method is
            return []
        message = f"{name} is a setting of {owner.name}, not of {method.name}."
        return [Problem(f"settings.{name}", message, f"Remove {name}.{_own_settings(method)}")]
    near = difflib.get_close_matches(name, list(knobs), n=1)
    fix = f"Did you mean {near[0]}?" if near else f"Remove {name}.{_own_settings(method)}"
    return [Problem(f"settings.{name}", f"There is no setting {name!r}.", fix)]


def _own_settings(method: Method | None) -> str:
    """A sentence on what can be set of the method itself, with a blank before it; "" where there is no method."""
    if method is None:
        return ""
    own = ", ".join(knob.name for knob in knobs_of(method.knobs))
    return f" Of its own {method.name} has {own}." if own else f" {method.name} has no settings of its own."
