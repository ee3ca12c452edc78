"""What a judged run's folder holds besides its evaluation, made up in a moment: answers to the test rows, a closer look."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np

from engine import account, evaluate, judged, probed
from engine.data.split import Rows
from engine.edge_cases import Example, Finding
from engine.probed import Probed, Speed
from engine.scoring import BaselineScore, Interval
from tests.tiny import LINES

SPEC = {"data": {"source": "sample:film-reviews-en"}, "model": "all-MiniLM-L6-v2", "name": "Reviews before"}


def answer(folder: Path, classes: tuple[str, ...], *, rows: int = 200, right: float = 0.8, texts: str = "row", seed: int = 0) -> None:
    """evaluation.json and predictions.jsonl of a model that is right on so many of `rows` rows and too sure of it."""
    truth = np.random.default_rng(99).integers(0, len(classes), rows)
    dice = np.random.default_rng(seed)
    predicted = np.where(dice.random(rows) < right, truth, (truth + 1) % len(classes))
    chances = np.full((rows, len(classes)), 0.2 / (len(classes) - 1)) * dice.random((rows, 1))
    chances[np.arange(rows), predicted] = 0
    chances[np.arange(rows), predicted] = 1 - chances.sum(axis=1)
    written = [f"{texts} {at}: {LINES[at % len(LINES)]}" for at in range(rows)]
    told = evaluate.evaluate(Rows(written, truth.tolist(), list(range(1, rows + 1))), chances, classes)
    (folder / "evaluation.json").write_text(evaluate.to_json(told), "utf-8")
    lines = (
        {
            "row": at + 1,
            "text": text,
            "label": classes[label],
            "predicted": classes[said],
            "probabilities": dict(zip(classes, row, strict=True)),
        }
        for at, (text, label, said, row) in enumerate(zip(written, truth, predicted, chances.tolist(), strict=True))
    )
    (folder / "predictions.jsonl").write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")


def write(folder: Path, rows: int = 40) -> None:
    """written.jsonl of a model that wrote so many answers, every third cut off, every fourth just what was wanted."""
    lines = (
        account.Sample(
            at + 1, f"প্রশ্ন {at}: {LINES[at % len(LINES)]}", "<b>good</b>", "<b>good</b>" if at % 4 == 0 else f"written {at} খুব ভালো", "bad",
            "length" if at % 3 == 0 else "end",
        )
        for at in range(rows)
    )  # fmt: skip
    told = ({**vars(one), "score": {"name": "ROUGE-L", "value": float(one.written == one.wanted), "better": "higher"}} for one in lines)
    (folder / account.TEXTS).write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in told), "utf-8")
    kept = account.from_json((folder / account.FILE).read_text("utf-8"))
    (folder / account.FILE).write_text(account.to_json(dataclasses.replace(kept, written=rows)), "utf-8")


def a_look(model_stamp: int) -> Probed:
    """What a closer look may have found."""
    example = Example("জিনিসটা খুব ভালো।", "jinisota khub bhalo.", "Positive", "<b>Neutral</b>")
    return Probed(
        model_stamp=model_stamp, device="CPU, 2 cores", seconds=65.0, test_rows=2000, edge_rows=200,
        edge_cases=(
            Finding("negation", "“Not” put in or taken out", False, 190, Interval(0.3, 0.24, 0.37), 150, 120, ()),
            Finding("typos", "Mistyped: a slip in every tenth word", True, 200, Interval(0.05, 0.03, 0.09), 160, 155, ()),
            Finding("latin", "Bengali typed in Latin letters", True, 100, Interval(0.98, 0.93, 0.99), 80, 30, (example,)),
            Finding("small", "all in small letters", True, 0, None, 0, 0, ()),
        ),
        speed=(
            Speed("tuned", 0.0143, 0.0173, 100, 4, 113.7), Speed("untuned", 0.0097, 0.0192, 100, 16, 138.2),
            Speed("merged", 0.0074, 0.0090, 100, 16, 195.2),
        ),
        untuned=BaselineScore(
            "untuned", "Untuned model, by nearest neighbours", 0.672, 0.67, 0.67, 110, 41, 1e-8, Interval(0.14, 0.1, 0.18), "A note."
        ),
        untuned_rows=500, tuned_accuracy=0.81, temperature=1.6, temperature_rows=100, notes=(),
    )  # fmt: skip


def probed_run(folder: Path, found: Probed | None = None) -> None:
    """A closer look lies in the run's folder."""
    (folder / "probe").mkdir(exist_ok=True)
    told = found or dataclasses.replace(a_look(0), model_stamp=judged.model_stamp(folder))
    (folder / "probe" / "probed.json").write_text(probed.to_json(told), "utf-8")
