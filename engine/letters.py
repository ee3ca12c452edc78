"""A word's letters as a reader counts them, so that whatever changes a text leaves no sign without its letter. Pure."""

from __future__ import annotations

import unicodedata

VIRAMA, NUKTA, JOINERS = "\u09cd", "\u09bc", "\u200c\u200d"


def letters_of(word: str) -> list[str]:
    """The word's letters, each with the signs and joiners that hang on it, and a conjunct as one."""
    found: list[str] = []
    for one in word:
        hangs = unicodedata.category(one).startswith("M") or one in JOINERS
        if found and (hangs or found[-1].rstrip(JOINERS).endswith(VIRAMA)):
            found[-1] += one
        else:
            found.append(one)
    return found


def is_bengali(text: str) -> bool:
    """Whether more of its letters are Bengali than of any other script."""
    letters = [one for one in text if one.isalpha()]
    return 2 * sum("\u0980" <= one <= "\u09ff" for one in letters) > len(letters)
