"""Models from a stand-in Hub: the real client over loopback, and every way that it can fail, told in words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine import models, pooling
from engine.errors import Refused
from engine.models import ModelFacts, count_tokens, fetch, find
from tests.hub import TOKEN, Hub, environment, serve_imdb, serve_tiny_qwen
from tests.tiny import as_bin, as_vocab_txt, tiny

QWEN = "Qwen/Qwen1.5-0.5B"


def silent(message: str, done: int, total: int) -> None:
    pass


def refusal(model: str, home: Path, token: str | None = None) -> str:
    with pytest.raises(Refused) as caught:
        find(model, token=token, home=home)
    assert all(problem.field == "model" and problem.fix for problem in caught.value.problems)
    return str(caught.value)


def home_of(tmp_path: Path) -> Path:
    return tmp_path / "home"


def fetched(facts: ModelFacts, home: Path) -> Path:
    return fetch(facts, token=None, home=home, say=silent)


def test_facts_cost_a_config_and_no_weights(hub: Hub, tmp_path: Path) -> None:
    folder = serve_tiny_qwen(hub.root)
    facts = find(QWEN, token=None, home=home_of(tmp_path))
    assert (facts.source, facts.architecture, facts.decoder, facts.folder) == ("hub", "qwen2", True, None)
    assert facts.revision is not None
    assert len(facts.revision) == 40
    assert facts.licence == "tongyi-qianwen-research"
    assert facts.languages == ("en",)
    needed = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
    sizes = {name: (folder / name).stat().st_size for name in needed}
    assert facts.download_bytes == sum(sizes.values()) - sizes["config.json"]
    assert facts.weights_bytes == sizes["model.safetensors"]
    assert not [one for one in hub.requests if "safetensors" in one or "/lfs/" in one]


def test_a_model_is_fetched_once_and_only_what_it_needs(hub: Hub, tmp_path: Path) -> None:
    served = serve_tiny_qwen(hub.root)
    (served / "flax_model.msgpack").write_bytes(b"not wanted")
    (served / "modeling_own.py").write_text("raise SystemExit")
    home = home_of(tmp_path)
    facts = find(QWEN, token=None, home=home)
    said: list[tuple[int, int]] = []
    folder = fetch(facts, token=None, home=home, say=lambda message, done, total: said.append((done, total)))
    assert sorted(one.name for one in folder.iterdir()) == ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    assert (folder / "model.safetensors").read_bytes() == (served / "model.safetensors").read_bytes()
    assert said[-1][0] == said[-1][1] > 0
    assert [done for done, _ in said] == sorted(done for done, _ in said)
    hub.requests.clear()
    again = find(QWEN, token=None, home=home)
    assert (again.folder, again.download_bytes) == (str(folder), 0)
    assert fetched(again, home) == folder
    assert hub.requests == [f"GET /api/models/{QWEN}"], "one question for the newest commit"


def test_the_fetched_model_loads_and_its_tokens_are_counted(hub: Hub, tmp_path: Path) -> None:
    from engine.tasks import classify

    serve_tiny_qwen(hub.root)
    home = home_of(tmp_path)
    facts = find(QWEN, token=None, home=home)
    counted = count_tokens(facts, ["A good film"], home=home, token=None)
    folder = fetched(facts, home)
    tokenizer = classify.load_tokenizer(folder)
    assert counted is not None
    assert counted.lengths == (len(tokenizer("A good film")["input_ids"]),)
    model = classify.load_model(folder, ("a", "b"), pad_token_id=tokenizer.pad_token_id)
    assert sum(one.numel() for one in model.parameters()) == facts.parameters(2)


def test_without_a_network_a_fetched_model_is_found_and_another_is_not(hub: Hub, tmp_path: Path) -> None:
    serve_tiny_qwen(hub.root)
    tiny("bert", hub.root / "models" / "org" / "other")
    home = home_of(tmp_path)
    folder = fetched(find(QWEN, token=None, home=home), home)
    find("org/other", token=None, home=home)  # only looked at
    hub.close()
    facts = find(QWEN, token=None, home=home)
    assert (facts.folder, facts.download_bytes, facts.licence) == (str(folder), 0, "tongyi-qianwen-research")
    assert fetched(facts, home) == folder
    for model in ("org/other", "org/never-seen"):
        assert "cannot be reached" in refusal(model, home)
        assert "all-MiniLM-L6-v2" in refusal(model, home), "the fix names a model that needs no network"


def test_offline_mode_is_a_network_that_is_not_there(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    serve_tiny_qwen(hub.root)
    home = home_of(tmp_path)
    fetched(find(QWEN, token=None, home=home), home)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert find(QWEN, token=None, home=home).download_bytes == 0
    assert "cannot be reached" in refusal("org/other", home)


def test_what_another_program_fetched_is_used_and_not_fetched_again(hub: Hub, tmp_path: Path) -> None:
    from huggingface_hub import constants, snapshot_download

    serve_tiny_qwen(hub.root)
    theirs = snapshot_download(QWEN, endpoint=hub.url, token=False, cache_dir=constants.HF_HUB_CACHE)
    hub.requests.clear()
    home = home_of(tmp_path)
    facts = find(QWEN, token=None, home=home)
    assert (facts.folder, facts.download_bytes) == (theirs, 0)
    assert not [one for one in hub.requests if "resolve" in one]
    hub.close()
    assert find(QWEN, token=None, home=tmp_path / "new home").folder == theirs


def test_how_a_model_pools_comes_with_it_and_is_missed_where_another_program_left_it_out(hub: Hub, tmp_path: Path) -> None:
    from huggingface_hub import constants, snapshot_download

    served = tiny("bert", hub.root / "models" / "org" / "pooled")
    (served / pooling.FILE).parent.mkdir()
    (served / pooling.FILE).write_text('{"pooling_mode_cls_token": true}')
    home = home_of(tmp_path)
    facts = find("org/pooled", token=None, home=home)
    assert facts.pooling == ("cls",)
    assert pooling.read(fetched(facts, home)) == ("cls",)
    theirs = snapshot_download("org/pooled", endpoint=hub.url, token=False, cache_dir=constants.HF_HUB_CACHE, ignore_patterns="1_*")
    hub.close()
    assert find("org/pooled", token=None, home=home).pooling == ("cls",)
    alone = find("org/pooled", token=None, home=tmp_path / "new home")
    assert (alone.folder, alone.pooling) == (theirs, pooling.MEAN)


def test_a_commit_that_a_run_was_trained_on_stays_usable_after_the_repository_changed(hub: Hub, tmp_path: Path) -> None:
    served = serve_tiny_qwen(hub.root)
    home = home_of(tmp_path)
    old = find(QWEN, token=None, home=home)
    folder = fetched(old, home)
    tiny("qwen2", served, seed=1)
    new = find(QWEN, token=None, home=home)
    assert new.revision != old.revision
    assert fetched(new, home) != folder
    hub.requests.clear()
    kept = find(QWEN, token=None, home=home, revision=old.revision)
    assert fetched(kept, home) == folder
    assert hub.requests == [], "a commit never changes, so nobody is asked"


def test_a_model_that_does_not_exist_is_told_with_what_to_check(hub: Hub, tmp_path: Path) -> None:
    assert "private" in refusal("org/missing", home_of(tmp_path))
    assert "spelling" in refusal("org/missing", home_of(tmp_path), token=TOKEN)


def test_a_gated_model_wants_a_token_whose_owner_accepted_the_terms(hub: Hub, tmp_path: Path) -> None:
    tiny("llama", hub.root / "models" / "meta-llama" / "Llama-3.2-1B")
    hub.gated.add("meta-llama/Llama-3.2-1B")
    home = home_of(tmp_path)
    without = refusal("meta-llama/Llama-3.2-1B", home)
    assert "gated" in without
    assert "give a Hub token" in without
    assert "account that your token belongs to" in refusal("meta-llama/Llama-3.2-1B", home, token="hf_otherPerson")
    assert "does not accept this token" in refusal("meta-llama/Llama-3.2-1B", home, token="hf_nonsense")
    facts = find("meta-llama/Llama-3.2-1B", token=TOKEN, home=home)
    assert (fetch(facts, token=TOKEN, home=home, say=silent) / "model.safetensors").exists()


def test_a_token_is_written_nowhere_and_goes_to_no_other_host(hub: Hub, tmp_path: Path) -> None:
    tiny("llama", hub.root / "models" / "org" / "gated")
    hub.gated.add("org/gated")
    home = home_of(tmp_path)
    fetch(find("org/gated", token=TOKEN, home=home), token=TOKEN, home=home, say=silent)
    count_tokens(find("org/gated", token=TOKEN, home=home), ["a"], home=home, token=TOKEN)
    told = refusal("org/gated", tmp_path / "another", token="hf_otherPerson")
    assert "hf_other" not in told
    assert hub.tokens_at_storage == []
    assert [one for one in hub.requests if "/lfs/" in one], "the weights did come from the other host"
    holding = [one for one in tmp_path.rglob("*") if one.is_file() and TOKEN.encode() in one.read_bytes()]
    assert holding == []


@pytest.mark.parametrize(
    ("status", "said"), [(500, "fault of its own"), (503, "fault of its own"), (429, "too much"), (403, "may not read")]
)
def test_a_hub_in_trouble_is_told_in_words(status: int, said: str, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.hub import _Handler

    monkeypatch.setattr(_Handler, "_route", lambda handler: handler._answer(status, b"no", {}))
    assert said in refusal(QWEN, home_of(tmp_path))


def test_what_is_no_hub_is_told_in_words(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hotel's login page answers every address with HTML."""
    from tests.hub import _Handler

    monkeypatch.setattr(
        _Handler, "_route", lambda handler: handler._answer(200, b"<html>Please log in</html>", {"Content-Type": "text/html"})
    )
    assert "cannot be reached" in refusal(QWEN, home_of(tmp_path))


