"""Facts about data, models and hardware, found out once and remembered: what `plan` needs and the page asks for again and again.

Several viewers may ask at the same time; each fact is found out by one of them while the others wait for it. A refusal is
remembered for a few seconds only, so that a network that comes back, or a file put right, is noticed.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, TypeVar

from engine import hardware as machine
from engine import models, packaged
from engine.augment import Augmentation, translators
from engine.augment.translators import Translator
from engine.data import corrected
from engine.data.doctor import Checkup, examine
from engine.data.profile import DataFacts, inspect
from engine.data.sources import Table, hub_layout, load
from engine.data.split import Split
from engine.data.table import shown
from engine.errors import Problem, Refused
from engine.hardware import Hardware
from engine.held import Held, once_free
from engine.knobs import Value, knobs_of, read
from engine.models import ModelFacts, TokenFacts
from engine.spec import DataSpec
from engine.taking_in import Arriving, StillReadingError, TakingIn

REFUSAL_SECONDS = 15.0
HARDWARE_SECONDS = 5.0  # free memory and disk are asked for again after this
MEASURING_SECONDS = 30.0  # to wait for the measurement at most; it takes about 3
TABLE_BYTES = 200_000_000  # the last table is kept, so that picking another column does not read the file again
FILE = "file:"

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass
class _Slot(Generic[V]):
    guard: threading.Lock = field(default_factory=threading.Lock)
    found: list[V] = field(default_factory=list)  # empty, or the one value
    refused: tuple[Problem, ...] = ()
    refused_at: float = 0.0


class Remembered(Generic[K, V]):
    """The newest `limit` values by key. `get` makes a missing one once, however many ask at the same time."""

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._guard = threading.Lock()
        self._slots: OrderedDict[K, _Slot[V]] = OrderedDict()

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The value of this key. Raises what `make` raises; a Refused is raised again for some seconds without asking."""
        with self._guard:
            slot = self._slots.setdefault(key, _Slot())
            self._slots.move_to_end(key)
            while len(self._slots) > self._limit:
                self._slots.popitem(last=False)
        with slot.guard:
            if slot.found:
                return slot.found[0]
            if slot.refused and self._clock() - slot.refused_at < REFUSAL_SECONDS:
                raise Refused(*slot.refused)
            try:
                slot.found.append(make())
            except Refused as error:
                slot.refused, slot.refused_at = error.problems, self._clock()
                raise
            return slot.found[0]


