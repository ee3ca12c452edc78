"""The whole way of a messy workbook: three fixes, training, the verdict, a wrong cell, labels put right, training again, both compared."""

from __future__ import annotations

import random
import re
from pathlib import Path

import openpyxl
import pytest
from playwright.sync_api import Page, expect

from engine import answers
from engine.data import corrected
from engine.explorer import CORRECTIONS
from engine.store import Store
from tests.browser.conftest import PATIENCE_MS, App
from tests.browser.doing import own_file, press_start
from tests.browser.looking import WAYS, Seen, darken, faults, ready
from tests.browser.test_walk import Open

pytestmark = pytest.mark.browser
SAYINGS = {
    "Positive": ("খুব ভালো পণ্য, দাম কম, আবার কিনব", "a lovely warm film with a great cast", "wonderful, I would buy it again"),
    "Negative": ("একদম বাজে পণ্য, টাকা নষ্ট হলো", "a dull cold film, badly acted", "terrible, I want my money back"),
    "মাঝামাঝি": ("মোটামুটি, চলে আরকি", "neither good nor bad, okay I suppose", "average, nothing special"),
}
ROWS = 240
SETTINGS = {"learning_rate": "0.003", "max_length": "32", "max_steps": "20"}  # 5 seconds, and enough to tell these three apart


def messy(path: Path) -> None:
    """Reviews of which every tenth has a wrong label, with damaged letters, a label in two spellings and rows that come twice."""
    dice, names = random.Random(3), list(SAYINGS)
    rows = []
    for at in range(ROWS):
        name = names[at % 3]
        label = dice.choice([other for other in names if other != name]) if at % 10 == 0 else name
        rows.append((f"{dice.choice(SAYINGS[name])} number {at} {dice.choice(SAYINGS[name])}", label, dice.choice(("ঢাকা", "Pune"))))
    rows += [("It wasnâ€™t worth Â£5, I want it back", "Negative", "Pune"), ("as lovely as it can be", "positive", "Pune"), *rows[:14]]
    book = openpyxl.Workbook()
    notes = book.active
    notes.title = "Notes"
    notes.append(["What customers wrote this year"])
    sheet = book.create_sheet("মতামত")
    for row in (("review", "label", "city"), *rows):
        sheet.append(row)
    book.save(path)


def shown_rows(page: Page) -> str:
    return page.locator("#explorer-rows input").input_value()


def click_cell(page: Page, label: int, said: int) -> None:
    """A cell of the matrix of three classes, by its place."""
    cells = page.locator("#confusion .nsewdrag")
    cells.scroll_into_view_if_needed()
    box = cells.bounding_box()
    assert box is not None
    at = {"x": box["width"] * (said + 0.5) / 3, "y": box["height"] * (label + 0.5) / 3}
    cells.hover(position=at)  # type: ignore[arg-type]
    expect(page.locator("#confusion .hoverlayer text").first).to_be_visible()
    cells.click(position=at)  # type: ignore[arg-type]


def test_from_a_messy_file_to_labels_put_right_and_a_run_that_learnt_from_them(
    app: App, open_page: Open, tmp_path: Path, seen: Seen
) -> None:
    path = tmp_path / "messy.xlsx"
    messy(path)
    page = open_page(app.url)
    ready(page)
    own_file(page)
    page.locator("#upload input[type=file]").set_input_files(path)
    expect(page.locator("#sheet input")).to_have_value("মতামত · most rows", timeout=PATIENCE_MS)
    doctor = page.locator("#doctor")
    for at, button in enumerate(("Repair them", "Merge 1 label", "Keep the first of each")):
        expect(doctor.locator("ul.done li")).to_have_count(at)
        doctor.get_by_role("button", name=button).first.click()
    expect(doctor.locator("ul.done li")).to_have_count(3)
    page.locator("#detail input").check()
    for name, value in SETTINGS.items():
        page.locator(f"#knob-{name}").get_by_role("textbox").fill(value)
    expect(page.locator("#preview")).to_contain_text("20 steps", timeout=PATIENCE_MS)
    press_start(page)
    expect(page.locator("#verdict")).to_contain_text("unseen", timeout=PATIENCE_MS)

    # A wrong cell, and the words that moved an answer in it
    store = Store(app.home)
    (first,) = store.ids()
    told = answers.read(store.folder(first))
    label, said, count = answers.confusions(told)[0]
    names = list(told[0].probabilities)
    click_cell(page, names.index(label), names.index(said))
    table = page.locator("#explorer-table")
    expect(page.locator("#explorer-rows input")).to_have_value(f"{label}, called {said} ({count})")
    expect(table.locator("tbody tr")).to_have_count(count)
    why = table.get_by_role("button", name="Which words?").first
    why.focus()
    page.keyboard.press("Enter")
    expect(table.locator("mark").first).to_be_visible(timeout=PATIENCE_MS)
    expect(table.get_by_role("button", name="Which words?").first).to_be_focused()

    # Labels put right, taken back, and put right again
    choice = table.get_by_role("combobox").first
    choice.select_option(said)
    line = page.locator("#explorer-corrected")
    expect(line).to_contain_text("1 label put right")
    expect(table.locator("tbody tr").first).to_contain_text(f"was {label}")
    page.get_by_role("button", name="Take them back").click()
    expect(line).to_contain_text("A wrong label?")
    expect(choice).to_have_value(str(names.index(label)))
    choice.select_option(said)
    expect(line).to_contain_text("1 label put right")
    page.get_by_role("button", name="Look for wrong labels in the training rows").click()
    expect(page.locator("#explorer-rows input")).to_have_value(re.compile("likely wrong"), timeout=PATIENCE_MS)
    doubted = table.locator("tbody tr", has_text="of the training rows").first
    likely = doubted.locator("td").nth(1).inner_text()
    doubted.get_by_role("combobox").select_option(likely.strip())
    expect(line).to_contain_text("2 labels put right")
    page.locator("#explorer-weak button").first.click()
    page.get_by_role("button", name="Look at the data's other columns too").click()
    expect(page.locator("#explorer-slices")).to_contain_text("city: ঢাকা")
    for width, height, dark in (WAYS[0], WAYS[-2]):
        page.set_viewport_size({"width": width, "height": height})
        darken(page, dark=dark)
        assert faults(page) == {}
    page.set_viewport_size({"width": 1280, "height": 900})
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the corrections").click()
    kept = corrected.from_csv(download.value.path().read_text("utf-8"))
    assert kept == corrected.from_csv((store.folder(first) / CORRECTIONS).read_text("utf-8"))
    assert {(one.old, one.new) for one in kept} >= {(label, said)}

    # Trained again with them, and compared with the run before
    page.get_by_role("button", name="Train again with them").click()
    expect(page.locator("#corrected")).to_be_visible()
    expect(page.locator("#facts")).to_contain_text("2 labels were corrected", timeout=PATIENCE_MS)
    press_start(page)
    expect(page.locator("#scores")).to_contain_text("The run before the corrections", timeout=PATIENCE_MS)
    expect(page.locator("#explorer-before")).to_contain_text("the run before the corrections")
    assert len(store.ids()) == 2
    assert faults(page) == {}
    assert seen.errors == []
    assert seen.outside == set()
