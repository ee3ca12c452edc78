"""A data set of the Hub as a Table: parquet and the like, never a data set's own code. Every failure is told in words.

Revision first: one question to the Hub pins the commit and finds out in a second what the library would retry for half a minute.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from engine.data.table import Table, listed, shown, without_controls
from engine.errors import Problem, Refused, redact
from engine.hub import Unreachable, told

if TYPE_CHECKING:
    from datasets import DatasetBuilder, DatasetInfo

DATASET_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
# Names that the `datasets` library takes for file formats of this machine, not for data sets of the Hub.
NOT_ON_THE_HUB = frozenset(("arrow", "audiofolder", "csv", "imagefolder", "json", "pandas", "parquet", "sql", "text", "webdataset", "xml"))
ANSWER_SECONDS = 15.0  # that the Hub may take to answer before we say that it cannot be reached


@dataclass(frozen=True)
class Fields:
    """Where on the page a problem belongs: to the data set, its subset and its split."""

    source: str = "data.source"
    config: str = "data.config"
    split: str = "data.train_split"


def hub_layout(dataset_id: str, token: str | None) -> dict[str, tuple[str, ...]]:
    """The data set's subsets with their splits, the default subset first. Raises Refused."""
    fields = Fields()
    revision = _revision(dataset_id, token, fields)
    with _told(dataset_id, token, fields), _unasked(revision):
        from datasets import get_dataset_config_names, get_dataset_default_config_name

        path = f"hf://datasets/{dataset_id}"
        names = get_dataset_config_names(path, revision=revision, token=token or False)
        usual = get_dataset_default_config_name(path, revision=revision, token=token or False)
    names = sorted(names, key=lambda name: name != usual)  # a stable sort: the others keep their order
    builder = _builder(dataset_id, names[0] if names else None, token, revision, fields)
    layout = {}
    for name in names:
        files = getattr(builder.builder_configs.get(name), "data_files", None)
        if not files and name != builder.config.name:
            builder = _builder(dataset_id, name, token, revision, fields)
        layout[name] = tuple(map(str, files)) if files else _splits(builder)
    return layout


def open_hub(
    dataset_id: str,
    config: str | None,
    split: str,
    token: str | None,
    *,
    limit_bytes: int = 500_000_000,
    fields: Fields = Fields(),
) -> Table:
    """The rows of one split, labels as names. Raises Refused: unknown, gated, no network, another subset or split, too large."""
    revision, sizes = _revision(dataset_id, token, fields), {}
    if revision is not None:
        sizes = _sizes(dataset_id, token, revision, fields)
    builder = _builder(dataset_id, config, token, revision, fields)
    splits, whole = _splits(builder), split.partition("[")[0]
    if splits and whole not in splits:
        message = f"{dataset_id} has no split {shown(split)!r}; it has {listed(splits, 10)}."
        raise Refused(Problem(fields.split, message, f"Choose one of {listed(splits, 10)}."))
    if (size := _bytes_of(builder, whole, sizes)) > limit_bytes:
        raise Refused(_too_large(f"The split {whole!r} of {dataset_id}", size, limit_bytes, fields.split))
    if (size := sum(sizes.get(_in_repository(one), 0) for one in _files(builder))) > limit_bytes:
        raise Refused(_too_large(f"{dataset_id}, all of whose splits are fetched at once,", size, limit_bytes, fields.source))
    with _told(dataset_id, token, fields), _unasked(revision):
        import datasets

        datasets.disable_progress_bars()
        loaded = datasets.load_dataset(
            f"hf://datasets/{dataset_id}", builder.config.name, split=split, revision=revision, token=token or False
        )
        if (size := max(_told_bytes(loaded.info, whole), loaded.data.nbytes)) > limit_bytes:  # packed well, its size told by nobody
            raise Refused(_too_large(f"The split {whole!r} of {dataset_id}", size, limit_bytes, fields.split))
        rows, features = loaded.with_format("arrow")[:], loaded.features
    commit = revision or str(builder.hash)
    told_as = f"{dataset_id}, {builder.config.name}, {split}" if builder.config.name != "default" else f"{dataset_id}, {split}"
    return as_table(rows, features, hashlib.sha256(f"{dataset_id}@{commit}:{builder.config.name}:{split}".encode()).hexdigest(), told_as)


