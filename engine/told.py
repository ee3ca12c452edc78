"""A figure as it is told: with its interval, beside those of others on the same rows, in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine import resampling
from engine.resampling import Figure
from engine.scoring import Interval
from engine.verdict import CHANCE, p_words, percent

MOSTLY = 0.9  # of the rows, that a margin around a number should hold
EARLIER = "earlier"  # id of a run of before, in whose answers labels were put right
Named = tuple[str, str, Figure]  # id and name of an answerer, and the figure of its answers


@dataclass(frozen=True)
class Other:
    """The same figure of another answerer, a baseline say, on the same rows."""

    id: str
    name: str
    value: float
    gain: Interval  # tuned less this one
    p_value: float


@dataclass(frozen=True)
class Part:
    """One of several classes of which a row can have any number: shares of 0 to 1, and test rows."""

    name: str
    precision: float
    recall: float
    f1: float
    rows: int  # that have it
    given: int  # that the model gave it to
    calibration_error: float | None = None  # of its chances; None for a run of before this was measured

    @property
    def missed(self) -> int:
        """Rows that have it and were not given it."""
        return self.rows - round(self.recall * self.rows)

    @property
    def extra(self) -> int:
        """Rows that were given it and have it not."""
        return self.given - round(self.precision * self.given)


@dataclass(frozen=True)
class Belief:
    """How far chances can be believed: those of all tags and test rows together."""

    error: float  # expected calibration error, a share
    by_chance: float  # that perfectly true chances exceed in 5 of 100 tests of this size
    mean: float  # of the chances
    there: float  # share of yes among what they were chances of

    @property
    def words(self) -> str:
        """Whether a chance of 70 % means 70 %."""
        apart = f"on average they lie {_points(self.error)} from how often the tag was there (expected calibration error)"
        if self.error <= self.by_chance:
            return f"Its chances can be believed, as far as these rows tell: {apart}; chance alone gives up to {_points(self.by_chance)}."
        way = "too high" if self.mean > self.there else "too low"
        of = f"{percent(self.mean)} on average, where {percent(self.there)} are there"
        return f"Do not take its chances at their word: {apart}, more than chance gives ({_points(self.by_chance)}); they are {way}: {of}."


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"


@dataclass(frozen=True)
class Margin:
    """How near the right number most of a model's numbers lie, learnt where it did not learn the numbers themselves."""

    half: float  # in the numbers' unit: for MOSTLY of the rows the right number lies no further from the model's
    rows: int  # validation rows that say so
    held: Interval  # share of the test rows for which that is true

    @property
    def words(self) -> str:
        """What a person may count on, and whether it held."""
        held = f"of the test rows {percent(self.held.value)} do ({100 * self.held.low:.0f} to {100 * self.held.high:.0f})"
        kept = "" if self.held.low <= MOSTLY <= self.held.high else ", which is not what was promised: count on what the test rows say"
        within = f"{100 * MOSTLY:.0f}\u00a0% of the right numbers should lie within ±{number(self.half)} of the model's"
        near = f"{within}, by {self.rows:,} validation rows"
        return f"{near}; {held}{kept}."


@dataclass(frozen=True)
class Told:
    """One figure of the tuned model and, on the same rows, of the untuned one and of others."""

    id: str
    name: str
    better: str  # "higher", "lower" or "" where neither is
    note: str
    rows: int
    value: Interval
    before: float | None = None
    gain: Interval | None = None  # tuned less untuned
    p_value: float | None = None
    others: tuple[Other, ...] = ()


def told(tuned: Figure, untuned: Figure | None, others: Sequence[Named] = ()) -> Told:
    """The figure with its interval, and against the untuned model's and others' on the same rows."""
    value = resampling.interval(tuned)
    rows = len(tuned.rows)
    gap = None if untuned is None else resampling.compare(tuned, untuned)
    before = (None, None, None) if gap is None else (gap.second, gap.gain, gap.p_value)
    beside = []
    for id, name, figure in others:
        over = resampling.compare(tuned, figure)
        beside.append(Other(id, name, over.second, over.gain, over.p_value))
    return Told(tuned.id, tuned.name, tuned.better, tuned.note, rows, value, before[0], before[1], before[2], tuple(beside))


def shown(one: Told) -> str:
    """0.31 (0.27 to 0.35)."""
    return f"{number(one.value.value)} ({number(one.value.low)} to {number(one.value.high)})"


def number(value: float) -> str:
    """Three figures that matter: 0.312, 12.3, 145."""
    places = next((places for least, places in ((100, 0), (10, 1), (1, 2)) if abs(value) >= least), 3)
    told = f"{value:,.{places}f}"
    return told.removeprefix("-") if not told.strip("-0.") else told


def is_better(one: Told) -> bool | None:
    """Whether the tuned model is better than the untuned one by more than chance; None where chance explains it, or nothing is seen."""
    return None if one.gain is None or one.p_value is None else beats(one.gain, one.p_value, one.better)


def beats(gain: Interval, p_value: float, better: str) -> bool | None:
    """Whether a gain is one for the better, beyond chance; None where chance explains it."""
    if p_value >= CHANCE or not better:
        return None
    return (gain.value > 0) == (better == "higher")


def strongest(one: Told) -> Other | None:
    """The best of the others by this figure, an earlier run apart; None where there is none."""
    rivals = [other for other in one.others if other.id != EARLIER]
    return min(rivals, key=lambda other: other.value if one.better == "lower" else -other.value, default=None)


def against(other: Other, better: str) -> str:
    """How the model does against it: "the model is better, by more than chance (p = 0.003)"."""
    found = beats(other.gain, other.p_value, better)
    if found is None:
        return f"no difference beyond chance ({p_words(other.p_value)})"
    return f"the model is {'better' if found else 'worse'}, by more than chance ({p_words(other.p_value)})"
