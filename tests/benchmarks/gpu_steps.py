"""A run up to its model, in this process, and the same steps of it in every precision; what the parts of `gpu` that do so share.

python -m tests.benchmarks.gpu precision HOME --methods lora
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import statistics
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from engine import models, opening, train
from engine.events import Event, Step
from engine.plan import Plan
from engine.spec import DataSpec, RunSpec
from engine.studio import Studio

MB = 10**6
Lines = Iterator[dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class Ready:
    """A run up to its model: what of it stays the same whichever way its weights are made trainable."""

    plan: Plan
    prepared: Any
    folder: Path
    tokenizer: Any
    ids: opening.Ids

    def opened(self) -> Any:
        opening.settle_torch(self.plan)
        return opening.model(self.plan, self.prepared.classes, self.folder, self.tokenizer)

    def work(self, model: Any, checkpoints: Path, emit: Callable[[Event], None], should_stop: Callable[[], bool]) -> train.Work:
        return opening.work(
            self.plan, self.prepared, model, self.tokenizer, self.ids,
            checkpoints=checkpoints, emit=emit, should_stop=should_stop, clock=time.time,
        )  # fmt: skip


def ready(studio: Studio, told: argparse.Namespace, model: str, method: str, *, task: str, **settings: Any) -> Ready:
    """Raises RuntimeError with every problem."""

    def source(of: str | None) -> str | None:
        return of if of is None or ":" in of else f"file:{Path(of).absolute()}"

    asked = RunSpec(DataSpec(source(told.train) or "", test=source(told.test)), model, method, task, settings=settings)
    preview = studio.preview(asked)
    if preview.plan is None:
        raise RuntimeError("; ".join(f"{one.field}: {one}" for one in preview.problems if one.severity == "error"))
    plan = preview.plan
    prepared = opening.rows(asked, plan, home=studio.home, token=None)
    folder = models.fetch(plan.model, token=None, home=studio.home, say=lambda *_: None)
    tokenizer, ids = opening.tokens(plan, prepared, folder, home=studio.home, said=lambda *_, **__: None)
    return Ready(plan, prepared, folder, tokenizer, ids)


def looking(home: Path) -> Studio:
    studio = Studio(home, dispatch=False)
    studio.facts.measure(wait=True)
    return studio


def precisions(told: argparse.Namespace) -> Lines:
    studio, steps = looking(told.home), told.steps or 60
    for method in told.methods.split(","):
        for precision in ("bf16", "fp16", "fp32", "bf16"):  # the first again: whether the order matters
            case = {"model": told.model, "method": method, "precision": precision}
            yield case | caught(partial(_stepped, studio, told, method, precision, steps))
            forget()


def _stepped(studio: Studio, told: argparse.Namespace, method: str, precision: str, steps: int) -> dict[str, Any]:
    made_ready = ready(studio, told, told.model, method, task=told.task, precision=precision, max_length=told.length, max_steps=steps)
    model = made_ready.opened()
    steps_taken: list[Step] = []
    work = made_ready.work(model, studio.home / "none", lambda _: None, lambda: False)
    weights = {name: one for name, one in model.named_parameters() if one.requires_grad}
    if work.along is not None:
        work.along.begin(model, steps)
    import torch

    optimizer = train.optimizer_for(weights, work.training)
    scaler = torch.amp.GradScaler(enabled=work.autocast == "float16")
    size, rows = work.training.batch_size or 1, work.train.ids
    order = train.batches(list(map(len, rows)), size, grouped=True, seed=0, epoch=0)
    model.train()
    for step in range(steps):
        begun, batch = time.perf_counter(), order[step % len(order)]
        rate = train.learning_rate_at(step + 1, steps, work.training)
        loss, norm = train.take_step(work, [batch], weights, optimizer, scaler, rate, step + 1)
        steps_taken.append(Step(time.time(), step, steps, 0.0, loss, rate, norm, len(batch) / (time.perf_counter() - begun)))
    late = steps_taken[len(steps_taken) // 6 :]
    return {
        "rows_a_second": round(statistics.median(one.rows_per_second for one in late), 1), "batch": size, "steps": steps,
        "loss_first": round(statistics.mean(one.loss for one in steps_taken[:5]), 4),
        "loss_last": round(statistics.mean(one.loss for one in steps_taken[-10:]), 4),
        "skipped": sum(not abs(one.grad_norm) < float("inf") for one in steps_taken), "scale": scaler.get_scale(), **peak(),
        "planned_mb": made_ready.plan.memory_bytes / MB,
    }  # fmt: skip


def peak() -> dict[str, float]:
    """What torch reserved and used at its peak since `forget`, and what the GPU has taken in all, context and others included."""
    import torch

    if not torch.cuda.is_available():
        return {}
    highest, reserved = torch.cuda.max_memory_reserved(), torch.cuda.memory_reserved()
    told = {"reserved_mb": highest, "allocated_mb": torch.cuda.max_memory_allocated(), "beside_torch_mb": taken() - reserved}
    return {name: round(value / MB, 1) for name, value in told.items()}


def taken() -> int:
    """Bytes of the GPU that are taken, by whomever."""
    import torch

    free, total = torch.cuda.mem_get_info()
    return int(total - free)


def forget() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def caught(case: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    begun = time.perf_counter()
    try:
        found = case()
    except Exception as error:  # the border: the other cases go on
        traceback.print_exc()
        where = traceback.extract_tb(error.__traceback__)[-3:]
        found = {"error": f"{type(error).__name__}: {error}"[:500], "at": [f"{one.filename.split('/')[-1]}:{one.lineno}" for one in where]}
    return {**found, "case_seconds": round(time.perf_counter() - begun, 1)}
