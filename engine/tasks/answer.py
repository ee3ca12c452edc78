"""Answering questions: a question, with a context or without, and a short answer, compared with the accepted one as SQuAD does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.data.texts import Texts
from engine.tasks import Writes, _prompted, _writing

if TYPE_CHECKING:
    from engine.resampling import Figure

TEMPLATE = "{context}\n\nQuestion: {text}\nAnswer:"


@dataclass(frozen=True)
class AnswerKnobs:
    max_length: int | None = _writing.max_length()
    template: str = _prompted.template(TEMPLATE, "{text} is the question, {context} what stands beside it.")
    packing: bool = _writing.packing()
    written_rows: int = _writing.written_rows()
    max_new_tokens: int = _writing.max_new_tokens(48)


def encode(tokenizer: Any, texts: Texts, knobs: AnswerKnobs) -> list[list[int]]:
    return _prompted.encode(tokenizer, texts, knobs.template, knobs.max_length)


def figures(written: Sequence[str], wanted: Sequence[str]) -> tuple[Figure, ...]:
    from engine.text_metrics import exact_match, rouge, token_f1

    accepted = [[one] for one in wanted]
    return (token_f1(written, accepted), exact_match(written, accepted), *rouge(written, accepted)[2:])


TASK = _writing.task(
    _writing.Said("answer", "Answer questions", "Learns to answer a question, from a context beside it or from what it knows.", 50, "text"),
    AnswerKnobs,
    encode,
    _prompted.check,
    Writes(prompts=_prompted.prompts, figures=figures, headline="token_f1", stops=("\nQuestion:",)),
    _prompted.shown,
    encoder_decoders=True,
)
