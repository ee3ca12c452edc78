"""The tasks that teach a model to write: rows and what of them is learnt, packing, and each of them once from plan to account."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from engine import account
from engine.answers import Answer
from engine.chat import Chat
from engine.data.texts import Texts
from engine.errors import Refused, RunFailed
from engine.spec import DataSpec, RunSpec
from engine.studio import Studio
from engine.tasks import _language, _writing, all_tasks, answer, classify, instruct, transform, write
from engine.tokens import encoded
from engine.trained import open_trained
from tests.engine.test_worker import events, record, work
from tests.tiny import DECODERS, LINES, tiny

WRITERS = [one for one in all_tasks().values() if one.writes]


def tokenizer_of(tmp_path: Path, architecture: str = "qwen2") -> Any:
    return classify.load_tokenizer(tiny(architecture, tmp_path / architecture))


def learnt(tokenizer: Any, row: list[int]) -> str:
    return str(tokenizer.decode([~row[at] for at in _language.learnt(row)]))


def test_of_a_question_the_answer_is_learnt_and_an_end_behind_it(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path)
    knobs = answer.AnswerKnobs(max_length=120)
    (row,) = answer.encode(tokenizer, Texts(["Is it good?"], ["A good film."], ["yes, good"]), knobs)
    assert tokenizer.decode(_language.plain(row)) == "A good film.\n\nQuestion: Is it good?\nAnswer: yes, good<|endoftext|>"
    assert learnt(tokenizer, row) == " yes, good<|endoftext|>"
    (alone,) = answer.encode(tokenizer, Texts(["Is it good?"], [""]), knobs)
    assert tokenizer.decode(alone) == "Question: Is it good?\nAnswer:", "an empty context leaves no blank lines"


SQUAD = json.dumps({"text": ["Bernard of Clairvaux", "St. Bernard", "St. Bernard"], "answer_start": [5, 9, 9]})


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [
        (SQUAD, ["Bernard of Clairvaux", "St. Bernard"]),
        ('["ঢাকা", " Dhaka "]', ["ঢাকা", "Dhaka"]),
        ('[{"text": "1971", "answer_start": 3}, {"text": "in 1971", "answer_start": 0}]', ["1971", "in 1971"]),
        ('{"text": "one", "answer_start": 3}', ["one"]),
        ('{"text": [], "answer_start": []}', [""]),
        ("[]", [""]),
        ("[sic] as it stands", ["[sic] as it stands"]),
        ('{"name": "x"}', ['{"name": "x"}']),
        ("[1, 2]", ["[1, 2]"]),
        ("[" * 100_000, ["[" * 100_000]),
        (" yes ", ["yes"]),
    ],
)
def test_a_cell_may_hold_several_answers_as_squad_has_them(cell: str, wanted: list[str]) -> None:
    assert answer.accepted(cell) == wanted


def test_the_first_answer_is_learnt_and_any_of_them_is_right(tmp_path: Path) -> None:
    tokenizer, knobs = tokenizer_of(tmp_path), answer.AnswerKnobs(max_length=120)
    texts = Texts(["Who?"], [""], [SQUAD])
    (row,) = answer.encode(tokenizer, texts, knobs)
    assert learnt(tokenizer, row) == " Bernard of Clairvaux<|endoftext|>"
    ((_, (said, marked)),) = answer.shown(texts, knobs, Chat(None, {}))
    assert (said, marked) == (" Bernard of Clairvaux", True)
    _, wanted = answer.TASK.writes.prompts(texts)  # type: ignore[union-attr]
    for written, f1, exact in (("the st. bernard", 1.0, 1.0), ("Bernard", 2 / 3, 0.0), ("nobody", 0.0, 0.0)):
        told = {one.id: one.value for one in answer.figures([written], wanted)}
        assert (told["token_f1"], told["exact_match"]) == (pytest.approx(f1), exact), written
    blank = {one.id: one.value for one in answer.figures([""], ['{"text": []}'])}
    assert blank["exact_match"] == blank["token_f1"] == 1.0, "a question without an answer is to be left blank"


def test_of_answers_with_their_way_the_results_are_compared_as_gsm8k_does() -> None:
    wanted = ["3 + 4 = 7 apples\n#### 7", "He has 1000 left.\n#### 1,000"]
    told = {one.id: one for one in answer.figures(["4 and 3 make 7\n#### 7", "He has 1000 left."], wanted)}
    assert told["exact_match"].rows[:, 0].tolist() == [1.0, 0.0], "one without a result has none that is right"
    assert told["token_f1"].value == pytest.approx((1 + 2 / 5) / 2)
    assert "behind ####" in told["exact_match"].note
    assert answer.figures(["#### 7"], ["7"])[1].value == 1.0, "where an answer has none, all of it counts"


def test_of_a_row_that_is_too_long_some_of_both_stays(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path)
    (row,) = transform.encode(tokenizer, Texts(["good " * 200], None, ["bad " * 200]), transform.TransformKnobs(max_length=48))
    assert len(row) <= 48
    assert 0 < len(_language.learnt(row)) < 48
    assert len(row) > len(_language.learnt(row))


def test_every_token_of_a_text_that_is_learnt_itself_counts_but_what_begins_it(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path, "gemma3_text")
    (row,) = write.encode(tokenizer, Texts([LINES[3]], None, [LINES[3]]), write.WriteKnobs(max_length=200))
    assert row[0] == tokenizer.bos_token_id
    assert learnt(tokenizer, row) == LINES[3] + "<eos>"


OPENAI = json.dumps([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "good"}, {"role": "user", "content": "bad?"},
                     {"role": "assistant", "content": "okay"}])  # fmt: skip
SHAREGPT = json.dumps([{"from": "human", "value": "hi"}, {"from": "gpt", "value": "good"}, {"from": "human", "value": "bad?"},
                       {"from": "gpt", "value": "okay"}])  # fmt: skip


@pytest.mark.parametrize("told", [OPENAI, SHAREGPT])
@pytest.mark.parametrize("form", ["chatml", "plain"])
def test_of_a_conversation_every_turn_of_the_assistant_is_learnt_and_nothing_else(told: str, form: str, tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path)
    (row,) = instruct.encode(tokenizer, Texts([told], None, [told]), instruct.InstructKnobs(max_length=400, chat_template=form))
    ends = {"chatml": "<|im_end|>\n", "plain": "<|endoftext|>\n\n"}[form]
    assert learnt(tokenizer, row) == f"good{ends}okay{ends}"
    (asked,) = instruct.encode(tokenizer, Texts([told]), instruct.InstructKnobs(max_length=400, chat_template=form))
    begins = {"chatml": "<|im_start|>assistant\n", "plain": "### Response:\n"}[form]
    assert tokenizer.decode(asked).endswith(begins)
    assert "okay" not in tokenizer.decode(asked)


def test_a_model_s_own_template_is_taken_and_what_it_refuses_is_told(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path)
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
        "<{{ m['role'] }}>{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    (row,) = instruct.encode(tokenizer, Texts(["hi"], [""], ["good"]), instruct.InstructKnobs(max_length=100))
    assert tokenizer.decode(_language.plain(row)) == "<user>hi<assistant>good"
    with pytest.raises(RunFailed, match=r"does not take this conversation .system → user"):
        instruct.encode(tokenizer, Texts(["hi"], [""], ["good"]), instruct.InstructKnobs(max_length=100, system_prompt="Be brief."))


def test_of_a_long_conversation_the_newest_question_is_asked_whole(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path)
    said = (("user", "hi"), ("assistant", "good " * 200), ("user", "and now?"), ("assistant", "okay"))
    told = json.dumps([{"role": role, "content": text} for role, text in said])
    (asked,) = instruct.encode(tokenizer, Texts([told]), instruct.InstructKnobs(max_length=80, chat_template="chatml"))
    assert len(asked) <= 80
    assert tokenizer.decode(asked).endswith("and now?<|im_end|>\n<|im_start|>assistant\n")


def test_a_template_that_rewrites_earlier_answers_teaches_the_last_one_behind_what_will_be_read(tmp_path: Path) -> None:
    """As Qwen3's: only the last answer keeps its thoughts."""
    tokenizer = tokenizer_of(tmp_path)
    tokenizer.chat_template = (
        "{% for m in messages %}<{{ m['role'] }}>{% if m['role'] == 'assistant' and loop.last %}(thought){% endif %}{{ m['content'] }}"
        "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    (row,) = instruct.encode(tokenizer, Texts([OPENAI], None, [OPENAI]), instruct.InstructKnobs(max_length=200))
    assert tokenizer.decode(_language.plain(row)) == "<user>hi<assistant>good<user>bad?<assistant>(thought)okay"
    assert learnt(tokenizer, row) == "(thought)okay"
    shown = instruct.shown(Texts([OPENAI], None, [OPENAI]), instruct.InstructKnobs(), Chat(tokenizer.chat_template, {}))
    assert "".join(words for words, _ in shown[0]) == tokenizer.decode(_language.plain(row))


def said(*turns: tuple[str, str]) -> str:
    return json.dumps([{"role": role, "content": text} for role, text in turns])


@pytest.mark.parametrize("form", ["chatml", "plain", "own"])
def test_a_greeting_that_opens_a_conversation_is_read_and_not_learnt(form: str, tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path)
    told = said(("assistant", "welcome"), ("user", "hi"), ("assistant", "good"))
    knobs = instruct.InstructKnobs(max_length=400, chat_template=form)
    (row,) = instruct.encode(tokenizer, Texts([told], None, [told]), knobs)
    assert "welcome" in tokenizer.decode(_language.plain(row))
    assert learnt(tokenizer, row).startswith("good")
    (shown,) = instruct.shown(Texts([told], None, [told]), knobs, Chat(None, {}))
    assert [words.startswith("good") for words, marked in shown if marked] == [True]
    alone = said(("assistant", "welcome"))
    with pytest.raises(RunFailed, match="does not take this conversation"):
        instruct.encode(tokenizer, Texts([alone]), knobs)


def test_a_turn_may_be_told_in_parts(tmp_path: Path) -> None:
    told = json.dumps([{"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "text", "text": "you"}]},
                       {"role": "assistant", "content": [{"type": "text", "text": "good"}]}])  # fmt: skip
    tokenizer = tokenizer_of(tmp_path)
    (row,) = instruct.encode(tokenizer, Texts([told], None, [told]), instruct.InstructKnobs(max_length=200, chat_template="plain"))
    assert tokenizer.decode(_language.plain(row)).startswith("### Instruction:\nhi\nyou\n\n### Response:\ngood")


def test_rows_are_encoded_anew_where_the_chat_template_has_changed(tmp_path: Path) -> None:
    folder = tiny("qwen2", tmp_path / "qwen2")
    found = []
    for template in (
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}",
        "{% for m in messages %}{{ m.content }}{% endfor %}",
    ):
        (folder / "chat_template.jinja").write_text(template)
        knobs = instruct.InstructKnobs(max_length=100)
        (row,) = encoded(instruct.TASK, classify.load_tokenizer(folder), Texts(["hi"], [""], ["good"]), knobs, model_folder=folder,
                         cache=tmp_path, said=lambda done: None)  # fmt: skip
        found.append(row)
    assert found[0] != found[1]


def test_a_tokenizer_without_any_token_to_fill_rows_with_is_told(tmp_path: Path) -> None:
    folder = tiny("llama", tmp_path / "llama")
    assert classify.load_tokenizer(folder).pad_token == "</s>", "where there is an end it fills"
    bare = classify.load_tokenizer(folder)
    bare.pad_token = bare.eos_token = bare.unk_token = None
    bare.save_pretrained(folder)
    with pytest.raises(Refused, match="pad_token"):
        classify.load_tokenizer(folder)


def test_a_batch_from_which_nothing_is_learnt_costs_nothing(tmp_path: Path) -> None:
    folder = tiny("qwen2", tmp_path / "qwen2")
    tokenizer, model = classify.load_tokenizer(folder), _language.load_model(folder, ())
    for packed in (True, False):
        assert _writing.learn(model, tokenizer, [[5, 6, 7]], [0], most=40, packed=packed).item() == 0


def test_a_text_is_written_on_from_its_half_with_all_its_blanks(tmp_path: Path) -> None:
    asked, wanted = write.prompts(Texts(["one two\nthree  four", "x" * 10]))
    assert [first + rest for first, rest in zip(asked.first, wanted, strict=True)] == ["one two\nthree  four", "x" * 10]
    assert asked.first[0] == "one two"
    assert all(wanted)


@pytest.mark.parametrize("architecture", DECODERS)
def test_packed_rows_teach_what_each_row_alone_does(architecture: str, tmp_path: Path) -> None:
    """Losses and gradients, against rows that are computed one by one with the mask written out by hand."""
    folder = tiny(architecture, tmp_path / architecture)
    tokenizer, model = classify.load_tokenizer(folder), _language.load_model(folder, ())
    rows = transform.encode(tokenizer, Texts(LINES[:5], None, LINES[3:8]), transform.TransformKnobs(max_length=160))
    total, count = torch.zeros(()), 0
    for row in rows:
        logits = model(input_ids=torch.tensor([_language.plain(row)])).logits[0].float()
        for place in _language.learnt(row):
            total = total - torch.log_softmax(logits[place - 1], dim=-1)[~row[place]]
            count += 1
    (total / count).backward()
    wanted = {name: part.grad.clone() for name, part in model.named_parameters() if part.grad is not None}
    for packed in (True, False):
        model.zero_grad()
        loss = _writing.learn(model, tokenizer, rows, [0] * 5, most=400, packed=packed)
        loss.backward()
        assert loss.item() == pytest.approx((total / count).item(), rel=1e-5)
        for name, part in model.named_parameters():
            assert part.grad is not None
            assert torch.allclose(part.grad, wanted[name], atol=2e-5), (name, packed)


def test_a_run_ends_at_the_same_loss_whether_its_rows_are_packed_or_not(tmp_path: Path) -> None:
    folder = tiny("qwen2", tmp_path / "qwen2")
    tokenizer = classify.load_tokenizer(folder)
    rows = transform.encode(tokenizer, Texts(LINES, None, LINES[::-1]), transform.TransformKnobs(max_length=160))
    ends = []
    for packed in (True, False):
        model = _language.load_model(folder, ())
        optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
        for step in range(40):
            loss = _writing.learn(model, tokenizer, rows[step % 2 * 4 :][:4], [0] * 4, most=400, packed=packed)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        ends.append(_writing.learn(model, tokenizer, rows, [0] * 8, most=400).item())
    assert ends[0] == pytest.approx(ends[1], rel=0.02)
    assert ends[0] < 4.5, "it has learnt"


def test_rows_are_packed_into_few_lines_and_none_is_too_long() -> None:
    lengths = [30, 70, 20, 50, 40, 90, 10]
    lines = _writing.packs(lengths, 100)
    assert sorted(at for line in lines for at in line) == list(range(7))
    assert all(sum(lengths[at] for at in line) <= 100 for line in lines)
    assert len(lines) == 4, "310 tokens need four lines of 100"


# Each of them once, from plan to account


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    one = Studio(tmp_path / "home", worker=(sys.executable, "-c", "raise SystemExit"))
    one._supervisor.close()
    yield one
    one.close()


def rows_of(task: str, path: Path) -> Path:
    """Sixty rows to learn, Bengali among them."""
    pairs = [(f"{LINES[at % 8]} {at}", LINES[(at + 1) % 8]) for at in range(60)]
    told = {
        "write": [{"text": first} for first, _ in pairs],
        "instruct": [{"instruction": first, "input": "", "output": second} for first, second in pairs],
        "answer": [  # of every other row several are accepted
            {
                "question": first,
                "context": second,
                "answer": {"text": [second[:12], second], "answer_start": [0, 0]} if at % 2 else second[:12],
            }
            for at, (first, second) in enumerate(pairs)
        ],
        "transform": [{"source": first, "target": second} for first, second in pairs],
    }[task]
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in told), "utf-8")
    return path


