"""What this machine has: processor, memory, disk, GPUs, and how fast it multiplies. No torch in the page's process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Gpu:
    """One CUDA device, as nvidia-smi tells it."""

    name: str
    total_bytes: int
    free_bytes: int
    capability: float  # CUDA compute capability: 7.5 for a T4, 8.0 and above have bf16 units


@dataclass(frozen=True)
class Hardware:
    """What a run can use. Memory and cores respect a container's limits."""

    cpu: str
    cores: int
    ram_bytes: int
    ram_free_bytes: int
    disk_free_bytes: int  # where the home lies
    gpus: tuple[Gpu, ...] = ()
    bf16_units: bool = False  # of the CPU: avx512_bf16 or amx_bf16
    fp32_flops: float | None = None  # measured matrix products a second of the CPU; None: not measured yet
    bf16_flops: float | None = None
    machine: Literal["local", "colab", "space"] = "local"
    persistent: bool | None = None  # whether the home outlives a restart; None: as far as is known, yes


def detect(home: Path) -> Hardware:
    """The machine as it is now. Reads what `probe` measured, if it did."""
    raise NotImplementedError


def probe(home: Path) -> Hardware:
    """The machine with its matrix products measured: once, in a process of its own, remembered in the home."""
    raise NotImplementedError


def device_words(hardware: Hardware) -> str:
    """The device that will train, in words: "Tesla T4", "CPU, 2 cores"."""
    if hardware.gpus:
        return hardware.gpus[0].name
    return f"CPU, {hardware.cores} core{'s' if hardware.cores > 1 else ''}"
