"""The report on a run: everything in it, nothing ticked without evidence, and text that stays text."""

from __future__ import annotations

import json
import math
import re
from argparse import Namespace
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from engine import document, gathered, readiness, report, report_command
from engine.document import Check, Checks, Code, Document, Grid, Listed, Section, Words
from engine.errors import Refused
from engine.events import Step
from engine.gathered import Known
from engine.reviews import Asked, Person, Sheet, outcome
from engine.store import Store
from engine.studio import Studio
from tests import looks
from tests.engine.test_cli import run
from tests.ui import homes

HOSTILE = "<script>alert(1)</script> | `বাংলা` *x* \n# y"


@pytest.fixture
def bare(tmp_path: Path) -> Known:
    """A judged run that nobody looked at any closer."""
    run_id = homes.finished(tmp_path, 1_000_000.0)
    return gathered.known(Studio(tmp_path, dispatch=False), run_id)


@pytest.fixture
def looked(tmp_path: Path) -> Known:
    """One with its answers kept, and a closer look."""
    run_id = homes.finished(tmp_path, 1_000_000.0)
    folder = Store(tmp_path).folder(run_id)
    looks.answer(folder, homes.CLASSES)
    (folder / "model").mkdir()
    (folder / "model" / "shur.json").write_text("{}")
    looks.probed_run(folder)
    return gathered.known(Studio(tmp_path, dispatch=False), run_id)


def checks(told: Known) -> dict[str, Check]:
    made = readiness.checks(told.evaluation, told.plan, told.look, told.studies, told.doubted, told.corrected, told.reviewed)
    return {one.name: one for one in made}


def test_a_run_nobody_looked_at_says_what_is_not_known_and_how_to_know_it(bare: Known) -> None:
    told = document.to_markdown(report.document(bare))
    assert told.count("python -m engine judge") >= 3
    assert all(f"## {title}" in told for title, _ in report.SECTIONS)
    done = {name for name, one in checks(bare).items() if one.done}
    assert done <= {"A strict split", "Several figures", "Figures of every label", "Merged, or kept as an adapter", "Cross-validated"}
    assert all(one.told for one in checks(bare).values())


def test_how_the_texts_were_read_and_what_the_coach_says_stand_in_it(bare: Known) -> None:
    assert bare.plan.tokens_per_word is not None
    assert f"{bare.plan.tokens_per_word:.1f} tokens a word" in document.to_markdown(report.document(bare))
    lost = tuple(Step(0.0, at, 40, at / 20, math.nan if at > 30 else 0.6, 0.0, 1.0, 1.0) for at in range(1, 33))
    told = document.to_markdown(report.document(replace(bare, record=replace(bare.record, steps=lost))))
    assert "Training fell apart at step 31" in told
    assert "To try: train again with a rate of" in told


def test_what_a_closer_look_found_is_evidence(bare: Known, looked: Known) -> None:
    for name in ("Edge cases", "Speed where it will run", "Better than the untuned model"):
        assert not checks(bare)[name].done
        assert checks(looked)[name].done
        assert re.search(r"\d", checks(looked)[name].told), "a tick without a figure is none"


def test_a_run_that_is_no_better_than_the_untuned_model_is_not_ticked_and_says_so(looked: Known) -> None:
    assert looked.look is not None
    assert looked.look.untuned is not None
    worse = replace(looked.look.untuned, only_model_right=41, only_baseline_right=110)
    told = checks(replace(looked, look=replace(looked.look, untuned=worse)))["Better than the untuned model"]
    assert not told.done
    assert "worth less than that, by more than chance" in told.told


def test_test_texts_that_stand_in_training_leave_the_split_open(looked: Known) -> None:
    assert checks(replace(looked, evaluation=replace(looked.evaluation, seen_rows=0)))["A strict split"].done
    leaking = checks(replace(looked, evaluation=replace(looked.evaluation, seen_rows=7)))["A strict split"]
    assert not leaking.done
    assert leaking.told.startswith("7 of ")


