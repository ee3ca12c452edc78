"""The methods that keep a delta: what each trains, that mixed dtypes work, that plain transformers loads what is kept, and the refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification

from engine import models, trained
from engine.data.texts import Texts
from engine.hardware import Hardware
from engine.methods import Method, adapter, all_methods
from engine.methods._body import blocks, final_norm, is_in_head
from engine.models import ModelFacts
from engine.tasks import classify
from tests.tiny import ARCHITECTURES, LINES, tiny

CLASSES = ("Negative", "Neutral", "Positive")
HARDWARE = Hardware(cpu="a", cores=2, ram_bytes=1, ram_free_bytes=1, disk_free_bytes=1)
WITHOUT_BIASES = ("modernbert", "qwen3", "llama", "mistral", "gemma3_text")
DELTAS = ("head", "last_layers", "bitfit")
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("head", {}),
    ("last_layers", {"top_blocks": 1}),
    ("bitfit", {}),
    ("adapter", {"adapter_place": "houlsby"}),
    ("adapter", {"adapter_place": "pfeiffer", "adapter_reduction": 4}),
    ("adapter", {"adapter_place": "parallel", "adapter_scale": 2.0}),
]


class Made:
    """A tiny model made ready by a method, in this dtype, as the worker does it; then moved a little away from where it began."""

    def __init__(self, method: str, knobs: dict[str, Any], architecture: str, folder: Path, dtype: str = "float32") -> None:
        self.folder = tiny(architecture, folder / architecture)
        self.facts: ModelFacts = models.find(str(self.folder), token=None, home=folder)
        self.method: Method = all_methods()[method]
        self.knobs = self.method.knobs(**knobs)
        self.tokenizer = classify.load_tokenizer(self.folder)
        self.dtype = dtype
        torch.manual_seed(0)
        self.model = self.method.prepare(self.base(self.folder), self.knobs, self.facts)
        for one in self.trained().values():
            one.data = one.data.float()
        ids = classify.encode(self.tokenizer, Texts(LINES), classify.ClassifyKnobs(max_length=16))
        self.batch = classify.collate(self.tokenizer, ids)

    def base(self, folder: Path) -> torch.nn.Module:
        return classify.load_model(folder, CLASSES, dtype=self.dtype, pad_token_id=self.tokenizer.pad_token_id)

    def trained(self) -> dict[str, torch.nn.Parameter]:
        return {name: one for name, one in self.model.named_parameters() if one.requires_grad}

    def steps(self, count: int) -> list[float]:
        labels = torch.tensor([at % 3 for at in range(len(LINES))])
        optimizer = torch.optim.AdamW(self.trained().values(), lr=5e-3)
        losses = []
        self.model.eval()  # without dropout, which hides what so few steps bring
        for _ in range(count):
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.dtype == "bfloat16"):
                loss = classify.loss(self.model(**self.batch).logits, labels)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
        return losses

    def logits(self, model: torch.nn.Module) -> torch.Tensor:
        model.eval()
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.dtype == "bfloat16"):
            found: torch.Tensor = model(**self.batch).logits
        return found


def applies(method: str, architecture: str) -> bool:
    return method != "bitfit" or architecture not in WITHOUT_BIASES


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("method", "knobs"), VARIANTS)
def test_a_bf16_body_with_trained_parts_in_32_bits_learns_and_comes_back_equal(
    method: str, knobs: dict[str, Any], architecture: str, tmp_path: Path
) -> None:
    made = Made(method, knobs, architecture, tmp_path, "bfloat16")
    assert sum(one.numel() for one in made.trained().values()) == made.method.trainable(made.knobs, made.facts, len(CLASSES))
    frozen = {name: one.detach().clone() for name, one in made.model.named_parameters() if not one.requires_grad}
    before = made.logits(made.model)
    losses = made.steps(12)
    assert losses[-1] < losses[0]
    assert not torch.equal(made.logits(made.model), before)
    assert all(torch.equal(one, frozen[name]) for name, one in made.model.named_parameters() if name in frozen)
    assert {one.dtype for one in made.trained().values()} == {torch.float32}
    saved = tmp_path / "saved"
    saved.mkdir()
    made.method.save(made.model, saved)
    weights = load_file(saved / "delta.safetensors")
    assert sum(one.numel() for one in weights.values()) == made.method.trainable(made.knobs, made.facts, len(CLASSES))
    assert str(tmp_path) not in (saved / "delta.json").read_text("utf-8")
    torch.manual_seed(99)
    assert torch.equal(made.logits(made.method.load(saved, made.folder, made.base)), made.logits(made.model))


@pytest.mark.parametrize("architecture", ["bert", "deberta-v2", "qwen2"])
@pytest.mark.parametrize("method", DELTAS)
def test_two_lines_of_transformers_and_safetensors_load_what_is_kept(method: str, architecture: str, tmp_path: Path) -> None:
    made = Made(method, {}, architecture, tmp_path)
    made.steps(3)
    made.method.save(made.model, tmp_path)
    told = json.loads((tmp_path / "delta.json").read_text("utf-8"))
    assert (told["format"], told["method"], told["added"]) == (1, method, None)
    plain = AutoModelForSequenceClassification.from_pretrained(made.folder, num_labels=3, pad_token_id=made.tokenizer.pad_token_id)
    assert plain.load_state_dict(load_file(tmp_path / "delta.safetensors"), strict=False).unexpected_keys == []
    assert torch.equal(made.logits(plain), made.logits(made.model))
    assert made.method.merge is not None
    assert made.method.merge(made.model) is made.model


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_last_layers_trains_the_topmost_blocks_the_norm_above_them_and_the_head(architecture: str, tmp_path: Path) -> None:
    made = Made("last_layers", {"top_blocks": 1}, architecture, tmp_path)
    below, top = list(blocks(made.model))
    norm = final_norm(made.model)
    for name, one in made.model.named_parameters():
        above = name.startswith((f"{top}.", f"{norm}.")) or is_in_head(name, made.facts)
        assert one.requires_grad == above, name
        assert not (above and name.startswith(f"{below}."))
    assert (norm is not None) == (made.facts.final_norm_parameters > 0)


@pytest.mark.parametrize("place", ["houlsby", "pfeiffer", "parallel"])
def test_an_adapter_starts_from_the_model_as_it_is_and_stands_where_its_paper_says(place: str, tmp_path: Path) -> None:
    made = Made("adapter", {"adapter_place": place}, "bert", tmp_path)
    torch.manual_seed(0)
    assert torch.equal(made.logits(made.base(made.folder)), made.logits(made.model))
    places = {name.split(".layer.0.")[1].split(".adapter.")[0] for name in made.trained() if ".layer.0." in name}
    assert places == ({"attention.output.dense", "output.dense"} if place == "houlsby" else {"output.dense"})
    assert made.facts.hidden_size // 8 == made.trained()["bert.encoder.layer.0.output.dense.adapter.down.weight"].shape[0]


def test_a_parallel_adapter_adds_what_it_makes_of_the_feed_forwards_input(tmp_path: Path) -> None:
    made = Made("adapter", {"adapter_place": "parallel", "adapter_scale": 3.0}, "qwen2", tmp_path)
    made.steps(2)
    mlp = made.model.get_submodule("model.layers.0.mlp").eval()
    pair = mlp.get_submodule("down_proj.adapter")
    x = torch.randn(2, 5, made.facts.hidden_size)
    with torch.inference_mode():
        plain = torch.nn.functional.linear(mlp.act_fn(mlp.gate_proj(x)) * mlp.up_proj(x), mlp.down_proj.weight)  # type: ignore[operator, union-attr, arg-type]
        added = pair.get_submodule("up")(torch.relu(pair.get_submodule("down")(x)))
        assert torch.allclose(mlp(x), plain + 3.0 * added, atol=1e-6)


@pytest.mark.parametrize("place", ["houlsby", "parallel"])
def test_adapters_and_gradient_checkpointing_give_the_same_gradients(place: str, tmp_path: Path) -> None:
    made = Made("adapter", {"adapter_place": place}, "distilbert", tmp_path)
    made.steps(2)

    def gradients() -> list[torch.Tensor]:
        torch.manual_seed(3)
        made.model.train()
        made.model.zero_grad()
        made.model(**made.batch).logits.square().sum().backward()
        return [one.grad.clone() for one in made.trained().values() if one.grad is not None]

    plain = gradients()
    made.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})  # type: ignore[operator]
    assert all(torch.equal(one, other) for one, other in zip(plain, gradients(), strict=True))


@pytest.mark.parametrize("architecture", WITHOUT_BIASES)
def test_bitfit_refuses_a_model_without_biases_and_names_what_works(architecture: str, tmp_path: Path) -> None:
    facts = models.find(str(tiny(architecture, tmp_path)), token=None, home=tmp_path)
    method = all_methods()["bitfit"]
    (problem,) = method.check(method.knobs(), facts, HARDWARE)
    assert problem.field == "method"
    assert problem.message == f"BitFit trains biases, and this model ({architecture}) has none."
    assert "LN tuning" in problem.fix
    assert "LoRA" in problem.fix


def test_settings_that_leave_nothing_to_train_or_to_freeze_are_refused_in_words(tmp_path: Path) -> None:
    facts = models.find(str(tiny("bert", tmp_path)), token=None, home=tmp_path)
    last = all_methods()["last_layers"]
    assert last.check(last.knobs(top_blocks=1), facts, HARDWARE) == ()
    (problem,) = last.check(last.knobs(top_blocks=2), facts, HARDWARE)
    assert problem.message == "Blocks trained is 2, but this model has 2 in all, and one at least must stay frozen."
    assert problem.fix == "Choose at most 1, or the method Full fine-tuning, which trains all."
    (problem,) = adapter.check(adapter.AdapterKnobs(adapter_reduction=33), facts, HARDWARE)
    assert problem.message == "Adapter reduction 33 leaves nothing of this model's width, 32."


def test_a_body_in_16_bits_is_what_the_worker_opens_for_these(tmp_path: Path) -> None:
    for method in (*DELTAS, "adapter"):
        assert all_methods()[method].freezes_body
        assert trained.weights_dtype("bf16", freezes_body=True) == "bfloat16"
