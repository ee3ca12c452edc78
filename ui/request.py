"""Between the fields of the Train place and a RunSpec, both ways. Pure: plain values in, plain values out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.knobs import Knob
from engine.spec import DataSpec, RunSpec
from ui import form

UPLOAD, HUB = "upload", "hub"  # choices of "Data" besides those of the catalogue
CHANCE, GROUP, TIME = "chance", "group", "time"  # how rows are split
OTHER = "other"  # choice of "Model" besides the catalogue's
FIELDS = (
    "data", "file", "test_file", "sheet", "header", "encoding", "corrections", "hub_id", "config", "train_split", "test_split",
    "resplit", "split_by", "split_column",
    "task", "text", "label", "second", "labels", "fixes", "guessed_text", "guessed_label", "guessed_second", "guessed_labels",
    "model", "other_model", "method", "preset", "name",
)  # fmt: skip
FIRST_TASK = "classify"
OF_TASK = "task "  # before a task's id, among the keys of Offer.knobs
NO_COLUMN = "none"  # choice of the column beside the text


@dataclass(frozen=True)
class Offer:
    """What can be chosen: ids of the catalogue, and every knob by its method or task ("" for those that all share)."""

    sources: tuple[str, ...]
    models: tuple[str, ...]
    knobs: dict[str, tuple[Knob, ...]]  # those of a task under OF_TASK and its id
    targets: dict[str, str]  # task -> what its label column holds

    @property
    def all_knobs(self) -> tuple[Knob, ...]:
        """One of each name; methods may share a name, each with a declaration of its own."""
        found: dict[str, Knob] = {}
        for knob in (knob for group in self.knobs.values() for knob in group):
            found.setdefault(knob.name, knob)
        return tuple(found.values())

    def knobs_for(self, method: str, task: str) -> tuple[Knob, ...]:
        return (*self.knobs[""], *self.knobs.get(OF_TASK + task, ()), *self.knobs.get(method, ()))

    def told(self, values: Sequence[Any]) -> dict[str, Any]:
        """The values that a handler was given, in the order of its inputs, by name."""
        return dict(zip((*FIELDS, *(f"knob {knob.name}" for knob in self.all_knobs)), values, strict=True))


def data_spec(told: dict[str, Any], target: str = "class") -> DataSpec:
    """The data that the fields ask for; an empty source where there is none yet."""
    data = _without_fixes(told)
    second = "" if told["second"] == NO_COLUMN else _given(told["second"])
    labels = tuple(told["labels"] or ()) if target == "tags" else ()
    data = replace(data, label=None if target == "tags" else data.label, labels=labels)
    return replace(data, second=second, target=target, fixes=_fixes_of(data, told["fixes"]))


def _fixes_of(data: DataSpec, recorded: str) -> tuple[str, ...]:
    """The fixes that were recorded for this data; those of other data were meant for its rows alone."""
    of, fixes = json.loads(recorded) if recorded else ("", ())
    return tuple(fixes) if of == data.source else ()


def _without_fixes(told: dict[str, Any]) -> DataSpec:
    text, label, resplit = _given(told["text"]), _given(told["label"]), bool(told["resplit"])
    by = {**_split_by(told), "corrections": _given(told["corrections"])}
    match told["data"]:
        case "upload":
            header = {"names": True, "data": False}.get(told["header"] or "")
            return DataSpec(
                source=told["file"] or "", test=_given(told["test_file"]), sheet=_given(told["sheet"]), header=header,
                encoding=_given(told["encoding"]), text=text, label=label, resplit=resplit, **by,
            )  # fmt: skip
        case "hub":
            name = _given(told["hub_id"])
            return DataSpec(
                source=f"hub:{name}" if name else "", config=_given(told["config"]), train_split=_given(told["train_split"]),
                test_split=_given(told["test_split"]), text=text, label=label, resplit=resplit, **by,
            )  # fmt: skip
        case source:
            return DataSpec(source=source or "", text=text, label=label, resplit=resplit, **by)


def _split_by(told: dict[str, Any]) -> dict[str, str | None]:
    """The column that the split goes by, under the name of its field; "" while none is chosen yet."""
    way = told["split_by"]
    return {way: _given(told["split_column"]) or ""} if way in (GROUP, TIME) else {}


def run_spec(told: dict[str, Any], offer: Offer) -> RunSpec:
    """What the fields ask for, whether or not it can be done."""
    typed = {knob.name: told[f"knob {knob.name}"] for knob in offer.all_knobs}
    task = told["task"] or FIRST_TASK
    return RunSpec(
        data=data_spec(told, offer.targets.get(task, "class")),
        model=(_given(told["other_model"]) or "") if told["model"] == OTHER else told["model"] or "",
        method=told["method"],
        task=task,
        preset=told["preset"] or None,
        settings=form.settings(offer.knobs_for(told["method"], task), typed),
        name=_given(told["name"]),
    )


def unguessed(told: dict[str, Any]) -> dict[str, Any]:
    """The same, but columns that were both guessed are left open, so that each guess keeps its reason."""
    learnt = bool(told["labels"]) or not told["label"] or told["label"] == told["guessed_label"]
    guessed = told["text"] and told["text"] == told["guessed_text"] and learnt
    guessed = guessed and (not told["labels"] or as_text(told["labels"]) == told["guessed_labels"])
    guessed = guessed and (told["second"] or NO_COLUMN) == (told["guessed_second"] or NO_COLUMN)
    return {**told, "text": None, "label": None, "second": None, "labels": []} if guessed else told


def as_text(columns: Sequence[str]) -> str:
    """Several columns in a field of one text."""
    return json.dumps(list(columns), ensure_ascii=False)


def fields(spec: RunSpec, offer: Offer) -> dict[str, Any]:
    """The reverse: what each field shows for this spec."""
    data, listed = spec.data, spec.model in offer.models
    plain = data.source in offer.sources and not (data.config or data.train_split or data.test_split)
    kind = data.source if plain else HUB if data.source.startswith("hub:") else UPLOAD
    values: dict[str, Any] = {
        "data": kind,
        "file": data.source if kind == UPLOAD else "",
        "test_file": data.test or "",
        "sheet": data.sheet or "",
        "header": {True: "names", False: "data", None: ""}[data.header],
        "encoding": data.encoding or "",
        "corrections": data.corrections or "",
        "hub_id": data.source.removeprefix("hub:") if kind == HUB else "",
        "config": data.config or "",
        "train_split": data.train_split or "",
        "test_split": data.test_split or "",
        "resplit": data.resplit,
        "split_by": GROUP if data.group is not None else TIME if data.time is not None else CHANCE,
        "split_column": data.group or data.time,
        "task": spec.task,
        "text": data.text,
        "label": data.label,
        "second": NO_COLUMN if data.second == "" else data.second,
        "labels": list(data.labels),
        "fixes": json.dumps([data.source, data.fixes], ensure_ascii=False) if data.fixes else "",
        "guessed_text": "",
        "guessed_label": "",
        "guessed_second": "",
        "guessed_labels": "",
        "model": spec.model if listed else OTHER,
        "other_model": "" if listed else spec.model,
        "method": spec.method,
        "preset": spec.preset or None,
        "name": spec.name or "",
    }
    typed = form.typed(offer.all_knobs, spec.settings)
    return {**values, **{f"knob {name}": text for name, text in typed.items()}}


def _given(text: object) -> str | None:
    """What was typed, without blanks around it; None for nothing."""
    return str(text).strip() or None if text is not None else None
