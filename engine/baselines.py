"""What any trained model has to beat, on the same rows: always guessing the largest class, and TF-IDF with logistic regression.

Plain scikit-learn, imported when a baseline runs; no network and no GPU.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.data.split import Prepared

MAX_ROWS = 20_000  # training rows; on IMDb 5,000 already reach 88.9 %
MAX_CHARACTERS = 20_000  # of one text
MAX_FEATURES = 200_000  # of each kind
MAX_WEIGHTS = 4_000_000  # features x classes; the solver keeps about 25 copies of them, 0.8 GB at this bound
CHUNK = 1000  # test rows turned into features at a time
INVERSE_PENALTY = 4.0  # of 1, 4 and 10 the best or within 0.2 points of it on IMDb, Banking77, BnSentMix and Bengali comments

# A letter or digit, then letters, digits, combining signs, joiners and apostrophes. scikit-learn's own pattern, \w\w+, breaks
# Bengali words at their vowel signs, which are no \w; the ranges hold the signs of all Indic scripts (without the
# danda, a full stop) and the Latin accents.
WORD = r"(?u)[^\W_](?:[^\W_]|[\u0300-\u036f\u0900-\u0963\u0966-\u0dff\u200c\u200d'’])*"


@dataclass(frozen=True)
class Guess:
    """A baseline's answers to the test rows."""

    id: str
    name: str
    predicted: tuple[int, ...]  # class id of each test row
    note: str  # how it was made, and any bound that was applied


@dataclass(frozen=True)
class Answered:
    """What another says of the test rows, where a task gives no classes."""

    id: str
    name: str
    answers: Any  # one for each test row
    note: str  # how they were made, and any bound that was applied


def majority(prepared: Prepared) -> Guess:
    """Always the class with the most training rows; of equals, the one that stands first."""
    counts = Counter(prepared.train.labels)
    largest = max(range(len(prepared.classes)), key=lambda label: (counts[label], -label))
    note = f"Every row is called {prepared.classes[largest]}, the largest class of the training rows."
    return Guess("majority", "Largest class", (largest,) * len(prepared.test.texts), note)


def get_ready() -> None:
    """Loads what `tfidf` needs and has OpenBLAS reserve its working space, while there is memory to be had.

    After a training that left little, the libraries could not be mapped; and OpenBLAS before 0.3.30 asks for its space again and again
    without end, https://github.com/OpenMathLib/OpenBLAS/issues/5289.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    LogisticRegression().fit(TfidfVectorizer().fit_transform(["one", "two"]), [0, 1])


def tfidf(prepared: Prepared) -> Guess:
    """Logistic regression over TF-IDF of word 1- and 2-grams and of character 2- to 4-grams within words."""
    from scipy.sparse import hstack
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    train, labels, test = prepared.train.spelt().joined(), prepared.train.labels, prepared.test.spelt().joined()
    told = "Logistic regression over the words, word pairs and letter groups of each text, weighted by TF-IDF."
    if len(train) > MAX_ROWS:
        first = {label: at for at, label in reversed(list(enumerate(labels)))}
        chosen = sorted({*first.values(), *(at * len(train) // MAX_ROWS for at in range(MAX_ROWS))})
        train, labels = [train[at] for at in chosen], [labels[at] for at in chosen]
        told += f" It was trained on {len(chosen):,} of the {len(prepared.train.texts):,} training rows, evenly spread."
    if any(len(text) > MAX_CHARACTERS for text in (*train, *test)):
        train, test = [text[:MAX_CHARACTERS] for text in train], [text[:MAX_CHARACTERS] for text in test]
        told += f" Of a text it reads the first {MAX_CHARACTERS:,} characters."
    features = kinds(train, len(prepared.classes))
    model = LogisticRegression(C=INVERSE_PENALTY, max_iter=200, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 200 steps are enough for a bar
        model.fit(hstack([kind.fit_transform(train) for kind in features], format="csr"), labels)
    predicted: list[int] = []
    for start in range(0, len(test), CHUNK):
        rows = hstack([kind.transform(test[start : start + CHUNK]) for kind in features], format="csr")
        predicted += (int(label) for label in model.predict(rows))
    return Guess("tfidf", "TF-IDF with logistic regression", tuple(predicted), told)


def word_and_letter_weights(texts: Sequence[str], classes: int) -> Any:
    """The features of `tfidf`, (texts, n-grams) sparse, for as many classes."""
    from scipy.sparse import hstack

    return hstack([kind.fit_transform(texts) for kind in kinds(texts, classes)], format="csr")


def kinds(texts: Sequence[str], classes: int) -> list[Any]:
    """What turns texts into features: words and letters, or letters alone where there is no word."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    features = min(MAX_FEATURES, max(1000, MAX_WEIGHTS // 2 // classes))
    letters = _Letters(features)
    if not any(re.search(WORD, text) for text in texts):  # signs and emoji only
        return [letters]
    words = TfidfVectorizer(token_pattern=WORD, ngram_range=(1, 2), sublinear_tf=True, max_features=features, dtype=np.float32)
    return [words, letters]


class _Letters:
    """TF-IDF of the character 2- to 4-grams within words, the `features` most frequent, as (texts, n-grams).

    A text's counts are the sum of its words' counts, so each different word is taken apart once: the same figures as
    scikit-learn's char_wb analyser, two to three times faster on IMDb (4 to 7 s against 12 s for 7,000 reviews on a busy core).
    """

    def __init__(self, features: int) -> None:
        import numpy as np
        from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

        self._features = features
        self._pieces = CountVectorizer(analyzer="char_wb", ngram_range=(2, 4), lowercase=False, dtype=np.float32)
        self._weight = TfidfTransformer(sublinear_tf=True)

    def fit_transform(self, texts: Sequence[str]) -> Any:
        import numpy as np

        counts = _counted(texts, self._pieces.fit_transform)
        totals = np.asarray(counts.sum(axis=0)).ravel()
        self._frequent = np.sort(np.argsort(-totals, kind="stable")[: self._features])
        return self._weight.fit_transform(counts[:, self._frequent])

    def transform(self, texts: Sequence[str]) -> Any:
        return self._weight.transform(_counted(texts, self._pieces.transform)[:, self._frequent])


def _counted(texts: Sequence[str], in_words: Callable[[Any], Any]) -> Any:
    """(texts, n-grams) counts, from what `in_words` finds in each different word."""
    import numpy as np
    from sklearn.feature_extraction.text import CountVectorizer

    words = CountVectorizer(token_pattern=r"(?u)\S+", dtype=np.float32)
    counts = words.fit_transform(texts)  # there is a word: rows with blank texts were dropped with the data
    return counts @ in_words(words.get_feature_names_out())


ALL = (majority, tfidf)
