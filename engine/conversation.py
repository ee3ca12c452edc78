"""From what a person typed to the tokens that a model goes on from: a text as it stands, or a conversation in the model's own form.

`tokenizer` is one of transformers'; no library is loaded here before there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine.encoder_decoders import stands_apart
from engine.errors import Problem, Refused

Way = Literal["automatic", "chat", "text"]
Form = Literal["chat", "text", "taught"]  # the last: as a run's task puts its prompts
TEXT_FIX = "Let it go on with a text instead."


@dataclass(frozen=True)
class Turn:
    """One thing that was said."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True)
class Prompt:
    """What a model is given."""

    ids: tuple[int, ...]
    ends: tuple[int, ...]  # tokens that end the answer, besides those that the model names itself
    form: Form
    stops: tuple[str, ...] = ()  # words that do


@dataclass(frozen=True)
class Said:
    """All that a model is to go on from."""

    turns: tuple[Turn, ...]  # the newest, a user's, last
    system: str = ""
    context: str = ""  # what stands beside the newest turn, for runs that learnt with one
    way: Way = "automatic"

    @property
    def newest(self) -> str:
        """The newest turn and its context, as one text."""
        return f"{self.turns[-1].text}\n\n{self.context}" if self.context.strip() else self.turns[-1].text


Taught = Callable[[Said], Prompt]  # how a run's task puts what was said


def prompt(tokenizer: Any, said: Said, ends: Collection[int], taught: Taught | None = None) -> Prompt:
    """The tokens of what was said. `ends`: tokens that end a text of this model.

    `taught` is the automatic way where it is given. In a chat alone the earlier turns and the system prompt count. Raises Refused for a
    model that cannot chat and is to.
    """
    if said.way == "automatic" and taught is not None:
        return taught(said)
    if said.way != "text" and getattr(tokenizer, "chat_template", None):
        after = after_an_answer(tokenizer)
        if said.way == "chat" or taught_to_chat(after, ends):
            special = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
            return Prompt(tuple(_asked(tokenizer, messages(said))), tuple(one for one in after[:1] if one in special), "chat")
    elif said.way == "chat":
        raise Refused(Problem("prompt", "This model's tokenizer has no chat template, so it cannot chat.", TEXT_FIX))
    ids = list(tokenizer(said.newest)["input_ids"])
    while len(ids) > 1 and ids[-1] in ends and not stands_apart(tokenizer):  # some tokenizers put the end of a text behind every text
        ids.pop()
    return Prompt(tuple(ids), (), "text")


def messages(said: Said) -> list[dict[str, str]]:
    """The conversation as chat templates take it."""
    first = [{"role": "system", "content": said.system.strip()}] if said.system.strip() else []
    before = [{"role": one.role, "content": one.text} for one in said.turns[:-1]]
    return [*first, *before, {"role": said.turns[-1].role, "content": said.newest}]


def after_an_answer(tokenizer: Any) -> tuple[int, ...]:
    """The tokens that the chat template puts behind an answer. Raises Refused where the template fails."""
    answer = "abc"
    text = _filled(tokenizer, [{"role": "user", "content": "a"}, {"role": "assistant", "content": answer}], asks=False)
    return tuple(tokenizer(text.rpartition(answer)[2], add_special_tokens=False)["input_ids"])


def taught_to_chat(after: Sequence[int], ends: Collection[int]) -> bool:
    """Whether what stands behind an answer in the template is what ends a text of this model.

    Base models such as Qwen1.5-0.5B carry the template of their chat sisters, but end a text otherwise.
    """
    return any(one in ends for one in after)


def _asked(tokenizer: Any, told: list[dict[str, str]]) -> list[int]:
    """The tokens of a conversation whose next word is the model's."""
    try:
        text = _filled(tokenizer, told, asks=True)
    except Refused:
        if told[0]["role"] != "system":
            raise
        text = _filled(tokenizer, [{"role": "user", "content": f"{told[0]['content']}\n\n{told[1]['content']}"}, *told[2:]], asks=True)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _filled(tokenizer: Any, told: list[dict[str, str]], *, asks: bool) -> str:
    """The template with this conversation in it. A template is a small program: some take no system prompt and say so by failing."""
    from jinja2 import TemplateError

    try:
        return str(tokenizer.apply_chat_template(told, tokenize=False, add_generation_prompt=asks))
    except (TemplateError, ValueError, TypeError, KeyError, IndexError) as error:
        raise Refused(Problem("prompt", f"The model's chat template fails: {error}", TEXT_FIX)) from error