def test_a_label_with_few_test_rows_leaves_the_labels_open(looked: Known) -> None:
    few = tuple(replace(one, rows=3) for one in looked.evaluation.per_class)
    assert not checks(replace(looked, evaluation=replace(looked.evaluation, per_class=few)))["Figures of every label"].done


def test_few_rows_ask_for_folds_and_many_do_not(looked: Known) -> None:
    for rows, done in ((4999, False), (5000, True)):
        planned = replace(looked.plan, rows={"train": rows - 1000, "validation": 500, "test": 500})
        assert checks(replace(looked, plan=planned))["Cross-validated"].done is done


@pytest.mark.parametrize(("rows", "people", "done"), [(100, 2, True), (99, 2, False), (120, 1, False)])
def test_only_a_hundred_rows_judged_by_two_are_a_review(looked: Known, rows: int, people: int, done: bool) -> None:
    asked = tuple(Asked(at, f"text {at}", "good", "good") for at in range(rows))
    sheet = Sheet("run", 1, ("good", "bad"), ("label",), tuple(Person(str(at), "") for at in range(people)), asked)
    said = [{at: {"label": ("good", "bad")[at % 2]} for at in range(rows)}] * people
    reviewed = replace(looked, reviewed=outcome(sheet, said))
    assert checks(reviewed)["Reviewed by people"].done is done
    assert "Like the model" in document.to_markdown(report.document(reviewed))


def test_the_page_needs_nothing_else_and_shows_labels_and_curves(looked: Known) -> None:
    told = document.to_html(report.document(looked))
    assert "<script" not in told
    assert not re.search(r"""(src|href)=|url\(|@import|https?://(?!www\.w3\.org)""", told.split("<main>")[0])
    assert all(name in told for name in homes.CLASSES)
    assert "Noto Sans Bengali" in told
    assert told.count("<svg") >= 3
    assert json.loads(looked.spec_json)["model"] in told
    _Balanced().feed(told)


class _Balanced(HTMLParser):
    """Fails where a tag is closed that is not open."""

    void = frozenset({"meta", "br", "line", "polyline", "circle"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.void:
            assert self.open.pop() == tag


def test_whatever_stands_in_a_document_stays_text() -> None:
    blocks = (Words(HOSTILE), Listed((HOSTILE,)), Grid((HOSTILE,), ((HOSTILE,),)), Checks((Check(HOSTILE, True, HOSTILE),)), Code(HOSTILE))
    made = Document(HOSTILE, HOSTILE, HOSTILE, (Section(HOSTILE, blocks),))
    page, markdown = document.to_html(made), document.to_markdown(made)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 12
    outside = markdown.replace(HOSTILE, "")  # of the block of code, whose fence is longer than any within
    assert "<script" not in outside.replace("\\<script", "")
    assert "\n# y" not in outside
    assert "`বাংলা`" in markdown
    assert document.to_markdown(Document("", "", "", (Section("", (Code("```"),)),))).count("````") == 2


def test_the_report_is_written_from_the_shell(tmp_path: Path) -> None:
    run_id = homes.finished(tmp_path, 1_000_000.0)
    code, told, said = run("report", run_id, "--to", str(tmp_path / "r.html"), "--home", str(tmp_path))
    assert code == 0, said
    assert told["report"] == str(tmp_path / "r.html")
    assert (tmp_path / "r.html").read_text("utf-8").startswith("<!doctype html>")
    studio = Studio(tmp_path, dispatch=False)
    assert report_command.tell(Namespace(run=run_id, to=tmp_path / "r.md"), studio) == 0
    assert (tmp_path / "r.md").read_text("utf-8").startswith("# ")
    for other, to in ((run_id, "r.pdf"), ("20260101-000000-none-ab12", "r.md"), (run_id, "no-folder/r.md")):
        with pytest.raises(Refused):
            report_command.tell(Namespace(run=other, to=tmp_path / to), studio)


def test_a_run_that_is_not_judged_has_no_report(tmp_path: Path) -> None:
    run_id = homes.finished(tmp_path, 1_000_000.0)
    (Store(tmp_path).folder(run_id) / "evaluation.json").unlink()
    with pytest.raises(Refused, match="not judged"):
        gathered.known(Studio(tmp_path, dispatch=False), run_id)
