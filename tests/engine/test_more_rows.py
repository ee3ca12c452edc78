"""More data from the plan to the verdict: planned and said, made by the real worker, told, kept, resumed, compared with and without."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from engine import findings, study
from engine.augment import Augmentation, making, translation, translators
from engine.errors import Refused, RunFailed
from engine.events import Progress
from engine.plan import from_json, to_json
from engine.plan import plan as planned_for
from engine.studio import Studio
from engine.study import Budget
from engine.varied import with_and_without
from tests.engine.test_findings import candidate, looking
from tests.engine.test_plan import CATALOG, CPU, TOKENS, data, facts, with_settings
from tests.engine.test_plan import planned as a_plan
from tests.engine.test_study import BASE, judged_run
from tests.engine.test_worker import a_spec, base, events, planned, record, studio, until, work
from tests.nursery import nursery
from tests.tiny import as_bin, tiny, tiny_translator

__all__ = ["base", "looking", "studio"]  # fixtures
SPEC_OF_TRANSLATION = with_settings(augment="back_translation", translator="owner/model")
BENGALI = "জিনিসটা খুব ভালো, দামও কম। আবার কিনব।"


@pytest.fixture(scope="module")
def translator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_translator("marian", tmp_path_factory.mktemp("models") / "there")


# Before


def test_made_rows_are_planned_and_the_reason_is_said() -> None:
    without, more = a_plan(with_settings(epochs=2)), a_plan(with_settings(epochs=2, augment="noise", augment_copies=2))
    assert more.rows == {**without.rows, "made": 2 * without.rows["train"]}
    assert more.learnt_rows == 3 * without.rows["train"]
    assert more.steps == 3 * without.steps
    assert more.seconds is not None
    assert without.seconds is not None
    assert more.seconds > 2 * without.seconds
    told = next(note for note in more.notes if "training rows gets 2 copies at most by slips of typing" in note)
    assert "12,000 rows, and steps and minutes grow" in told
    assert not any("copies" in note for note in without.notes)


def test_where_the_steps_are_bound_fewer_passes_are_made_of_more_rows() -> None:
    without, more = a_plan(with_settings(max_steps=250)), a_plan(with_settings(max_steps=250, augment="noise"))
    assert without.steps == more.steps == 250
    assert more.settings["epochs"] <= without.settings["epochs"]
    assert any("fewer passes" in note for note in more.notes)


def test_a_translation_without_a_model_is_refused_with_a_fix() -> None:
    with pytest.raises(Refused, match="No model that translates is chosen") as told:
        a_plan(with_settings(augment="back_translation"))
    assert [one.field for one in told.value.problems] == ["settings.translator"]


def test_a_plan_keeps_its_translators(studio: Studio, base: Path, translator: Path) -> None:
    spec = a_spec(base, augment="back_translation", translator=str(translator), translator_back=str(translator))
    plan = studio.preview(spec).plan
    assert plan is not None
    assert [one.id for one in plan.translators] == [str(translator)] * 2
    assert from_json(to_json(plan)) == plan
    timed = planned_for(SPEC_OF_TRANSLATION, data(), facts(), TOKENS, CPU, CATALOG, speakers=plan.translators)
    assert timed.seconds_parts["translating"] > 0
    assert timed.seconds == pytest.approx(sum(timed.seconds_parts.values()))


@pytest.mark.parametrize(
    ("settings", "field", "words"),
    [
        ({"translator": "/no/such/folder"}, "settings.translator", "There is no folder"),
        ({"translator": "PAIR"}, "settings.translator_back", "knows one direction"),
        ({"translator": "CODES", "language": "bn"}, "settings.language_between", "must be told this language"),
        ({"translator": "ENCODER"}, "settings.translator", "of the kind 'bert'"),
    ],
)
def test_what_cannot_translate_is_refused_beside_its_field(
    home: Path, tmp_path: Path, settings: dict[str, str], field: str, words: str
) -> None:
    places = {"PAIR": "marian", "CODES": "m2m_100"}
    made = {name: str(tiny_translator(kind, tmp_path / name)) for name, kind in places.items()}
    made["ENCODER"] = str(tiny("bert", tmp_path / "bert"))
    told = {name: made.get(value, value) for name, value in settings.items()}
    with pytest.raises(Refused, match=words) as refused:
        translators.find_all(Augmentation(augment="back_translation", **told), token=None, home=home, share=False)
    assert [one.field for one in refused.value.problems] == [field]
    assert all(one.fix for one in refused.value.problems)


def test_a_shared_app_opens_no_folder_as_a_translator(home: Path, translator: Path) -> None:
    with pytest.raises(Refused, match="In a shared app"):
        translators.find("translator", str(translator), token=None, home=home, share=True)


# Translation


def both(folder: Path, home: Path, wordings: int = 1) -> tuple[translation.Speaker, translation.Speaker]:
    one = translators.find("translator", str(folder), token=None, home=home, share=False)
    made = translators.fetch(one, token=None, home=home, say=lambda *_: None)
    there = translation.open_speaker(one, made, ("bn", "en"), 1, home=home, device="cpu")
    return there, translation.open_speaker(one, made, ("en", "bn"), wordings, home=home, device="cpu")


def translated(texts: list[str], there: translation.Speaker, back: translation.Speaker, seconds: float = 60.0) -> dict[int, list[str]]:
    return translation.there_and_back(texts, there, back, seed=1, seconds=seconds, clock=lambda: 0.0, said=lambda _: None)


def test_texts_come_back_the_same_way_again_and_from_the_cache(home: Path, tmp_path: Path) -> None:
    folder = tiny_translator("m2m_100", tmp_path / "many")
    first = translated([BENGALI, "A good film."], *both(folder, home, 2))
    assert {len(one) for one in first.values()} == {2}
    there, back = both(folder, home, 2)
    there.model = back.model = None  # whatever is not in the cache would need it
    assert translated([BENGALI, "A good film."], there, back) == first
    assert translated([BENGALI], *both(folder, home, 2), seconds=0.0) == {}, "no time, no rows"


def test_an_unknown_language_is_told_with_those_that_the_model_knows(home: Path, tmp_path: Path) -> None:
    there, _ = both(tiny_translator("m2m_100", tmp_path / "many"), home)
    there.target = "xx"
    with pytest.raises(RunFailed, match="knows no language 'xx'") as told:
        there.say(["one"], lambda: None)
    assert "bn, en" in told.value.problem.fix


def test_an_old_bin_translator_is_converted_once(home: Path, tmp_path: Path) -> None:
    folder = as_bin(tiny_translator("marian", tmp_path / "old"))
    one = translators.find("translator", str(folder), token=None, home=home, share=False)
    made = translators.fetch(one, token=None, home=home, say=lambda *_: None)
    assert (made / "model.safetensors").exists()
    assert made.is_relative_to(home)
    assert translators.fetch(one, token=None, home=home, say=lambda *_: None) == made


# The run


def test_a_run_learns_from_made_rows_and_its_verdict_says_so(studio: Studio, base: Path) -> None:
    folder = planned(studio, a_spec(base, epochs=1, augment="synonyms"))
    assert work(folder) == 0, (folder / "log.txt").read_text()
    plan, judged = studio.plan(folder.name), studio.evaluation(folder.name)
    examples, count = studio.made_rows(folder.name)
    assert judged is not None
    assert 0.5 * plan.rows["train"] < count <= plan.rows["made"]
    assert all(one.original != one.text for one in examples)
    assert any(f"{plan.rows['train']} training rows and {count} more that were made" in one for one in judged.warnings)
    assert judged.rows == plan.rows["test"]
    assert any(isinstance(one, Progress) and "rows are made from the" in one.message for one in events(folder))
    shown = studio.made_examples(a_spec(base, epochs=1, augment="synonyms"))
    kept = {one["row"]: one["text"] for one in map(json.loads, (folder / making.FILE).read_text("utf-8").split("\n")[:-1])}
    assert shown
    assert all(kept[one.row] == one.text for one in shown), "the page shows what the run then makes"
    held = {json.loads(line)["text"] for line in (folder / "predictions.jsonl").read_text("utf-8").split("\n")[:-1]}
    assert not held & set(kept.values())


def test_a_run_translates_its_training_rows_there_and_back(studio: Studio, base: Path, translator: Path) -> None:
    settings = {"augment": "back_translation", "translator": str(translator), "translator_back": str(translator), "max_rows": 30}
    folder = planned(studio, a_spec(base, epochs=1, **settings))
    assert work(folder) == 0, (folder / "log.txt").read_text()
    said = [one.message for one in events(folder) if isinstance(one, Progress)]
    assert "Translating there and back" in said
    assert studio.made_rows(folder.name)[1] > 0
    assert list((studio.home / "cache" / "translations").glob("*.jsonl"))


def test_a_run_that_was_stopped_goes_on_with_the_rows_that_it_made(studio: Studio, base: Path) -> None:
    folder = planned(studio, a_spec(base, augment="noise", max_rows=60))
    process = nursery().start(folder)
    until(lambda: record(folder).steps, process)
    (folder / "stop").touch()
    process.wait(120)
    assert record(folder).state == "stopped"
    before = (folder / making.FILE).read_bytes()
    (folder / "stop").unlink()
    assert work(folder) == 0
    assert (folder / making.FILE).read_bytes() == before
    assert record(folder).state == "finished"


# With and without


def test_two_runs_differ_in_the_made_rows_alone_and_take_the_same_steps(looking: Studio) -> None:
    base = replace(BASE, settings={"seed": 7, "augment": "noise", "augment_share": 0.2, "epochs": 2.0}, preset="balanced")
    study_id = looking.compare(base, None, 2, Budget(), variants=with_and_without(base))
    made = looking.study(study_id).study
    assert study.from_json(study.to_json(made)) == made
    assert [made.name_of(arm, looking.methods) for arm in made.arms] == ["As they came", "With rows made by slips of typing"]
    plans = [looking.plan(row.runs[0].id) for row in looking.study(study_id).rows]
    differ = {name for name in plans[0].settings if plans[0].settings[name] != plans[1].settings[name]}
    assert differ == {"augment", "epochs"}
    assert plans[0].steps == plans[1].steps
    assert plans[0].rows["test"] == plans[1].rows["test"]
    assert len(looking.study(study_id).rows[0].runs) == 2


def test_there_is_nothing_to_compare_where_no_rows_are_made() -> None:
    for settings in ({}, {"augment": "none"}):
        with pytest.raises(Refused, match="No way to make more rows"):
            with_and_without(replace(BASE, settings=settings))
    with pytest.raises(Refused, match="in “Write on” it gets none"):
        with_and_without(replace(BASE, task="write", settings={"augment": "noise"}))


@pytest.mark.parametrize(
    ("without", "more", "words"),
    [
        (0.70, 0.90, "raised macro F1 by 20.0 points"),
        (0.90, 0.70, "They harm: leave them out."),
        (0.80, 0.80, "That is within noise on 400 test rows, so leave them out"),
        (0.80, 0.81, "But the seeds, or the two tests below, do not agree on it"),
    ],
)
def test_the_difference_is_told_with_its_interval_and_what_to_do(without: float, more: float, words: str) -> None:
    arms = [findings.Arm(candidate("without", "As they came", without), ()), findings.Arm(candidate("with", "With", more), ())]
    told = findings.advise("made", arms, 0)
    assert words in told.sentences[0]
    assert (told.best == "with") == (more > without + 0.1)
    assert "(" in told.sentences[0]


def test_a_finished_comparison_is_folded_from_its_runs(looking: Studio) -> None:
    base = replace(BASE, settings={"seed": 7, "augment": "noise"})
    study_id = looking.compare(base, None, 1, Budget("steps", 30), variants=with_and_without(base))
    for row, wrong in zip(looking.study(study_id).rows, (50, 10), strict=True):
        judged_run(looking, row.runs[0].id, wrong=wrong, seconds=60, peak=10**9)
    told = looking.study(study_id).advice
    assert told.sentences[0].startswith("The made rows raised macro F1 by 33.3 points")
    assert "They help: keep them." in told.sentences[0]
