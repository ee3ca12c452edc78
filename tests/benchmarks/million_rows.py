"""Opens, profiles, examines, splits and encodes a file of a million rows (200 MB), and says what each stage takes.

The command that made the tables in million_rows.md, from the repository's root:

    python -m tests.benchmarks.million_rows FOLDER [ROWS [STAGE …]]

The file is made in FOLDER, once, of the samples' own sentences put together by chance. Each stage runs in a process of its own, which
this one watches: a line of JSON a stage. It ends with 1 where a stage holds more memory than it may: reading READING_BYTES whatever the
file's size (a workbook and an object of JSON aside), the others so many times the bytes of the file as TIMES says, and READING_BYTES.

`held_bytes` is what the stage had in memory of its own at the most (RssAnon), beyond an interpreter that had imported the same modules.
`peak_bytes` counts the pages of mapped files too, which the system takes back as soon as anybody needs the room. Linux only.
"""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

ROWS = 1_000_000
LIMIT = 500_000_000  # as in engine/studio.py
SAMPLES = Path(__file__).parents[2] / "presets" / "samples"
COLUMNS = ("text", "label", "author", "date")
LOOK_SECONDS = 0.005
READING_BYTES = 300_000_000  # Parquet took 254 MB, the other kinds 110


def rows(count: int, seed: int = 1) -> Iterator[tuple[str, str, str, str]]:
    """Reviews of one to four sentences, in English and Bengali; one of 200 is a copy, of 1,000 a copy with another label."""
    dice = random.Random(seed)
    sentences: dict[str, list[str]] = {}
    for name in ("film-reviews-en.csv", "product-reviews-bn.csv"):
        with (SAMPLES / name).open(encoding="utf-8", newline="") as file:
            for one in csv.DictReader(file):
                cut = one["text"].replace("।", "।\n").replace(". ", ".\n").split("\n")
                sentences.setdefault(one["label"], []).extend(part.strip() for part in cut if part.strip())
    labels = sorted(sentences)
    before: list[tuple[str, str]] = []
    for number in range(count):
        label = dice.choice(labels)
        text = " ".join(dice.choice(sentences[label]) for _ in range(dice.choice((1, 2, 2, 3, 4))))
        text = f"{text} {dice.randrange(10**6)}" if dice.random() < 0.9 else text
        if number % 200 == 199:
            text, label = dice.choice(before)
        elif number % 1000 == 500:
            text = dice.choice(before)[0]
        if len(before) < 5000:
            before.append((text, label))
        day = f"20{dice.randrange(10, 26)}-{dice.randrange(1, 13):02d}-{dice.randrange(1, 29):02d}"
        yield text, label, f"author {dice.randrange(count // 20 + 1)}", day


def made(folder: Path, count: int, kind: str) -> Path:
    """The file of so many rows, written once."""
    path = folder / f"{count}.{kind}"
    if path.exists():
        return path
    beside = folder / f"beside.{kind}"
    match kind:
        case "csv":
            with beside.open("w", encoding="utf-8", newline="") as file:
                told = csv.writer(file)
                told.writerow(COLUMNS)
                told.writerows(rows(count))
        case "jsonl":
            with beside.open("w", encoding="utf-8") as file:
                file.writelines(json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=False) + "\n" for row in rows(count))
        case "zip":
            with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.write(made(folder, count, "csv"), "reviews.csv")
        case "parquet":
            _write_parquet(beside, count)
        case _:
            _write_workbook(beside, min(count, 1_048_575))
    beside.rename(path)
    return path


def _write_parquet(path: Path, count: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.string()) for name in COLUMNS])
    told = rows(count)
    with pq.ParquetWriter(path, schema) as file:
        while part := list(islice(told, 50_000)):
            file.write_table(pa.table(dict(zip(COLUMNS, map(list, zip(*part, strict=True)), strict=True)), schema))


def _write_workbook(path: Path, count: int) -> None:
    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Reviews")
    sheet.append(COLUMNS)
    for row in rows(count):
        sheet.append(row)
    book.save(path)


# The stages. Each prepares what is not to be counted, and gives back what is.

Stage = Callable[[Path, Path], Callable[[], Any]]  # (home, file)


def _open(home: Path, path: Path) -> Callable[[], Any]:
    from engine.data import kept

    return lambda: kept.opened(path, LIMIT, home / "cache").rows


def _examined(home: Path, path: Path) -> Any:
    from engine.data import kept
    from engine.spec import DataSpec

    return kept.opened(path, LIMIT, home / "cache"), DataSpec(f"file:{path}")


def _profile(home: Path, path: Path) -> Callable[[], Any]:
    from engine.data.profile import inspect

    table, data = _examined(home, path)
    return lambda: inspect(table, None, data)[0].classes


def _doctor(home: Path, path: Path) -> Callable[[], Any]:
    from engine.data.doctor import examine

    table, data = _examined(home, path)
    return lambda: {one.id: one.rows for one in examine(table, None, data).findings}


