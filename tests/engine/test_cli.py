"""The shell: one JSON object at the end of stdout, words on stderr, and an exit code that tells which."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.models import EMBEDDED
from engine.processes import REPOSITORY
from engine.spec import DataSpec, RunSpec, from_json, to_json
from engine.store import Store
from tests import looks, machine
from tests.engine.test_supervisor import APP
from tests.tiny import tiny
from tests.ui import homes

FILMS = "sample:film-reviews-en"
LONG = ("--set", "epochs=100", "--set", "patience=0", "--set", "max_length=64")


@pytest.fixture(autouse=True)
def _engine_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine.settle(tmp_path / "home")
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("SHUR_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.chdir(tmp_path)


class Shell:
    """`python -m engine …` at work, its stderr read as it comes."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "engine", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )  # fmt: skip
        self.said: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._lines.put(line)
        self._lines.put(None)

    def hears(self, words: str) -> None:
        """Waits until a line on stderr holds these words."""
        while not any(words in line for line in self.said):
            line = self._lines.get(timeout=60)
            assert line is not None, "".join(self.said)
            self.said.append(line)

    def ends(self) -> tuple[int, dict[str, Any], str]:
        """Exit code, the object on the last line of stdout, all of stderr."""
        assert self.process.stdout is not None
        late = threading.Timer(300, self.process.kill)  # one that hangs fails its test alone
        late.start()
        stdout = self.process.stdout.read()
        late.cancel()
        code = self.process.wait(timeout=120)
        while (line := self._lines.get(timeout=60)) is not None:
            self.said.append(line)
        assert stdout.endswith("\n"), "".join(self.said)
        return code, json.loads(stdout.splitlines()[-1]), "".join(self.said)


