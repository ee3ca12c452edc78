"""What the methods that PEFT has share: knobs of one meaning, the head trained whole, PEFT's own save format, merging."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import Problem
from engine.knobs import knob
from engine.models import Linear, ModelFacts

if TYPE_CHECKING:
    import torch

ADAPTER = "default"  # PEFT's name for the only adapter of a model
ROLES = {"query_value": ("query", "value"), "attention": ("query", "key", "value", "attention_output")}


def where() -> Any:
    """The knob for which matrices get an update."""
    return knob(
        "all_linear",
        label="Where",
        choices={"query_value": "Query and value", "attention": "All attention", "all_linear": "All linear layers"},
        help="Which matrices get an update: query and value is the least, all linear layers the best quality.",
    )


@dataclass(frozen=True)
class LowRank:
    """Knobs of the methods that learn an update of low rank beside a matrix."""

    rank: int = knob(
        16,
        label="Rank",
        low=1,
        high=256,
        basic=True,
        help="Size of the update that is learnt. 4 to 8 suit sentiment and topics, 16 to 32 harder tasks. "
        "Higher learns more, needs more memory and overfits sooner.",
    )
    alpha: int | None = knob(
        None, label="Alpha", low=1, high=1024, help="How strongly the update counts: it is scaled by alpha / rank. Empty: twice the rank."
    )
    dropout: float = knob(
        0.05, label="LoRA dropout", low=0.0, high=0.9, help="Share of the update's inputs left out at random; 0.05 to 0.1 is usual."
    )
    targets: str = where()


@dataclass(frozen=True)
class VirtualTokens:
    """The knob of the methods that learn tokens which stand before every text."""

    virtual_tokens: int = knob(
        20,
        label="Virtual tokens",
        low=1,
        high=256,
        basic=True,
        help="How many learnt tokens stand before every text. More can say more, but take time and, of the tokens that the model reads "
        "at once, room from the text.",
    )


def targeted(targets: str, facts: ModelFacts) -> tuple[Linear, ...]:
    """The matrices of one block that these targets name."""
    roles = ROLES.get(targets)
    return tuple(linear for linear in facts.linears if roles is None or linear.role in roles)


def rank_problems(rank: int, targets: str, facts: ModelFacts, most: int | None = None) -> tuple[Problem, ...]:
    """A rank over the narrowest matrix's width learns no more than one equal to it. `most`: the highest rank that can be asked for."""
    widest = min(min(linear.inputs, linear.outputs) for linear in targeted(targets, facts))
    most = widest if most is None else most
    if rank <= most:
        return ()
    return (
        Problem(
            "settings.rank",
            f"Rank {rank} is more than this model's narrowest matrix, {widest} wide, can take.",
            f"Choose a rank of at most {most}; 8 to 32 is usual.",
        ),
    )


def wrapped(model: torch.nn.Module, config: Any, facts: ModelFacts) -> torch.nn.Module:
    """The model with PEFT's layers, its head trained whole where it has a new one. `config` is one of PEFT's."""
    from peft import get_peft_model

    config.task_type = _task_type(facts)
    config.modules_to_save = list(facts.head) or None
    config.base_model_name_or_path = facts.id
    config.revision = facts.revision
    model.name_or_path = facts.id  # type: ignore[assignment]  # else PEFT writes the local folder into the adapter
    return without_casts(get_peft_model(model, config))


def _task_type(facts: ModelFacts) -> str:
    if facts.head:
        return "SEQ_CLS"
    return "SEQ_2_SEQ_LM" if facts.encoder_decoder else "CAUSAL_LM" if facts.decoder else "FEATURE_EXTRACTION"


def save(model: torch.nn.Module, folder: Path) -> None:
    model.save_pretrained(folder, save_embedding_layers=False)  # type: ignore[operator]


def load(saved: Path, base: Path, open_model: Callable[[Path], torch.nn.Module]) -> torch.nn.Module:
    """The trained model. Beside a base in 16 bits, what was trained in 32 comes back in 32: PEFT would round the head and the norms."""
    from peft import PeftConfig, PeftModel

    model, told = open_model(base), PeftConfig.from_pretrained(str(saved))
    copied = [*(told.modules_to_save or ()), *(told.target_modules if told.peft_type == "LN_TUNING" else ())]
    for name, module in model.named_modules():
        if name.endswith(tuple(copied)):  # PEFT trains and loads a copy, made in the original's precision
            module.float()
    return without_casts(PeftModel.from_pretrained(model, str(saved)))


def merge(model: torch.nn.Module) -> torch.nn.Module:
    """The plain model with what was learnt added to its weights. `model` is used up.

    Layer by layer: merge_and_unload of PEFT 0.21 fails on a head of several matrices, or leaves its wrapper around it.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils import ModulesToSaveWrapper

    wrapper: Any = model
    plain: Any = wrapper.get_base_model()
    for name, module in list(plain.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            plain.set_submodule(name, module.get_base_layer())
        elif isinstance(module, ModulesToSaveWrapper):
            plain.set_submodule(name, module.modules_to_save[ADAPTER])
    if "peft_config" in vars(plain):
        del plain.peft_config
    made: torch.nn.Module = plain
    return made


def without_casts(model: torch.nn.Module) -> torch.nn.Module:
    """The model without PEFT's own copies of each layer's input in 32 bits: autocast, or one dtype throughout, makes them needless.

    MiniLM, bf16, batch 16 x 256 tokens: 8 % less memory and a tenth less processor time.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    for module in model.modules():
        if isinstance(module, BaseTunerLayer):
            module.cast_input_dtype_enabled = False  # type: ignore[assignment]
    return model


def modules_of(model: torch.nn.Module, linears: tuple[Linear, ...], facts: ModelFacts) -> list[str]:
    """The full names of these matrices in the model, one a block. An end alone can mean two: BERT's "output.dense" is also attention's."""
    wanted = {linear.name for linear in linears}
    found = []
    for name, _ in model.named_modules():
        ends = [linear.name for linear in facts.linears if re.search(rf"(^|\.){re.escape(linear.name)}$", name)]
        in_head = any(part in facts.head for part in name.split("."))
        if ends and max(ends, key=len) in wanted and not in_head:
            found.append(name)
    return found


def reads_last_token(model: torch.nn.Module) -> torch.nn.Module:
    """The PEFT model, its decoder's head reading each row's last token that is not padding. Encoders come back as they are.

    With learnt tokens before the text PEFT gives the decoder embeddings instead of token ids, in which transformers finds no
    padding: its head would read the last column of the batch, which is padding for all but the longest row.
    """
    from transformers.modeling_layers import GenericForSequenceClassification

    base = model.get_base_model()  # type: ignore[operator]
    if isinstance(base, GenericForSequenceClassification):
        base.base_model.register_forward_hook(_last_token, with_kwargs=True)  # type: ignore[attr-defined]
    return model


def _last_token(module: torch.nn.Module, args: Any, given: dict[str, Any], output: Any) -> Any:
    """Of what the last block puts out, (batch, tokens, width), each row's last token that is not padding: (batch, 1, width)."""
    import torch

    hidden, mask = output.last_hidden_state, given["attention_mask"]
    places = torch.arange(mask.shape[1], device=mask.device)
    last = (mask.long() * places).argmax(dim=-1)
    output.last_hidden_state = hidden[torch.arange(len(hidden), device=hidden.device), last].unsqueeze(1)
    return output
