"""A large file is read by a process of its own, once, in the open, and only for as long as the person wants it."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from engine import intake, taking_in
from engine.data import kept, split
from engine.data.watch import Watch
from engine.errors import Refused
from engine.models import EMBEDDED
from engine.spec import DataSpec, RunSpec
from engine.studio import Studio
from engine.taking_in import StillReadingError, TakingIn, is_large

PATIENCE_SECONDS = 60.0
LIMIT = 10_000_000
CSV = "text,label\n" + "\n".join(f"words of row {at} and {at * 7 % 91},{('good', 'bad')[at % 2]}" for at in range(400)) + "\n"


@pytest.fixture
def every_file_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking_in, "LARGE_BYTES", 1)


@pytest.fixture
def readings(tmp_path: Path, every_file_is_large: None) -> Iterator[TakingIn]:
    made = TakingIn(tmp_path / "home", lambda: os.environ)
    yield made
    made.close()


def written(folder: Path, content: str = CSV, name: str = "rows.csv") -> Path:
    (folder / name).write_text(content, "utf-8")
    return folder / name


def wait_for(readings: TakingIn, path: Path) -> None:
    """Returns when the file is read. Raises Refused where it cannot be."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        try:
            return readings.ready(path, LIMIT, field="data.source")
        except StillReadingError:
            for job in list(readings._jobs.values()):
                job.process.wait(PATIENCE_SECONDS)
    raise AssertionError("it is still being read")