def _fixes(home: Path, path: Path) -> Callable[[], Any]:
    from engine.data.doctor import examine

    table, data = _examined(home, path)
    fixed = replace(data, fixes=("drop-conflicts", "drop-copies", "drop-near-copies", "replace-links"))
    return lambda: {one.fix: one.rows for one in examine(table, None, fixed).applied}


def _split(home: Path, path: Path, **by: str) -> Callable[[], Any]:
    from engine.data.split import Split, prepare

    _, data = _examined(home, path)

    def run() -> Any:
        found = prepare(replace(data, **by), Split(), home=home)
        return [len(one.texts) for one in (found.train, found.validation, found.test)]

    return run


def _preview(home: Path, path: Path) -> Callable[[], Any]:
    """All that the page asks of the engine to draw the Train place, for a file that lies laid down already."""
    from engine.models import EMBEDDED
    from engine.spec import DataSpec, RunSpec
    from engine.studio import Studio

    studio = Studio(home, dispatch=False)
    studio.facts.measure(wait=True)
    asked = RunSpec(DataSpec(f"file:{path}"), EMBEDDED, preset="quick")

    def run() -> Any:
        found = studio.preview(asked)
        studio.methods_that_fit(asked)
        studio.token_fits(asked)
        return len(studio.checkup(asked, found).findings)

    return run


def _tokens(home: Path, path: Path) -> Callable[[], Any]:
    """The start of a training: rows split and turned into tokens, as the worker has them when the model is loaded."""
    from engine import models, opening
    from engine.models import EMBEDDED
    from engine.spec import DataSpec, RunSpec
    from engine.studio import Studio

    studio = Studio(home, dispatch=False)
    studio.facts.measure(wait=True)
    asked = RunSpec(DataSpec(f"file:{path}"), EMBEDDED, preset="quick")
    plan = studio.preview(asked).plan
    assert plan is not None
    folder = models.fetch(plan.model, token=None, home=home, say=lambda *_: None)

    def run() -> Any:
        prepared = opening.rows(asked, plan, home=home, token=None)
        _, ids = opening.tokens(plan, prepared, folder, home=home, said=lambda *_, **__: None)
        return sum(map(len, ids["train"]))

    return run


STAGES: dict[str, Stage] = {
    "open": _open,
    "open again": _open,
    "profile": _profile,
    "doctor": _doctor,
    "fixes": _fixes,
    "split": _split,
    "split by author": lambda home, path: _split(home, path, group="author"),
    "split by date": lambda home, path: _split(home, path, time="date"),
    "preview": _preview,
    "tokens": _tokens,
}
TIMES = {"profile": 1.5, "doctor": 2, "fixes": 4, "split": 3, "split by author": 3, "split by date": 3, "preview": 2, "tokens": 1}
MORE_KINDS = ("parquet", "jsonl", "zip", "xlsx")  # each opened once


def run(stage: str, home: Path, path: Path) -> None:
    """In the child: prepares, waits for the word, does the work."""
    work = STAGES[stage](home, path)
    print("ready", flush=True)
    sys.stdin.readline()
    begun, worked = time.perf_counter(), time.process_time()
    found = work()
    told = {"seconds": round(time.perf_counter() - begun, 2), "processor_seconds": round(time.process_time() - worked, 2), "found": found}
    print(json.dumps(told, ensure_ascii=False, default=str), flush=True)


def measured(stage: str, home: Path, path: Path) -> dict[str, Any]:
    """In the parent: the stage's figures."""
    command = [sys.executable, "-m", "tests.benchmarks.million_rows", "--stage", stage, str(home), str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin
        assert child.stdout
        child.stdout.readline()
        before = _status(child.pid, "RssAnon")
        child.stdin.write("\n")
        child.stdin.flush()
        held = before
        while child.poll() is None and not _has_spoken(child):
            held = max(held, _status(child.pid, "RssAnon"))
            time.sleep(LOOK_SECONDS)
        peak = _status(child.pid, "VmHWM")
        told = child.stdout.read()
    if child.returncode:
        raise SystemExit(f"{stage} failed: {told}")
    return {"stage": stage, "file": path.name, **json.loads(told), "held_bytes": held - before, "peak_bytes": peak}


def _has_spoken(child: subprocess.Popen[str]) -> bool:
    import select

    return bool(select.select([child.stdout], [], [], 0)[0])


def _status(pid: int, name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--stage"]:
        run(arguments[1], Path(arguments[2]), Path(arguments[3]))
        return 0
    folder, count = Path(arguments[0]), int(arguments[1]) if len(arguments) > 1 else ROWS
    folder.mkdir(parents=True, exist_ok=True)
    within, wanted = True, arguments[2:] or [*STAGES, *MORE_KINDS]
    for stage in wanted:
        path = made(folder, count, stage if stage in MORE_KINDS else "csv")
        found = measured("open" if stage in MORE_KINDS else stage, folder / "home", path)
        found["may_hold_bytes"] = round(READING_BYTES + TIMES.get(stage, 0) * path.stat().st_size)
        print(json.dumps(found, ensure_ascii=False), flush=True)
        within = within and found["held_bytes"] <= found["may_hold_bytes"]
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
