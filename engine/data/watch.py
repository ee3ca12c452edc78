"""How far the reading of a file is, for whoever looks, and the word that ends it early. And what every reader is told of its file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from engine.errors import Problem, Refused


class Cancelled(Refused):
    """The person ended the reading."""


class Watch:
    """One thread reads and tells how far it is; others look, and may cancel. `told(watch)` is called whenever it tells."""

    def __init__(self, told: Callable[[Watch], None] | None = None) -> None:
        self.share = 0.0  # of the file, 0 to 1
        self.rows = 0
        self._told = told
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True

    def at(self, share: float) -> None:
        """Called by the reader many times a second. Raises Cancelled once that was asked for."""
        self.share = min(1.0, share)
        if self._told is not None:
            self._told(self)
        if self._cancelled:
            raise Cancelled(Problem("data.source", "Reading the file was cancelled.", "Choose a file again."))


@dataclass(frozen=True)
class Opening:
    """A file that is being opened: where it lies, what messages call it, and its bounds."""

    path: Path
    name: str
    limit_bytes: int
    field: str = "data.source"
    sheet: str | None = None  # of a workbook, or a table of a zip; None: the one with most rows
    header: bool | None = None  # whether the first row names the columns; None: judged by what it holds
    watch: Watch = dataclasses.field(default_factory=Watch)
    folder: Path | None = None  # where rows are laid down once they are many; None: they stay in memory
    encoding: str | None = None  # that was chosen; None: judged by the bytes
    laid: dict[Path, Callable[[], object]] = dataclasses.field(default_factory=dict)  # what was laid down there, and what closes it

    @property
    def most_text_bytes(self) -> int:
        """What a packed file may hold once it is unpacked."""
        return 4 * self.limit_bytes

    def of(self, path: Path, name: str) -> Opening:
        """The same for a file that lay packed inside this one."""
        return replace(self, path=path, name=name, sheet=None)

    def refused(self, message: str, fix: str) -> Refused:
        return Refused(Problem(self.field, message, fix))
