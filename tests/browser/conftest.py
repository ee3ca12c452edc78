"""A real Chromium and the real app for the browser tests.

`app` is an app of the test's own, on an empty home, that can be killed and started again; `still` is shared by the tests that only look.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.looking import Seen, listen
from tests.serving import Served, free_port, serving
from tests.ui import homes

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
PATIENCE_MS = 400_000  # for a small training on two cores that others use too


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium from the PATH."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"needs a Chromium on the PATH ({', '.join(NAMES)})")
    expect.set_options(timeout=30_000)  # milliseconds; the five seconds it has by itself are short on two cores that others use too
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def seen() -> Seen:
    """What the test's pages said on their consoles and whom they asked."""
    return Seen()


@pytest.fixture
def open_page(browser: Browser, seen: Seen) -> Iterator[Callable[[str], Page]]:
    """Opens an address in a fresh page of 1280 x 900."""
    opened: list[Page] = []

    def open_one(url: str) -> Page:
        page = browser.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        page.set_default_timeout(30_000)
        listen(page, seen)
        opened.append(page)
        page.goto(url)
        return page

    yield open_one
    for page in opened:
        page.close()


@dataclass
class App:
    """An app that a test may kill and start again, on the same home and port."""

    home: Path
    port: int = field(default_factory=free_port)
    running: ExitStack = field(default_factory=ExitStack)
    served: Served | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start_again(self) -> None:
        self.served = self.running.enter_context(serving(self.home, port=self.port))

    def kill(self) -> None:
        """As `kill -9` does: it cannot say goodbye."""
        assert self.served is not None
        self.served.process.kill()
        self.served.process.wait()


@contextmanager
def running(home: Path) -> Iterator[App]:
    """An app on this home, for as long as the block lasts; its runs are killed with it."""
    made = App(home)
    with made.running:
        made.start_again()
        yield made
        homes.end_all(made.home)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """An app on an empty home."""
    with running(tmp_path / "home") as made:
        yield made


@pytest.fixture(scope="session")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The app on a home with a finished, a failed and a running run, none of which moves by itself."""
    home = tmp_path_factory.mktemp("still")
    now = time.time()
    for add, ago in ((homes.finished, 600), (homes.failed, 300), (homes.running, 0)):
        add(home, now - ago)
    with serving(home, dispatch=False) as served:
        yield served
