"""The sheet Write, asked without a browser: a toy writes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest

from engine.conversation import Said, Turn
from engine.playground import Asked, Playground, Text
from engine.studio import Studio
from tests.engine.test_playground import reached, toy
from tests.engine.test_supervisor import until
from tests.ui import homes
from tests.writing import writer, writing_run
from ui import written
from ui.tabs import try_, write, write_events
from ui.tabs.write import EXAMPLES, KNOBS, Session
from ui.written import Exchange

PLAIN = ("", None, "automatic", None, *(None for _ in KNOBS))  # no system prompt, context and stop words, every setting at its default


@pytest.fixture
def studio(home: Path) -> Iterator[Studio]:
    made = Studio(home, dispatch=False)
    made.playground = Playground(home, lambda: dict(os.environ), command=toy)
    yield made
    made.close()


@pytest.fixture
def base(tmp_path: Path) -> str:
    return str(writer("qwen2", tmp_path / "base"))


def finished(studio: Studio, session: Session) -> list[object]:
    """What the page shows when the texts are there."""
    shown: list[object] = []

    def look() -> bool:
        shown[:] = write_events.on_tick(studio, session)
        return not session.ticket

    until(look)
    return shown


def test_two_columns_are_filled_by_ticks_and_then_looked_at_slowly(studio: Studio, base: str) -> None:
    session = Session()
    note, left, right, timer, go, stop = write_events.on_write(studio, session, "", base, base, EXAMPLES[0], *PLAIN)
    assert note == ""
    assert "Waiting for its turn" in left
    assert EXAMPLES[0] in right
    assert (timer["active"], go["interactive"], stop["interactive"]) == (True, False, True)
    *_, timer, go, stop = finished(studio, session)
    for side in write.SIDES:
        drawn = session.drawn[side]
        assert "5.0\u00a0tokens a second" in drawn
        assert "of memory held" in drawn
    assert (timer["value"], go["interactive"], stop["interactive"]) == (write.SLOW_SECONDS, True, False)
    again = write_events.on_tick(studio, session)
    assert again[1:3] == [gr.skip(), gr.skip()], "what did not change is not sent again"


def test_settings_reach_the_process_in_their_own_fields_and_slips_are_told(
    studio: Studio, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(studio, "write", lambda said, decoding, **told: asked.append((said, decoding, told)) or studio_ticket(studio))
    typed = {"temperature": "0", "max_new_tokens": "40", "top_p": "0.5", "seed": "7"}
    values = [typed.get(knob.name, "") for knob in KNOBS]
    write_events.on_write(studio, Session(), "hf_x", "", base, "a", "Be kind.", "Dhaka", "chat", "###\n\\n\\n", *values)
    ((said, decoding, told),) = asked
    assert [writer for writer, _ in said] == [base]
    assert (decoding.temperature, decoding.max_new_tokens, decoding.top_p, decoding.seed) == (0.0, 40, 0.5, 7)
    assert said[0][1] == Said((Turn("user", "a"),), "Be kind.", "Dhaka", "chat")
    assert told == {"stops": ["###", "\n\n"], "token": "hf_x"}
    note = write_events.on_write(studio, Session(), "", None, "", "a", "", "", "automatic", "", "hot", *values[1:])[0]
    assert "Temperature is" in note
    assert "No model is chosen" in note


def studio_ticket(studio: Studio) -> str:
    return studio.playground.begin([Asked(None, "m", said=Said((Turn("user", "a"),)))])


def test_the_same_prompt_again_replaces_its_text_and_another_model_begins_anew(studio: Studio, base: str, tmp_path: Path) -> None:
    session = Session()
    for prompt in ("one", "two", "two"):
        write_events.on_write(studio, session, "", base, None, prompt, *PLAIN)
        finished(studio, session)
    assert [one.prompt for one in session.exchanges["left"]] == ["one", "two"]
    assert session.exchanges["right"] == []
    other = str(writer("llama", tmp_path / "other"))
    write_events.on_write(studio, session, "", other, None, "three", *PLAIN)
    finished(studio, session)
    assert [one.prompt for one in session.exchanges["left"]] == ["three"]
    assert write_events.on_clear(studio, session)[-1] == ""
    assert session.exchanges == {"left": [], "right": []}


def test_a_chat_goes_on_from_what_was_said_and_a_text_does_not() -> None:
    done = Text("done", text="Fine.", form="chat")
    assert [one.text for one in Exchange("How?", done).turns] == ["How?", "Fine."]
    assert Exchange("How?", replace(done, form="text")).turns == ()
    assert Exchange("How?", replace(done, text="")).turns == ()


def test_a_refused_prompt_and_a_failed_text_are_told_in_words(studio: Studio, base: str) -> None:
    session = Session()
    assert "no prompt yet" in write_events.on_write(studio, session, "", base, None, " ", *PLAIN)[0]
    assert session.exchanges["left"] == []
    write_events.on_write(studio, session, "", base, None, "!refuse", *PLAIN)
    finished(studio, session)
    assert "It is too large." in session.drawn["left"]


def test_a_text_that_is_stopped_while_it_is_looked_at_is_told_to_its_end(
    studio: Studio, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    session, look = Session(), studio.playground.look
    write_events.on_write(studio, session, "", base, None, f"!endless {tmp_path / 'pipe'}", *PLAIN)
    reached(tmp_path / "pipe")
    until(lambda: look(session.ticket)[0].text == "on and")

    def overtaken(ticket: str) -> tuple[Text, ...]:
        """What was there before Stop was pressed, told after all that followed."""
        monkeypatch.setattr(studio.playground, "look", look)
        before = look(ticket)
        write_events.on_stop(studio, session)
        until(lambda: look(ticket)[0].state == "stopped")
        write_events.on_stop(studio, session)  # pressed twice
        return before

    write_events.on_tick(studio, session)
    monkeypatch.setattr(studio.playground, "look", overtaken)
    write_events.on_tick(studio, session)
    finished(studio, session)
    assert "half" in session.drawn["left"]
    assert "stopped" in session.drawn["left"]


def test_a_run_that_takes_the_memory_is_told_on_the_page(studio: Studio, base: str) -> None:
    session = Session()
    write_events.on_write(studio, session, "", base, None, "a", *PLAIN)
    finished(studio, session)
    studio.playground.give_way()
    note, *_, timer, _, _ = write_events.on_tick(studio, session)
    assert "A training run began" in note
    assert timer["active"] is False


def test_the_address_s_run_stands_beside_its_untuned_base(studio: Studio, base: str) -> None:
    homes.finished(studio.home, 1e9)  # one that sorts texts
    left, right = write_events.on_open(studio, "", None, None)
    assert left["value"].startswith("model:")
    assert right["value"] == ""
    run_id = writing_run(studio.home, base)
    assert not write_events.opens(studio, run_id), "its labels are told on the other sheet"
    assert not write_events.opens(studio, "")
    for left, right in (write_events.on_open(studio, run_id, "x", "y"), write_events.on_open(studio, "", None, None)):
        assert (left["value"], right["value"]) == (base, f"run:{run_id}")
    told = writing_run(studio.home, base, task="write")
    assert write_events.opens(studio, told)
    assert {one for _, one in try_.on_open(studio, told, None)[0]["choices"]} == set(studio.store.ids()) - {told}
    kept = write_events.on_open(studio, "", "model:mine", "")
    assert [one["value"] for one in kept] == ["mine", ""]


def test_what_models_write_is_shown_as_text_alone() -> None:
    text = Text("writing", text="<b>bold</b>\nline", form="text", tokens=3, seconds=1.0)
    drawn = written.column([Exchange("<script>", text)])
    assert "<script>" not in drawn
    assert "&lt;b&gt;bold&lt;/b&gt;<br>line" in drawn