def never_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that wait for a signal that never comes."""
    real = subprocess.Popen
    waiting = [sys.executable, "-c", "import signal; signal.pause()"]
    monkeypatch.setattr(subprocess, "Popen", lambda _, **told: real(waiting, **told))


@pytest.mark.usefixtures("every_file_is_large")
def test_a_large_file_is_read_once_for_the_page_and_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    studio = Studio(tmp_path / "home", dispatch=False, reads_apart=True)
    source = studio.add_upload(written(tmp_path), "rows.csv")
    asked = RunSpec(DataSpec(source), EMBEDDED)
    monkeypatch.setattr(kept, "open_file", lambda *_, **__: pytest.fail("it was read by whoever asked"))
    first = studio.preview(asked)
    assert first.arriving is not None
    assert (first.arriving.name, first.is_ready) == ("rows.csv", False)
    assert studio._taking_in is not None
    wait_for(studio._taking_in, studio.home / source.removeprefix("file:"))
    assert studio.arriving(asked.data) is None
    found = studio.preview(asked)
    assert found.data is not None
    assert (found.data.usable, found.arriving) == (400, None)
    assert studio.columns(asked.data) == ("text", "label")
    assert len(split.prepare(asked.data, split.Split(), home=studio.home).train.texts) == 320
    assert not any((studio.home / "reading").iterdir())
    studio.close()


def test_what_is_wrong_with_a_file_is_told_as_by_whoever_reads_it_and_once_for_each_field(tmp_path: Path, readings: TakingIn) -> None:
    path = written(tmp_path, '{"text": "cut off', "a.json")
    with pytest.raises(Refused) as caught:
        wait_for(readings, path)
    assert "broken" in caught.value.problems[0].message
    with pytest.raises(Refused) as again:
        readings.ready(path, LIMIT, field="data.test")
    assert not isinstance(again.value, StillReadingError)
    assert [one.field for one in again.value.problems] == ["data.test"]


def test_a_cancelled_reading_ends_its_process_leaves_nothing_and_can_be_asked_for_again(
    tmp_path: Path, readings: TakingIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    never_ending(monkeypatch)
    path = written(tmp_path)
    with pytest.raises(StillReadingError):
        readings.ready(path, LIMIT, field="data.source")
    (job,) = readings._jobs.values()
    readings.cancel(path)
    with pytest.raises(Refused, match="was cancelled"):
        readings.ready(path, LIMIT, field="data.source")
    assert job.process.wait(PATIENCE_SECONDS) == -signal.SIGTERM
    readings.forget(path)
    with pytest.raises(StillReadingError):
        readings.ready(path, LIMIT, field="data.source")
    readings.cancel(path)
    path.write_text(CSV + "one more,good\n", "utf-8")
    with pytest.raises(StillReadingError):
        readings.ready(path, LIMIT, field="data.source")


def test_a_process_that_dies_is_told_in_words(tmp_path: Path, readings: TakingIn, monkeypatch: pytest.MonkeyPatch) -> None:
    never_ending(monkeypatch)
    path = written(tmp_path)
    with pytest.raises(StillReadingError):
        readings.ready(path, LIMIT, field="data.source")
    (job,) = readings._jobs.values()
    job.process.kill()
    with pytest.raises(Refused, match="for want of memory"):
        wait_for(readings, path)


def test_rows_that_find_no_room_on_the_disk_are_told_and_not_read_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(kept, "_keep", full)
    path = written(tmp_path)
    asked = intake.Request(str(path), path.name, LIMIT, str(tmp_path / "cache"), "data.source", None, None)
    (problem,), ended = intake._read(asked, Watch())
    assert "no room on the disk for the rows of rows.csv" in problem.message
    assert ended == intake.PASSING


def test_a_few_are_read_at_a_time_and_the_others_wait(tmp_path: Path, readings: TakingIn, monkeypatch: pytest.MonkeyPatch) -> None:
    never_ending(monkeypatch)
    waiting = []
    for number in range(3):
        with pytest.raises(StillReadingError) as caught:
            readings.ready(written(tmp_path, name=f"{number}.csv"), LIMIT, field="data.source")
        waiting.append(caught.value.arriving.waiting)
    assert waiting == [False, False, True]
    readings.cancel(tmp_path / "0.csv")
    with pytest.raises(StillReadingError) as caught:
        readings.ready(tmp_path / "2.csv", LIMIT, field="data.source")
    assert not caught.value.arriving.waiting


def test_small_files_and_those_that_are_refused_at_once_need_no_process(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert not is_large(path, LIMIT)
    path.write_bytes(b"PK\x03\x04" + bytes(200_000))
    assert is_large(path, LIMIT)
    assert not is_large(path, 1000)
    path.write_bytes(bytes(taking_in.LARGE_BYTES))
    assert is_large(path, LIMIT)


def test_how_far_it_is_is_written_now_and_then(tmp_path: Path) -> None:
    now = [0.0]
    watch = Watch(intake.telling(tmp_path, lambda: now[0]))
    for second, share in ((0.0, 0.1), (0.05, 0.2), (1.0, 0.3)):
        now[0] = second
        watch.rows += 10
        watch.at(share)
        told = json.loads((tmp_path / "state.json").read_text("utf-8"))
        assert told == {"share": 0.3 if second else 0.1, "rows": 30 if second == 1.0 else 10} or second == 0.05
    assert told == {"share": 0.3, "rows": 30}


def test_a_reading_process_that_is_asked_to_end_takes_away_what_it_laid_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.data import gather

    monkeypatch.setattr(gather, "KEPT_BYTES", 1000)
    monkeypatch.setattr(gather, "BATCH", 8)
    monkeypatch.setattr(intake.signal, "signal", lambda *_: None)
    monkeypatch.setattr(intake.os, "nice", lambda *_: None)
    path, cache = written(tmp_path, CSV * 10), tmp_path / "cache"
    request = intake.Request(str(path), path.name, LIMIT, str(cache), "data.source", None, None)
    (tmp_path / "request.json").write_text(json.dumps(asdict(request)))
    seen: list[int] = []

    def tell(watch: Watch) -> None:
        seen.append(len(list(cache.rglob("*.arrow"))))
        if watch.rows > 1000:
            watch.cancel()

    monkeypatch.setattr(intake, "telling", lambda _: tell)
    assert intake.main(tmp_path) == 1
    assert max(seen) == 1
    assert list(cache.rglob("*.arrow")) == []
    assert "cancelled" in json.loads((tmp_path / "result.json").read_text("utf-8"))[0]["message"]
