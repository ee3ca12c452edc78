"""`python -m engine.probe RUN_FOLDER HOME`: a closer look at a finished run, in a process of its own (probed.py says what it writes).

Edge cases made from its test rows; how quick it is, beside the untuned and the merged model on the same texts; what the untuned model
could do; the temperature that makes its confidence true. Of a run that gives numbers or tags the first two. The run itself is not touched.
One model lies in memory at a time, and each part takes as many rows as its time allows.
"""

from __future__ import annotations

import dataclasses
import gc
import json
import os
import random
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine import calibration, edge_cases, judged, models, opening, probed, scoring, spec, tag_metrics, timing, trained, untuned
from engine import plan as planning
from engine.baselines import Guess
from engine.calibration import Answers
from engine.data.split import Prepared
from engine.data.texts import Texts
from engine.errors import Problem, Refused, RunFailed, explain, redact
from engine.knobs import settle
from engine.methods import all_methods
from engine.probed import Probed, Speed
from engine.scoring import BaselineScore
from engine.spec import Training
from engine.store import write_whole
from engine.tasks import all_tasks
from engine.trained import Trained

EDGE_ROWS, EDGE_SECONDS = 200, 60.0
UNTUNED_ROWS, UNTUNED_SECONDS = 500, 40.0  # test rows; seconds for them, and as many for what it learns the neighbours from
KNOWN_ROWS = 2000
TEMPERATURE_ROWS, TEMPERATURE_SECONDS = 1000, 30.0
TIMED_TEXTS = 256
AT_ONCE = 16

Say = Callable[[str], None]


def main(run_folder: Path, home: Path) -> int:
    """Looks and writes probed.json; returns 0, or 1 where it did not come to an end."""
    folder = run_folder / probed.FOLDER
    folder.mkdir(exist_ok=True)
    try:
        opening.be_considerate()
        told = probe(run_folder, home, lambda sentence: write_whole(folder / probed.STATUS, sentence.encode()))
        write_whole(folder / probed.RESULT, probed.to_json(told).encode())
    except Exception as error:  # the border of this process
        traceback.print_exc()
        problem = explain(error)
        problem = dataclasses.replace(problem, message=redact(problem.message))
        write_whole(folder / probed.PROBLEM, json.dumps(dataclasses.asdict(problem)).encode())
        return 1
    return 0


def probe(run_folder: Path, home: Path, say: Say) -> Probed:
    """The whole look. Raises Refused or RunFailed where there is nothing to look at."""
    begun = time.perf_counter()
    plan = planning.from_json((run_folder / "plan.json").read_text("utf-8"))
    if not all_tasks()[plan.task].sorts:
        return _without_classes(run_folder, plan, home, say)
    answers = judged.answers_of(run_folder)
    if answers is None:
        raise Refused(Problem("run", "The answers of this run to its test rows were not kept.", "Train it again, with Clone."))
    notes: list[str] = []
    say("Opening the model")
    opening.settle_torch(plan)
    stamp = judged.model_stamp(run_folder)
    opened = dataclasses.replace(trained.open_trained(run_folder / "model", home=home), temperature=1.0)
    say("Trying edge cases")
    edge_rows, findings = _edge_cases(opened, answers)
    say("Timing it")
    texts = [_pair(answers, at) for at in _by_chance(len(answers.texts))[:TIMED_TEXTS]]
    speeds = [_speed("tuned", opened, texts)]
    prepared = _prepared(run_folder, plan, home, notes)
    say("Learning how far its confidence can be trusted")
    temperature, temperature_rows = _temperature(opened, prepared) if prepared else (None, 0)
    kept, autocast = opened.kept, opened.autocast
    del opened
    gc.collect()
    say("Asking the model as it was before the training")
    base = _base(plan, answers.classes, kept, home)
    speeds.append(_speed("untuned", base, texts))
    order, guess = _by_neighbours(base, answers, prepared) if prepared and not plan.model.decoder else ([], None)
    del base
    gc.collect()
    if plan.model.decoder:
        order, guess = _by_label_words(plan, answers, autocast, home, notes)
    if all_methods()[plan.method].freezes_body and all_methods()[plan.method].merge is not None:
        say("Timing the merged model")
        speeds.append(_speed("merged", _merged(run_folder, home, autocast), texts))
    score, right = _scored(answers, order, guess) if guess else (None, None)
    if guess is None and prepared:
        notes.append("The untuned model was too slow here to answer enough rows.")
    return Probed(
        model_stamp=stamp, device=plan.device_words, seconds=time.perf_counter() - begun, test_rows=len(answers.rows), edge_rows=edge_rows,
        edge_cases=findings, speed=tuple(speeds), untuned=score, untuned_rows=len(order) if score else 0, tuned_accuracy=right,
        temperature=temperature, temperature_rows=temperature_rows, notes=tuple(dict.fromkeys(notes)),
    )  # fmt: skip


