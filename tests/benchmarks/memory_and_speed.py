"""Measures peak resident memory and speed of real steps beside what engine/memory.py and engine/speed.py say.

The command that made the tables in engine/memory.py and tests/engine/test_memory.py, MEASURED and ROW_MS, from the repository's root:

    OMP_WAIT_POLICY=PASSIVE python -m tests.benchmarks.memory_and_speed FOLDER

It takes every case of MEASURED, or those named after FOLDER: minilm/lora/bf16/16x128, with a fourth part, /checkpointing or one of
MORE (query_value, dora, undropped, r256, r2048), where the case has one. A line of JSON a case, half a minute each on two busy cores.

Made for a processor: on a GPU `python -m tests.benchmarks.gpu memory FOLDER` tells more, its own cases and what lies beside torch's memory.

Random weights in the real shapes, made once in FOLDER; each case in a process of its own. Memory does not mind a busy machine, but
takes up to 5 % more or less from one time to the next, as the C library's heap falls out; speed does mind, so it is told per second of
processor time too, next to what plain matrix products reached in the same minute.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests.engine.test_memory import MEASURED, SHAPES, knobs_of_case, of, shaped

STEPS = 6
CORES = 2
WIDTHS = (1.0, 0.75, 0.875)  # of the length, in turn: real batches are of many widths


def peak_bytes() -> int:
    """The GPU's peak where there is one, its context included, else the process's largest resident memory so far (Linux)."""
    import torch

    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()  # on a GPU that nobody else uses
        return int(torch.cuda.max_memory_reserved() + total - free - torch.cuda.memory_reserved())
    status = Path("/proc/self/status").read_text("utf-8")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024


def measure(folder: Path, case: tuple[str, str, str, int, int, str]) -> dict[str, float]:
    """Peak bytes, and rows a second of processor time in training and evaluation, at full width."""
    import torch

    from engine.memory import estimate
    from engine.methods import all_methods
    from engine.speed import forward_operations
    from engine.tasks import classify
    from engine.trained import weights_dtype

    name, method_id, precision, batch, length, more = case
    torch.set_num_threads(CORES)
    method, knobs, facts = all_methods()[method_id], knobs_of_case(method_id, more), of(name)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = classify.load_model(
        made(folder, name), ("no", "yes"), dtype=weights_dtype(precision, freezes_body=method.freezes_body), pad_token_id=0,
        quantisation=method.quantisation(knobs, facts, precision) if method.quantisation else None,
    )  # fmt: skip
    model = method.prepare(model, knobs, facts)
    for one in model.parameters():
        if one.requires_grad:
            one.data = one.data.float()
    model = model.to(device)
    if method.along:
        method.along.begin(model, 100)
    if more == "checkpointing":
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})  # type: ignore[operator]
    trained = [one for one in model.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=True)
    mixed = torch.autocast(device, dtype=torch.bfloat16, enabled=precision == "bf16")

    def settled() -> None:
        """A GPU works on while the program goes on: what was asked of it has been done."""
        if device == "cuda":
            torch.cuda.synchronize()

    def rows(count: int, width: int) -> dict[str, torch.Tensor]:
        ids = torch.randint(5, 30000, (count, width), device=device)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    def products() -> float:
        """Operations a second of processor time."""
        kind = torch.bfloat16 if precision == "bf16" else torch.float32
        left, right = torch.randn(2048, 384, dtype=kind), torch.randn(384, 1536, dtype=kind)
        torch.mm(left, right)
        begun, times = time.process_time(), 0
        while time.process_time() - begun < 0.3:
            torch.mm(left, right)
            times += 1
        return 2 * 2048 * 384 * 1536 * times / (time.process_time() - begun)

    steps, walls = [], []
    model.train()
    for step in range(STEPS):
        width = max(8, int(length * WIDTHS[step % len(WIDTHS)]) // 8 * 8)
        begun, wall = time.process_time(), time.perf_counter()
        with mixed:
            logits = model(**rows(batch, width)).logits
        classify.loss(logits, torch.arange(batch, device=device) % 2).backward()
        torch.nn.utils.get_total_norm([one.grad for one in trained if one.grad is not None])
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        settled()
        if width == length and step:
            steps.append(time.process_time() - begun)
            walls.append(time.perf_counter() - wall)
    plain = products()
    model.eval()
    with torch.inference_mode(), mixed:
        model(**rows(2 * batch, length))
        settled()
        begun, wall = time.process_time(), time.perf_counter()
        model(**rows(2 * batch, length))
        settled()
        evaluation, evaluation_wall = time.process_time() - begun, time.perf_counter() - wall
    shape = dataclasses.replace(shaped(of(name), *case[1:]), device=device)
    return {
        "peak_mb": peak_bytes() / 1e6,
        "estimated_mb": estimate(of(name), shape).total_bytes / 1e6,
        "rows_a_second": batch / statistics.median(walls),
        "evaluated_rows_a_second": 2 * batch / evaluation_wall,
        "cpu_ms_a_row": 1000 * statistics.median(steps) / batch,
        "evaluation_cpu_ms_a_row": 1000 * evaluation / batch / 2,
        "products_ms_a_row": 1000 * forward_operations(of(name), length) / plain,  # one forward pass at the speed of plain products
        "plain_gflops_a_core": plain / 1e9,
    }


def made(folder: Path, name: str) -> Path:
    """The folder of a model of this shape with random weights."""
    from transformers import AutoConfig, AutoModel

    place = folder / name
    if not (place / "model.safetensors").exists():
        AutoModel.from_config(AutoConfig.for_model(**SHAPES[name])).save_pretrained(place)
    return place


def main() -> None:
    folder, *told = sys.argv[1:]
    cases = [case for case in MEASURED if not told or "/".join([*case[:3], f"{case[3]}x{case[4]}", *filter(None, case[5:])]) in told]
    for case in cases:
        command = [sys.executable, "-c", f"from tests.benchmarks.memory_and_speed import *; one({folder!r}, {case!r})"]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def one(folder: str, case: tuple[str, str, str, int, int, str]) -> None:
    made(Path(folder), case[0])
    figures = {name: round(value, 1) for name, value in measure(Path(folder), case).items()}
    print(json.dumps({"case": "/".join(map(str, case)), **figures}), flush=True)


if __name__ == "__main__":
    main()
