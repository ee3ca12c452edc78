"""A messy file on the page: what stands out in its rows, put right by a click, and undone by another."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import App
from tests.browser.doing import choose, own_file
from tests.browser.looking import WAYS, Seen, darken, faults, ready
from tests.browser.test_walk import Open

pytestmark = pytest.mark.browser
ROWS = [f"word{at} and {at * 7 % 91} more words of row {at},{('good', 'bad', 'so so')[at % 3]}" for at in range(200)]
MESS = ["It cost Â£5 and wasnâ€™t worth it,bad", "one two three,Good", "four five six,GOOD", "word3 and 21 more words of row 3,bad"]


def test_a_messy_file_is_put_right_and_undone_by_clicks(app: App, open_page: Open, tmp_path: Path, seen: Seen) -> None:
    path = tmp_path / "messy.csv"
    path.write_text("text,label\n" + "\n".join([*ROWS, *MESS]) + "\n", "utf-8")
    page = open_page(app.url)
    ready(page)
    own_file(page)
    page.locator("#upload input[type=file]").set_input_files(path)
    doctor, facts = page.locator("#doctor"), page.locator("#facts")
    expect(doctor.locator("[data-finding=label-variants]")).to_contain_text("2 rows")
    expect(facts).to_contain_text("5 classes")

    doctor.get_by_role("button", name="One label in several spellings: Merge 2 labels").click()
    expect(facts).to_contain_text("3 classes")
    doctor.get_by_role("button", name="Repair them").click()
    expect(doctor.locator("ul.done li")).to_have_count(3)
    expect(doctor.locator("[data-finding=mojibake]")).to_have_count(0)
    doctor.locator("summary", has_text="to know").click()
    for width, height, dark in (WAYS[0], WAYS[-2]):
        page.set_viewport_size({"width": width, "height": height})
        darken(page, dark=dark)
        assert faults(page) == {}
    page.set_viewport_size({"width": 1280, "height": 900})
    doctor.get_by_role("button", name="Undo: Damaged letters are repaired").click()
    expect(doctor.locator("[data-finding=mojibake]")).to_contain_text("1 row")
    expect(doctor.locator("ul.done li")).to_have_count(2)

    page.locator("#token-fit").get_by_role("button", name="How each model reads your texts").click()
    expect(page.locator("#token-fit-table tbody tr")).to_have_count(1)
    expect(page.locator("#token-fit-table tbody tr")).to_contain_text("Reads most words whole")
    expect(page.locator("#token-fit-more")).to_contain_text("others too")

    page.locator("#detail input").check()
    with page.expect_download() as told:
        page.get_by_role("button", name="Download as JSON").click()
    saved = tmp_path / "spec.json"
    told.value.save_as(saved)
    assert "merge-labels:GOOD=good" in saved.read_text("utf-8")
    choose(page, "data", "Film reviews")
    expect(facts).not_to_contain_text("messy.csv")
    expect(doctor.locator("ul.done")).to_have_count(0)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Load from JSON").click()
    chooser.value.set_files(saved)
    expect(doctor.locator("ul.done li")).to_have_count(2)
    assert seen.outside == set()
    assert seen.errors == []