def _without_classes(run_folder: Path, plan: planning.Plan, home: Path, say: Say) -> Probed:
    """The look at a run that gives numbers or tags: edge cases of its test rows, and how quick it is on them, beside the other models."""
    begun, stamp, notes = time.perf_counter(), judged.model_stamp(run_folder), list[str]()
    say("Reading the test rows")
    prepared = _prepared(run_folder, plan, home, notes)
    if prepared is None:
        raise Refused(Problem("run", f"{notes[0]} There is no text to time it with.", "Put the data back as it was, and look again."))
    test = prepared.test
    order = _by_chance(len(test.texts))[:TIMED_TEXTS]
    texts = [(test.texts[at], test.second[at] if test.second else None) for at in order]
    opening.settle_torch(plan)
    say("Opening the model")
    opened = trained.open_trained(run_folder / "model", home=home)
    say("Trying edge cases")
    edge_rows, findings = _edge_cases_of_others(opened, prepared)
    say("Timing it")
    speeds, kept, autocast, classes = [_speed("tuned", opened, texts)], opened.kept, opened.autocast, opened.classes
    del opened
    gc.collect()
    say("Timing the model as it was before the training")
    speeds.append(_speed("untuned", _base(plan, classes, kept, home), texts))
    gc.collect()
    if all_methods()[plan.method].freezes_body and all_methods()[plan.method].merge is not None:
        say("Timing the merged model")
        speeds.append(_speed("merged", _merged(run_folder, home, autocast), texts))
    return Probed(
        model_stamp=stamp, device=plan.device_words, seconds=time.perf_counter() - begun, test_rows=len(test.texts),
        edge_rows=edge_rows, edge_cases=findings, speed=tuple(speeds), untuned=None, untuned_rows=0, tuned_accuracy=None,
        temperature=None, temperature_rows=0,
    )  # fmt: skip


Pair = tuple[str, str | None]  # a text and what the model reads beside it


def _pair(rows: Answers, at: int) -> Pair:
    return rows.texts[at], rows.seconds[at] if rows.seconds else None


def _said(model: Trained, pairs: Sequence[Pair], batch_size: int = AT_ONCE) -> np.ndarray:
    """The probabilities of these texts, each with what stands beside it."""
    beside = [second for _, second in pairs if second is not None]
    return model.probabilities([text for text, _ in pairs], beside or None, batch_size=batch_size)


def _by_chance(rows: int) -> list[int]:
    order = list(range(rows))
    random.Random(0).shuffle(order)
    return order


