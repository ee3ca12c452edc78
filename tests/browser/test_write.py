"""The sheet Write: a run beside its untuned base, streamed, stopped, cleared; at every width, light and dark."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import looking
from tests.browser.conftest import PATIENCE_MS, App
from tests.browser.looking import Seen
from tests.writing import writer, writing_run

Open = Callable[[str], Page]
pytestmark = pytest.mark.browser


def test_a_run_and_its_untuned_base_write_side_by_side_and_stop_when_told(app: App, open_page: Open, seen: Seen, tmp_path: Path) -> None:
    base = writer("qwen2", tmp_path / "base", chat=True, endless=True, max_position_embeddings=16_384)
    run_id = writing_run(app.home, base, task="write")
    page = open_page(f"{app.url}?place=try&run={run_id}")
    expect(page.get_by_role("tab", name="Write")).to_have_attribute("aria-selected", "true", timeout=PATIENCE_MS)
    expect(page.get_by_label("Left: a run or an untuned model")).to_have_value(str(base))
    expect(page.get_by_label("Right: a run or an untuned model")).to_have_value(re.compile("Reviews written"))
    page.get_by_role("button", name="The movie was fantastic because").click()
    expect(page.locator("#write-prompt textarea")).to_have_value("The movie was fantastic because")
    page.locator("#write-temperature").get_by_role("textbox").fill("0")
    page.locator("#write-max_new_tokens").get_by_role("textbox").fill("30")
    write, stop = page.get_by_role("button", name="Write", exact=True), page.get_by_role("button", name="Stop", exact=True)
    write.click()
    left, right = page.locator("#written-left"), page.locator("#written-right")
    for column in (left, right):
        expect(column).to_contain_text("tokens a second", timeout=PATIENCE_MS)
        expect(column).to_contain_text("Asked as in the run's training", timeout=PATIENCE_MS)
    expect(write).to_be_enabled()
    assert left.locator(".said").inner_text() != right.locator(".said").inner_text()

    page.locator("#write-max_new_tokens").get_by_role("textbox").fill("4000")
    page.locator("#write-detail input").check()
    expect(page.locator("#write-repetition_penalty")).to_be_visible()
    page.locator("#write-prompt textarea").fill("জিনিসটা খুব ভালো")
    write.click()
    expect(left.locator(".caret")).to_be_visible(timeout=PATIENCE_MS)
    stop.click()
    expect(left).to_contain_text("· stopped ·", timeout=PATIENCE_MS)
    expect(right).to_contain_text("Stopped before it began", timeout=PATIENCE_MS)
    expect(left.locator(".asked")).to_have_count(2)

    for width, height, dark in looking.WAYS:
        page.set_viewport_size({"width": width, "height": height})
        looking.darken(page, dark=dark)
        assert looking.faults(page) == {}, f"at {width}, {'dark' if dark else 'light'}"
    page.get_by_role("button", name="Clear").click()
    expect(left).to_have_text("The text appears here.")
    assert seen.errors == []
    assert seen.outside == set()
