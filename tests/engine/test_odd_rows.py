"""Rows and templates that a task which writes cannot take: each is told by its number, before the run where that can be seen."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from engine.chat import Chat
from engine.data.dialogues import as_text
from engine.data.doctor import examine
from engine.data.texts import Texts
from engine.errors import Problem, Refused
from engine.spec import DataSpec, RunSpec
from engine.studio import Studio
from engine.tasks import _language, instruct
from engine.tokens import with_row
from tests.engine.test_doctor import found, names, table
from tests.engine.test_worker import record, work
from tests.engine.test_writers import a_spec, learnt, said, tokenizer_of
from tests.engine.test_writers import studio as studio

NO_CURSE = (
    "{% for m in messages %}{% if 'curse' in m['content'] %}{{ raise_exception('no curses') }}{% endif %}"
    "<{{ m['role'] }}>{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
KNOBS = instruct.InstructKnobs(max_length=200)


def a_run_with_a_curse_in(row: int, tmp_path: Path) -> RunSpec:
    spec = a_spec("instruct", tmp_path)
    Path(spec.model, "chat_template.jinja").write_text(NO_CURSE)
    rows = [{"instruction": f"{'curse' if at == row else 'ask'} {at}", "output": f"answer {at}"} for at in range(1, 61)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return replace(spec, data=DataSpec(f"file:{path}", target="text"))


def test_a_row_far_down_that_the_chat_template_refuses_is_named_when_the_run_ends(studio: Studio, tmp_path: Path) -> None:
    spec = a_run_with_a_curse_in(41, tmp_path)
    assert studio.preview(spec).is_ready, "the first rows alone are looked at before"
    folder = studio.store.folder(studio.start(spec))
    assert work(folder) == 1
    ended = record(folder).ended
    assert ended is not None
    assert ended.reason.startswith("Row 41, a ")
    assert ended.reason.endswith("The model's chat template does not take this conversation (user): no curses")
    assert "Or take the row out." in ended.fix


def test_a_first_row_that_the_chat_template_refuses_holds_start_back(studio: Studio, tmp_path: Path) -> None:
    spec = a_run_with_a_curse_in(7, tmp_path)
    preview = studio.preview(spec)
    assert not preview.is_ready
    (problem,) = (one for one in preview.problems if one.severity == "error")
    assert (problem.field, "no curses" in problem.message) == ("settings.chat_template", True)
    with pytest.raises(Refused, match="no curses"):
        studio.start(spec)
    assert studio.preview(replace(spec, settings={**spec.settings, "chat_template": "chatml"})).is_ready


def test_several_odd_rows_are_counted_and_the_first_ones_named_and_a_fault_of_all_is_no_row_s(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path)
    tokenizer.chat_template = NO_CURSE
    whole = Problem("settings.chat_template", "as it was told", "mend it.")

    def told(*asked: str) -> Problem:
        texts = Texts(asked, None, ["good"] * len(asked))
        return with_row(whole, instruct.TASK, tokenizer, texts, KNOBS, [10 * (at + 1) for at in range(len(asked))], "training")

    assert told("hi", *["curse"] * 7).message.startswith("7 training rows (20, 30, 40, 50, 60 and 2 more). Of row 20: The model's chat")
    assert told("hi", "curse").message.startswith("Row 20, a training row: The model's chat template does not take")
    assert told("curse", "curse") == told("hi", "you") == whole


ASKED = said(("user", "hi"), ("assistant", "good"), ("user", "bad?"))
ANSWERED = said(("user", "hi"), ("assistant", "good"))


def test_an_answer_beside_a_conversation_is_its_last_turn(tmp_path: Path) -> None:
    tokenizer, texts = tokenizer_of(tmp_path), Texts([ASKED, ANSWERED], None, ["okay", "not read"])
    rows = instruct.encode(tokenizer, texts, replace(KNOBS, chat_template="plain"))
    end = "<|endoftext|>\n\n"
    assert [learnt(tokenizer, row) for row in rows] == [f"good{end}okay{end}", f"good{end}"]
    shown = instruct.shown(texts, replace(KNOBS, chat_template="plain"), Chat(None, {"eos_token": "<|endoftext|>"}))
    assert ["".join(words for words, _ in one) for one in shown] == [tokenizer.decode(_language.plain(row)) for row in rows]
    asked, wanted = instruct.prompts(texts)
    assert wanted == ["okay", "good"]
    (first, second) = instruct.encode(tokenizer, asked, replace(KNOBS, chat_template="plain"))
    assert tokenizer.decode(first).endswith("### Instruction:\nbad?\n\n### Response:\n")
    assert tokenizer.decode(second) == "### Instruction:\nhi\n\n### Response:\n"


def test_a_conversation_is_read_with_who_says_what_and_a_single_turn_as_its_words() -> None:
    assert as_text(ASKED) == "user: hi\n\nassistant: good\n\nuser: bad?"
    assert as_text(said(("human", "hi"))) == "hi"
    assert as_text("[sic] a text") == "[sic] a text"


def test_the_column_of_answers_is_found_and_what_is_not_read_of_it_is_told() -> None:
    spec = DataSpec("sample:none", target="text")
    rows: list[tuple[str | None, ...]] = [(ASKED.replace("bad", f"bad {at}"), f"okay {at}") for at in range(300)]
    told = examine(table(rows, ("messages", "response")), None, spec)
    assert "answered-already" not in names(told)
    told = examine(table([*rows, (ANSWERED, "another")], ("messages", "response")), None, spec)
    finding = found(told, "answered-already")
    assert (finding.rows, finding.examples) == (1, ("row 301: good",))
    assert "'response' is not read" in finding.effect
    odd = (said(("user", "hi"), ("user", "you")), "okay")
    assert found(examine(table([*rows, odd], ("messages", "response")), None, spec), "out-of-order").rows == 1


def test_conversations_with_a_column_of_answers_are_learnt_and_refused_where_none_are_read(studio: Studio, tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    rows = [{"messages": json.loads(ASKED.replace("bad", f"bad {at}")), "response": f"okay {at}"} for at in range(60)]
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    spec = replace(a_spec("instruct", tmp_path), data=DataSpec(f"file:{path}", target="text"))
    found = studio.preview(spec)
    assert found.data is not None
    assert (found.data.text, found.data.label) == ("messages", "response")
    assert found.is_ready, found.problems
    folder = studio.store.folder(studio.start(spec))
    assert work(folder) == 0, (folder / "log.txt").read_text()
    made = studio.account(folder.name)
    assert made is not None
    (sample, *_) = made.samples
    assert sample.prompt.startswith("user: hi\n\nassistant: good\n\nuser: bad")
    assert sample.wanted.startswith("okay")
    refused = studio.preview(replace(spec, task="transform"))
    assert [one.field for one in refused.problems if one.severity == "error"] == ["data.text"]
