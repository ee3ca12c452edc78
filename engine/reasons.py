"""Why a judged run is not better: the likeliest reasons first, each with what to try. From what is known already; nothing is computed anew.

How the model reads the texts, what it never saw, whether it was still learning, which labels may be wrong, what it confuses. Pure.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engine.catalog import Catalog
from engine.checks import FEW_TRAINING_ROWS, MUCH_CUT, PIECES, PIECES_ELSE
from engine.coach import CHECKS, QUIET, Advice
from engine.evaluate import Evaluation, tells_apart
from engine.knobs import Value
from engine.plan import Plan
from engine.slices import script
from engine.store import RunRecord
from engine.tasks import all_tasks
from engine.verdict import percent

Kind = Literal["reading", "rows", "unfinished", "simpler", "cut", "labels", "few_rows", "confused"]
MOST = 4  # reasons that are told; more is no answer
MORE_ROWS = 4  # times as many rows, and steps, as a quick look takes
LOOKED_AT = 200  # texts whose script is told
DOUBTED = 0.05  # share of the test rows with a label that is likely wrong, from which it counts
CONFUSED = 0.4  # of all mistakes, that are one label called one other
FEWEST_MISTAKES = 10
WHOLE_PASS = 0.95  # of the training rows; the last few make no whole step


@dataclass(frozen=True)
class Reason:
    """What may keep the run from being better, and what to press."""

    kind: Kind
    message: str
    advice: tuple[Advice, ...] = ()


def reasons(
    plan: Plan, record: RunRecord, catalog: Catalog, texts: Sequence[str] = (), evaluation: Evaluation | None = None, doubted: int = 0
) -> tuple[Reason, ...]:
    """At most MOST. `texts`: of the test rows; `doubted`: how many of those have a label that is likely wrong."""
    if evaluation is not None and evaluation.accuracy.value == 1:
        return ()
    judged = evaluation is not None and tells_apart(evaluation)  # else its doubts and mistakes say nothing of the labels
    simpler = _simpler(evaluation) if evaluation else None
    unread = _rows(plan)
    found = (
        _reading(plan, catalog, texts),
        unread,
        _unfinished(plan, record),
        simpler,
        _cut(plan),
        _labels(plan, doubted) if judged else None,
        _few_rows(plan) if simpler is None and unread is None else None,
        _confused(evaluation) if evaluation and judged else None,
    )
    return tuple(one for one in found if one is not None)[:MOST]


def _reading(plan: Plan, catalog: Catalog, texts: Sequence[str]) -> Reason | None:
    """A model that was not made for the language has to learn it letter by letter."""
    if plan.tokens_per_word is None or not texts:
        return None
    found = Counter(one for text in texts[:LOOKED_AT] for one in script(text).split(" and "))
    written = max(found, key=lambda one: (found[one], one != "Latin"))  # Bengali with addresses in it is Bengali
    if plan.tokens_per_word <= (PIECES if written == "Latin" else PIECES_ELSE):
        return None
    told = f"The model breaks a word of these texts into {plan.tokens_per_word:.1f} pieces on average, so it reads them poorly"
    # Of models that write, which of them can learn this task only their files say.
    known = [one for one in catalog.models if written in one.languages and not one.writes and not one.gated]
    known = [] if all_tasks()[plan.task].logits else known
    better = next((one for one in known if one.id != plan.model.id), None)
    if written == "Latin" or better is None:
        return Reason("reading", f"{told}. “How each model reads your texts”, on Train, shows which one reads them better.")
    advice = Advice(f"train again with {better.name}, {better.download_bytes / 1e6:,.0f} MB to fetch", model=better.id)
    return Reason("reading", f"{told}. {better.name} was made for {written}.", (advice,))


def _rows(plan: Plan) -> Reason | None:
    """A limit of rows, as the preset of a quick look has, left others unread."""
    limit, used = plan.settings.get("max_rows"), sum(plan.rows.get(part, 0) for part in ("train", "validation", "test"))
    there = sum(plan.class_counts.values()) if not plan.label_columns else 0
    if not limit or used < limit or (plan.class_counts and there <= used) or plan.settings.get("train_share", 1.0) < 1:
        return None
    of = f" of {there:,}" if there else ""
    message = f"It was given {used:,}{of} rows, {plan.rows['train']:,} of them to learn from: no more than {limit:,} were asked for."
    wanted: dict[str, Value] = {"max_rows": min(MORE_ROWS * int(limit), there or MORE_ROWS * int(limit))}
    if plan.settings.get("max_steps"):
        wanted["max_steps"] = MORE_ROWS * int(plan.settings["max_steps"])
    words = f"train again on {wanted['max_rows']:,} rows, for up to {MORE_ROWS} times as long"
    return Reason("rows", message, (Advice(words, wanted),))


def _unfinished(plan: Plan, record: RunRecord) -> Reason | None:
    """It ended within the first pass, or its last check was the best one and the loss still fell."""
    if record.step >= record.total_steps and record.steps and (seen := record.steps[-1].epoch) < WHOLE_PASS:
        advice = Advice("train again for a whole pass", {"max_steps": math.ceil(record.step / seen)})
        return Reason("unfinished", f"It ended after {record.step:,} steps, and had seen {percent(seen)} of its training rows.", (advice,))
    checks = [one for one in record.evaluations if one.split == "validation"]
    if len(checks) <= CHECKS or record.step < record.total_steps or not checks[-1].best:
        return None
    before, now = checks[-1 - CHECKS].metrics["loss"], checks[-1].metrics["loss"]
    if now > (1 - QUIET) * before:
        return None
    message = (
        f"It was still getting better when it ended: over the last {CHECKS} checks the held-out loss fell from {before:.2f} to {now:.2f}."
    )
    steps, passes = plan.settings.get("max_steps"), float(plan.settings.get("epochs") or 1)
    longer: dict[str, Value] = {"max_steps": 2 * int(steps)} if steps else {"epochs": min(100.0, 2 * passes)}
    return Reason("unfinished", message, (Advice("train again for twice as long", longer),))


def _simpler(evaluation: Evaluation) -> Reason | None:
    """TF-IDF is better by more than chance: the rows hold what this model has not learnt from them."""
    tfidf = next((one for one in evaluation.baselines if one.id == "tfidf" and one.macro_f1_gain.high < 0), None)
    if tfidf is None:
        return None
    message = f"TF-IDF learnt more from the same rows (macro F1 {percent(tfidf.macro_f1)}), so it is not the rows that are missing. "
    return Reason("simpler", message + "More passes, another method or a larger model may reach it; Compare methods tries them.")


def _cut(plan: Plan) -> Reason | None:
    length, room = int(plan.settings.get("max_length") or 0), plan.model.max_tokens
    if plan.cut_share is None or plan.cut_share < MUCH_CUT or not length:
        return None
    message = f"{percent(plan.cut_share)} of the texts are longer than the {length:,} tokens that it reads of each."
    if length >= room:
        return Reason("cut", f"{message} This model reads no more at once; one that does may know better.")
    wider = min(2 * length, room)
    return Reason("cut", message, (Advice(f"train again and read {wider:,} tokens of each text", {"max_length": wider}),))


def _labels(plan: Plan, doubted: int) -> Reason | None:
    rows = plan.rows.get("test", 0)
    if not rows or doubted < DOUBTED * rows:
        return None
    message = f"It doubts the labels of {doubted:,} of the {rows:,} test rows; where it is right, it learnt from such too. "
    return Reason("labels", message + "Look at them under “Look at its mistakes”, put right what is wrong, and train again.")


def _few_rows(plan: Plan) -> Reason | None:
    rows = plan.rows["train"]
    if rows >= FEW_TRAINING_ROWS:
        return None
    message = f"It learnt from {rows:,} rows; {FEW_TRAINING_ROWS} are the least that such a task usually wants. "
    return Reason("few_rows", message + "A learning curve, on the card Compare methods, says whether more would help.")


def _confused(evaluation: Evaluation) -> Reason | None:
    """One label that is called one other makes up most of the mistakes."""
    cells = {
        (label, said): count
        for label, row in zip(evaluation.classes, evaluation.confusion, strict=True)
        for said, count in zip(evaluation.classes, row, strict=True)
        if label != said
    }
    mistakes = sum(cells.values())
    (label, said), most = max(cells.items(), key=lambda one: one[1], default=(("", ""), 0))
    if len(evaluation.classes) < 3 or mistakes < FEWEST_MISTAKES or most < CONFUSED * mistakes:
        return None
    message = f"{most:,} of its {mistakes:,} mistakes call {label} “{said}”. Click that cell of the matrix and read them: "
    return Reason("confused", message + "where you would hesitate too, clearer labels help more than another model.")
