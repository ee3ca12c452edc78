"""What a person does on the page, without training anything: addresses, fields, bad input, a run that moves."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from engine import spec
from engine.events import Step
from engine.store import Store
from tests.browser import doing, looking
from tests.browser.doing import choose, own_file
from tests.browser.looking import Seen
from tests.browser.test_look import Open, address
from tests.hub import Hub, environment, serve_imdb
from tests.serving import Served, serving
from tests.ui import homes

pytestmark = pytest.mark.browser


def pick(page: Page, label: str, option: str) -> None:
    page.get_by_label(label).click()
    page.get_by_role("option", name=option).click()


def load(page: Page, path: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.locator("#detail input").check()
        page.get_by_role("button", name="Load from JSON").click()
    chooser.value.set_files(path)


def upload(page: Page, path: Path) -> None:
    page.locator("#upload input[type=file]").set_input_files(path)


def test_every_place_has_an_address_that_a_reload_and_the_back_button_keep(open_page: Open, seen: Seen, still: Served) -> None:
    page = open_page(still.url)
    looking.ready(page)
    page.get_by_role("link", name="Runs", exact=True).click()
    page.get_by_role("link", name="Film reviews").first.click()
    looking.ready(page)
    assert "?run=" in page.url
    page.reload()
    looking.ready(page)
    expect(page.get_by_role("heading", name="Film reviews")).to_be_visible()
    page.get_by_role("link", name="Try", exact=True).click()
    expect(page.get_by_role("button", name="Classify")).to_be_visible()
    assert page.url.endswith("?place=try")
    page.go_back()
    expect(page.get_by_role("heading", name="Film reviews")).to_be_visible()
    assert seen.errors == []


def test_a_run_that_is_not_there_says_so_and_leads_back(open_page: Open, still: Served) -> None:
    page = open_page(still.url + "?run=../../etc/passwd")
    expect(page.get_by_role("heading", name="There is no run")).to_be_visible(timeout=30_000)
    page.get_by_role("link", name="See all runs.").click()
    expect(page.get_by_role("link", name="Film reviews")).to_have_count(3)


def test_a_setting_out_of_bounds_is_told_beside_it_and_nothing_is_lost(open_page: Open, still: Served) -> None:
    page = open_page(still.url)
    rank = page.get_by_label("Rank", exact=False).first
    rank.fill("9999")
    page.get_by_label("Passes over the data").fill("2")
    expect(page.get_by_role("button", name="Correct a setting")).to_be_disabled()
    expect(page.locator("#knob-rank")).to_contain_text("Rank is '9999', but it must be a whole number from 1 to 256.")
    expect(rank).to_have_value("9999")
    rank.fill("4")
    expect(page.get_by_role("button", name="Start training")).to_be_enabled()
    expect(page.get_by_label("Passes over the data")).to_have_value("2")


def test_what_is_folded_asks_nothing_and_what_is_open_follows_the_fields(
    open_page: Open, seen: Seen, still: Served, tmp_path: Path
) -> None:
    (tmp_path / "short.csv").write_text("text,label\n" + "".join(f"some words {at},{'yes' if at % 2 else 'no'}\n" for at in range(80)))
    page = open_page(still.url)
    doing.begin(page)
    doing.upload(page, tmp_path / "short.csv")
    asked: list[int] = []
    page.on("request", lambda request: asked.append(request.post_data_json["fn_index"]) if "queue/join" in request.url else None)

    def asked_for(*passes: str) -> set[int]:
        """The handlers that are asked until the last of these changes is drawn; the first one's are among them."""
        asked.clear()
        for told in passes:
            page.locator("#knob-epochs").get_by_role("textbox").fill(told)
            expect(page.locator("#preview")).to_contain_text(f"in {told} passes")
        return set(asked)

    fold, table = page.locator("#token-fit").get_by_role("button", name="How each model reads your texts"), page.locator("#token-fit-table")
    before = asked_for("3", "4")
    fold.click()
    expect(table.locator("tbody tr").first).to_be_visible()
    looks = asked_for("5", "6") - before
    assert len(looks) == 1, "what is open is drawn anew"
    for told in ("24", "25"):  # the texts are short, and all else that is told stays the same
        page.locator("#knob-max_length").get_by_role("textbox").fill(told)
        expect(table).to_contain_text(f"at {told}")
    fold.click()
    expect(table).to_be_hidden()
    assert not looks & asked_for("7", "8"), "what is folded asks nothing"
    assert seen.errors == []


