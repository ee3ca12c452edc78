"""Peak memory of steps in real shapes beside the estimate: random weights, so that nothing is downloaded.

python -m tests.benchmarks.gpu memory HOME [--cases smol135/lora/bf16/16x256,qwen05/qlora/bf16/8x512]
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import time
from functools import partial
from pathlib import Path
from typing import Any

from engine import trained
from engine.memory import Device, estimate
from engine.methods import all_methods
from engine.tasks import classify
from tests.benchmarks.gpu_steps import MB, Lines, caught, forget, peak
from tests.engine.test_memory import MEASURED_ON_GPU, SHAPES, knobs_of_case, of, shaped


def memory(told: argparse.Namespace) -> Lines:
    wanted = told.cases.split(",") if told.cases else None
    for case in MEASURED_ON_GPU:
        name = "/".join([*case[:3], f"{case[3]}x{case[4]}", *filter(None, case[5:])])
        if wanted is None or name in wanted:
            forget()
            yield {"case": name} | caught(partial(_shape, told.home / "shapes", case, told.steps or 6))


def _made(folder: Path, name: str, device: str) -> Path:
    """The folder of a model of this shape with random weights, in 16 bits."""
    import torch
    from transformers import AutoConfig, AutoModel

    if not (folder / name / "config.json").exists():
        with torch.device(device):
            AutoModel.from_config(AutoConfig.for_model(**SHAPES[name]), dtype=torch.bfloat16).save_pretrained(folder / name)
        forget()
    return folder / name


def _shape(folder: Path, case: tuple[str, str, str, int, int, str], steps: int) -> dict[str, Any]:
    import torch

    name, method_id, precision, batch, length, more = case
    method, knobs, facts = all_methods()[method_id], knobs_of_case(method_id, more), of(name)
    device: Device = "cuda" if torch.cuda.is_available() else "cpu"
    model: Any = classify.load_model(
        _made(folder, name, device), ("no", "yes"), pad_token_id=0,
        dtype=trained.weights_dtype(precision, freezes_body=method.freezes_body),
        quantisation=method.quantisation(knobs, facts, precision) if method.quantisation else None,
    )  # fmt: skip
    model = method.prepare(model, knobs, facts)
    for one in model.parameters():
        if one.requires_grad:
            one.data = one.data.float()
    model = model.to(device)
    if more == "checkpointing":
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    weights = {name: one for name, one in model.named_parameters() if one.requires_grad}
    optimizer = torch.optim.AdamW(weights.values(), lr=1e-4, fused=True)
    scaler = torch.amp.GradScaler(enabled=precision == "fp16")
    narrow = trained.autocast_of(precision)
    mixed = torch.autocast(device, dtype=getattr(torch, narrow or "bfloat16"), enabled=narrow is not None)
    seconds = []
    model.train()
    for _ in range(steps):
        begun = time.perf_counter()
        ids = torch.randint(5, 30000, (batch, length), device=device)
        with mixed:
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        scaler.scale(classify.loss(logits, torch.arange(batch, device=device) % 2)).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.get_total_norm([one.grad for one in weights.values() if one.grad is not None]).item()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)
        seconds.append(time.perf_counter() - begun)
    model.eval()
    with torch.inference_mode(), mixed:
        ids = torch.randint(5, 30000, (2 * batch, length), device=device)
        model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.sum().item()
    told = estimate(facts, dataclasses.replace(shaped(facts, *case[1:]), device=device))
    return {
        "rows_a_second": round(batch / statistics.median(seconds[1:] or seconds), 1), **peak(),
        "estimated_mb": round(told.total_bytes / MB, 1),
        "estimated_parts_mb": {part: round(one / MB, 1) for part, one in told.parts.items()},
    }  # fmt: skip
