"""The queue under every kind of death, with real processes and a toy for a worker."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from engine.errors import Refused, explain
from engine.events import Ended, Queued, Started
from engine.obituary import Evidence, obituary
from engine.processes import REPOSITORY, Trail
from engine.store import RunRecord, Store, append_event
from engine.supervisor import Supervisor

TOY = (sys.executable, str(Path(__file__).with_name("toy_worker.py")))
APP = (sys.executable, str(Path(__file__).with_name("toy_app.py")))


@pytest.fixture(autouse=True)
def _workers_find_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.delenv("HF_TOKEN", raising=False)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "home")
    yield made
    for pids in made.runs.glob("*/pids"):
        for pid in pids.read_text().split():
            _end(int(pid))


def _end(pid: int) -> None:
    try:
        if psutil.Process(pid).cmdline()[1:2] == [TOY[1]]:
            os.killpg(pid, signal.SIGKILL)
    except (psutil.Error, ProcessLookupError):
        return


@pytest.fixture
def app(store: Store) -> Iterator[Supervisor]:
    supervisor = Supervisor(store, TOY, grace_seconds=0.5, exit_seconds=0.5)
    supervisor.start()
    yield supervisor
    supervisor.close()


@pytest.fixture
def apps(store: Store) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts an app in a process of its own, so that it can be killed."""
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen([*APP, str(store.home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Waits for the condition; fails, naming it, when the time is over."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        pause.wait(0.005)


def submit(app: Supervisor, acts: str, token: str | None = None) -> str:
    return app.submit(json.dumps({"name": acts}), "{}", "toy", token)


def put(store: Store, acts: str) -> str:
    """A run in the queue, put there by an app that does not dispatch."""
    return submit(Supervisor(store, TOY), acts)


def state(store: Store, run_id: str) -> str:
    return store.record(run_id).state


def over(store: Store, run_id: str) -> RunRecord:
    until(lambda: store.record(run_id).is_over)
    return store.record(run_id)


def pids(store: Store, run_id: str) -> list[int]:
    path = store.runs / run_id / "pids"
    return [int(pid) for pid in path.read_text().split()] if path.exists() else []


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def go(store: Store, run_id: str) -> None:
    (store.runs / run_id / "go").touch()


# A run's way


def test_a_run_goes_from_the_queue_to_its_end(store: Store, app: Supervisor) -> None:
    record = over(store, submit(app, "start step end"))
    assert (record.state, record.step, record.attempts) == ("finished", 1, 1)


def test_a_second_start_waits_until_the_first_is_over_and_the_oldest_goes_first(store: Store, app: Supervisor) -> None:
    runs = [submit(app, "start hold end") for _ in range(3)]
    for at, run_id in enumerate(runs):
        until(lambda run_id=run_id: state(store, run_id) == "running")
        assert [state(store, later) for later in runs[at + 1 :]] == ["queued"] * len(runs[at + 1 :])
        go(store, run_id)
    assert [over(store, run_id).state for run_id in runs] == ["finished"] * 3


def test_stop_reaches_the_worker_and_resume_queues_the_run_again(store: Store, app: Supervisor) -> None:
    run_id = submit(app, "start hold end")
    until(lambda: state(store, run_id) == "running")
    app.stop(run_id)
    assert over(store, run_id).state == "stopped"
    app.resume(run_id)
    until(lambda: state(store, run_id) == "running")
    go(store, run_id)
    record = over(store, run_id)
    assert (record.state, record.attempts) == ("finished", 2)


def test_a_run_that_waits_is_stopped_without_ever_starting_and_can_be_resumed(store: Store, app: Supervisor) -> None:
    first, second = submit(app, "start hold end"), submit(app, "start end")
    until(lambda: state(store, first) == "running")
    app.stop(second)
    record = over(store, second)
    assert (record.state, record.attempts, pids(store, second)) == ("stopped", 0, [])
    app.resume(second)
    go(store, first)
    assert over(store, second).state == "finished"


def test_kill_ends_a_worker_that_does_not_listen_and_all_that_it_started(store: Store, app: Supervisor) -> None:
    run_id = submit(app, "start seal child deaf")
    until(lambda: (store.runs / run_id / "child").exists() and (store.runs / run_id / "child").read_text())
    app.kill(run_id)
    record = over(store, run_id)
    assert record.ended is not None
    assert (record.state, record.ended.reason) == ("killed", "Killed, as you asked.")
    assert "Resume" in record.ended.fix
    until(lambda: is_gone(int((store.runs / run_id / "child").read_text())))


def test_resume_is_refused_for_a_run_that_is_finished_or_not_over(store: Store, app: Supervisor) -> None:
    finished, held = submit(app, "start end"), submit(app, "start hold")
    over(store, finished)
    for run_id in (finished, held):
        with pytest.raises(Refused):
            app.resume(run_id)


def test_a_run_at_work_cannot_be_deleted_but_a_waiting_one_can(store: Store, app: Supervisor) -> None:
    held, waiting = submit(app, "start hold end"), submit(app, "start end")
    until(lambda: state(store, held) == "running")
    with pytest.raises(Refused, match="at work"):
        app.delete(held)
    app.delete(waiting)
    after = submit(app, "start end")
    go(store, held)
    assert over(store, after).state == "finished"
    assert waiting not in store.ids()


def test_the_worker_has_a_session_of_its_own(store: Store, app: Supervisor) -> None:
    run_id = submit(app, "start hold end")
    until(lambda: state(store, run_id) == "running")
    (pid,) = pids(store, run_id)
    assert os.getsid(pid) == pid != os.getsid(0)


def test_the_token_reaches_the_worker_and_no_file(store: Store, app: Supervisor) -> None:
    secret = "hf_" + "a" * 20
    given, other = submit(app, "token start end", secret), submit(app, "token start end")
    assert over(store, given).state == over(store, other).state == "finished"
    assert (store.runs / given / "token").read_text() == "yes"
    assert (store.runs / other / "token").read_text() == "no"
    assert not [path for path in store.home.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def test_a_token_is_forgotten_when_its_run_is_over_however_it_ended(store: Store, app: Supervisor) -> None:
    held, waiting, killed = (submit(app, acts, "hf_" + "a" * 20) for acts in ("start hold end", "start end", "start hold end"))
    until(lambda: state(store, held) == "running")
    assert set(app._tokens) == {held, waiting, killed}
    app.stop(waiting)
    until(lambda: set(app._tokens) == {held, killed})
    go(store, held)
    until(lambda: state(store, killed) == "running")
    app.kill(killed)
    until(lambda: not app._tokens)


def test_where_others_reach_the_page_a_worker_gets_the_visitor_s_token_or_none(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_" + "o" * 20)
    app = Supervisor(store, TOY, share=True)
    given, other = submit(app, "token start end", "hf_" + "v" * 20), submit(app, "token start end")
    assert app.environment(app._tokens.get(given))["HF_TOKEN"] == "hf_" + "v" * 20
    assert "HF_TOKEN" not in app.environment(app._tokens.get(other))
    assert app.environment(app._tokens.get(other))["HF_HUB_DISABLE_IMPLICIT_TOKEN"] == "1"
    assert Supervisor(store, TOY).environment(None)["HF_TOKEN"] == "hf_" + "o" * 20


# A worker's death


def test_a_worker_killed_at_any_moment_leaves_a_run_that_says_so_and_can_be_resumed(
    store: Store, app: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.obituary._rose", lambda born, now: False)  # a neighbour may really run out of memory meanwhile
    acts = " ".join(["start", "seal", *["step"] * 40, "hold", "end"])
    dice = random.Random(7)
    for moment in [0, 1, *(dice.randrange(2, 45) for _ in range(18))]:  # lines of events.jsonl; 0: born, but nothing told
        run_id = submit(app, acts)
        until(lambda run_id=run_id: pids(store, run_id))
        until(lambda run_id=run_id, moment=moment: len(store.read(run_id)[0]) >= moment)
        os.kill(pids(store, run_id)[0], signal.SIGKILL)
        record = over(store, run_id)
        assert record.ended is not None
        assert record.state == "failed"
        assert "SIGKILL" in record.ended.reason
        assert "Resume" in record.ended.fix
        go(store, run_id)
        app.resume(run_id)
        assert over(store, run_id).state == "finished"


def test_a_worker_that_dies_before_it_tells_its_start_leaves_its_last_words(store: Store, app: Supervisor) -> None:
    record = over(store, submit(app, "say=ImportError:no-module exit=3"))
    assert record.ended is not None
    assert (record.state, record.attempts) == ("failed", 0)
    assert "code 3 before it had begun" in record.ended.reason
    assert "ImportError:no-module" in record.ended.reason


def test_a_token_in_the_last_words_is_not_repeated(store: Store, app: Supervisor) -> None:
    record = over(store, submit(app, "start say=hf_abcdefghijkl exit=1"))
    assert record.ended is not None
    assert "hf_abc" not in record.ended.reason


def test_a_worker_that_leaves_without_a_word_is_not_taken_for_finished(store: Store, app: Supervisor) -> None:
    assert over(store, submit(app, "start step exit=0")).state == "failed"


def test_a_crash_is_told_by_its_name(store: Store, app: Supervisor) -> None:
    record = over(store, submit(app, f"start die={signal.SIGSEGV.value}"))
    assert record.ended is not None
    assert "memory fault (SIGSEGV)" in record.ended.reason


def test_half_a_line_left_by_a_dying_worker_hides_nothing(store: Store, app: Supervisor) -> None:
    run_id = submit(app, f"start step half die={signal.SIGKILL.value}")
    assert over(store, run_id).state == "failed"
    (store.runs / run_id / "spec.json").write_text('{"name": "start end"}')
    app.resume(run_id)
    until(lambda: state(store, run_id) == "finished")


def test_a_worker_killed_after_its_verdict_was_written_is_finished(store: Store, app: Supervisor) -> None:
    assert over(store, submit(app, f"start judge die={signal.SIGKILL.value}")).state == "finished"


def test_a_worker_that_tells_its_end_but_never_leaves_does_not_hold_up_the_queue(store: Store, app: Supervisor) -> None:
    lingering, after = submit(app, "start end deaf"), submit(app, "start end")
    assert over(store, after).state == "finished"
    assert state(store, lingering) == "finished"
    assert is_gone(pids(store, lingering)[0])


def test_a_run_resumed_before_its_old_worker_has_left_is_not_taken_for_dead(store: Store) -> None:
    app = Supervisor(store, TOY)
    app.start()
    try:
        run_id = submit(app, "start end deaf")
        until(lambda: state(store, run_id) == "finished")
        store.append(run_id, Ended(time.time(), "stopped", "Stopped, as you asked."))
        app.resume(run_id)
        go(store, run_id)
        record = over(store, run_id)
        assert (record.state, record.attempts) == ("finished", 2)
        assert not [event for event in store.read(run_id)[0] if isinstance(event, Ended) and event.status == "failed"]
    finally:
        app.close()


def test_a_run_can_be_deleted_as_soon_as_it_told_its_end(store: Store, app: Supervisor) -> None:
    run_id, after = submit(app, "start end deaf"), submit(app, "start end")
    until(lambda: state(store, run_id) == "finished")
    app.delete(run_id)
    assert over(store, after).state == "finished"


def test_a_worker_that_cannot_be_started_fails_in_words_and_the_queue_goes_on(store: Store) -> None:
    app = Supervisor(store, ("/nowhere/python",))
    app.start()
    try:
        runs = [submit(app, "start end") for _ in range(2)]
        for run_id in runs:
            ended = over(store, run_id).ended
            assert ended is not None
            assert "could not be started" in ended.reason
    finally:
        app.close()


def test_a_run_whose_folder_vanishes_at_work_takes_its_worker_along(store: Store, app: Supervisor) -> None:
    run_id, after = submit(app, "start deaf"), submit(app, "start end")
    until(lambda: state(store, run_id) == "running")
    (pid,) = pids(store, run_id)
    (store.runs / run_id).rename(store.home / "elsewhere")
    assert over(store, after).state == "finished"
    assert is_gone(pid)


def _memory_cgroup() -> Path | None:
    """A folder below our own version 1 memory cgroup that we may write to, or None."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            folder = Path("/sys/fs/cgroup/memory" + path)
            return folder if os.access(folder, os.W_OK) else None
    return None


def test_the_out_of_memory_killer_is_told_apart(store: Store, app: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = _memory_cgroup() if Path("/proc/self/cgroup").exists() else None
    if parent is None:
        pytest.skip("no memory cgroup that this test may write to")
    cgroup = parent / f"shur-test-{os.getpid()}"
    cgroup.mkdir()
    try:
        (cgroup / "memory.limit_in_bytes").write_text(str(64 << 20))
        monkeypatch.setenv("TOY_CGROUP", str(cgroup))
        ended = over(store, submit(app, "start eat")).ended
        assert ended is not None
        assert (ended.status, ended.reason) == ("failed", "The machine ran out of memory, and the system ended the training process.")
        assert "smaller" in ended.fix
    finally:
        until(lambda: not (cgroup / "cgroup.procs").read_text())
        cgroup.rmdir()


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        (Evidence(-9), "ended from outside (SIGKILL), not by Shur"),
        (Evidence(-9, out_of_memory=True), "ran out of memory"),
        (Evidence(None, out_of_memory=True), "ran out of memory"),
        (Evidence(-9, memory_share=0.93), "while it used 93 % of the memory: most likely memory ran out"),
        (Evidence(-15, out_of_memory=True), "ended from outside (SIGTERM)"),
        (Evidence(None), "ended without a word: it crashed, or was ended from outside"),
        (Evidence(None, restarted=True), "The machine was restarted"),
        (Evidence(1, last_words="RuntimeError: boom"), "code 1. Its last words: RuntimeError: boom"),
        (Evidence(-7), "memory fault (SIGBUS)"),
    ],
)
def test_the_reason_of_a_death_follows_the_evidence(evidence: Evidence, words: str) -> None:
    ended = obituary(evidence, 1.0, 2.0)
    assert words in ended.reason
    assert ended.status == "failed"
    assert ("Clone" if "memory ran out" in words or "out of memory" in words else "Resume") in ended.fix
    assert ("Clone" in ended.fix) != ("Resume" in ended.fix)  # resumed, it would run out of memory again


def test_running_out_of_memory_asks_for_another_plan_and_a_full_disk_for_space() -> None:
    for error in (MemoryError(), OSError(12, "no memory"), RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")):
        assert explain(error).fix.startswith("Press Clone, choose a smaller batch size")
    assert explain(OSError(28, "full")).fix == "Free some space, then press Resume."


def test_a_checkpoint_decides_where_resume_is_said_to_go_on() -> None:
    assert "last checkpoint" in obituary(Evidence(-9, checkpoint=True), 1.0, 0.0).fix
    assert "start it again" in obituary(Evidence(-9), 1.0, 0.0).fix


# An app's death


def test_an_app_killed_while_a_worker_lives_is_followed_by_one_that_goes_on_watching(
    store: Store, apps: Callable[[], subprocess.Popen[str]]
) -> None:
    first = apps()
    run_id, waiting = put(store, "start step hold end"), put(store, "start end")
    until(lambda: state(store, run_id) == "running")
    first.kill()
    first.wait()
    apps()
    go(store, run_id)
    assert over(store, run_id).state == over(store, waiting).state == "finished"
    assert len(pids(store, run_id)) == 1


def test_an_app_that_comes_back_marks_a_worker_that_died_meanwhile(store: Store, apps: Callable[[], subprocess.Popen[str]]) -> None:
    first = apps()
    run_id = put(store, "start seal deaf")
    until(lambda: state(store, run_id) == "running")
    first.kill()
    first.wait()
    os.kill(pids(store, run_id)[0], signal.SIGKILL)
    assert state(store, run_id) == "running"
    apps()
    ended = over(store, run_id).ended
    assert ended is not None
    assert ended.status == "failed"
    assert "without a word" in ended.reason
    assert "last checkpoint" in ended.fix


def test_a_worker_that_had_not_told_its_start_when_the_app_was_killed_is_found_and_not_started_twice(
    store: Store, apps: Callable[[], subprocess.Popen[str]]
) -> None:
    first = apps()
    run_id = put(store, "deaf start end")
    until(lambda: pids(store, run_id))
    first.kill()
    first.wait()
    apps()
    after = put(store, "start end")
    go(store, run_id)
    assert over(store, run_id).state == over(store, after).state == "finished"
    assert len(pids(store, run_id)) == 1


def test_an_app_killed_at_any_moment_loses_no_run_and_starts_none_twice(store: Store, apps: Callable[[], subprocess.Popen[str]]) -> None:
    dice = random.Random(11)
    runs = [put(store, " ".join(["start", *["step"] * 30, "hold", "end"])) for _ in range(2)]
    for moment in [0, *(dice.randrange(1, 30) for _ in range(4))]:
        app = apps()
        until(lambda moment=moment: len(store.read(runs[0])[0]) >= min(moment, 30))
        app.kill()
        app.wait()
    apps()
    for run_id in runs:
        until(lambda run_id=run_id: state(store, run_id) == "running")
        go(store, run_id)
    assert [over(store, run_id).state for run_id in runs] == ["finished"] * 2
    assert [len(pids(store, run_id)) for run_id in runs] == [1, 1]


def test_of_two_apps_on_one_home_one_dispatches_and_the_other_takes_over(store: Store) -> None:
    first, second = Supervisor(store, TOY), Supervisor(store, TOY)
    first.start()
    until(lambda: first.dispatches)
    second.start()
    try:
        runs = [submit(second, "start hold end"), submit(first, "start hold end")]
        until(lambda: state(store, runs[0]) == "running")
        assert (first.dispatches, second.dispatches) == (True, False)
        first.close()
        until(lambda: second.dispatches)
        for run_id in runs:
            until(lambda run_id=run_id: state(store, run_id) == "running")
            go(store, run_id)
        assert [over(store, run_id).state for run_id in runs] == ["finished"] * 2
    finally:
        first.close()
        second.close()


def test_a_kill_asked_of_an_app_that_only_watches_is_done_by_the_one_that_dispatches(store: Store, app: Supervisor) -> None:
    until(lambda: app.dispatches)
    watching = Supervisor(store, TOY)
    run_id = submit(watching, "start deaf")
    until(lambda: state(store, run_id) == "running")
    watching.kill(run_id)
    assert over(store, run_id).state == "killed"


# What a crash leaves on disk


def test_a_pid_that_another_process_has_by_now_is_not_taken_for_the_worker(store: Store, app: Supervisor) -> None:
    run_id = put(store, "start end")
    store.append(run_id, Started(time.time(), os.getpid(), psutil.Process().create_time() - 3600, {}, "toy"))
    app.submit(json.dumps({"name": "start end"}), "{}", "bell")
    assert over(store, run_id).state == "failed"


def test_a_submission_that_broke_off_before_the_queue_is_failed_and_can_be_resumed(store: Store, app: Supervisor) -> None:
    run_id = store.create(json.dumps({"name": "start end"}), "{}", "toy")
    submit(app, "start end")
    record = over(store, run_id)
    assert record.state == "failed"
    assert record.created > 0
    app.resume(run_id)
    until(lambda: state(store, run_id) == "finished")


@pytest.mark.parametrize("damage", [b"", b"\x00" * 400, b'{"event": []}\n{"event": "Queued", "ti', b"\xff\xfe\n" * 30])
def test_a_run_with_damaged_events_ends_in_words_and_holds_up_nothing(store: Store, app: Supervisor, damage: bytes) -> None:
    run_id = store.create(json.dumps({"name": "start end"}), "{}", "toy")
    (store.runs / run_id / "events.jsonl").write_bytes(damage)
    assert over(store, submit(app, "start end")).state == "finished"
    assert over(store, run_id).state == "failed"
    app.resume(run_id)
    until(lambda: state(store, run_id) == "finished")


def test_a_run_that_cannot_be_read_keeps_no_other_from_its_turn(store: Store, app: Supervisor) -> None:
    broken = store.create(json.dumps({"name": "start end"}), "{}", "toy")
    (store.runs / broken / "events.jsonl").mkdir()
    assert over(store, submit(app, "start end")).state == "finished"


def test_a_run_folder_deleted_while_it_waits_is_forgotten(store: Store, app: Supervisor) -> None:
    held, gone, after = (submit(app, acts) for acts in ("start hold end", "start end", "start end"))
    until(lambda: state(store, held) == "running")
    shutil.rmtree(store.runs / gone)
    go(store, held)
    assert over(store, after).state == "finished"


def test_a_trail_read_in_pieces_ends_where_one_read_at_once_does(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for event in (Queued(1.0), Started(2.0, 1, 1.0, {}, "toy"), Ended(3.0, "failed", "It broke."), Queued(4.0, resume=True)):
        append_event(path, event)
    whole = path.read_bytes()
    pieces, at_once, growing = Trail(), Trail(), tmp_path / "growing.jsonl"
    at_once.follow(path)
    for size in range(len(whole) + 1):
        growing.write_bytes(whole[:size])
        pieces.follow(growing)
    assert pieces == at_once == Trail(len(whole), len(whole), Queued(4.0, resume=True))
    growing.write_bytes(whole[: whole.index(b"\n") + 1])
    pieces.follow(growing)
    assert pieces.last == Queued(1.0)


def test_an_idle_look_does_as_little_with_many_runs_as_with_two(store: Store) -> None:
    def calls() -> int:
        """Of Python's functions, whatever touches a file among them, in one look after the first."""
        app, counted = Supervisor(store, TOY), [0]
        app.tick()

        def count(frame: object, event: str, argument: object) -> None:
            counted[0] += event == "call"

        sys.setprofile(count)
        try:
            app.tick()
        finally:
            sys.setprofile(None)
            app.close()
        return counted[0]

    def finish(runs: int) -> None:
        for _ in range(runs):
            store.append(put(store, "start end"), Ended(time.time(), "finished", "Done."))

    finish(2)
    few = calls()
    finish(198)
    assert calls() <= few + 10
