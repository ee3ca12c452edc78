"""What the doctor sees of rows that nearly are another one: copies, leaks into the test, twins with different labels. Pure, bounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import regex
from numpy.typing import NDArray

from engine.data import near
from engine.data.doctor_texts import word_before
from engine.data.finding import Finding, Remedy
from engine.data.fixes import compared, conflicting, joined, later_copies
from engine.data.near import nearly
from engine.data.rows import Usable
from engine.data.table import shown
from engine.fix import Fix

MUCH = 0.01  # share of rows from which a doubt weighs
FEW = 0.001  # share of rows below which near copies are not worth a word
MOST_ROWS = 200_000  # among which near copies are looked for; the fix goes through all of them
SHOWN = 3
WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+")
APART = "They differ in capital letters, punctuation or blanks alone, or in one word of ten at most, never in a number or a “not”"

Mask = NDArray[np.bool_]


def findings(
    parts: Sequence[pa.ChunkedArray], rows: Usable, given_parts: Sequence[pa.ChunkedArray] | None, given: Usable | None
) -> Iterator[Finding]:
    """What is to be said of rows that are nearly alike. `parts`: what is read and written of `rows`, column by column."""
    most = min(len(rows.texts), MOST_ROWS)
    looked = None if most == len(rows.texts) else most
    columns, labels = [compared(one.slice(0, most)) for one in parts], rows.labels.slice(0, most)
    texts = joined(columns)
    plain = nearly(texts)
    if given is not None and given_parts is not None:
        yield from _leaks(columns, texts, plain, labels, [compared(one) for one in given_parts], given, looked)
    again = np.asarray(later_copies(plain, labels))
    found = near.within(columns, labels, ~again)
    spelt = again & ~np.asarray(later_copies(texts, labels))
    turned = np.asarray(conflicting(plain, labels)) & ~np.asarray(conflicting(texts, labels))
    yield from _copies(texts, plain, labels, spelt, found.earlier, len(rows.texts), looked, has_test=given is not None)
    yield from _turned(texts, plain, labels, turned, found.turned, len(rows.texts), looked)


def _leaks(
    columns: Sequence[pa.ChunkedArray], texts: pa.ChunkedArray, plain: pa.ChunkedArray, labels: pa.ChunkedArray,
    tested: Sequence[pa.ChunkedArray], given: Usable, looked: int | None,
) -> Iterator[Finding]:  # fmt: skip
    test = joined(tested)
    exact = np.asarray(pc.is_in(test, pc.unique(texts)))
    twin = np.full(len(test), -1, np.int64)
    if len(columns) == len(tested):
        _, twin = near.across(columns, labels, tested, given.labels)
    seen = (np.asarray(pc.is_in(nearly(test), pc.unique(plain))) | (twin >= 0)) & ~exact
    if not (count := int(seen.sum())):
        return
    numbers = given.numbers.to_numpy()
    told = (
        (at, shown(test[at].as_py(), 100) if twin[at] < 0 else beside(test[at].as_py(), texts[int(twin[at])].as_py()))
        for at in _some(seen, twin)
    )
    examples = tuple(f"test row {numbers[at]:,}: {one}" for at, one in told)
    yield Finding(
        "near-leakage", "Test texts that nearly stand in the training rows", count, 3 if count >= MUCH * len(test) else 1,
        f"{APART}, from a training text, so the model has as good as seen them.",
        examples, (Remedy("Leave their twins out of training", (str(Fix("drop-nearly-leaked")),)),), looked=looked,
    )  # fmt: skip


def _copies(
    texts: pa.ChunkedArray, plain: pa.ChunkedArray, labels: pa.ChunkedArray, spelt: Mask, earlier: NDArray[np.int64], whole: int,
    looked: int | None, *, has_test: bool,
) -> Iterator[Finding]:  # fmt: skip
    mask = spelt | (earlier >= 0)
    count, most = int(mask.sum()), len(texts)
    if count < max(2, FEW * most):
        return
    first = {at: int(earlier[at]) if earlier[at] >= 0 else _first(plain, labels, at) for at in _some(mask, earlier)}
    largest = 1 + int(np.bincount(earlier[earlier >= 0]).max(initial=0))
    yield Finding(
        "near-copies", "Nearly the same as an earlier row", round(count * whole / most),
        2 if count >= MUCH * most and not has_test else 1,
        f"{APART}, and have the same label: they teach hardly anything new"
        + ("." if has_test else ", and one in training makes its twin in the test easy.")
        + (f" The largest group has {largest:,} rows." if largest > SHOWN else ""),
        tuple(beside(texts[at].as_py(), texts[other].as_py()) for at, other in first.items()),
        (Remedy("Keep the first of each", (str(Fix("drop-near-copies")),)),), looked=looked,
    )  # fmt: skip


def _turned(
    texts: pa.ChunkedArray, plain: pa.ChunkedArray, labels: pa.ChunkedArray, spelt: Mask, other: NDArray[np.int64], whole: int,
    looked: int | None,
) -> Iterator[Finding]:  # fmt: skip
    mask = spelt | (other >= 0)
    count, most = int(mask.sum()), len(texts)
    if count < 2:
        return
    examples: dict[frozenset[int], str] = {}
    for at in np.flatnonzero(mask).tolist():
        twin = int(other[at]) if other[at] >= 0 else _first(plain, labels, at, same=False)
        told = beside(texts[at].as_py(), texts[twin].as_py())
        examples.setdefault(frozenset((at, twin)), f"{told} → {shown(labels[at].as_py(), 30)}, {shown(labels[twin].as_py(), 30)}")
        if len(examples) == SHOWN:
            break
    yield Finding(
        "near-contradictions", "Nearly the same text with different labels", round(count * whole / most), 2 if count >= MUCH * most else 1,
        f"{APART}. Where a changed word turns the label both are worth learning, else one of the labels is wrong. All of them are kept.",
        tuple(examples.values()), looked=looked,
    )  # fmt: skip


def _some(mask: Mask, twin: NDArray[np.int64]) -> list[int]:
    """A few of these rows, those with other words first, in their order."""
    changed, others = np.flatnonzero(mask & (twin >= 0)), np.flatnonzero(mask & (twin < 0))
    taken = [*changed[: SHOWN - min(1, len(others))], *others]
    return sorted(int(at) for at in taken[:SHOWN])


def _first(plain: pa.ChunkedArray, labels: pa.ChunkedArray, at: int, *, same: bool = True) -> int:
    """The first row that is as this one but for case, punctuation and blanks, with the same label, or with another one."""
    alike = pc.equal(plain, plain[at])
    label = pc.equal(labels, labels[at])
    return int(np.flatnonzero(np.asarray(pc.and_(alike, label if same else pc.invert(label))))[0])


def beside(one: str, other: str, length: int = 60) -> str:
    """Both texts in short, from a little before the place where they part: the first word that differs, else the first sign."""
    words, others = list(WORD.finditer(one)), list(WORD.finditer(other))
    apart = next((pair for pair in zip(words, others, strict=False) if pair[0][0].lower() != pair[1][0].lower()), None)
    if apart is None:
        signs = enumerate(zip(one, other, strict=False))
        at = next((place for place, (first, second) in signs if first != second), min(len(one), len(other)) if one != other else 0)
        places = at, at
    else:
        places = apart[0].start(), apart[1].start()
    starts = [word_before(text, place - length // 2) for text, place in zip((one, other), places, strict=True)]
    return " ≈ ".join(f"{'…' if start else ''}{shown(text[start:], length)}" for text, start in zip((one, other), starts, strict=True))
