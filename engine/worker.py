"""`python -m engine.worker RUN_FOLDER`: one run in a process of its own, from its plan to its judged model.

Writes events and nothing else to anybody; the page may be open, closed or killed. Everything that goes wrong ends in one event
with a sentence, here at the border; the traceback goes to the run's log.
"""

from __future__ import annotations

import dataclasses
import gc
import json
import os
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

import engine
from engine import (
    account,
    accounting,
    again,
    baselines,
    checkpoint,
    evaluate,
    features,
    judging,
    likeness,
    models,
    opening,
    redrawn,
    spec,
    trained,
)
from engine import plan as planning
from engine.data import split
from engine.data.overlap import overlap
from engine.errors import Refused, explain, is_out_of_memory, redact
from engine.events import Ended, Evaluated, Event, Progress, Sampled, Saved, Started, Step
from engine.knobs import settle
from engine.repair import repaired
from engine.resources import VideoMemory, Watch
from engine.store import append_event, write_whole
from engine.tasks import Task, all_tasks
from engine.train import Outcome, StopAskedError, Work, fit

JUDGED_ROWS = 32  # at once, at most; a check takes twice the batch, and so does this


def main(folder: Path) -> int:
    """Runs the run of this folder to its end. Returns 0 when it finished or was stopped, 1 when it failed.

    One that ran out of memory has no end: it is made lighter and queued again, and a fresh process goes on with it.
    """
    home = folder.parent.parent
    lock = threading.Lock()

    at: dict[str, Any] = {"phase": "", "step": 0}  # how far the run has come, should memory run out

    def emit(event: Event) -> None:
        at.update({"phase": event.phase} if isinstance(event, Progress) else {"step": event.step} if isinstance(event, Step) else {})
        with lock:  # the resources thread writes too
            append_event(folder / "events.jsonl", event)

    begun = time.time()
    done = threading.Event()
    watch: Watch | None = None
    try:
        opening.be_considerate()
        plan = planning.from_json((folder / "plan.json").read_text("utf-8"))
        me = psutil.Process()
        emit(Started(begun, me.pid, me.create_time(), _versions(), plan.device_words))
        watch = Watch(me, VideoMemory() if plan.device == "cuda" else None)
        threading.Thread(target=watch.until, args=(done, emit), daemon=True).start()
        ended = _run(folder, home, plan, emit)
    except StopAskedError:
        ended = Ended(time.time(), "stopped", "Stopped between two phases, as you asked.", "Press Resume to go on from there.")
    except Exception as error:  # the border: whatever it is, the run says so in words
        traceback.print_exc()
        lighter = repaired(folder, time.time(), **at) if is_out_of_memory(error) else ()
        if lighter:
            done.set()
            if watch is not None:
                emit(watch.look())
            for event in lighter:
                emit(event)
            return 1
        problem = explain(error)
        ended = Ended(time.time(), "failed", redact(problem.message), problem.fix)
    done.set()
    if watch is not None:
        emit(watch.look())  # what the last steps took since the last look
    emit(_timed(ended, begun))
    return 0 if ended.status in ("finished", "stopped") else 1


def _timed(ended: Ended, begun: float) -> Ended:
    now = time.time()
    return Ended(now, ended.status, ended.reason, ended.fix, seconds=now - begun)


