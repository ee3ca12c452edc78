"""The coach: what a run's curves say while it trains and after, since which step, and what to press. Pure: a record in, findings out.

The rules follow `background.md` section 3 (overfitting, patience 3, learning rates by method); their thresholds were set on recorded
curves (tests/curves), where tests/engine/test_coach.py counts hits and false alarms.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from engine.account import Account, Sample
from engine.events import Evaluated, Step
from engine.knobs import Value
from engine.methods import all_methods
from engine.plan import Plan
from engine.store import RunRecord
from engine.verdict import percent

Kind = Literal["diverged", "rate_high", "rate_low", "overfitting", "plateau", "never_predicted", "endless"]
CHECKS = 3  # in a row: patience of background.md section 3; one bad check is noise
WINDOW = 8  # steps whose mean loss is compared; batches of 16 rows scatter a single step by a third
FEWEST_STEPS = 24  # three windows, before the training loss says anything
RISE = 1.1  # times the lowest held-out loss, from which overfitting is told; checks on 100 rows scatter by about a twentieth
APART = 0.75  # of the held-out loss, that the training loss must have fallen below
DIVERGED = 1.5  # times the best window's loss
BACK = 0.95  # of the loss at the start, to which it has climbed
GUESS_HIGH, GUESS_LOW = 1.02, 0.98  # times the loss of guessing by the classes' shares: worse than that, and no better
LEARNT = 0.05  # of the first window's loss, that must be learnt in FEWEST_STEPS
GAIN = 0.005  # of the figure that is kept by: half a point
QUIET = 0.02  # of the held-out loss, within which it stands still
LEFT = 0.15  # of all steps that must be left for a stop to be worth it
WASTED = 0.4  # of all steps without gain, from which a run that is over is told; a rate that falls to zero always ends in a quiet part
EARLY = 2 / 3  # of all steps, before which neither a class that is never given nor a standstill without learning says anything
LEARNT_WELL = 0.75  # of the loss of guessing, that the training loss has fallen below
FEWEST_ANSWERS = 5  # below which it says nothing that most of them did not end
AS_LONG = 0.8  # of what was written, from which an answer that was wanted counts as too long for the room it had
MOST_NEW_TOKENS = 2048  # as the knob allows
TOO_HIGH, TOO_LOW = 5.0, 10.0  # the rate is divided by the one, or multiplied by the other


@dataclass(frozen=True)
class Advice:
    """Something to press. With settings or a model the run is stopped and trained again with these over its own; else its best is kept."""

    words: str
    settings: Mapping[str, Value] = field(default_factory=dict)
    model: str = ""

    @property
    def trains(self) -> bool:
        """Whether it begins another run."""
        return bool(self.settings or self.model)


@dataclass(frozen=True)
class Finding:
    """What the coach saw, since which step, and what to do; the first piece of advice is the one it would follow."""

    kind: Kind
    since: int  # step
    message: str
    advice: tuple[Advice, ...]


@dataclass(frozen=True)
class Lesson:
    """What of a run's plan the coach needs."""

    settings: Mapping[str, Value]  # as decided
    class_rows: tuple[int, ...]  # of each class
    usual_rate: float | None = None  # of the method, and where it works
    rate_range: tuple[float, float] | None = None
    adapter: bool = False  # has a rank to lower

    @property
    def has_classes(self) -> bool:
        """Whether it learns to tell classes apart."""
        return len(self.class_rows) > 1


def lesson(plan: Plan) -> Lesson:
    """What the coach needs of this plan."""
    method = all_methods().get(plan.method)
    rows = tuple(plan.class_counts.get(one, 0) for one in plan.labels)
    if method is None:
        return Lesson(plan.settings, rows)
    return Lesson(plan.settings, rows, method.learning_rate, method.learning_rate_range, method.freezes_body)


KEEP = Advice("keep the best so far")


def findings(record: RunRecord, lesson: Lesson, account: Account | None = None) -> tuple[Finding, ...]:
    """What the curves say, the gravest first; nothing where all is well, or where it is too early to tell.

    `account`: the verdict on a run that writes, once there is one.
    """
    steps = record.steps
    checks = [one for one in record.evaluations if one.split == "validation"]
    guess = guessing_loss(lesson.class_rows)
    trouble = _not_finite(record, lesson) or _too_high(steps, lesson, guess) or _diverged(steps, lesson, guess)
    if trouble is not None:
        return (trouble,)
    slow = _too_low(steps, lesson)
    of_checks = [] if slow else [_overfitting(steps, checks, lesson) or _plateau(record, checks, lesson)]
    found = [slow, *of_checks, _never_predicted(record, checks, lesson, slow is not None), _endless(account, lesson)]
    return tuple(one for one in found if one is not None)


