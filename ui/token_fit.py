"""How each model reads the texts, as a table: tokens a word, what is unknown, what is cut, how long it takes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from ui import tables, words

if TYPE_CHECKING:
    from engine.token_fit import TokenFit

TITLE = "How each model reads your texts"
COLUMNS = (
    tables.Column("Model", style="method-name"),
    tables.Column("Tokens a word", number=True),
    tables.Column("Unknown", number=True),
    tables.Column("Cut", number=True),
    tables.Column("Time", number=True),
    tables.Column(""),
)


def table(fits: Sequence[TokenFit], chosen: str) -> str:
    """One row a model that was looked at, the best reader first; then those that were not."""
    seen = [one for one in fits if one.asked]
    told = tables.table(TITLE, COLUMNS, [_row(one, chosen) for one in seen], row_styles=[_style(one, chosen) for one in seen])
    lead = (
        '<p class="soft">A model reads tokens: whole words where it knows them, pieces where it does not. The fewer a word takes, the '
        "better and the faster it learns. Counted on a sample of your texts.</p>"
    )
    rest = [escape(one.name) for one in fits if not one.asked]
    left = f'<p class="soft">Not looked at, because they are not on this machine: {"; ".join(rest)}.</p>' if rest else ""
    return f"{lead}{told}{left}"


def others(fits: Sequence[TokenFit]) -> int:
    """How many models were not looked at yet."""
    return sum(not one.asked for one in fits)


def _style(one: TokenFit, chosen: str) -> str:
    return "greyed" if one.grade is None else "chosen" if one.model == chosen else ""


def _row(one: TokenFit, chosen: str) -> list[str]:
    tokens = one.tokens
    if tokens is None:
        why = one.problem.message if one.problem else ""
        return [_name(one, why), "", "", "", "", ""]
    unknown = words.percent(tokens.unknown_share)
    cut = "" if one.cut_share is None else f"{words.percent(one.cut_share)}<br>{tables.soft(f'at {words.count(one.max_length or 0)}')}"
    time = words.about(one.seconds) if one.seconds is not None else ""
    return [_name(one, _sentence(one)), f"{tokens.tokens_per_word:.1f}", unknown, cut, time, _button(one, chosen)]


def _sentence(one: TokenFit) -> str:
    told = f"{one.words[:1].upper()}{one.words[1:]}."
    return f"{told} {one.problem.message}" if one.problem else told


def _name(one: TokenFit, told: str) -> str:
    return f'{escape(one.name)}<span class="soft">{escape(told)}</span>'


def _button(one: TokenFit, chosen: str) -> str:
    if one.model == chosen:
        return '<span class="mark">chosen</span>'
    return (
        f'<button type="button" class="pick" data-as="take" data-pick="{escape(one.model)}" '
        f'aria-label="Choose {escape(one.name)}">Choose</button>'
    )
