"""What stands in several rows, found through hashes, is what comparing every row with every other finds."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

from engine.data import repeats, table


def chunks(values: list[str | None], size: int = 7) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values[at : at + size], pa.string()) for at in range(0, len(values), size)], pa.string())


@pytest.mark.parametrize("kinds", [1, 5, 60, 5000])
def test_copies_and_contradictions_are_those_of_a_comparison_of_all_rows(kinds: int) -> None:
    dice = random.Random(kinds)
    texts = [dice.choice(["", None, f"ক{dice.randrange(kinds)}", f"word {dice.randrange(kinds)}"]) for _ in range(400)]
    labels = [dice.choice("abc") for _ in texts]
    counts = [text not in ("", None) and dice.random() < 0.9 for text in texts]
    seen: set[tuple[str | None, str]] = set()
    later = []
    for text, label, counted in zip(texts, labels, counts, strict=True):
        later.append(counted and (text, label) in seen)
        if counted:
            seen.add((text, label))
    several = [counted and len({label for one, label in seen if one == text}) > 1 for text, counted in zip(texts, counts, strict=True)]
    among = pa.chunked_array([pa.array(counts)])
    assert repeats.later_copies(chunks(texts), chunks(labels), among=among).to_pylist() == later
    assert repeats.with_several(chunks(texts), chunks(labels), among).to_pylist() == several
    there = [text for text in texts if text is not None]
    assert repeats.count_distinct(chunks(there)) == len(set(there))


def test_hashes_that_meet_by_chance_make_no_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "hash", lambda _: 1, raising=False)
    values, among = chunks([str(at) for at in range(50)]), pa.chunked_array([pa.array([True] * 50)])
    assert repeats.count_distinct(values) == 50
    assert not any(repeats.later_copies(values, among=among).to_pylist())
    assert not any(repeats.with_several(values, values, among).to_pylist())


def test_nothing_at_all_has_no_copies() -> None:
    none = chunks([])
    assert repeats.count_distinct(none) == 0
    assert repeats.later_copies(none, none, among=pa.chunked_array([], pa.bool_())).to_pylist() == []


def test_a_chunk_that_stays_as_it_was_is_not_copied() -> None:
    values = chunks(["a", "b", " c "], 1)
    made = table.by_chunk(values, pa.compute.utf8_trim_whitespace)
    assert made.to_pylist() == ["a", "b", "c"]
    addresses = [[one.buffers()[2].address for one in of.chunks] for of in (values, made)]
    assert [old == new for old, new in zip(*addresses, strict=True)] == [True, True, False]
