"""What studies of one method say, and that their runs differ in just one thing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine import findings, study, study_report, varied
from engine import spec as specs
from engine.comparison import Answers, Candidate, Figure
from engine.errors import Refused
from engine.studio import Studio
from engine.study import Budget
from engine.varied import by_shares, in_folds
from tests import machine
from tests.engine.test_study import BASE, judged_run
from tests.ui import homes


@pytest.fixture
def looking(tmp_path: Path) -> Studio:
    return Studio(machine.settle(tmp_path / "home"), dispatch=False)


def answers(right: float, rows: int = 400, seed: int = 0) -> Answers:
    """Two classes, the first `right` of the rows answered rightly."""
    labels = np.arange(rows) % 2
    wrong = np.arange(rows) >= round(right * rows)
    return Answers(labels, np.where(wrong, 1 - labels, labels), 2)


def candidate(arm: str, name: str, right: float, rows: int = 400) -> Candidate:
    figure = Figure(right, right - 0.02, right + 0.02, "rows")
    return Candidate(arm, name, figure, figure, 10**9, 60.0, {7: answers(right, rows)}, {})


def test_a_mean_over_folds_is_wider_than_the_spread_of_the_folds_alone() -> None:
    told = findings.mean_over_folds([0.80, 0.82, 0.84, 0.86, 0.88])
    assert told.value == pytest.approx(0.84)
    # standard deviation 0.0316228, t 2.776, times the root of 1/5 + 1/4 as in Nadeau and Bengio
    assert told.high - told.value == pytest.approx(2.776 * 0.0316228 * 0.45**0.5, rel=1e-4)


def test_folds_are_judged_together_and_one_by_one() -> None:
    fold = homes.an_evaluation()
    told = " ".join(findings.over_folds([fold, fold, fold]))
    assert told.startswith("91.2\u00a0% (91.2 to 91.2) right on average over 3 folds")
    assert "522 unseen rows" in told
    both = findings.pooled([fold, fold, fold])[1]
    assert (both.only_model_right, both.only_baseline_right, both.accuracy) == (42, 27, pytest.approx(0.887))


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (0.70, 0.80, "it gained 10.0 points"),
        (0.70, 0.80, "more rows would probably still help"),
        (0.80, 0.80, "more rows of this kind would bring little"),
        (0.80, 0.81, "whether more rows would help cannot be told"),
    ],
)
def test_a_curve_says_whether_more_rows_would_help(before: float, after: float, words: str) -> None:
    rows = 100 if "cannot" in words else 400
    told = findings.curve([candidate("a", "50\u00a0% of the rows", before, rows), candidate("b", "100\u00a0% of the rows", after, rows)])
    assert told[0].startswith("From 50\u00a0% to 100\u00a0% of the rows it ")
    assert words in told[0]


def test_folds_differ_in_the_fold_alone_and_their_test_rows_are_all_rows(looking: Studio) -> None:
    told = looking.compare_preview(BASE, None, 1, Budget("steps", 20), variants=in_folds(4))
    assert list(told.plans) == ["fold-1", "fold-2", "fold-3", "fold-4"]
    plans = list(told.plans.values())
    assert sum(plan.rows["test"] for plan in plans) == 330
    for plan in plans:
        assert {**plan.settings, "fold": 1, "epochs": 1} == {**plans[0].settings, "epochs": 1}
        assert (plan.steps, plan.settings["learning_rate"]) == (20, 0.01)
    assert told.runs == 4


def test_a_learning_curve_varies_the_training_rows_alone_and_its_steps_are_equal(looking: Studio) -> None:
    told = looking.compare_preview(BASE, None, 1, Budget("steps", 30), variants=by_shares((0.1, 0.5, 1)))
    rows = [plan.rows for plan in told.plans.values()]
    assert [one["train"] for one in rows] == [26, 132, 264]
    assert {(one["validation"], one["test"]) for one in rows} == {(33, 33)}
    assert {plan.steps for plan in told.plans.values()} == {30}
    assert any("same number of steps" in note for note in told.notes)


def test_a_study_of_folds_is_queued_judged_told_and_grows_by_seeds(looking: Studio) -> None:
    study_id = looking.compare(replace(BASE, name="films"), None, 1, Budget("steps", 20), variants=in_folds(2))
    made = looking.study(study_id).study
    assert study.from_json(study.to_json(made)) == made
    assert [row.name for row in looking.study(study_id).rows] == ["Fold 1 of 2", "Fold 2 of 2"]
    for row in looking.study(study_id).rows:
        judged_run(looking, row.runs[0].id, wrong=12, seconds=60, peak=10**9)
    result = looking.study(study_id)
    assert "right on average over 2 folds" in result.advice.sentences[0]
    assert "All folds together" in result.advice.sentences[1]
    assert study_report.to_markdown(result).count("Fold 1 of 2") == 1
    assert '<th scope="col">Fold</th>' in study_report.to_html(result)
    looking.extend_study(study_id, (), 2)
    assert [len(row.runs) for row in looking.study(study_id).rows] == [2, 2]
    with pytest.raises(Refused, match="of one method"):
        looking.extend_study(study_id, ["full"])
    assert {specs.from_json(looking.spec_json(run.id)).settings["fold"] for row in result.rows for run in row.runs} == {1, 2}


def test_a_study_of_an_earlier_version_compares_methods(looking: Studio) -> None:
    study_id = looking.compare(BASE, ["lora", "full"], 1, Budget("steps", 20))
    path = looking.home / "studies" / study_id / "study.json"
    told = json.loads(path.read_text("utf-8"))
    del told["varies"], told["variants"]
    path.write_text(json.dumps({**told, "version": 1}), "utf-8")
    assert [row.method for row in looking.study(study_id).rows] == ["lora", "full"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: in_folds(1), "from 2 to 20"),
        (lambda: by_shares([0.5, 0.5]), "1 different shares are given"),
        (lambda: by_shares([0, 1]), "from 0.01 to 1"),
        (lambda: by_shares(np.linspace(0.1, 1, 9).tolist()), "a curve takes 2 to 8"),
    ],
)
def test_what_cannot_be_varied_is_refused_with_a_fix(make: object, words: str) -> None:
    with pytest.raises(Refused, match=words) as told:
        make()  # type: ignore[operator]
    assert all(one.fix for one in told.value.problems)


def test_every_kind_of_study_has_a_name_a_title_and_notes() -> None:
    for kind in varied.NAMES:
        assert varied.TITLES[kind]
        assert bool(varied.notes_of(kind)) == (kind != "methods")
