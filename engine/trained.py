"""A trained model in its folder, ready to be used again: what `worker` keeps and what Try, the export and later runs open.

model/  adapter_model.safetensors + adapter_config.json, delta.safetensors + delta.json, or model.safetensors + config.json
        the tokenizer's files   labels.json  ["Negative", "Neutral", …]   shur.json  (Kept, below)
        temperature.json  {"temperature": 1.6}, where a person has its confidence corrected (calibration.py)
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import calibration, models
from engine.data.numbers import Scale
from engine.data.repairs import text_as_fixed
from engine.data.table import clean
from engine.data.texts import Texts
from engine.errors import Problem, Refused
from engine.fix import read_all
from engine.knobs import settle
from engine.methods import all_methods
from engine.models import ModelFacts
from engine.spec import Training
from engine.store import write_whole
from engine.tasks import Task, all_tasks

if TYPE_CHECKING:
    import numpy as np
    import torch

    from engine.plan import Plan

TEMPERATURE = "temperature.json"


@dataclass(frozen=True)
class Kept:
    """What it takes to use the model again, besides its weights. Written as shur.json; holds no local path."""

    run: str
    model: str  # the base's id
    revision: str | None
    method: str
    task: str
    settings: dict[str, Any]  # the run's, every knob
    data_sha256: str
    versions: dict[str, str]
    fixes: tuple[str, ...] = ()  # of DataSpec; those that change texts are made before a text is predicted
    scale: Scale | None = None  # of the training rows' numbers, by which answers come back in their unit
    threshold: float | None = None  # from which chance on a tag is given
    margin: float | None = None  # within which of its number the right one mostly lies (number_metrics.margin)

    @classmethod
    def read(cls, folder: Path) -> Kept:
        """What a model's folder says of itself. Raises OSError, ValueError or TypeError where it says nothing of the kind."""
        told = json.loads((folder / "shur.json").read_text("utf-8"))
        return cls(**{**told, "scale": Scale(**told["scale"]) if told.get("scale") else None})


def autocast_of(precision: str) -> str | None:
    """The dtype that torch's autocast computes in, None for plain 32 bits."""
    return {"bf16": "bfloat16", "fp16": "float16"}.get(precision)


def weights_dtype(precision: str, *, freezes_body: bool) -> str:
    """A frozen body may lie in memory in 16 bits; weights that are trained stay in 32."""
    return (autocast_of(precision) or "float32") if freezes_body else "float32"


def open_base(
    folder: Path, classes: Sequence[str], plan_or_kept: Plan | Kept, facts: ModelFacts | None, tokenizer: Any, precision: str
) -> torch.nn.Module:
    """The untuned model with a fresh head, in the dtype or the few bits that its method and precision call for."""
    method, task = all_methods()[plan_or_kept.method], all_tasks()[plan_or_kept.task]
    knobs: Any = settle(method.knobs, plan_or_kept.settings)
    return task.load_model(
        folder,
        classes,
        dtype=weights_dtype(precision, freezes_body=method.freezes_body),
        pad_token_id=tokenizer.pad_token_id,
        quantisation=method.quantisation(knobs, facts, precision) if method.quantisation and facts else None,
    )


def keep(model: torch.nn.Module, tokenizer: Any, classes: Sequence[str], kept: Kept, folder: Path) -> None:
    """Writes the model's folder beside and renames it into place, so that it is there whole or not at all."""
    _keep(all_methods()[kept.method].save, model, tokenizer, classes, kept, folder)


def keep_plain(model: torch.nn.Module, tokenizer: Any, classes: Sequence[str], kept: Kept, folder: Path) -> None:
    """As `keep`, for a model that is merged: all its weights, in transformers' own format."""
    _keep(lambda plain, beside: plain.save_pretrained(beside), model, tokenizer, classes, kept, folder)  # type: ignore[operator]


