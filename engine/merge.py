"""`python -m engine.merge RUN_FOLDER HOME`: a run's adapter merged into its base, as one plain model that needs neither PEFT nor the base.

Written to RUN_FOLDER/merged, whole or not at all, in 32 bits: in 16 the small update would partly be rounded away. In a process of
its own, since it loads torch. The answers are the adapter's, to about 1e-4 of a logit (tests/engine/test_methods.py).
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import traceback
from pathlib import Path

from engine import trained
from engine.errors import Problem, Refused, explain, redact
from engine.hub import environment_without_tokens
from engine.methods import all_methods

SECONDS = 900.0  # for a model of some gigabytes on a slow disk


def merged(run_folder: Path, home: Path) -> Path:
    """The folder of the merged model, made where it is not there yet. Raises Refused with what went wrong. No torch here."""
    model, target = run_folder / "model", run_folder / "merged"
    if target.is_dir() and target.stat().st_mtime >= model.stat().st_mtime:
        return target
    command = [sys.executable, "-m", "engine.merge", str(run_folder.resolve()), str(home.resolve())]
    try:
        place, environment = Path(__file__).parents[1], environment_without_tokens()
        done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise Refused(Problem("run", "Merging took too long and was ended.", "Take the adapter home instead.")) from error
    if target.is_dir() and done.returncode == 0:
        return target
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if lines:
        raise Refused(Problem(**json.loads(lines[-1])))
    raise Refused(
        Problem("run", f"The merging process broke off (code {done.returncode}).", "Free some memory, or take the adapter home instead.")
    )


def main(run_folder: Path, home: Path) -> int:
    try:
        opened = trained.open_trained(run_folder / "model", home=home, precision="fp32")
        method = all_methods()[opened.kept.method]
        if method.merge is None:
            raise Refused(Problem("run", f"{method.name} cannot be merged into the base.", "Take it home as it is."))
        plain = method.merge(opened.model).float().cpu()
        trained.keep_plain(plain, opened.tokenizer, opened.classes, opened.kept, run_folder / "merged")
    except Exception as error:  # the border of this process
        traceback.print_exc()
        problem = explain(error)
        print(json.dumps(dataclasses.asdict(dataclasses.replace(problem, message=redact(problem.message)))))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
