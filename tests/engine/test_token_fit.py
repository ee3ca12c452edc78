"""How models read texts: graded in words, by their own tokenizers, with as little asked of the Hub as can be."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import wordpieces
from engine.models import EMBEDDED, TokenFacts, embedded_folder
from engine.spec import DataSpec, RunSpec
from engine.studio import Studio
from engine.token_fit import TokenFit, in_words, ordered
from tests.hub import Hub, serve_tiny_qwen
from tests.tiny import tiny

BENGALI = ["ফোনটা খুব ভালো লেগেছে, দামও কম", "একদম বাজে, টাকা নষ্ট হয়েছে", "র‍্যাব ক্ষমা চাইল"]
ENGLISH = ["a good film and well worth the time", "it was not very good, was it?"]
QWEN = "Qwen/Qwen1.5-0.5B"


def test_bert_uncased_breaks_bengali_into_single_letters_and_drops_vowel_signs() -> None:
    """MiniLM has the vocabulary of BERT-base-uncased."""
    told = wordpieces.count(embedded_folder(), BENGALI)
    assert told is not None
    assert told.letters_per_token is not None
    assert in_words(told, "Bengali")[0] == "poorly"
    assert in_words(told, "Bengali")[1].startswith("breaks Bengali into single letters and throws away ")
    one = wordpieces.count(embedded_folder(), ["খুব ভালো"])  # ু (Mn) is thrown away; া and ো (Mc) stay, ো as one sign
    assert one is not None
    assert one.lost_marks == pytest.approx(1 / 4)  # ো is written as ে and া where signs are counted
    assert in_words(TokenFacts(1.2, 0.0, (5,), 3.4), "Bengali") == ("well", "reads most words whole")


def test_english_is_read_whole_and_accents_are_no_loss() -> None:
    told = wordpieces.count(embedded_folder(), [*ENGLISH, "a café, a naïve café 👍️"])
    assert told is not None
    assert told.lost_marks == 0
    assert in_words(told, "Latin") == ("well", "reads most words whole")


def test_grades_go_by_what_is_unknown_then_by_the_size_of_the_pieces() -> None:
    assert in_words(TokenFacts(1.1, 0.3, (5,), 4.0), "Bengali") == ("poorly", "does not know 30% of what it reads")
    assert in_words(TokenFacts(1.8, 0.0, (5,), 2.5), "Latin") == ("in pieces", "breaks a word into 1.8 pieces")
    assert in_words(TokenFacts(2.6, 0.0, (5,), 2.0), "Bengali") == ("poorly", "breaks Bengali into pieces of about two letters")
    fits = [
        TokenFit("a", "A", None, ""),
        TokenFit("b", "B", "poorly", "", TokenFacts(4.0, 0.0, (5,))),
        TokenFit("c", "C", "well", "", TokenFacts(1.4, 0.0, (5,))),
        TokenFit("d", "D", "well", "", TokenFacts(1.2, 0.0, (5,))),
    ]
    assert [one.model for one in ordered(fits)] == ["d", "c", "b", "a"]


def test_only_what_is_here_is_looked_at_until_more_is_asked_for(hub: Hub, tmp_path: Path) -> None:
    serve_tiny_qwen(hub.root)
    folder = str(tiny("bert", tmp_path / "bert"))
    studio = Studio(tmp_path / "home", dispatch=False)
    try:
        spec = RunSpec(DataSpec("sample:film-reviews-en"), folder, settings={"max_length": 16})
        here = {one.model: one for one in studio.token_fits(spec) if one.asked}
        assert set(here) == {folder, EMBEDDED}
        assert hub.requests == []
        assert here[EMBEDDED].grade == "well"
        assert here[EMBEDDED].max_length == 16
        assert (here[EMBEDDED].cut_share or 0) > 0.5

        every = {one.model: one for one in studio.token_fits(spec, fetch=True)}
        assert every[QWEN].tokens is not None
        assert not [one for one in hub.requests if "safetensors" in one]
        assert len([one for one in every.values() if one.problem and one.grade is None]) >= 10, "the others are not on this Hub"
        assert QWEN in {one.model for one in studio.token_fits(spec) if one.asked}, "it is here now"
    finally:
        studio.close()


def test_of_texts_that_are_not_chosen_yet_no_tokenizer_is_blamed(tmp_path: Path) -> None:
    rows = "".join(f'{{"instruction": "say {at} words", "output": "word {at} and so on"}}\n' for at in range(30))
    (tmp_path / "a.jsonl").write_text(rows, "utf-8")
    studio = Studio(tmp_path / "home", dispatch=False)
    try:
        (found, *_) = studio.token_fits(RunSpec(DataSpec(f"file:{tmp_path / 'a.jsonl'}"), EMBEDDED), None, fetch=False)
    finally:
        studio.close()
    assert found.problem is not None
    assert found.problem.field == "data.text"
    assert "not chosen yet" in found.problem.message