@pytest.mark.parametrize(
    ("name", "content", "button", "told"),
    [
        ("empty.csv", b"", "Choose other data", "empty.csv is empty"),
        ("picture.csv", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20, "Choose other data", "is a picture"),
        ("one.csv", b"text\nsome words\nmore words\n", "Choose other data", "it needs two"),
        ("ids.csv", b"text,label\n" + b"".join(b"some words %d,id-%d\n" % (at, at) for at in range(60)), "Settle the labels", "label"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_in_words_beside_it(
    open_page: Open, seen: Seen, still: Served, tmp_path: Path, name: str, content: bytes, button: str, told: str
) -> None:
    page = open_page(still.url)
    looking.ready(page)
    page.get_by_label("Rank", exact=False).first.fill("4")
    own_file(page)
    expect(page.get_by_role("button", name="Choose a dataset")).to_be_disabled()
    path = tmp_path / name
    path.write_bytes(content)
    upload(page, path)
    expect(page.get_by_role("button", name=button)).to_be_disabled()
    expect(page.locator("#card-data .problem.error").first).to_contain_text(told)
    expect(page.get_by_label("Rank", exact=False).first).to_have_value("4")
    expect(page.get_by_text("Traceback")).to_have_count(0)
    assert seen.errors == []


def test_an_uploaded_file_shows_its_rows_classes_and_columns_with_reasons(open_page: Open, still: Served, tmp_path: Path) -> None:
    path = tmp_path / "মতামত.tsv"
    rows = "".join(
        f"{at}\tপণ্যটা {'খুব ভালো' if at % 3 else 'একদম বাজে'}, ক্রমিক {at} নম্বর মতামত\t{'ভালো' if at % 3 else 'খারাপ'}\n" for at in range(90)
    )
    path.write_text("নম্বর\tলেখা\tমত\n" + rows, "utf-16")
    page = open_page(still.url)
    looking.ready(page)
    own_file(page)
    upload(page, path)
    expect(page.locator("#facts")).to_contain_text("90\u00a0rows")
    expect(page.locator("#facts")).to_contain_text("UTF-16")
    expect(page.locator("#facts .bars tr")).to_have_count(2)
    expect(page.get_by_label("Text column")).to_have_value("লেখা · 7 words on average")
    expect(page.locator("#label-column .info-text")).not_to_be_empty()
    expect(page.get_by_role("button", name="Start training")).to_be_enabled()
    pick(page, "Label column", "লেখা")
    expect(page.get_by_role("button", name="Settle the labels")).to_be_disabled()


def test_a_spec_goes_out_as_json_and_comes_back_in(open_page: Open, still: Served, tmp_path: Path) -> None:
    page = open_page(still.url)
    looking.ready(page)
    page.get_by_label("Rank", exact=False).first.fill("4")
    page.locator("#detail input").check()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download as JSON").click()
    path = tmp_path / "spec.json"
    saved.value.save_as(path)
    asked = spec.from_json(path.read_text("utf-8"))
    assert asked.settings == {"rank": 4}
    told = {**json.loads(path.read_text("utf-8")), "method": "full", "settings": {"epochs": 3, "seed": 7}}
    path.write_text(json.dumps({**told, "data": {"source": "sample:product-reviews-bn"}}), "utf-8")
    load(page, path)
    expect(page.get_by_label("Passes over the data")).to_have_value("3")
    expect(page.locator("#data input")).to_have_value("Bengali product reviews (sample) · Bengali, Banglish")
    expect(page.get_by_label("Rank", exact=False)).to_have_count(0)  # LoRA's, and the method is now full fine-tuning
    path.write_text('{"nonsense": 1}', "utf-8")
    load(page, path)
    expect(page.locator("#refused")).to_contain_text("The spec lacks 'data'.")
    expect(page.get_by_label("Passes over the data")).to_have_value("3")


def test_a_spec_without_a_preset_comes_in_and_one_with_an_unknown_method_is_told(
    open_page: Open, seen: Seen, still: Served, tmp_path: Path
) -> None:
    page = open_page(still.url)
    looking.ready(page)
    path = tmp_path / "spec.json"
    asked = {"data": {"source": "sample:product-reviews-bn"}, "model": "sentence-transformers/all-MiniLM-L6-v2", "preset": None}
    path.write_text(json.dumps(asked), "utf-8")
    load(page, path)
    expect(page.locator("#recipe-line")).to_contain_text("No preset")
    expect(page.locator("#preset input:checked")).to_have_count(0)
    expect(page.locator("#facts")).to_contain_text("neutral", ignore_case=True)
    path.write_text(json.dumps({**asked, "method": "magic"}), "utf-8")
    load(page, path)
    expect(page.locator("#refused")).to_contain_text("There is no method 'magic'.")
    expect(page.locator("#recipe-line")).to_contain_text("No preset")
    assert seen.errors == []


def test_a_second_file_is_shown_by_its_name_and_can_be_taken_away(open_page: Open, seen: Seen, still: Served, tmp_path: Path) -> None:
    rows = "text,label\n" + "".join(f"this one is {'good' if at % 2 else 'bad'} number {at},{at % 2}\n" for at in range(60))
    for name in ("mine.csv", "second.csv", "other.csv"):
        (tmp_path / name).write_text(rows.replace("number", name), "utf-8")
    page = open_page(still.url)
    looking.ready(page)
    own_file(page)
    upload(page, tmp_path / "mine.csv")
    expect(page.locator("#facts")).to_contain_text("mine.csv")
    for _ in range(2):
        page.locator("#test-upload input[type=file]").set_input_files(tmp_path / "second.csv")
        expect(page.locator("#second")).to_contain_text("second.csv")
        expect(page.locator("#facts")).to_contain_text("given for testing")
        for width, height, dark in looking.WAYS[1:3]:
            page.set_viewport_size({"width": width, "height": height})
            looking.darken(page, dark=dark)
            assert looking.faults(page) == {}
        page.get_by_role("button", name="Remove", exact=True).click()
        expect(page.locator("#second-row")).to_be_hidden()
        expect(page.locator("#facts")).not_to_contain_text("given for testing")
    page.locator("#test-upload input[type=file]").set_input_files(tmp_path / "second.csv")
    expect(page.locator("#second")).to_contain_text("second.csv")
    upload(page, tmp_path / "other.csv")
    expect(page.locator("#facts")).to_contain_text("other.csv")
    expect(page.locator("#second-row")).to_be_hidden()
    assert seen.errors == []


def test_a_run_that_moves_is_redrawn_within_two_seconds_and_keeps_the_viewers_zoom(open_page: Open, seen: Seen, still: Served) -> None:
    run_id = homes.add_run(still.home, homes.training(time.time(), 40), asked=homes.SPEC)
    page = open_page(f"{still.url}?run={run_id}")
    looking.ready(page)
    box = page.locator("[data-chart=loss]").bounding_box()
    assert box
    page.mouse.move(box["x"] + 150, box["y"] + 80)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 150, steps=5)
    page.mouse.up()
    shown = "() => (({ data, _fullLayout }) => [data[0].x.length, _fullLayout.xaxis.range])(document.querySelector('[data-chart=loss]'))"
    page.wait_for_function("() => document.querySelector('[data-chart=loss]')._fullLayout.xaxis.autorange === false")
    points, zoom = page.evaluate(shown)
    before = time.monotonic()
    for step in range(41, 51):
        Store(still.home).append(run_id, Step(time.time(), step, homes.TOTAL, 0.5, 0.3, 1e-4, 1.0, 20.0))
    page.wait_for_function(f"() => document.querySelector('[data-chart=loss]').data[0].x.length === {points + 10}")
    assert time.monotonic() - before < 4  # 2 s on an idle machine; tests share theirs
    assert page.evaluate(shown)[1] == zoom
    expect(page.locator("#run-now")).to_contain_text("step 50 of 100")
    assert seen.errors == []


def test_deleting_a_run_is_asked_first(open_page: Open, still: Served) -> None:
    run_id = homes.failed(still.home, time.time())
    page = open_page(f"{still.url}?run={run_id}")
    looking.ready(page)
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator("#ask")).to_contain_text("cannot be undone")
    page.get_by_role("button", name="Keep it").click()
    expect(page.locator("#ask")).to_be_hidden()
    assert run_id in Store(still.home).ids()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete it").click()
    page.wait_for_url("**/?place=runs")
    assert run_id not in Store(still.home).ids()


def test_a_clone_brings_a_runs_settings_back_to_train(open_page: Open, still: Served) -> None:
    page = open_page(address(still, "?run=finished"))
    looking.ready(page)
    page.get_by_role("button", name="Clone").click()
    page.wait_for_url(still.url)
    expect(page.get_by_label("Rank", exact=False).first).to_have_value("8")
    expect(page.get_by_role("button", name="Start training")).to_be_enabled()


def test_the_finished_run_shows_its_verdict_first_and_its_matrix_with_the_persons_labels(open_page: Open, still: Served) -> None:
    page = open_page(address(still, "?run=finished"))
    expect(page.locator("#verdict .sentence")).to_contain_text("91.2 % right")
    expect(page.locator("#confusion .ytick text").first).to_have_text("নেতিবাচক")
    expect(page.locator("#scores tbody tr")).to_have_count(3)
    expect(page.locator("#samples tbody tr")).to_have_count(6)
    cell = page.locator("#samples td.label > div").filter(has_text="✗ Neutral").first
    assert cell.evaluate("cell => cell.getBoundingClientRect().height") < 30, "a label stands on one line"
    sentence, table = page.locator("#verdict .sentence").bounding_box(), page.locator("#scores").bounding_box()
    assert sentence
    assert table
    assert sentence["y"] < table["y"]


def test_a_hub_data_set_offers_its_splits_and_a_missing_one_is_told(open_page: Open, seen: Seen, tmp_path: Path) -> None:
    serve_imdb(tmp_path / "hub")
    with Hub(tmp_path / "hub") as hub, serving(tmp_path / "home", dispatch=False, **environment(hub.url, tmp_path / "cache")) as served:
        page = open_page(served.url)
        looking.ready(page)
        choose(page, "data", "Another data set")
        field = page.get_by_label("Its id on the Hub")
        field.fill("nobody/nothing")
        field.press("Enter")
        expect(page.locator("#problems-source .problem")).to_contain_text("nobody/nothing")
        expect(field).to_have_value("nobody/nothing")
        field.fill("stanfordnlp/imdb")
        field.press("Enter")
        expect(page.locator("#facts .bars tr")).to_have_count(2)
        expect(page.get_by_label("Label column")).to_have_value("label · 2 different")
        page.get_by_label("Split to train on").click()
        expect(page.get_by_role("option", name="unsupervised")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("button", name="Start training")).to_be_enabled()
    assert seen.outside == set()


def test_a_gated_model_asks_for_a_token_that_leaves_no_trace(open_page: Open, tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    with Hub(tmp_path / "hub") as hub, serving(tmp_path / "home", dispatch=False, **environment(hub.url, tmp_path / "cache")) as served:
        page = open_page(served.url)
        looking.ready(page)
        pick(page, "What is tuned", "Gemma 3 270M ·")  # beside it the one of its package, where that is installed
        token = page.get_by_label("Hub token")
        expect(token).to_have_attribute("type", "password")
        token.fill("hf_averysecrettoken")
        token.press("Enter")
        expect(page.get_by_role("button", name="Choose a model that can be used")).to_be_disabled()
        page.locator("#detail input").check()
        with page.expect_download() as saved:
            page.get_by_role("button", name="Download as JSON").click()
        saved.value.save_as(tmp_path / "spec.json")
        pick(page, "What is tuned", "MiniLM-L6")
        expect(page.get_by_role("button", name="Start training")).to_be_enabled()
        page.get_by_role("button", name="Start training").click()
        page.wait_for_url("**/?run=*")
        stored = page.evaluate("() => JSON.stringify([localStorage, sessionStorage, document.cookie, location.href])")
    assert "averysecret" not in stored
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "plan.json" for path in files)
    assert [path for path in files if b"averysecret" in path.read_bytes()] == []
