"""The report on one run: what it is good for, with evidence, what is not known yet and how to get to know it, and how to repeat it.

`document` tells in sections what `gathered.known` knows; `document.to_html` and `to_markdown` write them. Pure.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from engine import coach, evaluate, readiness
from engine.comparison import minutes, size
from engine.document import Block, Checks, Code, Document, Grid, Listed, Picture, Section, Words
from engine.drawing import Series, plot
from engine.edge_cases import Finding
from engine.evaluate import Evaluation
from engine.events import Step
from engine.gathered import Known, KnownAccount, KnownRun
from engine.plan import Plan
from engine.probed import Probed
from engine.reasons import Reason
from engine.slices import Slice
from engine.store import RunRecord
from engine.told import number
from engine.verdict import p_words, percent, shared_words, with_interval

MOST_CLASSES = 20  # in the matrix; of more, the pairs that are confused most
MOST_PAIRS, MOST_MISTAKES, MOST_SLICES, MOST_POINTS = 20, 20, 12, 400
TEXT_SHOWN = 300  # characters
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
SPEEDS = {"tuned": "This model", "untuned": "The model before its training", "merged": "Merged into one model"}
LACKS_LOOK = "Not known yet. Press “Look closer” on the run's page, or run: python -m engine judge {run}"


def document(told: Known) -> Document:
    """The report, from the sentence that counts to how to repeat it."""
    sentence, _ = evaluate.headline(told.evaluation, told.beside)
    return laid_out(told, sentence, tuple(Section(title, tuple(tell(told))) for title, tell in SECTIONS))


def laid_out(told: KnownRun, sentence: str, sections: tuple[Section, ...]) -> Document:
    """These sections under the run's name, the sentence and what it is of."""
    ended = told.record.ended
    when = time.strftime("%Y-%m-%d", time.gmtime(ended.time)) if ended else ""
    of = f"{told.plan.model.id}, {told.plan.method}, on {told.spec.data.known_as}"
    under = f"{of}. Run {told.run_id}{f', {when}' if when else ''}. Made with Shur."
    return Document(told.title, sentence, under, sections)


# The sections


def _verdict(told: Known) -> list[Block]:
    one = told.evaluation
    _, more = evaluate.headline(one, told.beside)
    figures = (
        ("Accuracy", with_interval(one.accuracy)),
        ("Macro F1", with_interval(one.macro_f1)),
        ("Macro precision, recall", f"{percent(one.macro_precision)}, {percent(one.macro_recall)}"),
        ("Weighted precision, recall, F1", ", ".join(map(percent, (one.weighted_precision, one.weighted_recall, one.weighted_f1)))),
        ("Loss", f"{one.loss:.3f} nats a row"),
        ("Test rows", f"{one.rows:,}"),
    )
    blocks: list[Block] = [Grid(("Figure", "On the test rows"), figures)]
    blocks.append(Words("In brackets the 95 % interval: of accuracy Wilson's, of F1 by drawing the test rows again (bootstrap).", "soft"))
    if notes := (*more, *one.warnings):
        blocks.append(Listed(notes))
    return blocks


def _baselines(told: Known) -> list[Block]:
    one = told.evaluation
    scores = [*one.baselines, *(rival.score for rival in told.beside)]
    rows = tuple(
        (score.name, percent(score.accuracy), percent(score.macro_f1), f"{score.only_model_right:,}", f"{score.only_baseline_right:,}",
         p_words(score.p_value), score.note)
        for score in scores
    )  # fmt: skip
    head = ("Beside it", "Accuracy", "Macro F1", "Only the model right", "Only the other right", "McNemar's test", "How it was made")
    mine = ("This model", percent(one.accuracy.value), percent(one.macro_f1.value), "", "", "", "")
    blocks: list[Block] = [Grid(head, (mine, *rows))]
    if told.look is None or told.look.untuned is None:
        blocks.append(Words("The untuned model: " + LACKS_LOOK.format(run=told.run_id), "soft"))
    return blocks


