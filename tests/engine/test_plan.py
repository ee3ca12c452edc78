"""check and plan: pure, quick, every problem at once, every number with its reason."""

from __future__ import annotations

import builtins
import dataclasses
import random
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from engine import catalog as presets
from engine import models, rules
from engine.asked import asked
from engine.checks import FEW_TEST_ROWS, FEW_TRAINING_ROWS
from engine.data.profile import DataFacts
from engine.data.split import Split, split_rows
from engine.errors import Problem, Refused
from engine.families import shape
from engine.hardware import Gpu, Hardware
from engine.knobs import Knob, Value, settle
from engine.methods import all_methods
from engine.models import ModelFacts, TokenFacts
from engine.plan import Plan, check, from_json, plan, to_json
from engine.spec import DataSpec, RunSpec
from engine.tasks import all_tasks
from engine.train import batches

GB = 10**9
CPU = Hardware("Some CPU", 2, 16 * GB, 12 * GB, 50 * GB, bf16_units=True, fp32_flops=1.5e11, bf16_flops=3e11)
T4 = dataclasses.replace(CPU, gpus=(Gpu("Tesla T4", 16 * GB, 15 * GB, 7.5),))
A100 = dataclasses.replace(CPU, gpus=(Gpu("NVIDIA A100-SXM4-40GB", 42 * GB, 41 * GB, 8.0),))
MINILM = {"model_type": "bert", "hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
SMOLLM2 = {
    "model_type": "llama", "hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
    "intermediate_size": 1536, "vocab_size": 49152, "tie_word_embeddings": True,
}  # fmt: skip
# From the models' config.json on the Hub.
CONFIGS: dict[str, dict[str, Any]] = {
    "all-MiniLM-L6-v2": MINILM,
    "sagorsarker/bangla-bert-base": {"model_type": "bert", "vocab_size": 102025},
    "Qwen/Qwen1.5-0.5B": {
        "model_type": "qwen2", "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "num_key_value_heads": 16,
        "intermediate_size": 2816, "vocab_size": 151936,
    },
    "Qwen/Qwen1.5-1.8B": {
        "model_type": "qwen2", "hidden_size": 2048, "num_hidden_layers": 24, "num_attention_heads": 16, "num_key_value_heads": 16,
        "intermediate_size": 5504, "vocab_size": 151936,
    },
}  # fmt: skip


def facts(model: str = "all-MiniLM-L6-v2", config: dict[str, Any] | None = None, **changed: Any) -> ModelFacts:
    numbers = dataclasses.asdict(shape(config or CONFIGS[model]))
    numbers["linears"] = tuple(models.Linear(**one) for one in numbers["linears"])
    known = {
        "id": model, "source": "hub", "folder": None, "revision": "abc", "weight_files": ("model.safetensors",), "needs_conversion": False,
        "download_bytes": 0, "weights_bytes": 4 * numbers["body_parameters"], "licence": "apache-2.0", "languages": ("en",),
    }  # fmt: skip
    return ModelFacts(**{**numbers, **known, **changed})


def data(*classes: int, **changed: Any) -> DataFacts:
    """Facts of a data set with so many rows in each class."""
    names = ("negative", "positive", "neutral", "mixed")
    counts = dict(zip(names, classes or (2500, 2500), strict=False))
    told = DataFacts(
        origin="a file", sha256="f" * 64, rows=sum(counts.values()), usable=sum(counts.values()), dropped={}, columns=(), text="text",
        label="label", text_why="", label_why="", classes=counts, given_test=None, test_classes={}, chars=(100, 300, 600),
        words=(20, 60, 120), longest_words=200, sample=(), texts_sample=("a text",), notes=(), script_shares={"Latin": 1.0},
    )  # fmt: skip
    return dataclasses.replace(told, **changed)


TOKENS = TokenFacts(1.3, 0.0, tuple(range(20, 121)))
SPEC = RunSpec(DataSpec("file:some.csv"), "all-MiniLM-L6-v2", preset=None)


CATALOG = presets.load()


def planned(
    spec: RunSpec = SPEC,
    rows: DataFacts | None = None,
    model: ModelFacts | None = None,
    tokens: TokenFacts | None = TOKENS,
    hardware: Hardware = CPU,
) -> Plan:
    return plan(spec, rows or data(), model or facts(), tokens, hardware, CATALOG)


def found(
    spec: RunSpec = SPEC,
    rows: DataFacts | None = None,
    model: ModelFacts | None = None,
    tokens: TokenFacts | None = TOKENS,
    hardware: Hardware = CPU,
) -> tuple[Problem, ...]:
    return check(spec, rows or data(), model or facts(), tokens, hardware, CATALOG)


def with_settings(spec: RunSpec = SPEC, **settings: Value) -> RunSpec:
    return dataclasses.replace(spec, settings={**spec.settings, **settings})


# Pure, quick, whole


def test_check_and_plan_touch_no_file_and_no_network_and_are_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, model = data(), facts()
    check(SPEC, rows, model, TOKENS, CPU, CATALOG)  # methods and tasks are found once a process

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("not pure")

    with monkeypatch.context() as patched:
        patched.setattr(builtins, "open", refuse)
        patched.setattr(socket, "socket", refuse)
        patched.setattr(Path, "open", refuse)
        seconds = []
        for _ in range(5):
            begun = time.perf_counter()
            check(SPEC, rows, model, TOKENS, CPU, CATALOG)
            seconds.append(time.perf_counter() - begun)
        first, second = (plan(SPEC, rows, model, TOKENS, CPU, CATALOG) for _ in range(2))
    assert first == second
    assert min(seconds) < 0.05


def test_a_plan_comes_back_from_its_json_equal() -> None:
    made = planned(hardware=T4)
    assert from_json(to_json(made)) == made


def test_a_plan_of_a_newer_version_is_refused_in_words() -> None:
    with pytest.raises(Refused, match="Update Shur"):
        from_json(to_json(planned()).replace('"version": 1', '"version": 99'))


@pytest.mark.parametrize("method", sorted(all_methods()))
@pytest.mark.parametrize("task", sorted(all_tasks()))
@pytest.mark.parametrize("hardware", [CPU, T4, A100], ids=["cpu", "t4", "a100"])
def test_every_setting_has_a_value_and_every_automatic_one_a_reason(method: str, task: str, hardware: Hardware) -> None:
    told = all_tasks()[task]
    of_task = dataclasses.replace(SPEC.data, target=told.target)
    spec = dataclasses.replace(SPEC, data=of_task, method=method, task=task)
    model = facts() if not told.check(told.knobs(), facts()) else facts("SmolLM2", SMOLLM2)
    refusal = all_methods()[method].check(all_methods()[method].knobs(), told.facts(model), hardware)
    if any(one.severity == "error" for one in refusal):
        assert not told.facts(model).head, "a method that this kind of task leaves nothing to train"
        return
    rows = data(second="other") if told.pairs else data()
    made, knobs = planned(spec, rows, model, hardware=hardware), asked(spec, CATALOG).knobs
    assert rules.undecided(knobs) == ()
    assert set(made.settings) == set(knobs)
    assert {name for name, value in made.settings.items() if value is None} == {"max_rows", "max_steps", "folds"}
    left_open = {name for name, knob in knobs.items() if knob.default is None} - set(rules.OPEN_ENDED)
    assert {one.name for one in made.decisions} - {"select_by"} == left_open
    assert all(len(one.reason) > 10 and made.settings[one.name] == one.value for one in made.decisions)


def test_a_value_that_is_decided_lies_within_its_own_knobs_bounds() -> None:
    knobs = asked(SPEC, CATALOG).knobs
    for rows in (data(30, 30), data(), data(40_000, 40_000)):
        for hardware in (CPU, T4):
            settings = planned(rows=rows, hardware=hardware).settings
            for name, knob in knobs.items():
                value = settings[name]
                if isinstance(value, (int, float)) and not isinstance(value, bool):
                    assert knob.low is None or value >= knob.low, name
                    assert knob.high is None or value <= knob.high, name


# What is decided, and why


@pytest.mark.parametrize(
    ("hardware", "precision", "reason"),
    [
        (T4, "fp16", "Tesla T4 has no bf16 units (compute capability 7.5 < 8.0)"),
        (A100, "bf16", "has bf16 units"),
        (dataclasses.replace(CPU, bf16_units=False), "fp32", "This CPU has no bf16 units"),
        (CPU, "bf16", "2.0 times as fast as fp32"),
        (dataclasses.replace(CPU, bf16_flops=1.8e11), "fp32", "only 1.2 times"),
        (dataclasses.replace(CPU, bf16_flops=None, fp32_flops=None), "fp32", "has not been measured yet"),
    ],
    ids=["t4", "a100", "plain cpu", "fast bf16", "slow bf16", "not measured"],
)
def test_precision_follows_the_hardware(hardware: Hardware, precision: str, reason: str) -> None:
    made = planned(hardware=hardware)
    assert made.settings["precision"] == precision
    assert reason in str(made.reason("precision"))


@pytest.mark.parametrize(
    ("rows", "epochs", "effective", "words"),
    [
        (data(1250, 1250), 5, 32, "under 5,000 training rows an effective batch of 16 to 32"),
        (data(1250, 1250), 1, 16, "under 5,000 training rows an effective batch of 16 to 32"),
        (data(12_500, 12_500), 2, 64, "with 5,000 to 50,000 training rows an effective batch of 32 to 64"),
        (data(50_000, 50_000), 2, 128, "over 50,000 training rows an effective batch of 64 to 128"),
    ],
)
def test_the_effective_batch_follows_the_number_of_rows(rows: DataFacts, epochs: int, effective: int, words: str) -> None:
    made = planned(with_settings(epochs=epochs), rows)
    assert made.effective_batch == effective == made.settings["batch_size"] * made.settings["accumulation"]
    assert words in str(made.reason("accumulation"))
    batch, times = made.settings["batch_size"], made.settings["accumulation"]
    assert str(made.reason("accumulation")).startswith(f"{batch} x {times} = {effective}: ")


def test_a_batch_that_would_not_fit_is_made_smaller_and_the_effective_batch_kept() -> None:
    roomy = planned(with_settings(epochs=5, max_length=512))
    tight = planned(with_settings(epochs=5, max_length=512), hardware=dataclasses.replace(CPU, ram_free_bytes=roomy.memory_bytes))
    assert tight.settings["batch_size"] < roomy.settings["batch_size"]
    assert tight.effective_batch == roomy.effective_batch
    assert "would not fit" in str(tight.reason("batch_size"))
    assert tight.memory_bytes <= 0.8 * roomy.memory_bytes


def test_few_rows_are_passed_over_more_often() -> None:
    few, many = planned(rows=data(100, 100)), planned(rows=data(5000, 5000))
    assert few.settings["epochs"] == 10
    assert many.settings["epochs"] == 1
    assert "few" in str(few.reason("epochs"))


@pytest.mark.parametrize(("hardware", "bound"), [(CPU, 256), (T4, 512)], ids=["cpu", "gpu"])
def test_the_text_length_reaches_95_in_100_texts_within_a_bound(hardware: Hardware, bound: int) -> None:
    assert planned(hardware=hardware).settings["max_length"] == 128  # the 95th percentile of 20 to 120 is 115
    long = TokenFacts(1.3, 0.0, tuple(range(100, 1100)))
    made = planned(tokens=long, hardware=hardware)
    assert made.settings["max_length"] == bound
    assert made.cut_share == pytest.approx((1099 - bound) / 1000)


def test_without_a_tokenizer_the_length_is_guessed_from_words_and_said_so() -> None:
    made = planned(tokens=None)
    assert "guessed" in str(made.reason("max_length"))
    assert made.tokens_per_word is None


def test_the_learning_rate_is_the_methods_own_rule() -> None:
    for method in all_methods().values():
        assert planned(dataclasses.replace(SPEC, method=method.id)).settings["learning_rate"] == method.learning_rate


@pytest.mark.parametrize("classes", [(30, 30), (400, 401), (2500, 2499), (97, 3, 50)])
@pytest.mark.parametrize("settings", [{}, {"epochs": 1.5}, {"batch_size": 7, "accumulation": 3}, {"max_rows": 90}])
def test_rows_and_steps_are_those_that_the_split_and_the_training_make(classes: tuple[int, ...], settings: dict[str, Value]) -> None:
    rows = data(*classes)
    made = planned(with_settings(**settings), rows)
    labels = [name for name, count in rows.classes.items() for _ in range(count)]
    assert made.rows == {name: len(part) for name, part in split_rows(labels, settle(Split, made.settings)).items()}
    in_one_pass = len(batches([10] * made.rows["train"], made.settings["batch_size"], grouped=True, seed=1, epoch=0))
    steps_in_one_pass = -(-in_one_pass // made.settings["accumulation"])
    assert made.steps == max(1, round(made.settings["epochs"] * steps_in_one_pass))


def test_at_most_so_many_steps_are_kept_to() -> None:
    assert planned(with_settings(max_steps=40)).steps == 40
    assert planned(with_settings(max_steps=40, epochs=1, batch_size=128)).steps < 40


def test_there_are_checks_along_the_way_and_never_more_rows_scored_than_trained_on() -> None:
    for rows in (data(300, 300), data(), data(20_000, 20_000)):
        made = planned(rows=rows)
        checks = -(-made.steps // made.settings["evaluate_every"])
        assert 2 <= checks <= 11
        assert checks * made.rows["validation"] <= made.steps * made.effective_batch


# Presets


def test_what_the_person_set_is_above_the_preset_and_the_preset_above_the_defaults() -> None:
    spec = dataclasses.replace(SPEC, preset="bengali", settings={"epochs": 2})
    settings = planned(spec).settings
    assert (settings["epochs"], settings["learning_rate"], settings["select_by"]) == (2, 2e-4, "weighted_f1")


def test_a_presets_learning_rate_for_one_method_is_not_used_for_another() -> None:
    made = planned(dataclasses.replace(SPEC, preset="bengali", method="full"))
    assert made.settings["learning_rate"] == all_methods()["full"].learning_rate
    assert any("made for another method" in note for note in made.notes)


def test_a_preset_is_brought_within_reach_of_the_model_and_the_data_and_says_so() -> None:
    spec = dataclasses.replace(SPEC, preset="bengali")
    made = planned(spec, rows=data(50, 50), model=facts(max_tokens=128))
    assert made.settings["max_length"] == 128
    assert "more than this model reads" in str(made.reason("max_length"))
    assert made.settings["warmup_steps"] < made.steps / 2
    assert made.settings["evaluate_every"] < made.steps


NAMED = {  # what each preset names: (model, rows, hardware)
    "imdb-t4": ("Qwen/Qwen1.5-0.5B", data(25_000, 25_000), T4),
    "guide": ("Qwen/Qwen1.5-0.5B", data(25_000, 25_000), T4),
    "done-right": ("Qwen/Qwen1.5-0.5B", data(25_000, 25_000), T4),
    "bengali": ("sagorsarker/bangla-bert-base", data(4000, 4000, 3000), T4),
}


@pytest.mark.parametrize("recipe", CATALOG.recipes, ids=lambda recipe: recipe.id)
def test_every_preset_plans_cleanly_on_the_hardware_it_names(recipe: presets.Recipe) -> None:
    model, rows, hardware = NAMED.get(recipe.id, ("all-MiniLM-L6-v2", data(), CPU))
    task = recipe.task or "classify"
    of_task = DataSpec("file:some.csv", resplit=recipe.resplit, target=all_tasks()[task].target)
    spec = RunSpec(of_task, model, method=recipe.method or "lora", preset=recipe.id, task=task)
    problems = found(spec, rows, facts(model), hardware=hardware)
    assert [str(problem) for problem in problems] == []
    made = planned(spec, rows, facts(model), hardware=hardware)
    assert made.memory_bytes < (hardware.gpus[0].total_bytes if hardware.gpus else 8 * GB)
    for name, value in recipe.settings.items():
        assert made.settings[name] == value, "nothing of the preset had to be changed"


def test_every_preset_sets_only_knobs_that_some_method_or_task_has() -> None:
    for recipe in CATALOG.recipes:
        for method in [recipe.method] if recipe.method else ["lora"]:
            told = asked(dataclasses.replace(SPEC, preset=recipe.id, method=method, task=recipe.task or "classify"), CATALOG)
            assert told.problems == ()
            assert set(recipe.settings) == set(told.preset), recipe.id


# Problems


def fields(problems: tuple[Problem, ...], severity: str = "error") -> list[str]:
    return [problem.field for problem in problems if problem.severity == severity]


def test_all_problems_are_found_at_once() -> None:
    spec = RunSpec(
        DataSpec(""), " ", method="magic", task="poetry", preset="gone",
        settings={"epochs": -1, "batch_size": "many", "rankk": 3, "precision": "fp16", "learning_rate": 0.5},
    )  # fmt: skip
    problems = check(spec, None, None, None, CPU, CATALOG)
    assert set(fields(problems)) == {
        "data.source", "model", "method", "task", "preset",
        "settings.epochs", "settings.batch_size", "settings.rankk", "settings.precision",
    }  # fmt: skip
    assert all(problem.fix for problem in problems)


def test_problems_with_the_data_and_the_model_are_found_together_with_those_of_the_settings() -> None:
    spec = with_settings(batch_size=500, max_length=4000, precision="bf16", rank=256, epochs=1000)
    problems = found(
        spec, data(60, 60), facts("Qwen/Qwen1.5-1.8B", max_tokens=2048), hardware=dataclasses.replace(T4, disk_free_bytes=1000)
    )
    assert {"settings.batch_size", "settings.max_length", "settings.precision", "settings.epochs", "model"} <= set(fields(problems))
    with pytest.raises(Refused) as refused:
        planned(spec, data(60, 60), facts("Qwen/Qwen1.5-1.8B", max_tokens=2048), hardware=T4)
    assert len(refused.value.problems) >= 4


def test_a_setting_that_is_misspelt_gets_its_likely_name() -> None:
    (problem,) = found(with_settings(learning_rat=1e-4))
    assert (problem.field, problem.fix) == ("settings.learning_rat", "Did you mean learning_rate?")


def test_a_setting_of_another_method_is_told_so() -> None:
    (problem,) = found(with_settings(dataclasses.replace(SPEC, method="full"), rank=8))
    assert "is a setting of LoRA, not of Full fine-tuning" in problem.message
    assert problem.fix == "Remove rank. Full fine-tuning has no settings of its own."


@pytest.mark.parametrize(
    ("precision", "hardware", "severity"),
    [
        ("bf16", T4, "error"),
        ("fp16", CPU, "error"),
        ("bf16", dataclasses.replace(CPU, bf16_units=False), "warning"),
        ("fp16", T4, None),
        ("bf16", A100, None),
        ("fp32", T4, None),
    ],
)
def test_a_precision_that_the_hardware_lacks_is_a_problem(precision: str, hardware: Hardware, severity: str | None) -> None:
    problems = found(with_settings(precision=precision), hardware=hardware)
    assert [problem.severity for problem in problems] == ([severity] if severity else [])


@pytest.mark.parametrize(
    ("method", "settings", "field"),
    [
        ("lora", {"optimizer": "paged_adamw_32bit"}, "settings.optimizer"),
        ("full", {"optimizer": "paged_adamw_8bit"}, "settings.optimizer"),
        ("prefix", {"checkpointing": True}, "settings.checkpointing"),
        ("prompt", {"virtual_tokens": 250, "max_length": 300}, "settings.max_length"),
        ("prefix", {"virtual_tokens": 250, "max_length": 300}, "settings.max_length"),
    ],
)
def test_what_a_method_or_a_processor_cannot_do_is_an_error(method: str, settings: dict[str, Value], field: str) -> None:
    assert fields(found(dataclasses.replace(with_settings(**settings), method=method))) == [field]


def test_virtual_tokens_leave_room_for_the_text_or_are_refused() -> None:
    spec = dataclasses.replace(SPEC, method="prompt", preset=None)
    long = data(2000, 2000, words=(400,) * 100)
    assert planned(with_settings(spec, virtual_tokens=20), rows=long, model=facts(max_tokens=128)).settings["max_length"] == 108
    problems = found(with_settings(spec, virtual_tokens=120), model=facts(max_tokens=128))
    assert fields(problems) == ["settings.virtual_tokens"]


@pytest.mark.parametrize("settings", [{"optimizer": "adamw_8bit"}, {}])
def test_what_needs_bitsandbytes_is_refused_without_it(settings: dict[str, Value], monkeypatch: pytest.MonkeyPatch) -> None:
    from engine import checks

    there = checks.importlib.util.find_spec
    monkeypatch.setattr(checks.importlib.util, "find_spec", lambda name: None if name == "bitsandbytes" else there(name))
    spec = dataclasses.replace(with_settings(**settings), method="lora" if settings else "qlora")
    assert fields(found(spec)) == ["settings.optimizer" if settings else "method"]


def test_memory_that_is_not_there_is_an_error_whose_fix_works() -> None:
    spec = with_settings(dataclasses.replace(SPEC, model="Qwen/Qwen1.5-0.5B"), batch_size=16, max_length=512)
    hardware = dataclasses.replace(CPU, ram_free_bytes=6 * GB)
    long = TokenFacts(1.3, 0.0, tuple(range(20, 1000)))
    (problem,) = [one for one in found(spec, model=facts("Qwen/Qwen1.5-0.5B"), tokens=long, hardware=hardware) if one.severity == "error"]
    assert problem.field == "settings.batch_size"
    batch = int(problem.fix.removeprefix("Set batch_size to ").removesuffix(": that would fit."))
    fixed = found(with_settings(spec, batch_size=batch), model=facts("Qwen/Qwen1.5-0.5B"), tokens=long, hardware=hardware)
    assert fields(fixed) == []


def test_a_model_that_cannot_fit_is_refused_with_a_lighter_method() -> None:
    spec = dataclasses.replace(SPEC, model="Qwen/Qwen1.5-1.8B", method="full")
    (problem,) = [one for one in found(spec, model=facts("Qwen/Qwen1.5-1.8B"), hardware=T4) if "of memory" in one.message]
    assert "smaller model, or the method LoRA" in problem.fix


def test_a_disk_that_is_too_small_is_an_error() -> None:
    problems = found(model=facts(download_bytes=3 * GB), hardware=dataclasses.replace(CPU, disk_free_bytes=2 * GB))
    assert [problem.message for problem in problems if "of disk" in problem.message]


@pytest.mark.parametrize(
    ("changed", "field", "words"),
    [
        ({"rows": data(250, 250)}, "data.source", "400 training rows are few"),
        ({"rows": data(300, 300)}, "settings.test_share", "60 test rows are too few"),
        ({"rows": data(5000, 5000, given_test=80)}, "data.test", "80 test rows are too few"),
        ({"rows": data(5000, 500)}, "data.label", "91% of the rows are 'negative'"),
        ({"tokens": TokenFacts(5.2, 0.0, (20, 50))}, "model", "breaks your words into 5.2 pieces"),
        ({"tokens": TokenFacts(1.2, 0.4, (20, 50))}, "model", "40% of the pieces"),
        ({"tokens": TokenFacts(1.2, 0.0, (20, 50, 600, 900))}, "settings.max_length", "50% of the texts are longer than 256 tokens"),
        ({"spec": with_settings(learning_rate=0.1)}, "settings.learning_rate", "unusually high"),
        ({"spec": with_settings(learning_rate=1e-6)}, "settings.learning_rate", "unusually low"),
        ({"spec": with_settings(warmup_steps=5000)}, "settings.warmup_steps", "as long as the whole training"),
        ({"spec": dataclasses.replace(SPEC, model="meta-llama/Llama-3.2-1B")}, "model", "is gated"),
    ],
    ids=lambda one: "" if isinstance(one, dict) else str(one),
)
def test_what_a_person_should_know_is_a_warning_beside_its_field(changed: dict[str, Any], field: str, words: str) -> None:
    told = [problem for problem in found(**changed) if problem.field == field and problem.severity == "warning"]
    assert any(words in problem.message for problem in told), found(**changed)
    planned(**changed)  # a warning keeps nothing from starting


def test_bengali_under_an_english_tokenizer_is_told_with_models_that_read_it() -> None:
    bengali = data(script_shares={"Bengali": 0.9, "Latin": 0.1})
    (problem,) = found(rows=bengali, tokens=TokenFacts(4.8, 0.0, (20, 50)))
    assert "breaks Bengali words into 4.8 pieces" in problem.message
    assert "BanglaBERT" in problem.fix


def test_bengali_and_banglish_mixed_are_told_at_fewer_pieces_than_english() -> None:
    tokens = TokenFacts(3.3, 0.0, (20, 50))
    assert fields(found(rows=data(script_shares={"Bengali": 0.6, "Latin": 0.4}), tokens=tokens), "warning") == ["model"]
    assert found(tokens=tokens) == ()


def test_ordinary_data_on_an_ordinary_machine_has_no_problem() -> None:
    assert found() == ()
    assert planned().rows["train"] >= FEW_TRAINING_ROWS
    assert planned().rows["test"] >= FEW_TEST_ROWS


def test_no_settings_whatever_make_check_raise_and_plan_refuses_just_what_check_calls_an_error() -> None:
    dice = random.Random(7)
    knobs = list(asked(SPEC, CATALOG).knobs.values())
    machines = (CPU, T4, A100, dataclasses.replace(CPU, ram_free_bytes=2 * GB, fp32_flops=None))
    for _ in range(300):
        settings = {knob.name: some_value(knob, dice) for knob in dice.sample(knobs, dice.randrange(8))}
        preset = dice.choice([None, *(recipe.id for recipe in CATALOG.recipes)])
        spec = dataclasses.replace(SPEC, settings=settings, preset=preset, method=dice.choice(["lora", "full"]))
        rows = data(*(dice.choice([3, 30, 800, 30_000]) for _ in range(dice.randrange(2, 5))))
        case = (spec, rows, facts(dice.choice(list(CONFIGS))), dice.choice([TOKENS, None]), dice.choice(machines))
        errors = [problem for problem in found(*case) if problem.severity == "error"]
        if errors:
            with pytest.raises(Refused):
                planned(*case)
        else:
            made = planned(*case)
            assert made.steps >= 1
            assert made.memory_bytes <= made.memory_available_bytes, case


def some_value(knob: Knob, dice: random.Random) -> Value:
    if knob.kind == "choice":
        return dice.choice([*(value for value, _ in knob.choices), "nonsense"])
    if knob.kind == "switch":
        return dice.random() < 0.5
    low, high = knob.low or 0, min(knob.high or 100, 5000)
    return round(dice.uniform(low, high)) if knob.kind == "whole" else dice.uniform(low, high)
