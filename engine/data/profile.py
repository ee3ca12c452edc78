"""What is in the data, and everything that keeps it from being used: counted, said in words, all at once.

Pure: tables in, facts and problems out. The columns are judged in columns.py, the rows in rows.py; what could be better is the
doctor's to say (doctor.py).
"""

from __future__ import annotations

import difflib
import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.data import corrected, roles
from engine.data import tags as tagging
from engine.data.columns import FEW_ROWS, ColumnFacts, evenly, guess_label, guess_text, look_at, not_a_label
from engine.data.corrected import Correction
from engine.data.fixes import mended, reshaped
from engine.data.layout import Layout, beside, laid_out
from engine.data.meant import Meant
from engine.data.meant import guess as guess_meant
from engine.data.rows import NO_NUMBER, NO_TAGS, Usable, pooled, usable, words_in
from engine.data.sources import with_defaults
from engine.data.table import Table, counted, listed, shown
from engine.data.tags import Tags
from engine.errors import Problem, Refused
from engine.fix import read_all
from engine.spec import DataSpec

SAMPLE_ROWS = 8
SAMPLE_TEXTS = 512
SHOWN_CHARACTERS = 1000  # of a cell in `sample`


@dataclass(frozen=True)
class DataFacts:
    """What is in the data. Rows count the given test rows only where they are pooled (`resplit`)."""

    origin: str  # in words
    sha256: str  # of the rows and the given test rows
    rows: int
    usable: int
    dropped: dict[str, int]  # reason in words, as in "3 left out: without a label" -> rows
    columns: tuple[ColumnFacts, ...]
    text: str  # "" where none was found
    label: str
    text_why: str
    label_why: str
    classes: dict[str, int]  # usable rows of each class, the largest first; of tags, of what the split keeps in its share
    given_test: int | None  # usable rows of the given test set; None: there is none, or it is pooled
    test_classes: dict[str, int]
    chars: tuple[int, int, int]  # 5th percentile, median, 95th of the usable texts
    words: tuple[int, int, int]
    longest_words: int
    sample: tuple[dict[str, str], ...]  # the first rows as they are, long cells cut
    texts_sample: tuple[str, ...]  # up to 512 usable texts, cleaned, evenly spread
    notes: tuple[str, ...]
    script_shares: dict[str, float]  # "Bengali", "Latin" -> share of the letters, the largest first
    sheets: tuple[str, ...] = ()  # of the workbook, or tables of the zip, that the rows stand in; the default first
    second: str = ""  # column of what is read beside the text; "": there is none
    second_why: str = ""
    target: str = "class"  # as DataSpec's
    labels: tuple[str, ...] = ()  # the columns of tags, and then why
    labels_why: str = ""
    tags: dict[str, int] = field(default_factory=dict)  # usable rows of each tag, in the order of their ids
    meant: Meant | None = None  # what else the rows look made for, where classes are to be learnt of them and nobody chose the columns
    layout: Layout | None = field(default=None, compare=False, repr=False)  # where the split goes by groups or by time

    @property
    def answers(self) -> dict[str, int]:
        """Rows of each class or tag that the model can give."""
        return self.tags if self.target == "tags" else self.classes


def profile(table: Table, test: Table | None, data: DataSpec, *, clean_html: bool = True) -> DataFacts:
    """What is in the data. Raises Refused with everything that keeps it from being used."""
    facts, problems = inspect(table, test, data, clean_html=clean_html)
    if any(problem.severity == "error" for problem in problems):
        raise Refused(*problems)
    return facts


