"""What the error explorer shows, as safe HTML. Pure: rows in, text out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape

from engine.answers import Answer, Kind
from engine.data import corrected
from engine.data.corrected import Correction, Key
from engine.explorer import Doubted
from engine.occlusion import Moved
from engine.slices import Slice
from engine.told import number
from ui import tables, words
from ui.tables import Column

PAGE_ROWS = 10
TEXT_CHARACTERS = 600
NONE = -1  # a place in no list of labels
LEAVE_OUT = "Leave this row out"
NO_TAG = "no tag"
UNSEEN = "Training rows are judged by TF-IDF with logistic regression, trained without them, for the model itself has seen them."
OWN = "Test rows are doubted by the model itself: change only what you are sure of, for labels that follow it flatter the next run."
STRONG = 0.5  # of the largest move: shown in full colour from here on
MOST_SLICES = 12


def row_id(key: Key) -> str:
    return f"{key[0]}-{key[1]}"


def key_of(row: str) -> Key:
    number, _, told = row.partition("-")
    return int(number), told


def rows_table(
    rows: Sequence[Answer | Doubted], page: int, classes: Sequence[str], corrections: Mapping[Key, Correction],
    why: tuple[Key, Moved] | None = None,
) -> str:  # fmt: skip
    """One page of rows, each with a way to put its label right; `why` is told below its row's text."""
    if not rows:
        return "<p>No row is of this kind.</p>"
    shown = rows[page * PAGE_ROWS : (page + 1) * PAGE_ROWS]
    lines, styles = [], []
    for one in shown:
        text = _moved(one.text, why[1]) if why and why[0] == one.key else tables.cut(one.text, TEXT_CHARACTERS)
        second = "" if one.second is None else f'<span class="second">{tables.cut(one.second, TEXT_CHARACTERS)}</span>'
        lines.append((f"{text}{second}{_beside(one)}", *_cells(one, classes, corrections.get(one.key))))
        styles.append("" if _kind(one) in ("number", "text") else "right" if _said(one) == one.label else "wrong")
    told = tables.table("Rows", _columns(shown), lines, row_styles=styles) + _pages(page, len(rows))
    parts = {one.part for one in shown if isinstance(one, Doubted)}
    notes = [*([OWN] if "test" in parts else []), *([UNSEEN] if parts - {"test"} else [])]
    return told + "".join(f'<p class="soft">{one}</p>' for one in notes)


def _kind(one: Answer | Doubted) -> Kind:
    return one.kind if isinstance(one, Answer) else "class"


def _said(one: Answer | Doubted) -> str:
    return one.predicted if isinstance(one, Answer) else one.suggested


def _columns(rows: Sequence[Answer | Doubted]) -> tuple[Column, ...]:
    first = rows[0]
    match _kind(first):
        case "number":
            names: tuple[Column, ...] = (Column("Its number", style="label"), Column("It says", number=True), Column("Off by", number=True))
        case "tags":
            names = (Column("Its tags", style="label"), Column("It says", style="label"), Column("Wrong", number=True))
        case "text":
            score = first.score.name if isinstance(first, Answer) and first.score else ""
            untuned = any(isinstance(one, Answer) and one.before is not None for one in rows)
            names = (Column("What was wanted", style="text"), Column("It wrote", style="text"),
                     *([Column("Untuned", style="text")] if untuned else []), Column(score, number=True))  # fmt: skip
            return (Column("What it was given", style="text"), *names)
        case _:
            said_is = "Likely label" if any(isinstance(one, Doubted) for one in rows) else "It says"
            names = (Column("Label", style="label"), Column(said_is, style="label"), Column("Sure", number=True))
    return (Column("Text", style="text"), *names)


def _cells(one: Answer | Doubted, classes: Sequence[str], made: Correction | None) -> tuple[str, ...]:
    """What stands beside a row's text."""
    if isinstance(one, Doubted) or one.kind == "class":
        return _choice(one, classes, made), escape(_said(one)), tables.number(one.confidence)
    if one.numbers is not None:
        return _number(one, made), number(one.numbers[1]), _signed(one.off)
    if one.tags is not None:
        given = [f"<mark>{escape(tag)}</mark>" if tag in one.extra else escape(tag) for tag in one.tags[1]]
        missed = f'<span class="soft">missed: {escape(", ".join(one.missed))}</span>' if one.missed else ""
        return _tags(one, classes, made), "<br>".join(filter(None, (", ".join(given) or NO_TAG, missed))), words.count(int(one.error))
    told = [one.label, one.predicted, *([one.before] if one.before is not None else [])]
    assert one.score is not None
    return *(tables.cut(text, TEXT_CHARACTERS) for text in told), number(one.score.value)


