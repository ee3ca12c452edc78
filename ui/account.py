"""The verdict on a run that gives no classes, as safe HTML: a sentence, its figures, texts to read side by side. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape

from engine import answers
from engine.account import Account, Sample, Told, is_better, number, shown
from engine.told import beats
from engine.verdict import p_words
from ui import tables, words
from ui.tables import Column

CUT = 700  # characters of a text in the table


def verdict(one: Account) -> str:
    """The sentence before all evidence, and what limits it."""
    remarks = tables.notes(escape(told) for told in one.warnings)
    near = f'<p class="beside">{escape(one.margin.words)}</p>' if one.margin else ""
    return f'<div class="verdict"><p class="sentence">{escape(one.sentence)}</p>{near}{remarks}</div>'


def figures(one: Account) -> str:
    """Every figure with its interval, beside the untuned model's and others' on the same rows."""
    untuned = any(told.before is not None for told in one.figures)
    beside = {other.id: other.name for told in one.figures for other in told.others}
    columns = (
        Column("Figure"), Column("Tuned", number=True),
        *([Column("Untuned", number=True), Column("Difference", style="soft")] if untuned else []),
        *(Column(name) for name in beside.values()), Column("Rows", number=True), Column("How it is counted", style="soft"),
    )  # fmt: skip
    ordered = sorted(one.figures, key=lambda told: told.id != one.headline)
    rows = (
        [_name(told), escape(shown(told)),
         *(["" if told.before is None else number(told.before), _difference(told)] if untuned else []),
         *(_other(told, id) for id in beside), words.count(told.rows), escape(told.note)] for told in ordered
    )  # fmt: skip
    seen = one.seen_rows or one.nearly_seen_rows
    title = f"On {words.counted(one.rows, 'test row')}" if seen else f"On {words.counted(one.rows, 'row')} it had not seen"
    prompts = " Both models answered the same prompts with the same decoding: always the likeliest word."
    told = f"In brackets the 95 % interval.{'' if one.notes else prompts}"
    made = tables.notes(escape(note) for note in one.notes)
    styles = ["ours" if told.id == one.headline else "" for told in ordered]
    return f'<h2>{title}</h2>{tables.table("Scores", columns, rows, row_styles=styles)}<p class="soft">{told}</p>{made}'


def _other(told: Told, id: str) -> str:
    """Another's figure, and whether the model is better than it."""
    other = next((other for other in told.others if other.id == id), None)
    if other is None:
        return ""
    found = beats(other.gain, other.p_value, told.better)
    words = "may be chance" if found is None else f"the model is {'better' if found else 'worse'}"
    return f"{number(other.value)} {tables.soft(f'{words}, {p_words(other.p_value)}')}"


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


def parts(one: Account) -> str:
    """Each tag's own figures, and from which chance on one is given."""
    if not one.parts:
        return ""
    names = ("Precision", "Recall", "F1", "Rows that have it", "Given", "Missed", "Given wrongly", "Calibration error")
    columns = (Column("Tag"), *(Column(name, number=True) for name in names))
    rows = (
        [escape(part.name), *(words.percent(share) for share in (part.precision, part.recall, part.f1)),
         words.count(part.rows), words.count(part.given), _rows_of(at, "missed", part.name, part.missed),
         _rows_of(at, "extra", part.name, part.extra), tables.number(part.calibration_error)] for at, part in enumerate(one.parts)
    )  # fmt: skip
    told = "Precision: how many of those it is given to have it. Recall: how many of those that have it are given it."
    if one.threshold is not None:
        told = f"{given_from(one.threshold)} {told}"
    if one.belief is not None:
        told += f" Calibration error: how far its chances lie from how often the tag is there. {escape(one.belief.words)}"
    return f'<h2>Each tag</h2>{tables.table("Tags", columns, rows)}<p class="soft">{told}</p>'


def _rows_of(at: int, what: str, tag: str, count: int) -> str:
    """A count that brings its rows into the explorer below."""
    if not count:
        return "0"
    does = escape(json.dumps({"do": "rows", "pick": [what, tag]}))
    named = f'id="{what}-{at}" aria-label="{words.counted(count, "row")}: {escape(answers.name_of((what, tag)))}"'
    return (
        f'<button type="button" class="link" {named} data-as="explore" data-to="explorer" data-pick="{does}">{words.count(count)}</button>'
    )


def given_from(threshold: float) -> str:
    """From which chance on a tag is given, and who says so."""
    return f"A tag is given from a chance of {words.percent(threshold)} on, chosen on the validation rows."


def samples(one: Account) -> str:
    """Test rows with what was wanted, what the tuned model wrote, and the untuned one."""
    if not one.samples:
        return ""
    return f"<h2>Some rows, and what {'it said' if one.notes else 'was written'}</h2>{_table(one.samples)}"


def _table(rows: Sequence[Sample]) -> str:
    untuned = any(one.before is not None for one in rows)
    names = ("What it was given", "What was wanted", "Tuned", *(["Untuned"] if untuned else []))
    columns = tuple(Column(name, style="text") for name in names)
    cells = ([tables.cut(text, CUT) for text in (one.prompt, one.wanted, one.written, one.before or "")[: len(names)]] for one in rows)
    return tables.table("Written texts", columns, cells, tall=True)
