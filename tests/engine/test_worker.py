"""The real worker on tiny real models: every phase once, then killed over and over. Nothing here looks at the clock."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from engine.errors import Refused
from engine.events import Ended, Event, Progress, Resources, Saved, Started, Warned
from engine.spec import DataSpec, RunSpec
from engine.store import RunRecord, Store, fold
from engine.studio import Studio
from tests.nursery import Forked, nursery
from tests.tiny import tiny

REPOSITORY = Path(__file__).parents[2]
DEADLINE_SECONDS = 120.0


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny("bert", tmp_path_factory.mktemp("models") / "tiny-bert")


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    one = Studio(tmp_path / "home", worker=(sys.executable, "-c", "raise SystemExit"))
    one._supervisor.close()  # these tests start the worker themselves
    yield one
    one.close()


def a_spec(base: Path, **settings: object) -> RunSpec:
    chosen = {"epochs": 3, "batch_size": 8, "accumulation": 1, "evaluate_every": 6, "max_length": 16, "precision": "fp32", "patience": 0}
    return RunSpec(
        data=DataSpec("sample:product-reviews-bn"), model=str(base), method="lora", preset=None, settings={**chosen, **settings}
    )  # fmt: skip


def planned(studio: Studio, spec: RunSpec) -> Path:
    """A new run's folder, waiting for a worker."""
    return studio.store.folder(studio.start(spec))


def alone(folder: Path) -> int:
    """The worker's exit code; as the supervisor starts it, in an interpreter of its own."""
    with (folder / "log.txt").open("ab") as log:
        command = [sys.executable, "-m", "engine.worker", str(folder)]
        return subprocess.run(command, cwd=REPOSITORY, stdout=log, stderr=log, timeout=DEADLINE_SECONDS, check=False).returncode


def work(folder: Path) -> int:
    return nursery().start(folder).wait(DEADLINE_SECONDS)


def events(folder: Path) -> list[Event]:
    return Store(folder.parent.parent).read(folder.name)[0]


def record(folder: Path) -> RunRecord:
    return fold(RunRecord(folder.name), events(folder))


def losses(folder: Path) -> dict[int, float]:
    return {step.step: step.loss for step in record(folder).steps}


def until(condition: Callable[[], object], process: Forked) -> None:
    """Waits for the condition, or for the process's end."""
    tick = threading.Event()
    while not condition() and process.poll() is None:
        tick.wait(0.005)


