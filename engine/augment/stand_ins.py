"""Words that can stand for one another: from presets/synonyms.json, and other spellings and forms that the training rows themselves use.

The latter are words that look alike (they share groups of letters) and stand among the same words (positive pointwise mutual
information of neighbours, cut to its main directions, as Levy, Goldberg & Dagan 2015, https://aclanthology.org/Q15-1016/). Either alone
is not enough: neighbours alone made ভাইয়া of এই and "bad" of "good". Both together gave other spellings and endings in Bengali and
Banglish (ভাল, valo and valoi, plz and please), but broke English sentences ("they" of "there"): English has the list alone, and
languages without a list have what was learnt. No two words stand for one another that point at different labels, or of which one has a
"not" at its end or beginning. Pure, numpy only.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from engine.augment.words import Word, folded, may_change, put_in, wanted, words_in
from engine.catalog import PRESETS
from engine.letters import is_bengali

MOST_ROWS = 20_000  # that are learnt from, evenly spread
MOST_WORDS = 1500  # the most frequent; the time grows with their cube, 1 to 2 s at this number
FEWEST_SEEN = 3  # times
WINDOW = 4  # words to either side
DIRECTIONS = 64
FEWEST_LETTERS = 3
# Looked at on 300 and 1,900 Bengali comments and 4,000 Banglish ones: below, false friends such as চাই and ভাই.
LOOKS_ALIKE, STANDS_ALIKE = 0.4, 0.3
SAME_LABELS = 0.7  # nats between how much two words speak for a class, at most; e^0.7 is twice
NEAREST, MOST_STAND_INS = 10, 2
NOT_AT_END = tuple(unicodedata.normalize("NFC", one) for one in ("না", "নি", "নাই", "নেই", "na", "ni", "nai", "less", "n't"))
NOT_AT_BEGINNING = ("un", "in", "im", "ir", "dis", "non", "mis", "অ", "বে")
BANGLISH_SHARE = 1 / 8  # of a text's words that are known to be Banglish
ENGLISH = frozenset(
    ["the", "and", "of", "to", "is", "it", "in", "was", "that", "this", "with", "for", "on", "are", "have", "not", "you", "but"]
)
ENGLISH_SHARE = 1 / 10  # of a text's words; about four in ten of English prose are among these


@dataclass(frozen=True)
class StandIns:
    """What each word may be replaced by; words as `folded` gives them."""

    listed: Mapping[str, Mapping[str, tuple[str, ...]]]  # by language
    learnt: Mapping[str, tuple[str, ...]]
    apart: frozenset[tuple[str, str]]  # pairs of the list that point at different labels in these rows

    def of(self, word: str, language: str) -> tuple[str, ...]:
        known = folded(word)
        listed = (one for one in self.listed.get(language, {}).get(known, ()) if (known, one) not in self.apart)
        return tuple(dict.fromkeys((*listed, *(() if language == "english" else self.learnt.get(known, ())))))


def replaced(text: str, share: float, dice: Random, stand_ins: StandIns) -> str | None:
    """The text with this share of its words replaced, one at least; None where none of them has a stand-in."""
    words = words_in(text)
    language = language_of(text, words)
    able = [(word, found) for word in words if may_change(word.text) and (found := stand_ins.of(word.text, language))]
    if not able:
        return None
    chosen = dice.sample(able, min(len(able), wanted(len(words), share)))
    return put_in(text, {word: _as_written(dice.choice(found), word.text) for word, found in chosen})


def _as_written(new: str, old: str) -> str:
    if len(old) > 1 and old.isupper():
        return new.upper()
    return new[:1].upper() + new[1:] if old[:1].isupper() else new


def language_of(text: str, words: Sequence[Word]) -> str:
    """ "bengali", "banglish", "english", or "" for any other: whose list is used."""
    if is_bengali(text):
        return "bengali"
    known = [folded(one.text) for one in words]
    if sum(one in banglish_words() for one in known) >= max(1.0, BANGLISH_SHARE * len(words)):
        return "banglish"
    return "english" if sum(one in ENGLISH for one in known) >= ENGLISH_SHARE * len(words) else ""


@cache
def listed(path: Path = PRESETS / "synonyms.json") -> dict[str, dict[str, tuple[str, ...]]]:
    """The stand-ins of each word of the file, by language."""
    told = json.loads(path.read_text("utf-8"))
    return {
        language: {folded(word): tuple(folded(one) for one in words if one != word) for words in told[language] for word in words}
        for language in ("english", "bengali", "banglish")
    }


@cache
def banglish_words() -> frozenset[str]:
    return frozenset(listed()["banglish"]) - frozenset(listed()["english"])


Classing = tuple[Sequence[int], int]  # each row's class, and how many classes there are


def learn(texts: Sequence[str], *classings: Classing) -> StandIns:
    """The stand-ins for these training rows, which may be classed in several ways: into tags that they have or lack, say."""
    if len(texts) > MOST_ROWS:
        places = [at * len(texts) // MOST_ROWS for at in range(MOST_ROWS)]
        texts = [texts[at] for at in places]
        classings = tuple(([labels[at] for at in places], classes) for labels, classes in classings)
    rows = [[folded(word.text) for word in words_in(text)] for text in texts]
    counts = Counter(word for row in rows for word in row)
    vocabulary = [word for word, seen in counts.most_common(MOST_WORDS) if seen >= FEWEST_SEEN]
    pull = np.concatenate([_pull(rows, labels, classes, vocabulary) for labels, classes in classings], axis=1)
    return StandIns(listed(), _learnt(rows, vocabulary, pull), _apart(vocabulary, pull))


def _pull(rows: Sequence[Sequence[str]], labels: Sequence[int], classes: int, vocabulary: Sequence[str]) -> NDArray[np.float64]:
    """How much each word speaks for each class, in nats: (words, classes), 0 where it says nothing. Counts of rows, plus one each."""
    place = {word: at for at, word in enumerate(vocabulary)}
    seen = np.ones((len(vocabulary), classes))
    for row, label in zip(rows, labels, strict=True):
        for word in {word for word in row if word in place}:
            seen[place[word], label] += 1
    base = np.bincount(np.asarray(labels, dtype=np.int64), minlength=classes) + 1.0
    pull: NDArray[np.float64] = np.log(seen / seen.sum(axis=1, keepdims=True)) - np.log(base / base.sum())
    return pull


def _apart(vocabulary: Sequence[str], pull: NDArray[np.float64]) -> frozenset[tuple[str, str]]:
    place = {word: at for at, word in enumerate(vocabulary)}
    return frozenset(
        (word, other)
        for words in listed().values()
        for word, others in words.items()
        for other in others
        if word in place and other in place and np.abs(pull[place[word]] - pull[place[other]]).max() > SAME_LABELS
    )


def _learnt(rows: Sequence[Sequence[str]], vocabulary: Sequence[str], pull: NDArray[np.float64]) -> dict[str, tuple[str, ...]]:
    if len(vocabulary) < 2:
        return {}
    looks = _alike(_letters(vocabulary))
    stands = _alike(_neighbours(rows, vocabulary))
    both = (looks + stands) / 2
    for column in pull.T:
        both[np.abs(column[:, None] - column[None]) > SAME_LABELS] = -1
    both[(looks < LOOKS_ALIKE) | (stands < STANDS_ALIKE)] = -1
    np.fill_diagonal(both, -1)
    found = {}
    for at, word in enumerate(vocabulary):
        if len(word) < FEWEST_LETTERS or not may_change(word):
            continue
        near = np.argsort(-both[at], kind="stable")[:NEAREST]
        kept = tuple(vocabulary[other] for other in near if both[at, other] > 0 and _can_stand(word, vocabulary[other]))[:MOST_STAND_INS]
        if kept:
            found[word] = kept
    return found


def _can_stand(word: str, other: str) -> bool:
    """Whether the other is no contrary, as far as its ends tell, and no word that is never changed."""
    if len(other) < FEWEST_LETTERS or not may_change(other) or word[0] != other[0]:
        return False
    if word.endswith(NOT_AT_END) != other.endswith(NOT_AT_END):
        return False
    short, long = sorted((word, other), key=len)
    return not any(long.startswith(one) and long.removeprefix(one)[:3] == short[:3] for one in NOT_AT_BEGINNING)


def _letters(vocabulary: Sequence[str]) -> NDArray[np.float32]:
    """(words, groups) which groups of 2 to 4 characters each word has, its ends marked."""
    place: dict[str, int] = {}
    groups = [[place.setdefault(group, len(place)) for group in _groups(f"<{word}>")] for word in vocabulary]
    has = np.zeros((len(vocabulary), len(place)), dtype=np.float32)
    for at, mine in enumerate(groups):
        has[at, mine] = 1
    return has


def _groups(word: str) -> Iterable[str]:
    return {word[at : at + size] for size in (2, 3, 4) for at in range(len(word) - size + 1)}


def _neighbours(rows: Sequence[Sequence[str]], vocabulary: Sequence[str]) -> NDArray[np.float32]:
    """(words, directions) the company that each word keeps."""
    size = len(vocabulary)
    place = {word: at for at, word in enumerate(vocabulary)}
    ids = np.array([one for row in rows for one in (*(place.get(word, -1) for word in row), *[-1] * WINDOW)], dtype=np.int64)
    beside = np.zeros(size * size)
    for gap in range(1, WINDOW + 1):
        left, right = ids[:-gap], ids[gap:]
        there = (left >= 0) & (right >= 0)
        beside += np.bincount(left[there] * size + right[there], minlength=size * size) / gap
    together = beside.reshape(size, size)
    together = together + together.T
    totals = together.sum(axis=1)
    chance = totals**0.75
    chance = chance / max(chance.sum(), 1e-9)
    with np.errstate(divide="ignore", invalid="ignore"):
        told = np.log(together / np.maximum(totals[:, None], 1e-9) / np.maximum(chance[None], 1e-12))
    told = np.where(np.isfinite(told), np.maximum(told, 0), 0)
    weights, ways = np.linalg.eigh(told.T @ told)
    main = min(DIRECTIONS, max(1, size // 4))
    scaled = told @ ways[:, -main:] / np.maximum(weights[-main:], 1e-9) ** 0.25
    return np.asarray(scaled, dtype=np.float32)


def _alike(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """(rows, rows) cosine of each two."""
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return np.asarray(unit @ unit.T, dtype=np.float32)
