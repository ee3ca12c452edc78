"""Tags through the page: columns of 0 and 1 are proposed, chosen, learnt, judged tag by tag, and tried."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import App
from tests.browser.doing import begin, choose, fill, said_of, start_and_wait, taken_home, upload, with_own_model
from tests.browser.looking import WAYS, Seen, darken, faults
from tests.browser.test_walk import Open
from tests.tiny import tiny

pytestmark = pytest.mark.browser
PICTURES = os.environ.get("SHUR_PICTURES", "")  # a folder to look into afterwards
ADVANCED = {"max_steps": "20", "batch_size": "8", "accumulation": "1", "max_length": "16"}


def rows(path: Path) -> Path:
    """Texts with three tags in every combination, and one column that has nothing to do with them."""
    words = ("awful", "wonderful", "why")
    lines = [
        f"{' '.join(word for place, word in enumerate(words) if at >> place & 1)} phone {at},{at & 1},{at >> 1 & 1},{at >> 2 & 1},{at % 3}x"
        for at in range(1200)
    ]
    path.write_text("comment,abuse,praise,প্রশ্ন,shop\n" + "".join(line + "\n" for line in lines), "utf-8")
    return path


def looked_at(page: Page, name: str, place: str) -> None:
    """Nothing is wrong with what is on the screen, wide and light, narrow and dark."""
    for width, height, dark in (WAYS[0], WAYS[2]):
        page.set_viewport_size({"width": width, "height": height})
        darken(page, dark=dark)
        page.evaluate("place => { document.querySelector(place).scrollIntoView(); }", place)
        if PICTURES:
            page.screenshot(path=f"{PICTURES}/{name}-{width}-{'dark' if dark else 'light'}.png", full_page=True)
        assert faults(page) == {}
    page.set_viewport_size({"width": 1280, "height": 900})


def test_columns_of_yes_and_no_are_learnt_as_tags_and_tried(app: App, open_page: Open, tmp_path: Path, seen: Seen) -> None:
    page = open_page(app.url)
    begin(page)
    with_own_model(page, tiny("bert", tmp_path / "tiny-bert"))
    upload(page, rows(tmp_path / "tags.csv"))
    expect(page.locator("#facts .meant")).to_contain_text("3 columns say yes or no", timeout=60_000)
    choose(page, "task", "Give each text tags")
    chosen = page.locator("#labels-columns")
    expect(chosen).to_contain_text("প্রশ্ন", timeout=60_000)
    expect(page.locator("#facts")).to_contain_text("3 tags")
    expect(page.get_by_text("As in the guide")).to_be_hidden()
    expect(page.locator("#label-column")).to_be_hidden()
    chosen.locator("button, .token-remove").first.click()
    expect(page.locator("#facts")).to_contain_text("2 tags", timeout=60_000)
    chosen.locator("input").click()
    page.get_by_role("option", name="abuse").first.click()
    page.keyboard.press("Escape")
    expect(page.locator("#facts")).to_contain_text("3 tags", timeout=60_000)
    fill(page, ADVANCED)
    expect(page.get_by_role("button", name="Start training")).to_be_enabled(timeout=60_000)
    looked_at(page, "train", "#facts")
    run = start_and_wait(page, "tags.csv")
    expect(page.locator("#verdict .sentence")).to_contain_text("of the tags it gives are right", timeout=60_000)
    expect(page.locator("#scores")).to_contain_text("TF-IDF with logistic regression")
    expect(page.locator("#scores")).to_contain_text("Rows that have it")
    expect(page.locator("#scores")).to_contain_text("A tag is given from a chance of")
    looked_at(page, "run", "#scores")

    # Rows of one tag, by a click on its count; tags put right, taken back, and put right again
    count = page.locator("#scores button.link").first
    expect(count).to_be_visible()
    told = int(count.inner_text().replace(",", ""))
    count.focus()
    page.keyboard.press("Enter")
    table = page.locator("#explorer-table")
    expect(page.locator("#explorer-rows input")).to_have_value(re.compile(rf"(missed|given wrongly) \({told}\)"), timeout=60_000)
    first = table.locator("tbody tr").first
    first.locator("summary").click()
    box = first.get_by_role("checkbox").first
    was = box.is_checked()
    box.set_checked(not was)
    line = page.locator("#explorer-corrected")
    expect(line).to_contain_text("1 row's tags put right")
    expect(first.locator(".was")).to_be_visible()
    looked_at(page, "explorer", "#explorer-table")
    page.get_by_role("button", name="Take them back").click()
    expect(line).to_contain_text("Wrong tags?")
    first.locator("summary").click()
    expect(box).to_be_checked(checked=was)
    box.set_checked(not was)
    expect(line).to_contain_text("1 row's tags put right")
    page.locator("#explorer-weak button").first.click()
    page.get_by_role("button", name="Look at the data's other columns too").click()
    expect(page.locator("#explorer-slices")).to_contain_text("shop: 0x")
    expect(page.locator("#explorer-slices")).to_contain_text("Every tag right")
    assert "abuse" in taken_home(page)["labels.json"]
    expect(said_of(page, "awful phone")).to_contain_text("given", timeout=120_000)
    expect(page.locator("#try-answer tr")).to_have_count(3)
    looked_at(page, "try", "#try-answer")
    page.goto(f"{app.url}?run={run}")
    page.get_by_role("button", name="Train again with them").click()
    expect(page.locator("#facts")).to_contain_text("1 row's tags were corrected", timeout=60_000)
    start_and_wait(page, "tags.csv")
    expect(page.locator("#scores")).to_contain_text("The run before the corrections", timeout=60_000)
    expect(page.locator("#explorer-before")).to_contain_text("the run before the corrections")
    assert seen.errors == []
    assert seen.outside == set()
