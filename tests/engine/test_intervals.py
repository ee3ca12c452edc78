"""Intervals by simulation: of 1,000 tests of a model whose true figures are known, 93 to 97 % of the intervals hold them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from engine import number_metrics, resampling, tag_metrics, text_metrics
from engine.resampling import Figure, Floats

TESTS, DRAWS = 1000, 400
Make = Callable[[np.random.Generator, int], Sequence[Figure]]


@pytest.fixture
def drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are drawn once for all tests: which ones says nothing of the numbers in them, and drawing takes most of the time."""
    real, kept = resampling._drawn, dict[tuple[int, int, int], list[Floats]]()

    def drawn(rows: int, seed: int, draws: int) -> Iterator[Floats]:
        key = rows, seed, draws
        if key not in kept:
            kept[key] = list(real(*key))
        return iter(kept[key])

    monkeypatch.setattr(resampling, "_drawn", drawn)


def held(make: Make, rows: int, *, truth: int = 1_000_000, draws: int = DRAWS) -> dict[str, int]:
    """Of how many tests of so many rows the interval holds the true figure, that of `truth` rows; by the figure's id."""
    true = {one.id: one.value for one in make(np.random.default_rng(1), truth)}
    dice, found = np.random.default_rng(2), dict.fromkeys(true, 0)
    for _ in range(TESTS):
        for one in make(dice, rows):
            told = resampling.interval(one, draws=draws)
            found[one.id] += told.low <= true[one.id] <= told.high
    return found


def prices(dice: np.random.Generator, rows: int) -> Sequence[Figure]:
    """Numbers from a normal distribution, told with a normal error."""
    right = dice.normal(5, 2, rows)
    return _of_numbers(2 + 0.6 * right + dice.normal(0, 1, rows), right)


def stars(dice: np.random.Generator, rows: int) -> Sequence[Figure]:
    """Whole stars of 1 to 10, so that many are equal."""
    right = dice.integers(1, 11, rows).astype(float)
    return _of_numbers(np.clip(5.5 + 0.7 * (right - 5.5) + dice.normal(0, 1.6, rows), 1, 10), right)


def _of_numbers(said: Floats, right: Floats) -> Sequence[Figure]:
    return (
        *number_metrics.off_by(said.tolist(), right.tolist()),
        number_metrics.spearman(said.tolist(), right.tolist()),
        number_metrics.pearson(said.tolist(), right.tolist()),
    )


def tags(dice: np.random.Generator, rows: int) -> Sequence[Figure]:
    """Five tags, common and rare, more of them wrong in some rows than in others."""
    wanted = dice.random((rows, 5)) < (0.5, 0.4, 0.3, 0.2, 0.1)
    hard = dice.random((rows, 1)) < 0.3
    given = wanted ^ (dice.random((rows, 5)) < np.where(hard, 0.3, 0.05))
    return tag_metrics.figures(given, wanted)  # type: ignore[arg-type]


@pytest.mark.usefixtures("drawn_once")
@pytest.mark.parametrize("make", [prices, stars, tags])
def test_intervals_of_numbers_and_tags_hold_the_truth_in_93_to_97_of_100_tests(make: Make) -> None:
    found = held(make, 100, truth=300_000)
    assert {name: count for name, count in found.items() if not 930 <= count <= 970} == {}


def one_of(pool: Sequence[Figure]) -> Make:
    """Tests whose rows are drawn from a large pool, so that its own figures are the true ones."""

    def make(dice: np.random.Generator, rows: int) -> Sequence[Figure]:
        chosen = np.arange(len(pool[0].rows)) if rows == TRUE else dice.integers(len(pool[0].rows), size=rows)
        return [replace(one, rows=one.rows[chosen]) for one in pool]

    return make


TRUE = -1  # rows: all of the pool
LINE = ("the", "old", "film", "was", "good", "so", "we", "saw", "it", "again", "and", "with", "all", "friends", "খুব", "ভালো", "লেগেছে")


def written(dice: np.random.Generator, rows: int) -> tuple[list[str], list[str]]:
    """What was written and what was wanted: every word is right with a chance of the row's own, a tenth of the rows wholly."""
    wanted = [[LINE[at] for at in dice.integers(len(LINE), size=dice.integers(2, 15))] for _ in range(rows)]
    chances = np.where(dice.random(rows) < 0.1, 1.0, dice.beta(1.5, 1.5, rows))
    said = [[word if dice.random() < chance else "wrong" for word in line] for line, chance in zip(wanted, chances, strict=True)]
    return [" ".join(line) for line in said], [" ".join(line) for line in wanted]


@pytest.mark.usefixtures("drawn_once")
def test_intervals_of_written_texts_hold_the_truth_in_93_to_97_of_100_tests() -> None:
    said, wanted = written(np.random.default_rng(3), 3000)
    accepted = [[one] for one in wanted]
    pool = [text_metrics.token_f1(said, accepted), text_metrics.exact_match(said, accepted), *text_metrics.rouge(said, accepted)]
    found = held(one_of(pool), 100, truth=TRUE)
    assert {name: count for name, count in found.items() if not 930 <= count <= 970} == {}


@pytest.mark.usefixtures("drawn_once")
def test_intervals_of_chrf_hold_the_truth_in_93_to_97_of_100_tests() -> None:
    said, wanted = written(np.random.default_rng(3), 2000)
    found = held(one_of([text_metrics.chrf(said, [[one] for one in wanted])]), 100, truth=TRUE, draws=200)
    assert 930 <= found["chrf"] <= 970


def test_where_all_rows_are_alike_nothing_is_told_as_certain() -> None:
    every, none = (resampling.mean("exact", "Exact match", np.full(30, value), better="higher", note="") for value in (1.0, 0.0))
    assert (resampling.interval(every).low, resampling.interval(every).high) == pytest.approx((0.8865, 1.0), abs=1e-4)
    assert (resampling.interval(none).low, resampling.interval(none).high) == pytest.approx((0.0, 0.1135), abs=1e-4)
