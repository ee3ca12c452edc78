"""What a file is probably made for, where that is not classes: by the names of its columns and by what they hold. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from engine.data import roles, tags
from engine.data.columns import ColumnFacts
from engine.data.table import Table, listed

# What the columns are named, and the task that such a file is made for.
NAMED = (
    ("instruct", ("instruction", "prompt"), ("output", "response", "completion", "answer")),
    ("answer", ("question", "questions", "query", "q", "প্রশ্ন"), ("answer", "answers", "response", "a", "উত্তর")),
    ("transform", ("source", "src", "document", "article", "dialogue", "input"), ("target", "tgt", "summary", "highlights", "translation")),
)
LOOKS = {
    "instruct": "instructions with what should come of them",
    "answer": "questions with their answers",
    "transform": "texts with what they are turned into",
    "similar": "pairs of texts with how alike they are",
    "tag": "texts with several tags each",
    "regress": "texts with a number each",
    "write": "texts to go on like",
}
LANGUAGE = re.compile(r"[a-z]{2}([-_][a-z]{2,4})?")
LANGUAGES = {"en", "bn", "de", "fr", "es", "hi", "it", "pt", "ru", "zh", "ja", "ar", "nl", "ur", "ta", "tr", "ko", "pl"}
NAMED_LANGUAGES = {
    "english", "bengali", "bangla", "hindi", "urdu", "german", "deutsch", "french", "spanish", "italian", "portuguese", "russian",
    "chinese", "japanese", "arabic", "dutch", "tamil", "turkish", "korean", "polish", "বাংলা", "ইংরেজি", "हिन्दी",
}  # fmt: skip
ALIKE = ("score", "similarity", "similarity_score", "relatedness", "sts")


@dataclass(frozen=True)
class Meant:
    """A task that the rows look made for."""

    task: str  # id
    looks: str  # like what they look, in words
    why: str


def guess(table: Table, columns: Sequence[ColumnFacts], text: str, label: str) -> Meant | None:
    """What else than sorting into classes these rows look made for; None where that is what they look made for, or nothing does.

    `text` and `label` are the columns that classes would be learnt from, "" where none was found.
    """
    told = _told(table, [one for one in columns if one.filled], text, label)
    return Meant(told[0], LOOKS[told[0]], told[1]) if told else None


def _told(table: Table, columns: Sequence[ColumnFacts], text: str, label: str) -> tuple[str, str] | None:
    dialogue = roles.guess_dialogue(table)
    if dialogue:
        return "instruct", f"{dialogue!r} holds conversations."
    names = {one.name.lower(): one for one in columns if one.role in ("text", "other")}
    for task, read, written in NAMED:
        pair = [next((names[name].name for name in wanted if name in names), None) for wanted in (read, written)]
        if None not in pair:
            return task, f"There are the columns {listed([repr(one) for one in pair])}."
    languages = [one.name for name, one in names.items() if (LANGUAGE.fullmatch(name) and name[:2] in LANGUAGES) or name in NAMED_LANGUAGES]
    if len(languages) == 2:
        return "transform", f"Columns {listed([repr(one) for one in languages])} are named as languages."
    first, second, _ = roles.guess_pair(columns, text, "")
    number = next((one.name for one in columns if one.name.lower() in ALIKE and one.role in ("number", "label")), None)
    if second and number and not (label and label != number):
        return "similar", f"{first!r} and {second!r} are texts, and {number!r} says how alike."
    marks = tags.mark_columns(columns, (text,))
    if len(marks) > 1 and all(one.name in marks for one in columns if one.role == "label"):
        return "tag", f"{len(marks)} columns say yes or no of each text: {listed([repr(one) for one in marks], 4)}."
    lists, why = tags.guess(table, columns, (text,))
    if lists and label in ("", *lists):
        return "tag", f"{lists[0]!r}: {why[0].lower()}{why[1:]}"
    if label:
        return None
    number = next((one.name for one in columns if one.role == "number"), None)
    if text and number:
        return "regress", f"{number!r} holds numbers."
    if len([one for one in columns if one.role not in ("id", "date")]) == 1 and columns and columns[0].role == "text":
        return "write", f"{columns[0].name!r} holds texts, and no column holds labels."
    return None
