"""What this machine has: processor, memory, disk, GPUs, and how fast it multiplies. No torch in the page's process.

python -m engine.hardware HOME    measures the machine with torch, once, and remembers it in HOME/cache/hardware.json
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from engine.limits import Limits, container_limits, process_limit_bytes
from engine.store import write_whole

PROBE_SECONDS = 120  # at most; loading torch takes most of it
SHAPES = ((2048, 384, 1536), (2048, 1536, 384), (512, 1536, 1536))  # (rows, inputs, outputs): MiniLM's MLP, and a wider one
ROUND_SECONDS = 0.02
ROUNDS = 5
MIB = 2**20


@dataclass(frozen=True)
class Gpu:
    """One CUDA device, as nvidia-smi tells it."""

    name: str
    total_bytes: int
    free_bytes: int
    capability: float  # CUDA compute capability: 7.5 for a T4, 8.0 and above have bf16 units; 0: not known


@dataclass(frozen=True)
class Hardware:
    """What a run can use. Memory and cores respect a container's limits."""

    cpu: str
    cores: int
    ram_bytes: int
    ram_free_bytes: int
    disk_free_bytes: int  # where the home lies
    gpus: tuple[Gpu, ...] = ()  # those that the installed torch can use
    bf16_units: bool = False  # of the CPU: avx512_bf16 or amx_bf16
    fp32_flops: float | None = None  # measured matrix products of the CPU, operations a second; None: not measured yet
    bf16_flops: float | None = None
    machine: Literal["local", "colab", "space"] = "local"
    persistent: bool | None = None  # whether the home outlives a restart; None: as far as is known, yes
    gpu_note: str = ""  # why a GPU that is there is not used


def detect(home: Path) -> Hardware:
    """The machine as it is now, in some milliseconds and nvidia-smi's time. Reads what `probe` measured, if it did."""
    import psutil

    memory = psutil.virtual_memory()
    limits, most = container_limits(), process_limit_bytes()
    cpu, flags = _cpu()
    cores = usable_cores(limits)
    known = _remembered(home, cpu, cores)
    gpus, note = _usable(_gpus(_ask_nvidia()), known.get("cuda"))
    machine, persistent = _place(home)
    return Hardware(
        cpu=cpu,
        cores=cores,
        ram_bytes=min(one for one in (memory.total, limits.memory_bytes, most) if one is not None),
        ram_free_bytes=min(one for one in (memory.available, limits.memory_free_bytes, most) if one is not None),
        disk_free_bytes=shutil.disk_usage(next(one for one in (home.absolute(), *home.absolute().parents) if one.exists())).free,
        gpus=gpus,
        bf16_units=bool({"avx512_bf16", "amx_bf16"} & flags),
        fp32_flops=known.get("fp32_flops"),
        bf16_flops=known.get("bf16_flops"),
        machine=machine,
        persistent=persistent,
        gpu_note=note,
    )


def probe(home: Path) -> Hardware:
    """The machine with its matrix products measured: once, in a process of its own (some seconds), remembered in the home.

    Where torch cannot be loaded the figures stay None.
    """
    found = detect(home)
    if found.fp32_flops is None:
        command = [sys.executable, "-m", "engine.hardware", str(home.absolute())]
        try:
            subprocess.run(command, cwd=Path(__file__).parent.parent, timeout=PROBE_SECONDS, capture_output=True, check=False)
        except (subprocess.TimeoutExpired, OSError):
            return found
        found = detect(home)
    return found


