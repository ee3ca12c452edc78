"""Numbers as people write them: 4.5, 4,5, 1,234.5, 1.234,5, 1 234, ৪.৫, 4 stars, 4/5, $12. Read by what the whole column shows. Pure.

A cell with two numbers, a range, a sign such as < or ~, or another unit than the rest is no number: a wrong one would be learnt.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from engine.data.table import counted, shown

LONGEST = 40  # characters of a cell that can be a number
CELL = re.compile(r"(?P<before>\D*?)(?P<minus>[-−]?)(?P<body>[.,]\d+|\d[\d.,'’\s]*)(?P<power>[eE][+-]?\d{1,3}(?!\w))?(?P<after>\D*)")
OF = re.compile(r"\s*(?:/|\bout of\b|\bof\b)\s*(\d+)")  # behind the number
SCALES = {"%", "k", "m", "b", "bn", "mn", "mio", "thousand", "million", "billion", "lakh", "crore", "হাজার", "লাখ", "লক্ষ", "কোটি"}
WORDS = {  # labels of pairs that say whether, where the whole column says so
    **dict.fromkeys(("yes", "true", "same", "similar", "duplicate", "paraphrase", "equal", "হ্যাঁ", "একই"), 1.0),
    **dict.fromkeys(("no", "false", "different", "dissimilar", "not duplicate", "not paraphrase", "not equal", "না", "ভিন্ন"), 0.0),
}
GROUPED = {  # by the sign that begins the decimals: 1,234,567 and 12,34,567 with one kind of sign between, three digits at the end
    decimal: re.compile(rf"[1-9]\d{{0,2}}(?P<sign>[{other}'’\s])(?:\d{{2,3}}(?P=sign))*\d{{3}}") for decimal, other in (".,", ",.")
}


@dataclass(frozen=True)
class Scale:
    """The training rows' numbers: their mean, how far they lie from it (standard deviation), the lowest and the highest."""

    mean: float
    spread: float
    low: float = 0.0
    high: float = 1.0

    @classmethod
    def of(cls, values: Sequence[float]) -> Scale:
        mean = math.fsum(values) / len(values)
        spread = math.sqrt(math.fsum((one - mean) ** 2 for one in values) / len(values))
        return cls(mean, spread or 1.0, min(values), max(values))


@dataclass(frozen=True)
class Cell:
    """One cell taken apart: its digits as written, what stands around them."""

    body: str
    power: str
    negative: bool
    unit: str  # "star", "$", "/5", "%", ""

    def value(self, decimal: str) -> float | None:
        """The number where this sign begins the decimals; None where it cannot be read so."""
        whole, sign, part = self.body.partition(decimal)
        plain = re.fullmatch(r"\d+", whole) or (not whole and part)
        if not (plain or GROUPED[decimal].fullmatch(whole)) or (sign and not re.fullmatch(r"\d*", part)):
            return None
        digits = re.sub(r"\D", "", whole) or "0"
        value = float(f"{digits}.{part or '0'}{self.power}")
        return None if math.isinf(value) else -value if self.negative else value


def numbers(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, tuple[str, ...]]:
    """The number of every cell, float64, null where it is none; and in words what is not obvious in how they were read."""
    counts = {one["values"]: one["counts"] for one in pc.value_counts(column).to_pylist() if one["values"] is not None}
    if counts and all(cell.strip().casefold() in WORDS or not cell.strip() for cell in counts):
        return _of_words(column, counts)
    taken = {cell: found for cell in counts if (found := take_apart(cell)) is not None}
    taken = _of_one_unit(taken, counts)
    decimal = _decimal(taken, counts)
    known = {cell: value for cell, found in taken.items() if (value := found.value(decimal)) is not None}
    cells, values = pa.array(list(known), pa.string()), pa.array(list(known.values()), pa.float64())
    read = [values.take(pc.index_in(chunk.cast(pa.string()), cells)) for chunk in column.chunks]
    return pa.chunked_array(read, pa.float64()), _notes({cell: taken[cell] for cell in known}, known, counts, decimal)


