"""Conversations in a cell, as JSON in the shapes of OpenAI and ShareGPT: who says what, and whether it can be learnt. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise

ROLES = {"human": "user"} | dict.fromkeys(("gpt", "bot", "ai", "model", "chatbot", "chatgpt", "bing"), "assistant")


def turns_of(cell: str) -> list[tuple[str, str]] | None:
    """The turns of a conversation, each (role, text) with the role as it stands there; None where the cell is none."""
    try:
        told = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, list) or not told:
        return None
    found = []
    for turn in told:
        if not isinstance(turn, dict):
            return None
        role, text = turn.get("role", turn.get("from")), _text_of(turn.get("content", turn.get("value")))
        if not isinstance(role, str) or not isinstance(text, str):
            return None
        found.append((role, text))
    return found


def _text_of(content: object) -> object:
    """What a turn says, where it is told in parts, as OpenAI also writes: [{"type": "text", "text": "…"}, …]."""
    if not isinstance(content, list) or not content:
        return content
    parts = [one.get("text") if isinstance(one, dict) else None for one in content]
    return "\n".join(part for part in parts if isinstance(part, str)) if all(isinstance(part, str) for part in parts) else None


def speakers(turns: Sequence[tuple[str, str]]) -> list[str]:
    """Who says each turn, by the names that chat templates know: "system", "user", "assistant"; others as they stand there."""
    return [ROLES.get(role.lower(), role.lower()) for role, _ in turns]


def cut_dialogue(cell: str, characters: int, turns: int) -> str | None:
    """So much of each of its first turns, as a conversation again; None where the cell is none."""
    told = turns_of(cell) if cell.lstrip().startswith("[") else None
    if told is None:
        return None
    cut = [{"role": role, "content": text if len(text) <= characters else text[:characters] + "…"} for role, text in told[:turns]]
    return json.dumps(cut, ensure_ascii=False)


def as_text(cell: str) -> str:
    """A conversation as a person reads it, who says what before each turn; the words alone of a single one, and any other cell as it is."""
    told = turns_of(cell) if cell.lstrip().startswith("[") else None
    if told is None:
        return cell
    if len(told) == 1:
        return told[0][1]
    return "\n\n".join(f"{who}: {text}" for who, (_, text) in zip(speakers(told), told, strict=True))


def is_answered(cell: str) -> bool:
    """Whether it is a conversation in which the assistant answers somebody: what opens one answers nobody."""
    return "assistant" in speakers(turns_of(cell) or ())[1:]


def is_open(cell: str) -> bool:
    """Whether it is a conversation whose last turn is not the assistant's, which an answer can stand behind."""
    told = speakers(turns_of(cell) or ())
    return bool(told) and told[-1] != "assistant"


def is_in_order(cell: str) -> bool:
    """Whether nobody speaks twice in a row, the assistant does not begin, and a system prompt stands before all else."""
    told = speakers(turns_of(cell) or ())
    told = told[1:] if told[:1] == ["system"] else told
    return told[:1] != ["assistant"] and "system" not in told and all(one != other for one, other in pairwise(told))
