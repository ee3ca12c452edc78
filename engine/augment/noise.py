"""Word noise: slips of typing in some words of a text. Pure, seeded.

A slip moves, drops or doubles whole letters with all that hangs on them, hits the key beside the right one (Latin), or takes a vowel
sign for the one that sounds alike (Bengali). The first and the last letter stay, as people's slips mostly leave them.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from engine.augment.words import Word, may_change, put_in, wanted, words_in
from engine.letters import is_bengali, letters_of

FEWEST_LETTERS = 4  # of a word whose letters are moved, dropped or doubled; shorter ones become other words
KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
# Vowel signs and letters that sound alike in Bengali and are the usual spelling mistakes.
ALIKE = ("িী", "ুূ", "েৈ", "োৌ", "নণ", "শষস", "জয")


def _neighbours() -> dict[str, str]:
    beside: dict[str, str] = {}
    for row, keys in enumerate(KEYS):
        for at, key in enumerate(keys):
            near = keys[max(0, at - 1) : at] + keys[at + 1 : at + 2]
            below = KEYS[row + 1][max(0, at - 1) : at + 1] if row + 1 < len(KEYS) else ""
            above = KEYS[row - 1][at : at + 2] if row else ""
            beside[key] = near + below + above
    return beside


BESIDE = _neighbours()
TAKEN_FOR = {one: group.replace(one, "") for group in ALIKE for one in group}
Slip = Callable[[list[str], Random], list[str] | None]


def noised(text: str, share: float, dice: Random) -> str | None:
    """The text with a slip in this share of its words, one at least; None where no word of it can take one."""
    words = words_in(text)
    able = [word for word in words if may_change(word.text) and len(letters_of(word.text)) > 1]
    changed: dict[Word, str] = {}
    for word in dice.sample(able, len(able)):
        if len(changed) == wanted(len(words), share):
            break
        slipped = _slipped(word.text, dice)
        if slipped is not None:
            changed[word] = slipped
    return put_in(text, changed) if changed else None


def _slipped(word: str, dice: Random) -> str | None:
    letters = letters_of(word)
    for slip in dice.sample(SLIPS, len(SLIPS)):
        found = slip(list(letters), dice)
        if found is not None and found != letters:
            return "".join(found)
    return None


def _swapped(letters: list[str], dice: Random) -> list[str] | None:
    if len(letters) < FEWEST_LETTERS:
        return None
    at = dice.randrange(1, len(letters) - 2)
    letters[at : at + 2] = [letters[at + 1], letters[at]]
    return letters


def _dropped(letters: list[str], dice: Random) -> list[str] | None:
    if len(letters) < FEWEST_LETTERS:
        return None
    del letters[dice.randrange(1, len(letters) - 1)]
    return letters


def _doubled(letters: list[str], dice: Random) -> list[str] | None:
    if len(letters) < FEWEST_LETTERS:
        return None
    at = dice.randrange(1, len(letters) - 1)
    letters.insert(at, letters[at])
    return letters


def _mishit(letters: list[str], dice: Random) -> list[str] | None:
    """The key beside the right one; in Bengali the sign or the letter that sounds alike, with the rest of its letter as it was."""
    if is_bengali("".join(letters)):
        places = [(at, place) for at, letter in enumerate(letters) for place, one in enumerate(letter) if _can_be_taken(at, place, one)]
        if not places:
            return None
        at, place = dice.choice(places)
        letter = letters[at]
        letters[at] = letter[:place] + dice.choice(TAKEN_FOR[letter[place]]) + letter[place + 1 :]
        return letters
    able = [at for at in range(1, len(letters) - 1) if letters[at].lower() in BESIDE]
    if len(letters) < FEWEST_LETTERS or not able:
        return None
    at = dice.choice(able)
    hit = dice.choice(BESIDE[letters[at].lower()])
    letters[at] = hit.upper() if letters[at].isupper() else hit
    return letters


def _can_be_taken(at: int, place: int, one: str) -> bool:
    """A first letter stays; the vowel sign on it may go wrong."""
    return one in TAKEN_FOR and (at > 0 or place > 0)


SLIPS: tuple[Slip, ...] = (_swapped, _dropped, _doubled, _mishit)
