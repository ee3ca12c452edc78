"""How many seconds a run will take, by part: operations of the model over what the hardware does of them a second. Pure.

On a CPU a row costs its matrix products at the speed that the probe measured, and beside them everything that is no product (norms,
activations, dropout, casts, copies), which does not get faster in bf16. The constants were fitted to the processor time of 24
of the shapes that tests/benchmarks/memory_and_speed.py takes (2 cores, AMD EPYC with avx512_bf16, torch 2.13; plain products reach 100e9
operations a second and core in fp32, 475e9 in bf16) and come within 15 % of all in training. Two idle cores took 17.3 rows a second of
219 tokens (MiniLM, LoRA on all matrices, bf16, batches of 16); 18 are estimated.

On a GPU a batch costs the longer of two: its operations, and the starting of all its kernels, which is the work of the machine's processor
and takes the same for one row as for many. Models of up to 1.5 billion parameters waited only for the latter on an NVIDIA H200 (torch 2.11,
CUDA 13.0, 16 cores of an Intel Xeon). The steps of 22 shapes (tests/benchmarks/gpu.py) come within 36 %. Whole runs of SmolLM2-135M on IMDb
(282 batches of 16 rows, 9 checks) took 97 s with QLoRA and 63 s full, where 106 and 70 are estimated; within such a run a step took from
0.2 to 0.6 s. No other card was at hand: on a T4, and beside a slower processor, all this is assumed.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from engine.hardware import Hardware
from engine.memory import NOT_FUSED, beside, through
from engine.methods import Footprint
from engine.models import ModelFacts

TERA = 1e12
# Products a second that a GPU is built for, fp32 and 16 bits (dense, sums in 32 bits), from NVIDIA's data sheets. By no means
# all GPUs are here; the driver tells names such as "Tesla T4" and "NVIDIA A100-SXM4-40GB".
GPUS: dict[str, tuple[float, float]] = {
    "H100": (67, 990), "H200": (67, 990), "A100": (19.5, 312), "A10G": (31, 70), "L40S": (91, 362), "L4": (30, 121), "T4": (8.1, 65),
    "V100": (15.7, 125), "P100": (9.5, 19), "RTX 3060": (12.7, 51), "RTX 3090": (35.6, 71), "RTX 4090": (82.6, 165),
}  # fmt: skip
# Of it that fine-tuning reaches, fp32 and 16 bits: 0.6 by BERT base in fp32 on an H200; that of 16 bits is assumed, as nothing that was
# measured was bound by it.
GPU_SHARE = (0.6, 0.25)
# Seconds of the processor for starting the kernels of a batch, for each matrix of a block, forward and backward. Fitted as said above.
GPU_MATRIX = 0.65e-3
GPU_UPDATE = 0.28e-3  # of an update beside it
GPU_UNPACKED = 0.6e-3  # of one in few bits
GPU_OUTPUT_AGAIN = 0.5e-3  # each further time that its output is held (DoRA twice)
GPU_NOT_FUSED = 6e-3  # of a block whose attention is computed step by step
GPU_READ = 0.3  # of all these, without a backward pass
GPU_RECOMPUTED = 2.0  # under checkpointing
GPU_BATCH = 3e-3

# Seconds on a core that does 100e9 fp32 products a second, for each element, token and block.
CORE = 1e11
PUT_OUT = 9.5e-9  # of what the matrices put out
BESIDE_UPDATE = 6.1e-9  # of what those with an update beside them take in: dropout and two narrow products
OUTPUT_AGAIN = 6.5e-9  # of what those put out, each further time that it is held (DoRA twice)
TRAINED = 0.3e-9  # of what trained ones take in
EVALUATED = 1.7e-9  # of what the matrices put out, without a backward pass
EVALUATED_BESIDE_UPDATE = 1.0e-9
EVALUATED_OUTPUT_AGAIN = 1.0e-9
SCORED, SCORED_READ = 8e-9, 5e-9  # of each word of the vocabulary that is scored, besides its product: in training, and read only
OF_BLOCK = 0.008  # seconds that a batch and block cost whatever its size
RECOMPUTED = 1.35  # under checkpointing the forward pass is done twice
ELSEWHERE = 1.15  # collating, gradient norm, events, and the worker's low priority
UNPACKED = 1.6e-10  # of a weight in NF4: 1.4 to 1.8e-10 measured
UPDATED = 1e-9  # AdamW, a parameter and step

STARTING_SECONDS = 9.0  # imports 3 to 5, reading the data 1 to 2, opening the model 4
READING_BYTES = 5e8  # of weights a second, from a disk
TOKENS = 4e5  # that a tokenizer makes a second, as lists: 7,000 IMDb reviews in 4 to 5 s
BASELINE_CHARACTERS = 1e6  # TF-IDF and logistic regression a second: 8.5 million in 7.9 s
BASELINE_ROWS = 20_000  # it trains on at most these
WRITING_BYTES = 3e8  # of a checkpoint a second, hashed and flushed to the disk: 1.3 GB in 3 to 5 s
CHECKPOINT_SECONDS = 50.0  # between two, as in train.py
CHECKS_SAVED = 0.5  # of the checks, those that find the best weights so far, which are saved: 5 and 6 of 9 in the runs on a GPU

WRITTEN_AT_ONCE = 8  # rows, as accounting.py takes them
WRITTEN_PARAMETER = 7.2e-10  # processor seconds a parameter and new token of a batch, see `writing`
GPU_BLOCK_SECONDS = 4e-4
MOST_WRITING = {"cpu": 150.0, "cuda": 300.0}  # seconds for all answers of one model


@dataclass(frozen=True)
class Load:
    """What of a run takes time, besides the model."""

    train_rows: int  # read in all passes together
    batches: int  # of them
    steps: int
    checks: int
    checked_rows: int  # validation rows, times the checks
    test_rows: int
    all_rows: int  # that are tokenised
    tokens: float  # of a row after cutting, mean, padding included
    uncut_tokens: float  # of a row before, mean
    characters: float  # of a row, mean
    trainable: int  # parameters
    freezes_body: bool
    footprint: Footprint
    precision: str
    checkpointing: bool
    scored: float = 0.0  # tokens of a row, mean, behind which the whole vocabulary is scored; left out of a decoder's, as in its fit


def scoring_operations(facts: ModelFacts, load: Load) -> float:
    """Operations of one row's scored tokens, forward."""
    return 2 * load.scored * facts.hidden_size * facts.vocab_size


