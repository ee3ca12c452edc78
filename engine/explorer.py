"""The error explorer: a judged run's rows, the labels put right among them, what moved an answer, where the model is weakest.

Corrections that were made in a run's rows lie in its folder until a new run takes them: that run's spec names a copy that nothing
changes any more.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from engine import answers, occlusion, slices, suspecting
from engine import spec as specs
from engine.again import earlier_run
from engine.answers import Answer, Kind, Pick
from engine.data import corrected
from engine.data.corrected import Correction, Key
from engine.data.table import Table
from engine.errors import Problem, Refused
from engine.evaluate import tells_apart
from engine.facts import FILE, Facts
from engine.hub import environment_without_tokens
from engine.mislabelled import suspects
from engine.occlusion import Moved
from engine.predict import Prediction
from engine.reading import Reader
from engine.slices import Slice
from engine.spec import RunSpec
from engine.store import write_whole

CORRECTIONS = "corrections.csv"
KEPT = "uploads/corrections"  # below the home; shared apps open files of uploads/ only
LOOK_SECONDS = 600.0  # 20,000 long texts in many classes
ROOT = Path(__file__).parents[1]
DROPPED_COLUMNS = 12  # columns beyond these are not looked at for weak spots


@dataclass(frozen=True)
class Doubted:
    """A row whose label is likely wrong."""

    part: str  # "test", "train", "validation"
    row: int
    text: str
    label: str
    suggested: str
    confidence: float  # of the suggested label
    second: str | None = None  # what stands beside the text

    @property
    def key(self) -> Key:
        return corrected.key(self.row, self.text)


class Explorer:
    """Looks into the answers of judged runs. Any thread may ask; no torch here.

    `ask(run_id, texts)`, or with what stands beside each text, lets the run's model answer, in a process of its own.
    """

    def __init__(self, reader: Reader, facts: Facts, ask: Callable[..., list[Prediction]]) -> None:
        self._reader = reader
        self._facts = facts
        self._ask = ask
        self._guard = threading.RLock()  # around what is remembered, and every change of a file of corrections
        self._looking = threading.Lock()
        self._known: dict[str, tuple[int, tuple[Answer, ...]]] = {}  # of the run that was asked for last, and the one before it

    def _folder(self, run_id: str) -> Path:
        return self._reader.store.folder(run_id)

    # Rows

    def answers(self, run_id: str) -> tuple[Answer, ...]:
        """What the run said of each test row. Raises Refused where it is not judged."""
        folder = self._folder(run_id)
        stamp = max(_written(folder / name) for name in (answers.FILE, answers.WRITTEN))
        with self._guard:
            known = self._known.pop(run_id, None)
            if known is None or known[0] != stamp:
                known = stamp, answers.read(folder)
            self._known = {**dict(list(self._known.items())[-1:]), run_id: known}
            return known[1]

    def has_answers(self, run_id: str) -> bool:
        with contextlib.suppress(Refused):
            return answers.is_there(self._folder(run_id))
        return False

    def classes(self, run_id: str) -> tuple[str, ...]:
        """The names that a label may have, or the tags that there are."""
        return tuple(self._reader.plan(run_id).labels)

    def kind(self, run_id: str) -> Kind:
        """What its answers are."""
        told = self.answers(run_id)
        return told[0].kind if told else "class"

    def groups(self, run_id: str) -> list[tuple[Pick, str, int]]:
        """Which rows there are to look at: how `rows` is told to pick them, their name, and how many they are."""
        first, *others = answers.groups(self.answers(run_id))
        better, worse = self.changed(run_id)
        more: list[tuple[Pick, str, int]] = []
        if self.kind(run_id) == "class":
            more.append((("doubted",), "Labels that are likely wrong", len(self.doubted(run_id))))
        if better:
            more.append((("better",), "Right now, wrong before the corrections", len(better)))
        if worse:
            more.append((("worse",), "Wrong now, right before the corrections", len(worse)))
        return [first, *more, *others]

    def rows(self, run_id: str, pick: Pick) -> Sequence[Answer | Doubted]:
        """The rows of a group, the worst first."""
        match list(pick):
            case ["doubted"]:
                return self.doubted(run_id)
            case ["better"]:
                return self.changed(run_id)[0]
            case ["worse"]:
                return self.changed(run_id)[1]
        return answers.picked(self.answers(run_id), pick)

    def doubted(self, run_id: str) -> tuple[Doubted, ...]:
        """Rows whose label is likely wrong: test rows, and then the others once they were looked through; of each the most likely first.

        A model that is no better than guessing knows nothing of its test rows' labels.
        """
        told = self.answers(run_id)
        found: list[Doubted] = []
        if self.kind(run_id) != "class":
            return ()
        evaluation = self._reader.evaluation(run_id)
        if told and evaluation is not None and tells_apart(evaluation):
            names = list(told[0].probabilities)
            numbers = {name: at for at, name in enumerate(names)}
            chances = np.array([[one.probabilities[name] for name in names] for one in told])
            for one in suspects([numbers[row.label] for row in told], chances):
                row, name = told[one.place], names[one.suggested]
                found.append(Doubted("test", row.row, row.text, row.label, name, row.probabilities[name], row.second))
        with contextlib.suppress(FileNotFoundError, ValueError, TypeError), (self._folder(run_id) / suspecting.FILE).open("rb") as lines:
            found += [Doubted(**json.loads(line)) for line in lines]
        return tuple(found)

    def was_looked_through(self, run_id: str) -> bool:
        """Whether `look_through` has been done."""
        return (self._folder(run_id) / suspecting.FILE).exists()

    def look_through(self, run_id: str) -> dict[str, int]:
        """Looks for wrong labels among the training rows, in a process of its own. Raises Refused with what is in the way.

        Returns how many rows were "looked" at, "of" how many, and how many were "found".
        """
        folder = self._folder(run_id)
        if not self._looking.acquire(blocking=False):
            raise Refused(Problem("run", "Another search for wrong labels goes on just now.", "Try again in a minute."))
        try:
            done = subprocess.run(
                [sys.executable, "-m", "engine.suspecting", str(folder.resolve())], cwd=ROOT, env=environment_without_tokens(),
                capture_output=True, text=True, timeout=LOOK_SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise Refused(Problem("run", f"The search was not done within {LOOK_SECONDS / 60:.0f} minutes.", "Use fewer rows.")) from error
        finally:
            self._looking.release()
        told = _last_object(done.stdout)
        if "problems" in told:
            raise Refused(*(Problem(**one) for one in told["problems"]))
        if done.returncode or "found" not in told:
            last = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "")
            raise Refused(Problem("run", f"The search broke off. {last[:200]}".strip(), "Free some memory, and try again."))
        return {name: int(told[name]) for name in ("looked", "of", "found")}

    # Corrections

    def corrections(self, run_id: str) -> tuple[Correction, ...]:
        """The labels put right among this run's rows."""
        try:
            return corrected.from_csv((self._folder(run_id) / CORRECTIONS).read_bytes().decode("utf-8"))
        except FileNotFoundError:
            return ()

    def correct(self, run_id: str, key: Key, new: str | None) -> tuple[Correction, ...]:
        """Gives the row of this key another label, or leaves it out (None). Its own label takes a correction back. Returns them all.

        `new` is a class; or a number or tags, as a correction names them (`corrected`).
        """
        row = self._row(run_id, key)
        new = None if new is None else self._allowed(run_id, new)
        with self._guard:
            kept = {one.key: one for one in self.corrections(run_id)}
            kept.pop(key, None)
            if new != row.label:
                kept[key] = Correction(row.row, row.text, row.label, new, run_id)
            write_whole(self._folder(run_id) / CORRECTIONS, corrected.to_csv(kept.values()).encode())
            return tuple(kept.values())

    def _allowed(self, run_id: str, new: str) -> str:
        """What a row may be labelled with, as a correction names it. Raises Refused for anything else."""
        match self.kind(run_id):
            case "number":
                value = corrected.number_of(new)
                if value is None:
                    raise Refused(Problem("run", f"{new!r} is no number.", "Write it as 4.5, without a unit."))
                return corrected.of_number(value)
            case "tags":
                return corrected.of_tags(tag for tag in corrected.tags_of(new) or () if tag in self.classes(run_id))
            case "class" if new in self.classes(run_id):
                return new
        raise Refused(Problem("run", f"{new!r} is none of this run's labels.", "Choose one of the list."))

    def take_back(self, run_id: str) -> None:
        """Forgets every correction that was made among this run's rows."""
        with self._guard:
            (self._folder(run_id) / CORRECTIONS).unlink(missing_ok=True)

    def _row(self, run_id: str, key: Key) -> Answer | Doubted:
        rows: tuple[Answer | Doubted, ...] = (*self.answers(run_id), *self.doubted(run_id))
        found = next((one for one in rows if one.row == key[0] and one.key == key), None)
        if found is None:
            raise Refused(Problem("run", f"Row {key[0]:,} is not among this run's rows.", "Reload the page."))
        return found

    def all_corrections(self, run_id: str) -> tuple[Correction, ...]:
        """Those of this run and those that it was trained with, as corrections of the data as it came."""
        data = specs.from_json(self._reader.spec_json(run_id)).data
        return corrected.joined(corrected.opened(data.corrections, self._facts.home), self.corrections(run_id))

    def again(self, run_id: str) -> RunSpec:
        """The run's spec with all corrections. They are copied to where nothing changes them. Raises Refused where there is none."""
        if not self.corrections(run_id):
            raise Refused(Problem("run", "No label has been put right yet.", "Change a label in the table first."))
        told = corrected.to_csv(self.all_corrections(run_id))
        kept = f"{KEPT}/{hashlib.sha256(told.encode()).hexdigest()[:16]}.csv"
        path = self._facts.home / kept
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, told.encode())
        spec = specs.from_json(self._reader.spec_json(run_id))
        return replace(spec, name=None, study=None, data=replace(spec.data, corrections=f"{FILE}{kept}"))

    def before(self, run_id: str) -> str:
        """The run in whose answers the corrections were found that this one was trained with; "" where there is none."""
        return earlier_run(specs.from_json(self._reader.spec_json(run_id)).data, self._facts.home)

    def changed(self, run_id: str) -> tuple[list[Answer], list[Answer]]:
        """The test rows that this run gets right and the one before it did not, and the reverse, by this run's labels.

        None where numbers are given, which are never quite right.
        """
        both = [(one, was.predicted) for one, was in self._both(run_id) if one.kind in ("class", "tags")]
        better = [one for one, was in both if one.is_right and was != one.label]
        worse = [one for one, was in both if not one.is_right and was == one.label]
        return answers.worst_first(better), answers.worst_first(worse)

    def mean_errors(self, run_id: str) -> tuple[float, float] | None:
        """How far the run before the corrections and this one are off, by the numbers as they are now; None where no numbers are given."""
        both = [(one.numbers, was.numbers) for one, was in self._both(run_id) if one.numbers and was.numbers]
        if not both:
            return None
        before, now = (
            sum(abs(said - right) for right, said in pairs) / len(both)
            for pairs in ([(right, said) for (right, _), (_, said) in both], [one for one, _ in both])
        )
        return before, now

    def _both(self, run_id: str) -> list[tuple[Answer, Answer]]:
        """This run's answers and, of the same rows, those of the run before the corrections."""
        earlier = self.before(run_id)
        try:
            said = {one.key: one for one in self.answers(earlier)} if earlier else {}
        except Refused:
            said = {}
        return [(one, said[one.key]) for one in self.answers(run_id) if one.key in said]

    # Why, and where

    def moved(self, run_id: str, key: Key) -> Moved:
        """Which words moved the model's answer to this row. Raises Refused as asking the model does."""
        row = self._row(run_id, key)

        def ask(texts: Sequence[str]) -> list[dict[str, float]]:
            beside = [[row.second] * len(texts)] if isinstance(row, Answer) and row.second is not None else []
            return [one.probabilities for one in self._ask(run_id, texts, *beside)]

        return occlusion.moved(row.text, ask)

    def slices(self, run_id: str, *, columns: bool = False, token: str | None = None) -> tuple[Slice, ...]:
        """Parts of the test rows, the weakest first; with `columns` by the data's other columns too, which opens the data."""
        told = self.answers(run_id)
        return slices.slices(told, self._beside(run_id, told, token) if columns else None)

    def _beside(self, run_id: str, told: Sequence[Answer], token: str | None) -> dict[str, list[str | None]]:
        """The values of every other column at the test rows. Raises Refused where the data cannot be opened."""
        data, plan = specs.from_json(self._reader.spec_json(run_id)).data, self._reader.plan(run_id)
        table, test = self._facts.tables(data, token)
        rows = [one.row for one in told]
        source = _source(told, [one for one in (test, table) if one is not None], plan.text)
        numbers = {number: at for at, number in enumerate(source.row_numbers().to_pylist())} if source.numbers is not None else None
        places = [number - 1 if numbers is None else numbers.get(number, -1) for number in rows]
        known = (plan.text, plan.label, *plan.label_columns)
        names = [name for name in source.columns if name not in known][:DROPPED_COLUMNS]
        found = {}
        for name in names:
            column = source.column(name)
            found[name] = [column[at].as_py() if 0 <= at < source.rows else None for at in places]
        return found


def _source(told: Sequence[Answer], tables: Sequence[Table], text: str) -> Table:
    """The table that the test rows came from: the one that holds the texts of the first of them at their numbers."""
    if len(tables) == 1:
        return tables[0]

    def fits(table: Table) -> int:
        wanted = {one.row: one.key for one in told[:50]}
        column = table.column(text) if text in table.columns else None
        at = {number: place for place, number in enumerate(table.row_numbers().to_pylist()) if number in wanted}
        same = (column is not None and corrected.key(number, column[place].as_py() or "") == wanted[number] for number, place in at.items())
        return sum(same)

    return max(tables, key=fits)


def _written(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _last_object(text: str) -> Mapping[str, Any]:
    """The JSON object in the last line; empty where there is none."""
    with contextlib.suppress(ValueError, IndexError):
        told = json.loads(text.strip().splitlines()[-1])
        if isinstance(told, dict):
            return told
    return {}
