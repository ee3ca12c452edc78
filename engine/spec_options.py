"""What a run is asked for in the shell: the options of `train` and its kin, and the RunSpec that they make."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine import catalog as presets
from engine import spec as specs
from engine.data.table import shown
from engine.errors import Problem, Refused
from engine.knobs import Value
from engine.models import EMBEDDED
from engine.spec import DataSpec, RunSpec
from engine.tasks import all_tasks

KINDS = ("file:", "hub:", "sample:")


def add_options(command: argparse.ArgumentParser) -> None:
    """The options that make a spec."""
    command.add_argument(
        "--data",
        help="a file (CSV, TSV, JSON, Parquet, Excel, Arrow, or a zip of these or of folders named by label), sample:ID, or hub:ID",
    )
    command.add_argument("--sheet", metavar="NAME", help="of a workbook, or a table of a zip; left out: the one with most rows")
    command.add_argument("--encoding", metavar="CODEC", help="of a file that is not Unicode, such as cp1251 or cp932; left out: judged")
    command.add_argument("--header", choices=("yes", "no"), help="whether the first row names the columns; left out: judged")
    command.add_argument("--test", help="a second file, to test on")
    command.add_argument("--corrections", help="labels put right by hand: a file that the page's error explorer wrote")
    command.add_argument("--text", metavar="COLUMN", help="the column of texts; left out: guessed")
    command.add_argument("--label", metavar="COLUMN", help="the column of labels; left out: guessed")
    command.add_argument("--labels", metavar="COLUMNS", help="the columns of tags, with commas between, or one of lists; left out: guessed")
    command.add_argument("--second", metavar="COLUMN", help="a column read beside the text: a context or an input; left out: guessed")
    command.add_argument(
        "--group", metavar="COLUMN", help="split so that rows with the same value here, of one author say, stay in one part"
    )
    command.add_argument("--time", metavar="COLUMN", help="split by this date: the newest rows are the test")
    command.add_argument(
        "--fix",
        metavar="FIX",
        action="append",
        default=[],
        help="a fix that `inspect` names, such as drop-leaked; may be repeated",
    )
    command.add_argument("--model", metavar="ID", help=f"a catalogue id, a Hub id, a folder or a GGUF file; left out: {EMBEDDED}")
    command.add_argument("--task", metavar="ID", help="what is learnt: classify, label_by_writing, …; left out: classify")
    command.add_argument("--method", metavar="ID", help="full, lora, …; left out: the preset's")
    command.add_argument("--preset", metavar="ID", help="quick, balanced, …; left out: balanced")
    command.add_argument("--set", metavar="KNOB=VALUE", action="append", default=[], help="one setting over the preset; may be repeated")
    command.add_argument("--name", help="what the run is called")
    command.add_argument("--spec", metavar="FILE", type=Path, help="a spec.json; the other flags change single fields of it")


def spec_of(told: argparse.Namespace) -> RunSpec:
    """The spec of the flags, over the one of --spec. Raises Refused with every problem."""
    given = _read_spec(told.spec) if told.spec else None
    settings, problems = _settings(told.set)
    if told.data is None and given is None:
        problems.append(Problem("data.source", "No data is given.", "Add --data FILE, --data sample:ID or --data hub:ID."))
    if problems:
        raise Refused(*problems)
    spec = given or _blank(told)
    sources = {"source": _source(told.data), "test": _source(told.test), "corrections": _source(told.corrections)}
    header = None if told.header is None else told.header == "yes"
    of_file = _given(**sources, sheet=told.sheet, header=header, encoding=told.encoding)
    data = replace(
        spec.data,
        **of_file,
        **_given(text=told.text, label=told.label, labels=_columns(told.labels), second=told.second, group=told.group, time=told.time),
    )
    fields = _given(model=told.model, task=told.task, method=told.method, preset=told.preset, name=told.name)
    data = replace(data, fixes=(*data.fixes, *told.fix))
    spec = replace(spec, **fields, data=data, settings={**spec.settings, **settings})
    task = all_tasks().get(spec.task)
    return replace(spec, data=replace(spec.data, target=task.target)) if task and (told.task or given is None) else spec


def _read_spec(path: Path) -> RunSpec:
    try:
        return specs.from_json(path.read_text("utf-8"))
    except (OSError, ValueError) as error:  # also bytes that are no text, and a NUL in the path
        raise Refused(Problem("spec", f"The file {shown(str(path))} cannot be read.", "Choose a spec.json that Shur wrote.")) from error


def _blank(told: argparse.Namespace) -> RunSpec:
    """A spec with the method that its preset was made for. An unknown preset is `check`'s to tell, beside everything else."""
    spec = RunSpec(DataSpec(""), EMBEDDED)
    wanted = told.preset or spec.preset
    meant = next((one for one in presets.load().recipes if one.id == wanted), None)
    if meant is None:
        return spec
    return replace(spec, method=meant.method or spec.method, task=meant.task or spec.task)


def _columns(told: str | None) -> tuple[str, ...] | None:
    return None if told is None else tuple(one.strip() for one in told.split(",") if one.strip())


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _source(told: str | None) -> str | None:
    """A DataSpec's source: a bare path is a file, whole so that it holds from any folder."""
    if told is None or told.startswith(KINDS):
        return told
    try:
        return f"file:{Path(told).expanduser().absolute()}"
    except RuntimeError:  # "~nobody": `Facts` tells it
        return f"file:{told}"


def _settings(pairs: Sequence[str]) -> tuple[dict[str, Value], list[Problem]]:
    """Each KNOB=VALUE, numbers as numbers. Names and bounds are `check`'s to judge."""
    found: dict[str, Value] = {}
    problems = []
    for pair in pairs:
        name, equals, raw = pair.partition("=")
        if not equals or not name.strip():
            problems.append(Problem("settings", f"--set {pair} is not KNOB=VALUE.", "Write, for example, --set epochs=2."))
            continue
        try:
            value = json.loads(raw)
        except ValueError:
            value = raw
        found[name.strip()] = value if isinstance(value, (bool, int, float)) else raw
    return found, problems
