"""What the Train place says about data, model and plan, as safe HTML. Pure: facts in, text out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from engine.catalog import Model, Recipe
from engine.errors import Problem
from engine.fitting import Change, to_json
from engine.guide import DIFFERENCES, GUIDE, RIGHT, Measured
from engine.models import ModelFacts
from engine.plan import Plan
from engine.tasks import all_tasks
from engine.varied import ENOUGH_ROWS
from ui import tables, words
from ui.tables import Column

if TYPE_CHECKING:
    from engine.data.profile import DataFacts
    from engine.measuring import FitState
    from engine.rows_shown import RowsShown
    from engine.tasks import Pieces

MOST_CLASSES = 12  # bars shown before the rest is summed up
ROLE = {"text": " (to be written)", "nothing": " (text)", "number": " (number)"}  # of the label column, by what it holds
PIECE = 240  # characters of a piece of a row as the model reads it
CELL = 220  # characters of a cell in the table of rows


def facts(data: DataFacts | None) -> str:
    """Where the rows come from, how many can be used, the classes as bars, the lengths, and a look at the first rows."""
    if data is None:
        return ""
    left_out = (f"{words.count(number)} left out: {escape(reason)}" for reason, number in data.dropped.items() if number)
    remarks = tables.notes((*left_out, *(escape(note) for note in data.notes)))
    bars = class_bars(data.classes) if data.target == "class" else tag_bars(data) if data.tags else ""
    return f'<div class="facts">{_lead(data)}{bars}{lengths(data)}{remarks}{_meant(data)}{first_rows(data)}</div>'


def _meant(data: DataFacts) -> str:
    """What else the rows look made for, with a button that chooses it."""
    if data.meant is None:
        return ""
    name = all_tasks()[data.meant.task].name
    picked = escape(json.dumps({"task": data.meant.task}))
    button = f'<button type="button" class="pick" data-as="mend" data-pick="{picked}">{escape(name)}</button>'
    why = f'<span class="soft">{escape(data.meant.why)}</span>'
    return f'<div class="meant"><p>These rows look like {escape(data.meant.looks)}. {why}</p>{button}</div>'


def _lead(data: DataFacts) -> str:
    if not data.classes:
        return f"<p><b>{words.counted(data.rows, 'row')}</b> · {escape(data.origin)}</p>"
    given = f" and {words.count(data.given_test)} given for testing" if data.given_test is not None else ""
    classes = f" · {words.counted(len(data.classes), 'class', 'classes')}" if data.target == "class" else ""
    classes = f" · {words.counted(len(data.tags), 'tag')}" if data.tags else classes
    return f"<p><b>{words.counted(data.usable, 'row')}</b>{given}{classes} · {escape(data.origin)}</p>"


def class_bars(classes: dict[str, int]) -> str:
    """Rows of each class as a bar chart, largest first."""
    if not classes:
        return ""
    most, total = max(classes.values()), sum(classes.values())
    shown, rest = list(classes.items())[:MOST_CLASSES], list(classes.items())[MOST_CLASSES:]
    chart = tables.bars("Rows of each class", ((name, rows / most, words.count(rows), words.percent(rows / total)) for name, rows in shown))
    if not rest:
        return chart
    others = sum(rows for _, rows in rest)
    more = f"and {words.counted(len(rest), 'class', 'classes')} more with {words.counted(others, 'row')}"
    return f'{chart}<p class="soft">{more}</p>'


def tag_bars(data: DataFacts) -> str:
    """Rows with each tag as a bar chart, in the order of the tags, and their share of all rows: a row can have several."""
    shown = list(data.tags.items())[:MOST_CLASSES]
    whole = max(1, data.usable)
    chart = tables.bars(
        "Rows with each tag", ((name, rows / whole, words.count(rows), words.percent(rows / whole)) for name, rows in shown)
    )
    rest = len(data.tags) - len(shown)
    return chart + (f'<p class="soft">and {words.counted(rest, "tag")} more</p>' if rest else "")


def lengths(data: DataFacts) -> str:
    if not data.longest_words:
        return ""
    few, middle, many = (words.count(number) for number in data.words)
    spread = (
        f"Half of the texts have up to {middle} words; nine in ten have {few} to {many}, the longest has {words.count(data.longest_words)}."
    )
    return f'<p class="soft">{spread}</p>'


def first_rows(data: DataFacts) -> str:
    """The first rows as they stand in the source, folded away until asked for."""
    if not data.sample:
        return ""
    tags = dict.fromkeys(data.labels, " (tag)" if len(data.labels) > 1 else " (tags)")
    role = {data.label: ROLE.get(data.target, " (label)"), data.second: " (beside it)"} | {data.text: " (text)"} | tags
    names = list(data.sample[0])
    columns = [tables.Column("Row"), *(tables.Column(f"{name}{role.get(name, '')}", style="cell") for name in names)]
    rows = ([str(at), *(tables.cut(row.get(name), CELL) for name in names)] for at, row in enumerate(data.sample, 1))
    return f"<details><summary>Look at the first rows</summary>{tables.table('First rows', columns, rows, tall=True)}</details>"


def rows_as_read(found: RowsShown | None) -> str:
    """Rows as the model reads them, what it learns to write marked; or why one cannot be put into that form."""
    if found is None:
        return ""
    if found.problem is not None:
        return words.problem(found.problem)
    if not found.rows:
        return ""
    rows = "".join(f"<li>{_pieces(row)}</li>" for row in found.rows)
    key = '<p class="soft">As the model reads your first rows; it learns to write what is <mark>marked</mark>, and nothing else.</p>'
    note = f'<p class="soft">{escape(found.note)}</p>' if found.note else ""
    return f'<details class="as-read" open><summary>Rows as the model reads them</summary>{key}<ol>{rows}</ol>{note}</details>'


def _pieces(row: Pieces) -> str:
    """A row's words, cut in the middle of long ones, so that what is learnt is always seen."""
    told = []
    for text, learnt in row:
        half = PIECE // 2
        shown = text if len(text) <= PIECE else f"{text[:half]} … {text[-half:]}"
        told.append(f"<mark>{escape(shown)}</mark>" if learnt else escape(shown))
    return "".join(told)


