"""How many bytes a run needs at its peak, from the model's shape alone. Pure: no file, no torch.

Measured by tests/benchmarks/memory_and_speed.py (2 cores, AMD EPYC with avx512_bf16, torch 2.13, transformers 5.23; peak resident
memory of a process that has a worker's imports and takes 6 steps and an evaluation, random weights), in MB, beside `estimate`:

    model                   method                  in    rows x tokens  measured  estimated
    MiniLM, 22.7M           LoRA                    fp32     16 x 128      1814       1821
    MiniLM, 22.7M           LoRA                    bf16     16 x 128      1235       1174
    MiniLM, 22.7M           LoRA                    bf16     16 x 256      1786       1700
    MiniLM, 22.7M           LoRA, query and value   bf16     16 x 128       992        926
    MiniLM, 22.7M           LoRA, checkpointing     bf16     16 x 256      1188       1265
    MiniLM, 22.7M           full                    fp32     16 x 128      1337       1419
    MiniLM, 22.7M           full                    bf16     16 x 128      1227       1188
    MiniLM, 22.7M           full                    bf16     32 x 128      1518       1469
    MiniLM, 22.7M           full                    fp32      4 x 32        923        953
    BERT base, 109M         LoRA                    fp32      8 x 128      3439       3328
    BERT base, 109M         LoRA                    bf16      8 x 128      1918       1909
    BERT base, 109M         LoRA                    bf16     16 x 256      5133       5054
    BERT base, 109M         LoRA, checkpointing     bf16     16 x 256      2228       2165
    BERT base, 109M         full                    fp32      8 x 128      2872       3016
    BERT base, 109M         full                    bf16      8 x 128      2784       2683
    mBERT, 178M             full                    fp32      8 x 128      3952       3837
    SmolLM2, 135M           LoRA                    bf16      8 x 128      2819       2864
    SmolLM2, 135M           LoRA                    fp32      4 x 128      2952       3272
    SmolLM2, 135M           full                    fp32      4 x 128      3223       3241
    Qwen1.5, 464M           LoRA                    bf16      4 x 128      3226       3234
    MiniLM, 22.7M           QLoRA                   bf16     16 x 128      1177       1160
    MiniLM, 22.7M           top blocks              bf16     16 x 256       826        874
    MiniLM, 22.7M           head                    bf16     16 x 256       643        694
    MiniLM, 22.7M           adapters                bf16     16 x 256      1135       1214
    MiniLM, 22.7M           AdaLoRA                 bf16     16 x 128      1360       1343
    MiniLM, 22.7M           (IA)³                   bf16     16 x 256      1341       1479
    MiniLM, 22.7M           VeRA                    bf16     16 x 128      1177       1259
    MiniLM, 22.7M           prefix                  bf16     16 x 256      1070       1072
    MiniLM, 22.7M           prompt                  bf16     16 x 256      1092       1105
    MiniLM, 22.7M           p-tuning                bf16     16 x 256      1096       1107
    MiniLM, 22.7M           BitFit                  bf16     16 x 256       982       1071
    MiniLM, 22.7M           LN tuning               bf16     16 x 256      1006       1071
    BERT base, 109M         QLoRA                   bf16      8 x 128      1877       1788
    BERT base, 109M         BitFit                  bf16      8 x 128      1134       1253
    SmolLM2, 135M           QLoRA                   bf16      4 x 128      1730       1745
    SmolLM2, 135M           top blocks              bf16      8 x 128      1249       1271
    Qwen1.5, 464M           QLoRA                   bf16      2 x 128      2894       2782
    DeBERTa-v3-small, 141M  LoRA                    bf16      8 x 128      1837       1842
    DeBERTa-v3-small, 141M  LoRA                    bf16      4 x 256      1910       1916
    MiniLM, 22.7M           LoRA, DoRA              bf16     16 x 128      1585       1497
    MiniLM, 22.7M           LoRA, DoRA              bf16     16 x 256      2455       2346
    MiniLM, 22.7M           LoRA, DoRA              fp32     16 x 128      2363       2365
    BERT base, 109M         LoRA, DoRA              bf16      8 x 128      2542       2556
    MiniLM, 22.7M           LoRA, rank 256          bf16     16 x 256      1895       1966
    MiniLM, 22.7M           VeRA, rank 2048         bf16     16 x 128      2162       2124
    MiniLM, 22.7M           VeRA, rank 2048         bf16     16 x 256      3150       3074
    MiniLM, 22.7M           VeRA, rank 2048         fp32     16 x 128      2332       2544
    MiniLM, 22.7M           AdaLoRA                 bf16     16 x 256      2084       2032
    BERT base, 109M         AdaLoRA                 bf16      8 x 128      2175       2255
    MiniLM, 22.7M           QLoRA, DoRA             bf16     16 x 128      1620       1483
    MiniLM, 22.7M           LoRA, no dropout        bf16     16 x 256      1354       1326
    MiniLM, 22.7M           LoRA, no dropout        fp32     16 x 128      1513       1507

Encoder-decoders, half or an eighth of each row written, with milliseconds a row on one core in training (engine/speed.py):

    T5 small, 60.5M         LoRA                    fp32     16 x 128      3553       3463         314        361
    T5 small, 60.5M         LoRA                    bf16     16 x 256      3814       3589         436        442
    T5 small, 60.5M         LoRA, an eighth         bf16     16 x 256      2824       2997         374        389
    T5 small, 60.5M         LoRA, checkpointing     bf16     16 x 256      2464       2695         661        609
    T5 small, 60.5M         QLoRA                   bf16     16 x 256      3988       3545         457        458
    T5 small, 60.5M         full                    fp32      8 x 128      2157       2057         396        412
    mT5 small, 172M         LoRA                    bf16      4 x 128      2564       2268         645        598
    BanglaT5, 223M          LoRA                    bf16      8 x 128      3223       2930         761        724

49 of the 52 others come within a tenth, all within 12 %. The same case measured twice differs by up to 5 %, as the C library's heap
falls out.

Real runs need a little more for activations, since their batches are of some different widths: MiniLM, LoRA, bf16, 16 x 256, IMDb:
1971 MB after 60 steps and 2010 MB after all 282, with widths rounded up to multiples of 32 (tasks/classify.py); without, 2650 MB after
50 steps and 3600 after 282. `mixed` is that surplus.

On a GPU, by `python -m tests.benchmarks.gpu memory` (NVIDIA H200, torch 2.11 with CUDA 13.0; six steps and an evaluation; what torch
reserved at its peak and, 804 to 815 MB, what the GPU held beside it); these and 12 more come within 12 % (tests/benchmarks/memory.md):

    MiniLM, 22.7M           LoRA                    bf16     32 x 256       2211       2039
    MiniLM, 22.7M           LoRA                    fp32     32 x 256       3069       3030
    BERT base, 109M         full                    bf16     32 x 256       6018       6722
    SmolLM2, 135M           LoRA                    fp16     16 x 256       5569       5508
    SmolLM2, 135M           top blocks              bf16     16 x 256       1674       1472
    Gemma 3, 268M           full                    bf16      8 x 256       7223       6432
    Qwen1.5, 464M           LoRA, checkpointing     bf16      8 x 512       2851       2867
    Qwen1.5, 464M           LoRA, DoRA              bf16      8 x 512      12798      12740
    Qwen1.5, 1.5B           QLoRA                   bf16      4 x 512       8870       9267
    Qwen1.5, 1.5B           full                    bf16      4 x 512      30821      30218

Real runs there (SmolLM2, 16 x 256, IMDb): 5919 MB with QLoRA, 7634 full. Another card's context may be smaller; none was at hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.methods import Footprint
from engine.models import Linear, ModelFacts

Device = Literal["cpu", "cuda"]
MB = 10**6


@dataclass(frozen=True)
class Rates:
    """What a device keeps for the backward pass, in bytes; pairs are of 32 bits and of 16. Fitted to the tables."""

    put_out: tuple[float, float]  # of an element, a token and a block: of what every matrix puts out
    beside_update: tuple[float, float]  # of what one with an update beside it takes in: a dropped-out copy and its mask
    as_it_is: tuple[float, float]  # the same without dropout
    when_trained: tuple[float, float]  # of what a trained one takes in
    output_again: tuple[float, float]  # of what the matrix with an update puts out, each further time that it is held
    of_rank: tuple[float, float]  # of what stands between the two matrices of an update
    copied: float  # of each number of a shared pair that is copied, of the two that it has
    scores: float  # times its own, where attention is not fused: of a pair of tokens and a head
    distances: float  # the same of a token and each of 2 x 256 distances
    recomputed_blocks: float  # that lie in memory at once under checkpointing
    mixed: float  # memory for activations over what one batch needs, in real runs
    overhead: int  # a worker before its model; on a GPU a CUDA context with the code of all that was called
    gaps: float  # what lies unused between the pieces, as a share of all that is held


# On the CPU the rest of a copied number is the C library's heap, it seems. On the GPU what no case of the table holds is assumed: without
# dropout and between the matrices in proportion to the CPU's, a copied number 2 bytes.
RATES: dict[Device, Rates] = {
    "cpu": Rates(
        put_out=(11.0, 5.1), beside_update=(15.4, 7.2), as_it_is=(8.0, 2.8), when_trained=(2.1, 1.5), output_again=(6.4, 3.8),
        of_rank=(5.0, 3.0), copied=6.0, scores=3.9, distances=4.5, recomputed_blocks=3.3, mixed=1.2, overhead=590 * MB, gaps=0.0,
    ),
    "cuda": Rates(
        put_out=(6.6, 4.7), beside_update=(4.8, 1.6), as_it_is=(2.5, 0.6), when_trained=(1.5, 1.1), output_again=(3.0, 1.7),
        of_rank=(3.3, 2.0), copied=2.0, scores=2.9, distances=3.4, recomputed_blocks=1.7, mixed=1.15, overhead=810 * MB, gaps=0.08,
    ),
}  # fmt: skip
LOGIT = 12  # bytes of each: as it comes, in 32 bits, and the gradients of both
NOT_FUSED = ("deberta-v2",)  # of the kinds that Shur trains, the one whose attention transformers computes step by step
DISTANCES = 512
T5_BESIDE = 1.2
LOADING = 450 * MB  # a worker's imports while it opens the model, whose file lies in memory beside the weights made of it
OPTIMISER = {"adamw": 8.0, "adamw_8bit": 2.1, "paged_adamw_32bit": 8.0, "paged_adamw_8bit": 2.1}  # bytes a trained parameter
TOKEN_BYTES = 40  # a Python int and its place in a list


@dataclass(frozen=True)
class Memory:
    """Bytes at the peak of training, by part. On a GPU the parts are its memory, on a CPU the process's resident memory."""

    # "weights", "trained copies", "gradients", "optimiser", "activations", "data", "overhead" -> bytes; "loading": what opening the model
    # takes beyond all these
    parts: dict[str, int]

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
    optimizer: str = "adamw"  # paged ones may move theirs to the computer's memory; counted whole, since they need not
    logits: int = 0  # tokens of a row behind which the whole vocabulary is scored
    mixed: float = 1.0  # memory for activations over what one batch needs: that of RATES where batches are of many widths


