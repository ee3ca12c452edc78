"""What handlers answer, asked without a browser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.studio import Studio
from tests.ui import homes
from ui import shell
from ui.tabs import runs_events, train_events


@pytest.fixture
def studio(home: Path) -> Iterator[Studio]:
    made = Studio(home, dispatch=False, limit_bytes=1_000)
    yield made
    made.close()


def test_a_file_a_little_over_the_limit_is_refused_in_our_words(studio: Studio, tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    path.write_bytes(b"x" * 1_100)
    assert shell.launch_options(studio)["max_file_size"] > path.stat().st_size, "it comes in"
    told = train_events.on_upload(studio, str(path))
    assert any("The file is larger than" in one for one in told if isinstance(one, str))
    assert not path.exists()


@pytest.mark.parametrize(("machine", "word"), [("colab", "session"), ("space", "Space"), ("local", "machine")])
def test_a_disk_that_does_not_last_is_told_in_the_words_of_its_machine(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, machine: str, word: str
) -> None:
    there = replace(homes.MACHINE, machine=machine, persistent=False)
    monkeypatch.setattr(studio.facts, "hardware", lambda: there)
    notice = shell.on_load(studio)[1]
    assert word in notice
    assert ("Space" in notice) == (machine == "space")


def test_taking_a_run_home_twice_keeps_one_zip(studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tmp_path / "a-run.zip"
    monkeypatch.setattr(studio, "export", lambda run_id: made)
    for content in (b"first", b"second"):
        made.unlink(missing_ok=True)
        made.write_bytes(content)
        for _ in range(2):
            told = runs_events.on_export(studio, tmp_path / "page", "a-run")
    (kept,) = [path for path in (tmp_path / "page").rglob("*") if path.is_file()]
    assert kept.read_bytes() == b"second"
    assert told["value"] == str(kept)