def model_line(entry: Model | None, found: ModelFacts | None) -> str:
    """Size, languages, licence, and what must still be fetched; the catalogue speaks where the model has not been looked up."""
    parameters = found.body_parameters if found else entry.parameters if entry else None
    languages = (entry.languages if entry else ()) or (found.languages if found else ())
    licence = (entry.licence if entry else None) or (found.licence if found else None)
    download = found.download_bytes if found else entry.download_bytes if entry else None
    told = [
        f"{words.short_count(parameters)} parameters" if parameters else "",
        escape(", ".join(languages)),
        f"licence {escape(licence)}" if licence else "",
        "here, no download" if download == 0 else f"{words.size(download)} to download" if download else "",
        f'<a href="{escape(entry.source_url)}" target="_blank" rel="noreferrer">about it</a>' if entry and entry.source_url else "",
    ]
    line = " · ".join(one for one in told if one)
    note = f"<br>{escape(entry.note)}" if entry and entry.note else ""
    return f'<p class="soft">{line}{note}</p>' if line else ""


def recipe_line(recipe: Recipe | None, guide: dict[str, Measured] | None = None) -> str:
    """What the preset is for, and where it comes from; of those two that redo a guide's table, what differs between them."""
    if recipe is None:
        return '<p class="soft">No preset: what you leave open follows from the data, the model and this machine.</p>'
    source = recipe.source.rstrip(".")
    compared = "" if guide is None else _guide(guide)
    about = f'<p class="soft">{escape(recipe.summary)}</p><p class="soft source">Source: {escape(source)}.</p>'
    return f'<div class="recipe">{about}{compared}</div>'


