"""The verdict on a model that writes: figures with intervals beside those of the untuned model, one sentence, texts to read. Pure.

Where a task gives classes, the verdict is in `evaluate`. account.json in a run's folder holds just this.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine import resampling
from engine.resampling import Figure
from engine.scoring import Interval
from engine.verdict import CHANCE, FEW_ROWS, p_words

FILE = "account.json"
TEXTS = "written.jsonl"  # every test row that was answered
VERSION = 1
FEW_WRITTEN = 30  # answered rows; below it a figure of them is a hint
SAMPLES = 12
SAMPLE_CHARACTERS = 1500


@dataclass(frozen=True)
class Told:
    """One figure of the tuned model and, on the same rows, of the untuned one."""

    id: str
    name: str
    better: str  # "higher", "lower" or "" where neither is
    note: str
    rows: int
    value: Interval
    before: float | None = None
    gain: Interval | None = None  # tuned less untuned
    p_value: float | None = None


@dataclass(frozen=True)
class Sample:
    """One test row: what was read, what should have been written, and what was."""

    number: int  # 1-based row number in the source
    prompt: str
    wanted: str
    written: str
    before: str | None  # by the untuned model
    ended: str  # as generation says: "end", "stop", "length", "budget"


@dataclass(frozen=True)
class Account:
    """Everything known of how well a model writes."""

    task: str
    rows: int  # test rows, all of which were scored
    written: int  # of them were answered, by both
    headline: str  # id of the figure told first
    figures: tuple[Told, ...]
    sentence: str
    warnings: tuple[str, ...]
    samples: tuple[Sample, ...]
    step: int
    seen_rows: int = 0  # test texts that stand among the training rows too
    version: int = VERSION


def told(tuned: Figure, untuned: Figure | None) -> Told:
    """The figure with its interval, and against the untuned model's on the same rows."""
    value = resampling.interval(tuned)
    rows = len(tuned.rows)
    if untuned is None:
        return Told(tuned.id, tuned.name, tuned.better, tuned.note, rows, value)
    gap = resampling.compare(tuned, untuned)
    return Told(tuned.id, tuned.name, tuned.better, tuned.note, rows, value, gap.second, gap.gain, gap.p_value)


def sentence(headline: str, figures: Sequence[Told]) -> str:
    """What a person should take from it: the first figure, against the untuned model, then how much less the texts surprise it."""
    ordered = sorted(figures, key=lambda one: one.id != headline)
    first = next((one for one in ordered if one.rows), None)
    if first is None:
        return "Nothing could be scored."
    parts = [f"{first.name} {shown(first)} on {first.rows:,} unseen rows{_against(first)}."]
    surprise = next((one for one in figures if one.id == "perplexity_word" and one is not first), None)
    if surprise is not None:
        parts.append(f"{surprise.name} {shown(surprise)}{_against(surprise)}.")
    return " ".join(parts)


def shown(one: Told) -> str:
    """0.31 (0.27 to 0.35)."""
    return f"{number(one.value.value)} ({number(one.value.low)} to {number(one.value.high)})"


def number(value: float) -> str:
    """Three figures that matter: 0.312, 12.3, 145."""
    places = next((places for least, places in ((100, 0), (10, 1), (1, 2)) if abs(value) >= least), 3)
    return f"{value:,.{places}f}"


def is_better(one: Told) -> bool | None:
    """Whether the tuned model is better by more than chance; None where chance explains the difference, or there is none to see."""
    if one.gain is None or one.p_value is None or one.p_value >= CHANCE or not one.better:
        return None
    return (one.gain.value > 0) == (one.better == "higher")


def _against(one: Told) -> str:
    if one.before is None or one.p_value is None:
        return ""
    better = is_better(one)
    if better is None:
        how = f"no difference beyond chance ({p_words(one.p_value)})"
    else:
        how = f"the training {'helped' if better else 'made it worse'}, by more than chance ({p_words(one.p_value)})"
    return f"; the untuned model {number(one.before)}: {how}"


def warnings(rows: int, samples: Sequence[Sample], written: int, same: float, seen_rows: int) -> tuple[str, ...]:
    """What limits the figures, a sentence each. `same`: the share of answers that equal another's."""
    found = []
    if rows < FEW_ROWS:
        found.append(f"There are only {rows:,} test rows: the intervals are wide, and another split would give other figures.")
    if 0 < written < FEW_WRITTEN:
        found.append(f"Only {written:,} of them were answered in full; raise the rows written in the test for surer figures.")
    endless = sum(one.ended in ("length", "budget") for one in samples)
    if samples and endless > len(samples) / 2:
        found.append("Most answers never come to an end by themselves: train longer, or let answers become longer in the test.")
    if same > 0.5 and written >= 5:
        found.append("The model gives many prompts the very same answer: it may have learnt a phrase and not the task.")
    if seen_rows:
        found.append(f"{seen_rows:,} of the test texts stand among the training rows too, so the figures flatter.")
    return tuple(found)


def to_json(account: Account) -> str:
    """The account as strict JSON text."""
    return json.dumps(dataclasses.asdict(account), ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def from_json(text: str) -> Account:
    """The account that `to_json` wrote. Raises ValueError where it is none."""
    try:
        read: dict[str, Any] = json.loads(text)
        figures = tuple(
            Told(**{**one, "value": Interval(**one["value"]), "gain": Interval(**one["gain"]) if one["gain"] else None})
            for one in read["figures"]
        )
        samples = tuple(Sample(**one) for one in read["samples"])
        return Account(**{**read, "figures": figures, "samples": samples, "warnings": tuple(read["warnings"])})
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a whole account: {error}") from error
