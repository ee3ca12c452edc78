"""A dozen of the worst files, handed over one after another on an open page: each ends in words, and the page stays whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PATIENCE_MS, App
from tests.browser.doing import own_file
from tests.browser.looking import WAYS, Seen, darken, faults, ready
from tests.browser.test_walk import Open
from tests.engine.test_files import CSV, KINDS, zipped
from tests.engine.test_legacy import SAID

pytestmark = pytest.mark.browser
SHOUT = "<img src=x onerror=alert(1)><script>alert(2)</script>"
UNFOLD = "document.querySelectorAll('#doctor details').forEach((one) => { one.open = true; })"
ROWS = "".join(f"said {at} of the day,{('good', 'bad')[at % 2]}\n" for at in range(40))
WORST = {  # name -> what is in it, and a word of what the page says; "rows": it is a table after all
    "empty.csv": (b"", "empty"),
    "blanks.csv": (b" \r\n\t\n" * 90, "empty"),
    "picture.csv": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9, "a picture"),
    "cut.xlsx": (KINDS["a.xlsx"]()[:-900], "damaged"),
    "hollow.xlsx": (zipped({"xl/workbook.xml": "<workbook/>", "[Content_Types].xml": "<a"}), "damaged"),
    "cut.parquet": (KINDS["a.parquet"]()[:-200], "damaged"),
    "cut.json": (KINDS["array.json"]()[:-300], "broken JSON"),
    "deep.json": (b"[" * 100_000 + b"]" * 100_000, "deep.json"),
    "numbers.json": (b'[{"text": ' + b"9" * 6000 + b', "label": "a"}]', "numbers.json"),
    "unclosed.csv": (('text,label\n"never closes,good\n' + "a, b, c, d\n" * 60).encode(), "quotation mark"),
    "wide.csv": (",".join(f"c{at}" for at in range(3000)).encode() + b"\n" + b"1," * 2999 + b"1\n", "3,000 columns"),
    "noise.csv": (bytes(range(256)) * 400, "binary"),
    "page.csv": (b"<!DOCTYPE html><html><body>404</body></html>", "web page"),
    "half.csv": (CSV.decode().encode("utf-16")[:-1], "quotation mark"),
    "shout.csv": (f"{SHOUT},label\n".encode() + ROWS.encode(), "rows"),
    "\u202egnp.csv": (b"text,label\n" + ROWS.encode() + b"\xff\xfe\x00\x01,good\n", "rows"),
}


def test_the_worst_files_end_in_words_and_the_page_stays_whole(app: App, open_page: Open, tmp_path: Path, seen: Seen) -> None:
    page = open_page(app.url)
    ready(page)
    page.on("dialog", lambda dialog: seen.errors.append(f"a dialog opened: {dialog.message}"))
    own_file(page)
    told = page.locator("#facts, .problem")
    for name, (content, word) in WORST.items():
        path = tmp_path / name
        path.write_bytes(content)
        page.locator("#upload input[type=file]").set_input_files(path)
        if word == "rows":
            expect(page.locator("#facts")).to_contain_text(name.removeprefix("\u202e"), timeout=PATIENCE_MS)
        else:
            expect(told.filter(has_text=name).filter(has_text=word).first).to_be_visible(timeout=PATIENCE_MS)
        assert "Traceback" not in page.locator("body").inner_text()
    for width, height, dark in (WAYS[0], WAYS[-2]):
        page.set_viewport_size({"width": width, "height": height})
        darken(page, dark=dark)
        assert faults(page) == {}
    assert seen.outside == set()
    assert seen.errors == []


def test_a_file_from_before_unicode_says_how_it_was_read_and_is_read_otherwise_by_a_click(
    app: App, open_page: Open, tmp_path: Path, seen: Seen
) -> None:
    path = tmp_path / "reviews.csv"
    texts = (one.replace(",", "") for _ in range(50) for one in SAID["Russian"])
    path.write_bytes(("text,label\n" + "".join(f"{text} {at},{'ab'[at % 2]}\n" for at, text in enumerate(texts))).encode("cp1251"))
    page = open_page(app.url)
    ready(page)
    own_file(page)
    page.locator("#upload input[type=file]").set_input_files(path)
    finding = page.locator("#doctor [data-finding=encoding]")
    expect(finding).to_contain_text("Read as Cyrillic (cp1251)", timeout=PATIENCE_MS)
    page.evaluate(UNFOLD)
    finding.get_by_role("button", name="Read as Cyrillic (KOI8-R)").click()
    expect(page.locator("#encoding input")).to_have_value("Cyrillic (KOI8-R)", timeout=PATIENCE_MS)
    expect(page.locator("#facts")).to_contain_text("KOI8-R")
    expect(finding).to_contain_text("You chose it", timeout=PATIENCE_MS)
    page.evaluate(UNFOLD)
    for width, height, dark in (WAYS[0], WAYS[-2]):
        page.set_viewport_size({"width": width, "height": height})
        darken(page, dark=dark)
        assert faults(page) == {}
    finding.get_by_role("button", name="Judge it by its bytes again").click()
    expect(finding).to_contain_text("Read as Cyrillic (cp1251)", timeout=PATIENCE_MS)
    assert seen.outside == set()
    assert seen.errors == []
