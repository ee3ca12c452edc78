"""Tables and bars as safe HTML, the same everywhere on the page. On a narrow screen a row becomes a block with named lines (theme.css)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from ui import words


@dataclass(frozen=True)
class Column:
    """A column's heading, and whether it holds numbers."""

    name: str
    number: bool = False
    style: str = ""


def table(
    title: str, columns: Sequence[Column], rows: Iterable[Sequence[str]], *, row_styles: Sequence[str] = (), tall: bool = False
) -> str:
    """A table whose cells are HTML already; the first cell of each row names it. It scrolls by itself where it is too wide or `tall`."""
    head = "".join(f'<th scope="col" class="{_style(column)}">{escape(column.name)}</th>' for column in columns)
    body = ""
    for at, row in enumerate(rows):
        first, *rest = row
        cells = "".join(
            f'<td class="{_style(column)}" data-name="{escape(column.name)}"><div>{cell}</div></td>'
            for column, cell in zip(columns[1:], rest, strict=True)
        )
        style = row_styles[at] if at < len(row_styles) else ""
        body += f'<tr class="{style}"><th scope="row" class="{columns[0].style}">{first}</th>{cells}</tr>'
    return (
        f'<div class="scroll{" tall" if tall else ""}" tabindex="0" role="region" aria-label="{escape(title)}">'
        f'<table class="stack"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _style(column: Column) -> str:
    return f"{column.style} number".strip() if column.number else column.style


def bars(title: str, lines: Iterable[tuple[str, float, str, str]], *, wide: bool = False) -> str:
    """A bar chart in a table: (name, share of the full width, number, and a second number in softer ink or "")."""
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="bar"><span style="width:{share * 100:.1f}%"></span></td>'
        f'<td class="number">{number}</td>' + (f'<td class="number soft">{beside}</td>' if beside else "") + "</tr>"
        for name, share, number, beside in lines
    )
    return f'<table class="bars{" wide" if wide else ""}"><caption class="unseen">{escape(title)}</caption><tbody>{body}</tbody></table>'


def cut(text: object, most: int) -> str:
    """Safe HTML of at most so many characters."""
    told = "" if text is None else str(text)
    return escape(told if len(told) <= most else told[: most - 1] + "…")


def soft(text: str) -> str:
    return f'<span class="soft">{text}</span>'


def figures(lines: Iterable[tuple[str, str]], style: str = "figures") -> str:
    """Names with what they are, the second as HTML."""
    return f'<dl class="{style}">' + "".join(f"<div><dt>{name}</dt><dd>{text}</dd></div>" for name, text in lines) + "</dl>"


def notes(lines: Iterable[str]) -> str:
    """A list of remarks; empty text where there is none."""
    listed = "".join(f"<li>{line}</li>" for line in lines)
    return f'<ul class="notes">{listed}</ul>' if listed else ""


def number(amount: float | None) -> str:
    """A share as a percentage, a dash where there is none."""
    return "–" if amount is None else words.percent(amount)
