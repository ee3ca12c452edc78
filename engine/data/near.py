"""Texts that are another one with a few words changed, in bounded time and memory. Pure, the same in every process.

MinHash over words says which rows may be alike (Broder 1997, banded as in Leskovec et al., Mining of Massive Datasets, 3.4); a comparison
word by word decides. What a changed word could turn is no copy: texts with other numbers, with a "not" more or less, and short ones, of
which a word is much.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from unicodedata import normalize
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from engine.data.table import by_chunk

FEWEST_WORDS = 10  # of which one may differ
# Of the longer text's words. With 0.2 and 5 words 370 of 1,136 like pairs of bank questions (banking77) had another label: there a
# changed word turns it. With 0.1 and 10 words 7 of 97 had, and 55 of 57 pairs looked at by hand, in three files, said the same again.
MOST_CHANGED = 0.1
BANDS, ROWS = 8, 4  # of the signature: of two texts with 9 of 11 words in common 99 % meet in a band, of two with 5 of 10 40 %
MOST_COMPARED = 16  # rows that one is compared with: a pattern with other words filled in, thousands of times, stays quick
PIECE = 16_384  # rows looked at together
UNSPOKEN = r"[\pP\pZ\s]+"  # what near copies may differ in, besides capital letters
WITHOUT_BLANKS = r"([\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}])"  # scripts whose signs are words here
NOT = (
    "no not never none nothing nobody nor neither without cannot hardly barely t dont doesnt didnt isnt arent wasnt werent cant couldnt "
    "wont wouldnt shouldnt havent hasnt hadnt aint na nai nei noy ni nah না নয় নেই নাই নি নন নহে ছাড়া 不 没 未 無 非 别"
)
TURNS = frozenset(normalize("NFC", NOT).split())
TURNING_ENDS = ("নি", "না", "নেই")  # Bengali writes its "not" behind the verb, often as one word


def nearly(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts as near copies are compared: neither case, nor punctuation, nor blanks count. One without any letter stays as it is."""
    return by_chunk(texts, plain)


def plain(chunk: pa.Array) -> pa.Array:
    told = pc.utf8_trim_whitespace(pc.replace_substring_regex(pc.utf8_lower(chunk), UNSPOKEN, " "))
    return pc.if_else(pc.equal(told, ""), chunk, told)


@dataclass(frozen=True)
class Near:
    """What was found of each row; -1 where there is none."""

    earlier: NDArray[np.int64]  # an earlier row that it nearly is, with the same label, and which is kept itself
    turned: NDArray[np.int64]  # a row of other words that it nearly is, with another label


def within(parts: Sequence[pa.ChunkedArray], labels: pa.ChunkedArray, among: NDArray[np.bool_]) -> Near:
    """Of these rows, which nearly are another of them. `parts`: the columns that are compared, each by itself.

    Rows are compared only where `among` is true.
    """
    count = len(among)
    found = Near(np.full(count, -1, np.int64), np.full(count, -1, np.int64))
    told = _Looked.at(parts, among)
    names = labels.take(pa.array(told.places)).to_pylist()
    for row, others in told.meetings():
        for other in others:
            place, twin = told.places[row], told.places[other]
            if not told.alike(row, other):
                continue
            if names[row] == names[other]:
                found.earlier[place] = twin if found.earlier[place] < 0 else found.earlier[place]
            elif told.words(row) != told.words(other):
                found.turned[place], found.turned[twin] = twin, place
        if found.earlier[told.places[row]] < 0:
            told.keep(row)
    return found