def test_a_run_goes_from_its_plan_to_a_judged_model(studio: Studio, base: Path) -> None:
    folder = planned(studio, a_spec(base))
    assert alone(folder) == 0, (folder / "log.txt").read_text()
    told = events(folder)
    assert [type(one) for one in told if isinstance(one, (Started, Ended))] == [Started, Ended]
    done = record(folder)
    assert done.state == "finished"
    phases = list(dict.fromkeys(one.phase for one in told if isinstance(one, Progress)))
    assert phases == ["data", "model", "tokens", "training", "saving", "evaluation"]
    assert done.step == done.total_steps == studio.plan(folder.name).steps
    assert {one.split for one in done.evaluations} == {"validation", "test"}
    assert any(isinstance(one, Resources) and one.ram_peak_bytes > 50_000_000 for one in told)
    assert not (folder / "checkpoints").exists(), "a finished run keeps its model, not its checkpoints"

    judged = studio.evaluation(folder.name)
    assert judged is not None
    predictions = [json.loads(line) for line in (folder / "predictions.jsonl").read_text("utf-8").split("\n")[:-1]]
    assert len(predictions) == judged.rows == studio.plan(folder.name).rows["test"]
    assert set(judged.classes) == {"Negative", "Neutral", "Positive"}
    right = np.mean([one["label"] == one["predicted"] for one in predictions])
    assert judged.accuracy.value == pytest.approx(right)

    model = folder / "model"
    assert json.loads((model / "labels.json").read_text("utf-8")) == ["Negative", "Neutral", "Positive"]
    assert {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json", "shur.json"} <= {one.name for one in model.iterdir()}
    assert not [one for one in folder.rglob("*") if one.suffix in (".bin", ".pt", ".pkl", ".pickle")]
    assert done.started is not None
    assert {"torch", "transformers", "peft", "shur", "python"} <= set(done.started.versions)


@pytest.mark.parametrize(("method", "knobs"), [("lora", {}), ("last_layers", {"top_blocks": 1})])
def test_what_is_kept_predicts_as_the_model_did_when_it_was_judged(
    studio: Studio, base: Path, method: str, knobs: dict[str, object]
) -> None:
    from engine.trained import open_trained

    folder = planned(studio, replace(a_spec(base, **knobs), method=method))
    assert work(folder) == 0, (folder / "log.txt").read_text()
    computed = [one for one in events(folder) if isinstance(one, Progress) and one.message == "Computing the frozen part once"]
    assert bool(computed) == (method == "last_layers")
    assert {one.phase for one in computed} <= {"training"}
    predictions = [json.loads(line) for line in (folder / "predictions.jsonl").read_text("utf-8").split("\n")[:-1]]
    opened = open_trained(folder / "model", home=studio.home)
    chances = opened.probabilities([one["text"] for one in predictions])
    told = np.array([[one["probabilities"][name] for name in opened.classes] for one in predictions])
    assert chances == pytest.approx(told, abs=1e-6)


def test_full_fine_tuning_keeps_a_model_that_stands_alone(studio: Studio, base: Path, tmp_path: Path) -> None:
    from engine.trained import open_trained

    own = shutil.copytree(base, tmp_path / "own")
    spec = a_spec(own, max_steps=5)
    folder = planned(studio, RunSpec(data=spec.data, model=spec.model, method="full", preset=None, settings=spec.settings))
    assert work(folder) == 0, (folder / "log.txt").read_text()
    shutil.rmtree(own)
    assert open_trained(folder / "model", home=studio.home).probabilities(["খুব ভালো"]).shape == (1, 3)
    with safe_open(folder / "model" / "model.safetensors", "pt") as weights:
        assert {weights.get_tensor(name).dtype.itemsize for name in weights.keys()} == {4}  # noqa: SIM118


def test_a_second_run_on_the_same_rows_takes_its_tokens_from_the_cache(studio: Studio, base: Path) -> None:
    for _ in range(2):
        folder = planned(studio, a_spec(base, max_steps=2))
        assert work(folder) == 0
    encoded = [one for one in events(folder) if isinstance(one, Progress) and one.phase == "tokens" and one.total]
    assert not encoded


def test_a_run_that_is_stopped_and_resumed_ends_like_an_unbroken_one(studio: Studio, base: Path) -> None:
    whole, broken = planned(studio, a_spec(base)), planned(studio, a_spec(base))
    assert work(whole) == 0
    process = nursery().start(broken)
    until(lambda: record(broken).step >= 7, process)
    (broken / "stop").touch()
    assert process.wait(DEADLINE_SECONDS) == 0
    stopped = record(broken)
    assert stopped.state == "stopped"
    assert 7 <= stopped.step < stopped.total_steps
    (broken / "stop").unlink()
    assert work(broken) == 0
    assert record(broken).state == "finished"
    assert losses(broken) == losses(whole)
    assert (
        json.loads((broken / "evaluation.json").read_text())["accuracy"] == json.loads((whole / "evaluation.json").read_text())["accuracy"]
    )


def test_a_stop_before_training_is_obeyed_and_loses_nothing(studio: Studio, base: Path) -> None:
    folder = planned(studio, a_spec(base, max_steps=3))
    (folder / "stop").touch()
    assert work(folder) == 0
    assert record(folder).state == "stopped"
    assert record(folder).step == 0
    (folder / "stop").unlink()
    assert work(folder) == 0
    assert record(folder).state == "finished"


def test_a_damaged_checkpoint_is_set_aside_aloud_and_the_run_still_ends_well(studio: Studio, base: Path) -> None:
    folder = planned(studio, a_spec(base))
    process = nursery().start(folder)
    until(lambda: any(isinstance(one, Saved) for one in events(folder)) and record(folder).step >= 8, process)
    (folder / "stop").touch()
    process.wait(DEADLINE_SECONDS)
    newest = max((folder / "checkpoints").glob("step-*"))
    content = bytearray((newest / "weights.safetensors").read_bytes())
    content[-2] ^= 0x7F
    (newest / "weights.safetensors").write_bytes(content)
    (folder / "stop").unlink()
    assert work(folder) == 0
    assert any(isinstance(one, Warned) and "damaged" in one.message for one in events(folder))
    assert record(folder).state == "finished"


def test_data_that_changed_after_the_plan_is_refused_in_words(studio: Studio, base: Path, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    lines = [f"text number {number},{'yes' if number % 3 else 'no'}\n" for number in range(60)]
    file.write_text("text,label\n" + "".join(lines), "utf-8")
    spec = a_spec(base)
    folder = planned(studio, RunSpec(DataSpec(f"file:{file}"), spec.model, preset=None, settings=spec.settings))
    file.write_text("text,label\n" + "".join(reversed(lines)), "utf-8")
    assert work(folder) == 1
    ended = record(folder).ended
    assert ended is not None
    assert "changed after this run was planned" in ended.reason


def test_an_exception_anywhere_becomes_a_sentence_and_the_traceback_goes_to_the_log(studio: Studio, base: Path, tmp_path: Path) -> None:
    own = shutil.copytree(base, tmp_path / "own")
    folder = planned(studio, a_spec(own))
    (own / "model.safetensors").write_bytes(b"not weights")
    assert work(folder) == 1
    ended = record(folder).ended
    assert ended is not None
    assert ended.status == "failed"
    assert "Traceback" not in ended.reason
    assert ended.reason


def test_no_token_reaches_any_file(studio: Studio, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secretsecretsecret")
    folder = planned(studio, a_spec(base, max_steps=2))
    assert alone(folder) == 0
    for file in studio.home.rglob("*"):
        if file.is_file():
            assert b"hf_secretsecret" not in file.read_bytes(), file


@pytest.mark.slow
def test_a_worker_killed_at_twenty_random_moments_loses_nothing(studio: Studio, base: Path) -> None:
    """A moment is a number of lines in events.jsonl, drawn by chance; the run is taken up again and at last ends like an unbroken one."""
    dice = random.Random(20261122)
    whole, *broken = planned(studio, a_spec(base)), planned(studio, a_spec(base))
    assert work(whole) == 0
    lines = len(events(whole))
    kills = 0
    while kills < 20:
        process = nursery().start(broken[-1])
        goal = len(events(broken[-1])) + dice.randint(1, lines // 2)
        until(lambda goal=goal: len(events(broken[-1])) >= goal, process)
        if process.poll() is not None:  # it came to its end before the moment did
            assert record(broken[-1]).state == "finished"
            broken.append(planned(studio, a_spec(base)))
            continue
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
    for folder in broken:
        assert record(folder).state == "finished" or work(folder) == 0, (folder / "log.txt").read_text()[-2000:]
        assert not list((folder / "checkpoints").glob("damaged-*")), "a kill leaves no checkpoint that looks whole and is not"
        assert losses(folder) == losses(whole)
        assert {one.step: one.metrics for one in record(folder).evaluations} == {one.step: one.metrics for one in record(whole).evaluations}


def test_a_run_that_cannot_start_is_refused_before_it_is_queued(studio: Studio, tmp_path: Path) -> None:
    with pytest.raises(Refused):
        studio.start(a_spec(tmp_path / "no-such-model"))
    assert studio.store.ids() == []