def forward_operations(facts: ModelFacts, tokens: float) -> float:
    """Operations of one row through all blocks: two a weight and token, and the two products of attention."""
    matrices = sum(one.inputs * one.outputs for one in facts.linears)
    attention = 2 * tokens * facts.heads * facts.head_dim
    return facts.layers * tokens * 2 * through(facts) * (matrices + attention)


def seconds(facts: ModelFacts, load: Load, hardware: Hardware) -> dict[str, float]:
    """Seconds by part; empty where there is no figure for the hardware.

    "loading", "tokenising", "frozen" (what is computed once before the first step, and not at all where an earlier run left it on the
    disk), "training", "validation", "test".
    Neither the time of a download nor what an early stop saves is in it.
    """
    rates = _on_gpu(facts, load, hardware) if hardware.gpus else _on_cpu(facts, load, hardware)
    if rates is None:
        return {}
    once_seconds, training_seconds, checked_row, tested_row = rates
    checkpoint = 12 * load.trainable / WRITING_BYTES
    return {
        "loading": STARTING_SECONDS + facts.weights_bytes / READING_BYTES,
        "tokenising": load.all_rows * load.uncut_tokens / TOKENS,
        "frozen": once_seconds,
        "training": training_seconds + max(1 + training_seconds / CHECKPOINT_SECONDS, CHECKS_SAVED * load.checks) * checkpoint,
        "validation": load.checked_rows * checked_row,
        "test": load.test_rows * tested_row + min(load.all_rows, BASELINE_ROWS) * load.characters / BASELINE_CHARACTERS,
    }


def _blocks(load: Load, facts: ModelFacts) -> tuple[int, float]:
    """Blocks that a gradient passes through, and blocks below them that every pass computes; cached ones are computed once."""
    top = facts.layers if load.footprint.blocks is None else load.footprint.blocks
    return top, 0 if load.footprint.caches else facts.layers - top


def _passes(load: Load) -> int:
    """Forward, the gradient of the activations (as much), that of the weights unless they are frozen (as much), a second forward."""
    trains_whole = not load.freezes_body or bool(load.footprint.blocks)
    return (3 if trains_whole else 2) + (1 if load.checkpointing else 0)


def _cached_rows(load: Load, facts: ModelFacts) -> float:
    """Passes of whole rows through all blocks that computing the frozen part once costs."""
    if not load.footprint.caches:
        return 0.0
    top, _ = _blocks(load, facts)
    return (load.all_rows - load.test_rows) * (facts.layers - top) / facts.layers


def _read(load: Load, facts: ModelFacts) -> float:
    """The share of a model that a check computes."""
    return _blocks(load, facts)[0] / facts.layers if load.footprint.caches else 1.0


