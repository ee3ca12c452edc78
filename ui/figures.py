"""Plotly figures of a run, as the plain data that Plotly's own JSON holds. Pure: no file, no clock, no plotly import.

The page process stays small without the plotly package; a test builds every figure with it, so that an unknown property is caught.
Colours are named by the page's style sheet where it can (text, grid), so that one figure suits light and dark. The two series
colours differ in brightness as well as in hue (blue #2f7fb8, orange #d9822b), and in dash, so that they can be told apart without colour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from engine.comparison import Figure as Interval
from engine.criterion import Criterion
from engine.drawing import COLOURS, DASHES
from engine.evaluate import Evaluation
from engine.events import Step
from engine.store import RunRecord
from engine.study_result import Result

Figure = dict[str, Any]
POINTS = 400  # a curve on the page is about 500 pixels wide
INK = "#10293d"  # on any cell of a matrix
BLUE, ORANGE, GREY = "#2f7fb8", "#d9822b", "#8a929c"
FONT = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'Noto Sans Bengali', 'Nirmala UI', 'Kohinoor Bangla', sans-serif"
METRICS = {
    "macro_f1": "Macro F1",
    "weighted_f1": "Weighted F1",
    "accuracy": "Accuracy",
    "loss": "Held-out loss",
    "perplexity": "Perplexity",
    "mae": "Mean error",
    "spearman": "Order (Spearman)",
    "r2": "R²",
    "pearson": "Straight line (Pearson)",
    "micro_f1": "Micro F1",
    "exact": "Exactly right",
    "average_precision": "Average precision",
}
SYMBOLS = ("circle", "diamond", "square", "cross")  # of the methods that share a colour
FAR = 4  # times the span of what is compared; a baseline beyond it is told and not drawn
MOST_NAMES = 7  # in a picture, beside their dots; more stand in a legend
PLOT = (440, 250)  # about the pixels of a picture of methods without its axes, for placing names
NAMES = ("loss", "metric", "rate", "norm", "memory")


def curves(record: RunRecord, metric: str = "macro_f1", loss_unit: str = "nats a row") -> dict[str, Figure]:
    """Every live figure of a run, by name."""
    return {
        "loss": loss(record, loss_unit),
        "metric": held_out(record, metric),
        "rate": learning_rate(record),
        "norm": gradient_norm(record),
        "memory": memory(record),
    }


def loss(record: RunRecord, unit: str = "nats a row") -> Figure:
    """Training loss, smoothed over the steps that share a point, beside the held-out loss."""
    steps = thinned(record.steps)
    checks = [one for one in record.evaluations if one.split == "validation"]
    series = [
        _line("Training", [one[-1].step for one in steps], [_mean([step.loss for step in one]) for one in steps], BLUE),
        _line("Held-out", [one.step for one in checks], [one.metrics.get("loss") for one in checks], ORANGE, dash="dot", markers=True),
    ]
    return _figure(series, "Steps", f"Loss ({unit})", record.id)


def held_out(record: RunRecord, metric: str) -> Figure:
    """The metric on the validation rows at every check; the best one is marked."""
    checks = [one for one in record.evaluations if one.split == "validation"]
    values = [one.metrics.get(metric) for one in checks]
    name = METRICS.get(metric, metric)
    series = [_line(name, [one.step for one in checks], values, ORANGE, markers=True)]
    best = next((one for one in reversed(checks) if one.best), None)
    if best is not None:
        series.append(_dot("Best, kept", best.step, best.metrics.get(metric)))
    return _figure(series, "Steps", f"{name}, held-out rows", record.id)


def learning_rate(record: RunRecord) -> Figure:
    steps = thinned(record.steps)
    line = _line("Learning rate", [one[-1].step for one in steps], [one[-1].learning_rate for one in steps], BLUE)
    figure = _figure([line], "Steps", "Learning rate", record.id)
    figure["layout"]["yaxis"] |= {"exponentformat": "e", "rangemode": "tozero"}
    return figure


def gradient_norm(record: RunRecord) -> Figure:
    steps = thinned(record.steps)
    highest = [_finite(max(step.grad_norm for step in one)) for one in steps]
    return _figure([_line("Gradient norm", [one[-1].step for one in steps], highest, BLUE)], "Steps", "Gradient norm", record.id)


def memory(record: RunRecord) -> Figure:
    """Memory in use over the minutes of the run, and its peak so far: the GPU's where there is one, else the process's."""
    told = _every(record.resources, POINTS)
    start = told[0].time if told else 0.0
    minutes = [(one.time - start) / 60 for one in told]
    on_gpu = any(one.vram_bytes is not None for one in told)
    series = []
    if on_gpu:
        series.append(_line("GPU, used", minutes, [_gigabytes(one.vram_bytes) for one in told], BLUE))
        series.append(_line("GPU, peak", minutes, [_gigabytes(one.vram_peak_bytes) for one in told], ORANGE, dash="dot"))
    series.append(_line("RAM, used", minutes, [_gigabytes(one.ram_bytes) for one in told], GREY if on_gpu else BLUE))
    if not on_gpu:
        series.append(_line("RAM, peak", minutes, [_gigabytes(one.ram_peak_bytes) for one in told], ORANGE, dash="dot"))
    figure = _figure(series, "Minutes", "Memory (GB)", record.id)
    figure["layout"]["yaxis"]["rangemode"] = "tozero"
    return figure


def confusion(evaluation: Evaluation) -> Figure:
    """Rows: the true label; columns: what the model said. A cell's shade is its share of the row, its text the number of rows."""
    names = [_shortened(name) for name in evaluation.classes]
    shares = [[cell / sum(row) if sum(row) else 0.0 for cell in row] for row in evaluation.confusion]
    few = len(names) <= 12
    cells: Figure = {
        "type": "heatmap",
        "x": list(range(len(names))),  # numbers, for two long names may be shortened alike
        "y": list(range(len(names))),
        "z": shares,
        "customdata": [[[names[i], names[j], cell] for j, cell in enumerate(row)] for i, row in enumerate(evaluation.confusion)],
        "text": [
            [f"{cell:,}<br>{share:.0%}" for cell, share in zip(*both, strict=True)]
            for both in zip(evaluation.confusion, shares, strict=True)
        ],
        "texttemplate": "%{text}" if few else "",
        "textfont": {"size": 14, "color": INK},
        "hovertemplate": "%{customdata[0]}, called %{customdata[1]}: %{customdata[2]} rows (%{z:.0%})<extra></extra>",
        "colorscale": [[0, "#f2f6fa"], [1, "#6ea6d2"]],
        "zmin": 0,
        "zmax": 1,
        "xgap": 2,
        "ygap": 2,
        "showscale": False,
    }
    figure = _figure([cells], "What the model said", "True label", "confusion")
    ticks = {"tickvals": list(range(len(names))), "ticktext": names, "showgrid": False, "zeroline": False}
    figure["layout"]["xaxis"].update(ticks, side="bottom")
    figure["layout"]["yaxis"].update(ticks, autorange="reversed", automargin=True)
    figure["layout"]["height"] = max(300, min(900, 110 + 56 * len(names)) if few else min(1400, 160 + 16 * len(names)))
    return figure


