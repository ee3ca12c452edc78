"""Encoding and padding of the classification task, on tiny real tokenizers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from engine.data.texts import Texts
from engine.tasks import classify
from tests.tiny import ARCHITECTURES, tiny

BENGALI = "ক্ষমতা আর র‍্যাব: দারুণ লাগল!"  # a conjunct and a zero-width joiner


@pytest.mark.parametrize("keep", ["start", "ends"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_encoded_rows_are_bounded_and_keep_the_special_tokens(architecture: str, keep: str, tmp_path: Path) -> None:
    tokenizer = classify.load_tokenizer(tiny(architecture, tmp_path / architecture))
    texts = ["good", "word " * 100, BENGALI, "!"]
    rows = classify.encode(tokenizer, Texts(texts), classify.ClassifyKnobs(max_length=12, keep=keep))
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
    rows = classify.encode(tokenizer, Texts(["word " * 300, "good"]), classify.ClassifyKnobs(max_length=longest))
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
    (row,) = classify.encode(tokenizer, Texts([f"good {tokenizer.pad_token} film"]), knobs)
    assert tokenizer.pad_token_id not in row


def test_a_text_that_encodes_to_nothing_still_gives_a_row(tmp_path: Path) -> None:
    for architecture in ("bert", "qwen2"):
        tokenizer = classify.load_tokenizer(tiny(architecture, tmp_path / architecture))
        (row,) = classify.encode(tokenizer, Texts(["\u200b"]), classify.ClassifyKnobs(max_length=16))
        assert row


def test_balanced_weights_are_those_of_scikit_learn_and_one_in_the_mean() -> None:
    labels = [0] * 6 + [1] * 3 + [3]
    expected = compute_class_weight("balanced", classes=np.array([0, 1, 3]), y=np.array(labels))
    told = classify.balanced(labels, 4)
    assert [told[0], told[1], told[3]] == pytest.approx(list(expected))
    assert told[2] == 1.0, "a class without a training row weighs as any row"
    assert sum(told[one] for one in labels) / len(labels) == pytest.approx(1)


def test_a_weighted_loss_is_that_of_the_rows_weighed_and_its_pieces_add_up() -> None:
    logits, labels = torch.randn(6, 2, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 0, 0, 0, 1, 1])
    weights = classify.balanced(labels.tolist(), 2)
    alone = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    whole = classify.loss(logits, labels, weights)
    assert whole.item() == pytest.approx((alone * torch.tensor([0.75] * 4 + [1.5] * 2)).mean().item())
    halves = [classify.loss(logits[at], labels[at], weights).item() for at in (slice(0, 3), slice(3, 6))]
    assert sum(halves) / 2 == pytest.approx(whole.item())
    assert classify.loss(logits, labels, (1.0, 1.0)).item() == pytest.approx(classify.loss(logits, labels).item())
