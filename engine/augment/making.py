"""Makes the rows: changed copies of the training rows, none of them the same as a row that checks or tests. Pure but for its files.

RUN/augmented.jsonl   {"place": 3, "row": 17, "label": "Positive", "original": "…", "text": "…"}    made once; a resumed run reads it
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import TypeVar

import numpy as np

from engine.augment import NOISE, SYNONYMS, Augmentation, noise, stand_ins
from engine.data import corrected
from engine.data.split import Prepared, Rows
from engine.store import write_whole

T = TypeVar("T")
FILE = "augmented.jsonl"
LOOKED_AT = 60  # rows, for examples
TRIES = 4  # for a copy that no other row has
Change = Callable[[int, int, int], str | None]  # (place of the training row, copy, try) -> its changed text; None: it cannot be


@dataclass(frozen=True)
class Copy:
    """A changed copy of a training row."""

    place: int  # of the row among the training rows
    text: str


@dataclass(frozen=True)
class Made:
    """The copies, and what became of the others."""

    copies: tuple[Copy, ...]
    wanted: int
    leaked: int = 0  # the same as a validation or test text, and left out

    @property
    def missing(self) -> int:
        """That no change suited, or that came out the same as another row."""
        return self.wanted - len(self.copies) - self.leaked


@dataclass(frozen=True)
class Example:
    """A made row beside its original."""

    row: int  # 1-based number in the source
    label: str
    original: str
    text: str


def changing(kind: str, prepared: Prepared, settings: Augmentation, seed: int) -> Change | None:
    """What changes a row without a model; None for what needs one."""
    texts = prepared.train.texts

    def dice(place: int, copy: int, go: int) -> Random:
        return Random(f"{seed}/{kind}/{copy}/{go}/{place}")

    if kind == NOISE:
        return lambda place, copy, go: noise.noised(texts[place], settings.augment_share, dice(place, copy, go))
    if kind == SYNONYMS:
        known = stand_ins.learn(texts, *_classings(prepared))
        return lambda place, copy, go: stand_ins.replaced(texts[place], settings.augment_share, dice(place, copy, go), known)
    return None


def _classings(prepared: Prepared) -> tuple[stand_ins.Classing, ...]:
    """How the training rows are told apart by what is learnt: by class, by each tag, or by low, middle and high numbers."""
    train = prepared.train
    if train.tags is not None:
        return tuple(([row[at] for row in train.tags], 2) for at in range(len(prepared.classes)))
    if train.values is not None:
        edges = np.quantile(train.values, (1 / 3, 2 / 3)) if train.values else [0.0, 0.0]
        return ((np.searchsorted(edges, train.values).tolist(), 3),)
    return ((train.labels, len(prepared.classes)),)


def made(prepared: Prepared, copies: int, change: Change, *, tries: int = TRIES, said: Callable[[int], None] = lambda _: None) -> Made:
    """A copy of each training row, so many times over. `said(rows done)` is called now and then; it may raise to stop.

    A copy that is the same as a validation or test text, but for case and blanks, is left out, so that nothing leaks; so is one
    that is the same as a training text or another copy.
    """
    held = {_key(text) for part in (prepared.validation, prepared.test) for text in part.texts}
    taken = {_key(text) for text in prepared.train.texts}
    found: list[Copy] = []
    leaked = 0
    for copy in range(copies):
        for place in range(len(prepared.train.texts)):
            if place % 500 == 0:
                said(copy * len(prepared.train.texts) + place)
            text, leaks = _new(change, place, copy, tries, held, taken)
            leaked += text is None and leaks
            if text is not None:
                taken.add(_key(text))
                found.append(Copy(place, text))
    return Made(tuple(found), copies * len(prepared.train.texts), leaked)


def sampled(prepared: Prepared, change: Change, most: int) -> tuple[Copy, ...]:
    """Some copies of rows evenly spread, the very ones that a run makes first of them."""
    held = {_key(text) for part in (prepared.validation, prepared.test) for text in part.texts}
    taken = {_key(text) for text in prepared.train.texts}
    rows = len(prepared.train.texts)
    found: list[Copy] = []
    for at in range(min(rows, LOOKED_AT)):
        place = at * rows // min(rows, LOOKED_AT)
        text, _ = _new(change, place, 0, TRIES, held, taken)
        if text is not None:
            found.append(Copy(place, text))
    return tuple(found[at * len(found) // most] for at in range(most)) if len(found) > most else tuple(found)


def _new(change: Change, place: int, copy: int, tries: int, held: set[str], taken: set[str]) -> tuple[str | None, bool]:
    """A text that no row has yet, and whether one was thrown away because a held-out row has it."""
    leaks = False
    for go in range(tries):
        text = change(place, copy, go)
        if text is None or not text.strip():
            break
        if _key(text) in held:
            leaks = True
        elif _key(text) not in taken:
            return text, leaks
    return None, leaks


def _key(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def grown(prepared: Prepared, copies: Sequence[Copy]) -> Prepared:
    """The same with the copies behind the training rows, each with its original's label and number."""
    train, places = prepared.train, [one.place for one in copies]

    def again(column: list[T]) -> list[T]:
        return [*column, *(column[place] for place in places)]

    rows = Rows(
        [*train.texts, *(one.text for one in copies)],
        again(train.labels),
        again(train.numbers),
        None if train.second is None else again(train.second),
        None if train.answers is None else again(train.answers),
        None if train.values is None else again(train.values),
        None if train.tags is None else again(train.tags),
    )
    return replace(prepared, train=rows)


