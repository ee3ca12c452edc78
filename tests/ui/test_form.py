"""Knobs to fields and back."""

from __future__ import annotations

import pytest

from engine.errors import Problem
from engine.knobs import Knob, knobs_of
from engine.methods import all_methods
from engine.spec import Training
from engine.tasks import all_tasks
from ui import form

RANK = next(knob for knob in knobs_of(all_methods()["lora"].knobs) if knob.name == "rank")
EVERY_KNOB = [
    *knobs_of(Training),
    *(knob for method in all_methods().values() for knob in knobs_of(method.knobs)),
    *(knob for task in all_tasks().values() for knob in knobs_of(task.knobs)),
]
BY_NAME = {knob.name: knob for knob in EVERY_KNOB}


@pytest.mark.parametrize("knob", EVERY_KNOB, ids=lambda knob: knob.name)
def test_every_setting_has_a_field_with_label_and_help(knob: Knob) -> None:
    field = form.widget(knob)
    assert field.label == knob.label
    assert knob.help in field.info
    assert field.value == form.AUTOMATIC


@pytest.mark.parametrize("knob", [knob for knob in EVERY_KNOB if knob.kind in ("whole", "number")], ids=lambda knob: knob.name)
def test_every_number_says_its_bounds(knob: Knob) -> None:
    assert form.bounds(knob)


def test_what_was_typed_is_read_as_in_a_shell() -> None:
    typed = {"learning_rate": " 2e-4 ", "rank": "32", "checkpointing": "yes", "schedule": "linear", "epochs": ""}
    assert form.settings(EVERY_KNOB, typed) == {"learning_rate": 0.0002, "rank": 32, "checkpointing": True, "schedule": "linear"}


def test_what_cannot_be_read_is_kept_for_its_problem() -> None:
    assert form.settings([RANK], {"rank": "many"}) == {"rank": "many"}


def test_settings_survive_the_fields_and_back() -> None:
    values = {"learning_rate": 2e-05, "rank": 8, "checkpointing": False, "schedule": "constant", "epochs": 0.5}
    assert form.settings(EVERY_KNOB, form.typed(EVERY_KNOB, values)) == values


def test_a_field_with_a_problem_says_it_and_keeps_its_text() -> None:
    found = [Problem("settings.rank", "Rank is 9999, but it must be a whole number from 1 to 256.", "Set it.")]
    told = form.update(RANK, None, found)
    assert "9999" in told["info"]
    assert "has-error" in told["elem_classes"]
    assert "value" not in told


def test_a_switch_offers_what_was_decided_first() -> None:
    offered = form.choices(BY_NAME["checkpointing"], False)
    assert offered == [("Automatic: no", ""), ("Yes", "yes"), ("No", "no")]


def test_a_choice_says_the_decided_ones_words() -> None:
    assert form.choices(BY_NAME["precision"], "bf16")[0] == ("Automatic: bf16 (16-bit)", "")
