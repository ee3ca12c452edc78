"""Everything that can be asked for, as JSON values: methods, tasks, models, data sets, presets, and every setting of them."""

from __future__ import annotations

import dataclasses
from typing import Any

from engine.augment import Augmentation
from engine.catalog import Catalog
from engine.data.split import Split
from engine.knobs import Knob, knobs_of
from engine.methods import all_methods
from engine.spec import Training
from engine.tasks import all_tasks


def listing(catalog: Catalog) -> dict[str, Any]:
    """Everything that can be asked for, as JSON values."""
    return {
        "methods": [
            {"id": one.id, "name": one.name, "summary": one.summary, "source": one.source, "knobs": _knobs(one.knobs)}
            for one in all_methods().values()
        ],
        "tasks": [{"id": one.id, "name": one.name, "summary": one.summary, "knobs": _knobs(one.knobs)} for one in all_tasks().values()],
        "training": _knobs(Training),
        "split": _knobs(Split),
        "more_data": _knobs(Augmentation),
        "models": [dataclasses.asdict(one) for one in catalog.models],
        "datasets": [dataclasses.asdict(one) for one in catalog.datasets],
        "presets": [dataclasses.asdict(one) for one in catalog.recipes],
    }


def _knobs(settings_type: type) -> list[dict[str, Any]]:
    def told(knob: Knob) -> dict[str, Any]:
        return {**dataclasses.asdict(knob), "choices": [{"value": value, "words": words} for value, words in knob.choices]}

    return [told(knob) for knob in knobs_of(settings_type)]
