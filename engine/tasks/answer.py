"""Answering questions: a question, with a context or without, and a short answer, compared with the accepted ones as SQuAD does.

A cell of answers may hold several, as JSON: a list of texts, SQuAD's {"text": ["…", …], …}, or a list of {"text": "…"}. The first is
learnt and all are accepted. One without any, as SQuAD 2 has for questions that the context does not answer, is to be left blank.

Where every answer ends as GSM8K's do, its way first and the result behind ####, the results alone are compared (https://arxiv.org/abs/2110.14168).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from engine.chat import Chat
from engine.data.texts import Texts
from engine.tasks import Pieces, Writes, _prompted, _writing

if TYPE_CHECKING:
    from engine.resampling import Figure

RESULT = "####"
TEMPLATE = "{context}\n\nQuestion: {text}\nAnswer:"


@dataclass(frozen=True)
class AnswerKnobs:
    max_length: int | None = _writing.max_length()
    template: str = _prompted.template(TEMPLATE, "{text} is the question, {context} what stands beside it.")
    packing: bool = _writing.packing()
    written_rows: int = _writing.written_rows()
    max_new_tokens: int = _writing.max_new_tokens(48)


def accepted(cell: str) -> list[str]:
    """The answers that a cell holds, each once, one at least; the cell itself where it is no list of answers."""
    text = cell.strip()
    try:
        told = json.loads(text) if text[:1] in ("[", "{") else None
    except (ValueError, RecursionError):
        told = None
    if isinstance(told, dict) and isinstance(told.get("text"), (list, str)):
        told = told["text"] if isinstance(told["text"], list) else [told["text"]]
    elif isinstance(told, list):
        told = [one.get("text") if isinstance(one, dict) else one for one in told]
    if not isinstance(told, list) or not all(isinstance(one, str) for one in told):
        return [text]
    return list(dict.fromkeys(one.strip() for one in told)) or [""]


def _first(texts: Texts) -> Texts:
    """The same with one answer a row, which is learnt."""
    return texts if texts.answers is None else replace(texts, answers=[accepted(one)[0] for one in texts.answers])


def encode(tokenizer: Any, texts: Texts, knobs: AnswerKnobs) -> list[list[int]]:
    return _prompted.encode(tokenizer, _first(texts), knobs.template, knobs.max_length)


def shown(texts: Texts, knobs: AnswerKnobs, chat: Chat) -> list[Pieces]:
    return _prompted.shown(_first(texts), knobs, chat)


def figures(written: Sequence[str], wanted: Sequence[str]) -> tuple[Figure, ...]:
    from engine.text_metrics import exact_match, rouge, token_f1

    right = [accepted(one) for one in wanted]
    overlap = rouge(written, right)[2:]
    if not all(RESULT in one for row in right for one in row):
        return (token_f1(written, right), exact_match(written, right), *overlap)
    results = [one.rpartition(RESULT)[2] for one in written], [[one.rpartition(RESULT)[2] for one in row] for row in right]
    note = f" Of each answer what stands behind {RESULT}, its result, is compared; of one without it all."
    shared, same = (replace(one, note=one.note + note) for one in (token_f1(*results), exact_match(*results)))
    return (shared, same, *overlap)


TASK = _writing.task(
    _writing.Said(
        "answer",
        "Answer questions",
        "Learns to answer a question, from a context beside it or from what it knows. A row may list several accepted answers.",
        50,
        "text",
    ),
    AnswerKnobs,
    encode,
    _prompted.check,
    Writes(prompts=_prompted.prompts, figures=figures, headline="token_f1", accepted=accepted, stops=("\nQuestion:",)),
    shown,
    encoder_decoders=True,
)