def inspect(
    table: Table, test: Table | None, data: DataSpec, *, clean_html: bool = True, corrections: Sequence[Correction] = ()
) -> tuple[DataFacts, tuple[Problem, ...]]:
    """What is in the data as far as it can be told, so that other columns can be picked, and every problem with it. Raises nothing.

    The figures are of the data as it came; `corrections` are checked, and noted.
    """
    data = with_own_names(table, data)
    chosen = Chosen.of(reshaped(table, data.fixes), data)
    meant = _meant(table, data, chosen)
    problems = [*read_all(data.fixes)[1], *chosen.problems]
    told_tags = chosen.tags(reshaped(table, data.fixes))
    made = mended(table, test, data, chosen.text, chosen.label, told_tags, chosen.second)
    table, test = made.table, made.test
    rows = given = layout = None
    tags: dict[str, int] = {}
    how: dict[str, Any] = {"clean_html": clean_html, "beside": beside(data), "second": chosen.second, "target": data.target}
    if chosen.text and chosen.label:
        rows = usable(table, chosen.text, chosen.label, **how)
        if test is not None:
            missing = _missing_in_test(table, test, chosen)
            problems += missing
            if not missing:
                given = usable(test, chosen.text, chosen.label, **how)
        if given is not None and data.resplit:
            rows, given = pooled(rows, given), None
    notes = [*table.notes, *(f"Test rows: {note}" for note in (test.notes if test else ()))]
    if rows is not None:
        rows, layout, told, said = laid_out(rows, given, data, (chosen.text, chosen.label))
        problems += [*told, *_unusable(rows, chosen, data.target)]
        notes += said
        notes += rows.notes
        if rows.values is not None and len(rows.values):
            notes.append(in_words(rows.values))
        if rows.tags is not None and told_tags is not None:
            tags = tagging.names(rows.tags, told_tags)
            problems += tagging.problems(tags, len(rows.texts), rows.dropped.get(NO_TAGS, 0), told_tags)
            notes.append(tagging.in_words(rows.tags))
        if given is not None:
            problems += _unusable_test(rows, given, chosen, test.origin if test else "", tags)
            notes += _left_out_of_test(given)
        unfit, of_corrections = corrected.check(rows, given, corrections)
        problems += unfit
        notes += of_corrections
    lengths = _lengths(rows)
    texts = _sampled(rows) if rows else ()
    facts = DataFacts(
        origin=table.origin if test is None or test.origin == table.origin else f"{table.origin} and {test.origin}",
        sha256=fingerprint(table, test, corrections),
        rows=_all_rows(table) + (_all_rows(test) if test and data.resplit else 0),
        usable=len(rows.texts) if rows else 0,
        dropped=rows.dropped if rows else dict(table.left_out),
        columns=chosen.columns,
        text=chosen.text,
        label=chosen.label,
        text_why=chosen.text_why,
        label_why=chosen.label_why,
        classes=rows.classes() if rows else {},
        given_test=len(given.texts) if given else None,
        test_classes=given.classes() if given else {},
        chars=lengths[0],
        words=lengths[1],
        longest_words=lengths[2],
        sample=tuple(_shown_row(row) for row in table.data.slice(0, SAMPLE_ROWS).select(_shown_columns(table, chosen)).to_pylist()),
        texts_sample=texts,
        notes=tuple(notes),
        script_shares=scripts(texts),
        sheets=table.sheets,
        second=chosen.second,
        second_why=chosen.second_why,
        target=data.target,
        labels=chosen.labels,
        labels_why=chosen.labels_why,
        tags=tags,
        meant=meant,
        layout=layout,
    )
    return facts, tuple(_with_hint(one, meant) for one in problems)


def _meant(table: Table, data: DataSpec, chosen: Chosen) -> Meant | None:
    known = with_defaults(data)
    if data.target != "class" or data.text or data.label or known.label or not table.rows:
        return None
    return guess_meant(table, chosen.columns, chosen.text, chosen.label)


def _with_hint(problem: Problem, meant: Meant | None) -> Problem:
    """The problem with another way out: that something else is learnt."""
    if meant is None or problem.severity != "error" or problem.field not in ("data.label", "data.source") or not problem.fix:
        return problem
    return replace(problem, fix=f"These rows look like {meant.looks}: learn that, or {problem.fix[0].lower()}{problem.fix[1:]}")


def fingerprint(table: Table, test: Table | None, corrections: Sequence[Correction] = ()) -> str:
    """One sum for the rows, the given test rows and the corrections."""
    both = table.sha256 if test is None else hashlib.sha256(f"{table.sha256}+{test.sha256}".encode()).hexdigest()
    return corrected.fingerprint_with(both, corrections)


