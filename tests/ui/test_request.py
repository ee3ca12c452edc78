"""The fields of the Train place and the RunSpec that they mean."""

from __future__ import annotations

from typing import Any

import pytest

from engine import models
from engine.knobs import knobs_of
from engine.methods import all_methods
from engine.spec import DataSpec, RunSpec, Training
from engine.tasks import all_tasks
from ui import request
from ui.request import Offer

OFFER = Offer(
    sources=("sample:film-reviews-en", "hub:stanfordnlp/imdb"),
    models=(models.EMBEDDED,),
    knobs={
        "": knobs_of(Training),
        **{method.id: knobs_of(method.knobs) for method in all_methods().values()},
        **{request.OF_TASK + task.id: knobs_of(task.knobs) for task in all_tasks().values()},
    },
    targets={task.id: task.target for task in all_tasks().values()},
)
SPECS = [
    RunSpec(DataSpec("sample:film-reviews-en", text="text", label="label"), models.EMBEDDED, preset="quick"),
    RunSpec(DataSpec("hub:stanfordnlp/imdb", resplit=True), models.EMBEDDED, settings={"rank": 4, "epochs": 2.0}),
    RunSpec(DataSpec("hub:some/set", config="plain", train_split="train", test_split="test"), "owner/model", method="full", preset=None),
    RunSpec(DataSpec("file:uploads/ab/reviews.csv", group="author"), models.EMBEDDED),
    RunSpec(DataSpec("file:uploads/ab/reviews.xlsx", sheet="মতামত", header=False), models.EMBEDDED),
    RunSpec(DataSpec("hub:stanfordnlp/imdb", time="তারিখ"), models.EMBEDDED),
    RunSpec(
        DataSpec("file:uploads/ab/rows.jsonl", text="q", label="a", second="", target="text"),
        "a/folder",
        task="answer",
        settings={"template": "{text}\n->"},
    ),
    RunSpec(DataSpec("file:uploads/ab/rows.jsonl", text="q", label="a", second="ctx", target="text"), "a/folder", task="instruct"),
    RunSpec(DataSpec("file:uploads/ab/reviews.csv", test="file:uploads/cd/test.csv"), "a/folder", name="রিভিউ"),
]


def told(spec: RunSpec) -> dict[str, Any]:
    return OFFER.told(list(request.fields(spec, OFFER).values()))


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.data.source)
def test_a_spec_survives_the_fields_and_back(spec: RunSpec) -> None:
    assert request.run_spec(told(spec), OFFER) == spec


def test_another_methods_settings_stay_out_of_the_spec() -> None:
    fields = told(SPECS[0]) | {"knob rank": "32", "method": "full"}
    assert request.run_spec(fields, OFFER).settings == {}


def test_an_upload_that_is_still_missing_is_an_empty_source() -> None:
    assert request.run_spec(told(SPECS[0]) | {"data": request.UPLOAD}, OFFER).data.source == ""


def test_columns_that_were_guessed_are_left_open() -> None:
    fields = told(SPECS[0]) | {"guessed_text": "text", "guessed_label": "label"}
    assert request.data_spec(request.unguessed(fields)) == DataSpec("sample:film-reviews-en")
    alone = {**fields, "label": None, "guessed_label": ""}
    assert request.data_spec(request.unguessed(alone)) == DataSpec("sample:film-reviews-en")


def test_a_column_that_was_picked_pins_both() -> None:
    fields = told(SPECS[0]) | {"guessed_text": "title", "guessed_label": "label"}
    assert request.data_spec(request.unguessed(fields)) == SPECS[0].data


def test_blanks_around_an_id_do_not_matter() -> None:
    fields = told(SPECS[2]) | {"other_model": "  owner/model \n", "hub_id": " some/set "}
    assert request.run_spec(fields, OFFER) == SPECS[2]
