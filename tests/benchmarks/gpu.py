"""What Shur does on a CUDA GPU, measured: quality, minutes, speed and memory beside what the plan said. A line of JSON a case.

    python -m tests.benchmarks.gpu PART HOME [--train FILE] [--test FILE] [--model ID] …

from the repository's root, with the requirements installed. Also runs on a processor, where it tells no memory. The parts:

    machine     the GPU as Shur and as torch see it, and what a CUDA context takes
    runs        whole runs through `python -m engine train`: --task, --methods full,lora,qlora, --beside 3 for three at once
    works       every method, optimiser and way of storing weights on tiny models: trains, resumes, is kept, opens again, is merged
    precision   the same steps in fp32, bf16 and fp16: rows a second, loss, memory
    memory      peak memory of steps in real shapes beside the estimate: random weights, many models
    writing     tokens a second of `engine.generation`, one text and eight at once

A case that fails is a line too, with the error. Nothing but HOME is written to.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import json
import shutil
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine import account, hardware, store
from engine.events import Resources, Saved, Step
from engine.plan import from_json
from engine.tasks import all_tasks
from tests.benchmarks.gpu_memory import memory
from tests.benchmarks.gpu_steps import MB, Lines, precisions, taken
from tests.benchmarks.gpu_works import works
from tests.benchmarks.gpu_writing import writing


def main() -> None:
    told = _parser().parse_args()
    parts: dict[str, Callable[[argparse.Namespace], Lines]] = {
        "machine": machine, "runs": runs, "works": works, "precision": precisions, "memory": memory, "writing": writing,
    }  # fmt: skip
    for line in parts[told.part](told):
        print(json.dumps({"part": told.part, **line}, ensure_ascii=False), flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gpu")
    parser.add_argument("part", choices=("machine", "runs", "works", "precision", "memory", "writing"))
    parser.add_argument("home", type=Path)
    parser.add_argument("--train", default="sample:film-reviews-en")
    parser.add_argument("--test")
    parser.add_argument("--model", default="SmolLM2-135M-Instruct")
    parser.add_argument("--task", default="classify")
    parser.add_argument("--methods", default="full,lora,qlora")
    parser.add_argument("--length", type=int, default=256, help="tokens")
    parser.add_argument("--steps", type=int, help="at most; left out: one pass in runs, 60 in precision, 6 in memory")
    parser.add_argument("--beside", type=int, default=1, help="runs at once; their minutes are then no one run's")
    parser.add_argument("--cases", default="", help="of memory: names such as minilm/lora/bf16/32x256; of works: parts of a name")
    parser.add_argument("--tokens", type=int, default=128, help="of each text in writing")
    return parser


# The machine


def machine(told: argparse.Namespace) -> Lines:
    import torch

    yield {"shur": dataclasses.asdict(hardware.probe(told.home))}
    line: dict[str, Any] = {"torch": torch.__version__, "cuda": torch.version.cuda, "available": torch.cuda.is_available()}
    if torch.cuda.is_available():
        whole, left = taken(), torch.ones(1024, 1024, device="cuda")
        (left @ left).sum().item()
        line |= {
            "name": torch.cuda.get_device_name(), "capability": torch.cuda.get_device_capability(),
            "context_mb": (taken() - torch.cuda.memory_reserved()) / MB, "before_product_mb": whole / MB,
        }  # fmt: skip
    yield line


# Whole runs


def runs(told: argparse.Namespace) -> Lines:
    if told.task not in all_tasks():
        yield {"task": told.task, "skipped": "there is no such task"}
        return
    with concurrent.futures.ThreadPoolExecutor(told.beside) as pool:
        going = [pool.submit(_run, told, method) for method in told.methods.split(",")]
        for one in concurrent.futures.as_completed(going):
            yield one.result()


def _run(told: argparse.Namespace, method: str) -> dict[str, Any]:
    home = told.home if told.beside == 1 else told.home.with_name(f"{told.home.name}-{method}")  # one home gives one run at a time its turn
    settings = {"epochs": 1, "max_length": told.length, **({"max_steps": told.steps} if told.steps else {})}
    command = [
        sys.executable,
        "-m",
        "engine",
        "train",
        "--home",
        str(home),
        "--data",
        told.train,
        "--model",
        told.model,
        "--method",
        method,
    ]
    command += ["--test", told.test] if told.test else []
    command += ["--task", told.task] if told.task != "classify" else []
    command += [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    if home != told.home and (told.home / "cache").exists():  # what was converted once
        shutil.copytree(told.home / "cache", home / "cache", dirs_exist_ok=True)
    line: dict[str, Any] = {"task": told.task, "model": told.model, "method": method, "beside": told.beside}
    begun = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    line["wall_seconds"] = round(time.perf_counter() - begun, 1)
    sys.stderr.write(done.stderr[-6000:])
    try:
        result = json.loads(done.stdout.strip().splitlines()[-1])
        return {**line, **(_of_run(result) if "folder" in result else result)}
    except (IndexError, ValueError, OSError, KeyError):
        return {**line, "error": traceback.format_exc(limit=1), "stderr": done.stderr[-1500:], "code": done.returncode}


def _of_run(result: dict[str, Any]) -> dict[str, Any]:
    """What a run came to beside its plan."""
    folder = Path(result["folder"])
    plan = from_json((folder / "plan.json").read_text("utf-8"))
    events = store.Store(folder.parent.parent).read(folder.name, 0)[0]
    steps = [one for one in events if isinstance(one, Step)]
    metrics = result.get("metrics") or {}
    line = {
        "status": result["status"], "reason": result["reason"], "fix": result["fix"], "rows": plan.rows, "steps": result["steps"],
        "batch": [plan.settings["batch_size"], plan.settings["accumulation"]], "precision": plan.settings["precision"],
        "learning_rate": plan.settings["learning_rate"], "accuracy": metrics.get("accuracy"), "macro_f1": metrics.get("macro_f1"),
        "test_loss": metrics.get("loss"), "baselines": {one["id"]: one["accuracy"] for one in result["baselines"]},
        "seconds": result["seconds"], "planned_seconds": plan.seconds, "planned_parts_seconds": plan.seconds_parts,
        "stepping_seconds": round(steps[-1].time - steps[0].time, 1) if steps else None,
        "rows_a_second": round(statistics.median(one.rows_per_second for one in steps), 1) if steps else None,
        "losses": [round(one.loss, 4) for one in steps[:: max(1, len(steps) // 12)]],
        "peak_vram_mb": _megabytes(result["peak_vram_bytes"]), "peak_ram_mb": _megabytes(result["peak_memory_bytes"]),
        "planned_mb": _megabytes(plan.memory_bytes), "planned_parts_mb": {name: one / MB for name, one in plan.memory_parts.items()},
        "trainable": plan.trainable_parameters, "saved_mb": [one.bytes / MB for one in events if isinstance(one, Saved)][-1:],
        "first_resources": next((dataclasses.asdict(one) for one in events if isinstance(one, Resources) and one.vram_bytes), None),
    }  # fmt: skip
    written = folder / account.FILE  # of a task that writes
    if written.exists():
        line["account"] = json.loads(written.read_text("utf-8"))
    if result["status"] != "finished":
        log = folder / "log.txt"
        line["log"] = log.read_text("utf-8", errors="replace")[-1500:] if log.exists() else ""
    return line


def _megabytes(told: int | None) -> float | None:
    return None if told is None else round(told / MB, 1)


if __name__ == "__main__":
    main()
