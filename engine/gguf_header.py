"""What a GGUF file says of itself, read from its first bytes: family, numbers, licence, kinds of weights. Pure but for the file; no torch.

The library `gguf` reads the whole vocabulary into objects (7.8 s for Gemma 3 270M); here its 262,144 words are stepped over (0.1 s), so
that the page can ask. Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import Problem, Refused

# By the numbers of ggml_type. Those that gguf.quants.dequantize can turn into numbers, which transformers calls; a test compares them.
READABLE = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K",
    16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 29: "IQ1_M",
    30: "BF16", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4", 40: "NVFP4",
}  # fmt: skip
# general.architecture -> config.model_type: what transformers reads from GGUF and Shur trains.
FAMILIES = {"llama": "llama", "mistral": "mistral", "qwen2": "qwen2", "qwen3": "qwen3", "gemma3": "gemma3_text"}
NUMBERS = {
    "context_length": "max_position_embeddings",
    "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size",
    "embedding_length": "hidden_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
}
HEAD_DIM = {"llama": "rope.dimension_count", "mistral": "rope.dimension_count", "gemma3": "attention.key_length"}
QWEN3_HEAD_DIM = 128  # what transformers takes for it, whatever the file says
ELSEWHERE = "Choose the repository with the original safetensors weights, or another file."
_FORMATS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
_MOST_ENTRIES, _MOST_TENSORS, _MOST_DIMENSIONS, _KEPT = 10_000, 200_000, 4, 32


@dataclass(frozen=True)
class Header:
    """The beginning of a GGUF file."""

    told: dict[str, Any]  # numbers, words and short lists; of a long list its length
    kinds: frozenset[int]  # of the tensors, ggml_type
    names: frozenset[str]  # of the tensors


def read(path: Path, name: str) -> Header:
    """The header of a file, or of the first part of one that was cut. Raises Refused where it is damaged or none; `name` is shown."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _header(_Cursor(content), name)
    except (struct.error, ValueError, UnicodeDecodeError, OverflowError) as error:  # also an empty file
        raise Refused(Problem("model", f"{name} is damaged or is no GGUF file.", "Fetch it again, or choose another.")) from error


def config(header: Header, name: str) -> dict[str, Any]:
    """The numbers as a config.json has them, for `families.shape`. Raises Refused for what cannot be read or trained, with what can."""
    told = header.told
    family = str(told.get("general.architecture"))
    if family not in FAMILIES:
        what = f"{name} holds a model of the kind {family!r}, which cannot be trained from GGUF."
        raise Refused(Problem("model", what, f"These kinds can: {', '.join(FAMILIES)}. {ELSEWHERE}"))
    if int(told.get("split.count", 1)) > 1:
        raise Refused(Problem("model", f"{name} is one part of {told['split.count']}.", "Join them with llama-gguf-split --merge first."))
    unreadable = sorted(header.kinds - set(READABLE))
    if unreadable:
        what = f"{name} has weights in a format (ggml type {', '.join(map(str, unreadable))}) that cannot be read."
        raise Refused(Problem("model", what, f"These can: {', '.join(READABLE.values())}. {ELSEWHERE}"))
    found = {name: told[f"{family}.{key}"] for key, name in NUMBERS.items() if f"{family}.{key}" in told}
    missing = sorted(name for name in NUMBERS.values() if name not in found and name != "num_key_value_heads")
    words = told.get(f"{family}.vocab_size", told.get("tokenizer.ggml.tokens"))
    if missing or not isinstance(words, int):
        raise Refused(Problem("model", f"{name} does not say its {', '.join(missing) or 'vocabulary'}.", ELSEWHERE))
    head_dim = told.get(f"{family}.{HEAD_DIM.get(family, '')}")
    if family == "qwen3" and told.get("qwen3.attention.key_length", QWEN3_HEAD_DIM) != QWEN3_HEAD_DIM:
        raise Refused(Problem("model", f"{name} has heads of another width than Qwen3's own.", ELSEWHERE))
    return {
        "model_type": FAMILIES[family], "vocab_size": words, "tie_word_embeddings": "output.weight" not in header.names, **found,
        **({"head_dim": head_dim} if head_dim is not None else {}),
    }  # fmt: skip


class _Cursor:
    """Reads numbers and words from a place that moves on; never beyond the end."""

    def __init__(self, content: mmap.mmap) -> None:
        self.content, self.at = content, 0

    def number(self, form: str) -> Any:
        (found,) = struct.unpack_from(form, self.content, self.at)
        self.at += struct.calcsize(form)
        return found

    def text(self) -> str:
        return self._bytes(self.number("<Q")).decode("utf-8")

    def _bytes(self, size: int) -> bytes:
        self.skip(size)
        return self.content[self.at - size : self.at]

    def skip(self, size: int) -> None:
        if size > len(self.content) - self.at:
            raise ValueError("cut short")
        self.at += size

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY:
            return self.number(_FORMATS[kind])
        inner, count = self.number("<I"), self.number("<Q")
        if count <= _KEPT:
            return [self.value(inner) for _ in range(count)]
        if inner == _STRING:
            for _ in range(count):
                self.skip(self.number("<Q"))
        else:
            self.skip(count * struct.calcsize(_FORMATS[inner]))
        return count


def _header(cursor: _Cursor, name: str) -> Header:
    if cursor._bytes(4) != b"GGUF":
        raise ValueError("another format")
    version, tensors, entries = cursor.number("<I"), cursor.number("<Q"), cursor.number("<Q")
    if version not in (2, 3):
        raise Refused(Problem("model", f"{name} is of version {version} of GGUF; 2 and 3 can be read.", ELSEWHERE))
    if entries > _MOST_ENTRIES or tensors > _MOST_TENSORS:
        raise ValueError("damaged counts")
    try:
        told = {cursor.text(): cursor.value(cursor.number("<I")) for _ in range(entries)}
        names, kinds = set(), set()
        for _ in range(tensors):
            names.add(cursor.text())
            dimensions = cursor.number("<I")
            if dimensions > _MOST_DIMENSIONS:
                raise ValueError("damaged dimensions")
            cursor.skip(8 * dimensions)
            kinds.add(cursor.number("<I"))
            cursor.skip(8)  # the offset
    except (KeyError, RecursionError) as error:  # a kind that is none; lists within lists
        raise ValueError("damaged entries") from error
    return Header(told, frozenset(kinds), frozenset(names))
