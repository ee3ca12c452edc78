"""Where the words of a text stand that may be changed, and those that never are: a "not" is what the label hangs on. Pure."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import regex

# Letters with their signs and joiners, and an apostrophe within; digits are left as they are.
WORD = regex.compile(r"\p{L}[\p{L}\p{M}\u200c\u200d]*(?:['’]\p{L}[\p{L}\p{M}\u200c\u200d]*)*")
NOT_WORDS = regex.compile(r"(?:https?://|www\.)\S+|[@#]\S+|\S+@\S+\.\S+")  # addresses and tags
NEGATIONS = frozenset(
    unicodedata.normalize("NFC", word)
    for word in (
        *("not", "no", "never", "nothing", "none", "nobody", "nor", "neither", "without", "cannot", "hardly", "barely"),
        *("na", "nah", "nai", "nei", "noy", "noi", "ni", "naa", "nay", "nahi"),
        *("না", "নাই", "নেই", "নয়", "নি", "নহে", "নন", "নও", "নই", "ছাড়া", "বিনা", "নাহ"),
    )
)


@dataclass(frozen=True)
class Word:
    """A word and where it begins in its text."""

    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def words_in(text: str) -> list[Word]:
    """The text's words, without those of addresses and tags."""
    closed = [one.span() for one in NOT_WORDS.finditer(text)]
    return [Word(one.group(), one.start()) for one in WORD.finditer(text) if not any(start <= one.start() < end for start, end in closed)]


def folded(word: str) -> str:
    """The word as it is looked up: Latin in small letters, every script in NFC."""
    return unicodedata.normalize("NFC", word).lower()


def may_change(word: str) -> bool:
    """False for what turns a sentence into its contrary."""
    known = folded(word).replace("’", "'")
    return known not in NEGATIONS and not known.endswith("n't")


def wanted(words: int, share: float) -> int:
    """How many of so many words are changed."""
    return max(1, round(share * words))


def put_in(text: str, changed: dict[Word, str]) -> str:
    """The text with these words changed, in NFC."""
    told, at = [], 0
    for word in sorted(changed, key=lambda one: one.start):
        told += [text[at : word.start], changed[word]]
        at = word.end
    return unicodedata.normalize("NFC", "".join([*told, text[at:]]))
