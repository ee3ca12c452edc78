"""Which words moved a decision: each is left out in turn, and the model is asked again. Pure: the model is a function that is passed in.

Occlusion (Zeiler & Fergus 2014) needs nothing but answers, so it works for every model and method alike. A word is what stands
between blanks, so that no combining sign is torn from its letter; a script without blanks is taken sign by sign. A long text is left
out in groups of words first, then the groups that count most word by word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from engine.text_words import WITHOUT_BLANKS

# A sign of a script that is written without blanks, with the marks that follow it; or what stands between blanks.
WORD = re.compile(rf"[{WITHOUT_BLANKS}][\u0e31-\u0e3a\u0e47-\u0e4e\u102b-\u103e\u17b6-\u17d3\u3099\u309a]*|[^\s{WITHOUT_BLANKS}]+")
MOST_ASKED = 60  # texts in a pass: about a second with MiniLM on two cores
CLOSER = 3  # groups whose words are looked at one by one
MOST_DROPPED = 5  # words that are left out together to see whether the answer changes

Ask = Callable[[Sequence[str]], Sequence[Mapping[str, float]]]  # texts -> each one's probabilities by class


@dataclass(frozen=True)
class Piece:
    """A part of the text, and by how much the probability of the answer falls without it; below 0: it rises."""

    start: int  # character
    end: int
    moved: float  # -1 to 1


@dataclass(frozen=True)
class Moved:
    """What every word did for the answer."""

    answer: str
    probability: float
    pieces: tuple[Piece, ...]  # in the text's order; every word is in one
    dropped: tuple[Piece, ...]  # without these together the answer is another; empty where up to MOST_DROPPED change nothing
    otherwise: str  # that other answer, or ""


def moved(text: str, ask: Ask) -> Moved:
    """By how much each word moved the model's answer to this text."""
    words = [(found.start(), found.end()) for found in WORD.finditer(text)]
    groups = _groups(words, MOST_ASKED)
    first, *others = ask([text, *(_without(text, [group]) for group in groups if len(groups) > 1)])
    answer = max(first, key=lambda name: first[name])
    if not others:  # a single word
        pieces = [Piece(start, end, first[answer]) for start, end in groups]
        return Moved(answer, first[answer], tuple(pieces), (), "")
    pieces = [Piece(start, end, first[answer] - one[answer]) for (start, end), one in zip(groups, others, strict=True)]
    if len(groups) < len(words):
        pieces = _closer(text, words, pieces, answer, first[answer], ask)
    dropped, otherwise = _turning(text, pieces, answer, ask)
    return Moved(answer, first[answer], tuple(pieces), dropped, otherwise)


def _groups(words: Sequence[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """The words, or as many groups of neighbours as may be asked about."""
    size = -(-len(words) // most) if words else 1
    return [(words[at][0], words[min(at + size, len(words)) - 1][1]) for at in range(0, len(words), size)]


def _without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """The text without these parts; where nothing is left, a full stop, since no model takes an empty text."""
    for start, end in sorted(spans, reverse=True):
        text = text[:start] + text[end:]
    return text if text.strip() else "."


def _closer(text: str, words: Sequence[tuple[int, int]], groups: Sequence[Piece], answer: str, probability: float, ask: Ask) -> list[Piece]:
    """The groups that count most, word by word."""
    chosen = set(sorted(range(len(groups)), key=lambda at: -abs(groups[at].moved))[:CLOSER])
    inside = {at: [one for one in words if groups[at].start <= one[0] and one[1] <= groups[at].end] for at in chosen}
    single = {at: _groups(spans, MOST_ASKED // 2) for at, spans in inside.items()}
    asked = [(at, span) for at in sorted(single) for span in single[at]]
    told = ask([_without(text, [span]) for _, span in asked])
    found: dict[int, list[Piece]] = {}
    for (at, (start, end)), one in zip(asked, told, strict=True):
        found.setdefault(at, []).append(Piece(start, end, probability - one[answer]))
    return [piece for at, group in enumerate(groups) for piece in found.get(at, [group])]


def _turning(text: str, pieces: Sequence[Piece], answer: str, ask: Ask) -> tuple[tuple[Piece, ...], str]:
    """The fewest of the words that hold the answer up most, in that order, without which it is another."""
    holding = sorted((one for one in pieces if one.moved > 0), key=lambda one: -one.moved)[:MOST_DROPPED]
    if not holding or len(holding) == len(pieces):
        holding = holding[: max(0, len(pieces) - 1)]
    if not holding:
        return (), ""
    steps = [holding[: count + 1] for count in range(len(holding))]
    for step, told in zip(steps, ask([_without(text, [(one.start, one.end) for one in step]) for step in steps]), strict=True):
        other = max(told, key=lambda name: told[name])
        if other != answer:
            return tuple(sorted(step, key=lambda one: one.start)), other
    return (), ""
