"""Data sets of the Hub: read from the stand-in Hub by the real libraries, in a process of its own; and what each failure says."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.data.hub import Fields, as_table, problem_of
from tests.hub import TOKEN, Hub, environment, serve_imdb

# What a process asked of the Hub finds: the facts, or the problems.
ASK = """
import json, sys
from pathlib import Path
from engine.data.profile import profile
from engine.data.sources import hub_layout, load
from engine.data.split import Split, prepare
from engine.errors import Refused
from engine.spec import DataSpec

answers = []
for kind, asked, token in json.loads(sys.argv[1]):
    try:
        if kind == "layout":
            answers.append(hub_layout(asked, token))
            continue
        spec = DataSpec(**asked)
        table, test = load(spec, home=Path(sys.argv[2]), token=token)
        facts = profile(table, test, spec)
        prepared = prepare(spec, Split(), home=Path(sys.argv[2]), token=token)
        sizes = [len(part.texts) for part in (prepared.train, prepared.validation, prepared.test)]
        answers.append({"text": facts.text, "label": facts.label, "classes": facts.classes, "given": facts.given_test,
                        "sha256": facts.sha256, "columns": list(table.columns), "notes": list(facts.notes), "origin": facts.origin,
                        "sizes": sizes, "example": prepared.train.texts[0]})
    except Refused as refused:
        answers.append([[problem.field, problem.message, problem.fix] for problem in refused.problems])
