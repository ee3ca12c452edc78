"""Following instructions: an instruction, with an input or without, and the answer; or conversations, the assistant's turns learnt.

Rows are put into the model's own chat template, so that it is asked later as it was taught; a model without one gets a plain form.
Conversations come as JSON in the shapes of OpenAI ({"role", "content"}) and ShareGPT ({"from", "value"}), with the answer among their turns
or in a column of its own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine import chat as rendering
from engine.chat import Chat
from engine.data.dialogues import speakers, turns_of
from engine.data.texts import Texts
from engine.errors import Problem, RunFailed
from engine.knobs import knob
from engine.models import ModelFacts
from engine.tasks import Pieces, Writes, _language, _writing

if TYPE_CHECKING:
    from engine.resampling import Figure

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
PLAIN = (
    "{% for message in messages %}{% if message['role'] == 'assistant' %}"
    "{{ '### Response:\n' + message['content'] + (eos_token or '') + '\n\n' }}"
    "{% elif message['role'] == 'system' %}{{ message['content'] + '\n\n' }}"
    "{% else %}{{ '### Instruction:\n' + message['content'] + '\n\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '### Response:\n' }}{% endif %}"
)
Turns = list[dict[str, str]]


@dataclass(frozen=True)
class InstructKnobs:
    max_length: int | None = _writing.max_length()
    chat_template: str = knob(
        "own",
        label="Form of a conversation",
        choices={"own": "The model's own", "chatml": "ChatML", "plain": "Instruction and response"},
        help="How who says what is marked. The model's own is best where it has one; where it has none, Instruction and response is taken.",
    )
    system_prompt: str = knob(
        "", label="System prompt", high=4000, help="Stands before every conversation, here and when the model is asked. Empty: none."
    )
    packing: bool = _writing.packing()
    written_rows: int = _writing.written_rows()
    max_new_tokens: int = _writing.max_new_tokens(128)


def check(knobs: InstructKnobs, facts: ModelFacts) -> tuple[Problem, ...]:
    return _language.check(facts)


def encode(tokenizer: Any, texts: Texts, knobs: InstructKnobs) -> list[list[int]]:
    """Token ids of each conversation, the assistant's turns to be learnt; without `answers` up to where the assistant is to speak."""
    seconds = texts.second or [""] * len(texts)
    wanted: Sequence[str | None] = texts.answers or [None] * len(texts)
    rows = zip(texts.first, seconds, wanted, strict=True)
    found = [_row(tokenizer, conversation(first, second, answer, knobs), knobs) for first, second, answer in rows]
    assert knobs.max_length is not None, "plan decides the length"
    return [_cut(row if texts.answers is not None else _language.plain(row), knobs.max_length) for row in found]


def conversation(first: str, second: str, answer: str | None, knobs: InstructKnobs) -> Turns:
    """The turns of a row; an answer beside a conversation is its last turn, where none of the assistant's stands there already."""
    told = _told(first)
    if told is None:
        turns = [{"role": "user", "content": f"{first}\n\n{second}" if second.strip() else first}]
        turns += [] if answer is None else [{"role": "assistant", "content": answer}]
    else:
        turns = [{"role": role, "content": text} for role, (_, text) in zip(speakers(told), told, strict=True)]
        if answer is None:
            turns = turns[:-1] if turns[-1]["role"] == "assistant" else turns
        elif (turns[-1]["role"] != "assistant" or len(turns) == 1) and _told(answer) is None:
            turns.append({"role": "assistant", "content": answer})
    if knobs.system_prompt and (not turns or turns[0]["role"] != "system"):
        turns = [{"role": "system", "content": knobs.system_prompt}, *turns]
    return turns


def _told(cell: str) -> list[tuple[str, str]] | None:
    """The turns of a cell that holds a conversation."""
    return turns_of(cell) if cell.lstrip().startswith("[") else None


def template_of(tokenizer: Any, knobs: InstructKnobs) -> str:
    """The chat template that rows are put into."""
    if knobs.chat_template == "chatml":
        return CHATML
    own: str | None = tokenizer.chat_template if knobs.chat_template == "own" else None
    return own or PLAIN