def _guide(found: dict[str, Measured]) -> str:
    """The guide's way beside the right one, and what each gave here."""
    columns = [Column(name) for name in ("", "As in the guide", "Done right", "Why")]
    rows = [[escape(cell) for cell in (one.what, one.guide, one.right, one.why)] for one in DIFFERENCES]
    gave = [_measured(found.get(name)) for name in (GUIDE, RIGHT)]
    rows.append(["<b>Measured here</b>", *gave, "The newest finished run of each preset."])
    return f"<details><summary>The guide's way and the right one, side by side</summary>{tables.table('Guide', columns, rows)}</details>"


def _measured(one: Measured | None) -> str:
    if one is None:
        return '<span class="soft">Not run here yet.</span>'
    link = f'<a href="?run={escape(one.run)}" data-place="runs" data-run="{escape(one.run)}">{escape(one.name)}</a>'
    return f'{escape(one.verdict)} <span class="soft">({one.minutes:.0f} min, {link})</span>'


def preview(plan: Plan | None, found: tuple[Problem, ...], *, folds: bool = True) -> str:
    """What will happen, before it does. Every estimate is marked; problems are named, their fixes stand beside the fields."""
    told = _figures(plan, folds=folds) if plan else '<p class="soft">The figures appear here once nothing stands in the way.</p>'
    return f"{told}{_verdict(found)}{_reasons(plan) if plan else ''}"


def _figures(plan: Plan, *, folds: bool) -> str:
    settings, rows = plan.settings, plan.rows
    passes = f"{words.value(float(settings['epochs']))} {'pass' if settings['epochs'] == 1 else 'passes'}"
    tokens = f"{plan.tokens_per_word:.1f} a word" if plan.tokens_per_word else "known once the model is here"
    cut = f"; {words.percent(plan.cut_share)} of the texts are cut at {words.count(settings['max_length'])}" if plan.cut_share else ""
    why = plan.reason("precision")
    minutes = f"{words.about(plan.seconds)} {_mark(plan.seconds_basis)}" if plan.seconds is not None else "no figure for this hardware"
    split = [f"{words.count(rows[part])} to {what}" for part, what in (("train", "train on"), ("validation", "check"), ("test", "test"))]
    if rows.get("made"):
        split.append(f"up to {words.count(rows['made'])} made")
    lines = (
        ("Rows", " · ".join(split) + (_folds(plan) if folds else "")),
        ("Batch", batch(plan)),
        ("Steps", f"{words.count(plan.steps)} in {passes}"),
        ("Trained", f"{words.small_share(plan.trainable_share)} of {words.short_count(plan.parameters)} weights"),
        (
            "Precision",
            f"{settings['precision']} on {escape(plan.device_words)}" + (f'<span class="why">{escape(why)}</span>' if why else ""),
        ),
        ("Memory", f"{_needed(plan.memory_bytes, plan.memory_available_bytes)} {_mark(plan.memory_basis)}"),
        ("Time", minutes),
        ("Disk", f"{_needed(plan.disk_bytes, plan.disk_free_bytes)} free {_mark('estimated')}"),
        ("Keeps", f"{words.size(plan.save_bytes)} {_mark(plan.memory_basis)}"),
        ("Tokens", f"{tokens}{cut}"),
    )
    return tables.figures(lines) + tables.notes(escape(note) for note in plan.notes)


def _folds(plan: Plan) -> str:
    """That folds tell more than one split, where there are few rows."""
    whole = sum(plan.rows[part] for part in ("train", "validation", "test"))
    if plan.settings.get("folds") is not None or whole >= ENOUGH_ROWS:
        return ""
    told = f"Cross-validation, below, tests all {words.count(whole)}: surer under {words.count(ENOUGH_ROWS)} rows"
    return f'<span class="why">{told}</span>'


