"""More data as a person meets it: a choice, examples beside their originals, what it costs, and the way to a comparison."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PATIENCE_MS, App
from tests.browser.doing import choose
from tests.browser.looking import WAYS, Seen, darken, faults, ready
from tests.browser.test_walk import Open

pytestmark = pytest.mark.browser


def test_made_rows_are_chosen_seen_beside_their_originals_and_compared(app: App, open_page: Open, seen: Seen) -> None:
    page = open_page(app.url)
    ready(page)
    choose(page, "data", "Product reviews")
    expect(page.get_by_role("button", name="Start training")).to_be_enabled(timeout=PATIENCE_MS)
    fold = page.locator("#more-data")
    expect(fold).to_be_hidden()
    page.locator("#detail input").check()
    fold.locator("button").first.click()
    expect(fold).to_contain_text("Choose a way above")
    expect(page.locator("#more-data-compare")).to_be_hidden()
    for way in ("Stand-in words", "Slips of typing"):
        fold.get_by_label("Rows made from yours").click()
        page.get_by_role("option", name=way).click()
        lines = fold.get_by_role("region", name="Made rows beside their originals").locator("tbody tr")
        expect(lines).to_have_count(6, timeout=PATIENCE_MS)
        expect(lines.first.locator("mark")).not_to_have_count(0)
    expect(page.locator("#preview")).to_contain_text("made", timeout=PATIENCE_MS)
    expect(page.locator("#preview")).to_contain_text("gets one copy at most by slips of typing")
    for width, height, dark in (WAYS[0], WAYS[-1]):
        page.set_viewport_size({"width": width, "height": height})
        darken(page, dark=dark)
        # Else what lies under the bar at the top, or behind the button that stays in view, is taken as overlapped.
        page.evaluate("() => { scrollTo(0, 0); document.getElementById('side').scrollTo(0, 9999); }")
        assert faults(page) == {}
    page.set_viewport_size({"width": 1280, "height": 900})
    page.locator("#more-data-compare").click()
    expect(page.locator("#compare-start")).to_have_text("Start the study", timeout=PATIENCE_MS)
    expect(page.locator("#compare-told")).to_contain_text("only the training rows have copies beside them")
    expect(page.locator("#compare-told")).to_contain_text("2, one after the other")

    fold.get_by_label("Rows made from yours").click()
    page.get_by_role("option", name="Translated there and back").click()
    expect(fold).to_contain_text("No model that translates is chosen", timeout=PATIENCE_MS)
    expect(fold).to_contain_text("then stands on the run's page")
    expect(page.locator("#start")).to_be_disabled()
    assert seen.errors == []
    assert seen.outside == set()
