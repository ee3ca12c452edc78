"""Texts that are another one with a few words changed: what counts as that, and that looking for them finds what comparing all would."""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from engine.data import near
from engine.data.doctor import examine
from engine.data.doctor_near import beside
from engine.data.fixes import mended
from engine.data.overlap import overlap
from engine.data.split import Rows
from engine.spec import DataSpec
from tests.engine.test_doctor import SPEC, THREE, clean_rows, found, names, put_right, table

LONG = "we stayed here for a week in may and the room was clean and quiet all the time"
BENGALI = "গত সপ্তাহে এই দোকান থেকে একটা ফোন কিনেছি আর সার্ভিস খুব দ্রুত পেয়েছি সবাই খুব আন্তরিক"


def column(values: list[str]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values[at : at + 7], pa.string()) for at in range(0, len(values), 7)], pa.string())


def within(texts: list[str], labels: list[str] | None = None) -> near.Near:
    return near.within([column(texts)], column(labels or ["a"] * len(texts)), np.ones(len(texts), np.bool_))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (LONG, LONG.replace("quiet", "calm"), True),
        (LONG, LONG.replace("in may ", ""), False),  # two of 17 words
        (LONG, f"{LONG} indeed", True),
        (f"{LONG} {LONG}", f"{LONG} {LONG}".replace("clean", "tidy"), True),
        (BENGALI, BENGALI.replace("দ্রুত", "তাড়াতাড়ি"), True),
        (LONG, LONG.replace("was clean", "was not clean"), False),
        (LONG, LONG.replace("all the time", "never"), False),
        (BENGALI, BENGALI.replace("পেয়েছি", "পাইনি"), False),
        (f"{LONG} 12", f"{LONG} 13", False),
        (f"{BENGALI} ১২", f"{BENGALI} ১৩", False),
        (f"{LONG} on floor b2", f"{LONG} on floor b3", False),
        ("good phone", "bad phone", False),
        ("a good phone at that price", "a bad phone at that price", False),
        ("এই দোকানের খাবার খুব ভালো", "এই দোকানের খাবার খুব খারাপ", False),
        ("the same few words", "the same few words", True),
    ],
)
def test_a_text_is_another_one_where_a_changed_word_can_turn_nothing(one: str, other: str, same: bool) -> None:
    assert near.alike(one.split(), other.split()) is same
    assert near.alike(other.split(), one.split()) is same


def test_scripts_without_blanks_are_compared_sign_by_sign() -> None:
    text = "我们上个星期在这家店里买了一部手机服务很快大家都很热情"
    assert within([text, text.replace("星期", "礼拜")]).earlier.tolist() == [-1, 0]
    assert within([text, text.replace("很快", "不快")]).earlier.tolist() == [-1, -1]


def test_looking_for_them_finds_what_comparing_every_row_with_every_other_does() -> None:
    dice = random.Random(7)
    words = [f"word{chr(97 + at % 26)}{chr(97 + at // 26)}" for at in range(300)]
    texts = [" ".join(dice.choices(words, k=dice.randrange(6, 60))) for _ in range(300)]
    for _ in range(300):
        told = dice.choice(texts).split()
        for _ in range(dice.randrange(1, 4)):
            told[dice.randrange(len(told))] = dice.choice(words)
        texts.append(" ".join(told))
    labels = [dice.choice("ab") for _ in texts]
    found = within(texts, labels)
    split = [one.split() for one in texts]
    kept: list[int] = []
    missed = wrong = every = 0
    for at, one in enumerate(split):
        like = [other for other in kept if split[other] != one and near.alike(one, split[other]) and labels[at] == labels[other]]
        every += bool(like)
        missed += bool(like) and found.earlier[at] < 0
        wrong += not like and found.earlier[at] >= 0
        if found.earlier[at] < 0:
            kept.append(at)
    assert every > 60
    assert wrong == 0
    assert missed <= every // 50  # of two texts with 9 of 11 words in common 1 % meet in no band


