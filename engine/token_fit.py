"""How each model that could be chosen reads these texts: into how many pieces it breaks a word, what is cut, how long training takes.

It decides quality where a model was not made for the language: what falls into single letters has to be learnt letter by letter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal

from engine import hub, wordpieces
from engine.catalog import Catalog
from engine.data.profile import DataFacts
from engine.errors import Problem, Refused
from engine.facts import Facts
from engine.models import EMBEDDED, TokenFacts
from engine.plan import Plan
from engine.spec import RunSpec

AT_ONCE = 4  # models that are asked for at the same time
Planned = Callable[[RunSpec, str | None], tuple[Plan | None, Sequence[Problem]]]
Grade = Literal["well", "in pieces", "poorly"]

# Letters in a token, over 512 texts: BERT-base-uncased's vocabulary has 1.1 for Bengali, 2.5 for Banglish, 3.4 for English.
SINGLE_LETTERS, FEW_LETTERS = 1.5, 2.2
MANY_PIECES = 1.6  # tokens a word from which words are rather in pieces than whole; English has 1.2 to 1.5
UNKNOWN = 0.05  # share of tokens
LOST = 0.02  # share of the signs


@dataclass(frozen=True)
class TokenFit:
    """How one model reads the texts, or why that is not known."""

    model: str
    name: str
    grade: Grade | None  # None: not known
    words: str
    tokens: TokenFacts | None = None
    cut_share: float | None = None
    max_length: int | None = None
    seconds: float | None = None  # of the whole run; None: not known
    problem: Problem | None = None  # what keeps it, or the run, from being known
    asked: bool = True  # False: nobody asked the Hub yet


def in_words(tokens: TokenFacts, script: str) -> tuple[Grade, str]:
    """How well a tokenizer suits these texts, and how it reads them, such as "breaks Bengali into single letters". `script`: "" for any."""
    what = script if script not in ("", "Latin") else "words"
    letters = tokens.letters_per_token
    grade: Grade = "in pieces"
    if tokens.unknown_share > UNKNOWN:
        grade, told = "poorly", f"does not know {tokens.unknown_share:.0%} of what it reads"
    elif letters is not None and letters < SINGLE_LETTERS:
        grade, told = "poorly", f"breaks {what} into single letters"
    elif letters is not None and letters < FEW_LETTERS:
        grade, told = "poorly", f"breaks {what} into pieces of about two letters"
    elif tokens.tokens_per_word > MANY_PIECES:
        told = f"breaks a word into {tokens.tokens_per_word:.1f} pieces"
    else:
        grade, told = "well", "reads most words whole"
    if tokens.lost_marks > LOST:
        grade, told = "poorly", f"{told} and throws away {tokens.lost_marks:.0%} of the vowel signs"
    return grade, told


def candidates(catalog: Catalog, chosen: str) -> dict[str, str]:
    """The models of the catalogue and the one that is chosen, with their names."""
    told = {one.id: one.name for one in catalog.models}
    return told if chosen in told or not chosen else {chosen: chosen, **told}


def fits(
    spec: RunSpec, data: DataFacts, facts: Facts, catalog: Catalog, planned: Planned, token: str | None, *, fetch: bool
) -> tuple[TokenFit, ...]:
    """Every candidate, the best reader first. Without `fetch` only what lies on this machine is looked at.

    With it the vocabularies of the others are fetched, 1 to 35 MB each and no weights. Where the Hub does not answer for one, the
    others are not asked for.
    """
    names = candidates(catalog, spec.model)
    wanted = [one for one in names if fetch or one == spec.model or is_here(one, facts)]

    def look(model: str) -> TokenFit:
        return _fit(replace(spec, model=model), names[model], data, facts, planned, token)

    found: dict[str, TokenFit] = {}
    elsewhere = [one for one in wanted if not (one == spec.model or is_here(one, facts))]
    for one in [one for one in wanted if one not in elsewhere] + elsewhere[:1]:
        found[one] = look(one)
    if elsewhere and found[elsewhere[0]].problem == hub.unreachable(elsewhere[0]).problems[0]:
        found |= {one: TokenFit(one, names[one], None, "", problem=hub.unreachable(one).problems[0]) for one in elsewhere[1:]}
    else:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found |= dict(zip(elsewhere[1:], pool.map(look, elsewhere[1:]), strict=True))
    rest = [TokenFit(one, name, None, "", asked=False) for one, name in names.items() if one not in found]
    return (*ordered(found.values()), *rest)


def is_here(model: str, facts: Facts) -> bool:
    """Whether this model's tokenizer can be read without asking the Hub for it."""
    if model == EMBEDDED:
        return True
    known = hub.known(model, facts.home)
    return known is not None and hub.present(known, ["config.json", *wordpieces.needed(known.files)], facts.home) is not None


def _fit(spec: RunSpec, name: str, data: DataFacts, facts: Facts, planned: Planned, token: str | None) -> TokenFit:
    try:
        model = facts.model(spec.model, token)
        tokens = facts.tokens(model, data, token)
    except Refused as refused:
        return TokenFit(spec.model, name, None, "", problem=refused.problems[0])
    if tokens is None and not data.texts_sample:
        problem = Problem("data.text", "Which column holds the texts is not chosen yet.", "Choose it above.", "warning")
        return TokenFit(spec.model, name, None, "", problem=problem)
    if tokens is None:
        problem = Problem("model", "Its tokenizer can be read only when it is loaded.", "Start a run to see.", "warning")
        return TokenFit(spec.model, name, None, "", problem=problem)
    grade, words = in_words(tokens, next(iter(data.script_shares), ""))
    plan, problems = planned(spec, token)
    if plan is None:
        return TokenFit(spec.model, name, grade, words, tokens, problem=next((one for one in problems if one.severity == "error"), None))
    return TokenFit(spec.model, name, grade, words, tokens, plan.cut_share, int(plan.settings["max_length"]), plan.seconds)


def ordered(found: Iterable[TokenFit]) -> list[TokenFit]:
    """The best readers first; of two that are alike, the one with fewer tokens a word; unknown ones last."""
    grades: dict[Grade | None, int] = {"well": 0, "in pieces": 1, "poorly": 2, None: 3}
    return sorted(found, key=lambda one: (grades[one.grade], one.tokens.tokens_per_word if one.tokens else 0.0, one.name))
