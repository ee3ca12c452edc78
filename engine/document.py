"""A document of sections, written as one HTML file that needs nothing else, and as Markdown. Pure.

Whatever stands in it is text: it is escaped here, once, for either. Pictures are SVG of `drawing`, which escapes its names itself; in
Markdown they are left out, so whatever they show stands in words or a table too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from engine.drawing import STYLE

MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~])")


@dataclass(frozen=True)
class Words:
    """A paragraph."""

    text: str
    kind: str = ""  # "lead", "soft", or neither


@dataclass(frozen=True)
class Listed:
    """Points, one below the other."""

    points: tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    """A table; the first cell of a row names it."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Picture:
    title: str
    svg: str


@dataclass(frozen=True)
class Code:
    text: str


@dataclass(frozen=True)
class Check:
    """One item of a checklist: ticked by evidence, or open with what to do."""

    name: str
    done: bool
    told: str


@dataclass(frozen=True)
class Checks:
    items: tuple[Check, ...]


Block = Words | Listed | Grid | Picture | Code | Checks


@dataclass(frozen=True)
class Section:
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    title: str
    lead: str
    under: str  # what it is of, when and where
    sections: tuple[Section, ...]


# HTML

OWN_STYLE = """
p, li, h1 { overflow-wrap: anywhere; } h3 { font-size: 13px; color: var(--soft); margin: 20px 0 4px; }
h2 { border-top: 1px solid var(--line); padding-top: 20px; } .scroll { margin: 12px 0; }
td, th { max-width: 460px; min-width: 52px; overflow-wrap: break-word; } td:nth-child(2) { min-width: 96px; }
pre { overflow-x: auto; font-size: 12px; padding: 12px; border: 1px solid var(--line); }
ul.checks { list-style: none; padding: 0; } ul.checks li { margin: 10px 0; padding-left: 32px; position: relative; }
ul.checks .box { position: absolute; left: 0; top: 2px; width: 15px; height: 15px; border: 2px solid var(--soft); border-radius: 4px; }
ul.checks .done .box { background: #0072b2; border-color: #0072b2; }
ul.checks .done .box::after { content: ''; position: absolute; left: 4px; top: 0; width: 4px; height: 9px; border: solid #fff;
  border-width: 0 2px 2px 0; transform: rotate(45deg); }
@media print { body { max-width: none; margin: 0; } h2, table, svg, li { break-inside: avoid; } .scroll { overflow: visible; }
  pre { white-space: pre-wrap; } .box, .box::after { print-color-adjust: exact; } }
"""


def to_html(document: Document) -> str:
    """One file: styles and pictures inside, no script, nothing fetched."""
    title = escape(document.title)
    body = "".join(f"<section><h2>{escape(one.title)}</h2>{''.join(map(_html, one.blocks))}</section>" for one in document.sections)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}{OWN_STYLE}</style></head><body><main><h1>{title}</h1>"
        f'<p class="lead">{escape(document.lead)}</p><p class="soft">{escape(document.under)}</p>{body}</main></body></html>\n'
    )


def _html(block: Block) -> str:
    match block:
        case Words(text, kind):
            return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"
        case Listed(points):
            return "<ul>" + "".join(f"<li>{escape(one)}</li>" for one in points) + "</ul>"
        case Grid(head, rows):
            top = "".join(f'<th scope="col">{escape(one)}</th>' for one in head)
            return (
                f'<div class="scroll" tabindex="0"><table><thead><tr>{top}</tr></thead><tbody>'
                f"{''.join(map(_html_row, rows))}</tbody></table></div>"
            )
        case Picture(title, svg):
            return f"<h3>{escape(title)}</h3>{svg}" if svg else ""
        case Code(text):
            return f'<pre tabindex="0"><code>{escape(text)}</code></pre>'
        case Checks(items):
            return '<ul class="checks">' + "".join(map(_html_check, items)) + "</ul>"


def _html_row(row: Sequence[str]) -> str:
    first, *rest = row
    return f'<tr><th scope="row">{escape(first)}</th>' + "".join(f"<td>{escape(one)}</td>" for one in rest) + "</tr>"


def _html_check(one: Check) -> str:
    kind, state = ("done", "Done") if one.done else ("open", "Open")
    return (
        f'<li class="{kind}"><span class="box" aria-hidden="true"></span><b>{escape(one.name)}</b> '
        f'<span class="soft">{state}</span><br>{escape(one.told)}</li>'
    )


# Markdown


def to_markdown(document: Document) -> str:
    """The same without pictures."""
    parts = [f"# {_plain(document.title)}", _plain(document.lead), _plain(document.under)]
    for section in document.sections:
        parts += [f"## {_plain(section.title)}", *(told for one in section.blocks if (told := _markdown(one)))]
    return "\n\n".join(parts) + "\n"


def _markdown(block: Block) -> str:
    match block:
        case Words(text):
            return _plain(text)
        case Listed(points):
            return "\n".join(f"- {_plain(one)}" for one in points)
        case Grid(head, rows):
            return "\n".join([_line(head), _line(["---"] * len(head), plain=False), *map(_line, rows)])
        case Picture():
            return ""
        case Code(text):
            fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
            return f"{fence}\n{text}\n{fence}"
        case Checks(items):
            return "\n".join(f"- [{'x' if one.done else ' '}] **{_plain(one.name)}** {_plain(one.told)}" for one in items)


def _line(cells: Sequence[str], plain: bool = True) -> str:
    return "| " + " | ".join(_plain(one) if plain else one for one in cells) + " |"


def _plain(text: str) -> str:
    """Text that stays text in Markdown, in one line."""
    return MARKDOWN.sub(r"\\\1", " ".join(text.split()))