def test_every_process_finds_the_same() -> None:
    told = (
        "from tests.engine.test_near import LONG, within; "
        "print(within([LONG + f' {w}' for w in ('a', 'b')] + [LONG.replace('clean', w) for w in ('tidy', 'neat')]).earlier.tolist())"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", told], env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert said == {"[-1, 0, -1, 2]\n"}


def test_near_copies_are_told_with_their_largest_group_and_the_first_of_each_stays() -> None:
    words = ("calm", "silent", "restful", "peaceful", "still")
    rows = [
        *clean_rows(380),
        (LONG, "good"),
        *((LONG.replace("quiet", word), "good") for word in words),
        ("Good!", "good"),
        ("good", "good"),
    ]
    told = found(examine(table(rows), None, SPEC), "near-copies")
    assert (told.rows, told.harm) == (6, 2)
    assert "largest group has 6 rows" in told.effect
    assert len(told.examples) == 3
    assert told.examples[0].count("and the room was clean and") == 2
    after = put_right(table(rows), told)
    assert "near-copies" not in names(after)
    assert after.applied[0].rows == 6
    made = mended(table(rows), None, replace(SPEC, fixes=("drop-near-copies",)), "text", "label").table
    assert made.column("text").to_pylist()[380:] == [LONG, "Good!"]


def test_an_example_shows_the_place_where_two_texts_part() -> None:
    one, other = f"{LONG}, {LONG}!", f"{LONG},  {LONG.replace('quiet', 'calm')}"
    assert "quiet" in beside(one, other)
    assert "calm" in beside(one, other)
    assert beside("Well!", "well") == "Well! ≈ well"
    assert beside(LONG, f"{LONG} indeed").endswith("all the time indeed")
    assert beside("", "a") == " ≈ a"


def test_twins_with_different_labels_are_told_and_kept() -> None:
    rows = [*clean_rows(380), (LONG, "good"), (LONG.replace("clean", "dirty"), "bad"), ("Well!", "good"), ("well", "bad")]
    told = examine(table(rows), None, SPEC)
    assert not names(told) & {"near-copies", "contradictions"}
    twins = found(told, "near-contradictions")
    assert (twins.rows, twins.remedies) == (4, ())
    assert twins.examples[0].endswith("→ good, bad")
    assert "dirty" in twins.examples[0]
    every = examine(table(rows), None, replace(SPEC, fixes=("drop-near-copies", "drop-copies", "drop-conflicts")))
    assert sum(one.rows for one in every.applied) == 0


def test_patterns_with_numbers_filled_in_are_no_copies_and_short_ones_neither() -> None:
    rows = [(f"this is the lovely number {at} of all that we have made here so far", ("good", "bad")[at % 2]) for at in range(300)]
    short = [(f"a {word} phone", "good") for word in ("good", "fine", "nice", "bad", "big", "new", "old", "dear")]
    assert not {one for one in names(examine(table([*rows, *short]), None, SPEC)) if one.startswith("near")}


def test_a_pattern_with_a_word_filled_in_thousands_of_times_is_looked_through_in_a_bounded_number_of_comparisons(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared = []
    monkeypatch.setattr(near, "alike", lambda one, other: compared.append(1) or False)
    letters = "abcdefghijklmnopqrstuvwxyz"
    within([f"{LONG} {a}{b}{c}" for a in letters for b in letters for c in letters[:4]])
    assert len(compared) <= 26 * 26 * 4 * near.MOST_COMPARED


def test_a_test_text_with_a_word_changed_leaks_and_its_twin_leaves_training() -> None:
    rows = [*clean_rows(380), (LONG, "good"), (BENGALI, "bad")]
    test = [*clean_rows(430)[400:], (LONG.replace("quiet", "calm"), "good"), (BENGALI.replace("দ্রুত", "তাড়াতাড়ি"), "good")]
    told = found(examine(table(rows), table(test), SPEC), "near-leakage")
    assert told.rows == 1  # the other one's label differs
    assert "calm" in told.examples[0]
    assert "quiet" in told.examples[0]
    after = put_right(table(rows), told, table(test))
    assert "near-leakage" not in names(after)
    assert after.applied[0].rows == 1


def test_each_part_of_a_pair_or_of_an_answered_prompt_is_compared_by_itself() -> None:
    pairs = [(LONG, "a man plays", "good"), (LONG.replace("quiet", "calm"), "a man sleeps", "good"), (LONG, "A man plays!", "good")]
    rows = table([*((*one[:1], f"beside {at}", *one[1:]) for at, one in enumerate(clean_rows())), *pairs], THREE)
    assert not names(examine(rows, None, replace(SPEC, second="beside"))) & {"near-copies"}  # the last alone is one, and one is none
    more = [*pairs, (LONG.replace("quiet", "calm"), "a man plays", "good")]
    rows = table([*((*one[:1], f"beside {at}", *one[1:]) for at, one in enumerate(clean_rows())), *more], THREE)
    told = found(examine(rows, None, replace(SPEC, second="beside")), "near-copies")
    assert told.rows == 2
    answered = [(text, f"said of {text}") for text, _ in clean_rows()]
    prompts = [(LONG, "yes"), (LONG.replace("quiet", "calm"), "no"), (LONG.replace("quiet", "calm"), "yes"), (LONG.upper(), "Yes.")]
    data = DataSpec("file:rows.csv", text="text", label="label", target="text")
    told = found(examine(table([*answered, *prompts]), None, data), "near-copies")
    assert told.rows == 2
    after = examine(table([*answered, *prompts]), None, replace(data, fixes=told.remedies[0].fixes))
    assert "near-copies" not in names(after)
    assert after.applied[0].rows == 2


def test_rows_that_stand_in_both_parts_are_counted_by_what_is_read_of_them() -> None:
    train = Rows([LONG, "a short one", "else"], [0, 1, 1], [1, 2, 3], ["x", "y", "z"])
    test = Rows([LONG, LONG.replace("quiet", "calm"), "A short one!", "a short one"], [0, 0, 0, 1], [4, 5, 6, 7], ["x", "x", "y", "other"])
    told = overlap(train, test)
    assert told.seen.tolist() == [True, False, False, False]
    assert told.nearly.tolist() == [False, True, True, False]
    assert overlap(Rows([], [], []), test).counts == (0, 0)
