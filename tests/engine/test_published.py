"""Our memory estimate beside the published table for 7B models."""

from __future__ import annotations

import pytest

from engine.published import GB, llama_2_7b, table

GIB = 2**30


def test_the_shape_is_llama_2_s() -> None:
    assert llama_2_7b().body_parameters == 6_607_343_616  # without the language-modelling head of 131 million


def test_full_fine_tuning_lies_within_the_table_and_the_others_where_practice_is() -> None:
    full, lora, qlora = table()
    assert full.published_gb[0] <= full.estimated.total_bytes / GB <= full.published_gb[1]
    assert lora.estimated.total_bytes == pytest.approx(16.2 * GIB, rel=0.15)
    assert qlora.estimated.total_bytes == pytest.approx(7.4 * GIB, rel=0.2)  # by rates fitted to another card and smaller models
    for one in (lora, qlora):
        assert 2 <= one.published_gb[0] / (one.estimated.total_bytes / GB) <= 3
        assert "GiB" in one.reason
