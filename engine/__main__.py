"""`python -m engine train | inspect | fit | compare | judge | report | write | runs | catalog`: the same code as behind the
page, for the shell.

`train` tells its progress on stderr and ends stdout with one JSON object. Exit code 0: done; 1: the run did not finish; 2: what
was asked cannot be done, with every problem listed. Ctrl-C stops the run and saves it; a second Ctrl-C kills it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from engine import catalog as presets
from engine import compare_command, evaluate, fit_command, inspect_command, judge_command, report_command, write_command
from engine import spec as specs
from engine.augment import Augmentation
from engine.catalog import Catalog
from engine.data.split import Split
from engine.data.table import shown
from engine.errors import Problem, Refused, explain
from engine.events import Ended, Evaluated, Event, Progress, Queued, Saved, Started, Step, Warned
from engine.knobs import Knob, Value, knobs_of
from engine.methods import all_methods
from engine.models import EMBEDDED
from engine.plan import Plan
from engine.spec import DataSpec, RunSpec, Training
from engine.studio import Preview, Studio
from engine.tasks import all_tasks

DONE, FAILED, REFUSED = 0, 1, 2
LOOK_SECONDS = 0.2
TOLD = {
    "average_precision": "average precision",
    "micro_f1": "micro F1",
    "macro_f1": "macro F1",
    "perplexity": "perplexity",
    "mae": "mean error",
    "spearman": "Spearman",
}  # figures of a check
STEP_LINE_SECONDS = 2.0  # between two lines about steps
KINDS = ("file:", "hub:", "sample:")


def main(arguments: Sequence[str] | None = None) -> int:
    """Does what the arguments ask and returns the exit code."""
    try:
        told = _parser().parse_args(arguments)
        match told.command:
            case "train":
                return _train(told)
            case "inspect":
                return _inspect(told)
            case "fit":
                return _fit(told)
            case "compare":
                return _compare(told)
            case "judge":
                return _judge(told)
            case "report":
                return _report(told)
            case "write":
                return _write(told)
            case "runs":
                return _runs(told)
            case _:
                print(json.dumps(listing(presets.load()), indent=1), flush=True)
                return DONE
    except Refused as refused:
        return _refuse(refused.problems)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (OSError, ValueError) as error:  # a home that cannot be written, a damaged preset
        return _refuse((explain(error),))


class _Parser(argparse.ArgumentParser):
    """Tells a wrong argument as a Problem, so that the shell gets the same JSON as for any other."""

    def error(self, message: str) -> NoReturn:
        raise Refused(Problem("arguments", f"{message[:1].upper()}{message[1:]}.", f"See {self.prog} --help."))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m engine", description="Shur without its page.", allow_abbrev=False)
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="train | inspect | fit | compare | judge | report | write | runs | catalog"
    )
    train = commands.add_parser("train", help="train a model and judge it", allow_abbrev=False)
    compare = commands.add_parser("compare", help="train with several methods, and say which is best", allow_abbrev=False)
    compare_command.add_options(compare)
    inspect = commands.add_parser("inspect", help="what is in a file, and what is wrong with it, as JSON", allow_abbrev=False)
    inspect_command.add_options(inspect)
    fit = commands.add_parser("fit", help="what a run would need, and what would make it fit", allow_abbrev=False)
    fit_command.add_options(fit)
    judge = commands.add_parser("judge", help="look closer at a finished run: confidence, edge cases, speed", allow_abbrev=False)
    judge_command.add_options(judge)
    report = commands.add_parser("report", help="all that is known of a finished run, as one HTML file or Markdown", allow_abbrev=False)
    report_command.add_options(report)
    write = commands.add_parser("write", help="a model or a run goes on from a prompt, word by word", allow_abbrev=False)
    write_command.add_options(write)
    for command in (train, inspect, fit, compare):
        _add_what_to_train(command)
    runs = commands.add_parser("runs", help="list the runs, newest first", allow_abbrev=False)
    runs.add_argument("--json", action="store_true", help="one JSON object a line")
    for command in (train, inspect, fit, compare, judge, report, write, runs):
        home = Path(os.environ.get("SHUR_HOME") or "workspace")
        command.add_argument("--home", type=Path, default=home, help="where runs, uploads and caches lie (workspace/)")
    commands.add_parser("catalog", help="methods, tasks, models, presets and their settings, as JSON", allow_abbrev=False)
    return parser


def _add_what_to_train(command: argparse.ArgumentParser) -> None:
    """The options that make a spec."""
    command.add_argument(
        "--data",
        help="a file (CSV, TSV, JSON, Parquet, Excel, Arrow, or a zip of these or of folders named by label), sample:ID, or hub:ID",
    )
    command.add_argument("--sheet", metavar="NAME", help="of a workbook, or a table of a zip; left out: the one with most rows")
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


# train


def _train(told: argparse.Namespace) -> int:
    spec = _spec(told)
    studio = Studio(told.home)
    try:
        return _watched(studio, spec)
    finally:
        studio.close()


def _inspect(told: argparse.Namespace) -> int:
    told.data = told.file or told.data
    spec = _spec(told)
    studio = Studio(told.home, dispatch=False)
    try:
        return inspect_command.inspect(told, spec, studio, _say)
    finally:
        studio.close()


def _fit(told: argparse.Namespace) -> int:
    spec = _spec(told)
    studio = Studio(told.home, dispatch=False)
    try:
        return fit_command.fit(told, spec, studio, _interrupts(), _say)
    finally:
        studio.close()


def _compare(told: argparse.Namespace) -> int:
    spec = None if told.resume else _spec(told)
    studio = Studio(told.home)
    try:
        return compare_command.compare(told, spec, studio, _interrupts(), _say)
    finally:
        studio.close()


def _judge(told: argparse.Namespace) -> int:
    studio = Studio(told.home, dispatch=False)
    try:
        return judge_command.judge(told, studio, _interrupts(), _say)
    finally:
        studio.close()


def _report(told: argparse.Namespace) -> int:
    studio = Studio(told.home, dispatch=False)
    try:
        return report_command.tell(told, studio)
    finally:
        studio.close()


def _write(told: argparse.Namespace) -> int:
    studio = Studio(told.home, dispatch=False)
    try:
        return write_command.write(told, studio, _interrupts(), _say)
    finally:
        studio.close()


def _watched(studio: Studio, spec: RunSpec) -> int:
    _say("Looking at the data, the model and this machine")
    studio.facts.measure(wait=True)
    preview = studio.preview(spec)
    for problem in preview.problems:
        if problem.severity == "warning":
            _say(f"Mind: {problem}")
    if not preview.is_ready or preview.plan is None:
        return _refuse(tuple(problem for problem in preview.problems if problem.severity == "error"))
    _tell_plan(preview, preview.plan)
    run_id = studio.start(spec)
    _say(f"Run {run_id}")
    try:
        follow(studio, run_id, _interrupts())
        result = outcome(studio, run_id)
    except Refused as refused:  # it was deleted while it was watched
        _refuse(refused.problems)
        return FAILED
    print(json.dumps(result))
    return DONE if result["status"] == "finished" else FAILED


def _spec(told: argparse.Namespace) -> RunSpec:
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
    of_file = _given(**sources, sheet=told.sheet, header=header)
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


def _interrupts() -> threading.Semaphore:
    """Counts Ctrl-C (and a polite request to end) from now on, instead of breaking off."""
    asked = threading.Semaphore(0)
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: asked.release())
    return asked


def follow(studio: Studio, run_id: str, interrupts: threading.Semaphore) -> None:
    """Tells the run's events on stderr until it is over. The first interrupt stops it, the second kills it."""
    offset, asked = 0, 0
    teller = _Teller()
    while not studio.record(run_id).is_over:
        if interrupts.acquire(timeout=LOOK_SECONDS):
            asked += 1
            if asked == 1:
                _say("Stopping at the next step and saving. Press Ctrl-C again to kill the run.")
                studio.stop(run_id)
            else:
                _say("Killing the run.")
                studio.kill(run_id)
        events, offset = studio.read(run_id, offset)
        for event in events:
            teller.tell(event)
    for event in studio.read(run_id, offset)[0]:
        teller.tell(event)