def _run(folder: Path, home: Path, plan: planning.Plan, emit: Callable[[Event], None]) -> Ended:
    """Data, model, tokens, training, evaluation: the phases of a run, in order."""
    asked = spec.from_json((folder / "spec.json").read_text("utf-8"))
    task = all_tasks()[plan.task]
    token = os.environ.get("HF_TOKEN")

    def should_stop() -> bool:
        return (folder / "stop").exists()

    def tell(phase: Any, message: str, done: int = 0, total: int = 0) -> None:
        emit(Progress(time.time(), phase, message, done, total))
        if should_stop():
            raise StopAskedError

    tell("data", "Reading the data")
    prepared = opening.rows(asked, plan, home=home, token=token)

    grown = opening.more_rows(plan, prepared, folder, home=home, token=token, tell=partial(tell, "data"), emit=emit)
    tell("model", "Fetching the model")
    model_folder = models.fetch(plan.model, token=token, home=home, say=lambda message, done, total: tell("model", message, done, total))
    opening.settle_torch(plan)
    tell("tokens", "Turning texts into tokens")
    said = partial(tell, "tokens", "Turning texts into tokens")
    tokenizer, ids = opening.tokens(plan, grown, model_folder, home=home, said=said)

    tell("model", "Loading the model")
    model = opening.model(plan, prepared.classes, model_folder, tokenizer)

    work = opening.work(
        plan, grown, model, tokenizer, ids,
        checkpoints=folder / "checkpoints", emit=emit, should_stop=should_stop, clock=time.time,
    )  # fmt: skip
    work = dataclasses.replace(work, is_enough=(folder / "enough").exists)
    telling = partial(tell, "training")
    baselines.get_ready()
    with opening.feeding(plan, model, model_folder, tokenizer, ids, home=home, tell=telling, emit=emit) as present:
        tell("training", "Training", 0, plan.steps)
        outcome = fit(dataclasses.replace(work, present=present))
    if not outcome.finished:
        return Ended(time.time(), "stopped", outcome.why, "Press Resume to go on from there.")

    settled = _settled(task, prepared.validation, model, tokenizer, ids["validation"], work, partial(tell, "saving"))
    tell("saving", "Saving the model")
    kept = trained.Kept(
        folder.name,
        plan.model.id,
        plan.model.revision,
        plan.method,
        plan.task,
        plan.settings,
        prepared.sha256,
        _versions(),
        asked.data.fixes,
        grown.scale,
        **settled,
    )
    trained.keep(model, tokenizer, prepared.classes, kept, folder / "model")
    emit(Saved(time.time(), "model", outcome.best_step or outcome.step, "model", checkpoint.size(folder / "model")))

    def untuned_model() -> Any:
        """The model as it came; the tuned one has been let go."""
        gc.collect()
        tell("evaluation", "Opening the untuned model")
        precision = settle(spec.Training, plan.settings).precision or "fp32"
        return trained.open_base(model_folder, prepared.classes, plan, plan.model, tokenizer, precision).to(plan.device)

    remarks = opening.remarks(plan, prepared, grown)
    if task.sorts:
        judged = partial(_judge, remarks=remarks)
        judged(folder, asked, prepared, task, model, tokenizer, ids["test"], work, outcome, emit, partial(tell, "evaluation"))
    elif task.judges is not None:
        answered = partial(
            _answered, work.answers, tokenizer=tokenizer, ids=ids["test"], autocast=work.autocast, at_once=_judged_at_once(work),
            tell=partial(tell, "evaluation"),
        )  # fmt: skip
        answers, untuned_answers, scores = answered(model, "tuned"), None, work.scores
        del model, work  # one model at a time lies in memory
        if task.judges.untuned:
            untuned_answers = answered(untuned_model(), "untuned")
        _weigh(
            folder, asked, task, prepared, answers, untuned_answers, scores, outcome, emit, partial(tell, "evaluation"), settled, remarks
        )
    else:
        hear = partial(
            accounting.heard, task, settle(task.knobs, plan.settings), tokenizer=tokenizer, test=prepared.test, ids=ids["test"],
            autocast=work.autocast, batch_size=_judged_at_once(work), tell=partial(tell, "evaluation"),
        )  # fmt: skip
        tuned = hear(model=model, who="tuned")
        scored = task.scores((), tuned.nats, ())
        del model, work
        untuned = hear(model=untuned_model(), who="untuned")
        _account(folder, task, plan, prepared, tuned, untuned, scored, outcome, emit)
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)  # the model is kept; there is nothing left to resume
    features.tidy(home / "cache" / features.FOLDER)
    return Ended(time.time(), "finished", outcome.why)


def _judge(
    folder: Path,
    asked: spec.RunSpec,
    prepared: split.Prepared,
    task: Any,
    model: Any,
    tokenizer: Any,
    ids: list[list[int]],
    work: Work,
    outcome: Outcome,
    emit: Callable[[Event], None],
    tell: Callable[..., None],
    remarks: tuple[str, ...] = (),
) -> None:
    """Scores the test rows beside the baselines and writes evaluation.json and predictions.jsonl."""
    tell("Judging on the test rows", 0, len(ids))
    chances = work.answers(
        model,
        tokenizer,
        ids,
        batch_size=_judged_at_once(work),
        autocast=work.autocast,
        said=lambda done: tell("Judging on the test rows", done, len(ids)),
    )
    tell("Comparing with the baselines")
    guesses = [baseline(prepared) for baseline in baselines.ALL]
    before = again.earlier(asked.data, prepared, folder.parent.parent)
    if before and before.guess:
        guesses.append(before.guess)
    judged = evaluate.evaluate(
        _whole(prepared.test),
        chances,
        prepared.classes,
        guesses,
        shared=overlap(prepared.train, prepared.test),
        step=outcome.best_step or outcome.step,
    )
    judged = dataclasses.replace(judged, warnings=(*judged.warnings, *remarks, *(before.remarks if before else ())))
    lines = [
        json.dumps({"row": row, "text": text, "label": prepared.classes[label], "predicted": prepared.classes[chance.argmax()],
                    "probabilities": dict(zip(prepared.classes, map(float, chance), strict=True)),
                    **({"second": prepared.test.second[at]} if prepared.test.second else {})}, ensure_ascii=False)
        for at, (row, text, label, chance) in enumerate(
            zip(prepared.test.numbers, prepared.test.texts, prepared.test.labels, chances, strict=True)
        )
    ]  # fmt: skip
    write_whole(folder / "predictions.jsonl", "".join(line + "\n" for line in lines).encode("utf-8", "replace"))
    write_whole(folder / "evaluation.json", evaluate.to_json(judged).encode())
    emit(Evaluated(time.time(), "test", judged.step, evaluate.scores(prepared.test.labels, chances, prepared.classes)))
    emit(Sampled(time.time(), tuple(dataclasses.asdict(sample) for sample in judged.samples)))


