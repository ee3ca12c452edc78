"""The guide's table beside the job done right: the presets are what it says, and what was measured here stands with it."""

from __future__ import annotations

from pathlib import Path

from engine import catalog, guide
from engine.data.texts import Texts
from engine.tasks import _language, all_tasks, classify, write
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
