"""A study's result to take home: CSV, Markdown, and one HTML file with its pictures drawn as SVG. Pure; no file needs another."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from html import escape

from engine.comparison import Figure, minutes, size
from engine.criterion import Criterion
from engine.drawing import STYLE, Series, plot
from engine.ranking import Level
from engine.study_result import Result, Row
from engine.varied import TITLES
from engine.verdict import percent

DEFINITION = (
    "Loss spread: how much the training loss changes from step to step after the warm-up (median absolute deviation, as a standard "
    "deviation), as a share of the mean loss. Spikes: rises in one step of more than four spreads and a tenth of the mean loss. "
    "Diverged: the last fifth of the steps has a loss 1.2 times that of the first fifth, or a loss that is no number."
)
BEFORE = ("State", "Trained", "Learning rate")
BEHIND = ("Peak memory", "Time a run", "Rows a second", "To store", "Loss spread", "Spikes")


def headings(result: Result) -> tuple[str, ...]:
    """The columns' names: the first by what the study varies, then what each is, its figures, and what it cost."""
    return (TITLES[result.study.varies], *BEFORE, *map(titled, result.criteria), *BEHIND)


def titled(criterion: Criterion) -> str:
    """A column's name, with what is better where that is not what one expects."""
    return f"{criterion.name} (lower is better)" if criterion.better == "lower" else criterion.name


def cells(row: Row, criteria: Sequence[Criterion]) -> tuple[str, ...]:
    """A method's line as text, in the order of `headings`."""
    steady = row.stability
    return (
        row.name,
        row.state if row.state == "finished" else f"{row.state}: {row.reason}".rstrip(": "),
        "–" if row.trainable_share is None else small_percent(row.trainable_share),
        "–" if row.learning_rate is None else f"{row.learning_rate:g}",
        *(interval(figure, one) for figure, one in zip((row.quality, row.beside), criteria, strict=False)),
        "–" if row.peak_bytes is None else size(row.peak_bytes),
        "–" if row.seconds is None else minutes(row.seconds),
        "–" if row.rows_per_second is None else f"{row.rows_per_second:.1f}",
        "–" if row.saved_bytes is None else size(row.saved_bytes),
        "–" if steady is None else percent(steady.spread),
        "–" if steady is None else f"{steady.spikes}{', diverged' if steady.diverged else ''}",
    )


def interval(figure: Figure | None, criterion: Criterion) -> str:
    """91.2 % (90.0 to 92.4), or 0.312 (0.29 to 0.33)."""
    return "–" if figure is None else f"{criterion.words(figure.value)} ({criterion.bounds_words(figure)})"


def small_percent(share: float) -> str:
    points = 100 * share
    return f"{points:.0f}\u00a0%" if points >= 10 else f"{points:.2g}\u00a0%"


def interval_note(result: Result) -> str:
    """Where the intervals come from."""
    over = {row.quality.basis for row in result.rows if row.quality}
    spread = {"range": "of the range from one seed to the other", "seeds": "of Student's t over the seeds"}
    told = " or ".join(words for basis, words in spread.items() if basis in over)
    if told:
        few = " Two seeds are too few to tell how much is luck." if "range" in over else ""
        return (
            f"In brackets the 95 % interval: of several seeds the wider {told} and of the runs' own intervals on average; of a single run "
            f"by drawing its test rows again (bootstrap).{few}"
        )
    return "In brackets the 95 % interval, by drawing the test rows again (bootstrap)."


def time_note(result: Result) -> str:
    """Whose time holds work that later runs are spared; "" where no method has such work."""
    names = [row.name for row in result.rows if any(run.planned and run.planned.seconds_parts.get("frozen") for run in row.runs)]
    if not names:
        return ""
    return (
        f"The time of a run of {' or '.join(names)} includes computing its frozen part once, where that was not on the disk yet: as a rule "
        "with the first seed, while later seeds read it."
    )


def notes(result: Result) -> str:
    """What stands under the table: intervals, time, and how the loss is judged."""
    return " ".join(one for one in (interval_note(result), time_note(result), DEFINITION) if one)


def to_csv(result: Result) -> str:
    """One line a method and baseline, plain numbers: shares, bytes, seconds. Its figures stand under their ids."""
    criteria = [one.id or "quality" for one in result.criteria]
    names = (
        "method", "name", "state", "reason", "runs_finished", "seeds", "training_rows", "trainable_share", "learning_rate", "steps_per_run",
        *(f"{id}{side}" for id in criteria for side in ("", "_low", "_high")), "interval_over", "peak_memory_bytes",
        "seconds_per_run", "rows_per_second", "stored_bytes", "loss_spread", "loss_spikes", "loss_spike_threshold",
        "diverged", "within_noise_of_best", "take",
    )  # fmt: skip
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(names)
    for row in result.rows:
        steady = row.stability
        judged = row.quality is not None and row.done > 0
        figures = zip((row.quality, row.beside), criteria, strict=False)
        writer.writerow((
            row.method, row.name, row.state, "" if row.state == "finished" else row.reason, row.done,
            " ".join(str(one) for one in result.study.seeds), row.train_rows, row.trainable_share, row.learning_rate, row.total_steps,
            *(value for figure, _ in figures for value in _bounds(figure)), row.quality.basis if row.quality else None, row.peak_bytes,
            row.seconds, row.rows_per_second, row.saved_bytes,
            *((steady.spread, steady.spikes, steady.threshold, steady.diverged) if steady else (None,) * 4),
            row.method in result.advice.alike if judged else None, row.method == result.advice.take if judged else None,
        ))  # fmt: skip
    for one in result.baselines:
        reached = dict(zip(criteria, (one.quality, one.beside), strict=False))
        known = {"method": one.id, "name": one.name, "state": "baseline", **reached}
        writer.writerow([known.get(name) for name in names])
    return out.getvalue()


