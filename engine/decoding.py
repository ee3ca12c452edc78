"""How the next token is chosen, how far a text may go, and where it ends: the settings of writing, each declared once. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.knobs import knob


@dataclass(frozen=True)
class Decoding:
    """The settings of one text."""

    temperature: float = knob(
        0.7,
        label="Temperature",
        low=0.0,
        high=2.0,
        basic=True,
        help="0: always the likeliest word, the same text every time. Around 0.7: lively. Above 1: ever wilder.",
    )
    top_k: int = knob(
        0, label="Top-k", low=0, high=1000, unit="tokens", help="Only so many of the likeliest tokens can be chosen. 0: any number."
    )
    top_p: float = knob(
        0.95,
        label="Top-p",
        low=0.01,
        high=1.0,
        help="Only the likeliest tokens that have this share of the probability together can be chosen. 1: all of them.",
    )
    repetition_penalty: float = knob(
        1.0,
        label="Repetition penalty",
        low=1.0,
        high=2.0,
        help="How much less likely a token becomes that stood before, also in the prompt. 1: no less. 1.1 to 1.3 helps a model that goes "
        "round in circles.",
    )
    max_new_tokens: int = knob(
        128, label="New tokens at most", low=1, high=4096, unit="tokens", basic=True, help="About three quarters of a word each in English."
    )
    seed: int = knob(0, label="Seed", low=0, high=2**31 - 1, help="The same seed gives the same text, with the same settings and machine.")


GREEDY = Decoding(temperature=0.0, top_p=1.0)  # for evaluation: the same text for everyone


def until(text: str, stops: Sequence[str]) -> tuple[str, bool]:
    """The text before the first of these words, and whether one came."""
    places = [at for at in (text.find(stop) for stop in stops if stop) if at >= 0]
    return (text[: min(places)], True) if places else (text, False)


def settled(text: str, stops: Sequence[str]) -> str:
    """As much of an unfinished text as can be shown: without a letter that is only half there, and without what may become a stop."""
    text = text.rstrip("\ufffd")
    held = max((size for stop in stops for size in range(1, len(stop)) if text.endswith(stop[:size])), default=0)
    return text[: len(text) - held]