@dataclasses.dataclass
class _Teller:
    """Events as lines on stderr; not every step."""

    last_step_at: float = 0.0
    last_progress: str = ""

    def tell(self, event: Event) -> None:
        match event:
            case Queued():
                _say("Waiting for its turn" if not event.resume else "Waiting for its turn, to go on")
            case Started():
                _say(f"Started on {event.device}")
            case Progress() if event.message != self.last_progress:
                self.last_progress = event.message
                _say(event.message)
            case Step() if event.time - self.last_step_at >= STEP_LINE_SECONDS or event.step == event.total:
                self.last_step_at = event.time
                _say(f"step {event.step} of {event.total}  loss {event.loss:.4f}  {event.rows_per_second:.1f} rows/s")
            case Evaluated():
                figures = f"loss {event.metrics['loss']:.4f}"
                for name, words in TOLD.items():
                    if name in event.metrics:
                        figures += f"  {words} {event.metrics[name]:.4f}"
                _say(f"{event.split} after step {event.step}  {figures}{'  (best so far)' if event.best else ''}")
            case Saved(what="model"):
                _say("The model is saved")
            case Warned():
                _say(f"Mind: {event.message} {event.fix}".rstrip())
            case Ended():
                _say(f"{event.status.capitalize()}: {event.reason} {'' if event.status == 'finished' else event.fix}".rstrip())


