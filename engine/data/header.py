"""Whether the first row names the columns, judged by how it differs from the rows below; and the names themselves. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from engine.data.table import clean

NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?%?")
NAMES_OF_TEXT = (
    "text", "texts", "review", "reviews", "sentence", "comment", "comments", "tweet", "content", "message", "body", "document", "post",
    "input", "utterance", "question", "query", "description", "review_text", "review_body", "full_text", "data", "sms", "লেখা", "মন্তব্য",
)  # fmt: skip
NAMES_OF_LABEL = (
    "label", "labels", "class", "classes", "category", "categories", "sentiment", "target", "polarity", "class_label", "intent",
    "emotion", "topic", "label_text", "label_name", "gold", "y", "tag", "output", "অনুভূতি", "শ্রেণি",
)  # fmt: skip
WEAK_NAMES_OF_LABEL = ("stars", "rating", "score")  # the label where no other column is: as often they stand beside it
NAMES_OF_ID = ("id", "ids", "_id", "idx", "index", "uuid", "guid", "no", "sl", "serial", "row", "row_id", "key", "unnamed: 0")
MOST_TITLES = 5  # rows above a table that may name it
KNOWN = {*NAMES_OF_TEXT, *NAMES_OF_LABEL, *WEAK_NAMES_OF_LABEL, *NAMES_OF_ID}


def tidy(name: str) -> str:
    """A column's name on one line without blanks around it."""
    return " ".join(clean(name, clean_html=False).replace("\ufeff", "").split())


def has_header(rows: Sequence[Sequence[str]], told: bool | None = None) -> bool:
    """Whether the first of these rows names the columns: as the person told, else judged.

    Each column votes: a first cell that comes again below, or is a number or a long text like those below, is data; one that is
    shorter or of another kind than everything below is a name. A known name ("text", "label") settles it; a tie is a header.
    """
    if told is not None:
        return told
    first, below = [tidy(cell) for cell in rows[0]], rows[1:]
    if {cell.lower() for cell in first} & KNOWN or not below:
        return True
    if [cell for cell in first if cell] == [str(place) for place in range(len(first))][-len([cell for cell in first if cell]) :]:
        return True  # 0, 1, 2: what pandas writes where columns have no names
    return (
        sum(_vote(cell, [row[place] for row in below if place < len(row) and row[place].strip()]) for place, cell in enumerate(first)) >= 0
    )


def _vote(cell: str, values: list[str]) -> int:
    """Positive: a name; negative: data; 0: cannot be told."""
    if not cell or not values:
        return 0
    words = sorted(len(value.split()) for value in values)[len(values) // 2]
    numeric = sum(NUMBER.fullmatch(value.strip()) is not None for value in values) > 0.9 * len(values)
    if NUMBER.fullmatch(cell):
        return -2 if numeric else 1
    if numeric:
        return 2
    if len(cell) > 100 or len(cell.split()) > 8:
        return -2
    if sum(tidy(value) == cell for value in values) > 0:
        return -2
    if words >= 5 and len(cell.split()) <= 2:
        return 1
    return 0


def titles_above(rows: Sequence[Sequence[str]]) -> int:
    """How many of the first rows name the whole table, blank ones between them included: "Survey 2024", a blank row, then the header.

    One filled cell where the rows below have several is not enough, since a file of plain texts may hold commas: a blank row must follow,
    or a header with a known name.
    """
    filled = [sum(bool(cell.strip()) for cell in row) for row in rows[:1000]]
    usual = Counter(count for count in filled if count).most_common(1)
    if not usual or usual[0][0] < 2:
        return 0
    above = next((at for at, count in enumerate(filled) if count > 1), 0)
    told = sum(count == 1 for count in filled[:above])
    known = {tidy(cell).lower() for cell in rows[above]} & KNOWN
    if not 1 <= told <= MOST_TITLES or filled[above] < usual[0][0] or not (filled[above - 1] == 0 or known):
        return 0
    return above if has_header(rows[above:]) else 0


PADDED = "Blanks around names of columns were removed"


def column_names(cells: Sequence[str], places: Sequence[int]) -> tuple[tuple[str, ...], list[str]]:
    """A name for the column at each place, each once, and in words what was changed.

    A nameless column gets "column 3", after its place in the file; a second "text" becomes "text (2)".
    """
    names: list[str] = []
    nameless: list[str] = []
    repeated: list[str] = []
    padded: list[str] = []
    for place in places:
        told = tidy(cells[place])[:200] if place < len(cells) else ""
        if told and cells[place].removeprefix("\ufeff") != cells[place].removeprefix("\ufeff").strip():
            padded.append(told)
        name, count = told or f"column {place + 1}", 1
        while name in names:
            count += 1
            name = f"{told or f'column {place + 1}'} ({count})"
        if count > 1:
            repeated.append(name)
        elif not told:
            nameless.append(name)
        names.append(name)
    notes = []
    if nameless and cells:
        notes.append(f"{'A column' if len(nameless) == 1 else 'Columns'} without a name: called {', '.join(nameless[:5])}")
    if repeated:
        notes.append(f"Columns with the same name: called {', '.join(repeated[:5])}")
    if padded:
        notes.append(f"{PADDED}: {', '.join(padded[:5])}")
    return tuple(names), notes
