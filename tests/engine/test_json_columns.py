"""Objects within JSON records become columns, where that makes a table of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.data.files import open_file
from engine.data.gather import BATCH
from engine.data.table import Table


def opened(folder: Path, records: list[Any], *, lines: bool = True) -> Table:
    path = folder / ("rows.jsonl" if lines else "rows.json")
    path.write_text("\n".join(map(json.dumps, records)) if lines else json.dumps(records), "utf-8")
    return open_file(path, 100_000_000)


@pytest.mark.parametrize("lines", [True, False])
def test_objects_become_columns_in_the_order_of_their_names(tmp_path: Path, lines: bool) -> None:
    records = [
        {"id": at, "review": {"text": f"said {at}", "by": {"name": f"ক {at}", "old": at % 2 == 0}}, "label": "ab"[at % 2], "tags": ["x"]}
        for at in range(20)
    ]
    made = opened(tmp_path, [*records, {"id": 20, "review": None, "label": "a"}, {"id": 21, "review": {}, "label": "b"}], lines=lines)
    assert made.columns == ("id", "review.text", "review.by.name", "review.by.old", "label", "tags")
    assert made.column("review.by.name").to_pylist()[:2] == ["ক 0", "ক 1"]
    assert made.column("review.by.old").to_pylist()[:2] == ["true", "false"]
    assert made.column("tags")[0].as_py() == '["x"]'
    assert made.column("review.text").null_count == 2
    assert any("'review.text'" in one for one in made.notes)


def test_names_that_come_late_are_columns_too(tmp_path: Path) -> None:
    records: list[Any] = [{"text": f"said {at}", "meta": {"stars": at}} for at in range(BATCH + 10)]
    records[-1] = {"text": "the last", "meta": {"stars": 5, "town": "ঢাকা"}}
    made = opened(tmp_path, records)
    assert made.columns == ("text", "meta.stars", "meta.town")
    assert made.column("meta.town").to_pylist()[-2:] == [None, "ঢাকা"]


@pytest.mark.parametrize(
    "value",
    [
        lambda at: {"text": ["a", "b"], "answer_start": [1, 2]},  # as SQuAD has its answers
        lambda at: {f"user {at}": at},  # the names are values
        lambda at: {"a": 1} if at % 2 else "no object",
    ],
    ids=["lists", "names that are values", "not always an object"],
)
def test_what_makes_no_columns_stays_text(tmp_path: Path, value: Any) -> None:
    made = opened(tmp_path, [{"text": f"said {at}", "more": value(at)} for at in range(100)])
    assert made.columns == ("text", "more")
    assert json.loads(made.column("more")[1].as_py()) == value(1)


def test_names_that_turn_out_to_be_values_only_later_go_back_into_one_column(tmp_path: Path) -> None:
    rows = [{"text": f"said {at}", "more": {"always": at} if at < BATCH else {f"user {at}": at}} for at in range(BATCH + 2000)]
    made = opened(tmp_path, rows)
    assert made.columns == ("text", "more")
    assert made.column("more")[0].as_py() == '{"always": 0}'
    assert made.rows == BATCH + 2000


def test_a_name_with_a_point_that_stands_there_already_is_not_overwritten(tmp_path: Path) -> None:
    made = opened(tmp_path, [{"user.name": "whole", "user": {"name": "part"}, "text": f"said {at}"} for at in range(9)])
    assert made.columns == ("user.name", "user", "text")
    assert made.column("user.name")[0].as_py() == "whole"


def test_objects_are_followed_four_deep(tmp_path: Path) -> None:
    deep: Any = {"end": 1}
    for at in range(8):
        deep = {f"level{at}": deep}
    made = opened(tmp_path, [{"text": f"said {at}", "deep": deep} for at in range(9)])
    name = "deep.level7.level6.level5.level4"
    assert made.columns == ("text", name)
    assert json.loads(made.column(name)[0].as_py()) == {"level3": {"level2": {"level1": {"level0": {"end": 1}}}}}