def _signed(value: float) -> str:
    return ("+" if value >= 0 else "\u2212") + number(abs(value))


def _out(one: Answer, made: Correction | None) -> str:
    """A box by which the row is left out, and what its label was once it is another."""
    row, hidden = escape(row_id(one.key)), " hidden" if made is None else ""
    checked = " checked" if made is not None and made.new is None else ""
    was = one.label if one.tags is None else ", ".join(one.tags[0]) or NO_TAG
    left = f'<label class="leave"><input type="checkbox" data-out="{row}"{checked}> {LEAVE_OUT}</label>'
    return f'{left}<span class="soft was"{hidden}>was {escape(was)}</span>'


def _number(one: Answer, made: Correction | None) -> str:
    """A field for the right number."""
    now = one.label if made is None or made.new is None else made.new
    row = escape(row_id(one.key))
    field = f'<input type="text" inputmode="decimal" data-number="{row}" data-was="{escape(one.label)}" value="{escape(now)}"'
    return f'<div class="put-right" data-row="{row}">{field} aria-label="Number of row {one.row:,}">{_out(one, made)}</div>'


def _tags(one: Answer, classes: Sequence[str], made: Correction | None) -> str:
    """A box for each tag, by its place in `classes`."""
    assert one.tags is not None
    now = one.tags[0] if made is None or made.new is None else corrected.tags_of(made.new) or ()
    own = json.dumps([at for at, name in enumerate(classes) if name in one.tags[0]])
    boxes = "".join(
        f'<label><input type="checkbox" data-tag="{at}"{" checked" if name in now else ""}> {escape(name)}</label>'
        for at, name in enumerate(classes)
    )
    row = escape(row_id(one.key))
    told = escape(", ".join(name for name in classes if name in now) or NO_TAG)
    group = f'<div class="tag-boxes" role="group" aria-label="Tags of row {one.row:,}">{boxes}</div>'
    listed = f"<details><summary>{told}</summary>{group}{_out(one, made)}</details>"
    return f'<div class="put-right" data-row="{row}" data-was="{own}">{listed}</div>'


def _beside(one: Answer | Doubted) -> str:
    part = "" if isinstance(one, Answer) or one.part == "test" else f" of the {'training' if one.part == 'train' else one.part} rows"
    told = f'<span class="soft">Row {one.row:,}{part}</span>'
    row = row_id(one.key)
    if part or _kind(one) != "class":  # what it says was said by another model, or is no class whose probability could fall
        return f"<br>{told}"
    return f"<br>{told} {_button('Which words?', f'why-{row}', {'do': 'why', 'row': row})}"


def _choice(one: Answer | Doubted, classes: Sequence[str], made: Correction | None) -> str:
    """The list of labels, by their place in `classes`; page.js shows what the label was once it is another."""
    now = one.label if made is None else made.new
    own = classes.index(one.label) if one.label in classes else ""
    options = "".join(
        f'<option value="{at}"{" selected" if name == now else ""}>{escape(name)}</option>' for at, name in enumerate(classes)
    )
    options += f'<option value="{NONE}"{" selected" if now is None else ""}>{LEAVE_OUT}</option>'
    row, hidden = escape(row_id(one.key)), " hidden" if made is None else ""
    named = f'id="label-{row}" data-row="{row}" data-was="{own}" aria-label="Label of row {one.row:,}"'
    return f'<select {named}>{options}</select><span class="soft was"{hidden}>was {escape(one.label)}</span>'


def _button(name: str, id_: str, does: dict[str, object], *, off: bool = False) -> str:
    held = f'id="{id_}" data-as="explore" data-pick="{escape(json.dumps(does))}"'
    return f'<button type="button" class="link" {held}{" disabled" if off else ""}>{name}</button>'


def _pages(page: int, count: int) -> str:
    if count <= PAGE_ROWS:
        return f'<p class="soft">{words.counted(count, "row")}</p>'
    last = (count - 1) // PAGE_ROWS
    told = f"Rows {page * PAGE_ROWS + 1:,} to {min(count, (page + 1) * PAGE_ROWS):,} of {count:,}"
    before = _button("Back", "explorer-earlier", {"do": "page", "page": page - 1}, off=page == 0)
    after = _button("On", "explorer-later", {"do": "page", "page": page + 1}, off=page == last)
    return f'<p class="soft">{told} {before} {after}</p>'