@dataclass(frozen=True)
class Chosen:
    """The text and the label column, as told or guessed, and what is wrong with them."""

    text: str
    label: str
    text_why: str
    label_why: str
    columns: tuple[ColumnFacts, ...]
    problems: tuple[Problem, ...]
    second: str = ""
    second_why: str = ""
    labels: tuple[str, ...] = ()  # the columns of tags; `label` is then the name of the one that they are put into
    labels_why: str = ""

    def tags(self, table: Table) -> Tags | None:
        """How the tags stand in this table, where tags are learnt."""
        return Tags.of(table, self.labels) if self.labels else None

    @property
    def label_columns(self) -> tuple[str, ...]:
        """The columns of what is learnt as the source has them."""
        return self.labels or (self.label,)

    @classmethod
    def of(cls, table: Table, data: DataSpec) -> Chosen:
        data = replace(data, text=_in(table, data.text), label=_in(table, data.label), second=_in(table, data.second))
        if data.target != "class":
            return cls._to_write(table, data)
        columns, known = look_at(table), with_defaults(data)
        problems = _no_rows(table) or _one_column(table)
        if problems:
            return cls("", "", "", "", columns, tuple(problems))
        label, label_why = _told(known.label, data.label) if known.label in table.columns else guess_label(columns, known.text)
        text, text_why = _told(known.text, data.text) if known.text in table.columns else guess_text(columns, label or data.label)
        if not (known.label and known.label in table.columns) and label == text:
            label, label_why = guess_label(columns, text)
        for place, told in (("data.text", data.text), ("data.label", data.label)):
            if told is not None and told not in table.columns:
                problems.append(_no_column(place, told, table))
        if data.text is not None and data.text not in table.columns:
            text, text_why = "", ""
        if data.label is not None and data.label not in table.columns:
            label, label_why = "", ""
        if not text and data.text is None:
            problems.append(
                Problem("data.text", f"{text_why} The columns are {listed(table.columns, 10)}.", "Pick the column that holds the texts.")
            )
        if not label and data.label is None:
            told_of = "; ".join(f"{one.name!r} has {one.distinct:,} different values" for one in columns[:6])
            fix = "Pick the label column, or add one with a class for each row."
            problems.append(Problem("data.label", f"No column looks like a label: {told_of} in {counted(table.rows, 'row')}.", fix))
        if text and text == label:
            problems.append(
                Problem("data.label", f"Column {label!r} is chosen as the text and as the label.", "Pick another label column.")
            )
            label, label_why = "", ""
        beside, beside_why = _pair(table, data, columns, text, label, problems)
        if beside and data.second is None:
            (text, beside), text_why = roles.guess_pair(columns, text, label)[:2], beside_why
        return cls(text, label, text_why, label_why, columns, tuple(problems), beside, beside_why)

    @classmethod
    def _to_write(cls, table: Table, data: DataSpec) -> Chosen:
        """The columns of a task that gives no classes. Conversations stand in one column, and so do texts that are learnt themselves."""
        columns, problems = look_at(table), _no_rows(table)
        if problems:
            return cls("", "", "", "", columns, tuple(problems))
        wanted = [("data.text", data.text), ("data.label", data.label), ("data.second", data.second or None)]
        if data.target == "tags":
            wanted[1:2] = [("data.labels", name) for name in data.labels]
        for place, told in wanted:
            if told is not None and told not in table.columns:
                problems.append(_no_column(place, told, table))
        if problems:
            return cls("", "", "", "", columns, tuple(problems))
        if data.target == "number":
            return cls._with_number(table, data, columns)
        if data.target == "tags":
            return cls._with_tags(table, data, columns)
        if data.target == "nothing":
            text, why = (data.text, "You chose it.") if data.text else guess_text(columns, None)
            text, why = (text, why) if text else roles.guess_written(columns, ())
            return cls(text, text, why, why, columns, () if text else (Problem("data.text", why, "Pick the column that holds the texts."),))
        dialogue = data.text if data.text and roles.is_dialogue(table, data.text) else "" if data.text else roles.guess_dialogue(table)
        if dialogue and data.label in (None, dialogue):
            return cls(dialogue, dialogue, "It holds conversations.", "The turns of the assistant are learnt.", columns, ())
        taken = [one for one in (data.text, data.label, data.second) if one]
        text, text_why = (data.text, "You chose it.") if data.text else roles.guess_read(columns, taken)
        label, label_why = (data.label, "You chose it.") if data.label else roles.guess_written(columns, [*taken, text])
        second, second_why = (data.second, "You chose it.") if data.second else ("", "")
        if data.second is None:
            second, second_why = roles.guess_beside(columns, (text, label))
        if not text:
            problems.append(Problem("data.text", text_why, "Pick the column that is read."))
        if not label:
            problems.append(Problem("data.label", label_why, "Pick the column that is to be written, or choose the task Write text."))
        if text and text == label:
            problems.append(Problem("data.label", f"Column {label!r} is both read and written.", "Pick another column for one of the two."))
            label = ""
        return cls(text, label, text_why, label_why, columns, tuple(problems), second, second_why)

    @classmethod
    def _with_number(cls, table: Table, data: DataSpec, columns: tuple[ColumnFacts, ...]) -> Chosen:
        """The columns of a task that gives a number: of texts, and of numbers."""
        known = with_defaults(data)
        text, text_why = _told(known.text, data.text) if known.text in table.columns else guess_text(columns, data.label)
        problems: list[Problem] = []
        second, second_why = _pair(table, data, columns, text, data.label or "", problems)
        if second and data.second is None:
            (text, second), text_why = roles.guess_pair(columns, text, data.label or "")[:2], second_why
        label, label_why = (data.label, "You chose it.") if data.label else roles.guess_number(table, columns, (text, second))
        if not text:
            problems.append(Problem("data.text", text_why, "Pick the column that holds the texts."))
        if not label:
            problems.append(Problem("data.label", label_why, "Pick the column of numbers, or choose the task Sort texts into classes."))
        if text and text == label:
            message = f"Column {label!r} is chosen as the text and as the number."
            problems.append(Problem("data.label", message, "Pick another column for one of the two."))
            label = ""
        return cls(text, label, text_why, label_why, columns, tuple(problems), second, second_why)

    @classmethod
    def _with_tags(cls, table: Table, data: DataSpec, columns: tuple[ColumnFacts, ...]) -> Chosen:
        """The columns of a task that gives tags: of texts, and of tags."""
        known = with_defaults(data)
        text, text_why = _told(known.text, data.text) if known.text in table.columns else guess_text(columns, None)
        problems: list[Problem] = []
        second, second_why = _pair(table, data, columns, text, "", problems)
        if second and data.second is None:
            (text, second), text_why = roles.guess_pair(columns, text, "")[:2], second_why
        labels = tuple(dict.fromkeys(_in(table, name) or "" for name in data.labels))
        why = "You chose them." if labels else ""
        if not labels:
            labels, why = tagging.guess(table, columns, (text, second))
        if not text:
            problems.append(Problem("data.text", text_why, "Pick the column that holds the texts."))
        if not labels:
            fix = "Pick the columns of tags, or choose the task Sort texts into classes."
            problems.append(Problem("data.labels", why, fix))
        if both := {text, second} & set(labels) - {""}:
            message = f"Column {min(both)!r} is chosen as a text and as a tag."
            problems.append(Problem("data.labels", message, "Take it off the columns of tags."))
            labels = ()
        label = tagging.own_name(table) if labels else ""
        return cls(text, label, text_why, why, columns, tuple(problems), second, second_why, labels, why)


