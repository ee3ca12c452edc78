"""The guide's table beside the job done right: the presets are what it says, and what was measured here stands with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import catalog, guide
from engine.data.texts import Texts
from engine.reading import RunSummary
from engine.studio import Studio
from engine.tasks import _language, all_tasks, classify, write
from tests.finished import finished_run, judged, told
from tests.tiny import LINES, tiny


def test_both_presets_bring_the_task_that_they_are_about_and_settings_that_it_has() -> None:
    for name, task in ((guide.GUIDE, "write"), (guide.RIGHT, "label_by_writing")):
        recipe = catalog.load().recipe(name)
        assert recipe.task == task
        assert all_tasks()[task]


def test_as_in_the_guide_every_row_is_as_long_as_the_text_length_and_the_padding_is_learnt(tmp_path: Path) -> None:
    tokenizer = classify.load_tokenizer(tiny("qwen2", tmp_path / "qwen2"))
    rows = [
        write.encode(tokenizer, Texts(LINES[:2], None, LINES[:2]), write.WriteKnobs(max_length=90, padding_in_loss=padded))
        for padded in (True, False)
    ]
    assert [len(row) for row in rows[0]] == [90, 90]
    for padded, plain in zip(*rows, strict=True):
        assert padded[: len(plain)] == plain
        assert set(_language.plain(padded[len(plain) :])) <= {tokenizer.pad_token_id}
        assert len(_language.learnt(padded)) == 89


# Background, section 9: what the guide gets wrong, each with a word of it that its row must hold.
REMARKS = {
    "What is learnt": "label",
    "What counts in the loss": "padding",
    "How it is judged": "not balanced",
    "What it is compared with": "TF-IDF reaches about 88.7 %",
    "Time": "a T4 should need well under one",
    "Memory": "only against full fine-tuning in 32 bits",
    "Quicker answers": "none where it is",
    "Its code today": "no longer knows",
}


def test_every_remark_on_the_guide_has_its_row() -> None:
    rows = {one.what: one.why for one in guide.DIFFERENCES}
    for what, word in REMARKS.items():
        assert word in rows[what], what
    assert [one.what for one in guide.DIFFERENCES if not (one.guide and one.right)] == []


def test_an_interval_of_fifty_samples_is_the_one_that_is_told() -> None:
    half = 1.96 * (0.88 * 0.12 / 50) ** 0.5
    assert (round(100 * (0.88 - half)), round(100 * (0.88 + half))) == (79, 97)


def run_of(id: str, preset: str, state: str = "finished", minutes: float = 2.0) -> RunSummary:
    return RunSummary(
        id, f"Run {id}", state, "", 0.0, 60 * minutes, "hub:imdb", "qwen", "lora", preset, 1, 1, None, None, None  # type: ignore[arg-type]
    )  # fmt: skip


def test_of_each_preset_the_newest_finished_run_is_told_with_what_it_gave() -> None:
    runs = [run_of("3", guide.RIGHT, "running"), run_of("2", guide.RIGHT, minutes=4), run_of("1", guide.RIGHT), run_of("0", guide.GUIDE),
            run_of("4", "balanced")]  # fmt: skip
    found = guide.measured(runs, {"2": judged(), "1": None}.get, {"0": told("write")}.get)
    assert {preset: (one.run, one.minutes) for preset, one in found.items()} == {guide.RIGHT: ("2", 4.0), guide.GUIDE: ("0", 2.0)}
    right, other = found[guide.RIGHT].verdict, found[guide.GUIDE].verdict
    assert right.replace("\u00a0", " ") == "86.7 % (80.3 to 91.2) of 150 test reviews right; TF-IDF 67.3 %"
    figures = "; ".join(f"Perplexity per {what} 3.50, untuned 9.25" for what in ("token", "word"))
    assert other == f"{figures}; of 40 texts that it wrote none says which label it would give"
    assert guide.measured(runs[:1], {}.get, {}.get) == {}


@pytest.fixture
def both(tmp_path: Path) -> tuple[Path, str, str]:
    """A home with a finished run of each preset, and their ids."""
    base, home = str(tiny("qwen2", tmp_path / "qwen2")), tmp_path / "home"
    return home, *(finished_run(home, base, task=task, preset=name)
                   for task, name in (("write", guide.GUIDE), ("label_by_writing", guide.RIGHT)))  # type: ignore[return-value]  # fmt: skip


def test_two_finished_runs_stand_beside_each_other(both: tuple[Path, str, str]) -> None:
    home, theirs, right = both
    studio = Studio(home)
    try:
        found = studio.guide()
    finally:
        studio.close()
    assert (found[guide.GUIDE].run, found[guide.RIGHT].run) == (theirs, right)
    assert "Perplexity" in found[guide.GUIDE].verdict
    assert "test reviews right; TF-IDF" in found[guide.RIGHT].verdict
