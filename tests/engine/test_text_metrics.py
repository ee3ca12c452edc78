"""Figures of written texts equal those of the reference libraries, Bengali included; their intervals hold what they say."""

from __future__ import annotations

import math
import re
import string
from collections import Counter

import numpy as np
import pytest

from engine import resampling, text_metrics
from engine.text_words import normalised, words

WRITTEN = [
    "The cat sat on the mat.",
    "There is a dog in the garden, I think.",
    "আমি প্রতিদিন সকালে ভাত খাই।",
    "বাংলাদেশের রাজধানী ঢাকা শহর।",
    "khub bhalo jinish, dam o kom",
]
REFERENCES = [
    ["A cat sat on the mat."],
    ["A dog is in the garden.", "There's a dog in the garden."],
    ["আমি রোজ সকালে ভাত খাই।"],
    ["বাংলাদেশের রাজধানী হলো ঢাকা।"],
    ["khub bhalo jinish, daam o kom"],
]


def test_bleu_and_chrf_are_sacrebleu_s_with_several_references_and_bengali() -> None:
    from sacrebleu.metrics import BLEU, CHRF

    streams = [[row[0] for row in REFERENCES], [row[1] if len(row) > 1 else None for row in REFERENCES]]
    expected = BLEU(tokenize=text_metrics.bleu_tokenizer(REFERENCES)).corpus_score(WRITTEN, streams).score
    assert text_metrics.bleu(WRITTEN, REFERENCES).value == pytest.approx(expected, abs=1e-9)
    assert text_metrics.chrf(WRITTEN, REFERENCES).value == pytest.approx(CHRF().corpus_score(WRITTEN, streams).score, abs=1e-9)
    assert expected > 20


@pytest.mark.parametrize(
    ("text", "tokenizer"),
    [("Un chien court.", "13a"), ("আমি ভাত খাই।", "intl"), ("我很喜欢这部电影", "zh"), ("12 + 4", "13a"), ("मैं घर जाता हूँ।", "intl")],
)
def test_bleu_cuts_a_text_as_its_script_needs(text: str, tokenizer: str) -> None:
    assert text_metrics.bleu_tokenizer([[text]]) == tokenizer
    assert f"tok:{tokenizer}|" in text_metrics.bleu([text], [[text]]).note


def test_the_danda_does_not_stick_to_the_last_word_in_bleu() -> None:
    with_danda, without = ["আমি আজ সকালে ভাত খাই।"], [["আমি আজ সকালে ভাত খাই"]]
    assert text_metrics.bleu(with_danda, without).value > 75


def test_rouge_is_rouge_score_s_own_on_english() -> None:
    from rouge_score.rouge_scorer import RougeScorer

    told = RougeScorer(["rouge1", "rouge2", "rougeL"])
    expected = [told.score_multi(row, text) for text, row in zip(WRITTEN[:2], REFERENCES[:2], strict=True)]
    for figure in text_metrics.rouge(WRITTEN[:2], REFERENCES[:2]):
        assert figure.rows[:, 0] == pytest.approx([row[figure.id].fmeasure for row in expected])


def test_rouge_does_not_erase_bengali() -> None:
    """By hand: 4 of 5 words are shared; of 4 pairs each, the last two; the longest common run in order has 4."""
    one, two, longest = text_metrics.rouge(WRITTEN[2:3], REFERENCES[2:3])
    assert (one.value, two.value, longest.value) == pytest.approx((4 / 5, 2 / 4, 4 / 5))


def test_rouge_of_bengali_is_rouge_score_s_own_of_the_same_words_in_latin_letters() -> None:
    """rouge-score's usual tokenizer knows a to z and digits alone, so each Bengali word, cut here by blanks, is given a name in them."""
    from rouge_score.rouge_scorer import RougeScorer

    written = ["বাংলাদেশের রাজধানী ঢাকা শহর", "তিনি গতকাল ঢাকা থেকে চট্টগ্রাম গেছেন", "র‍্যাব আজ ঢাকা শহর থেকে গেছে"]
    accepted = [["বাংলাদেশের রাজধানী হলো ঢাকা"], ["গতকাল তিনি চট্টগ্রাম গেছেন", "তিনি ঢাকা থেকে গেছেন"], ["র‍্যাব ঢাকা শহর থেকে আজ গেছে"]]
    names: dict[str, str] = {}

    def latin(text: str) -> str:
        return " ".join(names.setdefault(word, f"word{len(names)}") for word in text.split())

    told = RougeScorer(["rouge1", "rouge2", "rougeL"])
    expected = [told.score_multi([latin(one) for one in row], latin(text)) for text, row in zip(written, accepted, strict=True)]
    for figure in text_metrics.rouge([f"{text}।" for text in written], accepted):
        assert figure.rows[:, 0] == pytest.approx([row[figure.id].fmeasure for row in expected])
        assert 0 < figure.value < 1


def test_words_keep_every_sign_and_joiner() -> None:
    assert words("র‍্যাব ক্ষমতা, দুঃখ! Naïve_1 ২৩") == ["র‍্যাব", "ক্ষমতা", "দুঃখ", "naïve", "1", "২৩"]
    assert words("我很好") == ["我", "很", "好"]


@pytest.mark.parametrize(
    ("written", "references", "exact", "shared"),
    [  # the first four after the doctests and rules of SQuAD's evaluate-v2.0.py, worked out by hand
        ("The Eiffel Tower!", ["eiffel tower"], 1.0, 1.0),
        ("in the Eiffel Tower", ["Eiffel Tower"], 0.0, 0.8),
        ("", [""], 1.0, 1.0),
        ("", ["Paris"], 0.0, 0.0),
        ("ঢাকা শহর।", ["ঢাকা শহর"], 1.0, 1.0),
        ("ঢাকা শহর", ["চট্টগ্রাম", "ঢাকা"], 0.0, 2 / 3),
    ],
)
def test_exact_match_and_token_f1_follow_squad(written: str, references: list[str], exact: float, shared: float) -> None:
    assert text_metrics.exact_match([written], [references]).value == exact
    assert text_metrics.token_f1([written], [references]).value == pytest.approx(shared)


