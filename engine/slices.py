"""Where a model is weakest: the test rows by length, script, language and column, each part against the rest. Pure.

Each part is compared with all other rows, by Fisher's exact test where rows are right or wrong and by Mann and Whitney's where they are
more or less so, such as the errors of numbers; p values are corrected for their number (Holm 1979), since among twenty parts one
differs by chance at the level of 5 %. Intervals at 95 % are Wilson's (1927) of shares, Student's of means.
"""

from __future__ import annotations

import itertools
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from engine.answers import Answer
from engine.data.dates import NONE, read_dates
from engine.data.doctor_texts import BANGLISH
from engine.data.numbers import numbers as read_numbers
from engine.data.table import shown
from engine.scoring import Interval, wilson
from engine.told import number
from engine.verdict import percent, with_interval

FEWEST = 10  # rows of a part; below it nothing can be said
MOST_VALUES = 20  # of a column; a column with more is cut by size if it holds numbers or dates, else left alone
PARTS = 4
# Words that nearly every text of a few lines in the language holds; the one of which a text holds most is taken for its language.
COMMON = {
    "English": "the and is was not this that with for you it my have but they are",
    "German": "der die das und ist nicht ich ein eine war mit sehr auch auf zu den wir",
    "French": "le les des et est pas je une dans pour que très avec il nous c'est qui",
    "Spanish": "el los las es no una que por con muy para pero del lo y está",
    "Portuguese": "o os as é não uma que por com muito para mas do da e está",
    "Italian": "il gli è non una che per con molto ma della di e sono anche questo",
}
WORDS = {name: frozenset(told.split()) for name, told in COMMON.items()} | {"Bengali in Latin letters": BANGLISH}
FEWEST_WORDS = 2  # of a language, to take a text for it
MAINLY = 0.9  # share of a row's letters
MOSTLY = 0.95  # share of a column's values that must be numbers, or dates


@dataclass(frozen=True)
class Measure:
    """What rows are compared by."""

    name: str  # "Right", "Mean error", "Mean chrF"
    test: str  # as it is called in a sentence
    better: str = "higher"  # or "lower"
    share: bool = False  # of rows, told in per cent

    def words(self, value: float) -> str:
        """91.2 %, or 0.312."""
        return percent(value) if self.share else number(value)

    def with_interval(self, told: Interval) -> str:
        """91.2 % (88.4 to 93.5), or 0.312 (0.28 to 0.35)."""
        return with_interval(told) if self.share else f"{number(told.value)} ({number(told.low)} to {number(told.high)})"


RIGHT = Measure("Right", "Fisher's exact test", share=True)
WHOLLY_RIGHT = replace(RIGHT, name="Every tag right")
MEAN_ERROR = Measure("Mean error", "Mann and Whitney's test", "lower")


@dataclass(frozen=True)
class Slice:
    """A part of the test rows."""

    by: str  # "Length", "Script", "Language" or a column's name
    name: str
    places: tuple[int, ...]  # in the answers
    value: Interval  # by `measure`
    rest: float  # the same of all other rows
    p_value: float  # corrected for the number of parts looked at
    measure: Measure = RIGHT

    @property
    def behind(self) -> float:
        """How far it is worse than the rest; below 0: better."""
        apart = self.rest - self.value.value
        return apart if self.measure.better == "higher" else -apart

    @property
    def is_weak(self) -> bool:
        """Whether it is worse than elsewhere, by more than chance."""
        return self.p_value < 0.05 and self.behind > 0


def measured(answers: Sequence[Answer]) -> tuple[Measure, np.ndarray]:
    """By what these answers are compared, and each one's value (rows,)."""
    kind = answers[0].kind if answers else "class"
    if kind == "text":
        score = answers[0].score
        assert score is not None
        told = Measure(f"Mean {score.name}", MEAN_ERROR.test, score.better)
        return told, np.array([one.score.value if one.score else math.nan for one in answers])
    if kind == "number":
        return MEAN_ERROR, np.array([one.error for one in answers])
    return RIGHT if kind == "class" else WHOLLY_RIGHT, np.array([float(one.is_right) for one in answers])


def slices(answers: Sequence[Answer], columns: Mapping[str, Sequence[str | None]] | None = None) -> tuple[Slice, ...]:
    """Every part of FEWEST rows or more that is not all of them, the weakest first. `columns`: name -> the value of each answer's row."""
    parts: list[tuple[str, str, list[int]]] = []
    texts = [one.text for one in answers]
    parts += [("Length", *part) for part in _by_length(texts)]
    scripts = [script(text) for text in texts]
    parts += [("Script", *part) for part in _by_value(scripts)]
    languages = [language(*one) for one in zip(texts, scripts, strict=True)]
    if len(set(languages)) > len(set(scripts)):  # else they are the same parts
        parts += [("Language", *part) for part in _by_value(languages)]
    for column, values in (columns or {}).items():
        parts += [(column, *part) for part in _by_column(values)]
    measure, each = measured(answers)
    kept = [one for one in parts if FEWEST <= len(one[2]) < len(answers)]
    slice_of = _of_shares if measure.share else _of_means
    found = [slice_of(by, name, places, each, measure) for by, name, places in kept]
    return tuple(sorted(_holm(found), key=lambda one: (not one.is_weak, -one.behind)))


def _of_shares(by: str, name: str, places: list[int], right: np.ndarray, measure: Measure) -> Slice:
    from scipy.stats import fisher_exact

    hits, rest = int(right[places].sum()), int(right.sum()) - int(right[places].sum())
    others = len(right) - len(places)
    p_value = float(fisher_exact([[hits, len(places) - hits], [rest, others - rest]]).pvalue)
    return Slice(by, name, tuple(places), wilson(hits, len(places)), rest / others, p_value, measure)


