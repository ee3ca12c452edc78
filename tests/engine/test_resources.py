"""What a process takes of a GPU: the context that torch does not count, other programs that come and go, torch that is half loaded."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from engine.memory import RATES
from engine.resources import MOST_BESIDE_BYTES, VideoMemory, Watch

MB = 10**6
WHOLE = 16_000 * MB


class ToyCuda:
    """A GPU of 16 GB of which other programs have 1 GB."""

    def __init__(self) -> None:
        self.others, self.context, self.reserved, self.highest, self.used = 1000 * MB, 700 * MB, 0, 0, False

    def is_initialized(self) -> bool:
        return self.used

    def memory_reserved(self) -> int:
        return self.reserved

    def max_memory_reserved(self) -> int:
        return self.highest

    def mem_get_info(self) -> tuple[int, int]:
        assert self.used, "asking would make a context"
        return WHOLE - self.others - self.context - self.reserved, WHOLE

    def hold(self, taken: int) -> None:
        self.used, self.reserved, self.highest = True, taken, max(self.highest, taken)


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> ToyCuda:
    made = ToyCuda()
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=made))
    return made


def before_it_is_used(cuda: ToyCuda) -> VideoMemory:
    return VideoMemory(lambda: WHOLE - cuda.others)


def test_the_context_counts_and_what_others_have_does_not(cuda: ToyCuda) -> None:
    video = before_it_is_used(cuda)
    assert video.now() == (0, 0)
    cuda.hold(3000 * MB)
    cuda.hold(2000 * MB)
    assert video.now() == (2700 * MB, 3700 * MB)
    cuda.context += 100 * MB  # code that is called for the first time
    assert video.now() == (2800 * MB, 3800 * MB)


def test_a_program_that_comes_or_ends_meanwhile_is_not_taken_for_ours(cuda: ToyCuda) -> None:
    video = before_it_is_used(cuda)
    cuda.hold(2000 * MB)
    assert video.now() == (2700 * MB, 2700 * MB)
    cuda.others += MOST_BESIDE_BYTES
    assert video.now() == (2700 * MB, 2700 * MB)
    cuda.others = 0
    assert video.now() == (2700 * MB, 2700 * MB)


def test_where_nothing_can_be_told_the_context_is_as_large_as_planned(cuda: ToyCuda) -> None:
    late = VideoMemory(lambda: WHOLE - cuda.others - cuda.context)  # it asked after the context was there
    cuda.hold(2000 * MB)
    assert late.now() == (2000 * MB + RATES["cuda"].overhead,) * 2


def test_without_nvidia_smi_all_that_is_taken_counts(cuda: ToyCuda) -> None:
    cuda.others = 0
    video = VideoMemory(lambda: None)
    cuda.hold(2000 * MB)
    assert video.now() == (2700 * MB, 2700 * MB)


def test_no_torch_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert VideoMemory(lambda: WHOLE).now() is None
    told = Watch(psutil.Process(), VideoMemory(lambda: WHOLE)).look()
    assert (told.vram_bytes, told.vram_peak_bytes) == (None, None)
    assert told.ram_peak_bytes >= told.ram_bytes > 0


SLOW = """
import builtins
builtins.shur_half.set()
assert builtins.shur_go.wait(30)
class cuda:
    is_initialized = staticmethod(lambda: False)
"""


def test_a_look_while_torch_is_being_loaded_waits_until_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that looks ended on the half-loaded module, and the run told no memory any more (seen on the GPU)."""
    import builtins

    (tmp_path / "torch.py").write_text(SLOW, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    half, go, told = threading.Event(), threading.Event(), list[object]()
    monkeypatch.setattr(builtins, "shur_half", half, raising=False)
    monkeypatch.setattr(builtins, "shur_go", go, raising=False)
    video = VideoMemory(lambda: WHOLE)
    loading = threading.Thread(target=lambda: __import__("torch"))
    looking = threading.Thread(target=lambda: told.append(video.now()))
    try:
        loading.start()
        assert half.wait(30)
        looking.start()
        go.set()
        loading.join(30)
        looking.join(30)
        assert told == [(0, 0)]
    finally:
        sys.modules.pop("torch", None)
