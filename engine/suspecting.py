"""`python -m engine.suspecting RUN_FOLDER`: looks for wrong labels among a run's training and validation rows, in a process of its own.

The model has seen its training rows, so what it says of them proves nothing. TF-IDF with logistic regression is trained five times
instead, each time without a fifth of the rows, and asked about that fifth. Writes suspects.jsonl into the run's folder and tells one
JSON object on stdout: {"looked": rows, "of": rows, "found": rows}, or {"problems": [...]}.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine import plan as planning
from engine import spec as specs
from engine.baselines import INVERSE_PENALTY, MAX_CHARACTERS, MAX_ROWS, word_and_letter_weights
from engine.data.split import Prepared, Rows, Split, prepare
from engine.errors import Refused
from engine.knobs import settle
from engine.mislabelled import suspects
from engine.scoring import Chances
from engine.store import write_whole

FILE = "suspects.jsonl"
FOLDS = 5


def chances_without_seeing(texts: Sequence[str], labels: Sequence[int], classes: int) -> Chances:
    """Each row's probabilities, (rows, classes), by a model that was trained on the other folds.

    What the words weigh is reckoned from all texts at once, for it knows no label.
    """
    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold

    truth = np.asarray(labels)
    weights = word_and_letter_weights([text[:MAX_CHARACTERS] for text in texts], classes)
    found = np.zeros((len(texts), classes))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        for rest, fold in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(weights, truth):
            model = LogisticRegression(C=INVERSE_PENALTY, max_iter=200, tol=1e-3).fit(weights[rest], truth[rest])
            found[np.ix_(fold, model.classes_)] = model.predict_proba(weights[fold])
    return found


def look(prepared: Prepared) -> tuple[list[dict[str, Any]], int, int]:
    """The suspect training and validation rows as JSON objects, the most suspect first; how many rows were looked at, and of how many."""
    rows = [(part, *row) for part, one in (("train", prepared.train), ("validation", prepared.validation)) for row in _rows_of(one)]
    looked = rows if len(rows) <= MAX_ROWS else [rows[at * len(rows) // MAX_ROWS] for at in range(MAX_ROWS)]
    joined = [f"{text}\n{second}" if second is not None else text for _, _, text, second, _ in looked]
    labels = [row[4] for row in looked]
    chances = chances_without_seeing(joined, labels, len(prepared.classes))
    found = [
        {"part": looked[one.place][0], "row": looked[one.place][1], "text": looked[one.place][2],
         "second": looked[one.place][3], "label": prepared.classes[looked[one.place][4]], "suggested": prepared.classes[one.suggested],
         "confidence": float(chances[one.place, one.suggested])}
        for one in suspects(labels, chances)
    ]  # fmt: skip
    return found, len(looked), len(rows)


def _rows_of(rows: Rows) -> list[tuple[int, str, str | None, int]]:
    """Number, text, what stands beside it, and class of each."""
    seconds: Sequence[str | None] = rows.second if rows.second is not None else [None] * len(rows.texts)
    return list(zip(rows.numbers, rows.texts, seconds, rows.labels, strict=True))


def main(folder: Path) -> int:
    """Looks, writes, tells. Returns 0, or 1 where the rows could not be read."""
    os.nice(5)
    try:
        asked = specs.from_json((folder / "spec.json").read_text("utf-8"))
        plan = planning.from_json((folder / "plan.json").read_text("utf-8"))
        split = settle(Split, plan.settings)
        prepared = prepare(
            asked.data,
            split,
            home=folder.parent.parent,
            token=os.environ.get("HF_TOKEN"),
            text=plan.text,
            label=plan.label,
            second=plan.second,
        )
    except Refused as refused:
        print(json.dumps({"problems": [dataclasses.asdict(one) for one in refused.problems]}), flush=True)
        return 1
    found, looked, of = look(prepared)
    write_whole(folder / FILE, "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in found).encode("utf-8", "replace"))
    print(json.dumps({"looked": looked, "of": of, "found": len(found)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
