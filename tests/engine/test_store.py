"""Runs as folders: whole or not there, read from an offset, folded to what a page shows."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import Refused
from engine.events import Ended, Evaluated, Event, Progress, Queued, Resources, Saved, Started, Step, Warned
from engine.store import RunRecord, Store, append_event, fold, write_whole

STARTED = Started(2.0, 1, 1.0, {}, "toy")


def step(number: int, loss: float = 1.0) -> Step:
    return Step(10.0 + number, number, 100, number / 10, loss, 0.1, 1.0, 10.0)


def checked(number: int, **metrics: float) -> Evaluated:
    return Evaluated(10.5 + number, "validation", number, {"loss": 1.0, "macro_f1": 0.5, **metrics})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


# Folding


def test_a_run_that_went_well_folds_to_finished() -> None:
    events: list[Event] = [
        Queued(1.0), STARTED, Progress(3.0, "training", "Training", 0, 100), step(1), Resources(11.5, 10, 20), checked(1),
        Saved(12.0, "model", 1, "model", 5), Warned(13.0, "Mind."), Ended(14.0, "finished", "Done.", seconds=12.0),
    ]  # fmt: skip
    record = fold(RunRecord("run"), events)
    assert (record.state, record.is_over, record.created, record.begun, record.updated, record.seconds) == ("finished", True, 1, 2, 14, 12)
    assert (record.step, record.total_steps, record.attempts, record.message) == (1, 100, 1, "Done.")
    assert [len(one) for one in (record.steps, record.evaluations, record.resources, record.saved, record.warnings)] == [1] * 5


def test_a_resumed_run_replaces_the_steps_past_its_checkpoint_and_adds_up_its_seconds() -> None:
    first = [
        Queued(1.0),
        STARTED,
        *(step(n, loss=1.0) for n in range(1, 6)),
        checked(2),
        checked(4),
        Ended(20.0, "failed", "It broke.", seconds=9.0),
    ]
    second = [Queued(30.0, resume=True), STARTED, *(step(n, loss=0.5) for n in range(4, 7)), Ended(40.0, "finished", "Done.", seconds=3.0)]
    record = fold(RunRecord("run"), [*first, *second])
    assert [(one.step, one.loss) for one in record.steps] == [(1, 1.0), (2, 1.0), (3, 1.0), (4, 0.5), (5, 0.5), (6, 0.5)]
    assert [one.step for one in record.evaluations] == [2]
    assert (record.attempts, record.seconds, record.created) == (2, 12.0, 1.0)


def test_a_check_told_twice_for_one_step_stands_once_with_the_newer_figures() -> None:
    record = fold(RunRecord("run"), [step(1), checked(1, macro_f1=0.1), checked(1, macro_f1=0.2)])
    assert [one.metrics["macro_f1"] for one in record.evaluations] == [0.2]


def test_a_queued_again_run_is_no_longer_over() -> None:
    record = fold(RunRecord("run"), [Queued(1.0), STARTED, Ended(3.0, "stopped", "Stopped."), Queued(4.0, resume=True)])
    assert (record.state, record.is_over, record.ended) == ("queued", False, None)


EVENTS = st.one_of(
    st.builds(Queued, st.just(1.0), resume=st.booleans()),
    st.just(STARTED),
    st.builds(step, st.integers(1, 6)),
    st.builds(checked, st.integers(1, 6)),
    st.builds(Ended, st.just(9.0), st.sampled_from(["finished", "stopped", "failed", "killed"]), st.just("Over.")),
    st.just(Warned(5.0, "Mind.")),
)


@given(st.lists(EVENTS, max_size=30), st.integers(0, 30))
def test_folding_in_two_parts_equals_folding_at_once(events: list[Event], cut: int) -> None:
    blank = RunRecord("run")
    assert fold(fold(blank, events[:cut]), events[cut:]) == fold(blank, events)


@given(st.lists(EVENTS, max_size=40))
def test_whatever_comes_steps_and_checks_stay_in_order_and_none_stands_twice(events: list[Event]) -> None:
    record = fold(RunRecord("run"), events)
    numbers = [one.step for one in record.steps]
    assert numbers == sorted(set(numbers))
    places = [(one.split, one.step) for one in record.evaluations]
    assert len(places) == len(set(places))


def test_a_fold_costs_in_proportion_to_its_events_also_with_a_check_at_every_step() -> None:
    events: list[Event] = [event for n in range(1, 10_001) for event in (step(n), checked(n))]
    begun = time.process_time()
    record = fold(RunRecord("run"), events[:2000])
    few = time.process_time() - begun
    begun = time.process_time()
    record = fold(record, events[2000:12_000])
    many = time.process_time() - begun
    assert len(record.evaluations) == 6000
    assert many < 25 * max(few, 0.005)  # 5 times the events; growing with the square it would be 40 times


# On disk


def test_a_new_run_is_listed_with_what_was_asked_and_a_name_that_says_so(store: Store) -> None:
    run_id = store.create('{"a": 1}', '{"b": 2}', "Reviews — MiniLM, LoRA!", now=0.0)
    assert store.ids() == [run_id]
    assert "reviews-minilm-lora" in run_id
    assert (store.json(run_id, "spec.json"), store.json(run_id, "plan.json")) == ({"a": 1}, {"b": 2})
    assert store.json(run_id, "evaluation.json") is None


@pytest.mark.parametrize("name", ["", "রিভিউ", "../../etc", "a" * 500, "--", "\x00\n"])
def test_any_name_gives_an_id_that_is_one(store: Store, name: str) -> None:
    run_id = store.create("{}", "{}", name)
    assert store.folder(run_id).parent == store.runs


@pytest.mark.parametrize("run_id", ["", "..", "../home", "nothing-there", "/etc", "a/b", ".deleted-x", "RUN", "x" * 200, "run\n"])
def test_no_id_from_outside_leads_out_of_the_home(store: Store, run_id: str) -> None:
    store.create("{}", "{}", "run")
    with pytest.raises(Refused, match="There is no run"):
        store.folder(run_id)


def test_a_folder_without_a_spec_was_never_whole_and_is_not_listed(store: Store) -> None:
    (store.runs / "20260101-000000-half-abcd").mkdir(parents=True)
    assert store.ids() == []


def test_a_deleted_run_is_gone_from_list_and_disk(store: Store) -> None:
    run_id = store.create("{}", "{}", "run")
    store.append(run_id, Queued(1.0))
    store.delete(run_id)
    assert store.ids() == []
    assert list(store.runs.iterdir()) == []


def test_reading_goes_on_where_it_stopped(store: Store) -> None:
    run_id = store.create("{}", "{}", "run")
    store.append(run_id, Queued(1.0))
    events, offset = store.read(run_id)
    assert events == [Queued(1.0)]
    assert store.read(run_id, offset) == ([], offset)
    store.append(run_id, STARTED)
    assert store.read(run_id, offset)[0] == [STARTED]


def test_a_line_that_is_still_being_written_is_read_once_it_is_whole(store: Store) -> None:
    run_id = store.create("{}", "{}", "run")
    path = store.folder(run_id) / "events.jsonl"
    whole = b'{"event": "Queued", "time": 1.0, "resume": false}\n'
    path.write_bytes(whole[:20])
    assert store.read(run_id) == ([], 0)
    path.write_bytes(whole)
    assert store.read(run_id) == ([Queued(1.0)], len(whole))


def test_a_line_left_half_written_damages_no_other(store: Store) -> None:
    run_id = store.create("{}", "{}", "run")
    store.append(run_id, Queued(1.0))
    with (store.folder(run_id) / "events.jsonl").open("a") as file:
        file.write('{"event": "Step", "ti')
    store.append(run_id, Ended(2.0, "failed", "It broke."))
    assert store.read(run_id)[0] == [Queued(1.0), Ended(2.0, "failed", "It broke.")]


@settings(max_examples=50)
@given(st.lists(EVENTS, min_size=1, max_size=10), st.binary(min_size=1, max_size=40), st.integers(0, 2000))
def test_foreign_bytes_in_the_middle_cost_at_most_the_lines_they_touch(
    tmp_path_factory: pytest.TempPathFactory, events: list[Event], junk: bytes, place: int
) -> None:
    store = Store(tmp_path_factory.mktemp("home"))
    run_id = store.create("{}", "{}", "run")
    path = store.folder(run_id) / "events.jsonl"
    for event in events:
        append_event(path, event)
    whole = path.read_bytes()
    cut = place % len(whole)
    path.write_bytes(whole[:cut] + junk.replace(b"\n", b" ") + whole[cut:])
    append_event(path, Warned(99.0, "still here"))
    read = store.read(run_id)[0]
    assert read[-1] == Warned(99.0, "still here")
    assert len(read) >= len(events)


def test_a_message_that_utf8_cannot_say_is_still_told(store: Store) -> None:
    run_id = store.create("{}", "{}", "run")
    store.append(run_id, Warned(1.0, "The file \udcff.csv is odd."))
    assert store.read(run_id)[0] == [Warned(1.0, "The file ?.csv is odd.")]


def test_writing_whole_leaves_the_old_file_when_it_is_killed_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old")
    dying = (
        "import os, sys; from pathlib import Path; from engine import store\n"
        "os.fsync = lambda descriptor: os.kill(os.getpid(), 9)\n"
        "store.write_whole(Path(sys.argv[1]), b'new')"
    )
    done = subprocess.run([sys.executable, "-c", dying, str(path)], check=False)
    assert done.returncode == -9
    assert path.read_bytes() == b"old"
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"


def test_an_id_that_is_taken_is_not_given_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = iter(["aaaa", "aaaa", "bbbb", *(f"{at:04x}" for at in range(100))])
    monkeypatch.setattr("engine.store.secrets.token_hex", lambda size: next(ends))
    store = Store(tmp_path)
    monkeypatch.setattr("engine.store.write_whole", lambda path, content: None)
    first, second = (store.create("{}", "{}", "one", now=0.0) for _ in range(2))
    assert first.endswith("-one-aaaa")
    assert second.endswith("-one-bbbb")
