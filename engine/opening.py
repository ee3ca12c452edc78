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
from engine.data import split
from engine.errors import Problem, RunFailed
from engine.events import Event, Warned
from engine.hardware import usable_cores
from engine.knobs import settle
from engine.methods import all_methods
from engine.plan import Plan
from engine.spec import RunSpec, Training
from engine.tasks import all_tasks
from engine.tokens import encoded
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
        asked.data, settle(split.Split, plan.settings), home=home, token=token, text=plan.text, label=plan.label, second=plan.second
    )
    if prepared.sha256 != plan.data_sha256:
        raise RunFailed(
            Problem("data.source", "The data changed after this run was planned.", "Start a new run with the data as it is now.")
        )
    return prepared


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
        ids[name] = encoded(task, tokenizer, part.spelt(), knobs, model_folder=model_folder, cache=home / "cache", said=told)
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
    if not footprint.caches or footprint.blocks is None:
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
        learn = partial(learn, weights=task.balanced(prepared.train.labels, len(prepared.classes)))
    footprint = all_methods()[plan.method].footprint(settle(all_methods()[plan.method].knobs, plan.settings), plan.model)
    if plan.settings.get("packing") and not (footprint.virtual_tokens or footprint.prefix_tokens):  # those know masks of one row alone
        learn = partial(learn, packed=True)
    return Work(
        checkpoints, opened, tokenizer, learn, task.counted, answers, scores, training, plan.steps, prepared.classes,
        Encoded(ids["train"], prepared.train.targets), Encoded(ids["validation"], prepared.validation.targets),
        trained.autocast_of(training.precision or "fp32"), emit, should_stop, clock,
        pieces=plan.pieces, along=all_methods()[plan.method].along, sorts=task.sorts,
    )  # fmt: skip
