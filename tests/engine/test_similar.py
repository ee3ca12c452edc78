"""Comparing two texts: the cosine of mean word vectors on every encoder and method, labels brought to 0 to 1, a whole run."""

from __future__ import annotations

import json
import sys
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from engine import export, number_baselines, pooling, redrawn, trained, worker
from engine.data.numbers import Scale, numbers
from engine.data.split import Prepared, Rows
from engine.data.texts import Texts
from engine.hardware import Hardware
from engine.methods import all_methods
from engine.models import find
from engine.pooling import FLAGS
from engine.spec import DataSpec, RunSpec
from engine.studio import Studio
from engine.tasks import classify, similar
from engine.trained import open_trained
from tests.engine.test_worker import record, work
from tests.tiny import ARCHITECTURES, DECODERS, LINES, tiny

ENCODERS = [one for one in ARCHITECTURES if one not in DECODERS]
SCALE = Scale(2.5, 1.5, 0.0, 5.0)
KNOBS = similar.SimilarKnobs(max_length=24)
PAIRS = Texts([LINES[0], LINES[1], LINES[2]], [LINES[0], LINES[4], LINES[5][:6]])


@pytest.mark.parametrize("architecture", ENCODERS)
def test_a_pair_s_cosine_is_that_of_the_means_of_each_text_alone(architecture: str, tmp_path: Path) -> None:
    folder = tiny(architecture, tmp_path / architecture)
    tokenizer = classify.load_tokenizer(folder)
    model = similar.load_model(folder, ()).eval()
    rows = similar.encode(tokenizer, PAIRS, KNOBS)
    found = similar.answers(model, tokenizer, rows, batch_size=2)

    def mean(text: str) -> torch.Tensor:
        ids = classify.encode(tokenizer, Texts([text]), classify.ClassifyKnobs(max_length=24, keep="start"))
        with torch.inference_mode():
            return model(input_ids=torch.tensor(ids)).last_hidden_state[0].mean(dim=0)

    alone = [
        torch.cosine_similarity(mean(one), mean(other), dim=0).item() for one, other in zip(PAIRS.first, PAIRS.second or (), strict=True)
    ]
    assert found == pytest.approx(alone, abs=1e-4)
    assert found[0] == pytest.approx(1.0, abs=1e-5), "a text is all alike to itself"
    facts = similar.facts(find(str(folder), token=None, home=tmp_path))
    assert facts.parameters(2) == sum(part.numel() for part in model.parameters())


@pytest.mark.parametrize("method", [one for one in all_methods() if one != "head"])
def test_every_method_brings_the_cosines_nearer_to_the_labels_and_comes_back_as_it_was(method: str, tmp_path: Path) -> None:
    told = all_methods()[method]
    folder = tiny("bert", tmp_path / "bert", num_hidden_layers=3)
    tokenizer = classify.load_tokenizer(folder)
    facts = similar.facts(find(str(folder), token=None, home=tmp_path))
    knobs = told.knobs()
    quantisation = told.quantisation(knobs, facts, "fp32") if told.quantisation else None
    torch.manual_seed(1)
    model = told.prepare(similar.load_model(folder, (), quantisation=quantisation), knobs, facts)
    trained = [part for part in model.parameters() if part.requires_grad]
    rows = similar.encode(tokenizer, PAIRS, KNOBS)
    optimizer = torch.optim.AdamW(trained, lr=1e-2)
    if told.along is not None:
        told.along.begin(model, 20)
    losses = []
    model.train()
    for _ in range(15):
        loss = similar.learn(model, tokenizer, rows, [5.0, 0.0, 2.0], scale=SCALE)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert min(losses[-6:]) < losses[0]
    kept = tmp_path / "kept"
    kept.mkdir()
    told.save(model, kept)
    again = told.load(kept, folder if told.freezes_body else kept, lambda place: similar.load_model(place, (), quantisation=quantisation))
    assert similar.answers(again, tokenizer, rows) == pytest.approx(similar.answers(model, tokenizer, rows), abs=1e-3)