def study(result: Result) -> dict[str, Figure | None]:
    """The pictures of a study, by name; None for one that would say nothing. Each arm has a colour, and its name at its dot or line."""
    compared, curve = result.study.varies == "methods", result.study.varies == "shares"
    return {
        "study-curve": learning_curve(result) if curve else None,
        "study-memory": quality(result, "memory") if compared else None,
        "study-time": quality(result, "time") if compared else None,
        "study-loss": losses(result),
    }


def learning_curve(result: Result) -> Figure:
    """The study's figure over the training rows, with the intervals as bars and the baselines across."""
    first = result.criteria[0]
    judged = [(row.train_rows, row.quality) for row in result.rows if row.quality is not None and row.train_rows]
    x, y = [rows for rows, _ in judged], [first.times * one.value for _, one in judged]
    line = _line(first.name, x, [_rounded(one) for one in y], BLUE, markers=True)
    above, below = ([first.times * abs(edge - one.value) for edge, one in edges] for edges in (
        [(one.high, one) for _, one in judged], [(one.low, one) for _, one in judged],
    ))  # fmt: skip
    bars = {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "color": f"{BLUE}80", "thickness": 1, "width": 3}
    line |= {"error_y": bars, "hovertemplate": f"%{{x:,}} rows: {_hover(first)}<extra></extra>"}
    figure = _figure([line] if judged else [], "Training rows", first.axis, result.study.id)
    figure["layout"] |= {"height": 340, "showlegend": False, "hovermode": "closest"}
    if not judged:
        return _empty(figure, "Fills when the first run has been judged")
    reach = [first.times * edge for _, one in judged for edge in (one.low, one.high)]
    levels, far = _levels(result, reach)
    figure["layout"]["yaxis"]["range"] = _roomy([*reach, *(level for _, level in levels)], 0.05)
    figure["layout"]["xaxis"]["range"] = [0, 1.08 * max(x)]
    figure["layout"]["shapes"] = [_level(level) for _, level in levels]
    figure["layout"]["annotations"] = [*(_named(name, level) for name, level in levels), *far]
    return figure