def _on_cpu(facts: ModelFacts, load: Load, hardware: Hardware) -> tuple[float, float, float, float] | None:
    """Seconds of what is computed once, of all training, of one row that is checked (it too reads what was cached) and of one tested."""
    products = hardware.bf16_flops if load.precision == "bf16" else hardware.fp32_flops
    if products is None or hardware.fp32_flops is None:
        return None
    top, below = _blocks(load, facts)
    whole = not load.freezes_body or bool(load.footprint.blocks)
    block = forward_operations(facts, load.tokens + load.footprint.virtual_tokens) / products / facts.layers
    core = CORE / hardware.fp32_flops
    scoring, scored = scoring_operations(facts, load) / products, load.scored * facts.vocab_size * core
    elements = (load.tokens + load.footprint.virtual_tokens) * core * beside(facts)
    put_out = sum(one.outputs for one in facts.linears)
    taken_in = sum(one.inputs for one in (facts.linears if whole else load.footprint.adapted))
    besides = elements * (put_out * PUT_OUT + taken_in * (TRAINED if whole else BESIDE_UPDATE))
    again = load.footprint.outputs_again * sum(one.outputs for one in load.footprint.adapted)
    besides += elements * again * OUTPUT_AGAIN
    forward = block + elements * put_out * EVALUATED  # of one block, read only
    of_updates = sum(one.inputs for one in load.footprint.adapted) * EVALUATED_BESIDE_UPDATE + again * EVALUATED_OUTPUT_AGAIN
    evaluated = facts.layers * (forward + elements * of_updates) + scoring + SCORED_READ * scored
    row = top * (_passes(load) * block + besides * (RECOMPUTED if load.checkpointing else 1.0)) + below * forward
    row += (3 if whole else 2) * scoring + SCORED * scored
    batches = load.batches * max(1, top + below) * OF_BLOCK * core
    unpacked = _unpacked(facts, load) * load.batches * core
    updates = load.steps * load.trainable * UPDATED * core
    once = ELSEWHERE * _cached_rows(load, facts) * evaluated
    training = ELSEWHERE * (load.train_rows * row + batches + unpacked) + updates
    return once, training, evaluated * _read(load, facts), evaluated


def _unpacked(facts: ModelFacts, load: Load) -> float:
    """Seconds on that core that a batch spends on weights in few bits: each is unpacked forward and backward."""
    if load.footprint.bits is None:
        return 0.0
    return 2 * UNPACKED * facts.layers * sum(one.inputs * one.outputs for one in facts.linears)


def _on_gpu(facts: ModelFacts, load: Load, hardware: Hardware) -> tuple[float, float, float, float] | None:
    name = hardware.gpus[0].name.replace("GeForce ", "")
    known = next((GPUS[one] for one in sorted(GPUS, key=len, reverse=True) if re.search(rf"\b{re.escape(one)}\b", name)), None)
    if known is None:
        return None
    top, below = _blocks(load, facts)
    tokens, width = load.tokens + load.footprint.virtual_tokens, 0 if load.precision == "fp32" else 1
    forward = (forward_operations(facts, tokens) + scoring_operations(facts, load)) / (known[width] * TERA * GPU_SHARE[width])  # a row
    rows = load.train_rows / max(1, load.batches)  # of a batch
    computing = rows * (_passes(load) * top + below) / facts.layers * forward
    starting = _starting(facts, load)
    read_only = GPU_READ * starting
    trained = starting * (GPU_RECOMPUTED if load.checkpointing else 1.0)
    training = load.batches * max(computing, GPU_BATCH + top * trained + below * read_only)
    checked = max(forward, (GPU_BATCH + facts.layers * read_only) / max(1.0, 2 * rows))  # checks take twice the rows at once
    return _cached_rows(load, facts) * checked, training, checked * _read(load, facts), checked


def _starting(facts: ModelFacts, load: Load) -> float:
    """Seconds that the processor takes to start the kernels of a block, forward and backward."""
    footprint = load.footprint
    matrices = len(facts.linears) * (GPU_MATRIX + (GPU_UNPACKED if footprint.bits else 0.0))
    updates = len(footprint.adapted) * (GPU_UPDATE + footprint.outputs_again * GPU_OUTPUT_AGAIN)
    return matrices + updates + (GPU_NOT_FUSED if facts.architecture in NOT_FUSED else 0.0)


def writing(parameters: int, layers: int, rows: int, tokens: int, hardware: Hardware) -> float:
    """Seconds in which a model and then its untuned base answer so many test rows, each up to its budget.

    SmolLM2-135M in bf16, batches of 8, two cores: 0.097 processor seconds for each new token of a batch, 0.148 in fp32. On a GPU what a
    small model takes is the starting of its kernels; that figure is assumed.
    """
    steps = math.ceil(rows / WRITTEN_AT_ONCE) * tokens
    each = layers * GPU_BLOCK_SECONDS if hardware.gpus else parameters * WRITTEN_PARAMETER / max(1, hardware.cores)
    return 2 * min(steps * each, MOST_WRITING["cuda" if hardware.gpus else "cpu"])
