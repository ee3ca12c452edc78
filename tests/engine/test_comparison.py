"""What a comparison says: made curves, made answers, and figures that can be checked by hand."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from engine import comparison, scoring
from engine.comparison import Answers, Candidate, Figure, advise, difference, over_seeds, stability
from engine.scoring import Interval


def smooth(steps: int = 100) -> list[float]:
    return [0.2 + 0.5 * math.exp(-step / 30) for step in range(steps)]


def noisy(steps: int = 100, width: float = 0.03) -> list[float]:
    dice = random.Random(0)
    return [loss + dice.gauss(0, width) for loss in smooth(steps)]


# Loss stability


def test_a_smooth_curve_has_next_to_no_spread_and_no_spikes() -> None:
    told = stability(smooth(), 10)
    assert told is not None
    assert told.spread < 0.01
    assert (told.spikes, told.diverged) == (0, False)
    assert told.threshold == comparison.SPIKE_SHARE


def test_the_spread_is_that_of_the_steps_changes_over_the_mean_loss() -> None:
    losses = noisy(4000)
    told = stability(losses, 200)
    assert told is not None
    mean = sum(losses[200:]) / len(losses[200:])
    assert told.spread == pytest.approx(0.03 * math.sqrt(2) / mean, rel=0.1)  # a difference of two draws is wider by the root of two
    assert told.spikes <= 2  # of 3,800 normal changes 0.1 are expected above four spreads
    assert not told.diverged


def test_spikes_are_counted_and_do_not_widen_the_spread() -> None:
    losses = noisy()
    for at in (30, 50, 70):
        losses[at] += 1.0
    told, without = stability(losses, 10), stability(noisy(), 10)
    assert told is not None
    assert without is not None
    assert told.spikes == 3
    assert told.spread == pytest.approx(without.spread, rel=0.5)
    assert not told.diverged


def test_what_happens_in_the_warm_up_is_no_spike() -> None:
    losses = noisy()
    losses[3] += 2.0
    told = stability(losses, 10)
    assert told is not None
    assert told.spikes == 0


@pytest.mark.parametrize("losses", [[0.7 + 0.02 * step for step in range(60)], [*smooth(40), math.nan]], ids=["rises", "no number"])
def test_a_curve_that_rises_or_ends_in_no_number_has_diverged(losses: list[float]) -> None:
    told = stability(losses, 5)
    assert told is not None
    assert told.diverged


def test_nothing_is_said_of_a_handful_of_steps() -> None:
    assert stability([0.7, 0.6, 0.5], 0) is None
    assert stability(smooth(12), 10) is None
    assert stability([], 0) is None


# Intervals


def test_one_seed_keeps_the_interval_over_its_rows_and_several_have_student_s() -> None:
    one = Interval(0.8, 0.7, 0.9)
    assert over_seeds([]) is None
    assert over_seeds([one]) == Figure(0.8, 0.7, 0.9, "rows")
    told = over_seeds([one, Interval(0.84, 0.83, 0.85), Interval(0.82, 0.81, 0.83)])
    assert told is not None
    low, high = stats.t.interval(0.95, 2, loc=0.82, scale=0.02 / math.sqrt(3))  # reaches farther than the rows' 0.04
    assert (told.value, told.low, told.high) == pytest.approx((0.82, low, high), abs=1e-4)
    assert told.basis == "seeds"


def test_seeds_that_agree_leave_the_noise_of_the_test_rows() -> None:
    told = over_seeds([Interval(0.96, 0.92, 0.98), Interval(0.96, 0.9, 0.98)])
    assert told is not None
    assert (told.value, told.low, told.high) == pytest.approx((0.96, 0.91, 0.98))


def test_two_seeds_tell_their_range_or_their_rows_noise_and_not_from_none_to_all() -> None:
    told = over_seeds([Interval(0.81, 0.79, 0.83), Interval(0.73, 0.71, 0.75)])  # by Student's t 26 to 100 %
    assert told is not None
    assert (told.value, told.low, told.high, told.basis) == (pytest.approx(0.77), pytest.approx(0.73), pytest.approx(0.81), "range")


def test_student_s_quantiles_are_those_of_scipy() -> None:
    exact = {df: stats.t.ppf(0.975, df) for df in range(1, 20)}
    assert exact == pytest.approx(comparison.STUDENT, abs=5e-4)


def test_an_interval_over_seeds_stays_between_none_and_all() -> None:
    told = over_seeds([Interval(0.99, 0.9, 1), Interval(0.7, 0.6, 0.8), Interval(0.4, 0.3, 0.5)])
    assert told is not None
    assert (told.low, told.high) == (0.0, 1.0)


# Differences


LABELS = np.arange(200) % 2


def answers(wrong: int, seed: int = 0, labels: np.ndarray = LABELS) -> Answers:
    """So many wrong answers, at places drawn by chance."""
    predicted = labels.copy()
    at = np.random.default_rng(seed).permutation(len(labels))[:wrong]
    predicted[at] = 1 - predicted[at]
    return Answers(labels, predicted, 2)


def test_many_more_rows_right_is_a_difference_and_a_few_are_noise() -> None:
    far = difference("a", "b", [(answers(20), answers(60, 1))], 1)
    assert (far.beyond_chance, far.better) == (True, "a")
    assert far.p_value < 0.001
    assert far.gain is not None
    assert far.gain.low > 0
    near = difference("a", "b", [(answers(20), answers(24, 1))], 1)
    assert (near.beyond_chance, near.better) == (False, "")


def test_a_difference_must_hold_with_every_seed() -> None:
    pairs = [(answers(20), answers(60, 1)), (answers(20, 2), answers(22, 3))]
    assert not difference("a", "b", pairs, 1).beyond_chance
    assert difference("a", "b", [pairs[0], (answers(20, 2), answers(70, 3))], 1).better == "a"
    assert not difference("a", "b", [pairs[0], (answers(60, 2), answers(20, 3))], 1).beyond_chance, "they point to different sides"


def test_one_that_only_says_the_largest_class_is_not_within_noise_of_one_that_finds_the_others() -> None:
    labels = (np.arange(200) >= 170).astype(np.int64)
    finds = labels.copy()
    finds[140:170] = 1  # as many rows wrong as the other has
    told = difference("finds", "lazy", [(Answers(labels, finds, 2), Answers(labels, np.zeros(200, dtype=np.int64), 2))], 1)
    assert told.p_value == 1.0
    assert told.better == "finds"


def test_runs_on_other_rows_are_not_paired() -> None:
    told = difference("a", "b", [(answers(20), answers(60, labels=1 - LABELS))], 1)
    assert (told.beyond_chance, told.gain) == (False, None)


def test_answers_are_read_in_the_order_of_the_rows() -> None:
    lines = [
        {"row": 9, "label": "ভালো", "predicted": "খারাপ", "probabilities": {"ভালো": 0.1, "খারাপ": 0.9}},
        {"row": 2, "label": "খারাপ", "predicted": "খারাপ", "probabilities": {}},
    ]
    told = comparison.read_answers(lines)
    assert told is not None
    assert (told.labels == told.predicted).tolist() == [True, False]
    assert told.classes == 2
    assert comparison.read_answers([]) is None


# What to take


def candidate(method: str, wrong: int, memory: float, seconds: float, seed: int = 0, **beats: bool) -> Candidate:
    share = 1 - wrong / 200
    figure = Figure(share, share - 0.05, share + 0.05, "rows")
    ahead = {"majority": True, "tfidf": True} | beats
    return Candidate(method, method.upper(), figure, figure, int(memory * 1e9), seconds, {42: answers(wrong, seed)}, ahead)


def test_of_those_within_noise_of_the_best_the_one_that_costs_least_is_taken() -> None:
    told = advise([candidate("full", 20, 4.0, 600), candidate("lora", 22, 1.0, 200, 1), candidate("head", 80, 0.5, 60, 2)])
    assert (told.best, told.take, told.alike) == ("full", "lora", ("full", "lora"))
    assert told.sentences[0].startswith("Take LORA: FULL has the best figure (macro F1 90.0\u00a0%), but the difference is within noise")
    assert "1.0\u00a0GB and 3.3\u00a0min a run against 4.0\u00a0GB and 10\u00a0min" in told.sentences[0]
    assert "Worse than FULL by more than chance: HEAD" in " ".join(told.sentences)


@pytest.mark.parametrize("methods", [2, 5, 14])
def test_of_equally_good_methods_one_is_called_worse_in_few_studies(methods: int) -> None:
    """All are wrong on hard rows more often than on others, and equally often; 5 % of the studies may say more, and chance a little.

    Five classes of very different sizes, so that rows right and macro F1 are two chances to err.
    """
    dice = np.random.default_rng(methods)
    labels = dice.choice(5, 500, p=[0.6, 0.2, 0.1, 0.05, 0.05])
    studies, wrongly = 400 // min(2, methods - 1), 0
    for _ in range(studies):
        chances = np.where(dice.random(500) < 0.12, 0.6, 0.06)
        candidates = []
        for method in range(methods):
            wrong = dice.random(500) < chances
            found = Answers(labels, np.where(wrong, (labels + dice.integers(1, 5, 500)) % 5, labels), 5)
            figure = Figure(scoring.figures_of(scoring.confusion_matrix(labels, found.predicted, 5))["macro_f1"], 0.0, 1.0, "rows")
            candidates.append(Candidate(str(method), str(method), figure, figure, 10**9, 60, {42: found}, {}))
        candidates.sort(key=lambda one: one.quality.value)  # the lowest two and the best tell; the others lie between
        best, lowest = candidates[-1], candidates[: min(2, methods - 1)]
        pairs = comparison.pairs_among(methods)
        wrongly += any(difference("a", "b", [(best.answers[42], one.answers[42])], pairs).beyond_chance for one in lowest)
    assert wrongly <= 0.05 * studies + 2 * math.sqrt(0.05 * 0.95 * studies)


def test_the_level_is_shared_by_all_pairs_and_the_words_say_so() -> None:
    told = advise([candidate(name, 20 + at, 1, 10, at) for at, name in enumerate("abcde")])
    assert "at 5 % over both tests of all 10 pairs of methods" in " ".join(told.sentences)


def test_a_method_of_unknown_memory_is_not_taken_as_the_cheapest() -> None:
    unknown = replace(candidate("lora", 22, 1.0, 200, 1), memory_bytes=None)
    assert advise([candidate("full", 20, 4.0, 600), unknown]).take == "full"
    best = replace(candidate("full", 20, 4.0, 600), memory_bytes=None)
    assert advise([best, candidate("lora", 22, 1.0, 200, 1)]).take == "full", "what it would save is not known"


def test_the_best_is_taken_where_nothing_is_as_good_or_as_good_and_lighter() -> None:
    alone = advise([candidate("full", 10, 4.0, 600), candidate("head", 80, 0.5, 60, 2)])
    assert alone.take == "full"
    assert "the best of those compared" in alone.sentences[0]
    light = advise([candidate("lora", 20, 1.0, 100), candidate("full", 21, 4.0, 600, 1)])
    assert light.take == "lora"
    assert "the best figure, and none that is as good within noise is lighter" in light.sentences[0]
    level = advise([candidate("lora", 20, 1.0, 100), candidate("full", 20, 4.0, 600)])
    assert "no figure is better, and none that is as good within noise is lighter" in level.sentences[0]


def test_a_baseline_above_every_method_is_named_right_after_what_to_take() -> None:
    found = [candidate("a", 60, 1, 10, tfidf=False), candidate("b", 62, 2, 10, 1, tfidf=False)]
    most = max(one.accuracy.value for one in found)
    told = advise(found, baselines={"TF-IDF": most + 0.05, "Largest class": 0.1})
    assert told.sentences[0].startswith("Take ")
    assert any(one.startswith("But TF-IDF reaches") for one in told.sentences[1:3])
    assert not any("Largest class reaches" in one for one in told.sentences)
    assert not any(one.startswith("But ") for one in advise(found, baselines={"TF-IDF": most - 0.05}).sentences)


def test_where_every_method_loses_clearly_to_a_baseline_none_is_to_be_taken() -> None:
    name = "TF-IDF with logistic regression"
    found = [replace(candidate(one, 60, 1, 10, at, tfidf=False), loses=frozenset({name})) for at, one in enumerate("ab")]
    told = advise(found, baselines={name: 0.9, "Largest class": 0.1})
    assert (told.take, told.best) == ("", "a")
    assert told.sentences[0].startswith(f"None of these is worth taking yet: {name} reaches 90.0\u00a0% right")
    assert "The nearest is A (macro F1 70.0\u00a0%" in told.sentences[1]
    assert not any(one.startswith(("Take ", "Mind: ", "But ")) for one in told.sentences)
    assert advise([replace(found[0], loses=frozenset()), found[1]], baselines={name: 0.9}).take == "a", "one of them may be as good"


def test_where_none_has_learnt_anything_none_is_to_be_taken() -> None:
    poor = [candidate("a", 95, 1, 10, majority=False, tfidf=False), candidate("b", 99, 1, 10, 1, majority=False, tfidf=False)]
    told = advise(poor, baselines={"TF-IDF": 0.8})
    assert (told.take, told.best) == ("", "a")
    assert "none is better than always saying the largest class" in told.sentences[0]
    assert "TF-IDF 80.0\u00a0% right" in told.sentences[1]


def test_what_is_taken_is_weighed_against_the_baselines() -> None:
    lazy = candidate("lazy", 22, 0.5, 10, 1, majority=False, tfidf=False)
    assert "Mind: LAZY is not better than always saying the largest class" in advise([candidate("a", 20, 1, 10), lazy]).sentences[-1]
    told = advise([candidate("a", 20, 1, 10, tfidf=False), candidate("b", 22, 2, 10, 1, tfidf=False)])
    assert "no method here does" in told.sentences[-1]


def test_with_fewer_than_two_judged_nothing_is_said_but_that() -> None:
    assert advise([]).take == ""
    assert advise([candidate("lora", 20, 1, 10)]).sentences[0].startswith("There is nothing to choose between yet")
    assert "2 methods are not judged yet" in advise([candidate("a", 20, 1, 10), candidate("b", 22, 2, 10)], unfinished=2).sentences[-1]
