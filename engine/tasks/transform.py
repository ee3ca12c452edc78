"""Turning one text into another: translation, summary, correction, a change of tone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.data.texts import Texts
from engine.tasks import Writes, _prompted, _writing

if TYPE_CHECKING:
    from engine.resampling import Figure

TEMPLATE = "Text: {text}\nResult:"


@dataclass(frozen=True)
class TransformKnobs:
    max_length: int | None = _writing.max_length()
    template: str = _prompted.template(
        TEMPLATE,
        "{text} is the source, {context} what stands beside it. Say what is wanted: “English: {text} French:”; for T5 "
        "“translate English to French: {text}”.",
    )
    packing: bool = _writing.packing()
    written_rows: int = _writing.written_rows()
    max_new_tokens: int = _writing.max_new_tokens(96)


def encode(tokenizer: Any, texts: Texts, knobs: TransformKnobs) -> list[list[int]]:
    return _prompted.encode(tokenizer, texts, knobs.template, knobs.max_length)


def figures(written: Sequence[str], wanted: Sequence[str]) -> tuple[Figure, ...]:
    from engine.text_metrics import bleu, chrf, exact_match, rouge

    accepted = [[one] for one in wanted]
    return (chrf(written, accepted), bleu(written, accepted), *rouge(written, accepted), exact_match(written, accepted))


TASK = _writing.task(
    _writing.Said(
        "transform", "Turn a text into another", "Learns to translate, to sum up, or to change a text as your rows do.", 60, "text"
    ),
    TransformKnobs,
    encode,
    _prompted.check,
    Writes(prompts=_prompted.prompts, figures=figures, headline="chrf", stops=("\nText:",)),
    _prompted.shown,
    encoder_decoders=True,
)
