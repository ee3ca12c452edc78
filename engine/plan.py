"""check() and plan(): from what a person asked and the facts, every Problem at once, or every number decided with its reason.

Pure: no file, no network, no clock; both take what `sources`, `models` and `hardware` have found out before.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any, Literal

from engine import memory, speed
from engine.asked import asked
from engine.augment import NAMES, translators
from engine.augment.translators import Translator
from engine.catalog import Catalog
from engine.checks import check, memory_problems
from engine.data.profile import DataFacts
from engine.data.split import class_names
from engine.data.table import listed
from engine.deciding import MORE_WRITTEN, Deciding, Decision, cut_share
from engine.errors import Problem, Refused
from engine.hardware import Hardware, device_words
from engine.models import Linear, ModelFacts, TokenFacts
from engine.rules import decide
from engine.spec import RunSpec
from engine.speed import Load

__all__ = ["Decision", "Plan", "check", "from_json", "plan", "to_json"]

VERSION = 1
TRANSLATED = {"cpu": 0.025, "cuda": 0.0006}  # see _translating
TRANSLATOR_BYTES = 3.1e8  # of weights, of Marian's usual size: 77 million parameters
GROUPED_PADDING = 1.06  # tokens computed over tokens there, batches of like length rounded up to 8


@dataclass(frozen=True)
class Plan:
    """Everything decided about one run. Bytes, seconds, rows; shares are 0 to 1."""

    task: str
    method: str
    text: str  # column
    label: str  # column; of tags, the name of the one that they are put into
    second: str  # column beside the text; "": there is none
    labels: tuple[str, ...]  # names of classes or tags; the index is the id
    class_counts: dict[str, int]  # usable rows of each class, before the split
    rows: dict[str, int]  # "train", "validation", "test"; "made" of the training rows at most, where any are
    settings: dict[str, Any]  # every knob that there is; a Value, None only for max_rows and max_steps (no limit)
    effective_batch: int  # rows per optimiser step
    steps: int  # optimiser steps, at most
    decisions: tuple[Decision, ...]
    trainable_parameters: int
    parameters: int
    memory_bytes: int
    memory_available_bytes: int
    memory_parts: dict[str, int]
    memory_basis: Literal["estimated", "measured"]
    seconds: float | None  # of the whole run; None: no figure for this hardware
    seconds_parts: dict[str, float]  # "loading", "translating", "tokenising", "frozen", "training", …; empty where seconds is None
    seconds_basis: Literal["estimated", "measured"]
    disk_bytes: int  # the most that the run needs while it goes: download, checkpoints, what is kept
    disk_free_bytes: int
    save_bytes: int  # what is kept at the end: the adapter or the whole model
    device: Literal["cpu", "cuda"]
    device_words: str
    model: ModelFacts
    data_sha256: str
    tokens_per_word: float | None  # None: the model's tokenizer could not be read beforehand
    cut_share: float | None  # share of the sampled texts longer than max_length
    notes: tuple[str, ...]  # what a person should know and need not act on
    translators: tuple[Translator, ...] = ()  # there and back, where rows are made so
    label_columns: tuple[str, ...] = ()  # of tags
    pieces: int = 1  # in which each batch is computed, one after the other; memory_bytes is what the largest of them needs
    version: int = VERSION

    @property
    def learnt_from(self) -> str:
        """The column of what is learnt, or the columns, as the source has them."""
        return listed(self.label_columns) or self.label

    @property
    def trainable_share(self) -> float:
        return self.trainable_parameters / self.parameters

    @property
    def learnt_rows(self) -> int:
        """Rows of one pass: those of the training part, and those made from them."""
        return self.rows["train"] + self.rows.get("made", 0)

    def reason(self, name: str) -> str | None:
        """Why this setting has its value, where it was decided automatically."""
        return next((decision.reason for decision in self.decisions if decision.name == name), None)


def plan(
    spec: RunSpec,
    data: DataFacts,
    model: ModelFacts,
    tokens: TokenFacts | None,
    hardware: Hardware,
    catalog: Catalog,
    *,
    whatever_memory: bool = False,
    speakers: tuple[Translator, ...] = (),
) -> Plan:
    """Every number of the run. Raises Refused with all the errors that `check` finds.

    `speakers`: the models that translate there and back, where rows are made so.
    `whatever_memory`: also where the estimate is more than what is free, so that it can be measured.
    """
    errors = [problem for problem in check(spec, data, model, tokens, hardware, catalog) if problem.severity == "error"]
    told = asked(spec, catalog)
    if errors and (not whatever_memory or told.method is None or told.problems):
        raise Refused(*errors)
    assert told.method is not None, "check refuses an unknown method"
    work = decide(told, told.method, spec.data, data, model, tokens, hardware)
    errors = [problem for problem in errors if problem not in tuple(memory_problems(work))]
    if errors:
        raise Refused(*errors)
    settings, needed = work.settings, work.memory()
    if (bytes_needed := translating_bytes(work, speakers)) > work.memory_available_bytes:
        told_free = f"{bytes_needed / 1e9:.1f} GB of memory, and {work.memory_available_bytes / 1e9:.1f} GB are free."
        fix = "Choose smaller ones, or make rows by slips of typing."
        raise Refused(Problem("settings.translator", f"The models that translate need about {told_free}", fix))
    timing = speed.seconds(work.model, load(work), hardware)
    if timing and speakers:
        timing["translating"] = _translating(work, speakers)
    if timing and "written_rows" in settings:
        rows = min(settings["written_rows"], work.rows["test"])
        timing["writing"] = speed.writing(work.parameters, work.model.layers, rows, settings["max_new_tokens"], hardware)
    return Plan(
        task=spec.task,
        method=spec.method,
        text=data.text,
        label=data.label,
        second=data.second,
        labels=tuple(data.tags) or class_names(data.classes),
        class_counts=dict(data.answers),
        label_columns=data.labels,
        rows=work.rows,
        settings=settings,
        effective_batch=settings["batch_size"] * settings["accumulation"],
        steps=work.steps,
        decisions=tuple(work.decisions),
        trainable_parameters=work.trainable,
        parameters=work.parameters,
        memory_bytes=max(needed.total_bytes, translating_bytes(work, speakers)),
        memory_available_bytes=work.memory_available_bytes,
        memory_parts=needed.parts,
        memory_basis="estimated",
        seconds=sum(timing.values()) if timing else None,
        seconds_parts=timing,
        seconds_basis="estimated",
        disk_bytes=work.disk_bytes + sum(2 * one.weights_bytes for one in set(speakers) if one.download_bytes),
        disk_free_bytes=hardware.disk_free_bytes,
        save_bytes=work.save_bytes,
        device=work.device,
        device_words=device_words(hardware),
        model=work.model,
        data_sha256=data.sha256,
        tokens_per_word=tokens.tokens_per_word if tokens else None,
        cut_share=cut_share(work) if tokens else None,
        notes=(*work.notes, *_made(work, speakers), *_notes(work, hardware)),
        translators=speakers,
    )


def load(work: Deciding) -> Load:
    """What of these settings takes time."""
    settings, rows = work.settings, work.rows
    read = work.steps * settings["batch_size"] * settings["accumulation"]
    checks = math.ceil(work.steps / settings["evaluate_every"])
    kept = [min(length, settings["max_length"]) for length in work.lengths]
    longest_of_batch = kept[min(len(kept) - 1, len(kept) * settings["batch_size"] // (settings["batch_size"] + 1))]
    tokens = sum(kept) / len(kept) * GROUPED_PADDING if settings["length_grouping"] else longest_of_batch
    read = min(read, math.ceil(settings["epochs"] * work.learnt_rows))
    return Load(
        train_rows=read,
        batches=math.ceil(read / settings["batch_size"]),
        steps=work.steps,
        checks=checks,
        checked_rows=checks * rows["validation"],
        test_rows=rows["test"],
        all_rows=sum(rows.values()),
        tokens=tokens,
        uncut_tokens=sum(work.lengths) / len(work.lengths),
        characters=work.data.chars[1],
        trainable=work.trainable,
        freezes_body=work.method.freezes_body,
        footprint=work.footprint,
        precision=settings["precision"],
        checkpointing=settings["checkpointing"],
        scored=tokens * work.written_share / MORE_WRITTEN if work.model.encoder_decoder else 0.0,
    )


def _translating(work: Deciding, speakers: tuple[Translator, ...]) -> float:
    """Seconds to translate the training rows there and back, where none of it is on the disk yet.

    0.025 s of a core a token for 77 million parameters in batches of 16 (random weights, measured on two cores: 0.020 to 0.035), and in
    proportion for others; on a GPU assumed. Each further copy is another wording of one search.
    """
    tokens = work.rows["train"] * sum(work.lengths) / len(work.lengths)
    wordings = (1, work.settings["augment_copies"])
    share = 1.0 if work.device == "cuda" else 1 / work.hardware.cores
    each = sum(times * one.weights_bytes / TRANSLATOR_BYTES for times, one in zip(wordings, speakers, strict=True))
    return min(float(tokens * each * TRANSLATED[work.device] * share), 60 * float(work.settings["translation_minutes"]))


def translating_bytes(work: Deciding, speakers: tuple[Translator, ...]) -> int:
    """Memory while it translates, before the model is opened: the weights in 32 bits, and a fifth beside them for the work."""
    if not speakers:
        return 0
    return memory.RATES[work.device].overhead + round(1.2 * sum(one.weights_bytes for one in set(speakers)))


def _made(work: Deciding, speakers: tuple[Translator, ...]) -> list[str]:
    """What becomes of rows, steps and minutes where rows are made, and why."""
    if not work.rows.get("made"):
        return []
    copies = int(work.settings["augment_copies"])
    grow = "the number of steps is bound, so there are fewer passes" if work.settings["max_steps"] else "steps and minutes grow with them"
    notes = [
        f"Each of the {work.rows['train']:,} training rows gets {'one copy' if copies == 1 else f'{copies} copies'} at most by "
        f"{NAMES[work.settings['augment']]}: a pass has up to {work.learnt_rows:,} rows, and {grow}. The rows that check and test stay "
        "as they came."
    ]
    if speakers:
        names = " and back by ".join(dict.fromkeys(one.id for one in speakers))
        download = sum(one.download_bytes for one in set(speakers))
        fetched = f" {download / 1e6:,.0f} MB are fetched first; that time is not in the estimate." if download else ""
        notes.append(f"They are translated by {names}, before the training begins, and kept for later runs.{fetched}")
    return notes


def _notes(work: Deciding, hardware: Hardware) -> list[str]:
    notes = []
    if work.model.download_bytes:
        notes.append(f"The first run downloads {work.model.download_bytes / 1e6:,.0f} MB; that time is not in the estimate.")
    if work.model.needs_conversion and work.model.source == "gguf":
        notes.append("The model's weights come as GGUF and are turned into safetensors once.")
    elif work.model.needs_conversion:
        notes.append("The model's weights come in the old .bin format and are converted once to safetensors.")
    if hardware.gpu_note:
        notes.append(hardware.gpu_note)
    if hardware.persistent is False:
        notes.append("This machine forgets its files when it restarts: take the model home when the run has ended.")
    return notes


def to_json(plan: Plan) -> str:
    """The plan as JSON text, as it lies in the run's folder."""
    return json.dumps(dataclasses.asdict(plan), ensure_ascii=False, indent=2) + "\n"


def from_json(text: str) -> Plan:
    """The plan that `to_json` wrote. Raises Refused when it is from a newer version or is not whole."""
    told = json.loads(text)
    version = told.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise Refused(Problem("plan.version", f"This plan has version {version!r}; this Shur reads up to {VERSION}.", "Update Shur."))
    model = told["model"]
    facts = ModelFacts(**{**_tupled(model), "linears": tuple(Linear(**linear) for linear in model["linears"])})
    decisions = tuple(Decision(**decision) for decision in told["decisions"])
    speakers = tuple(translators.from_json(one) for one in told.get("translators", ()))
    return Plan(**{"second": "", **_tupled(told), "model": facts, "decisions": decisions, "translators": speakers})


def _tupled(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has no tuples: every list of a frozen dataclass of ours was one."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