def as_squad_s_script(written: str, reference: str) -> tuple[float, float]:
    """Exact match and F1 step by step as normalize_answer, compute_exact and compute_f1 of evaluate-v2.0.py have them.

    https://rajpurkar.github.io/SQuAD-explorer/; it knows the punctuation of ASCII alone, so there is no danda in the cases.
    """

    def tokens(text: str) -> list[str]:
        plain = "".join(letter for letter in text.lower() if letter not in set(string.punctuation))
        return re.sub(r"\b(a|an|the)\b", " ", plain).split()

    gold, given = tokens(reference), tokens(written)
    same = sum((Counter(gold) & Counter(given)).values())
    if not gold or not given:
        return float(gold == given), float(gold == given)
    if same == 0:
        return 0.0, 0.0
    precision, recall = same / len(given), same / len(gold)
    return float(gold == given), 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize(
    ("written", "reference"),
    [
        ("The Normans", "Normans"),
        ("in the 10th and 11th centuries", "10th and 11th centuries"),
        ("France, a country", "france"),
        ("France", "Germany"),
        ("$5-million deal!", "5 million deal"),
        ("Beyoncé Giselle Knowles-Carter", "Beyoncé"),
        ("an an the", "a"),
        ("রবীন্দ্রনাথ ঠাকুর", "ঠাকুর রবীন্দ্রনাথ"),
        ("ঢাকা ঢাকা শহর", "ঢাকা শহর"),
        ("১৯৭১ সালের ১৬ ডিসেম্বর", "১৬ ডিসেম্বর ১৯৭১"),
    ],
)
def test_exact_match_and_token_f1_are_those_of_squad_s_own_script(written: str, reference: str) -> None:
    exact, shared = as_squad_s_script(written, reference)
    assert text_metrics.exact_match([written], [[reference]]).value == exact
    assert text_metrics.token_f1([written], [[reference]]).value == pytest.approx(shared)


def test_squad_s_normalisation_takes_articles_and_punctuation_but_no_bengali_sign() -> None:
    assert normalised("The কৃষ্ণ, an $5 (দুঃখ)।") == ["কৃষ্ণ", "5", "দুঃখ"]


def test_perplexity_divides_the_sums_and_not_the_rows() -> None:
    """Of a uniform guess among 50 tokens it is 50, however long the rows; by words it is 50 to the tokens a word."""
    tokens = [3, 30, 7]
    by_token, by_word = text_metrics.perplexity([count * math.log(50) for count in tokens], tokens, ["a b", "c " * 15, "d e f"])
    assert by_token.value == pytest.approx(50)
    assert by_word.value == pytest.approx(50 ** (40 / 20))
    assert text_metrics.perplexity([1e9], [1], ["a"])[0].value < math.inf


def test_variety_tells_circles_from_speech() -> None:
    circles, speech = "so good so good so good so good", "the plot is thin but the cast is great"
    one, two, again = text_metrics.variety([circles, speech, "ভালো"])
    assert one.rows[:, 0] == pytest.approx([2 / 8, 7 / 9, 1])
    assert two.rows[:2, 0] == pytest.approx([2 / 7, 1])
    assert again.value == pytest.approx((3 / 5 + 0) / 2)  # the third is too short for a run of four: left out
    assert text_metrics.same_share(["Yes!", "yes", "no"]) == pytest.approx(2 / 3)


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    dice = np.random.default_rng(3)
    held = 0
    for trial in range(300):
        values = dice.gamma(2.0, 0.5, size=150)  # of mean 1, and lopsided as text figures are
        told = resampling.interval(resampling.mean("x", "X", values, better="higher", note=""), seed=trial, draws=300)
        held += told.low <= 1.0 <= told.high
    assert 0.90 <= held / 300 <= 0.98


def test_bleu_has_an_interval_around_it_and_a_better_writer_is_told_from_a_worse_one() -> None:
    dice = np.random.default_rng(0)
    pool = ["the", "cat", "sat", "on", "a", "mat", "while", "rain", "fell", "over", "old", "town", "and", "dogs", "ran", "home"]
    references = [[" ".join(dice.choice(pool, 12))] for _ in range(60)]
    good = [_damaged(row[0], dice, 0.1) for row in references]
    bad = [_damaged(row[0], dice, 0.4) for row in references]
    figure = text_metrics.bleu(good, references)
    told = resampling.interval(figure)
    assert told.low < told.value < told.high
    gap = resampling.compare(figure, text_metrics.bleu(bad, references))
    assert gap.gain.low > 0
    assert gap.p_value < 0.01


def test_two_alike_are_told_apart_no_more_often_than_chance_allows() -> None:
    dice = np.random.default_rng(1)
    values = [dice.random((2, 80)) for _ in range(200)]
    figures = [[resampling.mean("x", "X", one, better="higher", note="") for one in pair] for pair in values]
    found = [resampling.compare(first, second, draws=200).p_value < 0.05 for first, second in figures]
    assert sum(found) / len(found) < 0.09
    same = resampling.compare(figures[0][0], figures[0][0])
    assert (same.gain.value, same.p_value) == (0.0, 1.0)


def _damaged(text: str, dice: np.random.Generator, share: float) -> str:
    return " ".join("lost" if dice.random() < share else word for word in text.split())
