"""BERTScore as its authors' package counts it, and the cosine, with the embedded encoder."""

from __future__ import annotations

import pytest

from engine import likeness, models

WRITTEN = ["A man is playing a guitar on the stage.", "আমি ভাত খাই।", "the cat sat", "khub bhalo jinish", "nothing alike at all"]
REFERENCES = [
    "A person plays guitar for a crowd.",
    "আমি ভাত খেতে ভালোবাসি।",
    "The cat sat.",
    "khub baje jinish",
    "Stock prices fell sharply on Monday",
]


@pytest.fixture(scope="module")
def encoder() -> likeness.Encoder:
    return likeness.open_encoder(models.embedded_folder(), models.EMBEDDED)


def test_bertscore_equals_the_package_of_its_authors(encoder: likeness.Encoder) -> None:
    """F1 of bert-score 0.3.13, bert_cos_score_idf with this very model and tokenizer, idf 1 and 0 for [CLS] and [SEP]."""
    matched, _ = likeness.likeness(encoder, WRITTEN, [[one] for one in REFERENCES])
    assert matched.rows[:, 0] == pytest.approx([0.6019, 0.8793, 0.9878, 0.8035, 0.0867], abs=1e-4)


def test_the_best_reference_counts_and_a_text_is_like_itself(encoder: likeness.Encoder) -> None:
    told: list[int] = []
    matched, near = likeness.likeness(encoder, WRITTEN[:2], [["Rain.", WRITTEN[0]], [WRITTEN[1]]], told.append)
    assert matched.rows[:, 0] == pytest.approx(1, abs=1e-5)
    assert near.rows[:, 0] == pytest.approx(1, abs=1e-5)
    assert told == [2]


def test_a_blank_text_gets_nothing(encoder: likeness.Encoder) -> None:
    matched, _ = likeness.likeness(encoder, ["", "রোদ"], [["Rain."], ["রোদ"]])
    assert matched.rows[:, 0] == pytest.approx([0, 1], abs=1e-5)
