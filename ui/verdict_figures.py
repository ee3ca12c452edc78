"""Plotly figures of how sure a model is, as plain data in the house style of figures.py. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from engine.calibration import Confidence
from engine.drawing import COLOURS
from ui.confidence import FEW, shown
from ui.figures import BLUE, GREY, ORANGE, Figure, framed, line, shortened

HEIGHT = 300


def confidence(told: Confidence | None) -> dict[str, Figure]:
    """Every picture of a run's confidence, by name; empty where there is none."""
    if told is None:
        return {}
    return {"calibration": calibration(told), "silence": silence(told), "precision": precision(told)}


def calibration(told: Confidence) -> Figure:
    """The share of right rows over confidence; the size of a dot says how many rows are behind it."""
    most = max(one.rows for one in told.bins)
    ideal = line("As it should be", [0, 100], [0, 100], GREY, dash="dash")
    dots = line("This model", [_percent(one.confidence) for one in told.bins], [_percent(one.right) for one in told.bins], BLUE)
    dots |= {
        "mode": "lines+markers",
        "marker": {"color": BLUE, "size": [6 + 12 * (one.rows / most) ** 0.5 for one in told.bins]},
        "customdata": [one.rows for one in told.bins],
        "hovertemplate": "%{x:.0f} % sure, %{y:.0f} % right, %{customdata} rows<extra></extra>",
    }
    figure = framed([ideal, dots], "How sure it is (%)", "How often it is right (%)", "calibration")
    figure["layout"] |= {"height": HEIGHT, "hovermode": "closest"}
    for axis in ("xaxis", "yaxis"):
        figure["layout"][axis]["range"] = [0, 103]
    return figure


def silence(told: Confidence) -> Figure:
    """What is answered, and how much of that is right, over the least confidence asked for."""
    at = [one.threshold for one in told.silence]
    answered = line("Rows answered", at, [_percent(one.share) for one in told.silence], ORANGE, dash="dot")
    right = line(
        "Right of those", at, [_percent(one.right.value) if one.right and one.answered >= FEW else None for one in told.silence], BLUE
    )
    figure = framed([right, answered], "Answers if at least so sure", "Rows (%)", "silence")
    figure["layout"] |= {"height": HEIGHT}
    figure["layout"]["yaxis"]["range"] = [0, 103]
    figure["layout"]["xaxis"]["range"] = [0, 1]
    return figure


def precision(told: Confidence) -> Figure:
    """Precision over recall, a line a class."""
    series = []
    for at, one in enumerate(shown(told.curves)):
        name = shortened(one.label)
        drawn = line(
            f"{name} {100 * one.average_precision:.0f} %", _percents(one.recall), _percents(one.precision), COLOURS[at % len(COLOURS)]
        )
        series.append(drawn | {"mode": "lines", "hovertemplate": f"{name}: %{{x:.0f}} % found, %{{y:.0f}} % right<extra></extra>"})
    figure = framed(series, "Recall: found of its rows (%)", "Precision: right of those (%)", "precision")
    figure["layout"] |= {"height": HEIGHT, "hovermode": "closest", "showlegend": True}
    for axis in ("xaxis", "yaxis"):
        figure["layout"][axis]["range"] = [0, 103]
    return figure


def _percent(share: float) -> float:
    return round(100 * share, 2)


def _percents(shares: Sequence[float]) -> list[float]:
    return [_percent(one) for one in shares]
