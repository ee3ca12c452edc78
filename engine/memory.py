"""How many bytes a run needs at its peak, from the model's shape alone. Pure: no file, no torch.

Measured by tests/benchmarks/memory_and_speed.py (2 cores, AMD EPYC with avx512_bf16, torch 2.13, transformers 5.23; peak resident
memory of a process that has a worker's imports and takes 6 steps and an evaluation, random weights), in MB, beside `estimate`:

    model                           method  precision  batch x length   measured  estimated
    MiniLM, 22.7M                   LoRA    fp32       16 x 128       1814       1815
    MiniLM, 22.7M                   LoRA    bf16       16 x 128       1235       1171
    MiniLM, 22.7M                   LoRA    bf16       16 x 256       1786       1693
    MiniLM, 22.7M, query and value  LoRA    bf16       16 x 128        992        941
    MiniLM, 22.7M, checkpointing    LoRA    bf16       16 x 256       1188       1261
    MiniLM, 22.7M                   full    fp32       16 x 128       1337       1419
    MiniLM, 22.7M                   full    bf16       16 x 128       1227       1188
    MiniLM, 22.7M                   full    bf16       32 x 128       1518       1469
    MiniLM, 22.7M                   full    fp32        4 x  32        923        953
    BERT base, 109M                 LoRA    fp32        8 x 128       3439       3322
    BERT base, 109M                 LoRA    bf16        8 x 128       1918       1906
    BERT base, 109M                 LoRA    bf16       16 x 256       5133       5040
    BERT base, 109M, checkpointing  LoRA    bf16       16 x 256       2228       2161
    BERT base, 109M                 full    fp32        8 x 128       2872       3016
    BERT base, 109M                 full    bf16        8 x 128       2784       2683
    mBERT, 178M                     full    fp32        8 x 128       3952       3837
    SmolLM2, 135M                   LoRA    bf16        8 x 128       2819       2856
    SmolLM2, 135M                   LoRA    fp32        4 x 128       2952       3263
    SmolLM2, 135M                   full    fp32        4 x 128       3223       3241
    Qwen1.5, 464M                   LoRA    bf16        4 x 128       3226       3117

Real runs need more for activations, because batches of ever other widths leave gaps between blocks of memory: MiniLM, LoRA, bf16,
16 x 256, IMDb: 2665 to 2865 MB with the heap trimmed every ten steps (3311 without); 16 x 128, Bengali reviews: 1474. MIXED is that
surplus, and makes them 2560 and 1550. On a GPU nothing has been measured yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.methods import Footprint
from engine.models import ModelFacts

Device = Literal["cpu", "cuda"]
MB = 10**6

# Bytes that an element leaves behind, a token and a block, fitted to the table: of what every matrix of the block puts out, of
# what one with an update beside it takes in (a dropped-out copy and its mask), of what a trained one takes in.
PUT_OUT = {"fp32": 11.0, "bf16": 5.6, "fp16": 5.6}
TAKEN_IN_BESIDE_UPDATE = {"fp32": 15.4, "bf16": 6.7, "fp16": 6.7}
TAKEN_IN_WHEN_TRAINED = {"fp32": 2.1, "bf16": 1.0, "fp16": 1.0}
MIXED = {"cpu": 1.7, "cuda": 1.2}  # fitted to real runs, see above; on a GPU assumed
RECOMPUTED_BLOCKS = 3.3  # that lie in memory at once under checkpointing
OVERHEAD = {"cpu": 590 * MB, "cuda": 700 * MB}  # a worker before its model, measured; a CUDA context and its buffers, assumed
TOKEN_BYTES = 40  # a Python int and its place in a list


@dataclass(frozen=True)
class Memory:
    """Bytes at the peak of training, by part. On a GPU the parts are its memory, on a CPU the process's resident memory."""

    parts: dict[str, int]  # "weights", "trained copies", "gradients", "optimiser", "activations", "data", "overhead" -> bytes

    @property
    def total_bytes(self) -> int:
        return sum(self.parts.values())


@dataclass(frozen=True)
class Shape:
    """What of a run decides its memory, besides the model."""

    labels: int
    trainable: int  # parameters
    freezes_body: bool
    footprint: Footprint
    precision: str  # "fp32", "bf16", "fp16"
    batch: int  # rows
    length: int  # tokens of the longest row
    checkpointing: bool
    device: Device
    tokens_held: int = 0  # of all rows, kept as Python lists while the run goes
    characters_held: int = 0
    mixed: float = 1.0  # memory for activations over what one batch needs: MIXED where batches are of many widths


def estimate(facts: ModelFacts, shape: Shape) -> Memory:
    """The bytes at the peak of training.

    A frozen body lies in the precision of the computation, trained weights in 32 bits with two averages of AdamW beside them.
    Activations are largest when a backward pass begins and gradients when it ends, so of trained weights only the larger counts.
    """
    parameters = facts.parameters(shape.labels)
    narrow = 4 if shape.precision == "fp32" else 2
    activations = _activations(facts, shape)
    gradients = 4 * shape.trainable
    if not shape.freezes_body:
        activations += 0 if narrow == 4 else narrow * parameters  # autocast's copies of the weights
        gradients = max(0, gradients - activations)
    return Memory({
        "weights": parameters * (narrow if shape.freezes_body else 4),
        "trained copies": 4 * shape.trainable if shape.freezes_body else 0,
        "gradients": gradients,
        "optimiser": 8 * shape.trainable,
        "activations": activations,
        "data": TOKEN_BYTES * shape.tokens_held + 4 * shape.characters_held if shape.device == "cpu" else 0,
        "overhead": OVERHEAD[shape.device],
    })  # fmt: skip


def _activations(facts: ModelFacts, shape: Shape) -> int:
    """What a forward pass keeps for the backward pass."""
    put_out = sum(one.outputs for one in facts.linears) * PUT_OUT[shape.precision]
    if shape.freezes_body:
        taken_in = sum(one.inputs for one in shape.footprint.adapted) * TAKEN_IN_BESIDE_UPDATE[shape.precision]
    else:
        taken_in = sum(one.inputs for one in facts.linears) * TAKEN_IN_WHEN_TRAINED[shape.precision]
    tokens, of_block = shape.batch * shape.length, put_out + taken_in
    if not shape.checkpointing:
        return round(shape.mixed * tokens * facts.layers * of_block)
    inputs_kept = 4 * facts.hidden_size * facts.layers
    return round(shape.mixed * tokens * (min(RECOMPUTED_BLOCKS, facts.layers) * of_block + inputs_kept))
