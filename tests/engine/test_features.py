"""The frozen part computed once: the same answers and gradients as without it, a model whole afterwards, files that keep their bounds."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import shutil
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from engine import evaluate, features, models
from engine.data.texts import Texts
from engine.events import Event, Step
from engine.methods import Method, all_methods
from engine.methods._body import blocks
from engine.spec import Training
from engine.tasks import classify
from engine.train import Encoded, Outcome, StopAskedError, Work, fit
from tests.tiny import ARCHITECTURES, LINES, tiny

CLASSES = ("a", "b", "c")
TEXTS = LINES * 3
DEPTH = {"distilbert": "n_layers"}
CUTS: list[tuple[str, dict[str, Any]]] = [("head", {}), ("last_layers", {"top_blocks": 2}), ("last_layers", {"top_blocks": 3})]


@dataclass
class Made:
    """A tiny model of four blocks made ready by a method, with rows of many lengths and what the cache needs to know."""

    method: Method
    model: torch.nn.Module
    tokenizer: Any
    setting: features.Setting
    trained_blocks: int
    told: list[tuple[str, int, int]] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)

    def logits(self, numbers: list[int], present: features.Present | None, split: str = "train") -> torch.Tensor:
        if present is not None:
            present(split, numbers)
        batch = classify.collate(self.tokenizer, [self.setting.rows[split][at] for at in numbers])
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.setting.autocast is not None):
            found: torch.Tensor = self.model(**batch).logits
        return found

    def gradients(self) -> dict[str, torch.Tensor]:
        return {name: one.grad.clone() for name, one in self.model.named_parameters() if one.grad is not None}


def made(method: str, knobs: dict[str, Any], architecture: str, home: Path, autocast: str | None = None, **config: Any) -> Made:
    folder = home / "base"
    if not folder.exists():
        wide = {"initializer_range": 0.2}  # so that answers differ from row to row
        tiny(architecture, folder, **{DEPTH.get(architecture, "num_hidden_layers"): 4}, **wide, **config)
    facts = models.find(str(folder), token=None, home=home)
    tokenizer = classify.load_tokenizer(folder)
    torch.manual_seed(0)
    model = classify.load_model(folder, CLASSES, dtype=autocast or "float32", pad_token_id=tokenizer.pad_token_id)
    one = all_methods()[method]
    model = one.prepare(model, one.knobs(**knobs), facts)
    for parameter in model.parameters():
        parameter.data = parameter.data.float() if parameter.requires_grad else parameter.data
    ids = classify.encode(tokenizer, Texts(TEXTS), classify.ClassifyKnobs(max_length=24))
    rows = {"train": ids[:16], "validation": ids[16:], "test": []}
    footprint = one.footprint(one.knobs(**knobs), facts)
    assert footprint.caches
    assert footprint.blocks is not None
    told: list[tuple[str, int, int]] = []
    warned: list[str] = []
    setting = features.Setting(
        home / "cache" / "features", folder, rows, classify.collate, tokenizer, autocast,
        tell=lambda message, done, total: told.append((message, done, total)), warn=lambda message, fix: warned.append(message),
    )  # fmt: skip
    return Made(one, model.eval(), tokenizer, setting, footprint.blocks, told, warned)


def close(one: torch.Tensor, other: torch.Tensor, tolerance: float) -> bool:
    return torch.allclose(one.float(), other.float(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("method", "knobs"), CUTS)
def test_answers_and_gradients_are_those_of_the_whole_model(method: str, knobs: dict[str, Any], architecture: str, tmp_path: Path) -> None:
    one = made(method, knobs, architecture, tmp_path)
    numbers = [3, 0, 7, 5]
    plain = one.logits(numbers, None)
    plain.square().sum().backward()
    expected = one.gradients()
    one.model.zero_grad()
    with features.computed_once(one.model, one.trained_blocks, one.setting) as present:
        fed = one.logits(numbers, present)
        fed.square().sum().backward()
        of_validation = one.logits([2, 1], present, "validation")
        assert not close(one.logits([4, 1, 6, 2], present), plain, 1e-4), "the rows that were presented count, not those of before"
    assert close(fed, plain, 1e-5)
    assert {name: one_.shape for name, one_ in one.gradients().items()} == {name: one_.shape for name, one_ in expected.items()}
    assert all(close(gradient, expected[name], 1e-5) for name, gradient in one.gradients().items())
    assert close(of_validation, one.logits([2, 1], None, "validation"), 1e-5)
    assert torch.equal(one.logits(numbers, None), plain), "afterwards the model is whole again"
    assert one.told[0] == ("Computing the frozen part once", 0, len(TEXTS))
    assert one.told[-1] == ("Computing the frozen part once", len(TEXTS), len(TEXTS))


@pytest.mark.parametrize("config", [{"conv_kernel_size": 3}, {"share_att_key": False, "position_biased_input": True}])
@pytest.mark.parametrize("top", [1, 3])
def test_a_deberta_with_a_convolution_after_its_first_block_too(config: dict[str, Any], top: int, tmp_path: Path) -> None:
    one = made("last_layers", {"top_blocks": top}, "deberta-v2", tmp_path, **config)
    with features.computed_once(one.model, one.trained_blocks, one.setting) as present:
        fed = one.logits([3, 0, 7], present)
    assert close(fed, one.logits([3, 0, 7], None), 1e-5)


def test_a_head_that_averages_all_tokens_gets_them_all(tmp_path: Path) -> None:
    one = made("head", {}, "modernbert", tmp_path, classifier_pooling="mean")
    with features.computed_once(one.model, 0, one.setting) as present:
        fed = one.logits([3, 0, 7], present)
    assert close(fed, one.logits([3, 0, 7], None), 1e-5)
    assert layout(one)["reads"] == "all"


def test_after_running_out_of_memory_fewer_rows_are_computed_at_once_and_the_answers_stay(tmp_path: Path) -> None:
    widest = []
    for pieces in (1, 16, 4096):
        one = made("last_layers", {"top_blocks": 2}, "bert", tmp_path)
        one.setting = dataclasses.replace(one.setting, folder=tmp_path / str(pieces), pieces=pieces)
        rows: list[int] = []
        hook = blocks(one.model)["bert.encoder.layer.0"].register_forward_pre_hook(lambda _, given, rows=rows: rows.append(len(given[0])))
        with features.computed_once(one.model, one.trained_blocks, one.setting) as present:
            hook.remove()
            assert close(one.logits([3, 0, 7], present), one.logits([3, 0, 7], None), 1e-5)
        widest.append(max(rows))
    assert widest[0] > widest[1] > widest[2] == 1
    again = dataclasses.replace(one.setting, pieces=2)
    with features.computed_once(one.model, one.trained_blocks, again):
        assert len(list(again.folder.glob("*.bin"))) == 1, "what is there already is used"


def layout(one: Made) -> dict[str, Any]:
    (path,) = one.setting.folder.glob("*.json")
    told: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return told


@pytest.mark.parametrize(
    ("architecture", "reads"), [("bert", "first"), ("modernbert", "first"), ("qwen2", "last"), ("gemma3_text", "last")]
)
def test_for_the_head_alone_one_token_a_row_is_kept(architecture: str, reads: str, tmp_path: Path) -> None:
    one = made("head", {}, architecture, tmp_path)
    with features.computed_once(one.model, 0, one.setting):
        pass
    assert layout(one)["reads"] == reads
    assert layout(one)["bytes"] == len(TEXTS) * layout(one)["hidden"] * 4


@pytest.mark.parametrize("architecture", ["bert", "deberta-v2", "modernbert", "qwen2", "gemma3_text"])
@pytest.mark.parametrize(("method", "knobs"), CUTS[:2])
def test_in_bf16_it_takes_two_bytes_a_number_and_answers_alike(
    method: str, knobs: dict[str, Any], architecture: str, tmp_path: Path
) -> None:
    one = made(method, knobs, architecture, tmp_path, "bfloat16")
    with features.computed_once(one.model, one.trained_blocks, one.setting) as present:
        fed = one.logits([3, 0, 7, 5], present)
        fed.float().sum().backward()
    assert close(fed, one.logits([3, 0, 7, 5], None), 0.03)
    assert layout(one)["stored"] == "bfloat16"
    assert all(torch.isfinite(gradient).all() for gradient in one.gradients().values())


def test_only_the_top_runs_and_only_it_has_dropout(tmp_path: Path) -> None:
    one = made("last_layers", {"top_blocks": 1}, "bert", tmp_path)
    ran: list[int] = []
    for at, block in enumerate(blocks(one.model).values()):
        block.get_submodule("intermediate").register_forward_hook(lambda module, taken_in, given, at=at: ran.append(at))  # type: ignore[misc]
    with features.computed_once(one.model, 1, one.setting) as present:
        assert set(ran) == {0, 1, 2}, "computing stops below the cut"
        ran.clear()
        one.model.train()
        one.logits([1, 2], present)
    assert ran == [3]
    training = {name for name, module in one.model.named_modules() if isinstance(module, torch.nn.Dropout) and module.training}
    assert training == {"dropout", *(name for name, _ in one.model.named_modules() if ".3." in name and name.endswith("dropout"))}


@pytest.mark.parametrize("architecture", ["bert", "deberta-v2", "qwen2"])
def test_gradient_checkpointing_changes_nothing(architecture: str, tmp_path: Path) -> None:
    one = made("last_layers", {"top_blocks": 2}, architecture, tmp_path)
    found = []
    for checkpointing in (False, True):
        if checkpointing:
            one.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})  # type: ignore[operator]
        one.model.train()
        one.model.zero_grad()
        torch.manual_seed(1)
        with features.computed_once(one.model, 2, one.setting) as present:
            one.logits([3, 0, 7], present).square().sum().backward()
        found.append(one.gradients())
    assert all(close(one_, found[1][name], 1e-6) for name, one_ in found[0].items())


def test_the_same_rows_under_the_same_model_are_computed_once_and_others_anew(tmp_path: Path) -> None:
    first = made("last_layers", {"top_blocks": 2}, "bert", tmp_path)
    with features.computed_once(first.model, 2, first.setting):
        pass
    again = made("last_layers", {"top_blocks": 2}, "bert", tmp_path)
    with features.computed_once(again.model, 2, again.setting) as present:
        assert close(again.logits([1, 2], present), first.logits([1, 2], None), 1e-5)
    assert not again.told
    rows = {**again.setting.rows, "train": [[*again.setting.rows["train"][0], 7], *again.setting.rows["train"][1:]]}
    files = {one.name for one in again.setting.folder.iterdir()}
    for other, cut in (
        (dataclasses.replace(again.setting, rows=rows), 2),
        (again.setting, 1),
        (dataclasses.replace(again.setting, autocast="bfloat16"), 2),
    ):
        with features.computed_once(again.model, cut, other):
            pass
        assert len(list(again.setting.folder.iterdir())) == len(files) + 2
        files = {one.name for one in again.setting.folder.iterdir()}
    os.utime(again.setting.model_folder / "model.safetensors", ns=(5, 5))
    with features.computed_once(again.model, 2, again.setting):
        pass
    assert len(list(again.setting.folder.iterdir())) == len(files) + 2, "weights that changed are other weights"


def test_a_file_that_was_cut_short_or_never_finished_is_made_again(tmp_path: Path) -> None:
    one = made("last_layers", {"top_blocks": 2}, "bert", tmp_path)
    for harm in (None, "short", "unsealed"):
        paths = list(one.setting.folder.glob("*.bin"))
        if harm == "short":
            os.truncate(paths[0], 100)
        elif harm == "unsealed":
            paths[0].with_suffix(".json").unlink()
        one.told.clear()
        with features.computed_once(one.model, 2, one.setting) as present:
            assert close(one.logits([1, 2], present), one.logits([1, 2], present), 0)
        assert one.told, "computed"


def test_a_stop_while_it_is_computed_is_obeyed_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    one = made("head", {}, "bert", tmp_path)

    def tell(message: str, done: int, total: int) -> None:
        if done:
            raise StopAskedError

    with (
        pytest.raises(StopAskedError),
        features.computed_once(one.model, 0, dataclasses.replace(one.setting, tell=tell)),
    ):
        pass
    assert list(one.setting.folder.iterdir()) == []
    assert close(one.logits([1], None), one.logits([1], None), 0), "the model is whole"


def test_without_room_on_the_disk_the_run_goes_without_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = made("last_layers", {"top_blocks": 2}, "bert", tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    one.model.train()
    with features.computed_once(one.model, 2, one.setting) as present:
        one.logits([3, 0, 7], present).sum().backward()
        assert not next(iter(blocks(one.model).values())).training, "the frozen part has no dropout either way"
        assert list(blocks(one.model).values())[3].training
    assert "more than half of the free disk" in one.warned[0]
    assert list(one.setting.folder.iterdir()) == []


def test_files_out_of_use_and_beyond_the_bound_are_deleted_the_oldest_first(tmp_path: Path) -> None:
    for at, name in enumerate(("old", "middle", "new")):
        (tmp_path / f"{name}.bin").write_bytes(b"x" * 100)
        (tmp_path / f"{name}.json").write_text("{}")
        os.utime(tmp_path / f"{name}.bin", (1e9 + at, 1e9 + at))
    (tmp_path / "unsealed.bin").write_bytes(b"x")
    (tmp_path / f"a.{2**22 + 1}.writing").write_bytes(b"x")  # no such process: Linux's numbers end at 2**22
    (tmp_path / f"b.{os.getpid()}.writing").write_bytes(b"x")

    def left() -> set[str]:
        return {one.stem.split(".")[0] for one in tmp_path.iterdir()}

    features.tidy(tmp_path, leave=200, now=1e9 + 10)
    assert left() == {"middle", "new", "b"}
    features.tidy(tmp_path, leave=1000, now=1e9 + features.KEPT_SECONDS + 1.5)
    assert left() == {"new", "b"}
    features.tidy(tmp_path / "none", leave=0)


def trained(
    one: Made, folder: Path, *, stop_at: int | None = None, cached: bool = True, pieces: int = 1
) -> tuple[dict[int, float], Outcome]:
    """A whole run of the loop. Returns the loss of each step, and how it ended."""
    told: list[Event] = []
    ids = one.setting.rows
    settled = Training(
        epochs=3, learning_rate=5e-3, batch_size=4, accumulation=1, warmup_steps=1, evaluate_every=3, precision="fp32", patience=0
    )
    work = Work(
        folder, one.model, one.tokenizer, classify.learn, len, classify.probabilities, evaluate.scores, settled, 10, CLASSES,
        Encoded(ids["train"], [at % 3 for at in range(16)]), Encoded(ids["validation"], [at % 3 for at in range(8)]),
        None, told.append, lambda: stop_at is not None and any(isinstance(one, Step) and one.step >= stop_at for one in told),
        itertools.count().__next__, pieces=pieces,
    )  # fmt: skip
    torch.manual_seed(4)
    with features.computed_once(one.model, one.trained_blocks, one.setting) if cached else nullcontext() as present:
        outcome = fit(dataclasses.replace(work, present=present))
    return {event.step: event.loss for event in told if isinstance(event, Step)}, outcome


@pytest.mark.parametrize(("method", "knobs"), CUTS[:2])
def test_a_run_that_was_stopped_and_resumed_ends_like_an_unbroken_one(method: str, knobs: dict[str, Any], tmp_path: Path) -> None:
    whole = made(method, knobs, "bert", tmp_path)
    unbroken, _ = trained(whole, tmp_path / "whole")
    shutil.rmtree(whole.setting.folder)
    first, stopped = trained(made(method, knobs, "bert", tmp_path), tmp_path / "broken", stop_at=4)
    assert not stopped.finished
    resumed = made(method, knobs, "bert", tmp_path)
    second, _ = trained(resumed, tmp_path / "broken")
    assert first | second == unbroken, "to the last bit"
    weights = dict(whole.model.named_parameters())
    assert all(torch.equal(parameter, weights[name]) for name, parameter in resumed.model.named_parameters())


def test_batches_computed_in_pieces_take_the_same_steps(tmp_path: Path) -> None:
    found = []
    for pieces in (1, 3):
        one = made("last_layers", {"top_blocks": 2}, "qwen2", tmp_path)  # without dropout
        found.append(trained(one, tmp_path / str(pieces), pieces=pieces)[0])
    assert list(found[0].values()) == pytest.approx(list(found[1].values()), abs=1e-5)


def test_training_with_it_is_training_without_it(tmp_path: Path) -> None:
    found = [trained(made("last_layers", {"top_blocks": 2}, "qwen2", tmp_path), tmp_path / str(at), cached=bool(at))[0] for at in (0, 1)]
    assert list(found[0].values()) == pytest.approx(list(found[1].values()), abs=1e-4)