def run(*arguments: str) -> tuple[int, dict[str, Any], str]:
    return Shell(*arguments).ends()


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """An app with toy workers on the same home; a run does what its name says (toy_worker.py)."""
    process = subprocess.Popen([*APP, str(tmp_path / "home")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    store = Store(tmp_path / "home")
    yield store
    for run_id in store.ids():
        (store.folder(run_id) / "go").touch()
    process.communicate(timeout=60)


# train, with the app running on the same home


def test_a_run_that_finishes_ends_in_one_object_and_code_0(app: Store) -> None:
    code, told, said = run("train", "--data", FILMS, "--preset", "quick", "--name", "start step end")
    assert code == 0
    assert (told["status"], told["steps"], told["metrics"]) == ("finished", 1, None)
    assert Path(told["folder"]) == app.folder(told["run"])
    assert "step 1 of 10" in said
    assert "Finished: All done." in said


def test_a_run_that_breaks_tells_why_and_ends_in_code_1(app: Store) -> None:
    code, told, said = run("train", "--data", FILMS, "--name", "start say=boom exit=3")
    assert (code, told["status"]) == (1, "failed")
    assert "code 3" in told["reason"]
    assert "boom" in said
    assert told["fix"]


def test_ctrl_c_stops_and_saves(app: Store) -> None:
    shell = Shell("train", "--data", FILMS, "--name", "start hold end")
    shell.hears("Started on")
    shell.process.send_signal(signal.SIGINT)
    code, told, said = shell.ends()
    assert (code, told["status"]) == (1, "stopped")
    assert "Press Ctrl-C again to kill" in said


def test_a_second_ctrl_c_kills(app: Store) -> None:
    shell = Shell("train", "--data", FILMS, "--name", "start deaf")
    shell.hears("Started on")
    shell.process.send_signal(signal.SIGINT)
    shell.hears("Press Ctrl-C again")
    shell.process.send_signal(signal.SIGINT)
    code, told, _ = shell.ends()
    assert (code, told["status"], told["reason"]) == (1, "killed", "Killed, as you asked.")


def test_a_run_waits_behind_the_one_at_work(app: Store) -> None:
    first = Shell("train", "--data", FILMS, "--name", "start hold end")
    first.hears("Started on")
    second = Shell("train", "--data", FILMS, "--name", "start end")
    second.hears("Waiting for its turn")
    (app.folder(app.ids()[-1]) / "go").touch()
    for run_id in app.ids():
        (app.folder(run_id) / "go").touch()
    assert (first.ends()[0], second.ends()[0]) == (0, 0)


def test_a_killed_shell_leaves_its_run_to_the_app(app: Store) -> None:
    shell = Shell("train", "--data", FILMS, "--name", "start hold end")
    shell.hears("Started on")
    shell.process.kill()
    shell.process.wait()
    (run_id,) = app.ids()
    assert app.record(run_id).state == "running"


def test_what_was_asked_is_kept_as_it_was_asked(app: Store, tmp_path: Path) -> None:
    path = tmp_path / "films.csv"
    rows = [f"a film that I saw on day {number},{('good', 'bad')[number % 2]}" for number in range(60)]
    path.write_text("\n".join(["said,mood", *rows]) + "\n")
    settings = ["--set", "epochs=2", "--set", "learning_rate=2e-4", "--set", "schedule=linear", "--set", "rslora=true"]
    code, told, _ = run(
        "train", "--data", "films.csv", "--text", "said", "--label", "mood", "--method", "full", "--preset", "quick", *settings[:6],
        "--name", "start end",
    )  # fmt: skip
    assert code == 0
    spec = from_json((Path(told["folder"]) / "spec.json").read_text())
    assert spec == RunSpec(
        DataSpec(f"file:{path}", text="said", label="mood"), EMBEDDED, method="full", preset="quick", name="start end",
        settings={"epochs": 2, "learning_rate": 2e-4, "schedule": "linear"},
    )  # fmt: skip


def test_a_spec_does_what_it_says_and_a_flag_changes_one_thing_of_it(app: Store, tmp_path: Path) -> None:
    spec = RunSpec(DataSpec(FILMS), EMBEDDED, preset="quick", settings={"rank": 4}, name="start end")
    (tmp_path / "spec.json").write_text(to_json(spec))
    code, told, _ = run("train", "--spec", "spec.json", "--set", "epochs=2")
    assert code == 0
    kept = from_json((Path(told["folder"]) / "spec.json").read_text())
    assert kept.settings == {"rank": 4, "epochs": 2}
    assert kept.data == spec.data


# What cannot be done


def problems(*arguments: str) -> set[str]:
    code, told, said = run(*arguments)
    assert code == 2
    assert list(told) == ["problems"]
    for problem in told["problems"]:
        assert problem["message"] in said
        assert problem["fix"]
    return {problem["field"] for problem in told["problems"]}


def test_every_problem_is_told_at_once_in_code_2(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("text\nonly\n")
    wrong = ["--data", "one.csv", "--model", "./nowhere", "--method", "magic", "--preset", "none"]
    found = problems("train", *wrong, "--set", "epochs=0", "--set", "colour=blue")
    assert found >= {"data.source", "model", "method", "preset", "settings.epochs", "settings.colour"}
    assert Store(tmp_path / "home").ids() == []


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((), "arguments"), (("dance",), "arguments"), (("train", "--colour", "blue"), "arguments"), (("train",), "data.source"),
        (("train", "--data", FILMS, "--set", "epochs"), "settings"), (("train", "--spec", "nowhere.json"), "spec"),
        (("train", "--data", "nowhere.csv"), "data.source"), (("train", "--data", "sample:nothing"), "data.source"),
        (("train", "--data", "~nobody/x.csv"), "data.source"), (("train", "--data", "x" * 5000), "data.source"),
        (("train", "--data", FILMS, "--test", "~nobody/x.csv"), "data.test"),
        (("train", "--data", FILMS, "--model", "~nobody/x"), "model"), (("train", "--data", FILMS, "--model", "x" * 5000), "model"),
        (("train", "--spec", "~nobody/spec.json"), "spec"), (("train", "--spec", "x" * 5000), "spec"),
    ],
)  # fmt: skip
def test_a_wrong_question_is_answered_in_the_same_form(arguments: tuple[str, ...], field: str) -> None:
    assert field in problems(*arguments)


def test_a_damaged_spec_is_told_field_by_field(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text('{"data": {"source": 3}, "colour": 1}')
    assert problems("train", "--spec", "spec.json") == {"spec.data.source", "spec.model", "spec.colour"}


# runs, catalog


def test_runs_are_listed_newest_first_and_nothing_is_started(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    for number, name in enumerate(("older", "newer")):
        spec = RunSpec(DataSpec(FILMS), EMBEDDED, name=name)
        run_id = store.create(to_json(spec), "{}", name, now=1_000_000.0 + number)
        os.utime(store.folder(run_id) / "spec.json", (1_000_000 + number, 1_000_000 + number))
    done = subprocess.run([sys.executable, "-m", "engine", "runs"], capture_output=True, text=True, check=True)
    assert [line.split()[-1] for line in done.stdout.splitlines()] == ["newer", "older"]
    done = subprocess.run([sys.executable, "-m", "engine", "runs", "--json"], capture_output=True, text=True, check=True)
    assert [json.loads(line)["name"] for line in done.stdout.splitlines()] == ["newer", "older"]
    assert not (tmp_path / "home" / "dispatcher.lock").exists()


def test_a_home_without_runs_says_so() -> None:
    done = subprocess.run([sys.executable, "-m", "engine", "runs"], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "There are no runs yet.\n")


def test_the_catalogue_lists_all_that_can_be_asked_for() -> None:
    done = subprocess.run([sys.executable, "-m", "engine", "catalog"], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert {"lora", "full"} <= {one["id"] for one in told["methods"]}
    assert {"quick", "balanced", "best", "imdb-t4", "bengali"} <= {one["id"] for one in told["presets"]}
    assert EMBEDDED in {one["id"] for one in told["models"]}
    assert {"classify"} <= {one["id"] for one in told["tasks"]}
    (rank,) = (knob for method in told["methods"] if method["id"] == "lora" for knob in method["knobs"] if knob["name"] == "rank")
    assert (rank["low"], rank["high"], rank["kind"]) == (1, 256, "whole")
    assert {"epochs", "learning_rate"} <= {knob["name"] for knob in told["training"]}


def test_a_reader_that_leaves_early_gets_no_traceback() -> None:
    command = [sys.executable, "-m", "engine", "catalog"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()


# The whole way, with a real worker


@pytest.mark.slow
def test_a_model_is_trained_judged_and_told_in_one_object(tmp_path: Path) -> None:
    model = tiny("bert", tmp_path / "model")
    code, told, said = run(
        "train", "--data", FILMS, "--model", str(model), "--preset", "quick", "--set", "max_steps=4", "--set", "max_length=64"
    )
    assert code == 0, said
    assert told["status"] == "finished"
    assert told["steps"] == 4
    assert told["seconds"] > 0
    assert told["peak_memory_bytes"] > 1e8
    assert 0 <= told["metrics"]["accuracy"]["low"] <= told["metrics"]["accuracy"]["value"] <= told["metrics"]["accuracy"]["high"] <= 1
    assert {"majority", "tfidf"} <= {one["id"] for one in told["baselines"]}
    assert told["sentence"]
    assert (Path(told["folder"]) / "model" / "labels.json").exists()


@pytest.mark.slow
def test_a_real_run_that_is_stopped_by_ctrl_c_has_a_checkpoint_to_go_on_from(tmp_path: Path) -> None:
    model = tiny("bert", tmp_path / "model")
    shell = Shell("train", "--data", FILMS, "--model", str(model), "--preset", "quick", *LONG)
    shell.hears("step ")
    shell.process.send_signal(signal.SIGINT)
    code, told, _ = shell.ends()
    assert (code, told["status"]) == (1, "stopped")
    assert told["steps"] > 0
    assert list((Path(told["folder"]) / "checkpoints").glob("step-*/manifest.json"))


# judge


def test_what_is_known_of_a_finished_run_is_told_without_looking_again(tmp_path: Path) -> None:
    run_id = homes.finished(tmp_path, 1_000_000.0)
    folder = Store(tmp_path).folder(run_id)
    looks.answer(folder, homes.CLASSES)
    (folder / "model").mkdir()
    (folder / "model" / "shur.json").write_text("{}")
    looks.probed_run(folder)
    code, told, _ = run("judge", run_id, "--kept", "--confidence", "corrected", "--home", str(tmp_path))
    assert code == 0
    assert "on 200 unseen rows" in told["sentence"]
    assert told["confidence"]["temperature"] == 1.6
    assert told["confidence"]["expected_calibration_error"] > 0
    assert [one["threshold"] for one in told["confidence"]["answered"]] == [at / 10 for at in range(11)]
    assert told["beside"][0]["id"] == "untuned"
    assert told["look"]["speed"][0]["id"] == "tuned"
    code, told, said = run("judge", "20260101-000000-none-ab12", "--home", str(tmp_path))
    assert code == 2
    assert "There is no run" in said
