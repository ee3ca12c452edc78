"""QLoRA: LoRA beside weights that are stored in 4 bits (NF4) or 8, and computed in the run's precision.

NF4 has a level for each of 16 equal shares of a normal distribution, and one scale for every 64 weights; double quantisation stores
those scales in 8 bits as well. Embeddings, norms and the head stay as they are. In 8 bits (Dettmers et al. 2022, LLM.int8(),
https://arxiv.org/abs/2208.07339) each output has one scale and inputs that stand out are computed apart. LoftQ (Li et al. 2023,
https://arxiv.org/abs/2310.08659): the update begins as the best low-rank picture of what 4 bits lost.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engine.errors import Problem, Refused
from engine.hardware import Hardware
from engine.knobs import knob
from engine.methods import Footprint, Method, _peft, lora
from engine.models import ModelFacts

if TYPE_CHECKING:
    import torch

INT8_CAPABILITY = 7.5  # GPUs before it have no 8-bit matrix products


@dataclass(frozen=True)
class QloraKnobs(lora.LoraKnobs):
    bits: str = knob(
        "4",
        label="Bits of a weight",
        choices={"4": "4 (NF4)", "8": "8"},
        help="In how many bits the frozen weights are stored: 4 needs the least memory, 8 loses less.",
    )
    double_quantised: bool = knob(
        True, label="Double quantisation", help="Stores the scales of the 4-bit weights in 8 bits too: 0.37 bits a weight less."
    )


def check(knobs: QloraKnobs, facts: ModelFacts, hardware: Hardware) -> tuple[Problem, ...]:
    problems = _peft.rank_problems(knobs.rank, knobs.targets, facts)
    if importlib.util.find_spec("bitsandbytes") is None:
        problems += (
            Problem("method", "QLoRA needs the package bitsandbytes.", "Run: pip install bitsandbytes, or choose the method LoRA."),
        )
    if knobs.init == "pissa":
        message = "PiSSA takes its beginning out of the frozen weights, which are stored in few bits here."
        problems += (Problem("settings.init", message, "Begin with LoftQ or no change, or choose the method LoRA."),)
    if knobs.bits == "8":
        problems += tuple(_of_8_bits(knobs, hardware))
    if knobs.dora and knobs.init == "loftq":
        message = "DoRA measures its lengths before LoftQ begins, so the two cannot be combined."
        problems += (Problem("settings.init", message, "Turn off DoRA, or begin with no change."),)
    return problems


def _of_8_bits(knobs: QloraKnobs, hardware: Hardware) -> list[Problem]:
    problems = []
    if knobs.init == "loftq":
        problems.append(Problem("settings.init", "LoftQ is made for 4 bits.", "Set bits to 4, or begin with no change."))
    if knobs.dora:
        message = "DoRA does not train beside 8-bit weights: the library loses their scales."
        problems.append(Problem("settings.dora", message, "Turn off DoRA, or set bits to 4."))
    if hardware.gpus and 0 < hardware.gpus[0].capability < INT8_CAPABILITY:
        message = f"{hardware.gpus[0].name} has no 8-bit matrix products."
        problems.append(Problem("settings.bits", message, "Set bits to 4, or choose the method LoRA."))
    return problems


def footprint(knobs: QloraKnobs, facts: ModelFacts) -> Footprint:
    bits: Literal[4, 8] = 4 if knobs.bits == "4" else 8
    double = knobs.double_quantised and bits == 4
    return replace(lora.footprint(knobs, facts), bits=bits, double_quantised=double)


def quantisation(knobs: QloraKnobs, facts: ModelFacts, precision: str) -> Any:
    """What transformers needs to load the blocks' matrices in few bits. The head is trained, so it is left out."""
    import torch
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=knobs.bits == "4",
        load_in_8bit=knobs.bits == "8",
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=knobs.double_quantised,
        bnb_4bit_compute_dtype={"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32),
        # BERT's pooler lies deeper. None: transformers leaves out the head that writes, and the embeddings that it may share.
        llm_int8_skip_modules=[name for head in facts.head for name in (head, rf".*\.{head}")] or None,
    )


def prepare(model: torch.nn.Module, knobs: QloraKnobs, facts: ModelFacts) -> torch.nn.Module:
    folder = Path(str(model.name_or_path))
    made = _peft.wrapped(_unpacked(model), lora.config(knobs, facts), facts)
    if knobs.init == "loftq":
        _begin_with_loss(made, folder)
    return made


