"""How many bytes and seconds a run will take, from the model's shape alone. Pure: no file, no torch, no clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.models import Linear, ModelFacts

MIB = 2**20
Device = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class Memory:
    """Bytes at the peak of training, by part. On a GPU the parts are its memory, on a CPU the process's resident memory."""

    parts: dict[str, int]  # "weights", "trained copies", "gradients", "optimiser", "activations", "logits", "overhead" -> bytes

    @property
    def total_bytes(self) -> int:
        return sum(self.parts.values())


@dataclass(frozen=True)
class Shape:
    """What of a run decides its memory, besides the model."""

    labels: int
    trainable: int  # parameters
    freezes_body: bool
    adapted: tuple[Linear, ...]  # matrices of a block beside which something is learnt; empty unless the body is frozen
    precision: str  # "fp32", "bf16", "fp16"
    batch: int  # rows
    length: int  # tokens of the longest row
    checkpointing: bool
    device: Device
    tokens_held: int = 0  # of all rows, kept as Python lists while the run goes


def estimate(facts: ModelFacts, shape: Shape) -> Memory:
    """The bytes at the peak of training."""
    body = facts.parameters(shape.labels)
    narrow = 4 if shape.precision == "fp32" else 2
    weights = body * (narrow if shape.freezes_body else 4)
    tokens = shape.batch * shape.length
    outputs = sum(one.outputs for one in facts.linears)
    inputs = sum(one.inputs for one in (shape.adapted if shape.freezes_body else facts.linears))
    per_token = narrow * (outputs + 2 * facts.hidden_size) + (narrow + 1) * inputs
    kept_layers = facts.layers if not shape.checkpointing else 1
    activations = tokens * per_token * kept_layers + (tokens * facts.hidden_size * 4 * facts.layers if shape.checkpointing else 0)
    return Memory(
        {
            "weights": weights,
            "trained copies": shape.trainable * 4 if shape.freezes_body else 0,
            "gradients": 4 * shape.trainable,
            "optimiser": 8 * shape.trainable,
            "activations": round(1.3 * activations),
            "data": 40 * shape.tokens_held if shape.device == "cpu" else 0,
            "overhead": 650 * MIB,
        }
    )
