"""The methods beside each other, what makes a run fit, and the fit measured, as a person meets them."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PATIENCE_MS, App
from tests.browser.doing import own_file
from tests.browser.looking import WAYS, Seen, darken, faults, ready
from tests.browser.test_walk import Open

pytestmark = pytest.mark.browser
WORDS = ["good", "bad", "film", "very", "some", "words", "here", "indeed", "slow", "bright", "story", "actor"]


def test_a_method_is_chosen_from_the_table_and_one_that_cannot_be_is_greyed_with_the_reason(app: App, open_page: Open, seen: Seen) -> None:
    page = open_page(app.url)
    ready(page)
    page.locator("#methods button").first.click()
    table = page.locator("#methods-table")
    expect(table.get_by_role("region", name="Every method").locator("tbody tr")).to_have_count(14)
    for width, height, dark in (WAYS[0], WAYS[-1]):
        page.set_viewport_size({"width": width, "height": height})
        darken(page, dark=dark)
        page.evaluate("() => scrollTo(0, 0)")  # else what lies under the bar at the top is taken as overlapped by it
        assert faults(page) == {}
    page.set_viewport_size({"width": 1280, "height": 900})
    page.get_by_role("button", name="Choose Last layers").click()
    expect(page.locator("#method input")).to_have_value("Last layers")
    expect(page.locator("#knob-top_blocks")).to_be_visible()
    expect(page.locator("#knob-rank")).to_be_hidden()
    expect(table.locator("tr.chosen")).to_contain_text("Last layers")
    page.locator("#knob-top_blocks").get_by_role("textbox").fill("6")
    row = table.locator("tr", has_text="The topmost blocks")
    expect(row).to_have_class("greyed")
    expect(row).to_contain_text("this model has 6 in all")
    expect(page.locator("#start")).to_be_disabled()
    page.get_by_role("button", name="Choose LoRA").click()
    expect(page.get_by_role("button", name="Start training")).to_be_enabled()
    assert seen.outside == set()


def test_what_makes_a_run_fit_is_one_click_away_and_its_fit_can_be_measured(app: App, open_page: Open, tmp_path: Path, seen: Seen) -> None:
    dice = random.Random(1)
    rows = "".join(f"{' '.join(dice.choices(WORDS, k=dice.randint(20, 700)))},{dice.choice(('yes', 'no'))}\n" for _ in range(2500))
    path = tmp_path / "long.csv"
    path.write_text(f"text,label\n{rows}", "utf-8")
    page = open_page(app.url)
    ready(page)
    own_file(page)
    page.locator("#upload input[type=file]").set_input_files(path)
    expect(page.get_by_role("button", name="Start training")).to_be_enabled(timeout=60_000)
    page.get_by_text("Balanced", exact=True).click()
    page.locator("#detail input").check()
    page.locator("#knob-batch_size").get_by_role("textbox").fill("1024")
    page.locator("#knob-max_length").get_by_role("textbox").fill("512")
    changes = page.locator("#changes")
    expect(changes).to_contain_text("Any of these makes it fit", timeout=60_000)
    expect(page.locator("#start")).to_be_disabled()
    expect(page.locator("#check-fit")).to_be_enabled()
    start = page.get_by_role("button", name="Start training")
    for _ in range(3):  # what is free becomes less while other tests take memory
        changes.get_by_role("button", name="Apply: Batches of").click()
        with suppress(AssertionError):
            expect(start).to_be_enabled()
            break
    expect(start).to_be_enabled()
    assert int(page.locator("#knob-batch_size").get_by_role("textbox").input_value()) < 1024

    page.locator("#knob-batch_size").get_by_role("textbox").fill("4")
    page.locator("#knob-accumulation").get_by_role("textbox").fill("2")
    page.locator("#knob-max_length").get_by_role("textbox").fill("32")
    expect(page.locator("#preview")).to_contain_text("4 × 2 = 8")
    page.get_by_role("button", name="Check the fit").click()
    expect(page.locator("#fit")).to_contain_text("Measured on this machine: 5 real steps, up to 32 tokens a row", timeout=PATIENCE_MS)
    expect(page.locator("#preview .mark", has_text="measured")).to_have_count(3)
    expect(page.locator("#check-fit")).to_have_text("Measure again")
    assert seen.outside == set()
