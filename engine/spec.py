"""RunSpec: what a person asked for. Plain JSON, versioned; it holds no secret and no decided value.

A value that is absent is decided by `plan`, which records why. `settings` is flat: knob names are unique over the
split, the task, the training and the method, so `--set rank=16` needs no prefix.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import PureWindowsPath
from typing import Any

from engine import fix as fixing
from engine.errors import Problem, Refused
from engine.knobs import Value, knob

VERSION = 1


@dataclass(frozen=True)
class DataSpec:
    """Where the rows come from and which columns matter.

    `source` is "sample:ID" (presets/samples), "hub:ID" (a data set of the Hub) or "file:PATH"; a relative path is looked
    for in the working folder, then in the home. `test` is a second "file:PATH". None for a column: guess it.
    `sheet` is one of a workbook, or a table of a zip; None: the fullest. `header`: whether the first row names the columns; None: judged.
    With `group` or `time` rows are split by that column: no group in two parts, or the newest rows as the test; with None by chance.
    """

    source: str
    test: str | None = None
    config: str | None = None  # a Hub data set's subset
    train_split: str | None = None  # Hub split names; None: the usual ones
    test_split: str | None = None
    resplit: bool = False  # pool the given splits and split again by share
    sheet: str | None = None
    header: bool | None = None
    encoding: str | None = None  # a codec for a file that is not Unicode, one of data/legacy.py; None: judged
    text: str | None = None
    label: str | None = None  # what is learnt of each row: its class, or the text to be written
    labels: tuple[str, ...] = ()  # of tags, instead of `label`: columns of 0 and 1, or one column of lists; empty: guess
    second: str | None = None  # what is read beside the text: a context or an input; "": nothing, whatever the columns are called
    target: str = "class"  # what is learnt, as the task's file says: "class", "number", "tags", "text", or "nothing": the text itself
    group: str | None = None
    time: str | None = None
    corrections: str | None = None  # "file:PATH" of labels put right by hand (data/corrected.py)
    fixes: tuple[str, ...] = ()  # what the doctor's buttons recorded; see engine/fix.py

    @property
    def known_as(self) -> str:
        """The source as a person knows it: of a file its name alone, not where it lies."""
        kind, _, place = self.source.partition(":")
        return PureWindowsPath(place).name if kind == "file" else self.source


@dataclass(frozen=True)
class RunSpec:
    """Everything a person chose for one run."""

    data: DataSpec
    model: str  # catalogue id, Hub id, or folder
    method: str = "lora"
    task: str = "classify"
    preset: str | None = "balanced"
    settings: dict[str, Value] = field(default_factory=dict)  # only what the person set, over the preset
    name: str | None = None
    study: str | None = None  # the comparison that the run belongs to; given by Studio.compare
    version: int = VERSION


@dataclass(frozen=True)
class Training:
    """The knobs of training that every method and task shares."""

    epochs: float | None = knob(
        None, label="Passes over the data", low=0.01, high=100, basic=True,
        help="How often each training row is seen (epochs). More learns more until it overfits; stopping early guards against that.",
    )  # fmt: skip
    learning_rate: float | None = knob(
        None, label="Learning rate", low=1e-7, high=1.0, basic=True,
        help="Size of each correction. Empty: the method's own rule; LoRA wants 10 to 50 times more than full fine-tuning.",
    )  # fmt: skip
    batch_size: int | None = knob(
        None, label="Batch size", low=1, high=1024, unit="rows",
        help="Rows computed at once. Larger is faster on a GPU and needs more memory.",
    )  # fmt: skip
    accumulation: int | None = knob(
        None, label="Accumulation", low=1, high=1024, unit="batches",
        help="Batches summed into one step: a large effective batch (batch size x accumulation) in little memory.",
    )  # fmt: skip
    max_steps: int | None = knob(
        None,
        label="At most this many steps",
        low=1,
        high=10_000_000,
        unit="steps",
        help="Ends training early, whatever the number of passes.",
    )
    warmup_steps: int | None = knob(
        None,
        label="Warm-up",
        low=0,
        high=100_000,
        unit="steps",
        help="Steps over which the learning rate rises from zero. Empty: a tenth of all steps.",
    )
    schedule: str = knob(
        "cosine", label="Learning-rate schedule", choices={"cosine": "Cosine", "linear": "Linear", "constant": "Constant"},
        help="How the learning rate falls after the warm-up.",
    )  # fmt: skip
    weight_decay: float = knob(
        0.01,
        label="Weight decay",
        low=0.0,
        high=1.0,
        help="Pulls weights towards zero; 0.01 to 0.1 holds overfitting back. Not applied to biases and norms.",
    )
    max_grad_norm: float = knob(
        1.0,
        label="Gradient clipping",
        low=0.0,
        high=100.0,
        help="Longest gradient allowed in one step; keeps a bad batch from wrecking the model. 0: off.",
    )
    optimizer: str = knob(
        "adamw",
        label="Optimiser",
        choices={
            "adamw": "AdamW",
            "adamw_8bit": "AdamW, 8 bits",
            "paged_adamw_32bit": "AdamW, paged (GPU)",
            "paged_adamw_8bit": "AdamW, 8 bits, paged (GPU)",
        },
        help="8 bits: a quarter of the optimiser's memory, for full fine-tuning on a small GPU; on a processor only slower. "
        "Paged: what the GPU has no room for lies in the computer's memory.",
    )
    precision: str | None = knob(
        None, label="Precision", choices={"fp32": "fp32 (32-bit)", "bf16": "bf16 (16-bit)", "fp16": "fp16 (16-bit)"},
        help="Number format of the computation. Empty: the fastest that is safe on this hardware.",
    )  # fmt: skip
    checkpointing: bool = knob(
        False,
        label="Gradient checkpointing",
        help="Recomputes activations instead of keeping them: less memory, a quarter to a half more time.",
    )
    evaluate_every: int | None = knob(
        None,
        label="Check every",
        low=1,
        high=1_000_000,
        unit="steps",
        help="Steps between checks on the validation rows. Empty: about ten checks a run.",
    )
    select_by: str = knob(
        "macro_f1", label="Keep the best by",
        choices={
            "macro_f1": "Macro F1", "weighted_f1": "Weighted F1", "micro_f1": "Micro F1", "exact": "Exactly right",
            "average_precision": "Average precision",
            "accuracy": "Accuracy", "loss": "Held-out loss", "mae": "Mean error", "spearman": "Order (Spearman)",
            "pearson": "Straight line (Pearson)", "r2": "R²",
        },
        help="The figure on the validation rows that decides which checkpoint is kept.",
    )  # fmt: skip
    patience: int = knob(
        3,
        label="Stop early after",
        low=0,
        high=100,
        unit="checks without gain",
        help="Ends training when on the validation rows neither the figure improves nor the loss falls by 1 %. 0: never.",
    )
    length_grouping: bool = knob(
        True,
        label="Group rows of like length",
        help="Batches of similar lengths waste less on padding: 2 to 5 times faster on mixed texts.",
    )
    keep_checkpoints: int = knob(2, label="Checkpoints kept", low=1, high=20, help="The newest ones, besides the best.")
    seed: int = knob(42, label="Seed", low=0, high=2**31 - 1, help="Fixes every random choice of training, so that a run can be repeated.")


def to_json(spec: RunSpec) -> str:
    """The spec as JSON text, as the page offers it for download."""
    return json.dumps(dataclasses.asdict(spec), ensure_ascii=False, indent=2) + "\n"


def from_json(text: str) -> RunSpec:
    """The spec that `to_json` wrote. Strict: raises Refused with every unknown, missing or mistyped field."""
    fix = "Choose a spec.json that Shur wrote."
    try:
        told = json.loads(text.removeprefix("\ufeff"))
        json.dumps(told, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise Refused(Problem("spec", f"This is not JSON: {error.msg} in line {error.lineno}.", fix)) from error
    except (ValueError, RecursionError) as error:  # half a surrogate pair, a number of 5,000 digits, brackets 100,000 deep
        raise Refused(Problem("spec", "This JSON holds what no spec of Shur holds.", fix)) from error
    if not isinstance(told, dict):
        raise Refused(Problem("spec", "A spec is a JSON object.", fix))
    version = told.get("version", VERSION)
    if not isinstance(version, int) or version > VERSION:
        raise Refused(Problem("spec.version", f"This spec has version {version!r}; this Shur reads up to {VERSION}.", "Update Shur."))
    problems = _mistyped(told, RunSpec, "spec")
    data = told.get("data")
    if isinstance(data, dict):
        problems += _mistyped(data, DataSpec, "spec.data")
        problems += _fixes(data.get("fixes"))
        if isinstance(columns := data.get("labels"), list) and not all(isinstance(one, str) for one in columns):
            problems.append(Problem("spec.data.labels", f"labels is {columns!r}, not a list of columns.", "Correct it."))
    settings = told.get("settings", {})
    if isinstance(settings, dict):
        for name, value in settings.items():
            if not isinstance(value, (bool, int, float, str)):
                problems.append(
                    Problem(f"settings.{name}", f"{name} is {value!r}; a setting is a number, a text or true/false.", f"Remove {name}.")
                )
    if problems:
        raise Refused(*problems)
    lists = {name: tuple(told["data"].get(name, ())) for name in ("fixes", "labels")}
    return RunSpec(**{**told, "data": DataSpec(**{**told["data"], **lists})})


def _fixes(told: object) -> list[Problem]:
    """What is wrong with the recorded fixes; a value that is no list is told as mistyped."""
    if not isinstance(told, list):
        return []
    if any(not isinstance(one, str) for one in told):
        return [Problem("spec.data.fixes", f"fixes is {told!r}, not a list of texts.", "Correct it.")]
    return [Problem(f"spec.{one.field}", one.message, one.fix) for one in fixing.read_all(told)[1]]


_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "str | None": (str, type(None)),
    "bool": (bool,),
    "bool | None": (bool, type(None)),
    "int": (int,),
    "DataSpec": (dict,),
    "tuple[str, ...]": (list,),
    "dict[str, Value]": (dict,),
}


def _mistyped(told: dict[str, Any], kind: type, place: str) -> list[Problem]:
    known = {one.name: one for one in dataclasses.fields(kind)}
    problems = [
        Problem(f"{place}.{name}", f"A spec has no field {name!r}.", f"Known fields: {', '.join(known)}.")
        for name in told
        if name not in known
    ]
    for name, one in known.items():
        if name not in told:
            if one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING:
                problems.append(Problem(f"{place}.{name}", f"The spec lacks {name!r}.", "Add it."))
        elif not isinstance(told[name], _TYPES[str(one.type)]):
            problems.append(Problem(f"{place}.{name}", f"{name} is {told[name]!r}, not {one.type}.", "Correct it."))
    return problems
