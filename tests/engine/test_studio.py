"""Studio: what a page is given. Real folders, a toy for a worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine import hardware
from engine import spec as specs
from engine.errors import Problem, Refused
from engine.events import Ended, Queued, Started, Step
from engine.facts import Remembered
from engine.held import Held
from engine.models import EMBEDDED
from engine.predict import Predictor
from engine.processes import REPOSITORY
from engine.spec import DataSpec, RunSpec
from engine.studio import Studio
from tests import machine
from tests.engine.test_predict import toy
from tests.engine.test_supervisor import TOY, until
from tests.hub import TOKEN, Hub
from tests.tiny import tiny

SAMPLE = RunSpec(DataSpec("sample:film-reviews-en"), EMBEDDED, preset="quick")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that knows this machine's speed already; measuring takes some seconds."""
    return machine.settle(tmp_path / "home")


@pytest.fixture
def studio(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    made = Studio(home, worker=TOY)
    yield made
    made.close()


@pytest.fixture
def looking(home: Path) -> Studio:
    """One that starts nothing."""
    return Studio(home, dispatch=False)


def csv_of(path: Path, rows: int = 60) -> Path:
    lines = [
        f"This is film number {number} and it was {'a joy' if number % 2 else 'a bore'},{'good' if number % 2 else 'bad'}"
        for number in range(rows)
    ]
    path.write_text("\n".join(["review,sentiment", *lines]) + "\n", "utf-8")
    return path


def put(studio: Studio, spec: RunSpec = SAMPLE, name: str = "reviews") -> str:
    run_id = studio.store.create(specs.to_json(replace(spec, name=name)), "{}", name)
    studio.store.append(run_id, Queued(time.time()))
    return run_id


# Uploads


def test_an_upload_is_kept_under_its_sum_and_the_same_bytes_only_once(looking: Studio, tmp_path: Path) -> None:
    path = csv_of(tmp_path / "x.csv")
    first, second = looking.add_upload(path, "reviews.csv"), looking.add_upload(path, "reviews.csv")
    assert first == second
    assert first.startswith("file:uploads/")
    kept = [one for one in (looking.home / "uploads").rglob("*") if one.is_file()]
    assert [one.read_bytes() for one in kept] == [path.read_bytes()]
    assert looking.columns(DataSpec(first)) == ("review", "sentiment")


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"), ("C:\\files\\a.csv", "a.csv"), ("রিভিউ ১.csv", "রিভিউ ১.csv"), ("", "data"), ("...", "data"),
        ("a\x00b\n.csv", "a_b_.csv"), (".hidden", "hidden"), ("ক" * 300 + ".csv", "ক" * 33 + ".csv"), ("a" * 300, "a" * 100),
        ("..", "data"),
    ],
)  # fmt: skip
def test_an_upload_gets_a_name_that_is_safe_everywhere(looking: Studio, tmp_path: Path, name: str, kept: str) -> None:
    source = looking.add_upload(csv_of(tmp_path / "x.csv"), name)
    assert source.rsplit("/", 1)[1] == kept
    assert (looking.home / source.removeprefix("file:")).is_file()


def test_an_upload_over_the_limit_is_refused_and_leaves_nothing(home: Path, tmp_path: Path) -> None:
    studio = Studio(home, limit_bytes=1000, dispatch=False)
    with pytest.raises(Refused, match="larger than"):
        studio.add_upload(csv_of(tmp_path / "x.csv"), "x.csv")
    assert not [one for one in (home / "uploads").rglob("*") if one.is_file()]


def test_the_limit_is_lower_where_others_can_reach_the_page(home: Path) -> None:
    assert Studio(home, dispatch=False).limit_bytes == 500_000_000
    assert Studio(home, share=True, dispatch=False).limit_bytes == 100_000_000


# Sharing


