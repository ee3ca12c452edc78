"""What a file looks made for, told where classes are not it."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from engine.data import meant
from engine.data.profile import inspect
from engine.data.table import Table
from engine.spec import DataSpec

ROWS = 60
TEXTS = [f"a text of some words and the number {at}" for at in range(ROWS)]
OTHERS = [f"what is said of it, in other words than {at * 3}" for at in range(ROWS)]
CLASSES = [("good", "bad", "so so")[at % 3] for at in range(ROWS)]
MARKS = {name: [str(at // step % 2) for at in range(ROWS)] for name, step in (("rude", 1), ("late", 2), ("dear", 3))}
TURNS = [json.dumps([{"role": "user", "content": one}, {"role": "assistant", "content": "Yes."}]) for one in TEXTS]
HALVES = [f"{at / 7:.3f}" for at in range(ROWS)]
COMMAS = [f"{2 + at % 40 / 13:.2f}".replace(".", ",") for at in range(ROWS)]
WHOLE = [str(7 * at + 13) for at in range(ROWS)]
DOLLARS = [f"${1000 + 3 * at:,}.50" for at in range(ROWS)]
STARS = [("4,5", "3,0", "1,5")[at % 3] for at in range(ROWS)]
LISTS = [("fast; cheap", "cheap", "kind; fast")[at % 3] for at in range(ROWS)]

FILES = {
    "instruct": [
        {"instruction": TEXTS, "output": OTHERS},
        {"Instruction": TEXTS, "input": [None] * ROWS, "output": OTHERS, "kind": CLASSES},
        {"id": [str(at) for at in range(ROWS)], "messages": TURNS},
    ],
    "answer": [{"question": TEXTS, "answer": OTHERS}, {"context": OTHERS, "question": TEXTS, "answers": OTHERS}, {"Q": TEXTS, "A": OTHERS}],
    "transform": [
        {"article": TEXTS, "summary": OTHERS},
        {"en": TEXTS, "bn": OTHERS},
        {"de-DE": TEXTS, "fr": OTHERS},
        {"English": TEXTS, "বাংলা": OTHERS},
    ],
    "similar": [{"sentence1": TEXTS, "sentence2": OTHERS, "score": HALVES}],
    "tag": [{"text": TEXTS, **MARKS}, {"text": TEXTS, "genres": LISTS}],
    "regress": [
        {"text": TEXTS, "price": HALVES},
        {"text": TEXTS, "price": COMMAS},
        {"text": TEXTS, "price": WHOLE},  # no ids, though no two are the same
        {"text": TEXTS, "cost": DOLLARS},
    ],
    "write": [{"text": TEXTS}],
    None: [
        {"text": TEXTS, "label": CLASSES},
        {"question": TEXTS, "answer": CLASSES},  # a few answers that come again are classes
        {"review": TEXTS, "sentiment": CLASSES, "stars": HALVES},
        {"review": TEXTS, "stars": STARS},
        {"text": TEXTS, "sentiment": CLASSES, "verified": MARKS["rude"], "replied": MARKS["late"]},
        {"sentence1": TEXTS, "sentence2": OTHERS, "label": CLASSES},
        {"id": [str(at) for at in range(ROWS)]},
    ],
}


def table(columns: dict[str, list[str | None]]) -> Table:
    held = pa.table({name: pa.chunked_array([cells], pa.string()) for name, cells in columns.items()})
    return Table(tuple(columns), held, "0" * 64, "rows.csv")


@pytest.mark.parametrize(("task", "columns"), [(task, columns) for task, files in FILES.items() for columns in files])
def test_a_file_is_told_by_what_its_columns_are_and_hold(task: str | None, columns: dict[str, list[str | None]]) -> None:
    facts, problems = inspect(table(columns), None, DataSpec("file:rows.csv"))
    assert (facts.meant.task if facts.meant else None) == task
    for problem in problems:
        if problem.field == "data.label" and task:
            assert problem.fix.startswith(f"These rows look like {meant.LOOKS[task]}: learn that, or pick")


def test_too_few_rows_are_too_few_whatever_is_learnt() -> None:
    facts, problems = inspect(table({"question": TEXTS[:15], "answer": OTHERS[:15], "kind": CLASSES[:15]}), None, DataSpec("file:rows.csv"))
    assert facts.meant is not None
    assert [one.fix.startswith("Add rows") for one in problems if one.field == "data.source"] == [True]


def test_who_has_chosen_the_columns_is_not_told_otherwise() -> None:
    rows = table({"question": TEXTS, "answer": OTHERS, "kind": CLASSES})
    assert inspect(rows, None, DataSpec("file:rows.csv"))[0].meant is not None
    assert inspect(rows, None, DataSpec("file:rows.csv", label="kind"))[0].meant is None
    assert inspect(rows, None, DataSpec("file:rows.csv", target="text"))[0].meant is None


def label_of(columns: dict[str, list[str | None]]) -> str:
    return inspect(table(columns), None, DataSpec("file:rows.csv"))[0].label


def test_a_rating_is_learnt_rather_than_what_the_texts_are_about() -> None:
    about = [("Phone", "Case", "Charger")[at // 2 % 3] for at in range(ROWS)]
    rating = [str(1 + at % 5) for at in range(ROWS)]
    assert label_of({"id": [str(at) for at in range(ROWS)], "stars": rating, "review_body": TEXTS, "product_title": about}) == "stars"
    assert label_of({"review": TEXTS, "Rating (1-5)": rating, "city": about}) == "Rating (1-5)"
    assert label_of({"review": TEXTS, "stars": rating, "mood": CLASSES}) == "mood"
    assert label_of({"review": TEXTS, "city": about}) == "city", "where nothing else could be meant"


def test_the_part_that_a_row_belongs_to_is_no_label_and_that_it_is_not_looked_at_is_told() -> None:
    parts = [("train", "Test", "valid ")[at % 3] for at in range(ROWS)]
    facts, _ = inspect(table({"text": TEXTS, "split": parts, "label": CLASSES}), None, DataSpec("file:rows.csv"))
    assert facts.label == "label"
    assert "split" not in facts.label_why
    assert any("'split' says which part" in note for note in facts.notes)
    facts, problems = inspect(table({"text": TEXTS, "split": parts}), None, DataSpec("file:rows.csv"))
    assert facts.label == ""
    assert problems


def test_blanks_around_values_make_no_other_values() -> None:
    facts, _ = inspect(
        table({"text": TEXTS, "label": [f"{one} " * (at % 2) or one for at, one in enumerate(CLASSES)]}), None, DataSpec("file:r")
    )
    assert next(one for one in facts.columns if one.name == "label").why == "It holds 3 different values: bad, good, so so."
