"""Whether a run whose short rows are packed ends at the same loss as one that pads them: pairs of runs that differ in nothing else.

    python -m tests.benchmarks.packing HOME ROWS.jsonl

Made the table in packing.md. ROWS.jsonl holds "instruction", "input" and "output"; those of up to WORDS words are learnt by `--model` with
LoRA, two runs a seed, and the held-out loss of the last step is compared: of the difference between both, with the spread over the seeds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

WORDS = 50
SETTINGS = {"batch_size": 8, "accumulation": 1, "max_length": 128, "learning_rate": 0.0005, "written_rows": 0, "patience": 0}


def short_rows(source: Path, target: Path) -> Path:
    rows = [json.loads(line) for line in source.read_text("utf-8").splitlines()]
    kept = [row for row in rows if sum(len(str(row.get(name, "")).split()) for name in ("instruction", "input", "output")) <= WORDS]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept), "utf-8")
    return target


def run(home: Path, data: Path, model: str, steps: int, seed: int, *, packed: bool) -> dict[str, Any]:
    """The run's loss on the test rows, nats a token, and what it took."""
    settings = {**SETTINGS, "max_steps": steps, "evaluate_every": steps, "seed": seed, "packing": str(packed).lower()}
    command = [sys.executable, "-m", "engine", "train", "--home", str(home), "--task", "instruct", "--data", str(data), "--model", model]
    done = subprocess.run([*command, *(f"--set={name}={value}" for name, value in settings.items())], capture_output=True, text=True)
    told = json.loads(done.stdout.splitlines()[-1])
    tested = Path(told["folder"], "events.jsonl").read_text("utf-8").splitlines()
    (loss,) = (one["metrics"]["loss"] for one in map(json.loads, tested) if one.get("split") == "test")
    return {"seed": seed, "packed": packed, "loss": loss, "seconds": told["seconds"], "peak_memory_bytes": told["peak_memory_bytes"]}


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("home", type=Path)
    asked.add_argument("rows", type=Path)
    asked.add_argument("--model", default="SmolLM2-135M-Instruct")
    asked.add_argument("--steps", type=int, default=20)
    asked.add_argument("--seeds", type=int, default=3)
    told = asked.parse_args()
    data = short_rows(told.rows, told.home / "short.jsonl")
    apart, ends = [], []
    for seed in range(1, told.seeds + 1):
        pair = [run(told.home, data, told.model, told.steps, seed, packed=packed) for packed in (True, False)]
        for one in pair:
            print(json.dumps(one), flush=True)
        apart.append(pair[0]["loss"] - pair[1]["loss"])
        ends.append(pair[1]["loss"])
    spread = statistics.stdev(ends) if len(ends) > 1 else None
    print(json.dumps({"packed_minus_padded": apart, "mean": statistics.mean(apart), "spread_over_seeds": spread}))


if __name__ == "__main__":
    main()
