"""What the coach sees in a run's curves, and why a judged run is not better; each with a button for what is advised. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape

from engine.coach import Advice, Finding
from engine.reasons import Reason
from ui import words

TITLES = {
    "diverged": "Training came apart",
    "rate_high": "Learning rate too high",
    "rate_low": "Learning rate too low",
    "overfitting": "Overfitting",
    "plateau": "No more gain",
    "never_predicted": "A class it never gives",
    "endless": "Answers that never end",
    "reading": "It cannot read the words",
    "rows": "Rows it never saw",
    "unfinished": "Still learning at the end",
    "simpler": "A simpler model is better",
    "cut": "Texts that are cut",
    "labels": "Labels that are likely wrong",
    "few_rows": "Few rows",
    "confused": "One mistake above all",
}


def card(findings: Sequence[Finding], *, is_over: bool) -> str:
    """The findings, the gravest first; empty text where the coach has nothing to say."""
    listed = "".join(_finding(one, is_over) for one in findings)
    return f'<div class="coach doctor"><p class="lead">The coach</p><ul>{listed}</ul></div>' if listed else ""


def reasons(found: Sequence[Reason]) -> str:
    """Why a judged run is not better, the likeliest first; empty text where nothing is known."""
    listed = "".join(_line(one, "", is_over=True) for one in found)
    return f'<div class="coach doctor"><p class="lead">What may keep it from being better</p><ul>{listed}</ul></div>' if listed else ""


def _finding(one: Finding, is_over: bool) -> str:
    return _line(one, f' <span class="soft">since step {words.count(one.since)}</span>', is_over=is_over)


def _line(one: Finding | Reason, since: str, *, is_over: bool) -> str:
    offered = [(at, advice) for at, advice in enumerate(one.advice) if advice.trains or not is_over]
    buttons = "".join(_button(one, at, advice, is_over) for at, advice in offered)
    told = f"<b>{TITLES[one.kind]}</b>{since}<p>{escape(one.message)}</p>"
    return f'<li data-coach="{one.kind}"><div>{told}</div><div>{buttons}</div></li>'


def _button(one: Finding | Reason, at: int, advice: Advice, is_over: bool) -> str:
    told = advice.words[0].upper() + advice.words[1:] if is_over else f"Stop, and {advice.words}"
    held = escape(json.dumps({"kind": one.kind, "choice": at}))
    name = escape(f"{TITLES[one.kind]}: {told}")
    return f'<button type="button" class="pick" data-as="follow" data-pick="{held}" aria-label="{name}">{escape(told)}</button>'
