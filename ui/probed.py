"""What the page says about a closer look: edge cases and speed, as safe HTML, plain words first. Pure: figures in, text out."""

from __future__ import annotations

from html import escape

from engine.edge_cases import Finding
from engine.probed import Probed, Speed
from engine.probing import Look
from engine.told import number
from ui import tables, words
from ui.tables import Column

WHAT = (
    "Changes test texts the way people do (slips, capitals, emoji, half a text …) and counts how often the answer changes; times the model "
    "beside the untuned and the merged one; asks the untuned model about the same rows; learns how to correct its confidence. Takes one to "
    "three minutes for a small model, in a process of its own; the run is not touched."
)
WITHOUT_CLASSES = (
    "Changes test texts the way people do (slips, capitals, emoji, half a text …) and tells how the answers change with them; times the "
    "model beside the untuned and the merged one. Takes one to three minutes for a small model, in a process of its own; the run is not "
    "touched."
)
NAMES = {"tuned": "This model", "untuned": "The model before its training", "merged": "Merged into one model"}
MUCH, LITTLE = 0.1, 0.02  # shares of changed answers
FAR, NEAR = 0.5, 0.1  # of the mean error: by how much numbers move
NOTHING = 0.02  # of a temperature, from 1
TEXT_SHOWN = 140
NOISE = "On a machine that does other work too, differences under a tenth mean nothing."


def state(look: Look, *, sorts: bool = True) -> str:
    """What the look does now, why it did not come to an end, or what it is: another of a run that gives no classes (`sorts`)."""
    if look.state == "looking":
        return f'<p role="status"><b>{escape(look.message)} …</b></p>'
    if look.problem is not None:
        return words.problem(look.problem)
    return "" if look.found is not None else f'<p class="soft">{WHAT if sorts else WITHOUT_CLASSES}</p>'


def found(look: Look) -> str:
    """The whole look; empty text before there is one."""
    told = look.found
    if told is None:
        return ""
    notes = tables.notes(escape(one) for one in told.notes)
    return f"{edge_cases(told) if told.edge_cases else ''}{speed(told)}{notes}"


def edge_cases(told: Probed) -> str:
    """How often the answer changes, or how far numbers move, a line a kind, and some of the rows."""
    tried = [one for one in told.edge_cases if one.rows]
    names = (
        ("Moves it by", "Off before", "Off after") if any(one.move for one in tried) else ("Answer changes", "Right before", "Right after")
    )
    columns = (Column("The text is changed"), *(Column(name, number=True) for name in (*names, "Texts")))
    table = tables.table("Edge cases", columns, [_line(one) for one in tried])
    left = [one.name for one in told.edge_cases if not one.rows]
    none = f" Applies to no text here: {escape(', '.join(left))}." if left else ""
    rows = f"Made from {words.counted(told.edge_rows, 'test row')} of {words.count(told.test_rows)}; in brackets the 95 % interval.{none}"
    return f'<h3>Edge cases</h3><p><b>{verdict(told)}</b></p>{table}<p class="soft">{rows}</p>{_examples(tried)}'


def _line(one: Finding) -> tuple[str, ...]:
    if one.move is not None:
        mean = one.move.mean
        share = f"{number(mean.value)} {tables.soft(f'({number(mean.low)} to {number(mean.high)})')}"
        before, after = (number(off) if one.stays else "–" for off in (one.move.off_before, one.move.off_after))
    else:
        assert one.changed is not None
        share = f"{words.percent(one.changed.value)} {tables.soft(f'({one.changed.low * 100:.0f} to {one.changed.high * 100:.0f})')}"
        before, after = (words.percent(part / one.rows) if one.stays else "–" for part in (one.right_before, one.right_after))
    name = escape(one.name) if one.stays else f"{escape(one.name)} {tables.soft('may rightly change it')}"
    return name, share, before, after, words.count(one.rows)