def estimate(facts: ModelFacts, shape: Shape) -> Memory:
    """The bytes at the peak of training.

    A frozen body lies in the precision of the computation, trained weights in 32 bits with two averages of AdamW beside them.
    Activations are largest when a backward pass begins and gradients when it ends, so of trained weights only the larger counts.
    """
    rates = RATES[shape.device]
    kept = _activations(facts, shape) + LOGIT * shape.batch * shape.logits * facts.vocab_size
    activations = max(kept, _read_only(facts, shape))
    gradients = 4 * shape.trainable
    if not shape.freezes_body:
        activations += 0 if _narrow(shape) == 4 else _narrow(shape) * facts.parameters(shape.labels)  # autocast's copies of the weights
        gradients = max(0, gradients - activations)
    parts = {
        "weights": _weights(facts, shape),
        "trained copies": 4 * (shape.trainable - shape.footprint.own_parameters) if shape.freezes_body else 0,
        "gradients": gradients,
        "optimiser": round(OPTIMISER[shape.optimizer] * shape.trainable),
        "activations": activations,
        "data": TOKEN_BYTES * shape.tokens_held + 4 * shape.characters_held if shape.device == "cpu" else 0,
    }
    parts["overhead"] = rates.overhead + round(rates.gaps * sum(parts.values()))
    opening = LOADING + facts.weights_bytes + parts["weights"] if shape.device == "cpu" else 0
    return Memory({**parts, "loading": max(0, opening - sum(parts.values()))})


