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
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from engine import catalog as presets
from engine import compare_command, fit_command, inspect_command, judge_command, report_command, spec_options, train_command, write_command
from engine.errors import Problem, Refused, explain
from engine.interrupts import Interrupts
from engine.listing import listing
from engine.studio import Studio

DONE, FAILED, REFUSED = 0, 1, 2


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
        spec_options.add_options(command)
    runs = commands.add_parser("runs", help="list the runs, newest first", allow_abbrev=False)
    runs.add_argument("--json", action="store_true", help="one JSON object a line")
    for command in (train, inspect, fit, compare, judge, report, write, runs):
        home = Path(os.environ.get("SHUR_HOME") or "workspace")
        command.add_argument("--home", type=Path, default=home, help="where runs, uploads and caches lie (workspace/)")
    commands.add_parser("catalog", help="methods, tasks, models, presets and their settings, as JSON", allow_abbrev=False)
    return parser


# train


def _train(told: argparse.Namespace) -> int:
    spec = spec_options.spec_of(told)
    studio = Studio(told.home)
    try:
        return train_command.train(spec, studio, Interrupts().listen, _say)
    finally:
        studio.close()


def _inspect(told: argparse.Namespace) -> int:
    told.data = told.file or told.data
    spec = spec_options.spec_of(told)
    studio = Studio(told.home, dispatch=False)
    try:
        return inspect_command.inspect(told, spec, studio, _say)
    finally:
        studio.close()


def _fit(told: argparse.Namespace) -> int:
    spec = spec_options.spec_of(told)
    studio = Studio(told.home, dispatch=False)
    try:
        return fit_command.fit(told, spec, studio, Interrupts().listen(), _say)
    finally:
        studio.close()


def _compare(told: argparse.Namespace) -> int:
    spec = None if told.resume else spec_options.spec_of(told)
    studio = Studio(told.home)
    try:
        return compare_command.compare(told, spec, studio, Interrupts().listen(), _say)
    finally:
        studio.close()


def _judge(told: argparse.Namespace) -> int:
    studio = Studio(told.home, dispatch=False)
    try:
        return judge_command.judge(told, studio, Interrupts().listen(), _say)
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
        return write_command.write(told, studio, Interrupts().listen(), _say)
    finally:
        studio.close()


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


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # before there was a run to stop
        sys.exit(130)
