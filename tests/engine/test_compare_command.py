"""`python -m engine compare`: one JSON object at the end of stdout, a study that Ctrl-C stops and --resume goes on with."""

from __future__ import annotations

import csv
import io
import signal
from pathlib import Path

import pytest

from engine.store import Store
from tests.engine.test_cli import FILMS, Shell, _engine_is_found, app, run

__all__ = ["_engine_is_found", "app"]  # fixtures
PAIR = ("--data", FILMS, "--preset", "quick", "--methods", "lora,full", "--steps", "20")


def test_a_comparison_ends_in_one_object_and_the_files_that_were_asked_for(app: Store, tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ("a.csv", "a.md", "a.html")]
    code, told, said = run("compare", *PAIR, "--name", "start step end", "--csv", files[0], "--markdown", files[1], "--html", files[2])
    assert (code, told["state"]) == (0, "finished")
    assert [(one["method"], one["state"], len(one["runs"])) for one in told["methods"]] == [
        ("lora", "finished", 1),
        ("full", "finished", 1),
    ]
    assert "20 steps of 16 rows for every run." in told["conditions"]
    assert "2 runs" in said
    assert [one["method"] for one in csv.DictReader(io.StringIO(Path(files[0]).read_text("utf-8")))] == ["lora", "full"]
    assert Path(files[1]).read_text("utf-8").startswith("# start step end")
    assert Path(files[2]).read_text("utf-8").startswith("<!doctype html>")


def test_ctrl_c_stops_a_comparison_and_resume_finishes_it(app: Store) -> None:
    shell = Shell("compare", *PAIR, "--name", "start hold end")
    shell.hears("LoRA, seed 42: running")
    shell.process.send_signal(signal.SIGINT)
    code, told, said = shell.ends()
    assert (code, told["state"]) == (1, "stopped")
    assert f"--resume {told['study']}" in said
    for run_id in app.ids():
        (app.folder(run_id) / "go").touch()
    code, told, _ = run("compare", "--resume", told["study"])
    assert (code, told["state"]) == (0, "finished")
    assert len(app.ids()) == 2


def test_a_second_ctrl_c_kills_the_run_at_work(app: Store) -> None:
    shell = Shell("compare", *PAIR, "--name", "start deaf end")
    shell.hears("LoRA, seed 42: running")
    shell.process.send_signal(signal.SIGINT)
    shell.hears("Ctrl-C again")
    shell.process.send_signal(signal.SIGINT)
    code, told, _ = shell.ends()
    assert (code, [one["state"] for one in told["methods"]]) == (1, ["killed", "stopped"])


def test_a_file_that_cannot_be_written_at_the_end_does_not_cost_the_result(app: Store, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    shell = Shell("compare", *PAIR, "--name", "start hold end", "--csv", str(path))
    shell.hears("LoRA, seed 42: running")
    path.mkdir()  # fine before the start, and not any more
    for run_id in app.ids():
        (app.folder(run_id) / "go").touch()
    code, told, said = shell.ends()
    assert (code, told["state"]) == (1, "finished")
    assert "a.csv" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((*PAIR[:4], "--methods", "lora"), "only LoRA is chosen"),
        ((*PAIR, "--minutes", "3"), "Both --steps and --minutes"),
        ((*PAIR, "--seeds", "9"), "9 seeds are asked for"),
        (("--resume", "nothing-like-it"), "There is no study"),
        (("--resume", "nothing-like-it", "--minutes", "3", "--model", "x"), "--minutes and --model are given beside --resume"),
        ((*PAIR, "--csv", "/nowhere/a.csv"), "/nowhere/a.csv cannot be written"),
        ((*PAIR[:-2], "--minutes", "nan"), "nan minutes"),
        ((), "No data is given"),
    ],
)
def test_what_cannot_be_compared_ends_in_code_2_with_the_problem(arguments: tuple[str, ...], words: str) -> None:
    code, told, said = run("compare", *arguments)
    assert code == 2
    assert words in told["problems"][0]["message"]
    assert words in said
