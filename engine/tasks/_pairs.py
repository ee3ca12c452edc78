"""Texts and pairs of texts as the model's tokenizer puts them: special tokens around and between, which text is which, fair cutting.

What a tokenizer does is seen by having it encode short texts, so that every family's way is its own: [CLS] a [SEP] b [SEP],
<s> a </s></s> b </s>. Where it puts nothing between two texts, as decoders' do, a new line stands there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SEGMENTS = "token_type_ids"
TWO_SEGMENTS = ("bert", "electra")  # whose config.json need not say that they have two


def encode(tokenizer: Any, first: Sequence[str], second: Sequence[str], most: int, keep: str) -> list[list[int]]:
    """Token ids of each pair, at most `most` long; both are cut alike where they are too long, a short one not at all."""
    before, between, after = around(tokenizer)
    room = max(2, most - len(before) - len(between) - len(after))
    empty = [tokenizer.unk_token_id if tokenizer.unk_token_id is not None else tokenizer.eos_token_id]
    bodies = (
        tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True, truncation=False)["input_ids"]
        for texts in (first, second)
    )
    found = []
    for one, other in zip(*bodies, strict=True):
        one = one or empty
        mine, theirs = shared(len(one), len(other), room)
        found.append([*before, *cut(one, mine, keep), *between, *cut(other, theirs, keep), *after])
    return found


def shared(first: int, second: int, room: int) -> tuple[int, int]:
    """How many tokens of each may stay: half of the room each, and what one does not need goes to the other."""
    half = room // 2
    mine = min(first, max(room - half, room - second))
    return mine, min(second, room - mine)


def around(tokenizer: Any) -> tuple[list[int], list[int], list[int]]:
    """The ids before, between and after the two texts of a pair."""
    one, other = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("a", "b"))
    whole = list(tokenizer("a", "b")["input_ids"])
    start = _place(whole, one, 0)
    middle = _place(whole, other, start + len(one))
    before, between, after = whole[:start], whole[start + len(one) : middle], whole[middle + len(other) :]
    return before, between or list(tokenizer("\n", add_special_tokens=False)["input_ids"]), after


def _place(whole: list[int], part: list[int], start: int) -> int:
    return next((at for at in range(start, len(whole)) if whole[at : at + len(part)] == part), start)


def special_tokens(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The ids that the tokenizer puts before and after a text, seen by encoding one with and without them."""
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a")["input_ids"]
    start = _place(whole, bare, 0)
    return whole[:start], whole[start + len(bare) :]


def cut(ids: list[int], room: int, keep: str) -> list[int]:
    """At most `room` of the ids: the first ones, or the first half and the last half."""
    if len(ids) <= room:
        return ids
    tail = room // 2 if keep == "ends" else 0
    return ids[: room - tail] + (ids[-tail:] if tail else [])


def settle_segments(tokenizer: Any, folder: Path) -> None:
    """Has the tokenizer give `token_type_ids` exactly where the folder's model has two kinds; kept when the tokenizer is saved.

    RoBERTa's has one kind, and DistilBERT takes none: both break where they are given. A folder without config.json is one that a
    settled tokenizer was saved to.
    """
    path = folder / "config.json"
    if not path.is_file():
        return
    config = json.loads(path.read_text("utf-8"))
    kinds = config.get("type_vocab_size", 2 if config.get("model_type") in TWO_SEGMENTS else 0)
    names = [name for name in tokenizer.model_input_names if name != SEGMENTS]
    tokenizer.model_input_names = [*names, SEGMENTS] if kinds >= 2 else names
    tokenizer.init_kwargs["model_input_names"] = tokenizer.model_input_names


def second_starts(tokenizer: Any, row: Sequence[int]) -> int:
    """Where the second text of this row begins; 0 where there is none, or the model does not tell them apart by segments.

    No text holds a special token, so that the first separator ends the first text.
    """
    if SEGMENTS not in tokenizer.model_input_names or tokenizer.sep_token_id is None:
        return 0
    separator = tokenizer.sep_token_id
    at = next((at for at, one in enumerate(row) if one == separator), len(row)) + 1
    return at if at < len(row) else 0