print(json.dumps(answers))
"""


def ask(hub_url: str, folder: Path, *questions: tuple[str, Any, str | None]) -> list[Any]:
    """The answers of a fresh process that takes `hub_url` for the Hub: `datasets` reads the address when it is imported."""
    done = subprocess.run(
        [sys.executable, "-c", ASK, json.dumps(questions), str(folder)],
        env=environment(hub_url, folder / "cache"), capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return list(json.loads(done.stdout.strip().split("\n")[-1]))


def serve(root: Path, dataset_id: str, parts: dict[str, pa.Table], card: str = "") -> None:
    folder = root / "datasets" / dataset_id
    (folder / "data").mkdir(parents=True)
    for split, table in parts.items():
        pq.write_table(table, folder / "data" / f"{split}-00000-of-00001.parquet")
    if card:
        (folder / "README.md").write_text(card)


def test_imdb_comes_with_its_official_split_and_label_names(hub: Hub, tmp_path: Path) -> None:
    serve_imdb(hub.root)
    official, resplit, layout, part = ask(
        hub.url, tmp_path,
        ("load", {"source": "hub:stanfordnlp/imdb"}, None),
        ("load", {"source": "hub:stanfordnlp/imdb", "resplit": True}, None),
        ("layout", "stanfordnlp/imdb", None),
        ("load", {"source": "hub:stanfordnlp/imdb", "train_split": "train[:25]", "test_split": "test"}, None),
    )  # fmt: skip
    assert official["classes"] == {"neg": 20, "pos": 20}
    assert (official["text"], official["label"], official["given"]) == ("text", "label", 40)
    assert official["sizes"] == [36, 4, 40]
    assert "<br" not in official["example"]
    assert official["sha256"] == resplit["sha256"]
    assert (resplit["given"], resplit["sizes"]) == (None, [64, 8, 8])
    assert layout == {"plain_text": ["train", "test", "unsupervised"]}
    assert sum(part["classes"].values()) == 25


def test_any_data_set_is_read_without_being_told_columns_or_splits(hub: Hub, tmp_path: Path) -> None:
    rows = pa.table({
        "number": pa.array([2**60 + place for place in range(40)]),
        "comment": [f"a comment of some words, the {place}th of them" for place in range(40)],
        "stars": pa.array([place % 3 for place in range(40)]),
        "tags": [["x"]] * 40,
    })  # fmt: skip
    serve(hub.root, "someone/comments", {"train": rows})
    (facts,) = ask(hub.url, tmp_path, ("load", {"source": "hub:someone/comments"}, None))
    assert (facts["text"], facts["label"], facts["given"]) == ("comment", "stars", None)
    assert facts["classes"] == {"0": 14, "1": 13, "2": 13}
    assert facts["columns"] == ["number", "comment", "stars"]
    assert "Columns that hold no plain text were left out: tags" in facts["notes"]
    assert facts["sizes"] == [32, 4, 4]


def test_a_missing_gated_or_misnamed_data_set_is_told_beside_its_field(hub: Hub, tmp_path: Path) -> None:
    serve_imdb(hub.root)
    hub.gated.add("stanfordnlp/imdb")
    missing, gated, misspelt, opened, split, config, unlabelled = ask(
        hub.url, tmp_path,
        ("load", {"source": "hub:no/such"}, None),
        ("load", {"source": "hub:stanfordnlp/imdb"}, None),
        ("load", {"source": "hub:../../etc/passwd"}, None),
        ("load", {"source": "hub:stanfordnlp/imdb"}, TOKEN),
        ("load", {"source": "hub:stanfordnlp/imdb", "train_split": "trian"}, TOKEN),
        ("load", {"source": "hub:stanfordnlp/imdb", "config": "fancy", "train_split": "train", "test_split": "test"}, TOKEN),
        ("load", {"source": "hub:stanfordnlp/imdb", "train_split": "unsupervised"}, TOKEN),
    )  # fmt: skip
    assert missing[0][0] == "data.source"
    assert "knows no 'no/such'" in missing[0][1]
    assert gated[0][0] == "data.source"
    assert "gated" in gated[0][1]
    assert "token" in gated[0][2]
    assert "not the id" in misspelt[0][1]
    assert opened["given"] == 40
    assert split[0][0] == "data.train_split"
    assert "'trian'; it has train, test, unsupervised" in split[0][1]
    assert config[0][0] == "data.config"
    assert unlabelled[0][0] in ("data.source", "data.label")
    assert TOKEN not in json.dumps([missing, gated, split, config, unlabelled])


def test_without_a_network_the_problem_says_so_and_what_was_fetched_before_still_opens(hub: Hub, tmp_path: Path) -> None:
    serve_imdb(hub.root)
    spec = {"source": "hub:stanfordnlp/imdb"}
    (online,) = ask(hub.url, tmp_path, ("load", spec, None))
    hub.close()
    unknown, offline = ask(hub.url, tmp_path, ("load", {"source": "hub:some/other"}, None), ("load", spec, None))
    assert unknown[0][0] == "data.source"
    assert "cannot be reached" in unknown[0][1]
    assert offline["classes"] == online["classes"]
    assert offline["sha256"] == online["sha256"]


def test_the_home_holds_the_rows_that_were_made_from_a_data_set(hub: Hub, tmp_path: Path) -> None:
    serve_imdb(hub.root)
    told = (
        "import sys; from pathlib import Path; from engine.studio import Studio; from engine.spec import DataSpec\n"
        "studio = Studio(Path(sys.argv[1]), dispatch=False)\n"
        "print(studio.inspect(DataSpec('hub:stanfordnlp/imdb')).usable, studio._supervisor.environment(None)['HF_DATASETS_CACHE'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", told, str(tmp_path / "home")],
        env=environment(hub.url, tmp_path / "cache"), capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False,
    )  # fmt: skip
    kept = tmp_path / "home" / "cache" / "datasets"
    assert done.stdout == f"40 {kept}\n", done.stderr
    assert list(kept.rglob("*.arrow"))
    assert not list((tmp_path / "cache").rglob("*.arrow"))


# Opens one split under a limit, and tells what of the data was fetched.
LIMITED = """
import json, sys
from pathlib import Path
from engine.data.hub import open_hub
from engine.errors import Refused

split, limit = sys.argv[1], int(sys.argv[2])
try:
    print(json.dumps(["rows", open_hub("someone/large", None, split, None, limit_bytes=limit).rows]))
