"""AdaLoRA: LoRA whose rank is shared out while it learns. The update is P·diag(E)·Q; entries of E that matter least are set to zero.

Every matrix begins with half as much rank again as is asked for. After a tenth of the steps the ranks are cut, step by step, until
their mean is the rank asked for; the last three tenths learn with the ranks that are left. P and Q are kept near orthogonal by a
penalty. What matters is how much the loss would change without an entry, averaged over steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import Problem
from engine.hardware import Hardware
from engine.methods import Along, Footprint, Method, _peft
from engine.models import ModelFacts

if TYPE_CHECKING:
    import torch

    from engine.methods import Open

WARM_UP, AFTER = 0.1, 0.3  # shares of the steps before the first cut and after the last; the paper's runs take similar ones
AVERAGES = ("ipt", "exp_avg_ipt", "exp_avg_unc")  # PEFT's names: what an entry matters now, its average, and how that varies


@dataclass(frozen=True)
class AdaloraKnobs(_peft.LowRank):
    """As LoRA's; the rank is the mean over all matrices at the end."""


def first_rank(knobs: AdaloraKnobs) -> int:
    """The rank that each matrix begins with: half as much again, as in the paper."""
    return math.ceil(1.5 * knobs.rank)


def check(knobs: AdaloraKnobs, facts: ModelFacts, hardware: Hardware) -> tuple[Problem, ...]:
    widest = min(min(linear.inputs, linear.outputs) for linear in _peft.targeted(knobs.targets, facts))
    return _peft.rank_problems(knobs.rank, knobs.targets, facts, most=max(1, int(widest / 1.5)))


def footprint(knobs: AdaloraKnobs, facts: ModelFacts) -> Footprint:
    adapted = _peft.targeted(knobs.targets, facts)
    return Footprint(adapted=adapted, drops_inputs=knobs.dropout > 0, rank=first_rank(knobs), outputs_again=1)


def trainable(knobs: AdaloraKnobs, facts: ModelFacts, labels: int) -> int:
    return _updates(first_rank(knobs), knobs, facts) + facts.head_parameters(labels)


def saved_bytes(knobs: AdaloraKnobs, facts: ModelFacts, labels: int) -> int:
    """With the ranks as they are at the end; what was cut is left out."""
    return 4 * (_updates(knobs.rank, knobs, facts) + facts.head_parameters(labels))


def _updates(rank: int, knobs: AdaloraKnobs, facts: ModelFacts) -> int:
    return facts.layers * sum(rank * (one.inputs + one.outputs + 1) for one in _peft.targeted(knobs.targets, facts))


def prepare(model: torch.nn.Module, knobs: AdaloraKnobs, facts: ModelFacts) -> torch.nn.Module:
    from peft import AdaLoraConfig

    config = AdaLoraConfig(
        init_r=first_rank(knobs),
        target_r=knobs.rank,
        lora_alpha=2 * knobs.rank if knobs.alpha is None else knobs.alpha,
        lora_dropout=knobs.dropout,
        target_modules=[linear.name for linear in _peft.targeted(knobs.targets, facts)],
        total_step=1,  # `begin` says how many
        bias="none",
    )
    return _with_whole_ranks(_peft.wrapped(model, config, facts))


def load(saved: Path, base: Path, open_model: Open) -> torch.nn.Module:
    """As _peft.load; what was trained in 32 bits comes back in 32, where PEFT makes it anew in the base's precision and rounds it."""
    from safetensors.torch import load_file

    model, kept = _with_whole_ranks(_peft.load(saved, base, open_model)), load_file(saved / "adapter_model.safetensors")
    for name, one in model.named_parameters():
        if "lora_" in name:
            one.data = kept[name.removesuffix(f".{_peft.ADAPTER}")].to(one.device)
    return model


def _with_whole_ranks(model: torch.nn.Module) -> torch.nn.Module:
    """The model with each matrix's divisor as it was meant: the first rank, never trained, in 32 bits.

    Beside a base in 16 bits PEFT 0.21 makes it anew there, which rounds it and lets it learn, and does not keep what it learnt.
    """
    for name, one in model.named_parameters():
        if "ranknum" in name:
            one.requires_grad_(False)
            one.data = one.data.float().fill_(_config(model).init_r)
    return model