def _bounds(figure: Figure | None) -> tuple[float | None, ...]:
    return (figure.value, figure.low, figure.high) if figure else (None, None, None)


def to_markdown(result: Result) -> str:
    """The advice, the table with the baselines in it, and the conditions."""
    study = result.study
    lines = [f"# {study.name}", "", " ".join(result.advice.sentences), "", _line(headings(result)), _line(["---"] * len(headings(result)))]
    lines += [_line(cells(row, result.criteria)) for row in result.rows]
    lines += [_line(one) for one in baseline_cells(result)]
    lines += ["", notes(result), "", "## Conditions", ""]
    return "\n".join([*lines, *(f"- {one}" for one in conditions(result))]) + "\n"


def baseline_cells(result: Result) -> list[tuple[str, ...]]:
    """The baselines' lines, in the order of `headings`."""
    before, behind = ("–",) * (len(BEFORE) - 1), ("–",) * len(BEHIND)
    return [(one.name, "baseline", *before, *levels(one, result.criteria), *behind) for one in result.baselines]


def levels(one: Level, criteria: Sequence[Criterion]) -> tuple[str, ...]:
    """What a baseline reaches, in the order of the criteria."""
    reached = zip((one.quality, one.beside), criteria, strict=False)
    return tuple("–" if value is None else criterion.words(value) for value, criterion in reached)


def conditions(result: Result) -> tuple[str, ...]:
    """What was compared, and what was equal."""
    study = result.study
    seeds = ", ".join(map(str, study.seeds))
    data = f"Data {study.base.data.known_as}, model {study.base.model}; {'seed' if len(study.seeds) == 1 else 'seeds'} {seeds}."
    device = next((run.planned.device_words for row in result.rows for run in row.runs if run.planned), "")
    return (data, *study.notes, *([f"Measured on {device}."] if device else []))


def _line(values: Sequence[str]) -> str:
    return "| " + " | ".join(one.replace("|", "\\|").replace("\n", " ") for one in values) + " |"


# The HTML file


def to_html(result: Result) -> str:
    """One file that needs nothing else: advice, table, pictures, conditions."""
    name = escape(result.study.name)
    body = "".join(_row(cells(row, result.criteria), "take" if row.method == result.advice.take else "") for row in result.rows)
    body += "".join(_row(one, "soft") for one in baseline_cells(result))
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in headings(result))
    drawn = "".join(f"<h2>{escape(title)}</h2>{svg}" for title, svg in pictures(result) if svg)
    listed = "".join(f"<li>{escape(one)}</li>" for one in conditions(result))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}</title><style>{STYLE}</style></head><body><h1>{name}</h1>"
        f'<p class="lead">{escape(" ".join(result.advice.sentences))}</p>'
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        f'<p class="soft">{escape(notes(result))}</p>{drawn}<h2>Conditions</h2><ul class="soft">{listed}</ul>'
        f"</body></html>\n"
    )


def _row(values: Sequence[str], style: str) -> str:
    first, *rest = values
    return f'<tr class="{style}"><th scope="row">{escape(first)}</th>' + "".join(f"<td>{escape(one)}</td>" for one in rest) + "</tr>"


def pictures(result: Result) -> list[tuple[str, str]]:
    """The pictures with their titles, as SVG; "" for one that nothing is known for yet."""
    places = {row.method: at for at, row in enumerate(result.rows)}
    judged = [(row, row.quality) for row in result.rows if row.quality is not None]
    first = result.criteria[0]

    def dots(of: str) -> list[Series]:
        found = []
        for row, quality in judged:
            amount = row.peak_bytes if of == "memory" else row.seconds
            if amount is not None:
                x = amount / 1e9 if of == "memory" else amount / 60
                found.append(Series(row.name, places[row.method], ((x, first.times * quality.value),)))
        return found

    curves = [Series(row.name, places[row.method], row.runs[0].curve) for row in result.rows if row.runs and row.runs[0].curve]
    if result.study.varies == "shares":
        line = tuple((float(row.train_rows), first.times * quality.value) for row, quality in judged)
        return [("Quality against training rows", plot([Series(first.name, 0, line)] if line else [], "Training rows", first.axis))]
    loss = ("Training loss, first seed", plot(curves, "Steps", f"Loss ({result.loss_unit})"))
    if result.study.varies != "methods":
        return [loss]
    return [
        ("Quality against memory", plot(dots("memory"), "Peak memory (GB)", first.axis)),
        ("Quality against time", plot(dots("time"), "Minutes a run", first.axis)),
        loss,
    ]