def guessing_loss(class_rows: Sequence[int]) -> float:
    """The loss, in nats a row, of answering every row with the classes' shares: their entropy. 0 where there are no classes."""
    total = sum(class_rows)
    return -sum(rows / total * math.log(rows / total) for rows in class_rows if rows) if total else 0.0


def _began(steps: Sequence[Step]) -> float:
    """The training loss before anything was learnt."""
    return statistics.fmean(one.loss for one in steps[:CHECKS])


def means(steps: Sequence[Step]) -> list[tuple[int, float]]:
    """(last step, mean loss) of each whole window of WINDOW steps, counted back from the newest."""
    losses = [one.loss for one in steps]
    ends = range(len(losses), WINDOW - 1, -WINDOW)
    return [(steps[end - 1].step, statistics.fmean(losses[end - WINDOW : end])) for end in reversed(ends)]


def _after_warmup(steps: Sequence[Step], lesson: Lesson) -> Sequence[Step]:
    warmup = int(lesson.settings.get("warmup_steps") or 0)
    return [one for one in steps if one.step > warmup]


# The learning rate


def _not_finite(record: RunRecord, lesson: Lesson) -> Finding | None:
    """A run that the worker ended because a loss or gradient was no number."""
    lost = next((one.step for one in record.steps if not math.isfinite(one.loss)), None)
    ended = record.ended
    if lost is None and ended and ended.status == "failed" and "stopped being a number" in ended.reason:
        lost = record.step + 1
    if lost is None:
        return None
    return Finding("diverged", lost, f"Training fell apart at step {lost}: the loss stopped being a number.", _lower(lesson))


def _too_high(steps: Sequence[Step], lesson: Lesson, guess: float) -> Finding | None:
    """Long after the warm-up the training loss lies above guessing, and above where it began: a rate that is too low leaves it there.

    With a rate beyond what the method is used with, it is enough that nothing was learnt: such a model may be dead, and lie still.
    """
    after = _after_warmup(steps, lesson)
    if len(after) < FEWEST_STEPS:
        return None
    windows, began = means(after), _began(steps)
    bar = GUESS_LOW * (guess or began) if _above_range(lesson) else GUESS_HIGH * max(guess, began)
    if any(loss <= bar for _, loss in windows[-CHECKS:]):
        return None
    than = f"guessing by the classes' shares gives {guess:.2f}" if guess else f"at the start it was {began:.2f}"
    message = (
        f"The learning rate ({_rate(lesson)}) is too high: after {steps[-1].step} steps the training loss is {windows[-1][1]:.2f}; {than}."
    )
    return Finding("rate_high", after[0].step, message, _lower(lesson))


def _diverged(steps: Sequence[Step], lesson: Lesson, guess: float) -> Finding | None:
    """The training loss had fallen, and has climbed back to where it began, and above guessing, for two windows."""
    windows = means(_after_warmup(steps, lesson))
    if len(windows) < CHECKS:
        return None
    at, best = min(windows, key=lambda one: one[1])
    last = [loss for step, loss in windows if step > at][-2:]
    if len(last) < 2 or min(last) < max(DIVERGED * best, GUESS_HIGH * guess, BACK * _began(steps)):
        return None
    message = f"Training is coming apart since step {at}: the training loss rose from {best:.2f} to {last[-1]:.2f}."
    return Finding("diverged", at, message, _lower(lesson))


def _too_low(steps: Sequence[Step], lesson: Lesson) -> Finding | None:
    """The training loss has hardly moved, though the rate is below what the method is used with."""
    windows, rate = means(steps), float(lesson.settings.get("learning_rate") or 0)
    usual = lesson.usual_rate
    if len(steps) < FEWEST_STEPS or not rate or (usual is not None and rate >= usual / 3):
        return None
    first, last = windows[0][1], statistics.fmean(loss for _, loss in windows[-2:])
    if last < (1 - LEARNT) * first:
        return None
    better = min(rate * TOO_LOW, usual) if usual and rate * TOO_LOW > usual / 3 else usual or rate * TOO_LOW
    message = (
        f"The learning rate ({rate:g}) is too low: after {steps[-1].step} steps the training loss has only gone from {first:.2f} "
        f"to {last:.2f}."
    )
    return Finding("rate_low", steps[0].step, message, (Advice(f"train again with a rate of {better:.2g}", {"learning_rate": better}),))


