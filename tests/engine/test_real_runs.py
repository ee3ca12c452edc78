"""Runs of tasks beside the usual one, by the real worker: stopped and resumed, and compared in a study."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.spec import RunSpec
from engine.studio import Studio
from engine.study import Budget
from tests.engine import test_tag, test_writers
from tests.engine.test_worker import DEADLINE_SECONDS, losses, nursery, record, until, work
from tests.tiny import tiny


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    one = Studio(tmp_path / "home", dispatch=False)
    yield one
    one.close()


def of_t5(folder: Path) -> RunSpec:
    return test_writers.a_spec("transform", folder, model=str(tiny("t5", folder / "t5")))


@pytest.mark.parametrize("asked", [test_tag.a_spec, of_t5])
def test_a_run_with_tags_or_of_an_encoder_decoder_ends_like_an_unbroken_one_after_a_stop(
    asked: Callable[[Path], RunSpec], studio: Studio, tmp_path: Path
) -> None:
    spec = asked(tmp_path)
    whole, broken = (studio.store.folder(studio.start(spec)) for _ in range(2))
    assert work(whole) == 0, (whole / "log.txt").read_text()
    process = nursery().start(broken)
    until(lambda: record(broken).step >= 5, process)
    (broken / "stop").touch()
    assert process.wait(DEADLINE_SECONDS) == 0
    stopped = record(broken)
    assert stopped.state == "stopped"
    assert 5 <= stopped.step < stopped.total_steps
    (broken / "stop").unlink()
    assert work(broken) == 0, (broken / "log.txt").read_text()
    assert record(broken).state == "finished"
    assert losses(broken) == losses(whole)
    first, second = (studio.account(one.name) for one in (whole, broken))
    assert first is not None
    assert second is not None
    assert [one.value.value for one in second.figures] == pytest.approx([one.value.value for one in first.figures])
    assert second.threshold == first.threshold


@pytest.mark.parametrize(("task", "headline"), [("answer", "token_f1"), ("transform", "chrf")])
def test_methods_are_compared_on_answers_and_on_texts_by_their_own_figure(task: str, headline: str, studio: Studio, tmp_path: Path) -> None:
    spec = test_writers.a_spec(task, tmp_path)
    study = studio.compare(spec, ["lora", "full"], 1, Budget("steps", 6))
    for row in studio.study(study).rows:
        for run in row.runs:
            folder = studio.store.folder(run.id)
            assert work(folder) == 0, (folder / "log.txt").read_text()
    result = studio.study(study)
    assert result.state == "finished"
    assert {one.id for one in result.criteria} == {headline, "perplexity_word"}
    assert all(row.quality is not None for row in result.rows)
    assert [one.id for one in result.baselines] == ["untuned"]
    assert result.advice.sentences
