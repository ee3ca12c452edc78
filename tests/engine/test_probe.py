"""A closer look: the whole of it on tiny models in this process, and the page's side with toys in place of the process."""

from __future__ import annotations

import dataclasses
import json
import random
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import account, edge_cases, judged, opening, probe, probed, timing, trained, untuned, verdict
from engine.calibration import cooled
from engine.data.split import Prepared, Rows
from engine.errors import Problem, Refused, RunFailed
from engine.probed import Probed
from engine.probing import Look, Probing
from engine.store import Store
from tests import looks
from tests.finished import CLASSES, finished_run, told
from tests.tiny import LINES, tiny


def a_run(tmp_path: Path, architecture: str = "bert", method: str = "lora") -> tuple[Path, str]:
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    run_id = finished_run(home, str(tiny(architecture, tmp_path / architecture)), method)
    looks.answer(Store(home).folder(run_id), CLASSES)
    return home, run_id


def unsorted_run(tmp_path: Path, task: str) -> tuple[Path, Path]:
    """The home and the folder of a run that gives numbers, tags or likeness."""
    home = tmp_path / "home"
    home.mkdir()
    folder = Store(home).folder(finished_run(home, str(tiny("bert", tmp_path / "bert")), task=task))
    (folder / "evaluation.json").unlink()
    (folder / account.FILE).write_text(account.to_json(replace(told("write"), task=task)), "utf-8")
    return home, folder


def prepared(count: int = 60) -> Prepared:
    dice = random.Random(2)
    rows = Rows([dice.choice(LINES) for _ in range(count)], [dice.randrange(3) for _ in range(count)], list(range(1, count + 1)))
    return Prepared(CLASSES, rows, rows, rows, "", ())


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "SINGLES", 10)
    monkeypatch.setattr(timing, "BATCHES", (1, 4))
    monkeypatch.setattr(timing, "ENOUGH_BATCHES", 1)
    monkeypatch.setattr(probe, "EDGE_ROWS", 20)
    monkeypatch.setattr(probe, "UNTUNED_ROWS", 40)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("architecture", ["bert", "qwen2"])