def _lower(lesson: Lesson) -> tuple[Advice, ...]:
    rate = float(lesson.settings.get("learning_rate") or 0)
    lower = rate / TOO_HIGH
    if lesson.usual_rate is not None and (_above_range(lesson) or lower > lesson.usual_rate):
        lower = min(lower, lesson.usual_rate)
    lower = float(f"{max(lower, 1e-7):.2g}")
    return (Advice(f"train again with a rate of {lower:g}", {"learning_rate": lower}),)


def _above_range(lesson: Lesson) -> bool:
    return lesson.rate_range is not None and float(lesson.settings.get("learning_rate") or 0) > lesson.rate_range[1]


def _rate(lesson: Lesson) -> str:
    return f"{float(lesson.settings.get('learning_rate') or 0):g}"


# The checks on held-out rows


def _overfitting(steps: Sequence[Step], checks: Sequence[Evaluated], lesson: Lesson) -> Finding | None:
    """The held-out loss has risen for CHECKS checks above its lowest, while the training loss went on falling."""
    if len(checks) <= CHECKS:
        return None
    best = min(checks, key=lambda one: one.metrics["loss"])
    later = [one for one in checks if one.step > best.step]
    lowest, now = best.metrics["loss"], checks[-1].metrics["loss"]
    if len(later) < CHECKS or any(one.metrics["loss"] < RISE * lowest for one in later[-CHECKS:]):
        return None
    then, last = _training_loss(steps, best.step), _training_loss(steps, checks[-1].step)
    if then is None or last is None or last >= then or last > APART * now:
        return None
    message = (
        f"Overfitting since step {best.step}: the loss on held-out rows rose from {lowest:.2f} to {now:.2f}, while the training loss "
        f"fell from {then:.2f} to {last:.2f}. It learns the rows by heart."
    )
    return Finding("overfitting", best.step, message, (KEEP, *_gentler(best, checks, steps, lesson)))