def begin(model: torch.nn.Module, steps: int) -> None:
    config = _config(model)
    config.total_step = steps
    config.tinit, config.tfinal = int(WARM_UP * steps), int(AFTER * steps)
    config.deltaT = max(1, steps // 100)


def penalty(model: torch.nn.Module) -> torch.Tensor:
    """How far P and Q are from orthogonal: the mean Frobenius norm of P·Pᵀ - 1, weighted by 0.5 as in PEFT."""
    import torch

    config, found = _config(model), []
    for name, one in model.named_parameters():
        if one.requires_grad and ("lora_A" in name or "lora_B" in name):
            product = one @ one.T if "lora_A" in name else one.T @ one
            found.append(torch.linalg.matrix_norm(product - torch.eye(len(product), device=one.device, dtype=one.dtype)))
    weighted: torch.Tensor = config.orth_reg_weight * torch.stack(found).mean()
    return weighted


def stepped(model: torch.nn.Module, step: int) -> None:
    """Cuts ranks when it is time. A step that fp16's scaler left out has no gradients to judge by.

    Where the last cut fell on such a step it is made up for at the next. PEFT drops what entries matter after the last cut, so that
    it is still to come as long as something is there, or no cut was made; a run so short that nothing was judged before is judged
    by that step alone.
    """
    import torch

    gradients = [one.grad for name, one in model.named_parameters() if "lora_" in name and one.grad is not None]
    if not all(bool(torch.isfinite(one).all()) for one in gradients):
        return
    tuner, config = _tuner(model), _config(model)
    allocator, last = tuner.rankallocator, config.total_step - config.tfinal
    if step >= last and (allocator.ipt or config.rank_pattern is None):
        if not allocator.ipt:
            allocator.update_ipt(tuner.model)
        step = last
    tuner.update_and_allocate(step)


def state(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    import torch

    allocator = _tuner(model).rankallocator
    tensors = {f"{average}:{name}": value for average in AVERAGES for name, value in getattr(allocator, average).items()}
    pattern = _config(model).rank_pattern or {}
    return tensors | {f"kept:{name}": torch.tensor(entries) for name, entries in pattern.items()}


def restore(model: torch.nn.Module, kept: dict[str, torch.Tensor]) -> None:
    allocator, device = _tuner(model).rankallocator, next(model.parameters()).device
    found: dict[str, dict[str, Any]] = {name: {} for name in (*AVERAGES, "kept")}
    for key, value in kept.items():
        kind, _, name = key.partition(":")
        found[kind][name] = value.tolist() if kind == "kept" else value.to(device)
    for average in AVERAGES:
        setattr(allocator, average, found[average])
    _config(model).rank_pattern = found["kept"] or None


def save(model: torch.nn.Module, folder: Path) -> None:
    """PEFT's format, without the entries that are zero. Which those are is read from the weights: the best may be older than the last."""
    tuner = _tuner(model).model
    entries = {name: one for name, one in tuner.named_parameters() if f"lora_E.{_peft.ADAPTER}" in name}
    _config(model).rank_pattern = {name: (one != 0).view(-1).tolist() for name, one in entries.items()}
    _peft.save(model, folder)


def _tuner(model: Any) -> Any:
    return model.base_model


def _config(model: Any) -> Any:
    return model.peft_config[_peft.ADAPTER]


METHOD = Method(
    id="adalora",
    name="AdaLoRA",
    summary="LoRA that gives each matrix the rank it needs, by cutting what matters least while it learns.",
    source="Zhang et al. 2023, Adaptive Budget Allocation for Parameter-Efficient Fine-Tuning, https://arxiv.org/abs/2303.10512",
    trains="A small update beside each matrix, larger where it helps",
    quality="About LoRA's; better where the rank is very low",
    quality_source="Zhang et al. 2023, table 1",
    place=70,
    knobs=AdaloraKnobs,
    learning_rate=1e-3,  # the paper's appendix: 5e-4 to 2.2e-3 for DeBERTa-v3 on GLUE
    learning_rate_range=(5e-5, 1e-2),
    freezes_body=True,
    check=check,
    footprint=footprint,
    trainable=trainable,
    saved_bytes=saved_bytes,
    prepare=prepare,
    save=save,
    load=load,
    merge=_peft.merge,
    along=Along(begin=begin, penalty=penalty, stepped=stepped, state=state, restore=restore),
)