def test_a_look_tells_edge_cases_speed_the_untuned_model_and_a_temperature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: str
) -> None:
    home, run_id = a_run(tmp_path, architecture)
    monkeypatch.setattr(opening, "rows", lambda *_, **__: prepared())
    said: list[str] = []
    found = probe.probe(Store(home).folder(run_id), home, said.append)
    assert len(said) == len(set(said)) >= 5
    assert found.edge_rows == 20
    assert {one.id for one in found.edge_cases if one.rows} >= {"typos", "capitals", "negation", "latin"}
    assert [one.id for one in found.speed] == ["tuned", "untuned", "merged"]
    assert all(0 < one.median_seconds <= one.slow_seconds and one.rows_per_second > 0 for one in found.speed)
    assert found.untuned is not None
    assert found.untuned_rows == 40
    assert found.untuned.name.endswith("neighbours" if architecture == "bert" else "labels")
    assert found.temperature_rows == 60
    assert found.notes == ()
    assert probed.from_json(probed.to_json(found)) == found


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("task", ["regress", "tag", "similar"])
def test_a_run_that_gives_no_classes_is_tried_with_changed_texts_and_timed_beside_the_untuned_and_the_merged_model(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, folder = unsorted_run(tmp_path, task)
    texts = [LINES[at % 8] for at in range(60)]
    labels: dict[str, Any] = {"tags": [(at % 2, 0, 1) for at in range(60)]} if task == "tag" else {"values": [at / 10 for at in range(60)]}
    rows = Rows(texts, [0] * 60, list(range(1, 61)), second=list(reversed(texts)) if task == "similar" else None, **labels)
    monkeypatch.setattr(opening, "rows", lambda *_, **__: Prepared(CLASSES, rows, rows, rows, "", ()))
    said: list[str] = []
    found = probe.probe(folder, home, said.append)
    assert [one.id for one in found.speed] == ["tuned", "untuned", "merged"]
    assert all(0 < one.median_seconds <= one.slow_seconds and one.rows_per_second > 0 for one in found.speed)
    assert (found.test_rows, found.edge_rows, found.untuned) == (60, 20, None)
    tried = {one.id: one for one in found.edge_cases if one.rows}
    assert set(tried) >= {"typos", "capitals", "negation", "latin"}
    assert all((one.move is None) is (task == "tag") is (one.changed is not None) for one in tried.values())
    assert len(said) == 6
    assert probed.from_json(probed.to_json(found)) == found
    probing = Probing(Store(home), lambda _: {}, lambda: False, lambda *_: [sys.executable, "-c", "raise SystemExit"])
    probing.start(folder.name, None)
    probing.cancel()

    def gone(*_: object, **__: object) -> Prepared:
        raise RunFailed(Problem("data.source", "The data changed after this run was planned.", ""))

    monkeypatch.setattr(opening, "rows", gone)
    with pytest.raises(Refused, match="no text to time it with"):
        probe.probe(folder, home, said.append)


@pytest.mark.usefixtures("short")
def test_where_the_data_is_gone_the_rest_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, run_id = a_run(tmp_path, method="full")

    def gone(*_: object, **__: object) -> Prepared:
        raise RunFailed(Problem("data.source", "The data changed after this run was planned.", ""))

    monkeypatch.setattr(opening, "rows", gone)
    monkeypatch.setattr(opening, "be_considerate", lambda: None)  # this process is the tests' own
    assert probe.main(Store(home).folder(run_id), home) == 0
    found = Probing(Store(home), lambda _: {}, lambda: False).look(run_id).found
    assert found is not None
    assert found.untuned is found.temperature is None
    assert "The data changed after this run was planned." in found.notes[0]
    assert [one.id for one in found.speed] == ["tuned", "untuned"], "a fully trained model has nothing to merge"


def test_an_answer_by_the_words_of_the_labels_is_the_chance_of_the_words_over_that_without_a_text(tmp_path: Path) -> None:
    import torch
    from transformers import AutoTokenizer

    folder = tiny("llama", tmp_path / "llama")
    model, tokenizer = untuned.open_decoder(folder, "float32"), AutoTokenizer.from_pretrained(folder)

    def chance(prompt: str, name: str) -> float:
        before = [
            tokenizer.bos_token_id,
            *(one for part in prompt.split("|") for one in tokenizer(part, add_special_tokens=False)["input_ids"]),
        ]
        after = tokenizer(f" {name}", add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            logs = torch.log_softmax(model(input_ids=torch.tensor([before + after])).logits[0], dim=-1)
        return sum(float(logs[len(before) + at - 1, token]) for at, token in enumerate(after))

    names = ["good", "খুব খারাপ", "neither of the two"]
    texts = list(LINES[:4])
    told = untuned.by_label_words(model, tokenizer, texts, names, most=500, autocast=None, may_go_on=lambda: True)
    expected = [
        int(np.argmax([chance(f"Text: |{text}|\nLabel:", name) - chance("Text: |\nLabel:", name) for name in names])) for text in texts
    ]
    assert told == expected
    turns = iter([True, True, False])
    assert len(untuned.by_label_words(model, tokenizer, texts, names, most=5, autocast=None, may_go_on=lambda: next(turns))) == 2


def test_neighbours_vote_by_how_near_they_are() -> None:
    angles = np.array([0.0, 0.05, 0.1, 1.5, 1.55, 1.6])
    known = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert untuned.neighbours(known, [0, 0, 0, 1, 1, 1], known[[1, 4]]) == [0, 1]


def test_times_are_those_of_the_clock_and_batches_grow_while_that_helps() -> None:
    now = 0.0

    def answer(texts: list[str], size: int) -> None:
        nonlocal now
        now += 0.010 + 0.002 * size + (1.0 if size > 32 else 0.0) + (0.1 if texts[0] == "slow" else 0.0)

    told = timing.timed(answer, [*["quick"] * 9, "slow"], lambda: now)
    assert told.median_seconds == pytest.approx(0.012)
    assert told.slow_seconds == pytest.approx(0.112)
    assert told.timed == 100
    assert told.best_batch == 32


def test_out_of_memory_at_a_larger_batch_keeps_what_was_measured() -> None:
    now = 0.0

    def answer(texts: list[str], size: int) -> None:
        nonlocal now
        if size > 4:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        now += 0.01

    assert timing.timed(answer, ["a"], lambda: now).best_batch == 4


# The page's side


def toy(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def looking(tmp_path: Path, code: str, *, busy: bool = False) -> tuple[Probing, Path]:
    """A Probing whose process runs `code`, and the folder of the one run of its home."""
    store = Store(tmp_path)
    run_id = store.create("{}", "{}", "Reviews")
    folder = store.folder(run_id)
    (folder / "model").mkdir()
    (folder / "model" / "shur.json").write_text("{}")
    looks.answer(folder, CLASSES)
    return Probing(store, lambda _: {}, lambda: busy, lambda *_: toy(code)), folder


def ended(probing: Probing, run_id: str) -> Look:
    for thread in threading.enumerate():
        if thread.name == "looking-closer":
            thread.join(30)
    return probing.look(run_id)


def test_a_look_goes_on_is_the_only_one_and_is_told_when_done(tmp_path: Path) -> None:
    probing, folder = looking(tmp_path, "input()")
    assert probing.look(folder.name).state == "none"
    probing.start(folder.name, None)
    assert probing.look(folder.name).state in ("looking", "failed")  # the toy has no keyboard and ends at once
    assert ended(probing, folder.name).state == "failed"
    looks.probed_run(folder)
    (folder / "probe" / "problem.json").unlink()
    done = probing.look(folder.name)
    assert done.state == "done"
    assert done.found == looks.a_look(judged.model_stamp(folder))
    looks.probed_run(folder, dataclasses.replace(looks.a_look(1)))
    assert probing.look(folder.name).found is None, "of another model than the run has now"


@pytest.mark.parametrize(
    ("code", "told"),
    [("raise SystemExit(3)", "broke off (code 3)"), ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "want of memory")],
)
def test_a_process_that_ends_without_a_result_is_told_in_words(tmp_path: Path, code: str, told: str) -> None:
    probing, folder = looking(tmp_path, code)
    probing.start(folder.name, None)
    problem = ended(probing, folder.name).problem
    assert problem is not None
    assert told in problem.message


def test_a_look_is_given_up_when_asked_and_gives_way_to_a_run(tmp_path: Path) -> None:
    probing, folder = looking(tmp_path, "import signal; signal.pause()")
    probing.start(folder.name, None)
    assert probing.look(folder.name).state == "looking"
    with pytest.raises(Refused, match="looked at just now"):
        probing.start(folder.name, None)
    probing.cancel("another-run")
    assert probing.look(folder.name).state == "looking"
    probing.cancel(folder.name)
    assert ended(probing, folder.name) == Look("none")
    probing.start(folder.name, None)
    probing.give_way()
    problem = ended(probing, folder.name).problem
    assert problem is not None
    assert "A run began meanwhile" in problem.message


def test_beside_a_run_at_work_or_without_a_model_nothing_is_begun(tmp_path: Path) -> None:
    probing, folder = looking(tmp_path, "", busy=True)
    with pytest.raises(Refused, match="A run is at work"):
        probing.start(folder.name, None)
    (folder / "predictions.jsonl").unlink()
    with pytest.raises(Refused, match="no judged model"):
        probing.start(folder.name, None)


# What it leads to


def test_a_corrected_confidence_is_what_the_model_says_from_then_on_and_no_answer_changes(tmp_path: Path) -> None:
    home, run_id = a_run(tmp_path)
    folder = Store(home).folder(run_id) / "model"
    plain = trained.open_trained(folder, home=home).probabilities(LINES)
    trained.set_temperature(folder, 2.0)
    corrected = trained.open_trained(folder, home=home).probabilities(LINES)
    np.testing.assert_allclose(corrected, cooled(plain, 2.0), atol=1e-6)
    assert np.array_equal(corrected.argmax(axis=1), plain.argmax(axis=1))
    told = judged.Judged(Store(home))
    now, as_it_came = told.confidence(run_id), told.confidence(run_id, 1.0)
    assert now is not None
    assert as_it_came is not None
    assert (now.temperature, as_it_came.temperature) == (2.0, 1.0)
    assert now.mean_confidence < as_it_came.mean_confidence
    trained.set_temperature(folder, None)
    assert trained.temperature_of(folder) == 1.0


def test_the_newest_earlier_run_on_the_same_rows_stands_beside_and_one_on_others_does_not(tmp_path: Path) -> None:
    store, told = Store(tmp_path), judged.Judged(Store(tmp_path))
    ids = []
    for at, (right, texts) in enumerate([(0.6, "row"), (0.7, "row"), (0.9, "other"), (0.9, "row")]):
        run_id = store.create(json.dumps(looks.SPEC), "{}", "Reviews", now=1_000_000.0 + 60 * at)
        looks.answer(store.folder(run_id), CLASSES, right=right, texts=texts, seed=at)
        ids.append(run_id)
    assert told.earlier(ids[0]) is None
    assert told.earlier(ids[2]) is None
    beside = told.earlier(ids[3])
    assert beside is not None
    assert beside.score.accuracy == pytest.approx(0.7, abs=0.07)
    assert beside.score.p_value < 0.05
    assert "this one is better, by more than chance (McNemar p" in beside.sentence
    store.delete(ids[1])
    again = told.earlier(ids[3])
    assert again is not None
    assert again.score.accuracy < beside.score.accuracy


def test_what_training_brought_is_said_in_a_sentence() -> None:
    found = looks.a_look(0)
    assert found.untuned is not None
    told = verdict.beside_untuned(found.untuned, 500, 2000, 0.81).replace("\u00a0", " ")
    assert told == (
        "The untuned model, by nearest neighbours, is right on 67.2 % of 500 of these rows, this one on 81.0 %: "
        "the training helped, by more than chance (McNemar p < 0.0001)."
    )
    beside = judged.untuned_beside(found)
    assert beside is not None
    assert beside.score.name == "Untuned model, by nearest neighbours (500 of the rows)"
    assert judged.untuned_beside(dataclasses.replace(found, untuned=None)) is None


def test_a_damaged_look_is_none() -> None:
    with pytest.raises(ValueError, match="not a whole closer look"):
        probed.from_json("{}")
    assert isinstance(looks.a_look(0), Probed)
    assert {one.id for one in looks.a_look(0).edge_cases} <= {one.id for one in edge_cases.KINDS}
