"""The folds below a judged run, as a person opens them."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import expect

from engine import account, judged, probed
from engine.probed import Probed, Speed
from engine.store import Store
from tests import looks
from tests.browser import looking
from tests.browser.looking import Seen
from tests.browser.test_look import Open
from tests.serving import Served
from tests.ui import homes

pytestmark = pytest.mark.browser


def test_the_verdict_names_the_strongest_and_a_look_shows_edge_cases_speed_and_a_correction(
    open_page: Open, seen: Seen, still: Served
) -> None:
    run_id = homes.finished(still.home, time.time())
    folder = Store(still.home).folder(run_id)
    try:
        looks.answer(folder, homes.CLASSES)
        (folder / "model").mkdir()
        (folder / "model" / "shur.json").write_text("{}")
        looks.probed_run(folder)
        page = open_page(f"{still.url}?run={run_id}")
        looking.ready(page)
        expect(page.locator(".verdict .sentence")).to_contain_text("The strongest beside it, the untuned model, reaches 67.2")
        page.locator("#closer-sure button.label-wrap").click()
        page.get_by_label("Correct its confidence").check()
        expect(page.locator("#correction")).to_contain_text("The correction makes the error")
        page.locator("#closer-look button.label-wrap").click()
        expect(page.get_by_role("button", name="Look again")).to_be_visible()
        expect(page.locator("#look-found")).to_contain_text("It stumbles: “Bengali typed in Latin letters” changes 98.0")
        page.get_by_text("Some texts whose answer changed").click()
        expect(page.locator("#look-found")).to_contain_text("jinisota khub bhalo.")
        for width, height, dark in looking.WAYS[1:3]:
            page.set_viewport_size({"width": width, "height": height})
            looking.darken(page, dark=dark)
            page.evaluate("scrollTo(0, 0)")
            assert looking.faults(page) == {}
        assert seen.errors == []
    finally:
        Store(still.home).delete(run_id)


def test_of_a_run_that_gives_numbers_the_look_tells_its_speed(open_page: Open, seen: Seen, still: Served) -> None:
    run_id = homes.finished_writer(still.home, time.time())
    folder = Store(still.home).folder(run_id)
    try:
        kept = folder / account.FILE
        kept.write_text(kept.read_text("utf-8").replace('"instruct"', '"regress"'), "utf-8")
        (folder / "model").mkdir()
        (folder / "model" / "shur.json").write_text("{}")
        speeds = tuple(Speed(one, 0.02, 0.04, 100, 8, 210.0) for one in ("tuned", "untuned", "merged"))  # type: ignore[arg-type]
        look = Probed(judged.model_stamp(folder), "CPU, 2 cores", 9.0, 40, 0, (), speeds, None, 0, None, None, 0)
        (folder / probed.FOLDER).mkdir()
        (folder / probed.FOLDER / probed.RESULT).write_text(probed.to_json(look), "utf-8")
        page = open_page(f"{still.url}?run={run_id}")
        looking.ready(page)
        page.locator("#closer-look button.label-wrap").click()
        expect(page.get_by_role("button", name="Look again")).to_be_visible()
        expect(page.locator("#look-found")).to_contain_text("The model before its training")
        expect(page.locator("#look-found")).not_to_contain_text("Edge cases")
        expect(page.locator("#closer-sure")).to_be_hidden()
        expect(page.locator("#closer-classes")).to_be_hidden()
        for width, height, dark in looking.WAYS[1:3]:
            page.set_viewport_size({"width": width, "height": height})
            looking.darken(page, dark=dark)
            page.evaluate("scrollTo(0, 0)")
            assert looking.faults(page) == {}
        assert seen.errors == []
    finally:
        Store(still.home).delete(run_id)
