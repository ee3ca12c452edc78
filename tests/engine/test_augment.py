"""Rows made from the training rows: what is changed and what never is, in English, Bengali and Banglish; and that nothing leaks."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.augment import NOISE, SYNONYMS, Augmentation, made_rows, making, noise, stand_ins
from engine.augment.words import folded, may_change, words_in
from engine.data.split import Prepared, Rows
from engine.letters import letters_of

BENGALI_LETTERS = ["ক্ষ", "মা", "তো", "র\u200d্যা", "লি", "দুঁ", "শ্রী", "ন", "খু", "ণে", "ক্\u200cষ", "য়", "ড়ি"]
NFC_LETTERS = [unicodedata.normalize("NFC", one) for one in BENGALI_LETTERS]
bengali_words = st.lists(st.sampled_from(NFC_LETTERS), min_size=1, max_size=7).map("".join)
latin_words = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=9)
texts = st.lists(st.one_of(bengali_words, latin_words), min_size=1, max_size=12).map(" ".join)


def prepared(train: list[str], test: list[str], labels: list[int] | None = None) -> Prepared:
    held = Rows(test, [0] * len(test), list(range(len(test))))
    rows = Rows(train, labels or [at % 2 for at in range(len(train))], list(range(10, 10 + len(train))))
    return Prepared(("bad", "good"), rows, Rows([], [], []), held, "", ())


# Slips of typing


def stripped(letter: str) -> str:
    """The letter without what a slip of a sound may change in it."""
    return "".join("*" if one in noise.TAKEN_FOR else one for one in letter)


@given(texts, st.integers(0, 10_000))
def test_a_slip_moves_drops_or_doubles_whole_letters_and_leaves_every_sign_where_it_hangs(text: str, seed: int) -> None:
    made = noise.noised(text, 0.5, Random(seed))
    if made is None:
        return
    assert made == unicodedata.normalize("NFC", made)
    before, after = text.split(" "), made.split(" ")
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        if old == new:
            continue
        ours, theirs = letters_of(old), letters_of(new)
        assert abs(len(ours) - len(theirs)) <= 1
        if not old.isascii():
            assert {stripped(one) for one in theirs} <= {stripped(one) for one in ours}
        assert Counter(new)["\u09cd"] <= Counter(old)["\u09cd"] + max(Counter(one)["\u09cd"] for one in ours)
        assert not unicodedata.category(new[0]).startswith("M")
        assert stripped(ours[0]) == stripped(theirs[0]), "the first letter stays"
        assert stripped(ours[-1]) == stripped(theirs[-1]), "so does the last"


@given(texts, st.integers(0, 10_000))
def test_the_same_seed_slips_in_the_same_places(text: str, seed: int) -> None:
    assert noise.noised(text, 0.3, Random(seed)) == noise.noised(text, 0.3, Random(seed))


def test_as_many_words_slip_as_were_asked_for() -> None:
    text = " ".join(f"wonderful{chr(97 + at)}" for at in range(20))
    changed = noise.noised(text, 0.15, Random(1))
    assert changed is not None
    assert sum(one != other for one, other in zip(text.split(), changed.split(), strict=True)) == 3


@pytest.mark.parametrize(
    "text", ["not never no", "না নেই নয়", "na nai noy", "https://example.org/wonderful @somebody #sometag", "12345 !!! 😀", "a b"]
)
def test_a_not_an_address_and_what_is_no_word_are_left_alone(text: str) -> None:
    assert all(noise.noised(unicodedata.normalize("NFC", text), 0.5, Random(seed)) is None for seed in range(20))


def test_a_bengali_slip_takes_the_sign_that_sounds_alike() -> None:
    made = {noise.noised("খুব", 0.5, Random(seed)) for seed in range(10)}
    assert made == {"খূব"}


# Stand-in words


def test_the_list_holds_each_word_once_in_nfc_and_never_a_not() -> None:
    told = json.loads((Path(__file__).parents[2] / "presets" / "synonyms.json").read_text("utf-8"))
    for language in ("english", "bengali", "banglish"):
        words = [word for group in told[language] for word in group]
        assert len(words) == len(set(words)), language
        assert all(word == folded(word) and may_change(word) and words_in(word)[0].text == word for word in words)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The film is good and I liked it.", "english"),
        ("জিনিসটা খুব ভালো, দামও কম।", "bengali"),
        ("khub valo jinish vai", "banglish"),
        ("La película es muy buena", ""),
        ("The dam is of the river and the valley, and it was built with stone", "english"),
    ],
)
def test_each_language_has_its_own_list(text: str, language: str) -> None:
    assert stand_ins.language_of(text, words_in(text)) == language


def test_a_word_is_replaced_as_it_was_written_and_a_not_stays() -> None:
    known = stand_ins.learn([], ([], 2))
    told = {stand_ins.replaced("GOOD film, and Good is not the good of it", 0.5, Random(seed), known) for seed in range(40)}
    assert all(one is not None and " not " in one for one in told)
    words = {word for one in told if one for word in one.replace(",", "").split()}
    assert {"FINE", "NICE", "Fine", "Nice", "movie"} <= words
    assert stand_ins.replaced("জিনিসটা খারাপ না", 0.5, Random(1), known) == "জিনিসটা বাজে না"


SPELLINGS = [
    f"{start} {word} {end}"
    for start in ("dekho vaia", "ami bolchi", "ei ta")
    for word in ("sundoor", "sundoore")
    for end in ("ek", "dui", "tin")
]


def test_another_spelling_in_the_same_company_stands_for_a_word() -> None:
    known = stand_ins.learn(SPELLINGS * 3, ([0, 1] * 27, 2))
    assert known.of("sundoor", "") == ("sundoore",)


def test_words_that_point_at_different_labels_never_stand_for_one_another() -> None:
    labels = [int("sundoore" in one) for one in SPELLINGS] * 3
    assert stand_ins.learn(SPELLINGS * 3, (labels, 2)).of("sundoor", "") == ()
    films = ["a good film"] * 20 + ["a fine film"] * 20
    apart = stand_ins.learn(films, ([0] * 20 + [1] * 20, 2))
    assert "fine" not in apart.of("good", "english")
    assert "nice" in apart.of("good", "english")


@pytest.mark.parametrize(("word", "other"), [("korbe", "korbena"), ("হবে", "হবেনা"), ("happy", "unhappy"), ("care", "careless")])
def test_a_word_and_its_contrary_never_stand_for_one_another(word: str, other: str) -> None:
    assert not stand_ins._can_stand(unicodedata.normalize("NFC", word), unicodedata.normalize("NFC", other))


# Rows


WORDS = ["wonderful", "terrible", "actors", "khub", "ভালো", "খারাপ", "জিনিসটা", "story"]
rows = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join), min_size=1, max_size=12)


@given(rows, rows, st.sampled_from([NOISE, SYNONYMS]), st.integers(0, 100))
def test_every_made_row_is_new_keeps_its_label_and_stands_in_no_other_part(train: list[str], test: list[str], kind: str, seed: int) -> None:
    assume(train)
    told = prepared(train, test)
    asked = Augmentation(augment=kind, augment_copies=2, augment_share=0.3)
    change = making.changing(kind, told, asked, seed)
    assert change is not None
    made = making.made(told, 2, change)
    new = [one.text for one in made.copies]
    assert len(new) == len(set(new))
    assert not set(new) & {*train, *test}
    assert made.wanted == 2 * len(train) == made_rows(asked, len(train))
    assert len(new) + made.leaked + made.missing == made.wanted
    grown = making.grown(told, made.copies)
    assert grown.train.texts[: len(train)] == train
    assert grown.train.labels[len(train) :] == [told.train.labels[one.place] for one in made.copies]
    assert (grown.test, grown.validation) == (told.test, told.validation)
    assert making.made(told, 2, change) == made, "the same again"


def test_copies_keep_their_numbers_and_tags_and_words_that_tell_these_apart_never_stand_for_one_another() -> None:
    films = ["a good film"] * 20 + ["a fine film"] * 20
    numbers = Rows(films, [0] * 40, list(range(40)), values=[9.0] * 20 + [1.0] * 20)
    tagged = Rows(films, [0] * 40, list(range(40)), tags=[(1, 1)] * 20 + [(1, 0)] * 20)
    for rows in (numbers, tagged):
        told = Prepared(("seen", "liked"), rows, Rows([], [], []), Rows([], [], []), "", ())
        change = making.changing(SYNONYMS, told, Augmentation(augment=SYNONYMS), 1)
        assert change is not None
        assert all("fine" not in str(change(place, 0, 0)) for place in range(20))
        copies = (making.Copy(0, "a nice film"), making.Copy(20, "a fine movie"))
        assert making.grown(told, copies).train.targets[40:] == [rows.targets[0], rows.targets[20]]
        labels = [one.label for one in making.examples(told, copies, 2)]
        assert labels == (["9", "1"] if rows.values else ["seen, liked", "seen"])


def test_a_copy_that_is_a_test_text_is_left_out_and_counted() -> None:
    told = prepared(["one", "two"], ["Leaks  HERE"])
    made = making.made(told, 1, lambda place, copy, go: "leaks here" if place == 0 else "another")
    assert ([one.text for one in made.copies], made.leaked, made.missing) == (["another"], 1, 0)


def test_copies_are_kept_with_the_run_and_read_again_only_for_the_same_rows(tmp_path: Path) -> None:
    told = prepared(["প্রথম লেখা", "two\x85lines"], ["three"])
    copies = (making.Copy(1, "two lines, made"), making.Copy(0, "প্রথম, লেখা"))
    making.keep(tmp_path, told, copies)
    assert making.kept(tmp_path, told) == copies
    assert making.kept(tmp_path, prepared(["other", "rows"], [])) is None
    examples, count = making.shown(tmp_path, 1)
    assert (examples[0].original, examples[0].text, examples[0].row, count) == ("two\x85lines", "two lines, made", 11, 2)
    assert making.shown(tmp_path / "none", 5) == ((), 0)


def test_real_bengali_comments_get_copies_with_whole_letters(shared_data: Path) -> None:
    lines = (shared_data / "bengali" / "sentiment_train.tsv").read_text("utf-8").splitlines()[1:301]
    comments = [unicodedata.normalize("NFC", line.split("\t")[1]) for line in lines]
    told = prepared(list(dict.fromkeys(comments)), [])
    for kind, least in ((NOISE, 0.9), (SYNONYMS, 0.4)):
        change = making.changing(kind, told, Augmentation(augment=kind), 42)
        assert change is not None
        made = making.made(told, 1, change)
        assert len(made.copies) >= least * made.wanted, kind
        assert all(one.text == unicodedata.normalize("NFC", one.text) for one in made.copies)
