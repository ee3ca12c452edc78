"""Tags as people write them: columns of 0 and 1, crosses, lists; which columns they are, what is wrong with them, how rows are split."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from engine import catalog
from engine.checks import check
from engine.data import strata, tags
from engine.data.doctor import examine
from engine.data.files import open_file
from engine.data.profile import inspect
from engine.data.split import Split, parted, split_rows, split_sizes
from engine.data.table import Table
from engine.errors import Problem
from engine.hardware import detect
from engine.spec import DataSpec, RunSpec, from_json, to_json

NAMES = ("toxic", "insult", "threat")


def table(path: Path, lines: Sequence[str]) -> Table:
    path.write_text("".join(line + "\n" for line in lines), "utf-8")
    return open_file(path, 10**8)


def marks(path: Path, cells: dict[int, str] | None = None, count: int = 60, names: Sequence[str] = NAMES) -> Table:
    """Rows of every combination in turn; `cells`: lines put into their place, from 0 on."""
    rows = [f"some words of row {at}," + ",".join(str(at >> place & 1) for place in range(len(names))) for at in range(count)]
    for at, line in (cells or {}).items():
        rows[at] = line
    return table(path, [f"comment,{','.join(names)}", *rows])


def spec(**told: Any) -> DataSpec:
    return DataSpec("file:x", target="tags", **told)


def cells(made: Table, **told: Any) -> list[str | None]:
    """Each row's tags, as its column holds them."""
    found, _ = inspect(made, None, spec(**told))
    read = tags.with_tags(made, tags.Tags.of(made, found.labels), "found")
    return list(read.column("found").to_pylist())


def messages(found: Sequence[Problem]) -> str:
    return " ".join(one.message for one in found)


@pytest.mark.parametrize(("on", "off"), [("1", "0"), ("yes", "no"), ("True", "False"), ("x", ""), ("1.0", "0.0"), ("১", "০"), ("হ্যাঁ", "না")])
def test_a_column_says_on_and_off_in_many_ways(on: str, off: str, tmp_path: Path) -> None:
    rows = [f"text number {at},{on if at % 2 else off},{on if at % 3 else off}" for at in range(30)]
    made = table(tmp_path / "rows.csv", ["text,a,b", *rows])
    found, problems = inspect(made, None, spec())
    assert problems == ()
    assert (found.text, found.labels, found.tags) == ("text", ("a", "b"), {"a": 15, "b": 20})
    assert "2 columns say yes or no" in found.labels_why
    assert cells(made)[:3] == ["[]", '["a", "b"]', '["b"]']


@pytest.mark.parametrize("kind", ["semicolon", "comma", "pipe", "json", "python"])
def test_a_column_of_lists_is_read_by_what_stands_between(kind: str, tmp_path: Path) -> None:
    lists = [["insult", "rude talk"], ["insult"], [], ["rude talk", "হুমকি"]] * 15
    spelt = {
        "semicolon": "; ".join,
        "comma": ",".join,
        "pipe": "|".join,
        "json": lambda one: json.dumps(one, ensure_ascii=False),
        "python": str,
    }
    lines = [json.dumps({"text": f"some words {at}", "kinds": spelt[kind](one)}) for at, one in enumerate(lists)]  # type: ignore[operator]
    made = table(tmp_path / "rows.jsonl", lines)
    found, problems = inspect(made, None, spec())
    assert problems == ()
    assert found.labels == ("kinds",)
    assert found.tags == {"insult": 30, "rude talk": 30, "হুমকি": 15}
    assert cells(made)[:4] == ['["insult", "rude talk"]', '["insult"]', "[]", '["rude talk", "হুমকি"]']
    assert any("15 rows have none" in note for note in found.notes)


def test_a_missing_or_odd_tag_leaves_the_row_out_and_is_told(tmp_path: Path) -> None:
    made = marks(tmp_path / "rows.csv", {3: "some words of row 3,1,,0", 4: "some words of row 4,0,maybe,1"})
    found, problems = inspect(made, None, spec(labels=NAMES))
    assert problems == ()
    assert (found.usable, found.dropped) == (58, {"with a tag that is missing or cannot be read": 2})
    finding = next(one for one in examine(made, None, spec(labels=NAMES)).findings if one.id == "unread-tags")
    assert finding.rows == 2
    assert finding.examples[0] == "row 4: toxic 1, insult is blank, threat 0"


def test_a_row_with_tags_and_no_text_is_told(tmp_path: Path) -> None:
    made = marks(tmp_path / "rows.csv", {3: " ,1,1,0"})
    told = {one.id: one for one in examine(made, None, spec(labels=NAMES)).findings}
    assert (told["no-text"].rows, told["no-text"].examples) == (1, ("row 4: toxic 1, insult 1, threat 0",))


def test_rare_absent_and_constant_tags_are_told(tmp_path: Path) -> None:
    rows = [f"some words {at},{int(at < 30)},0,1,{int(at < 2)}" for at in range(60)]
    made = table(tmp_path / "rows.csv", ["text,usual,never,always,rare", *rows])
    found, problems = inspect(made, None, spec())
    assert found.tags == {"usual": 30, "never": 0, "always": 60, "rare": 2}
    assert {one.severity for one in problems} == {"warning"}
    assert "No row has the tag never" in messages(problems)
    assert "Every row has the tag always" in messages(problems)
    assert "Fewer than 5 rows have the tag rare (2)" in messages(problems)


