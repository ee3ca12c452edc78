"""The numbers of models that read with an encoder and write with a decoder: T5, mT5 and umT5, to which BanglaT5 and FLAN-T5 belong. Pure.

An encoder block has self-attention and a feed-forward, a decoder block attention to the encoder's output besides. Methods, memory and
time reckon with `layers` groups of like matrices, so that blocks are grouped: 12 of either make 12 groups of one and one, ByT5's 12
and 4 make 4 groups of three and one.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from engine.shapes import Config, Linear, Role, Shape, whole

NO_LIMIT = 8192  # tokens: positions are relative, so that nothing but time and memory bounds a text; the most that can be asked for
TAUGHT = 512  # tokens that these models were pretrained on: what is longer is read, but nobody taught them how
_T5 = {"vocab_size": 32128, "d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_decoder_layers": None, "num_heads": 8,
       "relative_attention_num_buckets": 32, "feed_forward_proj": "relu", "tie_word_embeddings": True}  # fmt: skip
_MT5 = {**_T5, "vocab_size": 250112, "d_ff": 1024, "num_layers": 8, "num_heads": 6, "feed_forward_proj": "gated-gelu"}
DEFAULTS: dict[str, Config] = {"t5": _T5, "mt5": _MT5, "umt5": _MT5}
OVERFLOWS = tuple(DEFAULTS)  # whose numbers grow beyond what fp16 holds: losses become no numbers
PREFIXED = ("t5",)  # taught with the task's name before the text
TAKES = "decoder_input_ids"  # among the names that a tokenizer's model takes


def read(family: str, config: Config) -> Shape:
    """Norms scale and do not shift; no matrix has a bias; distances are told apart by a table a stack, umT5's by one a block."""
    vocab, hidden, head_dim, wide, encoder, heads, buckets = whole(
        config, "vocab_size", "d_model", "d_kv", "d_ff", "num_layers", "num_heads", "relative_attention_num_buckets"
    )
    decoder = encoder if config["num_decoder_layers"] is None else whole(config, "num_decoder_layers")[0]
    groups = max(1, math.gcd(encoder, decoder))
    inner, gated = heads * head_dim, str(config["feed_forward_proj"]).startswith("gated")
    own, across, feed_forward = _attention("SelfAttention", hidden, inner), _attention("EncDecAttention", hidden, inner), (
        *(Linear(f"DenseReluDense.{name}", hidden, wide, "mlp") for name in (("wi_0", "wi_1") if gated else ("wi",))),
        Linear("DenseReluDense.wo", wide, hidden, "mlp"),
    )  # fmt: skip
    encoder_block, decoder_block = (*own, *feed_forward), (*own, *across, *feed_forward)
    distances, tables = buckets * heads, 2 if family != "umt5" else encoder + decoder
    matrices = encoder * _count(encoder_block) + decoder * _count(decoder_block)
    norms = hidden * (2 * encoder + 3 * decoder + 2)
    return Shape(
        architecture=family, decoder=False, layers=groups, hidden_size=hidden, heads=heads, kv_heads=heads, head_dim=head_dim,
        intermediate_size=wide, vocab_size=vocab, max_tokens=NO_LIMIT,
        embedding_parameters=hidden * vocab, body_parameters=hidden * vocab + matrices + norms + tables * distances,
        head=(), head_fixed=0, head_per_label=0, linears=(*(encoder // groups * encoder_block), *(decoder // groups * decoder_block)),
        embedding_size=hidden, norm_parameters=norms,
        block_parameters=_count(decoder_block) + 3 * hidden + (distances if family == "umt5" else 0), final_norm_parameters=hidden,
        ties_embeddings=config["tie_word_embeddings"] is not False, decoder_layers=decoder,
    )  # fmt: skip


def _attention(place: str, hidden: int, inner: int) -> tuple[Linear, ...]:
    roles: tuple[tuple[str, Role], ...] = (("q", "query"), ("k", "key"), ("v", "value"))
    return (
        *(Linear(f"{place}.{name}", hidden, inner, role) for name, role in roles),
        Linear(f"{place}.o", inner, hidden, "attention_output"),
    )


def _count(linears: tuple[Linear, ...]) -> int:
    return sum(one.inputs * one.outputs for one in linears)


def settle(tokenizer: Any, folder: Path) -> None:
    """Has the tokenizer say that its model writes with a decoder of its own, where the folder's does; kept when the tokenizer is saved."""
    path = folder / "config.json"
    if path.is_file() and json.loads(path.read_text("utf-8")).get("model_type") in DEFAULTS and not stands_apart(tokenizer):
        tokenizer.model_input_names = [*tokenizer.model_input_names, TAKES]
        tokenizer.init_kwargs["model_input_names"] = tokenizer.model_input_names


def stands_apart(tokenizer: Any) -> bool:
    """Whether what its model reads and what it writes are two texts, each with an end of its own, and not one that goes on."""
    return TAKES in tokenizer.model_input_names