def _of_means(by: str, name: str, places: list[int], values: np.ndarray, measure: Measure) -> Slice:
    """Means are told, and ranks are compared, which a few wild errors do not sway; where the two point apart nothing is taken from it."""
    from scipy.stats import mannwhitneyu

    inside = np.zeros(len(values), dtype=bool)
    inside[places] = True
    mine, rest = values[inside], values[~inside]
    found = mannwhitneyu(mine, rest)
    apart = float(found.statistic) / (len(mine) * len(rest)) - 0.5
    p_value = float(found.pvalue) if apart * (mine.mean() - rest.mean()) > 0 else 1.0
    return Slice(by, name, tuple(places), student(mine), float(rest.mean()), p_value, measure)


def student(values: np.ndarray) -> Interval:
    """A mean with Student's 95 % interval; nothing that is never below 0 has one that begins there."""
    from scipy.stats import t

    mean, least = float(values.mean()), 0.0 if values.min() >= 0 else -math.inf
    half = float(t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values)))
    return Interval(mean, max(least, mean - half), mean + half)


def _holm(found: Sequence[Slice]) -> list[Slice]:
    """The same with p values as they are when all are looked at together."""
    order = sorted(range(len(found)), key=lambda at: found[at].p_value)
    corrected, highest = [0.0] * len(found), 0.0
    for rank, at in enumerate(order):
        highest = max(highest, min(1.0, (len(found) - rank) * found[at].p_value))
        corrected[at] = highest
    return [replace(one, p_value=corrected[at]) for at, one in enumerate(found)]


# What the rows are cut by


def _by_length(texts: Sequence[str]) -> list[tuple[str, list[int]]]:
    words = [len(text.split()) for text in texts]
    if sum(words) < 2 * len(words):  # written without blanks, or single words
        return _by_size([float(len(text)) for text in texts], lambda size: f"{size:,.0f}", "characters")
    return _by_size([float(count) for count in words], lambda size: f"{size:,.0f}", "words")


def script(text: str) -> str:
    """The script that most letters of a text belong to: "Bengali", "Latin"; "Bengali and Latin" where no one has nearly all."""
    found: Counter[str] = Counter()
    for character, count in Counter(text).items():
        if unicodedata.category(character)[0] in "LM":
            name = unicodedata.name(character, "").split(" ")[0].split("-")[0]
            if name not in ("", "COMBINING", "MODIFIER", "VARIATION", "FULLWIDTH", "ZERO"):
                found[name.capitalize()] += count
    if not found:
        return "no letters"
    (first, count), *others = found.most_common(2)
    return first if not others or count >= MAINLY * sum(found.values()) else " and ".join(sorted((first, others[0][0])))


def language(text: str, script: str) -> str:
    """The language of a text in Latin letters where its words tell one from the others, else its script: enough to tell rows apart."""
    if script != "Latin":
        return script
    told = re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)?", text.casefold().replace("’", "'"))
    counts = {name: sum(word in known for word in told) for name, known in WORDS.items()}
    best, most = max(counts.items(), key=lambda one: one[1])
    return best if most >= FEWEST_WORDS and list(counts.values()).count(most) == 1 else "another, or not told"


def _by_column(values: Sequence[str | None]) -> list[tuple[str, list[int]]]:
    """A column's values as they are where they are few, else by size or by date; nothing for any other column."""
    there = [value for value in values if value is not None and value.strip()]
    if len(there) < 2 * FEWEST:
        return []
    if len(set(there)) <= MOST_VALUES:
        return _by_value(values)
    column = pa.chunked_array([pa.array(values, pa.string())])
    numbers = [math.nan if one is None else one for one in read_numbers(column)[0].to_pylist()]
    if sum(not math.isnan(one) for one in numbers) >= MOSTLY * len(there):
        return _by_size(numbers, lambda size: f"{size:,.6g}", "")
    dates = read_dates([value or "" for value in values])
    if (dates.seconds != NONE).sum() >= MOSTLY * len(there):
        seconds = [math.nan if one == NONE else float(one) for one in dates.seconds]
        return _by_size(seconds, lambda one: str(np.datetime64(int(one), "s").astype("datetime64[D]")), "")
    return []


def _by_value(values: Sequence[str | None]) -> list[tuple[str, list[int]]]:
    found: dict[str, list[int]] = {}
    for place, value in enumerate(values):
        found.setdefault(shown(value, 40) if value and value.strip() else "nothing", []).append(place)
    return list(found.items()) if len(found) > 1 else []


def _by_size(sizes: Sequence[float], told: Callable[[float], str], unit: str) -> list[tuple[str, list[int]]]:
    """Up to four parts of about as many rows; rows without a size are in none."""
    known = np.array([size for size in sizes if not math.isnan(size)])
    if not len(known):
        return []
    edges = sorted({float(one) for one in np.quantile(known, [at / PARTS for at in range(1, PARTS)], method="lower")} - {known.max()})
    parts: list[list[int]] = [[] for _ in range(len(edges) + 1)]
    for place, size in enumerate(sizes):
        if not math.isnan(size):
            parts[sum(size > edge for edge in edges)].append(place)
    names = [f"up to {told(edge)}" for edge in edges[:1]]
    names += [f"over {told(low)}, up to {told(high)}" for low, high in itertools.pairwise(edges)]
    names += [f"over {told(edge)}" for edge in edges[-1:]]
    return [(f"{name} {unit}".strip(), part) for name, part in zip(names, parts, strict=False)] if edges else []