def examples(prepared: Prepared, copies: Sequence[Copy], most: int) -> tuple[Example, ...]:
    """Some of the copies beside their originals, evenly spread."""
    chosen = [copies[at * len(copies) // min(most, len(copies))] for at in range(min(most, len(copies)))]
    train = prepared.train
    return tuple(Example(train.numbers[at], _label(prepared, at), train.texts[at], one.text) for one in chosen for at in (one.place,))


def _label(prepared: Prepared, at: int) -> str:
    """What a training row is labelled with, as a person reads it."""
    train = prepared.train
    if train.values is not None:
        return corrected.of_number(train.values[at])
    if train.tags is not None:
        return ", ".join(name for name, on in zip(prepared.classes, train.tags[at], strict=True) if on) or "no tag"
    return prepared.classes[train.labels[at]]


def keep(folder: Path, prepared: Prepared, copies: Sequence[Copy]) -> None:
    """Writes the copies into the run's folder."""
    lines = [
        {"place": copy.place, "row": one.row, "label": one.label, "original": one.original, "text": one.text}
        for copy, one in zip(copies, examples(prepared, copies, len(copies)), strict=True)
    ]
    write_whole(folder / FILE, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode("utf-8", "replace"))


def kept(folder: Path, prepared: Prepared) -> tuple[Copy, ...] | None:
    """The copies that an earlier attempt of the run made; None where there are none, or they are not of these rows."""
    try:
        told = [json.loads(line) for line in (folder / FILE).read_text("utf-8").split("\n") if line]
        copies = tuple(Copy(int(one["place"]), str(one["text"])) for one in told)
        same = all(prepared.train.texts[one.place] == line["original"] for one, line in zip(copies, told, strict=True))
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None
    return copies if same else None


def shown(folder: Path, most: int) -> tuple[tuple[Example, ...], int]:
    """Some of the copies that a run made, evenly spread, and how many there are; none for a run that made none. No data is needed."""
    try:
        with (folder / FILE).open(encoding="utf-8") as file:
            lines = [line for line in file if line.strip()]
        chosen = [json.loads(lines[at * len(lines) // min(most, len(lines))]) for at in range(min(most, len(lines)))]
        return tuple(Example(int(one["row"]), str(one["label"]), str(one["original"]), str(one["text"])) for one in chosen), len(lines)
    except (OSError, ValueError, KeyError, TypeError):
        return (), 0
