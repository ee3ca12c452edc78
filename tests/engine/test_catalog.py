"""The catalogue: every preset loads, holds only what differs, and says what its source says."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from engine import models
from engine.catalog import PRESETS, Recipe, load
from engine.data.split import Split
from engine.errors import Refused
from engine.knobs import Knob, knobs_of, read
from engine.methods import all_methods
from engine.packaged import package
from engine.spec import Training
from engine.tasks import all_tasks

CATALOG = load()
RECIPES = [one.id for one in CATALOG.recipes]


def knobs(recipe: Recipe) -> dict[str, Knob]:
    """Every knob that the recipe's settings can mean."""
    kinds = [Split, Training, all_tasks()[recipe.task or "classify"].knobs, all_methods()[recipe.method or "lora"].knobs]
    return {knob.name: knob for kind in kinds for knob in knobs_of(kind)}


def resolved(recipe: Recipe) -> dict[str, Any]:
    return {name: knob.default for name, knob in knobs(recipe).items()} | recipe.settings


def test_the_presets_that_the_page_names_are_there_in_their_order() -> None:
    assert RECIPES[:5] == ["quick", "balanced", "best", "imdb-t4", "bengali"]


@pytest.mark.parametrize("recipe_id", RECIPES)
def test_a_recipe_holds_known_knobs_within_their_bounds_and_only_what_differs(recipe_id: str) -> None:
    recipe = CATALOG.recipe(recipe_id)
    known = knobs(recipe)
    for name, value in recipe.settings.items():
        assert name in known
        settled, problem = read(known[name], value)
        assert problem is None
        assert settled == value
        assert value != known[name].default, f"{name} is the default already"


@pytest.mark.parametrize("recipe_id", RECIPES)
def test_a_recipe_names_only_what_the_catalogue_has_and_its_source(recipe_id: str) -> None:
    recipe = CATALOG.recipe(recipe_id)
    assert recipe.source
    assert recipe.summary.endswith(".")
    assert recipe.method is None or recipe.method in all_methods()
    assert recipe.model is None or CATALOG.model(recipe.model)
    assert recipe.data is None or CATALOG.dataset(recipe.data)


def test_imdb_t4_is_the_code_of_source_a_with_a_classification_head() -> None:
    """background.md sections 1 and 2, source A; batch and passes are ours, A's 100 steps of batch 1 see 100 reviews."""
    recipe = CATALOG.recipe("imdb-t4")
    told = resolved(recipe)
    assert (recipe.method, recipe.model, recipe.data, recipe.resplit) == ("lora", "Qwen/Qwen1.5-0.5B", "stanfordnlp/imdb", True)
    assert (told["rank"], told["alpha"] or 2 * told["rank"], told["dropout"], told["targets"]) == (16, 32, 0.05, "query_value")
    assert (told["learning_rate"], told["warmup_steps"], told["max_length"]) == (2e-4, 100, 512)
    assert (told["validation_share"], told["test_share"]) == (0.1, 0.1)
    assert "disagree" in recipe.source


def test_bengali_is_source_b_section_3() -> None:
    recipe = CATALOG.recipe("bengali")
    told = resolved(recipe)
    assert (recipe.method, recipe.model) == ("lora", "sagorsarker/bangla-bert-base")
    assert (told["rank"], told["alpha"] or 2 * told["rank"], told["dropout"], told["targets"]) == (16, 32, 0.05, "all_linear")
    wanted = {
        "epochs": 5, "batch_size": 16, "accumulation": 2, "learning_rate": 2e-4, "weight_decay": 0.01, "warmup_steps": 100,
        "schedule": "cosine", "evaluate_every": 100, "keep_checkpoints": 3, "select_by": "weighted_f1", "patience": 3,
        "max_grad_norm": 1.0, "precision": None, "max_length": 256, "seed": 42, "validation_share": 0.1, "test_share": 0.1,
    }  # fmt: skip
    assert {name: told[name] for name in wanted} == wanted


def test_a_preset_that_is_none_is_refused_with_those_that_are() -> None:
    with pytest.raises(Refused, match="quick, balanced"):
        CATALOG.recipe("fastest")


def test_every_model_says_what_a_person_must_know_before_choosing() -> None:
    for model in CATALOG.models:
        assert model.licence
        assert model.languages
        assert model.source_url.startswith("https://huggingface.co/")
        assert model.id == models.EMBEDDED or model.source_url.endswith(model.id)
        assert model.parameters > 1_000_000
        here = model.id == models.EMBEDDED or package(model.id) is not None
        assert (model.download_bytes == 0) if here else (model.parameters < model.download_bytes < 8 * model.parameters)
    assert {one.id for one in CATALOG.models if one.gated} == {"meta-llama/Llama-3.2-1B", "google/gemma-3-270m"}
    assert CATALOG.models[0].id == models.EMBEDDED, "what works at once stands first"


def test_every_sample_is_there_with_its_columns_and_rows() -> None:
    for dataset in CATALOG.datasets:
        if dataset.source.startswith("sample:"):
            assert dataset.source == f"sample:{dataset.id}"
            with (PRESETS / "samples" / str(dataset.file)).open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
            assert len(rows) == dataset.rows
            assert {dataset.text, dataset.label} <= set(rows[0])


@pytest.fixture
def presets(tmp_path: Path) -> Path:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "models.json").write_text("[]")
    (tmp_path / "datasets.json").write_text("[]")
    return tmp_path


def test_a_preset_is_added_by_one_json_file(presets: Path) -> None:
    (presets / "recipes" / "mine.json").write_text(json.dumps({"id": "mine", "name": "Mine", "summary": "x.", "source": "me"}))
    assert load(presets).recipe("mine").settings == {}


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("models.json", "{", "models.json, line 1"),
        ("models.json", "{}", "a list"),
        ("models.json", "[3]", "not an object"),
        ("datasets.json", '[{"id": "a"}]', "datasets.json, a: .*missing"),
        ("recipes/odd.json", '{"id": "odd", "name": "n", "summary": "s", "source": "s", "setings": {}}', "setings"),
        ("recipes/odd.json", '{"id": "other", "name": "n", "summary": "s", "source": "s"}', "its name"),
        ("recipes/odd.json", '{"id": "odd", "name": "n", "summary": "s", "source": "s", "settings": {"rank": [8]}}', "rank"),
    ],
)
def test_a_mistake_in_the_catalogue_names_its_file_and_entry(file: str, content: str, said: str, presets: Path) -> None:
    (presets / file).write_text(content)
    with pytest.raises(ValueError, match=said):
        load(presets)


def test_an_entry_that_stands_twice_is_a_mistake(presets: Path) -> None:
    entry = json.loads((PRESETS / "models.json").read_text("utf-8"))[0]
    (presets / "models.json").write_text(json.dumps([entry, entry]))
    with pytest.raises(ValueError, match="stands twice"):
        load(presets)
