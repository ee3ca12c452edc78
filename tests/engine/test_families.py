"""The numbers read from config.json equal those of transformers' own models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.families import DEFAULTS, SUPPORTED, shape
from tests.tiny import ARCHITECTURES, CONFIGS

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((architecture, {}) for architecture in ARCHITECTURES),
    ("bert", {"type_vocab_size": 3, "intermediate_size": 48}),
    ("electra", {"embedding_size": 32}),
    ("xlm-roberta", {"pad_token_id": 1, "max_position_embeddings": 514}),
    ("deberta-v2", {"position_buckets": -1, "max_relative_positions": -1, "norm_rel_ebd": "none", "share_att_key": False}),
    ("deberta-v2", {"share_att_key": False, "pos_att_type": ["c2p"], "position_biased_input": True, "type_vocab_size": 2}),
    ("deberta-v2", {"relative_attention": False, "embedding_size": 16, "conv_kernel_size": 3}),
    ("modernbert", {"attention_bias": True, "mlp_bias": True, "norm_bias": True, "classifier_bias": True}),
    ("qwen3", {"attention_bias": True, "head_dim": 8}),
    ("llama", {"attention_bias": True, "mlp_bias": True, "num_key_value_heads": 4}),
    ("llama", {"head_dim": 16}),
    ("mistral", {"num_key_value_heads": 1, "head_dim": 12}),
    ("gemma3_text", {"attention_bias": True, "num_key_value_heads": 1}),
]
# What the Hub's config.json files say beyond the family's defaults, and the bodies that this makes.
CATALOGUE: dict[str, dict[str, Any]] = {
    "all-MiniLM-L6-v2": {"model_type": "bert", "hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1536},
    "distilbert/distilbert-base-uncased": {"model_type": "distilbert"},
    "google-bert/bert-base-multilingual-cased": {"model_type": "bert", "vocab_size": 119547},
    "FacebookAI/xlm-roberta-base": {
        "model_type": "xlm-roberta", "vocab_size": 250002, "max_position_embeddings": 514, "type_vocab_size": 1,
    },
    "sagorsarker/bangla-bert-base": {"model_type": "bert", "vocab_size": 102025},
    "csebuetnlp/banglabert": {
        "model_type": "electra", "vocab_size": 32000, "embedding_size": 768, "hidden_size": 768, "num_attention_heads": 12,
        "intermediate_size": 3072,
    },
    "microsoft/deberta-v3-small": {
        "model_type": "deberta-v2", "hidden_size": 768, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 3072,
        "relative_attention": True, "position_buckets": 256, "norm_rel_ebd": "layer_norm", "share_att_key": True,
        "pos_att_type": "p2c|c2p", "position_biased_input": False,
    },
    "Qwen/Qwen1.5-0.5B": {
        "model_type": "qwen2", "hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 24, "num_attention_heads": 16,
        "num_key_value_heads": 16,
    },
    "Qwen/Qwen1.5-1.8B": {
        "model_type": "qwen2", "hidden_size": 2048, "intermediate_size": 5504, "num_hidden_layers": 24, "num_attention_heads": 16,
        "num_key_value_heads": 16,
    },
    "Qwen/Qwen2.5-0.5B": {
        "model_type": "qwen2", "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14,
        "num_key_value_heads": 2,
    },
    "Qwen/Qwen3-0.6B": {
        "model_type": "qwen3", "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16,
        "num_key_value_heads": 8, "head_dim": 128,
    },
    "HuggingFaceTB/SmolLM2-135M": {
        "model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
        "num_attention_heads": 9, "num_key_value_heads": 3,
    },
    "HuggingFaceTB/SmolLM2-360M": {
        "model_type": "llama", "vocab_size": 49152, "hidden_size": 960, "intermediate_size": 2560, "num_hidden_layers": 32,
        "num_attention_heads": 15, "num_key_value_heads": 5,
    },
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0": {
        "model_type": "llama", "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 22, "num_attention_heads": 32,
        "num_key_value_heads": 4,
    },
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B": {
        "model_type": "qwen2", "hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28, "num_attention_heads": 12,
        "num_key_value_heads": 2,
    },
    "meta-llama/Llama-3.2-1B": {
        "model_type": "llama", "vocab_size": 128256, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16,
        "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64,
    },
    "google/gemma-3-270m": {
        "model_type": "gemma3_text", "vocab_size": 262144, "hidden_size": 640, "intermediate_size": 2048, "num_hidden_layers": 18,
        "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256,
    },
    "google-t5/t5-small": {"model_type": "t5"},
    "google/mt5-small": {"model_type": "mt5", "tie_word_embeddings": False},
    "csebuetnlp/banglat5": {
        "model_type": "t5", "d_model": 768, "num_layers": 12, "num_heads": 12, "feed_forward_proj": "gated-gelu",
        "tie_word_embeddings": False,
    },
}  # fmt: skip
# The same models, as packages bring them
CATALOGUE |= {
    "SmolLM2-135M-Instruct": CATALOGUE["HuggingFaceTB/SmolLM2-135M"],
    "gemma-3-270m": CATALOGUE["google/gemma-3-270m"],
}


def classifier(architecture: str, settings: dict[str, Any], labels: int) -> tuple[torch.nn.Module, dict[str, Any]]:
    """transformers' sequence-classification model without memory for its weights, and its config as JSON."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    config = AutoConfig.for_model(architecture, **settings)
    config.num_labels = labels
    with torch.device("meta"):
        return AutoModelForSequenceClassification.from_config(config), config.to_dict()