def as_table(rows: pa.Table, features: Any, sha256: str, origin: str) -> Table:
    """The rows with every value as text: class numbers as their names, no label (-1) as null; what is no text is left out and said."""
    from datasets import ClassLabel

    columns, odd, controls = {}, [], 0
    for name in rows.column_names:
        values, feature = rows.column(name), features[name]
        if isinstance(feature, ClassLabel):
            known = pa.array(feature.names or [], pa.string())
            there = pc.and_(pc.greater_equal(values, 0), pc.less(values, len(known)))
            values = pc.take(known, pc.if_else(there, values, pa.scalar(None, values.type)).cast(pa.int64()))
        elif pa.types.is_nested(values.type) or pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
            odd.append(name)
            continue
        values = values.cast(pa.string())
        chunks = []
        for chunk in values.chunks if isinstance(values, pa.ChunkedArray) else [values]:
            cleaned, found = without_controls(chunk)
            controls += found
            chunks.append(pc.if_else(pc.equal(cleaned, ""), pa.scalar(None, pa.string()), cleaned))
        columns[name] = pa.chunked_array(chunks, pa.string())
    notes = ["From the Hub"]
    if odd:
        notes.append(f"Columns that hold no plain text were left out: {listed(odd)}")
    if controls:
        notes.append(f"{controls:,} control characters became spaces")
    return Table(tuple(columns), pa.table(columns), sha256, origin, tuple(notes))


def _revision(dataset_id: str, token: str | None, fields: Fields) -> str | None:
    """The newest commit; None where the Hub cannot be reached but the data set was fetched before. Raises Refused."""
    if not DATASET_ID.fullmatch(dataset_id) or ".." in dataset_id or "--" in dataset_id or dataset_id in NOT_ON_THE_HUB:
        message = f"{shown(dataset_id)!r} is not the id of a data set on the Hub."
        raise Refused(Problem(fields.source, message, "Write it as the Hub shows it, such as stanfordnlp/imdb."))
    from datasets import config
    from datasets.naming import camelcase_to_snakecase
    from huggingface_hub import HfApi

    try:
        with told(dataset_id, token, fields.source):
            return HfApi(endpoint=config.HF_ENDPOINT, token=token or False).dataset_info(dataset_id, timeout=ANSWER_SECONDS).sha
    except Unreachable:
        *owner, name = dataset_id.split("/")
        if (Path(config.HF_DATASETS_CACHE) / "___".join([*owner, camelcase_to_snakecase(name)])).is_dir():
            return None
        raise


def _builder(dataset_id: str, name: str | None, token: str | None, revision: str | None, fields: Fields) -> DatasetBuilder:
    with _told(dataset_id, token, fields), _unasked(revision):
        from datasets import load_dataset_builder

        return load_dataset_builder(f"hf://datasets/{dataset_id}", name, revision=revision, token=token or False)


def _sizes(dataset_id: str, token: str | None, revision: str, fields: Fields) -> dict[str, int]:
    """The bytes of every file of this commit, by its path in the repository."""
    from datasets import config
    from huggingface_hub import HfApi

    api = HfApi(endpoint=config.HF_ENDPOINT, token=token or False)
    with told(dataset_id, token, fields.source):
        info = api.dataset_info(dataset_id, revision=revision, files_metadata=True, timeout=ANSWER_SECONDS)
    return {one.rfilename: one.size or 0 for one in info.siblings or ()}


def _files(builder: DatasetBuilder, split: str | None = None) -> tuple[str, ...]:
    """The addresses of the files of a split, or of all splits of the subset: hf://datasets/OWNER/NAME@COMMIT/PATH."""
    files = getattr(builder.config, "data_files", None) or {}
    return tuple(str(one) for name, several in files.items() if split in (None, str(name)) for one in several)


def _in_repository(address: str) -> str:
    return address.partition("@")[2].partition("/")[2]


