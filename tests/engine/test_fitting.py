"""Make it fit: the smallest change first, each with the numbers of a real plan, and none that cannot be made."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.checks import check
from engine.errors import Problem, Refused
from engine.fitting import SLOW_SECONDS, Change, Found, Scene, applied, changes, with_method
from engine.hardware import Hardware
from engine.models import EMBEDDED
from engine.plan import plan
from engine.spec import RunSpec
from tests.engine.test_plan import A100, CATALOG, CPU, GB, MINILM, SPEC, TOKENS, data, facts, with_settings

LONG = replace(TOKENS, lengths=tuple(range(200, 700)))
QWEN = "Qwen/Qwen1.5-0.5B"


def found(model_id: str) -> Found:
    if model_id != EMBEDDED:
        raise Refused(Problem("model", "Not here.", ""))
    return facts(EMBEDDED, MINILM), LONG


def scene(spec: RunSpec, hardware: Hardware = CPU, model: str = "all-MiniLM-L6-v2") -> Scene:
    return Scene(replace(spec, model=model), data(), facts(model), LONG, hardware, CATALOG)


def with_memory(free_gb: float) -> Hardware:
    return replace(CPU, ram_free_bytes=round(free_gb * GB))


def test_what_fits_and_is_quick_needs_no_change() -> None:
    assert changes(scene(with_settings(max_steps=50)), found) == ()


def test_each_kind_of_change_is_offered_in_order_with_the_numbers_of_its_own_plan() -> None:
    tight = scene(with_settings(batch_size=64, accumulation=1, max_length=512, max_steps=50), with_memory(10))
    offered = changes(tight, found)
    kinds = [next(iter(one.settings), "method" if one.method else "model") for one in offered]
    assert kinds[:3] == ["checkpointing", "batch_size", "max_length"]
    assert "method" in kinds
    for one in offered:
        assert one.fits
        made = plan(applied(tight.spec, one), tight.data, tight.model, LONG, tight.hardware, CATALOG)
        assert made.memory_bytes == one.memory_bytes <= 10 * GB
        assert made.seconds == pytest.approx(one.seconds)
    halved = offered[1].settings
    assert int(halved["batch_size"]) * int(halved["accumulation"]) == 64, "the same rows a step"
    assert "of the rows are cut" in offered[2].words


def test_where_one_change_is_not_enough_several_are_combined() -> None:
    very_tight = scene(with_settings(batch_size=64, accumulation=1, max_length=512, max_steps=50), with_memory(0.85))
    combined = [one for one in changes(very_tight, found) if len(one.settings) > 2]
    assert combined
    assert combined[0].settings["checkpointing"] is True
    assert "gradient checkpointing, batches of" in combined[0].words.lower()


def test_a_smaller_model_that_reads_the_script_is_offered_when_nothing_else_helps() -> None:
    offered = changes(scene(SPEC, with_memory(1.2), QWEN), found)
    assert [one.model for one in offered][-1] == EMBEDDED
    bengali = replace(scene(SPEC, with_memory(1.2), QWEN), data=data(script_shares={"Bengali": 1.0}))
    assert all(one.model is None for one in changes(bengali, found)), "MiniLM reads no Bengali"


def test_a_long_run_is_offered_what_takes_at_most_three_quarters_of_it() -> None:
    slow = scene(with_settings(epochs=10, max_length=512), replace(CPU, fp32_flops=3e10, bf16_flops=6e10))
    now = plan(slow.spec, slow.data, slow.model, LONG, slow.hardware, CATALOG).seconds
    assert now is not None
    assert now > SLOW_SECONDS
    offered = changes(slow, found)
    assert {"max_length", "epochs"} <= {name for one in offered for name in one.settings}
    assert any(one.method == "last_layers" for one in offered)
    assert all(one.seconds is not None and one.seconds <= 0.75 * now for one in offered)


def test_a_run_that_cannot_be_made_for_another_reason_is_offered_nothing() -> None:
    assert changes(scene(with_settings(rank=9999), with_memory(0.5)), found) == ()
    assert changes(scene(replace(SPEC, method="magic"), with_memory(0.5)), found) == ()


def test_another_method_loses_the_settings_that_it_does_not_know() -> None:
    spec = with_settings(rank=8, learning_rate=1e-3, epochs=2)
    assert with_method(spec, "full").settings == {"epochs": 2}
    assert applied(spec, Change("", method="qlora")).settings == {"rank": 8, "epochs": 2}


def test_on_a_gpu_its_own_memory_counts() -> None:
    small = replace(A100, gpus=(replace(A100.gpus[0], free_bytes=3 * GB),))
    tight = scene(with_settings(batch_size=64, accumulation=1, max_length=512), small)
    assert any(one.field in ("settings.batch_size", "model") for one in check(tight.spec, tight.data, tight.model, LONG, small, CATALOG))
    assert changes(tight, found)
