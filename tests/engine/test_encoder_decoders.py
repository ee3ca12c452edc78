"""Models that read with an encoder and write with a decoder: counted, encoded, learnt, judged and written with as they are."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from engine import account, memory, models, speed
from engine.conversation import Said, Turn, prompt
from engine.data.columns import ColumnFacts
from engine.data.texts import Texts
from engine.decoding import Decoding
from engine.encoder_decoders import DEFAULTS
from engine.errors import Refused
from engine.families import shape
from engine.generation import generate
from engine.knobs import settle
from engine.methods import all_methods
from engine.models import ModelFacts
from engine.spec import DataSpec, RunSpec
from engine.studio import Studio
from engine.tasks import _language, all_tasks, answer, transform
from tests.engine.test_families import CATALOGUE
from tests.engine.test_methods import HARDWARE
from tests.engine.test_plan import A100, T4, data, facts, found, planned
from tests.engine.test_playground import over
from tests.engine.test_worker import record, work
from tests.engine.test_writers import a_spec
from tests.tiny import ENCODER_DECODERS, LINES, tiny

TASK = all_tasks()["transform"]
KNOBS = transform.TransformKnobs(max_length=120)
TEXTS = Texts(LINES[:5], None, LINES[3:8])
SETTINGS: dict[str, Any] = {
    "rank": 4, "dropout": 0.0, "virtual_tokens": 4, "encoder_width": 16, "adapter_reduction": 8, "top_blocks": 1,
}  # fmt: skip
CANNOT = {"head", "prefix", "bitfit"}  # no head to learn; no right prefix of PEFT's; no biases
T5_SMALL = {"model_type": "t5"}
MT5_SMALL = {"model_type": "mt5", "tie_word_embeddings": False}
TRANSLATING = RunSpec(DataSpec("file:some.csv", target="text"), "t5-small", task="transform", preset=None)


@dataclasses.dataclass
class One:
    """A tiny model as it came, with its tokenizer and facts."""

    folder: Path
    tokenizer: Any
    model: Any
    facts: ModelFacts


def opened(architecture: str, tmp_path: Path, **config: Any) -> One:
    folder = tiny(architecture, tmp_path / architecture, **config)
    tokenizer = TASK.load_tokenizer(folder)
    model = TASK.load_model(folder, (), pad_token_id=tokenizer.pad_token_id).eval()
    return One(folder, tokenizer, model, TASK.facts(models.find(str(folder), token=None, home=tmp_path)))


# Counted


@pytest.mark.parametrize("kind", DEFAULTS)
@pytest.mark.parametrize(
    "changes", [{}, {"num_layers": 6, "num_decoder_layers": 2}, {"feed_forward_proj": "gated-gelu", "d_kv": 16, "num_heads": 3}]
)
def test_matrices_blocks_and_parameters_are_counted_as_transformers_makes_them(kind: str, changes: dict[str, Any]) -> None:
    from transformers import AutoConfig, AutoModelForSeq2SeqLM

    config = AutoConfig.for_model(kind, **{**ENCODER_DECODERS[kind], "vocab_size": 300, "feed_forward_proj": "relu", **changes})
    with torch.device("meta"):
        model = AutoModelForSeq2SeqLM.from_config(config)
    told = shape(config.to_dict())
    own = dict(model.named_parameters())
    assert told.body_parameters == sum(one.numel() for one in own.values())
    matrices = {name: one for name, one in model.named_modules() if isinstance(one, torch.nn.Linear) and ".block." in name}
    assert told.layers * len(told.linears) == len(matrices)
    for name, group in itertools.groupby(sorted(told.linears, key=lambda one: one.name), key=lambda one: one.name):
        there = [(one.in_features, one.out_features) for path, one in matrices.items() if path.endswith(name)]
        assert sorted(there) == sorted((one.inputs, one.outputs) for one in [*group] * told.layers)
    assert told.norm_parameters == sum(one.numel() for name, one in own.items() if "norm" in name)
    assert told.block_parameters == sum(one.numel() for name, one in own.items() if f"decoder.block.{told.decoder_layers - 1}." in name)
    assert told.final_norm_parameters == own["decoder.final_layer_norm.weight"].numel()
    assert (told.decoder_layers > 0, told.decoder) == (True, False)


def test_a_head_of_its_own_is_counted_where_the_config_names_one(tmp_path: Path) -> None:
    one = opened("mt5", tmp_path)
    assert one.facts.parameters(2) == sum(part.numel() for part in one.model.parameters())
    assert one.model.lm_head.weight is not one.model.shared.weight


# Encoded


def test_the_prompt_is_a_text_of_its_own_with_an_end_and_so_is_the_answer(tmp_path: Path) -> None:
    tokenizer = opened("t5", tmp_path).tokenizer
    knobs = transform.TransformKnobs(max_length=120, template="translate English to Bengali: {text}")
    (row,) = transform.encode(tokenizer, Texts(["a good film"], None, ["খুব ভালো"]), knobs)
    read, written = [one for one in row if one >= 0], [~one for one in row if one < 0]
    assert read == tokenizer("translate English to Bengali: a good film")["input_ids"]
    assert written == tokenizer("খুব ভালো")["input_ids"]
    assert read[-1] == written[-1] == tokenizer.eos_token_id
    (alone,) = transform.encode(tokenizer, Texts(["a good film"]), knobs)
    assert alone == read


def test_of_a_row_that_is_too_long_both_are_cut_and_the_prompt_keeps_its_end(tmp_path: Path) -> None:
    tokenizer = opened("t5", tmp_path).tokenizer
    knobs = answer.AnswerKnobs(max_length=48, template="question: {text} context: {context}")
    (row,) = answer.encode(tokenizer, Texts(["is it good"], ["a film " * 100], ["bad " * 100]), knobs)
    read = [one for one in row if one >= 0]
    assert len(row) <= 48
    assert 0 < len(_language.learnt(row)) < 48
    assert read[-1] == tokenizer.eos_token_id
    assert len(answer.encode(tokenizer, Texts(["good " * 200], [""]), knobs)[0]) <= 48


def test_a_kept_tokenizer_still_knows_that_its_model_writes_apart(tmp_path: Path) -> None:
    tokenizer = opened("t5", tmp_path).tokenizer
    tokenizer.save_pretrained(tmp_path / "kept")
    again = TASK.load_tokenizer(tmp_path / "kept")
    assert transform.encode(again, TEXTS, KNOBS) == transform.encode(tokenizer, TEXTS, KNOBS)


def test_a_text_that_is_typed_keeps_the_end_that_its_encoder_reads(tmp_path: Path) -> None:
    tokenizer = opened("t5", tmp_path).tokenizer
    told = prompt(tokenizer, Said((Turn("user", "a good film"),)), (tokenizer.eos_token_id,))
    assert list(told.ids) == tokenizer("a good film")["input_ids"]


# Learnt


@pytest.mark.parametrize("architecture", ENCODER_DECODERS)
def test_a_padded_batch_teaches_what_each_row_alone_does(architecture: str, tmp_path: Path) -> None:
    """Losses and gradients, against rows that are computed one by one, their loss written out by hand."""
    one = opened(architecture, tmp_path)
    rows = transform.encode(one.tokenizer, TEXTS, KNOBS)
    total, count = torch.zeros(()), 0
    for source, target in zip(LINES[:5], LINES[3:8], strict=True):
        read = one.tokenizer(f"Text: {source} Result:")["input_ids"]
        wanted = one.tokenizer(target)["input_ids"]
        logits = one.model(
            input_ids=torch.tensor([read]), decoder_input_ids=torch.tensor([[one.model.config.decoder_start_token_id, *wanted[:-1]]])
        ).logits[0]
        for at, token in enumerate(wanted):
            total = total - torch.log_softmax(logits[at], dim=-1)[token]
            count += 1
    (total / count).backward()
    alone = {name: part.grad.clone() for name, part in one.model.named_parameters() if part.grad is not None}
    for most in (None, 120):  # with it, widths are rounded up
        one.model.zero_grad()
        loss = TASK.learn(one.model, one.tokenizer, rows, [0] * 5, most=most)
        loss.backward()
        assert TASK.counted(rows) == count
        assert loss.item() == pytest.approx((total / count).item(), rel=1e-5)
        assert {name for name, part in one.model.named_parameters() if part.grad is not None} == alone.keys()
        for name, part in one.model.named_parameters():
            assert torch.allclose(part.grad, alone[name], rtol=1e-4, atol=2e-5), name
    nats = TASK.answers(one.model, one.tokenizer, rows, batch_size=2)
    assert nats[:, 0].sum() == pytest.approx(total.item(), rel=1e-5)
    assert nats[:, 1].sum() == count


@pytest.mark.parametrize("method", [one for one in all_methods() if one not in CANNOT])
def test_every_method_learns_counts_right_and_comes_back_equal(method: str, tmp_path: Path) -> None:
    one, told = opened("t5", tmp_path), all_methods()[method]
    knobs: Any = settle(told.knobs, SETTINGS)
    assert told.check(knobs, one.facts, HARDWARE) == ()
    quantised = told.quantisation(knobs, one.facts, "fp32") if told.quantisation else None

    def base(folder: Path) -> torch.nn.Module:
        return TASK.load_model(folder, (), pad_token_id=one.tokenizer.pad_token_id, quantisation=quantised)

    torch.manual_seed(0)
    model = told.prepare(base(one.folder), knobs, one.facts).eval()
    trained = [part for part in model.parameters() if part.requires_grad]
    assert sum(part.numel() for part in trained) == told.trainable(knobs, one.facts, 2)
    rows = transform.encode(one.tokenizer, TEXTS, KNOBS)
    optimizer, losses = torch.optim.AdamW(trained, lr=max(2e-2, told.learning_rate)), []
    if told.along:
        told.along.begin(model, 12)
    for _ in range(12):
        loss = TASK.learn(model, one.tokenizer, rows, [0] * 5)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    nats = TASK.answers(model, one.tokenizer, rows, batch_size=2)
    (tmp_path / "kept").mkdir()
    told.save(model, tmp_path / "kept")
    again = told.load(tmp_path / "kept", one.folder, base).eval()
    assert TASK.answers(again, one.tokenizer, rows) == pytest.approx(nats, abs=5e-3)
    prompts = transform.encode(one.tokenizer, Texts(LINES[:4]), KNOBS)
    short = Decoding(temperature=0.0, max_new_tokens=6)
    together = generate(again, one.tokenizer, prompts, short).texts
    assert together == tuple(generate(again, one.tokenizer, [ids], short).texts[0] for ids in prompts)
    if told.merge:
        merged = told.merge(again).eval()
        assert TASK.answers(merged, one.tokenizer, rows) == pytest.approx(nats, rel=1e-3)


@pytest.mark.parametrize("method", sorted(CANNOT))
def test_a_method_that_cannot_be_is_refused_with_its_reason(method: str, tmp_path: Path) -> None:
    told = all_methods()[method]
    (problem,) = told.check(told.knobs(), opened("t5", tmp_path).facts, HARDWARE)
    assert problem.field == "method"
    assert "LoRA" in problem.fix


def test_in_few_bits_the_last_matrix_of_a_feed_forward_stays_as_it_is(tmp_path: Path) -> None:
    """As transformers keeps it; memory counts it so."""
    one, told = opened("t5", tmp_path), all_methods()["qlora"]
    assert told.quantisation is not None
    model = TASK.load_model(one.folder, (), quantisation=told.quantisation(told.knobs(), one.facts, "bf16"), dtype="bfloat16")
    matrices = {name: one for name, one in model.named_modules() if ".block." in name and isinstance(one, torch.nn.Linear)}
    kinds = {name.rpartition(".")[2]: type(one).__name__ for name, one in matrices.items()}
    assert kinds.pop("wo") == "Linear"
    assert set(kinds.values()) == {"Linear4bit"}


@pytest.mark.parametrize("method", ["lora", "full", "adapter"])
def test_gradient_checkpointing_gives_the_same_gradients(method: str, tmp_path: Path) -> None:
    told, found = all_methods()[method], []
    for recompute in (False, True):
        one = opened("t5", tmp_path / str(recompute), dropout_rate=0.0)
        torch.manual_seed(0)
        model: Any = told.prepare(one.model, settle(told.knobs, SETTINGS), one.facts)
        if recompute:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        TASK.learn(model.train(), one.tokenizer, transform.encode(one.tokenizer, TEXTS, KNOBS), [0] * 5).backward()
        found.append(torch.cat([part.grad.flatten() for part in model.parameters() if part.grad is not None]))
    assert torch.allclose(*found, atol=1e-6)
    assert found[0].abs().max() > 0.01


def test_adapters_beside_the_feed_forward_stand_in_the_blocks_of_both(tmp_path: Path) -> None:
    one, told = opened("t5", tmp_path), all_methods()["adapter"]
    knobs: Any = settle(told.knobs, {**SETTINGS, "adapter_place": "parallel"})
    model = told.prepare(one.model, knobs, one.facts)
    (tmp_path / "kept").mkdir()
    told.save(model, tmp_path / "kept")
    kept = json.loads((tmp_path / "kept" / "delta.json").read_text("utf-8"))["added"]
    assert (kept["at"], kept["takes_in"]) == (["DenseReluDense.wo"], "DenseReluDense.wi")
    blocks = {name.split(".adapter.")[0].rpartition(".block.")[0] for name, part in model.named_parameters() if part.requires_grad}
    assert blocks == {"encoder", "decoder"}


# Planned


def columns(answers: float) -> tuple[ColumnFacts, ...]:
    return tuple(ColumnFacts(name, 5000, 5000, chars, chars / 5, (), "text", "") for name, chars in (("text", 100.0), ("label", answers)))


def rows(answers: float = 100.0) -> Any:
    return data(5000, classes={"all rows": 5000}, target="text", columns=columns(answers))


@pytest.mark.parametrize("task", [one.id for one in all_tasks().values() if not one.encoder_decoders])
def test_what_it_is_not_trained_for_is_told_with_what_it_is(task: str) -> None:
    told = all_tasks()[task]
    spec = dataclasses.replace(TRANSLATING, task=task, data=dataclasses.replace(TRANSLATING.data, target=told.target))
    (problem, *_) = [one for one in found(spec, model=facts("t5-small", T5_SMALL)) if one.field == "model"]
    assert problem.message == f"t5-small reads a text and writes another, and “{told.name}” is not learnt so here."
    assert "Turn a text into another" in problem.fix
    with pytest.raises(Refused):
        planned(spec, model=facts("t5-small", T5_SMALL))


def test_rows_are_not_packed_and_a_prefix_is_advised(tmp_path: Path) -> None:
    told = planned(TRANSLATING, rows(), facts("t5-small", T5_SMALL))
    assert told.settings["packing"] is False
    assert "not packed" in str(told.reason("packing"))
    assert any("translate English to French: {text}" in note for note in told.notes)
    own = dataclasses.replace(TRANSLATING, settings={"template": "summarize: {text}"})
    assert not any("summarize" in note for note in planned(own, rows(), facts("t5-small", T5_SMALL)).notes)
    assert not any("summarize" in note for note in planned(TRANSLATING, rows(), facts("mt5-small", MT5_SMALL)).notes)


def test_fp16_is_neither_chosen_nor_taken() -> None:
    t5 = facts("t5-small", T5_SMALL)
    on_t4 = planned(TRANSLATING, rows(), t5, hardware=T4)
    assert on_t4.settings["precision"] == "fp32"
    assert "beyond what fp16 holds" in str(on_t4.reason("precision"))
    assert planned(TRANSLATING, rows(), t5, hardware=A100).settings["precision"] == "bf16"
    asked = dataclasses.replace(TRANSLATING, settings={"precision": "fp16"})
    assert "settings.precision" in {one.field for one in found(asked, rows(), t5, hardware=T4) if one.severity == "error"}
    preset = dataclasses.replace(TRANSLATING, preset="imdb-t4")
    assert planned(preset, rows(), t5, hardware=T4).settings["precision"] == "fp32"


def test_a_text_may_be_longer_than_it_was_taught_and_that_is_told() -> None:
    asked = dataclasses.replace(TRANSLATING, settings={"max_length": 1024, "batch_size": 1})
    (problem,) = [one for one in found(asked, rows(), facts("t5-small", T5_SMALL)) if one.field == "settings.max_length"]
    assert problem.severity == "warning"
    assert "512" in problem.message


def test_short_answers_of_a_large_vocabulary_need_less_memory_than_long_ones() -> None:
    asked = dataclasses.replace(TRANSLATING, model="mt5-small", settings={"batch_size": 4})
    short, long = (planned(asked, rows(letters), facts("mt5-small", MT5_SMALL), hardware=A100) for letters in (5.0, 100.0))
    assert short.memory_bytes < long.memory_bytes


def test_a_full_t5_takes_larger_steps() -> None:
    asked = dataclasses.replace(TRANSLATING, method="full")
    assert planned(asked, rows(), facts("t5-small", T5_SMALL)).settings["learning_rate"] == 1e-4


# From its plan to its account, and to the playground


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    one = Studio(tmp_path / "home", dispatch=False)
    yield one
    one.close()


def test_it_goes_from_its_plan_to_an_account_and_writes_beside_its_untuned_base(studio: Studio, tmp_path: Path) -> None:
    spec = a_spec("transform", tmp_path, model=str(tiny("t5", tmp_path / "base")))
    folder = studio.store.folder(studio.start(spec))
    assert work(folder) == 0, (folder / "log.txt").read_text()
    done = record(folder)
    assert done.steps[-1].loss < done.steps[0].loss
    told = account.from_json((folder / account.FILE).read_text("utf-8"))
    assert told.written == 4
    assert {"perplexity_token", "chrf", "bleu"} < {one.id for one in told.figures}
    assert all(one.before is not None for one in told.figures)
    assert any("packed" in (one.reason or "") for one in studio.plan(folder.name).decisions)
    assert f"run:{folder.name}" in {one.id for one in studio.writers()}
    said = Said((Turn("user", LINES[0]),))
    ticket = studio.write([(f"model:{spec.model}", said), (f"run:{folder.name}", said)], Decoding(temperature=0.0, max_new_tokens=8))
    untuned, tuned = over(studio.playground, ticket)
    assert (untuned.problems, tuned.problems) == ((), ())
    assert (untuned.form, tuned.form) == ("taught", "taught")
    assert tuned.tokens > 0
    assert tuned.prompt_tokens == len(transform.encode(TASK.load_tokenizer(folder / "model"), Texts([LINES[0]]), KNOBS)[0])


# Measured: bytes at the peak in MB, milliseconds of processor time a row in training and read only, and the core's products (memory.py)
MEASURED: dict[tuple[str, str, str, int, int, int], tuple[int, float, float, float]] = {
    ("t5-small", "lora", "fp32", 16, 64, 64): (3553, 313.7, 127.7, 82e9),
    ("t5-small", "lora", "bf16", 16, 128, 128): (3814, 436.1, 133.6, 199e9),
    ("t5-small", "lora", "bf16", 16, 224, 32): (2824, 374.1, 100.7, 190e9),
    ("t5-small", "qlora", "bf16", 16, 128, 128): (3988, 456.9, 150.3, 193e9),
    ("t5-small", "full", "fp32", 8, 64, 64): (2157, 396.2, 110.6, 87e9),
    ("mt5-small", "lora", "bf16", 4, 64, 64): (2564, 645.3, 264.2, 192e9),
    ("banglat5", "lora", "bf16", 8, 64, 64): (3223, 761.4, 251.1, 188e9),
}
SHAPES = {"t5-small": T5_SMALL, "mt5-small": MT5_SMALL, "banglat5": CATALOGUE["csebuetnlp/banglat5"]}


@pytest.mark.parametrize("case", MEASURED, ids=lambda case: "-".join(map(str, case)))
def test_memory_and_time_are_near_what_was_measured(case: tuple[str, str, str, int, int, int]) -> None:
    name, method, precision, batch, read, written = case
    peak, trained, checked, products = MEASURED[case]
    told, model = all_methods()[method], TASK.facts(facts(name, {**SHAPES[name], "tie_word_embeddings": True}))  # as they were measured
    knobs: Any = settle(told.knobs, {})
    own: dict[str, Any] = {"trainable": told.trainable(knobs, model, 2), "freezes_body": told.freezes_body,
                           "footprint": told.footprint(knobs, model), "precision": precision, "checkpointing": False}  # fmt: skip
    shape = memory.Shape(labels=2, batch=batch, length=read + written, device="cpu", logits=written, **own)
    assert memory.estimate(model, shape).total_bytes / memory.MB == pytest.approx(peak, rel=0.15)
    load = speed.Load(
        train_rows=1000, batches=1000 // batch, steps=1, checks=1, checked_rows=1000, test_rows=0, all_rows=0, tokens=read + written,
        uncut_tokens=0, characters=0, scored=written, **{**own, "trainable": 0},
    )  # fmt: skip
    core = dataclasses.replace(HARDWARE, cores=1, bf16_units=True, fp32_flops=86e9, bf16_flops=products)
    parts = speed.seconds(model, load, core)
    assert parts["training"] == pytest.approx(speed.ELSEWHERE * trained, rel=0.25)
    assert parts["validation"] == pytest.approx(checked, rel=0.2)
