"""What should be known of a model before it is put to use (background.md section 6), each ticked by evidence or open. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from engine.account import FEW_WRITTEN, Account, Told, is_better, number
from engine.document import Check
from engine.evaluate import Evaluation
from engine.methods import all_methods
from engine.plan import Plan
from engine.probed import Probed
from engine.reviews import Outcome
from engine.study_result import Result
from engine.told import against, beats, strongest
from engine.verdict import beside_untuned, is_ahead, p_words, percent, shared_words

FEWEST_OF_A_CLASS = 10  # test rows, below which a label's own figures say next to nothing
FOLDS_UNDER = 5000  # rows
FEWEST_REVIEWED = 100  # rows
FEWEST_RATED = 50  # answers of a run without classes, of which a test may hold few
BETTER_THAN_UNTUNED = "Better than the untuned model"
CUT_OFF = 0.1  # of the answers, up to which it counts as having learnt to stop


def checks(
    evaluation: Evaluation,
    plan: Plan,
    look: Probed | None,
    studies: Sequence[Result],
    doubted: int | None,
    corrected: int,
    reviewed: Outcome | None,
) -> tuple[Check, ...]:
    """The items, in the order in which they are best done. `doubted`: None where nobody looked for wrong labels."""
    finished = _finished(studies)
    return (
        _split(evaluation),
        Check(
            "Several figures", True,
            f"Accuracy {percent(evaluation.accuracy.value)}, macro F1 {percent(evaluation.macro_f1.value)}, weighted F1 "
            f"{percent(evaluation.weighted_f1)}, loss {evaluation.loss:.3f}.",
        ),
        _per_class(evaluation),
        _untuned(look),
        _mistakes(doubted, corrected),
        _edge_cases(look),
        _folds(plan, finished.get("folds")),
        _curve(finished.get("shares")),
        _speed(look),
        _reviewed(reviewed),
        _taken_home(plan, look),
    )  # fmt: skip


def checks_of_account(
    account: Account, plan: Plan, studies: Sequence[Result], reviewed: Outcome | None = None, look: Probed | None = None, *, writes: bool
) -> tuple[Check, ...]:
    """The items of a run that writes, or that says something else than classes, in the order in which they are best done.

    Only what can be known of such a run: one that writes is neither timed nor tried with changed texts.
    """
    figures = sorted((one for one in account.figures if one.rows), key=lambda one: one.id != account.headline)
    finished = _finished(studies)
    return (
        _split(account),
        _several(figures),
        *((_of_untuned(figures), _enough(account), _stops(account)) if writes else (_of_others(figures),)),
        _methods(finished.get("methods")),
        _folds(plan, finished.get("folds")),
        _curve(finished.get("shares")),
        *(() if writes else (_edge_cases(look), _speed(look))),
        _rated(reviewed),
        _taken_home(plan, look),
    )


def _finished(studies: Sequence[Result]) -> dict[str, Result]:
    """The finished studies, by what they vary; one in which all runs but one failed has shown nothing."""
    return {one.study.varies: one for one in studies if one.state == "finished" and sum(row.quality is not None for row in one.rows) > 1}


def _several(figures: Sequence[Told]) -> Check:
    listed = ", ".join(f"{one.name} {number(one.value.value)}" for one in figures)
    return Check("Several figures", len(figures) > 2, f"{listed}." if figures else "Nothing could be scored.")


def _of_others(figures: Sequence[Told]) -> Check:
    name, first = "Better than without a language model", next((one for one in figures if one.others), None)
    other = strongest(first) if first else None
    if first is None or other is None:
        return Check(name, False, "Nothing was compared with it: train again.")
    told = f"{first.name} {number(first.value.value)}; {other.name} {number(other.value)}: {against(other, first.better)}."
    return Check(name, beats(other.gain, other.p_value, first.better) is True, told)


def _of_untuned(figures: Sequence[Told]) -> Check:
    name = BETTER_THAN_UNTUNED
    first = next((one for one in figures if one.before is not None), None)
    if first is None or first.before is None or first.p_value is None:
        return Check(name, False, "The untuned model was not asked: train again.")
    better = is_better(first)
    how = "the difference may be chance" if better is None else f"the {'tuned' if better else 'untuned'} model is better, beyond chance"
    told = f"{first.name} {number(first.value.value)}, untuned {number(first.before)}: {how} ({p_words(first.p_value)})."
    return Check(name, better is True, told)


def _enough(account: Account) -> Check:
    name, told = "Enough answers", f"{account.written:,} test rows were answered by both models."
    if account.written < FEW_WRITTEN:
        return Check(name, False, f"{told} Raise “Rows written in the test” to {FEW_WRITTEN} or more.")
    return Check(name, True, told)


def _stops(account: Account) -> Check:
    name = "Answers come to an end"
    if not account.samples:
        return Check(name, False, "No answer was kept: train again with “Rows written in the test” above 0.")
    cut = sum(one.ended in ("length", "budget") for one in account.samples)
    told = f"{cut} of the {len(account.samples)} answers shown were cut off."
    if cut > CUT_OFF * len(account.samples):
        return Check(name, False, f"{told} Let answers become longer in the test, or train longer, so that it learns where to stop.")
    return Check(name, True, told)


def _split(one: Evaluation | Account) -> Check:
    if one.seen_rows or one.nearly_seen_rows:
        told = f"{shared_words(one.rows, one.seen_rows, one.nearly_seen_rows)}: let the doctor take them out, and train again."
        return Check("A strict split", False, told)
    return Check("A strict split", True, f"{one.rows:,} test rows; the text of none stands among the training rows, or nearly does.")


def _per_class(one: Evaluation) -> Check:
    few = [each for each in one.per_class if each.rows < FEWEST_OF_A_CLASS]
    if few:
        names = ", ".join(f"{each.label} ({each.rows})" for each in few[:5])
        return Check("Figures of every label", False, f"Too few test rows of: {names}. Collect more rows of these, or leave them out.")
    weakest = min(one.per_class, key=lambda each: each.f1)
    return Check("Figures of every label", True, f"The weakest is {weakest.label} with an F1 of {percent(weakest.f1)}.")


def _untuned(look: Probed | None) -> Check:
    name = BETTER_THAN_UNTUNED
    if look is None or look.untuned is None or look.tuned_accuracy is None:
        return Check(name, False, "Press “Look closer” on the run's page.")
    told = beside_untuned(look.untuned, look.untuned_rows, look.test_rows, look.tuned_accuracy)
    return Check(name, is_ahead(look.untuned), told)


def _mistakes(doubted: int | None, corrected: int) -> Check:
    name = "Mistakes read"
    if doubted is None:
        return Check(name, False, "Read the wrong rows below the matrix, and look for wrong labels there.")
    told = f"All rows were looked through for wrong labels: {doubted:,} doubted, {corrected:,} put right by hand."
    return Check(name, doubted == 0 or corrected > 0, told + ("" if doubted == 0 or corrected else " Read those doubted below the matrix."))


def _edge_cases(look: Probed | None) -> Check:
    steady = [one for one in look.edge_cases if one.stays and one.rows] if look else []
    if not steady:
        return Check("Edge cases", False, "Press “Look closer” on the run's page.")
    moved = [(one.move.mean.value, one) for one in steady if one.move]
    changed = [(one.changed.value, one) for one in steady if one.changed]
    most, worst = max(moved or changed, key=lambda pair: pair[0])
    does = f"moves the numbers by {number(most)} on average" if moved else f"changes {percent(most)} of the answers"
    return Check("Edge cases", True, f"{len(steady)} kinds tried; the worst, “{worst.name}”, {does}.")


def _methods(study: Result | None) -> Check:
    name = "Compared with other methods"
    if study is None:
        return Check(name, False, "Whether another method does better is not known: compare methods under Compare.")
    return Check(name, True, " ".join(study.advice.sentences))


def _folds(plan: Plan, study: Result | None) -> Check:
    rows = sum(count for part, count in plan.rows.items() if part != "made")
    if study is not None:
        return Check("Cross-validated", True, " ".join(study.advice.sentences))
    if rows >= FOLDS_UNDER:
        return Check("Cross-validated", True, f"Not needed: {rows:,} rows; it is under {FOLDS_UNDER:,} that one split may mislead.")
    return Check("Cross-validated", False, f"{rows:,} rows are few enough for one split to mislead: cross-validate under Compare.")


def _curve(study: Result | None) -> Check:
    if study is None:
        return Check("Learning curve", False, "Whether more rows would help is not known: train on shares of the rows under Compare.")
    return Check("Learning curve", True, " ".join(study.advice.sentences))


def _speed(look: Probed | None) -> Check:
    mine = next((one for one in look.speed if one.id == "tuned"), None) if look else None
    if look is None or mine is None:
        return Check("Speed where it will run", False, "Press “Look closer” on the run's page, on the machine where it will run.")
    told = f"One text takes {1000 * mine.median_seconds:.3g} ms, 95 of 100 under {1000 * mine.slow_seconds:.3g} ms, on {look.device}."
    return Check("Speed where it will run", True, f"{told} Measure again if it will run elsewhere.")


def _reviewed(told: Outcome | None) -> Check:
    name = "Reviewed by people"
    agreed = next((each for question, each in told.agreements if question == "label"), None) if told else None
    if told is None or agreed is None or agreed.rows < FEWEST_REVIEWED:
        return Check(name, False, f"Ask two people or more, on the run's page, to judge {FEWEST_REVIEWED} to 200 varied rows.")
    beside = f" The model says the same as most of them in {percent(told.model.same)}." if told.model else ""
    return Check(name, True, f"{agreed.people} people, {agreed.rows:,} rows. {agreed.words}{beside}")


def _rated(told: Outcome | None) -> Check:
    name = "Reviewed by people"
    rated = [(question, each, dict(told.ratings)[question]) for question, each in told.agreements if question != "label"] if told else []
    if not rated or rated[0][1].rows < FEWEST_RATED:
        return Check(name, False, f"Ask two people or more, on the run's page, to rate {FEWEST_RATED} answers or more.")
    means = ", ".join(f"{question} {mean.figure}" for question, _, mean in rated)
    first, agreed, _ = rated[0]
    return Check(name, True, f"{agreed.people} people, {agreed.rows:,} rows, means of 1 to 5: {means}. On {first}: {agreed.words}")


def _taken_home(plan: Plan, look: Probed | None) -> Check:
    name, method = "Merged, or kept as an adapter", all_methods().get(plan.method)
    if method is None or not method.freezes_body or method.merge is None:
        return Check(name, True, "Nothing to merge: the model is whole.")
    merged = next((one for one in look.speed if one.id == "merged"), None) if look else None
    if merged is None:
        return Check(
            name, False, "“Take it home whole” merges it into one model that answers no slower; one adapter beside the base is smaller."
        )
    return Check(
        name, True, f"Merged, one text takes {1000 * merged.median_seconds:.3g} ms. As an adapter it takes {plan.save_bytes / 1e6:,.1f} MB."
    )
