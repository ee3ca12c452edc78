"""Numbers to text, as every part of the page shows them. Inside Shur all is bytes, seconds and shares; units are made here alone."""

from __future__ import annotations

import time
from html import escape

from engine.errors import Problem

HARD_SPACE = "\u00a0"  # keeps a number and its unit on one line
STATES = {
    "new": "New",
    "queued": "Waiting",
    "running": "Running",
    "finished": "Finished",
    "stopped": "Stopped",
    "failed": "Failed",
    "killed": "Killed",
}
PHASES = {
    "data": "Reading the data",
    "model": "Loading the model",
    "tokens": "Tokenising",
    "training": "Training",
    "evaluation": "Evaluating",
    "saving": "Saving",
}


def count(number: float) -> str:
    """12,345"""
    return f"{number:,.0f}"


def counted(number: int, one: str, many: str | None = None) -> str:
    """1 row, 12,345 rows"""
    return f"{count(number)}{HARD_SPACE}{one if number == 1 else many or one + 's'}"


def short_count(number: float) -> str:
    """22.7 million, 494 million, 1.8 billion; below a million as it is."""
    for size, unit in ((1e9, "billion"), (1e6, "million")):
        if number >= size:
            return f"{_three_digits(number / size)}{HARD_SPACE}{unit}"
    return count(number)


def size(amount_bytes: float) -> str:
    """Decimal units, as disks and model pages count: 1.4 MB, 21 GB."""
    for unit_size, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if amount_bytes >= unit_size * 0.9995:
            return f"{_three_digits(amount_bytes / unit_size)}{HARD_SPACE}{unit}"
    return f"{amount_bytes:.0f}{HARD_SPACE}bytes"


def of_sizes(used_bytes: float, there_bytes: float) -> str:
    """1.1 of 21 GB: both in the unit of the larger."""
    for unit_size, unit in ((1e9, "GB"), (1e6, "MB")):
        if max(used_bytes, there_bytes) >= unit_size:
            return f"{_three_digits(used_bytes / unit_size)} of {_three_digits(there_bytes / unit_size)}{HARD_SPACE}{unit}"
    return f"{size(used_bytes)} of {size(there_bytes)}"


def _three_digits(number: float) -> str:
    """Two digits after the point below 1, one below 10 (none where it is 0), none from 100; trailing zeros dropped."""
    digits = 2 if number < 1 else 1 if number < 100 else 0
    text = f"{number:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else count(number)


def duration(seconds: float) -> str:
    """40 s, 1 min 30 s, 12 min, 2 h 5 min: as exact as a person needs."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}{HARD_SPACE}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 10 and rest:
        return f"{minutes}{HARD_SPACE}min {rest}{HARD_SPACE}s"
    if minutes < 60:
        return f"{minutes + (rest >= 30)}{HARD_SPACE}min"
    hours, minutes = divmod(minutes + (rest >= 30), 60)
    return f"{hours}{HARD_SPACE}h" + (f" {minutes}{HARD_SPACE}min" if minutes and hours < 24 else "")


def about(seconds: float) -> str:
    """An estimate, no more exact than it is: under a minute, 4 min, 2 h 10 min."""
    if seconds < 60:
        return f"under 1{HARD_SPACE}min"
    if seconds < 3570:
        return f"{round(seconds / 60)}{HARD_SPACE}min"
    return duration(round(seconds / 600) * 600)


def percent(share: float) -> str:
    """91.2 %. Only a whole share is 100, only none is 0."""
    if 0 < share < 0.0005 or 0.9995 <= share < 1:
        return f"under 0.1{HARD_SPACE}%" if share < 0.5 else f"over 99.9{HARD_SPACE}%"
    return f"{share * 100:.1f}{HARD_SPACE}%"


def small_share(share: float) -> str:
    """Of trained parameters, where tenths of a percent are too coarse: 1.4 %, 0.08 %, 100 %."""
    points = share * 100
    return f"{points:.0f}{HARD_SPACE}%" if points >= 10 else f"{points:.2g}{HARD_SPACE}%"


def figure(number: float, digits: int = 3) -> str:
    """A loss or a gradient norm: 0.412; a dash where it is not finite."""
    if number != number or number in (float("inf"), float("-inf")):
        return "–"
    return f"{number:.{digits}f}"


def rate(number: float) -> str:
    """A learning rate as a person writes it: 0.0005, 2e-05."""
    return f"{number:g}"


def moment(seconds_since_epoch: float) -> str:
    """23 Nov 2026, 00:24, in the machine's own time zone."""
    return time.strftime("%-d %b %Y, %H:%M", time.localtime(seconds_since_epoch))


def value(setting: object, unit: str = "") -> str:
    """A setting's value: yes or no for a switch, no trailing zeros for a number."""
    if isinstance(setting, bool):
        return "yes" if setting else "no"
    text = f"{setting:g}" if isinstance(setting, float) else str(setting)
    return f"{text}{HARD_SPACE}{unit}" if unit else text


def problem(one: Problem) -> str:
    """A problem as one line of safe HTML: what is wrong, then what to do."""
    fix = f' <span class="fix">{escape(one.fix)}</span>' if one.fix else ""
    mark = "Please note" if one.severity == "warning" else "Problem"
    return f'<div class="problem {one.severity}"><b class="unseen">{mark}: </b>{escape(one.message)}{fix}</div>'


def problems(found: tuple[Problem, ...] | list[Problem]) -> str:
    """All of them, errors first; empty text where there is none."""
    return "".join(problem(one) for one in sorted(found, key=lambda one: one.severity))
