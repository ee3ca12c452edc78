"""The baselines reach the bars that stand in the data's README, read Bengali whole, and stay within their bounds."""

from __future__ import annotations

import csv
import random
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import f1_score

from engine import baselines
from engine.data.texts import Texts
from engine.processes import REPOSITORY


@dataclass(frozen=True)
class Rows:
    """The shape of engine.data.split.Rows."""

    texts: list[str]
    labels: list[int]

    def spelt(self) -> Texts:
        return Texts(self.texts)


@dataclass(frozen=True)
class Prepared:
    """As much of engine.data.split.Prepared as a baseline reads."""

    classes: tuple[str, ...]
    train: Rows
    test: Rows


def prepared(train: list[tuple[str, str]], test: list[tuple[str, str]]) -> Prepared:
    classes = tuple(sorted({label for _, label in train}))
    ids = {label: at for at, label in enumerate(classes)}

    def rows(pairs: list[tuple[str, str]]) -> Rows:
        return Rows([text for text, _ in pairs], [ids[label] for _, label in pairs])

    return Prepared(classes, rows(train), rows(test))


def read(path: Path, text: str, label: str, delimiter: str = ",") -> list[tuple[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
        return [
            (re.sub(r"<br\s*/?>", " ", row[text]), row[label])
            for row in csv.DictReader(file, delimiter=delimiter, quoting=quoting)
            if row[text]
        ]


def right(data: Prepared, guess: baselines.Guess) -> float:
    return float(np.mean(np.array(guess.predicted) == data.test.labels))


TOY = prepared(
    [("ভালো ছবি", "ভালো"), ("খুব ভালো লাগল", "ভালো"), ("দারুণ ভালো", "ভালো"), ("খারাপ ছবি", "খারাপ"), ("খুব খারাপ লাগল", "খারাপ")] * 4,
    [("ভালো", "ভালো"), ("খারাপ", "খারাপ")],
)


def test_the_majority_baseline_always_guesses_the_largest_class() -> None:
    guess = baselines.majority(TOY)
    assert guess.predicted == (TOY.classes.index("ভালো"),) * 2
    assert "ভালো" in guess.note


def test_of_equally_large_classes_the_first_is_guessed() -> None:
    assert baselines.majority(prepared([("x", "b"), ("y", "a")], [("z", "b")])).predicted == (0,)


def test_tfidf_learns_a_plain_difference() -> None:
    assert right(TOY, baselines.tfidf(TOY)) == 1


def test_a_baseline_gives_the_same_answers_again() -> None:
    assert baselines.tfidf(TOY) == baselines.tfidf(TOY)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("খাইছি তােরে, বাংলাদেশের র‍্যাব!", ["খাইছি", "তােরে", "বাংলাদেশের", "র‍্যাব"]),  # vowel signs, and a joiner within a word
        ("ক্ষমা করবেন না।", ["ক্ষমা", "করবেন", "না"]),  # conjuncts; the danda is no word
        ("onek valo 10/10, don't miss", ["onek", "valo", "10", "10", "don't", "miss"]),
        ("हिन्दी தமிழ் café", ["हिन्दी", "தமிழ்", "café"]),
        ("a I", ["a", "I"]),
    ],
)
def test_words_keep_their_combining_signs(text: str, words: list[str]) -> None:
    assert re.findall(baselines.WORD, text) == words


def test_the_letter_groups_are_those_of_scikit_learn() -> None:
    train = ["ভালো ছবি, খুব ভালো", "a bad  film\nbad", "x"]
    test = ["ভালো film", "", "unheard of"]
    letters = baselines._Letters(10_000)
    reference = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    expected = reference.fit_transform(train).toarray(), reference.transform(test).toarray()
    assert np.allclose(letters.fit_transform(train).toarray(), expected[0], atol=1e-6)
    assert np.allclose(letters.transform(test).toarray(), expected[1], atol=1e-6)


def test_texts_without_a_single_word_are_judged_by_their_signs() -> None:
    data = prepared([("!!! ♥ ♥", "yes"), ("?? ☹ ☹", "no")] * 10, [("♥ ♥", "yes"), ("☹ ☹", "no")])
    assert right(data, baselines.tfidf(data)) == 1


def test_the_bounds_are_kept_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "MAX_ROWS", 12)
    monkeypatch.setattr(baselines, "MAX_CHARACTERS", 10)
    guess = baselines.tfidf(TOY)
    assert "trained on 12 of the 20 training rows" in guess.note
    assert "first 10 characters" in guess.note
    assert right(TOY, guess) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="needs RLIMIT_AS and /proc")
def test_tfidf_that_is_ready_needs_little_more_memory() -> None:
    """In a process of its own, which may take 40 MB more once it is ready: less than the libraries and OpenBLAS's working space."""
    code = """
import resource
from types import SimpleNamespace
from engine import baselines
from engine.data.texts import Texts
texts = ["good film", "bad film"] * 5
rows = SimpleNamespace(texts=texts, labels=[0, 1] * 5, spelt=lambda: Texts(texts))
baselines.get_ready()
size = next(line for line in open("/proc/self/status") if line.startswith("VmSize")).split()[1]
resource.setrlimit(resource.RLIMIT_AS, (int(size) * 1024 + 40 * 10**6,) * 2)
print(baselines.tfidf(SimpleNamespace(classes=("yes", "no"), train=rows, test=rows)).id)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "tfidf\n"


def test_rows_left_out_never_leave_a_class_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "MAX_ROWS", 10)
    common, rare = [(f"fine {at}", "fine") for at in range(99)], [("odd thing", "odd")]
    data = prepared(common + rare, [("odd thing", "odd")])
    assert baselines.tfidf(data).predicted in ((0,), (1,))  # whatever it answers: one class alone would end in an error


def test_tfidf_reaches_its_bar_on_bengali_comments(shared_data: Path) -> None:
    folder = shared_data / "bengali"
    data = prepared(
        read(folder / "sentiment_train.tsv", "text", "class_label", "\t"), read(folder / "sentiment_test.tsv", "text", "class_label", "\t")
    )
    assert right(data, baselines.tfidf(data)) == pytest.approx(0.729, abs=0.015)  # 6 of 420 rows
    assert right(data, baselines.majority(data)) == pytest.approx(max(np.bincount(data.test.labels)) / 420)


@pytest.mark.slow
def test_tfidf_reaches_its_bar_on_banglish(shared_data: Path) -> None:
    rows = read(shared_data / "bengali" / "BnSentMix_named.csv", "text", "label")
    random.Random(42).shuffle(rows)
    cut = len(rows) * 9 // 10
    data = prepared(rows[:cut], rows[cut:])
    guess = baselines.tfidf(data)
    assert right(data, guess) == pytest.approx(0.705, abs=0.025)  # another tenth than the bar's
    assert f1_score(data.test.labels, guess.predicted, average="macro") == pytest.approx(0.59, abs=0.04)


@pytest.mark.slow
def test_tfidf_reaches_its_bar_on_imdb(shared_data: Path) -> None:
    folder = shared_data / "imdb"
    data = prepared(read(folder / "imdb_train_5k.csv", "review", "sentiment"), read(folder / "imdb_test_2k.csv", "review", "sentiment"))
    assert right(data, baselines.tfidf(data)) == pytest.approx(0.887, abs=0.01)