def rendered(tokenizer: Any, turns: Turns, knobs: InstructKnobs, *, asks: bool) -> str:
    """The conversation as the model reads it. Raises RunFailed where the template cannot take it."""
    from jinja2 import TemplateError

    try:
        told: str = tokenizer.apply_chat_template(
            turns, chat_template=template_of(tokenizer, knobs), tokenize=False, add_generation_prompt=asks
        )
    except (TemplateError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise RunFailed(_not_taken(turns, error)) from error
    return told


def shown(texts: Texts, knobs: InstructKnobs, chat: Chat) -> list[Pieces]:
    """Each conversation in the form that is chosen, the assistant's turns as what is learnt."""
    from jinja2 import TemplateError

    template = {"chatml": CHATML, "plain": PLAIN}.get(knobs.chat_template) or chat.template or PLAIN
    tokens = {"eos_token": "", **chat.tokens}
    seconds = texts.second or [""] * len(texts)
    found: list[Pieces] = []
    for first, second, answer in zip(texts.first, seconds, texts.answers or [""] * len(texts), strict=True):
        turns = conversation(first, second, answer, knobs)
        pieces: Pieces = []
        done = ""
        try:
            for at in _answers(turns):
                before, after = (rendering.rendered(template, tokens, turns[:upto], asks=upto == at) for upto in (at, at + 1))
                before = before if after.startswith(before) else _shared(after, before)
                if not before.startswith(done):  # what was said before is written otherwise now
                    pieces, done = [], ""
                pieces += [(before[len(done) :], False), (after[len(before) :], True)]
                done = after
        except (TemplateError, TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            raise RunFailed(_not_taken(turns, error)) from error
        found.append(pieces)
    return found


def _not_taken(turns: Turns, error: Exception) -> Problem:
    roles = " → ".join(turn["role"] for turn in turns)
    message = f"The model's chat template does not take this conversation ({roles}): {error}"
    fix = "Put the turns in order (system, user, assistant, user, …), or choose another form of a conversation."
    return Problem("settings.chat_template", message, fix)


def _row(tokenizer: Any, turns: Turns, knobs: InstructKnobs) -> list[int]:
    """Token ids of the conversation, whole.

    Some templates write an earlier answer otherwise than the last one, without its thoughts say: then the last one alone is learnt,
    behind what the model will read then.
    """
    ids: list[int] = []
    done = ""
    for at in _answers(turns):
        before, after = (rendered(tokenizer, turns[:upto], knobs, asks=upto == at) for upto in (at, at + 1))
        if not after.startswith(before):
            before = _shared(after, before)
        if not before.startswith(done):
            ids, done = [], ""
        ids += _ids(tokenizer, before[len(done) :])
        ids += [~one for one in _ids(tokenizer, after[len(before) :])]
        done = after
    if not turns or turns[-1]["role"] != "assistant":
        asked = rendered(tokenizer, turns, knobs, asks=True)
        ids, done = (ids, done) if asked.startswith(done) else ([], "")
        ids += _ids(tokenizer, asked[len(done) :])
    return ids


def _answers(turns: Turns) -> list[int]:
    """Places of the turns that are learnt: the assistant's, but for one that opens the conversation and answers nobody."""
    return [at for at, turn in enumerate(turns) if at and turn["role"] == "assistant"]


def _shared(first: str, second: str) -> str:
    """What both begin with: some templates write the last turn otherwise than those before it."""
    most = next((at for at, (one, other) in enumerate(zip(first, second, strict=False)) if one != other), min(len(first), len(second)))
    return first[:most]


def _cut(ids: list[int], most: int) -> list[int]:
    """At most so many tokens: of a long beginning its middle goes, so that some of what is learnt stays."""
    if len(ids) <= most:
        return ids
    first = next((at for at, one in enumerate(ids) if one < 0), len(ids))
    kept = min(first, max(most // 2, most - (len(ids) - first)))
    return (ids[: kept // 2] + ids[first - (kept - kept // 2) : first] + ids[first:])[:most]


def _ids(tokenizer: Any, text: str) -> list[int]:
    """Special tokens that the template wrote count as such here; those that a person's text spells do too, as in every chat."""
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def ends(tokenizer: Any, knobs: InstructKnobs) -> tuple[int, ...]:
    """The special token that the form puts behind an answer: of a base model it is not always what ends its texts."""
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "abc"}]
    after = rendered(tokenizer, turns, knobs, asks=False).rpartition("abc")[2]
    return tuple(one for one in _ids(tokenizer, after)[:1] if one in {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder})


def prompts(texts: Texts) -> tuple[Texts, list[str]]:
    """Each row without its answer, and that answer: of a conversation the last turn of the assistant, and what stands before it."""
    assert texts.answers is not None
    asked, wanted = [], []
    for first, answer in zip(texts.first, texts.answers, strict=True):
        told = _told(first)
        if told is None:
            asked.append(first)
            wanted.append(answer)
            continue
        turns = conversation(first, "", answer, InstructKnobs())
        last = max((at for at, turn in enumerate(turns) if turn["role"] == "assistant"), default=len(turns))
        asked.append(json.dumps(turns[:last], ensure_ascii=False))
        wanted.append(turns[last]["content"] if last < len(turns) else "")
    return Texts(asked, texts.second), wanted


def figures(written: Sequence[str], wanted: Sequence[str]) -> tuple[Figure, ...]:
    from engine.text_metrics import bleu, chrf, rouge, variety

    accepted = [[one] for one in wanted]
    return (*rouge(written, accepted), chrf(written, accepted), bleu(written, accepted), *variety(written))


TASK = _writing.task(
    _writing.Said(
        "instruct",
        "Follow instructions",
        "Learns to answer an instruction, or the assistant's part of conversations.",
        40,
        "text",
    ),
    InstructKnobs,
    encode,
    check,
    Writes(
        prompts=prompts,
        figures=figures,
        headline="rougeL",
        stops=("<|im_end|>", "### Instruction:", "### Response:"),
        ends=ends,
        chats=True,
    ),
    shown,
)