def _classes(told: Known) -> list[Block]:
    one = told.evaluation
    rows = tuple(
        (each.label, percent(each.precision), percent(each.recall), percent(each.f1), f"{each.rows:,}", f"{each.predicted:,}")
        for each in one.per_class
    )
    blocks: list[Block] = [Grid(("Label", "Precision", "Recall", "F1", "Test rows", "Given by the model"), rows)]
    return [*blocks, *_confusion(one)]


def _confusion(one: Evaluation) -> list[Block]:
    if len(one.classes) <= MOST_CLASSES:
        lines = []
        for label, counts in zip(one.classes, one.confusion, strict=True):
            of = sum(counts)
            lines.append((label, *(f"{count:,} ({percent(count / of)})" if of else "0" for count in counts)))
        return [Words("Rows: the label; columns: what the model said; in brackets the share of the label's rows."),
                Grid(("", *one.classes), tuple(lines))]  # fmt: skip
    pairs = [
        (count, label, said)
        for label, counts in zip(one.classes, one.confusion, strict=True)
        for said, count in zip(one.classes, counts, strict=True)
        if count and said != label
    ]
    pairs.sort(key=lambda pair: -pair[0])
    rows = tuple((label, said, f"{count:,}") for count, label, said in pairs[:MOST_PAIRS])
    return [Words(f"The pairs that are confused most, of {len(one.classes)} labels."), Grid(("Label", "The model said", "Rows"), rows)]


def _confidence(told: Known) -> list[Block]:
    one = told.confidence
    if one is None:
        return [Words("Not known: the answers to the test rows were not kept.", "soft")]
    believed = "within" if one.error <= one.error_by_chance else "above"
    first = (
        f"On average it is {percent(one.mean_confidence)} sure and {percent(one.accuracy)} right. The expected calibration error is "
        f"{percent(one.error)}, {believed} what chance alone gives on {one.rows:,} rows (up to {percent(one.error_by_chance)})."
    )
    if one.temperature != 1:
        first += f" Its answers are cooled by a temperature of {one.temperature:.2f}."
    last = len(one.silence) - 1
    steps = [one.silence[round(threshold * last)] for threshold in THRESHOLDS]
    silence = tuple(
        (f"{step.threshold:.2f}", percent(step.share), with_interval(step.right), f"{step.answered:,}") for step in steps if step.right
    )
    head = ("If at least so sure", "It answers", "Right of those", "Rows")
    sure: list[Block] = [Words("If it only answers where it is sure enough:"), Grid(head, silence)]
    if not silence:
        sure = [Words(f"On no row is it {THRESHOLDS[0]:.0%} sure or more.")]
    bins = plot(
        [
            Series("Rightly sure", 6, ((0.0, 0.0), (1.0, 1.0))),
            Series("This model", 0, tuple((bin_.confidence, bin_.right) for bin_ in one.bins)),
        ],
        "Confidence",
        "Share right",
    )
    weakest = sorted(one.curves, key=lambda curve: curve.average_precision)[:5]
    curves = [Series(curve.label, place, tuple(zip(curve.recall, curve.precision, strict=True))) for place, curve in enumerate(weakest)]
    precision = tuple((curve.label, percent(curve.average_precision), f"{curve.rows:,}") for curve in one.curves)
    return [
        Words(first), Picture("Share right by confidence", bins),
        *sure,
        Picture("Precision against recall, the weakest labels", plot(curves, "Recall", "Precision")),
        Grid(("Label", "Average precision", "Test rows"), precision),
    ]  # fmt: skip


def _mistakes(told: Known) -> list[Block]:
    wrong = sorted((one for one in told.answers if not one.is_right), key=lambda one: -one.confidence)
    if not told.answers:
        return [Words("Not known: the answers to the test rows were not kept.", "soft")]
    rows = tuple((f"{one.row:,}", cut(one.text), one.label, one.predicted, percent(one.confidence)) for one in wrong[:MOST_MISTAKES])
    first = f"{len(wrong):,} of {len(told.answers):,} test rows are wrong{'; the surest of them' if len(wrong) > MOST_MISTAKES else ''}:"
    blocks: list[Block] = (
        [Words(first), Grid(("Row", "Text", "Label", "The model said", "Sure"), rows)] if wrong else [Words("No test row is wrong.")]
    )
    if told.doubted is None:
        blocks.append(
            Words(
                "Labels that are likely wrong: not looked for yet. Press “Look for wrong labels in the training rows” on its page.", "soft"
            )
        )
    else:
        blocks.append(Words(f"{told.doubted:,} labels are likely wrong; {told.corrected:,} were put right by hand."))
    return [*blocks, *weak_parts(told.slices)]


