"""The changed texts: what is changed and what is left whole, in English and Bengali; and how the changes are counted."""

from __future__ import annotations

import unicodedata
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import edge_cases
from engine.edge_cases import KINDS, Variant

DICE = Random(0)
LETTERS = ["ক্ষ", "মা", "তো", "র\u200d্যা", "লি", "দুঁ", "শ্রী", "ন", "e"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("This film is good.", "This film is not good."),
        ("It is not good, really.", "It is good, really."),
        ("I don't like it", "I do like it"),
        ("You can't watch this", "You can watch this"),
        ("Good? Certainly not.", "Good? Certainly."),
        ("Great fun!", None),
        ("জিনিসটা ভালো। আবার কিনব।", "জিনিসটা ভালো না। আবার কিনব।"),
        ("জিনিসটা ভালো না। আবার কিনব।", "জিনিসটা ভালো। আবার কিনব।"),
        ("এটা ঠিক নয়", "এটা ঠিক"),
        ("khub bhalo na bhai", "khub bhalo bhai"),
    ],
)
def test_a_negation_is_put_in_or_taken_out(text: str, told: str | None) -> None:
    assert edge_cases.negated(unicodedata.normalize("NFC", text), DICE) == told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("খুব ভালো জিনিস।", "khub bhalo jinis."),
        ("আবার কিনব", "abar kinob"),
        ("টাকা নষ্ট ১০০", "taka noshto 100"),
        ("বাংলাদেশের মানুষ", "bangladesher manush"),
    ],
)
def test_bengali_is_written_in_latin_letters_by_its_sound(text: str, told: str) -> None:
    found = edge_cases.in_latin_letters(text, DICE)
    assert found is not None
    assert found == told.replace("noshto", "nosht")  # the last vowel that is not written is left out
    assert edge_cases.in_latin_letters("a film", DICE) is None


@given(st.lists(st.lists(st.sampled_from(LETTERS), min_size=1, max_size=8), min_size=1, max_size=12), st.integers(0, 20))
def test_a_mistype_never_tears_a_sign_from_its_letter(words: list[list[str]], seed: int) -> None:
    told = edge_cases.mistyped(" ".join(map("".join, words)), Random(seed))
    if told is not None:
        assert {letter for word in told.split() for letter in edge_cases.letters_of(word)} <= set(LETTERS)


def test_a_conjunct_is_one_letter() -> None:
    assert edge_cases.letters_of("ক্ষমতা") == ["ক্ষ", "ম", "তা"]
    assert edge_cases.letters_of("র‍্যাব")[0] == "র‍্যা"


def test_a_mistype_is_a_slip_in_a_tenth_of_the_words() -> None:
    text = " ".join(["reading"] * 40)
    told = edge_cases.mistyped(text, Random(1))
    assert told is not None
    assert sum(word != "reading" for word in told.split()) in range(3, 5)


def test_emoji_are_taken_out_or_one_is_put_in() -> None:
    assert edge_cases.with_emoji("Good 👍🏽 film ❤️", DICE) == "Good  film"
    assert edge_cases.with_emoji("Good film ", DICE) == "Good film 📌"


def test_halves_hold_all_words_and_a_short_text_is_left_alone() -> None:
    text = "one two three four five six seven"
    assert f"{edge_cases.first_half(text, DICE)} {edge_cases.last_half(text, DICE)}" == text
    assert edge_cases.first_half("too short to cut", DICE) is None


@given(st.lists(st.text(max_size=80), max_size=6))
def test_whatever_the_text_the_suite_is_made_the_same_again_and_never_blank(texts: list[str]) -> None:
    made = edge_cases.variants(texts, seed=3)
    assert made == edge_cases.variants(texts, seed=3)
    for one in made:
        assert one.text.strip()
        assert one.text == unicodedata.normalize("NFC", one.text)


def test_how_often_the_answer_changed_is_counted_with_its_interval_and_examples() -> None:
    texts = ["a good film", "a bad film", "a film"]
    made = [Variant(0, "typos", "a godo film"), Variant(1, "typos", "a abd film"), Variant(2, "capitals", "A FILM")]
    told = {one.id: one for one in edge_cases.findings(texts, [1, 0, 1], [1, 0, 0], made, [1, 1, 0], ["no", "yes"])}
    typos = told["typos"]
    assert (typos.rows, typos.right_before, typos.right_after) == (2, 2, 1)
    assert typos.changed is not None
    assert typos.changed.value == 0.5
    assert typos.changed.low < 0.2 < 0.8 < typos.changed.high
    (example,) = typos.examples
    assert (example.before, example.after, example.said_before, example.said_after) == ("a bad film", "a abd film", "no", "yes")
    assert told["emoji"].changed is None
    assert set(told) == {kind.id for kind in KINDS}


def test_how_far_numbers_move_is_told_with_how_far_they_are_off_and_the_furthest_first() -> None:
    texts = ["a good film", "a bad film"]
    made = [Variant(0, "typos", "a godo film"), Variant(1, "typos", "a abd film")]
    told = {one.id: one for one in edge_cases.moves(texts, [4.0, 2.0], [4.5, 2.5], made, [4.25, 4.0])}
    typos = told["typos"]
    assert typos.changed is None
    assert typos.move is not None
    assert (typos.move.mean.value, typos.move.off_before, typos.move.off_after) == (0.875, 0.5, 1.125)
    assert typos.move.mean.low == 0.25
    assert [(one.said_before, one.said_after) for one in typos.examples] == [("2.50", "4.00"), ("4.50", "4.25")]
    assert told["emoji"].move is told["emoji"].changed is None
