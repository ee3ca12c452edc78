"""What a person does on the page from a file to a model that is tried and taken home; for the tests that walk the whole way."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.conftest import PATIENCE_MS
from tests.browser.looking import ready

PAGE_MS = 60_000  # for what the page alone does, on two cores that others use too
START = re.compile("Start training")


def json_lines(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def begin(page: Page) -> None:
    """The Train place with every setting, for a file of one's own."""
    ready(page)
    page.locator("#detail input").check()
    own_file(page)


def own_file(page: Page) -> None:
    """The fields for a file of one's own, once all of them stand; nobody has picked a file before."""
    choose(page, "data", "A file of mine")
    expect(page.locator("#paste-row")).to_be_visible()
    expect(page.locator("#preview")).to_contain_text("once nothing stands in the way")


def choose(page: Page, field: str, name: str) -> None:
    page.locator(f"#{field} input").click()
    page.get_by_role("option", name=name).first.click()


def fill(page: Page, settings: dict[str, str]) -> None:
    for name, value in settings.items():
        page.locator(f"#knob-{name}").get_by_role("textbox").fill(value)


def with_own_model(page: Page, folder: Path) -> None:
    choose(page, "model", "Another model")
    page.locator("#other-model").get_by_role("textbox").fill(str(folder))
    page.locator("#other-model").get_by_role("textbox").press("Enter")


def upload(page: Page, path: Path) -> None:
    page.locator("#upload input[type=file]").set_input_files(path)
    expect(page.locator("#facts")).to_contain_text(path.name, timeout=PAGE_MS)


def press_start(page: Page) -> None:
    start = page.get_by_role("button", name=START)
    expect(start).to_be_enabled(timeout=PATIENCE_MS)
    start.click()
    page.wait_for_url(re.compile("run="), timeout=PATIENCE_MS)


def start_and_wait(page: Page, data: str) -> str:
    """The id of the run, finished; what its page says of the data tells it from the run that was open before."""
    press_start(page)
    expect(page.locator("#run-heading")).to_contain_text(data, timeout=PAGE_MS)
    expect(page.locator("#run-now .state")).to_have_text("Finished", timeout=PATIENCE_MS)
    found = re.search(r"run=([\w-]+)", page.url)
    assert found is not None
    return found.group(1)


def taken_home(page: Page) -> dict[str, str]:
    """The files of the open run's export by their names; the texts of those that are texts."""
    page.locator("#run-export").click()
    with page.expect_download(timeout=PATIENCE_MS) as told:
        page.locator("#run-file a").first.click(timeout=PATIENCE_MS)
    with zipfile.ZipFile(told.value.path()) as packed:
        return {
            name.rpartition("/")[2]: "" if name.endswith(".safetensors") else packed.read(name).decode()
            for name in packed.namelist()
            if not name.endswith("/")
        }


def wrote(page: Page, prompt: str, form: str = "Asked as in the run's training") -> None:
    """Both columns of the sheet Write go on from the prompt, the untuned model asked as the run."""
    page.locator("#write-prompt textarea").fill(prompt)
    page.locator("#write-max_new_tokens").get_by_role("textbox").fill("4")
    page.get_by_role("button", name="Write", exact=True).click()
    for column in ("#written-left", "#written-right"):
        expect(page.locator(column)).to_contain_text("tokens a second", timeout=PATIENCE_MS)
        expect(page.locator(column)).to_contain_text(form, timeout=PAGE_MS)


def said_of(page: Page, text: str, second: str | None = None) -> Any:
    """The answer of the open run to a text, or to two; a locator."""
    page.locator("#run-try").click()
    page.locator("#try-text textarea").fill(text)
    if second is not None:
        page.locator("#try-second textarea").fill(second)
    page.locator("#try-go").click()
    return page.locator("#try-answer")