def test_the_head_alone_and_a_model_that_writes_are_refused(tmp_path: Path) -> None:
    bert = similar.facts(find(str(tiny("bert", tmp_path / "bert")), token=None, home=tmp_path))
    machine = Hardware("Some CPU", 2, 16 * 10**9, 12 * 10**9, 50 * 10**9)
    assert all_methods()["head"].check(all_methods()["head"].knobs(), bert, machine)
    qwen = find(str(tiny("qwen2", tmp_path / "qwen2")), token=None, home=tmp_path)
    (problem,) = similar.check(KNOBS, qwen)
    assert "encoder" in problem.message


def test_labels_are_brought_to_0_to_1_and_words_that_say_whether_are_read() -> None:
    assert similar.wanted([0.0, 2.5, 5.0, 6.0, -1.0], SCALE) == [0.0, 0.5, 1.0, 1.0, 0.0]
    values, said = numbers(pa.chunked_array([["same", "Different", "same"]]))
    assert values.to_pylist() == [1.0, 0.0, 1.0]
    assert "'same' is 1" in said[0]
    assert numbers(pa.chunked_array([["হ্যাঁ", "না"]]))[0].to_pylist() == [1.0, 0.0]


def test_shared_words_make_texts_alike_for_the_baseline() -> None:
    rows = Rows(
        ["a good film", "a good film", "a good film"], [0] * 3, [1, 2, 3], ["a good film", "a good book", "quite bad"], None, [5.0, 3, 0]
    )
    prepared = Prepared(("all rows",), rows, rows, rows, "f" * 64, ())
    same, near, far = number_baselines.cosine_of_words(prepared).answers
    assert same == pytest.approx(1.0)
    assert 1 > near > far >= 0


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    one = Studio(tmp_path / "home", worker=(sys.executable, "-c", "raise SystemExit"))
    one._supervisor.close()
    yield one
    one.close()


def test_the_tuned_model_is_let_go_before_the_untuned_one_is_opened(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [{"sentence1": LINES[at % 4], "sentence2": LINES[at % 3], "score": at % 3} for at in range(60)]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in told), "utf-8")
    settings: dict[str, Any] = {"max_steps": 2, "batch_size": 4, "max_length": 16, "precision": "fp32"}
    base = str(tiny("bert", tmp_path / "bert"))
    spec = RunSpec(DataSpec(f"file:{path}", target="number"), base, "full", task="similar", preset=None, settings=settings)
    folder = studio.store.folder(studio.start(spec))
    opened: list[weakref.ref[Any]] = []
    still_there: list[bool] = []
    really = trained.open_base

    def open_base(*told: Any, **how: Any) -> Any:
        still_there.append(any(one() is not None for one in opened))
        model = really(*told, **how)
        opened.append(weakref.ref(model))
        return model

    monkeypatch.setattr(trained, "open_base", open_base)
    ended = worker._run(folder, studio.home, studio.plan(folder.name), lambda _: None)
    assert ended.status == "finished"
    assert still_there == [False, False]
    kept = redrawn.read(folder / redrawn.FILE)
    assert list(kept) == ["spearman", "pearson"]
    account = studio.account(folder.name)
    assert account is not None
    assert [one.value for one in kept.values()] == pytest.approx([one.value.value for one in account.figures])


def pools(folder: Path, told: dict[str, Any]) -> Path:
    """The folder with how its makers pool."""
    (folder / pooling.FILE).parent.mkdir(parents=True)
    (folder / pooling.FILE).write_text(json.dumps(told))
    return folder


@pytest.mark.parametrize("mode", list(pooling.FLAGS))
def test_each_way_of_pooling_gives_the_vectors_of_sentence_transformers(mode: str, tmp_path: Path) -> None:
    from sentence_transformers.models import Pooling

    states, mask = torch.randn(3, 7, 8), torch.tensor([[1] * 7, [1] * 4 + [0] * 3, [1] + [0] * 6])
    wanted = Pooling(8, pooling_mode=mode)({"token_embeddings": states, "attention_mask": mask})["sentence_embedding"]
    assert torch.allclose(pooling.pooled(states, mask, [mode]), wanted, atol=1e-6)
    for row, length in enumerate((7, 4, 1)):  # as the lines that are taken home have it
        alone = eval(pooling.line([mode]), {"torch": torch, "states": states[row, :length], "ids": [0] * length})
        assert torch.allclose(alone, wanted[row], atol=1e-6)
    for told in ({"pooling_mode": mode}, {"pooling_mode": [mode]}, pooling.config([mode], 8)):
        assert pooling.read(pools(tmp_path / str(len(str(told))), told)) == (mode,)


