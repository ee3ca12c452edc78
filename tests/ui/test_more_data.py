"""Made rows beside their originals, as safe HTML."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from engine.augment.making import Example
from engine.tasks import all_tasks
from ui import more_data, words
from ui.tabs.more_data import on_task


def test_what_differs_is_marked_and_everything_else_is_text() -> None:
    one = Example(7, "<b>", "A good <film> & more", "A fine <film> & more")
    told = more_data.table([one])
    assert '<mark class="for">good</mark> &lt;film&gt; &amp; more' in told
    assert '<mark class="for">fine</mark> &lt;film&gt; &amp; more' in told
    assert "<b>" not in told.replace("<b>7", "")


def test_a_bengali_word_is_marked_whole() -> None:
    before, after = more_data.marked("জিনিসটা খুব ভালো", "জিনিসটা খূব ভালো")
    assert before == 'জিনিসটা <mark class="for">খুব</mark> ভালো'
    assert after == 'জিনিসটা <mark class="for">খূব</mark> ভালো'


def test_of_a_long_text_the_part_around_the_change_is_shown_and_every_mark_is_closed() -> None:
    long = "word " * 300
    before, after = more_data.marked(f"{long}here {long}", f"{long}there {long}")
    assert before.startswith("… ")
    assert '<mark class="for">there</mark>' in after
    _, other = more_data.marked("a " * 5, "b" * 900)
    assert other.count("<mark") == other.count("</mark>")


def test_a_run_that_made_no_rows_says_nothing_of_them() -> None:
    assert more_data.made((), 0) == ""
    assert f"{words.counted(1200, 'row')} made for its training" in more_data.made([Example(1, "a", "x y", "x z")], 1200)


def test_rows_are_offered_where_classes_tags_or_numbers_are_learnt_and_nowhere_else() -> None:
    toy: Any = SimpleNamespace(offer=SimpleNamespace(targets={name: task.target for name, task in all_tasks().items()}))
    shown = {name for name in all_tasks() if on_task(toy, name)[0]["visible"]}
    assert shown == {"classify", "label_by_writing", "tag", "regress", "similar"}