def verdict(told: Probed) -> str:
    """What it stumbles over most, among the changes that should leave the answer as it was."""
    moved = [(one, one.move) for one in told.edge_cases if one.stays and one.move is not None]
    if moved:
        furthest, move = max(moved, key=lambda pair: pair[1].mean.value)
        told_of = f"“{escape(furthest.name)}” moves its numbers by {number(move.mean.value)} on average, beside a mean error of "
        told_of += number(move.off_before)
        share = move.mean.value / (move.off_before or 1.0)
        return f"It stumbles: {told_of}." if share >= FAR else f"It is {'very' if share <= NEAR else 'fairly'} steady: at most, {told_of}."
    steady = [one for one in told.edge_cases if one.stays and one.changed is not None]
    if not steady:
        return "No text here could be changed."
    worst = max(steady, key=lambda one: one.changed.value if one.changed else 0.0)
    assert worst.changed is not None
    if worst.changed.value <= LITTLE:
        return "It hardly minds: no change that should not matter turns more than 2 % of its answers."
    told_of = f"“{escape(worst.name)}” changes {words.percent(worst.changed.value)} of its answers"
    return f"It stumbles: {told_of}." if worst.changed.value >= MUCH else f"It is fairly steady: at most, {told_of}."


def _examples(findings: list[Finding]) -> str:
    columns = (
        Column("Change"),
        Column("The text then", style="text"),
        Column("It said", style="label"),
        Column("It says then", style="label"),
    )
    rows = [
        (escape(one.name), tables.cut(shown.after, TEXT_SHOWN), escape(shown.said_before), escape(shown.said_after))
        for one in findings
        for shown in one.examples[:2]
    ]
    if not rows:
        return ""
    return f"<details><summary>Some texts whose answer changed</summary>{tables.table('Changed answers', columns, rows)}</details>"


def speed(told: Probed) -> str:
    """A line a model: one text by itself, and rows a second at the best size of batch."""
    columns = (
        Column(""), Column("One text, usually", number=True), Column("95 of 100 texts under", number=True),
        Column("Texts a second", number=True), Column("in batches of", number=True),
    )  # fmt: skip
    rows = (
        (
            NAMES[one.id],
            milliseconds(one.median_seconds),
            milliseconds(one.slow_seconds),
            f"{one.rows_per_second:,.0f}",
            words.count(one.best_batch),
        )
        for one in told.speed
    )
    table = tables.table("Speed", columns, rows, row_styles=("ours",))
    where = f"The same texts for all, from text to answer, on {escape(told.device)}. {NOISE}"
    return f'<h3>Speed</h3><p><b>{_speed_verdict(told.speed)}</b></p>{table}<p class="soft">{where}</p>'


def _speed_verdict(speeds: tuple[Speed, ...]) -> str:
    by_id = {one.id: one for one in speeds}
    mine, merged = by_id["tuned"], by_id.get("merged")
    told = f"One text takes {milliseconds(mine.median_seconds)}"
    if merged is not None and merged.median_seconds < 0.9 * mine.median_seconds:
        told += f"; merged into one model, {milliseconds(merged.median_seconds)}"
    return f"{told}."


def milliseconds(seconds: float) -> str:
    amount = 1000 * seconds
    return f"{amount:.1f}{words.HARD_SPACE}ms" if amount < 10 else f"{amount:,.0f}{words.HARD_SPACE}ms"


def corrects(told: Probed | None) -> bool:
    """Whether a look learnt a temperature that changes anything."""
    return told is not None and told.temperature is not None and abs(told.temperature - 1) >= NOTHING


def correction(told: Probed | None, now: float, then: float, *, on: bool) -> str:
    """What the correction of its confidence brings: `now` and `then` are the calibration errors without and with it."""
    if told is None:
        return '<p class="soft">A closer look, below, learns how to correct it.</p>'
    if told.temperature is None:
        return f'<p class="soft">{words.counted(told.temperature_rows, "validation row")} could not tell how to correct it.</p>'
    if not corrects(told) and not on:
        learnt = f"{words.counted(told.temperature_rows, 'validation row')} ask for temperature {told.temperature:.2f}"
        return f'<p class="soft">There is nothing to correct: {learnt}, which leaves it as it is.</p>'
    brings = f"{'makes' if on else 'would make'} the error on the test rows {words.percent(then)} instead of {words.percent(now)}"
    how = f"temperature {told.temperature:.2f}, learnt from {words.counted(told.temperature_rows, 'validation row')}, never from the test"
    worth = "" if then <= now else " That is worse: better leave it." if not on else " That is worse: better switch it off."
    then_on = "No answer changes, only how sure it is; Try and what you take home use it too."
    return f'<p class="soft">The correction {brings} ({how}).{worth} {then_on}</p>'