def quality(result: Result, against: Literal["memory", "time"]) -> Figure:
    """The study's figure of every judged method over its peak memory or its minutes, with the interval as a thin bar."""
    first = result.criteria[0]
    series, points, reach = [], [], []
    for at, row in enumerate(result.rows):
        amount = row.peak_bytes if against == "memory" else row.seconds
        if row.quality is None or amount is None:
            continue
        x, (y, low, high) = amount / (1e9 if against == "memory" else 60), (first.times * one for one in _ends(row.quality))
        colour = COLOURS[at % len(COLOURS)]
        dot = _line(row.name, [round(x, 3)], [_rounded(y)], colour)
        bars = {"type": "data", "symmetric": False, "array": [high - y], "arrayminus": [y - low]}
        look = {"color": f"{colour}80", "thickness": 1, "width": 3}
        label = f"{row.name}: {_hover(first)}, %{{x:.2f}}<extra></extra>"
        marker = {"color": colour, "size": 10, "symbol": SYMBOLS[at // len(COLOURS) % len(SYMBOLS)]}
        series.append(dot | {"mode": "markers", "marker": marker, "error_y": bars | look, "hovertemplate": label})
        points.append((row.name, x, y))
        reach += [low, high]
    figure = _figure(series, "Peak memory (GB)" if against == "memory" else "Minutes a run", first.axis, result.study.id)
    figure["layout"] |= {"height": 340, "showlegend": False, "hovermode": "closest"}
    if not points:
        return _empty(figure, "Fills when the first method has been judged")
    levels, far = _levels(result, reach)
    across, up = _roomy([x for _, x, _ in points], 0.3), _roomy([*reach, *(level for _, level in levels)], 0.05)
    figure["layout"]["xaxis"]["range"], figure["layout"]["yaxis"]["range"] = across, up
    figure["layout"]["shapes"] = [_level(level) for _, level in levels]
    across_it = [*(_named(name, level) for name, level in levels), *far]
    many = len(points) > MOST_NAMES
    figure["layout"]["annotations"] = [*([] if many else _beside(points, across, up, levels)), *across_it]
    if many:
        figure["layout"] |= {"showlegend": True, "legend": {"x": 1.02, "xanchor": "left", "y": 1, "yanchor": "top"}}
        figure["layout"]["margin"] |= {"t": 28 if far else 8}  # so high that the legend of 14 methods does not scroll
    figure["layout"]["meta"] = {"narrow": _narrow(len(series)) | {"annotations": across_it}}
    return figure


def _ends(one: Interval) -> tuple[float, float, float]:
    return one.value, one.low, one.high


def _hover(criterion: Criterion) -> str:
    """How a value is told where the pointer rests on it."""
    return "%{y:.1f} %" if criterion.share else "%{y:.4~g}"


def _rounded(value: float) -> float:
    """Five figures that matter."""
    return float(f"{value:.5g}")


def _narrow(methods: int) -> Figure:
    """What of the layout is otherwise where page.js finds a picture narrow: no name in the plot, where they would cover one another."""
    legend = {"orientation": "h", "x": -0.16, "xanchor": "left", "y": -0.26, "yanchor": "top", "entrywidth": 96}
    lines = 20 * math.ceil(methods / 2)
    margin = {"l": 56, "r": 12, "t": 28, "b": 60 + lines}
    return {"height": 300 + lines, "showlegend": True, "legend": legend, "margin": margin, "annotations": []}


def _empty(figure: Figure, why: str) -> Figure:
    """A picture without axes that says when it will show something."""
    for axis in ("xaxis", "yaxis"):
        figure["layout"][axis] |= {"visible": False, "range": [0, 1]}
    note = {"x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper", "text": why, "showarrow": False, "font": {"color": GREY}}
    figure["layout"]["annotations"] = [note]
    return figure


def _level(level: float) -> Figure:
    """A baseline across the picture."""
    line = {"color": GREY, "width": 1, "dash": "dash"}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": level, "y1": level, "line": line}


def _levels(result: Result, reach: Sequence[float]) -> tuple[list[tuple[str, float]], list[Figure]]:
    """The baselines that are drawn, and notes of those so far off that all else would lie on one line beside them."""
    first, span = result.criteria[0], max(reach) - min(reach)
    near: list[tuple[str, float]] = []
    far: list[Figure] = []
    for one in result.baselines:
        level = first.times * one.quality
        above = level > max(reach) + FAR * span
        if first.share or not (above or level < min(reach) - FAR * span):
            near.append((one.name, level))
        else:
            note = f"{one.name}: {first.words(one.quality)}, {'above' if above else 'below'} this picture"
            place = {"xref": "paper", "x": 1, "xanchor": "right", "yref": "paper", "y": 1 if above else 0}
            shift = {"yanchor": "bottom", "yshift": 16 * len(far)}  # above the plot, or at its foot
            far.append({"text": note, "showarrow": False, "font": {"color": GREY, "size": 12}, **place, **shift})
    return near, far


def _named(name: str, level: float) -> Figure:
    place = {"xref": "paper", "x": 1, "y": level, "xanchor": "right", "yanchor": "bottom"}
    return {"text": name, "showarrow": False, "font": {"color": GREY, "size": 12}, **place}


def _roomy(values: list[float], share: float) -> list[float]:
    """An axis with room beyond the outermost values."""
    room = share * (max(values) - min(values)) or 0.5 * max(values) or 1.0
    lowest = min(values) - room
    return [max(0.0, lowest) if min(values) >= 0 else lowest, max(values) + room]


def _beside(
    points: Sequence[tuple[str, float, float]], across: list[float], up: list[float], levels: Sequence[tuple[str, float]] = ()
) -> list[Figure]:
    """A name for each dot, at its right or left and up to three lines higher or lower: wherever it covers least, names of levels too."""

    def height(y: float) -> float:
        return PLOT[1] * (y - up[0]) / (up[1] - up[0])

    dots = [(PLOT[0] * (x - across[0]) / (across[1] - across[0]), height(y)) for _, x, y in points]
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y in dots]
    taken += [(PLOT[0] - 7.0 * len(name), height(level), float(PLOT[0]), height(level) + 16) for name, level in levels]
    made = []
    for (name, x, y), (left, low) in zip(points, dots, strict=True):
        width = 7.0 * len(_shortened(name))
        inward = ("left", "right") if left < PLOT[0] / 2 else ("right", "left")
        ways = [(side, dy) for dy in (0, 14, -14, 28, -28, 42, -42) for side in inward]  # the first of those that cover as little is taken
        boxes = {way: _box(left, low, width, *way) for way in ways}
        side, dy = min(ways, key=lambda way: sum(_covered(boxes[way], other) for other in taken) + 9 * _beyond(boxes[way]))
        taken.append(boxes[side, dy])
        place = {"xanchor": side, "yanchor": "middle", "xshift": 9 if side == "left" else -9, "yshift": dy}
        made.append({"x": x, "y": y, "text": _shortened(name), "showarrow": False, **place})
    return made


def _box(left: float, low: float, width: float, side: str, dy: int) -> tuple[float, float, float, float]:
    start = left + 9 if side == "left" else left - 9 - width
    return start, low + dy - 7, start + width, low + dy + 7


def _beyond(box: tuple[float, ...]) -> float:
    """How many pixels a box stands out of the plot."""
    return max(0.0, -box[0]) + max(0.0, box[2] - PLOT[0]) + max(0.0, -box[1]) + max(0.0, box[3] - PLOT[1])


def _covered(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """The area that two boxes (left, low, right, high) share."""
    wide, high = min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1])
    return wide * high if wide > 0 and high > 0 else 0.0


