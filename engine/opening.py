"""From a plan to a model that is ready for its first step: what a run and a measurement of its fit do alike, each in its own process.

Nothing here writes an event or knows a run's folder. torch is imported where it is first needed, after `be_considerate`.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import features, trained
from engine.augment import BACK_TRANSLATION, NAMES, NONE, Augmentation, making, translators
from engine.augment.making import Copy, Made
from engine.data import split
from engine.errors import Problem, RunFailed
from engine.events import Event, Progress, Warned
from engine.hardware import usable_cores
from engine.knobs import settle
from engine.methods import all_methods
from engine.plan import Plan
from engine.spec import RunSpec, Training
from engine.tasks import all_tasks
from engine.tokens import encoded, with_row
from engine.train import Encoded, Work

if TYPE_CHECKING:
    import torch

OUT_OF_MEMORY_SCORE = 500  # of 1,000; the page has 0
NICENESS = 5  # below the page, which stays quick on two cores

Ids = dict[str, list[list[int]]]  # "train", "validation", "test" -> token ids of each row


def be_considerate() -> None:
    """Lower priority than the page, threads that wait without spinning, and sooner in line should the system run out of memory.

    Torch's threads spin while they wait for one another. With a browser on the same two cores a step of MiniLM took 3.7 s so and
    1.1 s without, at a third of the processor time. Read when torch is loaded, so it is set before.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.nice(NICENESS)
    adjust = Path("/proc/self/oom_score_adj")
    with contextlib.suppress(OSError):  # a container may have set more already, and only root may lower it
        if int(adjust.read_text()) < OUT_OF_MEMORY_SCORE:
            adjust.write_text(str(OUT_OF_MEMORY_SCORE))


def highest_ram() -> int:
    """The most resident memory that this process ever had, in bytes, where the system tells; else 0."""
    try:
        told = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        return 0
    return 1024 * int(told.group(1)) if told else 0


def rows(asked: RunSpec, plan: Plan, *, home: Path, token: str | None) -> split.Prepared:
    """The rows in their parts. Raises RunFailed where the data is not what was planned with."""
    prepared = split.prepare(
        asked.data,
        settle(split.Split, plan.settings),
        home=home,
        token=token,
        text=plan.text,
        label=plan.label,
        second=plan.second,
        labels=plan.label_columns,
    )
    if prepared.sha256 != plan.data_sha256:
        raise RunFailed(
            Problem("data.source", "The data changed after this run was planned.", "Start a new run with the data as it is now.")
        )
    return prepared


def more_rows(
    plan: Plan,
    prepared: split.Prepared,
    folder: Path,
    *,
    home: Path,
    token: str | None,
    tell: Callable[[str, int, int], None],
    emit: Callable[[Event], None],
) -> split.Prepared:
    """The rows with those that are made from the training part behind it; as they are where none are to be made.

    They are kept in the run's folder, so that a resumed run learns from the same ones. `tell` may raise to stop.
    """
    settings = settle(Augmentation, plan.settings)
    if settings.augment == NONE:
        return prepared
    copies = making.kept(folder, prepared)
    if copies is None:
        made = _made(plan, prepared, settings, home=home, token=token, tell=tell)
        making.keep(folder, prepared, made.copies)
        copies = made.copies
        for one in _left_out(made, settings):
            emit(one)
    named = f"{len(copies):,} rows are made from the {len(prepared.train.texts):,} training rows by {NAMES[settings.augment]}"
    emit(Progress(time.time(), "data", named))
    return making.grown(prepared, copies)


