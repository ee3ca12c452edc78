"""The playground's two processes: with a toy on the other side that hangs, breaks off and is killed; and the real one with tiny models."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from engine.conversation import Said, Turn
from engine.decoding import Decoding
from engine.errors import Problem, Refused
from engine.generation import generate
from engine.playground import Asked, Playground, Text
from engine.store import Store
from engine.studio import Studio
from engine.tasks.classify import load_tokenizer
from tests.engine.test_supervisor import TOY as WORKER
from tests.engine.test_supervisor import until
from tests.tiny import tiny
from tests.writing import writer, writing_run

SHORT = Decoding(temperature=0.0, max_new_tokens=12)

# Stands for playing.py; answers what the prompt says.
TOY = """
import json, os, select, signal, sys
def tell(**told):
    print(json.dumps(told), flush=True)
stopped = False
for line in sys.stdin:
    asked = json.loads(line)
    if "stop" in asked:
        tell(id=asked["stop"], text="half", tokens=2, seconds=1.0, ended="budget", bytes=5)
        continue
    number, said = asked["write"], asked["said"]["turns"][-1]["text"]
    command, _, rest = said.partition(" ")
    if command == "!exit":
        print(rest, file=sys.stderr, flush=True)
        os._exit(3)
    if command == "!kill":
        os.kill(os.getpid(), signal.SIGKILL)
    tell(id=number, message="Downloading", done=1, total=4)
    if command == "!hang":
        open(rest, "w").close()  # waits until the test has opened the other end
        signal.pause()
    if command == "!refuse":
        tell(id=number, problems=[{"field": "model", "message": "It is too large.", "fix": "Take a smaller one."}])
        continue
    tell(id=number, form="text", how="loaded", ready_seconds=0.5, prompt_tokens=3, bytes=7)
    if command == "!leave":
        while True:  # a word whenever there is time, until it is told to stop
            tell(id=number, text="on and", tokens=2, seconds=1.0)
            if select.select([sys.stdin], [], [], 0.02)[0]:
                break
        continue
    if command == "!endless":
        tell(id=number, text="on and", tokens=2, seconds=1.0)
        open(rest, "w").close()
        continue
    told = [asked["token"], os.environ.get("HF_TOKEN"), os.getpid(), len(asked["beside"]), said]
    tell(id=number, text=json.dumps(told), tokens=10, seconds=2.0, ended="end", bytes=9)
