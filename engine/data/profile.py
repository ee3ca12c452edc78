"""What is in the data, and everything that keeps it from being used: counted, said in words, all at once.

Pure: tables in, facts and problems out. The columns are judged in columns.py, the rows in rows.py; what could be better is the
doctor's to say (doctor.py).
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow.compute as pc

from engine.data import corrected
from engine.data import tags as tagging
from engine.data.chosen import Chosen, with_own_names
from engine.data.columns import ColumnFacts, evenly, own_split
from engine.data.corrected import Correction
from engine.data.dialogues import cut_dialogue
from engine.data.fixes import mended, reshaped
from engine.data.layout import Layout, beside, laid_out
from engine.data.meant import Meant
from engine.data.meant import guess as guess_meant
from engine.data.rows import NO_TAGS, Usable, pooled, usable, words_in
from engine.data.sources import with_defaults
from engine.data.table import Table
from engine.data.unusable import all_rows, in_words, left_out_of_test, missing_in_test, problems_of, problems_of_test
from engine.errors import Problem, Refused
from engine.fix import read_all
from engine.spec import DataSpec

SAMPLE_ROWS = 8
SAMPLE_TEXTS = 512
SHOWN_CHARACTERS = 1000  # of a cell in `sample`
SHOWN_TURNS = 6  # of a conversation whose cell is longer


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
            missing = missing_in_test(table, test, chosen)
            problems += missing
            if not missing:
                given = usable(test, chosen.text, chosen.label, **how)
        if given is not None and data.resplit:
            rows, given = pooled(rows, given), None
    notes = [*table.notes, *(f"Test rows: {note}" for note in (test.notes if test else ()))]
    if rows is not None:
        rows, layout, told, said = laid_out(rows, given, data, (chosen.text, chosen.label))
        problems += [*told, *problems_of(rows, chosen, data.target)]
        notes += said
        notes += rows.notes
        if rows.values is not None and len(rows.values):
            notes.append(in_words(rows.values))
        if rows.tags is not None and told_tags is not None:
            tags = tagging.names(rows.tags, told_tags)
            problems += tagging.problems(tags, len(rows.texts), rows.dropped.get(NO_TAGS, 0), told_tags)
            notes.append(tagging.in_words(rows.tags))
        if given is not None:
            problems += problems_of_test(rows, given, chosen, test.origin if test else "", tags)
            notes += left_out_of_test(given)
        unfit, of_corrections = corrected.check(rows, given, corrections)
        problems += unfit
        notes += of_corrections
    part = own_split([one for one in chosen.columns if one.name not in (beside(data), chosen.label)])
    if part and test is None:
        notes.append(
            f"Column {part!r} says which part each row belongs to, which is not looked at: rows are split anew. To keep your own "
            "split, save its test rows as a file of their own, and give that as the test file"
        )
    lengths = _lengths(rows)
    texts = _sampled(rows) if rows else ()
    facts = DataFacts(
        origin=table.origin if test is None or test.origin == table.origin else f"{table.origin} and {test.origin}",
        sha256=fingerprint(table, test, corrections),
        rows=all_rows(table) + (all_rows(test) if test and data.resplit else 0),
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
    return facts, tuple(_with_hint(one, meant) if one.field == "data.label" or one in chosen.problems else one for one in problems)


def _meant(table: Table, data: DataSpec, chosen: Chosen) -> Meant | None:
    known = with_defaults(data)
    if data.target != "class" or data.text or data.label or known.label or not table.rows:
        return None
    return guess_meant(table, chosen.columns, chosen.text, chosen.label)


def _with_hint(problem: Problem, meant: Meant | None) -> Problem:
    """The problem with another way out: that something else is learnt."""
    if meant is None or problem.severity != "error" or not problem.fix:
        return problem
    return replace(problem, fix=f"These rows look like {meant.looks}: learn that, or {problem.fix[0].lower()}{problem.fix[1:]}")


def fingerprint(table: Table, test: Table | None, corrections: Sequence[Correction] = ()) -> str:
    """One sum for the rows, the given test rows and the corrections."""
    both = table.sha256 if test is None else hashlib.sha256(f"{table.sha256}+{test.sha256}".encode()).hexdigest()
    return corrected.fingerprint_with(both, corrections)


def _sampled(rows: Usable) -> tuple[str, ...]:
    """Some of the texts, evenly spread, each with all that is read and written beside it."""
    read = [evenly(one, SAMPLE_TEXTS).to_pylist() for one in (rows.second, rows.texts, rows.answers) if one is not None]
    if len(read) > 1 and read[0] == read[-1]:  # the text itself is written
        read = read[:1]
    return tuple("\n".join(filter(None, parts)) for parts in zip(*read, strict=True))


def _shown_columns(table: Table, chosen: Chosen) -> list[str]:
    """Those of the source; not the one that a row's tags are put into."""
    return [name for name in table.columns if not (chosen.labels and name == chosen.label)]


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
    return {name: _shown_cell(value or "") for name, value in row.items()}


def _shown_cell(value: str) -> str:
    """A conversation stays one."""
    if len(value) <= SHOWN_CHARACTERS:
        return value
    return cut_dialogue(value, SHOWN_CHARACTERS // SHOWN_TURNS, SHOWN_TURNS) or value[: SHOWN_CHARACTERS - 1] + "…"


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
