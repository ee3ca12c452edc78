"""`python -m engine.measure FOLDER HOME`: a few real steps of a run that is not started yet, in a process of its own.

FOLDER holds spec.json and plan.json as a run's does; `status` (a sentence) is written as it goes, and at the end result.json: either
what was measured or the Problem. Two steps on the longest rows show the most memory, three batches as training takes them the time.
The code is the worker's: the same opening, the same steps, the same checks. No run is touched, nothing is kept of the model.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import psutil

from engine import checkpoint, models, opening, spec, train, trained
from engine import plan as planning
from engine.errors import LIGHTER_FIX, Problem, explain, is_out_of_memory, redact
from engine.measured import Measured
from engine.resources import VideoMemory
from engine.store import write_whole
from engine.train import Encoded, Work

LONGEST_STEPS = 2
USUAL_BATCHES = 3
CHECKED_BATCHES = 1
LEFT_OVER, DISTURBED = 0.1, 0.2  # shares of the processor


def main(folder: Path, home: Path) -> int:
    """Measures and writes result.json; returns 0, or 1 where it did not come to an end."""
    video = None
    try:
        opening.be_considerate()
        plan = planning.from_json((folder / "plan.json").read_text("utf-8"))
        video = VideoMemory() if plan.device == "cuda" else None
        result: dict[str, Any] = {"measured": dataclasses.asdict(_measured(folder, home, plan, video))}
    except Exception as error:  # the border of this process
        traceback.print_exc()
        problem = explain(error)
        if is_out_of_memory(error):
            message = f"It does not fit: memory ran out at {peak_bytes(video) / 1e9:.1f} GB."
            problem = Problem("memory", message, LIGHTER_FIX, of_memory=True)
        told = dataclasses.asdict(dataclasses.replace(problem, message=redact(problem.message)))
        result = {"problem": told, "peak_bytes": peak_bytes(video)}
    write_whole(folder / "result.json", json.dumps(result).encode())
    return 0 if "measured" in result else 1


def _measured(folder: Path, home: Path, plan: planning.Plan, video: VideoMemory | None) -> Measured:
    def say(sentence: str) -> None:
        write_whole(folder / "status", sentence.encode())

    begun = time.perf_counter()
    token = os.environ.get("HF_TOKEN")
    say("Reading the data")
    asked = spec.from_json((folder / "spec.json").read_text("utf-8"))
    prepared = opening.rehearsed(plan, opening.rows(asked, plan, home=home, token=token))
    say("Fetching the model")
    model_folder = models.fetch(plan.model, token=token, home=home, say=lambda message, *_: say(message))
    opening.settle_torch(plan)
    say("Turning texts into tokens")
    tokenising = time.perf_counter()
    tokenizer, ids = opening.tokens(plan, prepared, model_folder, home=home, said=lambda *_, **__: None)
    tokenising = time.perf_counter() - tokenising
    say("Loading the model")
    model = opening.model(plan, prepared.classes, model_folder, tokenizer)
    loading = time.perf_counter() - begun - tokenising
    batch = int(plan.settings["batch_size"])
    longest, usual = _chosen(plan, ids["train"], batch)
    there = len(ids["validation"])
    wanted = min(there, 2 * batch * CHECKED_BATCHES)
    checked = [at * there // wanted for at in range(wanted)]
    few = {
        "train": [ids["train"][at] for at in (*longest, *(at for one in usual for at in one))],
        "validation": [ids["validation"][at] for at in checked],
    }
    labels = [prepared.train.targets[at] for at in (*longest, *(at for one in usual for at in one))]
    work = opening.work(
        plan, prepared, model, tokenizer, {**few, "test": []},
        checkpoints=folder / "none", emit=lambda _: None, should_stop=lambda: False, clock=time.time,
    )  # fmt: skip
    work = dataclasses.replace(work, train=Encoded(few["train"], labels), validation=Encoded(few["validation"], []))
    say("Taking a few steps")
    computing = time.perf_counter()
    with opening.feeding(plan, model, model_folder, tokenizer, few, home=folder, tell=lambda *_: None, emit=lambda _: None) as present:
        computing = time.perf_counter() - computing
        work = dataclasses.replace(work, present=present)
        quiet = _Quiet()
        token_seconds, batches_seen = _steps(work, len(longest), [len(one) for one in usual])
        row_seconds = _checks(work, "validation", present is not None)
        others = quiet.taken_by_others()
    say("Counting what would be kept")
    kept = folder / "kept"
    told = trained.Kept("", plan.model.id, plan.model.revision, plan.method, plan.task, plan.settings, prepared.sha256, {})
    trained.keep(model, tokenizer, prepared.classes, told, kept)
    cached = present is not None
    alone = dataclasses.replace(work, present=None)
    tested = _checks(alone, "validation", False) if cached else row_seconds
    say("Reading the longest rows")
    _checks(dataclasses.replace(alone, validation=Encoded(few["train"][: 2 * batch], [])), "validation", False)
    computed_tokens = sum(map(len, few["train"])) + sum(map(len, few["validation"]))
    all_tokens = sum(map(len, ids["train"])) + sum(map(len, ids["validation"]))
    return Measured(
        peak_memory_bytes=peak_bytes(video),  # after everything else
        longest=max(map(len, few["train"])),
        steps=batches_seen,
        seconds_a_batch=token_seconds * _mean_tokens(plan, ids["train"], batch),
        seconds_a_row_checked=row_seconds,
        seconds_a_row_tested=tested,
        seconds_once=computing * all_tokens / max(1, computed_tokens) if cached else 0.0,
        loading_seconds=loading,
        save_bytes=checkpoint.size(kept),
        taken_by_others=others,
    )


class _Quiet:
    """Tells how much of the processor other programs took since it was made."""

    def __init__(self) -> None:
        self._begun = self._now()

    def _now(self) -> tuple[float, float, float]:
        """Seconds of all cores that went by, that none used, and that this process used."""
        times = psutil.cpu_times()
        return sum(times[:8]), times.idle + getattr(times, "iowait", 0.0), time.process_time()

    def taken_by_others(self) -> float:
        """A share; 0 where some of the processor was left over, so that nobody was kept waiting."""
        whole, idle, own = (now - before for now, before in zip(self._now(), self._begun, strict=True))
        others = (whole - idle - own) / max(whole, 1e-9)
        return round(others, 2) if idle < LEFT_OVER * whole and others > DISTURBED else 0.0


def _chosen(plan: planning.Plan, rows: list[list[int]], batch: int) -> tuple[list[int], list[list[int]]]:
    """The numbers of the longest rows, a batch of them, and some batches of the first pass, evenly spread."""
    longest = sorted(range(len(rows)), key=lambda at: -len(rows[at]))[:batch]
    order = _order(plan, rows, batch)
    return longest, [order[at * len(order) // USUAL_BATCHES] for at in range(min(USUAL_BATCHES, len(order)))]


def _order(plan: planning.Plan, rows: list[list[int]], batch: int) -> list[list[int]]:
    grouped, seed = bool(plan.settings["length_grouping"]), int(plan.settings["seed"])
    return train.batches([len(one) for one in rows], batch, grouped=grouped, seed=seed, epoch=0)


def _mean_tokens(plan: planning.Plan, rows: list[list[int]], batch: int) -> float:
    """Of a batch of the first pass, padding included."""
    order = _order(plan, rows, batch)
    return sum(len(one) * max(len(rows[at]) for at in one) for one in order) / max(1, len(order))


def _steps(work: Work, longest: int, usual: list[int]) -> tuple[float, int]:
    """Seconds of training a token, over the batches as training takes them; and the number of batches in all."""
    import torch

    weights = {name: one for name, one in work.model.named_parameters() if one.requires_grad}
    if work.along is not None:
        work.along.begin(work.model, work.steps)
    optimizer = train.optimizer_for(weights, work.training)
    scaler = torch.amp.GradScaler(enabled=work.autocast == "float16")
    rate = (work.training.learning_rate or 0.0) / 10
    work.model.train()
    number = 0
    for _ in range(LONGEST_STEPS):
        number += 1
        train.take_step(work, [list(range(longest))], weights, optimizer, scaler, rate, number)
    tokens, seconds, at = 0, 0.0, longest
    for size in usual:
        rows = list(range(at, at + size))
        at, number = at + size, number + 1
        begun = time.perf_counter()
        train.take_step(work, [rows], weights, optimizer, scaler, rate, number)
        seconds += time.perf_counter() - begun
        tokens += size * max(len(work.train.ids[row]) for row in rows)
    return seconds / max(1, tokens), number


def _checks(work: Work, split: str, cached: bool) -> float:
    """Seconds a row of scoring the validation rows at hand."""
    rows = work.validation.ids
    if not rows:
        return 0.0
    begun = time.perf_counter()
    work.answers(
        work.model, work.tokenizer, rows, batch_size=max(1, 2 * (work.training.batch_size or 1) // work.pieces), autocast=work.autocast,
        present=(lambda numbers: work.present(split, numbers)) if cached and work.present else None,
    )  # fmt: skip
    return (time.perf_counter() - begun) / len(rows)


def peak_bytes(video: VideoMemory | None) -> int:
    """The most memory so far: of the GPU where it was used, else resident."""
    told = video.now() if video else None
    return told[1] if told and told[1] else opening.highest_ram()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
