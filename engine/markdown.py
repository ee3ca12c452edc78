"""A person's words and tables within Markdown. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

BLANKS = re.compile(r"[ \t\r\n\f\v\x85\u2028\u2029]+")  # not the no-break space


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *rows))


def plain(text: str) -> str:
    """A person's words within Markdown: one line, and none of its signs at work."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", BLANKS.sub(" ", text).strip())


def code(text: str) -> str:
    return "`" + BLANKS.sub(" ", text).replace("`", "'") + "`"


def block(text: str) -> str:
    """The text as it stands, in a fence that is longer than any within."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}"
