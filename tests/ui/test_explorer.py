"""What the error explorer shows: rows with their labels to choose from, marked words, weak parts; true, in the person's names, safe."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape

from engine.answers import Answer
from engine.data.corrected import Correction
from engine.evaluate import Interval
from engine.explorer import Doubted
from engine.occlusion import Moved, Piece
from engine.slices import Slice
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