def test_what_is_no_tags_is_refused_with_what_to_do(tmp_path: Path) -> None:
    made = table(tmp_path / "rows.csv", ["text,mood,stars", *(f"words {at} here,{'good' if at % 2 else 'bad'},{at}.5" for at in range(40))])
    assert "none holds lists of tags" in messages(inspect(made, None, spec())[1])
    assert "are missing or cannot be read" in messages(inspect(made, None, spec(labels=("mood", "stars")))[1])
    assert "has no column 'moot'" in messages(inspect(made, None, spec(labels=("moot",)))[1])
    assert "chosen as a text and as a tag" in messages(inspect(made, None, spec(text="text", labels=("text", "mood")))[1])
    one = marks(tmp_path / "one.csv", names=("toxic",))
    assert "one tag only" in messages(inspect(one, None, spec(labels=("toxic",)))[1])


def test_several_columns_of_yes_and_no_are_proposed_as_tags_where_one_would_be_learnt(tmp_path: Path) -> None:
    made = marks(tmp_path / "rows.csv")
    by_itself = inspect(made, None, DataSpec("file:x"))[0].meant
    assert by_itself is not None
    assert by_itself.task == "tag"
    data = DataSpec("file:x", label="toxic")  # chosen by a person
    found, _ = inspect(made, None, data)
    told = check(RunSpec(data, "x"), found, None, None, detect(tmp_path), catalog.load())
    assert any(one.field == "task" and "toxic, insult, threat" in one.message and "Give each text tags" in one.fix for one in told)
    told = check(RunSpec(spec(), "x", task="tag"), inspect(made, None, spec())[0], None, None, detect(tmp_path), catalog.load())
    assert not any(one.field == "task" for one in told)


def test_strata_are_combinations_and_rare_ones_go_together() -> None:
    rows = ['["a"]'] * 30 + ["[]"] * 20 + ['["a", "b"]'] * 4 + ['["b"]'] * 7 + ['["a", "c"]'] * 2
    made = strata.strata(pa.chunked_array([rows[:40], rows[40:]]))
    assert [made.to_pylist().count(one) for one in ("a", "no tag", "with b")] == [32, 20, 11]  # two rows with c alone are too few to cut
    assert set(strata.strata(pa.chunked_array([["[]", '["a"]']])).to_pylist()) == {"others"}


def test_every_part_has_the_tags_in_their_share_and_the_preview_foretells_its_size(tmp_path: Path) -> None:
    made = marks(tmp_path / "rows.csv", count=400)
    found, _ = inspect(made, None, spec())
    prepared = parted(made, None, spec(), Split())
    assert prepared.classes == NAMES
    parts = {"train": prepared.train, "validation": prepared.validation, "test": prepared.test}
    assert {name: len(part.texts) for name, part in parts.items()} == split_sizes(found.classes, None, Split(), False)
    for part in parts.values():
        assert part.targets == part.tags
        for at in range(3):
            assert sum(row[at] for row in part.tags or ()) == pytest.approx(len(part.texts) / 2, abs=1)
    numbers = [place for part in split_rows(["a"] * 20, Split()).values() for place in part]
    assert sorted(numbers) == list(range(20))
    by_text = dict(zip(prepared.test.texts, prepared.test.tags or (), strict=True))
    assert all(row == tuple(int(text.split()[-1]) >> place & 1 for place in range(3)) for text, row in by_text.items())


def test_given_test_rows_keep_the_tags_of_the_training_rows(tmp_path: Path) -> None:
    made = table(
        tmp_path / "rows.csv", ["text,tags", *(f"some words {at},{'a;b' if at % 2 else 'b;c' if at % 3 else ''}" for at in range(60))]
    )
    test = table(tmp_path / "test.csv", ["text,tags", *(f"other words {at},{'a;d' if at % 2 else 'c'}" for at in range(20))])
    problems = inspect(made, test, spec())[1]
    assert "tags that no training row has: d" in messages(problems)
    prepared = parted(made, test, spec(), Split())
    assert prepared.classes == ("a", "b", "c")
    assert set(prepared.test.tags or ()) == {(1, 0, 0), (0, 0, 1)}
    lacking = table(tmp_path / "other.csv", ["text,kinds", "x,a"])
    assert "lacks the column 'tags'" in messages(inspect(made, lacking, spec())[1])


def test_copies_are_found_by_text_and_all_tags_and_left_out(tmp_path: Path) -> None:
    made = marks(tmp_path / "rows.csv", {1: "some words of row 0,0,0,0", 2: "some words of row 0,1,0,0"})
    found = {one.id: one for one in examine(made, None, spec()).findings}
    assert found["copies"].rows == 1
    assert found["contradictions"].rows == 3
    fixed = parted(made, None, spec(fixes=("drop-conflicts",)), Split())
    assert sum(len(one.texts) for one in (fixed.train, fixed.validation, fixed.test)) == 57


def test_the_columns_of_tags_stand_in_the_spec() -> None:
    told = RunSpec(DataSpec("file:x", target="tags", labels=("a, with a comma", "b")), "x", task="tag")
    assert from_json(to_json(told)) == told