def _whole(rows: split.Rows) -> split.Rows:
    """The rows with both texts of a pair in one, as a person reads them."""
    return dataclasses.replace(rows, texts=rows.spelt().joined())


def _answered(
    answers: Callable[..., Any],
    model: Any,
    who: str,
    *,
    tokenizer: Any,
    ids: list[list[int]],
    autocast: str | None,
    at_once: int,
    tell: Callable[..., None],
) -> Any:
    """What the model says of the test rows."""
    words = f"Judging the {who} model on the test rows"
    return answers(model, tokenizer, ids, batch_size=at_once, autocast=autocast, said=lambda done: tell(words, done, len(ids)))


def _weigh(
    folder: Path,
    asked: spec.RunSpec,
    task: Task,
    prepared: split.Prepared,
    answers: Any,
    untuned: Any,
    scores: Callable[..., dict[str, float]],
    outcome: Outcome,
    emit: Callable[[Event], None],
    tell: Callable[..., None],
    settled: dict[str, float],
    remarks: tuple[str, ...],
) -> None:
    """Judges the answers to the test rows, beside the untuned model's where those say anything."""
    step = outcome.best_step or outcome.step
    before = again.earlier(asked.data, prepared, folder.parent.parent)
    told = judging.judged(task, prepared, answers, untuned, step=step, tell=tell, earlier=before, remarks=remarks, **settled)
    _keep_account(folder, *told)
    decided = {name: value for name, value in settled.items() if name == "threshold"}
    emit(Evaluated(time.time(), "test", step, scores(prepared.test.targets, answers, prepared.classes, **decided)))


def _settled(
    task: Task, validation: split.Rows, model: Any, tokenizer: Any, ids: list[list[int]], work: Work, tell: Callable[..., None]
) -> dict[str, float]:
    """What the validation rows settle of how answers are read: "threshold", from which chance on a tag is given; "margin" of numbers."""
    judges = task.judges
    wanted = {"threshold": judges.threshold, "margin": judges.margin} if judges else {}
    if not any(wanted.values()):
        return {}
    words = "Choosing from which chance on a tag is given" if wanted["threshold"] else "Learning how near its numbers lie"
    how: dict[str, Any] = {"batch_size": _judged_at_once(work), "autocast": work.autocast}
    answers = work.answers(model, tokenizer, ids, said=lambda done: tell(words, done, len(ids)), **how)
    found = {name: of(answers, validation.targets) for name, of in wanted.items() if of}
    return {name: value for name, value in found.items() if value is not None}


def _judged_at_once(work: Work) -> int:
    return max(1, min(JUDGED_ROWS, 2 * (work.training.batch_size or 1)) // work.pieces)


def _account(
    folder: Path,
    task: Task,
    plan: planning.Plan,
    prepared: split.Prepared,
    tuned: accounting.Heard,
    untuned: accounting.Heard,
    scored: dict[str, float],
    outcome: Outcome,
    emit: Callable[[Event], None],
) -> None:
    """Writes account.json and written.jsonl."""
    step = outcome.best_step or outcome.step
    knobs: Any = settle(task.knobs, plan.settings)
    try:
        encoder = likeness.open_encoder(models.embedded_folder(), models.EMBEDDED)
    except Refused:  # it is not installed: then without figures of meaning
        encoder = None
    told = accounting.account(task, knobs, prepared.test, tuned, untuned, train=prepared.train, step=step, encoder=encoder)
    _keep_account(folder, *told)
    emit(Evaluated(time.time(), "test", step, scored))


def _keep_account(folder: Path, made: account.Account, texts: str, kept: tuple[redrawn.Redrawn, ...]) -> None:
    """Writes account.json, written.jsonl and redrawn.json; the account last, for where it stands the run is judged."""
    write_whole(folder / account.TEXTS, texts.encode("utf-8", "replace"))
    write_whole(folder / redrawn.FILE, redrawn.to_json(kept).encode())
    write_whole(folder / account.FILE, account.to_json(made).encode())


def _versions() -> dict[str, str]:
    found = {"python": sys.version.split()[0], "shur": engine.__version__}
    for name in ("torch", "transformers", "peft", "tokenizers", "numpy", "scikit-learn"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
