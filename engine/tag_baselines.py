"""What a model that gives tags has to beat, on the same rows: none, always the commonest, and TF-IDF with a logistic regression a tag."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from engine import tag_metrics
from engine.baselines import CHUNK, INVERSE_PENALTY, MAX_CHARACTERS, MAX_ROWS, Answered, kinds

if TYPE_CHECKING:
    from engine.data.split import Prepared

MOST_ANSWERS = 1_000_000  # training rows x tags that regressions are fitted to: 100 tags of 10,000 rows


def none(prepared: Prepared) -> Answered:
    rows = (0,) * len(prepared.classes)
    return Answered("none", "No tag at all", [rows] * len(prepared.test.texts), "No row gets any tag.")


def commonest(prepared: Prepared) -> Answered:
    """Every row gets the same tags: as many of the commonest as are best on the training rows."""
    import numpy as np

    there = np.asarray(prepared.train.tags, dtype=np.float64)
    order = np.argsort(-there.sum(axis=0), kind="stable")
    found = np.cumsum(there.sum(axis=0)[order])
    given = np.arange(1, len(order) + 1) * len(there)
    most = int((2 * found / (given + there.sum())).argmax()) + 1
    row = np.zeros(len(order), dtype=int)
    row[order[:most]] = 1
    named = ", ".join(prepared.classes[at] for at in order[:most][:5]) + (f" and {most - 5} more" if most > 5 else "")
    note = f"Every row gets {named}: as many of the commonest as were best on the training rows."
    return Answered("commonest", "Always the commonest tags", [tuple(row.tolist())] * len(prepared.test.texts), note)


def tfidf(prepared: Prepared) -> Answered:
    """A logistic regression for each tag against the rest over the features of `baselines.tfidf`."""
    import numpy as np
    from scipy.sparse import hstack
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    told = "A logistic regression for each tag over the words, word pairs and letter groups of each text, weighted by TF-IDF"
    train, wanted = prepared.train.spelt().joined(), np.asarray(prepared.train.tags, dtype=np.int8)
    tags = len(prepared.classes)
    most = max(1000, min(MAX_ROWS, MOST_ANSWERS // tags))
    if len(train) > most:
        chosen = [at * len(train) // most for at in range(most)]
        told += f", trained on {most:,} of the {len(train):,} training rows, evenly spread"
        train, wanted = [train[at] for at in chosen], wanted[chosen]
    train, held_out, test = (
        [text[:MAX_CHARACTERS] for text in part] for part in (train, prepared.validation.spelt().joined(), prepared.test.spelt().joined())
    )
    features = kinds(train, 1)
    learnt = hstack([kind.fit_transform(train) for kind in features], format="csr")
    models: list[Any] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 200 steps are enough for a bar
        for at in range(tags):
            of_tag = wanted[:, at]
            one_sided = of_tag.min() == of_tag.max()  # always or never on: there is nothing to fit
            fitted = None if one_sided else LogisticRegression(C=INVERSE_PENALTY, max_iter=200, tol=1e-3).fit(learnt, of_tag)
            models.append(float(of_tag[0]) if fitted is None else fitted)

    def say(texts: list[str]) -> Any:
        found = np.zeros((len(texts), tags))
        for start in range(0, len(texts), CHUNK):
            rows = hstack([kind.transform(texts[start : start + CHUNK]) for kind in features], format="csr")
            for at, model in enumerate(models):
                found[start : start + CHUNK, at] = model if isinstance(model, float) else model.predict_proba(rows)[:, 1]
        return found

    threshold = tag_metrics.threshold(say(held_out) if held_out else (), prepared.validation.tags or ())
    note = f"{told}. It gives a tag from a chance of {threshold:.0%} on, chosen on the validation rows as the model's."
    return Answered("tfidf", "TF-IDF with logistic regression", (say(test) >= threshold).astype(int).tolist(), note)


ALL = (none, commonest, tfidf)
