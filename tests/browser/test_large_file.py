"""A large file on the page: how far its reading is, cancelled, and taken after all."""

from __future__ import annotations

import re
import time
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PATIENCE_MS, App
from tests.browser.doing import own_file
from tests.browser.looking import WAYS, Seen, darken, faults, ready
from tests.browser.test_walk import Open

pytestmark = pytest.mark.browser
ROWS = 200_000
SOME = [f"ভালো পণ্য, and {at * 7 % 91} more words ".replace(",", "") * 4 for at in range(97)]
PATIENCE_SECONDS = 30.0


def held_reading(app: App) -> psutil.Process:
    """The process that reads, stopped where it is, so that what the page shows of it can be looked at."""
    assert app.served is not None
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        for one in psutil.Process(app.served.process.pid).children():
            if any("engine.intake" in word for word in one.cmdline()):
                one.suspend()
                return one
    raise AssertionError("nothing is read")


def test_a_large_file_is_followed_cancelled_and_taken_after_all(app: App, open_page: Open, tmp_path: Path, seen: Seen) -> None:
    path = tmp_path / "large reviews.csv"
    path.write_text("text,label\n" + "".join(f"{SOME[at % 97]} {at},{('good', 'bad')[at % 2]}\n" for at in range(ROWS)), "utf-8")
    page = open_page(app.url)
    ready(page)
    own_file(page)
    page.get_by_label("Or where it lies on this machine").fill(str(path))
    take, line, preview = page.get_by_role("button", name="Take this file"), page.locator("#arriving"), page.locator("#preview")
    take.click()
    reading = held_reading(app)
    expect(line).to_contain_text("Reading large reviews.csv")
    expect(preview).to_contain_text("once all rows are in")
    expect(page.get_by_role("button", name="Reading the data")).to_be_disabled()
    for width, height, dark in (WAYS[0], WAYS[-2]):
        page.set_viewport_size({"width": width, "height": height})
        darken(page, dark=dark)
        assert faults(page) == {}
    page.get_by_text("Balanced", exact=True).click()  # nothing else waits for the reading
    expect(page.locator("#recipe-line")).to_contain_text("The right choice when unsure")

    line.get_by_role("button", name="Cancel").click()
    expect(page.locator("#problems-upload")).to_contain_text("Reading was cancelled")
    expect(line).to_be_hidden()
    expect(page.get_by_role("button", name="Choose a dataset")).to_be_disabled()
    psutil.wait_procs([reading], PATIENCE_SECONDS)

    take.click()
    expect(page.locator("#facts")).to_contain_text(f"{ROWS:,} rows", timeout=PATIENCE_MS)
    expect(line).to_be_hidden()
    expect(page.get_by_role("button", name=re.compile("Start training"))).to_be_enabled(timeout=PATIENCE_MS)
    assert not any((app.home / "reading").iterdir())
    assert not any((app.home / "uploads").glob("*/*")), "it is read where it lies"
    assert seen.outside == set()
    assert seen.errors == []
