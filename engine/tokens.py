"""Encoded texts, kept on disk by their content: the same texts under the same tokenizer and length are encoded once.

HOME/cache/tokens/<sha256>.npz    ids (int32, all rows after one another) and ends (int64, where each row ends)
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.data.table import listed
from engine.data.texts import Texts
from engine.errors import Problem, RunFailed
from engine.store import write_whole_with
from engine.tasks import Task

ROWS_AT_ONCE = 1000
NAMED_ROWS = 5
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "merges.txt",
    "spm.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
    "chat_template.jinja",
)
FORMAT = 1  # raise when encoding changes


def encoded(
    task: Task, tokenizer: Any, texts: Texts, knobs: Any, *, model_folder: Path, cache: Path, said: Callable[[int], None]
) -> list[list[int]]:
    """The token ids of each text, from the cache where they are there. `said(rows done)` is called now and then."""
    path = cache / "tokens" / f"{_key(task, texts, knobs, model_folder)}.npz"
    if path.exists():
        with np.load(path, allow_pickle=False) as kept:
            ids, ends = kept["ids"], kept["ends"]
    else:
        rows: list[list[int]] = []
        for start in range(0, len(texts), ROWS_AT_ONCE):
            rows += task.encode(tokenizer, texts.part(start, start + ROWS_AT_ONCE), knobs)
            said(len(rows))
        ids = np.fromiter((one for row in rows for one in row), dtype=np.int32)
        ends = np.cumsum([len(row) for row in rows], dtype=np.int64)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole_with(path, lambda file: np.savez(file, ids=ids, ends=ends))
    starts = [0, *ends[:-1].tolist()]
    flat = ids.tolist()
    return [flat[start:end] for start, end in zip(starts, ends.tolist(), strict=True)]


def with_row(problem: Problem, task: Task, tokenizer: Any, texts: Texts, knobs: Any, numbers: Sequence[int], part: str) -> Problem:
    """The problem with which these rows were not encoded, and which of them have it; as it is where all have, or none alone.

    `numbers` are the rows' in their source, `part` what they are, as in "training".
    """
    odd: list[tuple[int, Problem]] = []
    for at, number in enumerate(numbers):
        try:
            task.encode(tokenizer, texts.part(at, at + 1), knobs)
        except RunFailed as error:
            odd.append((number, error.problem))
    if not odd or len(odd) == len(texts) > 1:
        return problem
    first, told = odd[0]
    if len(odd) == 1:
        return dataclasses.replace(told, message=f"Row {first:,}, a {part} row: {told.message}", fix=f"{told.fix} Or take the row out.")
    rows = listed([f"{number:,}" for number, _ in odd], NAMED_ROWS)
    message = f"{len(odd):,} {part} rows ({rows}). Of row {first:,}: {told.message}"
    return dataclasses.replace(told, message=message, fix=f"{told.fix} Or take these rows out.")


def _key(task: Task, texts: Texts, knobs: Any, model_folder: Path) -> str:
    digest = hashlib.sha256(json.dumps([FORMAT, task.id, dataclasses.asdict(knobs)], sort_keys=True).encode())
    for name in TOKENIZER_FILES:
        if (model_folder / name).is_file():
            digest.update((model_folder / name).read_bytes())
    for text in (text for column in (texts.first, texts.second, texts.answers) for text in (*(column or ()), "\n")):
        part = text.encode("utf-8", "surrogatepass")
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()