def outcome(studio: Studio, run_id: str) -> dict[str, Any]:
    """What the last line of stdout holds: how the run ended, and its verdict where it has one."""
    record = studio.record(run_id)
    judged = studio.evaluation(run_id)
    ended = record.ended
    result: dict[str, Any] = {
        "run": run_id,
        "folder": str(studio.store.folder(run_id)),
        "status": record.state,
        "reason": ended.reason if ended else "",
        "fix": ended.fix if ended else "",
        "steps": record.step,
        "seconds": round(record.seconds, 3),
        "peak_memory_bytes": max((one.ram_peak_bytes for one in record.resources), default=None),
        "peak_vram_bytes": max((one.vram_peak_bytes for one in record.resources if one.vram_peak_bytes), default=None),
        "metrics": None,
        "baselines": [],
    }
    if judged:
        told = json.loads(evaluate.to_json(judged))
        result["baselines"] = told.pop("baselines")
        result["sentence"] = told.pop("sentence")
        result["metrics"] = {name: value for name, value in told.items() if name not in ("samples", "version")}
    elif account := studio.account(run_id):
        told = dataclasses.asdict(account)
        result["sentence"], result["baselines"] = told.pop("sentence"), told.pop("notes")
        result["metrics"] = {name: value for name, value in told.items() if name not in ("samples", "version")}
    return result


def _tell_plan(preview: Preview, plan: Plan) -> None:
    rows = ", ".join(f"{count:,} {name}" for name, count in plan.rows.items())
    writes = all_tasks()[plan.task].writes
    _say(f"Rows: {rows}." + ("" if writes else f" {'Tags' if plan.label_columns else 'Classes'}: {', '.join(plan.labels)}."))
    _say(f"Text: {plan.text}. {'Answer' if writes else 'Label'}: {plan.learnt_from}. Model: {plan.model.id} on {plan.device_words}.")
    for decision in plan.decisions:
        _say(f"  {decision.name} = {decision.value}: {decision.reason}")
    minutes = "" if plan.seconds is None else f", about {max(1, round(plan.seconds / 60))} min"
    _say(f"At most {plan.steps:,} steps of {plan.effective_batch} rows, {plan.memory_bytes / 1e9:.1f} GB of memory{minutes} (estimated).")


def _refuse(problems: Sequence[Problem]) -> int:
    for problem in problems:
        _say(f"{problem.field}: {problem}")
    print(json.dumps({"problems": [dataclasses.asdict(problem) for problem in problems]}))
    return REFUSED


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


# runs, catalog


def _runs(told: argparse.Namespace) -> int:
    studio = Studio(told.home, dispatch=False)
    found = studio.runs()
    for one in found:
        if told.json:
            print(json.dumps(dataclasses.asdict(one)))
            continue
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.created))
        score = f"{one.accuracy:.1%}" if one.accuracy is not None else f"{one.progress:.0%}" if one.state == "running" else ""
        print(f"{one.id}  {when}  {one.state:9}{score:>7}  {one.name}{f'  ({one.figure})' if one.figure else ''}")
    if not found:
        _say("There are no runs yet.")
    return DONE


def listing(catalog: Catalog) -> dict[str, Any]:
    """Everything that can be asked for, as JSON values."""
    return {
        "methods": [
            {"id": one.id, "name": one.name, "summary": one.summary, "source": one.source, "knobs": _knobs(one.knobs)}
            for one in all_methods().values()
        ],
        "tasks": [{"id": one.id, "name": one.name, "summary": one.summary, "knobs": _knobs(one.knobs)} for one in all_tasks().values()],
        "training": _knobs(Training),
        "split": _knobs(Split),
        "more_data": _knobs(Augmentation),
        "models": [dataclasses.asdict(one) for one in catalog.models],
        "datasets": [dataclasses.asdict(one) for one in catalog.datasets],
        "presets": [dataclasses.asdict(one) for one in catalog.recipes],
    }


def _knobs(settings_type: type) -> list[dict[str, Any]]:
    def told(knob: Knob) -> dict[str, Any]:
        return {**dataclasses.asdict(knob), "choices": [{"value": value, "words": words} for value, words in knob.choices]}

    return [told(knob) for knob in knobs_of(settings_type)]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # before there was a run to stop
        sys.exit(130)