def load(saved: Path, base: Path, open_model: Callable[[Path], torch.nn.Module]) -> torch.nn.Module:
    return _peft.load(saved, base, lambda folder: _unpacked(open_model(folder)))


def merge(model: torch.nn.Module) -> torch.nn.Module:
    """A plain model, its weights no longer in few bits: merged into those, the update would be rounded away. `model` is used up."""
    from peft import get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

    trained: Any = model
    config = trained.peft_config[_peft.ADAPTER]
    learnt = get_peft_model_state_dict(trained, save_embedding_layers=False)
    plain = trained.unload()
    plain = plain.dequantize(dtype=plain.config.dtype)
    plain.name_or_path = config.base_model_name_or_path  # else PEFT writes the local folder into the configuration
    again = get_peft_model(plain, config)
    set_peft_model_state_dict(again, learnt)
    again.eval()
    return _peft.merge(again)


def _unpacked(model: torch.nn.Module) -> torch.nn.Module:
    """The model with 4-bit weights that stay as they are on a CPU.

    With avx512_bf16, bitsandbytes 0.50.2 packs them anew at the first evaluation, in place; training after it goes wrong.
    """
    from bitsandbytes.nn import Linear4bit

    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False
    return model


def _begin_with_loss(model: torch.nn.Module, folder: Path) -> None:
    """LoftQ's beginning, one pass: scaling · B · A is the best picture of W - NF4(W) of this rank, from W as it lies in the folder.

    PEFT's own function asks for a GPU and leaves the scaling out.
    """
    import torch
    from bitsandbytes.functional import dequantize_4bit
    from peft.tuners.lora.bnb import Linear4bit

    where = _tensors(folder)
    for name, module in model.named_modules():
        if not isinstance(module, Linear4bit):
            continue
        stored: Any = module.get_base_layer().weight
        original = _tensor(where, name.removeprefix("base_model.model.") + ".weight").to(stored.device, torch.float32)
        lost = original - dequantize_4bit(stored.data, stored.quant_state).float()
        left, strength, right = torch.linalg.svd(lost, full_matrices=False)
        rank, scaling = module.r[_peft.ADAPTER], module.scaling[_peft.ADAPTER]
        root = (strength[:rank] / scaling).sqrt()
        # else they lie column by column, and CUDA's fused AdamW wants weights laid out as their averages are
        module.lora_A[_peft.ADAPTER].weight.data = (root[:, None] * right[:rank]).contiguous()
        module.lora_B[_peft.ADAPTER].weight.data = (left[:, :rank] * root).contiguous()


def _tensors(folder: Path) -> dict[str, Path]:
    """Where each tensor of a folder lies."""
    from safetensors import safe_open

    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            found |= dict.fromkeys(file.keys(), path)
    return found


def _tensor(where: dict[str, Path], name: str) -> torch.Tensor:
    """The tensor of this name; a checkpoint of the bare body names it without what the head's class puts before."""
    from safetensors import safe_open

    key = next((key for key in (name, name.partition(".")[2]) if key in where), None)
    if key is None:
        message = f"The model's files hold no {name}, which LoftQ needs."
        raise Refused(Problem("settings.init", message, "Begin with no change instead."))
    with safe_open(where[key], framework="pt") as file:
        tensor: torch.Tensor = file.get_tensor(key)
    return tensor


METHOD = Method(
    id="qlora",
    name="QLoRA",
    summary="LoRA beside weights stored in 4 bits: the largest model that fits, a little slower and a little less exact.",
    source="Dettmers et al. 2023, QLoRA: Efficient Finetuning of Quantized LLMs, https://arxiv.org/abs/2305.14314",
    trains="A small update beside each matrix, which is stored in 4 bits",
    quality="Within a point of LoRA",
    quality_source="Likhon 2026, section 4: MMLU 63.2 against 63.4, Bengali sentiment 95.9 against 96.2",
    place=20,
    knobs=QloraKnobs,
    learning_rate=5e-4,  # as LoRA's; Likhon 2026, section 6, gives both 1e-4 to 5e-4
    learning_rate_range=(2e-5, 5e-3),
    freezes_body=True,
    check=check,
    footprint=footprint,
    trainable=lora.trainable,
    saved_bytes=lora.saved_bytes,
    prepare=prepare,
    save=_peft.save,
    load=load,
    merge=merge,
    quantisation=quantisation,
)