def across(
    parts: Sequence[pa.ChunkedArray], labels: pa.ChunkedArray, tested: Sequence[pa.ChunkedArray], wanted: pa.ChunkedArray
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Of the training rows, which nearly are a test row of the same label; of each test row, the first training row like it, or -1."""
    first, second = len(labels), len(wanted)
    both = [pa.chunked_array([*one.chunks, *other.chunks], pa.string()) for one, other in zip(tested, parts, strict=True)]
    told = _Looked.at(both, np.ones(first + second, np.bool_))
    names = pa.chunked_array([*wanted.chunks, *labels.chunks], labels.type).take(pa.array(told.places)).to_pylist()
    training, test = np.zeros(first, np.bool_), np.full(second, -1, np.int64)
    for row, others in told.meetings():
        place = told.places[row]
        if place < second:
            told.keep(row)
            continue
        for other in others:
            if names[row] == names[other] and told.alike(row, other):
                training[place - second] = True
                if test[told.places[other]] < 0:
                    test[told.places[other]] = place - second
    return training, test


@dataclass(frozen=True)
class _Looked:
    """The rows that may be like another one, in their order."""

    places: NDArray[np.int64]  # (rows,) in the table
    keys: NDArray[np.uint64]  # (rows, bands), 0 where no other row has the same
    words: Callable[[int], tuple[list[str], ...]]  # of a row, those of each part
    kept: dict[int, list[int]]  # key -> rows that later ones are compared with

    @classmethod
    def at(cls, parts: Sequence[pa.ChunkedArray], among: NDArray[np.bool_]) -> _Looked:
        places, keys = _keys(parts, among)
        for band in range(BANDS):
            column = keys[:, band]
            in_order = np.sort(column)
            column[~np.isin(column, np.unique(in_order[1:][in_order[1:] == in_order[:-1]]))] = 0
        some = keys.any(axis=1)
        places, keys = places[some], keys[some]
        taken = [pa.concat_arrays(part.take(pa.array(places)).chunks or [pa.array([], pa.string())]) for part in parts]
        texts = [pc.fill_null(_spaced(plain(one)), "") for one in taken]

        @lru_cache(maxsize=4096)
        def words(row: int) -> tuple[list[str], ...]:
            return tuple(one[row].as_py().split() for one in texts)

        return cls(places, keys, words, {})

    def meetings(self) -> Iterator[tuple[int, list[int]]]:
        """Each row with the kept ones that it meets in a band."""
        for row in range(len(self.places)):
            others: dict[int, None] = {}
            for key in self.keys[row].tolist():
                if key:
                    others.update(dict.fromkeys(self.kept.get(key, ())))
            yield row, list(others)[:MOST_COMPARED]

    def keep(self, row: int) -> None:
        for key in self.keys[row].tolist():
            if key and len(kept := self.kept.setdefault(key, [])) < MOST_COMPARED:
                kept.append(row)

    def alike(self, row: int, other: int) -> bool:
        return all(map(alike, self.words(row), self.words(other)))


def alike(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether these words are the others with so few changed that neither the sense nor a number can be another."""
    most = int(MOST_CHANGED * max(len(one), len(other)))
    if max(len(one), len(other)) < FEWEST_WORDS:
        return one == other
    if Levenshtein.distance(one, other, score_cutoff=most) > most:
        return False
    return not any(
        _turns(word)
        for step in Levenshtein.opcodes(one, other)
        if step.tag != "equal"
        for word in (*one[step.src_start : step.src_end], *other[step.dest_start : step.dest_end])
    )


def _turns(word: str) -> bool:
    return word in TURNS or word.endswith(TURNING_ENDS) or any(sign.isnumeric() for sign in word)


def _spaced(chunk: pa.Array) -> pa.Array:
    """Signs of scripts that are written without blanks, each a word."""
    return pc.replace_substring_regex(chunk, WITHOUT_BLANKS, r" \1 ")


def _keys(parts: Sequence[pa.ChunkedArray], among: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """The places of the rows that are long enough, and the keys of their bands. Rows with other numbers have other keys."""
    places, keys = [], []
    dice = np.random.default_rng(20)
    odd, plus = dice.integers(0, 2**63, (2, BANDS * ROWS, 1), np.uint64) * np.uint64(2) + np.uint64(1)
    for begin in range(0, len(among), PIECE):
        rows = np.flatnonzero(among[begin : begin + PIECE])
        told = [plain(pa.concat_arrays(part.slice(begin, PIECE).chunks).take(pa.array(rows))) for part in parts]
        if not all(pc.all(pc.fill_null(pc.string_is_ascii(one), True)).as_py() for one in told):
            told = [_spaced(one) for one in told]
        whole = pc.binary_join_element_wise(*(pc.fill_null(one, "") for one in told), " ")
        lists = pc.utf8_split_whitespace(pc.utf8_trim_whitespace(whole))
        long = pc.greater_equal(pc.list_value_length(lists), FEWEST_WORDS)
        lists, rows = lists.filter(long), rows[np.asarray(long)]
        if not len(rows):
            continue
        words = lists.flatten().dictionary_encode()
        hashes = np.fromiter((crc32(one.encode()) for one in words.dictionary.to_pylist()), np.uint64)
        numeric = np.asarray(pc.match_substring_regex(words.dictionary, r"\pN"))
        codes, starts = np.asarray(words.indices), np.asarray(lists.offsets)[:-1] - lists.offsets[0].as_py()
        spread = (hashes * odd + plus) >> np.uint64(32)  # (bands x rows, different words)
        least = np.empty((len(rows), BANDS * ROWS), np.uint64)
        for at in range(BANDS * ROWS):
            least[:, at] = np.minimum.reduceat(spread[at][codes], starts)
        numbers = np.add.reduceat(np.where(numeric, _mixed(hashes), np.uint64(0))[codes], starts)
        made = np.empty((len(rows), BANDS), np.uint64)
        for band in range(BANDS):
            key = _mixed(numbers + np.uint64(band + 1))
            for at in range(band * ROWS, (band + 1) * ROWS):
                key = _mixed(key ^ least[:, at])
            made[:, band] = key
        places.append(rows + begin)
        keys.append(made)
    if not places:
        return np.empty(0, np.int64), np.empty((0, BANDS), np.uint64)
    return np.concatenate(places), np.concatenate(keys)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A hash of each, splitmix64's."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
