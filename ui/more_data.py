"""Rows made from others, as a table: the original beside what was made of it, what differs marked. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from ui import tables, words

if TYPE_CHECKING:
    from engine.augment.making import Example

TITLE = "More data"
LEAD = (
    '<p class="soft">Changed copies of your training rows, with their labels. Only the training rows get copies; the rows that check and '
    "test stay as they came, and a copy that is the same as one of them is left out. Whether it helps depends on the data, so compare.</p>"
)
NONE_YET = '<p class="soft">Choose a way above to see examples.</p>'
AFTERWARDS = (
    '<p class="soft">A model translates when the run begins; what came back then stands on the run\'s page, beside the originals.</p>'
)
NOTHING = '<p class="soft">No word of these rows can be changed so. Choose another way.</p>'
COLUMNS = (tables.Column("Row"), tables.Column("Label"), tables.Column("Original", style="cell"), tables.Column("Made", style="cell"))
MOST_CHARACTERS = 240


def table(examples: Sequence[Example]) -> str:
    """One line an example; of a long text the part around the first change."""
    return tables.table("Made rows beside their originals", COLUMNS, [_line(one) for one in examples]) if examples else NOTHING


def made(examples: Sequence[Example], count: int) -> str:
    """What a run made; nothing for one that made none."""
    if not count:
        return ""
    return f"<details><summary>{words.counted(count, 'row')} made for its training</summary>{table(examples)}</details>"


def _line(one: Example) -> tuple[str, ...]:
    before, after = marked(one.original, one.text)
    return str(one.row), escape(one.label), before, after


def marked(original: str, text: str) -> tuple[str, str]:
    """Both texts as safe HTML, cut to the part around their first difference, with the words that differ marked."""
    one, other = _pieces(original), _pieces(text)
    same = next((at for at, (left, right) in enumerate(zip(one, other, strict=False)) if left != right), 0)
    ahead = max(0, same - 10)
    one, other = one[ahead:], other[ahead:]
    told: tuple[list[str], list[str]] = ([], [])
    for tag, start, end, begin, stop in difflib.SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        for into, piece in ((told[0], one[start:end]), (told[1], other[begin:stop])):
            if piece:
                into.append("".join(piece) if tag == "equal" else f"\0{''.join(piece)}\1")
    return _html("".join(told[0]), cut=ahead > 0), _html("".join(told[1]), cut=ahead > 0)


def _pieces(text: str) -> list[str]:
    """Words and blanks; a word's letters are never apart from their signs."""
    return re.findall(r"\s+|\S+", text)


def _html(text: str, *, cut: bool) -> str:
    shown = text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1].rsplit(" ", 1)[0] + " …"
    if shown.count("\0") > shown.count("\1"):
        shown += "\1"
    safe = escape(shown).replace("\0", '<mark class="for">').replace("\1", "</mark>")
    return f"… {safe}" if cut else safe