def a_spec(task: str, tmp_path: Path, **changed: Any) -> RunSpec:
    data = DataSpec(f"file:{rows_of(task, tmp_path / f'{task}.jsonl')}", target=all_tasks()[task].target)
    settings = {"epochs": 2, "batch_size": 8, "accumulation": 1, "evaluate_every": 6, "max_length": 96, "precision": "fp32", "patience": 0,
                "written_rows": 4, "max_new_tokens": 6}  # fmt: skip
    spec = RunSpec(data, str(tiny("qwen2", tmp_path / "tiny-qwen")), task=task, preset=None, settings=settings)  # type: ignore[arg-type]
    return replace(spec, **changed)


@pytest.mark.parametrize("task", [one.id for one in WRITERS])
def test_a_task_that_writes_goes_from_its_plan_to_an_account(task: str, studio: Studio, tmp_path: Path) -> None:
    folder = studio.store.folder(studio.start(a_spec(task, tmp_path)))
    assert work(folder) == 0, (folder / "log.txt").read_text()
    done = record(folder)
    assert done.state == "finished"
    assert {one.split for one in done.evaluations} == {"validation", "test"}
    assert all({"loss", "perplexity"} == set(one.metrics) for one in done.evaluations)
    assert done.steps[-1].loss < done.steps[0].loss
    told = account.from_json((folder / account.FILE).read_text("utf-8"))
    assert told.task == task
    assert told.rows == studio.plan(folder.name).rows["test"]
    assert told.written == 4
    assert {"perplexity_token", "perplexity_word"} < {one.id for one in told.figures}
    assert all(one.before is not None and one.p_value is not None for one in told.figures)
    lines = [json.loads(line) for line in (folder / account.TEXTS).read_text("utf-8").splitlines()]
    assert [one["number"] for one in lines] == [one.number for one in told.samples]
    rows = studio.explorer.rows(folder.name, ["mistakes"])
    assert len(rows) == 4
    scores = [one.score.value for one in rows if isinstance(one, Answer) and one.score is not None]
    assert scores == sorted(scores, reverse=task == "write")
    assert task != "answer" or any(" / " in one["wanted"] and "{" not in one["wanted"] for one in lines)
    opened = open_trained(folder / "model", home=studio.home)
    assert opened.classes == ("all rows",)
    assert any(one.metrics for one in done.evaluations)
    assert events(folder)


