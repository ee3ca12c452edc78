"""A study's result to take home: CSV, Markdown, and one HTML file with its pictures drawn as SVG. Pure; no file needs another."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from engine.comparison import Figure, minutes, size
from engine.study_result import Result, Row
from engine.varied import TITLES
from engine.verdict import percent

# Okabe and Ito's colours, told apart by the colour-blind too (https://jfly.uni-koeln.de/color/), yellow left out as too pale on
# white; a grey that shows on the dark page too for black.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a7a7a")
DASHES = ("", "7 4", "2 3", "10 3 2 3")
DEFINITION = (
    "Loss spread: how much the training loss changes from step to step after the warm-up (median absolute deviation, as a standard "
    "deviation), as a share of the mean loss. Spikes: rises in one step of more than four spreads and a tenth of the mean loss. "
    "Diverged: the last fifth of the steps has a loss 1.2 times that of the first fifth, or a loss that is no number."
)
HEADINGS = (
    "Method", "State", "Trained", "Learning rate", "Accuracy", "Macro F1", "Peak memory", "Time a run", "Rows a second", "To store",
    "Loss spread", "Spikes",
)  # fmt: skip
WIDTH, HEIGHT = 680, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 16, 48  # room for axes, and at the right for the names


def headings(result: Result) -> tuple[str, ...]:
    """HEADINGS, the first of them by what the study varies."""
    return (TITLES[result.study.varies], *HEADINGS[1:])


def cells(row: Row) -> tuple[str, ...]:
    """A method's line as text, in the order of HEADINGS."""
    steady = row.stability
    return (
        row.name,
        row.state if row.state == "finished" else f"{row.state}: {row.reason}".rstrip(": "),
        "–" if row.trainable_share is None else small_percent(row.trainable_share),
        "–" if row.learning_rate is None else f"{row.learning_rate:g}",
        interval(row.accuracy),
        interval(row.macro_f1),
        "–" if row.peak_bytes is None else size(row.peak_bytes),
        "–" if row.seconds is None else minutes(row.seconds),
        "–" if row.rows_per_second is None else f"{row.rows_per_second:.1f}",
        "–" if row.saved_bytes is None else size(row.saved_bytes),
        "–" if steady is None else percent(steady.spread),
        "–" if steady is None else f"{steady.spikes}{', diverged' if steady.diverged else ''}",
    )


def interval(figure: Figure | None) -> str:
    """91.2 % (90.0 to 92.4)."""
    if figure is None:
        return "–"
    return f"{percent(figure.value)} ({100 * figure.low:.1f} to {100 * figure.high:.1f})"


def small_percent(share: float) -> str:
    points = 100 * share
    return f"{points:.0f}\u00a0%" if points >= 10 else f"{points:.2g}\u00a0%"


def interval_note(result: Result) -> str:
    """Where the intervals come from."""
    over = {row.macro_f1.basis for row in result.rows if row.macro_f1}
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
    """One line a method and baseline, plain numbers: shares, bytes, seconds."""
    names = (
        "method", "name", "state", "reason", "runs_finished", "seeds", "training_rows", "trainable_share", "learning_rate", "steps_per_run",
        "accuracy", "accuracy_low", "accuracy_high", "macro_f1", "macro_f1_low", "macro_f1_high", "interval_over", "peak_memory_bytes",
        "seconds_per_run", "rows_per_second", "stored_bytes", "loss_spread", "loss_spikes", "loss_spike_threshold",
        "diverged", "within_noise_of_best", "take",
    )  # fmt: skip
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(names)
    for row in result.rows:
        steady = row.stability
        judged = row.macro_f1 is not None and row.done > 0
        writer.writerow((
            row.method, row.name, row.state, "" if row.state == "finished" else row.reason, row.done,
            " ".join(str(one) for one in result.study.seeds), row.train_rows, row.trainable_share, row.learning_rate, row.total_steps,
            *_bounds(row.accuracy), *_bounds(row.macro_f1), row.macro_f1.basis if row.macro_f1 else None, row.peak_bytes, row.seconds,
            row.rows_per_second, row.saved_bytes,
            *((steady.spread, steady.spikes, steady.threshold, steady.diverged) if steady else (None,) * 4),
            row.method in result.advice.alike if judged else None, row.method == result.advice.take if judged else None,
        ))  # fmt: skip
    for one in result.baselines:
        known = {"method": one.id, "name": one.name, "state": "baseline", "accuracy": one.accuracy, "macro_f1": one.macro_f1}
        writer.writerow([known.get(name) for name in names])
    return out.getvalue()


def _bounds(figure: Figure | None) -> tuple[float | None, ...]:
    return (figure.value, figure.low, figure.high) if figure else (None, None, None)


def to_markdown(result: Result) -> str:
    """The advice, the table with the baselines in it, and the conditions."""
    study = result.study
    lines = [f"# {study.name}", "", " ".join(result.advice.sentences), "", _line(headings(result)), _line(["---"] * len(HEADINGS))]
    lines += [_line(cells(row)) for row in result.rows]
    lines += [_line(one) for one in baseline_cells(result)]
    lines += ["", notes(result), "", "## Conditions", ""]
    return "\n".join([*lines, *(f"- {one}" for one in conditions(result))]) + "\n"


def baseline_cells(result: Result) -> list[tuple[str, ...]]:
    """The baselines' lines, in the order of HEADINGS."""
    blank = ("–",) * (len(HEADINGS) - 6)
    return [(one.name, "baseline", "–", "–", percent(one.accuracy), percent(one.macro_f1), *blank) for one in result.baselines]


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


STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #56616f; --line: #d5dbe2; --ground: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ecf1; --soft: #a7b1bf; --line: #39424f; --ground: #12161c; } }
body { font: 15px/1.5 system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'Noto Sans Bengali', 'Nirmala UI', 'Kohinoor Bangla',
  sans-serif; color: var(--ink); background: var(--ground); max-width: 1080px; margin: 32px auto; padding: 0 16px;
  font-variant-numeric: tabular-nums; }
h1 { font-size: 21px; } h2 { font-size: 15px; margin-top: 32px; } .lead { font-size: 17px; } .soft { color: var(--soft); font-size: 13px; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: 13px; }
th, td { text-align: left; vertical-align: top; padding: 6px 14px 6px 0; border-bottom: 1px solid var(--line); }
tr.take th, tr.take td { font-weight: 650; } thead th { color: var(--soft); }
svg { max-width: 100%; height: auto; } svg text { fill: var(--ink); font-size: 12px; } svg .axis { stroke: var(--line); }
"""


def to_html(result: Result) -> str:
    """One file that needs nothing else: advice, table, pictures, conditions."""
    name = escape(result.study.name)
    body = "".join(_row(cells(row), "take" if row.method == result.advice.take else "") for row in result.rows)
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
    judged = [row for row in result.rows if row.macro_f1 is not None]

    def dots(of: str) -> list[Series]:
        found = []
        for row in judged:
            amount = row.peak_bytes if of == "memory" else row.seconds
            if amount is not None and row.macro_f1 is not None:
                x = amount / 1e9 if of == "memory" else amount / 60
                found.append(Series(row.name, places[row.method], ((x, 100 * row.macro_f1.value),)))
        return found

    curves = [Series(row.name, places[row.method], row.runs[0].curve) for row in result.rows if row.runs and row.runs[0].curve]
    if result.study.varies == "shares":
        line = tuple((float(row.train_rows), 100 * row.macro_f1.value) for row in judged if row.macro_f1)
        return [("Quality against training rows", plot([Series("Macro F1", 0, line)] if line else [], "Training rows", "Macro F1 (%)"))]
    if result.study.varies != "methods":
        return [("Training loss, first seed", plot(curves, "Steps", "Loss (nats a row)"))]
    return [
        ("Quality against memory", plot(dots("memory"), "Peak memory (GB)", "Macro F1 (%)")),
        ("Quality against time", plot(dots("time"), "Minutes a run", "Macro F1 (%)")),
        ("Training loss, first seed", plot(curves, "Steps", "Loss (nats a row)")),
    ]


@dataclass(frozen=True)
class Series:
    """A named line, or a dot where it has one point. `place` picks colour and dash."""

    name: str
    place: int
    points: tuple[tuple[float, float], ...]


def plot(series: Sequence[Series], x_title: str, y_title: str) -> str:
    """Lines or dots with axes, each named at its end; "" where there is nothing to draw."""
    drawn = [(one, [point for point in one.points if all(map(math.isfinite, point))]) for one in series]
    points = [point for _, kept in drawn for point in kept]
    if not points:
        return ""
    (x_low, x_high), (y_low, y_high) = (_span([point[at] for point in points]) for at in (0, 1))

    def at(point: tuple[float, float]) -> tuple[float, float]:
        across = (point[0] - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)
        up = (point[1] - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM)
        return LEFT + across, HEIGHT - BOTTOM - up

    parts = [_axes(x_low, x_high, y_low, y_high, x_title, y_title)]
    ends = []
    for one, kept in drawn:
        if not kept:
            continue
        colour, dash = COLOURS[one.place % len(COLOURS)], DASHES[one.place // len(COLOURS) % len(DASHES)]
        places = [at(point) for point in kept]
        if len(places) > 1:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>')
        else:
            parts.append(f'<circle cx="{places[0][0]:.1f}" cy="{places[0][1]:.1f}" r="5" fill="{colour}"/>')
        ends.append((places[-1], one.name, colour))
    parts += _names(ends)
    title = escape(f"{y_title} against {x_title}")
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{title}">{"".join(parts)}</svg>'


def _span(values: Sequence[float]) -> tuple[float, float]:
    """The values with a little room on both sides."""
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or max(abs(high) * 0.1, 0.5)
    return (max(0.0, low - room) if low >= 0 else low - room), high + room


def _axes(x_low: float, x_high: float, y_low: float, y_high: float, x_title: str, y_title: str) -> str:
    parts = []
    for tick in ticks(x_low, x_high):
        x = LEFT + (tick - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)
        parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{tick:g}</text>')
    for tick in ticks(y_low, y_high):
        y = HEIGHT - BOTTOM - (tick - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM)
        parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x_title)}</text>')
    parts.append(f'<text x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})">{escape(y_title)}</text>')
    return "".join(parts)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers between the two: steps of 1, 2 or 5 times a power of ten."""
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(times * power for times in (1, 2, 5, 10) if times * power >= raw)
    first = math.ceil(low / step)
    return [round(at * step, 10) for at in range(first, math.floor(high / step) + 1)]


def _names(ends: Sequence[tuple[tuple[float, float], str, str]]) -> list[str]:
    """Each name beside its end, pushed down where it would cover another."""
    parts: list[str] = []
    taken: list[tuple[float, float]] = []
    for (x, y), name, colour in sorted(ends, key=lambda one: one[0][1]):
        place = y + 4
        while any(abs(place - other) < 14 and abs(x - left) < RIGHT for left, other in taken):
            place += 2
        taken.append((x, place))
        if abs(place - y - 4) > 14:
            parts.append(f'<line x1="{x + 4:.1f}" y1="{y:.1f}" x2="{x + 9:.1f}" y2="{place - 4:.1f}" stroke="{colour}"/>')
        parts.append(f'<text x="{x + 10:.1f}" y="{place:.1f}">{escape(name)}</text>')
    return parts
