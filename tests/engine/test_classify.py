"""Encoding and padding of the classification task, on tiny real tokenizers."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.tasks import classify
from tests.tiny import ARCHITECTURES, tiny

BENGALI = "ক্ষমতা আর র‍্যাব: দারুণ লাগল!"  # a conjunct and a zero-width joiner


@pytest.mark.parametrize("keep", ["start", "ends"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_encoded_rows_are_bounded_and_keep_the_special_tokens(architecture: str, keep: str, tmp_path: Path) -> None:
    tokenizer = classify.load_tokenizer(tiny(architecture, tmp_path / architecture))
    texts = ["good", "word " * 100, BENGALI, "!"]
    rows = classify.encode(tokenizer, texts, classify.ClassifyKnobs(max_length=12, keep=keep))
    assert all(1 <= len(row) <= 12 for row in rows)
    assert len(rows[1]) == 12
    short = tokenizer("good")["input_ids"]
    assert rows[0] == short, "a text that fits is encoded just as the tokenizer would"


@pytest.mark.parametrize("architecture", ["bert", "xlm-roberta"])
def test_rows_as_long_as_the_model_reads_are_not_padded_beyond_it(architecture: str, tmp_path: Path) -> None:
    """tiny-bert has 130 positions, which no power of two divides."""
    from engine import models

    folder = tiny(architecture, tmp_path / architecture)
    longest = models.find(str(folder), token=None, home=tmp_path).max_tokens
    tokenizer = classify.load_tokenizer(folder)
    rows = classify.encode(tokenizer, ["word " * 300, "good"], classify.ClassifyKnobs(max_length=longest))
    model = classify.load_model(folder, ("a", "b"), pad_token_id=tokenizer.pad_token_id)
    assert classify.probabilities(model, tokenizer, rows).shape == (2, 2)


def test_both_ends_keeps_the_first_and_the_last_tokens() -> None:
    assert classify.cut(list(range(10)), 4, "ends") == [0, 1, 8, 9]
    assert classify.cut(list(range(10)), 5, "ends") == [0, 1, 2, 8, 9]
    assert classify.cut(list(range(10)), 4, "start") == [0, 1, 2, 3]
    assert classify.cut([1, 2], 4, "ends") == [1, 2]
    assert classify.cut(list(range(10)), 1, "ends") == [0]


def test_text_that_spells_a_special_token_stays_text(tmp_path: Path) -> None:
    """Otherwise a comment holding the padding token could end a decoder's row early."""
    tokenizer = classify.load_tokenizer(tiny("qwen2", tmp_path / "qwen2"))
    knobs = classify.ClassifyKnobs(max_length=64)
    (row,) = classify.encode(tokenizer, [f"good {tokenizer.pad_token} film"], knobs)
    assert tokenizer.pad_token_id not in row


def test_a_text_that_encodes_to_nothing_still_gives_a_row(tmp_path: Path) -> None:
    for architecture in ("bert", "qwen2"):
        tokenizer = classify.load_tokenizer(tiny(architecture, tmp_path / architecture))
        (row,) = classify.encode(tokenizer, ["\u200b"], classify.ClassifyKnobs(max_length=16))
        assert row
