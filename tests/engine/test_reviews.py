"""People's review of a run's rows: which rows, whose link, what is kept, and what comes of it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from engine.answers import FILE, Answer
from engine.errors import Refused
from engine.rating import rating
from engine.reviews import CANNOT_TELL, Asked, Person, Reviews, Sheet, outcome, sample, table
from engine.store import Store
from tests import looks
from tests.ui import homes
from ui.review import outcome as shown_outcome
from ui.review_page import page


@pytest.fixture
def place(tmp_path: Path) -> tuple[Reviews, str]:
    run_id = homes.finished(tmp_path, 1_000_000.0)
    looks.answer(Store(tmp_path).folder(run_id), homes.CLASSES)
    return Reviews(Store(tmp_path)), run_id


def test_a_rare_kind_of_row_is_among_the_sample_and_no_text_twice() -> None:
    common = [Answer(at, f"the same sort of text {at % 300}", "good", "good", {"good": 0.9, "bad": 0.1}) for at in range(1000)]
    rare = [Answer(2000 + at, f"খারাপ পণ্য {at}", "bad", "good", {"good": 0.6, "bad": 0.4}) for at in range(4)]
    taken = sample([*common, *rare], 20, seed=3)
    assert len(taken) == 20
    assert len({one.text for one in taken}) == 20
    assert Counter(one.label for one in taken)["bad"] == 4
    assert len(sample(common[:7], 50)) == 7


def test_of_pairs_people_see_both_texts_and_one_text_may_come_with_several(place: tuple[Reviews, str], tmp_path: Path) -> None:
    reviews, run_id = place
    path = Store(tmp_path).folder(run_id) / FILE
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    path.write_text(
        "".join(json.dumps({**one, "text": "the same", "second": f"beside {at}"}) + "\n" for at, one in enumerate(lines)), "utf-8"
    )
    sheet = reviews.make(run_id, ["Ana", "Bo"], 20)
    assert len({(one.text, one.second) for one in sheet.rows}) == 20
    assert reviews.newest(run_id) == sheet
    assert all(str(one.second) in page(sheet, 0, {}, "n") for one in sheet.rows)
    assert {"text", "second"} <= set(table(sheet, [{}, {}])[0])
    said = [{0: {"label": label}} for label in homes.CLASSES[:2]]
    assert f'<span class="second">{sheet.rows[0].second}</span>' in shown_outcome(sheet, outcome(sheet, said))


def test_what_a_person_says_is_kept_at_once_and_read_by_whoever_opens_the_home_next(place: tuple[Reviews, str], tmp_path: Path) -> None:
    reviews, run_id = place
    sheet = reviews.make(run_id, ["Ana", "রহিম"], 50)
    reviews.say(sheet, 1, 3, "label", homes.CLASSES[0])
    reviews.say(sheet, 1, 4, "label", CANNOT_TELL)
    reviews.say(sheet, 1, 4, "label", None)
    again = Reviews(Store(tmp_path))
    found = again.newest(run_id)
    assert found == sheet
    assert again.said(found, 1) == {3: {"label": homes.CLASSES[0]}}
    assert again.said(found, 0) == {}


def test_a_link_opens_one_person_s_answers_and_no_other(place: tuple[Reviews, str]) -> None:
    reviews, run_id = place
    sheet = reviews.make(run_id, ["Ana", "Bo"], 20)
    assert reviews.of_link(run_id, 1, sheet.people[1].secret) == (sheet, 1)
    for number, secret in ((1, ""), (1, "Ana"), (1, "বাংলা"), (2, sheet.people[0].secret), (1, sheet.people[0].secret[:-1])):
        with pytest.raises(Refused, match="leads to no review"):
            reviews.of_link(run_id, number, secret)
    with pytest.raises(Refused):
        reviews.of_link("../../elsewhere", 1, sheet.people[0].secret)


def test_a_new_sheet_leaves_the_old_one_and_its_answers(place: tuple[Reviews, str]) -> None:
    reviews, run_id = place
    first = reviews.make(run_id, ["Ana"], 20)
    reviews.say(first, 0, 0, "label", homes.CLASSES[1])
    second = reviews.make(run_id, ["Ana"], 30)
    assert (first.number, second.number) == (1, 2)
    assert reviews.newest(run_id) == second
    old, who = reviews.of_link(run_id, 1, first.people[0].secret)
    assert reviews.said(old, who) == {0: {"label": homes.CLASSES[1]}}


@pytest.mark.parametrize(
    ("names", "count", "questions"),
    [([], 50, ["label"]), (["Ana", "ana "], 50, ["label"]), (["Ana"], 9, ["label"]), (["Ana"], 501, ["label"]), (["Ana"], 50, []),
     (["Ana"], 50, ["colour"]), (["x" * 61], 50, ["label"]), ([str(at) for at in range(21)], 50, ["label"])],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused_in_words(place: tuple[Reviews, str], names: list[str], count: int, questions: list[str]) -> None:
    reviews, run_id = place
    with pytest.raises(Refused):
        reviews.make(run_id, names, count, questions=questions)
    assert reviews.newest(run_id) is None


@pytest.mark.parametrize(
    ("row", "question", "answer"), [(-1, "label", "x"), (20, "label", "x"), (0, "tone", "3"), (0, "label", "no such label")]
)
def test_what_was_not_asked_is_not_kept(place: tuple[Reviews, str], row: int, question: str, answer: str) -> None:
    reviews, run_id = place
    sheet = reviews.make(run_id, ["Ana"], 20)
    with pytest.raises(Refused, match="not asked"):
        reviews.say(sheet, 0, row, question, answer)
    assert reviews.said(sheet, 0) == {}


def test_a_damaged_file_of_answers_is_as_good_as_none(place: tuple[Reviews, str], tmp_path: Path) -> None:
    reviews, run_id = place
    sheet = reviews.make(run_id, ["Ana"], 20)
    for content in ("{", "[]", '{"a": {"label": 1}}', '{"0": 3}'):
        (Store(tmp_path).folder(run_id) / "review" / "1" / "0.json").write_text(content, "utf-8")
        assert reviews.said(sheet, 0) == {}


SHEET = Sheet("run", 1, ("good", "bad"), ("label",), (Person("Ana", "a"), Person("Bo", "b"), Person("Cy", "c")),
              tuple(Asked(at, f"text {at}", "good" if at < 12 else "bad", "good") for at in range(24)))  # fmt: skip


def labels(told: str) -> dict[int, dict[str, str]]:
    return {at: {"label": {"g": "good", "b": "bad", "?": CANNOT_TELL}[one]} for at, one in enumerate(told) if one != "-"}


def test_people_stand_beside_the_file_the_model_and_one_another() -> None:
    said = [labels("g" * 12 + "b" * 12), labels("g" * 11 + "b" * 13), {}]
    found = outcome(SHEET, said)
    assert [(one.done, one.like_file, one.like_model) for one in found.people] == [(24, 24, 12), (24, 23, 11), (0, 0, 0)]
    ((question, agreed),) = found.agreements
    assert (question, agreed.kind, agreed.rows) == ("label", "Cohen's kappa", 24), "who has said nothing does not count"
    assert agreed.same == pytest.approx(23 / 24)
    assert [asked.row for asked, _ in found.disputed] == [11]
    assert found.model is not None
    assert found.model.rows == 23, "no label that most gave where two differ"


def test_who_cannot_tell_gives_no_label_to_the_many_but_disagrees() -> None:
    found = outcome(SHEET, [labels("g" * 24), labels("?" * 24), labels("g" * 24)])
    assert found.agreements[0][1].kind == "Fleiss' kappa"
    assert found.model is not None
    assert found.model.rows == 24
    assert len(found.disputed) == 24


def test_one_person_or_none_is_no_agreement() -> None:
    assert outcome(SHEET, [labels("g" * 24), {}, {}]).agreements == ()
    assert outcome(SHEET, [{}, {}, {}]).model is None


def test_the_export_holds_every_row_and_everybody_s_answer() -> None:
    told = table(SHEET, [labels("g"), {}, labels("-b")])
    assert len(told) == 24
    assert told[0] == {
        "row": 0,
        "text": "text 0",
        "label": "good",
        "predicted": "good",
        "Ana: label": "good",
        "Bo: label": None,
        "Cy: label": None,
    }
    assert told[1]["Cy: label"] == "bad"


RUBRIC = ("accuracy", "fluency", "relevance", "tone")


def test_of_a_run_that_writes_people_rate_what_it_wrote_and_see_what_was_wanted(tmp_path: Path) -> None:
    run_id = homes.finished_writer(tmp_path, 1_000_000.0)
    looks.write(Store(tmp_path).folder(run_id), 40)
    reviews = Reviews(Store(tmp_path))
    with pytest.raises(Refused, match="not known"):
        reviews.make(run_id, ["Ana"], 20, questions=["label"])
    sheet = reviews.make(run_id, ["Ana", "Bo"], 120, questions=RUBRIC)
    assert (sheet.writes, sheet.classes, sheet.questions, len(sheet.rows)) == (True, (), RUBRIC, 40)
    assert reviews.newest(run_id) == sheet
    assert {one.cut for one in sheet.rows} == {True, False}
    shown = page(sheet, 0, {}, "n")
    assert "What the model wrote" in shown
    assert "<b>good" not in shown
    assert {"row", "text", "wanted", "written", "cut", "Ana: tone"} <= set(table(sheet, [{}, {}])[0])
    for row in range(40):
        for question in RUBRIC:
            reviews.say(sheet, 0, row, question, "4")
            reviews.say(sheet, 1, row, question, "5" if row % 2 else "3")
    told = outcome(sheet, [reviews.said(sheet, 0), reviews.said(sheet, 1)])
    assert [question for question, _ in told.ratings] == [question for question, _ in told.agreements] == list(RUBRIC)
    assert told.ratings[0][1].each == (4.0, 4.0)
    assert told.model is None
    told_page = shown_outcome(sheet, told)
    assert told.ratings[0][1].figure in told_page
    assert "Like the file" not in told_page


def test_a_mean_rating_has_an_interval_of_rows_and_none_on_a_few() -> None:
    made = rating([["1", "5"] * 20, [None] * 40, ["3", None] * 20])
    assert made.rows == 40
    assert made.each == (3.0, None, 3.0)
    assert made.mean == pytest.approx(3.0)
    assert made.interval is not None
    assert 2.3 < made.interval.low < 2.8, "20 rows are rated 1 and 3, 20 are rated 5"
    assert rating([["1"] * 9]).interval is None
    assert rating([[None] * 9]).figure == "–"


def test_a_run_that_wrote_too_little_is_refused_with_the_setting_that_writes_more(tmp_path: Path) -> None:
    run_id = homes.finished_writer(tmp_path, 1_000_000.0)
    looks.write(Store(tmp_path).folder(run_id), 9)
    with pytest.raises(Refused, match="Rows written in the test"):
        Reviews(Store(tmp_path)).make(run_id, ["Ana"], 20, questions=RUBRIC)


@pytest.mark.parametrize("task", ["regress", "tag", "similar"])
def test_of_numbers_and_tags_people_judge_whether_the_answer_is_right(tmp_path: Path, task: str) -> None:
    run_id = homes.finished_writer(tmp_path, 1_000_000.0)
    folder = Store(tmp_path).folder(run_id)
    looks.write(folder, 30)
    told = json.loads((folder / "account.json").read_text("utf-8"))
    (folder / "account.json").write_text(json.dumps({**told, "task": task}), "utf-8")
    sheet = Reviews(Store(tmp_path)).make(run_id, ["Ana"], 20, questions=["accuracy"])
    assert not sheet.writes
    assert sheet.shows_answer
    assert '"predicted"' in page(sheet, 0, {}, "n")