def _pair(
    table: Table, data: DataSpec, columns: tuple[ColumnFacts, ...], text: str, label: str, problems: list[Problem]
) -> tuple[str, str]:
    """The column of a pair's other text and the reason; ("", "") where one text alone is read. Appends what is wrong with it."""
    if data.second is None:
        _, second, why = ("", "", "") if data.text else roles.guess_pair(columns, text, label)
        return second, why
    if data.second and data.second not in table.columns:
        problems.append(_no_column("data.second", data.second, table))
        return "", ""
    if data.second and data.second in (text, label):
        message = f"Column {data.second!r} is chosen as the second text and as the {'text' if data.second == text else 'label'}."
        problems.append(Problem("data.second", message, "Pick another column, or none."))
        return "", ""
    return data.second, "You chose it." if data.second else ""


def _sampled(rows: Usable) -> tuple[str, ...]:
    """Some of the texts, evenly spread, each with all that is read and written beside it."""
    read = [evenly(one, SAMPLE_TEXTS).to_pylist() for one in (rows.second, rows.texts, rows.answers) if one is not None]
    if len(read) > 1 and read[0] == read[-1]:  # the text itself is written
        read = read[:1]
    return tuple("\n".join(filter(None, parts)) for parts in zip(*read, strict=True))


def with_own_names(table: Table, data: DataSpec) -> DataSpec:
    """The same, with the columns that the split goes by as the table writes them."""
    return replace(data, group=_in(table, data.group), time=_in(table, data.time))


def _in(table: Table, told: str | None) -> str | None:
    """The column's name as the table writes it: a letter with its sign can be written as one character or as two."""
    if told is None or told in table.columns:
        return told
    wanted = unicodedata.normalize("NFC", told)
    return next((name for name in table.columns if unicodedata.normalize("NFC", name) == wanted), told)