def weak_parts(slices: Sequence[Slice]) -> list[Block]:
    """Parts of the test rows in which the model is weaker than elsewhere, or how all of them compare."""
    if not slices:
        return [Words("There are too few test rows to look at parts of them.", "soft")]
    weak, measure = [one for one in slices if one.is_weak], slices[0].measure
    shown = tuple(
        (f"{one.by}: {one.name}", measure.with_interval(one.value), measure.words(one.rest), f"{len(one.places):,}", p_words(one.p_value))
        for one in (weak or slices)[:MOST_SLICES]
    )
    found = "Where it is weaker than elsewhere, by more than chance:" if weak else "No part is weaker than the rest by more than chance:"
    test = measure.test[0].upper() + measure.test[1:]
    return [Words(found), Grid(("Part", measure.name, "Elsewhere", "Rows", test), shown)]


def edge_cases(told: KnownRun, look: Probed | None) -> list[Block]:
    """What changed texts do to the answers: how often they change, or how far numbers move."""
    if look is None or not look.edge_cases:
        return [Words(LACKS_LOOK.format(run=told.run_id), "soft")]
    tried, of = [one for one in look.edge_cases if one.rows], f"Made from {look.edge_rows:,} of the {look.test_rows:,} test rows"
    examples = tuple((one.name, cut(shown.after), shown.said_before, shown.said_after) for one in tried for shown in one.examples[:1])
    if any(one.move for one in tried):
        first = f"{of}: how far the numbers move on average, and how far they are off."
        head = ("The text is changed", "Moves it by", "Off before", "Off after", "Texts")
    else:
        first, head = (
            f"{of}: how often the answer changes.",
            ("The text is changed", "Answer changes", "Right before", "Right after", "Texts"),
        )
    return [
        Words(first),
        Grid(head, tuple(map(_edge_case, tried))),
        Grid(("Change", "The text then", "It said", "It says then"), examples),
    ]


def _edge_case(one: Finding) -> tuple[str, ...]:
    if one.move is not None:
        mean = one.move.mean
        told = f"{number(mean.value)} ({number(mean.low)} to {number(mean.high)})"
        before, after = number(one.move.off_before), number(one.move.off_after)
    else:
        assert one.changed is not None
        told, before, after = with_interval(one.changed), f"{one.right_before:,}", f"{one.right_after:,}"
    return one.name, told, before if one.stays else "–", after if one.stays else "may rightly change", f"{one.rows:,}"


def speed(told: KnownRun, look: Probed | None) -> list[Block]:
    """Each model's line, the same texts for all."""
    if look is None:
        return [Words(LACKS_LOOK.format(run=told.run_id), "soft")]
    rows = tuple(
        (
            SPEEDS[one.id],
            f"{1000 * one.median_seconds:.3g} ms",
            f"{1000 * one.slow_seconds:.3g} ms",
            f"{one.rows_per_second:,.0f}",
            str(one.best_batch),
        )
        for one in look.speed
    )
    return [
        Grid(("", "One text, usually (p50)", "95 of 100 below (p95)", "Texts a second", "In batches of"), rows),
        Words(f"The same texts for all, from text to answer, on {look.device}.", "soft"),
    ]


def studied(told: KnownRun) -> list[Block]:
    if not told.studies:
        return [Words("None of this data, model and method. Under Compare: methods beside each other, folds, or a learning curve.", "soft")]
    blocks: list[Block] = []
    for one in told.studies:
        blocks += [Words(f"{one.study.name} ({one.state})"), Listed(one.advice.sentences or ("Nothing is known yet.",))]
    return blocks