def test_a_bin_from_the_hub_is_converted_once_and_its_space_given_back(hub: Hub, tmp_path: Path) -> None:
    served = as_vocab_txt(as_bin(tiny("bert", hub.root / "models" / "sagorsarker" / "bangla-bert-base")))
    home = home_of(tmp_path)
    facts = find("sagorsarker/bangla-bert-base", token=None, home=home)
    assert facts.needs_conversion
    said: list[str] = []
    folder = fetch(facts, token=None, home=home, say=lambda message, *_: said.append(message))
    assert any("Converting" in one for one in said)
    assert sorted(one.name for one in folder.iterdir()) == ["config.json", "model.safetensors", "tokenizer_config.json", "vocab.txt"]
    weights = (served / "pytorch_model.bin").read_bytes()
    assert not [one for one in home.rglob("*") if one.is_file() and one.read_bytes() == weights], "the .bin takes no space any more"
    hub.requests.clear()
    again = find("sagorsarker/bangla-bert-base", token=None, home=home)
    assert (again.folder, again.needs_conversion, again.download_bytes) == (str(folder), False, 0)
    assert fetched(again, home) == fetched(facts, home) == folder
    assert not [one for one in hub.requests if "bin" in one.rsplit("/", 1)[-1]]
    hub.close()
    assert find("sagorsarker/bangla-bert-base", token=None, home=home).folder == str(folder)
    assert count_tokens(again, ["একটি লেখা"], home=home, token=None) is not None


