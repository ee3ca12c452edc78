"""What models wrote, as safe HTML: a column of turns, the newest growing, with how it was written below each. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from engine.conversation import Turn
from engine.playground import Text
from ui import words

ENDS = {"end": "ended by itself", "stop": "ended before a stop word", "length": "reached the limit of new tokens", "budget": "stopped"}
FORMS = {
    "chat": "Read as a chat.",
    "text": "Gone on with as a text, without what was said before.",
    "taught": "Asked as in the run's training, without what was said before.",
}
HOWS = {"swapped": "adapter swapped in", "added": "adapter read in", "loaded": "loaded in"}
NOTHING = '<p class="soft">The text appears here.</p>'


@dataclass(frozen=True)
class Exchange:
    """A prompt and what a model made of it."""

    prompt: str
    written: Text

    @property
    def turns(self) -> tuple[Turn, ...]:
        """As a chat goes on from it; nothing where it was none, or came to nothing."""
        one = self.written
        return (asked(self.prompt), Turn("assistant", one.text)) if one.form == "chat" and one.text.strip() else ()


def asked(prompt: str) -> Turn:
    return Turn("user", prompt)


def column(exchanges: Sequence[Exchange]) -> str:
    """All that was asked of one model, the newest last."""
    return "".join(_exchange(one) for one in exchanges) or NOTHING


def _exchange(one: Exchange) -> str:
    return f'<article class="exchange"><p class="asked">{_text(one.prompt)}</p>{_answer(one.written)}{_below(one.written)}</article>'


def _answer(one: Text) -> str:
    if not one.text and one.state in ("done", "stopped"):
        return '<p class="soft">It wrote nothing.</p>'
    growing = '<span class="caret" aria-hidden="true"></span>' if one.state == "writing" else ""
    return f'<p class="said">{_text(one.text)}{growing}</p>' if one.text or growing else ""


def _below(one: Text) -> str:
    match one.state:
        case "waiting":
            return '<p class="soft" role="status">Waiting for its turn</p>'
        case "preparing":
            return f'<p class="soft" role="status">{escape(one.message)} …</p>'
        case "failed":
            return words.problems(one.problems)
        case _:
            return f'<p class="soft">{figures(one)}</p>' if one.form else '<p class="soft">Stopped before it began.</p>'


def figures(one: Text) -> str:
    """Speed, tokens, how it ended, how the model was got ready, memory."""
    rate = f"{one.tokens_per_second:.1f}{words.HARD_SPACE}tokens a second"
    told = [rate if one.seconds else "", f"{words.counted(one.tokens, 'token')} in {words.figure(one.seconds, 1)}{words.HARD_SPACE}s"]
    told.append(ENDS.get(one.ended, ""))
    if one.how in HOWS:
        told.append(f"{HOWS[one.how]} {_short(one.ready_seconds)}")
    told.append(f"{words.size(one.bytes)} of memory held" if one.bytes else "")
    line = " · ".join(part for part in told if part)
    return f"{line}. {FORMS.get(one.form, '')} {words.counted(one.prompt_tokens, 'token')} were read.".replace("  ", " ")


def _short(seconds: float) -> str:
    """9 ms, 2.1 s"""
    return f"{1000 * seconds:.0f}{words.HARD_SPACE}ms" if seconds < 1 else f"{seconds:.1f}{words.HARD_SPACE}s"


def _text(text: str) -> str:
    """Safe, with its line breaks."""
    return escape(text).replace("\n", "<br>")
