"""From a DataSpec to its rows: a sample, a file or a data set of the Hub, with the second file or split for testing where there is one.

`kept.opened` and `open_hub` do the opening; what the rows are worth is left to profile.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

from engine.data import kept
from engine.data.files import open_file
from engine.data.header import tidy
from engine.data.hub import Fields, hub_layout, open_hub
from engine.data.table import Table, clean, listed, shown
from engine.data.watch import Watch
from engine.errors import Problem, Refused
from engine.spec import DataSpec

__all__ = ["LIMIT_BYTES", "Table", "clean", "hub_layout", "load", "open_file", "open_hub", "with_defaults"]

PRESETS = Path(__file__).parents[2] / "presets"
LIMIT_BYTES = 500_000_000
SOURCES = "Choose a sample, a file, or a data set of the Hub."


def load(
    data: DataSpec, *, home: Path, token: str | None = None, limit_bytes: int = LIMIT_BYTES, watch: Watch | None = None
) -> tuple[Table, Table | None]:
    """The rows (all, or those for training) and the given test rows, if there are any. Raises Refused with what is wrong with either."""
    data = with_defaults(data)
    problems: list[Problem] = []
    table = test = None
    try:
        table, test = _rows(data, home, token, limit_bytes, watch)
    except Refused as refused:
        problems.extend(refused.problems)
    if data.test:
        try:
            path = _path(data.test, home, "data.test")
            test = kept.opened(
                path, limit_bytes, home / "cache", field="data.test", header=data.header, encoding=data.encoding, watch=watch
            )
        except Refused as refused:
            problems.extend(refused.problems)
    if problems or table is None:
        raise Refused(*problems)
    return table, _named_alike(test, table) if test is not None and data.test else test


def _named_alike(test: Table, table: Table) -> Table:
    """The given test rows with the names of the other file's columns, where they differ in case and blanks alone."""
    same = {tidy(name).casefold(): name for name in table.columns}
    names = tuple(name if name in table.columns else same.get(tidy(name).casefold(), name) for name in test.columns)
    if names == test.columns or len(set(names)) < len(names):
        return test
    changed = [f"{old!r} as {new!r}" for old, new in zip(test.columns, names, strict=True) if old != new]
    return replace(test, columns=names, data=test.data.rename_columns(list(names)), notes=(*test.notes, f"Read {listed(changed)}"))


def with_defaults(data: DataSpec) -> DataSpec:
    """The same with what presets/datasets.json knows of its source: the columns, and a Hub data set's subset and splits."""
    known, told = _known().get(data.source, {}), asdict(data)
    blank = {name: known[name] for name in ("text", "label", "config") if known.get(name) and told[name] is None}
    if data.config in (None, known.get("config")):  # another subset has splits of its own
        blank |= {name: known[name] for name in ("train_split", "test_split") if known.get(name) and told[name] is None}
    return replace(data, **blank)


@cache
def _known() -> dict[str, dict[str, Any]]:
    """presets/datasets.json by source. It is our own file: a fault in it is for the tests of the catalogue to find."""
    path = PRESETS / "datasets.json"
    return {one["source"]: one for one in json.loads(path.read_text("utf-8"))} if path.exists() else {}


def _rows(data: DataSpec, home: Path, token: str | None, limit_bytes: int, watch: Watch | None) -> tuple[Table, Table | None]:
    kind, _, name = data.source.partition(":")
    if kind == "file":
        path = _path(data.source, home, "data.source")
        table = kept.opened(path, limit_bytes, home / "cache", sheet=data.sheet, header=data.header, encoding=data.encoding, watch=watch)
        return replace(table, test=None), table.test
    if kind == "sample":
        known = _known().get(data.source)
        if known is None:
            samples = [source.removeprefix("sample:") for source in _known() if source.startswith("sample:")]
            raise Refused(Problem("data.source", f"There is no sample {shown(name)!r}.", f"Choose one of {listed(samples)}."))
        path = PRESETS / "samples" / (known.get("file") or f"{name}.csv")
        return open_file(path, limit_bytes, name=f"{known['name']}"), None
    if kind == "hub":
        return _from_hub(data, name, token, limit_bytes)
    raise Refused(
        Problem("data.source", f"{shown(data.source)!r} is no source of data." if data.source else "No data is chosen yet.", SOURCES)
    )


def _from_hub(data: DataSpec, dataset_id: str, token: str | None, limit_bytes: int) -> tuple[Table, Table | None]:
    config, train, test = data.config, data.train_split, data.test_split
    if train is None or (test is None and not data.test):
        layout = hub_layout(dataset_id, token)
        config = config or next(iter(layout), None)
        splits = layout.get(config or "", ())
        train = train or ("train" if "train" in splits or not splits else splits[0] if len(splits) == 1 else None)
        if train is None:
            message = f"{dataset_id} has no split 'train'; it has {listed(splits, 10)}."
            raise Refused(Problem("data.train_split", message, "Choose the split to train on."))
        test = test or ("test" if "test" in splits and train != "test" else None)
    table = open_hub(dataset_id, config, train, token, limit_bytes=limit_bytes)
    if data.test or not test or test == train:
        return table, None
    return table, open_hub(dataset_id, config, test, token, limit_bytes=limit_bytes, fields=Fields(split="data.test_split"))


def _path(source: str, home: Path, field: str) -> Path:
    """The file that "file:PATH" names: a relative path is looked for in the working folder, then in the home."""
    if not source.startswith("file:"):
        raise Refused(Problem(field, f"{shown(source)!r} is not a file.", "Choose a file."))
    try:
        told = Path(source.removeprefix("file:")).expanduser()
        return told if told.is_absolute() or told.exists() or not (home / told).exists() else home / told
    except (OSError, ValueError, RuntimeError) as error:  # a name too long, a NUL, "~nobody"
        raise Refused(Problem(field, f"{shown(source)!r} is not a path that can be opened.", "Choose a file.")) from error