def _keep(
    save: Callable[[torch.nn.Module, Path], None], model: torch.nn.Module, tokenizer: Any, classes: Sequence[str], kept: Kept, folder: Path
) -> None:
    beside = folder.with_name(f".{folder.name}.writing")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    save(model, beside)
    tokenizer.save_pretrained(beside)
    (beside / "labels.json").write_text(json.dumps(list(classes), ensure_ascii=False), "utf-8")
    (beside / "shur.json").write_text(json.dumps(dataclasses.asdict(kept), ensure_ascii=False, indent=1), "utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    beside.rename(folder)


@dataclass(frozen=True)
class Trained:
    """An opened model. `probabilities` takes raw texts."""

    model: torch.nn.Module
    tokenizer: Any
    classes: tuple[str, ...]
    kept: Kept
    autocast: str | None
    temperature: float = 1.0  # by which logits are divided, so that its confidence is true

    @property
    def task(self) -> Task:
        return all_tasks()[self.kept.task]

    def probabilities(self, texts: Sequence[str], seconds: Sequence[str] | None = None, batch_size: int = 32) -> np.ndarray:
        """Each class's probability for each text, (texts, classes), cleaned and cut as the training rows were.

        `seconds`: what stands beside each text, where the model reads pairs.
        """
        return calibration.cooled(self.answers(texts, seconds, batch_size), self.temperature)

    def answers(self, texts: Sequence[str], seconds: Sequence[str] | None = None, batch_size: int = 32) -> np.ndarray:
        """What the task gives for each text: probabilities, chances of tags, or a number in the unit of the training rows.

        As `probabilities` otherwise.
        """
        task = self.task
        fixes, html = read_all(self.kept.fixes)[0], bool(self.kept.settings["clean_html"])

        def cleaned(told: Sequence[str]) -> list[str]:
            return [clean(text_as_fixed(clean(text, clean_html=False), fixes), clean_html=html) for text in told]

        given = Texts(cleaned(texts), None if seconds is None else cleaned(seconds))
        ids = task.encode(self.tokenizer, given, settle(task.knobs, self.kept.settings))
        scaled = {"scale": self.kept.scale} if self.kept.scale else {}
        return task.answers(self.model, self.tokenizer, ids, classes=self.classes, batch_size=batch_size, autocast=self.autocast, **scaled)


def open_trained(folder: Path, *, home: Path, token: str | None = None, precision: str | None = None) -> Trained:
    """The model of a finished run's `model` folder. Raises Refused when it, or the base below an adapter, is not to be had.

    `precision`: the run's own where it is None.
    """
    import torch

    try:
        kept = Kept.read(folder)
        classes = tuple(json.loads((folder / "labels.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise Refused(Problem("run", "This run has no trained model.", "Train it to its end, or choose another run.")) from error
    method, task = all_methods()[kept.method], all_tasks()[kept.task]
    cuda = torch.cuda.is_available()
    precision = precision or settle(Training, kept.settings).precision or "fp32"
    if not cuda and precision == "fp16":
        precision = "fp32"  # fp16 on a CPU is about 30 times slower than bf16 and gives NaN
    tokenizer = task.load_tokenizer(folder)
    facts, base = models.find(kept.model, token=token, home=home, revision=kept.revision) if method.freezes_body else None, folder
    facts = task.facts(facts) if facts is not None else None
    if facts is not None:  # else a fully trained model, which stands alone
        base = models.fetch(facts, token=token, home=home, say=lambda *_: None)
    model = method.load(folder, base, lambda opened: open_base(opened, classes, kept, facts, tokenizer, precision))
    model = model.to("cuda" if cuda else "cpu")
    model.eval()
    return Trained(model, tokenizer, classes, kept, autocast_of(precision), temperature_of(folder))


def temperature_of(folder: Path) -> float:
    """What a model's confidence is corrected by; 1.0 where it is left as it is."""
    try:
        return float(json.loads((folder / TEMPERATURE).read_text("utf-8"))["temperature"])
    except FileNotFoundError:
        return 1.0
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise Refused(
            Problem("run", f"The model's {TEMPERATURE} is damaged.", "Switch the corrected confidence off and on again.")
        ) from error


def set_temperature(folder: Path, temperature: float | None) -> None:
    """Corrects a kept model's confidence from now on, or leaves it as it is with None."""
    if temperature is None:
        (folder / TEMPERATURE).unlink(missing_ok=True)
    else:
        write_whole(folder / TEMPERATURE, json.dumps({"temperature": temperature}).encode())
