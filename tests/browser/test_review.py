"""People judge a run's rows: links made on its page, answered by keyboard alone without the password, read on its page again."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from engine.reviews import Reviews, Sheet
from engine.store import Store
from tests import looks
from tests.browser.looking import WAYS, Seen, darken, faults, ready
from tests.browser.test_walk import Open
from tests.serving import Served, serving
from tests.ui import homes

pytestmark = pytest.mark.browser


def judged_home(home: Path) -> str:
    run_id = homes.finished(home, 1_000_000.0)
    looks.answer(Store(home).folder(run_id), homes.CLASSES)
    return run_id


def test_rows_are_judged_by_keyboard_and_told_on_the_run_s_page(tmp_path: Path, open_page: Open, seen: Seen) -> None:
    run_id = judged_home(tmp_path)
    with serving(tmp_path, dispatch=False) as served:
        page = open_page(f"{served.url}?place=runs&run={run_id}")
        ready(page)
        page.get_by_role("button", name="Ask people").click()
        page.locator("#review-names textarea").fill("Ana\nরহিম")
        page.locator("#review-rows input").fill("12")
        page.get_by_role("button", name="Make links").click()
        links = page.locator("#review-links a.full")
        expect(links).to_have_count(2)
        expect(links.first).to_contain_text(served.url)
        for width, height, dark in (WAYS[0], WAYS[-2]):
            page.set_viewport_size({"width": width, "height": height})
            darken(page, dark=dark)
            assert faults(page) == {}
        addresses = [str(one.get_attribute("href")) for one in links.all()]
        for address, keys in zip(addresses, ("1" * 12, "1" * 10 + "22"), strict=True):
            judge(open_page(served.url + address), keys)
        expect(page.locator("#review-outcome")).to_contain_text("12 of 12")
        expect(page.locator("#review-outcome")).to_contain_text("রহিম")
        expect(page.locator("#review-outcome")).to_contain_text("Rows they differ on")
        page.reload()
        page.get_by_role("button", name="Ask people").click()
        expect(links.first).to_contain_text(served.url)
        with page.expect_download() as download:
            page.get_by_role("button", name="Download what they said").click()
        told = Path(download.value.path()).read_text("utf-8-sig").splitlines()
        assert told[0].endswith("Ana: label,রহিম: label")
        assert seen.outside == set()
        assert seen.errors == []


def test_what_a_model_wrote_is_rated_by_keyboard_and_the_means_told(tmp_path: Path, open_page: Open, seen: Seen) -> None:
    run_id = homes.finished_writer(tmp_path, 1_000_000.0)
    looks.write(Store(tmp_path).folder(run_id), 40)
    with serving(tmp_path, dispatch=False) as served:
        page = open_page(f"{served.url}?place=runs&run={run_id}")
        ready(page)
        page.get_by_role("button", name="Ask people").click()
        expect(page.locator("#review-rows")).to_contain_text("This run answered 40 rows in its test")
        expect(page.locator("#review-rows input")).to_have_value("40")
        expect(page.locator("#review-questions")).not_to_contain_text("Label")
        page.locator("#review-names textarea").fill("Ana\nরহিম")
        page.locator("#review-rows input").fill("10")
        page.get_by_role("button", name="Make links").click()
        links = page.locator("#review-links a.full")
        expect(links).to_have_count(2)
        addresses = [str(one.get_attribute("href")) for one in links.all()]
        for address, keys in zip(addresses, ("4", "5"), strict=True):
            rate(open_page(served.url + address), keys)
        expect(page.locator("#review-outcome")).to_contain_text("4.5 (4.5 to 4.5)")
        for width, height, dark in (WAYS[0], WAYS[-2]):
            page.set_viewport_size({"width": width, "height": height})
            darken(page, dark=dark)
            assert faults(page) == {}
        assert seen.outside == set()
        assert seen.errors == []


def rate(page: Page, key: str) -> None:
    """Gives every row's four questions the same rating; unfolds what was wanted of the first."""
    expect(page.locator("#count")).to_have_text("Row 1 of 10; 0 judged")
    expect(page.locator("#right")).to_be_hidden()
    page.keyboard.press("w")
    expect(page.locator("#right")).to_have_text("<b>good</b>")
    for dark in (False, True):
        page.emulate_media(color_scheme="dark" if dark else "light")
        page.set_viewport_size({"width": 390, "height": 844})
        assert faults(page) == {}
    for at in range(1, 11):
        for _ in range(4):
            page.keyboard.press(key)
        expect(page.locator("#count")).to_contain_text(f"; {at} judged" if at < 10 else "All 10 rows are judged")


def judge(page: Page, keys: str) -> None:
    """Answers by these keys; in between goes back, changes, takes back, and opens the link anew."""
    expect(page.locator("#count")).to_have_text("Row 1 of 12; 0 judged")
    first = page.locator("#text").inner_text()
    page.keyboard.press("2")
    expect(page.locator("#count")).to_have_text("Row 2 of 12; 1 judged")
    page.keyboard.press("u")
    expect(page.locator("#count")).to_have_text("Row 1 of 12; 0 judged")
    assert page.locator("#text").inner_text() == first
    for at, key in enumerate(keys, 1):
        page.keyboard.press(key)
        expect(page.locator("#count")).to_contain_text(f"; {at} judged" if at < len(keys) else "All 12 rows are judged")
        if at == 5:
            page.reload()
            expect(page.locator("#count")).to_have_text("Row 6 of 12; 5 judged")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("button[aria-pressed=true]")).to_have_count(1)
    for dark in (False, True):
        page.emulate_media(color_scheme="dark" if dark else "light")
        page.set_viewport_size({"width": 390, "height": 844})
        assert faults(page) == {}


def test_a_link_needs_no_password_and_opens_nothing_else(tmp_path: Path) -> None:
    run_id = judged_home(tmp_path)
    sheet = Reviews(Store(tmp_path)).make(run_id, ["Ana <b>", "Bo"], 20)
    with serving(tmp_path, "--auth", "ana:secret", dispatch=False) as served:
        mine = f"{served.url}review/{run_id}/1/{sheet.people[0].secret}"
        told = asked(mine)
        assert "Ana &lt;b&gt;" in told
        assert sheet.people[1].secret not in told
        assert asked(mine, {"row": 0, "question": "label", "answer": sheet.classes[0]}) == '{"kept":true}'
        assert said(tmp_path, sheet) == {0: {"label": sheet.classes[0]}}
        refused(served, mine)
        for address in (mine[:-1], mine.replace("/1/", "/2/"), mine.replace(run_id, "..%2F.."), f"{served.url}review/{run_id}/1/"):
            assert status(address) in (401, 404)
        assert status(f"{served.url}config") == 401, "the rest of the app asks for the login"


def refused(served: Served, mine: str) -> None:
    for body in ({"row": 0, "question": "label", "answer": "<script>"}, {"row": 99, "question": "label", "answer": None}, [], "x" * 3000):
        with pytest.raises(urllib.error.HTTPError) as error:
            asked(mine, body)
        assert error.value.code in (400, 404)


def said(home: Path, sheet: Sheet) -> dict[int, dict[str, str]]:
    return Reviews(Store(home)).said(sheet, 0)


def asked(address: str, body: object = None) -> str:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(address, data=data), timeout=30) as answer:
        return str(answer.read().decode())


def status(address: str) -> int:
    try:
        with urllib.request.urlopen(address, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