@pytest.mark.parametrize("method", ["full", "prefix"])
def test_an_instruction_is_learnt_with_other_methods_too(method: str, studio: Studio, tmp_path: Path) -> None:
    folder = studio.store.folder(studio.start(a_spec("instruct", tmp_path, method=method)))
    assert work(folder) == 0, (folder / "log.txt").read_text()
    assert account.from_json((folder / account.FILE).read_text("utf-8")).written == 4


def test_columns_are_guessed_by_what_they_are_called_and_hold(studio: Studio, tmp_path: Path) -> None:
    for task, wanted in {"instruct": ("instruction", "output", ""), "answer": ("question", "answer", "context"),
                         "transform": ("source", "target", ""), "write": ("text", "text", "")}.items():  # fmt: skip
        found = studio.preview(a_spec(task, tmp_path))
        assert found.data is not None
        assert (found.data.text, found.data.label, found.data.second) == wanted
        assert not [one for one in found.problems if one.severity == "error"], found.problems


@pytest.mark.parametrize(
    ("task", "name", "wanted"),
    [
        ("instruct", "instructions_alpaca_en_demo", ("instruction", "output", "input")),
        ("transform", "multi30k_en_fr_val", ("source", "target", "")),
        ("answer", "gsm8k_test", ("question", "answer", "")),
    ],
)
def test_real_rows_are_read_by_their_tasks(
    task: str, name: str, wanted: tuple[str, str, str], studio: Studio, tmp_path: Path, shared_data: Path
) -> None:
    spec = a_spec(task, tmp_path)
    found = studio.preview(replace(spec, data=replace(spec.data, source=f"file:{shared_data / 'other' / name}.jsonl")))
    assert found.data is not None
    assert (found.data.text, found.data.label, found.data.second) == wanted
    assert found.data.usable >= 0.98 * found.data.rows
    assert not [one for one in found.problems if one.severity == "error"], found.problems
    shown = studio.rows_shown(spec, found)
    assert shown is not None
    assert (len(shown.rows), shown.problem) == (3, None)


