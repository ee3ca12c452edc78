"""What the tasks share whose prompt comes from a template: places for the text and what stands beside it, the answer behind."""

from __future__ import annotations

from typing import Any

from engine.chat import Chat
from engine.data.texts import Texts
from engine.encoder_decoders import stands_apart
from engine.errors import Problem
from engine.knobs import knob
from engine.models import ModelFacts
from engine.tasks import Pieces, _language, _template, _writing, classify

PLACES = ("text", "context")


def template(default: str, help: str) -> Any:
    return knob(default, label="Template", high=4000, help=f"What the model reads before it writes. {help}")


def check(knobs: Any, facts: ModelFacts) -> tuple[Problem, ...]:
    return (*_language.check(facts), *_template.check(knobs.template, PLACES))


def encode(tokenizer: Any, texts: Texts, template: str, most: int | None) -> list[list[int]]:
    """Token ids of each prompt and, marked as learnt, of its answer and an end; without `answers` of the prompt alone.

    What a decoder writes for an encoder is a text of its own, and not cut as what goes on behind the prompt.
    """
    assert most is not None, "plan decides the length"
    found = []
    for at, text in enumerate(texts.first):
        values = {"text": text, "context": texts.second[at] if texts.second else ""}

        def prompt(room: int, values: dict[str, str] = values) -> list[int]:
            return _template.ids(tokenizer, template, values, room, "ends")

        if texts.answers is None:
            found.append(prompt(most))
        elif stands_apart(tokenizer):
            start, end = classify.special_tokens(tokenizer)
            answer = [*start, *_template.pieces_ids(tokenizer, texts.answers[at].strip()), *end]
            found.append(_writing.cut_to_fit(prompt, answer, most))
        else:
            answer = _template.behind(tokenizer, template[-20:], blank(template) + texts.answers[at].strip())
            found.append(_writing.cut_to_fit(prompt, _writing.ended(tokenizer, answer), most))
    return found


def shown(texts: Texts, knobs: Any, chat: Chat) -> list[Pieces]:
    """Each prompt, and the answer that is learnt behind it."""
    seconds = texts.second or [""] * len(texts)
    rows = zip(texts.first, seconds, texts.answers or [""] * len(texts), strict=True)
    return [
        [(_template.filled(knobs.template, {"text": first, "context": second}), False), (blank(knobs.template) + answer.strip(), True)]
        for first, second, answer in rows
    ]


def blank(template: str) -> str:
    """What stands between the template and the answer: a blank, unless the template ends with one or with a new line."""
    return "" if template[-1:].isspace() else " "


def prompts(texts: Texts) -> tuple[Texts, list[str]]:
    """Each row without its answer, and that answer."""
    assert texts.answers is not None
    return Texts(texts.first, texts.second), [one.strip() for one in texts.answers]
