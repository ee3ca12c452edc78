"""Rows as a run would make them, a few beside their originals, for the page: without torch, from the very rows that would train."""

from __future__ import annotations

from collections.abc import Hashable

from engine.augment import Augmentation, making
from engine.augment.making import Example
from engine.data import corrected
from engine.data.split import Split, parted
from engine.facts import Facts, Remembered
from engine.knobs import Value, settle
from engine.spec import RunSpec, Training


class MadeExamples:
    """Examples by data and settings, the last ones remembered."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._found: Remembered[Hashable, tuple[Example, ...]] = Remembered(16)

    def of(self, spec: RunSpec, values: dict[str, Value], most: int, token: str | None) -> tuple[Example, ...]:
        """At most so many; `values` are the settings as they were read. Raises Refused where the rows cannot be opened."""
        settings, split, seed = settle(Augmentation, values), settle(Split, values), settle(Training, values).seed
        facts = self._facts.data(spec.data, values, token)
        key = (facts.sha256, facts.text, facts.label, spec.data, settings, split, seed, most)
        return self._found.get(key, lambda: self._made(spec, settings, split, seed, most, token))

    def _made(self, spec: RunSpec, settings: Augmentation, split: Split, seed: int, most: int, token: str | None) -> tuple[Example, ...]:
        located = self._facts.located(spec.data)
        table, test = self._facts.tables(spec.data, token)
        prepared = parted(table, test, located, split, corrected.opened(located.corrections, self._facts.home))
        change = making.changing(settings.augment, prepared, settings, seed)
        return making.examples(prepared, making.sampled(prepared, change, most), most) if change else ()
