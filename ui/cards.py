"""What the Train place says about data, model and plan, as safe HTML. Pure: facts in, text out."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from engine.catalog import Model, Recipe
from engine.errors import Problem
from engine.models import ModelFacts
from engine.plan import Plan
from ui import words

if TYPE_CHECKING:
    from engine.data.profile import DataFacts

MOST_CLASSES = 12  # bars shown before the rest is summed up
CELL = 220  # characters of a cell in the table of rows


def facts(data: DataFacts | None) -> str:
    """Where the rows come from, how many can be used, the classes as bars, the lengths, and a look at the first rows."""
    if data is None:
        return ""
    dropped = "".join(f"<li>{words.count(number)} left out: {escape(reason)}</li>" for reason, number in data.dropped.items() if number)
    notes = "".join(f"<li>{escape(note)}</li>" for note in data.notes)
    given = f", and {words.counted(data.given_test, 'row')} for testing" if data.given_test is not None else ""
    lead = f"<p><b>{words.counted(data.usable, 'row')}</b>{given} · {words.counted(len(data.classes), 'class', 'classes')} · {escape(data.origin)}</p>"
    listed = f'<ul class="notes">{dropped}{notes}</ul>' if dropped or notes else ""
    return f'<div class="facts">{lead}{class_bars(data.classes)}{lengths(data)}{listed}{rows_table(data)}</div>'


def class_bars(classes: dict[str, int]) -> str:
    """Rows of each class as a bar chart, largest first."""
    most, total = max(classes.values(), default=1), sum(classes.values()) or 1
    shown, rest = list(classes.items())[:MOST_CLASSES], list(classes.items())[MOST_CLASSES:]
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="bar"><span style="width:{100 * rows / most:.1f}%"></span></td>'
        f'<td class="number">{words.count(rows)}</td><td class="number soft">{words.percent(rows / total)}</td></tr>'
        for name, rows in shown
    )
    more = (
        f'<p class="soft">and {words.counted(len(rest), "class", "classes")} more with {words.counted(sum(n for _, n in rest), "row")}</p>'
        if rest
        else ""
    )
    return f'<table class="bars"><caption class="unseen">Rows of each class</caption>{lines}</table>{more}'


def lengths(data: DataFacts) -> str:
    few, middle, many = (words.count(number) for number in data.words)
    return (
        f'<p class="soft">Texts have {middle} words in the middle, nine in ten between {few} and {many}; '
        f"the longest has {words.count(data.longest_words)}.</p>"
    )


def rows_table(data: DataFacts) -> str:
    """The first rows as they stand in the source, folded away until asked for."""
    columns = list(data.sample[0]) if data.sample else []
    role = {data.text: " (text)", data.label: " (label)"}
    head = "".join(f'<th scope="col">{escape(name)}{role.get(name, "")}</th>' for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(_cut(row.get(name)))}</td>" for name in columns) + "</tr>" for row in data.sample)
    return (
        f'<details><summary>Look at the first rows</summary><div class="scroll" tabindex="0" role="region" aria-label="First rows">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></details>"
    )


def _cut(cell: object) -> str:
    text = "" if cell is None else str(cell)
    return text if len(text) <= CELL else text[: CELL - 1] + "…"


def model_line(entry: Model | None, found: ModelFacts | None) -> str:
    """Size, languages, licence, and what must still be fetched; the catalogue speaks where the model has not been looked up."""
    parameters = found.body_parameters if found else entry.parameters if entry else None
    languages = (entry.languages if entry else ()) or (found.languages if found else ())
    licence = (entry.licence if entry else None) or (found.licence if found else None)
    download = found.download_bytes if found else entry.download_bytes if entry else None
    here = "here, no download" if download == 0 else f"{words.size(download)} to download" if download else ""
    told = [
        f"{words.short_count(parameters)} parameters" if parameters else "",
        ", ".join(languages),
        f"licence {licence}" if licence else "",
        here,
    ]
    line = " · ".join(escape(one) for one in told if one)
    source = f' · <a href="{escape(entry.source_url)}" target="_blank" rel="noreferrer">source</a>' if entry and entry.source_url else ""
    note = f"<br>{escape(entry.note)}" if entry and entry.note else ""
    return f'<p class="soft">{line}{source}{note}</p>' if line else ""


def recipe_line(recipe: Recipe | None) -> str:
    if recipe is None:
        return ""
    return f'<p class="soft">{escape(recipe.summary)} <span class="source">{escape(recipe.source)}.</span></p>'


def preview(plan: Plan | None, found: tuple[Problem, ...]) -> str:
    """What will happen, before it does. Every estimate is marked; problems are named, their fixes stand beside the fields."""
    told = _figures(plan) if plan else '<p class="soft">The figures appear here once data and model are chosen.</p>'
    return f"{told}{_verdict(found)}{_reasons(plan) if plan else ''}"


def _figures(plan: Plan) -> str:
    settings, rows = plan.settings, plan.rows
    estimated, measured = '<span class="mark">estimated</span>', '<span class="mark">measured</span>'
    memory_mark = measured if plan.memory_basis == "measured" else estimated
    time_mark = measured if plan.seconds_basis == "measured" else estimated
    minutes = f"{words.about(plan.seconds)} {time_mark}" if plan.seconds is not None else "no figure for this hardware"
    passes = f"{words.value(float(settings['epochs']))} {'pass' if settings['epochs'] == 1 else 'passes'}"
    tokens = f"{plan.tokens_per_word:.1f} a word" if plan.tokens_per_word else "known once the model is here"
    cut = f", {words.percent(plan.cut_share)} of texts cut at {words.count(settings['max_length'])}" if plan.cut_share else ""
    short = ' class="short"' if plan.memory_bytes > plan.memory_available_bytes else ""
    full = ' class="short"' if plan.disk_bytes > plan.disk_free_bytes else ""
    lines = (
        (
            "Rows",
            f"{words.count(rows['train'])} to train on · {words.count(rows['validation'])} to check · {words.count(rows['test'])} to test",
        ),
        ("Batch", f"{settings['batch_size']} × {settings['accumulation']} = {words.counted(plan.effective_batch, 'row')} a step"),
        ("Steps", f"{words.count(plan.steps)} in {passes}"),
        ("Trained", f"{words.small_share(plan.trainable_share)} of {words.short_count(plan.parameters)} weights"),
        ("Precision", f"{settings['precision']} on {escape(plan.device_words)}{_because(plan.reason('precision'))}"),
        ("Memory", f"<span{short}>{words.of_sizes(plan.memory_bytes, plan.memory_available_bytes)}</span> {memory_mark}"),
        ("Time", minutes),
        ("Disk", f"<span{full}>{words.of_sizes(plan.disk_bytes, plan.disk_free_bytes)} free</span> {estimated}"),
        ("Keeps", f"{words.size(plan.save_bytes)} {estimated}"),
        ("Tokens", f"{tokens}{cut}"),
    )
    notes = "".join(f"<li>{escape(note)}</li>" for note in plan.notes)
    listed = "".join(f"<div><dt>{name}</dt><dd>{text}</dd></div>" for name, text in lines)
    return f'<dl class="figures">{listed}</dl>' + (f'<ul class="notes">{notes}</ul>' if notes else "")


def _because(reason: str | None) -> str:
    return f'<span class="why">{escape(reason)}</span>' if reason else ""


def _verdict(found: tuple[Problem, ...]) -> str:
    errors = [one for one in found if one.severity == "error"]
    warnings = [one for one in found if one.severity == "warning"]
    if not found:
        return '<p class="fine" role="status">✓ No problems</p>'
    listed = "".join(f'<li class="{one.severity}">{escape(one.message)}</li>' for one in (*errors, *warnings))
    title = f"{words.counted(len(errors), 'thing')} to settle first" if errors else f"{words.counted(len(warnings), 'thing')} to know"
    return f'<div class="issues" role="status"><b>{title}</b><ul>{listed}</ul></div>'


def _reasons(plan: Plan) -> str:
    lines = "".join(
        f"<div><dt>{escape(one.name.replace('_', ' '))}: {escape(words.value(one.value))}</dt><dd>{escape(one.reason)}</dd></div>"
        for one in plan.decisions
    )
    return f'<details><summary>Every automatic choice, and why</summary><dl class="reasons">{lines}</dl></details>' if lines else ""


MISSING = (  # the first error's field -> what the button asks for
    ("data.source", "Choose a dataset"),
    ("data.test", "Choose another test file"),
    ("data.text", "Pick the text column"),
    ("data.label", "Pick the label column"),
    ("data", "Correct the data"),
    ("model", "Choose a model that can be used"),
    ("method", "Choose another method"),
    ("settings", "Correct a setting"),
    ("memory", "Make it fit into memory"),
    ("disk", "Free some disk space"),
)


def start_label(found: tuple[Problem, ...]) -> tuple[str, bool]:
    """What the one button says, and whether it can be pressed: it names the first thing that is missing."""
    errors = {one.field for one in found if one.severity == "error"}
    for field, label in MISSING:
        if any(one == field or one.startswith(f"{field}.") for one in errors):
            return label, False
    return ("Settle the problem above", False) if errors else ("Start training", True)