def _of_words(column: pa.ChunkedArray, counts: Mapping[str, int]) -> tuple[pa.ChunkedArray, tuple[str, ...]]:
    """A column of yes and no, or same and different: 1 and 0."""
    cells = [cell for cell in counts if cell.strip()]
    known, values = pa.array(cells, pa.string()), pa.array([WORDS[cell.strip().casefold()] for cell in cells], pa.float64())
    read = [values.take(pc.index_in(chunk.cast(pa.string()), known)) for chunk in column.chunks]
    told = ", ".join(f"{cell.strip()!r} is {WORDS[cell.strip().casefold()]:g}" for cell in sorted(cells)[:4])
    return pa.chunked_array(read, pa.float64()), ((f"Words are read as numbers: {told}",) if cells else ())


def take_apart(cell: str) -> Cell | None:
    """The cell's one number and what stands around it; None where there is none, or more than one."""
    told = cell.strip()
    if len(told) > LONGEST:
        return None
    of = ""
    for found in OF.finditer(told):
        told, of = told[: found.start()] + " " + told[found.end() :], f"/{found.group(1)}"
    read = CELL.fullmatch(told.strip())
    if read is None or (of and told.count(of) > 1):
        return None
    around = f"{read['before'].removesuffix('+')} {read['after']}"
    if not all(_may_stand(sign) for sign in around):
        return None
    words = [one.removesuffix("s") if len(one) > 3 else one for one in re.split(r"[\s:.]+", around.casefold()) if one]
    body = "".join(str(unicodedata.digit(sign)) if sign.isdecimal() else sign for sign in read["body"].rstrip().rstrip("'’"))
    return Cell(body, read["power"] or "", bool(read["minus"]), " ".join(sorted(words)) + of)


def _may_stand(sign: str) -> bool:
    """Letters with their signs, money, %, stars and blanks; no comparison, no fraction, no bracket, no slash."""
    return (
        sign in " %:.*°\u200c\u200d"
        or sign.isspace()
        or unicodedata.category(sign)[0] in "LM"
        or unicodedata.category(sign) in ("Sc", "So")
    )


def _of_one_unit(taken: Mapping[str, Cell], counts: Mapping[str, int]) -> dict[str, Cell]:
    """Those in the commonest unit. A bare number may stand among "4 stars", not among "4 %" or "4 million"."""
    rows: Counter[str] = Counter()
    for cell, found in taken.items():
        rows[found.unit] += counts[cell]
    named = Counter({unit: count for unit, count in rows.items() if unit})
    unit = named.most_common(1)[0][0] if named else ""
    if (set(unit.split()) & SCALES and rows[""]) or 2 * named[unit] < sum(named.values()):
        unit = unit if named[unit] > rows[""] else ""
        return {cell: found for cell, found in taken.items() if found.unit == unit}
    return {cell: found for cell, found in taken.items() if found.unit in ("", unit)}


def _decimal(taken: Mapping[str, Cell], counts: Mapping[str, int]) -> str:
    """The sign before decimals: the one by which more rows can be read that cannot be by the other."""
    point = comma = 0
    for cell, found in taken.items():
        by_point, by_comma = found.value("."), found.value(",")
        point += counts[cell] * (by_point is not None and by_comma is None)
        comma += counts[cell] * (by_comma is not None and by_point is None)
    return "," if comma > point else "."


def _notes(taken: Mapping[str, Cell], known: Mapping[str, float], counts: Mapping[str, int], decimal: str) -> tuple[str, ...]:
    found = []
    with_comma = next((cell for cell, one in taken.items() if "," in one.body), None)
    if with_comma is not None:
        found.append(
            f"A comma {'begins the decimals' if decimal == ',' else 'groups digits'}: {with_comma.strip()} is {known[with_comma]:.12g}"
        )
    grouped = next((cell for cell, one in taken.items() if decimal == "," and "." in one.body), None)
    if grouped is not None:
        found.append(f"A point groups digits: {grouped.strip()} is {known[grouped]:.12g}")
    worded = [cell for cell, one in taken.items() if one.unit]
    if worded:
        rows = sum(counts[cell] for cell in worded)
        found.append(f"Of {counted(rows, 'label')} the number alone is read: {shown(worded[0].strip(), 40)!r} is {known[worded[0]]:.12g}")
    return tuple(found)
