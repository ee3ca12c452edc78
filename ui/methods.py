"""The methods beside each other, for this data, model and machine: what each trains, what is typical of it, what it costs here. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from typing import TYPE_CHECKING

from engine import published
from engine.methods import Method
from ui import tables, words

if TYPE_CHECKING:
    from engine.errors import Problem
    from engine.plan import Plan
    from engine.studies import Fit

TITLE = "Every method, and what it would cost here"
SETTINGS = ("method", "settings", "memory", "disk", "model")  # fields of problems that another method could settle


def choices(fits: Sequence[Fit]) -> list[tuple[str, str]]:
    """What the list of methods offers; one that cannot be used here, or not with what is set, says so."""
    shared = _shared(fits)
    return [(f"{one.name}{_mark(of_method(one.problems, shared))}", one.method) for one in fits]


def _mark(own: Sequence[Problem]) -> str:
    if not own:
        return ""
    return " (not with these settings)" if all(one.field.startswith("settings.") for one in own) else " (not here)"


def _shared(fits: Sequence[Fit]) -> set[Problem]:
    """What keeps every method out and so says nothing about one."""
    return set.intersection(*(set(one.problems) for one in fits)) if fits else set()


def of_method(problems: Sequence[Problem], shared: set[Problem]) -> tuple[Problem, ...]:
    """The errors that another method may not have."""
    own = (one for one in problems if one.severity == "error" and one not in shared)
    return tuple(one for one in own if one.field.partition(".")[0] in SETTINGS)


def table(fits: Sequence[Fit], methods: Mapping[str, Method], chosen: str) -> str:
    """One row a method. Greyed where it cannot be combined, with the reason and what works instead."""
    shared = _shared(fits)
    columns = (
        tables.Column("Method", style="method-name"),
        tables.Column("Trains"),
        tables.Column("Quality, typically"),
        tables.Column("Here", style="here"),
        tables.Column(""),
    )
    rows, styles = [], []
    for one in fits:
        method = methods[one.method]
        own = of_method(one.problems, shared)
        rows.append([_name(method), *_cells(method, one.plan, own), _button(one, chosen, bool(own))])
        styles.append("greyed" if own else "chosen" if one.method == chosen else "")
    lines = (f"{escape(one.name)}: {escape(one.source)}. Quality: {escape(one.quality_source)}." for one in methods.values())
    told = f'<details class="sources"><summary>Where these come from</summary>{tables.notes(lines)}</details>'
    lead = (
        '<p class="soft">Memory, time and size are for your data, model and machine, with the preset and what you set. '
        "Quality is what papers report; on your data it may come out otherwise: Compare methods measures it.</p>"
    )
    return f"{lead}{tables.table(TITLE, columns, rows, row_styles=styles)}{told}{seven_billion()}"


@cache
def seven_billion() -> str:
    """How the memory estimate compares with a published table, folded away."""
    columns = (
        tables.Column("7 billion parameters"),
        tables.Column("Published"),
        tables.Column("Estimated here"),
        tables.Column("Why they differ"),
    )
    rows = (
        (
            escape(one.name),
            f"{one.published_gb[0]:g} to {one.published_gb[1]:g} GB<br>{tables.soft(escape(one.published_parts))}",
            f"<b>{words.size(one.estimated.total_bytes)}</b><br>{tables.soft(_parts(one))}",
            escape(one.reason),
        )
        for one in published.table()
    )
    lead = f"Published: {escape(published.SOURCE)}. Estimated by what Shur uses for every run, for Llama 2 7B on one GPU."
    told = f'<p class="soft">{lead}</p>{tables.table("7B models", columns, rows)}'
    return f"<details><summary>The memory estimate beside a published table</summary>{told}</details>"


def _parts(row: published.Row) -> str:
    parts = " + ".join(f"{escape(name)} {amount / 1e9:.1f}" for name, amount in row.estimated.parts.items() if amount >= 5e7)
    return f"{parts}; {escape(row.assumed)}"


def _name(method: Method) -> str:
    return f'{escape(method.name)}<span class="soft">{escape(method.summary)}</span>'


def _cells(method: Method, plan: Plan | None, own: Sequence[Problem]) -> list[str]:
    what = escape(method.trains)
    if plan is None:
        why = "".join(f'<p class="why">Not here: {words_of(one)}</p>' for one in own[:1])
        return [f"{what}{why}", escape(method.quality), ""]
    share = tables.soft(f"{words.small_share(plan.trainable_share)} of the weights")
    time = "time not known" if plan.seconds is None else words.about(plan.seconds)
    mark = "measured" if plan.memory_basis == "measured" else "estimated"
    here = f'{words.size(plan.memory_bytes)} memory<br>{time}<br>keeps {words.size(plan.save_bytes)}<br><span class="mark">{mark}</span>'
    return [f"{what}<br>{share}", escape(method.quality), here]


def words_of(problem: Problem) -> str:
    return escape(str(problem))


def _button(fit: Fit, chosen: str, greyed: bool) -> str:
    if fit.method == chosen:
        return '<span class="mark">chosen</span>'
    if greyed:
        return ""
    return f'<button type="button" class="pick" data-pick="{fit.method}" aria-label="Choose {escape(fit.name)}">Choose</button>'
