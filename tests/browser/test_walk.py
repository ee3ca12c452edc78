"""The embedded default, end to end, as a new user meets it: Start, curves, a reload, stop, resume, the verdict, a Bengali sentence."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from engine.store import Store
from tests.browser.conftest import PATIENCE_MS, App
from tests.browser.doing import choose, fill, press_start, said_of, taken_home
from tests.browser.looking import Seen, faults, ready

pytestmark = pytest.mark.browser
Open = Callable[[str], Page]
POINTS = "() => document.querySelector('[data-chart=loss]')?.data?.[0]?.x?.length ?? 0"


def wait_for_points(page: Page, more_than: int) -> int:
    """How many points the training curve has, once there are more than so many."""
    page.wait_for_function(f"least => ({POINTS})() > least", arg=more_than, timeout=PATIENCE_MS)
    return int(page.evaluate(POINTS))


def test_a_first_run_from_start_to_a_bengali_sentence(app: App, open_page: Open, seen: Seen) -> None:
    page = open_page(app.url)
    ready(page)
    choose(page, "data", "product reviews")
    expect(page.locator("#preview")).to_contain_text("264 to train on", timeout=PATIENCE_MS)
    expect(page.locator("#preview")).to_contain_text("estimated")
    expect(page.locator("#preview")).to_contain_text("120 in 8 passes")
    page.locator("#detail input").check()
    fill(page, {"max_steps": "36"})  # as many are enough to be reloaded, stopped and resumed in
    expect(page.locator("#preview")).to_contain_text("36 steps", timeout=PATIENCE_MS)
    press_start(page)

    first = wait_for_points(page, 2)
    assert wait_for_points(page, first) > first, "the curve moves while it trains"
    page.reload()
    assert wait_for_points(page, 2) >= first, "a reload comes back to the same run and loses nothing"

    page.get_by_role("button", name="Stop and save").click()
    resume = page.get_by_role("button", name="Resume")
    resume.wait_for(timeout=PATIENCE_MS)
    store = Store(app.home)
    (run_id,) = store.ids()
    stopped_at = store.record(run_id).step
    assert list((store.folder(run_id) / "checkpoints").glob("step-*")), "it stopped and saved"

    resume.click()
    expect(page.locator("#verdict")).to_contain_text("unseen", timeout=PATIENCE_MS)
    done = store.record(run_id)
    assert done.state == "finished"
    assert done.attempts == 2
    assert [one.step for one in done.steps] == list(range(1, done.step + 1)), "no step is missing or taken twice"
    assert done.step > stopped_at

    matrix = page.locator("#confusion")
    for name in ("Negative", "Neutral", "Positive"):
        expect(matrix.get_by_text(name).first).to_be_visible(timeout=PATIENCE_MS)
    for baseline in ("TF-IDF", "Largest class"):
        expect(page.locator("#scores")).to_contain_text(baseline)

    assert "AutoModelForSequenceClassification" in taken_home(page)["example.py"]
    answer = said_of(page, "পণ্যটা খুব ভালো, দামও কম। আবার কিনব।")
    expect(page.locator("#try-go")).to_have_text("Classify")
    for name in ("Negative", "Neutral", "Positive", "ms"):
        expect(answer).to_contain_text(name, timeout=PATIENCE_MS)
    assert faults(page) == {}
    assert seen.errors == []
    assert seen.outside == set()


def test_an_app_that_is_killed_and_started_again_goes_on_watching(app: App, open_page: Open) -> None:
    page = open_page(app.url)
    press_start(page)
    before = wait_for_points(page, 1)
    app.kill()
    app.start_again()
    again = open_page(page.url)
    assert wait_for_points(again, before) > before, "the worker never noticed"
    again.get_by_role("button", name="Stop and save").click()
    again.get_by_role("button", name="Resume").wait_for(timeout=PATIENCE_MS)
    record = Store(app.home).record(Store(app.home).ids()[0])
    assert record.state == "stopped"
    assert record.attempts == 1