def _bytes_of(builder: DatasetBuilder, split: str, sizes: dict[str, int]) -> int:
    """What a whole split takes: as its card tells, at least its files. A part of it cannot be fetched without the whole."""
    return max(_told_bytes(builder.info, split), sum(sizes.get(_in_repository(one), 0) for one in _files(builder, split)))


def _told_bytes(info: DatasetInfo, split: str) -> int:
    """The size of a whole split by its card, or by what was made of it before; 0 where nothing is known."""
    known = (info.splits or {}).get(split)
    return (known.num_bytes or 0) if known else 0


def _too_large(what: str, size: int, limit: int, field: str) -> Problem:
    fix = "Choose a smaller one, or take a part of it elsewhere and upload that as a file."
    return Problem(field, f"{what} has {_megabytes(size)}; the limit is {_megabytes(limit)}.", fix)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB" if size >= 10e6 else f"{size / 1e6:,.3f} MB"


def _splits(builder: DatasetBuilder) -> tuple[str, ...]:
    """The splits of the builder's subset; () where only loading would tell."""
    files = getattr(builder.config, "data_files", None)
    return tuple(map(str, files or builder.info.splits or ()))


@contextmanager
def _unasked(revision: str | None) -> Iterator[None]:
    """Where the Hub cannot be reached (no revision), has `datasets` look into its cache at once.

    It would try the network for 26 s first (measured), each time. The switch is one for the whole process, which has no network then.
    """
    from datasets import config

    if revision is not None:
        yield
        return
    before, config.HF_HUB_OFFLINE = config.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        config.HF_HUB_OFFLINE = before


@contextmanager
def _told(dataset_id: str, token: str | None, fields: Fields) -> Iterator[None]:
    """Whatever the `datasets` library raises within becomes a Refused in words."""
    from datasets.exceptions import DatasetsError

    try:
        with told(dataset_id, token, fields.source):
            yield
    except (DatasetsError, OSError, ValueError, RuntimeError, pa.ArrowException) as error:
        raise Refused(problem_of(error, dataset_id, token, fields)) from error


def problem_of(error: Exception, dataset_id: str, token: str | None, fields: Fields) -> Problem:
    """What a failed load means, in words."""
    from datasets.exceptions import DataFilesNotFoundError, DatasetNotFoundError

    said = redact(str(error))
    if isinstance(error, DatasetNotFoundError) and "gated" in said:
        page = f"https://huggingface.co/datasets/{dataset_id}"
        fix = f"Accept its terms at {page}" + (" with the account that your token belongs to." if token else ", then give a Hub token.")
        return Problem(fields.source, f"{dataset_id} is gated: its owner wants its terms accepted first.", fix)
    if isinstance(error, DatasetNotFoundError):
        fix = "Check the spelling." if token else "Check the spelling; if it is private, give a Hub token."
        return Problem(fields.source, f"The Hub knows no {dataset_id!r}, or does not show it to you.", fix)
    if isinstance(error, (DataFilesNotFoundError, FileNotFoundError)):
        return Problem(fields.source, f"{dataset_id} holds no files that can be read as a table.", "Choose a data set with a table.")
    if "scripts are no longer supported" in said:
        fix = "Choose a copy of it that holds Parquet files, or download it and upload it as CSV."
        return Problem(fields.source, f"{dataset_id} can only be read by running its own code, which Shur does not do.", fix)
    if "onfig" in said and isinstance(error, ValueError):
        names = re.findall(r"'([^']+)'", said.partition("[")[2])
        of = f" one of {listed(names, 10)}" if names else ""
        return Problem(
            fields.config, f"{dataset_id} has several subsets, and the one asked for is not among them.", f"Choose{of or ' one'}."
        )
    if "nknown split" in said or "plits" in type(error).__name__:
        return Problem(fields.split, f"{dataset_id} does not have the split that was asked for.", "Choose another split.")
    first_line = (said.strip().split("\n") or [""])[0][:200]
    return Problem(fields.source, f"{dataset_id} could not be read: {first_line or type(error).__name__}", "Choose another data set.")