def test_a_shared_page_opens_uploads_and_nothing_else(home: Path, tmp_path: Path) -> None:
    shared = Studio(home, share=True, dispatch=False)
    mine = csv_of(tmp_path / "mine.csv")
    upload = shared.add_upload(mine, "theirs.csv")
    assert shared.inspect(DataSpec(upload)).classes == {"bad": 30, "good": 30}
    (home / "uploads" / "link.csv").symlink_to(mine)
    for source in (
        f"file:{mine}",
        "file:../mine.csv",
        "file:uploads/../../mine.csv",
        "file:uploads/link.csv",
        "file:/etc/passwd",
        "file:~/x",
    ):
        with pytest.raises(Refused, match="only uploaded files"):
            shared.inspect(DataSpec(source))
        with pytest.raises(Refused, match="only uploaded files"):
            shared.inspect(DataSpec(upload, test=source))


@pytest.mark.parametrize("model", ["/etc", ".", "../x", "~/models", "engine"])
def test_a_shared_page_takes_no_folder_for_a_model(home: Path, model: str) -> None:
    with pytest.raises(Refused, match="folder"):
        Studio(home, share=True, dispatch=False).model(model)


def test_the_owner_s_token_serves_the_owner_only(home: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny("bert", hub.root / "models" / "someone" / "gated")
    hub.gated.add("someone/gated")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    alone, shared = Studio(home, dispatch=False), Studio(home, share=True, dispatch=False)
    with pytest.raises(Refused, match="gated"):
        shared.model("someone/gated")
    assert shared.model("someone/gated", TOKEN).layers == alone.model("someone/gated").layers
    assert TOKEN not in repr([list(one._slots) for one in (shared.facts._models, shared.facts._data, shared.facts._tables)])


def test_the_embedded_model_is_there_on_a_shared_page_too(home: Path) -> None:
    assert Studio(home, share=True, dispatch=False).model(EMBEDDED).layers == 6


@pytest.mark.parametrize("path", ["a\x00b", "x" * 5000, "~nobody/x.csv", "/" + "x/" * 3000])
@pytest.mark.parametrize("share", [False, True])
def test_what_cannot_be_a_path_is_told_as_a_problem(home: Path, path: str, share: bool) -> None:
    looking = Studio(home, share=share, dispatch=False)
    preview = looking.preview(RunSpec(DataSpec(f"file:{path}"), f"./{path}" if path[0] != "~" else path))
    assert {problem.field for problem in preview.problems} == {"data.source", "model"}
    with pytest.raises(Refused):
        looking.columns(DataSpec("sample:film-reviews-en", test=f"file:{path}"))


# Runs


def test_a_run_without_a_name_is_called_by_its_data_model_and_method(studio: Studio) -> None:
    run_id = studio.start(SAMPLE)
    (summary,) = studio.runs()
    assert summary.name == "film-reviews-en · all-MiniLM-L6-v2 · lora"
    assert "film-reviews-en-all-minilm" in run_id


def test_a_run_that_is_started_is_worked_on_and_its_summary_tells_how_it_ended(studio: Studio) -> None:
    run_id = studio.start(replace(SAMPLE, name="start step end"))
    until(lambda: studio.record(run_id).is_over)
    (summary,) = studio.runs()
    assert (summary.id, summary.state, summary.step, summary.progress) == (run_id, "finished", 1, 1.0)
    assert (summary.model, summary.method, summary.preset, summary.data) == (EMBEDDED, "lora", "quick", "sample:film-reviews-en")
    assert studio.plan(run_id).model.id == EMBEDDED


def test_a_run_behind_another_is_planned_with_the_memory_that_comes_free(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    there = hardware.detect(studio.home)  # on an idle machine nearly all memory is free, and nothing is added to it
    crowded = replace(there, ram_free_bytes=there.ram_bytes // 2)
    monkeypatch.setattr(hardware, "detect", lambda home: crowded)
    monkeypatch.setattr(hardware, "probe", lambda home: crowded)
    begun = studio.start(replace(SAMPLE, name="start hold end"))
    until(lambda: studio.record(begun).state == "running")
    for one in (studio, Studio(studio.home, dispatch=False)):  # the app, and a shell that queues behind it
        free = one.facts._detect().ram_free_bytes
        preview = one.preview(SAMPLE)
        assert preview.plan is not None
        assert one._held().ram_bytes > 1_000_000
        assert preview.plan.memory_available_bytes == free + one.facts._held.ram_bytes > free
    (studio.store.folder(begun) / "go").touch()
    until(lambda: not studio._supervisor.workers())
    assert studio._held() == Held()


def test_start_refuses_with_every_error_of_the_preview(looking: Studio) -> None:
    spec = RunSpec(DataSpec("sample:nothing"), "./no-such-folder", preset="quick", settings={"epochs": -1})
    with pytest.raises(Refused) as refused:
        looking.start(spec)
    assert {problem.field for problem in refused.value.problems} >= {"data.source", "model", "settings.epochs"}
    assert looking.runs() == []


def test_a_preview_tells_problems_and_never_raises(looking: Studio) -> None:
    preview = looking.preview(RunSpec(DataSpec(""), "", preset="nothing", method="nothing"))
    assert {problem.field for problem in preview.problems} >= {"data.source", "model", "preset", "method"}
    assert not preview.is_ready
    assert preview.plan is None


def test_a_preview_is_quick_once_the_facts_are_known(looking: Studio) -> None:
    assert looking.preview(SAMPLE).is_ready
    begun = time.process_time()
    preview = looking.preview(replace(SAMPLE, settings={"epochs": 3}))
    assert time.process_time() - begun < 0.05
    assert preview.plan is not None
    assert preview.plan.settings["epochs"] == 3


def test_a_file_of_the_home_is_kept_in_the_spec_without_the_machine_s_path(studio: Studio, tmp_path: Path) -> None:
    source = studio.add_upload(csv_of(tmp_path / "x.csv"), "reviews.csv")
    run_id = studio.start(replace(SAMPLE, data=DataSpec(source), name="start end"))
    assert studio.clone(run_id).data.source == source


def test_a_file_beside_the_shell_is_kept_with_its_whole_path(studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = csv_of(tmp_path / "beside.csv")
    monkeypatch.chdir(tmp_path)
    run_id = studio.start(replace(SAMPLE, data=DataSpec("file:beside.csv"), name="start end"))
    assert studio.clone(run_id).data.source == f"file:{path}"


def test_a_file_that_has_changed_is_looked_at_anew(looking: Studio, tmp_path: Path) -> None:
    path = csv_of(tmp_path / "x.csv", rows=60)
    assert looking.inspect(DataSpec(f"file:{path}")).usable == 60
    csv_of(path, rows=80)
    assert looking.inspect(DataSpec(f"file:{path}")).usable == 80


def test_renaming_changes_the_list_and_nothing_else_of_the_spec(looking: Studio) -> None:
    run_id = put(looking)
    looking.rename(run_id, "  My\nfilms ")
    assert [one.name for one in looking.runs()] == ["My films"]
    assert looking.clone(run_id) == SAMPLE
    with pytest.raises(Refused, match="name is empty"):
        looking.rename(run_id, " \n")


def test_the_list_shows_the_newest_first_and_lives_with_damaged_files(looking: Studio) -> None:
    runs = [put(looking, name=name) for name in ("one", "two", "three")]
    (looking.store.folder(runs[1]) / "spec.json").write_text("{")
    (looking.store.folder(runs[2]) / "evaluation.json").write_text("[1")
    (looking.store.folder(runs[0]) / "events.jsonl").write_bytes(b"\x00\xff junk\n")
    found = looking.runs()
    assert {one.id for one in found} == set(runs)
    assert [one.created for one in found] == sorted((one.created for one in found), reverse=True)
    assert "damaged" in next(one.name for one in found if one.id == runs[1])
    with pytest.raises(Refused):
        looking.clone(runs[1])
    with pytest.raises(Refused, match="plan"):
        looking.plan(runs[0])


def test_a_summary_is_read_again_only_when_the_run_has_changed(looking: Studio) -> None:
    runs = [put(looking, name=f"run {number}") for number in range(100)]
    looking.runs()
    begun = time.process_time()
    for _ in range(10):
        assert len(looking.runs()) == 100
    assert (time.process_time() - begun) / 10 < 0.1  # about 8 ms here
    looking.store.append(runs[7], Ended(time.time(), "failed", "It broke."))
    assert next(one.state for one in looking.runs() if one.id == runs[7]) == "failed"


def test_a_record_grows_with_its_events_and_survives_a_file_that_was_cut(looking: Studio) -> None:
    run_id = put(looking)
    path = looking.store.folder(run_id) / "events.jsonl"
    whole = path.read_bytes()
    looking.store.append(run_id, Started(time.time(), 1, 1.0, {}, "toy"))
    looking.store.append(run_id, Step(time.time(), 1, 10, 0.1, 1.0, 0.1, 1.0, 10.0))
    assert looking.record(run_id).step == 1
    path.write_bytes(whole)
    assert (looking.record(run_id).state, looking.record(run_id).step) == ("queued", 0)


def test_the_time_of_a_run_at_work_goes_on(looking: Studio) -> None:
    run_id = put(looking)
    looking.store.append(run_id, Started(time.time() - 100, 1, 1.0, {}, "toy"))
    (summary,) = looking.runs()
    assert 100 <= summary.seconds < 200


def test_the_log_is_told_from_its_end_and_without_tokens(looking: Studio) -> None:
    run_id = put(looking)
    assert looking.log_tail(run_id) == ""
    (looking.store.folder(run_id) / "log.txt").write_text("x" * 50_000 + "\n\x1b[1mhf_abcdefghijkl\x1b[0m\nলেখা\n", "utf-8")
    tail = looking.log_tail(run_id, 1000)
    assert tail.endswith("••••\nলেখা\n")
    assert len(tail) < 1100


def test_a_run_without_a_verdict_has_none(looking: Studio) -> None:
    assert looking.evaluation(put(looking)) is None


def test_deleting_takes_the_run_off_the_list(looking: Studio) -> None:
    run_id = put(looking)
    assert looking.runs()
    looking.delete(run_id)
    assert looking.runs() == []
    with pytest.raises(Refused):
        looking.record(run_id)


def test_deleting_a_run_ends_the_process_that_tries_its_model(looking: Studio) -> None:
    looking._predictor = Predictor(looking.home, command=toy())
    run_id = put(looking)
    looking.predict(run_id, ["text"])
    assert len(looking._predictor.processes()) == 1
    looking.delete(run_id)
    assert looking._predictor.processes() == []


def test_what_the_coach_advises_begins_the_run_with_its_settings_and_ends_this_one(looking: Studio) -> None:
    run_id = started(looking, [1.0] * 8 + [9.0] * 90)
    (told,) = looking.coached(run_id)
    begun = looking.follow(run_id, told.kind, 0)
    assert looking.clone(begun).settings == {**looking.clone(run_id).settings, **told.advice[0].settings}
    assert (looking.store.folder(run_id) / "stop").exists()


def test_what_the_coach_no_longer_says_is_not_done(looking: Studio) -> None:
    run_id = started(looking, [0.5] * 90)
    assert looking.coached(run_id) == ()
    for kind, choice in (("rate_high", 0), ("no-such", 0), ("rate_high", -1)):
        with pytest.raises(Refused, match="says something else"):
            looking.follow(run_id, kind, choice)
    assert [one.id for one in looking.runs()] == [run_id]


def started(studio: Studio, losses: list[float]) -> str:
    """A planned run under way, with these training losses."""
    run_id = studio.start(SAMPLE)
    studio.store.append(run_id, Started(1.0, os.getpid(), 1.0, {}, "CPU"))
    for at, loss in enumerate(losses, 1):
        studio.store.append(run_id, Step(1.0, at, 200, 0.1, loss, 0.0, 1.0, 1.0))
    return run_id


@pytest.mark.parametrize("run_id", ["", "../..", "no-such-run"])
def test_no_question_about_an_unknown_run_leads_anywhere(looking: Studio, run_id: str) -> None:
    asks = [looking.record, looking.read, looking.plan, looking.evaluation, looking.log_tail, looking.stop, looking.kill]
    asks += [looking.resume, looking.delete, looking.clone, looking.export, lambda one: looking.predict(one, ["text"])]
    for ask in asks:
        with pytest.raises(Refused):
            ask(run_id)


def test_looking_at_a_home_that_is_not_there_makes_none(tmp_path: Path) -> None:
    assert Studio(tmp_path / "nowhere", dispatch=False).runs() == []
    assert not (tmp_path / "nowhere").exists()


# Facts


def test_a_fact_is_found_out_once_however_many_ask_at_the_same_time() -> None:
    made: list[int] = []
    gate = threading.Event()
    remembered: Remembered[str, int] = Remembered(4)

    def make() -> int:
        gate.wait(30)
        made.append(1)
        return 7

    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(remembered.get("a", make))) for _ in range(8)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()
    assert (found, made) == ([7] * 8, [1])


def test_a_refusal_is_remembered_for_some_seconds_only() -> None:
    now = [0.0]
    asked: list[int] = []
    remembered: Remembered[str, int] = Remembered(4, clock=lambda: now[0])

    def refuse() -> int:
        asked.append(1)
        raise Refused(Problem("model", "No network.", "Try again."))

    for _ in range(3):
        with pytest.raises(Refused, match="No network"):
            remembered.get("a", refuse)
    assert len(asked) == 1
    now[0] = 60.0
    assert remembered.get("a", lambda: 5) == 5


def test_only_the_newest_facts_are_kept() -> None:
    remembered: Remembered[int, int] = Remembered(2)
    for number in range(3):
        remembered.get(number, lambda number=number: number)
    assert remembered.get(0, lambda: 99) == 99
    assert remembered.get(2, lambda: 99) == 2


def test_a_preview_and_a_start_load_no_torch(home: Path) -> None:
    told = (
        "import sys; from pathlib import Path; from engine.studio import Studio; from engine.spec import *\n"
        f"studio = Studio(Path({str(home)!r}), dispatch=False)\n"
        f"spec = RunSpec(DataSpec('sample:film-reviews-en'), {EMBEDDED!r}, preset='quick')\n"
        "assert studio.preview(spec).is_ready; studio.start(spec); studio.runs()\n"
        "print(sorted(set(sys.modules) & {'torch', 'transformers', 'peft', 'sklearn'}))"
    )
    done = subprocess.run([sys.executable, "-c", told], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr
    assert json.loads(next((home / "runs").glob("*/spec.json")).read_text())["model"] == EMBEDDED


# With a real worker


@pytest.mark.slow
def test_a_real_run_killed_in_training_and_in_evaluation_goes_on_each_time_and_ends_well(home: Path, tmp_path: Path) -> None:
    model = tiny("bert", tmp_path / "model")
    small = {"max_steps": 6, "max_length": 64, "evaluate_every": 2, "patience": 0}
    studio = Studio(home)
    try:
        run_id = studio.start(RunSpec(SAMPLE.data, str(model), preset="quick", settings=small))
        for phase in ("training", "evaluation"):
            until(lambda phase=phase: _reached(studio, run_id, phase), seconds=90)
            started = studio.record(run_id).started
            assert started is not None
            os.kill(started.pid, signal.SIGKILL)
            until(lambda: studio.record(run_id).is_over)
            ended = studio.record(run_id).ended
            assert ended is not None
            assert (ended.status, "SIGKILL" in ended.reason) == ("failed", True)
            assert "last checkpoint" in ended.fix
            studio.resume(run_id)
        until(lambda: studio.record(run_id).is_over, seconds=120)
        record = studio.record(run_id)
        assert (record.state, record.attempts) == ("finished", 3), record.message
        assert [one.step for one in record.steps] == list(range(1, record.total_steps + 1))
        assert studio.evaluation(run_id) is not None
    finally:
        studio.close()


def _reached(studio: Studio, run_id: str, phase: str) -> bool:
    record = studio.record(run_id)
    assert not record.is_over, record.message
    checkpointed = phase != "training" or any(one.what == "checkpoint" for one in record.saved)
    return record.state == "running" and record.phase == phase and checkpointed
