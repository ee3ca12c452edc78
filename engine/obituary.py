"""Why a worker died without a word, from the evidence that it left: its exit code, the system's counters, its last memory figure, its log.

`inquire` collects the evidence, `obituary` turns it into the run's last event. Neither touches a process.
"""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from pathlib import Path

import psutil

from engine.errors import OUT_OF_MEMORY_FIX, redact
from engine.events import Ended, Resources, from_line
from engine.limits import container_limits

NEAR_LIMIT = 0.8  # of all memory: at the last look, up to 2 s before its death, a worker that runs out is seldom higher
TAIL_BYTES = 64 * 1024  # of events and log; a Resources event comes every 2 s and takes about 130 bytes


@dataclass(frozen=True)
class Marks:
    """The system's counters at one moment; two of them tell what happened in between. None: not told on this system."""

    boot: str | None
    cgroup_kills: int | None  # processes of our cgroup that the out-of-memory killer ended
    machine_kills: int | None  # the same, of the whole machine


@dataclass(frozen=True)
class Evidence:
    """What is known of a death. `exit_code` as subprocess tells it: negative is a signal, None is another process's child."""

    exit_code: int | None
    asked: bool = False  # the person pressed Kill
    began: bool = True  # the worker had told that it started
    out_of_memory: bool = False  # the out-of-memory killer struck since the worker was born
    memory_share: float = 0.0  # the worker's highest memory, of what the machine (or the cgroup) has
    restarted: bool = False  # the machine was, since the worker was born
    checkpoint: bool = False  # there is one to go on from
    judged: bool = False  # evaluation.json or account.json, the last thing a worker writes, is there
    last_words: str = ""  # of the log


def marks() -> Marks:
    """The counters now."""
    return Marks(_first_line(Path("/proc/sys/kernel/random/boot_id")), _cgroup_kills(), _count(Path("/proc/vmstat"), "oom_kill"))


def inquire(folder: Path, exit_code: int | None, born: Marks | None, *, asked: bool, began: bool) -> Evidence:
    """Everything that the run's folder and the system still tell. `born`: the counters when the worker was started, where known."""
    now = marks()
    return Evidence(
        exit_code=exit_code,
        asked=asked,
        began=began,
        out_of_memory=born is not None and born.boot == now.boot and _rose(born, now),
        memory_share=_peak_memory(folder / "events.jsonl") / memory_limit(),
        restarted=born is not None and born.boot != now.boot,
        checkpoint=any((folder / "checkpoints").glob("step-*/manifest.json")),
        judged=any((folder / name).exists() for name in ("evaluation.json", "account.json")) and (folder / "model").is_dir(),
        last_words=_last_words(folder / "log.txt"),
    )


def obituary(evidence: Evidence, time: float, seconds: float) -> Ended:
    """The run's last event, in words."""
    if evidence.judged:
        return Ended(time, "finished", "All its work was done when its process ended.", seconds=seconds)
    go_on = "Press Resume to go on from its last checkpoint." if evidence.checkpoint else "Press Resume to start it again."
    if evidence.asked:
        return Ended(time, "killed", "Killed, as you asked.", go_on, seconds)
    reason, fix = _cause(evidence, go_on)
    return Ended(time, "failed", reason, fix, seconds)


def ran_out_of_memory(evidence: Evidence) -> bool:
    """Whether it died, most likely, for want of memory."""
    by_force = evidence.exit_code is None or evidence.exit_code == -signal.SIGKILL
    if evidence.asked or evidence.judged or evidence.restarted or not by_force:
        return False
    return evidence.out_of_memory or evidence.memory_share >= NEAR_LIMIT


def _cause(evidence: Evidence, go_on: str) -> tuple[str, str]:
    code = evidence.exit_code
    if evidence.restarted:
        return "The machine was restarted while the run was at work.", go_on
    short = ran_out_of_memory(evidence)
    if short and evidence.out_of_memory:
        return "The machine ran out of memory, and the system ended the training process.", OUT_OF_MEMORY_FIX
    if short:
        share = f"{evidence.memory_share:.0%}".replace("%", " %")
        return (
            f"The training process was ended from outside while it used {share} of the memory: most likely memory ran out.",
            OUT_OF_MEMORY_FIX,
        )
    if code is None:
        return "The training process ended without a word: it crashed, or was ended from outside.", go_on
    if code < 0:
        return _by_signal(-code), go_on
    when = "" if evidence.began else " before it had begun"
    last = f" Its last words: {evidence.last_words}" if evidence.last_words else ""
    return f"The training process ended with code {code}{when}.{last}", f"The run's log has the details. {go_on}"


def _by_signal(number: int) -> str:
    crashes = {signal.SIGSEGV: "a memory fault", signal.SIGBUS: "a memory fault", signal.SIGILL: "a command this processor lacks",
               signal.SIGABRT: "an abort", signal.SIGFPE: "an arithmetic fault"}  # fmt: skip
    known = {one.value: one for one in signal.Signals}
    name = known[number].name if number in known else f"signal {number}"
    if number in crashes:
        return f"The training process crashed: {crashes[known[number]]} ({name})."
    return f"The training process was ended from outside ({name}), not by Shur."


def memory_limit() -> int:
    """Bytes of memory that a worker can have at most: the machine's, or its cgroup's where that is less."""
    total = int(psutil.virtual_memory().total)
    return min(total, container_limits().memory_bytes or total)


def _rose(born: Marks, now: Marks) -> bool:
    """The machine's counter is read too: on cgroups of version 1 ours does not count its children. Elsewhere it may count a neighbour's
    process; then the sentence is wrong only if somebody used kill -9 on ours in the same minutes."""
    if born.cgroup_kills is not None and now.cgroup_kills is not None and now.cgroup_kills > born.cgroup_kills:
        return True
    return born.machine_kills is not None and now.machine_kills is not None and now.machine_kills > born.machine_kills


def _cgroups() -> list[Path]:
    """The folders of our memory cgroup, version 2 or 1, as far as they are told."""
    root = Path("/sys/fs/cgroup")
    found = []
    for line in _text(Path("/proc/self/cgroup")).splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers == "":
            found.append(root / path.lstrip("/"))
        elif "memory" in controllers.split(","):
            found += [root / "memory" / path.lstrip("/"), root / "memory"]
    return found


def _cgroup_kills() -> int | None:
    for folder in _cgroups():
        for name in ("memory.events", "memory.oom_control"):
            count = _count(folder / name, "oom_kill")
            if count is not None:
                return count
    return None


def _count(path: Path, name: str) -> int | None:
    found = re.search(rf"^{name} (\d+)$", _text(path), re.MULTILINE)
    return int(found[1]) if found else None


def _peak_memory(events: Path) -> int:
    """The last known peak of the worker's resident memory, 0 where it never told one."""
    for line in reversed(tail(events).split("\n")):
        if line.startswith('{"event": "Resources"'):
            try:
                told = from_line(line)
            except ValueError:
                continue
            if isinstance(told, Resources):
                return told.ram_peak_bytes
    return 0


def _last_words(log: Path) -> str:
    lines = [line.strip() for line in tail(log).splitlines() if line.strip()]
    return redact(lines[-1])[:300] if lines else ""


def tail(path: Path) -> str:
    """The end of a text file; empty where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _first_line(path: Path) -> str | None:
    lines = _text(path).splitlines()
    return lines[0] if lines else None
