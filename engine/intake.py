"""`python -m engine.intake FOLDER`: reads one file into the home's cache of tables, in a process of its own, while the page waits.

    FOLDER/    request.json  what to read (Request)    state.json  how far it is    result.json  written last: nothing, or the Problems

SIGTERM ends it: what was laid down by then is taken away. data/kept.py finds the rows afterwards.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.data import kept
from engine.data.watch import Watch
from engine.errors import Problem, Refused, explain, is_out_of_memory
from engine.store import write_whole

LOOK_SECONDS = 0.2  # between two tellings of how far it is
NICENESS = 5  # below the page, which stays quick on two cores
MOST_BYTES = 4_000_000_000  # of memory; a million rows of 236 MB take 110 MB, an object of JSON of 90 MB takes 940
WHOLE, REFUSED, PASSING = 0, 1, 2  # how it ended: the rows are kept; the file will not do; something else than the file was in the way


@dataclass(frozen=True)
class Request:
    """What `kept.opened` is asked for."""

    path: str
    name: str  # what messages call it
    limit_bytes: int
    cache: str
    field: str
    sheet: str | None
    header: bool | None
    encoding: str | None = None


def main(folder: Path) -> int:
    """Reads the file of this folder's request. Returns WHOLE, or how it ended where the result holds Problems."""
    asked = Request(**json.loads((folder / "request.json").read_text("utf-8")))
    bound_memory()
    watch = Watch(telling(folder))
    signal.signal(signal.SIGTERM, lambda *_: watch.cancel())
    os.nice(NICENESS)
    problems, ended = _read(asked, watch)
    write_whole(folder / "result.json", json.dumps([asdict(one) for one in problems], ensure_ascii=False).encode())
    return ended


def bound_memory() -> None:
    """Whatever a file makes of itself, this process holds no more than MOST_BYTES; on systems that can bound it."""
    try:
        import resource
    except ImportError:  # Windows
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = MOST_BYTES if hard == resource.RLIM_INFINITY else min(hard, MOST_BYTES)
    with contextlib.suppress(ValueError, OSError):  # a system that knows the bound and will not set it
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def _read(asked: Request, watch: Watch) -> tuple[tuple[Problem, ...], int]:
    path, cache = Path(asked.path), Path(asked.cache)
    try:
        key = kept.key_of(path, asked.sheet, asked.header, asked.encoding)
        kept.opened(
            path, asked.limit_bytes, cache, field=asked.field, sheet=asked.sheet, header=asked.header, encoding=asked.encoding, watch=watch,
            always=True,
        )  # fmt: skip
        if kept.is_kept(cache, key):
            return (), WHOLE
        message = f"There is no room on the disk for the rows of {asked.name}."
        return (Problem(asked.field, message, "Make room, and choose the file again."),), PASSING
    except Refused as refused:
        return refused.problems, PASSING if isinstance(refused.__cause__, OSError) else REFUSED
    except Exception as error:  # the border of this process
        traceback.print_exc()
        return (_broken(asked, error),), PASSING if is_out_of_memory(error) else REFUSED


def _broken(asked: Request, error: Exception) -> Problem:
    if is_out_of_memory(error):
        message = f"{asked.name} needs more memory than there is, or than the {MOST_BYTES / 1e9:.0f} GB that reading a file may take."
        return Problem(asked.field, message, "Keep only the columns and rows that you need, and save it again.")
    return explain(error, asked.field)


def telling(folder: Path, clock: Callable[[], float] = time.monotonic) -> Callable[[Watch], None]:
    """What writes state.json, now and then."""
    last = clock() - LOOK_SECONDS

    def tell(watch: Watch) -> None:
        nonlocal last
        if clock() - last >= LOOK_SECONDS:
            last = clock()
            beside = folder / "state.beside"
            beside.write_text(json.dumps({"share": watch.share, "rows": watch.rows}))
            os.replace(beside, folder / "state.json")

    return tell


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
