"""The report on a run that has an account: figures beside those of others, rows side by side, and what is not known yet. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from engine import answers, readiness
from engine.account import Told, first_of, is_better, number, shown
from engine.answers import Answer
from engine.document import Block, Checks, Code, Document, Grid, Listed, Picture, Section, Words
from engine.drawing import Series, plot
from engine.gathered import KnownAccount
from engine.report import (
    MOST_MISTAKES,
    checked,
    cut,
    edge_cases,
    laid_out,
    repeat,
    reviewed,
    seen_words,
    speed,
    studied,
    trained,
    weak_parts,
)
from engine.tasks import all_tasks
from engine.told import against
from engine.verdict import p_words, percent

HOW_WRONG = {"class": "", "number": "Off by", "tags": "Wrong", "text": "Score"}
ENDS = {"end": "by itself", "stop": "at a stop word", "length": "cut off at the limit of new tokens", "budget": "cut off for want of time"}

BY_HAND = "What nobody can tick here: read 50 answers yourself, for no figure tells what is false"
TIMED = "python -m engine write --run RUN --json PROMPT tells tokens a second"


def document(told: KnownAccount) -> Document:
    """The report, from the sentence that counts to how to repeat it."""
    sections = WRITES if _writes(told) else SAYS
    return laid_out(told, told.account.sentence, tuple(Section(title, tuple(tell(told))) for title, tell in sections))


def _writes(told: KnownAccount) -> bool:
    task = all_tasks().get(told.plan.task)
    return task is None or task.writes is not None


def _figures(told: KnownAccount) -> list[Block]:
    one = told.account
    ordered = sorted((figure for figure in one.figures if figure.rows), key=lambda figure: figure.id != one.headline)
    untuned = any(each.before is not None for each in ordered)
    names = {other.id: other.name for each in ordered for other in each.others}

    def cells(each: Told) -> tuple[str, ...]:
        before = ("" if each.before is None else number(each.before), _difference(each)) if untuned else ()
        others = {other.id: f"{number(other.value)}: {against(other, each.better)}" for other in each.others}
        return (each.name, shown(each), *before, *(others.get(id, "") for id in names), f"{each.rows:,}")

    head = ("Figure", "Tuned", *(("Untuned", "Difference") if untuned else ()), *names.values(), "Rows")
    blocks: list[Block] = [Grid(head, tuple(map(cells, ordered)))]
    asked = " Both models were asked the same, and always took the likeliest word." if _writes(told) else ""
    how = "In brackets the 95 % interval, by drawing the test rows again (bootstrap). Differences by approximate randomisation."
    blocks.append(Words(how + asked, "soft"))
    if one.parts:
        cells_of = (
            (
                each.name,
                *map(percent, (each.precision, each.recall, each.f1)),
                f"{each.rows:,}",
                f"{each.given:,}",
                "–" if each.calibration_error is None else percent(each.calibration_error),
            )
            for each in one.parts
        )
        head = ("Tag", "Precision", "Recall", "F1", "Rows that have it", "Given", "Calibration error")
        blocks.append(Grid(head, tuple(cells_of)))
    if one.belief is not None:
        blocks.append(Words(one.belief.words))
    if one.threshold is not None:
        blocks.append(Words(f"A tag is given from a chance of {one.threshold:.0%} on, chosen on the validation rows.", "soft"))
    if one.margin is not None:
        blocks.append(Words(one.margin.words))
    if notes := (*one.warnings, *one.notes):
        blocks.append(Listed(notes))
    blocks += [Words("How each is counted:"), Listed(tuple(f"{each.name}: {each.note}" for each in ordered))]
    return blocks


def _difference(each: Told) -> str:
    if each.p_value is None:
        return "not compared"
    better = is_better(each)
    return f"{'may be chance' if better is None else 'better' if better else 'worse'}, {p_words(each.p_value)}"


def _texts(told: KnownAccount) -> list[Block]:
    one = told.account
    if not one.samples:
        return [Words("No test row was answered. Train again with more “Rows written in the test”.", "soft")]
    untuned = any(each.before is not None for each in one.samples)
    rows = tuple(
        (f"{each.number:,}", cut(each.prompt), cut(each.wanted), cut(each.written), *((cut(each.before or ""),) if untuned else ()))
        for each in one.samples
    )
    grid = Grid(("Row", "What it was given", "What was wanted", "Tuned", *(("Untuned",) if untuned else ())), rows)
    if not _writes(told):
        return [Words(f"{len(one.samples):,} of the {one.rows:,} test rows, evenly spread."), grid]
    ended = Counter(each.ended for each in one.samples)
    ways = ", ".join(f"{ended[way]} {words}" for way, words in ENDS.items() if ended[way])
    return [Words(f"{len(one.samples):,} of the {one.written:,} test rows that both models answered. These answers ended: {ways}."), grid]


def _mistakes(told: KnownAccount) -> list[Block]:
    """The worst rows, and the parts of the test rows where there are more of them."""
    if not told.answers:
        return [Words("Not known: too little was kept of the answers to the test rows.", "soft")]
    pick, name, count = answers.groups(told.answers)[0]
    worst = answers.picked(told.answers, pick)[:MOST_MISTAKES]
    blocks: list[Block] = [Words(f"{name}{f', the first {len(worst)} of {count:,}' if count > len(worst) else ''}:")]
    if worst:
        blocks.append(Grid(("Row", "Text", "What was wanted", "What it said", HOW_WRONG[worst[0].kind]), tuple(map(_row, worst))))
    if told.corrected:
        blocks.append(Words(f"{told.corrected:,} rows were put right, or left out, by hand."))
    return [*blocks, *weak_parts(told.slices)]


def _row(one: Answer) -> tuple[str, ...]:
    text = cut("\n".join(filter(None, (one.text, one.second))))
    match one.kind:
        case "number" if one.numbers:
            return f"{one.row:,}", text, one.label, number(one.numbers[1]), f"{one.off:+.3g}"
        case "tags" if one.tags:
            wrong = [*(f"{tag}: missed" for tag in one.missed), *(f"{tag}: given wrongly" for tag in one.extra)]
            return f"{one.row:,}", text, *(", ".join(tags) or "no tag" for tags in one.tags), "; ".join(wrong)
    return f"{one.row:,}", text, cut(one.label), cut(one.predicted), number(one.score.value) if one.score else ""


def _asked(told: KnownAccount) -> list[Block]:
    settings = told.plan.settings
    if "chat_template" in settings:
        form = {"own": "the model's own chat template", "chatml": "ChatML", "plain": "Instruction and response"}
        blocks: list[Block] = [Words(f"In the form of a conversation: {form.get(str(settings['chat_template']), 'a chat template')}.")]
        if settings["system_prompt"]:
            blocks += [Words("With this system prompt before it:"), Code(str(settings["system_prompt"]))]
        return blocks
    if "template" in settings:
        return [Words("With this template, which must be used wherever the model is:"), Code(str(settings["template"]))]
    return [Words("With the beginning of a text, on which it writes.")]


def _checklist(told: KnownAccount) -> list[Block]:
    by_hand = f"{BY_HAND}; and time it on the machine where it will run ({TIMED})." if _writes(told) else f"{BY_HAND}."
    items = readiness.checks_of_account(told.account, told.plan, told.studies, told.reviewed, told.look, writes=_writes(told))
    done = sum(one.done for one in items)
    return [
        Words(f"{done} of {len(items)} are done. What is open is not known to be wrong; it is not known."),
        Checks(items),
        Words(by_hand, "soft"),
    ]


def _data(told: KnownAccount) -> list[Block]:
    plan = told.plan
    parts = ", ".join(f"{rows:,} {part}" for part, rows in plan.rows.items())
    columns = [f"text from “{plan.text}”", *([f"beside it “{plan.second}”"] if plan.second else [])]
    columns += [f"what it learnt to say from “{plan.learnt_from}”"] if plan.label != plan.text else []
    return [
        Words(f"{told.spec.data.known_as}: {', '.join(columns)}. Rows: {parts}. SHA-256 {plan.data_sha256}."),
        seen_words(told.account.rows, told.account.seen_rows, told.account.nearly_seen_rows),
        *checked(told),
    ]


def _training(told: KnownAccount) -> list[Block]:
    first = first_of(told.account)
    name, axis = ("perplexity", "Perplexity per token") if _writes(told) or first is None else (first.id, first.name)
    checks = [one for one in told.record.evaluations if one.split == "validation" and name in one.metrics]
    line = [Series("held out", 1, tuple((float(one.step), one.metrics[name]) for one in checks))] if checks else []
    task = all_tasks().get(told.plan.task)
    unit = task.loss_unit if task is not None else "as the task counts it"
    return trained(told, told.account.step, unit, [Picture("Quality on held-out rows", plot(line, "Steps", axis))])


Sections = tuple[tuple[str, Callable[[KnownAccount], Sequence[Block]]], ...]
SHARED: Sections = (
    ("What people say", reviewed),
    ("Studies", studied),
    ("Before it is put to use", _checklist),
    ("The data", _data),
    ("The training", _training),
    ("To repeat it", repeat),
)
EDGES = ("Edge cases", lambda told: edge_cases(told, told.look))
MISTAKES = ("Mistakes, and where it is weakest", _mistakes)
WRITES: Sections = (("How good it is", _figures), ("What it writes", _texts), MISTAKES, ("How it is asked", _asked), *SHARED)
SAYS: Sections = (
    ("How good it is", _figures),
    ("What it says", _texts),
    MISTAKES,
    EDGES,
    ("Speed", lambda told: speed(told, told.look)),
    *SHARED,
)
