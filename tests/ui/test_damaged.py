"""Damaged files handed over on the page, several hundred of them: each ends in words there, none in an error."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from engine.models import EMBEDDED
from engine.spec import DataSpec, RunSpec
from engine.studio import Studio
from tests.engine.test_damage import CODECS, PIECES
from tests.engine.test_files import KINDS, damaged, folders, inner
from ui import request
from ui.border import bind
from ui.tabs import train, train_events
from ui.tabs.train import Newest, Train

OF_EACH = 18  # files: 15 kinds, 270 in all, and MADE beside them
MADE = 90
changes = count(1)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    made = Studio(tmp_path_factory.mktemp("damaged"), dispatch=False)
    yield made
    made.close()


@pytest.fixture(scope="module")
def place(studio: Studio) -> Train:
    with gr.Blocks():
        return train.build(studio)


def said(drawn: Any) -> str:
    """Everything that an answer of a handler shows."""
    match drawn:
        case str():
            return drawn
        case dict():
            return " ".join(map(said, drawn.values()))
        case list() | tuple():
            return " ".join(map(said, drawn))
        case _:
            return ""


def handed_over(studio: Studio, place: Train, folder: Path, name: str, content: bytes) -> tuple[str, str]:
    """What the page says of the file, and what it draws of the rows, by the handlers that the page calls."""
    path = folder / name
    path.write_bytes(content)
    kept, _, problem, *_ = bind(train_events.on_upload, studio, 0)(str(path))
    assert not path.exists()
    if problem:
        return problem, ""
    values = request.fields(RunSpec(DataSpec(kept), EMBEDDED, preset="quick"), place.offer).values()
    drawn = bind(train_events.on_redraw, studio, place, Newest())(next(changes), "", *values)
    assert len(drawn) == len(train_events.outputs(place))
    shown = dict(zip(train_events.outputs(place), drawn, strict=True))
    return said(drawn), said(shown[place.facts])


def look(studio: Studio, place: Train, folder: Path, files: dict[str, bytes], caplog: pytest.LogCaptureFixture) -> set[str]:
    """Hands them all over. Gives back what became of them: rows, or a problem."""
    became = set()
    for name, content in files.items():
        with caplog.at_level(logging.WARNING):
            words, facts = handed_over(studio, place, folder, name.rpartition("/")[2], content)
        assert not caplog.records, f"{name}: {caplog.records[0].getMessage()}"
        assert "Traceback" not in words
        assert "Error:" not in words
        assert str(studio.home) not in words
        assert 'class="problem' in words or facts, f"{name}: nothing is said"
        became.add("rows" if facts else "problem")
    return became


@pytest.mark.parametrize("name", [*KINDS, "aclImdb.zip"])
def test_a_damaged_file_ends_in_words_on_the_page(
    studio: Studio, place: Train, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    whole, chance = KINDS.get(name, folders)(), random.Random(f"page {name}")
    files = {
        f"{at}/{name}": inner(whole, chance) if whole.startswith(b"PK") and at % 2 else damaged(whole, chance) for at in range(OF_EACH)
    }
    look(studio, place, tmp_path, files, caplog)


@pytest.mark.parametrize("kind", ["csv", "txt", "json", "jsonl", "xlsx"])
def test_text_put_together_by_chance_ends_in_words_on_the_page(
    studio: Studio, place: Train, tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    chance = random.Random(f"page {kind}")
    files = {
        f"{at}/made.{kind}": "".join(chance.choices(PIECES, k=chance.randrange(120))).encode(chance.choice(CODECS), "replace")
        for at in range(MADE // 5)
    }
    assert "problem" in look(studio, place, tmp_path, files, caplog)


def test_a_file_that_is_whole_shows_its_rows(studio: Studio, place: Train, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert look(studio, place, tmp_path, {"a.csv": KINDS["a.csv"]()}, caplog) == {"rows"}