def _until(seconds: float) -> Callable[[], bool]:
    """True until so many seconds have passed."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() < end


Asked = tuple[list[int], list[edge_cases.Variant], Any, Any]  # rows that were changed, what was made of them, answers before and after


def _edge_cases(opened: Trained, answers: Answers) -> tuple[int, tuple[edge_cases.Finding, ...]]:
    """Rows that were changed, and what came of it."""
    rows, made, before, after = _changed(
        lambda pairs: _said(opened, pairs).argmax(axis=1), [_pair(answers, at) for at in range(len(answers.texts))]
    )
    texts, labels = [answers.texts[at] for at in rows], [int(answers.labels[at]) for at in rows]
    return len(rows), edge_cases.findings(texts, labels, before.tolist(), made, after.tolist(), answers.classes)


def _edge_cases_of_others(opened: Trained, prepared: Prepared) -> tuple[int, tuple[edge_cases.Finding, ...]]:
    """The same of a model that gives numbers, which move, or tags, which change."""
    test, judges = prepared.test, opened.task.judges
    assert judges is not None

    def answer(pairs: Sequence[Pair]) -> np.ndarray:
        beside = [second for _, second in pairs if second is not None]
        return opened.answers([text for text, _ in pairs], beside or None, batch_size=AT_ONCE)

    rows, made, before, after = _changed(answer, [(text, test.second[at] if test.second else None) for at, text in enumerate(test.texts)])
    texts = [test.texts[at] for at in rows]
    if test.tags is None:
        right = judges.right(test.targets, prepared.scale)
        return len(rows), edge_cases.moves(texts, [right[at] for at in rows], before.tolist(), made, after.tolist())
    threshold = opened.kept.threshold or tag_metrics.USUAL
    spelt = [[judges.spelt((row >= threshold).astype(int), opened.classes) for row in of] for of in (before, after)]
    wanted = [judges.spelt(test.targets[at], opened.classes) for at in rows]
    names = sorted({*wanted, *spelt[0], *spelt[1]})  # each set of tags is an answer of its own
    ids = {name: at for at, name in enumerate(names)}
    was, then = ([ids[name] for name in of] for of in spelt)
    return len(rows), edge_cases.findings(texts, [ids[name] for name in wanted], was, made, then, names)


def _changed(answer: Callable[[Sequence[Pair]], np.ndarray], pairs: Sequence[Pair]) -> Asked:
    """Some of the rows, changed in every way, and what the model answers. Row by row all changes: each kind is tried on the same rows."""
    chosen = _by_chance(len(pairs))[:EDGE_ROWS]
    made = edge_cases.variants([pairs[at][0] for at in chosen])
    before: list[np.ndarray] = []
    after: list[np.ndarray] = []
    may_go_on, done = _until(EDGE_SECONDS), 0
    for start in range(0, len(chosen), AT_ONCE):
        if not may_go_on():
            break
        part = chosen[start : start + AT_ONCE]
        mine = [(one.text, pairs[chosen[one.row]][1]) for one in made if start <= one.row < start + len(part)]
        told = answer([*(pairs[at] for at in part), *mine])
        before, after, done = [*before, told[: len(part)]], [*after, told[len(part) :]], start + len(part)
    return chosen[:done], [one for one in made if one.row < done], np.concatenate(before), np.concatenate(after)


def _speed(which: Any, model: Trained, texts: list[Pair]) -> Speed:
    def answer(pairs: Sequence[Pair], size: int) -> np.ndarray:
        beside = [second for _, second in pairs if second is not None]
        return model.answers([text for text, _ in pairs], beside or None, batch_size=size)

    told = timing.timed(answer, texts, time.perf_counter)
    return Speed(which, told.median_seconds, told.slow_seconds, told.timed, told.best_batch, told.rows_per_second)


def _prepared(run_folder: Path, plan: planning.Plan, home: Path, notes: list[str]) -> Prepared | None:
    """The rows that it learnt from; None, with a note, where the data is gone or another."""
    asked = spec.from_json((run_folder / "spec.json").read_text("utf-8"))
    try:
        return opening.rows(asked, plan, home=home, token=os.environ.get("HF_TOKEN"))
    except (Refused, RunFailed, OSError) as error:
        notes.append(f"The data is not as it was: {redact(explain(error).message)} So nothing could be learnt from its other rows.")
        return None


def _temperature(opened: Trained, prepared: Prepared) -> tuple[float | None, int]:
    """Fitted on validation rows alone, and on how many."""
    rows, found = prepared.validation, []
    chosen, may_go_on = _by_chance(len(rows.texts))[:TEMPERATURE_ROWS], _until(TEMPERATURE_SECONDS)
    for start in range(0, len(chosen), AT_ONCE):
        if not may_go_on():
            break
        found.append(_said(opened, [(rows.texts[at], rows.second[at] if rows.second else None) for at in chosen[start : start + AT_ONCE]]))
    if not found:
        return None, 0
    chances = np.concatenate(found)
    labels = np.array([rows.labels[at] for at in chosen[: len(chances)]], dtype=np.int64)
    return calibration.fitted_temperature(labels, chances), len(chances)


def _base(plan: planning.Plan, classes: tuple[str, ...], kept: trained.Kept, home: Path) -> Trained:
    """The untuned model with a fresh head, opened as the tuned one is."""
    task, precision = all_tasks()[plan.task], _precision(plan)
    folder = models.fetch(plan.model, token=os.environ.get("HF_TOKEN"), home=home, say=lambda *_: None)
    tokenizer = task.load_tokenizer(folder)
    model = trained.open_base(folder, classes, plan, plan.model, tokenizer, precision).to(plan.device).eval()
    return Trained(model, tokenizer, classes, kept, trained.autocast_of(precision))


def _precision(plan: planning.Plan) -> str:
    precision = settle(Training, plan.settings).precision or "fp32"
    return "fp32" if plan.device == "cpu" and precision == "fp16" else precision


def _merged(run_folder: Path, home: Path, autocast: str | None) -> Trained:
    """The model with what was learnt merged into its base, in the precision that the tuned one computes in."""
    import torch

    opened = trained.open_trained(run_folder / "model", home=home, precision="fp32")
    merge = all_methods()[opened.kept.method].merge
    assert merge is not None
    device = "cuda" if torch.cuda.is_available() else "cpu"
    plain = merge(opened.model).to(device=device, dtype=getattr(torch, autocast or "float32")).eval()
    return dataclasses.replace(opened, model=plain, autocast=autocast)


def _by_neighbours(base: Trained, answers: Answers, prepared: Prepared) -> tuple[list[int], Guess | None]:
    """An encoder's answers by its nearest training rows; the places of the test rows that it answered."""
    task = all_tasks()[base.kept.task]
    knobs: Any = settle(task.knobs, base.kept.settings)

    def placed(pairs: list[Pair], seconds: float) -> np.ndarray:
        beside = [second for _, second in pairs if second is not None]
        ids = task.encode(base.tokenizer, Texts([text for text, _ in pairs], beside or None), knobs)
        return untuned.embeddings(base.model, lambda rows: task.collate(base.tokenizer, rows), ids, base.autocast, _until(seconds))

    learnt = _by_chance(len(prepared.train.texts))[:KNOWN_ROWS]
    known = placed(
        [(prepared.train.texts[at], prepared.train.second[at] if prepared.train.second else None) for at in learnt], UNTUNED_SECONDS
    )
    order = _by_chance(len(answers.texts))[:UNTUNED_ROWS]
    asked = placed([_pair(answers, at) for at in order], UNTUNED_SECONDS)
    order = order[: len(asked)]
    if len(known) < untuned.FEWEST or len(order) < min(untuned.FEWEST, len(answers.texts)):
        return [], None
    predicted = untuned.neighbours(known, [prepared.train.labels[at] for at in learnt[: len(known)]], asked)
    note = (
        f"Each text got the label of the {untuned.NEIGHBOURS} most alike of {len(known):,} training rows, by the untuned model's own sense."
    )
    return order, Guess("untuned", "Untuned model, by nearest neighbours", tuple(predicted), note)


