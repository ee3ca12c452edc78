"""Tags on the page: their columns in the fields, their bars, each one's figures, and what Try says of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.data.files import open_file
from engine.data.profile import inspect
from engine.predict import Prediction
from engine.spec import DataSpec, RunSpec
from engine.told import Part
from tests.ui.test_account import MADE
from tests.ui.test_request import OFFER, told
from ui import account, cards, request
from ui.tabs import try_

SPEC = RunSpec(DataSpec("file:uploads/ab/rows.csv", text="comment", labels=("toxic", "প্রশ্ন"), target="tags"), "a/folder", task="tag")
SAYS = Prediction("toxic", {"toxic": 0.6, "<b>": 0.31}, 12.0, threshold=0.35)


def plain(html: str) -> str:
    return html.replace("\u00a0", " ")


def test_the_columns_of_tags_survive_the_fields_and_back() -> None:
    assert request.run_spec(told(SPEC), OFFER) == SPEC


def test_columns_of_tags_belong_to_no_other_task_and_guessed_ones_are_left_open() -> None:
    assert request.run_spec(told(SPEC) | {"task": "classify"}, OFFER).data.labels == ()
    fields: dict[str, Any] = told(SPEC) | {"guessed_text": "comment", "guessed_labels": request.as_text(["toxic", "প্রশ্ন"])}
    assert request.run_spec(request.unguessed(fields), OFFER).data == replace(SPEC.data, text=None, labels=())
    assert request.unguessed(fields | {"labels": ["toxic"]})["labels"] == ["toxic"]


def test_the_data_card_shows_rows_of_each_tag_and_marks_their_columns(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,<i>a</i>,b\n" + "".join(f"some words {at},{at % 2},{int(at % 4 == 0)}\n" for at in range(40)), "utf-8")
    data, _ = inspect(open_file(path, 10**6), None, DataSpec("file:x", target="tags"))
    shown = plain(cards.facts(data))
    assert "2 tags" in shown
    assert "&lt;i&gt;a&lt;/i&gt;" in shown
    assert "50.0 %" in shown
    assert "b (tag)" in shown
    assert "row&#x27;s tags" not in shown  # the column that they are put into is ours


def test_each_tag_has_its_figures_below_those_of_all() -> None:
    made = replace(MADE, parts=(Part("<b>", 0.5, 0.25, 1 / 3, 8, 4),), threshold=0.35)
    shown = plain(account.parts(made))
    assert "&lt;b&gt;" in shown
    assert "33.3 %" in shown
    assert "from a chance of 35.0 % on" in shown
    assert account.parts(MADE) == ""


def test_try_shows_each_tag_with_its_chance_and_whether_it_is_given() -> None:
    shown = plain(try_.bars(SAYS))
    assert shown.index("60.0 %") < shown.index("given") < shown.index("31.0 %") < shown.index("not given")
    assert "&lt;b&gt;" in shown
    several = plain(try_.table(["one text", "another"], [SAYS, replace(SAYS, label="no tag")]))
    assert several.count("31.0 %") == 2
    assert "no tag" in several
    assert "Sure" not in several
