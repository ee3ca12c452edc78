"""The report on a judged run, whichever verdict it has."""

from __future__ import annotations

from engine import account_report, gathered, report
from engine.document import Document
from engine.studio import Studio


def document(studio: Studio, run_id: str) -> Document:
    """The report. Raises Refused for a run that is not judged."""
    writer = gathered.known_account(studio, run_id)
    return report.document(gathered.known(studio, run_id)) if writer is None else account_report.document(writer)
