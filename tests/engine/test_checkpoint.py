"""Every way that design.md section 7 saw a Trainer resume from a damaged checkpoint without a word is a test here."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from engine import checkpoint
from engine.checkpoint import Checkpoint


def a_checkpoint(step: int) -> Checkpoint:
    torch.manual_seed(step)
    return Checkpoint(
        weights={"layer.weight": torch.randn(4, 3)},
        optimizer={"layer.weight//exp_avg": torch.randn(4, 3), "random//cpu": torch.get_rng_state()},
        state={"step": step, "best_step": None, "history": [], "scaler": {}},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for step in (10, 20, 30):
        checkpoint.save(tmp_path, step, a_checkpoint(step))
    return tmp_path


def test_what_is_read_is_what_was_written(folder: Path) -> None:
    path, set_aside = checkpoint.newest(folder)
    assert path is not None
    assert set_aside == []
    kept = checkpoint.read(path)
    expected = a_checkpoint(30)
    assert kept.state == expected.state
    for name, tensor in expected.weights.items():
        assert torch.equal(kept.weights[name], tensor)
    for name, tensor in expected.optimizer.items():
        assert torch.equal(kept.optimizer[name], tensor)


def without_optimizer(path: Path) -> None:
    (path / "optimizer.safetensors").unlink()


def without_state(path: Path) -> None:
    (path / "state.json").unlink()


def without_manifest(path: Path) -> None:
    (path / "manifest.json").unlink()


def with_a_flipped_bit_in_the_weights(path: Path) -> None:
    content = bytearray((path / "weights.safetensors").read_bytes())
    content[-3] ^= 0x40
    (path / "weights.safetensors").write_bytes(content)


def cut_short(path: Path) -> None:
    content = (path / "optimizer.safetensors").read_bytes()
    (path / "optimizer.safetensors").write_bytes(content[: len(content) // 2])


def with_a_broken_manifest(path: Path) -> None:
    (path / "manifest.json").write_text("{")


def emptied(path: Path) -> None:
    shutil.rmtree(path)
    path.mkdir()


@pytest.mark.parametrize(
    "harm",
    [
        without_optimizer,
        without_state,
        without_manifest,
        with_a_flipped_bit_in_the_weights,
        cut_short,
        with_a_broken_manifest,
        emptied,
    ],
)
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_it_is_taken(folder: Path, harm: object) -> None:
    harm(folder / "step-00000030")  # type: ignore[operator]
    path, set_aside = checkpoint.newest(folder)
    assert path == folder / "step-00000020"
    assert len(set_aside) == 1
    assert "step 30 is damaged" in set_aside[0]
    assert (folder / "damaged-step-00000030").exists(), "it is kept, under another name"
    assert checkpoint.newest(folder) == (path, []), "and it is said once"


def test_a_checkpoint_that_a_crash_left_half_written_is_never_seen(folder: Path) -> None:
    half = folder / ".step-00000040.writing"
    half.mkdir()
    (half / "weights.safetensors").write_bytes(b"half")
    assert checkpoint.newest(folder) == (folder / "step-00000030", [])
    checkpoint.save(folder, 40, a_checkpoint(40))
    assert checkpoint.newest(folder)[0] == folder / "step-00000040"


def test_when_all_are_damaged_training_starts_again_and_each_is_named(folder: Path) -> None:
    for path in checkpoint.saved(folder):
        cut_short(path)
    path, set_aside = checkpoint.newest(folder)
    assert path is None
    assert len(set_aside) == 3


def test_pruning_keeps_the_newest_and_the_best(folder: Path) -> None:
    checkpoint.prune(folder, 1, best_step=10)
    assert [checkpoint.step_of(path) for path in checkpoint.saved(folder)] == [10, 30]