def test_several_ways_stand_one_behind_the_other_and_what_cannot_be_read_is_the_mean(tmp_path: Path) -> None:
    states, mask = torch.randn(2, 5, 4), torch.ones(2, 5)
    both = pooling.pooled(states, mask, ["cls", "mean"])
    assert torch.equal(both, torch.cat([states[:, 0], states.mean(1)], dim=-1))
    assert pooling.read(pools(tmp_path / "both", {FLAGS["cls"]: True, FLAGS["mean"]: True})) == ("cls", "mean")
    assert pooling.line(["cls", "mean"]) == "torch.cat([states[0], states.mean(0)])"
    assert pooling.read(pools(tmp_path / "odd", {"pooling_mode": "other"})) == pooling.read(tmp_path) == pooling.MEAN


def test_a_layer_behind_the_pooling_is_told_since_it_is_left_out(tmp_path: Path) -> None:
    folder = tiny("bert", tmp_path / "bert")
    assert similar.check(KNOBS, find(str(folder), token=None, home=tmp_path)) == ()
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense" / "config.json").write_text("{}")
    (problem,) = similar.check(KNOBS, find(str(folder), token=None, home=tmp_path))
    assert (problem.severity, "left out here" in problem.message) == ("warning", True)


@pytest.mark.parametrize("modes", [["mean"], ["cls"]])
def test_a_run_is_told_beside_the_untuned_model_and_shared_words(
    modes: list[str], studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [{"sentence1": LINES[at % 4], "sentence2": LINES[(at + at // 4 % 3) % 4], "score": [5, 1, 2][at // 4 % 3]} for at in range(120)]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in told), "utf-8")
    settings: dict[str, Any] = {
        "epochs": 2,
        "batch_size": 8,
        "accumulation": 1,
        "max_length": 32,
        "precision": "fp32",
        "evaluate_every": 12,
    }
    data = DataSpec(f"file:{path}", target="number")
    base = pools(tiny("bert", tmp_path / "bert"), pooling.config(modes, 32))
    spec = RunSpec(data, str(base), task="similar", preset=None, settings=settings)
    plan = studio.preview(spec).plan
    assert plan is not None
    assert any("the vector of its first token" in one for one in plan.notes) == (modes == ["cls"])
    alone = studio.preview(replace(spec, data=replace(data, second="")))
    assert [one.field for one in alone.problems if one.severity == "error"] == ["data.second"]
    folder = studio.store.folder(studio.start(spec))
    assert work(folder) == 0, (folder / "log.txt").read_text()
    assert record(folder).state == "finished"
    made = studio.account(folder.name)
    assert made is not None
    assert [one.id for one in made.figures] == ["spearman", "pearson"]
    assert made.figures[0].before is not None
    assert [one.id for one in made.figures[0].others] == ["words"]
    assert "The untuned model reaches" in made.sentence
    assert [one.label for one in studio.predict(folder.name, [LINES[0]], [LINES[0]])] == ["1"]
    opened = open_trained(folder / "model", home=studio.home)
    found = opened.answers([LINES[0], LINES[0]], [LINES[0], LINES[3]])
    assert found[0] == pytest.approx(1.0, abs=1e-4)
    assert np.abs(found).max() <= 1.0001
    home = export.export(studio.store, folder.name).with_suffix("")
    heard: list[float] = []
    monkeypatch.chdir(tmp_path)  # the example finds its base by the name of its folder
    here = (
        (home / "example.py")
        .read_text("utf-8")
        .replace('("Write a text here.", "And the one beside it here.")', repr((LINES[0], LINES[3])))
    )
    exec(here, {"__file__": str(home / "example.py"), "print": lambda *told: heard.append(told[1])})
    assert heard == [pytest.approx(found[1], abs=1e-4)]
    from sentence_transformers import SentenceTransformer

    whole = export.export(studio.store, folder.name, merged=True).with_suffix("")
    assert 'SentenceTransformer("this folder")' in (whole / "README.md").read_text("utf-8")
    sentences = SentenceTransformer(str(whole), device="cpu")
    assert sentences.max_seq_length == 32
    assert pooling.read(whole) == tuple(modes)
    assert sentences.similarity(*sentences.encode([LINES[0], LINES[3]])).item() == pytest.approx(found[1], abs=1e-4)
