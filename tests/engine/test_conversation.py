"""What was said becomes tokens: in the model's own chat form where it was taught one, else as a text to go on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.conversation import Prompt, Said, Turn, after_an_answer, prompt, taught_to_chat
from engine.errors import Refused
from engine.tasks.classify import load_tokenizer
from tests.tiny import tiny_tokenizer
from tests.writing import CHAT

SAID = (Turn("user", "a film"), Turn("assistant", "good"), Turn("user", "ভালো?"))


@pytest.fixture
def tokenizer(tmp_path: Path) -> Any:
    tiny_tokenizer("llama", tmp_path)
    return load_tokenizer(tmp_path)


def test_a_model_with_a_template_that_ends_as_its_texts_do_gets_the_whole_conversation(tokenizer: Any) -> None:
    tokenizer.chat_template = CHAT
    told = prompt(tokenizer, Said(SAID, " Be kind. ", way="automatic"), [tokenizer.eos_token_id])
    assert told.form == "chat"
    assert told.ends == (tokenizer.eos_token_id,)
    expected = "[system] Be kind.</s>[user] a film</s>[assistant] good</s>[user] ভালো?</s>[assistant] "
    assert tokenizer.decode(told.ids) == expected


def test_a_base_model_that_carries_its_chat_sister_s_template_goes_on_with_the_text(tokenizer: Any) -> None:
    tokenizer.chat_template = CHAT
    other_end = tokenizer.unk_token_id
    assert not taught_to_chat(after_an_answer(tokenizer), [other_end])
    told = prompt(tokenizer, Said(SAID, "Be kind.", way="automatic"), [other_end])
    assert told.form == "text"
    assert tokenizer.decode(told.ids, skip_special_tokens=True) == "ভালো?"
    assert prompt(tokenizer, Said(SAID, "", way="chat"), [other_end]).form == "chat"
    assert prompt(tokenizer, Said(SAID, "", way="text"), [tokenizer.eos_token_id]).form == "text"


def test_a_template_that_takes_no_system_prompt_gets_it_before_the_first_words(tokenizer: Any) -> None:
    tokenizer.chat_template = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + CHAT
    told = prompt(tokenizer, Said(SAID[:1], "Be kind.", way="chat"), [])
    assert tokenizer.decode(told.ids) == "[user] Be kind.\n\na film</s>[assistant] "


def test_a_model_that_cannot_chat_and_a_template_that_fails_are_told_in_words(tokenizer: Any) -> None:
    assert prompt(tokenizer, Said(SAID, "", way="automatic"), []).form == "text"
    with pytest.raises(Refused, match="no chat template"):
        prompt(tokenizer, Said(SAID, "", way="chat"), [])
    tokenizer.chat_template = "{{ raise_exception('never') }}"
    with pytest.raises(Refused, match="template fails: never"):
        prompt(tokenizer, Said(SAID, "", way="chat"), [])


def test_the_end_that_a_tokenizer_puts_behind_every_text_is_left_out(tokenizer: Any) -> None:
    class Closing:
        chat_template = None
        model_input_names = ("input_ids",)

        def __call__(self, text: str) -> dict[str, list[int]]:
            return {"input_ids": [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]}

    assert prompt(Closing(), Said(SAID), [tokenizer.eos_token_id]).ids == tuple(tokenizer("ভালো?")["input_ids"])


def test_a_run_is_asked_as_its_task_asks_unless_a_person_wants_it_otherwise(tokenizer: Any) -> None:
    tokenizer.chat_template = CHAT
    ends = [tokenizer.eos_token_id]

    def taught(said: Said) -> Prompt:
        return Prompt((len(said.turns[-1].text),), (), "taught", ("Stop",))

    told = prompt(tokenizer, Said(SAID, "Be kind."), ends, taught)
    assert (told.form, told.ids, told.stops) == ("taught", (len("ভালো?"),), ("Stop",))
    assert prompt(tokenizer, Said(SAID, way="chat"), ends, taught).form == "chat"
    assert prompt(tokenizer, Said(SAID, way="text"), ends, taught).form == "text"


def test_a_context_stands_behind_the_newest_turn(tokenizer: Any) -> None:
    assert Said(SAID, context="Dhaka").newest == "ভালো?\n\nDhaka"
    assert Said(SAID, context=" ").newest == "ভালো?"
    tokenizer.chat_template = CHAT
    told = prompt(tokenizer, Said(SAID[:1], context="of Dhaka", way="chat"), [])
    assert tokenizer.decode(told.ids) == "[user] a film\n\nof Dhaka</s>[assistant] "
