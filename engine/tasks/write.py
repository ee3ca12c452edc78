"""Writing on: the model learns the texts themselves, every token from those before it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.chat import Chat
from engine.data.texts import Texts
from engine.errors import Problem
from engine.knobs import knob
from engine.models import ModelFacts
from engine.tasks import Pieces, Writes, _language, _template, _writing, classify

if TYPE_CHECKING:
    from engine.resampling import Figure

LONGEST = 600  # characters of a text that is begun and written on: both halves fit what a model reads
BEGINNING = 0.5  # of a test text that the model is given, to write on


@dataclass(frozen=True)
class WriteKnobs:
    max_length: int | None = _writing.max_length()
    packing: bool = _writing.packing()
    padding_in_loss: bool = knob(
        False,
        label="Learn the padding",
        help="Fills every text up to the text length and learns the filling too, as some guides do: the loss looks small, and little is "
        "learnt. There to compare with.",
    )
    written_rows: int = _writing.written_rows()
    max_new_tokens: int = _writing.max_new_tokens(64)


def check(knobs: WriteKnobs, facts: ModelFacts) -> tuple[Problem, ...]:
    return _language.check(facts)


def encode(tokenizer: Any, texts: Texts, knobs: WriteKnobs) -> list[list[int]]:
    """Token ids of each text, every one to be learnt, its beginning kept; without `answers` the bare beginning, to be written on."""
    assert knobs.max_length is not None, "plan decides the length"
    start, _ = classify.special_tokens(tokenizer)
    if texts.answers is None:
        return [_template.ids(tokenizer, "{text}", {"text": text}, knobs.max_length, "start") for text in texts.first]
    found = []
    for text in texts.first:
        ids = _writing.ended(tokenizer, _template.pieces_ids(tokenizer, text))[: knobs.max_length - len(start)]
        if knobs.padding_in_loss:
            ids += [tokenizer.pad_token_id] * (knobs.max_length - len(start) - len(ids))
        found.append([*start, *(~one for one in ids)])
    return found


def prompts(texts: Texts) -> tuple[Texts, list[str]]:
    """The first half of each text, in whole words, and what should follow."""
    firsts, rests = [], []
    for text in texts.first:
        ends = [found.end() for found in re.finditer(r"\S+", text[:LONGEST])]
        half = ends[max(1, round(BEGINNING * len(ends))) - 1] if len(ends) > 1 else len(text[:LONGEST]) // 2
        firsts.append(text[:half])
        rests.append(text[half:LONGEST])
    return Texts(firsts), rests


def figures(written: Sequence[str], wanted: Sequence[str]) -> tuple[Figure, ...]:
    from engine.text_metrics import chrf, variety

    return (*variety(written), chrf(written, [[one] for one in wanted]))


def shown(texts: Texts, knobs: WriteKnobs, chat: Chat) -> list[Pieces]:
    return [[(text, True)] for text in texts.first]


TASK = _writing.task(
    _writing.Said(
        "write", "Write on", "Learns the texts themselves, so that it writes on in their manner. Needs no labels.", 30, "nothing"
    ),
    WriteKnobs,
    encode,
    check,
    Writes(prompts=prompts, figures=figures, headline="perplexity_word"),
    shown,
)
