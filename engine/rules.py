"""What a person left open, decided from the facts, each value with a reason in plain words. Pure.

One function a setting; each sees the values decided before it. The rules of thumb are those of LLM Fine-Tuning on a Budget
(B. R. Likhon, 2026), section 6, where nothing else is said.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from engine import pooling
from engine.asked import Asked
from engine.augment import Augmentation, made_rows
from engine.data.profile import DataFacts
from engine.data.split import Split, split_sizes
from engine.deciding import Deciding
from engine.encoder_decoders import OVERFLOWS, PREFIXED
from engine.hardware import Hardware, device_words
from engine.knobs import Knob, Value, settle
from engine.methods import Method
from engine.models import ModelFacts, TokenFacts
from engine.spec import DataSpec

OPEN_ENDED = ("max_rows", "max_steps", "folds")  # None stays None: no limit, no folds
STEPS_WANTED = 300  # below it, LoRA on MiniLM had not yet learnt sentiment (282 steps of 16: 86.7 % on IMDb)
MOST_PASSES = 10
CHECKS = 10
SELECTED_BY = {
    "loss": "the held-out loss tells how well it is learnt",
    "average_precision": "how well it puts right tags before wrong ones on the validation rows decides",
    "mae": "how far its numbers are off on the validation rows decides",
    "spearman": "how well it ranks the validation rows decides",
}
BF16_GAIN = 1.3  # a CPU's bf16 must be measured this much faster: casting to and fro costs some of it
T5_RATE = 1e-4  # https://huggingface.co/docs/transformers/model_doc/t5, tips on training: typically 1e-4 and 3e-4 with AdamW
MEMORY_SHARE = 0.8  # of what is free; the estimate may be off by a fifth
LENGTH_STEP = 16
LONGEST = {"cpu": 256, "cuda": 512}  # tokens, unless asked for; on two cores 256 tokens take four minutes for 4,000 rows
LARGEST_BATCH = {"cpu": 16, "cuda": 32}  # rows; on a CPU more rows at once are not faster


def decide(
    asked: Asked, method: Method, data_spec: DataSpec, data: DataFacts, model: ModelFacts, tokens: TokenFacts | None, hardware: Hardware
) -> Deciding:
    """Every setting with a value, in an order in which each rests only on those before it."""
    settings: dict[str, Any] = {name: knob.default for name, knob in asked.knobs.items()} | asked.values
    model = asked.task.facts(model) if asked.task else model
    work = Deciding(method, asked, data, model, tokens, hardware, settings, notes=list(asked.notes))
    given = None if data_spec.resplit else data.given_test
    work.rows = split_sizes(data.classes, given, settle(Split, settings), data_spec.resplit, data.layout)
    if more := made_rows(settle(Augmentation, settings), work.rows["train"]):
        work.rows["made"] = more
    _fit_preset_to_facts(work)
    _select_by(work)
    _read_and_written(work)
    if work.asked.task is not None and work.asked.task.pairs and model.pooling != pooling.MEAN:
        work.notes.append(f"A text's vector is {pooling.in_words(model.pooling)}, as this model's own files say.")
    for name, decider in DECIDERS.items():
        if name in work.asked.knobs and work.settings[name] is None:
            decider(work)
    _fit_preset_to_steps(work)
    return work


def _fit_preset_to_facts(work: Deciding) -> None:
    """A preset is made for some other data and model; what cannot be here is brought within reach, and said."""
    preset, limit = work.asked.preset, work.room
    if preset.get("max_length", 0) > limit:  # type: ignore[operator]
        work.value("max_length", limit, f"The preset's {preset['max_length']} is more than this model reads at once, {limit} tokens")
    most = max(1, work.rows["train"])
    if preset.get("batch_size", 0) > most:  # type: ignore[operator]
        work.value("batch_size", most, f"The preset's {preset['batch_size']} is more than the {most} training rows")
    device = device_words(work.hardware)
    why = unsupported(preset.get("precision"), work.hardware, work.model.architecture)
    if why:
        work.settings["precision"] = None
        work.notes.append(f"The preset's precision {preset['precision']} is not used: {why}.")
    if str(preset.get("optimizer")).startswith("paged") and not work.hardware.gpus:
        work.value("optimizer", "adamw", "The preset's paged optimiser needs a GPU")
    if preset.get("checkpointing") and not work.method.checkpointing:
        work.value("checkpointing", False, f"{work.method.name} cannot be combined with the preset's gradient checkpointing")
    if "batch_size" in preset:
        _lower_batch_to_memory(work, device)


def _select_by(work: Deciding) -> None:
    """A task that sorts nothing has other figures than the usual one, or another that is told first."""
    task = work.asked.task
    if task is None or "select_by" in work.asked.own:
        return
    usual = work.settings["select_by"] == work.asked.knobs["select_by"].default
    if work.settings["select_by"] not in task.figures or (not task.sorts and usual):
        what = "tags" if task.target == "tags" else "no classes"
        figure = task.selects_by or task.headline
        work.value("select_by", figure, f"This task gives {what}: {SELECTED_BY[figure]}")


def _read_and_written(work: Deciding) -> None:
    """What an encoder-decoder cannot do, and what it should be told."""
    if not work.model.encoder_decoder or work.asked.task is None or not work.asked.task.encoder_decoders:
        return
    if work.settings["packing"]:
        reason = "An encoder reads each row and a decoder writes its answer, so rows are not packed; those of like length share a batch"
        work.value("packing", False, reason)
    usual = work.asked.knobs["template"].default
    if work.model.architecture in PREFIXED and work.settings["template"] == usual:
        work.notes.append(
            "T5 was taught with the task's name before the text: a template such as “translate English to French: {text}” or "
            "“summarize: {text}” may reach further than the one that stands there."
        )


def _lower_batch_to_memory(work: Deciding, device: str) -> None:
    for name in ("max_length", "precision"):
        if work.settings[name] is None:
            DECIDERS[name](work)
    asked, batch = int(work.settings["batch_size"]), int(work.settings["batch_size"])
    while batch > 1 and work.memory(batch_size=batch).total_bytes > work.memory_available_bytes:
        batch //= 2
    if batch < asked:
        work.value("batch_size", batch, f"The preset's {asked} would not fit into the free memory of this {device}")
        if "accumulation" in work.asked.preset:
            times = asked // batch
            value = int(work.asked.preset["accumulation"]) * times
            work.value("accumulation", value, f"{times} times the preset's, so that the effective batch stays the same")


def _fit_preset_to_steps(work: Deciding) -> None:
    preset, steps = work.asked.preset, work.steps
    if "warmup_steps" in preset and "max_steps" not in preset and preset["warmup_steps"] > steps // 2:  # type: ignore[operator]
        value = _tenth(steps)
        work.value("warmup_steps", value, f"A tenth of {steps:,} steps; the preset's {preset['warmup_steps']} would be most of them")
    if "evaluate_every" in preset and preset["evaluate_every"] > steps // 3:  # type: ignore[operator]
        work.settings["evaluate_every"] = None
        _evaluate_every(work)


def unsupported(precision: Value | None, hardware: Hardware, architecture: str = "") -> str:
    """Why this hardware cannot compute so, or a model of this architecture, in words; "" where it can."""
    if precision == "fp16" and architecture in OVERFLOWS:
        return "a T5's numbers grow beyond what fp16 holds, and its loss stops being a number"
    if hardware.gpus:
        gpu = hardware.gpus[0]
        if precision == "bf16" and gpu.capability < 8.0:
            return _no_bf16(gpu.name, gpu.capability)
    elif precision == "fp16":
        return "a CPU computes fp16 about 30 times slower than bf16 and runs into values that are no numbers"
    elif precision == "bf16" and not hardware.bf16_units:
        return "this CPU has no bf16 units"
    return ""


def _no_bf16(name: str, capability: float) -> str:
    known = f"compute capability {capability:.1f} < 8.0" if capability else "its compute capability is not known"
    return f"{name} has no bf16 units ({known})"


def _epochs(work: Deciding) -> None:
    rows, low = max(1, work.rows["train"]), usual_batch(work.rows["train"])[0]
    if work.settings["max_steps"]:
        batch = (work.settings["batch_size"] or low) * (work.settings["accumulation"] or 1)
        passes = max(1, math.ceil(work.settings["max_steps"] * batch / max(1, work.learnt_rows)))
        return work.value("epochs", float(min(passes, 100)), f"As many as {work.settings['max_steps']:,} steps need")
    least = 3 if work.device == "cuda" and rows <= 50_000 else 1
    passes = min(MOST_PASSES, max(least, round(STEPS_WANTED * low / rows)))
    if passes == least:
        enough = f"{rows:,} training rows give {rows // low:,} steps in one pass, enough to learn from"
        reason = enough if least == 1 else "On a GPU three passes are quick, and training stops early when they no longer help"
    else:
        reason = f"{rows:,} training rows are few: {passes} passes make some {passes * rows // low:,} steps, and training may stop early"
    work.value("epochs", float(passes), reason)


def usual_batch(rows: int) -> tuple[int, int]:
    """The effective batches that work best for so many training rows."""
    if rows < 5_000:
        return 16, 32
    return (32, 64) if rows <= 50_000 else (64, 128)


def _words_of_rows(rows: int) -> str:
    if rows < 5_000:
        return "under 5,000 training rows"
    return "with 5,000 to 50,000 training rows" if rows <= 50_000 else "over 50,000 training rows"


def _wanted_batch(work: Deciding) -> int:
    """The larger of the usual ones where that leaves steps enough."""
    rows = work.rows["train"]
    low, high = usual_batch(rows)
    return min(high if rows * work.settings["epochs"] / high >= STEPS_WANTED else low, max(1, rows))


def _precision(work: Deciding) -> None:
    return work.value("precision", *usual_precision(work.hardware, work.model.architecture))


def usual_precision(hardware: Hardware, architecture: str = "") -> tuple[str, str]:
    """What a model computes in on this machine where nobody asks for anything else, and why."""
    if hardware.gpus:
        gpu = hardware.gpus[0]
        if gpu.capability >= 8.0:
            return "bf16", f"{gpu.name} has bf16 units: as fast as fp16 and safer"
        if architecture in OVERFLOWS:
            return "fp32", f"{_no_bf16(gpu.name, gpu.capability)}, and {unsupported('fp16', hardware, architecture)}"
        return "fp16", _no_bf16(gpu.name, gpu.capability)
    if not hardware.bf16_units:
        return "fp32", "This CPU has no bf16 units"
    if hardware.bf16_flops is None or hardware.fp32_flops is None:
        return "fp32", "This CPU has bf16 units, but their speed has not been measured yet"
    gain = hardware.bf16_flops / hardware.fp32_flops
    if gain > BF16_GAIN:
        return "bf16", f"This CPU's bf16 units were measured {gain:.1f} times as fast as fp32"
    return "fp32", f"This CPU's bf16 was measured only {gain:.1f} times as fast as fp32, too little to gain by"


def _max_length(work: Deciding) -> None:
    lengths, bound = work.lengths, min(LONGEST[work.device], work.room)
    reach = lengths[min(len(lengths) - 1, math.ceil(0.95 * len(lengths)) - 1)]
    needed = max(LENGTH_STEP, math.ceil(reach / LENGTH_STEP) * LENGTH_STEP)
    guess = "" if work.tokens is not None else ", guessed from the number of words"
    if needed <= bound:
        return work.value("max_length", needed, f"95 % of the texts have at most {reach:,} tokens{guess}")
    if bound == work.room:
        before = work.model.max_tokens - bound
        taken = f", {before} of which the method takes" if before else ""
        return work.value("max_length", bound, f"This model reads at most {work.model.max_tokens:,} tokens at once{taken}")
    where = "a GPU" if work.device == "cuda" else "a processor"
    reason = f"95 % of the texts need {reach:,} tokens{guess}; on {where} {bound} keep time and memory in bounds"
    return work.value("max_length", bound, reason)


def _batch_size(work: Deciding) -> None:
    wanted = _wanted_batch(work)
    if work.settings["accumulation"]:
        wanted = max(1, wanted // work.settings["accumulation"])
    ceiling = min(wanted, LARGEST_BATCH[work.device])
    batch = ceiling
    while batch > 1 and work.memory(batch_size=batch).total_bytes > MEMORY_SHARE * work.memory_available_bytes:
        batch = (batch + 1) // 2
    device = device_words(work.hardware)
    if batch < ceiling:
        reason = f"{ceiling} rows at once would not fit into the free memory of this {device}"
    elif batch < wanted:
        reason = f"More rows at once are not faster on this {device}"
    else:
        reason = "All rows of a step at once"
    work.value("batch_size", batch, reason)


def _accumulation(work: Deciding) -> None:
    batch, rows = work.settings["batch_size"], work.rows["train"]
    low, high = usual_batch(rows)
    times = max(1, round(_wanted_batch(work) / batch))
    reason = f"{batch} x {times} = {batch * times}: "
    if low <= batch * times <= high:
        reason += f"{_words_of_rows(rows)} an effective batch of {low} to {high} works best"
    elif batch * times < low:
        reason += f"all {rows:,} training rows" if batch * times >= rows else f"near the {low} to {high} that work best"
    else:
        reason += f"your batch size alone is above the {low} to {high} that work best {_words_of_rows(rows)}"
    work.value("accumulation", times, reason)


def _tenth(steps: int) -> int:
    return round(0.1 * steps)


def _warmup_steps(work: Deciding) -> None:
    work.value("warmup_steps", _tenth(work.steps), f"A tenth of {work.steps:,} steps")


def _evaluate_every(work: Deciding) -> None:
    """About ten checks, at least one a pass; fewer where they would score more rows than training reads."""
    steps, held_out = work.steps, max(1, work.rows["validation"])
    read = steps * work.settings["batch_size"] * work.settings["accumulation"]
    least = max(2, math.ceil(steps / work.steps_per_pass))
    checks = max(1, min(steps, max(least, min(CHECKS, read // held_out))))
    every = max(1, math.ceil(steps / checks))
    told = math.ceil(steps / every)
    work.value("evaluate_every", every, f"{told} {'check' if told == 1 else 'checks'} over {steps:,} steps")


def _learning_rate(work: Deciding) -> None:
    low, high = work.method.learning_rate_range
    if work.model.architecture in OVERFLOWS and work.method.learning_rate < T5_RATE and not work.method.freezes_body:
        reason = "T5s want larger steps than others: 1e-4 to 3e-4, as transformers' page on them says"
        return work.value("learning_rate", T5_RATE, reason)
    work.value("learning_rate", work.method.learning_rate, f"The usual rate for {work.method.name}, which works from {low:g} to {high:g}")


def _alpha(work: Deciding) -> None:
    rank = work.settings["rank"]
    work.value("alpha", 2 * rank, f"Twice the rank of {rank}")


DECIDERS: dict[str, Callable[[Deciding], None]] = {
    "max_length": _max_length,
    "epochs": _epochs,
    "precision": _precision,
    "alpha": _alpha,
    "batch_size": _batch_size,
    "accumulation": _accumulation,
    "warmup_steps": _warmup_steps,
    "evaluate_every": _evaluate_every,
    "learning_rate": _learning_rate,
}


def undecided(knobs: dict[str, Knob]) -> tuple[str, ...]:
    """Settings that may be left open and that nothing here decides; a test holds that there are none."""
    return tuple(name for name, knob in knobs.items() if knob.default is None and name not in DECIDERS and name not in OPEN_ENDED)
