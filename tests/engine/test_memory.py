"""The memory estimate against what was measured, and how it moves; the time estimate against measured speeds."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from engine import memory, speed
from engine.hardware import Gpu, Hardware
from engine.knobs import settle
from engine.memory import Shape, estimate
from engine.methods import all_methods
from engine.models import ModelFacts
from engine.speed import Load, seconds
from tests.engine.test_plan import CONFIGS, facts

BERT: dict[str, Any] = {"model_type": "bert"}
SHAPES = {
    "minilm": CONFIGS["all-MiniLM-L6-v2"],
    "bertbase": BERT,
    "mbert": {**BERT, "vocab_size": 119547},
    "smol135": {
        "model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9,
        "num_key_value_heads": 3, "intermediate_size": 1536, "tie_word_embeddings": True,
    },
    "qwen05": CONFIGS["Qwen/Qwen1.5-0.5B"],
    "deberta3s": {
        "model_type": "deberta-v2", "vocab_size": 128100, "hidden_size": 768, "num_hidden_layers": 6, "num_attention_heads": 12,
        "intermediate_size": 3072, "relative_attention": True, "position_buckets": 256, "norm_rel_ebd": "layer_norm",
        "share_att_key": True, "pos_att_type": "p2c|c2p", "max_relative_positions": -1, "position_biased_input": False,
        "type_vocab_size": 0,
    },
    "qwen18": CONFIGS["Qwen/Qwen1.5-1.8B"],
    "gemma270": {
        "model_type": "gemma3_text", "vocab_size": 262144, "hidden_size": 640, "num_hidden_layers": 18, "num_attention_heads": 4,
        "num_key_value_heads": 1, "head_dim": 256, "intermediate_size": 2048,
    },
}  # fmt: skip
# Peak resident MB, measured as the docstring of engine/memory.py says: (model, method, precision, batch, length, more) -> MB.
MEASURED = {
    ("minilm", "lora", "fp32", 16, 128, ""): 1814,
    ("minilm", "lora", "bf16", 16, 128, ""): 1235,
    ("minilm", "lora", "bf16", 16, 256, ""): 1786,
    ("minilm", "lora", "bf16", 16, 128, "query_value"): 992,
    ("minilm", "lora", "bf16", 16, 256, "checkpointing"): 1188,
    ("minilm", "full", "fp32", 16, 128, ""): 1337,
    ("minilm", "full", "bf16", 16, 128, ""): 1227,
    ("minilm", "full", "bf16", 32, 128, ""): 1518,
    ("minilm", "full", "fp32", 4, 32, ""): 923,
    ("bertbase", "lora", "fp32", 8, 128, ""): 3439,
    ("bertbase", "lora", "bf16", 8, 128, ""): 1918,
    ("bertbase", "lora", "bf16", 16, 256, ""): 5133,
    ("bertbase", "lora", "bf16", 16, 256, "checkpointing"): 2228,
    ("bertbase", "full", "fp32", 8, 128, ""): 2872,
    ("bertbase", "full", "bf16", 8, 128, ""): 2784,
    ("mbert", "full", "fp32", 8, 128, ""): 3952,
    ("smol135", "lora", "bf16", 8, 128, ""): 2819,
    ("smol135", "lora", "fp32", 4, 128, ""): 2952,
    ("smol135", "full", "fp32", 4, 128, ""): 3223,
    ("qwen05", "lora", "bf16", 4, 128, ""): 3226,
    ("minilm", "qlora", "bf16", 16, 128, ""): 1177,
    ("minilm", "last_layers", "bf16", 16, 256, ""): 826,
    ("minilm", "head", "bf16", 16, 256, ""): 643,
    ("minilm", "adapter", "bf16", 16, 256, ""): 1135,
    ("minilm", "adalora", "bf16", 16, 128, ""): 1360,
    ("minilm", "ia3", "bf16", 16, 256, ""): 1341,
    ("minilm", "vera", "bf16", 16, 128, ""): 1177,
    ("minilm", "prefix", "bf16", 16, 256, ""): 1070,
    ("minilm", "prompt", "bf16", 16, 256, ""): 1092,
    ("minilm", "p_tuning", "bf16", 16, 256, ""): 1096,
    ("minilm", "bitfit", "bf16", 16, 256, ""): 982,
    ("minilm", "ln_tuning", "bf16", 16, 256, ""): 1006,
    ("bertbase", "qlora", "bf16", 8, 128, ""): 1877,
    ("bertbase", "bitfit", "bf16", 8, 128, ""): 1134,
    ("smol135", "qlora", "bf16", 4, 128, ""): 1730,
    ("smol135", "last_layers", "bf16", 8, 128, ""): 1249,
    ("qwen05", "qlora", "bf16", 2, 128, ""): 2894,
    ("deberta3s", "lora", "bf16", 8, 128, ""): 1837,
    ("deberta3s", "lora", "bf16", 4, 256, ""): 1910,
    ("minilm", "lora", "bf16", 16, 128, "dora"): 1585,
    ("minilm", "lora", "bf16", 16, 256, "dora"): 2455,
    ("minilm", "lora", "fp32", 16, 128, "dora"): 2363,
    ("bertbase", "lora", "bf16", 8, 128, "dora"): 2542,
    ("minilm", "lora", "bf16", 16, 256, "r256"): 1895,
    ("minilm", "vera", "bf16", 16, 128, "r2048"): 2162,
    ("minilm", "vera", "bf16", 16, 256, "r2048"): 3150,
    ("minilm", "vera", "fp32", 16, 128, "r2048"): 2332,
    ("minilm", "adalora", "bf16", 16, 256, ""): 2084,
    ("bertbase", "adalora", "bf16", 8, 128, ""): 2175,
    ("minilm", "qlora", "bf16", 16, 128, "dora"): 1620,
    ("minilm", "lora", "bf16", 16, 256, "undropped"): 1354,
    ("minilm", "lora", "fp32", 16, 128, "undropped"): 1513,
}
# The same on a GPU (NVIDIA H200, torch 2.11, CUDA 13.0), measured by tests/benchmarks/gpu.py: what torch reserved at its peak and what lay
# beside it, in MB. Smallest models first: torch keeps what it had.
MEASURED_ON_GPU = {
    ("minilm", "lora", "bf16", 32, 256, ""): 2211,
    ("minilm", "full", "bf16", 32, 256, ""): 2234,
    ("minilm", "lora", "fp32", 32, 256, ""): 3069,
    ("deberta3s", "lora", "bf16", 16, 256, ""): 3883,
    ("bertbase", "lora", "bf16", 32, 256, ""): 5646,
    ("bertbase", "full", "bf16", 32, 256, ""): 6018,
    ("bertbase", "full", "fp32", 32, 256, ""): 8115,
    ("smol135", "qlora", "bf16", 16, 256, ""): 5332,
    ("smol135", "lora", "bf16", 16, 256, ""): 5569,
    ("smol135", "lora", "fp16", 16, 256, ""): 5569,
    ("smol135", "full", "bf16", 16, 256, ""): 7068,
    ("smol135", "last_layers", "bf16", 16, 256, ""): 1674,
    ("gemma270", "lora", "bf16", 8, 256, ""): 3476,
    ("gemma270", "full", "bf16", 8, 256, ""): 7223,
    ("qwen05", "qlora", "bf16", 8, 512, ""): 7905,
    ("qwen05", "lora", "bf16", 8, 512, ""): 8450,
    ("qwen05", "lora", "bf16", 8, 512, "checkpointing"): 2851,
    ("qwen05", "lora", "bf16", 8, 512, "dora"): 12798,
    ("qwen05", "full", "bf16", 8, 512, ""): 14299,
    ("qwen18", "qlora", "bf16", 4, 512, ""): 8870,
    ("qwen18", "lora", "bf16", 4, 512, ""): 10914,
    ("qwen18", "full", "bf16", 4, 512, ""): 30821,
}


def of(name: str) -> ModelFacts:
    return facts(name, SHAPES[name])


MORE: dict[str, dict[str, Any]] = {  # what a case's last word sets, besides "checkpointing"
    "query_value": {"targets": "query_value"}, "dora": {"dora": True}, "r256": {"rank": 256}, "r2048": {"rank": 2048},
    "undropped": {"dropout": 0.0},
}  # fmt: skip


def knobs_of_case(method: str, more: str) -> Any:
    return settle(all_methods()[method].knobs, MORE.get(more, {}))


def shaped(model: ModelFacts, method_id: str, precision: str, batch: int, length: int, more: str = "") -> Shape:
    method, knobs = all_methods()[method_id], knobs_of_case(method_id, more)
    return Shape(
        labels=2, trainable=method.trainable(knobs, model, 2), freezes_body=method.freezes_body, footprint=method.footprint(knobs, model),
        precision=precision, batch=batch, length=length, checkpointing=more == "checkpointing", device="cpu",
    )  # fmt: skip


@pytest.mark.parametrize("case", MEASURED, ids=lambda case: "-".join(map(str, case)))
def test_the_estimate_is_near_what_was_measured(case: tuple[str, str, str, int, int, str]) -> None:
    told = estimate(of(case[0]), shaped(of(case[0]), *case[1:])).total_bytes / memory.MB
    assert told == pytest.approx(MEASURED[case], rel=0.15)


@pytest.mark.parametrize("case", MEASURED_ON_GPU, ids=lambda case: "-".join(map(str, case)))
def test_on_a_gpu_too(case: tuple[str, str, str, int, int, str]) -> None:
    told = estimate(of(case[0]), dataclasses.replace(shaped(of(case[0]), *case[1:]), device="cuda")).total_bytes / memory.MB
    assert told == pytest.approx(MEASURED_ON_GPU[case], rel=0.15)


@pytest.mark.parametrize(("method", "measured"), [("qlora", 5919), ("full", 7634)])
def test_real_runs_on_a_gpu_are_met(method: str, measured: int) -> None:
    """SmolLM2 on IMDb, 282 steps of 16 rows (NVIDIA H200): 5105 and 6820 MB reserved by torch, and 814 beside it."""
    model = of("smol135")
    run = dataclasses.replace(shaped(model, method, "bf16", 16, 256), device="cuda", mixed=memory.RATES["cuda"].mixed)
    assert estimate(model, run).total_bytes / memory.MB == pytest.approx(measured, rel=0.1)


def test_real_runs_with_batches_of_many_widths_are_met_too() -> None:
    """The peak of a worker that took 60 steps on IMDb and judged 2,000 rows: 1971 MB."""
    model = of("minilm")
    imdb = dataclasses.replace(shaped(model, "lora", "bf16", 16, 256), mixed=memory.RATES["cpu"].mixed, tokens_held=7000 * 215)
    assert estimate(model, imdb).total_bytes / memory.MB == pytest.approx(1971, rel=0.1)


# Milliseconds of processor time a row on one core, in training and in evaluation, from the same measurement.
ROW_MS = {
    ("minilm", "lora", "fp32", 16, 128, ""): (94.3, 36.1),
    ("minilm", "lora", "bf16", 16, 128, ""): (60.6, 14.5),
    ("minilm", "lora", "bf16", 16, 256, ""): (108.4, 28.4),
    ("minilm", "lora", "bf16", 16, 128, "query_value"): (43.7, 11.2),
    ("minilm", "lora", "bf16", 16, 256, "checkpointing"): (165.6, 30.6),
    ("minilm", "full", "fp32", 16, 128, ""): (103.5, 31.1),
    ("minilm", "full", "bf16", 16, 128, ""): (51.2, 11.0),
    ("minilm", "full", "bf16", 32, 128, ""): (49.4, 11.8),
    ("minilm", "full", "fp32", 4, 32, ""): (43.1, 9.9),
    ("bertbase", "lora", "fp32", 8, 128, ""): (602.0, 249.4),
    ("bertbase", "lora", "bf16", 8, 128, ""): (281.3, 68.5),
    ("bertbase", "lora", "bf16", 16, 256, ""): (489.5, 151.3),
    ("bertbase", "lora", "bf16", 16, 256, "checkpointing"): (747.1, 192.1),
    ("bertbase", "full", "fp32", 8, 128, ""): (699.5, 225.2),
    ("bertbase", "full", "bf16", 8, 128, ""): (275.7, 66.5),
    ("mbert", "full", "fp32", 8, 128, ""): (738.1, 226.4),
    ("smol135", "lora", "bf16", 8, 128, ""): (418.6, 111.0),
    ("smol135", "lora", "fp32", 4, 128, ""): (858.5, 320.1),
    ("smol135", "full", "fp32", 4, 128, ""): (963.5, 291.1),
    ("qwen05", "lora", "bf16", 4, 128, ""): (826.6, 251.0),
    ("minilm", "lora", "bf16", 16, 128, "dora"): (90.6, 19.2),
    ("minilm", "lora", "fp32", 16, 128, "dora"): (158.6, 38.5),
    ("bertbase", "lora", "bf16", 8, 128, "dora"): (465.4, 110.7),
    ("minilm", "adalora", "bf16", 16, 128, ""): (72.7, 22.3),
}
ONE_CORE = Hardware("AMD EPYC", 1, 8 * 10**9, 6 * 10**9, 10**10, bf16_units=True, fp32_flops=1e11, bf16_flops=4.75e11)


@pytest.mark.parametrize("case", ROW_MS, ids=lambda case: "-".join(map(str, case)))
def test_the_time_of_a_row_is_near_what_was_measured(case: tuple[str, str, str, int, int, str]) -> None:
    told = seconds(of(case[0]), dataclasses.replace(a_load(case), trainable=0), ONE_CORE)  # no checkpoints
    trained, evaluated = told["training"], told["validation"]  # of 1,000 rows
    assert trained == pytest.approx(speed.ELSEWHERE * ROW_MS[case][0], rel=0.3)
    assert evaluated == pytest.approx(ROW_MS[case][1], rel=0.35)


def a_load(case: tuple[str, str, str, int, int, str], rows: int = 1000) -> Load:
    model = of(case[0])
    shape = shaped(model, *case[1:])
    return Load(
        train_rows=rows, batches=rows // shape.batch, steps=rows // shape.batch, checks=1, checked_rows=rows, test_rows=0, all_rows=rows,
        tokens=shape.length, uncut_tokens=shape.length, characters=500, trainable=shape.trainable, freezes_body=shape.freezes_body,
        footprint=shape.footprint, precision=shape.precision, checkpointing=shape.checkpointing,
    )  # fmt: skip


def test_on_two_idle_cores_minilm_trains_at_the_speed_that_was_seen() -> None:
    """17.3 rows a second over 21 batches of 16 rows, 64 to 256 tokens wide, 219 on average (LoRA on all matrices, bf16)."""
    two = dataclasses.replace(ONE_CORE, cores=2, fp32_flops=2.05e11, bf16_flops=9.4e11)
    told = seconds(of("minilm"), a_load(("minilm", "lora", "bf16", 16, 219, "")), two)
    assert 1000 / told["training"] == pytest.approx(17.3, rel=0.15)


def test_a_known_gpu_is_much_quicker_and_an_unknown_one_has_no_figure() -> None:
    load = a_load(("qwen05", "lora", "bf16", 4, 128, ""))
    t4 = dataclasses.replace(ONE_CORE, gpus=(Gpu("Tesla T4", 16 * 10**9, 15 * 10**9, 7.5),))
    assert seconds(of("qwen05"), load, t4)["training"] < 0.1 * seconds(of("qwen05"), load, ONE_CORE)["training"]
    other = dataclasses.replace(ONE_CORE, gpus=(Gpu("Some GPU", 16 * 10**9, 15 * 10**9, 8.0),))
    assert seconds(of("qwen05"), load, other) == {}


H200 = dataclasses.replace(ONE_CORE, gpus=(Gpu("NVIDIA H200", 15 * 10**10, 15 * 10**10, 9.0),))
# Milliseconds of a step there, from the same measurement as MEASURED_ON_GPU.
STEP_MS = {
    ("minilm", "lora", "bf16", 32, 256, ""): 44,
    ("minilm", "full", "bf16", 32, 256, ""): 28,
    ("deberta3s", "lora", "bf16", 16, 256, ""): 77,
    ("bertbase", "lora", "bf16", 32, 256, ""): 74,
    ("bertbase", "full", "fp32", 32, 256, ""): 112,
    ("smol135", "qlora", "bf16", 16, 256, ""): 350,
    ("smol135", "lora", "bf16", 16, 256, ""): 203,
    ("smol135", "full", "bf16", 16, 256, ""): 155,
    ("gemma270", "lora", "bf16", 8, 256, ""): 167,
    ("qwen05", "qlora", "bf16", 8, 512, ""): 301,
    ("qwen05", "lora", "bf16", 8, 512, ""): 182,
    ("qwen05", "lora", "bf16", 8, 512, "checkpointing"): 372,
    ("qwen05", "lora", "bf16", 8, 512, "dora"): 376,
    ("qwen05", "full", "bf16", 8, 512, ""): 139,
    ("qwen18", "qlora", "bf16", 4, 512, ""): 320,
    ("qwen18", "lora", "bf16", 4, 512, ""): 250,
    ("qwen18", "full", "bf16", 4, 512, ""): 133,
}


@pytest.mark.parametrize("case", STEP_MS, ids=lambda case: "-".join(map(str, case)))
def test_the_time_of_a_step_on_a_gpu_is_near_what_was_measured(case: tuple[str, str, str, int, int, str]) -> None:
    steps = dataclasses.replace(a_load(case, rows=1000 * case[3]), trainable=0)  # no checkpoints
    assert seconds(of(case[0]), steps, H200)["training"] == pytest.approx(STEP_MS[case], rel=0.4)


@pytest.mark.parametrize(("method", "measured"), [("qlora", 96.5), ("full", 62.7)])
def test_whole_runs_on_a_gpu_take_about_as_long_as_they_did(method: str, measured: float) -> None:
    """Seconds from the first step to the last, with checks and checkpoints: SmolLM2 on IMDb, 4,500 rows to train on, 500 to check."""
    load = a_load(("smol135", method, "bf16", 16, 215, ""), rows=4500)
    told = seconds(of("smol135"), dataclasses.replace(load, checks=9, checked_rows=4500), H200)
    assert told["training"] + told["validation"] == pytest.approx(measured, rel=0.2)


def test_a_batch_of_one_row_takes_as_long_to_start_on_a_gpu_as_one_of_many() -> None:
    few, many = (a_load(("minilm", "lora", "bf16", size, 64, ""), rows=100 * size) for size in (1, 32))
    assert seconds(of("minilm"), few, H200)["training"] == pytest.approx(seconds(of("minilm"), many, H200)["training"])


def test_a_cpu_that_was_not_measured_has_no_figure() -> None:
    load = a_load(("minilm", "lora", "fp32", 16, 128, ""))
    assert seconds(of("minilm"), load, dataclasses.replace(ONE_CORE, fp32_flops=None)) == {}


def test_more_rows_longer_texts_and_more_precision_need_more_and_checkpointing_less() -> None:
    model = of("bertbase")
    base = shaped(model, "lora", "bf16", 8, 128)
    needed = estimate(model, base).total_bytes
    for changed in ({"batch": 16}, {"length": 256}, {"precision": "fp32"}, {"tokens_held": 10**7}):
        assert estimate(model, dataclasses.replace(base, **changed)).total_bytes > needed
    assert estimate(model, dataclasses.replace(base, checkpointing=True)).total_bytes < needed


def test_lora_needs_less_than_full_fine_tuning_of_a_larger_model() -> None:
    model = of("qwen05")
    full, lora = (estimate(model, shaped(model, method, "bf16", 4, 128)).total_bytes for method in ("full", "lora"))
    assert lora < 0.5 * full


def test_the_parts_say_where_the_memory_goes() -> None:
    model = of("minilm")
    parts = estimate(model, shaped(model, "full", "fp32", 1, 16)).parts
    parameters = model.parameters(2)
    assert parts["weights"] == 4 * parameters
    assert parts["optimiser"] == 8 * parameters  # AdamW's two averages in 32 bits
    assert parts["gradients"] + parts["activations"] == 4 * parameters  # the larger of the two, which are never whole together
    assert min(parts.values()) >= 0