def _told(known: str | None, told: str | None) -> tuple[str, str]:
    return known or "", "You chose it." if told else "The list of data sets names it."


def _no_rows(table: Table) -> list[Problem]:
    if table.rows:
        return []
    message = f"{table.origin} holds no rows, only a header: {listed(table.columns, 10)}."
    return [Problem("data.source", message, "Choose a file with a row for each text.")]


def _one_column(table: Table) -> list[Problem]:
    if len(table.columns) > 1:
        return []
    message = f"{table.origin} has one column, {shown(table.columns[0])!r}; it needs two, the text and its label."
    return [Problem("data.source", message, "Add a column with a label for each row; separate the columns with a comma, semicolon or tab.")]


def _no_column(field: str, told: str, table: Table) -> Problem:
    near = difflib.get_close_matches(told, table.columns, n=1, cutoff=0.6) or [one for one in table.columns if one.lower() == told.lower()]
    fix = f"Did you mean {near[0]!r}?" if near else "Pick one of these."
    header = "" if table.has_header else " (it has no header row)"
    return Problem(field, f"{table.origin} has no column {shown(told)!r}{header}; its columns are {listed(table.columns, 10)}.", fix)


def _missing_in_test(table: Table, test: Table, chosen: Chosen) -> list[Problem]:
    wanted_columns = dict.fromkeys((chosen.text, *chosen.label_columns, chosen.second))
    missing = [name for name in wanted_columns if name and name not in test.columns]
    if not missing:
        return []
    wanted = " and ".join(repr(name) for name in missing)
    if not test.has_header and table.has_header:
        first = listed([str(value) for value in test.data.slice(0, 1).to_pylist()[0].values()], 3) if test.rows else ""
        message = f"{test.origin} has no header row (its first row is {first}), so its columns {wanted} cannot be found."
        return [Problem("data.test", message, f"Give it this first line: {','.join(table.columns)}")]
    if not table.has_header and test.has_header:
        message = f"{test.origin} has a header row and {table.origin} has none, so their columns cannot be matched."
        return [Problem("data.test", message, f"Give {table.origin} a header row with the same names: {listed(test.columns, 10)}.")]
    noun = "column" if len(missing) == 1 else "columns"
    message = f"{test.origin} lacks the {noun} {wanted}; it has {listed(test.columns, 10)}."
    return [Problem("data.test", message, "Name the columns of both files alike.")]


def _unusable(rows: Usable, chosen: Chosen, target: str) -> list[Problem]:
    column = next((one for one in chosen.columns if one.name == chosen.label), chosen.columns[0])
    if target == "class" and (problem := not_a_label(column)):
        return [problem]
    problems: list[Problem] = []
    classes, count = rows.classes(), len(rows.texts)
    if rows.values is not None:
        problems += _not_numbers(rows, chosen.label, column)
    if count < FEW_ROWS:
        lost = sum(rows.dropped.values())
        left_out = (
            f" ({counted(lost, 'row')} left out: {', '.join(f'{number:,} {reason}' for reason, number in rows.dropped.items())})"
            if lost
            else ""
        )
        message = f"There {'is' if count == 1 else 'are'} {counted(count, 'usable row')}{left_out}; at least {FEW_ROWS} are needed."
        problems.append(Problem("data.source", message, "Add rows; 500 or more give a useful model, 1,000 a good one."))
    if target != "class":
        return problems
    if len(classes) == 1:
        only = next(iter(classes))
        message = (
            f"Column {chosen.label!r} holds one class only: {shown(only)!r} in {'the one row' if count == 1 else f'all {count:,} rows'}."
        )
        problems.append(Problem("data.label", message, "Add rows of another class, or pick another label column."))
    elif count >= FEW_ROWS and (alone := [name for name, rows_of in classes.items() if rows_of == 1]):
        several = len(alone) > 1
        places = {
            label: number
            for label, number in zip(rows.labels.to_pylist(), rows.numbers.to_pylist(), strict=True)
            if label in set(alone[:5])
        }
        told = listed([f"'{shown(name, 40)}' (row {places[name]:,})" for name in alone[:5]] + alone[5:])
        message = f"{'These classes have' if several else 'This class has'} one row only: {told}. One row cannot be both learnt and tested."
        problems.append(
            Problem("data.label", message, "Add rows of it, correct its spelling if it is meant to be another class, or remove the row.")
        )
    return problems