def reviewed(told: Known | KnownAccount) -> list[Block]:
    found = told.reviewed
    if found is None or not any(one.judged or one.done for one in found.people):
        return [Words("Nobody has judged rows yet. Under “Ask people” on the run's page links are made for those who shall.", "soft")]
    blocks: list[Block] = []
    if any(one.judged for one in found.people):
        rows = tuple(
            (one.name, f"{one.judged:,}", *(percent(like / one.judged) if one.judged else "–" for like in (one.like_file, one.like_model)))
            for one in found.people
        )
        blocks.append(Grid(("Person", "Labels given", "Like the file", "Like the model"), rows))
    if found.ratings:
        means = tuple((question.capitalize(), each.figure, f"{each.rows:,}") for question, each in found.ratings)
        blocks.append(Grid(("Rated from 1 to 5", "Mean", "Rows"), means))
    said = [f"{question.capitalize()}: {each.words}" for question, each in found.agreements]
    if found.model is not None:
        beside = f"it says the same in {percent(found.model.same)}, agreement beyond chance {found.model.level} ({found.model.figure})"
        said.append(f"The model beside the label that most gave: {beside}.")
    return [*blocks, *([Listed(tuple(said))] if said else [])]


def _data(told: Known) -> list[Block]:
    plan, one = told.plan, told.evaluation
    parts = ", ".join(f"{'up to ' if part == 'made' else ''}{rows:,} {part}" for part, rows in plan.rows.items())
    counts = tuple((label, f"{plan.class_counts.get(label, 0):,}") for label in plan.labels)
    blocks: list[Block] = [
        Words(f"{told.spec.data.known_as}: text from “{plan.text}”, label from “{plan.label}”. Rows: {parts}. SHA-256 {plan.data_sha256}."),
        seen_words(one.rows, one.seen_rows, one.nearly_seen_rows),
        Grid(("Label", "Usable rows"), counts),
    ]
    return [*blocks, *checked(told)]


def seen_words(rows: int, seen: int, nearly: int) -> Words:
    some = seen or nearly
    return Words(f"{shared_words(rows, seen, nearly)}." if some else "No test text stands among the training texts, or nearly does.")


def checked(told: KnownRun) -> list[Block]:
    """What the doctor put right, and what it finds."""
    if told.checkup is None:
        return [Words("The data cannot be opened any more, so the doctor was not asked.", "soft")]
    blocks: list[Block] = []
    if told.checkup.applied:
        made = tuple((one.words, f"{one.rows:,}") for one in told.checkup.applied)
        blocks += [Words("What was put right before training; the file itself stays as it came:"), Grid(("Fix", "Rows"), made)]
    found = tuple((one.title, f"{one.rows:,}", one.effect) for one in told.checkup.findings)
    if not found:
        return [*blocks, Words("The doctor finds nothing wrong with the rows as they are now.")]
    return [
        *blocks,
        Words("What the doctor finds in the rows as they are now:"),
        Grid(("Finding", "Rows", "What it does to the result"), found),
    ]


def _training(told: Known) -> list[Block]:
    checks = [one for one in told.record.evaluations if one.split == "validation"]
    quality = [
        Series("macro F1", 0, tuple((float(one.step), 100 * one.metrics["macro_f1"]) for one in checks if "macro_f1" in one.metrics))
    ]
    drawn = Picture("Quality on held-out rows", plot([one for one in quality if one.points], "Steps", "Macro F1 (%)"))
    return trained(told, told.evaluation.step, "nats a row", [drawn])


def trained(told: KnownRun, step: int, unit: str, more: list[Block]) -> list[Block]:
    """How training went: facts, the loss in this unit, `more` pictures, warnings. `step`: whose weights are kept."""
    record, plan = told.record, told.plan
    checks = [one for one in record.evaluations if one.split == "validation"]
    loss = [Series("training", 0, _thinned(record.steps)), Series("held out", 1, tuple((one.step, one.metrics["loss"]) for one in checks))]
    peak, gpu = (max((value or 0 for value in of), default=0) for of in _memory(record))
    facts = [
        ("Steps", f"{record.step:,} of {record.total_steps:,}; the weights of step {step:,} are kept"),
        ("Time", minutes(record.seconds)),
        ("Peak memory", size(peak) + (f", GPU {size(gpu)}" if gpu else "")),
        ("Parameters", f"{plan.trainable_parameters:,} of {plan.parameters:,} trained ({percent(plan.trainable_share)})"),
        *([("Texts", _fit(plan))] if plan.tokens_per_word is not None else []),
        ("Machine", record.started.device if record.started else plan.device_words),
        ("Ended", record.ended.reason if record.ended else ""),
    ]
    return [
        Grid(("Training", ""), tuple(facts)), Picture("Loss", plot([one for one in loss if one.points], "Steps", f"Loss ({unit})")),
        *more,
        *([Listed(tuple(one.message for one in record.warnings))] if record.warnings else []),
        *_coached(told),
    ]  # fmt: skip


