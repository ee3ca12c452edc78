"""Records the curves that the coach is tried on: real runs of MiniLM, healthy ones and ones with a fault made on purpose.

    python -m tests.benchmarks.coach_curves DATA FOLDER [NAME …]

trains every case of CASES (or those named) over the data sets in DATA, in FOLDER, and writes tests/curves/NAME.json: losses, figures
and what was decided, no texts and no names of classes. A case takes about a minute on two cores. What is told of each by `fault` was
fixed before the coach saw the curve; "" is a run that needs no word before its end.
"""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from engine import plan as planning
from engine import store
from engine.coach import lesson

CURVES = Path(__file__).parents[1] / "curves"
COMMON = {"max_length": 48, "batch_size": 16, "accumulation": 1, "max_steps": 120, "evaluate_every": 10, "patience": 0}
SOURCES = {
    "imdb": ("imdb/imdb_train_5k.csv", "review", "sentiment", ","),
    "banglish": ("bengali/BnSentMix_named.csv", "text", "label", ","),
    "bengali": ("bengali/sentiment_train.tsv", "text", "class_label", "\t"),
    "intents": ("other/banking77_train.csv", "text", "category", ","),
    "ratings": ("messy/imdb_ratings_1k.csv", "review", "sentiment", ","),
}


@dataclass(frozen=True)
class Case:
    """One run: which rows, which method, what was set, and what is wrong with it."""

    source: str
    method: str
    fault: str = ""
    rows: int | None = None  # a random part of the data
    rare: int | None = None  # rows that the last class keeps
    settings: dict[str, object] = field(default_factory=dict)


CASES = {
    **{f"{source}-{method}": Case(source, method) for source in ("imdb", "banglish", "bengali") for method in ("lora", "full", "adapter")},
    **{f"{source}-lora-seed{seed}": Case(source, "lora", settings={"seed": seed}) for source in ("imdb", "bengali") for seed in (1, 2, 3)},
    "intents-lora": Case("intents", "lora"),
    "intents-full": Case("intents", "full", settings={"learning_rate": 1e-4}),
    "ratings-lora": Case("ratings", "lora", settings={"max_steps": 80}),
    "ratings-bitfit": Case("ratings", "bitfit", settings={"max_steps": 80}),
    "imdb-linear": Case("imdb", "lora", settings={"schedule": "linear", "warmup_steps": 0}),
    "imdb-batch4": Case("imdb", "lora", settings={"batch_size": 4, "max_steps": 200, "evaluate_every": 20}),
    "bengali-batch8": Case("bengali", "full", settings={"batch_size": 8, "max_steps": 160, "evaluate_every": 16}),
    "banglish-prefix": Case("banglish", "prefix"),
    **{f"{source}-high-{rate:g}": Case(source, "lora", "rate_high", settings={"learning_rate": rate, "schedule": "constant"})
       for source, rate in (("imdb", 0.1), ("imdb", 0.3), ("banglish", 0.1), ("bengali", 0.2))},
    "imdb-full-high": Case("imdb", "full", "rate_high", settings={"learning_rate": 0.01, "schedule": "constant"}),
    "bengali-full-high": Case("bengali", "full", "rate_high", settings={"learning_rate": 0.005, "schedule": "constant"}),
    **{f"{source}-low": Case(source, "lora", "rate_low", settings={"learning_rate": 2e-6})
       for source in ("imdb", "banglish", "bengali", "intents")},
    "imdb-full-low": Case("imdb", "full", "rate_low", settings={"learning_rate": 1e-7}),
    "bengali-full-low": Case("bengali", "full", "rate_low", settings={"learning_rate": 1e-7}),
    **{f"{source}-overfit": Case(source, "full", "overfitting", rows=240, settings={"learning_rate": 2e-4, "epochs": 20.0})
       for source in ("imdb", "banglish", "bengali", "ratings")},
    **{f"{source}-lora-overfit": Case(source, "lora", "overfitting", rows=240, settings={"learning_rate": 3e-3, "epochs": 20.0})
       for source in ("imdb", "banglish", "bengali")},
    **{f"{source}-rare": Case(source, "lora", "never_predicted", rows=2000, rare=90) for source in ("imdb", "banglish", "bengali")},
    "imdb-still": Case("imdb", "head", "plateau", rows=500, settings={"max_steps": 400, "evaluate_every": 20, "learning_rate": 0.02}),
    "ratings-still": Case("ratings", "head", "plateau", rows=500, settings={"max_steps": 400, "evaluate_every": 20, "learning_rate": 0.02}),
}  # fmt: skip


def written(case: Case, data: Path, to: Path) -> Path:
    """The case's rows as a file of their own."""
    place, text, label, delimiter = SOURCES[case.source]
    with (data / place).open(encoding="utf-8-sig", newline="") as file:
        rows = [(row[text], row[label]) for row in csv.DictReader(file, delimiter=delimiter) if row[text] and row[label]]
    dice = random.Random(7)
    dice.shuffle(rows)
    if case.rare is not None:
        last = max({one for _, one in rows})
        rows = [*(row for row in rows if row[1] != last), *[row for row in rows if row[1] == last][: case.rare]]
        dice.shuffle(rows)
    with to.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows[: case.rows]])
    return to


def record(name: str, data: Path, folder: Path) -> None:
    """Trains the case and writes its curve."""
    case, home = CASES[name], folder / name
    home.mkdir(parents=True, exist_ok=True)
    every = {**COMMON, **case.settings}
    rows = written(case, data, home / "rows.csv")
    told = [flag for knob, value in every.items() for flag in ("--set", f"{knob}={value}")]
    command = [sys.executable, "-m", "engine", "train", "--data", str(rows), "--text", "text", "--label", "label", "--method", case.method]
    with (home / "said.txt").open("w", encoding="utf-8") as said:
        subprocess.run([*command, *told, "--home", str(home / "home")], check=False, stdout=said, stderr=subprocess.STDOUT)
    runs = store.Store(home / "home")
    run_id = runs.ids()[0]
    run = runs.record(run_id)
    plan = planning.from_json((runs.folder(run_id) / "plan.json").read_text("utf-8"))
    numbers = {label: at for at, label in enumerate(plan.labels)}
    kept = {
        "fault": case.fault,
        "made_by": " ".join(["train", "--method", case.method, *told]) + f" over {case.rows or 'all'} rows of {case.source}",
        "method": plan.method,
        "settings": {name: value for name, value in plan.settings.items() if name in WANTED},
        "class_rows": list(lesson(plan).class_rows),
        "total": run.total_steps,
        "status": run.state,
        "steps": [[one.step, round(one.epoch, 3), round(one.loss, 4)] for one in run.steps],
        "checks": [
            [one.step, {name: round(value, 4) for name, value in one.metrics.items()}, [numbers[label] for label in one.never]]
            for one in run.evaluations if one.split == "validation"
        ],
    }  # fmt: skip
    (CURVES / f"{name}.json").write_text(json.dumps(kept, separators=(",", ":")) + "\n", "utf-8")


WANTED = (
    "learning_rate",
    "warmup_steps",
    "epochs",
    "rank",
    "alpha",
    "weight_decay",
    "class_weights",
    "select_by",
    "schedule",
    "batch_size",
)


if __name__ == "__main__":
    for one in sys.argv[3:] or CASES:
        record(one, Path(sys.argv[1]), Path(sys.argv[2]))
        print(one, flush=True)
