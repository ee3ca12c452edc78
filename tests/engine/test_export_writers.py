"""Taking home a model that writes: the lines in the folder write what Shur writes, and the card says how it must be asked."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from huggingface_hub import ModelCard

from engine import asking, export, generation, trained
from engine.data.texts import Texts
from engine.decoding import GREEDY
from engine.knobs import settle
from engine.store import Store
from engine.tasks import all_tasks
from tests.engine.test_export import agree, lines_of_readme
from tests.engine.test_export import answers_of as chances_of
from tests.finished import finished_run
from tests.tiny import tiny

LONG = "a good film " * 40 + "ছবিটা খুব ভালো লাগল, কিন্তু শেষটা বাজে {}"
SHORT = asking.SAMPLES[1]
WRITERS = [one.id for one in all_tasks().values() if one.writes]
# task -> settings that make its prompt unlike the usual one
OTHERS: dict[str, dict[str, Any]] = {
    "write": {},
    "instruct": {"system_prompt": 'Answer briefly. "বাংলায়"', "chat_template": "plain"},
    "answer": {"template": "{context} {{ Q: {text}\nA: "},
    "transform": {"template": "Text: {text}\n"},
}


def written_by(code: str, folder: Path) -> dict[str, str]:
    """Runs the lines as a person would, with a long text in place of the first; the texts and what was written."""
    file = folder / "tried.py"
    file.write_text(code.replace(asking.SAMPLES[0], LONG), "utf-8")
    bare = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    bare |= {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hf-home"), "PYTHONIOENCODING": "utf-8"}
    ran = subprocess.run([sys.executable, file.name], cwd=folder, env=bare, capture_output=True, encoding="utf-8", check=False)
    assert ran.returncode == 0, ran.stderr
    told = (ast.literal_eval(f"[{line}]") for line in ran.stdout.replace("' '", "', '").replace("' \"", "', \"").splitlines())
    return dict(told)


def written_by_shur(home: Path, run_id: str) -> list[str]:
    """What the test of the run would write."""
    opened = trained.open_trained(Store(home).folder(run_id) / "model", home=home)
    task = all_tasks()[opened.kept.task]
    knobs: Any = settle(task.knobs, opened.kept.settings)
    prompts = task.encode(opened.tokenizer, Texts([LONG, SHORT]), knobs)
    assert task.writes is not None
    ends = task.writes.ends(opened.tokenizer, knobs) if task.writes.ends else ()
    found = [
        generation.generate(
            opened.model,
            opened.tokenizer,
            [prompt],
            replace(GREEDY, max_new_tokens=knobs.max_new_tokens),
            stops=task.writes.stops,
            ends=ends,
        )
        for prompt in prompts
    ]
    return [one.texts[0].text.strip() for one in found if one.texts[0]]


def run_of(task: str, tmp_path: Path, method: str = "lora", architecture: str = "qwen2", **settings: Any) -> tuple[Path, str]:
    home = tmp_path / "home"
    base = of_words(tiny(architecture, tmp_path / "base"))
    return home, finished_run(home, str(base), method, task=task, **{"max_length": 60, "max_new_tokens": 12, **settings})


def of_words(folder: Path) -> Path:
    """The same model, made to write words and whole letters: by chance it would write halves of them."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    kind = AutoModelForSeq2SeqLM if AutoConfig.from_pretrained(folder).is_encoder_decoder else AutoModelForCausalLM
    model, tokenizer = kind.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    whole = [at for at in range(len(tokenizer)) if re.fullmatch(r"[ \w]+", tokenizer.decode([at]))]
    with torch.no_grad():
        model.get_output_embeddings().weight[whole] *= 6
    model.save_pretrained(folder)
    return folder


def taken_home(home: Path, run_id: str, tmp_path: Path, *, merged: bool = False) -> Path:
    """The unpacked zip; the home is gone, and so is the base but beside the lines of an adapter."""
    with zipfile.ZipFile(export.export(Store(home), run_id, merged=merged)) as packed:
        packed.extractall(tmp_path / "elsewhere")
    folder = tmp_path / "elsewhere" / (f"{run_id}-merged" if merged else run_id)
    home.rename(tmp_path / "moved away")
    (tmp_path / "base").rename(folder / "base" if not (folder / "model.safetensors").exists() else tmp_path / "moved base")
    return folder


