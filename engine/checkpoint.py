"""Checkpoints that are either whole or set aside. Resuming from a damaged one is the worst failure there is: it looks like success.

    checkpoints/step-000120/weights.safetensors    the trained parameters, by name
                            optimizer.safetensors  the optimiser's tensors, and the random generators' states
                            state.json             step, best step, history; everything that is a number or a word
                            manifest.json          sha256 and size of each file above, written last

A folder is written beside under a dotted name, every file fsynced, sealed with the manifest and then renamed. `newest` takes
the newest folder whose sums agree and renames the others to `damaged-…`. No pickle is written or read.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.store import write_whole

if TYPE_CHECKING:
    import torch

FILES = ("weights.safetensors", "optimizer.safetensors", "state.json")
PREFIX = "step-"


@dataclass(frozen=True)
class Checkpoint:
    """What training needs to go on as if it had never stopped."""

    weights: dict[str, torch.Tensor]
    optimizer: dict[str, torch.Tensor]
    state: dict[str, Any]  # JSON


def save(folder: Path, step: int, checkpoint: Checkpoint) -> Path:
    """Writes and seals `folder`/step-N and returns it. Until the final rename nothing under that name exists."""
    from safetensors.torch import save_file

    name = f"{PREFIX}{step:08d}"
    beside = folder / f".{name}.writing"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    save_file(_apart(checkpoint.weights), beside / FILES[0])
    save_file(_apart(checkpoint.optimizer), beside / FILES[1])
    (beside / FILES[2]).write_text(json.dumps(checkpoint.state, allow_nan=False), "utf-8")
    for file in FILES:
        _flush(beside / file)
    sums = {file: {"sha256": _sha256(beside / file), "bytes": (beside / file).stat().st_size} for file in FILES}
    write_whole(beside / "manifest.json", json.dumps(sums, indent=1).encode())
    _flush(beside)
    target = folder / name
    shutil.rmtree(target, ignore_errors=True)
    beside.rename(target)
    _flush(folder)
    return target


def _apart(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors on the CPU, each with memory of its own: safetensors keeps no shared ones, such as the table of 8-bit AdamW."""
    found: dict[str, torch.Tensor] = {}
    storages: set[int] = set()
    for name, one in tensors.items():
        here = one.detach().cpu().contiguous()
        at = here.untyped_storage().data_ptr()
        found[name] = here.clone() if at in storages else here
        storages.add(at)
    return found


def damage(path: Path) -> str | None:
    """What is wrong with a checkpoint folder, in words, or None when every sum agrees."""
    try:
        sums = json.loads((path / "manifest.json").read_text("utf-8"))
    except (OSError, ValueError):
        return "its manifest is missing or unreadable"
    for file in FILES:
        if file not in sums or not (path / file).is_file():
            return f"{file} is missing"
        if (path / file).stat().st_size != sums[file]["bytes"]:
            return f"{file} is cut short"
        if _sha256(path / file) != sums[file]["sha256"]:
            return f"{file} was changed since it was written"
    return None


def newest(folder: Path) -> tuple[Path | None, list[str]]:
    """The newest checkpoint that verifies, and a sentence for each damaged one, which is renamed out of the way."""
    set_aside: list[str] = []
    for path in reversed(saved(folder)):
        wrong = damage(path)
        if wrong is None:
            return path, set_aside
        path.rename(_free_name(path.with_name(f"damaged-{path.name}")))
        set_aside.append(f"The checkpoint of step {step_of(path)} is damaged ({wrong}) and was set aside.")
    return None, set_aside


def saved(folder: Path) -> list[Path]:
    """The sealed checkpoints, oldest first. They may still turn out damaged."""
    return sorted(path for path in folder.glob(f"{PREFIX}*") if path.is_dir())


def step_of(path: Path) -> int:
    return int(path.name.removeprefix(PREFIX))


def read(path: Path) -> Checkpoint:
    """The checkpoint of a folder that `newest` returned."""
    from safetensors.torch import load_file

    state = json.loads((path / FILES[2]).read_text("utf-8"))
    return Checkpoint(load_file(path / FILES[0]), load_file(path / FILES[1]), state)


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(path / FILES[0])


def prune(folder: Path, keep: int, best_step: int | None) -> None:
    """Deletes all but the newest `keep` checkpoints and the best one."""
    for path in saved(folder)[:-keep]:
        if step_of(path) != best_step:
            shutil.rmtree(path, ignore_errors=True)


def size(path: Path) -> int:
    """Bytes of all files in the folder."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _free_name(path: Path) -> Path:
    number = 0
    while path.exists():
        number += 1
        path = path.with_name(f"{path.name.split('~')[0]}~{number}")
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
