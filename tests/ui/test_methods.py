"""The table of methods: what each costs here, and why one cannot be used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import Problem
from engine.methods import all_methods
from engine.studies import Fit
from tests.ui import homes
from ui import methods

BAD = Problem("settings.rank", "Rank 512 is more than the width of this model's narrowest matrix, <384>.", "Choose a rank of at most 384.")
NO_DATA = Problem("data.source", "No data is chosen yet.", "Choose a data set or upload a file.")


@pytest.fixture
def fits(home: Path) -> tuple[Fit, ...]:
    plan = homes.a_plan(home)
    return tuple(Fit(one.id, one.name, plan, ()) for one in all_methods().values())


def test_every_method_has_a_row_with_its_costs_its_quality_and_its_source(fits: tuple[Fit, ...]) -> None:
    told = methods.table(fits, all_methods(), "lora")
    for one in all_methods().values():
        assert one.quality in told.replace("&#x27;", "'")
        assert one.source.rpartition("https://")[2] in told
        assert (f'data-pick="{one.id}"' in told) == (one.id != "lora")
    assert told.count("estimated") == len(fits)
    assert "measured" in methods.table([replace(fits[0], plan=replace(fits[0].plan, memory_basis="measured"))], all_methods(), "")


def test_one_that_cannot_be_used_is_greyed_with_reason_and_fix_and_cannot_be_chosen(fits: tuple[Fit, ...]) -> None:
    first, *rest = fits
    told = methods.table([replace(first, plan=None, problems=(BAD,)), *rest], all_methods(), "full")
    assert '<tr class="greyed">' in told
    assert "&lt;384&gt;" in told
    assert "Choose a rank of at most 384." in told
    assert f'data-pick="{first.method}"' not in told
    offered = methods.choices([replace(first, plan=None, problems=(BAD,)), *rest])
    assert offered[0] == (f"{first.name} (not with these settings)", first.method)


def test_what_is_missing_for_all_greys_none(fits: tuple[Fit, ...]) -> None:
    none = [replace(one, plan=None, problems=(NO_DATA,)) for one in fits]
    assert "greyed" not in methods.table(none, all_methods(), "lora")
    assert all("(not" not in name for name, _ in methods.choices(none))