def rehearsed(plan: Plan, prepared: split.Prepared) -> split.Prepared:
    """As many rows as `more_rows` gives at most, for a measurement: each training row once more for every copy."""
    copies = [Copy(place, text) for _ in range(plan.rows.get("made", 0) // max(1, len(prepared.train.texts)))
              for place, text in enumerate(prepared.train.texts)]  # fmt: skip
    return making.grown(prepared, copies)


def remarks(plan: Plan, prepared: split.Prepared, grown: split.Prepared) -> tuple[str, ...]:
    """What the verdict must say of the rows that were made."""
    more = len(grown.train.texts) - len(prepared.train.texts)
    if plan.settings.get("augment", NONE) == NONE:
        return ()
    way, rows = NAMES[str(plan.settings["augment"])], f"{len(prepared.train.texts):,} training rows"
    return (
        f"It learnt from {rows} and {more:,} more that were made from them by {way}. The test rows are as they came; whether the made "
        "ones helped, only a comparison with and without tells.",
    )


def _left_out(made: Made, settings: Augmentation) -> list[Warned]:
    """What a person should know of copies that are not there."""
    told = []
    if made.leaked:
        rows = "1 made row was" if made.leaked == 1 else f"{made.leaked:,} made rows were"
        told.append(Warned(time.time(), f"{rows} left out: the same text stands among the validation or test rows."))
    if made.missing:
        why = {
            BACK_TRANSLATION: "the time was over, or they came back as they went",
        }.get(settings.augment, "no word of theirs can be changed so, or the text stands there already")
        rows = "1 of the copies is" if made.missing == 1 else f"{made.missing:,} of the {made.wanted:,} copies are"
        told.append(Warned(time.time(), f"{rows} not made: {why}."))
    return told


def _made(
    plan: Plan, prepared: split.Prepared, settings: Augmentation, *, home: Path, token: str | None, tell: Callable[[str, int, int], None]
) -> Made:
    seed, wanted = settle(Training, plan.settings).seed, settings.augment_copies * len(prepared.train.texts)
    change = making.changing(settings.augment, prepared, settings, seed)
    if change is not None:
        return making.made(prepared, settings.augment_copies, change, said=lambda done: tell("Making more rows", done, wanted))
    found = _translated(plan, prepared, settings, seed, home=home, token=token, tell=tell)
    return making.made(prepared, settings.augment_copies, lambda place, copy, _: found[place][copy] if place in found else None, tries=1)


def _translated(
    plan: Plan,
    prepared: split.Prepared,
    settings: Augmentation,
    seed: int,
    *,
    home: Path,
    token: str | None,
    tell: Callable[[str, int, int], None],
) -> dict[int, list[str]]:
    """The training texts' other wordings by their place. The models are let go of before the one that is trained is opened."""
    from engine.augment import translation

    settle_torch(plan)
    there, back = plan.translators
    folders = [translators.fetch(one, token=token, home=home, say=tell) for one in (there, back)]
    tell("Opening the models that translate", 0, 0)
    between = settings.language.strip(), settings.language_between.strip()
    out = translation.open_speaker(there, folders[0], between, 1, home=home, device=plan.device)
    home_again = translation.open_speaker(back, folders[1], between[::-1], settings.augment_copies, home=home, device=plan.device)
    rows = len(prepared.train.texts)
    return translation.there_and_back(
        prepared.train.texts, out, home_again,
        seed=seed, seconds=60 * settings.translation_minutes, clock=time.monotonic,
        said=lambda done: tell("Translating there and back", done, rows),
    )  # fmt: skip


def settle_torch(plan: Plan) -> None:
    """Threads and seed, before anything is drawn."""
    import torch

    torch.set_num_threads(usable_cores())  # torch counts the machine's cores, not a container's share
    torch.manual_seed(settle(Training, plan.settings).seed)


def tokens(plan: Plan, prepared: split.Prepared, model_folder: Path, *, home: Path, said: Callable[..., None]) -> tuple[Any, Ids]:
    """The tokenizer, and every row in tokens. `said(rows done, total=)` is called now and then."""
    task = all_tasks()[plan.task]
    tokenizer = task.load_tokenizer(model_folder)
    knobs: Any = settle(task.knobs, plan.settings)
    ids: Ids = {}
    for name, part in {"train": prepared.train, "validation": prepared.validation, "test": prepared.test}.items():
        told = partial(said, total=len(part.texts))
        texts = part.spelt()
        try:
            ids[name] = encoded(task, tokenizer, texts, knobs, model_folder=model_folder, cache=home / "cache", said=told)
        except RunFailed as error:
            words = "training" if name == "train" else name
            raise RunFailed(with_row(error.problem, task, tokenizer, texts, knobs, part.numbers, words)) from error
    return tokenizer, ids


def model(plan: Plan, classes: tuple[str, ...], model_folder: Path, tokenizer: Any) -> torch.nn.Module:
    """The model with its method in place, on its device; what is trained lies in 32 bits."""
    method, training = all_methods()[plan.method], settle(Training, plan.settings)
    opened = trained.open_base(model_folder, classes, plan, plan.model, tokenizer, training.precision or "fp32")
    opened = method.prepare(opened, settle(method.knobs, plan.settings), plan.model)
    for parameter in opened.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    opened = opened.to(plan.device)
    if training.checkpointing:
        opened.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})  # type: ignore[operator]
    return opened


