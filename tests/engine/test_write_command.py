"""`python -m engine write`: the text as it grows on stdout, figures on stderr, every problem at once."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from engine.__main__ import main
from engine.errors import Refused
from engine.write_command import settings
from tests.writing import writer, writing_run


def test_a_run_and_its_untuned_base_write_on_stdout(
    home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    base = writer("qwen2", tmp_path / "base")
    run_id = writing_run(home, base)
    greedy = ["--home", str(home), "--set", "temperature=0", "--set", "max_new_tokens=8"]
    assert main(["write", "--run", run_id, "The plot", *greedy]) == 0
    text = capfd.readouterr()
    assert "8 tokens in" in text.err
    monkeypatch.setattr("sys.stdin", io.StringIO("The plot"))
    assert main(["write", "--run", run_id, "-", "--json", *greedy]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["text"] == text.out.removesuffix("\n")
    assert (told["tokens"], told["ended"], told["form"]) == (8, "length", "taught")
    assert main(["write", "--model", str(base), "The plot", *greedy]) == 0
    assert capfd.readouterr().out.strip() != text.out.strip()


def test_what_cannot_be_asked_is_told_with_exit_code_2(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["write", "--model", str(home / "none"), "a", "--home", str(home)]) == 2
    assert "There is no folder" in capfd.readouterr().out
    assert main(["write", "a", "--home", str(home)]) == 2
    with pytest.raises(Refused) as refused:
        settings(["warmth=1", "temperature=9", "top_k=5"])
    assert len(refused.value.problems) == 2
    assert settings(["top_k=5"]).top_k == 5
