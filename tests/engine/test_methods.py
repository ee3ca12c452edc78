"""The contract of every method that is found, over every architecture: it learns, counts right, keeps frozen weights, comes back equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from engine import models, trained
from engine.knobs import knobs_of, settle
from engine.methods import all_methods
from engine.spec import Training
from engine.tasks import all_tasks, classify
from tests.tiny import ARCHITECTURES, tiny

CLASSES = ("Negative", "Neutral", "Positive")
TEXTS = ("bad film", "a film", "good film", "very bad", "some words here", "very good indeed") * 4
LABELS = (0, 1, 2) * 8
METHODS = sorted(all_methods())


class Opened:
    """A tiny model made ready by a method, as the worker does it."""

    def __init__(self, method: str, architecture: str, folder: Path) -> None:
        self.folder = tiny(architecture, folder / architecture)
        self.facts = models.find(str(self.folder), token=None, home=folder)
        self.method = all_methods()[method]
        self.knobs = settle(self.method.knobs, {"rank": 4, "dropout": 0.0})
        self.tokenizer = classify.load_tokenizer(self.folder)
        torch.manual_seed(0)
        self.model = self.method.prepare(self.base(self.folder), self.knobs, self.facts)
        ids = classify.encode(self.tokenizer, TEXTS, classify.ClassifyKnobs(max_length=16))
        self.rows = ids
        self.batch = classify.collate(self.tokenizer, ids)

    def base(self, folder: Path) -> torch.nn.Module:
        return classify.load_model(folder, CLASSES, pad_token_id=self.tokenizer.pad_token_id)

    def trained_parameters(self) -> dict[str, torch.nn.Parameter]:
        return {name: one for name, one in self.model.named_parameters() if one.requires_grad}

    def train(self, steps: int, *, bf16: bool = False) -> list[float]:
        labels = torch.tensor(LABELS)
        optimizer = torch.optim.AdamW(self.trained_parameters().values(), lr=5e-3)
        losses = []
        self.model.train()
        for _ in range(steps):
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
                logits = self.model(**self.batch).logits
            loss = classify.loss(logits, labels)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
        self.model.eval()
        return losses

    def logits(self, model: torch.nn.Module) -> torch.Tensor:
        model.eval()
        with torch.inference_mode():
            found: torch.Tensor = model(**self.batch).logits
        return found


@pytest.fixture(params=[(method, architecture) for method in METHODS for architecture in ARCHITECTURES], ids="-".join)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    return Opened(*request.param, tmp_path)


def test_a_method_counts_freezes_learns_and_comes_back_equal(opened: Opened, tmp_path: Path) -> None:
    trained_names = opened.trained_parameters()
    counted = sum(one.numel() for one in trained_names.values())
    assert opened.method.trainable(opened.knobs, opened.facts, len(CLASSES)) == counted

    frozen = {name: one.detach().clone() for name, one in opened.model.named_parameters() if not one.requires_grad}
    assert bool(frozen) == opened.method.freezes_body
    losses = opened.train(30)
    assert losses[-1] < 0.8 * losses[0]
    for name, one in opened.model.named_parameters():
        if name in frozen:
            assert torch.equal(one, frozen[name]), f"{name} was to stay as it was"

    saved = tmp_path / "saved"
    saved.mkdir()
    opened.method.save(opened.model, saved)
    assert not [file.name for file in saved.iterdir() if file.suffix in (".bin", ".pt", ".pkl")]
    weights = sum(file.stat().st_size for file in saved.glob("*.safetensors"))
    assert weights == pytest.approx(opened.method.saved_bytes(opened.knobs, opened.facts, len(CLASSES)), rel=0.25, abs=20_000)
    for text in saved.glob("*.json"):
        assert str(opened.folder) not in text.read_text("utf-8") or opened.facts.source == "folder"
    torch.manual_seed(99)
    again = opened.method.load(saved, opened.folder, opened.base)
    assert torch.equal(opened.logits(opened.model), opened.logits(again))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_row_gets_the_same_probabilities_alone_and_padded_among_longer_ones(architecture: str, tmp_path: Path) -> None:
    """A decoder's head must read the last token that is not padding; an encoder must not attend to padding."""
    opened = Opened("full", architecture, tmp_path)
    opened.train(4)
    together = classify.probabilities(opened.model, opened.tokenizer, opened.rows, batch_size=len(opened.rows))
    alone = classify.probabilities(opened.model, opened.tokenizer, opened.rows, batch_size=1)
    assert together == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("architecture", ["bert", "qwen2"])
def test_training_in_bf16_keeps_trained_weights_in_32_bits_and_learns(method: str, architecture: str, tmp_path: Path) -> None:
    opened = Opened(method, architecture, tmp_path)
    dtype = trained.weights_dtype("bf16", freezes_body=opened.method.freezes_body)
    base = classify.load_model(opened.folder, CLASSES, dtype=dtype, pad_token_id=opened.tokenizer.pad_token_id)
    opened.model = opened.method.prepare(base, opened.knobs, opened.facts)
    for one in opened.trained_parameters().values():
        one.data = one.data.float()
    losses = opened.train(30, bf16=True)
    assert losses[-1] < 0.85 * losses[0]
    assert {one.dtype for one in opened.trained_parameters().values()} == {torch.float32}


def test_every_setting_has_one_name_over_all_that_a_run_can_set() -> None:
    from engine.data.split import Split

    for method in all_methods().values():
        for task in all_tasks().values():
            names = [knob.name for kind in (Split, task.knobs, Training, method.knobs) for knob in knobs_of(kind)]
            assert len(names) == len(set(names))


@pytest.mark.parametrize("method", METHODS)
def test_a_method_tells_its_paper_and_a_sensible_learning_rate(method: str) -> None:
    one: Any = all_methods()[method]
    assert "https://" in one.source
    low, high = one.learning_rate_range
    assert low < one.learning_rate < high
