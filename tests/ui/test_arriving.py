"""A large file on its way in, as the Train place tells it, and one that is told by its path."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest

from engine import taking_in
from engine.spec import DataSpec
from engine.studio import Studio
from engine.taking_in import Arriving
from tests.ui import homes
from ui import request
from ui.tabs import arriving, own_path, train, train_events
from ui.tabs.train import Train


@pytest.fixture
def studio(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    monkeypatch.setattr(taking_in, "LARGE_BYTES", 1)
    monkeypatch.setattr(taking_in, "AT_ONCE", 0)  # every reading waits, so nothing depends on how quick one is
    made = Studio(home, dispatch=False, reads_apart=True)
    yield made
    made.close()


@pytest.fixture
def place(studio: Studio) -> Train:
    with gr.Blocks():
        return train.build(studio)


def test_while_a_large_file_is_read_the_page_says_so_and_start_is_refused_with_the_reason(
    studio: Studio, place: Train, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,label\none two,good\n" * 30, "utf-8")
    spec = replace(homes.SPEC, data=DataSpec(f"file:{path}"))
    values = list(request.fields(spec, place.offer).values())
    drawn = dict(zip(map(id, train_events.outputs(place)), train_events.on_change(studio, place, "", *values), strict=True))
    assert "once all rows are in" in drawn[id(place.preview)]
    assert drawn[id(place.start)] == gr.update(value="Reading the data …", interactive=False)
    assert drawn[id(place.arriving["timer"])] == gr.update(active=True)
    assert drawn[id(place.slots["source"])] == "", "the line that moves says it; no problem beside it"
    started, refused = train_events.on_start(studio, place, "", *values)
    assert started == ""
    assert "rows.csv is being read" in refused
    kept = arriving.on_cancel(studio, place, "", *values)
    assert kept[0] == ""
    assert "Reading was cancelled" in kept[-1]


def test_a_cancel_that_comes_too_late_changes_nothing_and_the_last_tick_asks_for_the_rows(studio: Studio, place: Train) -> None:
    values = list(request.fields(homes.SPEC, place.offer).values())
    assert arriving.on_cancel(studio, place, "", *values) == (gr.skip(),) * 3
    line, cancel, timer, over = arriving.on_tick(studio, place, "", *values)
    assert "All rows are read" in line
    assert (cancel, timer) == (gr.update(visible=False), gr.update(active=False))
    assert over


def test_how_far_it_is_stands_in_words_and_as_a_bar() -> None:
    told = arriving.card(Arriving("a <b>.csv", 0.42, 42_000))
    assert "a &lt;b&gt;.csv" in told
    assert "42,000\u00a0rows · 42\u00a0%" in told
    assert 'aria-valuenow="42"' in told
    assert "waits until other files are read" in arriving.card(Arriving("a.csv", waiting=True))
    assert arriving.card(None) == ""


def test_a_path_becomes_the_file_and_forgets_what_belonged_to_the_last(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert own_path.on_path(studio, 2, ' "~/a b.csv" ') == ("file:/home/me/a b.csv", "", None, None, None, [], "", "")
    kept, problem, *_ = own_path.on_path(studio, 2, "  ")
    assert kept == gr.skip()
    assert "no path yet" in problem


def test_a_shared_app_offers_no_path(home: Path) -> None:
    shared = Studio(home, share=True, dispatch=False)
    with gr.Blocks() as page:
        own_path.build(shared)
    (row,) = [one for one in page.blocks.values() if one.elem_id == "path-row"]
    assert not row.visible
    shared.close()
