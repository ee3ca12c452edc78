"""A prompt's template: words with places such as {text} in them. Filled, checked, and cut so that the words always stay.

Of a row that is too long only what fills the places is cut. Two braces stand for one: {{ is {.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping
from typing import Any

from engine.encoder_decoders import stands_apart
from engine.errors import Problem
from engine.tasks import classify


def check(template: str, places: Iterable[str], needed: str = "text") -> tuple[Problem, ...]:
    """What is wrong with a template: a brace left open, a place that there is not, none for the text."""
    known = tuple(places)
    offered = " and ".join(f"{{{one}}}" for one in known)
    try:
        parts = [one for one in string.Formatter().parse(template) if one[1] is not None]
    except ValueError as error:
        message = f"The template cannot be read: {error}."
        return (Problem("settings.template", message, f"Close every brace, and write {{{{ for a brace of its own; places are {offered}."),)
    there = [str(name) for _, name, _, _ in parts]
    unknown = [name for name in there if name not in known]
    for _, name, form, conversion in parts:
        if name in known and (form or conversion):
            written = f"{{{name}{f'!{conversion}' if conversion else ''}{f':{form}' if form else ''}}}"
            message = f"The template has {written}: a place takes what stands in the column as it is, without a form behind it."
            return (Problem("settings.template", message, f"Write {{{name}}}."),)
    if unknown:
        message = f"The template has a place {{{unknown[0]}}}, and there is nothing to fill it with."
        return (Problem("settings.template", message, f"Use {offered}."),)
    if needed not in there:
        return (Problem("settings.template", f"The template has no place for the text, {{{needed}}}.", f"Write {{{needed}}} into it."),)
    return ()


def filled(template: str, values: Mapping[str, str]) -> str:
    """The template with its places filled."""
    return "".join(words for words, _ in pieces(template, values))


def pieces(template: str, values: Mapping[str, str]) -> list[tuple[str, bool]]:
    """The filled template in its pieces, each with whether it fills a place, and so may be cut."""
    found: list[tuple[str, bool]] = []
    for words, name, _, _ in string.Formatter().parse(template):
        if not any(piece for piece, _ in found):  # a first place that stays empty leaves no blank lines
            words = words.lstrip() if found else words
        if words:
            found.append((words, False))
        if name is not None:
            found.append((values[name], True))
    return found


def ids(tokenizer: Any, template: str, values: Mapping[str, str], most: int, keep: str) -> list[int]:
    """Token ids of the filled template, what begins a text before them, at most `most`. Text that spells a special token stays text.

    An encoder reads what ends a text behind them too.
    """
    start, end = classify.special_tokens(tokenizer)
    end = end if stands_apart(tokenizer) else []
    most -= len(end)
    cut = [(pieces_ids(tokenizer, words), may_be_cut) for words, may_be_cut in pieces(template, values)]
    fixed = len(start) + sum(len(one) for one, may_be_cut in cut if not may_be_cut)
    room, loose = max(0, most - fixed), sum(len(one) for one, may_be_cut in cut if may_be_cut)
    told = list(start)
    for one, may_be_cut in cut:
        if may_be_cut and loose > room:
            one = classify.cut(one, room * len(one) // loose, keep)
        told += one
    return [*told[:most], *end] or pieces_ids(tokenizer, " ") or [int(tokenizer.eos_token_id)]


def behind(tokenizer: Any, words: str, more: str) -> list[int]:
    """Token ids of `more` as it is cut behind these words; SentencePiece would put a blank before it where it stood alone."""
    start, whole = pieces_ids(tokenizer, words), pieces_ids(tokenizer, words + more)
    return whole[len(start) :] if whole[: len(start)] == start and len(whole) > len(start) else pieces_ids(tokenizer, more)


def pieces_ids(tokenizer: Any, text: str) -> list[int]:
    """Token ids of the bare text, which may spell a special token and stays text."""
    return list(tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])
