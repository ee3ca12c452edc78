"""How many seconds a run will take, by part: operations of the model over what the hardware does of them a second. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from engine.hardware import Hardware
from engine.models import ModelFacts

TERA = 1e12
# Products a second that a GPU is built for: (fp32, 16 bits with 32-bit sums, dense), from NVIDIA's data sheets. Matched by name,
# longest first, because "NVIDIA A100-SXM4-40GB" and "Tesla T4" are how the driver tells them.
GPUS: dict[str, tuple[float, float]] = {
    "H100": (67, 990), "H200": (67, 990), "A100": (19.5, 312), "A10G": (31, 70), "L40S": (91, 362), "L4": (30, 121), "T4": (8.1, 65),
    "V100": (15.7, 125), "P100": (9.5, 19), "RTX 3060": (12.7, 51), "RTX 3090": (35.6, 71), "RTX 4090": (82.6, 165),
}  # fmt: skip
GPU_SHARE = 0.25  # of it that fine-tuning a model of this size reaches; not measured on these GPUs here
STARTING_SECONDS = 9.0  # a worker's start: torch 2.3 s, transformers and the method's library, the tokenizer
READING_BYTES = 5e8  # of weights a second, from a disk
TOKENS = 4e5  # that a tokenizer makes a second, as lists
BASELINE_CHARACTERS = 1.5e5  # TF-IDF and logistic regression, a second
WRITING_BYTES = 2e8  # of a checkpoint a second: twice hashed, and flushed to the disk
CHECKPOINT_SECONDS = 50.0  # as in train.py


@dataclass(frozen=True)
class Load:
    """What of a run takes time, besides the model."""

    train_rows: int  # read in all passes together
    steps: int
    checked_rows: int  # validation rows, times the checks
    test_rows: int
    all_rows: int  # that are tokenised
    tokens: float  # of a row after cutting, mean, padding included
    uncut_tokens: float  # of a row before, mean
    characters: float  # of a row, mean
    trainable: int  # parameters
    freezes_body: bool
    precision: str
    checkpointing: bool


def forward_operations(facts: ModelFacts, tokens: float) -> float:
    """Operations of one row through all blocks: two a weight and token, and the two products of attention."""
    matrices = sum(one.inputs * one.outputs for one in facts.linears)
    attention = 2 * tokens * facts.heads * facts.head_dim
    return facts.layers * tokens * 2 * (matrices + attention)


def seconds(facts: ModelFacts, load: Load, hardware: Hardware) -> dict[str, float]:
    """Seconds by part ("loading", "tokenising", "training", "validation", "test"); empty where there is no figure for the hardware.

    Training costs a forward pass, the gradient of the activations (as much) and, unless the body is frozen, that of the weights
    (as much again); checkpointing a forward pass more.
    """
    speeds = _speeds(load, hardware)
    if speeds is None:
        return {}
    training_speed, evaluation_speed = speeds
    forward = forward_operations(facts, load.tokens)
    passes = (2 if load.freezes_body else 3) + (1 if load.checkpointing else 0)
    training = load.train_rows * passes * forward / training_speed
    training += load.steps * load.trainable * (0.0 if hardware.gpus else UPDATE_SECONDS)
    checkpoint = 12 * load.trainable / WRITING_BYTES
    training += (1 + training / CHECKPOINT_SECONDS) * checkpoint
    return {
        "loading": STARTING_SECONDS + facts.weights_bytes / READING_BYTES,
        "tokenising": load.all_rows * load.uncut_tokens / TOKENS,
        "training": training,
        "validation": load.checked_rows * forward / evaluation_speed,
        "test": load.test_rows * forward / evaluation_speed + min(load.all_rows, 20_000) * load.characters / BASELINE_CHARACTERS,
    }


UPDATE_SECONDS = 2.5e-9  # of AdamW a parameter and step on two cores: 28 bytes at 12 GB a second


def _speeds(load: Load, hardware: Hardware) -> tuple[float, float] | None:
    """Operations a second in training and in evaluation."""
    if hardware.gpus:
        name = hardware.gpus[0].name
        known = next((GPUS[one] for one in sorted(GPUS, key=len, reverse=True) if one in name.replace("GeForce ", "")), None)
        if known is None:
            return None
        built_for = known[0 if load.precision == "fp32" else 1] * TERA
        return built_for * GPU_SHARE, built_for * GPU_SHARE
    measured = hardware.bf16_flops if load.precision == "bf16" else hardware.fp32_flops
    if measured is None:
        return None
    training, evaluation = CPU_SHARES[load.precision == "bf16", load.freezes_body]
    return measured * training, measured * evaluation


CPU_SHARES = {(False, True): (0.5, 0.8), (False, False): (0.6, 0.8), (True, True): (0.4, 0.7), (True, False): (0.5, 0.7)}