def test_a_vocab_txt_is_counted_before_the_weights_are_here(hub: Hub, tmp_path: Path) -> None:
    as_vocab_txt(as_bin(tiny("bert", hub.root / "models" / "org" / "old")))
    home = home_of(tmp_path)
    facts = find("org/old", token=None, home=home)
    counted = count_tokens(facts, ["good film"], home=home, token=None)
    assert counted is not None
    assert counted.lengths == (4,)
    assert not [one for one in hub.requests if "/lfs/" in one]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"adapter_config.json": "{}", "adapter_model.safetensors": ""}, "adapter"),
        ({"model.Q4_K_M.gguf": ""}, "GGUF"),
        ({"README.md": "hello"}, "no config.json"),
        (
            {"config.json": json.dumps({"model_type": "mine", "auto_map": {"AutoModel": "m.M"}}), "model.safetensors": "", "vocab.txt": ""},
            "trusted",
        ),
        ({"config.json": json.dumps({"model_type": "whisper"}), "model.safetensors": "", "vocab.json": ""}, "'whisper'"),
        ({"config.json": json.dumps({"model_type": "bert"}), "tf_model.h5": ""}, "no weights"),
    ],
)
def test_a_repository_that_holds_no_model_for_us_is_told_apart(files: dict[str, str], said: str, hub: Hub, tmp_path: Path) -> None:
    folder = hub.root / "models" / "org" / "odd"
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_text(content)
    assert said in refusal("org/odd", home_of(tmp_path))


