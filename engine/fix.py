"""A fix as it is recorded in a RunSpec: one line of text, such as "merge-labels:POS=positive", read strictly and written back the same.

What each does to the rows stands in data/fixes.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from engine.errors import Problem

# How many values each takes, in the order in which they are applied, whatever the order in which a person chose them.
KINDS: dict[str, int] = {
    "join-cells": 2,  # the text column, and the delimiter in words: comma, semicolon, tab, pipe
    "repair-encoding": 0,
    "strip-invisible": 0,
    "remove-html": 0,
    "replace-links": 0,
    "replace-users": 0,
    "merge-labels": 2,  # from, to
    "drop-class": 1,
    "drop-no-second": 0,  # of a pair
    "drop-longer": 1,  # than so many characters
    "drop-conflicts": 0,
    "drop-copies": 0,
    "drop-near-copies": 0,
    "drop-leaked": 0,
    "drop-nearly-leaked": 0,
}
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}


@dataclass(frozen=True)
class Fix:
    """One recorded change to the rows."""

    kind: str
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ":".join((self.kind, "=".join(map(_escaped, self.values)))) if self.values else self.kind


def read(text: str) -> Fix | Problem:
    """The fix that this text means, or what is wrong with it."""
    kind, colon, rest = text.partition(":")
    values = tuple(map(_plain, rest.split("="))) if colon else ()
    told = Fix(kind, values)
    if kind not in KINDS:
        return Problem("data.fixes", f"There is no fix {text[:80]!r}.", f"Known fixes: {', '.join(KINDS)}.")
    if len(values) != KINDS[kind] or str(told) != text:
        return Problem("data.fixes", f"The fix {text[:80]!r} is not written as Shur writes it.", "Remove it, or choose it on the page.")
    if (kind == "drop-longer" and not (values[0].isdecimal() and len(values[0]) < 10)) or (
        kind == "join-cells" and values[1] not in DELIMITERS
    ):
        return Problem("data.fixes", f"The fix {text[:80]!r} has a value that it does not know.", "Remove it, or choose it on the page.")
    return told


def read_all(texts: Iterable[str]) -> tuple[tuple[Fix, ...], tuple[Problem, ...]]:
    """The fixes in the order in which they are applied, and what is wrong with those that are none."""
    told = [read(text) for text in dict.fromkeys(texts)]
    fixes = sorted((one for one in told if isinstance(one, Fix)), key=lambda one: list(KINDS).index(one.kind))
    return tuple(fixes), tuple(one for one in told if isinstance(one, Problem))


def _escaped(value: str) -> str:
    return value.replace("%", "%25").replace("=", "%3D")


def _plain(value: str) -> str:
    return value.replace("%3D", "=").replace("%25", "%")
