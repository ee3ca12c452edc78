"""The numbers of a model as a family's reader gives them: what memory, time and every method are reckoned from. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Role = Literal["query", "key", "value", "attention_output", "mlp"]
Config = dict[str, Any]


@dataclass(frozen=True)
class Linear:
    """A matrix of one block. `name` is the end of its module path, as PEFT's target_modules want it."""

    name: str
    inputs: int
    outputs: int
    role: Role  # ModernBERT computes query, key and value in one matrix: its role is "query"


@dataclass(frozen=True)
class Shape:
    """What config.json says of a model that will carry a sequence-classification head."""

    architecture: str  # config.model_type
    decoder: bool
    layers: int
    hidden_size: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int
    max_tokens: int  # positions that a text can use, special tokens included
    embedding_parameters: int  # tables that are looked up, not multiplied: words, positions, segments
    body_parameters: int  # everything but the head
    head: tuple[str, ...]  # modules between the last block and the logits: they start untrained and are trained whole
    head_fixed: int  # parameters of the head whatever the number of labels
    head_per_label: int
    linears: tuple[Linear, ...]  # of one block
    embedding_size: int = 0  # width of the word embeddings; ELECTRA's and some DeBERTas' are narrower than the blocks
    norm_parameters: int = 0  # of every layer norm in the body
    block_parameters: int = 0  # of one block; ModernBERT's first has one norm less
    ties_embeddings: bool = True  # a decoder writes with the table that it reads with
    final_norm_parameters: int = 0  # of the norm between the last block and the head, where there is one
    bias_parameters: int = 0  # of the body: what is added and not multiplied, in matrices and norms
    # Blocks of a decoder that reads what an encoder beside it makes of the text, and writes; 0: the model is one stack. With one, `layers`
    # counts the groups of blocks that `linears` is of: as many encoder as decoder blocks, where both have equally many
    decoder_layers: int = 0


def whole(config: Config, *names: str) -> tuple[int, ...]:
    for name in names:
        if not isinstance(config[name], int) or isinstance(config[name], bool):
            raise ValueError(f"{name} is {config[name]!r}, not a whole number")
    return tuple(config[name] for name in names)


def affine(inputs: int, outputs: int, bias: bool = True) -> int:
    return inputs * outputs + (outputs if bias else 0)
