"""What a container allows, by its control groups, version 2 or 1; and what a shell allows its processes. Nothing on other systems."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

NO_LIMIT = 2**60  # version 1 writes a huge number for "no limit"


@dataclass(frozen=True)
class Limits:
    """None: no limit."""

    memory_bytes: int | None = None
    memory_free_bytes: int | None = None  # what is left of it; file pages that can be dropped count as free
    cores: float | None = None


def container_limits(proc: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> Limits:
    """The tightest limits of this process's control groups and of all groups above them."""
    try:
        lines = proc.read_text("utf-8").splitlines()
    except OSError:
        return Limits()
    memory: list[tuple[int, int]] = []
    cores: list[float] = []
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0":
            for folder in _upwards(root, path):
                _add_memory(memory, folder / "memory.max", folder / "memory.current", folder / "memory.stat")
                _add_cores(cores, (_text(folder / "cpu.max") or "max").split())
        if "memory" in controllers.split(","):
            for folder in _upwards(root / "memory", path):
                _add_memory(memory, folder / "memory.limit_in_bytes", folder / "memory.usage_in_bytes", folder / "memory.stat")
        if "cpu" in controllers.split(","):
            for folder in _upwards(root / "cpu", path):
                _add_cores(cores, [_text(folder / "cpu.cfs_quota_us") or "-1", _text(folder / "cpu.cfs_period_us") or "0"])
    return Limits(
        memory_bytes=min((limit for limit, _ in memory), default=None),
        memory_free_bytes=min((free for _, free in memory), default=None),
        cores=min(cores, default=None),
    )


def process_limit_bytes() -> int | None:
    """The most that a process of this one may hold, by `ulimit -v` or `-d`; None: no limit, or a system that has none.

    The first counts addresses, of which torch takes more than it holds: an upper bound.
    """
    try:
        import resource
    except ImportError:  # Windows
        return None
    bounds = (resource.getrlimit(one)[0] for one in (resource.RLIMIT_AS, resource.RLIMIT_DATA))
    return min((one for one in bounds if one != resource.RLIM_INFINITY), default=None)


def _upwards(root: Path, path: str) -> list[Path]:
    """The group's folder and all above it. Inside a container the path may be the host's, so that only the root is there."""
    folder = root / path.lstrip("/")
    return [one for one in (folder, *folder.parents) if one.is_relative_to(root)]


def _add_memory(found: list[tuple[int, int]], limit: Path, used: Path, stat: Path) -> None:
    told = _text(limit)
    if told is None or not told.isdigit() or int(told) >= NO_LIMIT:
        return
    dropped = 0
    for line in (_text(stat) or "").splitlines():
        name, _, value = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file"):
            dropped = int(value)
    found.append((int(told), max(0, int(told) - max(0, int(_text(used) or 0) - dropped))))


def _add_cores(found: list[float], told: list[str]) -> None:
    if len(told) == 2 and told[0].isdigit() and int(told[1]) > 0:
        found.append(int(told[0]) / int(told[1]))


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8").strip()
    except OSError:
        return None