def _narrow(shape: Shape) -> int:
    return 4 if shape.precision == "fp32" else 2


def _width(shape: Shape) -> int:
    """Which of a pair of rates: that of 32 bits or that of 16."""
    return 0 if shape.precision == "fp32" else 1


def _weights(facts: ModelFacts, shape: Shape) -> int:
    """The model as it lies in memory: frozen weights in the computation's precision or in few bits, trained ones in 32 bits."""
    parameters, footprint = facts.parameters(shape.labels), shape.footprint
    if not shape.freezes_body:
        return 4 * parameters
    own = footprint.own_parameters
    told = _narrow(shape) * (parameters - own) + 4 * own + _shared(footprint)
    if footprint.bits is None:
        return told
    stored = [one for one in facts.linears if not _stays_whole(one, facts)]
    matrices = facts.layers * sum(one.inputs * one.outputs for one in stored)
    scales = facts.layers * sum(one.outputs for one in stored) * 4 if footprint.bits == 8 else matrices * scale_bytes(footprint)
    unpacked = _narrow(shape) * max(one.inputs * one.outputs for one in stored)  # one at a time, to compute with
    return round(told - _narrow(shape) * matrices + matrices * footprint.bits / 8 + scales + unpacked)


def _stays_whole(linear: Linear, facts: ModelFacts) -> bool:
    """Of a T5 transformers leaves the last matrix of a feed-forward as it is where the others lie in few bits."""
    return facts.encoder_decoder and linear.name.endswith(".wo")


