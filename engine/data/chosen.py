"""The columns that are read and learnt, as told or guessed, and what is wrong with them. Pure."""

from __future__ import annotations

import difflib
import unicodedata
from dataclasses import dataclass, replace

from engine.data import roles
from engine.data import tags as tagging
from engine.data.columns import ColumnFacts, guess_label, guess_text, look_at
from engine.data.sources import with_defaults
from engine.data.table import Table, counted, listed, shown
from engine.data.tags import Tags
from engine.errors import Problem
from engine.spec import DataSpec


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
        if dialogue and data.label is None and (beside := roles.guess_answer_beside(table, dialogue))[0]:
            return cls(dialogue, beside[0], "It holds conversations.", beside[1], columns, ())
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
            problems.append(Problem("data.label", label_why, "Pick the column that is to be written, or choose the task Write on."))
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
