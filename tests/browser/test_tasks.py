"""Every task once through the page: its rows seen as the model reads them, trained, judged, taken home and tried."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from engine import packaged
from engine.tasks import instruct
from tests.browser.conftest import PATIENCE_MS, App, running
from tests.browser.doing import PAGE_MS, begin, choose, fill, json_lines, said_of, start_and_wait, taken_home, upload, with_own_model, wrote
from tests.browser.looking import WAYS, Seen, darken, faults
from tests.browser.test_walk import Open
from tests.tiny import LINES, tiny

pytestmark = pytest.mark.browser
FEW = {"max_steps": "2", "batch_size": "2", "accumulation": "1", "max_length": "40"}
WRITING = {**FEW, "written_rows": "2", "max_new_tokens": "4"}
NUMBER = re.compile(r"-?[\d.]+")
SMOL = "SmolLM2-135M-Instruct"
OF_SMOLLM2 = 1  # of the writers, the first; the others are learnt by a tiny model, in a third of the time
WRITERS = {  # name on the page -> the columns of its rows, and what its example must hold to ask as it was taught
    "Write on": (("text",), "AutoModelForCausalLM"),
    "Follow instructions": (("instruction", "output"), "apply_chat_template"),
    "Answer questions": (("question", "answer"), "Question: "),
    "Turn a text into another": (("source", "target"), "Result:"),
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """One for all of these tests: what was trained before stands beside."""
    with running(tmp_path_factory.mktemp("tasks") / "home") as made:
        yield made


@pytest.fixture
def page(app: App, open_page: Open, seen: Seen) -> Iterator[Page]:
    """The Train place with every setting; afterwards nothing was said on its console and nobody else was asked."""
    opened = open_page(app.url)
    begin(opened)
    yield opened
    assert seen.errors == []
    assert seen.outside == set()


def rows(path: Path, columns: tuple[str, ...]) -> Path:
    return json_lines(path, [{name: f"{LINES[(at + place) % 8]} {at}" for place, name in enumerate(columns)} for at in range(60)])


def with_a_model_that_writes(page: Page, tmp_path: Path) -> None:
    """SmolLM2 where its package is installed, else a tiny one with a chat template like its."""
    if packaged.is_missing(SMOL):
        with_own_model(page, tiny_writer(tmp_path))
    else:
        choose(page, "model", "SmolLM2 135M Instruct, installed")


def tiny_writer(tmp_path: Path) -> Path:
    folder = tiny("qwen2", tmp_path / "tiny-qwen")
    (folder / "chat_template.jinja").write_text(instruct.CHATML)
    return folder


def train_again(page: Page) -> None:
    page.locator("nav.places a[data-place=train]").click()


def test_each_task_that_writes_is_trained_judged_taken_home_and_tried(app: App, page: Page, tmp_path: Path) -> None:
    with_a_model_that_writes(page, tmp_path)
    runs = []
    for at, (task, (columns, taught)) in enumerate(WRITERS.items()):
        if at:
            train_again(page)
            choose(page, "task", task)
        if at == OF_SMOLLM2:
            with_own_model(page, tiny_writer(tmp_path))
        upload(page, rows(tmp_path / f"rows-{at}.jsonl", columns))
        if not at:  # the first file is not made for classes, and says so
            page.locator("#facts .meant").get_by_role("button", name=task).click()
            expect(page.locator("#facts .meant")).to_have_count(0)
        expect(page.locator("#row-preview mark").nth(1)).to_be_visible(timeout=PAGE_MS)
        fill(page, WRITING)
        expect(page.get_by_role("button", name="Start training")).to_be_enabled(timeout=PAGE_MS)
        if not at:
            for width, height, dark in (WAYS[0], WAYS[-1]):
                page.set_viewport_size({"width": width, "height": height})
                darken(page, dark=dark)
                page.evaluate("() => scrollTo(0, 0)")
                assert faults(page) == {}
            page.set_viewport_size({"width": 1280, "height": 900})
        runs.append(start_and_wait(page, f"rows-{at}.jsonl"))
        expect(page.locator("#verdict .sentence")).to_contain_text("the untuned model", timeout=PAGE_MS)
        expect(page.locator("#scores")).to_contain_text("Perplexity per word")
        expect(page.locator("#samples")).to_contain_text("What was wanted")
        expect(page.locator("#evidence")).to_be_hidden()
        files = taken_home(page)
        assert {"adapter_model.safetensors", "README.md", "example.py"} <= set(files)
        assert taught in files["example.py"]
    for task, run in zip(WRITERS, runs, strict=True):  # after the last training: each that starts takes the memory of what writes
        page.goto(f"{app.url}?place=try&run={run}")
        expect(page.get_by_role("tab", name="Write")).to_have_attribute("aria-selected", "true", timeout=PATIENCE_MS)
        wrote(page, LINES[0], *(["Read as a chat"] if task == "Follow instructions" else []))


def test_a_label_is_written_and_the_whole_verdict_of_classes_stands(page: Page, tmp_path: Path) -> None:
    choose(page, "data", "Bengali product reviews")
    choose(page, "task", "Sort texts by writing the label")
    expect(page.locator("#problems-model")).to_contain_text("reads texts but cannot write", timeout=PAGE_MS)
    expect(page.get_by_text("As in the guide")).to_be_visible()
    with_a_model_that_writes(page, tmp_path)
    fill(page, {"template": "Review: {txt}"})
    expect(page.locator("#knob-template")).to_contain_text("a place {txt}", timeout=PAGE_MS)
    expect(page.locator("#start")).to_be_disabled()
    fill(page, {**FEW, "max_rows": "60", "template": "মতামত: {text}\nমনোভাব:"})
    expect(page.locator("#row-preview li").first).to_contain_text("মনোভাব:", timeout=PAGE_MS)
    start_and_wait(page, "product-reviews-bn")
    expect(page.locator("#verdict .sentence")).to_contain_text("right on", timeout=PAGE_MS)
    expect(page.locator("#classes")).to_contain_text("Negative")
    files = taken_home(page)
    assert "adapter_model.safetensors" in files
    assert "মনোভাব:" in files["example.py"]
    expect(said_of(page, "খুব ভালো পণ্য")).to_contain_text("%", timeout=PATIENCE_MS)


def test_numbers_and_pairs_are_learnt_judged_taken_home_and_asked(page: Page, tmp_path: Path) -> None:
    with_own_model(page, tiny("bert", tmp_path / "tiny-bert"))
    tasks = {
        "Give each text a number": (("text", "stars"), "off by", "TF-IDF with ridge regression", "AutoModelForSequenceClassification"),
        "Compare two texts": (("sentence1", "sentence2", "score"), "The untuned model reaches", "TF-IDF, cosine", "cosine"),
    }
    for at, (task, (names, verdict, baseline, taught)) in enumerate(tasks.items()):
        if at:
            train_again(page)
        choose(page, "task", task)
        told = [{**{name: f"{LINES[(at + len(name)) % 8]} {at}" for name in names[:-1]}, names[-1]: at % 6} for at in range(60)]
        upload(page, json_lines(tmp_path / f"numbers-{at}.jsonl", told))
        fill(page, {**FEW, "max_length": "32"})
        start_and_wait(page, f"numbers-{at}.jsonl")
        expect(page.locator("#verdict .sentence")).to_contain_text(verdict, timeout=PAGE_MS)
        expect(page.locator("#scores")).to_contain_text(baseline)
        expect(page.locator("#evidence")).to_be_hidden()
        field = page.locator("#explorer-table input[data-number]").first
        field.fill("much")
        field.press("Tab")
        expect(page.locator(".toast-body")).to_contain_text("is no number")
        field.fill("2.5")
        field.press("Tab")
        expect(page.locator("#explorer-corrected")).to_contain_text("1 number put right")
        page.locator("#explorer-table tbody tr").nth(1).get_by_label("Leave this row out").check()
        expect(page.locator("#explorer-corrected")).to_contain_text("1 number put right, 1 row left out")
        assert taught in taken_home(page)["example.py"]
        answer = said_of(page, LINES[0], LINES[0] if at else None)
        expect(answer.locator(".sentence")).to_have_text("1" if at else NUMBER, timeout=PATIENCE_MS)
    expect(page.locator("#try-go")).to_have_text("Compare")


def test_an_encoder_decoder_is_trained_taken_home_and_writes_beside_its_base(page: Page, tmp_path: Path) -> None:
    with_own_model(page, tiny("t5", tmp_path / "tiny-t5"))
    expect(page.locator("#problems-model")).to_contain_text("reads a text and writes another", timeout=PAGE_MS)
    choose(page, "task", "Turn a text into another")
    expect(page.locator("#problems-model")).not_to_contain_text("reads a text and writes another", timeout=PAGE_MS)
    upload(page, rows(tmp_path / "pairs.jsonl", ("source", "target")))
    fill(page, {**WRITING, "template": "translate English to Bengali: {text}"})
    expect(page.locator("#row-preview li").first).to_contain_text("translate English to Bengali: A good film", timeout=PAGE_MS)
    expect(page.locator("#row-preview li mark").first).to_contain_text("A bad film", timeout=PAGE_MS)
    expect(page.locator("#knob-packing input")).to_have_value("Automatic: no", timeout=PAGE_MS)
    start_and_wait(page, "pairs.jsonl")
    expect(page.locator("#verdict .sentence")).to_contain_text("chrF", timeout=PAGE_MS)
    assert "AutoModelForSeq2SeqLM" in taken_home(page)["example.py"]
    page.locator("#run-try").click()
    wrote(page, "A good film")
    assert faults(page) == {}