def conversations(path: Path, count: int = 40, length: int = 1) -> DataSpec:
    rows = [[{"role": "user", "content": f"question {at} " * length}, {"role": "assistant", "content": f"answer {at} " * length}]
            for at in range(count)]  # fmt: skip
    path.write_text("".join(json.dumps({"messages": row}) + "\n" for row in rows))
    return DataSpec(f"file:{path}", target="text")


def test_long_conversations_are_shown_as_conversations(studio: Studio, tmp_path: Path) -> None:
    spec = replace(a_spec("instruct", tmp_path), data=conversations(tmp_path / "long.jsonl", length=200))
    shown = studio.rows_shown(spec, studio.preview(spec))
    assert shown is not None
    ((asked, _), (answered, learnt)) = shown.rows[0]
    assert "question 0" in asked
    assert "{" not in asked + answered
    assert learnt
    assert answered.startswith("answer 0")


def test_rows_are_shown_as_they_are_cleaned_for_the_model(studio: Studio, tmp_path: Path) -> None:
    path = tmp_path / "reviews.jsonl"
    path.write_text("".join(json.dumps({"source": f"good<br />film {at}", "target": f"bad<br />film {at}"}) + "\n" for at in range(40)))
    spec = replace(a_spec("transform", tmp_path), data=DataSpec(f"file:{path}", target="text"))
    for cleans, wanted in ((True, "good film 0"), (False, "good<br />film 0")):
        asked = replace(spec, settings={**spec.settings, "clean_html": cleans})
        shown = studio.rows_shown(asked, studio.preview(asked))
        assert shown is not None
        ((read, _), (written, _)) = shown.rows[0]
        assert wanted in read
        assert ("<br />" in written) != cleans