def _fit(plan: Plan) -> str:
    """How the model's tokenizer reads the texts."""
    return f"{plan.tokens_per_word:.1f} tokens a word" + (
        "" if plan.cut_share is None else f"; {percent(plan.cut_share)} of the texts are cut"
    )


def _coached(told: KnownRun) -> list[Block]:
    """What may keep it from being better, and what the coach says of the curves; each with its advice."""
    blocks: list[Block] = []
    if told.reasons:
        blocks += [Words("What may keep it from being better, the likeliest first:"), _advised(told.reasons)]
    found = coach.findings(told.record, coach.lesson(told.plan))
    if not found:
        return [*blocks, Words("The coach finds nothing in the curves that calls for another try.", "soft")]
    return [*blocks, Words("What the coach says of the curves; it can be wrong:"), _advised(found)]


def _advised(found: Sequence[coach.Finding | Reason]) -> Listed:
    lines = []
    for one in found:
        again = " or ".join(advice.words for advice in one.advice if advice.trains)  # the others are for a run that goes on
        lines.append(f"{one.message} To try: {again}." if again else one.message)
    return Listed(tuple(lines))


def _memory(record: RunRecord) -> tuple[list[int | None], list[int | None]]:
    return [one.ram_peak_bytes for one in record.resources], [one.vram_peak_bytes for one in record.resources]


def _thinned(steps: Sequence[Step]) -> tuple[tuple[float, float], ...]:
    """At most MOST_POINTS means of steps that stand together."""
    width = max(1, math.ceil(len(steps) / MOST_POINTS))
    parts = [steps[at : at + width] for at in range(0, len(steps), width)]
    return tuple((float(part[-1].step), sum(one.loss for one in part) / len(part)) for part in parts)


def _checklist(told: Known) -> list[Block]:
    items = readiness.checks(told.evaluation, told.plan, told.look, told.studies, told.doubted, told.corrected, told.reviewed)
    done = sum(one.done for one in items)
    return [Words(f"{done} of {len(items)} are done. What is open is not known to be wrong; it is not known."), Checks(items)]


def repeat(told: KnownRun) -> list[Block]:
    versions = told.record.started.versions if told.record.started else {}
    settings = tuple((name.replace("_", " "), str(value), told.plan.reason(name) or "") for name, value in told.plan.settings.items())
    blocks: list[Block] = [
        Words("Save this as spec.json beside the data, and run: python -m engine train --spec spec.json"), Code(told.spec_json.strip()),
        Words("Every setting, and why it was chosen where it was chosen automatically:"), Grid(("Setting", "Value", "Why"), settings),
    ]  # fmt: skip
    if versions:
        blocks.append(Words("Versions: " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".", "soft"))
    return blocks


SECTIONS: tuple[tuple[str, Callable[[Known], list[Block]]], ...] = (
    ("How good it is", _verdict),
    ("Against others", _baselines),
    ("Label by label", _classes),
    ("Can its confidence be believed", _confidence),
    ("Mistakes, and where it is weakest", _mistakes),
    ("Edge cases", lambda told: edge_cases(told, told.look)),
    ("Speed", lambda told: speed(told, told.look)),
    ("Studies", studied),
    ("What people say", reviewed),
    ("Before it is put to use", _checklist),
    ("The data", _data),
    ("The training", _training),
    ("To repeat it", repeat),
)


def cut(text: str) -> str:
    return text if len(text) <= TEXT_SHOWN else text[: TEXT_SHOWN - 1] + "…"
