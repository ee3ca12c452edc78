"""A comparison as a person makes one: choose, start, reload, stop, resume, read, take home, use."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from engine.store import Store
from engine.studio import Studio
from tests.browser.conftest import PATIENCE_MS, App
from tests.browser.looking import WAYS, Seen, darken, faults, ready
from tests.browser.test_walk import Open

pytestmark = pytest.mark.browser
DRAWN = "names => names.every(name => document.querySelector(`[data-chart=${name}] .main-svg`))"


def without_fault(page: Page, *ways: tuple[int, int, bool]) -> None:
    for width, height, dark in ways:
        page.set_viewport_size({"width": width, "height": height})
        darken(page, dark=dark)
        page.evaluate("() => scrollTo(0, 0)")  # else what lies under the bar at the top is taken as overlapped by it
        assert faults(page) == {}, f"{width}, {'dark' if dark else 'light'}"
    page.set_viewport_size({"width": 1280, "height": 900})


def choose(page: Page, *wanted: str) -> None:
    """Leaves only these methods ticked."""
    boxes = page.locator("#compare-methods label")
    expect(boxes.first).to_be_visible()
    for box in boxes.all():
        box.locator("input").set_checked(box.inner_text().strip() in wanted)


def test_two_methods_are_compared_from_start_to_use_this(app: App, open_page: Open, seen: Seen, tmp_path: Path) -> None:
    page = open_page(app.url)
    ready(page)
    page.get_by_role("button", name="Compare methods").click()
    start = page.locator("#compare-start")
    expect(start).to_have_text("Start comparing", timeout=PATIENCE_MS)
    assert page.locator("#compare-methods input:checked").count() == page.locator("#compare-methods input").count() >= 2
    without_fault(page, WAYS[0], WAYS[2])
    choose(page, "LoRA")
    expect(page.locator("#compare-told")).to_contain_text("only LoRA is chosen")
    expect(start).to_be_disabled()
    choose(page, "LoRA", "Full fine-tuning")
    page.get_by_label("How much").fill("x")
    expect(page.locator("#compare-told")).to_contain_text("no number")
    page.get_by_label("How much").fill("14")
    expect(page.locator("#compare-told")).to_contain_text("14 steps of 16 rows for every run", timeout=PATIENCE_MS)
    expect(page.locator("#compare-told")).to_contain_text("2, one after the other")
    start.click()
    page.wait_for_url(re.compile("study="), timeout=PATIENCE_MS)

    table = page.locator("#study-table")
    expect(table).to_contain_text("Running", timeout=PATIENCE_MS)
    page.reload()
    expect(table).to_contain_text("Running", timeout=PATIENCE_MS)
    page.locator("#study-stop").click()
    resume = page.locator("#study-resume")
    resume.wait_for(timeout=PATIENCE_MS)
    expect(table).not_to_contain_text("Running", timeout=PATIENCE_MS)  # the one at work saves first
    studio = Studio(app.home, dispatch=False)
    (made,) = studio.studies()
    assert studio.study(made.id).state == "stopped"
    resume.click()
    expect(page.locator("#study-now")).to_contain_text("2 of 2", timeout=PATIENCE_MS)

    expect(page.locator("#study-advice")).to_contain_text(re.compile("Take |None of these"), timeout=PATIENCE_MS)
    for name in ("LoRA", "Full fine-tuning", "Largest class", "TF-IDF"):
        expect(table.get_by_role("row", name=name).first).to_be_visible()
    page.wait_for_function(DRAWN, arg=["study-memory", "study-time", "study-loss"], timeout=PATIENCE_MS)
    without_fault(page, WAYS[1], WAYS[3])
    runs = [one for one in studio.runs() if one.study == made.id]
    assert [one.state for one in runs] == ["finished", "finished"]
    assert {Store(app.home).record(one.id).step for one in runs} == {14}

    with page.expect_download() as saved:
        page.get_by_role("button", name="CSV").click()
    saved.value.save_as(tmp_path / "a.csv")
    assert [one["method"] for one in csv.DictReader((tmp_path / "a.csv").open())] == ["lora", "full", "majority", "tfidf"]
    with page.expect_download() as saved:
        page.get_by_role("button", name="HTML file").click()
    saved.value.save_as(tmp_path / "a.html")
    assert (tmp_path / "a.html").read_text("utf-8").count("<svg") == 3
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save the picture Quality against memory").click()
    saved.value.save_as(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")

    page.get_by_role("link", name="All runs").first.click()
    expect(page.locator("#run-list")).to_contain_text("2 of 2")
    page.go_back()
    page.get_by_role("button", name="Use this: Full fine-tuning").click()
    expect(page.get_by_label("Method", exact=True)).to_have_value("Full fine-tuning", timeout=PATIENCE_MS)
    expect(page.get_by_label("Rank", exact=False)).to_have_count(0)
    assert "study" not in page.url
    assert seen.errors == []
    assert seen.outside == set()