class Facts:
    """What is known of the machine and of everything that was asked for. In share mode only uploads and Hub ids are let through."""

    def __init__(
        self, home: Path, *, share: bool, limit_bytes: int, ours: Callable[[], Held] = Held, taking_in: TakingIn | None = None
    ) -> None:
        self.home = home
        self._taking_in = taking_in  # where large files are not read by whoever asks
        self._ours = ours  # what our own processes hold of the memory, now
        self.share = share
        self.limit_bytes = limit_bytes
        self._tables: Remembered[Hashable, tuple[Table, Table | None]] = Remembered(1)
        self._data: Remembered[Hashable, tuple[DataFacts, tuple[Problem, ...]]] = Remembered(32)
        self._checkups: Remembered[Hashable, Checkup] = Remembered(32)
        self._layouts: Remembered[Hashable, dict[str, tuple[str, ...]]] = Remembered(32)
        self._models: Remembered[Hashable, ModelFacts] = Remembered(64)
        self._translators: Remembered[Hashable, tuple[Translator, ...]] = Remembered(16)
        self._tokens: Remembered[Hashable, TokenFacts | None] = Remembered(64)
        self._guard = threading.Lock()
        self._hardware: Hardware | None = None
        self._held = Held()  # when _hardware was found out
        self._hardware_at = 0.0
        self._refreshing = False
        self._measuring: threading.Thread | None = None

    # Data

    def data(self, data: DataSpec, settings: Mapping[str, Value], token: str | None) -> DataFacts:
        """What is in the data. Raises Refused with everything that keeps it from being used."""
        facts, problems = self.look(data, settings, token)
        if any(problem.severity == "error" for problem in problems):
            raise Refused(*problems)
        return facts

    def look(self, data: DataSpec, settings: Mapping[str, Value], token: str | None) -> tuple[DataFacts, tuple[Problem, ...]]:
        """What is in the data as far as it can be told, and what is wrong with it. Raises Refused where it cannot be opened."""
        data = self._arrived(data)
        clean_html = cleans_html(settings)

        def look() -> tuple[DataFacts, tuple[Problem, ...]]:
            table, test = self._opened(data, token)
            return inspect(table, test, data, clean_html=clean_html, corrections=corrected.opened(data.corrections, self.home))

        return self._data.get((*_key(data), clean_html, _mark(token)), look)

    def checkup(self, data: DataSpec, settings: Mapping[str, Value], token: str | None) -> Checkup:
        """What the doctor finds in the rows, and the fixes made. Raises Refused where they cannot be opened."""
        data = self._arrived(data)
        clean_html, weighted = cleans_html(settings), settings.get("class_weights") == "balanced"

        def look() -> Checkup:
            table, test = self._opened(data, token)
            return examine(table, test, data, clean_html=clean_html, weighted=weighted)

        return self._checkups.get((*_key(data), clean_html, weighted, _mark(token)), look)

    def columns(self, data: DataSpec, token: str | None) -> tuple[str, ...]:
        """The names of the data's columns, whether or not it can be used. Raises Refused where it cannot be opened."""
        return self._opened(self._arrived(data), token)[0].columns

    def hub_layout(self, dataset_id: str, token: str | None) -> dict[str, tuple[str, ...]]:
        """A Hub data set's subsets with their splits. Raises Refused."""
        return self._layouts.get((dataset_id, _mark(token)), lambda: hub_layout(dataset_id, token))

    def tables(self, data: DataSpec, token: str | None) -> tuple[Table, Table | None]:
        """The data's rows as they came, and those of a given test set. Raises Refused where they cannot be opened."""
        return self._opened(self._arrived(data), token)

    def arriving(self, data: DataSpec) -> Arriving | None:
        """How far the reading of the data's file is; None where its rows are there, or cannot be had."""
        try:
            self._arrived(data)
        except StillReadingError as error:
            return error.arriving
        except Refused:
            pass
        return None

    def cancel_reading(self, data: DataSpec) -> None:
        """Ends the reading of the data's files."""
        located = self.located(data)
        for source, sheet in ((located.source, located.sheet), (located.test, None)):
            if self._taking_in is not None and source and source.startswith(FILE):
                self._taking_in.cancel(Path(source.removeprefix(FILE)), sheet=sheet, header=data.header, encoding=data.encoding)

    def chosen_again(self, source: str) -> None:
        """A file that was cancelled a moment ago, or could not be read for want of memory or room, is read when it is asked for next."""
        if self._taking_in is not None and source.startswith(FILE):
            self._taking_in.forget(Path(source.removeprefix(FILE)))

    def _arrived(self, data: DataSpec) -> DataSpec:
        """The data located, its files at hand. Raises StillReadingError while a large one is read, and as `located` does."""
        located = self.located(data)
        for source, place, sheet in ((located.source, "data.source", located.sheet), (located.test, "data.test", None)):
            if self._taking_in is not None and source and source.startswith(FILE):
                self._taking_in.ready(
                    Path(source.removeprefix(FILE)), self.limit_bytes, field=place, sheet=sheet, header=data.header, encoding=data.encoding
                )
        return located

    def _opened(self, data: DataSpec, token: str | None) -> tuple[Table, Table | None]:
        tables = self._tables
        key = (*_key(replace(data, text=None, label=None, corrections=None, fixes=())), _mark(token))
        opened = tables.get(key, lambda: load(data, home=self.home, token=token, limit_bytes=self.limit_bytes))
        if sum(table.data.nbytes for table in opened if table is not None) > TABLE_BYTES:
            self._tables = Remembered(1)
        return opened

    def located(self, data: DataSpec) -> DataSpec:
        """The same data with every "file:" path whole. Raises Refused in share mode for a file that was not uploaded here."""
        test = self._located(data.test, "data.test") if data.test else None
        corrections = self._located(data.corrections, "data.corrections") if data.corrections else None
        return replace(data, source=self._located(data.source, "data.source"), test=test, corrections=corrections)

    def _located(self, source: str, place: str) -> str:
        if not source:
            raise Refused(Problem(place, "No data is chosen yet.", "Choose a data set or upload a file."))
        if not source.startswith(FILE):
            return source
        told = Path(source.removeprefix(FILE))
        try:
            in_home = (self.home / told).resolve()
            if self.share:
                if not in_home.is_relative_to((self.home / "uploads").resolve()):
                    raise Refused(Problem(place, "In a shared app only uploaded files can be used.", "Upload the file on this page."))
                return f"{FILE}{in_home}"
            path = told.expanduser().absolute()
            return f"{FILE}{path if path.exists() or not in_home.exists() else in_home}"
        except (OSError, ValueError, RuntimeError) as error:  # a name too long, a NUL, "~nobody"
            raise Refused(Problem(place, f"{shown(str(told), 80)!r} is not a path that can be opened.", "Choose a file.")) from error

    # Models

    def model(self, model: str, token: str | None) -> ModelFacts:
        """What is known of a model. Raises Refused with the fix where it cannot be used."""
        if not model:
            raise Refused(Problem("model", "No model is chosen yet.", "Choose a model."))
        if self.share and model != models.EMBEDDED and (model.startswith((".", "/", "~", "\\")) or models.is_folder(model)):
            raise Refused(Problem("model", "In a shared app a folder cannot be used as a model.", "Choose one of the list, or a Hub id."))
        if self.share and model.endswith(packaged.GGUF) and not self._is_uploaded(model):
            raise Refused(Problem("model", "In a shared app only uploaded GGUF files can be used.", "Upload the file on this page."))
        key = (model, models.converted(model, self.home), _mark(token))
        return self._models.get(key, lambda: models.find(model, token=token, home=self.home))

    def _is_uploaded(self, model: str) -> bool:
        pieces = packaged.pieces(model, self.home)
        return bool(pieces) and all(one.is_relative_to((self.home / "uploads").resolve()) for one in pieces)

    def tokens(self, model: ModelFacts, data: DataFacts, token: str | None) -> TokenFacts | None:
        """How the model's tokenizer cuts this data; None where it cannot be known beforehand."""
        key = (model.id, model.revision, model.folder, data.sha256, data.text, hash(data.texts_sample))
        return self._tokens.get(key, lambda: models.count_tokens(model, data.texts_sample, home=self.home, token=token))

    def translators(self, settings: Augmentation, token: str | None) -> tuple[Translator, ...]:
        """The models that translate rows there and back; none where none are asked for. Raises Refused where one cannot be used."""
        wanted = (settings.augment, settings.translator, settings.translator_back, settings.language, settings.language_between)

        def find() -> tuple[Translator, ...]:
            return translators.find_all(settings, token=token, home=self.home, share=self.share)

        return self._translators.get((*wanted, _mark(token)), find)

    # Hardware

    def hardware(self) -> Hardware:
        """The machine as it was a few seconds ago; asked anew in the background, because nvidia-smi can take a second."""
        with self._guard:
            known, old = self._hardware, time.monotonic() - self._hardware_at > HARDWARE_SECONDS
            refresh = old and not self._refreshing
            self._refreshing = self._refreshing or refresh
        if known is None:
            return self._detect()
        if refresh:
            threading.Thread(target=self._detect, name="hardware", daemon=True).start()
        return known

    def hardware_to_plan(self) -> Hardware:
        """The machine as the next run will find it: a run that works now, and what is tried beside it, has ended by then."""
        found = self.hardware()
        with self._guard:
            return once_free(self._hardware or found, self._held)

    def measure(self, *, wait: bool) -> None:
        """Has the processor's speed measured, once for this home: in a process of its own, in the background unless `wait`."""
        with self._guard:
            if self._measuring is None:
                self._measuring = threading.Thread(target=self._measure, name="measuring", daemon=True)
                self._measuring.start()
        if wait:
            self._measuring.join(MEASURING_SECONDS)

    def _measure(self) -> None:
        if self.hardware().fp32_flops is None:
            self._keep(machine.probe(self.home))

    def _detect(self) -> Hardware:
        try:
            return self._keep(machine.detect(self.home))
        finally:
            self._refreshing = False

    def _keep(self, found: Hardware) -> Hardware:
        ours = self._ours()
        with self._guard:
            self._hardware, self._held, self._hardware_at = found, ours, time.monotonic()
        return found


def cleans_html(settings: Mapping[str, Value]) -> bool:
    """The knob as it was set, or its default; a value that is none is `check`'s to tell."""
    knob = next(one for one in knobs_of(Split) if one.name == "clean_html")
    value, _ = read(knob, settings["clean_html"]) if "clean_html" in settings else (None, None)
    return bool(knob.default if value is None else value)


def _mark(token: str | None) -> str:
    """Tells one token from another without being one."""
    return hashlib.sha256(token.encode()).hexdigest() if token else ""


def _key(data: DataSpec) -> tuple[Hashable, ...]:
    return data, _stamp(data.source), _stamp(data.test), _stamp(data.corrections)


def _stamp(source: str | None) -> tuple[int, int] | None:
    """Size and time of a file, so that a changed one is looked at anew."""
    if not source or not source.startswith(FILE):
        return None
    try:
        told = os.stat(source.removeprefix(FILE))
    except (OSError, ValueError):
        return None
    return told.st_size, told.st_mtime_ns
