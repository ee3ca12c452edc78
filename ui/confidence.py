"""What the page says about how sure a model is, as safe HTML, plain words first. Pure: figures in, text out."""

from __future__ import annotations

from collections.abc import Sequence

from engine.calibration import Confidence, Curve, Silence
from ui import tables, words
from ui.tables import Column

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
USUAL = 0.8
FEW = 10  # answered rows; below it their share of right ones says nothing
COARSE = 0.1  # an error that chance alone gives: a test that cannot find a smaller one confirms nothing
SLIGHT = 0.01  # of confidence over accuracy: neither too sure nor too shy
DRAWN = 6  # curves in one picture
TOLD = (
    "Calibration: whether 80 % sure means right 80 times in 100. The error is how far the two lie apart, averaged over the rows "
    "(expected calibration error, 15 bins)."
)


def sureness(told: Confidence | None) -> str:
    """Whether its confidence can be believed, in a sentence, and the figures behind it."""
    if told is None:
        return '<p class="soft">The answers to the test rows were not kept, so nothing can be said of its confidence.</p>'
    lines = [
        ("Sure", words.percent(told.mean_confidence)),
        ("Right", words.percent(told.accuracy)),
        ("Error", f"{words.percent(told.error)} {tables.soft(f'chance alone gives up to {words.percent(told.error_by_chance)}')}"),
    ]
    return f'<p><b>{verdict(told)}</b></p>{tables.figures(lines)}<p class="soft">{TOLD}</p>'


def verdict(told: Confidence) -> str:
    """Too sure of itself, too shy, or neither as far as so many rows can tell."""
    gap = told.mean_confidence - told.accuracy
    if told.error <= told.error_by_chance > COARSE:
        return f"{words.counted(told.rows, 'row')} are too few to say whether its confidence can be believed."
    if told.error <= told.error_by_chance:
        return f"Its confidence can be believed, as far as {words.counted(told.rows, 'row')} can tell."
    much = f"on average {words.percent(told.mean_confidence)} sure and {words.percent(told.accuracy)} right"
    if gap > SLIGHT:
        return f"It is too sure of itself: {much}."
    if gap < -SLIGHT:
        return f"It is more often right than it believes: {much}."
    return f"Its confidence is right on average, but not at every level: {words.percent(told.error)} off."


def usual(told: Confidence) -> float:
    """The threshold to begin with: 0.8, or the highest tenth at which half of the rows are answered, where hardly any is at 0.8."""
    if at(told, USUAL).share >= 0.1:
        return USUAL
    return max(tenth / 10 for tenth in range(10) if at(told, tenth / 10).share >= 0.5)


def at(told: Confidence, threshold: float) -> Silence:
    """What happens at this threshold."""
    last = len(told.silence) - 1
    return told.silence[min(last, max(0, round(threshold * last)))]


def at_threshold(told: Confidence | None, threshold: float) -> str:
    """At 0.8 it answers 83 % of rows with 96 % right."""
    if told is None:
        return ""
    one = at(told, threshold)
    if one.right is None:
        return f'<p class="silence" role="status">At {one.threshold:.2f} it answers nothing: it is never so sure.</p>'
    left = told.rows - one.answered
    rest = f" {words.counted(left, 'row')} of {words.count(told.rows)} would be left to a person." if left else ""
    return (
        f'<p class="silence" role="status"><b>At {one.threshold:.2f} it answers {words.percent(one.share)} of rows, with '
        f"{words.percent(one.right.value)} right</b> {tables.soft(_interval(one))}.{rest}</p>"
    )


def silence_table(told: Confidence | None) -> str:
    """The same for the usual thresholds."""
    if told is None:
        return ""
    columns = (
        Column("If at least so sure"),
        Column("It answers", number=True),
        Column("Right of those", number=True),
        Column("Rows", number=True),
    )
    rows = []
    for threshold in THRESHOLDS:
        one = at(told, threshold)
        if one.right is None:
            break
        right = f"{words.percent(one.right.value)} {tables.soft(_interval(one))}"
        rows.append((f"{threshold:.2f}", words.percent(one.share), right, words.count(one.answered)))
    return tables.table("Answers by confidence", columns, rows)


def _interval(one: Silence) -> str:
    return f"({one.right.low * 100:.1f} to {one.right.high * 100:.1f})" if one.right else ""


def curves_told(told: Confidence | None) -> str:
    """What the picture of precision over recall shows, and each class's average precision."""
    if told is None:
        return ""
    drawn = shown(told.curves)
    fewer = f"Drawn are the {DRAWN} weakest of {len(told.curves)} classes. " if len(drawn) < len(told.curves) else ""
    columns = (Column("Label"), Column("Average precision", number=True), Column("By guessing", number=True), Column("Rows", number=True))
    ordered = sorted(told.curves, key=lambda one: one.average_precision)
    rows = (
        (tables.cut(one.label, 60), words.percent(one.average_precision), words.percent(one.rows / told.rows), words.count(one.rows))
        for one in ordered
    )
    why = (
        "Ask for more certainty and a class's answers get more precise, but fewer of its rows are found. A line near the top right is "
        "best; average precision is the area below it."
    )
    return f'<p class="soft">{why} {fewer}</p>{tables.table("Average precision", columns, rows, tall=True)}'


def shown(curves: Sequence[Curve]) -> list[Curve]:
    """The classes that are drawn: all of a few, else the weakest, in the order of the classes."""
    weakest = sorted(curves, key=lambda one: one.average_precision)[:DRAWN]
    return [one for one in curves if one in weakest]
