"""What the page says of a comparison, and its pictures."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import gradio as gr
import plotly.graph_objects as go
import pytest

from engine import study_report
from engine.comparison import Figure
from engine.criterion import Criterion
from engine.errors import Problem
from engine.hardware import Hardware
from engine.ranking import Level
from engine.studies import Fit
from engine.studio import Studio
from engine.study import Budget
from engine.study_result import Result
from engine.varied import by_shares
from tests.engine.test_study import PAIR, judged_run
from tests.ui import homes
from ui import figures, request, result, study, words
from ui.tabs import compare_events, train
from ui.tabs.runs import REST_SECONDS
from ui.tabs.train import Newest, Train


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """With a study whose two runs are judged, and that could be extended."""
    made = Studio(tmp_path_factory.mktemp("home"), dispatch=False)
    made.facts.measure = lambda wait=False: None  # type: ignore[method-assign]
    made.facts.hardware_to_plan = _machine  # type: ignore[method-assign]
    study_id = made.compare(replace(homes.SPEC, name="পর্যালোচনা <b>"), PAIR, 1, Budget("steps", 30))
    for row in made.study(study_id).rows:
        judged_run(made, row.runs[0].id, wrong=12, seconds=60, peak=10**9)
    return made


def _machine() -> Hardware:
    return homes.MACHINE


@pytest.fixture
def told(studio: Studio) -> Result:
    return studio.study(studio.studies()[0].id)


@pytest.fixture(scope="module")
def place(studio: Studio) -> Train:
    with gr.Blocks():
        return train.build(studio)


def fields(place: Train) -> list[object]:
    return list(request.fields(homes.SPEC, place.offer).values())


def test_a_method_unticked_while_the_same_ones_are_offered_again_stays_unticked(studio: Studio, place: Train) -> None:
    opened = compare_events.on_open(studio, place, "", *fields(place))
    offered, ticked = opened[1], opened[2]["value"]
    again = compare_events.on_fields(studio, place, offered, ticked, "", *fields(place))
    assert again[:2] == (offered, gr.skip())
    fewer = " ".join(offered.split()[1:])
    boxes = compare_events.on_fields(studio, place, fewer, [], "", *fields(place))[1]
    assert boxes["value"] == offered.split()[:1], "what was not on offer before is ticked, and nothing else"


def test_a_comparison_weighed_for_an_older_choice_is_not_drawn(studio: Studio, place: Train) -> None:
    newest, asked = Newest(), ("Steps a run", "14", "1", "", *fields(place))
    varied = ("methods", "5", "10, 25, 50, 100")
    last = compare_events.on_weigh(studio, place, newest, 2, "lora full", *varied, ["lora", "full"], *asked)
    assert "14 steps" in last[0]
    assert compare_events.on_weigh(studio, place, newest, 1, "lora full", *varied, ["lora"], *asked) == (gr.skip(), gr.skip())


def test_a_method_that_does_not_fit_is_greyed_out_with_its_reason(studio: Studio) -> None:
    (plan, *_) = (one.plan for one in studio.methods_that_fit(homes.SPEC) if one.plan)
    gone = Fit("x", "<X>", None, (Problem("method", "It needs a GPU.", "Take LoRA."),))
    drawn = study.unfit([gone, Fit("lora", "LoRA", plan, ())])
    assert "&lt;X&gt;" in drawn
    assert "It needs a GPU. Take LoRA." in drawn
    assert "LoRA</b>" not in drawn
    assert study.unfit([Fit("lora", "LoRA", plan, ())]) == ""
    twice = Fit("q", "QLoRA", None, (Problem("method", "QLoRA needs a library.", ""),))
    assert "<b>QLoRA</b> needs a library." in study.unfit([twice, Fit("lora", "LoRA", plan, ())])
    assert study.unfit([gone, replace(gone, method="y")]) == "", "what ails all of them is told once, above the button"


def test_a_proposal_tells_time_memory_and_conditions_or_what_is_wrong(studio: Studio) -> None:
    told = studio.compare_preview(homes.SPEC, PAIR, 3)
    drawn = study.proposal(told, ())
    assert "6, one after the other" in drawn
    assert "min in all" in drawn
    assert "Equal for all" in drawn
    assert f"{words.size(told.kept_bytes)}, and {words.size(told.disk_bytes - told.kept_bytes)} more" in drawn
    for plan in told.plans.values():
        assert words.rate(plan.settings["learning_rate"]) in drawn
    assert drawn.count("<tr") == 1 + len(told.plans)
    assert "no figure for this hardware" in study.proposal(replace(told, seconds=None), ())
    assert "needs two" in study.proposal(None, (Problem("study.methods", "It needs two.", "Add one."),))


def test_the_table_holds_every_method_the_baselines_and_a_way_to_use_each(told: Result) -> None:
    drawn = study.table(told, study_report.notes(told))
    for word in ("LoRA", "Full fine-tuning", "Always the largest class", "TF-IDF", "take this", "1\u00a0min", "1.4\u00a0MB"):
        assert word in drawn
    assert drawn.count("data-use=") == 2
    assert drawn.count("<tr") == 1 + 2 + 2
    assert "<b>" not in study.heading(told.study)
    assert 'class="sentence"' in study.advice(told)


def test_a_failed_method_keeps_its_reason_and_a_waiting_one_has_dashes(told: Result) -> None:
    lora, full = told.rows
    empty = {"quality": None, "beside": None, "peak_bytes": None, "seconds": None, "stability": None}
    rows = (replace(lora, state="failed", reason="<out of memory>", **empty), replace(full, state="queued", runs=(), **empty))
    drawn = study.table(replace(told, rows=rows, baselines=()), "")
    assert "&lt;out of memory&gt;" in drawn
    assert drawn.count("data-use=") == 1
    assert study.NOT_THERE in drawn


def test_every_picture_is_one_that_plotly_knows_and_names_stand_beside_what_they_name(told: Result) -> None:
    drawn = {name: figure for name, figure in figures.study(told).items() if figure}
    assert "study-curve" not in drawn
    for figure in drawn.values():
        go.Figure(figure)
        assert [one["name"] for one in figure["data"]] == ["LoRA", "Full fine-tuning"]
        texts = [one["text"] for one in figure["layout"]["annotations"]]
        assert all(text.endswith(("LoRA", "Full fine-tuning")) for text in texts[:2])
        assert texts[2:] == ([one.name for one in told.baselines] if "shapes" in figure["layout"] else [])
        narrow = figure["layout"]["meta"]["narrow"]
        assert [one["text"] for one in narrow["annotations"]] == texts[2:], "where it is narrow the legend names the methods"
        assert narrow["showlegend"]
    same = [(one["xshift"], one["yshift"]) for one in drawn["study-memory"]["layout"]["annotations"][:2]]
    assert len(set(same)) == 2, "two dots at one place have their names at two"
    empty = figures.study(replace(told, rows=(), baselines=()))
    for figure in filter(None, empty.values()):
        go.Figure(figure)
        assert figure["layout"]["annotations"][0]["text"].startswith("Fills when")


def test_many_methods_are_named_in_a_legend_where_no_name_covers_another(told: Result) -> None:
    rows = tuple(replace(told.rows[0], method=f"m{at}", name=f"M{at}") for at in range(14))
    drawn = figures.study(replace(told, rows=rows))["study-memory"]
    go.Figure(drawn)
    assert [one["text"] for one in drawn["layout"]["annotations"]] == [one.name for one in told.baselines]
    assert drawn["layout"]["showlegend"]
    assert len({(one["marker"]["color"], one["marker"]["symbol"]) for one in drawn["data"]}) == 14


def test_names_at_the_ends_of_many_lines_keep_apart_and_inside() -> None:
    ends = [(0.5 + at / 1000, 40, f"m{at}", "#000000") for at in reversed(range(14))]
    made = figures._at_ends(ends, [0.4, 0.9])
    places = [268 * (one["y"] - 0.4) / 0.5 + one["yshift"] for one in made]
    assert all(above - below >= 14 for above, below in pairwise(places))
    assert min(places) >= 5


def test_pictures_of_a_study_without_a_result_are_empty_and_no_error(studio: Studio) -> None:
    waiting = studio.study(studio.compare(homes.SPEC, PAIR, 1, Budget("steps", 30)))
    for figure in filter(None, figures.study(waiting).values()):
        go.Figure(figure)
        assert figure["data"] == []
    studio.delete_study(waiting.study.id)


def test_the_list_of_runs_has_a_study_s_runs_below_it(studio: Studio, told: Result) -> None:
    drawn = result.runs_table(studio.runs(), studio.studies())
    assert drawn.count('class="of-study"') == 2
    assert drawn.index(f"study={told.study.id}") < drawn.index(told.rows[0].runs[0].id) < drawn.index(told.rows[1].runs[0].id)
    assert "2 of 2" in drawn
    assert drawn.count(told.rows[0].runs[0].id) == 2  # in one link, its address and its data


def test_a_tick_says_something_new_only_when_something_is(studio: Studio, told: Result) -> None:
    first = compare_events.on_tick(studio, told.study.id)
    assert compare_events.on_tick(studio, told.study.id) == first
    assert compare_events.on_tick(studio, "20260101-000000-gone-ab12").endswith("gone")
    assert "There is no study" in compare_events.on_news(studio, "20260101-000000-gone-ab12")[0]
    assert compare_events.on_news(studio, told.study.id)[-1]["value"] == REST_SECONDS


@pytest.mark.parametrize(
    ("kind", "amount", "words"),
    [
        ("Steps a run", "x", "no number"),
        ("Steps a run", "-3", "above zero"),
        ("Steps a run", "1e999", "no end"),
        ("Minutes in all", "", "No minutes"),
        ("Minutes in all", "nan", "above zero"),
    ],
)
def test_a_budget_that_is_none_is_refused(kind: str, amount: str, words: str) -> None:
    with pytest.raises(compare_events.Refused, match=words):
        compare_events._budget(kind, amount)


def test_a_budget_is_read_as_typed() -> None:
    assert compare_events._budget("Steps a run", " ") == Budget()
    assert compare_events._budget("Steps a run", "40") == Budget("steps", 40)
    assert compare_events._budget("Steps a run", "1,000") == Budget("steps", 1000)
    assert compare_events._budget("Steps a run", "1e9") == Budget("steps", 1e9)
    assert compare_events._budget("Minutes in all", "2,5") == Budget("minutes", 2.5)


def test_exports_are_made_on_request(studio: Studio, told: Result) -> None:
    for kind in compare_events.KINDS:
        assert "LoRA" in compare_events.on_export(studio, kind, told.study.id)
    assert Path(studio.home / "studies" / told.study.id / "study.json").is_file()


def test_a_learning_curve_is_drawn_over_its_rows_and_nothing_else_beside_the_loss(studio: Studio) -> None:
    study_id = studio.compare(replace(homes.SPEC, name="curve"), None, 1, Budget("steps", 30), variants=by_shares((0.5, 1)))
    empty = figures.study(studio.study(study_id))
    assert [name for name, figure in empty.items() if figure] == ["study-curve", "study-loss"]
    for at, row in enumerate(studio.study(study_id).rows):
        judged_run(studio, row.runs[0].id, wrong=12 - 4 * at, seconds=60, peak=10**9)
    made = studio.study(study_id)
    (line,) = figures.study(made)["study-curve"]["data"]
    assert line["x"] == [132, 264]
    go.Figure(figures.study(made)["study-curve"])
    drawn = study.table(made, "")
    assert "Use this" not in drawn
    assert "Training rows" in drawn
    assert "132 rows" in drawn
    assert "Learning curve" in study.heading(made.study)
    assert study_report.to_html(made).count("<svg") == 1
    studio.delete_study(study_id)


def test_a_study_of_runs_that_write_is_drawn_in_its_own_figure_and_direction(studio: Studio, told: Result) -> None:
    by = (Criterion("perplexity_word", "Perplexity per word", "lower"), Criterion("rougeL", "ROUGE-L"))
    rows = tuple(
        replace(row, quality=Figure(12.0 + at, 11.0, 14.0, "rows"), beside=Figure(0.31, 0.25, 0.35, "rows"))
        for at, row in enumerate(told.rows)
    )
    levels = (Level("untuned", "Untuned model", 4321.0, 0.1), Level("words", "Near", 15.0))
    made = replace(told, rows=rows, criteria=by, baselines=levels)
    drawn = study.table(made, "")
    for word in (">Perplexity per word<", "Perplexity per word: lower is better.", "12.0", "(11.0 to 14.0)", "0.310", "4,321"):
        assert word in drawn
    assert "Macro F1" not in drawn
    for name, figure in figures.study(made).items():
        if figure is None or name == "study-loss":
            continue
        go.Figure(figure)
        assert figure["layout"]["yaxis"]["title"]["text"] == "Perplexity per word (lower is better)"
        assert len(figure["layout"]["shapes"]) == 1, "what lies far off is told and not drawn"
        assert figure["layout"]["annotations"][-1]["text"] == "Untuned model: 4,321, above this picture"
        assert figure["layout"]["yaxis"]["range"][1] < 20
