"""How many bytes and seconds a run will take, from the model's shape alone. Pure: no file, no torch, no clock."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Memory:
    """Bytes at the peak of training, by part. On a GPU the parts are its memory, on a CPU the process's resident memory."""

    parts: dict[str, int]  # "weights", "trained copies", "gradients", "optimiser", "activations", "logits", "overhead" -> bytes

    @property
    def total_bytes(self) -> int:
        return sum(self.parts.values())
