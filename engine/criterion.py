"""The figure that a study ranks by: its name, which way is better, how its values and differences are told. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from engine.account import Account
from engine.comparison import Figure
from engine.told import number
from engine.verdict import percent

PERPLEXITY = "perplexity_word"  # which every run that writes has, on all of its test rows
UNTUNED = "untuned"
BOUNDS = {
    "spearman": (-1.0, 1.0), "pearson": (-1.0, 1.0), "r2": (-math.inf, 1.0), "bleu": (0.0, 100.0), "chrf": (0.0, 100.0),
    PERPLEXITY: (1.0, math.inf), "perplexity_token": (1.0, math.inf),
}  # fmt: skip


@dataclass(frozen=True)
class Criterion:
    """A figure by which runs are told apart."""

    id: str
    name: str
    better: Literal["higher", "lower"] = "higher"
    share: bool = False  # told in per cent

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest value that there can be."""
        return BOUNDS.get(self.id, (0.0, 1.0) if self.better == "higher" else (0.0, math.inf))

    @property
    def has_no_end(self) -> bool:
        """Whether two of its values are better told apart by their ratio."""
        return self.bounds[1] == math.inf

    @property
    def in_text(self) -> str:
        """As it stands within a sentence: perplexity per word, but ROUGE-L, chrF and R²."""
        return (
            self.name
            if len(self.name) < 2 or not (self.name[0].isupper() and self.name[1].islower())
            else self.name[0].lower() + self.name[1:]
        )

    @property
    def axis(self) -> str:
        """The title of an axis: with the unit, and with what is better where that is not what one expects."""
        return f"{self.name} (%)" if self.share else f"{self.name} (lower is better)" if self.better == "lower" else self.name

    @property
    def times(self) -> float:
        """What a value is multiplied by where it is drawn."""
        return 100.0 if self.share else 1.0

    def words(self, value: float) -> str:
        """91.2 %, or 0.312."""
        return percent(value) if self.share else number(value)

    def bounds_words(self, figure: Figure) -> str:
        """90.0 to 92.4."""
        if self.share:
            return f"{100 * figure.low:.1f} to {100 * figure.high:.1f}"
        return f"{number(figure.low)} to {number(figure.high)}"

    def apart_words(self, difference: float) -> str:
        """3.1 points, or 0.12: a distance between two values."""
        return f"{abs(100 * difference):.1f} points" if self.share else number(abs(difference))

    def ahead(self, value: float) -> float:
        """The value, or a difference of two, so that more is better."""
        return value if self.better == "higher" else -value


MACRO_F1 = Criterion("macro_f1", "Macro F1", share=True)
ACCURACY = Criterion("accuracy", "Accuracy", share=True)
NOT_KNOWN = Criterion("", "Quality")  # before the first run has been judged


def of_accounts(accounts: Sequence[Account], same_rows: Callable[[str], bool], preferred: Sequence[str] = ()) -> tuple[Criterion, ...]:
    """What runs with these accounts are ranked by, and a second figure beside it where there is one.

    The first is the figure that their task tells first, or the perplexity where not every run has that of the same rows (`same_rows`,
    by a figure's id): a slow one may not have answered all of them. `preferred`: ids for the second.
    """
    if not accounts:
        return (NOT_KNOWN,)
    known = [{told.id: told for told in one.figures if told.rows and told.better} for one in accounts]
    common = [told for id, told in known[0].items() if all(id in one for one in known)]
    ids = [one.id for one in common]
    wanted = [one for one in (accounts[0].headline, PERPLEXITY, *ids) if one in ids]
    if not wanted:
        return (NOT_KNOWN,)
    first = next(filter(same_rows, wanted), wanted[0])
    second = next((one for one in (*preferred, PERPLEXITY, *ids) if one in ids and one != first), None)
    by_id = {told.id: told for told in common}
    return tuple(_criterion(by_id[id].id, by_id[id].name, by_id[id].better) for id in (first, second) if id is not None)


def _criterion(id: str, name: str, better: str) -> Criterion:
    return Criterion(id, name, "lower" if better == "lower" else "higher")
