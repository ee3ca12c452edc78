"""What the tasks share whose model writes: the language-modelling head, the rows and what of them is learnt, their loss.

A row is a list of token ids in which a token that is to be learnt stands as ~id, a negative number: prompt and padding teach nothing.
The logits are worked out only before such tokens: of a vocabulary of 150,000 a batch of 16 x 256 tokens would take 2.5 GB in 32 bits.

An encoder-decoder reads the tokens of a row that are not learnt, and its decoder writes the others, each behind those before it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import encoder_decoders
from engine.errors import Problem, Refused
from engine.models import ModelFacts
from engine.tasks import classify

if TYPE_CHECKING:
    import torch

Row = Sequence[int]


def facts(found: ModelFacts) -> ModelFacts:
    """The model with the head that it came with, which nothing is put in the place of."""
    own = 0 if found.ties_embeddings else found.vocab_size * found.hidden_size
    return replace(found, head=(), head_fixed=0, head_per_label=0, body_parameters=found.body_parameters + own)


def check(found: ModelFacts) -> tuple[Problem, ...]:
    """An encoder reads whole texts at once and cannot write."""
    if found.writes:
        return ()
    message = f"{found.id} reads texts but cannot write."
    return (Problem("model", message, "Choose a model that writes, such as SmolLM2 or Qwen, or the task Sort texts into classes."),)


def load_model(
    folder: Path, classes: Sequence[str], *, dtype: str = "float32", pad_token_id: int | None = None, quantisation: Any = None
) -> torch.nn.Module:
    """The model of a local folder that writes. Weights from safetensors only; no code of the folder is run.

    Raises Refused for a checkpoint of the body alone, whose head would be random numbers, or of an encoder alone.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    apart = json.loads((folder / "config.json").read_text("utf-8")).get("model_type") in encoder_decoders.DEFAULTS
    opened: Any = (AutoModelForSeq2SeqLM if apart else AutoModelForCausalLM).from_pretrained(
        folder,
        dtype=getattr(torch, dtype),
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
        output_loading_info=True,
        **({} if quantisation is None else {"quantization_config": quantisation, "device_map": {"": classify.device()}}),
        **classify.without_attention_dropout(folder),
    )
    model, told = opened
    if any("lm_head" in name for name in told["missing_keys"]) and not model.config.tie_word_embeddings:
        message = "This checkpoint came without the head that writes words."
        raise Refused(Problem("model", message, "Choose the model whose name ends in ForCausalLM, or another."))
    if apart and any(name.startswith("decoder.block") for name in told["missing_keys"]):
        message = "This checkpoint holds the encoder alone, which reads and cannot write."
        raise Refused(Problem("model", message, "Choose the model whose name ends in ForConditionalGeneration, or another."))
    if pad_token_id is not None:
        model.config.pad_token_id = pad_token_id
    model.config.use_cache = False
    return _without_dropout_in_attention(model) if apart else model


def _without_dropout_in_attention(model: torch.nn.Module) -> torch.nn.Module:
    """As classify's, of a T5, whose config has one rate for all of its dropouts; the others stay.

    t5-small, LoRA, 16 rows of 128 and 128 tokens in bf16: 3.81 GB instead of 4.52.
    """
    for module in model.modules():
        if type(module).__name__.endswith("Attention") and isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0  # type: ignore[assignment]
    return model


def collate(tokenizer: Any, rows: Sequence[Row], most: int | None = None) -> dict[str, torch.Tensor]:
    """As classify's, whether tokens are to be learnt or not."""
    return classify.collate(tokenizer, [plain(row) for row in rows], most)


def plain(row: Row) -> list[int]:
    """The row's token ids, without the mark of what is learnt."""
    return [~one if one < 0 else one for one in row]


def learnt(row: Row) -> list[int]:
    """Places of the tokens that are learnt. The first of a row follows nothing and cannot be."""
    return [at for at, one in enumerate(row) if one < 0 < at]


def counted(rows: Sequence[Row]) -> int:
    """Tokens that are learnt."""
    return sum(len(learnt(row)) for row in rows)


def surprises(model: torch.nn.Module, tokenizer: Any, rows: Sequence[Row], most: int | None = None) -> torch.Tensor:
    """Nats of each token that is learnt, (tokens,), row by row; with gradients where torch keeps them."""
    import torch

    device = next(model.parameters()).device
    targets = torch.tensor([~row[at] for row in rows for at in learnt(row)], dtype=torch.long, device=device)
    if is_apart(model):
        batch = read_and_written(tokenizer, rows, int(model.config.decoder_start_token_id), most)  # type: ignore[union-attr,arg-type]
        places = [(number, at) for number, row in enumerate(rows) for at in range(len(learnt(row)))]
    else:
        batch = collate(tokenizer, rows, most)
        places = [(number, at - 1) for number, row in enumerate(rows) for at in learnt(row)]
    logits = logits_at(model, {name: one.to(device) for name, one in batch.items()}, places)
    return torch.nn.functional.cross_entropy(logits.float(), targets, reduction="none")


def is_apart(model: Any) -> bool:
    """Whether an encoder reads and a decoder of its own writes."""
    return bool(getattr(model.config, "is_encoder_decoder", False))


def read_and_written(tokenizer: Any, rows: Sequence[Row], start: int, most: int | None = None) -> dict[str, torch.Tensor]:
    """What the encoder reads of the rows, padded as `collate` does, and (batch, width) `decoder_input_ids`: `start` and what is learnt.

    The last learnt token is not among them: nothing is told from it. Behind a shorter row stands padding, which no token before it sees.
    """
    import torch

    batch = classify.collate(tokenizer, [[one for one in row if one >= 0] for row in rows], most)
    before = [[start, *(~row[at] for at in learnt(row)[:-1])] for row in rows]
    width = max(map(len, before))
    width = width if most is None else max(width, min(most, classify.rounded(width)))
    batch["decoder_input_ids"] = torch.full((len(rows), width), tokenizer.pad_token_id, dtype=torch.long)
    for at, ids in enumerate(before):
        batch["decoder_input_ids"][at, : len(ids)] = torch.tensor(ids)
    return batch


def logits_at(model: Any, batch: dict[str, torch.Tensor], places: Sequence[tuple[int, int]]) -> torch.Tensor:
    """(places, vocabulary): what the model expects behind these (row, column) of the batch, and nothing else is worked out.

    Of an encoder-decoder the columns are the decoder's.

    Learnt tokens that a method puts before every row are passed over.
    """
    import torch

    base = model.get_base_model() if _is_wrapped(model) else model
    width = batch.get("decoder_input_ids", batch["input_ids"]).shape[1]
    rows, columns = (torch.tensor([place[side] for place in places], dtype=torch.long) for side in (0, 1))

    def choose(module: Any, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        hidden = given[0]
        before = hidden.shape[1] - width
        return (hidden[rows.to(hidden.device), columns.to(hidden.device) + before].unsqueeze(0), *given[1:])

    hook = base.get_output_embeddings().register_forward_pre_hook(choose)
    try:
        logits: torch.Tensor = model(**batch, use_cache=False).logits
    finally:
        hook.remove()
    return logits.squeeze(0)


def _is_wrapped(model: Any) -> bool:
    """Whether PEFT stands around it."""
    from peft import PeftModel

    return isinstance(model, PeftModel)
