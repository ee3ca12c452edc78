"""presets/*.json as typed values: models, data sets and recipes to choose from. Data only; a new one is one JSON entry."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from engine import packaged
from engine.errors import Problem, Refused
from engine.knobs import Value

PRESETS = Path(__file__).parent.parent / "presets"


@dataclass(frozen=True)
class Model:
    """A model that is known to work, with what a person should know before choosing it."""

    id: str  # what a RunSpec holds: the embedded model's name or a Hub id
    name: str
    parameters: int  # of the body, without a head
    licence: str
    languages: tuple[str, ...]  # in words
    source_url: str
    download_bytes: int
    gated: bool = False  # its terms must be accepted on the Hub, and a token given
    note: str = ""
    writes: bool = False  # it has a head to write with


@dataclass(frozen=True)
class Dataset:
    """A data set that is known to work. `source` is a DataSpec's: "sample:ID" or "hub:ID"."""

    id: str
    name: str
    source: str
    summary: str
    text: str  # column
    label: str  # column
    licence: str
    url: str
    languages: tuple[str, ...]
    rows: int
    file: str | None = None  # of a sample, in presets/samples
    config: str | None = None
    train_split: str | None = None
    test_split: str | None = None
    download_bytes: int = 0


@dataclass(frozen=True)
class Recipe:
    """A preset: an overlay that holds only what differs from the knobs' defaults, with its source."""

    id: str
    name: str
    summary: str
    source: str
    task: str | None = None
    method: str | None = None
    model: str | None = None  # suggested where the person has chosen none
    data: str | None = None  # the same, a Dataset's id
    resplit: bool = False  # pool the data set's splits and split again by share
    settings: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Catalog:
    models: tuple[Model, ...]
    datasets: tuple[Dataset, ...]
    recipes: tuple[Recipe, ...]

    def model(self, model_id: str) -> Model | None:
        """The entry of this id; None: a model beyond the catalogue."""
        return next((one for one in self.models if one.id == model_id), None)

    def dataset(self, dataset_id: str) -> Dataset | None:
        return next((one for one in self.datasets if one.id == dataset_id), None)

    def recipe(self, recipe_id: str) -> Recipe:
        """The preset of this id. Raises Refused where there is none."""
        for one in self.recipes:
            if one.id == recipe_id:
                return one
        known = ", ".join(one.id for one in self.recipes)
        raise Refused(Problem("preset", f"There is no preset {recipe_id!r}.", f"Choose one of: {known}."))


T = TypeVar("T")
ORDER = ("quick", "balanced", "best", "imdb-t4", "bengali", "guide", "done-right")  # as the page offers them; others follow by name


def load(presets: Path = PRESETS) -> Catalog:
    """The catalogue of a presets folder, without the models of packages that are missing. Raises ValueError naming what is wrong."""
    recipes = [_recipe(path) for path in sorted((presets / "recipes").glob("*.json"))]
    place = {name: at for at, name in enumerate(ORDER)}
    return Catalog(
        models=tuple(one for one in _entries(Model, presets / "models.json") if not packaged.is_missing(one.id)),
        datasets=_entries(Dataset, presets / "datasets.json"),
        recipes=tuple(sorted(recipes, key=lambda one: (place.get(one.id, len(ORDER)), one.id))),
    )


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path.name}, line {error.lineno}: {error.msg}") from error


def _recipe(path: Path) -> Recipe:
    recipe = _entry(Recipe, _json(path), path)
    if recipe.id != path.stem:
        raise ValueError(f"{path.name}: the id {recipe.id!r} is not its name")
    for name, value in recipe.settings.items():
        if not isinstance(value, (bool, int, float, str)):
            raise ValueError(f"{path.name}: {name} is {value!r}, not a number, a text or true/false")
    return recipe


def _entries(kind: type[T], path: Path) -> tuple[T, ...]:
    told = _json(path)
    if not isinstance(told, list):
        raise ValueError(f"{path.name} is not a list")
    found = tuple(_entry(kind, one, path) for one in told)
    ids = [one["id"] for one in told]
    twice = sorted({one for one in ids if ids.count(one) > 1})
    if twice:
        raise ValueError(f"{path.name}: {', '.join(twice)} stands twice")
    return found


def _entry(kind: type[T], told: Any, path: Path) -> T:
    if not isinstance(told, dict):
        raise ValueError(f"{path.name}: {told!r} is not an object")
    known = {one.name: one for one in dataclasses.fields(kind)}  # type: ignore[arg-type]
    where = f"{path.name}, {told.get('id', '?')}"
    unknown = set(told) - set(known)
    missing = {name for name, one in known.items() if one.default is one.default_factory is dataclasses.MISSING} - set(told)
    if unknown or missing:
        raise ValueError(f"{where}: unknown {sorted(unknown)}, missing {sorted(missing)}")
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in told.items()})
