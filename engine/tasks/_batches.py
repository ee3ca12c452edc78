"""What all tasks share that ask a model about many rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def in_batches(
    rows: Sequence[Sequence[int]],
    batch_size: int,
    autocast: str | None,
    model: torch.nn.Module,
    work: Callable[[list[int]], None],
    said: Any = None,
) -> None:
    """Calls `work` with the numbers of each batch's rows, the longest first, without gradients; `said(done)` after each."""
    import torch

    device = next(model.parameters()).device
    order = sorted(range(len(rows)), key=lambda at: -len(rows[at]))
    model.eval()
    mixed = torch.autocast(device.type, dtype=getattr(torch, autocast or "bfloat16"), enabled=autocast is not None)
    with torch.inference_mode(), mixed:
        for start in range(0, len(order), batch_size):
            work(order[start : start + batch_size])
            if said is not None:
                said(min(start + batch_size, len(order)))
