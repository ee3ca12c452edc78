"""`python -m engine report RUN`: the report on a finished run, as one HTML file or as Markdown."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from engine import document, reported
from engine.errors import Problem, Refused
from engine.store import write_whole
from engine.studio import Studio

WRITERS = {".html": document.to_html, ".md": document.to_markdown}


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("run", help="the run's id, as `runs` lists it")
    command.add_argument("--to", type=Path, default=Path("report.html"), help="a file that ends in .html or .md (report.html)")


def tell(told: argparse.Namespace, studio: Studio) -> int:
    """Writes the report, and its place on stdout as JSON. Raises Refused for a run that is not judged, or a file that cannot be written."""
    write = WRITERS.get(told.to.suffix.lower())
    if write is None:
        raise Refused(Problem("to", f"{told.to} ends in neither .html nor .md.", "Write --to report.html or --to report.md."))
    text = write(reported.document(studio, told.run))
    try:
        write_whole(told.to, text.encode("utf-8", "replace"))
    except OSError as error:
        raise Refused(Problem("to", f"{told.to} cannot be written: {error.strerror}.", "Choose a folder that you may write to.")) from error
    print(json.dumps({"run": told.run, "report": str(told.to)}, ensure_ascii=False))
    return 0