def feeding(
    plan: Plan,
    opened: torch.nn.Module,
    model_folder: Path,
    tokenizer: Any,
    ids: Ids,
    *,
    home: Path,
    tell: Callable[[str, int, int], None],
    emit: Callable[[Event], None],
) -> contextlib.AbstractContextManager[features.Present | None]:
    """While open, and where the method leaves a lower part of the model frozen, that part's answers come from the disk (features.py).

    Gives what Work.present takes. `ids` are the rows that will be presented; `tell` may raise to stop the computing.
    """
    method, training = all_methods()[plan.method], settle(Training, plan.settings)
    footprint = method.footprint(settle(method.knobs, plan.settings), plan.model)
    if not footprint.caches or footprint.blocks is None or not all_tasks()[plan.task].caches:
        return contextlib.nullcontext()
    setting = features.Setting(
        folder=home / "cache" / features.FOLDER,
        model_folder=model_folder,
        rows=ids,
        collate=all_tasks()[plan.task].collate,
        tokenizer=tokenizer,
        autocast=trained.autocast_of(training.precision or "fp32"),
        tell=tell,
        warn=lambda message, fix: emit(Warned(time.time(), message, fix)),
        pieces=plan.pieces,
    )
    return features.computed_once(opened, footprint.blocks, setting)


def work(
    plan: Plan,
    prepared: split.Prepared,
    opened: torch.nn.Module,
    tokenizer: Any,
    ids: Ids,
    *,
    checkpoints: Path,
    emit: Callable[[Event], None],
    should_stop: Callable[[], bool],
    clock: Callable[[], float],
) -> Work:
    """All that the training loop needs."""
    task, training = all_tasks()[plan.task], settle(Training, plan.settings)
    most = int(plan.settings["max_length"])
    learn = partial(task.learn, classes=prepared.classes, most=most)
    answers = partial(task.answers, classes=prepared.classes, most=most)
    scores = task.scores
    if prepared.scale is not None:
        scaled: dict[str, Any] = {"scale": prepared.scale}
        learn, answers, scores = partial(learn, **scaled), partial(answers, **scaled), partial(scores, **scaled)
    if task.balanced is not None and plan.settings.get("class_weights") == "balanced":
        learn = partial(learn, weights=task.balanced(prepared.train.targets, len(prepared.classes)))
    footprint = all_methods()[plan.method].footprint(settle(all_methods()[plan.method].knobs, plan.settings), plan.model)
    if plan.settings.get("packing") and not (footprint.virtual_tokens or footprint.prefix_tokens):  # those know masks of one row alone
        learn = partial(learn, packed=True)
    return Work(
        checkpoints, opened, tokenizer, learn, task.counted, answers, scores, training, plan.steps, prepared.classes,
        Encoded(ids["train"], prepared.train.targets), Encoded(ids["validation"], prepared.validation.targets),
        trained.autocast_of(training.precision or "fp32"), emit, should_stop, clock,
        pieces=plan.pieces, along=all_methods()[plan.method].along, sorts=task.sorts,
    )  # fmt: skip
