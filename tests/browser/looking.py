"""What a careful person checks on every place: the console, other hosts, sizes, overlaps, accessibility."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

WAYS = (
    (1280, 900, False),
    (1280, 900, True),
    (390, 844, True),
    (390, 844, False),
)  # width, height, dark; each differs from the last in one thing
LOOK = """() => {
  scrollTo(0, 0);  // the bar at the top stays in view: scrolled, it lies over whatever passes beneath
  const seen = (e) => {
    const box = e.getBoundingClientRect(), style = getComputedStyle(e);
    return box.width > 1 && box.height > 1 && style.visibility !== "hidden" && e.offsetParent !== null && e.checkVisibility();
  };
  const name = (e) => (e.getAttribute("aria-label") || e.innerText || e.id || e.tagName).trim().slice(0, 40);
  const place = (e) => {
    const box = e.getBoundingClientRect();
    return { left: box.left, right: box.right, top: box.top + scrollY, bottom: box.bottom + scrollY };
  };
  const controls = [...document.querySelectorAll("input, select, textarea, button, [role=tab], [role=switch]")].filter(seen);
  const overlaps = [];
  controls.forEach((one, at) => controls.slice(at + 1).forEach((other) => {
    if (one.contains(other) || other.contains(one)) return;
    const a = place(one), b = place(other);
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left), high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (wide > 4 && high > 4) overlaps.push(name(one) + " / " + name(other));
  }));
  const written = [...document.querySelectorAll("body *")].filter(seen)
    .filter((e) => [...e.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()));
  const named = (e) => e.labels?.length || e.getAttribute("aria-label") || e.innerText?.trim() || e.title || e.type === "file";
  const nameless = controls.filter((e) => !named(e));
  return {
    sideways: document.documentElement.scrollWidth - innerWidth,
    controls: controls.length,
    overlaps,
    small: written.filter((e) => parseFloat(getComputedStyle(e).fontSize) < 12).map(name),
    nameless: nameless.map((e) => e.outerHTML.slice(0, 120)),
  };
}"""


@dataclass
class Seen:
    """What came over the console, and the hosts other than this machine that were asked."""

    errors: list[str] = field(default_factory=list)
    outside: set[str] = field(default_factory=set)


def listen(page: Page, seen: Seen) -> None:
    """Lets `seen` hear the page."""
    page.on("console", lambda message: seen.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("request", lambda request: None if _is_here(request.url) else seen.outside.add(request.url))


def _is_here(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("data", "blob") or parts.hostname == "127.0.0.1"


def faults(page: Page) -> dict[str, Any]:
    """Everything wrong with what is on the screen now; empty where nothing is."""
    told = page.evaluate(LOOK)
    axe = [one["id"] for one in Axe().run(page).response["violations"] if one["impact"] in ("serious", "critical")]
    found = {"sideways": max(0, told["sideways"]), "axe": axe, **{name: told[name] for name in ("overlaps", "small", "nameless")}}
    return {name: fault for name, fault in found.items() if fault}


def controls(page: Page) -> int:
    """How many controls are visible."""
    return int(page.evaluate(LOOK)["controls"])


def ready(page: Page) -> None:
    """Waits until the place that is open has been filled in."""
    page.wait_for_function("() => document.documentElement.dataset.place")
    match page.evaluate("() => `${document.documentElement.dataset.place} ${document.documentElement.dataset.run}`").split():
        case ["train"]:
            page.wait_for_function("() => document.querySelector('#preview dl, #preview .issues')")
        case ["runs"]:
            page.locator("#run-list table, #run-list p").first.wait_for()
        case ["runs", _]:
            page.locator("#run-heading h1").wait_for()
            page.wait_for_function("() => document.querySelectorAll('.chart .js-plotly-plot').length === 5")
        case _:
            page.locator("#try-go").wait_for()


def darken(page: Page, *, dark: bool) -> None:
    """Light or dark, by the page's own button."""
    if page.evaluate("() => document.body.classList.contains('dark')") != dark:
        page.get_by_role("button", name="Light or dark").click()
        page.mouse.move(0, 0)
        page.evaluate("() => document.activeElement.blur()")
