"""What the error explorer shows: rows with their labels to choose from, marked words, weak parts; true, in the person's names, safe."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape

from engine.answers import Answer, Score
from engine.data.corrected import Correction
from engine.evaluate import Interval
from engine.explorer import Doubted
from engine.occlusion import Moved, Piece
from engine.slices import MEAN_ERROR, Slice
from ui import explorer

CLASSES = ("নেতিবাচক", "<b>Neutral</b>", "Positive")
TEXT = "খুব <i>ভালো</i> পণ্য"


def answers(count: int) -> list[Answer]:
    chances = {"নেতিবাচক": 0.1, "<b>Neutral</b>": 0.2, "Positive": 0.7}
    return [Answer(at, TEXT, "নেতিবাচক", "Positive", chances) for at in range(1, count + 1)]


def test_a_row_offers_every_label_by_name_and_to_be_left_out() -> None:
    (one,) = answers(1)
    shown = explorer.rows_table([one], 0, CLASSES, {})
    assert "<i>" not in shown
    assert "<b>" not in shown
    options = re.findall(r'<option value="(-?\d)"( selected)?>([^<]+)</option>', shown)
    assert [(value, unescape(name), bool(chosen)) for value, chosen, name in options] == [
        ("0", "নেতিবাচক", True), ("1", "<b>Neutral</b>", False), ("2", "Positive", False), ("-1", explorer.LEAVE_OUT, False),
    ]  # fmt: skip
    assert 'class="soft was" hidden' in shown
    assert explorer.key_of(explorer.row_id(one.key)) == one.key


def test_a_label_that_was_put_right_says_what_it_was() -> None:
    (one,) = answers(1)
    for new, place in (("Positive", 2), (None, -1)):
        shown = explorer.rows_table([one], 0, CLASSES, {one.key: Correction(1, TEXT, "নেতিবাচক", new)})
        assert f'<option value="{place}" selected>' in shown
        assert shown.count(" selected") == 1
        assert 'class="soft was">was নেতিবাচক' in shown


def test_rows_come_ten_at_a_time() -> None:
    rows = answers(23)
    for page, first, last in ((0, 1, 10), (2, 21, 23)):
        shown = explorer.rows_table(rows, page, CLASSES, {})
        assert shown.count("<select") == last - first + 1
        assert f"Rows {first} to {last} of 23" in shown
    told = re.findall(r'id="explorer-\w+" data-as="explore" data-pick="([^"]+)"( disabled)?', shown)
    assert [(json.loads(unescape(does))["page"], bool(off)) for does, off in told] == [(1, False), (3, True)]
    assert "No row" in explorer.rows_table([], 0, CLASSES, {})


def test_training_rows_are_not_explained_by_a_model_that_did_not_judge_them() -> None:
    seen, unseen = (Doubted(part, 3, TEXT, "নেতিবাচক", "Positive", 0.9) for part in ("train", "test"))
    assert "Which words?" not in explorer.rows_table([seen], 0, CLASSES, {})
    assert "of the training rows" in explorer.rows_table([seen], 0, CLASSES, {})
    assert explorer.UNSEEN in explorer.rows_table([seen], 0, CLASSES, {})
    assert "Which words?" in explorer.rows_table([unseen], 0, CLASSES, {})
    assert explorer.UNSEEN not in explorer.rows_table([unseen], 0, CLASSES, {})


def test_of_a_pair_both_texts_are_shown() -> None:
    (one,) = answers(1)
    pair = replace(one, second="the <other> one")
    doubted = Doubted("train", 3, TEXT, "নেতিবাচক", "Positive", 0.9, "the <other> one")
    for row in (pair, doubted):
        assert '<span class="second">the &lt;other&gt; one</span>' in explorer.rows_table([row], 0, CLASSES, {})
    assert 'class="second"' not in explorer.rows_table([one], 0, CLASSES, {})


def test_words_are_marked_whole_and_a_change_of_the_answer_is_told() -> None:
    (one,) = answers(1)
    words = [(found.start(), found.end()) for found in re.finditer(r"\S+", TEXT)]
    pieces = tuple(Piece(start, end, moved) for (start, end), moved in zip(words, (0.5, -0.2, 0.01), strict=True))
    shown = explorer.rows_table([one], 0, CLASSES, {}, (one.key, Moved("Positive", 0.7, pieces, pieces[:1], "নেতিবাচক")))
    assert '<mark class="for strong" title="+50 points">খুব</mark>' in shown
    assert '<mark class="against" title="-20 points">&lt;i&gt;ভালো&lt;/i&gt;</mark>' in shown
    assert ">পণ্য</mark>" not in shown
    assert "Without “খুব” it says <b>নেতিবাচক</b>" in shown


def test_a_part_is_called_weak_only_beyond_chance() -> None:
    weak = Slice("city", "ঢাকা", tuple(range(40)), Interval(0.5, 0.35, 0.65), 0.9, 0.001)
    chance = Slice("Length", "up to 5 words", tuple(range(30)), Interval(0.85, 0.68, 0.94), 0.9, 1.0)
    assert "Weaker than elsewhere by more than chance: city: ঢাকা." in explorer.slices_table([weak, chance])
    assert "No part is weaker" in explorer.slices_table([chance])
    assert "too few" in explorer.slices_table([])


def test_what_was_put_right_and_what_it_changed_is_counted() -> None:
    made = [Correction(1, "a", "x", "y"), Correction(2, "b", "x", None)]
    assert "1\u00a0label put right, 1\u00a0row left out." in explorer.corrected_line(made)
    told = explorer.before("20260101-a", answers(2), answers(1))
    assert "<b>2\u00a0rows</b> right now that were wrong, <b>1</b> wrong now that was right" in told
    assert explorer.before("", [], []) == ""
    assert "as rightly or wrongly" in explorer.before("20260101-a", [], [])


def test_a_number_can_be_written_anew_and_says_by_how_much_the_model_is_off() -> None:
    one = Answer(7, TEXT, "4.5", "2", {}, numbers=(4.5, 2.0))
    shown = explorer.rows_table([one], 0, ("all rows",), {})
    assert 'value="4.5"' in shown
    assert "\u22122.50" in shown
    assert "Which words?" not in shown
    assert 'class="soft was" hidden' in shown
    put_right = explorer.rows_table([one], 0, (), {one.key: Correction(7, TEXT, "4.5", "3")})
    assert 'data-was="4.5" value="3"' in put_right
    assert 'class="soft was">was 4.5' in put_right
    left_out = explorer.rows_table([one], 0, (), {one.key: Correction(7, TEXT, "4.5", None)})
    assert f'data-out="{explorer.row_id(one.key)}" checked' in left_out


def test_tags_can_be_ticked_and_those_missed_or_given_wrongly_are_told() -> None:
    one = Answer(7, TEXT, '["নেতিবাচক"]', '["Positive"]', {"Positive": 0.8}, tags=(("নেতিবাচক",), ("Positive",)))
    shown = explorer.rows_table([one], 0, CLASSES, {})
    boxes = re.findall(r'data-tag="(\d)"( checked)?> ([^<]+)</label>', shown)
    assert [(at, bool(on), unescape(name)) for at, on, name in boxes] == [
        ("0", True, "নেতিবাচক"), ("1", False, "<b>Neutral</b>"), ("2", False, "Positive")
    ]  # fmt: skip
    assert "<mark>Positive</mark>" in shown
    assert "missed: নেতিবাচক" in shown
    assert 'data-was="[0]"' in shown
    none = explorer.rows_table([one], 0, CLASSES, {one.key: Correction(7, TEXT, '["নেতিবাচক"]', "[]")})
    assert "<summary>no tag</summary>" in none
    assert 'class="soft was">was নেতিবাচক' in none


def test_a_written_text_stands_beside_the_wanted_one_with_its_score_and_cannot_be_put_right() -> None:
    one = Answer(7, "<i>Q</i>", "wanted <b>", "written", {}, score=Score("ROUGE-L", 0.125, "higher"), before="before")
    shown = explorer.rows_table([one], 0, ("all rows",), {})
    for told in ("&lt;i&gt;Q&lt;/i&gt;", "wanted &lt;b&gt;", "written", "before", "0.125", "ROUGE-L"):
        assert told in shown
    assert "<select" not in shown
    assert "<input" not in shown
    assert explorer.corrected_line([], "text") == ""


def test_parts_by_their_errors_name_the_test_and_what_is_compared() -> None:
    far = Slice("Script", "Bengali", tuple(range(40)), Interval(1.25, 1.0, 1.5), 0.5, 0.001, MEAN_ERROR)
    shown = explorer.slices_table([far])
    for told in ("Weaker than elsewhere by more than chance: Script: Bengali.", "Mean error", "1.25", "(1.00 to 1.50)", "Mann and Whitney"):
        assert told in shown


def test_numbers_before_and_after_corrections_are_told_by_their_mean_error() -> None:
    told = explorer.before("20260101-a", [], [], (0.75, 0.5))
    assert "off by <b>0.500</b> on average" in told
    assert "by <b>0.750</b> on the same rows" in told
    assert "2\u00a0numbers put right." in explorer.corrected_line([Correction(at, "a", "1", "2") for at in range(2)], "number")
    assert "1\u00a0row's tags put right." in explorer.corrected_line([Correction(1, "a", "[]", '["b"]')], "tags")