def _not_numbers(rows: Usable, label: str, column: ColumnFacts) -> Iterator[Problem]:
    """A column that mostly holds something else, or always the same number."""
    assert rows.values is not None
    lost, there = rows.dropped.get(NO_NUMBER, 0), len(rows.values)
    if lost > there:
        example = f", such as {column.examples[0]!r}" if column.examples else ""
        message = f"Column {label!r} holds {counted(there, 'number')} in {there + lost:,} rows{example}."
        yield Problem("data.label", message, "Pick a column of numbers, or choose the task Sort texts into classes.")
    elif there and pc.min(rows.values) == pc.max(rows.values):
        message = f"Column {label!r} holds one number only: {rows.values[0].as_py():.12g}. There is nothing to tell apart."
        yield Problem("data.label", message, "Pick another column of numbers.")


def in_words(values: pa.ChunkedArray) -> str:
    """The span of the numbers: "Numbers from 1 to 10, 5.6 on average (standard deviation 3.1)"."""
    least, most, mean, spread = (one.as_py() for one in (pc.min(values), pc.max(values), pc.mean(values), pc.stddev(values)))
    return f"Numbers from {least:.6g} to {most:.6g}, {mean:.3g} on average (standard deviation {spread:.3g})"


def _unusable_test(rows: Usable, given: Usable, chosen: Chosen, origin: str, tags: Mapping[str, int]) -> list[Problem]:
    if len(given.texts) == 0:
        lost = ", ".join(f"{number:,} {reason}" for reason, number in given.dropped.items()) or "it is empty"
        fix = "Choose another test set, or none: then a part of the rows is kept for testing."
        return [Problem("data.test", f"{origin} has no usable rows: {lost}.", fix)]
    if given.tags is not None:
        unknown = [name for name in tagging.names(given.tags, Tags(())) if name not in tags]
        message = f"{origin} has tags that no training row has: {listed(unknown)}. They are passed over."
        return [Problem("data.test", message, "Name the tags as in the training rows.", "warning")] if unknown else []
    unseen = [name for name in given.classes() if name not in rows.classes()]
    if unseen and len(rows.texts):
        noun = "a class that does not stand" if len(unseen) == 1 else "classes that do not stand"
        message = f"Column {chosen.label!r} of {origin} has {noun} in the training rows: {listed(unseen)}."
        known = listed(list(rows.classes()))
        return [Problem("data.test", message, f"Name the classes as in the training rows ({known}), or remove these rows.")]
    return []


def _shown_columns(table: Table, chosen: Chosen) -> list[str]:
    """Those of the source; not the one that a row's tags are put into."""
    return [name for name in table.columns if not (chosen.labels and name == chosen.label)]


def _left_out_of_test(given: Usable) -> list[str]:
    return [f"Test rows left out: {count:,} {reason}" for reason, count in given.dropped.items()]


def _all_rows(table: Table) -> int:
    return table.rows + sum(table.left_out.values())


Lengths = tuple[tuple[int, int, int], tuple[int, int, int], int]


def _lengths(rows: Usable | None) -> Lengths:
    if rows is None or len(rows.texts) == 0:
        return (0, 0, 0), (0, 0, 0), 0
    words = words_in(rows.texts).to_numpy()
    return _spread(pc.utf8_length(rows.texts).to_numpy()), _spread(words), int(words.max())


def _spread(lengths: np.ndarray[Any, Any]) -> tuple[int, int, int]:
    few, middle, many = np.percentile(lengths, (5, 50, 95))
    return round(few), round(middle), round(many)


def _shown_row(row: dict[str, str | None]) -> dict[str, str]:
    cut = {name: value or "" for name, value in row.items()}
    return {name: value if len(value) <= SHOWN_CHARACTERS else value[: SHOWN_CHARACTERS - 1] + "…" for name, value in cut.items()}


def scripts(texts: Sequence[str]) -> dict[str, float]:
    """The scripts that the letters belong to, by the names that Unicode gives them, with their shares; those under 1 % are left out."""
    found: Counter[str] = Counter()
    for character, count in Counter("".join(texts)).items():
        if unicodedata.category(character)[0] in "LM":
            name = unicodedata.name(character, "").split(" ")[0].split("-")[0]
            if name not in ("", "COMBINING", "MODIFIER", "VARIATION", "FULLWIDTH"):
                found[name.capitalize()] += count
    whole = sum(found.values())
    return {name: count / whole for name, count in found.most_common() if count / whole >= 0.01}
