"""Dates as people write them, turned into seconds that can be put in order. Pure.

ISO dates, day first or month first, with words for months (Bengali ones and digits too), years, and seconds or milliseconds
since 1970. What cannot be read is told, never guessed.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NONE = np.iinfo(np.int64).min  # stands where there is no date
MONTHS = {
    "জানুয়ারি": "January", "ফেব্রুয়ারি": "February", "মার্চ": "March", "এপ্রিল": "April", "মে": "May", "জুন": "June",
    "জুলাই": "July", "আগস্ট": "August", "সেপ্টেম্বর": "September", "অক্টোবর": "October", "নভেম্বর": "November", "ডিসেম্বর": "December",
}  # fmt: skip
PLAIN_MONTHS = {unicodedata.normalize("NFC", name): english for name, english in MONTHS.items()}
MONTH = re.compile("|".join(sorted(map(re.escape, PLAIN_MONTHS), key=len, reverse=True)))
TWO_NUMBERS = re.compile(r"^\D*(\d{1,2})[./-](\d{1,2})[./-]\d{2,4}")
LOOKS_LIKE_A_DATE = re.compile(r"\d{4}|\d+\D+\d+\D+\d+")  # "5" and "May" alone are none, though pandas would make one of them
SECONDS, MILLISECONDS = (1e8, 1e10), (1e11, 1e13)  # since 1970: from 1973 to 2286
YEARS = (1000, 2999)


@dataclass(frozen=True, eq=False)
class Dates:
    """Seconds since 1970 for every value, NONE where it is no date; and what had to be assumed, in words."""

    seconds: NDArray[np.int64]
    unread: tuple[str, ...]  # up to three values that could not be read, as they stand
    notes: tuple[str, ...]

    @property
    def known(self) -> NDArray[np.bool_]:
        return np.asarray(self.seconds != NONE)


def read_dates(values: Sequence[str | None]) -> Dates:
    """The dates of a column. Numbers such as 03/04/2021 are read day first unless some value of the column tells otherwise."""
    distinct = list(dict.fromkeys(values))
    plain = {value: _plain(value) for value in distinct if value is not None}
    day_first, doubt = _day_first(plain.values())
    found = {value: moment for value, text in plain.items() if (moment := _of_number(text)) is not None}
    found |= _of_text({value: text for value, text in plain.items() if value not in found}, day_first=day_first)
    seconds = np.array([NONE if value is None else found.get(value, NONE) for value in values], dtype=np.int64)
    unread = [value for value in distinct if value is not None and value not in found and value.strip()]
    return Dates(seconds, tuple(unread[:3]), (doubt,) if doubt else ())


def _plain(value: str) -> str:
    """With digits of every script as ASCII and Bengali months in English."""
    digits = "".join(str(unicodedata.digit(one)) if one.isdigit() and not one.isascii() else one for one in value.strip())
    return MONTH.sub(lambda match: PLAIN_MONTHS[match.group()], unicodedata.normalize("NFC", digits))


def _of_number(text: str) -> int | None:
    """A year, or seconds or milliseconds since 1970."""
    if not re.fullmatch(r"\d{4}|\d{9,10}(\.\d+)?|\d{12,13}(\.0)?", text):
        return None
    number = float(text)
    if len(text) == 4:
        return int(np.datetime64(text, "s").astype(np.int64)) if YEARS[0] <= number <= YEARS[1] else None
    if SECONDS[0] <= number < SECONDS[1]:
        return int(number)
    return int(number / 1000) if MILLISECONDS[0] <= number < MILLISECONDS[1] else None


def _day_first(texts: Iterable[str]) -> tuple[bool, str]:
    """Whether 03/04/2021 is the third of April, told by a value whose first or second number is above 12; and the doubt where none is."""
    pairs = [(int(match[1]), int(match[2])) for text in texts if (match := TWO_NUMBERS.match(text))]
    if not pairs:
        return False, ""
    first, second = any(one > 12 for one, _ in pairs), any(two > 12 for _, two in pairs)
    if first != second:
        return first, ""
    return True, "Nothing tells whether 03/04 is in March or April: dates such as this are read as day, month, year"


def _of_text(texts: dict[str, str], *, day_first: bool) -> dict[str, int]:
    """What pandas makes of the texts: first all in the form of the first one, which is quick, then the others one by one."""
    import pandas as pd

    left = {value: text for value, text in texts.items() if LOOKS_LIKE_A_DATE.search(text)}
    found: dict[str, int] = {}
    for form in (None, "mixed"):
        if not left:
            break
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a form could not be inferred, and that day and month were swapped where one is above 12
            told = pd.to_datetime(pd.Series(list(left.values())), errors="coerce", dayfirst=day_first, utc=True, format=form)
        for value, moment in zip(list(left), told, strict=True):
            if not pd.isna(moment):
                found[value] = int(moment.timestamp())
                del left[value]
    return found
