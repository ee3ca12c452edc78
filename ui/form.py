"""From knobs to fields and back. Every setting on the page is drawn from its one declaration in the engine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from engine.errors import Problem
from engine.knobs import Knob, Value, read
from engine.plan import Plan
from ui import words

AUTOMATIC = ""  # what an untouched field holds: the preset, or else the plan, decides


@dataclass(frozen=True)
class Group:
    """Knobs that stand together on the page. `method` is the id of the method that they belong to, if to one."""

    title: str
    knobs: tuple[Knob, ...]
    method: str | None = None


def bounds(knob: Knob) -> str:
    """The values that a knob takes, in words: "1 to 256", "at least 8 tokens"; empty for a choice or a switch."""
    unit = f" {knob.unit}" if knob.unit else ""
    if knob.kind == "text":
        return ""
    if knob.low is not None and knob.high is not None:
        return f"{_plain(knob.low)} to {_plain(knob.high)}{unit}."
    if knob.low is not None:
        return f"At least {_plain(knob.low)}{unit}."
    return "" if knob.high is None else f"At most {_plain(knob.high)}{unit}."


def _plain(number: float) -> str:
    return f"{number:,.0f}" if number == int(number) and number >= 10_000 else f"{number:g}".replace("e-0", "e-")


def hint(knob: Knob) -> str:
    return f"{knob.help} {bounds(knob)}".strip()


def widget(knob: Knob, *, shown: bool = True, place: str = "knob", default: bool = False) -> gr.Textbox | gr.Dropdown:
    """The knob's field. Numbers are typed as text, so that 2e-4 may be written and a slip stays where it was typed, with its Problem.

    `place` tells fields of one name apart. `default`: an empty field means the knob's default, which no plan changes.
    """
    told: dict[str, Any] = {"label": knob.label, "info": hint(knob), "value": AUTOMATIC, "min_width": 180, "elem_classes": ["knob"]}
    told["visible"] = shown
    if knob.kind in ("choice", "switch"):
        return gr.Dropdown(choices=choices(knob, None), filterable=False, elem_id=f"{place}-{knob.name}", **told)
    if knob.kind == "text":
        lines = {"lines": 2, "max_lines": 8} if knob.default else {"max_lines": 1}
        return gr.Textbox(placeholder=str(knob.default), **lines, elem_id=f"{place}-{knob.name}", **told)
    empty = words.value(knob.default) if default else "automatic"
    return gr.Textbox(placeholder=empty, max_lines=1, elem_id=f"{place}-{knob.name}", **told)


def narrowed(knob: Knob, values: Sequence[str]) -> Knob:
    """The knob with these of its choices alone."""
    return replace(knob, choices=tuple((value, text) for value, text in knob.choices if value in values))


def choices(knob: Knob, decided: Value | None) -> list[tuple[str, str]]:
    """What a choice or a switch offers; the first leaves it to the preset and the plan, and says what they chose."""
    offered = [("Yes", "yes"), ("No", "no")] if knob.kind == "switch" else [(text, value) for value, text in knob.choices]
    now = {"yes": True, "no": False}
    told = next((text for text, value in offered if decided is not None and (now.get(value) is decided or value == decided)), "")
    return [(f"Automatic: {told.lower() if knob.kind == 'switch' else told}" if told else "Automatic", AUTOMATIC), *offered]


def settings(knobs: Iterable[Knob], typed: dict[str, Any]) -> dict[str, Value]:
    """What the person set, in each knob's own type. What cannot be read stays as typed: `check` says what is wrong with it."""
    found: dict[str, Value] = {}
    for knob in knobs:
        raw = typed.get(knob.name)
        text = raw.strip() if isinstance(raw, str) else raw
        if text is None or text == AUTOMATIC:
            continue
        value, problem = read(knob, text)
        found[knob.name] = text if problem or value is None else value
    return found


def typed(knobs: Iterable[Knob], values: dict[str, Value]) -> dict[str, str]:
    """The reverse of `settings`: what each field shows for these values."""
    return {knob.name: _text(values[knob.name]) if knob.name in values else AUTOMATIC for knob in knobs}


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def update(knob: Knob, plan: Plan | None, found: Iterable[Problem], *, shown: bool = True) -> dict[str, Any]:
    """The field's new label, hint, placeholder and mark, without touching what was typed."""
    wrong = next((one for one in found if one.field == f"settings.{knob.name}"), None)
    decided = plan.settings.get(knob.name) if plan else None
    told: dict[str, Any] = {
        "visible": shown,
        "label": knob.label,
        "info": f"{wrong.message} {wrong.fix}" if wrong else hint(knob),
        "elem_classes": ["knob", f"has-{wrong.severity}"] if wrong else ["knob"],
    }
    if knob.kind in ("choice", "switch"):
        return gr.update(choices=choices(knob, decided), **told)
    if knob.kind == "text":
        return gr.update(placeholder=str(knob.default if decided is None else decided), **told)
    return gr.update(placeholder="automatic" if decided is None else f"automatic: {words.value(decided)}", **told)
