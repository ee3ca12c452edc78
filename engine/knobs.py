"""A knob is one setting, declared once; the form, its bounds, the help and the JSON are all drawn from that declaration.

A knob whose default is None means "decide for me": `plan` resolves it and records why.
"""

from __future__ import annotations

import math
import types
import typing
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar

from engine.errors import Problem

Value = bool | int | float | str
T = TypeVar("T")
Kind = Literal["whole", "number", "switch", "choice", "text"]


@dataclass(frozen=True)
class Knob:
    """One setting as the page, the shell and the JSON see it. `low` and `high` are inclusive; of a text `high` bounds the characters."""

    name: str
    kind: Kind
    default: Value | None
    label: str
    help: str
    low: float | None
    high: float | None
    choices: tuple[tuple[str, str], ...]  # (value, words)
    unit: str
    basic: bool  # shown in Simple as well as in Advanced


def knob(
    default: Any,
    *,
    label: str,
    help: str,
    low: float | None = None,
    high: float | None = None,
    choices: dict[str, str] | None = None,
    unit: str = "",
    basic: bool = False,
) -> Any:
    """A dataclass field that carries its own label, help and bounds. `choices` maps each value to its words."""
    told = {"label": label, "help": help, "low": low, "high": high, "choices": tuple((choices or {}).items()), "unit": unit, "basic": basic}
    return field(default=default, metadata={"knob": told})


def knobs_of(settings_type: type) -> tuple[Knob, ...]:
    """The knobs that a settings dataclass declares, in order."""
    hints = typing.get_type_hints(settings_type)
    found = []
    for one in fields(settings_type):
        told = one.metadata["knob"]
        default = typing.cast(Value | None, one.default)
        found.append(Knob(name=one.name, kind=_kind(hints[one.name], told["choices"]), default=default, **told))
    return tuple(found)


def _kind(hint: Any, choices: tuple[tuple[str, str], ...]) -> Kind:
    if choices:
        return "choice"
    members = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    kinds: dict[type, Kind] = {bool: "switch", int: "whole", float: "number", str: "text"}
    return next(kinds[member] for member in members if member in kinds)


def read(knob: Knob, raw: Value) -> tuple[Value | None, Problem | None]:
    """The value in the knob's own type, or the Problem with it. Text such as "2e-4" or "yes" is read as typed in a shell."""
    place = f"settings.{knob.name}"

    def bad(expected: str) -> tuple[None, Problem]:
        return None, Problem(place, f"{knob.label} is {raw!r}, but it must be {expected}.", f"Set {knob.name} to {expected}.")

    if knob.kind == "choice":
        words = [value for value, _ in knob.choices]
        return (str(raw), None) if str(raw) in words else bad("one of " + ", ".join(words))
    if knob.kind == "text":
        too_long = knob.high is not None and len(str(raw)) > knob.high
        return bad(f"at most {knob.high:,.0f} characters long") if too_long else (str(raw), None)
    if knob.kind == "switch":
        truth = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
        known = truth.get(str(raw).strip().lower())
        return bad("yes or no") if known is None else (known, None)
    bounds = _bounds(knob)
    try:
        number = float(raw)
    except (TypeError, ValueError, OverflowError):
        return bad(bounds)
    whole = knob.kind == "whole"
    if isinstance(raw, bool) or not math.isfinite(number) or (whole and number != int(number)):
        return bad(bounds)
    if (knob.low is not None and number < knob.low) or (knob.high is not None and number > knob.high):
        return bad(bounds)
    return (int(number) if whole else number), None


def _bounds(knob: Knob) -> str:
    what = "a whole number" if knob.kind == "whole" else "a number"
    match knob.low, knob.high:
        case None, None:
            return what
        case low, None:
            return f"{what} of at least {low:g}"
        case None, high:
            return f"{what} of at most {high:g}"
        case low, high:
            return f"{what} from {low:g} to {high:g}"


def settle(settings_type: type[T], values: dict[str, Value]) -> T:
    """An instance of `settings_type` from those of `values` that name its knobs. Values must have been read before."""
    names = {one.name for one in knobs_of(settings_type)}
    return settings_type(**{name: value for name, value in values.items() if name in names})
