"""The verdict on a run that gives no classes, as safe HTML: a sentence, its figures, texts to read side by side. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from engine.account import Account, Sample, Told, is_better, number, shown
from engine.verdict import p_words
from ui import tables, words
from ui.tables import Column

CUT = 700  # characters of a text in the table


def verdict(one: Account) -> str:
    """The sentence before all evidence, and what limits it."""
    remarks = tables.notes(escape(told) for told in one.warnings)
    return f'<div class="verdict"><p class="sentence">{escape(one.sentence)}</p>{remarks}</div>'


def figures(one: Account) -> str:
    """Every figure with its interval, beside the untuned model's on the same rows."""
    columns = (
        Column("Figure"), Column("Tuned", number=True), Column("Untuned", number=True), Column("Difference", style="soft"),
        Column("Rows", number=True), Column("How it is counted", style="soft"),
    )  # fmt: skip
    ordered = sorted(one.figures, key=lambda told: told.id != one.headline)
    rows = (
        [_name(told), escape(shown(told)), "" if told.before is None else number(told.before), _difference(told),
         words.count(told.rows), escape(told.note)] for told in ordered
    )  # fmt: skip
    title = f"On {words.counted(one.rows, 'test row')}" if one.seen_rows else f"On {words.counted(one.rows, 'row')} it had not seen"
    told = "In brackets the 95 % interval. Both models answered the same prompts with the same decoding: always the likeliest word."
    styles = ["ours" if told.id == one.headline else "" for told in ordered]
    return f'<h2>{title}</h2>{tables.table("Scores", columns, rows, row_styles=styles)}<p class="soft">{told}</p>'


def _name(told: Told) -> str:
    arrow = {"higher": "higher is better", "lower": "lower is better"}.get(told.better, "")
    return f"{escape(told.name)} {tables.soft(arrow)}" if arrow else escape(told.name)


def _difference(told: Told) -> str:
    if told.p_value is None:
        return ""
    better = is_better(told)
    chance = escape(p_words(told.p_value))
    if better is None:
        return f"may be chance, {chance}"
    return f"{'better' if better else 'worse'}, more than chance, {chance}"


def samples(one: Account) -> str:
    """Test rows with what was wanted, what the tuned model wrote, and the untuned one."""
    if not one.samples:
        return ""
    return f"<h2>Some rows, and what was written</h2>{_table(one.samples)}"


def _table(rows: Sequence[Sample]) -> str:
    columns = tuple(Column(name, style="text") for name in ("What it was given", "What was wanted", "Tuned", "Untuned"))
    cells = ([tables.cut(text, CUT) for text in (one.prompt, one.wanted, one.written, one.before or "")] for one in rows)
    return tables.table("Written texts", columns, cells, tall=True)