def batch(plan: Plan) -> str:
    """Rows at once x times = rows of a step."""
    at_once, times = -(-plan.settings["batch_size"] // plan.pieces), plan.settings["accumulation"] * plan.pieces
    return f"{at_once} × {times} = {words.counted(plan.effective_batch, 'row')} a step"


def fit(state: FitState) -> str:
    """How far the check of the fit is, or what it found."""
    if state.problem is not None:
        return words.problem(state.problem)
    if state.measured is not None:
        taken = f"{words.counted(state.measured.steps, 'real step')}, up to {words.count(state.measured.longest)} tokens a row"
        others = ""
        if state.measured.taken_by_others:
            share = f"{round(100 * state.measured.taken_by_others)}\u00a0%"
            others = f" Other programs took {share} of the processor meanwhile, so the run may be quicker; measure again later."
        return f'<p class="soft" role="status">Measured on this machine: {taken}.{others}</p>'
    if state.state == "measuring":
        return f'<p class="soft" role="status">{escape(state.message)} …</p>'
    return '<p class="soft">Check the fit takes a few real steps with your longest rows and measures memory and time.</p>'


def changes(offered: Sequence[Change], plan: Plan | None) -> str:
    """What would make the run fit, or quicker, each with its new numbers and a button."""
    if not offered:
        return ""
    lead = "Any of these makes it quicker" if plan else "Any of these makes it fit"
    rows = "".join(
        f'<li><div><b>{escape(one.words)}</b><span class="soft">{words.size(one.memory_bytes)} of memory'
        f"{'' if one.seconds is None else ' · ' + words.about(one.seconds)} {_mark('estimated')}</span></div>"
        f'<button type="button" class="pick" data-as="apply" data-pick="{escape(to_json(one))}" '
        f'aria-label="Apply: {escape(one.words)}">Apply</button></li>'
        for one in offered
    )
    return f'<div class="changes"><b>{lead}</b><ul>{rows}</ul></div>'


def _mark(basis: str) -> str:
    return f'<span class="mark">{escape(basis)}</span>'


def _needed(needed_bytes: int, there_bytes: int) -> str:
    told = words.of_sizes(needed_bytes, there_bytes)
    return f'<span class="short">{told}</span>' if needed_bytes > there_bytes else told


def _verdict(found: tuple[Problem, ...]) -> str:
    errors = [one for one in found if one.severity == "error"]
    remarks = [one for one in found if one.severity == "warning"]
    if not found:
        return '<p class="fine" role="status">✓ No problems</p>'
    told = ""
    if errors:
        listed = "".join(f'<li class="error">{escape(one.message)} <span class="fix">{escape(one.fix)}</span></li>' for one in errors)
        told += f"<b>{words.counted(len(errors), 'thing')} to settle first</b><ul>{listed}</ul>"
    if remarks:
        listed = "".join(f'<li class="warning">{escape(one.message)}</li>' for one in remarks)
        told += f"<b>{words.counted(len(remarks), 'thing')} to know</b><ul>{listed}</ul>"
    return f'<div class="issues" role="status">{told}</div>'


def _reasons(plan: Plan) -> str:
    lines = ((f"{escape(one.name.replace('_', ' '))}: {escape(words.value(one.value))}", escape(one.reason)) for one in plan.decisions)
    return (
        f"<details><summary>Every automatic choice, and why</summary>{tables.figures(lines, 'reasons')}</details>" if plan.decisions else ""
    )


MISSING = (  # the first error's field -> what the button asks for
    ("data.source", "Choose a dataset"),
    ("data.test", "Choose another test file"),
    ("data.text", "Pick the text column"),
    ("data.label", "Settle the labels"),
    ("data.labels", "Pick the columns of tags"),
    ("data.group", "Pick another column to split by"),
    ("data.time", "Pick another column to split by"),
    ("data", "Correct the data"),
    ("model", "Choose a model that can be used"),
    ("method", "Choose another method"),
    ("preset", "Choose a preset"),
    ("settings", "Correct a setting"),
    ("memory", "Make it fit into memory"),
    ("disk", "Free some disk space"),
)


def start_label(found: tuple[Problem, ...], *, chosen: bool = True) -> tuple[str, bool]:
    """What the one button says, and whether it can be pressed: it names the first thing that is missing."""
    errors = {one.field for one in found if one.severity == "error"}
    if "data.source" in errors and chosen:
        return "Choose other data", False
    for field, label in MISSING:
        if any(one == field or one.startswith(f"{field}.") for one in errors):
            return label, False
    return ("Settle the problem above", False) if errors else ("Start training", True)
