"""How many bytes a run needs at its peak, from the model's shape alone. Pure: no file, no torch.

Measured here (2 cores, AMD EPYC with avx512_bf16, torch 2.13, transformers 5.23; peak resident memory of a process that took 3 to 6
steps and one evaluation, random weights, no dropout inside attention), in MB against what `estimate` says for the same:

    model                       method  precision  batch x length   measured  estimated
    MiniLM, 22.7M               LoRA    fp32       16 x 128             1818       1992
    MiniLM                      LoRA    bf16       16 x 128             1267       1343
    MiniLM                      LoRA    bf16       16 x 256             1895       2037
    MiniLM, query and value     LoRA    bf16       16 x 128              920        942
    MiniLM, checkpointing       LoRA    bf16       16 x 256             1186       1368
    MiniLM                      full    fp32       16 x 128             1332       1433
    MiniLM                      full    bf16       16 x 128             1194       1269
    MiniLM                      full    bf16       32 x 128             1444       1631
    MiniLM                      full    fp32        4 x  32              923        953
    BERT base, 109M             LoRA    fp32        8 x 128             3474       3677
    BERT base                   LoRA    bf16        8 x 128             1989       2250
    BERT base                   LoRA    bf16       16 x 256             5527       6416
    BERT base, checkpointing    LoRA    bf16       16 x 256             2541       2376
    BERT base                   full    fp32        8 x 128             2857       3045
    BERT base                   full    bf16        8 x 128             2748       2846
    mBERT, 178M                 full    fp32        8 x 128             3932       3866
    SmolLM2 135M                LoRA    bf16        8 x 128             3240       3471
    SmolLM2 135M                LoRA    fp32        4 x 128             2893       3577
    SmolLM2 135M                full    fp32        4 x 128             3248       3261
    Qwen1.5 0.5B                LoRA    bf16        4 x 128             3234       3538

Real runs of the worker come out higher than one batch shape again and again, because batches of many widths leave gaps between
blocks of memory: MiniLM, LoRA, bf16, 16 x 256 on IMDb took 2283 MB. MIXED is that surplus, so the table leans to the high side.
With dropout inside attention BERT base, LoRA, fp32, 8 x 128 took 3747 to 3881 MB. On a GPU nothing has been measured yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.models import Linear, ModelFacts

Device = Literal["cpu", "cuda"]
MB = 10**6

# Bytes that an element leaves behind, a token and a block, fitted to the table: of what every matrix of the block puts out, of
# what one with an update beside it takes in (a dropped-out copy in 32 bits, its mask, its 16-bit cast), of what a trained one takes in.
PUT_OUT = {"fp32": 8.0, "bf16": 4.0, "fp16": 4.0}
TAKEN_IN_BESIDE_UPDATE = {"fp32": 19.3, "bf16": 10.6, "fp16": 10.6}
TAKEN_IN_WHEN_TRAINED = {"fp32": 4.0, "bf16": 3.6, "fp16": 3.6}
MIXED = 1.12
RECOMPUTED_BLOCKS = 3.3  # that lie in memory at once under checkpointing
OVERHEAD = {"cpu": 590 * MB, "cuda": 700 * MB}  # Python, torch, transformers and peft 531, the worker 590; a CUDA context and its buffers
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
    adapted: tuple[Linear, ...]  # matrices of a block beside which something is learnt; empty unless the body is frozen
    precision: str  # "fp32", "bf16", "fp16"
    batch: int  # rows
    length: int  # tokens of the longest row
    checkpointing: bool
    device: Device
    tokens_held: int = 0  # of all rows, kept as Python lists while the run goes
    characters_held: int = 0


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
        taken_in = sum(one.inputs for one in shape.adapted) * TAKEN_IN_BESIDE_UPDATE[shape.precision]
    else:
        taken_in = sum(one.inputs for one in facts.linears) * TAKEN_IN_WHEN_TRAINED[shape.precision]
    tokens, of_block = shape.batch * shape.length, put_out + taken_in
    if not shape.checkpointing:
        return round(MIXED * tokens * facts.layers * of_block)
    inputs_kept = 4 * facts.hidden_size * facts.layers
    return round(tokens * (min(RECOMPUTED_BLOCKS, facts.layers) * of_block + inputs_kept))
