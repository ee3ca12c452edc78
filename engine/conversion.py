"""An old .bin checkpoint, read once by torch's weights-only loader and kept as safetensors.

A .bin is a pickle, which can run code when it is read; the weights-only loader reads tensors and plain containers and refuses
the rest. The folder appears under its name only when it is whole.
"""

from __future__ import annotations

import errno
import json
import os
import pickle
import secrets
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from engine.errors import Problem, Refused


def convert(source: Path, weight_files: tuple[str, ...], others: Iterable[str], target: Path, say: Callable[[str, int, int], None]) -> Path:
    """`target`: the source's small files beside its weights as safetensors, one shard for each .bin. Raises Refused for a bad file.

    Peak memory is one shard's weights, and the file's pages beside them.
    """
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    beside.mkdir(parents=True)
    try:
        for name in others:
            (beside / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, beside / name)
        _write_shards(source, weight_files, beside, say)
        try:
            os.replace(beside, target)
        except OSError:
            if not target.is_dir():  # else another process was first, with the same result
                raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return target


def _write_shards(source: Path, weight_files: tuple[str, ...], target: Path, say: Callable[[str, int, int], None]) -> None:
    from safetensors.torch import save_file

    place: dict[str, str] = {}
    total = 0
    for at, name in enumerate(weight_files):
        say("Converting old .bin weights to safetensors, once", at, len(weight_files))
        tensors = _tensors(source / name)
        shard = "model.safetensors" if len(weight_files) == 1 else f"model-{at + 1:05}-of-{len(weight_files):05}.safetensors"
        save_file(tensors, target / shard, metadata={"format": "pt"})
        _to_disk(target / shard)
        place |= dict.fromkeys(tensors, shard)
        total += sum(one.numel() * one.element_size() for one in tensors.values())
    if len(weight_files) > 1:
        index = {"metadata": {"total_size": total}, "weight_map": place}
        (target / "model.safetensors.index.json").write_text(json.dumps(index, indent=1), encoding="utf-8")
    say("Converting old .bin weights to safetensors, once", len(weight_files), len(weight_files))


def _tensors(path: Path) -> dict[str, Any]:
    """Name to tensor of a .bin, each with memory of its own: safetensors keeps no shared ones, such as tied embeddings."""
    import torch

    try:
        try:
            told = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except (RuntimeError, ValueError):  # from before torch 1.6: no zip archive, so it cannot be mapped
            told = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        what = "holds more than weights" if "GLOBAL" in str(error) else "is damaged, or holds more than weights"
        raise Refused(
            Problem(
                "model",
                f"{path.name} was not read, because it {what}: such a file could run code of its own.",
                "Choose a model with safetensors weights.",
            )
        ) from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # torch seeks before the start of an archive that is cut short
            raise
        raise _damaged(path) from error
    except (RuntimeError, ValueError, EOFError, KeyError, AttributeError, IndexError) as error:
        raise _damaged(path) from error
    tensors = {name: one for name, one in told.items() if isinstance(one, torch.Tensor)} if isinstance(told, dict) else {}
    if not tensors:
        raise Refused(Problem("model", f"{path.name} holds no weights.", "Choose another model."))
    storages: set[int] = set()
    for name, one in tensors.items():
        at = one.untyped_storage().data_ptr()
        tensors[name] = one.clone(memory_format=torch.contiguous_format) if at in storages else one.contiguous()
        storages.add(at)
    return tensors


def _damaged(path: Path) -> Refused:
    return Refused(Problem("model", f"{path.name} is damaged or is no PyTorch checkpoint.", "Fetch it again, or choose another model."))


def _to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
