"""`python -m engine write --model ID | --run ID "PROMPT"`: a model goes on from a prompt, word by word on stdout; figures on stderr."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from engine.conversation import Said, Turn
from engine.decoding import Decoding
from engine.errors import Problem, Refused
from engine.interrupts import Interrupts
from engine.knobs import Value, knobs_of, read
from engine.playground import Text
from engine.studio import Studio
from engine.writers import RUN

DONE, FAILED, REFUSED = 0, 1, 2
LOOK_SECONDS = 0.05
ENDS = {"end": "by itself", "stop": "at a stop word", "length": "at the limit of new tokens", "budget": "as you asked"}


def add_options(write: argparse.ArgumentParser) -> None:
    write.add_argument("prompt", help="what to go on from; - reads it from stdin")
    which = write.add_mutually_exclusive_group(required=True)
    which.add_argument("--model", metavar="ID", help="an untuned model: a catalogue id, a Hub id, a folder or a GGUF file")
    which.add_argument("--run", metavar="ID", help="a finished run that learnt to write")
    write.add_argument("--system", default="", metavar="TEXT", help="the system prompt of a model that chats")
    write.add_argument("--context", default="", metavar="TEXT", help="what stands beside the prompt, for runs that learnt with one")
    write.add_argument("--way", choices=("automatic", "chat", "text"), default="automatic", help="a chat, or a text to go on with")
    write.add_argument("--stop", metavar="TEXT", action="append", default=[], help="ends the text before this; may be repeated")
    write.add_argument("--set", metavar="KNOB=VALUE", action="append", default=[], help="temperature, top_k, …; may be repeated")
    write.add_argument("--json", action="store_true", help="one JSON object at the end, instead of the text as it grows")


def write(told: argparse.Namespace, studio: Studio, interrupts: Interrupts, say: Callable[[str], None]) -> int:
    """0: written, 1: it broke off. Raises Refused for what cannot be asked. Ctrl-C ends the text where it is."""
    decoding = settings(told.set)
    prompt = sys.stdin.read() if told.prompt == "-" else told.prompt
    writer = RUN + told.run if told.run else told.model
    what = Said((Turn("user", prompt),), told.system, told.context, told.way)
    ticket = studio.write([(writer, what)], decoding, stops=told.stop)
    said, message = "", ""
    while True:
        (text,) = studio.playground.look(ticket)
        if text.message and text.message != message:
            message = text.message
            say(message)
        if not told.json and text.text.startswith(said):
            sys.stdout.write(text.text.removeprefix(said))
            sys.stdout.flush()
            said = text.text
        if text.is_over:
            break
        if interrupts.came(LOOK_SECONDS):
            studio.playground.stop(ticket)
    if text.problems:
        raise Refused(*text.problems)
    print(json.dumps(outcome(text), ensure_ascii=False) if told.json else "")
    say(_figures(text))
    return DONE


def settings(pairs: list[str]) -> Decoding:
    """The decoding of KNOB=VALUE pairs. Raises Refused with everything that is wrong with them."""
    known = {knob.name: knob for knob in knobs_of(Decoding)}
    found: dict[str, Value] = {}
    problems = []
    for pair in pairs:
        name, equals, raw = pair.partition("=")
        if not equals or name.strip() not in known:
            problems.append(Problem("settings", f"--set {pair} names no setting of writing.", f"Choose of: {', '.join(known)}."))
            continue
        value, problem = read(known[name.strip()], raw)
        problems += [problem] if problem else []
        if value is not None:
            found[name.strip()] = value
    if problems:
        raise Refused(*problems)
    chosen: dict[str, Any] = found
    return Decoding(**chosen)


def outcome(text: Text) -> dict[str, Any]:
    """A text and its figures as JSON values."""
    return {
        "text": text.text,
        "ended": text.ended,
        "form": text.form,
        "prompt_tokens": text.prompt_tokens,
        "tokens": text.tokens,
        "seconds": round(text.seconds, 3),
        "tokens_per_second": round(text.tokens_per_second, 2),
        "ready_seconds": round(text.ready_seconds, 3),
        "memory_bytes": text.bytes,
    }


def _figures(text: Text) -> str:
    return (
        f"{text.tokens} tokens in {text.seconds:.1f} s, {text.tokens_per_second:.1f} a second, ended {ENDS.get(text.ended, 'early')}; "
        f"ready in {text.ready_seconds:.1f} s, {text.bytes / 1e9:.2f} GB of memory held."
    )
