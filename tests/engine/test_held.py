"""What our own processes hold, and what is free once they have ended."""

from __future__ import annotations

import subprocess
import sys

from engine.hardware import Gpu, Hardware
from engine.held import Held, gpu_held, held, once_free

GB = 10**9
SMALL = Hardware("a processor", 2, ram_bytes=8 * GB, ram_free_bytes=2 * GB, disk_free_bytes=GB)


def test_what_a_run_at_work_holds_is_free_for_the_next() -> None:
    assert once_free(SMALL, Held(ram_bytes=3 * GB)).ram_free_bytes == 5 * GB
    assert once_free(SMALL, Held()) == SMALL


def test_a_tenth_of_the_memory_is_never_promised() -> None:
    assert once_free(SMALL, Held(ram_bytes=7 * GB)).ram_free_bytes == round(7.2 * GB)


def test_what_is_free_now_is_never_taken_away() -> None:
    idle = Hardware("a processor", 2, ram_bytes=8 * GB, ram_free_bytes=int(7.9 * GB), disk_free_bytes=GB)
    assert once_free(idle, Held(ram_bytes=GB)).ram_free_bytes == idle.ram_free_bytes


def test_the_gpu_that_trains_counts_what_is_ours_on_it() -> None:
    gpus = (Gpu("Tesla T4", 16 * GB, 4 * GB, 7.5), Gpu("Tesla T4", 16 * GB, 1 * GB, 7.5))
    found = once_free(Hardware("a processor", 2, 8 * GB, 2 * GB, GB, gpus=gpus), Held(gpu_bytes=8 * GB))
    assert [one.free_bytes for one in found.gpus] == [12 * GB, 1 * GB]


def test_nvidia_smi_s_lines_are_read_for_our_processes_only() -> None:
    assert gpu_held("12, 100\n123, 50\n7, [N/A]\n\n", [12, 7]) == 100 * 2**20
    assert gpu_held("", [12]) == 0


def test_a_process_is_measured_without_what_it_shares_and_a_gone_one_counts_nothing() -> None:
    code = "import sys; kept = bytearray(b'x') * 200_000_000; print('ready', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        there = held([process.pid]).ram_bytes
        process.communicate()
    assert 200_000_000 < there < 260_000_000
    assert held([process.pid]) == Held()
    assert held([]) == Held()
