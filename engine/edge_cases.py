"""Edge cases: test texts changed in ways that people change theirs, and how often a model's answer changes with them. Pure, seeded.

Bengali keeps its combining signs and joiners: a mistype moves or drops whole letters with all that hangs on them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from engine import resampling
from engine.calibration import share_of
from engine.letters import JOINERS, NUKTA, VIRAMA, is_bengali, letters_of
from engine.scoring import Interval
from engine.told import number

EXAMPLES = 3  # rows shown of each kind
EXAMPLE_CHARACTERS = 300
MISTYPED_SHARE = 0.1  # of the words, one at least
FEWEST_WORDS = 6  # to be cut in half
PIN = "📌"  # says nothing about what it stands beside

_NOT = {"not", "never", "na", "nai", "noy", "nei"}
_SHORT = {"can't": "can", "won't": "will", "cannot": "can"}  # other n't just lose it
_VERB = re.compile(r"\b(is|are|was|were|has|have|had|can|could|will|would|should|does|do|did)\b(?!\s+not\b|n['’]t)", re.IGNORECASE)
_BENGALI_NOT = {unicodedata.normalize("NFC", word) for word in ("না", "নয়", "নেই", "নাই", "নি", "নন")}
_EDGES = "\"'“”‘’.,;:!?।…()[]"
_EMOJI = re.compile("[\u2600-\u27bf\U0001f300-\U0001faff][\ufe0f\u200d\U0001f3fb-\U0001f3ff]*")


@dataclass(frozen=True)
class Kind:
    """One way to change a text. `change` gives None where it does not apply."""

    id: str
    name: str
    stays: bool  # whether the answer should stay as it was
    change: Callable[[str, Random], str | None]


@dataclass(frozen=True)
class Variant:
    """A changed text."""

    row: int  # place of the text it was made from
    kind: str
    text: str


@dataclass(frozen=True)
class Example:
    """A row whose answer changed."""

    before: str
    after: str
    said_before: str
    said_after: str


@dataclass(frozen=True)
class Move:
    """How far numbers moved, in their unit."""

    mean: Interval  # distance from what was said before
    off_before: float  # mean error
    off_after: float  # for a change that turns the meaning it says nothing


@dataclass(frozen=True)
class Finding:
    """How often the answer changed under one kind of change, or how far, where answers are numbers."""

    id: str
    name: str
    stays: bool
    rows: int  # to which it applies
    changed: Interval | None  # share of them; None where there is none
    right_before: int  # rows
    right_after: int  # rows; for a change that turns the meaning it says nothing
    examples: tuple[Example, ...]
    move: Move | None = None  # of numbers; `changed` is None then


def variants(texts: Sequence[str], *, seed: int = 0) -> list[Variant]:
    """Every change of every text to which it applies and that it does not leave as it was; the same again for a seed."""
    found = []
    for row, text in enumerate(texts):
        for kind in KINDS:
            changed = kind.change(text, Random(f"{seed}/{kind.id}/{row}"))
            if changed is not None and changed.strip() and changed != text:
                found.append(Variant(row, kind.id, unicodedata.normalize("NFC", changed)))
    return found


def findings(
    texts: Sequence[str],
    labels: Sequence[int],
    before: Sequence[int],
    made: Sequence[Variant],
    after: Sequence[int],
    classes: Sequence[str],
) -> tuple[Finding, ...]:
    """What came of it. `before` are the answers (class ids) to `texts`, `after` those to `made`."""
    told = []
    for kind in KINDS:
        mine = [(one, answer) for one, answer in zip(made, after, strict=True) if one.kind == kind.id]
        changed = [(one, answer) for one, answer in mine if answer != before[one.row]]
        examples = (
            Example(_cut(texts[one.row]), _cut(one.text), classes[before[one.row]], classes[answer]) for one, answer in changed[:EXAMPLES]
        )
        told.append(
            Finding(
                kind.id,
                kind.name,
                kind.stays,
                len(mine),
                share_of(len(changed), len(mine)) if mine else None,
                sum(before[one.row] == labels[one.row] for one, _ in mine),
                sum(answer == labels[one.row] for one, answer in mine),
                tuple(examples),
            )
        )
    return tuple(told)


def moves(
    texts: Sequence[str], right: Sequence[float], before: Sequence[float], made: Sequence[Variant], after: Sequence[float]
) -> tuple[Finding, ...]:
    """What came of it where answers are numbers: `right` and `before` of `texts`, `after` of `made`. Those that moved most are shown."""
    told = []
    for kind in KINDS:
        mine = [(one, answer) for one, answer in zip(made, after, strict=True) if one.kind == kind.id]
        move = None
        if mine:
            apart = resampling.mean("", "", np.array([abs(answer - before[one.row]) for one, answer in mine]), better="", note="")
            off_before, off_after = (
                sum(abs(said - right[one.row]) for (one, _), said in zip(mine, of, strict=True)) / len(mine)
                for of in ([before[one.row] for one, _ in mine], [answer for _, answer in mine])
            )
            move = Move(resampling.interval(apart), off_before, off_after)
        furthest = sorted(mine, key=lambda one: -abs(one[1] - before[one[0].row]))[:EXAMPLES]
        examples = tuple(Example(_cut(texts[one.row]), _cut(one.text), number(before[one.row]), number(answer)) for one, answer in furthest)
        told.append(Finding(kind.id, kind.name, kind.stays, len(mine), None, 0, 0, examples, move))
    return tuple(told)


def _cut(text: str) -> str:
    return text if len(text) <= EXAMPLE_CHARACTERS else text[: EXAMPLE_CHARACTERS - 1] + "…"


# The changes


def negated(text: str, _: Random) -> str | None:
    """The first "not" put in, or the one that is there taken out."""
    words = text.split(" ")
    for at, word in enumerate(words):
        bare = word.strip(_EDGES).replace("’", "'").lower()
        if bare in _NOT or unicodedata.normalize("NFC", bare) in _BENGALI_NOT:
            before, ending = words[:at], word[len(word.rstrip(_EDGES)) :]
            return " ".join([*before[:-1], *(one + ending for one in before[-1:]), *words[at + 1 :]])
        if bare in _SHORT or bare.endswith("n't"):
            return " ".join([*words[:at], _SHORT.get(bare, bare.removesuffix("n't")), *words[at + 1 :]])
    if is_bengali(text):
        end = re.search(r"[।!?\n]", text)
        at = end.start() if end else len(text.rstrip())
        return f"{text[:at].rstrip()} না{text[at:]}"
    verb = _VERB.search(text)
    return f"{text[: verb.end()]} not{text[verb.end() :]}" if verb else None


def mistyped(text: str, dice: Random) -> str | None:
    """A letter swapped with its neighbour, dropped or doubled, in a tenth of the words."""
    pieces = re.split(r"(\s+)", text)
    long = [at for at, piece in enumerate(pieces) if len(letters_of(piece)) >= 4]
    if not long:
        return None
    for at in dice.sample(long, max(1, round(MISTYPED_SHARE * len(long)))):
        letters = letters_of(pieces[at])
        place = dice.randrange(1, len(letters) - 1)  # the first and the last stay, as people's slips mostly leave them
        match dice.randrange(3):
            case 0:
                letters[place - 1 : place + 1] = [letters[place], letters[place - 1]]
            case 1:
                del letters[place]
            case _:
                letters.insert(place, letters[place])
        pieces[at] = "".join(letters)
    return "".join(pieces)


def in_capitals(text: str, _: Random) -> str | None:
    return text.upper()


def in_small_letters(text: str, _: Random) -> str | None:
    return text.lower()


def with_emoji(text: str, _: Random) -> str | None:
    """Its emoji taken out, or one that says nothing put at its end."""
    return _EMOJI.sub("", text).strip() if _EMOJI.search(text) else f"{text.rstrip()} {PIN}"


def first_half(text: str, _: Random) -> str | None:
    words = text.split()
    return " ".join(words[: len(words) // 2]) if len(words) >= FEWEST_WORDS else None


def last_half(text: str, _: Random) -> str | None:
    words = text.split()
    return " ".join(words[len(words) // 2 :]) if len(words) >= FEWEST_WORDS else None


def in_latin_letters(text: str, _: Random) -> str | None:
    """Bengali as it is typed in Latin letters: ভালো -> bhalo. By sound, roughly, as people do; None for other scripts."""
    if not is_bengali(text):
        return None
    plain = unicodedata.normalize("NFC", text).translate({ord(one): None for one in JOINERS})
    for whole, letter in _TWO.items():
        plain = plain.replace(whole, letter)
    told = []
    for at, one in enumerate(plain):
        after = plain[at + 1] if at + 1 < len(plain) else ""
        if one in _CONSONANTS:
            told.append(_CONSONANTS[one] + ("o" if after in _CONSONANTS and after else ""))  # the vowel that is not written
        else:
            told.append(_OTHERS.get(one, one))
    return "".join(told)


_TWO = {"\u09a1\u09bc": "\u09dc", "\u09a2\u09bc": "\u09dd", "\u09af\u09bc": "\u09df"}  # a letter with its dot, which NFC keeps apart
_CONSONANTS = {
    "ক": "k", "খ": "kh", "গ": "g", "ঘ": "gh", "ঙ": "ng", "চ": "ch", "ছ": "chh", "জ": "j", "ঝ": "jh", "ঞ": "n", "ট": "t", "ঠ": "th",
    "ড": "d", "ঢ": "dh", "ণ": "n", "ত": "t", "থ": "th", "দ": "d", "ধ": "dh", "ন": "n", "প": "p", "ফ": "f", "ব": "b", "ভ": "bh",
    "ম": "m", "য": "j", "র": "r", "ল": "l", "শ": "sh", "ষ": "sh", "স": "s", "হ": "h", "\u09dc": "r", "\u09dd": "rh", "\u09df": "y",
}  # fmt: skip
_OTHERS = {
    "অ": "o", "আ": "a", "ই": "i", "ঈ": "i", "উ": "u", "ঊ": "u", "ঋ": "ri", "এ": "e", "ঐ": "oi", "ও": "o", "ঔ": "ou",
    "\u09be": "a", "\u09bf": "i", "\u09c0": "i", "\u09c1": "u", "\u09c2": "u", "\u09c3": "ri", "\u09c7": "e", "\u09c8": "oi",
    "\u09cb": "o", "\u09cc": "ou", VIRAMA: "", NUKTA: "", "ৎ": "t", "ং": "ng", "ঃ": "h", "ঁ": "", "।": ".",
    **{chr(0x09E6 + digit): str(digit) for digit in range(10)},
}  # fmt: skip

KINDS = (
    Kind("negation", "“Not” put in or taken out", False, negated),
    Kind("typos", "Mistyped: a slip in every tenth word", True, mistyped),
    Kind("capitals", "ALL IN CAPITALS", True, in_capitals),
    Kind("small", "all in small letters", True, in_small_letters),
    Kind("emoji", "Emoji taken out, or one put at the end", True, with_emoji),
    Kind("latin", "Bengali typed in Latin letters", True, in_latin_letters),
    Kind("first-half", "Only the first half of the words", True, first_half),
    Kind("last-half", "Only the last half of the words", True, last_half),
)
