"""What the doctor found, as a calm list with a button for each way to put it right, and what was put right with its Undo. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING

from engine import fix as fixing
from engine.data import legacy
from engine.spec import RunSpec
from engine.tasks import all_tasks
from ui import words

if TYPE_CHECKING:
    from engine.data.doctor import Applied, Checkup, Finding, Remedy
    from engine.knobs import Value

SMALL = 1  # harm from which a finding is folded away
SETTINGS = ("class_weights", "max_length")  # settings that a remedy makes


def card(checkup: Checkup | None, settings: dict[str, Value]) -> str:
    """The findings, most harmful first, those that do little harm folded away, and what was put right."""
    if checkup is None:
        return ""
    weighty = [one for one in checkup.findings if one.harm > SMALL]
    small = [one for one in checkup.findings if one.harm <= SMALL]
    told = ""
    if weighty:
        told += f'<p class="lead">{words.counted(len(weighty), "thing")} in these rows will show in the result</p>{_list(weighty)}'
    if small:
        lead = f"{words.counted(len(small), 'more thing' if weighty else 'thing')} to know about these rows"
        told += f"<details><summary>{lead}</summary>{_list(small)}</details>"
    return f'<div class="doctor">{told}{_done(checkup.applied, settings)}</div>' if told or checkup.applied or settings else ""


def _list(findings: Sequence[Finding]) -> str:
    return f"<ul>{''.join(map(_finding, findings))}</ul>"


def _finding(one: Finding) -> str:
    about = f"about {words.count(one.rows)} rows" if one.looked is not None else words.counted(one.rows, "row")
    sampled = f" · {words.count(one.looked)} looked at" if one.looked is not None else ""
    examples = "".join(f"<li>{escape(told)}</li>" for told in one.examples)
    folded = f'<details><summary>Examples</summary><ul class="notes">{examples}</ul></details>' if examples else ""
    buttons = "".join(_button(one, remedy) for remedy in one.remedies)
    return (
        f'<li data-finding="{one.id}"><div><b>{escape(one.title)}</b> <span class="soft">{about}{sampled}</span>'
        f"<p>{escape(one.effect)}</p>{folded}</div><div>{buttons}</div></li>"
    )


def _button(finding: Finding, remedy: Remedy) -> str:
    made = {"fixes": remedy.fixes, "settings": remedy.settings, "second": remedy.second, "encoding": remedy.encoding}
    told = escape(json.dumps(made, ensure_ascii=False))
    name = f"{finding.title}: {remedy.words}"
    return (
        f'<button type="button" class="pick" data-as="mend" data-pick="{told}" aria-label="{escape(name)}">{escape(remedy.words)}</button>'
    )


def _done(applied: Sequence[Applied], settings: dict[str, Value]) -> str:
    lines = [_undo(one.words, words.counted(one.rows, "row"), {"undo": [one.fix]}) for one in applied]
    if settings.get("class_weights") == "balanced":
        lines.append(_undo("Rare classes weigh more in training", "", {"unset": ["class_weights"]}))
    if "max_length" in settings:
        lines.append(_undo(f"Texts are read up to {settings['max_length']} tokens", "", {"unset": ["max_length"]}))
    lead = '<p class="lead">Put right; your file stays as it came</p>'
    return f'{lead}<ul class="done">{"".join(lines)}</ul>' if lines else ""


def _undo(what: str, count: str, told: dict[str, list[str]]) -> str:
    picked = escape(json.dumps(told, ensure_ascii=False))
    return (
        f'<li><div>✓ {escape(what)} <span class="soft">{count}</span></div><div><button type="button" class="pick" data-as="mend" '
        f'data-pick="{picked}" aria-label="Undo: {escape(what)}">Undo</button></div></li>'
    )


def changed(spec: RunSpec, picked: str) -> RunSpec:
    """The spec with what a button holds done or undone; as it is where the button holds nothing that can be read."""
    try:
        told = json.loads(picked)
    except ValueError:
        return spec
    if not isinstance(told, dict):
        return spec
    wanted = [one for one in _texts(told.get("fixes")) if isinstance(fixing.read(one), fixing.Fix)]
    gone, unset = _texts(told.get("undo")), _texts(told.get("unset"))
    settings = told.get("settings")
    made = {name: value for name, value in settings.items() if name in SETTINGS} if isinstance(settings, dict) else {}
    fixes = tuple(one for one in dict.fromkeys((*spec.data.fixes, *wanted)) if one not in gone)
    kept = {name: value for name, value in {**spec.settings, **made}.items() if name not in unset}
    task, second = told.get("task"), told.get("second")
    beside = second if isinstance(second, str) and second else spec.data.second
    learnt = task if isinstance(task, str) and task in all_tasks() else spec.task
    read_as = told.get("encoding") if isinstance(told.get("encoding"), str) else None
    encoding = (read_as or None) if read_as == "" or read_as in legacy.WORDS else spec.data.encoding
    return replace(spec, task=learnt, data=replace(spec.data, fixes=fixes, second=beside, encoding=encoding), settings=kept)


def _texts(told: object) -> list[str]:
    return [one for one in told if isinstance(one, str)] if isinstance(told, list) else []