def _by_label_words(
    plan: planning.Plan, answers: Answers, autocast: str | None, home: Path, notes: list[str]
) -> tuple[list[int], Guess | None]:
    """A decoder's answers by the words of the labels, without an example; the places of the test rows that it answered."""
    folder = models.fetch(plan.model, token=os.environ.get("HF_TOKEN"), home=home, say=lambda *_: None)
    try:
        model = untuned.open_decoder(folder, autocast or "float32")
    except RunFailed as error:
        notes.append(error.problem.message)
        return [], None
    tokenizer = all_tasks()[plan.task].load_tokenizer(folder)
    order = _by_chance(len(answers.texts))[:UNTUNED_ROWS]
    predicted = untuned.by_label_words(
        model, tokenizer, ["\n".join(filter(None, _pair(answers, at))) for at in order], answers.classes,
        most=int(plan.settings["max_length"]), autocast=autocast, may_go_on=_until(2 * UNTUNED_SECONDS),
    )  # fmt: skip
    if len(predicted) < min(untuned.FEWEST, len(answers.texts)):
        return [], None
    note = "The label whose name the untuned model expects most after the text, without an example. Labels that say nothing stay a guess."
    return order[: len(predicted)], Guess("untuned", "Untuned model, by the words of the labels", tuple(predicted), note)


def _scored(answers: Answers, order: list[int], guess: Guess) -> tuple[BaselineScore, float]:
    """The guess against the tuned model on the same rows, and that model's share of right ones there."""
    truth = answers.labels[order]
    predicted = scoring.predicted_classes(answers.probabilities[order])
    return scoring.against(truth, predicted, guess, len(answers.classes), 0), float((predicted == truth).mean())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
