"""Rows on their way into a Table, in batches of text columns: kept in memory, or laid down in an Arrow file that is then mapped.

Few rows stay in memory. Many are laid down: a file of any size then costs the memory of one batch, and the system reads back what is
looked at.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from engine.data.header import column_names
from engine.data.table import Mapped, Table, counted, without_controls
from engine.data.watch import Opening

BATCH = 4096  # rows turned into arrow columns at once
BATCH_CHARACTERS = 8_000_000  # or as soon as they hold so many
KEPT_BYTES = 32_000_000  # that stay in memory; with more than that, and a folder to lie in, all are laid down
MOST_COLUMNS = 1000
MOST_ROWS = 10_000_000  # each costs some bytes to whoever looks at all of them; of no more than a letter, 500 MB would hold 250 million


@dataclass(frozen=True)
class About:
    """What a reader knows of the table besides its cells."""

    sha256: str
    notes: tuple[str, ...] = ()
    later: tuple[str, ...] = ()  # notes that stand behind that on control characters
    left_out: dict[str, int] = field(default_factory=dict)
    has_header: bool = True
    sheets: tuple[str, ...] = ()
    sheet: str = ""
    encodings: tuple[str, ...] = ()
    unsure: bool = False


class Gather:
    """Takes batches, then makes a Table of them. Raises Refused where they hold more text than `opening` allows."""

    def __init__(self, opening: Opening, width: int) -> None:
        if width > MOST_COLUMNS:
            fix = "Check that it is a table with one row for each text."
            raise opening.refused(f"{opening.name} has {width:,} columns; the limit is {MOST_COLUMNS:,}.", fix)
        self.controls = 0
        self.rows = 0
        self._opening, self._width, self._bytes = opening, width, 0
        self._schema = pa.schema([*((str(place), pa.string()) for place in range(width)), ("number", pa.int64())])
        self._batches: list[pa.RecordBatch] = []
        self._path: Path | None = None
        self._writer: pa.RecordBatchWriter | None = None

    def add_rows(self, rows: Sequence[Sequence[str | None]], numbers: Sequence[int]) -> None:
        """Rows as wide as the table, each with its number in the source."""
        if rows:
            self.add([text_array(cells) for cells in zip(*rows, strict=True)], pa.array(numbers, pa.int64()))

    def add(self, columns: Iterable[pa.Array], numbers: pa.Array) -> None:
        """A batch of text columns; control characters become spaces, and "" null."""
        cleaned = []
        for column in columns:
            values, controls = without_controls(column)
            self.controls += controls
            cleaned.append(pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values))
        batch = pa.record_batch([*cleaned, numbers], schema=self._schema)
        self.rows += batch.num_rows
        self._opening.watch.rows += batch.num_rows
        self._bytes += batch.nbytes
        if self._bytes > self._opening.most_text_bytes + 1_000_000:
            raise too_much(self._opening)
        if self.rows > MOST_ROWS:
            fix = "Keep only the rows that you need, and save it again."
            raise self._opening.refused(f"{self._opening.name} has more than {MOST_ROWS:,} rows.", fix)
        if self._writer is None and self._opening.folder and self._bytes > KEPT_BYTES:
            self._lay_down(self._opening.folder)
        if self._writer is not None:
            self._writer.write_batch(batch)
        else:
            self._batches.append(batch)

    def _lay_down(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{secrets.token_hex(8)}.arrow"
        file = pa.OSFile(str(self._path), "wb")
        self._writer = pa.ipc.new_file(file, self._schema)
        self._opening.laid[self._path] = file.close
        for batch in self._batches:
            self._writer.write_batch(batch)
        self._batches = []

    def table(self, header: Sequence[str], about: About) -> Table:
        """The Table. A column without name or value is none: it came from a delimiter at the end of every line."""
        if self._writer is not None and self._path:
            self._writer.close()
            self._opening.laid[self._path]()
            data = mapped(self._path)
        else:
            data = pa.Table.from_batches(self._batches, self._schema)
        named = {place for place, cell in enumerate(header) if cell.strip()}
        places = [place for place in range(self._width) if place in named or data.column(place).null_count < data.num_rows]
        names, naming = column_names(header, places)
        controls = f"{counted(self.controls, 'control character')} became {'a space' if self.controls == 1 else 'spaces'}"
        left_out = {reason: count for reason, count in about.left_out.items() if count}
        return Table(
            columns=names,
            data=pa.table([data.column(place) for place in places], names=list(names)),
            sha256=about.sha256,
            origin=self._opening.name,
            notes=(*about.notes, *([controls] if self.controls else []), *about.later, *naming),
            left_out=left_out,
            numbers=data.column("number") if left_out else None,
            has_header=about.has_header,
            sheets=about.sheets,
            sheet=about.sheet,
            encodings=about.encodings,
            unsure=about.unsure,
            mapped=Mapped(self._path, tuple(places)) if self._path else None,
        )


def mapped(path: Path) -> pa.Table:
    """What was laid down there, without its bytes being read yet."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


class Batches:
    """Single rows, handed to a Gather in batches."""

    def __init__(self, gather: Gather) -> None:
        self._gather = gather
        self._rows: list[Sequence[str | None]] = []
        self._numbers: list[int] = []
        self._characters = 0

    def add(self, row: Sequence[str | None], number: int) -> None:
        self._rows.append(row)
        self._numbers.append(number)
        self._characters += sum(len(cell) for cell in row if cell)
        if len(self._rows) == BATCH or self._characters > BATCH_CHARACTERS:
            self.flush()

    def flush(self) -> None:
        self._gather.add_rows(self._rows, self._numbers)
        self._rows, self._numbers, self._characters = [], [], 0


def text_array(cells: Sequence[str | None]) -> pa.Array:
    """The cells as an arrow column. Half a surrogate pair, which JSON can spell, becomes U+FFFD."""
    try:
        return pa.array(cells, pa.string())
    except UnicodeEncodeError:
        return pa.array([cell if cell is None else cell.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for cell in cells])


def too_much(opening: Opening) -> Exception:
    """The refusal of a packed file that holds far more than it weighs."""
    message = f"{opening.name} holds more than {opening.most_text_bytes / 1e6:,.0f} MB once it is unpacked."
    return opening.refused(message, "Keep only the columns and rows that you need, and save it again.")
