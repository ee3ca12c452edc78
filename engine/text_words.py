"""A text as words, for figures that compare words: no sign of any script is lost. Pure.

The usual tools keep `[a-z0-9]` alone (rouge-score) or `\\w` (which in Python knows no vowel sign), so that Bengali falls to pieces or away.
"""

from __future__ import annotations

import unicodedata

import regex

ARTICLES = frozenset({"a", "an", "the"})
# Scripts that are written without blanks: each sign is a word of its own, with the marks that follow it.
WITHOUT_BLANKS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff"
WORD = regex.compile(rf"[{WITHOUT_BLANKS}]\p{{M}}*|(?:(?![{WITHOUT_BLANKS}])[\p{{L}}\p{{M}}\p{{N}}\u200c\u200d])+")
PUNCTUATION = regex.compile(r"[\p{P}$+<=>^`|~]")  # Unicode counts those last, which SQuAD strikes out too, as symbols


def words(text: str) -> list[str]:
    """Runs of letters, marks, digits and joiners, in small letters and NFC. Of ASCII just what rouge-score's own tokenizer gives."""
    return list(WORD.findall(unicodedata.normalize("NFC", text).lower()))


def normalised(text: str) -> list[str]:
    """The words as SQuAD's evaluation compares them: small letters, no punctuation, no English article; and in NFC.

    As https://rajpurkar.github.io/SQuAD-explorer/ (evaluate-v2.0.py), but for the punctuation of every script, such as the danda.
    """
    plain = PUNCTUATION.sub("", unicodedata.normalize("NFC", text).lower())
    return [word for word in plain.split() if word not in ARTICLES]


def blank_separated(text: str) -> int:
    """How many words a text has, where a word is what stands between blanks: what perplexity per word divides by."""
    return len(text.split())
