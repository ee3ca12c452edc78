"""`python -m engine inspect`: profile, roles and findings as JSON, and options that `train` takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.__main__ import DONE, REFUSED, main

ROWS = [f"{at},word{at} and {at * 7 % 91} more words of row {at},{('good', 'bad', 'so so')[at % 3]}" for at in range(120)]
MESS = ["120,one two three,Good", "121,word3 and 21 more words of row 3,good", "122,no label here,"]


def inspected(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = DONE) -> dict[str, Any]:
    assert main(["inspect", *arguments]) == code
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def test_a_file_is_told_with_its_roles_and_findings_and_is_left_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, home = tmp_path / "messy.csv", ("--home", str(tmp_path / "home"))
    path.write_text("nr,review,mood\n" + "\n".join([*ROWS, *MESS]) + "\n", "utf-8")
    before = path.read_bytes()
    told = inspected(capsys, str(path), *home)
    assert {name: told["roles"][name]["column"] for name in ("text", "label")} == {"text": "review", "label": "mood"}
    assert [one["role"] for one in told["columns"]] == ["id", "text", "label"]
    assert told["rows"]["left_out"] == {"without a label": 1}
    variants = next(one for one in told["findings"] if one["id"] == "label-variants")
    assert (variants["rows"], variants["harm"]) == (1, 3)
    assert variants["remedies"][0]["options"] == ["--fix", "merge-labels:Good=good"]

    mended = inspected(capsys, str(path), *home, *variants["remedies"][0]["options"])
    assert set(mended["classes"]) == {"good", "bad", "so so"}
    assert [one["rows"] for one in mended["fixed"]] == [1]
    assert "label-variants" not in [one["id"] for one in mended["findings"]]
    assert path.read_bytes() == before


def test_where_texts_are_cut_is_told_once_a_model_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = ("--home", str(tmp_path / "home"))
    arguments = ("sample:film-reviews-en", *home, "--model", "all-MiniLM-L6-v2", "--set", "max_length=8")
    assert "cut" in [one["id"] for one in inspected(capsys, *arguments)["findings"]]


def test_what_cannot_be_opened_is_refused_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = inspected(capsys, str(tmp_path / "nothing.csv"), "--home", str(tmp_path / "home"), code=REFUSED)
    assert told["problems"][0]["field"] == "data.source"
