"""A GGUF file turned into a folder of safetensors with its tokenizer, once. The folder appears under its name only when it is whole.

transformers reads the file (`gguf_header` has looked before whether it can). Traps, all seen with transformers 5.23: what it loads will not
save before `hf_quantizer`, `is_quantized` and `config.quantization_config` are cleared, and the tokenizer keeps how it was asked for.
Weights are kept in 16 bits where the file has no more: the 4 to 8 bits of a quantised file are a whole number times a scale of 16 bits.
torch and transformers are imported where they are needed.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from engine.errors import Problem, Refused, is_out_of_memory, redact
from engine.gguf_header import ELSEWHERE, read

Say = Callable[[str, int, int], None]
PIECE = 1 << 22
FULL, BRAIN = 0, 30  # ggml_type F32 and BF16


def convert(pieces: Sequence[Path], target: Path, name: str, say: Say, *, sha256: str | None = None) -> Path:
    """`target` with config.json, the tokenizer and model.safetensors. Waits where another process is at it. Raises Refused.

    `pieces`: the file, or its parts in order. `sha256`: what they must sum up to. `say(message, done, total)` is called before each part.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f".{target.name}.lock")):
        if target.is_dir():
            return target
        beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        beside.mkdir()
        try:
            _write(_joined(pieces, beside, name, sha256), beside / "whole", name, say)
            os.replace(beside / "whole", target)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    return target


def _joined(pieces: Sequence[Path], folder: Path, name: str, sha256: str | None) -> Path:
    """The file alone in the folder, where transformers finds no other file to read; checked against its sum."""
    whole = folder / "model.gguf"
    if len(pieces) == 1:
        try:
            whole.symlink_to(pieces[0].resolve())
        except OSError:  # a system or a disk without links
            shutil.copyfile(pieces[0], whole)
    else:
        with whole.open("wb") as file:
            for piece in pieces:
                with piece.open("rb") as part:
                    shutil.copyfileobj(part, file, PIECE)
    if sha256 is not None:
        with whole.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            raise Refused(Problem("model", f"The weights of {name} are damaged: their sum is another.", "Install its package again."))
    return whole


def _write(source: Path, folder: Path, name: str, say: Say) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    message = f"Converting {name} from GGUF, once"
    header = read(source, name)
    told: dict[str, Any] = {"gguf_file": source.name, "local_files_only": True, "trust_remote_code": False}
    say(f"{message}: its words", 0, 3)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source.parent, **told)
        say(f"{message}: its weights", 1, 3)
        model: Any = AutoModelForCausalLM.from_pretrained(source.parent, dtype=torch.float32, **told)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, NotImplementedError, OSError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        words = redact(str(error)).strip().splitlines()
        what = f"{name} cannot be read: {words[0][:200] if words else type(error).__name__}"
        raise Refused(Problem("model", what, ELSEWHERE)) from error
    say(f"{message}: writing it", 2, 3)
    model.hf_quantizer, model.is_quantized = None, False
    del model.config.quantization_config
    model.config._name_or_path = ""
    if header.kinds != {FULL}:
        model = model.to(torch.bfloat16 if BRAIN in header.kinds else torch.float16)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _forget_the_way(folder)
    say(f"{message}: writing it", 3, 3)


def _forget_the_way(folder: Path) -> None:
    """How and from where the file was read stays out of what is kept."""
    for name, left in (("tokenizer_config.json", ("is_local", "local_files_only", "gguf_file")), ("config.json", ("_model_name_or_path",))):
        path = folder / name
        told = json.loads(path.read_text("utf-8"))
        path.write_text(json.dumps({key: value for key, value in told.items() if key not in left}, ensure_ascii=False, indent=1), "utf-8")
