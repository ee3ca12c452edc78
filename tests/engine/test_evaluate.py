"""The verdict's figures against scikit-learn and SciPy, its statistics against published examples, its words case by case."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, classification_report, f1_score, log_loss
from sklearn.metrics import confusion_matrix as reference_confusion

from engine import evaluate, scoring, verdict
from engine.baselines import Guess
from engine.data.overlap import overlap
from engine.data.split import Rows
from engine.errors import RunFailed
from engine.scoring import BaselineScore, Interval
from engine.verdict import Rival

CLASSES = ("নেতিবাচক", "neutral", "positive")


def rows(labels: list[int], texts: list[str] | None = None) -> Rows:
    return Rows(texts or [f"text {at}" for at in range(len(labels))], labels, list(range(1, len(labels) + 1)))


def chances(predicted: np.ndarray, classes: int, confidence: float = 0.8) -> np.ndarray:
    result = np.full((len(predicted), classes), (1 - confidence) / max(1, classes - 1))
    result[np.arange(len(predicted)), predicted] = confidence
    return result


def answers(count: int, classes: int, right: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    dice = np.random.default_rng(seed)
    truth = dice.integers(0, classes, count)
    return truth, np.where(dice.random(count) < right, truth, dice.integers(0, classes, count))


@given(
    labels=st.lists(st.integers(0, 4), min_size=1, max_size=60),
    seed=st.integers(0, 10_000),
)
@settings(max_examples=60)
def test_the_figures_are_those_of_scikit_learn(labels: list[int], seed: int) -> None:
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(5), len(labels))
    predicted = probabilities.argmax(axis=1)
    told = evaluate.scores(labels, probabilities, "abcde")
    report = classification_report(labels, predicted, output_dict=True, zero_division=0)
    assert told["accuracy"] == pytest.approx(accuracy_score(labels, predicted))
    for average in ("macro", "weighted"):
        for ours, theirs in (("f1", "f1-score"), ("precision", "precision"), ("recall", "recall")):
            assert told[f"{average}_{ours}"] == pytest.approx(report[f"{average} avg"][theirs])
    assert told["loss"] == pytest.approx(log_loss(labels, probabilities, labels=range(5)))


def test_per_class_figures_and_the_confusion_matrix_are_those_of_scikit_learn() -> None:
    truth, predicted = answers(500, 3, 0.6, seed=1)
    told = evaluate.evaluate(rows(truth.tolist()), chances(predicted, 3), CLASSES)
    report = classification_report(truth, predicted, output_dict=True, target_names=CLASSES)
    assert np.array_equal(told.confusion, reference_confusion(truth, predicted))
    for one in told.per_class:
        expected = report[one.label]
        assert (one.precision, one.recall, one.f1, one.rows) == pytest.approx(
            (expected["precision"], expected["recall"], expected["f1-score"], expected["support"])
        )
    assert [one.predicted for one in told.per_class] == np.bincount(predicted).tolist()


def test_the_intervals_agree_with_resampling_the_rows_one_by_one() -> None:
    # the slow way, row by row, with scikit-learn's F1; 3,000 draws leave about 0.2 points of noise at each end
    truth, predicted = answers(400, 4, 0.55, seed=2)
    dice = np.random.default_rng(5)
    drawn = [dice.integers(0, 400, 400) for _ in range(3000)]
    slow_accuracy = np.percentile([(truth[at] == predicted[at]).mean() for at in drawn], (2.5, 97.5))
    slow_f1 = np.percentile([f1_score(truth[at], predicted[at], average="macro") for at in drawn[:1500]], (2.5, 97.5))
    accuracy, macro_f1 = scoring.intervals(scoring.confusion_matrix(truth, predicted, 4), draws=3000)
    assert (accuracy.low, accuracy.high) == pytest.approx(slow_accuracy, abs=0.006)
    assert (macro_f1.low, macro_f1.high) == pytest.approx(slow_f1, abs=0.008)
    assert macro_f1.value == pytest.approx(f1_score(truth, predicted, average="macro"))


@pytest.mark.parametrize("rows", [33, 100, 300])
def test_the_intervals_of_accuracy_and_macro_f1_cover_the_truth_in_93_to_97_of_100(rows: int) -> None:
    truth = f1_score(*answers(400_000, 2, 0.7, seed=99_999), average="macro")
    covered = [0, 0]
    for seed in range(1000):
        # 70 % known, the rest by coin: 85 % right
        accuracy, macro_f1 = scoring.intervals(scoring.confusion_matrix(*answers(rows, 2, 0.7, seed=seed), 2), seed=seed, draws=400)
        covered[0] += accuracy.low <= 0.85 <= accuracy.high
        covered[1] += macro_f1.low <= truth <= macro_f1.high
    assert all(930 <= one <= 970 for one in covered)


def test_a_seed_gives_the_same_interval_again() -> None:
    matrix = np.array([[30, 10], [5, 55]])
    assert scoring.intervals(matrix, seed=3) == scoring.intervals(matrix, seed=3)
    assert scoring.intervals(matrix, seed=3) != scoring.intervals(matrix, seed=4)


def test_forty_of_forty_right_is_not_told_as_certain() -> None:
    accuracy, macro_f1 = scoring.intervals(np.diag([20, 20]))
    assert accuracy.value == macro_f1.value == 1
    assert accuracy.low == macro_f1.low == pytest.approx(binomtest(40, 40).proportion_ci(method="wilson").low)
    nothing, _ = scoring.intervals(np.array([[0, 20], [20, 0]]))
    assert nothing.high == pytest.approx(binomtest(0, 40).proportion_ci(method="wilson").high)


def test_one_more_row_right_never_lowers_either_bound_of_accuracy() -> None:
    found = [scoring.intervals(np.array([[hits, 30 - hits], [0, 0]]), draws=50)[0] for hits in range(31)]
    assert all(one.low < other.low and one.high < other.high for one, other in itertools.pairwise(found[:-1]))
    assert found[-2].low < found[-1].low


def test_25000_rows_in_77_classes_take_under_a_second() -> None:
    truth, predicted = answers(25_000, 77, 0.5, seed=3)
    matrix = scoring.confusion_matrix(truth, predicted, 77)
    spent = []
    for _ in range(3):
        begun = time.process_time()
        scoring.intervals(matrix)
        spent.append(time.process_time() - begun)
    assert min(spent) < 1


def test_mcnemar_gives_the_published_p() -> None:
    # the two examples of Fagerland, Lydersen & Laake 2013 (BMC Medical Research Methodology 13:91): 1 against 7 (table 1,
    # airway hyper-responsiveness of 21 children), exact p 0.0703, and 6 against 16, exact p 0.0525
    assert scoring.compare(6, 16) == pytest.approx(0.0525, abs=5e-5)
    assert scoring.compare(1, 7) == pytest.approx(0.0703, abs=5e-5)


@given(st.integers(0, 3000), st.integers(0, 3000))
@settings(max_examples=60)
def test_mcnemar_is_the_binomial_test(one: int, other: int) -> None:
    expected = binomtest(one, one + other).pvalue if one + other else 1.0
    assert scoring.compare(one, other) == pytest.approx(expected, rel=1e-6, abs=1e-250)  # SciPy gives 0 from somewhere below
    assert scoring.compare(one, other) == scoring.compare(other, one)


def test_the_gain_in_macro_f1_is_a_paired_interval() -> None:
    truth, model = answers(600, 3, 0.8, seed=6)
    nearly = model.copy()
    nearly[:6] = (truth[:6] + 1) % 3  # the same answers but for six rows: far narrower than two intervals side by side
    gain = scoring.gain(truth, model, nearly, 3)
    assert gain.value == pytest.approx(f1_score(truth, model, average="macro") - f1_score(truth, nearly, average="macro"))
    assert 0 < gain.low < gain.value < gain.high < 0.03


def test_a_baseline_is_compared_on_the_same_rows() -> None:
    truth = np.array([0, 0, 1, 1, 1, 0])
    told = evaluate.evaluate(
        rows(truth.tolist()), chances(np.array([0, 0, 1, 1, 0, 1]), 2), "ab", [Guess("tfidf", "TF-IDF", (0, 1, 1, 0, 1, 1), "note")]
    )
    (baseline,) = told.baselines
    assert (baseline.only_model_right, baseline.only_baseline_right) == (2, 1)
    assert baseline.accuracy == pytest.approx(3 / 6)
    assert baseline.p_value == 1.0
    assert baseline.note == "note"


def test_answers_that_are_no_numbers_end_the_run_in_words() -> None:
    broken = np.array([[0.5, 0.5], [np.nan, np.nan]])
    with pytest.raises(RunFailed, match="blown up"):
        evaluate.scores([0, 1], broken, "ab")
    with pytest.raises(RunFailed, match="no rows"):
        evaluate.scores([], np.empty((0, 2)), "ab")


def test_an_evaluation_comes_back_from_its_json_as_it_was() -> None:
    truth, predicted = answers(150, 3, 0.6, seed=7)
    guesses = [Guess("majority", "Largest class", (0,) * 150, ""), Guess("tfidf", "TF-IDF", tuple(truth.tolist()), "")]
    test = rows(truth.tolist())
    told = evaluate.evaluate(test, chances(predicted, 3), CLASSES, guesses, shared=overlap(rows([0], ["text 3"]), test), step=70)
    text = evaluate.to_json(told)
    assert evaluate.from_json(text) == told
    assert "নেতিবাচক" in text
    later = {**json.loads(text), "something_new": 1}
    assert evaluate.from_json(json.dumps(later)) == told
    with pytest.raises(ValueError, match="not a whole evaluation"):
        evaluate.from_json('{"rows": 1}')


def test_a_certain_and_wrong_answer_has_a_finite_loss() -> None:
    assert evaluate.scores([0], np.array([[0.0, 1.0]]), "ab")["loss"] == pytest.approx(-np.log(1e-12))


def test_samples_are_half_wrong_half_right_and_cut_when_long() -> None:
    labels = [0] * 50 + [1] * 50
    predicted = np.array([0] * 40 + [1] * 60)
    found = evaluate.samples(rows(labels, ["ভ" * 3000] * 100), chances(predicted, 2), "ab")
    assert len(found) == 12
    assert [one.label == one.predicted for one in found] == [False] * 6 + [True] * 6
    assert all(len(one.text) == 1000 and one.text.endswith("…") for one in found)
    assert found[0].number == 41
    assert found[0].confidence == pytest.approx(0.8)


def test_samples_are_filled_up_where_hardly_any_row_is_wrong() -> None:
    predicted = np.array([1] + [0] * 30)
    found = evaluate.samples(rows([0] * 31), chances(predicted, 2), "ab")
    assert len(found) == 12
    assert sum(one.label != one.predicted for one in found) == 1
    assert len(evaluate.samples(rows([0] * 3), chances(np.zeros(3, int), 2), "ab")) == 3


# In words


def test_percentages_never_round_to_a_certainty() -> None:
    assert verdict.percent(0.9124) == "91.2\u00a0%"
    assert verdict.percent(0.99996) == "99.9\u00a0%"
    assert verdict.percent(1.0) == "100.0\u00a0%"
    assert verdict.percent(0.0001) == "0.1\u00a0%"
    assert verdict.percent(0.0) == "0.0\u00a0%"


@pytest.mark.parametrize(
    ("p", "words"),
    [(1e-12, "p < 0.0001"), (0.0003, "p = 0.0003"), (0.0314, "p = 0.031"), (0.049, "p = 0.049"), (0.42, "p = 0.42"), (1.0, "p = 1.00")],
)
def test_p_is_told_as_closely_as_it_matters(p: float, words: str) -> None:
    assert verdict.p_words(p) == words.replace(" ", "\u00a0")


def against(id_: str, accuracy: float, model: int, baseline: int, *, macro_f1: float = 0.5, gain: float = 0.0) -> BaselineScore:
    interval = Interval(gain, gain - 0.02, gain + 0.02)
    return BaselineScore(id_, id_, accuracy, macro_f1, macro_f1, model, baseline, scoring.compare(model, baseline), interval, "")


def said(*baselines: BaselineScore, rows: int = 2000, uneven: bool = False, seen: int = 0, beside: Sequence[Rival] = ()) -> str:
    told = verdict.sentence(
        rows, Interval(0.912, 0.9, 0.924), Interval(0.7, 0.68, 0.72), baselines, uneven=uneven, seen_rows=seen, beside=beside
    )
    return told.replace("\u00a0", " ")


FAR_ABOVE = against("majority", 0.5, 900, 100, gain=0.4)


def test_the_sentence_where_the_model_wins() -> None:
    assert said(FAR_ABOVE, against("tfidf", 0.887, 130, 80)) == (
        "91.2 % right on 2,000 unseen rows (90.0 to 92.4). TF-IDF reaches 88.7 %: "
        "the model is better, by more than chance (McNemar p = 0.0007)."
    )


def test_the_sentence_where_it_may_be_chance() -> None:
    assert said(FAR_ABOVE, against("tfidf", 0.91, 52, 48)).endswith(
        "TF-IDF reaches 91.0 %: the model is better, but not by more than chance (McNemar p = 0.76)."
    )
    assert said(FAR_ABOVE, against("tfidf", 0.914, 48, 52)).endswith("the model is worse, but not by more than chance (McNemar p = 0.76).")
    assert said(FAR_ABOVE, against("tfidf", 0.912, 50, 50)).endswith("the model is no better and no worse.")


def test_the_sentence_where_the_model_loses() -> None:
    assert said(FAR_ABOVE, against("tfidf", 0.95, 10, 90)).endswith("the model is worse, by more than chance (McNemar p < 0.0001).")


def test_the_sentence_where_the_model_is_no_better_than_guessing() -> None:
    assert said(against("majority", 0.912, 0, 0)).endswith("Not better than guessing the largest class (91.2 %).")
    assert said(against("majority", 0.91, 9, 5)).endswith("Not better than guessing the largest class (91.0 %) by more than chance.")
    assert said(against("majority", 0.95, 10, 90)).endswith("Right less often than guessing the largest class (95.0 %).")
    found = said(against("majority", 0.91, 9, 5, macro_f1=0.48, gain=0.22), uneven=True)
    assert found.endswith("by more than chance, but it does find others too (macro F1 70.0 % against 48.0 %).")


def test_macro_f1_stands_in_the_sentence_where_classes_are_many_or_uneven() -> None:
    told = said(FAR_ABOVE, against("tfidf", 0.887, 130, 80, macro_f1=0.66, gain=0.04), uneven=True)
    assert "(90.0 to 92.4), macro F1 70.0 % (68.0 to 72.0). TF-IDF reaches 88.7 % (macro F1 66.0 %): the model is better" in told


def test_the_strongest_of_all_that_answered_the_same_rows_is_named() -> None:
    tfidf = against("tfidf", 0.887, 130, 80, gain=0.03)
    strong, weak = (Rival(against(id_, accuracy, model, 60, gain=gain), 2000, f"the run “{id_}”", f"{id_} by itself.")
                    for id_, accuracy, model, gain in (("strong", 0.907, 70, 0.01), ("weak", 0.6, 684, 0.3)))  # fmt: skip
    told = said(FAR_ABOVE, tfidf, beside=(weak, strong))
    assert told.endswith(
        "The strongest beside it, the run “strong”, reaches 90.7 %: the model is better, but not by more than chance (McNemar p = 0.43)."
    )
    assert said(FAR_ABOVE, tfidf, beside=(weak,)).endswith(
        "The strongest beside it, TF-IDF, reaches 88.7 %: the model is better, by more than chance (McNemar p = 0.0007)."
    )
    assert "Guessing the largest class reaches 90.0 %: the model is better" in said(against("majority", 0.9, 100, 40), tfidf_weak())
    assert said(against("majority", 0.9, 30, 29), tfidf_weak()).count("uessing the largest class") == 1


def tfidf_weak() -> BaselineScore:
    return against("tfidf", 0.5, 900, 100)


def test_the_strongest_is_that_which_the_model_is_least_ahead_of_on_the_rows_that_both_answered() -> None:
    tfidf = against("tfidf", 0.887, 130, 80, gain=0.03)  # 2.5 points behind on all rows
    some = Rival(against("untuned", 0.86, 6, 3, gain=0.05), 300, "the untuned model")  # 1 point behind on some, where both do worse
    told = said(FAR_ABOVE, tfidf, beside=(some,))
    assert "the untuned model, reaches 86.0 % on 300 of the rows, where the model reaches 87.0 %: the model is better, but not" in told
    assert "beside it, TF-IDF, reaches" in said(FAR_ABOVE, tfidf, beside=(some,), uneven=True)


def test_a_headline_names_the_strongest_and_leaves_the_others_a_sentence_each() -> None:
    predicted = np.array([0, 1, 1, 1] * 50)
    told = evaluate.evaluate(rows([0, 1] * 100), chances(predicted, 2), "ab", [Guess("tfidf", "TF-IDF", (0,) * 200, "")])
    assert evaluate.headline(told, ()) == (told.sentence, ())
    better, worse = (
        Rival(scoring.against(np.array([0, 1] * 100), predicted, Guess(name, name, answers, ""), 2, 0), 200, name, f"{name} by itself.")
        for name, answers in (("better", (0, 1) * 100), ("worse", (1, 0) * 100))
    )
    sentence, others = evaluate.headline(told, (better, worse))
    assert "The strongest beside it, better, reaches 100.0\u00a0%: the model is worse, by more than chance" in sentence
    assert others == ("worse by itself.",)


@pytest.mark.parametrize(
    ("model", "baseline", "gain", "ending"),
    [
        (130, 80, -0.1, "the model is right more often, by more than chance (McNemar p = 0.0007), but treats the classes less evenly."),
        (80, 130, 0.1, "the model is right less often, by more than chance (McNemar p = 0.0007), but treats the classes more evenly."),
        (52, 48, 0.1, "the model's macro F1 is better by more than chance, but not its share of right rows (McNemar p = 0.76)."),
        (52, 48, -0.1, "the model's macro F1 is worse by more than chance, but not its share of right rows (McNemar p = 0.76)."),
    ],
)
def test_the_sentence_says_so_where_accuracy_and_macro_f1_disagree(model: int, baseline: int, gain: float, ending: str) -> None:
    assert said(FAR_ABOVE, against("tfidf", 0.887, model, baseline, gain=gain), uneven=True).endswith(ending)


def test_few_rows_and_missing_classes_are_warned_of() -> None:
    told = evaluate.evaluate(rows([0, 0, 1, 1] * 10), chances(np.zeros(40, int), 3), CLASSES)
    assert "So few test rows (under 100) give only a rough idea." in told.sentence
    assert told.warnings[0].startswith("There are only 40 test rows")
    assert "No test row has the label positive" in told.warnings[1]
    assert told.warnings[2] == "The model never answers neutral."


def test_test_texts_that_stand_in_training_are_counted_and_the_others_scored() -> None:
    labels = [0, 1] * 100
    predicted = np.array([0, 1] * 50 + [0, 0] * 50)  # the first 100 all right, of the others half
    test = rows(labels)
    told = evaluate.evaluate(test, chances(predicted, 2), "ab", shared=overlap(rows(labels[:100], test.texts[:100]), test))
    assert (told.seen_rows, told.unseen_accuracy) == (100, 0.5)
    assert "on 200 test rows" in told.sentence
    assert "100 of the 200 test texts stand among the training rows too" in told.warnings[0]
    clean = evaluate.evaluate(test, chances(predicted, 2), "ab", shared=overlap(rows([0], ["else"]), test))
    assert clean.nearly_seen_rows == 0
    assert (clean.seen_rows, clean.unseen_accuracy, clean.warnings) == (0, None, ())


def test_test_texts_of_which_training_has_one_with_a_word_changed_are_told_too() -> None:
    text = "the room was clean and the people at the desk were kind to us on every day"
    labels, predicted = [0, 1] * 100, np.array([0, 1] * 50 + [0, 0] * 50)
    test = rows(labels, [f"{text} word{at}a" for at in range(200)])
    near = [one.replace("kind", "friendly").upper() for one in test.texts[:40]]
    told = evaluate.evaluate(test, chances(predicted, 2), "ab", shared=overlap(rows(labels[:50], [*near, *test.texts[40:50]]), test))
    assert (told.seen_rows, told.nearly_seen_rows, told.unseen_accuracy) == (10, 40, (50 + 50) / 150)
    assert "on 200 test rows" in told.sentence
    assert told.warnings[0].startswith("10 of the 200 test texts stand among the training rows too, and 40 more nearly do (a word")
    assert evaluate.from_json(evaluate.to_json(told)) == told
    alone = evaluate.evaluate(test, chances(predicted, 2), "ab", shared=overlap(rows(labels[:1], near[:1]), test))
    assert alone.warnings[0].startswith("1 of the 200 test texts nearly stands among the training rows (a word of ten apart")