def scale_bytes(footprint: Footprint) -> float:
    """Of the scales of NF4, a weight: one of 32 bits for 64 weights, or of 8 bits with one of 32 for 256 of those."""
    return 1 / 64 + 4 / (64 * 256) if footprint.double_quantised else 4 / 64


def _activations(facts: ModelFacts, shape: Shape) -> int:
    """What a forward pass keeps for the backward pass, in the blocks that gradients pass through."""
    footprint, rates, width = shape.footprint, RATES[shape.device], _width(shape)
    layers = facts.layers if footprint.blocks is None else footprint.blocks
    put_out = sum(one.outputs for one in facts.linears) * rates.put_out[width]
    kept_of_input = rates.beside_update if footprint.drops_inputs else rates.as_it_is
    taken_in = sum(one.inputs for one in footprint.adapted) * kept_of_input[width]
    if footprint.blocks or not shape.freezes_body:  # whole blocks are trained
        taken_in = sum(one.inputs for one in facts.linears) * rates.when_trained[width]
    length = shape.length + footprint.virtual_tokens
    of_token = put_out + taken_in + _of_updates(shape) + _scores(facts, shape, length + footprint.prefix_tokens)
    tokens, copies = shape.mixed * shape.batch * length * beside(facts), _copies(shape)
    if not shape.checkpointing:
        return round(layers * (tokens * of_token + copies))
    inputs_kept = 4 * facts.hidden_size * layers
    return round(min(rates.recomputed_blocks, layers) * (tokens * of_token + copies) + tokens * inputs_kept)


def through(facts: ModelFacts) -> float:
    """The share of a group's matrices that a token goes through, read and written ones alike.

    Of an encoder-decoder a token that is read goes through an encoder block and the keys and values of a decoder block, one that is
    written through the rest of that: with equally many blocks half of all, whatever part of a row is written.
    """
    return 0.5 if facts.encoder_decoder else 1.0


def beside(facts: ModelFacts) -> float:
    """`through`, and of a T5 a fifth more for what is no product: its norms are computed step by step, in 32 bits (seen, as above)."""
    return through(facts) * (T5_BESIDE if facts.encoder_decoder else 1.0)


def _of_updates(shape: Shape) -> float:
    """Bytes a token and block that the updates keep besides what they take in."""
    footprint, rates, width = shape.footprint, RATES[shape.device], _width(shape)
    again = footprint.outputs_again * sum(one.outputs for one in footprint.adapted) * rates.output_again[width]
    return again + len(footprint.adapted) * footprint.rank * rates.of_rank[width]


def _copies(shape: Shape) -> float:
    """Bytes a block of what its layers take of a shared pair of matrices, where those do not compute in the pair's 32 bits."""
    if not shape.footprint.shared or _narrow(shape) == 4:
        return 0
    return RATES[shape.device].copied * shape.footprint.rank * sum(one.inputs + one.outputs for one in shape.footprint.adapted)


def _shared(footprint: Footprint) -> int:
    """Bytes of that pair, which is as wide as the widest that it stands beside."""
    if not footprint.shared:
        return 0
    return 4 * footprint.rank * (max(one.inputs for one in footprint.adapted) + max(one.outputs for one in footprint.adapted))


def _read_only(facts: ModelFacts, shape: Shape) -> int:
    """What a forward pass without a backward pass needs at once: checks take twice the batch, and one block's outputs lie there."""
    put_out = sum(one.outputs for one in facts.linears) * _narrow(shape)
    length = shape.length + shape.footprint.virtual_tokens
    words = 2 * (_narrow(shape) + 8) * shape.batch * shape.logits * facts.vocab_size
    return round(2 * shape.batch * length * beside(facts) * (put_out + _scores(facts, shape, length))) + words


def _scores(facts: ModelFacts, shape: Shape, length: int) -> float:
    """Bytes a token and block where attention is not fused: each token keeps a score for every other and head, several times over."""
    if facts.architecture not in NOT_FUSED:
        return 0.0
    rates = RATES[shape.device]
    return _narrow(shape) * facts.heads * (rates.scores * length + rates.distances * DISTANCES)
