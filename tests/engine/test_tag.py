"""Tags: figures as scikit-learn counts them, one output a tag on every kind of model and method, a whole run with its account."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import account, account_report, export, gathered, judging, tag_baselines, tag_metrics
from engine.data.corrected import of_tags
from engine.data.split import Prepared, Rows
from engine.data.texts import Texts
from engine.methods import all_methods
from engine.models import find
from engine.predict import Predictor
from engine.spec import DataSpec, RunSpec
from engine.studio import Studio
from engine.tasks import classify, tag
from engine.trained import open_trained
from tests.engine.test_worker import record, work
from tests.tiny import LINES, tiny

TAGS = ("toxic", "praise", "প্রশ্ন")
WORDS = ("stupid", "wonderful", "why")


def tagged(count: int) -> list[tuple[str, tuple[int, ...]]]:
    """Texts with every combination of three words, each of which is a tag."""
    found = []
    for at in range(count):
        row = tuple(at >> place & 1 for place in range(3))
        words = [word for word, on in zip(WORDS, row, strict=True) if on]
        found.append((" ".join([*words, "the phone", str(at)]), row))
    return found


def rows_of(path: Path, count: int = 160) -> Path:
    told = "".join(f"{text},{','.join(map(str, row))}\n" for text, row in tagged(count))
    path.write_text(f"comment,{','.join(TAGS)}\n{told}", "utf-8")
    return path


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    one = Studio(tmp_path / "home", worker=(sys.executable, "-c", "raise SystemExit"))
    one._supervisor.close()
    yield one
    one.close()


def a_spec(tmp_path: Path, **changed: Any) -> RunSpec:
    data = DataSpec(f"file:{rows_of(tmp_path / 'rows.csv')}", target="tags")
    settings = {"epochs": 6, "batch_size": 8, "accumulation": 1, "evaluate_every": 20, "max_length": 32, "precision": "fp32", "patience": 0,
                "learning_rate": 5e-3, "class_weights": "balanced"}  # fmt: skip
    spec = RunSpec(data, str(tiny("bert", tmp_path / "bert")), task="tag", preset=None, settings=settings)  # type: ignore[arg-type]
    return replace(spec, **changed)


def test_the_figures_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import accuracy_score, f1_score, hamming_loss, precision_recall_fscore_support, precision_score, recall_score

    dice = np.random.default_rng(3)
    wanted, given = (dice.random((60, 5)) < share for share in ((0.5, 0.3, 0.1, 0.0, 0.9), (0.4, 0.4, 0.05, 0.0, 1.0)))
    found = {one.id: one.value for one in tag_metrics.figures(given, wanted.tolist())}
    how: dict[str, Any] = {"zero_division": 0.0}
    assert found == pytest.approx({
        "micro_f1": f1_score(wanted, given, average="micro", **how),
        "macro_f1": f1_score(wanted, given, average="macro", **how),
        "exact": accuracy_score(wanted, given),
        "hamming": hamming_loss(wanted, given),
        "micro_precision": precision_score(wanted, given, average="micro", **how),
        "micro_recall": recall_score(wanted, given, average="micro", **how),
    })  # fmt: skip
    each = precision_recall_fscore_support(wanted, given, **how)
    parts = tag_metrics.parts(given, wanted.tolist(), "abcde")
    for at, name in enumerate(("precision", "recall", "f1", "rows")):
        assert [getattr(one, name) for one in parts] == pytest.approx(each[at].tolist())


def test_average_precision_is_that_of_scikit_learn_also_with_equal_chances() -> None:
    from sklearn.metrics import average_precision_score

    dice = np.random.default_rng(4)
    wanted, chances = (dice.random((40, 3)) < 0.3).astype(int), dice.integers(0, 6, (40, 3)) / 5
    expected = average_precision_score(wanted, chances, average="micro")
    assert tag_metrics.average_precision(chances, wanted.tolist()) == pytest.approx(expected)
    assert tag_metrics.average_precision(np.zeros((2, 2)), [(0, 0), (0, 0)]) == 0.0


def test_the_threshold_is_the_best_on_the_rows_and_one_half_where_no_other_is_better() -> None:
    assert tag_metrics.threshold(np.array([[0.3, 0.1], [0.25, 0.1], [0.1, 0.3]]), [(1, 0), (1, 0), (0, 1)]) == 0.25
    assert tag_metrics.threshold(np.array([[0.9, 0.1], [0.1, 0.9]]), [(1, 0), (0, 1)]) == 0.5
    assert tag_metrics.threshold(np.zeros((0, 2)), []) == 0.5


def test_the_loss_is_that_of_the_scores_and_weights_are_those_of_torch(tmp_path: Path) -> None:
    import torch

    folder = tiny("bert", tmp_path / "bert")
    tokenizer = tag.TASK.load_tokenizer(folder)
    model = tag.load_model(folder, TAGS).eval()
    rows = classify.encode(tokenizer, Texts(LINES), tag.TagKnobs(max_length=24))  # type: ignore[arg-type]
    labels = [tuple(at >> place & 1 for place in range(3)) for at in range(len(LINES))]
    chances = tag.chances(model, tokenizer, rows, batch_size=3)
    told = tag.scores(labels, chances, TAGS)
    assert told["loss"] == pytest.approx(tag.learn(model, tokenizer, rows, labels).item(), rel=1e-4)
    weights = tag.balanced([(1, 0, 0), (0, 0, 1), (0, 0, 1), (0, 0, 1)], 3)
    assert weights == pytest.approx((3.0, 1.0, 1 / 3))
    logits = torch.from_numpy(np.log(chances / (1 - chances)))
    wanted = torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor(weights))(logits, torch.tensor(labels, dtype=torch.float64))
    assert tag.learn(model, tokenizer, rows, labels, weights=weights).item() == pytest.approx(wanted.item(), rel=1e-4)


@pytest.mark.parametrize("architecture", ["bert", "qwen2"])  # the heads are classify's, which tries every kind
def test_encoders_and_decoders_give_a_chance_a_tag_and_is_counted_as_it_is(architecture: str, tmp_path: Path) -> None:
    folder = tiny(architecture, tmp_path / architecture)
    tokenizer = tag.TASK.load_tokenizer(folder)
    model = tag.load_model(folder, TAGS, pad_token_id=tokenizer.pad_token_id)
    rows = classify.encode(tokenizer, Texts(LINES), tag.TagKnobs(max_length=24))  # type: ignore[arg-type]
    found = tag.chances(model, tokenizer, rows, batch_size=3)
    alone = [tag.chances(model, tokenizer, [row])[0] for row in rows]
    assert found.shape == (len(LINES), 3)
    assert found == pytest.approx(np.array(alone), abs=1e-4)
    facts = tag.TASK.facts(find(str(folder), token=None, home=tmp_path))
    assert facts.parameters(3) == sum(part.numel() for part in model.parameters())
    assert model.config.problem_type == "multi_label_classification"


@pytest.mark.parametrize("method", ["full", "qlora", "prefix", "adapter"])  # one of each way to put a head on; classify tries them all
def test_each_way_to_put_a_head_on_learns_tags(method: str, tmp_path: Path) -> None:
    import torch

    told = all_methods()[method]
    folder = tiny("bert", tmp_path / "bert", num_hidden_layers=3)
    tokenizer = tag.TASK.load_tokenizer(folder)
    facts = find(str(folder), token=None, home=tmp_path)
    knobs = told.knobs()
    quantisation = told.quantisation(knobs, facts, "fp32") if told.quantisation else None
    torch.manual_seed(0)  # of the head and of dropout: 25 steps of prefix tuning move the loss by no more than these can
    model = told.prepare(tag.load_model(folder, TAGS, pad_token_id=tokenizer.pad_token_id, quantisation=quantisation), knobs, facts)
    trained = [part for part in model.parameters() if part.requires_grad]
    rows = classify.encode(tokenizer, Texts(LINES), tag.TagKnobs(max_length=24))  # type: ignore[arg-type]
    labels = [tuple(at >> place & 1 for place in range(3)) for at in range(len(LINES))]
    optimizer = torch.optim.AdamW(trained, lr=1e-2)
    model.train()
    losses = []
    for _ in range(25):
        loss = tag.learn(model, tokenizer, rows, labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert min(losses[-8:]) < losses[0]


def test_a_run_goes_from_its_plan_to_an_account_and_home(studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = studio.store.folder(studio.start(a_spec(tmp_path)))
    plan = studio.plan(folder.name)
    assert (plan.labels, plan.label_columns, plan.learnt_from) == (TAGS, TAGS, ", ".join(TAGS))
    assert plan.settings["select_by"] == "average_precision"
    assert work(folder) == 0, (folder / "log.txt").read_text()
    done = record(folder)
    assert done.state == "finished"
    assert {"loss", "micro_f1", "macro_f1", "exact", "hamming"} <= set(done.evaluations[0].metrics)
    told = studio.account(folder.name)
    assert told is not None
    first = told.figures[0]
    assert (told.headline, first.id) == ("micro_f1", "micro_f1")
    losses = [one.loss for one in done.steps]
    assert np.mean(losses[-10:]) < np.mean(losses[:10])
    assert [other.id for other in first.others] == ["none", "commonest", "tfidf"]
    assert account.from_json(account.to_json(told)) == told
    assert told.sentence.startswith("On 16 unseen rows ")
    assert [one.name for one in told.parts] == list(TAGS)
    assert told.belief is not None
    assert all(one.calibration_error is not None and 0 <= one.calibration_error <= 1 for one in told.parts)
    lines = [json.loads(line) for line in (folder / account.TEXTS).read_text("utf-8").splitlines()]
    assert told.threshold is not None
    for one in lines:
        assert one["given_each"] == {name: int(chance >= told.threshold) for name, chance in one["chance_each"].items()}
        assert one["written"] == (", ".join(name for name, on in one["given_each"].items() if on) or "no tag")
    assert np.mean([one["wanted_each"] == one["given_each"] for one in lines]) == told.figures[2].value.value

    explorer = studio.explorer
    assert sum(rows for pick, _, rows in explorer.groups(folder.name) if pick[0] == "missed") == sum(one.missed for one in told.parts)
    assert sum(rows for pick, _, rows in explorer.groups(folder.name) if pick[0] == "extra") == sum(one.extra for one in told.parts)
    first_row = explorer.answers(folder.name)[0]
    assert first_row.tags is not None
    other = [tag for tag in TAGS if tag not in first_row.tags[0]]
    explorer.correct(folder.name, first_row.key, of_tags(other))
    assert [(one.old, one.new) for one in explorer.corrections(folder.name)] == [(of_tags(first_row.tags[0]), of_tags(other))]
    assert "1 row's tags were corrected" in str(studio.preview(explorer.again(folder.name)).data)

    opened = open_trained(folder / "model", home=studio.home)
    assert opened.kept.threshold == told.threshold
    again = opened.answers([one["prompt"] for one in lines])
    assert again == pytest.approx(np.array([list(one["chance_each"].values()) for one in lines]), abs=1e-3)
    predictor = Predictor(studio.home)
    try:
        (answer,) = predictor.ask(folder, [lines[-1]["prompt"]])
    finally:
        predictor.close()
    assert answer.label == lines[-1]["written"]
    assert answer.threshold == told.threshold
    assert answer.probabilities == pytest.approx(lines[-1]["chance_each"], abs=1e-3)
    home = export.export(studio.store, folder.name).with_suffix("")
    card = (home / "README.md").read_text("utf-8")
    assert "Gives each text any of 3 tags" in card
    assert "| প্রশ্ন |" in card
    known = gathered.known_account(studio, folder.name)
    assert known is not None
    assert "Rows that have it" in str(account_report.document(known))
    scope: dict[str, Any] = {"__file__": str(home / "example.py")}
    said: list[tuple[Any, ...]] = []
    lines_of = (
        (home / "example.py").read_text("utf-8").replace('["Write your text here.", "আপনার লেখা এখানে লিখুন।"]', repr([lines[-1]["prompt"]]))
    )
    scope["print"] = lambda *told: said.append(told)
    monkeypatch.chdir(tmp_path)  # the example finds its base by the name of its folder
    exec(lines_of, scope)
    assert ", ".join(said[0][1]) == lines[-1]["written"].replace("no tag", "")
    assert said[0][2] == pytest.approx(lines[-1]["chance_each"], abs=1e-3)


def test_the_baselines_know_words_and_the_commonest_tags() -> None:
    def part(start: int, end: int) -> Rows:
        chosen = tagged(end)[start:]
        return Rows([text for text, _ in chosen], [0] * len(chosen), list(range(start, end)), tags=[(*row, 1, 0) for _, row in chosen])

    prepared = Prepared((*TAGS, "always", "never"), part(0, 80), part(80, 104), part(104, 128), "f" * 64, ())
    assert prepared.test.targets == prepared.test.tags
    assert set(tag_baselines.none(prepared).answers) == {(0, 0, 0, 0, 0)}
    assert set(tag_baselines.commonest(prepared).answers) == {(1, 1, 1, 1, 0)}
    assert tag_baselines.tfidf(prepared).answers == [list(row) for row in prepared.test.tags or ()]


def test_true_chances_of_tags_are_believed_and_heated_ones_are_not() -> None:
    """The error of one bin is what it is by hand: chances of 0.9 where 6 of 10 are there lie 0.3 apart."""
    dice = np.random.default_rng(2)
    true = dice.random((400, 3))
    wanted = (dice.random((400, 3)) < true).astype(int).tolist()
    believed, heated = judging._belief(true, wanted), judging._belief(np.clip(0.5 + 2 * (true - 0.5), 0.001, 0.999) ** 0.5, wanted)
    assert believed is not None
    assert heated is not None
    assert believed.words.startswith("Its chances can be believed")
    assert "they are too high" in heated.words
    by_hand = judging._belief(np.full((10, 1), 0.9), [[1]] * 6 + [[0]] * 4)
    assert by_hand is not None
    assert by_hand.error == pytest.approx(0.3)
    assert judging._belief(None, []) is None
