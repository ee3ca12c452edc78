"""What a run's page shows of people's review: the links, who has done how much, and how far they agree. Pure: safe HTML out."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from html import escape

from engine.reviews import Asked, Outcome, Said, Sheet, table
from engine.verdict import percent
from ui import tables, words
from ui.review_page import link
from ui.tables import Column

SHOWN = 20  # disputed rows
TEXT_SHOWN = 140
ACTIVE = "=+-@\t\r"  # at its beginning, a spreadsheet takes a cell for a formula
NAMES = {"label": "Label", "accuracy": "Accuracy", "fluency": "Fluency", "relevance": "Relevance", "tone": "Tone"}
RATED = (
    "Ratings are means of 1 to 5, with the 95 % interval of rows drawn again: it tells what chance in the rows can do, not how "
    "these people differ from others."
)
SCALE = (
    "Of ratings the weighted kappa counts: by it 4 beside 5 is nearly agreement and 1 beside 5 none (the square of the distance). The "
    "unweighted takes both for whole disagreements, and comes out lower."
)
CUSTOM = (
    "Kappa is the agreement beyond what chance alone would give: 1 is all of it, 0 none. Over 0.7 counts as good, 0.4 to 0.7 as moderate; "
    "such borders are customs, and kappa sinks where one label prevails."
)


def links(sheet: Sheet | None) -> str:
    """A link for each person; whoever has one can answer in that name, without the password of this page."""
    if sheet is None:
        return ""
    rows = [
        (escape(person.name), f'<a class="full" href="{link(sheet, place)}" target="_blank" rel="noreferrer">{link(sheet, place)}</a>')
        for place, person in enumerate(sheet.people)
    ]
    kinds = (
        "label, answer, certainty, length and script" if sheet.classes else "length, script, and whether the answer is just the wanted one"
    )
    told = f"{words.count(len(sheet.rows))} rows, chosen to differ in {kinds}."
    note = "Send each person her link. It needs no password and leads to these rows only; answers are kept at once and survive a restart."
    return f'<p>{told}</p>{tables.table("Links", (Column("For"), Column("Link")), rows)}<p class="soft">{note}</p>'


def outcome(sheet: Sheet | None, told: Outcome | None) -> str:
    """Who has done how much, how far they agree, the model beside them, and the rows they differ on."""
    if sheet is None or told is None or not any(one.done or one.judged for one in told.people):
        return ""
    labelled = "label" in sheet.questions
    rows = [
        (
            escape(one.name),
            f"{words.count(one.done)} of {words.count(len(sheet.rows))}",
            *((_share(one.like_file, one.judged), _share(one.like_model, one.judged)) if labelled else ()),
            *(_mean(each.each[place]) for _, each in told.ratings),
        )
        for place, one in enumerate(told.people)
    ]
    if told.ratings:
        rows.append(("All", "", *(("", "") if labelled else ()), *(each.figure for _, each in told.ratings)))
    names = ("Judged", *(("Like the file", "Like the model") if labelled else ()), *(NAMES[question] for question, _ in told.ratings))
    columns = (Column("Person"), *(Column(name, number=True) for name in names))
    lines = [f"<b>{NAMES[question]}</b>: {escape(each.words)}" for question, each in told.agreements]
    if told.model is not None:
        same = f"it says the same in {percent(told.model.same)}; agreement beyond chance {told.model.level}"
        lines.append(f"<b>The model beside the label that most gave</b>: {same} ({escape(told.model.figure)}).")
    notes = " ".join([*([RATED] if told.ratings else []), *([CUSTOM] if lines else []), *([SCALE] if lines and told.ratings else [])])
    note = f'<p class="soft">{notes}</p>' if notes else ""
    return f"<h3>What they said</h3>{tables.table('Reviews', columns, rows)}{tables.notes(lines)}{note}{_disputed(sheet, told)}"


def _mean(rated: float | None) -> str:
    return "–" if rated is None else f"{rated:.1f}"


def _share(hits: int, of: int) -> str:
    return percent(hits / of) if of else "–"


def _disputed(sheet: Sheet, told: Outcome) -> str:
    if not told.disputed:
        return ""
    names = [one.name for one, beside in zip(sheet.people, told.people, strict=True) if beside.judged]
    columns = (Column("Text", style="text"), Column("File", style="label"), Column("Model", style="label"))
    rows = [
        (_texts(asked), escape(asked.label), escape(asked.predicted), *(escape(one or "–") for one in given))
        for asked, given in told.disputed[:SHOWN]
    ]
    shown = f"The first {SHOWN} of {words.count(len(told.disputed))} rows" if len(told.disputed) > SHOWN else "Rows"
    made = tables.table("Rows they differ on", (*columns, *(Column(escape(one), style="label") for one in names)), rows, tall=True)
    return f"<details><summary>{shown} they differ on</summary>{made}</details>"


def _texts(asked: Asked) -> str:
    """The row's text, and under it what the model read beside it."""
    second = "" if asked.second is None else f'<span class="second">{tables.cut(asked.second, TEXT_SHOWN)}</span>'
    return f"{tables.cut(asked.text, TEXT_SHOWN)}{second}"


def to_csv(sheet: Sheet, said: Sequence[Said]) -> str:
    """Each row with everybody's answers. A cell that a spreadsheet would run begins with an apostrophe."""
    lines = table(sheet, said)
    written = io.StringIO(newline="")
    told = csv.writer(written)
    told.writerow([_inert(name) for name in lines[0]])
    told.writerows([_inert(value) for value in line.values()] for line in lines)
    return "\ufeff" + written.getvalue()


def _inert(value: object) -> str:
    told = "" if value is None else str(value)
    return f"'{told}" if told[:1] and told[0] in ACTIVE else told
