"""Pictures for files that are taken home: lines and dots as SVG, and the style of such a page. Pure; no file needs another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

# Okabe and Ito's colours, told apart by the colour-blind too (https://jfly.uni-koeln.de/color/), yellow left out as too pale on
# white; a grey that shows on the dark page too for black.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a7a7a")
DASHES = ("", "7 4", "2 3", "10 3 2 3")
WIDTH, HEIGHT = 680, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 16, 48  # room for axes, and at the right for the names
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
