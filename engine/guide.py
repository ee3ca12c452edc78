"""The guide's table, reproduced honestly: what its code does on IMDb beside the same job done right, why, and what was measured here.

The facts are those of A. (B. M. Akula, Fine Tune Qwen on Free GCP Colab T4, 2025) and what is wrong with them. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.account import Account, number
from engine.evaluate import Evaluation
from engine.reading import RunSummary
from engine.verdict import percent, with_interval

GUIDE, RIGHT = "guide", "done-right"  # the two presets


@dataclass(frozen=True)
class Difference:
    """One thing that the two do otherwise, and what comes of it."""

    what: str
    guide: str
    right: str
    why: str


DIFFERENCES = (
    Difference(
        "What is learnt",
        "The review itself, word by word",
        "The label, written behind the review",
        "A model that learns to write reviews was never asked what they think; the label is what one wants to know.",
    ),
    Difference(
        "What counts in the loss",
        "Every token of the review, and the padding up to 512",
        "The label's tokens alone",
        "A review of 230 words leaves half of 512 tokens as padding: the loss looks small because padding is easy.",
    ),
    Difference(
        "How much is read",
        "100 reviews: 100 steps of one, all of them within the warm-up",
        "Up to 8,000 reviews, in batches",
        "Over a warm-up of 100 steps the learning rate only just reaches its value when training ends.",
    ),
    Difference(
        "How it is judged",
        "Another classifier reads 50 texts that the model wrote",
        "Every test review is answered, with an interval",
        "On 50 samples a share of 88 % may be 79 or 97. An F1 of 93.6 beside it, on two classes of one size, means that the sample "
        "was not balanced.",
    ),
    Difference(
        "What it is compared with",
        "The untuned model",
        "The untuned model, guessing, and TF-IDF with logistic regression",
        "TF-IDF reaches about 88.7 % on IMDb with 5,000 reviews in seconds on a processor.",
    ),
    Difference(
        "Time",
        "16 minutes for 100 steps on a T4: 9.6 s a step",
        "Measured step by step",
        "One processor core needs 5.4 s for that step, and a T4 should need well under one: most of the 16 minutes was not training.",
    ),
    Difference(
        "Memory",
        "75 % less by LoRA",
        "Estimated before, measured in the run",
        "That holds only against full fine-tuning in 32 bits; against 16 bits LoRA saves less.",
    ),
    Difference(
        "Quicker answers",
        "25 % faster after LoRA",
        "Measured before and after on the same inputs, merged and not",
        "LoRA adds work where it is not merged, and none where it is.",
    ),
    Difference(
        "Its code today",
        "evaluation_strategy, tokenizer= and early_stopping_patience as it writes them",
        "Today's names",
        "transformers no longer knows those three, so the guide's code ends with an error as it stands.",
    ),
)


@dataclass(frozen=True)
class Measured:
    """The newest finished run of one of the two presets, in words."""

    run: str  # its id
    name: str
    verdict: str
    minutes: float


def measured(
    runs: Sequence[RunSummary], evaluation: Callable[[str], Evaluation | None], account: Callable[[str], Account | None]
) -> dict[str, Measured]:
    """The newest finished run of each preset; nothing for one that was not run here."""
    found: dict[str, Measured] = {}
    for run in runs:
        if run.preset not in (GUIDE, RIGHT) or run.state != "finished" or run.preset in found:
            continue
        judged, told = evaluation(run.id), account(run.id)
        words = ""
        if judged is not None:
            words = f"{with_interval(judged.accuracy)} of {judged.rows:,} test reviews right"
            tfidf = next((one for one in judged.baselines if one.id == "tfidf"), None)
            words += f"; TF-IDF {percent(tfidf.accuracy)}" if tfidf else ""
        elif told is not None:
            words = "; ".join(f"{one.name} {number(one.value.value)}, untuned {number(one.before or 0)}" for one in told.figures[:2])
            words += f"; of {told.written:,} texts that it wrote none says which label it would give"
        found[run.preset] = Measured(run.id, run.name, words, run.seconds / 60)
    return found