@pytest.mark.parametrize(
    ("task", "way"), [("write", "adapter"), ("instruct", "adapter"), ("instruct", "whole"), ("answer", "merged"), ("transform", "whole")]
)
def test_the_lines_write_what_shur_writes(task: str, way: str, tmp_path: Path) -> None:
    settings = OTHERS[task] if way == "whole" else {}
    architecture = {"adapter": "qwen2", "whole": "llama", "merged": "gemma3_text"}[way]
    home, run_id = run_of(task, tmp_path, "full" if way == "whole" else "lora", architecture, **settings)
    expected = written_by_shur(home, run_id)
    folder = taken_home(home, run_id, tmp_path, merged=way == "merged")
    code = (folder / "example.py").read_text("utf-8")
    assert lines_of_readme(folder) == code.replace("Path(__file__).parent", "Path()")
    found = written_by(code, folder)
    assert list(found) == [LONG, SHORT]
    assert list(found.values()) == expected
    assert all(expected) or task == "answer", "something is written at all"
    assert not (folder / "labels.json").exists()
    if (folder / "config.json").exists():
        told = json.loads((folder / "config.json").read_text("utf-8"))
        assert told["use_cache"] is True
        assert "Negative" not in str(told)


@pytest.mark.parametrize(("way", "architecture"), [("adapter", "t5"), ("whole", "mt5"), ("merged", "mt5")])
def test_an_encoder_decoder_writes_at_home_what_it_writes_here(way: str, architecture: str, tmp_path: Path) -> None:
    settings = {"template": "translate English to Bengali: {text}", "max_length": 40}
    home, run_id = run_of("transform", tmp_path, "full" if way == "whole" else "lora", architecture, **settings)
    expected = written_by_shur(home, run_id)
    folder = taken_home(home, run_id, tmp_path, merged=way == "merged")
    code = (folder / "example.py").read_text("utf-8")
    assert "AutoModelForSeq2SeqLM" in code
    assert list(written_by(code, folder).values()) == expected
    assert all(expected)
    card = ModelCard.load(folder / "README.md")
    assert "text2text-generation" in card.data.tags
    if (folder / "adapter_config.json").exists():
        assert json.loads((folder / "adapter_config.json").read_text("utf-8"))["task_type"] == "SEQ_2_SEQ_LM"


@pytest.mark.parametrize("method", ["prefix", "adapter"])
def test_other_methods_write_at_home_too(method: str, tmp_path: Path) -> None:
    home, run_id = run_of("instruct", tmp_path, method)
    expected = written_by_shur(home, run_id)
    folder = taken_home(home, run_id, tmp_path)
    assert list(written_by((folder / "example.py").read_text("utf-8"), folder).values()) == expected


@pytest.mark.parametrize(("way", "temperature"), [("adapter", None), ("merged", 1.7)])
def test_the_lines_of_labels_that_are_written_tell_them_apart_as_shur_does(way: str, temperature: float | None, tmp_path: Path) -> None:
    home, run_id = run_of("label_by_writing", tmp_path, "full" if way == "whole" else "lora")
    trained.set_temperature(Store(home).folder(run_id) / "model", temperature)
    opened = trained.open_trained(Store(home).folder(run_id) / "model", home=home)
    expected = [row.tolist() for row in opened.probabilities([LONG.replace("{}", ""), SHORT])]
    folder = taken_home(home, run_id, tmp_path, merged=way == "merged")
    code = (folder / "example.py").read_text("utf-8").replace(asking.SAMPLES[0], LONG.replace("{}", ""))
    assert agree(chances_of(code, folder), expected)
    front = yaml.safe_load((folder / "README.md").read_text("utf-8").split("\n---\n")[0].removeprefix("---\n"))
    assert front["pipeline_tag"] == "text-generation"
    assert "text-classification" in front["tags"]


@pytest.mark.parametrize("task", WRITERS)
def test_the_card_tells_figures_beside_the_untuned_model_and_how_to_ask(task: str, tmp_path: Path) -> None:
    home, run_id = run_of(task, tmp_path, **OTHERS[task])
    folder = export.export(Store(home), run_id).with_suffix("")
    card = ModelCard.load(folder / "README.md")
    assert card.data.pipeline_tag == "text-generation"
    assert {one.metric_type for one in card.data.eval_results} >= {"perplexity"}
    text = card.text.replace("\u00a0", " ")
    assert "| Perplexity per token | 3.50 (3.10 to 4.00) | 9.25 | better, p = 0.0001 | 40 |" in text
    for absent in ("Class", "all rows", "secret text", "trained head"):
        assert absent not in text, absent
    for name in ("system_prompt", "template"):
        if OTHERS[task].get(name):
            assert OTHERS[task][name] in text
    assert ("chat_template.jinja" in {one.name for one in folder.iterdir()}) == (task == "instruct")


def test_what_ends_a_turn_ends_an_answer_of_a_base_model_too(tmp_path: Path) -> None:
    """Qwen2.5-0.5B ends a text with <|endoftext|> but learns to end an answer with <|im_end|>."""
    base = tiny("qwen2", tmp_path / "base")
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    knobs: Any = settle(all_tasks()["instruct"].knobs, {"chat_template": "chatml"})
    writes = all_tasks()["instruct"].writes
    assert writes is not None
    assert writes.ends is not None
    assert writes.ends(tokenizer, knobs) == (tokenizer.convert_tokens_to_ids("<|im_end|>"),)
