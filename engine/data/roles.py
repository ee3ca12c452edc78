"""Which columns hold what is read, and what is to be written or the number to be learnt. Judged by names and values. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from engine.data.columns import ColumnFacts, evenly
from engine.data.dialogues import is_open, turns_of
from engine.data.numbers import numbers
from engine.data.table import Table, listed

READ = ("instruction", "prompt", "question", "source", "src", "input", "text", "document", "article", "en", "english", "sentence", "query")
WRITTEN = ("output", "answer", "response", "completion", "target", "tgt", "reply", "summary", "highlights", "translation", "answers")
BESIDE = ("context", "input", "passage", "system")
DIALOGUE = ("messages", "conversations", "conversation", "chat", "dialogue", "dialog")
MEASURED = ("rating", "score", "stars", "grade", "value", "number", "price", "similarity", "target", "label", "y", "রেটিং", "নম্বর")
PAIRS = (
    ("sentence1", "sentence2"), ("premise", "hypothesis"), ("question1", "question2"), ("text1", "text2"), ("text_a", "text_b"),
    ("sentence_a", "sentence_b"), ("sent1", "sent2"), ("s1", "s2"), ("sentence_1", "sentence_2"), ("text_1", "text_2"),
)  # fmt: skip
LOOKED = 50
MOSTLY = 0.9  # of the values looked at are numbers


def is_dialogue(table: Table, column: str) -> bool:
    """Whether it holds conversations: JSON lists of turns, as OpenAI ({"role", "content"}) and ShareGPT ({"from", "value"}) write."""
    filled = [one for one in evenly(table.column(column), LOOKED).to_pylist() if one]
    return bool(filled) and sum(one.lstrip().startswith("[{") and turns_of(one) is not None for one in filled) > len(filled) / 2


def guess_dialogue(table: Table) -> str:
    """The column of conversations; "" where there is none."""
    ordered = sorted(table.columns, key=lambda name: name.lower() not in DIALOGUE)
    return next((name for name in ordered if is_dialogue(table, name)), "")


def guess_answer_beside(table: Table, dialogue: str) -> tuple[str, str]:
    """The column of answers to conversations that end without one, by its name, and the reason; ("", "") where there is none."""
    filled = [one for one in evenly(table.column(dialogue), LOOKED).to_pylist() if one]
    named = next((name for known in WRITTEN for name in table.columns if name.lower() == known and name != dialogue), "")
    if not named or sum(map(is_open, filled)) <= len(filled) / 2:
        return "", ""
    return named, f"Its name is {named!r}, and the conversations end without an answer."


def guess_read(columns: Sequence[ColumnFacts], taken: Sequence[str]) -> tuple[str, str]:
    """The column that is read, and the reason; ("", why there is none)."""
    return _guess(columns, READ, taken, "read", longest=False)


def guess_written(columns: Sequence[ColumnFacts], taken: Sequence[str]) -> tuple[str, str]:
    """The column that is to be written, and the reason."""
    return _guess(columns, WRITTEN, taken, "written", longest=True)


def guess_beside(columns: Sequence[ColumnFacts], taken: Sequence[str]) -> tuple[str, str]:
    """A column that stands beside what is read, by its name alone; ("", "") where there is none."""
    named = [one for name in BESIDE for one in columns if one.name.lower() == name and one.name not in taken and one.filled]
    return (named[0].name, f"Its name is {named[0].name!r}.") if named else ("", "")


def guess_pair(columns: Sequence[ColumnFacts], text: str, label: str) -> tuple[str, str, str]:
    """The two columns of pairs by their names, where the text is one of them, and the reason; ("", "", "") where there are none."""
    names = {one.name.lower(): one.name for one in columns if one.filled and one.name != label}
    for first, second in PAIRS:
        if first in names and second in names and text in (names[first], names[second]):
            return names[first], names[second], f"Their names are {names[first]!r} and {names[second]!r}: pairs of texts."
    return "", "", ""


def guess_number(table: Table, columns: Sequence[ColumnFacts], taken: Sequence[str]) -> tuple[str, str]:
    """The column of numbers to be learnt, and the reason; ("", why there is none)."""

    def share(name: str) -> float:
        cells = evenly(table.column(name), LOOKED)
        read, _ = numbers(cells)
        filled = sum(bool(cell and cell.strip()) for cell in cells.to_pylist())
        return float(len(read) - read.null_count) / max(1, filled)

    found = [
        one for one in columns if one.name not in taken and one.distinct > 1 and one.role not in ("id", "date") and share(one.name) > MOSTLY
    ]
    named = [one for name in MEASURED for one in found if one.name.lower() == name]
    if named or found:
        best = (named or found)[0]
        return best.name, f"It holds numbers, such as {best.examples[0]}."
    return "", f"No column holds numbers to be learnt; there are {listed([one.name for one in columns], 10)}."


def _guess(columns: Sequence[ColumnFacts], names: Sequence[str], taken: Sequence[str], verb: str, *, longest: bool) -> tuple[str, str]:
    free = [one for one in columns if one.name not in taken and one.filled]
    named = [one for name in names for one in free if one.name.lower() == name]
    if named:
        return named[0].name, f"Its name is {named[0].name!r}."
    texts = [one for one in free if one.role == "text"] or [one for one in free if one.role not in ("id", "date")]
    if not texts:
        return "", f"No column looks like what is {verb}; there are {listed([one.name for one in columns], 10)}."
    best = max(texts, key=lambda one: one.mean_chars) if longest else texts[0]
    return best.name, f"It holds texts of {best.mean_words:,.0f} words on average."
