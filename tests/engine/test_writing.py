"""The tasks whose model writes: what of a row is learnt, where logits are worked out, labels told apart by their names."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.data.texts import Texts
from engine.errors import RunFailed
from engine.knobs import settle
from engine.methods import all_methods
from engine.models import ModelFacts, find
from engine.tasks import _language, _template, classify, label_by_writing
from tests.tiny import DECODERS, LINES, tiny

CLASSES = ("ভালো", "good", "good enough")
KNOBS = label_by_writing.LabelKnobs(max_length=64)


class One:
    """A tiny decoder with its tokenizer."""

    def __init__(self, architecture: str, folder: Path) -> None:
        self.folder = tiny(architecture, folder / architecture)
        self.tokenizer = classify.load_tokenizer(self.folder)
        self.model = _language.load_model(self.folder, (), pad_token_id=self.tokenizer.pad_token_id).eval()

    def facts(self, home: Path) -> ModelFacts:
        return _language.facts(find(str(self.folder), token=None, home=home))

    def alone(self, ids: list[int]) -> torch.Tensor:
        """Log-probabilities of every next token, (tokens, vocabulary), of one row by itself."""
        with torch.inference_mode():
            return torch.log_softmax(self.model(input_ids=torch.tensor([ids])).logits[0].double(), dim=-1)


@pytest.mark.parametrize("architecture", DECODERS)
def test_every_token_that_is_learnt_costs_what_the_row_alone_says(architecture: str, tmp_path: Path) -> None:
    one = One(architecture, tmp_path)
    rows = [[*(ids := one.tokenizer(line)["input_ids"])[:5], *(~token for token in ids[5:9])] for line in LINES[:3]]
    rows[1] = rows[1] + [~token for token in rows[2][:3]]
    told = _language.surprises(one.model, one.tokenizer, rows)
    wanted = [-one.alone(_language.plain(row))[at - 1, ~row[at]].item() for row in rows for at in _language.learnt(row)]
    assert told.tolist() == pytest.approx(wanted, abs=1e-4)
    assert _language.counted(rows) == len(wanted)


def test_the_gradient_equals_a_masked_computation_over_all_logits(tmp_path: Path) -> None:
    one = One("qwen2", tmp_path)
    rows = [[*(ids := one.tokenizer(line)["input_ids"])[:4], *(~token for token in ids[4:])] for line in LINES[:3]]
    batch = _language.collate(one.tokenizer, rows)
    labels = torch.full_like(batch["input_ids"], -100)
    for at, row in enumerate(rows):
        for place in _language.learnt(row):
            labels[at, place] = ~row[place]
    one.model(**batch, labels=labels).loss.backward()
    wanted = {name: part.grad.clone() for name, part in one.model.named_parameters() if part.grad is not None}
    one.model.zero_grad()
    (_language.surprises(one.model, one.tokenizer, rows).sum() / _language.counted(rows)).backward()
    for name, part in one.model.named_parameters():
        assert part.grad is not None, name
        assert torch.allclose(part.grad, wanted[name], atol=1e-5), name


@pytest.mark.parametrize("architecture", DECODERS)
def test_a_row_s_chances_are_those_of_each_name_written_out(architecture: str, tmp_path: Path) -> None:
    one = One(architecture, tmp_path)
    rows = label_by_writing.encode(one.tokenizer, Texts(LINES[:4]), KNOBS)
    told = label_by_writing.probabilities(one.model, one.tokenizer, rows, classes=CLASSES, batch_size=3)
    assert told.sum(axis=1) == pytest.approx(1.0)
    for row, chances in zip(rows, told, strict=True):
        likelihood = []
        for name in label_by_writing.names(one.tokenizer, CLASSES):
            after = one.alone([*row, *name])
            likelihood.append(sum(after[len(row) - 1 + at, token].item() for at, token in enumerate(name)))
        wanted = np.exp(np.array(likelihood) - max(likelihood))
        assert chances == pytest.approx(wanted / wanted.sum(), abs=1e-4)


def test_a_name_that_begins_another_has_an_end_of_its_own(tmp_path: Path) -> None:
    one = One("qwen2", tmp_path)
    told = label_by_writing.names(one.tokenizer, CLASSES)
    assert all(name[-1] == one.tokenizer.eos_token_id for name in told)
    apart = label_by_writing.names(one.tokenizer, CLASSES[:2])
    assert all(name[-1] != one.tokenizer.eos_token_id for name in apart)


def test_labels_that_the_model_writes_alike_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="two of the labels alike"):
        label_by_writing.names(One("qwen2", tmp_path).tokenizer, ("good", "good"))


def test_names_of_one_token_are_all_seen_in_one_reading() -> None:
    assert label_by_writing.paths([[3], [4], [5]]) == [([], [0, 1, 2])]
    assert label_by_writing.paths([[3], [4, 5], [4, 6], [7, 8, 9]]) == [([7, 8], [3, 0]), ([4], [1, 2])]


def test_the_loss_is_the_mean_over_rows_whatever_the_length_of_their_labels(tmp_path: Path) -> None:
    one = One("llama", tmp_path)
    rows = label_by_writing.encode(one.tokenizer, Texts(LINES[:3]), KNOBS)
    labels = [0, 1, 2]
    alone = [label_by_writing.learn(one.model, one.tokenizer, [row], [label], classes=CLASSES).item() for row, label in
             zip(rows, labels, strict=True)]  # fmt: skip
    together = label_by_writing.learn(one.model, one.tokenizer, rows, labels, classes=CLASSES)
    assert together.item() == pytest.approx(sum(alone) / 3, abs=1e-4)
    weighted = label_by_writing.learn(one.model, one.tokenizer, rows, labels, classes=CLASSES, weights=(3.0, 0.0, 0.0))
    assert weighted.item() == pytest.approx(alone[0], abs=1e-4)


@pytest.mark.parametrize("method", ["lora", "full", "prefix", "prompt", "adapter", "last_layers"])
def test_a_label_is_learnt_with_every_kind_of_method(method: str, tmp_path: Path) -> None:
    one = One("qwen2", tmp_path)
    told = all_methods()[method]
    model = told.prepare(one.model, told.knobs(), one.facts(tmp_path))
    rows = label_by_writing.encode(one.tokenizer, Texts(LINES), KNOBS)
    labels = [0 if "ভালো" in line or "good" in line else 1 for line in LINES]
    trained = [part for part in model.parameters() if part.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=2e-2)
    losses = []
    for _ in range(30):
        loss = label_by_writing.learn(model, one.tokenizer, rows, labels, classes=CLASSES[:2])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert min(losses[-5:]) < losses[0] - 0.1


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("no place", "no place for the text"),
        ("{text} {", "cannot be read"),
        ("{text} {author}", "a place {author}"),
        ("{} {text}", "a place {}"),
        ("{text!r}:", "has {text!r}"),
        ("{text:>9}", "has {text:>9}"),
    ],
)
def test_a_template_that_cannot_be_filled_is_told(template: str, says: str) -> None:
    (problem,) = _template.check(template, ("text",))
    assert says in problem.message
    assert problem.field == "settings.template"


def test_of_a_row_that_is_too_long_the_text_is_cut_and_the_template_stays(tmp_path: Path) -> None:
    one = One("qwen2", tmp_path)
    knobs = label_by_writing.LabelKnobs(max_length=40)
    (row,) = label_by_writing.encode(one.tokenizer, Texts([" ".join(["good"] * 300)]), knobs)
    read = one.tokenizer.decode(row)
    assert len(row) <= 40
    assert read.startswith("Text: good")
    assert read.endswith("\nLabel:")


def test_an_encoder_cannot_write_and_a_frozen_body_has_nothing_to_learn(tmp_path: Path) -> None:
    encoder = find(str(tiny("bert", tmp_path / "bert")), token=None, home=tmp_path)
    (problem,) = label_by_writing.check(KNOBS, encoder)
    assert "cannot write" in problem.message
    head = all_methods()["head"]
    assert head.check(head.knobs(), One("qwen2", tmp_path).facts(tmp_path), None), "told"  # type: ignore[arg-type]


def test_the_parameters_are_counted_as_they_are(tmp_path: Path) -> None:
    for architecture in DECODERS:
        one = One(architecture, tmp_path)
        assert one.facts(tmp_path).parameters(2) == sum(part.numel() for part in one.model.parameters())


def test_a_chance_is_never_worse_than_nothing_known(tmp_path: Path) -> None:
    one = One("gemma3_text", tmp_path)
    rows = label_by_writing.encode(one.tokenizer, Texts(LINES[:2]), KNOBS)
    loss = label_by_writing.learn(one.model, one.tokenizer, rows, [0, 1], classes=("a", "b")).item()
    assert loss == pytest.approx(math.log(len(one.tokenizer)), rel=0.2), "untrained: any token is as likely"


@pytest.mark.parametrize("architecture", ["qwen2", "llama"])  # whose head is the word embeddings again, and a matrix of its own
def test_in_few_bits_the_head_that_writes_stays_as_it_is(architecture: str, tmp_path: Path) -> None:
    one = One(architecture, tmp_path)
    method = all_methods()["qlora"]
    assert method.quantisation is not None
    told = method.quantisation(settle(method.knobs, {}), one.facts(tmp_path), "fp32")
    model = method.prepare(
        _language.load_model(one.folder, (), pad_token_id=0, quantisation=told), settle(method.knobs, {}), one.facts(tmp_path)
    )
    kinds = {name.rpartition(".")[2]: type(part).__name__ for name, part in model.named_modules()}
    assert (kinds["lm_head"], kinds["base_layer"]) == ("Linear", "Linear4bit")
    rows = [[*one.tokenizer(line)["input_ids"][:6]] for line in LINES[:2]]
    loss = label_by_writing.learn(model, one.tokenizer, rows, [0, 1], classes=CLASSES)
    loss.backward()
    assert math.isfinite(loss.item())
