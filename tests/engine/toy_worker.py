"""A worker without a model: `toy_worker.py RUN_FOLDER` does what the spec's name says, word by word. For the tests of the supervisor.

start  tells that it started            step    takes a step               half    leaves half a line
hold   waits for the file `go`, obeys stop   deaf    waits for `go`, obeys nothing   seal    leaves a checkpoint
end    tells that it finished           exit=N  leaves with a code         die=N   sends itself a signal
child  starts a process of its own      say=X   writes X to the log        judge   leaves a model and its evaluation
full   tells that it trains with all memory    eat    takes memory until there is none  token   writes whether it was given a token
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from engine.events import Ended, Progress, Resources, Started, Step
from engine.store import append_event


def main(folder: Path) -> None:
    events = folder / "events.jsonl"
    with (folder / "pids").open("a") as file:
        file.write(f"{os.getpid()}\n")
    step = 0
    for word in json.loads((folder / "spec.json").read_text())["name"].split():
        act, _, value = word.partition("=")
        now = time.time()
        match act:
            case "start":
                append_event(events, Started(now, os.getpid(), psutil.Process().create_time(), {}, "toy"))
                append_event(events, Resources(now, 1, 1))
            case "full":
                total = psutil.virtual_memory().total
                append_event(events, Progress(now, "training", "Training", 0, 10))
                append_event(events, Resources(now, total, total))
            case "step":
                step += 1
                append_event(events, Step(now, step, 10, 0.1, 1.0, 0.1, 1.0, 10.0))
            case "hold" | "deaf":
                while not (folder / "go").exists():
                    if act == "hold" and (folder / "stop").exists():
                        append_event(events, Ended(time.time(), "stopped", "Stopped, as you asked."))
                        return
                    time.sleep(0.005)
            case "half":
                with events.open("a") as file:
                    file.write('{"event": "Step", "ti')
            case "seal":
                (folder / "checkpoints" / "step-00000001").mkdir(parents=True, exist_ok=True)
                (folder / "checkpoints" / "step-00000001" / "manifest.json").write_text("{}")
            case "judge":
                (folder / "model").mkdir(exist_ok=True)
                (folder / "evaluation.json").write_text("{}")
            case "end":
                append_event(events, Ended(now, "finished", "All done.", seconds=0.1))
            case "exit":
                sys.exit(int(value))
            case "die":
                os.kill(os.getpid(), int(value))
            case "child":
                child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
                (folder / "child").write_text(str(child.pid))
            case "say":
                print(value, flush=True)
            case "token":
                (folder / "token").write_text("yes" if os.environ.get("HF_TOKEN") else "no")
            case "eat":
                Path(os.environ["TOY_CGROUP"], "cgroup.procs").write_text(str(os.getpid()))
                hoard = []
                while True:
                    hoard.append(bytearray(os.urandom(1 << 20)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
