"""What the Train place says before a run, and the one button's label."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine import catalog, guide
from engine.errors import Problem
from engine.facts import Facts
from engine.measured import Measured
from engine.measuring import FitState
from tests.ui import homes
from ui import cards


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        (["data.source"], "Choose other data"),
        (["model", "data.label"], "Settle the labels"),
        (["data.text"], "Pick the text column"),
        (["settings.rank", "model"], "Choose a model that can be used"),
        (["settings.rank"], "Correct a setting"),
        (["memory"], "Make it fit into memory"),
        (["something.new"], "Settle the problem above"),
    ],
)
def test_the_button_names_the_first_thing_that_is_missing(fields: list[str], label: str) -> None:
    assert cards.start_label(tuple(Problem(field, "It is wrong.") for field in fields)) == (label, False)


def test_without_any_data_the_button_asks_for_it() -> None:
    assert cards.start_label((Problem("data.source", "No data."),), chosen=False) == ("Choose a dataset", False)


def test_a_warning_does_not_hold_the_start_back() -> None:
    assert cards.start_label((Problem("data.source", "Few rows.", severity="warning"),)) == ("Start training", True)


def test_the_preview_shows_every_figure_and_marks_the_estimates(home: Path) -> None:
    plan = homes.a_plan(home)
    told = cards.preview(plan, ()).replace("\u00a0", " ")
    for figure in (
        "264 to train on",
        "Cross-validation, below, tests all 330: surer under 5,000 rows",
        f"{plan.settings['batch_size']} × {plan.settings['accumulation']}",
        "of 21 GB",
        "No problems",
    ):
        assert figure in told
    assert told.count("estimated") >= 3
    assert all(one.reason.split(".")[0][:30] in told.replace("&#x27;", "'") for one in plan.decisions)


def test_folds_are_proposed_only_where_they_would_test_all_rows(home: Path) -> None:
    plan = homes.a_plan(home)
    assert "Cross-validation" in cards.preview(plan, ())
    assert "Cross-validation" not in cards.preview(plan, (), folds=False)
    assert "Cross-validation" not in cards.preview(replace(plan, rows={"train": 4_000, "validation": 500, "test": 500}), ())


def test_more_memory_than_there_is_stands_out(home: Path) -> None:
    plan = replace(homes.a_plan(home), memory_bytes=99_000_000_000)
    assert '<span class="short">99 of 21' in cards.preview(plan, ()).replace("\u00a0", " ").replace(" GB", " GB")


def test_markup_in_the_data_is_shown_and_never_run(home: Path) -> None:
    path = home / "bad.csv"
    rows = "".join(
        f"\"a <b>bold</b> text number {at} <script>alert('x')</script>\",<i>{'good' if at % 2 else 'bad'}</i>\n" for at in range(30)
    )
    path.write_text("<u>text</u>,label\n" + rows, "utf-8")
    facts = Facts(home, share=False, limit_bytes=10**6).look(homes.DataSpec(f"file:{path}"), {}, None)[0]
    told = cards.facts(facts)
    assert "<script" not in told
    assert "<i>" not in told
    assert "<u>" not in told
    assert "&lt;script&gt;" in told


def test_the_first_rows_and_classes_of_a_sample_are_shown(home: Path) -> None:
    facts = Facts(home, share=False, limit_bytes=10**6).data(homes.SPEC.data, {}, None)
    told = cards.facts(facts).replace("\u00a0", " ")
    assert "330 rows" in told
    assert told.count("<tr") >= 8 + 2
    assert "text (text)" in told


def test_many_classes_are_summed_up() -> None:
    told = cards.class_bars({f"class {at}": 100 - at for at in range(40)}).replace("\u00a0", " ")
    assert told.count("<tr>") == cards.MOST_CLASSES
    assert "28 classes more" in told


def test_every_model_of_the_catalogue_has_licence_size_and_a_link() -> None:
    for model in catalog.load().models:
        told = cards.model_line(model, None)
        assert model.licence.split()[0] in told.replace("&#x27;", "'")
        assert model.source_url in told


def test_every_preset_says_where_it_comes_from() -> None:
    for recipe in catalog.load().recipes:
        assert "Source: " in cards.recipe_line(recipe)


def test_the_guide_s_way_and_the_right_one_stand_side_by_side_with_what_they_gave() -> None:
    recipe = catalog.load().recipe(guide.GUIDE)
    assert "side by side" not in cards.recipe_line(recipe)
    none = cards.recipe_line(recipe, {})
    assert none.count("Not run here yet.") == 2
    assert none.count('<th scope="row"') == len(guide.DIFFERENCES) + 1
    told = cards.recipe_line(recipe, {guide.RIGHT: guide.Measured("run-1", "Right <b>", "90 % right", 3.6)})
    assert told.count("Not run here yet.") == 1
    assert '90 % right <span class="soft">(4 min, <a href="?run=run-1" data-place="runs" data-run="run-1">Right &lt;b&gt;</a>)' in told


def test_a_measurement_beside_other_programs_says_so() -> None:
    alone = Measured(2 * 10**9, 80, 5, 0.5, 0.01, 0.02, 3.0, 4.0, 123_456)
    assert "Other programs" not in cards.fit(FitState("measured", measured=alone))
    assert "Other programs took 40\u00a0%" in cards.fit(FitState("measured", measured=replace(alone, taken_by_others=0.4)))