def _gentler(best: Evaluated, checks: Sequence[Evaluated], steps: Sequence[Step], lesson: Lesson) -> list[Advice]:
    """Fewer passes, and what holds overfitting back: weight decay, and half the rank."""
    epoch = next((one.epoch for one in steps if one.step >= best.step), None)
    changed: dict[str, Value] = {"weight_decay": 0.1} if float(lesson.settings.get("weight_decay") or 0) < 0.1 else {}
    rank = lesson.settings.get("rank")
    if lesson.adapter and isinstance(rank, int) and rank > 4:
        changed["rank"] = max(4, rank // 2)
        if isinstance(lesson.settings.get("alpha"), (int, float)):
            changed["alpha"] = 2 * int(changed["rank"])  # alpha = 2 x rank, background.md section 3
    held = [f"{name.replace('_', ' ')} {changed[name]:g}" for name in ("weight_decay", "rank") if name in changed]
    if epoch is not None:
        passes = max(0.01, round(epoch, 2))
        changed["epochs"] = passes
        held = [f"{passes:g} passes" if passes != 1 else "one pass", *held]
    return [Advice(f"train again with {', '.join(held)}", changed)] if held else []


def _training_loss(steps: Sequence[Step], upto: int) -> float | None:
    seen = [one.loss for one in steps if upto - WINDOW < one.step <= upto]
    return statistics.fmean(seen) if seen else None


def _plateau(record: RunRecord, checks: Sequence[Evaluated], lesson: Lesson) -> Finding | None:
    """Neither the figure that is kept by nor the held-out loss has gained for CHECKS checks, and much of the run is, or was, left."""
    if len(checks) <= CHECKS or not record.total_steps or _has_hardly_begun(record, lesson) or _gives_one_class(checks, lesson):
        return None
    name = str(lesson.settings.get("select_by") or "macro_f1")
    figure = "macro_f1" if name == "loss" else name
    reached = [one.metrics.get(figure, 0.0) if lesson.has_classes else 0.0 for one in checks]  # of others, less may be better
    since, top, low = checks[0].step, reached[0], checks[0].metrics["loss"]
    for one, now in zip(checks[1:], reached[1:], strict=True):
        if now > top + GAIN or one.metrics["loss"] < (1 - QUIET) * low:
            since = one.step
        top, low = max(top, now), min(low, one.metrics["loss"])
    still = sum(1 for one in checks if one.step > since)
    wasted = record.total_steps - since >= WASTED * record.total_steps
    if still < CHECKS or not (wasted if record.is_over else record.total_steps - record.step >= LEFT * record.total_steps):
        return None
    what = {"macro_f1": "macro F1", "weighted_f1": "weighted F1"}.get(figure, figure)
    better = f"neither the loss nor {what} (at best {percent(top)}) got better" if lesson.has_classes else "the loss did not get better"
    message = f"No gain since step {since}: in {still} checks on held-out rows {better}. More steps of the same are unlikely to help."
    share = since / record.total_steps
    passes = lesson.settings.get("epochs")
    fewer: tuple[Advice, ...] = ()
    if isinstance(passes, (int, float)):
        epochs = max(0.01, round(float(passes) * share, 2))
        fewer = (Advice(f"train again with {epochs:g} {'pass' if epochs == 1 else 'passes'}", {"epochs": epochs}),)
    return Finding("plateau", since, message, (KEEP, *fewer))


def _has_hardly_begun(record: RunRecord, lesson: Lesson) -> bool:
    """Whether the run goes on, is in its first part, and has not learnt its own rows yet: many find their way only then."""
    windows = means(record.steps)
    if record.is_over or record.step >= EARLY * record.total_steps or not windows:
        return False
    return windows[-1][1] > LEARNT_WELL * (guessing_loss(lesson.class_rows) or _began(record.steps))


def _gives_one_class(checks: Sequence[Evaluated], lesson: Lesson) -> bool:
    """Whether every row was given one class at every check: such a run has not begun to learn, and fewer passes would not help it."""
    return lesson.has_classes and all(len(one.never) >= len(lesson.class_rows) - 1 for one in checks)


def _never_predicted(record: RunRecord, checks: Sequence[Evaluated], lesson: Lesson, slow: bool) -> Finding | None:
    """Classes that no row of CHECKS checks in a row was given, halfway through or later: at first many a run gives one class alone."""
    if len(checks) < CHECKS or (not record.is_over and record.step < EARLY * record.total_steps):
        return None
    missed = [name for name in checks[-1].never if all(name in one.never for one in checks[-CHECKS:])]
    if not missed:
        return None
    since = checks[-1].step
    for one in reversed(checks):
        if not set(missed) <= set(one.never):
            break
        since = one.step
    names = ", ".join(missed[:3]) + (f" and {len(missed) - 3} more" if len(missed) > 3 else "")
    message = (
        f"No held-out row has been called {names} since step {since}, though rows of {'it' if len(missed) == 1 else 'them'} are there."
    )
    if lesson.settings.get("class_weights") == "none" and not slow:
        weigh = Advice("train again with rare classes weighing more", {"class_weights": "balanced"})
        return Finding("never_predicted", since, message, (weigh,))
    rate = float(lesson.settings.get("learning_rate") or 0)
    better = lesson.usual_rate if lesson.usual_rate and rate < lesson.usual_rate else None
    longer = 2 * float(lesson.settings.get("epochs") or 1)
    advice = (
        Advice(f"train again with a rate of {better:.2g}", {"learning_rate": better})
        if better
        else Advice(f"train again with {longer:g} passes", {"epochs": longer})
    )
    return Finding("never_predicted", since, message, (advice,))


# The answers of a model that writes


def _endless(account: Account | None, lesson: Lesson) -> Finding | None:
    """Most answers in the test were cut off: the room was too short for what was wanted, or how to end was not learnt."""
    if account is None or len(account.samples) < FEWEST_ANSWERS:
        return None
    cut = [one for one in account.samples if one.ended in ("length", "budget")]
    if len(cut) <= len(account.samples) / 2:
        return None
    room, passes = lesson.settings.get("max_new_tokens"), lesson.settings.get("epochs")
    told = f"{len(cut)} of {len(account.samples)} answers shown from the test never came to an end by themselves"
    longer: list[Advice] = []
    if isinstance(passes, (int, float)):
        twice = round(2 * float(passes), 2)
        longer = [Advice(f"train again with {twice:g} {'pass' if twice == 1 else 'passes'}", {"epochs": twice})]
    wider: list[Advice] = []
    if isinstance(room, int) and room < MOST_NEW_TOKENS:
        most = min(MOST_NEW_TOKENS, 2 * room)
        wider = [Advice(f"train again and let answers become {most} tokens long in the test", {"max_new_tokens": most})]
    if sum(map(_was_too_long, cut)) > len(cut) / 2:
        message = f"{told}: what was wanted is about as long as the {room} tokens that they may have."
        return Finding("endless", account.step, message, (*wider, *longer))
    message = f"{told}, though shorter ones were wanted: it has not learnt to stop. More passes teach it where an answer ends."
    return Finding("endless", account.step, message, (*longer, *wider))


def _was_too_long(one: Sample) -> bool:
    return len(one.wanted) >= AS_LONG * len(one.written)
