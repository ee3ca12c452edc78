"""Every place at 1280 and 390 pixels, light and dark: what a designer and a checker would object to."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from engine.store import Store
from tests.browser import looking
from tests.browser.looking import Seen
from tests.serving import Served

Open = Callable[[str], Page]
pytestmark = pytest.mark.browser
PLACES = ("?place=train", "?place=runs", "?run=running", "?run=failed", "?run=finished", "?place=try")


def address(served: Served, place: str) -> str:
    """The address of a place; the run's state stands for its id."""
    if not place.startswith("?run="):
        return served.url + place
    store = Store(served.home)
    return served.url + "?run=" + next(one for one in store.ids() if store.record(one).state == place.removeprefix("?run="))


@pytest.mark.parametrize("place", PLACES)
def test_a_place_is_without_fault_at_every_width_and_in_light_and_dark(open_page: Open, seen: Seen, still: Served, place: str) -> None:
    page = open_page(address(still, place))
    looking.ready(page)
    for width, height, dark in looking.WAYS:
        page.set_viewport_size({"width": width, "height": height})
        looking.darken(page, dark=dark)
        assert looking.faults(page) == {}, f"{place} at {width}, {'dark' if dark else 'light'}"
    assert seen.errors == []
    assert seen.outside == set()


def test_advanced_is_without_fault_too(open_page: Open, seen: Seen, still: Served) -> None:
    page = open_page(still.url)
    looking.ready(page)
    page.locator("#detail input").check()
    expect(page.get_by_label("Weight decay")).to_be_visible()
    for width, height, dark in looking.WAYS:
        page.set_viewport_size({"width": width, "height": height})
        looking.darken(page, dark=dark)
        assert looking.faults(page) == {}
    assert seen.errors == []


def test_simple_has_few_controls_and_start_stays_in_view(open_page: Open, still: Served) -> None:
    page = open_page(still.url)
    looking.ready(page)
    start = page.get_by_role("button", name="Start training")
    expect(start).to_be_enabled()
    expect(start).to_be_in_viewport(ratio=1)
    assert looking.controls(page) <= 20
    page.get_by_text("Every automatic choice").click()
    for height in (650, 900):
        page.set_viewport_size({"width": 1280, "height": height})
        expect(start).to_be_in_viewport(ratio=1)
        expect(page.locator("#compare-open")).to_be_in_viewport(ratio=1)
    page.locator("#detail input").check()
    page.get_by_label("Name of the run").scroll_into_view_if_needed()
    expect(start).to_be_in_viewport(ratio=1)


def test_on_a_phone_the_preview_is_one_touch_away(open_page: Open, still: Served) -> None:
    page = open_page(still.url)
    page.set_viewport_size({"width": 390, "height": 844})
    looking.ready(page)
    page.get_by_role("link", name="What will happen").click()
    expect(page.get_by_role("heading", name="What will happen")).to_be_in_viewport()


def test_start_is_reached_and_pressed_by_keyboard_alone(open_page: Open, still: Served) -> None:
    page = open_page(still.url)
    looking.ready(page)
    focused = "() => document.activeElement.innerText || document.activeElement.getAttribute('aria-label') || ''"
    visited = []
    for _ in range(60):
        page.keyboard.press("Tab")
        visited.append(page.evaluate(focused).strip())
        outline = page.evaluate("() => getComputedStyle(document.activeElement, null).outlineStyle")
        if visited[-1] == "Start training":
            break
    assert visited[-1] == "Start training", visited
    assert outline == "solid"
    assert "Runs" in visited
