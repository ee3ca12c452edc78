"""What each column holds, and which are the text and the label: judged by values first and names second, with the reason in words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from engine.data.header import NAMES_OF_ID, NAMES_OF_LABEL, NAMES_OF_TEXT, NUMBER, WEAK_NAMES_OF_LABEL
from engine.data.numbers import numbers
from engine.data.repeats import count_distinct
from engine.data.rows import is_written
from engine.data.table import Table, counted, listed, shown
from engine.errors import Problem

ANY_LABEL = (*NAMES_OF_LABEL, *WEAK_NAMES_OF_LABEL)
Role = Literal["text", "label", "id", "number", "date", "other"]
DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ]+\d{1,2}:\d{2}.*)?|\w{3} \w{3} \d{1,2} \d{2}:\d{2}:\d{2}.*")
MEASURED = re.compile(r"price|amount|cost|salary|sales|revenue|weight|\bage\b|rating|score|stars|points|views|likes|দাম|মূল্য", re.IGNORECASE)
PARTS = {"train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval", "evaluation", "holdout"}
DESCRIBES = re.compile(  # names of columns that tell what a row is about, or where it is from
    r"product|title|\bname|brand|store|shop|city|country|region|area|author|user|source|platform|language|gender|device",
    re.IGNORECASE,
)
LONGEST_LOOKED = 500  # characters of a value that can be a number, a date or an address: patterns take minutes for "@a" 100,000 times
ADDRESS = re.compile(r"(https?://|www\.)\S+|\S+@\S+\.\w+")
MOST_CLASSES = 1000
SAMPLED = 2000  # values looked at one by one, evenly spread; counts are over all
FEW_ROWS = 20  # usable rows below which nothing can be learnt and tested


@dataclass(frozen=True)
class ColumnFacts:
    """One column in figures, and what it seems to be."""

    name: str
    filled: int  # rows that are not blank
    distinct: int  # different values
    mean_chars: float  # over up to 2,000 values, evenly spread
    mean_words: float
    examples: tuple[str, ...]
    role: Role
    why: str


def look_at(table: Table) -> tuple[ColumnFacts, ...]:
    """Facts about every column, in the table's order."""
    return tuple(_facts(table, name) for name in table.columns)


def _facts(table: Table, name: str) -> ColumnFacts:
    values = table.column(name)
    written = is_written(values)
    if not pc.all(written).as_py():  # else they stay where they are
        values = values.filter(written)
    filled = len(values)
    if filled == 0:
        return ColumnFacts(name, 0, 0, 0.0, 0.0, (), "other", "It is empty.")
    sampled = evenly(values, SAMPLED).to_pylist()
    if any(value != value.strip() for value in sampled):  # as labels are read
        values = pc.utf8_trim_whitespace(values)
    distinct = count_distinct(values)
    chars = sum(map(len, sampled)) / len(sampled)
    words = sum(len(value.split()) for value in sampled) / len(sampled)
    role, why = _role(name, filled, distinct, words, chars, sampled, values)
    examples = tuple(shown(value, 80) for value in list(dict.fromkeys(sampled))[:3])
    return ColumnFacts(name, filled, distinct, chars, words, examples, role, why)


