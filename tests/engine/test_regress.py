"""Regression: one output on every kind of model and method, answers in the person's unit, a whole run with its account."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import account, export, number_baselines
from engine.answers import Answer
from engine.data.corrected import key
from engine.data.numbers import Scale
from engine.data.split import Prepared, Rows
from engine.data.texts import Texts
from engine.errors import Refused
from engine.methods import all_methods
from engine.models import find
from engine.predict import Predictor
from engine.spec import DataSpec, RunSpec
from engine.studio import Studio
from engine.tasks import classify, regress
from engine.trained import open_trained
from tests.engine.test_worker import record, work
from tests.tiny import ARCHITECTURES, LINES, tiny

WORDS = {"terrible": 1, "poor": 3, "fine": 5, "good": 7, "wonderful": 9}
SCALE = Scale(100.0, 20.0)


def rows_of(path: Path, count: int = 100) -> Path:
    """Texts of five kinds, each worth so many stars; Bengali among them."""
    told = [(f"{LINES[at % 5]} {at}", f"{2 * (at % 5) + 1},5 stars") for at in range(count)]
    path.write_text("review;rating\n" + "".join(f'"{text}";{rating}\n' for text, rating in told), "utf-8")
    return path


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    one = Studio(tmp_path / "home", worker=(sys.executable, "-c", "raise SystemExit"))
    one._supervisor.close()
    yield one
    one.close()


def a_spec(tmp_path: Path, architecture: str = "bert", **changed: Any) -> RunSpec:
    data = DataSpec(f"file:{rows_of(tmp_path / 'rows.csv')}", target="number")
    settings = {"epochs": 8, "batch_size": 8, "accumulation": 1, "evaluate_every": 10, "max_length": 32, "precision": "fp32", "patience": 0,
                "learning_rate": 5e-3}  # fmt: skip
    spec = RunSpec(data, str(tiny(architecture, tmp_path / architecture)), task="regress", preset=None, settings=settings)  # type: ignore[arg-type]
    return replace(spec, **changed)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_kind_of_model_gives_one_number_and_is_counted_as_it_is(architecture: str, tmp_path: Path) -> None:
    folder = tiny(architecture, tmp_path / architecture)
    tokenizer = regress.TASK.load_tokenizer(folder)
    model = regress.load_model(folder, ("all rows",), pad_token_id=tokenizer.pad_token_id)
    rows = classify.encode(tokenizer, Texts(LINES), regress.RegressKnobs(max_length=24))  # type: ignore[arg-type]
    found = regress.numbers(model, tokenizer, rows, scale=SCALE, batch_size=3)
    alone = [regress.numbers(model, tokenizer, [row], scale=SCALE)[0] for row in rows]
    assert found.shape == (len(LINES),)
    assert found == pytest.approx(alone, abs=1e-3)
    facts = regress.facts(find(str(folder), token=None, home=tmp_path))
    assert facts.parameters(2) == sum(part.numel() for part in model.parameters())
    assert model.config.problem_type == "regression"


@pytest.mark.parametrize("method", list(all_methods()))
def test_every_method_learns_numbers(method: str, tmp_path: Path) -> None:
    import torch

    told = all_methods()[method]
    folder = tiny("bert", tmp_path / "bert", num_hidden_layers=3)
    tokenizer = regress.TASK.load_tokenizer(folder)
    facts = regress.facts(find(str(folder), token=None, home=tmp_path))
    knobs = told.knobs()
    quantisation = told.quantisation(knobs, facts, "fp32") if told.quantisation else None
    torch.manual_seed(0)
    model = told.prepare(regress.load_model(folder, (), pad_token_id=tokenizer.pad_token_id, quantisation=quantisation), knobs, facts)
    trained = [part for part in model.parameters() if part.requires_grad]
    assert sum(part.numel() for part in trained) >= told.trainable(knobs, facts, 2) > 0
    rows = classify.encode(tokenizer, Texts(LINES), regress.RegressKnobs(max_length=24))  # type: ignore[arg-type]
    labels = [80.0 + 5 * at for at in range(len(LINES))]
    optimizer = torch.optim.AdamW(trained, lr=1e-2)
    model.train()
    losses = []
    for _ in range(25):
        loss = regress.learn(model, tokenizer, rows, labels, scale=SCALE)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert min(losses[-8:]) < losses[0]


def test_the_loss_is_that_of_the_scores_and_figures_are_in_the_person_s_unit(tmp_path: Path) -> None:
    folder = tiny("bert", tmp_path / "bert")
    tokenizer = regress.TASK.load_tokenizer(folder)
    model = regress.load_model(folder, ()).eval()
    rows = classify.encode(tokenizer, Texts(LINES), regress.RegressKnobs(max_length=24))  # type: ignore[arg-type]
    labels = [80.0 + 5 * at for at in range(len(LINES))]
    answers = regress.numbers(model, tokenizer, rows, scale=SCALE)
    told = regress.scores(labels, answers, (), scale=SCALE)
    assert told["loss"] == pytest.approx(regress.learn(model, tokenizer, rows, labels, scale=SCALE).item(), rel=1e-4)
    assert told["mae"] == pytest.approx(np.abs(answers - labels).mean())


@pytest.mark.parametrize(("architecture", "method"), [("bert", "lora"), ("qwen2", "full"), ("bert", "last_layers")])
def test_a_run_goes_from_its_plan_to_an_account_and_home(
    architecture: str, method: str, studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = a_spec(tmp_path, architecture, method=method)
    own: dict[str, Any] = {"full": {"learning_rate": 1e-3}, "last_layers": {"top_blocks": 1}}.get(method, {})
    spec = replace(spec, settings={**spec.settings, **own})
    folder = studio.store.folder(studio.start(spec))
    assert work(folder) == 0, (folder / "log.txt").read_text()
    done = record(folder)
    assert done.state == "finished"
    assert all({"loss", "mae", "rmse", "r2", "spearman"} == set(one.metrics) for one in done.evaluations)
    losses = [one.loss for one in done.steps]
    assert np.mean(losses[-10:]) < np.mean(losses[:10])
    told = studio.account(folder.name)
    assert told is not None
    assert told.headline == "mae"
    assert {one.id for one in told.figures} == {"mae", "rmse", "r2", "spearman"}
    assert [[other.id for other in one.others] for one in told.figures] == [["mean", "ridge"]] * 4
    assert account.from_json(account.to_json(told)) == told
    assert told.sentence.startswith("Its numbers are off by ")
    assert told.margin is None, "there are ten validation rows"
    lines = [json.loads(line) for line in (folder / account.TEXTS).read_text("utf-8").splitlines()]
    assert [one.key for one in studio.explorer.answers(folder.name)] == [key(one["number"], one["text"]) for one in lines]
    worst = studio.explorer.rows(folder.name, ["mistakes"])[0]
    assert isinstance(worst, Answer)
    assert abs(worst.off) == max(abs(one["numbers"][1] - one["numbers"][0]) for one in lines)
    studio.explorer.correct(folder.name, worst.key, "3.25")
    with pytest.raises(Refused, match="no number"):
        studio.explorer.correct(folder.name, worst.key, "much")
    assert [(one.old, one.new) for one in studio.explorer.corrections(folder.name)] == [(worst.label, "3.25")]
    assert "1 number was corrected" in str(studio.preview(studio.explorer.again(folder.name)).data)
    off = np.mean([abs(float(one["wanted"]) - float(one["written"])) for one in lines])
    assert off == pytest.approx(told.figures[0].value.value, abs=1e-2)

    opened = open_trained(folder / "model", home=studio.home)
    assert opened.kept.scale is not None
    assert opened.kept.scale.mean == pytest.approx(5.5, abs=0.5)
    again = opened.answers([one["prompt"] for one in lines])
    assert again == pytest.approx([float(one["written"]) for one in lines], abs=1e-2)
    predictor = Predictor(studio.home)
    try:
        (answer,) = predictor.ask(folder, [lines[0]["prompt"]])
    finally:
        predictor.close()
    assert float(answer.label) == pytest.approx(float(lines[0]["written"]), abs=1e-2)
    assert answer.probabilities == {}
    home = export.export(studio.store, folder.name).with_suffix("")
    card = (home / "README.md").read_text("utf-8")
    assert "Learns a number for each text" in card
    assert "TF-IDF with ridge regression" in card
    scope: dict[str, Any] = {"__file__": str(home / "example.py")}
    said: list[tuple[str, float]] = []
    lines_of = (
        (home / "example.py").read_text("utf-8").replace('["Write your text here.", "আপনার লেখা এখানে লিখুন।"]', repr([lines[0]["prompt"]]))
    )
    scope["print"] = lambda *told: said.append(told)
    monkeypatch.chdir(tmp_path)  # the example finds its base by the name of its folder
    exec(lines_of, scope)
    assert said[0][1] == pytest.approx(float(lines[0]["written"]), abs=1e-2)


def test_the_ridge_baseline_learns_what_words_are_worth_and_the_mean_is_the_training_rows(tmp_path: Path) -> None:
    names = list(WORDS)

    def part(start: int, end: int) -> Rows:
        return Rows([f"it was {names[at % 5]}" for at in range(start, end)], [0] * (end - start), list(range(start, end)),
                    values=[float(WORDS[names[at % 5]]) for at in range(start, end)])  # fmt: skip

    prepared = Prepared(("all rows",), part(0, 60), part(60, 80), part(80, 100), "f" * 64, ())
    assert number_baselines.always_the_mean(prepared).answers == (5.0,) * 20
    assert number_baselines.ridge(prepared).answers == pytest.approx(prepared.test.values, abs=0.5)