def test_conversations_are_refused_by_a_task_that_reads_none(studio: Studio, tmp_path: Path) -> None:
    spec = replace(a_spec("transform", tmp_path), data=conversations(tmp_path / "talk.jsonl"))
    (problem,) = (one for one in studio.preview(spec).problems if one.field == "data.text")
    assert (problem.severity, "Follow instructions" in problem.fix) == ("error", True)
    assert not [one for one in studio.preview(replace(spec, task="instruct")).problems if one.field == "data.text"]


def test_a_place_that_no_column_fills_is_told(studio: Studio, tmp_path: Path) -> None:
    spec = a_spec("transform", tmp_path)
    asked = replace(spec, settings={**spec.settings, "template": "{context} {text} ->"})
    (problem,) = (one for one in studio.preview(asked).problems if one.field == "settings.template")
    assert (problem.severity, "{context}" in problem.message) == ("warning", True)
    assert not [one for one in studio.preview(spec).problems if one.field == "settings.template"]


def test_a_spec_whose_data_was_meant_for_another_task_is_told(studio: Studio, tmp_path: Path) -> None:
    spec = a_spec("instruct", tmp_path)
    with pytest.raises(Refused, match="for this task it is 'text'"):
        studio.start(replace(spec, data=replace(spec.data, target="class", label="input")))


def test_words_are_counted_of_what_was_scored_and_not_of_an_answer_that_was_cut(studio: Studio, tmp_path: Path) -> None:
    spec = a_spec("transform", tmp_path)
    folder = studio.store.folder(
        studio.start(replace(spec, settings={**spec.settings, "max_length": 48, "max_steps": 2, "written_rows": 0}))
    )
    assert work(folder) == 0, (folder / "log.txt").read_text()
    told = {one.id: one.value.value for one in account.from_json((folder / account.FILE).read_text("utf-8")).figures}
    assert told["perplexity_word"] > told["perplexity_token"], "a word is several of this tokenizer's pieces"
