"""A run with a far too high learning rate: the coach says so on its page, and its button begins the run with a lower one."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from engine.store import Store
from tests.browser.conftest import PATIENCE_MS, App
from tests.browser.doing import press_start
from tests.browser.looking import WAYS, Seen, darken, faults, ready
from tests.browser.test_walk import Open

pytestmark = pytest.mark.browser
SETTINGS = {"learning_rate": "0.5", "max_length": "32", "max_steps": "40", "batch_size": "8", "warmup_steps": "1", "patience": "0"}


def test_a_rate_that_is_too_high_is_told_and_put_right_by_a_button(app: App, open_page: Open, seen: Seen) -> None:
    page = open_page(app.url)
    ready(page)
    page.locator("#detail input").check()
    for name, value in SETTINGS.items():
        page.locator(f"#knob-{name}").get_by_role("textbox").fill(value)
    expect(page.locator("#preview")).to_contain_text("40 steps", timeout=PATIENCE_MS)
    press_start(page)
    first = page.url
    told = page.locator("#coach [data-coach]").first
    expect(told).to_contain_text("The learning rate (0.5) is too high", timeout=PATIENCE_MS)
    expect(page.locator("#run-heading")).to_be_visible()
    for width, height, dark in (WAYS[0], WAYS[-2]):
        page.set_viewport_size({"width": width, "height": height})
        darken(page, dark=dark)
        assert faults(page) == {}
    told.get_by_role("button", name=re.compile("rain again with a rate of 0.0005")).click()
    page.wait_for_url(lambda address: "run=" in address and address != first, timeout=PATIENCE_MS)
    store = Store(app.home)
    again, before = store.ids()
    assert again in page.url
    settings = [json.loads((store.folder(one) / "spec.json").read_text("utf-8"))["settings"] for one in (before, again)]
    assert settings[1] == {**settings[0], "learning_rate": 0.0005}
    expect(page.locator("#run-now")).to_contain_text("Finished", timeout=PATIENCE_MS)
    expect(page.locator("#coach [data-coach=rate_high]")).to_have_count(0)
    assert store.record(before).state in ("stopped", "finished"), "the first was asked to save and end"
    assert seen.outside == set()
    assert seen.errors == []
