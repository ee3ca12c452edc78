"""Comparing methods where a task gives no classes: told apart by its own figure, in its own direction, beside the untuned model."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine import account, comparison, criterion, gathered, ranking, readiness, redrawn, reported, resampling, study_report, told
from engine.account import Account
from engine.compare_command import outcome
from engine.comparison import Figure
from engine.criterion import MACRO_F1, UNTUNED, Criterion
from engine.document import Check
from engine.events import Ended, Resources, Saved, Started, Step
from engine.ranking import Level, Ranked
from engine.redrawn import Redrawn
from engine.scoring import Interval
from engine.spec import DataSpec, RunSpec
from engine.store import append_event
from engine.studio import Studio
from engine.study import Budget
from engine.text_metrics import perplexity
from engine.varied import by_shares, in_folds
from tests.tiny import LINES, tiny

ROUGE = Criterion("rougeL", "ROUGE-L")
SURPRISE = Criterion("perplexity_word", "Perplexity per word", "lower")
ROWS = 60


def rouge_of(mean: float, rows: int = ROWS, seed: int = 0) -> resampling.Figure:
    """ROUGE-L of each row about this mean; the same rows are hard for all."""
    hard = np.random.default_rng(1).normal(0, 0.1, rows)
    values = np.clip(mean + hard + np.random.default_rng(seed).normal(0, 0.02, rows), 0, 1)
    return resampling.mean("rougeL", "ROUGE-L", values, better="higher", note="")


def surprise_of(nats: float, rows: int = ROWS, seed: int = 0) -> resampling.Figure:
    """Perplexity per word, e to these nats a word."""
    spent = 10 * (nats + np.random.default_rng(seed).normal(0, 0.05, rows))
    return perplexity(spent.tolist(), [10] * rows, ["word " * 10] * rows)[1]


def kept(figure: resampling.Figure, rows: Sequence[int] = range(ROWS)) -> Redrawn:
    return redrawn.of(figure, [(one,) for one in rows])


def ranked(method: str, figure: Redrawn, *, seconds: float = 60, beats: tuple[str, ...] = (), loses: tuple[str, ...] = ()) -> Ranked:
    low, high = np.percentile(figure.drawn, (2.5, 97.5))
    quality = Figure(figure.value, float(low), float(high), "rows")
    return Ranked(method, method, quality, None, 10**9, seconds, {1: figure}, frozenset(beats), frozenset(loses))


def test_two_runs_are_told_apart_as_a_paired_test_of_their_rows_tells_them() -> None:
    first, second = rouge_of(0.5, seed=2), rouge_of(0.48, seed=3)
    gain = redrawn.gain(kept(first), kept(second))
    paired = resampling.compare(first, second).gain
    assert gain is not None
    assert (gain.value, gain.low, gain.high) == pytest.approx((paired.value, paired.low, paired.high))
    assert redrawn.gain(kept(first), kept(second, range(1, ROWS + 1))) is None, "other rows"


def test_what_is_kept_of_a_run_comes_back(tmp_path: Path) -> None:
    made = [kept(rouge_of(0.4)), kept(surprise_of(3.0))]
    (tmp_path / "x.json").write_text(redrawn.to_json(made))
    again = redrawn.read(tmp_path / "x.json")
    assert list(again) == ["rougeL", "perplexity_word"]
    assert again["rougeL"].drawn == pytest.approx(made[0].drawn, rel=1e-6)
    assert (again["rougeL"].on, again["rougeL"].rows) == (made[0].on, ROWS)
    (tmp_path / "x.json").write_text('[{"figure": 1}]')
    assert redrawn.read(tmp_path / "x.json") == redrawn.read(tmp_path / "nothing.json") == {}


def test_the_lowest_perplexity_is_the_best_and_one_that_went_wrong_is_told_from_it() -> None:
    candidates = [ranked("good", kept(surprise_of(2.0)), seconds=200), ranked("wrong", kept(surprise_of(14.0, seed=1)), seconds=10)]
    advice = ranking.advise(candidates, SURPRISE, None, (), 0)
    assert (advice.take, advice.best, advice.alike) == ("good", "good", ("good",))
    assert "perplexity per word 7.4" in advice.sentences[0]
    assert "Worse than good by more than chance: wrong" in " ".join(advice.sentences)


def test_of_methods_within_noise_the_lighter_is_taken() -> None:
    candidates = [ranked("full", kept(rouge_of(0.501, seed=2)), seconds=600), ranked("lora", kept(rouge_of(0.5, seed=3)), seconds=60)]
    advice = ranking.advise(candidates, ROUGE, None, (), 0)
    assert (advice.take, advice.best) == ("lora", "full")
    assert "the difference is within noise" in advice.sentences[0]
    assert f"same {ROWS} test rows" in " ".join(advice.sentences)


def test_methods_that_learnt_nothing_or_lie_behind_a_baseline_are_not_taken() -> None:
    figures = [kept(rouge_of(0.2, seed=2)), kept(rouge_of(0.2, seed=3))]
    levels = (Level(UNTUNED, "Untuned model", 0.19), Level("words", "TF-IDF", 0.4))
    nothing = ranking.advise([ranked(str(at), one) for at, one in enumerate(figures)], ROUGE, None, levels[:1], 0)
    assert nothing.take == ""
    assert nothing.sentences[0].startswith("None of these has learnt enough to be of use: none is better than the untuned model (0.190)")
    behind = [ranked(str(at), one, beats=(UNTUNED,), loses=("words",)) for at, one in enumerate(figures)]
    told = ranking.advise(behind, ROUGE, None, levels, 0)
    assert told.take == ""
    assert told.sentences[0].startswith("None of these is worth taking yet: TF-IDF reaches 0.400")


def test_where_texts_are_not_nearer_yet_a_fallen_surprise_is_told() -> None:
    level = Level(UNTUNED, "Untuned model", 0.2, 9.0)
    both = [replace(ranked(str(at), kept(rouge_of(0.2, seed=at))), beside=Figure(5.0 + at, 4.5, 6.5, "rows")) for at in range(2)]
    sentences = ranking.advise(both, ROUGE, SURPRISE, (level,), 0).sentences
    assert "By perplexity per word the training did help: 0 reaches 5.00 (4.50 to 6.50), the untuned model 9.00." in sentences


def test_equally_good_methods_are_seldom_told_apart() -> None:
    """A few of 100 studies of three methods over 40 rows; of 400 in a simulation 6 %."""

    def apart(study: int) -> bool:
        figures = [kept(rouge_of(0.4, 40, seed=10 * study + at), range(40)) for at in range(3)]
        advice = ranking.advise([ranked(str(at), one) for at, one in enumerate(figures)], ROUGE, None, (), 0)
        return len(advice.alike) < 3

    assert sum(map(apart, range(100))) <= 12


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (3.0, 2.0, "got better by"),
        (3.0, 2.0, "more rows would probably still help"),
        (2.0, 3.0, "got worse by"),
        (2.0, 2.0, "cannot be told"),
    ],
)
def test_a_curve_of_perplexity_falls_where_more_rows_help(before: float, after: float, words: str) -> None:
    shares = [ranked("a", kept(surprise_of(before))), ranked("b", kept(surprise_of(after, seed=4)))]
    shares = [replace(one, name=name) for one, name in zip(shares, ("50\u00a0% of the rows", "100\u00a0% of the rows"), strict=True)]
    lead = ranking.curve(shares, SURPRISE, 0.01)[0]
    assert lead.startswith("From 50\u00a0% to 100\u00a0% of the rows the perplexity per word got")
    assert words in lead


def test_folds_tell_mean_spread_and_the_untuned_model() -> None:
    figures = [Interval(0.30, 0.2, 0.4), Interval(0.34, 0.2, 0.4), Interval(0.32, 0.2, 0.4)]
    mean = Interval(0.32, 0.28, 0.36)
    told_ = ranking.over_folds(figures, mean, ROUGE, (Level(UNTUNED, "Untuned model", 0.2),), {UNTUNED: (True, None, True)})
    assert told_[0] == "ROUGE-L 0.320 (0.280 to 0.360) on average over 3 folds; the folds lie between 0.300 and 0.340."
    assert told_[1].startswith(
        "The untuned model reaches 0.200 on average; by more than chance the model is better in 2 of 3 folds, and wo"
    )


def test_a_criterion_tells_its_values_in_its_own_way() -> None:
    assert (MACRO_F1.words(0.912), MACRO_F1.axis, MACRO_F1.in_text) == ("91.2\u00a0%", "Macro F1 (%)", "macro F1")
    assert (SURPRISE.words(12.34), SURPRISE.axis) == ("12.3", "Perplexity per word (lower is better)")
    assert (ROUGE.in_text, ROUGE.apart_words(-0.02), MACRO_F1.apart_words(-0.02)) == ("ROUGE-L", "0.020", "2.0 points")
    wide = comparison.over_seeds([Interval(0.95, 0.9, 1.0)] * 3, Criterion("spearman", "Order").bounds)
    assert wide is not None
    assert wide.high <= 1.0


# A study's runs


def an_account(rouge: float, nats: float, seed: int = 0) -> tuple[Account, list[Redrawn]]:
    """Of a run that writes, beside an untuned model of ROUGE-L 0.2 and perplexity e^4."""
    pairs = [(rouge_of(rouge, seed=seed), rouge_of(0.2, seed=90)), (surprise_of(nats, seed=seed), surprise_of(4.0, seed=91))]
    figures = tuple(told.told(one, other) for one, other in pairs)
    made = Account("instruct", ROWS, ROWS, "rougeL", figures, "It writes.", (), (), 30)
    return made, [kept(one) for one, _ in pairs]


def wrote(studio: Studio, run_id: str, made: Account, figures: Sequence[Redrawn], *, seconds: float = 60) -> None:
    """Writes what a worker writes."""
    folder, now = studio.store.folder(run_id), time.time()
    events = folder / "events.jsonl"
    append_event(events, Started(now, 1, 1.0, {}, "toy"))
    for step in range(1, 31):
        append_event(events, Step(now + step, step, 30, step / 30, 3 - step / 100, 1e-3, 1.0, 20.0))
    append_event(events, Resources(now + 30, 10**8, 10**9))
    append_event(events, Saved(now + 31, "model", 30, "model", 1_400_000))
    (folder / redrawn.FILE).write_text(redrawn.to_json(figures))
    (folder / account.FILE).write_text(account.to_json(made))
    append_event(events, Ended(now + 32, "finished", "All 30 steps are done.", seconds=seconds))


@pytest.fixture
def looking(tmp_path: Path) -> Studio:
    """One that starts nothing."""
    return Studio(tmp_path / "home", dispatch=False)


@pytest.fixture
def asked(tmp_path: Path) -> RunSpec:
    """Instructions to learn, by a tiny model that writes."""
    rows = [{"instruction": f"{LINES[at % 8]} {at}", "output": LINES[(at + 1) % 8]} for at in range(200)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in rows), "utf-8")
    base = str(tiny("qwen2", tmp_path / "qwen2"))
    settings = {"max_length": 64, "seed": 7}
    return RunSpec(DataSpec(f"file:{path}", target="text"), base, task="instruct", preset=None, settings=settings, name="Notes")


def test_a_comparison_of_methods_that_write_ranks_by_what_the_task_tells_first(looking: Studio, asked: RunSpec) -> None:
    study_id = looking.compare(asked, ["lora", "full"], 2, Budget("steps", 30))
    waiting = looking.study(study_id)
    assert waiting.criteria == (criterion.NOT_KNOWN,)
    assert "Quality" in study_report.to_markdown(waiting)
    for row in waiting.rows:
        for run in row.runs:
            wrote(looking, run.id, *an_account(*((0.5, 2.0) if row.method == "lora" else (0.3, 3.0)), run.seed))
    result = looking.study(study_id)
    assert [(one.id, one.better) for one in result.criteria] == [("rougeL", "higher"), ("perplexity_word", "lower")]
    lora, full = result.rows
    assert lora.quality is not None
    assert full.quality is not None
    assert lora.quality.value > full.quality.value
    assert [(one.id, one.name) for one in result.baselines] == [("untuned", "Untuned model")]
    assert result.baselines[0].beside == pytest.approx(np.exp(4), rel=0.1)
    assert (result.advice.take, result.advice.best, result.test_rows) == ("lora", "lora", ROWS)
    assert "with every seed" in " ".join(result.advice.sentences)
    assert result.loss_unit == "nats a token"
    markdown, html, table = study_report.to_markdown(result), study_report.to_html(result), study_report.to_csv(result)
    assert "| ROUGE-L | Perplexity per word (lower is better) |" in markdown
    assert "Untuned model" in markdown
    assert "Loss (nats a token)" in html
    assert "Macro F1" not in markdown + html
    assert "rougeL,rougeL_low,rougeL_high,perplexity_word," in table
    shell = outcome(looking, result)
    assert shell["ranked_by"] == {"id": "rougeL", "name": "ROUGE-L", "better": "higher"}
    assert shell["methods"][0]["rougeL"]["value"] == lora.quality.value
    assert shell["baselines"][0]["perplexity_word"] == result.baselines[0].beside


def test_a_finished_study_of_the_same_run_ticks_its_item_and_one_that_shows_nothing_does_not(looking: Studio, asked: RunSpec) -> None:
    study_id = looking.compare(asked, ["lora", "full"], 1, Budget("steps", 30))
    lora, full = (row.runs[0] for row in looking.study(study_id).rows)

    def item(run_id: str) -> Check:
        known = gathered.known_account(looking, run_id)
        assert known is not None
        listed = readiness.checks_of_account(known.account, known.plan, known.studies, writes=True)
        return next(one for one in listed if one.name == "Compared with other methods")

    wrote(looking, lora.id, *an_account(0.5, 2.0))
    assert not item(lora.id).done
    append_event(looking.store.folder(full.id) / "events.jsonl", Ended(time.time(), "failed", "It broke off.", seconds=1))
    assert looking.study(study_id).state == "finished"
    assert not item(lora.id).done, "one judged method is no comparison"
    wrote(looking, full.id, *an_account(0.3, 3.0))
    assert item(lora.id).done
    assert item(lora.id).told == " ".join(looking.study(study_id).advice.sentences)
    assert "Studies" in {one.title for one in reported.document(looking, lora.id).sections}
    other = replace(asked, task="write", data=replace(asked.data, target="nothing"))
    assert not gathered.studies_of(looking, other), "another task on the same rows says nothing of this one"


def test_runs_that_answered_other_rows_are_ranked_by_what_all_were_scored_on(looking: Studio, asked: RunSpec) -> None:
    study_id = looking.compare(asked, ["lora", "full"], 1, Budget("steps", 30))
    for at, row in enumerate(looking.study(study_id).rows):
        made, (_, surprise) = an_account(0.5, 2.0 + at)
        fewer = kept(rouge_of(0.5, 60), range(at, at + 60))
        wrote(looking, row.runs[0].id, made, [fewer, surprise])
    assert [one.id for one in looking.study(study_id).criteria] == ["perplexity_word", "rougeL"]


def test_folds_and_shares_of_a_task_that_writes_are_told_in_its_figure(looking: Studio, asked: RunSpec) -> None:
    folds = looking.compare(asked, None, 1, Budget("steps", 20), variants=in_folds(2))
    for row in looking.study(folds).rows:
        wrote(looking, row.runs[0].id, *an_account(0.5, 2.0))
    told_ = looking.study(folds).advice.sentences
    assert told_[0].startswith("ROUGE-L 0.4")
    assert "over 2 folds" in told_[0]
    assert "better in 2 of 2 folds" in told_[1]
    shares = looking.compare(asked, None, 1, Budget("steps", 20), variants=by_shares((0.5, 1)))
    for at, row in enumerate(looking.study(shares).rows):
        wrote(looking, row.runs[0].id, *an_account(0.3 + 0.2 * at, 3.0 - at))
    assert "more rows would probably still help" in looking.study(shares).advice.sentences[0]
