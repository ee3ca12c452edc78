"""Files that a person hands over: taken into the home piece by piece, under the sum of their bytes and a name that is safe everywhere."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import unicodedata
from pathlib import Path

from engine.errors import Problem, Refused


def keep(source: Path, name: str, home: Path, limit_bytes: int) -> Path:
    """The file's place in the home, uploads/<sum>/NAME. The same bytes are kept once. Raises Refused above the limit."""
    uploads = home / "uploads"
    uploads.mkdir(parents=True, exist_ok=True)
    beside = uploads / f".{secrets.token_hex(8)}"
    try:
        sha256 = _copy(source, beside, limit_bytes)
        target = uploads / sha256[:16] / _safe_name(name)
        target.parent.mkdir(exist_ok=True)
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)
    return target


def _safe_name(name: str) -> str:
    """A file name that is one on every system: no folders, no control characters, at most 120 bytes, its ending kept."""
    last = re.split(r"[/\\]", name)[-1]
    plain = re.sub(r'[\x00-\x1f\x7f<>:"|?*]', "_", unicodedata.normalize("NFC", last)).strip(" .")
    stem, dot, ending = plain.rpartition(".") if len(plain.rpartition(".")[2]) <= 8 else (plain, "", "")
    short = (stem or ending).encode()[:100].decode("utf-8", "ignore").strip(" .")
    return f"{short}{dot}{ending}" if stem and short else (short or "data")


def _copy(source: Path, target: Path, limit_bytes: int) -> str:
    """Copies in pieces and returns the sha256. Raises Refused as soon as the limit is passed."""
    digest, done = hashlib.sha256(), 0
    with source.open("rb") as read, target.open("xb") as write:
        while piece := read.read(1 << 20):
            done += len(piece)
            if done > limit_bytes:
                limit = f"{limit_bytes / 1e6:,.0f} MB"
                raise Refused(Problem("data.source", f"The file is larger than {limit}.", f"Upload a part of at most {limit}."))
            digest.update(piece)
            write.write(piece)
        write.flush()
        os.fsync(write.fileno())
    return digest.hexdigest()
