"""What happens on the sheet Write: texts are asked for with one press and looked at by a timer, so no viewer waits for another's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import gradio as gr

from engine.conversation import Said, Way
from engine.decoding import Decoding
from engine.errors import Problem, Refused
from engine.knobs import Value, read
from engine.playground import Text
from engine.writers import MODEL, RUN, Writer
from ui import words, written
from ui.border import bind
from ui.tabs.write import KNOBS, SIDES, SLOW_SECONDS, TICK_SECONDS, Session, Write
from ui.written import Exchange

if TYPE_CHECKING:
    from engine.studio import Studio

NO_WRITER = Problem("write", "No model is chosen.", "Choose one at the left or at the right.")
KINDS = {"run": "trained here", "model": "untuned"}


def wire(studio: Studio, place: Write, token: Any) -> None:
    """Connects the sheet. `token`: the field of the Hub token."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": 8}
    asked = [place.session, token, *place.writers.values(), place.prompt, place.system, place.context, place.way, place.stops]
    asked += [place.knobs[knob.name] for knob in KNOBS]
    shown = _outputs(place)
    gr.on([place.go.click, place.prompt.submit], bind(on_write, studio), asked, shown, trigger_mode="once", **quiet)
    place.timer.tick(bind(on_tick, studio), place.session, shown, trigger_mode="once", **quiet)
    place.stop.click(bind(on_stop, studio), place.session, None, **quiet)
    place.clear.click(bind(on_clear, studio), place.session, [*shown, place.prompt], **quiet)
    place.detail.input(bind(lambda detail: gr.update(visible=detail)), place.detail, place.advanced, **quiet)
    for text, button in place.examples.items():
        button.click(bind(lambda text=text: text), None, place.prompt, **quiet)


def _outputs(place: Write) -> list[Any]:
    """What `drawn` fills, in its order."""
    return [place.note, *place.columns.values(), place.timer, place.go, place.stop]


def on_open(studio: Studio, run_id: str, left: str | None, right: str | None) -> list[Any]:
    """Who can write: the address's run beside its untuned base; else what was chosen; else the newest run so, or a model that is here."""
    listed = studio.writers()
    named = [(f"{one.name} · {KINDS[one.kind]}", one.id) for one in listed]
    wanted = next((one for one in listed if one.id == RUN + run_id), None) or (
        next((one for one in listed if one.kind == "run"), None) if left is None else None
    )
    if wanted is not None:
        left, right = MODEL + wanted.base, wanted.id
    elif left is None:
        left = _first(listed)
    if left and left not in {one.id for one in listed} and left.startswith(MODEL):
        left = left.removeprefix(MODEL)  # a model beyond the catalogue shows its own id
    return [gr.update(choices=named, value=left), gr.update(choices=[("Nothing", ""), *named], value=right or "")]


def opens(studio: Studio, run_id: str) -> bool:
    """Whether the address's run is one that writes and has no classes to tell apart."""
    return any(one.id == RUN + run_id for one in studio.writers()) and not studio.sorts(run_id)


def _first(listed: tuple[Writer, ...]) -> str | None:
    return next((one.id for one in listed), None)


def on_write(
    studio: Studio, session: Session, token: str, left: str | None, right: str | None, prompt: str | None, system: str | None,
    context: str | None, way: Way, stops: str | None, *typed: str | None,
) -> list[Any]:  # fmt: skip
    """Asks each chosen model to go on. A prompt that is the same as before replaces what was written to it."""
    prompt = prompt or ""  # a field that was never shown holds None
    chosen = {side: one for side, one in zip(SIDES, (left, right), strict=True) if one}
    decoding, problems = settings(typed)
    problems += [] if chosen else [NO_WRITER]
    if problems:
        return [words.problems(problems), *(gr.skip() for _ in range(5))]
    said, kept = {}, {}
    for side, writer in chosen.items():
        kept[side] = list(session.exchanges[side]) if session.writers.get(side) == writer else []
        if kept[side] and kept[side][-1].prompt == prompt:
            kept[side].pop()
        before = [turn for one in kept[side] for turn in one.turns]
        said[side] = (writer, Said((*before, written.asked(prompt)), system or "", context or "", way))
    studio.playground.stop(session.ticket)
    try:
        ticket = studio.write(list(said.values()), decoding, stops=lines(stops), token=token or None)
    except Refused as refused:
        return [words.problems(refused.problems), *(gr.skip() for _ in range(5))]
    session.ticket, session.sides = ticket, tuple(said)
    session.writers |= chosen
    for side in said:
        session.exchanges[side] = [*kept[side], Exchange(prompt, Text())]
    return drawn(studio, session)


def on_tick(studio: Studio, session: Session) -> list[Any]:
    """How far the texts are by now."""
    if session.ticket:
        try:
            texts = studio.playground.look(session.ticket)
        except Refused as refused:
            texts = tuple(Text("failed", problems=refused.problems) for _ in session.sides)
        for side, text in zip(session.sides, texts, strict=True):
            if not session.exchanges[side]:  # cleared in between
                continue
            session.exchanges[side][-1] = replace(session.exchanges[side][-1], written=text)
        if all(one.is_over for one in texts):
            session.ticket = ""
    return drawn(studio, session)


def on_stop(studio: Studio, session: Session) -> None:
    """Ends the texts after the next token. The timer alone draws that: of two answers under way the older could come last and stay."""
    studio.playground.stop(session.ticket)


def on_clear(studio: Studio, session: Session) -> list[Any]:
    """Forgets what was said; the models stay."""
    studio.playground.stop(session.ticket)
    session.ticket, session.exchanges = "", {side: [] for side in SIDES}
    return [*drawn(studio, session), ""]


def drawn(studio: Studio, session: Session) -> list[Any]:
    """The note, both columns where they changed, how often to look, and which buttons can be pressed."""
    going = bool(session.ticket)
    notice = studio.playground.notice
    columns = []
    for side in SIDES:
        told = written.column(session.exchanges[side])
        columns.append(gr.skip() if session.drawn.get(side) == told else told)
        session.drawn[side] = told
    held = going or bool(studio.playground.processes())
    timer = gr.update(value=TICK_SECONDS if going else SLOW_SECONDS, active=held)
    return [words.problem(notice) if notice else "", *columns, timer, gr.update(interactive=not going), gr.update(interactive=going)]


def settings(typed: tuple[str | None, ...]) -> tuple[Decoding, list[Problem]]:
    """The decoding as it was typed, an empty field at its default, and everything that is wrong with it."""
    found: dict[str, Value] = {}
    problems = []
    for knob, raw in zip(KNOBS, typed, strict=True):
        if raw is None or not str(raw).strip():
            continue
        value, problem = read(knob, str(raw).strip())
        problems += [problem] if problem else []
        if value is not None:
            found[knob.name] = value
    chosen: dict[str, Any] = found
    return Decoding(**chosen), problems


def lines(stops: str | None) -> list[str]:
    """Stop words, one a line; a line break is written \\n."""
    return [one.replace("\\n", "\n") for one in (stops or "").split("\n") if one]
