"""Pairs of texts: put as each family's tokenizer puts them, cut alike, told apart by segments where the model knows them, whole runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from engine import answers, export
from engine.data.profile import profile
from engine.data.table import Table
from engine.data.texts import Texts
from engine.errors import Refused
from engine.methods import all_methods
from engine.models import find
from engine.predict import Predictor
from engine.spec import DataSpec, RunSpec
from engine.studio import Studio
from engine.tasks import _pairs, classify
from engine.trained import open_trained
from tests.engine.test_worker import record, work
from tests.tiny import ARCHITECTURES, DECODERS, LINES, tiny

KNOBS = classify.ClassifyKnobs(max_length=64)
SHORT = [line[:10] for line in LINES]
PAIRS = Texts(SHORT[:3], SHORT[3:6])


@pytest.mark.parametrize("architecture", [one for one in ARCHITECTURES if one not in DECODERS])
def test_an_encoder_s_pair_is_what_its_tokenizer_makes_of_it_segments_too(architecture: str, tmp_path: Path) -> None:
    folder = tiny(architecture, tmp_path / architecture)
    tokenizer = classify.load_tokenizer(folder)
    rows = classify.encode(tokenizer, PAIRS, KNOBS)
    for row, first, second in zip(rows, SHORT[:3], SHORT[3:6], strict=True):
        assert row == tokenizer(first, second)["input_ids"]
    batch = classify.collate(tokenizer, rows)
    assert ("token_type_ids" in batch) is (architecture in ("bert", "electra")), "only where the model has two segments"
    if "token_type_ids" in batch:
        for at, row in enumerate(rows):
            assert batch["token_type_ids"][at, : len(row)].tolist() == tokenizer(SHORT[at], SHORT[at + 3])["token_type_ids"]
        assert batch["token_type_ids"][batch["attention_mask"] == 0].sum() == 0
    with torch.inference_mode():
        assert classify.load_model(folder, ("a", "b"))(**batch).logits.shape == (3, 2)
    alone = classify.collate(tokenizer, classify.encode(tokenizer, Texts(SHORT[:3]), KNOBS))
    assert "token_type_ids" not in alone


@pytest.mark.parametrize("architecture", DECODERS)
def test_a_decoder_reads_a_new_line_between_the_two(architecture: str, tmp_path: Path) -> None:
    tokenizer = classify.load_tokenizer(tiny(architecture, tmp_path / architecture))
    (row,) = classify.encode(tokenizer, Texts(["good film"], ["bad film"]), KNOBS)
    assert tokenizer.decode(row, skip_special_tokens=True).split("\n") == ["good film", "bad film"]


def test_both_texts_are_cut_alike_and_a_short_one_not_at_all() -> None:
    assert _pairs.shared(100, 100, 40) == (20, 20)
    assert _pairs.shared(5, 100, 40) == (5, 35)
    assert _pairs.shared(100, 5, 40) == (35, 5)
    assert _pairs.shared(10, 20, 40) == (10, 20)
    assert _pairs.shared(100, 0, 40) == (40, 0)
    assert sum(_pairs.shared(100, 100, 41)) == 41


def test_no_pair_is_too_long_and_text_that_spells_a_separator_stays_text(tmp_path: Path) -> None:
    tokenizer = classify.load_tokenizer(tiny("bert", tmp_path / "bert"))
    rows = classify.encode(tokenizer, Texts(["good [SEP] film " * 40, "good"], ["bad " * 60, ""]), classify.ClassifyKnobs(max_length=24))
    assert [len(row) <= 24 for row in rows] == [True, True]
    assert [row.count(tokenizer.sep_token_id) for row in rows] == [2, 2]


def test_the_saved_tokenizer_knows_of_the_segments_without_the_model_beside_it(tmp_path: Path) -> None:
    for architecture in ("bert", "roberta", "distilbert"):
        tokenizer = classify.load_tokenizer(tiny(architecture, tmp_path / architecture))
        tokenizer.save_pretrained(tmp_path / f"kept-{architecture}")
        again = classify.load_tokenizer(tmp_path / f"kept-{architecture}")
        assert ("token_type_ids" in again.model_input_names) is (architecture == "bert")


@pytest.mark.parametrize("method", ["prefix", "prompt", "adapter", "last_layers"])
def test_methods_that_put_something_before_a_row_take_pairs(method: str, tmp_path: Path) -> None:
    folder = tiny("bert", tmp_path / "bert", num_hidden_layers=3)
    tokenizer, told = classify.load_tokenizer(folder), all_methods()[method]
    model = told.prepare(classify.load_model(folder, ("a", "b")), told.knobs(), find(str(folder), token=None, home=tmp_path))
    loss = classify.learn(model, tokenizer, classify.encode(tokenizer, PAIRS, KNOBS), [0, 1, 0])
    loss.backward()
    assert np.isfinite(loss.item())


def a_table(names: tuple[str, ...]) -> Table:
    columns = [[f"text number {at} of column {name}" for at in range(40)] for name in names[:-1]] + [["yes", "no"] * 20]
    return Table(names, pa.table({name: pa.array(one, pa.string()) for name, one in zip(names, columns, strict=True)}), "f" * 64, "a.csv")


def test_columns_of_pairs_are_known_by_their_names_and_others_by_choice_alone() -> None:
    found = profile(a_table(("premise", "hypothesis", "label")), None, DataSpec("file:a.csv"))
    assert (found.text, found.second, found.label) == ("premise", "hypothesis", "label")
    assert "pairs of texts" in found.second_why
    plain = profile(a_table(("review", "answer", "label")), None, DataSpec("file:a.csv"))
    assert plain.second == ""
    chosen = profile(a_table(("review", "answer", "label")), None, DataSpec("file:a.csv", text="review", second="answer"))
    assert (chosen.text, chosen.second) == ("review", "answer")
    none = profile(a_table(("premise", "hypothesis", "label")), None, DataSpec("file:a.csv", second=""))
    assert none.second == ""


def test_a_second_column_that_is_not_there_or_taken_is_told() -> None:
    for second, says in (("nowhere", "no column 'nowhere'"), ("label", "as the second text and as the label")):
        with pytest.raises(Refused, match=says):
            profile(a_table(("review", "answer", "label")), None, DataSpec("file:a.csv", text="review", label="label", second=second))


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    one = Studio(tmp_path / "home", worker=(sys.executable, "-c", "raise SystemExit"))
    one._supervisor.close()
    yield one
    one.close()


def test_a_run_on_pairs_is_judged_kept_asked_and_taken_home_with_both_texts(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        {"premise": LINES[at % 4], "hypothesis": LINES[at % 4 if at % 2 else (at + 1) % 4], "label": ["other", "same"][at % 2]}
        for at in range(120)
    ]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in rows), "utf-8")
    settings: dict[str, Any] = {
        "epochs": 2,
        "batch_size": 8,
        "accumulation": 1,
        "max_length": 48,
        "precision": "fp32",
        "evaluate_every": 20,
    }
    spec = RunSpec(DataSpec(f"file:{path}"), str(tiny("bert", tmp_path / "bert")), preset=None, settings=settings)
    folder = studio.store.folder(studio.start(spec))
    assert work(folder) == 0, (folder / "log.txt").read_text()
    assert record(folder).state == "finished"
    assert studio.reads_pairs(folder.name)
    said = answers.read(folder)
    assert all(one.second for one in said)
    opened = open_trained(folder / "model", home=studio.home)
    again = opened.probabilities([one.text for one in said], [str(one.second) for one in said])
    assert again.ravel() == pytest.approx([share for one in said for share in one.probabilities.values()], abs=1e-4)
    with pytest.raises(Refused, match="two texts at a time"):
        studio.predict(folder.name, ["good"])
    predictor = Predictor(studio.home)
    try:
        (told,) = predictor.ask(folder, [said[0].text], [str(said[0].second)])
    finally:
        predictor.close()
    assert told.probabilities == pytest.approx(said[0].probabilities, abs=1e-4)
    home = export.export(studio.store, folder.name).with_suffix("")
    lines = (home / "example.py").read_text("utf-8")
    asked = repr([(said[0].text, said[0].second)])
    heard: list[Any] = []
    monkeypatch.chdir(tmp_path)  # the example finds its base by the name of its folder
    here = lines.replace('[("Write a text here.", "And the one beside it here.")]', asked)
    exec(here, {"__file__": str(home / "example.py"), "print": lambda *told: heard.append(told[1])})
    assert heard == [pytest.approx(said[0].probabilities, abs=1e-4)]
