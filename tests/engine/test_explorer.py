"""The error explorer: suspects as cleanlab names them, words that moved an answer, weak parts, and a run before and after corrections."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import again, answers, mislabelled, occlusion, scoring, slices, suspecting
from engine.answers import Answer
from engine.data import corrected
from engine.data.corrected import Correction
from engine.data.split import Prepared, Rows
from engine.spec import DataSpec


def test_suspects_are_those_that_cleanlab_names_in_its_order() -> None:
    """Expected: cleanlab 2.9.0, find_label_issues(filter_by="confident_learning", return_indices_ranked_by="normalized_margin")."""
    dice = np.random.default_rng(5)
    labels = np.concatenate([np.arange(3), dice.integers(0, 3, 37)])
    chances = dice.dirichlet(np.ones(3) * 0.5, 40) + 0.8 * np.eye(3)[np.where(dice.random(40) < 0.9, labels, dice.integers(0, 3, 40))]
    chances /= chances.sum(axis=1, keepdims=True)
    assert [one.place for one in mislabelled.suspects(labels.tolist(), chances)] == [17, 34]


def test_a_class_without_rows_is_never_suggested() -> None:
    found = mislabelled.suspects([0, 0, 1, 1], np.array([[0.1, 0.1, 0.8]] * 4))
    assert all(one.suggested != 2 for one in found)
    assert mislabelled.suspects([], np.zeros((0, 2))) == ()


def test_rows_with_a_wrong_label_are_found_by_a_model_that_never_saw_them() -> None:
    texts = [f"a {'lovely warm' if at % 2 else 'dreadful cold'} film number {at}" for at in range(100)]
    labels = [at % 2 for at in range(100)]
    labels[10], labels[31] = 1, 0
    part = Rows(texts, labels, list(range(1, 101)))
    empty = Rows([], [], [])
    found, looked, of = suspecting.look(Prepared(("bad", "good"), part, empty, empty, "", ()))
    assert (looked, of) == (100, 100)
    assert {one["row"] for one in found} == {11, 32}
    assert {(one["label"], one["suggested"]) for one in found} == {("good", "bad"), ("bad", "good")}


def test_a_wrong_label_of_a_pair_is_found_by_both_of_its_texts() -> None:
    seconds = [f"it was {'lovely warm' if at % 2 else 'dreadful cold'} number {at}" for at in range(100)]
    labels = [at % 2 for at in range(100)]
    labels[10] = 1
    part = Rows([f"a film {at}" for at in range(100)], labels, list(range(1, 101)), seconds)
    empty = Rows([], [], [])
    found, _, _ = suspecting.look(Prepared(("bad", "good"), part, empty, empty, "", ()))
    assert [(one["row"], one["second"]) for one in found] == [(11, seconds[10])]


GOOD = ("lovely", "ভালো", "好")


def by_words(texts: Sequence[str]) -> list[Mapping[str, float]]:
    """A model that counts good words."""
    shares = [min(0.95, 0.2 + 0.4 * sum(text.count(word) for word in GOOD)) for text in texts]
    return [{"bad": 1 - share, "good": share} for share in shares]


@pytest.mark.parametrize("text", ["what a lovely film", "ছবিটা খুব ভালো লেগেছে", "这部电影很好"])
def test_the_word_that_holds_the_answer_up_moves_it_most(text: str) -> None:
    found = occlusion.moved(text, by_words)
    most = max(found.pieces, key=lambda one: one.moved)
    assert text[most.start : most.end] in GOOD
    assert most.moved == pytest.approx(0.4)
    assert found.answer == "good"
    assert found.dropped == (most,)
    assert found.otherwise == "bad"


def test_a_long_text_is_looked_at_in_groups_and_then_word_by_word() -> None:
    asked = []

    def ask(texts: Sequence[str]) -> list[Mapping[str, float]]:
        asked.append(len(texts))
        return by_words(texts)

    text = " ".join(["plain"] * 700 + ["lovely"] + ["plain"] * 700)
    found = occlusion.moved(text, ask)
    most = max(found.pieces, key=lambda one: one.moved)
    assert text[most.start : most.end] == "lovely"
    assert sum(asked) < 150


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=300).filter(lambda text: text.strip() != ""))
def test_pieces_are_in_order_and_never_overlap(text: str) -> None:
    pieces = occlusion.moved(text, by_words).pieces
    assert all(one.start < one.end for one in pieces)
    assert all(one.end <= other.start for one, other in itertools.pairwise(pieces))


def an_answer(row: int, text: str, *, right: bool) -> Answer:
    return Answer(row, text, "good", "good" if right else "bad", {"bad": 0.2 if right else 0.8, "good": 0.8 if right else 0.2})


def test_the_weak_part_leads_and_its_p_value_counts_all_parts() -> None:
    told = [an_answer(at, "so good a film " * (1 + at % 4), right=at % 40 >= 10 or at % 4 > 0) for at in range(200)]
    shops = ["north" if at % 2 else None for at in range(200)]
    found = slices.slices(told, {"shop": shops, "price": [str(at) for at in range(200)]})
    assert found[0].is_weak or all(not one.is_weak for one in found)
    assert {one.by for one in found} == {"Length", "shop", "price"}
    assert sum(len(one.places) for one in found if one.by == "price") == 200
    assert all(one.value.low <= one.value.value <= one.value.high for one in found)


def test_scripts_are_told_by_most_letters() -> None:
    texts = ("just so", "খুব ভালো", "khub ভালো laglo", "123 !")
    assert [slices.script(text) for text in texts] == ["Latin", "Bengali", "Bengali and Latin", "no letters"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("The food was good and the waiter was not rude", "English"),
        ("Das Essen war gut und der Kellner nicht unhöflich", "German"),
        ("Ei product ta khub bhalo, ami abar kinbo", "Bengali in Latin letters"),
        ("C’est très bon et le service est rapide", "French"),
        ("La comida no es buena y el servicio es muy lento", "Spanish"),
        ("খুব ভালো ছিল", "Bengali"),
        ("ok", "another, or not told"),
    ],
)
def test_the_language_is_told_by_common_words_and_by_the_script(text: str, told: str) -> None:
    assert slices.language(text, slices.script(text)) == told


def test_rows_in_one_language_that_is_weaker_are_a_slice_and_decimal_commas_are_read() -> None:
    texts = ["the film was good and not long" if at % 2 else "film ta khub bhalo, ami abar dekhbo" for at in range(120)]
    told = [answers.Answer(at, text, "a", "a" if at % 2 or at % 3 == 0 else "b", {"a": 1.0}) for at, text in enumerate(texts)]
    prices = [f"{1 + at / 40:.2f}".replace(".", ",") for at in range(120)]
    found = slices.slices(told, {"price": prices})
    assert (found[0].by, found[0].name, found[0].is_weak) == ("Language", "Bengali in Latin letters", True)
    assert [one.name for one in found if one.by == "price" and one.name.startswith("up to")] == ["up to 1.73"]


def test_wilson_s_interval_is_that_of_the_textbook() -> None:
    """Expected: statsmodels 0.15.0, proportion_confint(8, 10, method="wilson")."""
    found = scoring.wilson(8, 10)
    assert (found.low, found.high) == pytest.approx((0.490162, 0.943318), abs=1e-5)


def _judged(home: Path, run_id: str, predicted: Sequence[str]) -> None:
    folder = home / "runs" / run_id
    folder.mkdir(parents=True)
    lines = [{"row": at + 1, "text": f"text {at}", "label": "good", "predicted": name, "probabilities": {"bad": 0.5, "good": 0.5}}
             for at, name in enumerate(predicted)]  # fmt: skip
    (folder / answers.FILE).write_text("".join(json.dumps(one) + "\n" for one in lines), "utf-8")


def test_the_run_before_is_judged_on_the_same_corrected_rows(tmp_path: Path) -> None:
    _judged(tmp_path, "20261126-0101-first-ab12", ["bad", "good", "bad"])
    made = Correction(1, "text 0", "good", "bad", "20261126-0101-first-ab12")
    (tmp_path / "c.csv").write_text(corrected.to_csv([made]), "utf-8")
    test = Rows(["text 0", "text 1", "text 2"], [0, 1, 1], [1, 2, 3])
    prepared = Prepared(("bad", "good"), test, test, test, "", ())
    found = again.earlier(DataSpec("file:x.csv", corrections="file:c.csv"), prepared, tmp_path)
    assert found is not None
    assert found.guess is not None
    assert found.guess.predicted == (0, 1, 0)
    assert "1 label of the test rows was corrected" in found.remarks[0]
    other = Prepared(("bad", "good"), test, test, Rows(["text 9"], [0], [9]), "", ())
    lost = again.earlier(DataSpec("file:x.csv", corrections="file:c.csv"), other, tmp_path)
    assert lost is not None
    assert lost.guess is None
    assert again.earlier(DataSpec("file:x.csv"), prepared, tmp_path) is None


def a_number(row: int, right: float, said: float, text: str = "a film") -> Answer:
    return Answer(row, text, corrected.of_number(right), corrected.of_number(said), {}, numbers=(right, said))


def some_tags(row: int, there: Sequence[str], given: Sequence[str], chances: Mapping[str, float] | None = None) -> Answer:
    spelt = (corrected.of_tags(there), corrected.of_tags(given))
    return Answer(row, "a film", *spelt, dict(chances or {}), tags=(tuple(there), tuple(given)))


def test_numbers_are_looked_at_from_the_largest_error_down_and_by_its_sign() -> None:
    told = [a_number(1, 4, 4.5), a_number(2, 1, 4), a_number(3, 5, 3)]
    assert [(list(pick), rows) for pick, _, rows in answers.groups(told)] == [(["mistakes"], 3), (["high"], 2), (["low"], 1)]
    assert [one.row for one in answers.picked(told, ["mistakes"])] == [2, 3, 1]
    assert [one.row for one in answers.picked(told, ["high"])] == [2, 1]
    assert [one.off for one in answers.picked(told, ["low"])] == [-2]


def test_tags_are_looked_at_by_each_tag_that_was_missed_or_given_wrongly() -> None:
    told = [
        some_tags(1, ["rude"], []),
        some_tags(2, ["rude"], ["rude"]),
        some_tags(3, [], ["rude"], {"rude": 0.6}),
        some_tags(4, [], ["rude", "late"], {"rude": 0.9}),
    ]
    groups = {tuple(pick): rows for pick, _, rows in answers.groups(told)}
    assert groups == {("mistakes",): 3, ("extra", "rude"): 2, ("extra", "late"): 1, ("missed", "rude"): 1}
    assert [one.row for one in answers.picked(told, ["mistakes"])] == [4, 1, 3]
    assert [one.row for one in answers.picked(told, ["extra", "rude"])] == [4, 3], "the surest first"
    assert [one.row for one in answers.picked(told, ["missed", "rude"])] == [1]


def test_written_texts_are_looked_at_from_the_lowest_score_up_and_the_highest_perplexity_down() -> None:
    for better, order in (("higher", [2, 3, 1]), ("lower", [1, 3, 2])):
        told = [Answer(row, "", "a", "b", {}, score=answers.Score("chrF", value, better)) for row, value in ((1, 90), (2, 5), (3, 40))]
        assert [one.row for one in answers.picked(told, ["mistakes"])] == order
    cut = Answer(4, "", "a", "b", {}, score=answers.Score("chrF", 1, "higher"), ended="length")
    assert [one.row for one in answers.picked([*told, cut], ["cut"])] == [4]


def test_parts_whose_numbers_are_further_off_are_weak_by_ranks_not_by_one_wild_error() -> None:
    """Expected p value: scipy 1.16, mannwhitneyu(np.arange(20) / 10 + 1, np.arange(60) / 60)."""
    texts = ["খুব ভালো ছবি"] * 20 + ["a good film"] * 60
    errors = [*(at / 10 + 1 for at in range(20)), *(at / 60 for at in range(60))]
    told = [a_number(at, 0, error, text) for at, (error, text) in enumerate(zip(errors, texts, strict=True))]
    weakest = next(one for one in slices.slices(told) if one.name == "Bengali")
    assert (weakest.is_weak, weakest.measure.name, weakest.rest) == (True, "Mean error", pytest.approx(59 / 120))
    assert weakest.value.value == pytest.approx(1.95)
    wild = [a_number(at, 0, 500.0 if at == 0 else 0.1 if at < 20 else 0.2, text) for at, text in enumerate(texts)]
    assert not any(one.is_weak for one in slices.slices(wild)), "its mean is larger, its ranks are lower"


def test_a_mean_s_interval_is_student_s() -> None:
    """Expected: scipy.stats.t.interval(0.95, 4, loc=3, scale=scipy.stats.sem([1, 2, 3, 4, 5])), scipy 1.16."""
    found = slices.student(np.array([1.0, 2, 3, 4, 5]))
    assert (found.low, found.high) == pytest.approx((1.0367568, 4.9632432), abs=1e-6)
    assert slices.student(np.array([0.0, 0, 0, 9])).low == 0


def test_parts_of_rows_with_tags_are_told_apart_by_rows_all_of_whose_tags_are_right() -> None:
    told = [some_tags(at, ["a"], ["a"] if at % 4 < 2 or at % 16 in (2, 6, 10) else ["b"]) for at in range(200)]
    found = slices.slices(told, {"shop": [("north", "south", "east", "west")[at % 4] for at in range(200)]})
    weak = [(one.name, one.measure.name) for one in found if one.is_weak]
    assert weak == [("west", "Every tag right")]


def test_the_run_before_is_told_beside_a_run_whose_numbers_or_tags_were_put_right(tmp_path: Path) -> None:
    run_id = "20261126-0101-first-ab12"
    folder = tmp_path / "runs" / run_id
    folder.mkdir(parents=True)
    shared = {"prompt": "p", "wanted": "", "written": "", "before": None, "ended": "end", "second": None}
    numbers = [{**shared, "number": at + 1, "text": f"text {at}", "label": "4", "numbers": [4.0, at / 2]} for at in range(3)]
    (folder / answers.WRITTEN).write_text("".join(json.dumps(one) + "\n" for one in numbers), "utf-8")
    made = Correction(1, "text 0", "4", "1", run_id)
    (tmp_path / "c.csv").write_text(corrected.to_csv([made]), "utf-8")
    texts = [f"text {at}" for at in range(3)]
    test = Rows(texts, [0] * 3, [1, 2, 3], values=[1.0, 4.0, 4.0])
    data = DataSpec("file:x.csv", corrections="file:c.csv")
    found = again.earlier(data, Prepared(("all rows",), test, test, test, "", ()), tmp_path)
    assert found is not None
    assert found.answered is not None
    assert found.answered.answers == (0.0, 0.5, 1.0)
    each = {"wanted_each": {"a": 1, "b": 0}, "given_each": {"a": 0, "b": 1}, "chance_each": {"a": 0.2, "b": 0.7}}
    tagged = [{**shared, "number": at + 1, "text": f"text {at}", **each} for at in range(3)]
    (folder / answers.WRITTEN).write_text("".join(json.dumps(one) + "\n" for one in tagged), "utf-8")
    test = Rows(texts, [0] * 3, [1, 2, 3], tags=[(1, 0)] * 3)
    found = again.earlier(data, Prepared(("a", "b"), test, test, test, "", ()), tmp_path)
    assert found is not None
    assert found.answered is not None
    assert found.answered.answers == ((0, 1),) * 3