def probe_in_process(home: Path) -> dict[str, Any]:
    """Measures with torch, here and now (0.6 s once torch is loaded), and remembers it."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # else waiting counts as work; read when torch is loaded
    import torch

    cpu, _ = _cpu()
    cores = usable_cores(container_limits())
    torch.set_num_threads(cores)
    measured: dict[str, Any] = {**_flops(torch), "cuda": _cuda_works(torch)}
    path = home / "cache" / "hardware.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps({**_known(path), _key(cpu, cores): measured}, indent=1).encode())
    return measured


def device_words(hardware: Hardware) -> str:
    """The device that will train, in words: "Tesla T4", "CPU, 2 cores"."""
    if hardware.gpus:
        return hardware.gpus[0].name
    return f"CPU, {hardware.cores} core{'s' if hardware.cores > 1 else ''}"


def _flops(torch: Any) -> dict[str, float]:
    """Operations a second in each precision: the shapes' summed work over their summed best times.

    Processor seconds a thread, not seconds on the clock: a machine that was busy for a moment must not be remembered as slow
    (by the clock two homes remembered 28 and 57 GFLOP/s for cores that do 206; so, two busy loops beside it change it by 1 %).
    """
    threads = torch.get_num_threads()
    work = 0.0
    seconds = {"fp32": 0.0, "bf16": 0.0}
    for rows, inputs, outputs in SHAPES:
        left, right = torch.randn(rows, inputs), torch.randn(inputs, outputs)
        pairs = {"fp32": (left, right), "bf16": (left.bfloat16(), right.bfloat16())}
        best = dict.fromkeys(pairs, float("inf"))
        for pair in pairs.values():
            torch.mm(*pair)
        for _ in range(ROUNDS):
            for name, pair in pairs.items():
                begun, worked, times = time.perf_counter(), time.process_time(), 0
                while time.perf_counter() - begun < ROUND_SECONDS:
                    torch.mm(*pair)
                    times += 1
                best[name] = min(best[name], (time.process_time() - worked) / threads / times)
        work += 2 * rows * inputs * outputs
        seconds = {name: seconds[name] + best[name] for name in seconds}
    return {f"{name}_flops": work / spent for name, spent in seconds.items()}


def _cuda_works(torch: Any) -> bool | None:
    """Whether a GPU computes: a torch built for newer ones says that it is there and then fails. None: there is none."""
    if not torch.cuda.is_available():
        return None
    try:
        ones = torch.ones(8, 8, device="cuda")
        return bool((ones @ ones).sum().item() == 512.0)
    except RuntimeError:
        return False


def _key(cpu: str, cores: int) -> str:
    try:
        return f"{cpu}, {cores} cores, torch {version('torch')}"
    except PackageNotFoundError:
        return f"{cpu}, {cores} cores"


def _known(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _remembered(home: Path, cpu: str, cores: int) -> dict[str, Any]:
    told = _known(home / "cache" / "hardware.json").get(_key(cpu, cores), {})
    return told if isinstance(told, dict) else {}


def _cpu() -> tuple[str, set[str]]:
    """The processor's name and its feature flags."""
    try:
        told = Path("/proc/cpuinfo").read_text("utf-8", errors="replace")
    except OSError:  # not Linux
        return platform.processor() or platform.machine(), set()
    name = re.search(r"^model name\s*:\s*(.+)$", told, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", told, re.MULTILINE)
    return (name[1].strip() if name else platform.machine()), set(flags[1].split() if flags else ())


def usable_cores(limits: Limits | None = None) -> int:
    """Processor cores that this process may use: the machine's, within its affinity and its container's share."""
    limits = limits or container_limits()
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(there, int(limits.cores or there)))


def _ask_nvidia() -> str:
    """One line a GPU from nvidia-smi: name, MiB, MiB free, compute capability (left out by drivers before 2022). Empty: no GPU."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    for fields in ("name,memory.total,memory.free,compute_cap", "name,memory.total,memory.free"):
        command = [program, f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
        try:
            done = subprocess.run(command, timeout=10, capture_output=True, text=True, check=False)
        except (subprocess.TimeoutExpired, OSError):
            return ""
        if done.returncode == 0:
            return done.stdout
    return ""


def gpu_free_bytes() -> int | None:
    """What the GPU that a run uses has free now, in nvidia-smi's time (up to seconds); None where it tells of none."""
    found = _gpus(_ask_nvidia())
    return found[0].free_bytes if found else None


def _gpus(told: str, visible: str | None = None) -> tuple[Gpu, ...]:
    """The GPUs that nvidia-smi told of, as far as CUDA_VISIBLE_DEVICES leaves them visible."""
    found = []
    for line in told.splitlines():
        name, *numbers = (part.strip() for part in line.split(","))
        if len(numbers) >= 2 and numbers[0].isdigit() and numbers[1].isdigit():
            capability = float(numbers[2]) if len(numbers) > 2 and re.fullmatch(r"\d+\.\d+", numbers[2]) else 0.0
            found.append(Gpu(name, int(numbers[0]) * MIB, int(numbers[1]) * MIB, capability))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES") if visible is None else visible
    if visible is not None and re.fullmatch(r"(-?\d+)?(\s*,\s*-?\d+)*", visible.strip()):
        chosen: list[Gpu] = []
        for at in (int(one) for one in visible.split(",") if one.strip()):
            if not 0 <= at < len(found):  # CUDA stops at the first number that is none
                break
            chosen.append(found[at])
        return tuple(chosen)
    return tuple(found)


def _usable(gpus: tuple[Gpu, ...], works: bool | None) -> tuple[tuple[Gpu, ...], str]:
    """The GPUs if the installed torch can use them; else none, and why."""
    if not gpus:
        return (), ""
    if not _torch_has_cuda():
        return (), f"{gpus[0].name} is not used: the installed torch is built for processors only. Install torch with CUDA."
    if works is False:
        return (), f"{gpus[0].name} is not used: the installed torch does not support a GPU of its age. Install torch built for CUDA 12.6."
    return gpus, ""


def _torch_has_cuda() -> bool:
    """Whether torch was built with CUDA, read from its version file: importing it would cost the page 2 s and 200 MB."""
    package = importlib.util.find_spec("torch")
    for place in (package.submodule_search_locations or ()) if package else ():
        told = Path(place) / "version.py"
        if told.exists():
            return re.search(r"^cuda\b.*=\s*['\"]", told.read_text("utf-8"), re.MULTILINE) is not None
    return False


def _place(home: Path) -> tuple[Literal["local", "colab", "space"], bool | None]:
    """What kind of machine this is, and whether the home outlives its restart."""
    where = home.absolute()
    if "SPACE_ID" in os.environ:
        return "space", where.is_relative_to("/data") and Path("/data").is_mount()
    if "COLAB_RELEASE_TAG" in os.environ:
        return "colab", where.is_relative_to("/content/drive")
    return "local", None


if __name__ == "__main__":
    print(json.dumps(probe_in_process(Path(sys.argv[1]))))