@pytest.mark.parametrize("labels", [2, 7])
@pytest.mark.parametrize(("architecture", "changes"), VARIANTS)
def test_parameter_counts_equal_the_counted_ones(architecture: str, changes: dict[str, Any], labels: int) -> None:
    settings = {**CONFIGS[architecture], "vocab_size": 300, "pad_token_id": 0, **changes}
    model, config = classifier(architecture, settings, labels)
    found = shape(config)
    total = sum(one.numel() for one in model.parameters())
    assert found.body_parameters + found.head_fixed + labels * found.head_per_label == total
    in_head = sum(one.numel() for name, one in model.named_parameters() if any(part in found.head for part in name.split(".")))
    assert found.head_fixed + labels * found.head_per_label == in_head
    tables = sum(
        module.weight.numel()
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Embedding) and not name.endswith("rel_embeddings")
    )
    assert found.embedding_parameters == tables
    body = {name: one for name, one in model.named_parameters() if not any(part in found.head for part in name.split("."))}
    assert found.bias_parameters == sum(one.numel() for name, one in body.items() if name.endswith(".bias"))
    last = [one.numel() for name, one in body.items() if f".{found.layers - 1}." in name]
    assert found.block_parameters == sum(last)
    assert found.final_norm_parameters == sum(
        one.numel() for name, one in body.items() if name.split(".")[-2] in ("norm", "final_norm") and name.count(".") == 2
    )


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_named_matrix_stands_once_in_every_block_with_its_sizes(architecture: str) -> None:
    model, config = classifier(architecture, {**CONFIGS[architecture], "vocab_size": 300, "pad_token_id": 0}, 2)
    found = shape(config)
    modules = dict(model.named_modules())
    for linear in found.linears:
        matching = [one for name, one in modules.items() if name.endswith(f".{linear.name}") and isinstance(one, torch.nn.Linear)]
        if linear.name == "output.dense":  # also the end of attention.output.dense, which is a target of its own
            matching = [one for name, one in modules.items() if name.endswith(".output.dense") and ".attention." not in name]
        assert len(matching) == found.layers
        assert {(one.in_features, one.out_features) for one in matching} == {(linear.inputs, linear.outputs)}
    inside = {name for name in modules if any(name.endswith(f".{linear.name}") for linear in found.linears)}
    in_blocks = {name for name, one in modules.items() if isinstance(one, torch.nn.Linear) and (".layer." in name or ".layers." in name)}
    assert inside == in_blocks, "every matrix of the blocks is named, and none outside them"
    assert {one.role for one in found.linears} >= {"query", "attention_output", "mlp"}


@pytest.mark.parametrize("architecture", ["bert", "distilbert", "roberta", "xlm-roberta", "electra"])
def test_a_text_may_be_exactly_as_long_as_the_model_has_positions(architecture: str) -> None:
    from transformers import AutoConfig, AutoModelForSequenceClassification

    padding = 1 if "roberta" in architecture else 0
    config = AutoConfig.for_model(architecture, **{**CONFIGS[architecture], "vocab_size": 300, "pad_token_id": padding})
    model = AutoModelForSequenceClassification.from_config(config).eval()
    longest = shape(config.to_dict()).max_tokens

    def run(length: int) -> None:
        ids = torch.full((1, length), 5)
        with torch.inference_mode():
            model(input_ids=ids, attention_mask=torch.ones_like(ids))

    run(longest)
    with pytest.raises((IndexError, RuntimeError, ValueError)):
        run(longest + 1)


@pytest.mark.parametrize("family", SUPPORTED)
def test_what_a_silent_config_means_is_what_transformers_assumes(family: str) -> None:
    from transformers import AutoConfig

    theirs = AutoConfig.for_model(family).to_dict()
    differing = {name: (value, theirs.get(name)) for name, value in DEFAULTS[family].items() if theirs.get(name) != value}
    # a family without the setting has it built in; a decoder that is not told has as many blocks as its encoder
    kept_out = {"attention_bias", "mlp_bias", "num_key_value_heads", "num_decoder_layers"}
    assert {name for name in differing if name not in kept_out} == set()
    for name in kept_out & set(differing):
        assert name not in theirs or theirs[name] is None or family == "llama" or theirs[name] == theirs.get("num_layers")


@pytest.fixture(scope="module")
def stated() -> dict[str, int]:
    """Parameters of every model of the catalogue, those of packages that are not installed included."""
    told = json.loads((Path(__file__).parents[2] / "presets" / "models.json").read_text("utf-8"))
    return {one["id"]: one["parameters"] for one in told}


@pytest.mark.parametrize("model_id", CATALOGUE)
def test_the_catalogue_states_the_size_that_the_config_makes(model_id: str, stated: dict[str, int]) -> None:
    assert stated[model_id] == shape(CATALOGUE[model_id]).body_parameters


def test_every_model_of_the_catalogue_has_its_size_checked(stated: dict[str, int]) -> None:
    assert set(stated) == set(CATALOGUE)


@pytest.mark.parametrize(
    "damage",
    [
        {"hidden_size": "wide"},
        {"num_hidden_layers": 0},
        {"num_attention_heads": 0},
        {"vocab_size": -3},
        {"hidden_size": 8.5},
        {"num_hidden_layers": True},
    ],
)
def test_numbers_that_make_no_model_are_refused(damage: dict[str, Any]) -> None:
    with pytest.raises((ValueError, ZeroDivisionError)):
        shape({"model_type": "bert", **damage})
