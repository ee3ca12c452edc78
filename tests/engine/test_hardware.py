"""What the machine has, read from what it says: no GPU, no container and no Space are needed here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine import hardware
from engine.hardware import Gpu, Hardware, detect, device_words, probe
from engine.limits import container_limits
from engine.processes import REPOSITORY

T4 = "Tesla T4, 15360, 14913, 7.5\n"
A100_PAIR = "NVIDIA A100-SXM4-40GB, 40960, 40000, 8.0\nNVIDIA A100-SXM4-40GB, 40960, 1000, 8.0\n"


def test_this_machine_is_described_within_its_bounds(tmp_path: Path) -> None:
    found = detect(tmp_path / "home" / "not there yet")
    assert 1 <= found.cores <= (os.cpu_count() or 1)
    assert 0 < found.ram_free_bytes <= found.ram_bytes
    assert found.disk_free_bytes > 0
    assert found.fp32_flops is None
    assert not (tmp_path / "home").exists(), "looking changes nothing"


def test_looking_at_the_machine_loads_no_torch(tmp_path: Path) -> None:
    code = "import sys, pathlib; from engine import hardware; hardware.detect(pathlib.Path(sys.argv[1])); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_probe_measures_once_and_is_remembered(tmp_path: Path) -> None:
    found = probe(tmp_path)
    assert found.fp32_flops is not None
    assert found.bf16_flops is not None
    assert 1e8 < found.fp32_flops < 1e15
    known = tmp_path / "cache" / "hardware.json"
    before = known.stat().st_mtime_ns
    assert probe(tmp_path).fp32_flops == found.fp32_flops
    assert detect(tmp_path).bf16_flops == found.bf16_flops
    assert known.stat().st_mtime_ns == before


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"x": 1}', "\x00"])
def test_a_damaged_memory_of_the_probe_is_no_measurement(damage: str, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "hardware.json").write_text(damage)
    assert detect(tmp_path).fp32_flops is None


def test_measurements_of_another_machine_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "hardware.json").write_text(json.dumps({"Another CPU, 64 cores": {"fp32_flops": 1e12}}))
    assert detect(tmp_path).fp32_flops is None


@pytest.mark.parametrize(
    ("told", "visible", "gpus"),
    [
        (T4, None, (Gpu("Tesla T4", 15360 * 2**20, 14913 * 2**20, 7.5),)),
        ("", None, ()),
        ("Tesla T4, 15360, 14913\n", None, (Gpu("Tesla T4", 15360 * 2**20, 14913 * 2**20, 0.0),)),
        ("GRID, [N/A], [N/A], 7.5\n", None, ()),
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", None, ()),
        (T4, "", ()),
        (T4, "-1", ()),
        (T4, "0", (Gpu("Tesla T4", 15360 * 2**20, 14913 * 2**20, 7.5),)),
        (A100_PAIR, "1", (Gpu("NVIDIA A100-SXM4-40GB", 40960 * 2**20, 1000 * 2**20, 8.0),)),
        (A100_PAIR, "1,-1,0", (Gpu("NVIDIA A100-SXM4-40GB", 40960 * 2**20, 1000 * 2**20, 8.0),)),
    ],
)
def test_gpus_are_read_from_what_nvidia_smi_says(
    told: str, visible: str | None, gpus: tuple[Gpu, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert hardware._gpus(told, visible) == gpus


def test_a_gpu_that_is_named_by_its_uuid_is_left_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(hardware._gpus(T4, "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6")) == 1


def test_a_driver_that_knows_no_compute_capability_is_asked_again_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text('#!/bin/sh\ncase "$1" in *compute_cap*) exit 2;; esac\necho "Tesla T4, 15360, 14913"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert hardware._ask_nvidia() == "Tesla T4, 15360, 14913\n"


def test_a_gpu_that_torch_cannot_use_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = hardware._gpus(T4, "0")
    monkeypatch.setattr(hardware, "_torch_has_cuda", lambda: False)
    assert hardware._usable(gpus, None)[0] == ()
    assert "processors only" in hardware._usable(gpus, None)[1]
    monkeypatch.setattr(hardware, "_torch_has_cuda", lambda: True)
    assert hardware._usable(gpus, None) == (gpus, "")
    assert "its age" in hardware._usable(gpus, False)[1]
    assert hardware._usable((), None) == ((), "")


def test_whether_torch_has_cuda_is_known_without_loading_it() -> None:
    import torch

    assert hardware._torch_has_cuda() == (torch.version.cuda is not None)


def test_the_device_has_a_name_that_a_person_reads() -> None:
    bare = Hardware("AMD EPYC", 2, 1, 1, 1)
    assert device_words(bare) == "CPU, 2 cores"
    assert device_words(Hardware("AMD EPYC", 1, 1, 1, 1)) == "CPU, 1 core"
    assert device_words(Hardware("AMD EPYC", 2, 1, 1, 1, gpus=(Gpu("Tesla T4", 1, 1, 7.5),))) == "Tesla T4"


def test_a_space_without_a_disk_forgets_and_colab_does_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SPACE_ID", "COLAB_RELEASE_TAG"):
        monkeypatch.delenv(name, raising=False)
    assert (detect(tmp_path).machine, detect(tmp_path).persistent) == ("local", None)
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab")
    assert (detect(tmp_path).machine, detect(tmp_path).persistent) == ("colab", False)
    monkeypatch.setenv("SPACE_ID", "someone/shur")
    assert (detect(tmp_path).machine, detect(tmp_path).persistent) == ("space", False)


# Containers


def group(root: Path, path: str, **files: str) -> None:
    folder = root / path
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content + "\n")


def test_the_tightest_limit_of_a_version_2_group_counts(tmp_path: Path) -> None:
    (tmp_path / "cgroup").write_text("0::/system/app\n")
    group(
        tmp_path / "fs",
        "system",
        memory__max="8000",
        memory__current="5000",
        memory__stat="anon 1\ninactive_file 1500",
        cpu__max="max 100000",
    )
    group(tmp_path / "fs", "system/app", memory__max="max", memory__current="10", cpu__max="150000 100000")
    found = container_limits(tmp_path / "cgroup", tmp_path / "fs")
    assert (found.memory_bytes, found.memory_free_bytes, found.cores) == (8000, 4500, 1.5)


def test_a_container_sees_its_own_group_at_the_root(tmp_path: Path) -> None:
    (tmp_path / "cgroup").write_text("0::/\n")
    group(tmp_path / "fs", "", memory__max="8000", memory__current="1000", cpu__max="200000 100000")
    found = container_limits(tmp_path / "cgroup", tmp_path / "fs")
    assert (found.memory_bytes, found.memory_free_bytes, found.cores) == (8000, 7000, 2.0)


def test_version_1_groups_are_read_too(tmp_path: Path) -> None:
    (tmp_path / "cgroup").write_text("4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n1:name=systemd:/\n0::/\n")
    group(tmp_path / "fs", "memory", memory__limit_in_bytes="8000", memory__usage_in_bytes="3000", memory__stat="total_inactive_file 1000")
    group(tmp_path / "fs", "cpu", cpu__cfs_quota_us="50000", cpu__cfs_period_us="100000")
    found = container_limits(tmp_path / "cgroup", tmp_path / "fs")
    assert (found.memory_bytes, found.memory_free_bytes, found.cores) == (8000, 6000, 0.5)


def test_no_limit_is_none(tmp_path: Path) -> None:
    assert container_limits(tmp_path / "absent", tmp_path).memory_bytes is None
    (tmp_path / "cgroup").write_text("4:memory:/\n1:cpu:/\n0::/\n")
    group(tmp_path / "fs", "memory", memory__limit_in_bytes="9223372036854771712", memory__usage_in_bytes="5")
    group(tmp_path / "fs", "cpu", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    found = container_limits(tmp_path / "cgroup", tmp_path / "fs")
    assert (found.memory_bytes, found.memory_free_bytes, found.cores) == (None, None, None)


@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_AS")
def test_a_limit_of_the_shell_counts_as_the_memory_that_there_is(tmp_path: Path) -> None:
    code = f"""
import resource
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (2 * 10**9, 2 * 10**9))
from engine.hardware import detect
print(detect(Path({str(tmp_path)!r})).ram_free_bytes)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True)
    assert int(done.stdout) <= 2 * 10**9
