"""What handlers answer, asked without a browser."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest

from engine.errors import Refused
from engine.spec import DataSpec, RunSpec
from engine.studio import Preview, Studio
from tests.ui import homes
from ui import request, shell
from ui.tabs import model_upload, runs, runs_events, train, train_events, try_
from ui.tabs.train import Newest, Train


@pytest.fixture
def studio(home: Path) -> Iterator[Studio]:
    made = Studio(home, dispatch=False, limit_bytes=1_000)
    yield made
    made.close()


@pytest.fixture
def place(studio: Studio) -> Train:
    with gr.Blocks():
        return train.build(studio)


def fields(place: Train, spec: RunSpec) -> list[object]:
    return list(request.fields(spec, place.offer).values())


def test_an_answer_that_a_newer_change_overtook_is_not_drawn(studio: Studio, place: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    newest, drawn = Newest(), {}
    preview = Preview((), None, None, None)

    def slow(spec: RunSpec, token: str | None) -> Preview:
        if spec.model == "slow":  # while it is looked at, the person picks another model
            drawn["quick"] = train_events.on_redraw(studio, place, newest, 2, "", *fields(place, replace(homes.SPEC, model="quick")))
        return preview

    monkeypatch.setattr(studio, "preview", slow)
    drawn["slow"] = train_events.on_redraw(studio, place, newest, 1, "", *fields(place, replace(homes.SPEC, model="slow")))
    nothing = [gr.skip() for _ in train_events.outputs(place)]
    assert drawn["slow"] == nothing
    assert len(drawn["quick"]) == len(nothing)
    assert drawn["quick"] != nothing
    late = train_events.on_redraw(studio, place, newest, 1, "", *fields(place, homes.SPEC))
    assert late == nothing


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (replace(homes.SPEC, method="magic"), "magic"),
        (replace(homes.SPEC, task="dream"), "dream"),
        (replace(homes.SPEC, preset="gone"), "gone"),
        (replace(homes.SPEC, settings={"schedule": "zigzag"}), "zigzag"),
        (replace(homes.SPEC, settings={"length_grouping": "perhaps"}), "perhaps"),
        (replace(homes.SPEC, settings={"no_such": 1}), "no_such"),
    ],
)
def test_a_spec_that_no_field_can_show_is_refused_in_words(studio: Studio, place: Train, spec: RunSpec, told: str) -> None:
    with pytest.raises(Refused, match=told):
        train_events.shown(studio, place, spec)


@pytest.mark.parametrize("settings", [{}, {"rank": 9999}, {"epochs": "many"}])
def test_what_a_field_can_show_with_its_problem_is_shown(studio: Studio, place: Train, settings: dict[str, int | str]) -> None:
    filled = train_events.shown(studio, place, replace(homes.SPEC, preset=None, settings=settings))
    for component, value in zip(place.inputs, filled, strict=False):
        component.preprocess(value)  # Gradio takes each of them back


def test_try_takes_a_run_that_an_open_page_still_shows_after_the_app_was_started_again() -> None:
    with gr.Blocks():
        assert try_.build().run.preprocess("an-older-run") == "an-older-run"


def test_the_button_of_try_says_what_the_run_does(studio: Studio) -> None:
    run_id = homes.finished(studio.home, 1.0)
    path = studio.store.folder(run_id) / "plan.json"
    told = json.loads(path.read_text("utf-8"))
    words = {"classify": "Classify", "regress": "Give the number", "similar": "Compare", "tag": "Find the tags", "no task": "Classify"}
    for task, word in words.items():
        path.write_text(json.dumps({**told, "task": task}), "utf-8")
        second, ask = try_.on_run(studio, run_id)
        assert (ask["value"], second["visible"]) == (word, False)
    assert try_.on_run(studio, None)[1]["value"] == "Classify"


def test_a_new_file_forgets_the_second_one_that_belonged_to_the_last(studio: Studio, tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    path.write_text("text,label\n")
    assert train_events.on_upload(studio, 1, str(path))[-1] == ""


def test_pasted_rows_become_a_file_of_the_home_and_none_are_refused(tmp_path: Path) -> None:
    studio = Studio(tmp_path, dispatch=False)
    kept, box, problem, *_ = train_events.on_paste(studio, 4, "text\tlabel\nভালো পণ্য\tPositive\n")
    assert (tmp_path / kept.removeprefix("file:")).read_text("utf-8") == "text\tlabel\nভালো পণ্য\tPositive\n"
    assert (box, problem) == (None, "")
    nothing = train_events.on_paste(studio, 4, "  \n")
    assert nothing[0] == gr.skip()
    assert "no rows yet" in nothing[2]
    assert len(nothing) == 11


def test_a_gguf_file_that_is_handed_over_becomes_the_model_and_another_file_is_refused(tmp_path: Path) -> None:
    studio = Studio(tmp_path / "home", dispatch=False)
    path = tmp_path / "Tiny.GGUF"
    path.write_bytes(b"GGUF")
    kept, field, problem = model_upload.on_upload(studio, str(path))
    assert (studio.home / kept).read_bytes() == b"GGUF"
    assert (kept.startswith("uploads/"), kept.endswith("/Tiny.gguf"), field, problem) == (True, True, None, "")
    with pytest.raises(Refused, match="damaged or is no GGUF file"):
        studio.model(kept)
    path.write_bytes(b"x")
    path = path.rename(tmp_path / "weights.bin")
    assert "no GGUF file" in model_upload.on_upload(studio, str(path))[2]
    assert not path.exists()


def test_a_run_is_named_in_the_words_of_the_page(studio: Studio) -> None:
    assert train_events.run_name(studio, homes.SPEC) == "Film reviews · MiniLM-L6 · LoRA"
    mine = RunSpec(DataSpec("file:uploads/ab/my reviews.csv"), "owner/model", method="full")
    assert train_events.run_name(studio, mine) == "my reviews · model · Full fine-tuning"


def test_a_file_a_little_over_the_limit_is_refused_in_our_words(studio: Studio, tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    path.write_bytes(b"x" * 1_100)
    assert shell.launch_options(studio)["max_file_size"] > path.stat().st_size, "it comes in"
    told = train_events.on_upload(studio, 0, str(path))
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
    monkeypatch.setattr(studio, "export", lambda run_id, merged: made)
    for content in (b"first", b"second"):
        made.unlink(missing_ok=True)
        made.write_bytes(content)
        for _ in range(2):
            told = runs_events.on_export(studio, tmp_path / "page", False, "a-run")
    (kept,) = [path for path in (tmp_path / "page").rglob("*") if path.is_file()]
    assert kept.read_bytes() == b"second"
    assert told["value"] == str(kept)


def test_only_figures_that_the_chosen_task_has_can_keep_the_best_checkpoint(studio: Studio, place: Train) -> None:
    def offered(task: str, chosen: str = "") -> dict[str, object]:
        asked = replace(homes.SPEC, task=task, settings={"select_by": chosen} if chosen else {})
        drawn = train_events.on_redraw(studio, place, Newest(), 1, "", *fields(place, asked))
        told: dict[str, object] = drawn[train_events.outputs(place).index(place.knobs["select_by"])]
        return told

    def values(told: dict[str, object]) -> list[str]:
        return [value for _, value in told["choices"]]  # type: ignore[attr-defined]

    assert values(offered("regress")) == ["", "loss", "mae", "spearman", "r2"]
    assert values(offered("write")) == ["", "loss"]
    kept = offered("classify", "accuracy")
    assert values(kept) == ["", "macro_f1", "weighted_f1", "accuracy", "loss"]
    assert "value" not in kept
    assert offered("classify", "mae")["value"] == "", "what was chosen for another task is let go"


def test_the_loss_of_a_run_that_writes_is_in_nats_a_token_before_its_first_check(studio: Studio) -> None:
    run_id = homes.finished_writer(studio.home, 2.0)
    assert runs_events._metric(studio, run_id)[1] == "nats a token"
    assert runs_events._metric(studio, homes.finished(studio.home, 1.0)) == ("macro_f1", "nats a row")


def test_no_event_has_two_listeners_that_wait_for_their_turn(studio: Studio, tmp_path: Path) -> None:
    """Gradio begins with all listeners of an event anew when one that waited is done: two that wait keep each other going for ever.

    What changes a gr.State is told to each listener by itself.
    """
    page = shell.build(studio, tmp_path)
    waiting = [target for one in page.fns.values() if one.fn and one.trigger_mode == "always_last" for target in one.targets if target[0]]
    heard = Counter(target for target in waiting if not isinstance(page.blocks[target[0]], gr.State))
    assert len(heard) > 50
    assert {target: times for target, times in heard.items() if times > 1} == {}


def test_what_shows_no_progress_is_awaited_by_one_component_alone(studio: Studio, tmp_path: Path) -> None:
    """Gradio seeks each that waits through the tree of all components, twice for every event."""
    page = shell.build(studio, tmp_path)
    silent = [one for one in page.fns.values() if one.fn and one.show_progress == "hidden"]
    assert len(silent) > 50
    assert {tuple(told.elem_id for told in one.show_progress_on or one.outputs) for one in silent} == {("head",)}


def test_a_page_asks_less_often_where_nothing_goes_on(studio: Studio) -> None:
    """Every look costs the browser a part of the processor that trains, and a page on which all is told may stay open for days."""

    def pace(run_id: str) -> float:
        return float(runs_events.on_news(studio, run_id)[-1]["value"])

    over = homes.finished(studio.home, 1.0)
    assert pace("") == pace(over) == pace("20260101-000000-gone-ab12") == runs.REST_SECONDS
    going = homes.running(studio.home, time.time())
    assert pace("") == pace(going) == runs.TICK_SECONDS < runs.REST_SECONDS
    assert pace(over) == runs.REST_SECONDS
