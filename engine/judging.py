"""The account of a task that gives numbers or tags: its figures beside those of baselines and, where that helps, the untuned model."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from engine import account, redrawn, told
from engine.account import SAMPLES, Account, Sample
from engine.again import Earlier
from engine.calibration import binned, calibration_error, error_by_chance, share_of
from engine.data import corrected
from engine.data.overlap import overlap
from engine.data.split import Prepared, Rows
from engine.redrawn import Redrawn
from engine.tasks import Task
from engine.told import Belief, Margin, Part

UNTUNED = "untuned"


def judged(
    task: Task,
    prepared: Prepared,
    answers: Any,
    untuned: Any = None,
    *,
    step: int,
    threshold: float | None = None,
    margin: float | None = None,
    tell: Callable[[str], None] = lambda _: None,
    earlier: Earlier | None = None,
    remarks: tuple[str, ...] = (),
) -> tuple[Account, str, tuple[Redrawn, ...]]:
    """The account of these answers to the test rows, every one of them as JSON lines, and its figures redrawn. `tell` says what is done.

    With a threshold the answers are chances, (rows, classes), and from it on each is a yes; with a margin they are numbers, and most of
    the right ones should lie so near. `earlier`: the run before corrections. `remarks`: on how it learnt.
    """
    assert task.judges is not None
    test, classes = prepared.test, prepared.classes
    chances = answers if threshold is not None else None
    answers = answers if threshold is None else (answers >= threshold).astype(int)
    figures = task.judges.figures(answers, test.targets, classes)
    before = None if untuned is None else task.judges.figures(untuned, test.targets, classes)
    rivals = []
    for rival in task.judges.rivals:
        tell("Comparing with the baselines")
        made = rival(prepared)
        rivals.append((made, {one.id: one for one in task.judges.figures(made.answers, test.targets, classes)}))
    if earlier is not None and earlier.answered is not None:
        made = earlier.answered
        rivals.append((made, {one.id: one for one in task.judges.figures(made.answers, test.targets, classes)}))
    known = tuple(
        told.told(one, before[at] if before else None, [(made.id, made.name, there[one.id]) for made, there in rivals if one.id in there])
        for at, one in enumerate(figures)
    )
    samples = _samples(task, test, classes, answers, untuned)
    seen = overlap(prepared.train, test).counts
    more = _more(task, prepared, answers, chances)
    every = "".join(json.dumps({**vars(one), **beside}, ensure_ascii=False) + "\n" for one, beside in zip(samples, more, strict=True))
    remarks += earlier.remarks if earlier else ()
    warnings = (*account.warnings(len(test.texts), (), 0, 0.0, seen), *task.judges.warnings(answers, test.targets, classes), *remarks)
    made_account = Account(
        task=task.id, rows=len(test.texts), written=len(test.texts), headline=task.headline, figures=known,
        sentence=task.judges.sentence(known), warnings=warnings, samples=tuple(account.cut(one) for one in _spread(samples)), step=step,
        seen_rows=seen[0], nearly_seen_rows=seen[1], notes=tuple(f"{made.name}: {made.note}" for made, _ in rivals),
        parts=_parts(task, answers, chances, test.targets, classes), threshold=threshold, belief=_belief(chances, test.targets),
        margin=None if margin is None else _margin(margin, answers, test.targets, len(prepared.validation.texts)),
    )  # fmt: skip
    rows = list(zip(test.numbers, test.texts, _beside(test), test.targets, strict=True))
    return made_account, every, tuple(redrawn.of(one, rows) for one in figures)


def _parts(task: Task, given: Any, chances: Any, wanted: Sequence[Any], classes: Sequence[str]) -> tuple[Part, ...]:
    """Each tag's figures, with how far its chances lie from how often it is there."""
    if task.judges is None or task.judges.parts is None:
        return ()
    parts = task.judges.parts(given, wanted, classes)
    if chances is None:
        return parts
    there = np.asarray(wanted, dtype=bool)
    errors = (calibration_error(binned(chances[:, at], there[:, at])) for at in range(len(parts)))
    return tuple(replace(part, calibration_error=error) for part, error in zip(parts, errors, strict=True))


def _belief(chances: Any, wanted: Sequence[Any]) -> Belief | None:
    """How far the chances of all tags can be believed; None where there are none."""
    if chances is None:
        return None
    sure, there = np.asarray(chances, dtype=np.float64).ravel(), np.asarray(wanted, dtype=bool).ravel()
    return Belief(calibration_error(binned(sure, there)), error_by_chance(sure), float(sure.mean()), float(there.mean()))


def _margin(half: float, answers: Any, targets: Sequence[float], rows: int) -> Margin:
    held = sum(abs(said - right) <= half for said, right in zip(answers, targets, strict=True))
    return Margin(half, rows, share_of(held, len(targets)))


def _more(task: Task, prepared: Prepared, answers: Any, chances: Any) -> list[dict[str, Any]]:
    """Of each row what `answers.read` needs beside what a person reads: its texts apart, and its number or tags as they are."""
    assert task.judges is not None
    test = prepared.test
    beside = test.second if test.second is not None else [None] * len(test.texts)
    found: list[dict[str, Any]] = [{"text": text, "second": second} for text, second in zip(test.texts, beside, strict=True)]
    if chances is not None:
        each = zip(test.targets, answers, chances, strict=True)
        return [{**one, **_columns(*row, prepared.classes)} for one, row in zip(found, each, strict=True)]
    right = task.judges.right(test.targets, prepared.scale)
    pairs = zip(test.targets, right, answers, strict=True)
    return [
        {**one, "label": corrected.of_number(target), "numbers": [float(wanted), float(said)]}
        for one, (target, wanted, said) in zip(found, pairs, strict=True)
    ]


def _columns(wanted: Sequence[int], given: Sequence[int], chances: Sequence[float], classes: Sequence[str]) -> dict[str, Any]:
    """Of one row, whether each class was wanted and given, and its chance."""
    return {
        f"{what}_each": {name: kind(one) for name, one in zip(classes, of_row, strict=True)}
        for what, of_row, kind in (("wanted", wanted, int), ("given", given, int), ("chance", chances, float))
    }


def _beside(rows: Rows) -> Sequence[str]:
    return rows.second if rows.second is not None else [""] * len(rows.texts)


def _spread(samples: Sequence[Sample]) -> list[Sample]:
    """Some of them, evenly spread over the test rows."""
    count = min(SAMPLES, len(samples))
    return [samples[at * len(samples) // count] for at in range(count)]


def _samples(task: Task, test: Rows, classes: Sequence[str], answers: Any, untuned: Any) -> list[Sample]:
    assert task.judges is not None
    spelt, second = task.judges.spelt, _beside(test)
    return [
        Sample(
            number, "\n\n".join(filter(None, (text, second[at]))), spelt(test.targets[at], classes), spelt(answers[at], classes),
            None if untuned is None else spelt(untuned[at], classes), "end",
        )
        for at, (number, text) in enumerate(zip(test.numbers, test.texts, strict=True))
    ]  # fmt: skip