def evenly(values: pa.ChunkedArray, most: int) -> pa.ChunkedArray:
    """At most `most` of the values, evenly spread over all of them."""
    count = len(values)
    return values if count <= most else values.take(pa.array([place * count // most for place in range(most)]))


def _role(
    name: str, filled: int, distinct: int, words: float, chars: float, sampled: Sequence[str], values: pa.ChunkedArray
) -> tuple[Role, str]:
    def share(pattern: re.Pattern[str]) -> float:
        told = (value.strip() for value in sampled)
        return sum(len(value) <= LONGEST_LOOKED and pattern.fullmatch(value) is not None for value in told) / len(sampled)

    if distinct == 1:
        return "other", f"Every value is the same: {shown(sampled[0], 40)}."
    if _are_parts(sampled):
        return "other", f"It says which part of the data a row belongs to: {values_in_words(values, distinct).partition(': ')[2]}."
    numeric = share(NUMBER) > 0.95
    if share(ADDRESS) > 0.9:
        return "other", f"It holds addresses, such as {shown(sampled[0], 40)}."
    if share(DATE) > 0.9 and not numeric:
        return "date", f"It holds dates, such as {shown(sampled[0], 40)}."
    if (
        distinct > 0.98 * filled
        and words < 1.5
        and not MEASURED.search(name)
        and (name.lower() in NAMES_OF_ID or (all(map(_whole, sampled)) if numeric else _coded(sampled)))
    ):
        return "id", f"Nearly every row has a value of its own, such as {shown(sampled[0], 40)}."
    if name.lower() in NAMES_OF_ID and distinct > 0.5 * filled and words < 1.5:
        return "id", f"Its name is {name!r}, and most rows have a value of their own."
    if is_like_a_label(filled, distinct, words, chars) and not (numeric and not all(map(_whole, sampled)) and distinct > FEW_ROWS):
        return "label", f"It holds {values_in_words(values, distinct)}."
    if numeric:
        return "number", f"It holds {distinct:,} different numbers, such as {shown(sampled[0], 40)}."
    if words >= 2.5 or chars >= 15:
        return "text", f"Its values are texts of {words:,.0f} words ({chars:,.0f} characters) on average."
    as_numbers = numbers(pa.chunked_array([pa.array(sampled, pa.string())]))[0].to_pylist()  # with a unit: $1,234.50
    if sum(one is not None for one in as_numbers) > 0.95 * len(sampled):
        return "number", f"It holds {distinct:,} different numbers, such as {shown(sampled[0], 40)}."
    return "other", f"It holds {distinct:,} different values in {counted(filled, 'row')}, such as {shown(sampled[0], 40)}."


def values_in_words(values: pa.ChunkedArray, distinct: int) -> str:
    """ "2 different values: negative, positive", or "77 different values, such as ..."."""
    if distinct > 6:
        return f"{distinct:,} different values, such as {listed(tuple(dict.fromkeys(evenly(values, 50).to_pylist()))[:3])}"
    return f"{distinct} different values: {listed(sorted(set(pc.unique(values).to_pylist())), 6)}"


def is_like_a_label(filled: int, distinct: int, words: float, chars: float) -> bool:
    """Few different values, each short, each often: what classes look like."""
    return 2 <= distinct <= min(MOST_CLASSES, filled / 3 if filled >= FEW_ROWS else filled / 2) and words <= 6 and chars <= 60


def _whole(value: str) -> bool:
    return value.strip().lstrip("+-").isdigit()


def _are_parts(values: Sequence[str]) -> bool:
    return {value.strip().casefold() for value in values} <= PARTS


def own_split(columns: Sequence[ColumnFacts]) -> str:
    """The column that says which part a row belongs to, training or test; "" where none does."""
    return next((one.name for one in columns if one.role == "other" and 1 < one.distinct <= len(PARTS) and _are_parts(one.examples)), "")


def _coded(sampled: Sequence[str]) -> bool:
    """Whether the values are codes: no blanks, and digits in nearly all."""
    return sum(any(character.isdigit() for character in value) and len(value.split()) == 1 for value in sampled) > 0.9 * len(sampled)


def guess_text(columns: Sequence[ColumnFacts], taken: str | None) -> tuple[str, str]:
    """The text column and the reason, or ("", why there is none)."""
    whole = max((one.filled for one in columns), default=0)
    fit = [one for one in columns if one.name != taken and one.filled >= whole / 2]

    def points(one: ColumnFacts) -> float:
        known = 3.0 if one.name.lower() in NAMES_OF_TEXT else 1.0
        return known * one.mean_chars * (one.distinct / one.filled if one.filled else 0.0)

    texts = [one for one in fit if one.role == "text"]
    if not texts:  # few rows, or short texts that come again: "ok", "thanks"
        short = [one for one in fit if one.role in ("label", "other") and one.distinct > 1 and one.name.lower() not in ANY_LABEL]
        texts = [one for one in short if one.name.lower() in NAMES_OF_TEXT] or (short if len(short) > 1 or taken else [])
    if not texts:
        return "", "No column holds texts."
    best = max(texts, key=points)
    others = "the longest texts" if len(texts) > 1 else "texts"
    return (
        best.name,
        f"It holds {others}: {best.mean_words:,.0f} words on average, {best.distinct:,} different in {counted(best.filled, 'row')}.",
    )


def guess_label(columns: Sequence[ColumnFacts], text: str | None) -> tuple[str, str]:
    """The label column and the reason, or ("", why there is none)."""
    whole = max((one.filled for one in columns), default=0)
    fit = [one for one in columns if one.name != text and one.filled >= whole / 2]

    def points(one: ColumnFacts) -> tuple[float, ...]:
        name = one.name.lower()
        named = any(word in name for word in ("label", "class", "sentiment", "categ"))
        weak = any(word in name for word in WEAK_NAMES_OF_LABEL)
        known = 2.0 if name in NAMES_OF_LABEL else 1.0 if named else 0.5 if weak else -1.0 if DESCRIBES.search(name) else 0.0
        words = not all(NUMBER.fullmatch(example) for example in one.examples)
        return known + words, -one.distinct

    labels = [one for one in fit if one.role == "label"]
    if labels:
        best = max(labels, key=points)
        rivals = [one.name for one in labels if one.name != best.name]
        return best.name, best.why + (f" {listed(rivals)} could be a label too." if rivals else "")
    named = [one for one in fit if one.name.lower() in ANY_LABEL and one.role != "text"]
    if named:
        return named[0].name, f"Its name is {named[0].name!r}."
    return "", "No column has a few short values that come again and again."


def not_a_label(column: ColumnFacts) -> Problem | None:
    """Why this column cannot be the label: free text, an id or a measurement. None where it can."""
    if column.filled < FEW_ROWS:
        return None
    told = f"Column {column.name!r} has {column.distinct:,} different values in {counted(column.filled, 'row')}"
    if column.role == "date":
        return Problem(
            "data.label", f"{told}, and they are dates, such as {column.examples[0]!r}, not labels.", "Pick another label column."
        )
    if column.distinct > column.filled / 2 or column.distinct > MOST_CLASSES:
        if column.mean_words > 2:
            looks = "text, not a label"
        elif column.role == "number":
            looks = "a measurement, not a label"
        elif column.distinct > 0.9 * column.filled:
            looks = "an id, not a label"
        else:
            looks = "no label"
        example = f" (such as {shown(column.examples[0], 40)!r})" if column.examples else ""
        return Problem("data.label", f"{told}{example}, so it looks like {looks}.", "Pick a column whose few values come again and again.")
    if column.mean_words > 10:
        return Problem(
            "data.label",
            f"Column {column.name!r} has {column.mean_words:,.0f} words in a value, so it looks like text, not a label.",
            "Pick a column with short values that come again and again.",
        )
    if column.role == "number":
        return Problem(
            "data.label",
            f"{told}, such as {column.examples[0]}, so it looks like a measurement, not a label.",
            "Pick another label column, or put the numbers into a few groups first.",
        )
    return None
