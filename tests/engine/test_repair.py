"""A run that runs out of memory goes on by itself, lighter: the plan alone, the queue with a toy, the real worker under a true limit."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from engine import plan as planning
from engine.errors import is_out_of_memory
from engine.events import Ended, Queued, Started, Step, Warned
from engine.processes import REPOSITORY
from engine.repair import last_phase, lighter, repaired
from engine.spec import DataSpec, RunSpec
from engine.store import RunRecord, Store, fold
from engine.studio import Studio
from tests.tiny import tiny

TOY = (sys.executable, str(Path(__file__).with_name("toy_worker.py")))
DEADLINE_SECONDS = 120.0
SPARE_MB = 250
# The real worker, given SPARE_MB more address space than it has when training begins (RLIMIT_AS): a true limit of the system's.
LIMITED = """
import resource, sys
from pathlib import Path
from engine import worker
fit = worker.fit
def limited(work):
    size = next(line for line in open("/proc/self/status") if line.startswith("VmSize")).split()[1]
    bound = int(size) * 1024 + {spare_mb} * 10**6
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
    return fit(work)
worker.fit = limited
sys.exit(worker.main(Path(sys.argv[1])))
"""


def a_spec(base: Path, name: str | None = None, **settings: object) -> RunSpec:
    chosen = {"batch_size": 8, "accumulation": 2, "max_length": 16, "precision": "fp32", "patience": 0, "max_steps": 4}
    return RunSpec(DataSpec("sample:product-reviews-bn"), str(base), "lora", preset=None, settings={**chosen, **settings}, name=name)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tiny("bert", tmp_path / "tiny-bert")


@pytest.fixture
def plan(base: Path, tmp_path: Path) -> planning.Plan:
    studio = Studio(tmp_path / "home", dispatch=False)
    found = studio.preview(a_spec(base)).plan
    assert found is not None
    return found


def until_over(store: Store, run_id: str) -> RunRecord:
    waiting = threading.Event()
    for _ in range(int(DEADLINE_SECONDS / 0.1)):
        record = fold(RunRecord(run_id), store.read(run_id)[0])
        if record.is_over:
            return record
        waiting.wait(0.1)
    raise AssertionError(f"not over: {record.state}")


def test_smaller_batches_come_first_then_checkpointing_then_nothing(plan: planning.Plan) -> None:
    seen = []
    now: planning.Plan | None = plan
    while now is not None:
        found = lighter(now)
        now = found[0] if found else None
        if found:
            seen.append((found[0].pieces, found[0].settings["checkpointing"], found[1]))
            assert found[0].effective_batch == plan.effective_batch
            assert found[0].steps == plan.steps
    assert [one[:2] for one in seen] == [(2, False), (4, False), (8, False), (8, True)]
    assert "4 × 4 instead of 8 × 2, still 16 rows a step" in seen[0][2]


def test_a_method_that_cannot_checkpoint_is_not_asked_to(plan: planning.Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine import repair
    from engine.methods import all_methods

    methods = {**all_methods(), "lora": replace(all_methods()["lora"], checkpointing=False)}
    monkeypatch.setattr(repair, "all_methods", lambda: methods)
    assert lighter(replace(plan, pieces=8)) is None


def test_memory_that_ran_out_while_the_data_was_read_is_not_helped_by_smaller_batches(plan: planning.Plan, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(planning.to_json(plan), "utf-8")
    assert repaired(tmp_path, 1.0, "data", 0) == ()
    assert planning.from_json((tmp_path / "plan.json").read_text("utf-8")).pieces == 1
    warned, queued = repaired(tmp_path, 1.0, "training", 2)
    assert isinstance(warned, Warned)
    assert "at step 3 of 4" in warned.message
    assert queued == Queued(1.0, resume=True, at_once=True)
    assert planning.from_json((tmp_path / "plan.json").read_text("utf-8")).pieces == 2


@pytest.mark.parametrize(
    ("error", "short"),
    [
        (MemoryError(), True),
        (OSError(12, "Cannot allocate memory"), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"), True),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:116] . DefaultCPUAllocator: can't allocate memory: 1 bytes"),
            True,
        ),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("could not create a primitive descriptor for the LSTM forward propagation primitive"), False),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_running_out_of_memory_is_told_from_other_errors(error: BaseException, short: bool) -> None:
    assert is_out_of_memory(error) is short


def test_the_last_phase_and_step_are_read_from_the_end_of_the_events() -> None:
    from engine.events import Progress, to_line

    lines = [to_line(Progress(1.0, "training", "Training")), to_line(Step(2.0, 7, 10, 0.1, 1.0, 0.1, 1.0, 1.0)), '{"event": "Step", "st']
    assert last_phase("half a line\n" + "\n".join(lines)) == ("training", 7)
    assert last_phase("\n".join(lines[1:])) == ("training", 7), "the Progress lies further back than the lines reach"
    judging = to_line(Progress(3.0, "evaluation", "Judging on the test rows"))
    assert last_phase("\n".join([*lines[1:2], judging])) == ("evaluation", 7)


def test_a_run_that_the_system_ended_for_want_of_memory_is_tried_lighter_before_all_others_until_nothing_is_left(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    studio = Studio(tmp_path / "home", worker=TOY)
    try:
        run_id = studio.start(a_spec(base, name="start full step die=9"))
        other = studio.start(a_spec(base, name="start end"))
        record = until_over(studio.store, run_id)
        assert isinstance(record.ended, Ended)
        assert record.state == "failed"
        assert "memory" in record.ended.reason
        assert len(record.warnings) == 4
        assert record.attempts == 5
        plan = studio.plan(run_id)
        assert (plan.pieces, plan.settings["checkpointing"]) == (8, True)
        until_over(studio.store, other)
        began = next(one for one in studio.read(other)[0] if isinstance(one, Started))
        assert record.ended.time <= began.time
    finally:
        studio.close()


@pytest.mark.skipif(sys.platform != "linux", reason="needs RLIMIT_AS and /proc")
def test_a_real_limit_on_memory_makes_a_real_run_go_on_with_the_same_rows_a_step(base: Path, tmp_path: Path) -> None:
    """A batch of 256 rows x 128 tokens needs more than the limit; the lighter one fits, with the losses of a run without a limit."""
    csv = tmp_path / "long.csv"
    words = "good bad film very some words here indeed " * 40
    csv.write_text("text,label\n" + "".join(f"{words} {at},{'yes' if at % 2 else 'no'}\n" for at in range(700)), "utf-8")
    spec = replace(a_spec(base), data=DataSpec(f"file:{csv}"))
    spec = replace(spec, settings={**spec.settings, "batch_size": 256, "accumulation": 1, "max_length": 128, "max_steps": 2})
    studio = Studio(tmp_path / "home", worker=(sys.executable, "-c", "raise SystemExit"))
    studio._supervisor.close()
    try:
        free, limited = (studio.store.folder(studio.start(spec)) for _ in range(2))
    finally:
        studio.close()
    subprocess.run([sys.executable, "-m", "engine.worker", str(free)], cwd=REPOSITORY, check=True, timeout=DEADLINE_SECONDS)
    attempts = 0
    while attempts < 6 and not record_of(limited).is_over:
        command = [sys.executable, "-c", LIMITED.format(spare_mb=SPARE_MB), str(limited)]
        subprocess.run(command, cwd=REPOSITORY, timeout=DEADLINE_SECONDS, check=False)
        attempts += 1
    done = record_of(limited)
    assert done.state == "finished", done.ended
    assert done.attempts > 1
    assert any("Memory ran out at step 1 of 2" in one.message for one in done.warnings)
    assert planning.from_json((limited / "plan.json").read_text("utf-8")).pieces > 1
    assert [one.loss for one in done.steps] == pytest.approx([one.loss for one in record_of(free).steps], rel=1e-3)
    assert json.loads((limited / "evaluation.json").read_text("utf-8"))["rows"] > 0


def record_of(folder: Path) -> RunRecord:
    return fold(RunRecord(folder.name), Store(folder.parent.parent).read(folder.name)[0])
