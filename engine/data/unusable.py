"""What keeps the rows of chosen columns from being learnt: test columns that are missing, labels that are none, too few classes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from engine.data import tags as tagging
from engine.data.chosen import Chosen
from engine.data.columns import FEW_ROWS, ColumnFacts, not_a_label
from engine.data.rows import NO_NUMBER, Usable
from engine.data.table import Table, counted, listed, shown
from engine.data.tags import Tags
from engine.errors import Problem


def missing_in_test(table: Table, test: Table, chosen: Chosen) -> list[Problem]:
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


def problems_of(rows: Usable, chosen: Chosen, target: str) -> list[Problem]:
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


def problems_of_test(rows: Usable, given: Usable, chosen: Chosen, origin: str, tags: Mapping[str, int]) -> list[Problem]:
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


def left_out_of_test(given: Usable) -> list[str]:
    return [f"Test rows left out: {count:,} {reason}" for reason, count in given.dropped.items()]


def all_rows(table: Table) -> int:
    return table.rows + sum(table.left_out.values())
