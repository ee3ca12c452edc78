"""What a model that gives numbers has to beat, on the same rows: always the mean, and TF-IDF with ridge regression."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.baselines import CHUNK, MAX_CHARACTERS, MAX_ROWS, Answered, kinds

if TYPE_CHECKING:
    from engine.data.split import Prepared

PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)  # the one that is least off on the validation rows is taken
TOLERANCE = 1e-4


def always_the_mean(prepared: Prepared) -> Answered:
    assert prepared.scale is not None
    mean = prepared.scale.mean
    note = f"Every row gets {mean:.4g}, the mean of the training rows."
    return Answered("mean", "Always the mean", (mean,) * len(prepared.test.texts), note)


def ridge(prepared: Prepared) -> Answered:
    """Ridge regression over the features of `baselines.tfidf`."""
    from scipy.sparse import hstack
    from sklearn.linear_model import Ridge

    assert prepared.scale is not None
    assert prepared.train.values is not None
    told = "Ridge regression over the words, word pairs and letter groups of each text, weighted by TF-IDF"
    train, numbers = prepared.train.spelt().joined(), prepared.train.values
    if len(train) > MAX_ROWS:
        chosen = [at * len(train) // MAX_ROWS for at in range(MAX_ROWS)]
        told += f", trained on {MAX_ROWS:,} of the {len(train):,} training rows, evenly spread"
        train, numbers = [train[at] for at in chosen], [numbers[at] for at in chosen]
    train, held_out, test = (
        [text[:MAX_CHARACTERS] for text in part] for part in (train, prepared.validation.spelt().joined(), prepared.test.spelt().joined())
    )
    features = kinds(train, 1)
    learnt = hstack([kind.fit_transform(train) for kind in features], format="csr")

    def say(model: Ridge, texts: list[str]) -> list[float]:
        found: list[float] = []
        for start in range(0, len(texts), CHUNK):
            rows = hstack([kind.transform(texts[start : start + CHUNK]) for kind in features], format="csr")
            found += (float(one) for one in model.predict(rows))
        return found

    best: tuple[float, float, Ridge] | None = None
    for penalty in PENALTIES:
        model = Ridge(alpha=penalty, solver="sparse_cg", tol=TOLERANCE).fit(learnt, numbers)
        wanted = prepared.validation.values or []
        off = sum(abs(one - other) for one, other in zip(say(model, held_out), wanted, strict=True))
        if best is None or off < best[0]:
            best = off, penalty, model
    assert best is not None
    low, high = min(numbers), max(numbers)
    given = tuple(min(high, max(low, one)) for one in say(best[2], test))
    note = f"{told}. Of {len(PENALTIES)} penalties {best[1]:g} was best on the validation rows; its numbers stay within those learnt."
    return Answered("ridge", "TF-IDF with ridge regression", given, note)


def cosine_of_words(prepared: Prepared) -> Answered:
    """The cosine of each pair's TF-IDF features, weighted by how common they are in the training texts; nothing is learnt of labels."""
    import numpy as np
    from scipy.sparse import hstack

    assert prepared.train.second is not None
    assert prepared.test.second is not None
    learnt = [text[:MAX_CHARACTERS] for text in (*prepared.train.texts, *prepared.train.second)][: 2 * MAX_ROWS]
    features = kinds(learnt, 1)
    for kind in features:
        kind.fit_transform(learnt)
    found: list[float] = []
    for start in range(0, len(prepared.test.texts), CHUNK):
        parts = (part[start : start + CHUNK] for part in (prepared.test.texts, prepared.test.second))
        first, second = (
            hstack([kind.transform([text[:MAX_CHARACTERS] or " " for text in part]) for kind in features], format="csr") for part in parts
        )
        above = np.asarray(first.multiply(second).sum(axis=1)).ravel()
        squares = [np.asarray(one.multiply(one).sum(axis=1)).ravel() for one in (first, second)]
        below = np.sqrt(squares[0] * squares[1])
        found += np.divide(above, below, out=np.zeros(len(above)), where=below > 0).tolist()
    note = "The cosine of the words, word pairs and letter groups that the two texts share, weighted by TF-IDF; labels are not looked at."
    return Answered("words", "TF-IDF, cosine", tuple(found), note)


ALL = (always_the_mean, ridge)