def test_weights_in_shards_come_with_their_index(hub: Hub, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    from engine.tasks import classify

    source = tiny("llama", tmp_path / "whole")
    folder = tiny("llama", hub.root / "models" / "org" / "shards")
    (folder / "model.safetensors").unlink()
    AutoModelForSequenceClassification.from_pretrained(source).save_pretrained(folder, max_shard_size="40KB")
    home = home_of(tmp_path)
    facts = find("org/shards", token=None, home=home)
    assert len(facts.weight_files) > 1
    assert classify.load_model(fetched(facts, home), ("a", "b")) is not None


def test_a_download_that_is_broken_off_is_taken_up_again(hub: Hub, tmp_path: Path) -> None:
    served = serve_tiny_qwen(hub.root)
    home = home_of(tmp_path)
    facts = find(QWEN, token=None, home=home)
    hub.break_off = 1
    folder = fetched(facts, home)
    assert hub.break_off == 0
    assert (folder / "model.safetensors").read_bytes() == (served / "model.safetensors").read_bytes()


def test_an_imdb_from_the_stand_in_loads_through_the_real_library(hub: Hub, tmp_path: Path) -> None:
    serve_imdb(hub.root)
    code = (
        "import datasets\n"
        "from datasets.exceptions import DatasetNotFoundError\n"
        "loaded = datasets.load_dataset('stanfordnlp/imdb')\n"
        "print({name: split.num_rows for name, split in loaded.items()}, loaded['train'].features['label'].names, loaded['train'][1])\n"
        "try:\n    datasets.load_dataset('no/such')\nexcept DatasetNotFoundError:\n    print('not found')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(hub.url, tmp_path / "cache"), capture_output=True, text=True, check=True
    )
    assert "{'train': 40, 'test': 40, 'unsupervised': 40} ['neg', 'pos']" in done.stdout
    assert "<br />" in done.stdout
    assert done.stdout.endswith("not found\n")


def test_finding_a_hub_model_loads_no_torch(hub: Hub, tmp_path: Path) -> None:
    serve_tiny_qwen(hub.root)
    code = (
        "import sys, pathlib; from engine import models\n"
        "home = pathlib.Path(sys.argv[1])\n"
        f"facts = models.find({QWEN!r}, token=None, home=home)\n"
        "models.fetch(facts, token=None, home=home, say=print)\n"
        "print(models.count_tokens(facts, ['a text'], home=home, token=None))\n"
        "print([name for name in ('torch', 'transformers', 'datasets') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "home")], env=environment(hub.url, tmp_path), capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("[]\n")


def test_an_id_in_a_commit_that_is_none_is_refused(hub: Hub, tmp_path: Path) -> None:
    serve_tiny_qwen(hub.root)
    with pytest.raises(Refused, match="no longer has"):
        find(QWEN, token=None, home=home_of(tmp_path), revision="0" * 40)


def test_the_embedded_model_asks_nobody(hub: Hub, tmp_path: Path) -> None:
    facts = find(models.EMBEDDED, token=None, home=home_of(tmp_path))
    fetched(facts, home_of(tmp_path))
    count_tokens(facts, ["a text"], home=home_of(tmp_path), token=None)
    assert hub.requests == []
    assert os.environ["HF_ENDPOINT"] == hub.url