def _moved(text: str, moved: Moved) -> str:
    """The text with the words that moved the answer marked, and what changes it."""
    most = max((abs(one.moved) for one in moved.pieces), default=0.0)
    told, at = "", 0
    for one in moved.pieces:
        share = abs(one.moved) / most if most else 0.0
        told += escape(text[at : one.start])
        word = escape(text[one.start : one.end])
        kind = ("for" if one.moved > 0 else "against") + (" strong" if share >= STRONG else "")
        told += f'<mark class="{kind}" title="{100 * one.moved:+.0f} points">{word}</mark>' if share >= 0.2 else word
        at = one.end
    told += escape(text[at:])
    without = ", ".join(f"“{escape(text[one.start : one.end])}”" for one in moved.dropped)
    change = f" Without {without} it says <b>{escape(moved.otherwise)}</b>." if without else " No few words change the answer."
    key = f'<mark class="for">Marked so</mark>: speaks for {escape(moved.answer)}; <mark class="against">so</mark>: against it.'
    return f'{told}<br><span class="soft">{key}{change}</span>'


def before(run_id: str, better: Sequence[Answer], worse: Sequence[Answer], errors: tuple[float, float] | None = None) -> str:
    """This run against the one in whose answers its corrections were found; empty text where there is none. `errors`: means of both."""
    if not run_id:
        return ""
    link = f'<a href="?run={escape(run_id)}" data-place="runs" data-run="{escape(run_id)}">the run before the corrections</a>'
    if errors is not None:
        was, now = map(number, errors)
        return f"<p>By the numbers as they are now it is off by <b>{now}</b> on average, {link} by <b>{was}</b> on the same rows.</p>"
    if not better and not worse:
        return f"<p>It answers every test row as rightly or wrongly as {link}.</p>"
    change = f"<b>{words.counted(len(better), 'row')}</b> right now that {'was' if len(better) == 1 else 'were'} wrong, "
    change += f"<b>{words.count(len(worse))}</b> wrong now that {'was' if len(worse) == 1 else 'were'} right"
    return f"<p>Beside {link}, by the labels as they are now: {change}.</p>"


WRONG = {
    "class": "A wrong label? Choose the right one in the list beside it; then train again.",
    "number": "A wrong number? Write the right one beside the text; then train again.",
    "tags": "Wrong tags? Open them beside the text and tick the right ones; then train again.",
}
MANY = {"number": ("number",), "tags": ("row's tags", "rows' tags")}


def corrected_line(corrections: Sequence[Correction], kind: Kind = "class") -> str:
    """How many labels were put right; nothing where none can be."""
    if not corrections:
        return f'<p class="soft">{WRONG[kind]}</p>' if kind in WRONG else ""
    out = sum(one.new is None for one in corrections)
    new = len(corrections) - out
    told = [words.counted(new, *MANY.get(kind, ("label",))) + " put right"] if new else []
    told += [words.counted(out, "row") + " left out"] if out else []
    return f'<p role="status"><b>{", ".join(told)}.</b> The file itself stays as it came.</p>'


def slices_table(found: Sequence[Slice]) -> str:
    """The weakest parts, and whether by more than chance."""
    if not found:
        return "<p>There are too few test rows to look at parts of them.</p>"
    weak = [one for one in found if one.is_weak]
    told = (
        f"Weaker than elsewhere by more than chance: {', '.join(escape(f'{one.by}: {one.name}') for one in weak[:3])}."
        if weak
        else "No part is weaker than the others by more than chance."
    )
    measure = found[0].measure
    columns = (
        Column("Rows"), Column("How many", number=True), Column(measure.name, number=True), Column("The others", number=True),
        Column("Chance", style="soft"),
    )  # fmt: skip
    lines = (
        (
            f"{escape(one.by)}: {escape(one.name)}",
            words.count(len(one.places)),
            _with_interval(one),
            measure.words(one.rest),
            "more than chance" if one.p_value < 0.05 else "may be chance",
        )
        for one in found[:MOST_SLICES]
    )
    how = f"In brackets the 95 % interval; chance by {measure.test}, corrected for the number of parts (Holm)."
    table = tables.table("Parts of the test rows", columns, lines)
    return f'<p>{told}</p>{table}<p class="soft">{how}</p>'


def _with_interval(one: Slice) -> str:
    told, _, between = one.measure.with_interval(one.value).partition(" (")
    return f"{told} {tables.soft(f'({between}')}"
