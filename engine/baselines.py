"""What any trained model has to beat, on the same rows: always guessing the largest class, and TF-IDF with logistic regression.

Plain scikit-learn, imported when a baseline runs; no network and no GPU.
"""

from __future__ import annotations

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


def majority(prepared: Prepared) -> Guess:
    """Always the class with the most training rows; of equals, the one that stands first."""
    counts = Counter(prepared.train.labels)
    largest = max(range(len(prepared.classes)), key=lambda label: (counts[label], -label))
    note = f"Every row is called {prepared.classes[largest]}, the largest class of the training rows."
    return Guess("majority", "Largest class", (largest,) * len(prepared.test.texts), note)


def tfidf(prepared: Prepared) -> Guess:
    """Logistic regression over TF-IDF of word 1- and 2-grams and of character 2- to 4-grams within words."""
    from scipy.sparse import hstack
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    train, labels, test = prepared.train.texts, prepared.train.labels, prepared.test.texts
    told = "Logistic regression over the words, word pairs and letter groups of each text, weighted by TF-IDF."
    if len(train) > MAX_ROWS:
        first = {label: at for at, label in reversed(list(enumerate(labels)))}
        chosen = sorted({*first.values(), *(at * len(train) // MAX_ROWS for at in range(MAX_ROWS))})
        train, labels = [train[at] for at in chosen], [labels[at] for at in chosen]
        told += f" It was trained on {len(chosen):,} of the {len(prepared.train.texts):,} training rows, evenly spread."
    if any(len(text) > MAX_CHARACTERS for text in (*train, *test)):
        train, test = [text[:MAX_CHARACTERS] for text in train], [text[:MAX_CHARACTERS] for text in test]
        told += f" Of a text it reads the first {MAX_CHARACTERS:,} characters."
    features = min(MAX_FEATURES, max(1000, MAX_WEIGHTS // 2 // len(prepared.classes)))
    parts = []
    try:
        words = TfidfVectorizer(token_pattern=WORD, ngram_range=(1, 2), sublinear_tf=True, max_features=features)
        parts.append((words.fit_transform(train), words.transform(test)))
    except ValueError:  # no text has a word: signs and emoji only
        pass
    parts.append(_letters(train, test, features))
    model = LogisticRegression(C=INVERSE_PENALTY, max_iter=200, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 200 steps are enough for a bar
        model.fit(hstack([one for one, _ in parts]).tocsr(), labels)
    predicted = model.predict(hstack([other for _, other in parts]).tocsr())
    return Guess("tfidf", "TF-IDF with logistic regression", tuple(int(label) for label in predicted), told)


def _letters(train: Sequence[str], test: Sequence[str], features: int) -> tuple[Any, Any]:
    """TF-IDF of the character 2- to 4-grams within words, (texts, n-grams), for both parts.

    A text's counts are the sum of its words' counts, so each different word is taken apart once: the same figures as
    scikit-learn's char_wb analyser, two to three times faster on IMDb (4 to 7 s against 12 s for 7,000 reviews on a busy core).
    """
    import numpy as np
    from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

    pieces = CountVectorizer(analyzer="char_wb", ngram_range=(2, 4), lowercase=False)

    def counted(texts: Sequence[str], in_words: Callable[[Any], Any]) -> Any:
        words = CountVectorizer(token_pattern=r"(?u)\S+")
        counts = words.fit_transform(texts)
        return counts @ in_words(words.get_feature_names_out())

    of_train = counted(train, pieces.fit_transform)
    of_test = counted(test, pieces.transform)
    if of_train.shape[1] > features:
        frequent = np.sort(np.argsort(-np.asarray(of_train.sum(axis=0)).ravel(), kind="stable")[:features])
        of_train, of_test = of_train[:, frequent], of_test[:, frequent]
    weight = TfidfTransformer(sublinear_tf=True).fit(of_train)
    return weight.transform(of_train), weight.transform(of_test)


ALL = (majority, tfidf)
