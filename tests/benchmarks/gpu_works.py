"""Whether all that Shur trains with works on a GPU: every method, optimiser and way of storing weights, on tiny models.

    python -m tests.benchmarks.gpu works HOME [--cases llama/qlora]

Each case takes four steps, is stopped after two and resumed, kept, opened again and, where that can be, merged. A line says how far the
answers differ, or what broke.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
from functools import partial
from pathlib import Path
from typing import Any

from engine import opening, train, trained
from engine.events import Event, Step
from engine.methods import all_methods
from engine.studio import Studio
from tests.benchmarks.gpu_steps import Lines, caught, forget, looking, ready
from tests.tiny import tiny

KINDS = ("bert", "llama", "qwen2", "gemma3_text")
Case = tuple[str, str, dict[str, Any]]  # a family, a method, settings and the task
WRITES = {"task": "label_by_writing"}
MORE: list[Case] = [
    *(("llama", method, WRITES) for method in ("full", "lora", "qlora", "prompt")),
    *(("qwen2", method, WRITES) for method in ("lora", "qlora")),
    *((kind, "qlora", {"bits": "8"}) for kind in KINDS), ("qwen2", "qlora", {"dora": True}), ("qwen2", "qlora", {"init": "loftq"}),
    ("gemma3_text", "lora", {}), ("gemma3_text", "qlora", {}), ("bert", "lora", {"precision": "fp16"}),
    ("llama", "qlora", {"precision": "fp16"}), ("llama", "full", {"precision": "fp16"}), ("llama", "lora", {"precision": "fp32"}),
    ("qwen2", "qlora", {"precision": "fp32"}), *(("llama", method, {"checkpointing": True}) for method in ("full", "lora", "qlora")),
    *(("wide", "full", {"optimizer": one}) for one in ("adamw_8bit", "paged_adamw_8bit", "paged_adamw_32bit")),
    ("llama", "qlora", {"optimizer": "paged_adamw_32bit"}), ("bert", "lora", {"class_weights": "balanced"}),
]  # fmt: skip


def works(told: argparse.Namespace) -> Lines:
    studio = looking(told.home)
    told.train, told.test = "sample:film-reviews-en", None
    width = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3}
    folders = {one: str(tiny(one, told.home / "tiny" / one, **width)) for one in KINDS}
    # bitsandbytes pages nothing smaller than 100,000 numbers
    folders["wide"] = str(tiny("bert", told.home / "tiny" / "wide", hidden_size=320, intermediate_size=640))
    every: list[Case] = [(kind, method, {}) for method in all_methods() for kind in ("bert", "llama")]
    for at, (kind, method, settings) in enumerate([*MORE, *every]):
        name = "/".join([kind, method, *(f"{key}={value}" for key, value in settings.items())])
        if all(part in name for part in told.cases.split(",")):
            yield {"case": name} | caught(partial(_worked, studio, told, folders[kind], method, settings, studio.home / "works" / str(at)))
            forget()


def _worked(
    studio: Studio, told: argparse.Namespace, model_id: str, method_id: str, settings: dict[str, Any], place: Path
) -> dict[str, Any]:
    """Four steps, stopped after two and resumed; kept, opened again and, where that can be, merged: the differences of the answers."""
    import numpy as np

    shutil.rmtree(place, ignore_errors=True)
    given: dict[str, Any] = {
        "max_rows": 120,
        "max_length": 32,
        "max_steps": 4,
        "batch_size": 8,
        "accumulation": 1,
        "evaluate_every": 2,
        "patience": 0,
    }
    one = ready(studio, told, model_id, method_id, **{"task": "classify"} | given | settings)
    method, events = all_methods()[method_id], list[Event]()

    def fitted(until: int | None) -> tuple[Any, train.Outcome]:
        model = one.opened()
        stepped = lambda: until is not None and any(isinstance(event, Step) and event.step >= until for event in events)  # noqa: E731
        work = one.work(model, place / "checkpoints", events.append, stepped)
        with opening.feeding(
            one.plan, model, one.folder, one.tokenizer, one.ids, home=studio.home, tell=lambda *_: None, emit=events.append
        ) as present:
            return model, train.fit(dataclasses.replace(work, present=present))

    first, halted = fitted(2)
    del first
    model, outcome = fitted(None)
    work = one.work(model, place / "none", events.append, lambda: False)
    before = work.answers(model, one.tokenizer, one.ids["test"], batch_size=16, autocast=work.autocast)
    kept = trained.Kept("", one.plan.model.id, None, method_id, one.plan.task, one.plan.settings, one.prepared.sha256, {})
    trained.keep(model, one.tokenizer, one.prepared.classes, kept, place / "model")
    again = trained.open_trained(place / "model", home=studio.home)
    after = again.probabilities(one.prepared.test.texts, batch_size=16)
    line: dict[str, Any] = {
        "stopped_at": halted.step, "finished": outcome.finished, "steps": outcome.step, "precision": one.plan.settings["precision"],
        "device": next(model.parameters()).device.type, "losses": [round(event.loss, 3) for event in events if isinstance(event, Step)],
        "opened_differs": round(float(np.abs(before - after).max()), 6),
    }  # fmt: skip
    if method.merge is not None:
        merged: Any = method.merge(again.model)
        merged = merged.to(next(model.parameters()).device)
        found = work.answers(merged, one.tokenizer, one.ids["test"], batch_size=16, autocast=work.autocast)
        line["merged_differs"] = round(float(np.abs(before - found).max()), 6)
    return line
