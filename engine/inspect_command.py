"""`python -m engine inspect FILE`: what is in the data, which columns are what, and what the doctor finds, as one JSON object."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from engine.data.columns import ColumnFacts
from engine.data.doctor import Checkup
from engine.data.finding import Finding, Remedy
from engine.data.profile import DataFacts
from engine.errors import Problem
from engine.spec import RunSpec
from engine.studio import Studio

DONE = 0
HARMS = {3: "the result will mislead", 2: "the model will be worse", 1: "good to know"}


def add_options(inspect: argparse.ArgumentParser) -> None:
    """The options beside those of `train`."""
    inspect.add_argument("file", nargs="?", metavar="FILE", help="the same as --data")


def inspect(told: argparse.Namespace, spec: RunSpec, studio: Studio, say: Callable[[str], None]) -> int:
    """Tells what is in the data on stdout; 0 wherever it can be opened, whatever is wrong with it. Raises Refused where it cannot."""
    facts, problems = studio.facts.look(spec.data, spec.settings, None)
    checkup = studio.facts.checkup(spec.data, spec.settings, None)
    if told.model or told.spec:  # only then is it known where texts are cut
        preview = studio.preview(replace(spec, data=replace(spec.data, text=facts.text or None, label=facts.label or None)))
        checkup, problems = studio.checkup(spec, preview), preview.problems
    for one in checkup.findings:
        say(f"{one.title}: {one.rows:,} rows")
    for problem in problems:
        say(f"{problem.field}: {problem}")
    print(json.dumps(outcome(facts, checkup, problems), ensure_ascii=False))
    return DONE


def outcome(facts: DataFacts, checkup: Checkup, problems: tuple[Problem, ...]) -> dict[str, Any]:
    """The profile, the roles of the columns and the findings as JSON values."""
    return {
        "origin": facts.origin,
        "sha256": facts.sha256,
        "sheets": facts.sheets,
        "rows": {"all": facts.rows, "usable": facts.usable, "left_out": facts.dropped, "given_test": facts.given_test},
        "roles": {
            "text": {"column": facts.text or None, "why": facts.text_why},
            "label": {"column": None if facts.labels else facts.label or None, "why": facts.label_why, "also_possible": _rivals(facts)},
            **({"labels": {"columns": facts.labels, "why": facts.labels_why}} if facts.labels else {}),
        },
        **({"meant_for": {"task": meant.task, "why": meant.why, "options": ["--task", meant.task]}} if (meant := facts.meant) else {}),
        "columns": [_column(one) for one in facts.columns],
        "classes": facts.answers,
        "test_classes": facts.test_classes,
        "characters": _spread(facts.chars),
        "words": {**_spread(facts.words), "longest": facts.longest_words},
        "scripts": {name: round(share, 4) for name, share in facts.script_shares.items()},
        "notes": facts.notes,
        "findings": [_finding(one) for one in checkup.findings],
        "fixed": [dataclasses.asdict(one) for one in checkup.applied],
        "problems": [dataclasses.asdict(one) for one in problems],
    }


def _rivals(facts: DataFacts) -> list[str]:
    return [one.name for one in facts.columns if one.role == "label" and one.name not in (facts.label, facts.text)]


def _column(one: ColumnFacts) -> dict[str, Any]:
    told = dataclasses.asdict(one)
    return {**told, "mean_chars": round(one.mean_chars, 1), "mean_words": round(one.mean_words, 1)}


def _spread(told: tuple[int, int, int]) -> dict[str, int]:
    return dict(zip(("percentile_5", "median", "percentile_95"), told, strict=True))


def _finding(one: Finding) -> dict[str, Any]:
    return {
        "id": one.id,
        "title": one.title,
        "rows": one.rows,
        "rows_looked_at": one.looked,
        "harm": one.harm,
        "harm_in_words": HARMS[one.harm],
        "effect": one.effect,
        "examples": one.examples,
        "remedies": [
            {"words": remedy.words, "fixes": remedy.fixes, "settings": remedy.settings, "options": _options(remedy)}
            for remedy in one.remedies
        ],
    }


def _options(remedy: Remedy) -> list[str]:
    """What `train` is given to have it done."""
    told = [["--fix", one] for one in remedy.fixes] + [["--set", f"{name}={value}"] for name, value in remedy.settings.items()]
    told += [["--second", remedy.second]] if remedy.second else []
    told += [["--encoding", remedy.encoding]] if remedy.encoding else []
    return [part for pair in told for part in pair]