except Refused as refused:
    (problem,) = refused.problems
    print(json.dumps([problem.field, problem.message]))
"""


def limited(hub: Hub, folder: Path, split: str, limit_bytes: int) -> tuple[str, str | int]:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, split, str(limit_bytes)],
        env=environment(hub.url, folder / "cache"), capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    kind, told = json.loads(done.stdout.strip().split("\n")[-1])
    return kind, told


def test_a_data_set_over_the_limit_is_refused_before_it_is_fetched_also_by_a_slice(hub: Hub, tmp_path: Path) -> None:
    texts = [hashlib.sha256(str(place).encode()).hexdigest() for place in range(3000)]  # packs badly: its file has 0.3 MB
    few = pa.table({"text": texts[:30], "label": ["a", "b"] * 15})
    serve(hub.root, "someone/large", {"train": pa.table({"text": texts, "label": ["a", "b"] * 1500}), "test": few})
    for split in ("train", "train[:1%]"):
        field, message = limited(hub, tmp_path, split, 50_000)
        assert field == "data.train_split"
        assert "'train' of someone/large" in str(message)
        assert "limit is 0.050 MB" in str(message)
    field, message = limited(hub, tmp_path, "test", 50_000)  # the library would fetch train too
    assert (field, "all of whose splits" in str(message)) == ("data.source", True)
    assert not [one for one in (tmp_path / "cache").rglob("*") if one.is_file() and one.stat().st_size > 50_000]
    assert limited(hub, tmp_path, "train[:1%]", 1_000_000) == ("rows", 30)


def test_rows_that_were_packed_below_the_limit_are_refused_once_their_size_is_known(hub: Hub, tmp_path: Path) -> None:
    same = pa.table({"text": ["the same words again and again " * 20] * 2000, "label": ["a", "b"] * 1000})
    serve(hub.root, "someone/large", {"train": same})
    for split in ("train[:1%]", "train"):
        field, message = limited(hub, tmp_path, split, 500_000)
        assert field == "data.train_split"
        assert "limit is 0.500 MB" in str(message)
    assert limited(hub, tmp_path, "train[:1%]", 5_000_000) == ("rows", 20)


def test_class_numbers_become_names_and_no_label_becomes_missing() -> None:
    from datasets import ClassLabel, Features, Value

    rows = pa.table({"text": ["a\x00b", "", "c"], "label": pa.array([1, -1, 0])})
    table = as_table(rows, Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])}), "sum", "some/set")
    assert table.data.to_pydict() == {"text": ["a b", None, "c"], "label": ["pos", None, "neg"]}


@pytest.mark.parametrize(
    ("error", "token", "field", "words", "fix"),
    [
        ("DatasetNotFoundError:Dataset 'x/y' is a gated dataset on the Hub.", None, "data.source", "gated", "token"),
        ("DatasetNotFoundError:Dataset 'x/y' doesn't exist on the Hub", None, "data.source", "knows no 'x/y'", "spelling"),
        ("DataFilesNotFoundError:No (supported) data files found in x/y", None, "data.source", "no files", "table"),
        ("RuntimeError:Dataset scripts are no longer supported, but found y.py", None, "data.source", "its own code", "Parquet"),
        ("ValueError:BuilderConfig 'q' not found. Available: ['a', 'b']", None, "data.config", "subsets", "a, b"),
        ("ValueError:Unknown split \"z\". Should be one of ['train'].", None, "data.train_split", "split", "split"),
        ("RuntimeError:", None, "data.source", "RuntimeError", "another"),
    ],
)
def test_each_failure_of_the_library_is_told_in_words(error: str, token: str | None, field: str, words: str, fix: str) -> None:
    from datasets import exceptions

    kind, _, said = error.partition(":")
    raised = {"RuntimeError": RuntimeError, "ValueError": ValueError}.get(kind) or getattr(exceptions, kind)
    problem = problem_of(raised(said), "x/y", token, Fields())
    assert problem.field == field
    assert words in problem.message
    assert fix in problem.fix
