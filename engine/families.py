"""The numbers of a model from its config.json alone: layers, widths, matrices, parameters. Pure, no torch.

Supported are the families whose counts a test holds against transformers' own models. A family differs from its kin in
a few terms; those terms stand here, each named after the module that it counts.
"""

from __future__ import annotations

from collections.abc import Callable

from engine import encoder_decoders
from engine.shapes import Config, Linear, Role, Shape, affine, whole

__all__ = ["CLASS_PREFIX", "DEFAULTS", "SUPPORTED", "Linear", "shape"]

# What transformers assumes where config.json is silent; a test compares them with its configuration classes.
_BERT = {"vocab_size": 30522, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072,
         "max_position_embeddings": 512, "type_vocab_size": 2}  # fmt: skip
_DECODER = {"vocab_size": 151936, "hidden_size": 4096, "intermediate_size": 22016, "num_hidden_layers": 32, "num_attention_heads": 32,
            "num_key_value_heads": 32, "max_position_embeddings": 32768, "attention_bias": False, "mlp_bias": False,
            "tie_word_embeddings": False}  # fmt: skip
DEFAULTS: dict[str, Config] = {
    "bert": _BERT,
    "distilbert": {"vocab_size": 30522, "dim": 768, "n_layers": 6, "n_heads": 12, "hidden_dim": 3072, "max_position_embeddings": 512},
    "roberta": {**_BERT, "vocab_size": 50265, "pad_token_id": 1},
    "xlm-roberta": {**_BERT, "pad_token_id": 1},
    "electra": {**_BERT, "embedding_size": 128, "hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 1024},
    "deberta-v2": {**_BERT, "vocab_size": 128100, "hidden_size": 1536, "num_hidden_layers": 24, "num_attention_heads": 24,
                   "intermediate_size": 6144, "type_vocab_size": 0, "relative_attention": False, "max_relative_positions": -1,
                   "position_biased_input": True, "pos_att_type": None},
    "modernbert": {"vocab_size": 50368, "hidden_size": 768, "num_hidden_layers": 22, "num_attention_heads": 12, "intermediate_size": 1152,
                   "max_position_embeddings": 8192, "attention_bias": False, "mlp_bias": False, "norm_bias": False,
                   "classifier_bias": False},
    "qwen2": _DECODER,
    "qwen3": {**_DECODER, "head_dim": 128},
    "llama": {**_DECODER, "vocab_size": 32000, "intermediate_size": 11008, "num_key_value_heads": None, "max_position_embeddings": 2048},
    "mistral": {**_DECODER, "vocab_size": 32000, "intermediate_size": 14336, "num_key_value_heads": 8, "max_position_embeddings": 131072},
    "gemma3_text": {**_DECODER, "vocab_size": 262208, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
                    "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "max_position_embeddings": 131072,
                    "tie_word_embeddings": True},
    **encoder_decoders.DEFAULTS,
}  # fmt: skip
SUPPORTED = tuple(DEFAULTS)
CLASS_PREFIX = {
    "bert": "Bert", "distilbert": "DistilBert", "roberta": "Roberta", "xlm-roberta": "XLMRoberta", "electra": "Electra",
    "deberta-v2": "DebertaV2", "modernbert": "ModernBert", "qwen2": "Qwen2", "qwen3": "Qwen3", "llama": "Llama", "mistral": "Mistral",
    "gemma3_text": "Gemma3", "t5": "T5", "mt5": "MT5", "umt5": "UMT5",
}  # fmt: skip


def shape(config: Config) -> Shape:
    """The numbers of a supported model. Raises KeyError for another family, ValueError for numbers that make no model."""
    family = str(config.get("model_type"))
    settled = {**DEFAULTS[family], **config}
    found = _READERS[family](family, settled)
    counts = (found.layers, found.hidden_size, found.heads, found.kv_heads, found.head_dim, found.intermediate_size, found.vocab_size)
    if min(counts) < 1 or found.max_tokens < 1:
        raise ValueError(f"config.json describes no model: {counts}")
    return found


def _bert_kin(family: str, config: Config) -> Shape:
    """BERT, RoBERTa, XLM-R, ELECTRA and DeBERTa-v2/v3: post-norm encoders with biases everywhere."""
    layers, hidden, heads, wide, vocab, positions, segments = whole(
        config,
        "num_hidden_layers",
        "hidden_size",
        "num_attention_heads",
        "intermediate_size",
        "vocab_size",
        "max_position_embeddings",
        "type_vocab_size",
    )
    narrow = int(config.get("embedding_size", hidden))  # ELECTRA and some DeBERTas embed in fewer dimensions
    head_dim = hidden // heads
    attention, suffix = hidden, ""
    tables, projection, norm_width, extra, more_norms = narrow * (vocab + positions + segments), 0, narrow, 0, 0
    if family == "deberta-v2":
        head_dim = int(config.get("attention_head_size", head_dim))
        attention, suffix, norm_width = heads * head_dim, "_proj", hidden
        tables -= 0 if config["position_biased_input"] else narrow * positions
        projection = 0 if narrow == hidden else affine(narrow, hidden, bias=False)
        extra = _deberta_extra(config, layers, hidden, attention, positions)
        more_norms = 2 * hidden * (_norms_positions(config) + (int(config.get("conv_kernel_size", 0)) > 0))
    elif family == "electra":
        projection = 0 if narrow == hidden else affine(narrow, hidden)
    linears = (
        Linear(f"query{suffix}", hidden, attention, "query"),
        Linear(f"key{suffix}", hidden, attention, "key"),
        Linear(f"value{suffix}", hidden, attention, "value"),
        Linear("attention.output.dense", attention, hidden, "attention_output"),
        Linear("intermediate.dense", hidden, wide, "mlp"),
        Linear("output.dense", wide, hidden, "mlp"),
    )
    block = sum(affine(one.inputs, one.outputs) for one in linears) + 4 * hidden  # and two norms of weight and bias
    block_biases = sum(one.outputs for one in linears) + 2 * hidden
    more_biases = hidden if family == "electra" and narrow != hidden else 0
    of_positions = 0  # projections of DeBERTa's relative positions, in every block
    if family == "deberta-v2":
        of_positions = _position_projections(config)
        more_biases = hidden * (_norms_positions(config) + 2 * (int(config.get("conv_kernel_size", 0)) > 0))
        block_biases += of_positions * attention
    pools = family in ("bert", "deberta-v2")  # a module of its own; the others have it inside the classifier
    pooler = int(config.get("pooler_hidden_size", hidden)) if family == "deberta-v2" else hidden
    padding = int(config.get("pad_token_id") or 0) + 1 if family in ("roberta", "xlm-roberta") else 0  # positions start after it
    return Shape(
        architecture=family, decoder=False, layers=layers, hidden_size=hidden, heads=heads, kv_heads=heads, head_dim=head_dim,
        intermediate_size=wide, vocab_size=vocab, max_tokens=positions - padding,
        embedding_parameters=tables, body_parameters=tables + projection + 2 * norm_width + layers * block + extra,
        head=("pooler", "classifier") if pools else ("classifier",), head_fixed=affine(pooler, pooler), head_per_label=hidden + 1,
        linears=linears, embedding_size=narrow, norm_parameters=2 * norm_width + layers * 4 * hidden + more_norms,
        block_parameters=block + of_positions * affine(hidden, attention),
        bias_parameters=norm_width + layers * block_biases + more_biases,
    )  # fmt: skip


def _deberta_extra(config: Config, layers: int, hidden: int, attention: int, positions: int) -> int:
    """Parameters of DeBERTa's relative positions and its optional convolution."""
    extra = layers * _position_projections(config) * affine(hidden, attention)
    if config["relative_attention"]:
        span = int(config["max_relative_positions"])
        buckets = int(config.get("position_buckets", -1))
        extra += hidden * 2 * (buckets if buckets > 0 else span if span >= 1 else positions)
    if _norms_positions(config):
        extra += 2 * hidden
    kernel = int(config.get("conv_kernel_size", 0))
    if kernel > 0:
        extra += hidden * hidden // int(config.get("conv_groups", 1)) * kernel + hidden + 2 * hidden
    return extra


def _position_projections(config: Config) -> int:
    """Matrices of their own that every block of a DeBERTa has for relative positions."""
    if not config["relative_attention"] or config.get("share_att_key", False):
        return 0
    kinds = config["pos_att_type"] or ()
    kinds = kinds.lower().split("|") if isinstance(kinds, str) else kinds
    return ("c2p" in kinds) + ("p2c" in kinds)


def _norms_positions(config: Config) -> bool:
    return "layer_norm" in str(config.get("norm_rel_ebd", "none")).lower()


def _distilbert(family: str, config: Config) -> Shape:
    layers, hidden, heads, wide, vocab, positions = whole(
        config, "n_layers", "dim", "n_heads", "hidden_dim", "vocab_size", "max_position_embeddings"
    )
    linears = (
        Linear("q_lin", hidden, hidden, "query"),
        Linear("k_lin", hidden, hidden, "key"),
        Linear("v_lin", hidden, hidden, "value"),
        Linear("out_lin", hidden, hidden, "attention_output"),
        Linear("lin1", hidden, wide, "mlp"),
        Linear("lin2", wide, hidden, "mlp"),
    )
    tables = hidden * (vocab + positions)
    block = sum(affine(one.inputs, one.outputs) for one in linears) + 4 * hidden
    return Shape(
        architecture=family, decoder=False, layers=layers, hidden_size=hidden, heads=heads, kv_heads=heads, head_dim=hidden // heads,
        intermediate_size=wide, vocab_size=vocab, max_tokens=positions,
        embedding_parameters=tables, body_parameters=tables + 2 * hidden + layers * block,
        head=("pre_classifier", "classifier"), head_fixed=affine(hidden, hidden), head_per_label=hidden + 1, linears=linears,
        embedding_size=hidden, norm_parameters=2 * hidden + layers * 4 * hidden, block_parameters=block,
        bias_parameters=hidden + layers * (sum(one.outputs for one in linears) + 2 * hidden),
    )  # fmt: skip


def _modernbert(family: str, config: Config) -> Shape:
    """Pre-norm encoder: query, key and value in one matrix, a gated MLP whose two halves are one matrix, rotary positions."""
    layers, hidden, heads, wide, vocab, positions = whole(
        config, "num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size", "vocab_size", "max_position_embeddings"
    )
    linears = (
        Linear("attn.Wqkv", hidden, 3 * hidden, "query"),
        Linear("attn.Wo", hidden, hidden, "attention_output"),
        Linear("mlp.Wi", hidden, 2 * wide, "mlp"),
        Linear("mlp.Wo", wide, hidden, "mlp"),
    )
    norm = hidden * (2 if config["norm_bias"] else 1)
    block = sum(affine(one.inputs, one.outputs, config["mlp_bias" if one.role == "mlp" else "attention_bias"]) for one in linears)
    biases = layers * sum(one.outputs for one in linears if config["mlp_bias" if one.role == "mlp" else "attention_bias"])
    norms = 2 + 2 * layers - 1  # after the embeddings, at the end, two a block; the first block has no first norm
    return Shape(
        architecture=family, decoder=False, layers=layers, hidden_size=hidden, heads=heads, kv_heads=heads, head_dim=hidden // heads,
        intermediate_size=wide, vocab_size=vocab, max_tokens=positions,
        embedding_parameters=hidden * vocab, body_parameters=hidden * vocab + layers * block + norms * norm,
        head=("head", "classifier"), head_fixed=affine(hidden, hidden, config["classifier_bias"]) + norm, head_per_label=hidden + 1,
        linears=linears, embedding_size=hidden, norm_parameters=norms * norm, block_parameters=block + 2 * norm,
        final_norm_parameters=norm, bias_parameters=biases + norms * (norm - hidden),
    )  # fmt: skip


def _decoder(family: str, config: Config) -> Shape:
    """Qwen 2 and 3, Llama, Mistral and Gemma 3: grouped-query attention, gated MLP, RMS norms, rotary positions."""
    layers, hidden, heads, wide, vocab, positions = whole(
        config, "num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size", "vocab_size", "max_position_embeddings"
    )
    kv_heads = int(config["num_key_value_heads"] or heads)
    head_dim = int(config.get("head_dim") or hidden // heads)
    queries, keys = heads * head_dim, kv_heads * head_dim
    linears = (
        Linear("q_proj", hidden, queries, "query"),
        Linear("k_proj", hidden, keys, "key"),
        Linear("v_proj", hidden, keys, "value"),
        Linear("o_proj", queries, hidden, "attention_output"),
        Linear("gate_proj", hidden, wide, "mlp"),
        Linear("up_proj", hidden, wide, "mlp"),
        Linear("down_proj", wide, hidden, "mlp"),
    )
    biased: dict[Role, bool] = dict.fromkeys(("query", "key", "value", "attention_output"), bool(config["attention_bias"]))
    biased["mlp"] = bool(config["mlp_bias"]) and family == "llama"
    if family == "qwen2":
        biased |= {"query": True, "key": True, "value": True, "attention_output": False}
    elif family == "mistral":
        biased = dict.fromkeys(biased, False)
    head_norms = 2 * head_dim if family in ("qwen3", "gemma3_text") else 0  # of the queries and of the keys
    norms = (4 if family == "gemma3_text" else 2) * hidden
    block = sum(affine(one.inputs, one.outputs, biased[one.role]) for one in linears) + norms + head_norms
    return Shape(
        architecture=family, decoder=True, layers=layers, hidden_size=hidden, heads=heads, kv_heads=kv_heads, head_dim=head_dim,
        intermediate_size=wide, vocab_size=vocab, max_tokens=positions,
        embedding_parameters=hidden * vocab, body_parameters=hidden * vocab + layers * block + hidden,
        head=("score",), head_fixed=0, head_per_label=hidden, linears=linears,
        embedding_size=hidden, norm_parameters=layers * (norms + head_norms) + hidden,
        block_parameters=block, final_norm_parameters=hidden, ties_embeddings=bool(config["tie_word_embeddings"]),
        bias_parameters=layers * sum(one.outputs for one in linears if biased[one.role]),
    )  # fmt: skip


_READERS: dict[str, Callable[[str, Config], Shape]] = {
    "bert": _bert_kin,
    "distilbert": _distilbert,
    "roberta": _bert_kin,
    "xlm-roberta": _bert_kin,
    "electra": _bert_kin,
    "deberta-v2": _bert_kin,
    "modernbert": _modernbert,
    "qwen2": _decoder,
    "qwen3": _decoder,
    "llama": _decoder,
    "mistral": _decoder,
    "gemma3_text": _decoder,
    **dict.fromkeys(encoder_decoders.DEFAULTS, encoder_decoders.read),
}
