"""What the figures mean, in plain words: one sentence that a lay person understands and an expert accepts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.enough import difference_told, rows_needed
from engine.scoring import BaselineScore, ClassScore, Interval

FEW_ROWS = 100  # below it a 95 % interval of accuracy is 10 points wide to either side at 50 % right
CHANCE = 0.05
SLIGHT = 0.02  # a difference in the share of right rows that hardly matters; a test that would show it is large enough
MOST_ROWS = 50_000  # that a person may be asked to label


def percent(share: float) -> str:
    """91.2 % with a no-break space. 100.0 % only where all is right, 0.0 % only where nothing is."""
    return f"{_points(share)}\u00a0%"


def _points(share: float) -> str:
    shown = f"{100 * share:.1f}"
    if shown == "100.0" and share < 1:
        return "99.9"
    return "0.1" if shown == "0.0" and share > 0 else shown


def p_words(p_value: float) -> str:
    """p = 0.0003, p = 0.031, p = 0.42; p < 0.0001 where it is smaller than that."""
    if p_value < 0.0001:
        return "p\u00a0<\u00a00.0001"
    places = 4 if p_value < 0.01 else 3 if p_value < 0.1 else 2
    return f"p\u00a0=\u00a0{p_value:.{places}f}"


def with_interval(figure: Interval) -> str:
    """91.2 % (90.0 to 92.4)."""
    return f"{percent(figure.value)} ({_points(figure.low)} to {_points(figure.high)})"


@dataclass(frozen=True)
class Rival:
    """Another's answers to the test rows, or to some of them, against the model's to the same."""

    score: BaselineScore
    rows: int  # that it answered
    name: str  # as a sentence says it
    sentence: str = ""  # for one that is told by itself, too

    def margin(self, *, uneven: bool) -> float:
        """By how much the model is ahead on the rows that both answered; below 0 where it is behind."""
        ahead = (self.score.only_model_right - self.score.only_baseline_right) / self.rows
        return self.score.macro_f1_gain.value if uneven else ahead


def sentence(
    rows: int,
    accuracy: Interval,
    macro_f1: Interval,
    baselines: Sequence[BaselineScore],
    *,
    uneven: bool,
    seen_rows: int = 0,
    beside: Sequence[Rival] = (),
) -> str:
    """What a person should take from the test, in a line: how good, and against the strongest of all that answered the same rows.

    `uneven`: more than two classes or one that prevails, so macro F1 is told too, and decides which is the strongest.
    """
    what = "test rows" if seen_rows else "unseen rows"
    told = [f"{percent(accuracy.value)} right on {rows:,} {what} ({_points(accuracy.low)} to {_points(accuracy.high)})"]
    told[0] += f", macro F1 {with_interval(macro_f1)}." if uneven else "."
    if rows < FEW_ROWS:
        told.append(f"So few test rows (under {FEW_ROWS}) give only a rough idea.")
    majority = next((one for one in baselines if one.id == "majority"), None)
    if majority and _sign(majority) <= 0:
        told.append(_no_better_than_guessing(majority, macro_f1, uneven=uneven))
    rival = strongest(rows, baselines, beside, uneven=uneven)
    if rival:
        told.append(_against_rival(rival, rows, of_several=bool(beside), uneven=uneven))
    return " ".join(told)


def strongest(rows: int, baselines: Sequence[BaselineScore], beside: Sequence[Rival] = (), *, uneven: bool) -> Rival | None:
    """The one that the model is least ahead of; of equals the first.

    Guessing the largest class counts only where the model is better by more than chance: elsewhere a sentence of its own says so.
    """
    names = {"tfidf": "TF-IDF", "majority": "guessing the largest class"}
    told = [one for one in baselines if one.id in names and (one.id != "majority" or _sign(one) > 0)]
    rivals = [*(Rival(one, rows, names[one.id]) for one in sorted(told, key=lambda one: one.id == "majority")), *beside]
    return min(rivals, key=lambda one: one.margin(uneven=uneven), default=None)


def _against_rival(rival: Rival, rows: int, *, of_several: bool, uneven: bool) -> str:
    one = rival.score
    figure = percent(one.accuracy) + (f" (macro F1 {percent(one.macro_f1)})" if uneven else "")
    if rival.rows < rows:
        mine = one.accuracy + (one.only_model_right - one.only_baseline_right) / rival.rows
        figure += f" on {rival.rows:,} of the rows, where the model reaches {percent(mine)}"
    name = f"the strongest beside it, {rival.name}," if of_several else rival.name
    return f"{name[0].upper()}{name[1:]} reaches {figure}: {_against(one, uneven=uneven)}."


def _sign(against: BaselineScore) -> int:
    """1 where the model has more rows right than chance allows, -1 where fewer, 0 where chance explains it."""
    if against.p_value >= CHANCE:
        return 0
    return 1 if against.only_model_right > against.only_baseline_right else -1


def _gain_sign(against: BaselineScore) -> int:
    return 1 if against.macro_f1_gain.low > 0 else -1 if against.macro_f1_gain.high < 0 else 0


def _no_better_than_guessing(majority: BaselineScore, macro_f1: Interval, *, uneven: bool) -> str:
    guessing = f"guessing the largest class ({percent(majority.accuracy)})"
    if _sign(majority) < 0:
        said = f"Right less often than {guessing}"
    elif majority.only_model_right > majority.only_baseline_right:
        said = f"Not better than {guessing} by more than chance"
    else:
        said = f"Not better than {guessing}"
    if uneven and _gain_sign(majority) > 0:
        said += f", but it does find others too (macro F1 {percent(macro_f1.value)} against {percent(majority.macro_f1)})"
    return said + "."


def _against(other: BaselineScore, *, uneven: bool) -> str:
    p = f"(McNemar {p_words(other.p_value)})"
    right = _sign(other)
    balanced = _gain_sign(other) if uneven else right
    match right, balanced:
        case 1, -1:
            return f"the model is right more often, by more than chance {p}, but treats the classes less evenly"
        case 1, _:
            return f"the model is better, by more than chance {p}"
        case -1, 1:
            return f"the model is right less often, by more than chance {p}, but treats the classes more evenly"
        case -1, _:
            return f"the model is worse, by more than chance {p}"
        case 0, 1:
            return f"the model's macro F1 is better by more than chance, but not its share of right rows {p}"
        case 0, -1:
            return f"the model's macro F1 is worse by more than chance, but not its share of right rows {p}"
    if other.only_model_right == other.only_baseline_right:
        return "the model is no better and no worse"
    nominal = "better" if other.only_model_right > other.only_baseline_right else "worse"
    return f"the model is {nominal}, but not by more than chance {p}"


def is_ahead(against: BaselineScore) -> bool:
    """Whether the model has more rows right than this one, beyond chance."""
    return _sign(against) > 0


def beside_untuned(untuned: BaselineScore, rows: int, of: int, tuned_accuracy: float) -> str:
    """What the training brought, against the model as it came."""
    on = f"{rows:,} of these rows" if rows < of else "these rows"
    name = f"The {untuned.name[0].lower()}{untuned.name[1:]},"
    told = f"{name} is right on {percent(untuned.accuracy)} of {on}, this one on {percent(tuned_accuracy)}"
    gains = {1: "the training helped, by more than chance", -1: "the training is worth less than that, by more than chance"}
    return f"{told}: {gains.get(_sign(untuned), 'no difference beyond chance')} (McNemar {p_words(untuned.p_value)})."


def beside_earlier(earlier: BaselineScore, name: str) -> str:
    """This run against an earlier one on the same rows."""
    told = f"The earlier run “{name}” was right on {percent(earlier.accuracy)} of the same rows"
    signs = {1: "this one is better, by more than chance", -1: "this one is worse, by more than chance"}
    return f"{told}: {signs.get(_sign(earlier), 'no difference beyond chance')} (McNemar {p_words(earlier.p_value)})."


def warnings(
    per_class: Sequence[ClassScore], seen: tuple[int, int], unseen_accuracy: float | None, baselines: Sequence[BaselineScore] = ()
) -> tuple[str, ...]:
    """What limits the figures, a sentence each. `seen`: the test rows that stand among the training rows, and that nearly do."""
    rows = sum(one.rows for one in per_class)
    told = []
    if rows < FEW_ROWS:
        told.append(f"There {_are(rows)}: the interval is wide, and another split would give another figure.")
    told += [too_few for one in baselines if one.id == "tfidf" and (too_few := _too_few_to_tell(one, rows))]
    absent = [one.label for one in per_class if one.rows == 0]
    if absent:
        told.append(f"No test row has the label {', '.join(absent)}: nothing is known of the model there.")
    never = [one.label for one in per_class if one.rows and not one.predicted]
    if never:
        told.append(f"The model never answers {', '.join(never)}.")
    if any(seen):
        told.append(f"{shared_words(rows, *seen)}, so the figures flatter.")
        if unseen_accuracy is not None:
            told[-1] += f" On the other {rows - sum(seen):,}: {percent(unseen_accuracy)} right."
    return tuple(told)


def shared_words(rows: int, seen: int, nearly: int) -> str:
    """How many of the test texts stand among the training rows, and how many nearly do, without a full stop."""
    apart = "(a word of ten apart, or case, punctuation and blanks)"
    if not seen:
        return f"{nearly:,} of the {rows:,} test texts nearly stand{'s' if nearly == 1 else ''} among the training rows {apart}"
    told = f"{seen:,} of the {rows:,} test texts stand{'s' if seen == 1 else ''} among the training rows too"
    return f"{told}, and {nearly:,} more nearly {'does' if nearly == 1 else 'do'} {apart}" if nearly else told


def _are(rows: int) -> str:
    return "is only 1 test row" if rows == 1 else f"are only {rows:,} test rows"


def _too_few_to_tell(against: BaselineScore, rows: int) -> str:
    """Where chance explains the difference, and would explain one that matters too: what this test could show, and what it would take."""
    differing = (against.only_model_right + against.only_baseline_right) / rows
    gap = abs(against.only_model_right - against.only_baseline_right) / rows
    least = difference_told(rows, differing)
    if against.p_value < CHANCE or differing == 0 or least <= SLIGHT:
        return ""
    told = f"The test set is too small to tell the model from {against.name}: "
    told += f"on {rows:,} rows a difference under {100 * least:.1f} points may be chance."
    needed = rows_needed(differing, gap) if gap else MOST_ROWS + 1
    if needed > MOST_ROWS:
        return told
    digits = max(0, len(str(needed)) - 2)
    return told + f" To settle the {100 * gap:.1f} points seen here takes about {round(needed, -digits):,} rows."
