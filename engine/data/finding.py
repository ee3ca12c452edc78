"""What the doctor tells: one thing about the rows, what it does to the result, and what can be done about it. Plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from engine.knobs import Value

Harm = Literal[1, 2, 3]  # 3: the result will mislead; 2: the model will be worse; 1: good to know


@dataclass(frozen=True)
class Remedy:
    """One way to put it right: fixes to record, settings to make, a column to read as well, or another encoding to read the file by."""

    words: str  # of the button
    fixes: tuple[str, ...] = ()
    settings: dict[str, Value] = field(default_factory=dict)
    second: str = ""  # the column to be read beside the text
    encoding: str | None = None  # a codec of data/legacy.py; "": judged by the bytes


@dataclass(frozen=True)
class Finding:
    """One thing that was seen in the rows."""

    id: str
    title: str
    rows: int  # concerned
    harm: Harm
    effect: str  # what it does to the result, in words
    examples: tuple[str, ...] = ()  # three at most, each with its row where it has one
    remedies: tuple[Remedy, ...] = ()
    looked: int | None = None  # rows that were looked at, where not at all of them; `rows` is reckoned up from them
