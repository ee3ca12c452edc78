"""`python -m engine fit`: the fit as JSON, estimated and measured, and what keeps a run from starting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.__main__ import main
from engine.facts import Facts
from tests.tiny import tiny


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(Facts, "measure", lambda self, *, wait: None)
    base = tiny("bert", tmp_path / "tiny-bert")
    told = ["--data", "sample:product-reviews-bn", "--model", str(base), "--home", str(tmp_path / "home")]
    return ["fit", *told, "--set", "max_steps=20", "--set", "max_length=32", "--set", "precision=fp32"]


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_an_estimate_then_a_measurement(asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(asked) == 0
    first = told(capsys)
    assert first["fits"] is True
    assert first["plan"]["memory_basis"] == "estimated"
    assert sum(first["plan"]["memory_estimate_by_part"].values()) == first["plan"]["memory_bytes"]
    assert first["changes"] == []
    assert main([*asked, "--measure"]) == 0
    second = told(capsys)
    assert (second["plan"]["memory_basis"], second["plan"]["seconds_basis"]) == ("measured", "measured")
    assert second["plan"]["memory_bytes"] > 200_000_000


def test_what_cannot_be_started_is_told_with_all_its_problems_and_exit_code_2(asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*asked, "--set", "rank=9999", "--set", "batch_size=0"]) == 2
    found = told(capsys)
    assert found["fits"] is False
    assert found["plan"] is None
    assert {"settings.rank", "settings.batch_size"} <= {one["field"] for one in found["problems"]}


def test_too_little_memory_is_told_with_what_would_make_it_fit(
    asked: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    real = Facts.hardware_to_plan
    monkeypatch.setattr(Facts, "hardware_to_plan", lambda self: replace(real(self), ram_free_bytes=1_100_000_000))
    at = asked.index("--model")
    assert main([*asked[:at], *asked[at + 2 :], "--set", "batch_size=128", "--set", "max_length=128"]) == 2
    found = told(capsys)
    assert found["plan"]["memory_bytes"] > 1_100_000_000
    assert found["changes"]
    assert all(one["fits"] and one["memory_bytes"] <= 1_100_000_000 for one in found["changes"])
