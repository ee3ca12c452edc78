"""The report on a run that writes: its figures beside the untuned model's, texts side by side, and what is not known yet. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from engine import readiness
from engine.account import Told, is_better, number, shown
from engine.document import Block, Checks, Code, Document, Grid, Listed, Picture, Section, Words
from engine.drawing import Series, plot
from engine.gathered import KnownWriter
from engine.report import checked, cut, laid_out, repeat, seen_words, studied, trained
from engine.verdict import p_words

ENDS = {"end": "by itself", "stop": "at a stop word", "length": "cut off at the limit of new tokens", "budget": "cut off for want of time"}


def document(told: KnownWriter) -> Document:
    """The report, from the sentence that counts to how to repeat it."""
    return laid_out(told, told.account.sentence, tuple(Section(title, tuple(tell(told))) for title, tell in SECTIONS))


def _figures(told: KnownWriter) -> list[Block]:
    one = told.account
    ordered = sorted((figure for figure in one.figures if figure.rows), key=lambda figure: figure.id != one.headline)
    rows = tuple(
        (each.name, shown(each), "" if each.before is None else number(each.before), _difference(each), f"{each.rows:,}")
        for each in ordered
    )
    blocks: list[Block] = [Grid(("Figure", "Tuned", "Untuned", "Difference", "Rows"), rows)]
    how = "In brackets the 95 % interval, by drawing the test rows again (bootstrap). Both models were asked the same, "
    blocks.append(Words(how + "and always took the likeliest word. Differences by approximate randomisation over the same rows.", "soft"))
    if one.warnings:
        blocks.append(Listed(one.warnings))
    blocks += [Words("How each is counted:"), Listed(tuple(f"{each.name}: {each.note}" for each in ordered))]
    return blocks


def _difference(each: Told) -> str:
    if each.p_value is None:
        return "not compared"
    better = is_better(each)
    return f"{'may be chance' if better is None else 'better' if better else 'worse'}, {p_words(each.p_value)}"


def _texts(told: KnownWriter) -> list[Block]:
    one = told.account
    if not one.samples:
        return [Words("No test row was answered. Train again with more “Rows written in the test”.", "soft")]
    rows = tuple(
        (f"{each.number:,}", cut(each.prompt), cut(each.wanted), cut(each.written), cut(each.before or "")) for each in one.samples
    )
    ended = Counter(each.ended for each in one.samples)
    ways = ", ".join(f"{ended[way]} {words}" for way, words in ENDS.items() if ended[way])
    return [
        Words(f"{len(one.samples):,} of the {one.written:,} test rows that both models answered. These answers ended: {ways}."),
        Grid(("Row", "What it was given", "What was wanted", "Tuned", "Untuned"), rows),
    ]


def _asked(told: KnownWriter) -> list[Block]:
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


def _checklist(told: KnownWriter) -> list[Block]:
    items = readiness.checks_of_writing(told.account, told.plan, told.studies)
    done = sum(one.done for one in items)
    return [Words(f"{done} of {len(items)} are done. What is open is not known to be wrong; it is not known."), Checks(items)]


def _data(told: KnownWriter) -> list[Block]:
    plan = told.plan
    parts = ", ".join(f"{rows:,} {part}" for part, rows in plan.rows.items())
    columns = [f"text from “{plan.text}”", *([f"beside it “{plan.second}”"] if plan.second else [])]
    columns += [f"what is to be written from “{plan.label}”"] if plan.label != plan.text else []
    return [
        Words(f"{told.spec.data.known_as}: {', '.join(columns)}. Rows: {parts}. SHA-256 {plan.data_sha256}."),
        seen_words(told.account.seen_rows),
        *checked(told),
    ]


def _training(told: KnownWriter) -> list[Block]:
    checks = [one for one in told.record.evaluations if one.split == "validation" and "perplexity" in one.metrics]
    line = [Series("held out", 1, tuple((float(one.step), one.metrics["perplexity"]) for one in checks))] if checks else []
    drawn = Picture("Perplexity on held-out rows", plot(line, "Steps", "Perplexity per token"))
    return trained(told, told.account.step, "nats a token", [drawn])


SECTIONS: tuple[tuple[str, Callable[[KnownWriter], Sequence[Block]]], ...] = (
    ("How good it is", _figures),
    ("What it writes", _texts),
    ("How it is asked", _asked),
    ("Studies", studied),
    ("Before it is put to use", _checklist),
    ("The data", _data),
    ("The training", _training),
    ("To repeat it", repeat),
)
