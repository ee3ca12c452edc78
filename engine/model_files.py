"""The files of a model's folder or repository: which count, and whether they are whole. No torch here."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path

from engine import pooling, wordpieces
from engine.errors import Problem, Refused

EMBEDDED = "all-MiniLM-L6-v2"
ELSEWHERE = f"Choose one of the list, for example {EMBEDDED}."
SAFETENSORS = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
BIN = re.compile(r"pytorch_model-\d{5}-of-\d{5}\.bin")


def listed(folder: Path) -> dict[str, int]:
    """The folder's files with their bytes; of those below it, the one that counts."""
    found = {one.name: one.stat().st_size for one in folder.iterdir() if one.is_file()}
    told = folder / pooling.FILE
    return {**found, pooling.FILE: told.stat().st_size} if told.is_file() else found


def refuse_incomplete(model: str, files: Collection[str]) -> None:
    """Raises Refused with every reason why these files are no model that can be trained."""
    if "config.json" not in files:
        if "adapter_config.json" in files:
            fix = "Choose the model that it was trained on; its name stands in adapter_config.json."
            raise Refused(Problem("model", f"{model} is an adapter, not a whole model.", fix))
        if any(name.endswith(".gguf") for name in files):
            fix = "Write the path of one of the files, or choose the repository with the original safetensors weights."
            raise Refused(Problem("model", f"{model} holds GGUF files and no other weights.", fix))
        raise Refused(Problem("model", f"{model} has no config.json, so it is no model for text.", ELSEWHERE))
    problems = []
    if not any(name in files for name in wordpieces.ANY_OF):
        problems.append(Problem("model", f"{model} has no tokenizer.", "Add the tokenizer's files, or choose another model."))
    elif wordpieces.needs_sentencepiece(files) and not wordpieces.has_sentencepiece():
        problems.append(
            Problem("model", f"The tokenizer of {model} needs two packages that are missing.", "Run: pip install sentencepiece protobuf")
        )
    if not weights_among(files):
        problems.append(
            Problem("model", f"{model} has no weights as safetensors or .bin.", "Choose a repository that has them, or another model.")
        )
    if problems:
        raise Refused(*problems)


def weights_among(files: Collection[str]) -> tuple[str, ...]:
    """The weight files that transformers would load: safetensors before .bin, one file before shards."""
    for single, shards in (("model.safetensors", SAFETENSORS), ("pytorch_model.bin", BIN)):
        if single in files:
            return (single,)
        if found := sorted(name for name in files if shards.fullmatch(name)):
            return tuple(found)
    return ()


def small_files(files: Collection[str]) -> list[str]:
    """Config and tokenizer: what has to stand beside the weights. No code, and of what lies in subfolders how texts are pooled."""
    indexed = any(SAFETENSORS.fullmatch(name) for name in files) and "model.safetensors" not in files
    wanted = ("config.json", *wordpieces.ANY_OF, *wordpieces.BESIDE, *(("model.safetensors.index.json",) if indexed else ()), pooling.FILE)
    return [name for name in wanted if name in files]


def whole(path: Path) -> bool:
    """Whether a safetensors file is as long as its header says: 8 bytes of length, a JSON header, the tensors."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(size - 8, 100_000_000):
            return False
        try:
            header = json.loads(file.read(length))
            ends = [one["data_offsets"][1] for name, one in header.items() if name != "__metadata__"]
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            return False
    return 8 + length + max(ends, default=0) == size