def losses(result: Result) -> Figure:
    """The training loss of every method's first run over the steps, one line a method, named at its end."""
    series, ends = [], []
    for at, row in enumerate(result.rows):
        curve = row.runs[0].curve if row.runs else ()
        if not curve:
            continue
        colour, dash = COLOURS[at % len(COLOURS)], ("solid", "dash", "dot", "dashdot")[at // len(COLOURS) % len(DASHES)]
        series.append(_line(row.name, [step for step, _ in curve], [round(loss, 4) for _, loss in curve], colour, dash=dash))
        if _finite(curve[-1][1]) is not None:
            ends.append((curve[-1][1], curve[-1][0], row.name, colour))
    figure = _figure(series, "Steps", f"Loss ({result.loss_unit})", result.study.id)
    figure["layout"] |= {"height": 340, "showlegend": False}
    figure["layout"]["margin"] |= {"r": 130}
    if ends:
        up = _roomy([loss for one in series for loss in one["y"] if loss is not None], 0.05)
        figure["layout"]["xaxis"]["range"] = [0, max(step for _, step, _, _ in ends)]
        figure["layout"]["yaxis"]["range"] = up
        figure["layout"]["annotations"] = _at_ends(sorted(ends, reverse=True), up)
    if not series:
        return _empty(figure, "Fills when the first run trains")
    figure["layout"]["meta"] = {"narrow": _narrow(len(series))}
    return figure


def _at_ends(ends: list[tuple[float, int, str, str]], up: list[float]) -> list[Figure]:
    """Names at the ends of the lines, from the highest down, moved up or down so that none covers another."""
    tall, line = 268, 15  # pixels of the plot and of a name
    wanted = [tall * (loss - up[0]) / (up[1] - up[0]) for loss, _, _, _ in ends]
    places = list(wanted)
    for at in range(1, len(places)):
        places[at] = min(places[at], places[at - 1] - line)
    for at in reversed(range(len(places))):
        places[at] = max(places[at], places[at + 1] + line if at + 1 < len(places) else 6)
    made = []
    for (loss, step, name, colour), want, place in zip(ends, wanted, places, strict=True):
        named = f'<span style="color:{colour}">●</span> {_shortened(name)}'
        where = {"xanchor": "left", "yanchor": "middle", "xshift": 8, "yshift": round(place - want)}
        made.append({"x": step, "y": loss, "text": named, "showarrow": False, **where})
    return made


def thinned(steps: Sequence[Step]) -> list[list[Step]]:
    """The steps in at most POINTS groups of neighbours, so that a long run costs no more to draw than a short one."""
    width = max(1, math.ceil(len(steps) / POINTS))
    return [list(steps[at : at + width]) for at in range(0, len(steps), width)]


def _every(items: Sequence[Any], most: int) -> list[Any]:
    """At most `most` of them, evenly spread; the last is always there."""
    width = max(1, math.ceil(len(items) / most))
    return [*items[:-1:width], items[-1]] if items else []


def _mean(values: list[float]) -> float | None:
    finite = [one for one in values if math.isfinite(one)]
    return sum(finite) / len(finite) if finite else None


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def _gigabytes(amount_bytes: int | None) -> float | None:
    return None if amount_bytes is None else round(amount_bytes / 1e9, 3)


def _shortened(name: str, most: int = 22) -> str:
    return name if len(name) <= most else name[: most - 1].rstrip() + "…"


def _line(name: str, x: list[Any], y: list[Any], colour: str, *, dash: str = "solid", markers: bool = False) -> Figure:
    return {
        "type": "scatter",
        "name": name,
        "mode": "lines+markers" if markers or len(x) == 1 else "lines",
        "x": x,
        "y": [_finite(one) for one in y],
        "line": {"color": colour, "width": 2, "dash": dash},
        "marker": {"color": colour, "size": 6},
    }


def _dot(name: str, x: float, y: float | None) -> Figure:
    return {
        "type": "scatter",
        "name": name,
        "mode": "markers",
        "x": [x],
        "y": [y],
        "marker": {"color": BLUE, "size": 12, "symbol": "circle-open", "line": {"width": 2}},
    }


def _figure(series: list[Figure], x_title: str, y_title: str, revision: str) -> Figure:
    """A figure in the house style. `uirevision` stays the same for a run, so that a viewer's zoom outlives a redraw."""
    axis = {"showgrid": True, "gridcolor": "rgba(128,136,148,0.18)", "zeroline": False, "automargin": True, "fixedrange": False}
    empty = bool(series) and all(one["type"] == "scatter" and not one["x"] for one in series)
    axis |= {"showticklabels": False} if empty else {}  # of an axis without a point Plotly makes up figures
    return {
        "data": series,
        "layout": {
            "annotations": [{"text": "Nothing yet", "showarrow": False, "xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5}] * empty,
            "uirevision": revision,
            "height": 240,
            "margin": {"l": 56, "r": 12, "t": 28, "b": 44},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": FONT, "size": 12},
            "xaxis": {**axis, "title": {"text": x_title, "standoff": 8}},
            "yaxis": {**axis, "title": {"text": y_title, "standoff": 8}},
            "showlegend": len(series) > 1,
            "legend": {"orientation": "h", "x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom"},
            "hovermode": "x unified" if series and series[0]["type"] == "scatter" else "closest",
            "dragmode": "zoom",
        },
    }


line, framed, shortened = _line, _figure, _shortened  # for pictures that stand in files of their own