"""


def toy(home: Path) -> list[str]:
    return [sys.executable, "-c", TOY]


@pytest.fixture
def playground(home: Path) -> Iterator[Playground]:
    made = Playground(home, lambda: dict(os.environ), command=toy)
    yield made
    made.close()


def saying(*texts: str) -> list[Asked]:
    return [Asked(None, "a model", said=Said((Turn("user", text),))) for text in texts]


def over(playground: Playground, ticket: str) -> tuple[Text, ...]:
    until(lambda: all(one.is_over for one in playground.look(ticket)), seconds=60)
    return playground.look(ticket)


def reached(path: Path) -> None:
    path.read_bytes()  # a pipe: returns once the toy is there


def test_texts_of_one_ticket_are_written_by_one_process_one_after_the_other(playground: Playground) -> None:
    first, second = over(playground, playground.begin(saying("left", "right")))
    assert (first.state, first.tokens_per_second, first.how, first.ended) == ("done", 5.0, "loaded", "end")
    assert first.text.endswith('1, "left"]')
    assert first.text.split(", ")[2] == second.text.split(", ")[2] == str(playground.processes()[0])


def test_the_token_goes_to_the_process_with_the_text_alone(playground: Playground) -> None:
    (asked,) = saying("a")
    (told,) = over(playground, playground.begin([Asked(None, "m", said=asked.said, token="hf_mine")]))
    assert told.text.startswith('["hf_mine", null')


def test_how_far_it_is_can_be_looked_at_and_stop_ends_both_texts(playground: Playground, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    ticket = playground.begin(saying(f"!endless {tmp_path / 'pipe'}", "right"))
    reached(tmp_path / "pipe")
    until(lambda: playground.look(ticket)[0].state == "writing")
    until(lambda: playground.look(ticket)[0].text == "on and")
    process = playground.processes()
    playground.stop(ticket)
    left, right = over(playground, ticket)
    assert (left.state, left.text, right.state) == ("stopped", "half", "stopped")
    assert playground.processes() == process, "the model stays"


def test_texts_that_nobody_looks_at_any_more_are_stopped(home: Path) -> None:
    now = [0.0]
    playground = Playground(home, lambda: dict(os.environ), command=toy, clock=lambda: now[0])
    ticket = playground.begin(saying("!leave", "right"))
    until(lambda: playground.processes())
    now[0] = 500.0
    until(lambda: playground._tickets[ticket].texts[1].is_over)
    assert [one.state for one in playground.look(ticket)] == ["stopped", "stopped"]
    playground.close()


def test_stop_gives_up_a_model_that_is_not_ready_yet(playground: Playground, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    ticket = playground.begin(saying(f"!hang {tmp_path / 'pipe'}"))
    reached(tmp_path / "pipe")
    until(lambda: playground.look(ticket)[0].message == "Downloading: 25 %")
    playground.stop(ticket)
    assert over(playground, ticket)[0].state == "stopped"
    assert playground.processes() == []
    assert over(playground, playground.begin(saying("again")))[0].state == "done"


def test_a_run_that_begins_takes_the_memory_back_and_it_is_said(playground: Playground, tmp_path: Path) -> None:
    assert over(playground, playground.begin(saying("a")))[0].state == "done"
    process = psutil.Process(playground.processes()[0])
    playground.give_way()
    assert not process.is_running()
    assert playground.notice is not None
    assert "training run began" in playground.notice.message
    os.mkfifo(tmp_path / "pipe")
    ticket = playground.begin(saying(f"!endless {tmp_path / 'pipe'}", "right"))
    reached(tmp_path / "pipe")
    assert playground.notice is None, "a model is loaded again"
    playground.give_way("A run's fit is checked")
    left, right = over(playground, ticket)
    assert left.problems[0].message.startswith("A run's fit is checked")
    assert right.state == "stopped"
    assert playground.processes() == []


def test_problems_and_ends_are_told_in_words_and_the_next_text_is_written(playground: Playground) -> None:
    for prompt, words in (("!refuse", "too large"), ("!kill", "want of memory"), ("!exit no hf_abcdefghij", r"code 3\)\. no ••••")):
        (text,) = over(playground, playground.begin(saying(prompt)))
        assert text.state == "failed"
        with pytest.raises(Refused, match=words):
            raise Refused(*text.problems)
    assert over(playground, playground.begin(saying("a")))[0].state == "done"


def test_a_process_that_is_silent_is_given_up(home: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    playground = Playground(home, lambda: dict(os.environ), command=toy, silent_seconds=0.3)
    ticket = playground.begin(saying(f"!hang {tmp_path / 'pipe'}"))
    reached(tmp_path / "pipe")
    (text,) = over(playground, ticket)
    assert "silent" in text.problems[0].message
    playground.close()


def test_a_process_that_ended_being_idle_just_as_it_was_asked_is_started_again(home: Path) -> None:
    commands = iter([[sys.executable, "-c", "import sys; sys.stdin.readline()"], toy(home)])
    playground = Playground(home, lambda: dict(os.environ), command=lambda _: next(commands))
    assert over(playground, playground.begin(saying("a")))[0].state == "done"
    playground.close()


def test_nothing_to_go_on_from_and_a_line_that_is_long_are_refused(playground: Playground, tmp_path: Path) -> None:
    for asked, words in (([], "No model"), (saying(" "), "no prompt"), (saying("x" * 200_001), "200,001 characters")):
        with pytest.raises(Refused, match=words):
            playground.begin(asked)
    os.mkfifo(tmp_path / "pipe")
    first = playground.begin(saying(f"!hang {tmp_path / 'pipe'}"))
    reached(tmp_path / "pipe")
    rest = [playground.begin(saying("a")) for _ in range(7)]
    with pytest.raises(Refused, match="Others wait"):
        playground.begin(saying("a"))
    for one in (*rest, first):
        playground.stop(one)
    assert {over(playground, one)[0].state for one in rest} == {"stopped"}
    with pytest.raises(Refused, match="not kept"):
        playground.look("nothing")


# The real process


@pytest.fixture
def studio(home: Path) -> Iterator[Studio]:
    made = Studio(home, dispatch=False)
    yield made
    made.close()


def greedily(base: Path, adapter: Path | None, prompt: str) -> str:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    tokenizer = load_tokenizer(base)
    whole = PeftModel.from_pretrained(model, str(adapter)) if adapter else model
    (one,) = generate(whole, tokenizer, [tokenizer(prompt)["input_ids"]], SHORT).texts
    assert one is not None
    return one.text


def test_a_run_beside_its_untuned_base_writes_what_each_alone_writes(studio: Studio, tmp_path: Path) -> None:
    base = writer("qwen2", tmp_path / "base")
    run_id = writing_run(studio.home, base)
    said = Said((Turn("user", "The plot"),))
    ticket = studio.write([(f"model:{base}", said), (f"run:{run_id}", said)], SHORT)
    untuned, tuned = over(studio.playground, ticket)
    assert (untuned.form, tuned.form) == ("taught", "taught"), "both are asked the same, so that they compare"
    assert (untuned.problems, tuned.problems) == ((), ())
    assert untuned.text == greedily(base, None, "Review: The plot")
    assert tuned.text == greedily(base, Store(studio.home).folder(run_id) / "model", "Review: The plot")
    assert (untuned.how, tuned.how) == ("loaded", "added")
    assert tuned.ready_seconds < untuned.ready_seconds
    assert tuned.bytes > 10_000_000
    assert tuned.prompt_tokens == len(load_tokenizer(base)("Review: The plot")["input_ids"])
    drawn = Decoding(temperature=1.5, top_p=1.0, max_new_tokens=12, seed=4)
    again = [over(studio.playground, studio.write([(f"run:{run_id}", said)], drawn))[0].text for _ in range(2)]
    assert again[0] == again[1] != tuned.text


def test_a_chat_goes_on_from_its_history_and_a_long_one_is_told(studio: Studio, tmp_path: Path) -> None:
    base = writer("llama", tmp_path / "base", chat=True, max_position_embeddings=64)
    said = Said((Turn("user", "a"), Turn("assistant", "b"), Turn("user", "c")), "Be kind.")
    (text,) = over(studio.playground, studio.write([(str(base), said)], SHORT))
    assert text.form == "chat"
    assert text.prompt_tokens == len(
        load_tokenizer(base)("[system] Be kind.</s>[user] a</s>[assistant] b</s>[user] c</s>[assistant] ", add_special_tokens=False)[
            "input_ids"
        ]
    )
    long = replace(said, turns=(*said.turns, Turn("user", "A good film. " * 40)))
    (text,) = over(studio.playground, studio.write([(str(base), long)], SHORT))
    assert "the model reads 64" in text.problems[0].message
    assert text.state == "failed"


def test_what_cannot_write_is_refused_before_a_process_starts(studio: Studio, tmp_path: Path) -> None:
    said = Said((Turn("user", "a"),))
    with pytest.raises(Refused, match="no language-modelling head"):
        studio.write([(str(tiny("bert", tmp_path / "bert")), said)], SHORT)
    with pytest.raises(Refused, match="no run"):
        studio.write([("run:nothing-there", said)], SHORT)
    with pytest.raises(Refused, match="No model is chosen"):
        studio.write([("", said)], SHORT)
    assert studio.playground.processes() == []


def test_writers_are_the_runs_that_write_and_then_the_catalogue_s_models(studio: Studio, tmp_path: Path) -> None:
    from tests.finished import finished_run

    run_id = writing_run(studio.home, writer("qwen2", tmp_path / "base"))
    finished_run(studio.home, str(tmp_path / "base"))  # one that sorts texts
    listed = studio.writers()
    assert [one.id for one in listed if one.kind == "run"] == [f"run:{run_id}"]
    assert listed[0].base == str(tmp_path / "base")
    assert {"model:Qwen/Qwen1.5-0.5B", "model:HuggingFaceTB/SmolLM2-135M"} <= {one.id for one in listed}
    assert all("BERT" not in one.name for one in listed)


def test_the_models_are_put_away_before_a_worker_starts_and_count_as_free_before(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    studio = Studio(home, worker=WORKER)
    studio.playground._command = toy
    try:
        over(studio.playground, studio.playground.begin(saying("a")))
        assert studio._held().ram_bytes > 1_000_000
        run_id = studio._supervisor.submit(json.dumps({"name": "start end"}), "{}", "toy")
        until(lambda: studio.record(run_id).started is not None)
        assert studio.playground.processes() == []
        assert studio.playground.notice is not None
    finally:
        studio.close()


def test_the_process_ends_with_the_page_that_asked_it(home: Path) -> None:
    playground = Playground(home, lambda: dict(os.environ))
    ticket = playground.begin([Asked(None, "no such model", said=Said((Turn("user", "a"),)))])
    (text,) = over(playground, ticket)
    assert isinstance(text.problems[0], Problem)
    (process,) = map(psutil.Process, playground.processes())
    assert playground._process is not None
    playground._process._stdin.close()
    process.wait(timeout=20)
    playground.close()
