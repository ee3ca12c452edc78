"""The verdict on a model that gives no classes: figures with intervals beside those of others, one sentence, texts to read. Pure.

Where a task gives classes, the verdict is in `evaluate`. account.json in a run's folder holds just this.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.answers import WRITTEN
from engine.errors import Problem, Refused
from engine.scoring import Interval
from engine.told import Belief, Margin, Other, Part, Told, is_better, number, shown, told
from engine.verdict import FEW_ROWS, p_words, shared_words

__all__ = [
    "Account",
    "Other",
    "Sample",
    "Told",
    "from_json",
    "is_better",
    "number",
    "sentence",
    "shown",
    "texts",
    "to_json",
    "told",
    "warnings",
]

FILE = "account.json"
TEXTS = WRITTEN  # every test row that was answered
VERSION = 1
FEWEST_TOLD = 6  # rows; of fewer, swapping by chance makes as large a gap in more than 5 % of the ways there are
FEW_WRITTEN = 30  # answered rows; below it a figure of them is a hint
SAMPLES = 12
SAMPLE_CHARACTERS = 1500


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
    nearly_seen_rows: int = 0  # others that nearly do
    notes: tuple[str, ...] = ()  # how the others were made
    parts: tuple[Part, ...] = ()  # each class's own figures, where a row can have several
    threshold: float | None = None  # from which chance on one is given
    margin: Margin | None = None  # of numbers
    belief: Belief | None = None  # of the chances of tags
    version: int = VERSION


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


def first_of(one: Account) -> Told | None:
    """The figure told first; None where nothing could be scored."""
    return next((told for told in one.figures if told.id == one.headline), None)


def headline_words(one: Account) -> str | None:
    """ROUGE-L 0.312."""
    first = first_of(one)
    return f"{first.name} {number(first.value.value)}" if first else None


def _against(one: Told) -> str:
    if one.before is None or one.p_value is None:
        return ""
    better = is_better(one)
    if one.rows < FEWEST_TOLD:
        how = f"{one.rows} {'row is' if one.rows == 1 else 'rows are'} too few to tell them apart"
    elif better is None:
        how = f"no difference beyond chance ({p_words(one.p_value)})"
    else:
        how = f"the training {'helped' if better else 'made it worse'}, by more than chance ({p_words(one.p_value)})"
    return f"; the untuned model {number(one.before)}: {how}"


def warnings(rows: int, samples: Sequence[Sample], written: int, same: float, seen: tuple[int, int]) -> tuple[str, ...]:
    """What limits the figures, a sentence each. `same`: the share of answers that equal another's. `seen`: as in the verdict's."""
    found = []
    if rows < FEW_ROWS:
        found.append(f"There are only {rows:,} test rows: the intervals are wide, and another split would give other figures.")
    if 0 < written < min(rows, FEW_WRITTEN):
        found.append(f"Only {written:,} of them were answered in full; raise the rows written in the test for surer figures.")
    endless = sum(one.ended in ("length", "budget") for one in samples)
    if samples and endless > len(samples) / 2:
        found.append("Most answers never come to an end by themselves: train longer, or let answers become longer in the test.")
    if same > 0.5 and written >= 5:
        found.append("The model gives many prompts the very same answer: it may have learnt a phrase and not the task.")
    if any(seen):
        found.append(f"{shared_words(rows, *seen)}, so the figures flatter.")
    return tuple(found)


def cut(one: Sample) -> Sample:
    """The sample as the account keeps it, long texts shortened."""

    def short(text: str) -> str:
        return text if len(text) <= SAMPLE_CHARACTERS else text[: SAMPLE_CHARACTERS - 1] + "…"

    return replace(
        one, prompt=short(one.prompt), wanted=short(one.wanted), written=short(one.written), before=one.before and short(one.before)
    )


def texts(run_folder: Path) -> tuple[Sample, ...]:
    """Every test row that was answered, whole. Raises Refused where there is no such file, or it is damaged."""
    names = [one.name for one in dataclasses.fields(Sample)]
    try:
        with (run_folder / TEXTS).open(encoding="utf-8") as lines:
            return tuple(Sample(**{name: told[name] for name in names}) for told in map(json.loads, lines))
    except FileNotFoundError as error:
        raise Refused(Problem("run", "This run has no answers to look at yet.", "Wait until it has been judged.")) from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise Refused(Problem("run", "The file of this run's answers is damaged.", "Clone the run and train again.")) from error


def to_json(account: Account) -> str:
    """The account as strict JSON text."""
    return json.dumps(dataclasses.asdict(account), ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def from_json(text: str) -> Account:
    """The account that `to_json` wrote. Raises ValueError where it is none."""
    try:
        read: dict[str, Any] = json.loads(text)
        figures = tuple(
            Told(
                **{
                    **one,
                    "value": Interval(**one["value"]),
                    "gain": Interval(**one["gain"]) if one["gain"] else None,
                    "others": tuple(Other(**{**other, "gain": Interval(**other["gain"])}) for other in one.get("others", ())),
                }
            )
            for one in read["figures"]
        )
        samples = tuple(Sample(**one) for one in read["samples"])
        parts = tuple(Part(**one) for one in read.get("parts", ()))
        margin = read.get("margin")
        near = Margin(**{**margin, "held": Interval(**margin["held"])}) if margin else None
        belief = Belief(**read["belief"]) if read.get("belief") else None
        tuples = {name: tuple(read.get(name, ())) for name in ("warnings", "notes")}
        return Account(**{**read, "figures": figures, "samples": samples, "parts": parts, "margin": near, "belief": belief, **tuples})
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a whole account: {error}") from error
