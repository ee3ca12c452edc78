"""Models that are held open to write: an adapter that is swapped in writes what a fresh one does; nothing is opened twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine import models
from engine import shelf as shelves
from engine.conversation import Said, Turn, prompt
from engine.decoding import Decoding
from engine.errors import Refused
from engine.generation import generate
from engine.shelf import Shelf, Which
from engine.store import Store
from engine.tasks import all_tasks
from engine.tasks.classify import load_tokenizer
from tests.tiny import as_bin, tiny
from tests.writing import writer, writing_run

SHORT = Decoding(temperature=0.0, max_new_tokens=12)
PROMPT = "The plot"


def written(shelf: Shelf, which: Which, *beside: Which) -> tuple[str, str]:
    """What it writes, and how it was got ready."""
    with shelf.ready(which, beside, None, lambda *_: None) as ready:
        ids = ready.tokenizer(PROMPT)["input_ids"]
        (one,) = generate(ready.model, ready.tokenizer, [ids], SHORT, autocast=ready.autocast).texts
    assert one is not None
    return one.text, ready.how


def fresh(base: Path, adapter: Path | None = None) -> str:
    """The same, by the libraries alone."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = PeftModel.from_pretrained(model, str(adapter)) if adapter else model
    tokenizer = load_tokenizer(base)
    (one,) = generate(model, tokenizer, [tokenizer(PROMPT)["input_ids"]], SHORT).texts
    assert one is not None
    return one.text


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the bases that were opened."""
    names: list[str] = []
    real = shelves.open_writer
    monkeypatch.setattr(shelves, "open_writer", lambda folder, name, dtype: names.append(Path(name).name) or real(folder, name, dtype))
    return names


def test_swapped_adapters_write_what_freshly_loaded_ones_do_and_the_base_is_opened_once(
    home: Path, tmp_path: Path, opened: list[str]
) -> None:
    base = writer("qwen2", tmp_path / "base")
    runs = [Store(home).folder(writing_run(home, base, seed=seed)) for seed in (1, 2)]
    untuned, first, second = Which(str(base)), *(Which(run=str(one)) for one in runs)
    shelf = Shelf(home)
    texts, hows = zip(*(written(shelf, one, untuned) for one in (untuned, first, second, first, untuned, untuned)), strict=True)
    expected = [fresh(base), *(fresh(base, one / "model") for one in runs)]
    assert list(texts) == [*expected, expected[1], expected[0], expected[0]]
    assert len(set(expected)) == 3
    assert hows == ("loaded", "added", "added", "swapped", "swapped", "there")
    assert opened == ["base"]


def test_the_untuned_model_shares_the_base_of_a_run_beside_it_also_in_another_precision(
    home: Path, tmp_path: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelves.rules, "usual_precision", lambda _: ("bf16", ""))
    base = writer("llama", tmp_path / "base")
    run = Which(run=str(Store(home).folder(writing_run(home, base))))
    shelf = Shelf(home)
    assert [written(shelf, Which(str(base)), run)[1], written(shelf, run, Which(str(base)))[1]] == ["loaded", "added"]
    assert opened == ["base"]


def test_a_run_that_was_trained_anew_is_read_anew(home: Path, tmp_path: Path) -> None:
    base = writer("qwen2", tmp_path / "base")
    store = Store(home)
    folder, other = (store.folder(writing_run(home, base, seed=seed)) for seed in (1, 2))
    shelf = Shelf(home)
    before = written(shelf, Which(run=str(folder)))[0]
    (folder / "model").rename(folder / "old")
    (other / "model").rename(folder / "model")
    assert written(shelf, Which(run=str(folder)))[0] == fresh(base, folder / "model") != before


def test_two_bases_are_held_side_by_side_and_a_third_puts_away_what_is_not_wanted(home: Path, tmp_path: Path, opened: list[str]) -> None:
    one, two, three = (Which(str(writer("llama", tmp_path / name, seed=at))) for at, name in enumerate(("one", "two", "three")))
    shelf = Shelf(home)
    assert written(shelf, one, two)[0] == fresh(Path(one.model))
    assert written(shelf, two, one)[0] == fresh(Path(two.model))
    assert written(shelf, one, two)[1] == "there"
    written(shelf, three, one)
    assert written(shelf, one, three)[1] == "there"
    assert written(shelf, two, three)[1] == "loaded"
    assert opened == ["one", "two", "three", "two"]


def test_what_does_not_fit_beside_the_others_takes_their_place_or_is_refused(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (Which(str(writer("llama", tmp_path / name))) for name in ("one", "two"))
    shelf = Shelf(home)
    written(shelf, one)
    monkeypatch.setattr(Shelf, "_free", lambda self: 10**9 if not self._held else 10)
    written(shelf, two, one)
    assert written(shelf, one, two)[1] == "loaded"
    monkeypatch.setattr(Shelf, "_free", lambda self: 10)
    with pytest.raises(Refused, match=r"two needs about .* of memory to write, and .* are free") as refused:
        written(shelf, two, one)
    assert refused.value.problems[0].of_memory


def test_a_model_without_a_head_or_a_tokenizer_is_told_in_words(home: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification

    headless = writer("llama", tmp_path / "headless")
    torch.manual_seed(0)
    AutoModelForSequenceClassification.from_pretrained(headless, num_labels=2, pad_token_id=0).save_pretrained(headless)
    with pytest.raises(Refused, match="headless has no language-modelling head"):
        written(Shelf(home), Which(str(headless)))
    mute = writer("llama", tmp_path / "mute")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (mute / name).unlink(missing_ok=True)
    with pytest.raises(Refused, match=r"tokenizer"):
        written(Shelf(home), Which(str(mute)))
    with pytest.raises(Refused, match="no trained model"):
        written(Shelf(home), Which(run=str(tmp_path)))


def test_old_weights_are_converted_and_what_goes_on_is_told(home: Path, tmp_path: Path) -> None:
    folder = as_bin(tiny("llama", tmp_path / "old"))
    heard: list[str] = []
    with Shelf(home).ready(Which(str(folder)), (), None, lambda message, done, total: heard.append(message)) as ready:
        assert ready.how == "loaded"
    assert heard[0] == "Opening the model"
    assert any("onver" in one for one in heard)


def test_every_task_that_writes_is_asked_in_its_own_form_and_its_untuned_base_beside_it_the_same(home: Path, tmp_path: Path) -> None:
    base = writer("llama", tmp_path / "base", chat=True)
    said = Said((Turn("user", "Hello"), Turn("assistant", "Hi"), Turn("user", "Where?")), "Be kind.", "In Dhaka.")
    expected = {
        "label_by_writing": "Review: Where?",
        "write": "Where?",
        "answer": "In Dhaka.\n\nQuestion: Where?\nAnswer:",
        "transform": "Where? -> ",
        "instruct": "[system] Be kind.</s>[user] Hello</s>[assistant] Hi</s>[user] Where?\n\nIn Dhaka.</s>[assistant] ",
    }
    templates = {"answer": "{context}\n\nQuestion: {text}\nAnswer:", "transform": "{text} -> "}
    shelf, untuned = Shelf(home), Which(str(base))
    facts = models.find(str(base), token=None, home=home)
    assert expected.keys() == {one.id for one in all_tasks().values() if not one.check(one.knobs(), facts) and not one.facts(facts).head}
    for task, words in expected.items():
        more = {"template": templates[task]} if task in templates else {}
        run = Which(run=str(Store(home).folder(writing_run(home, base, task=task, max_length=8, **more))))
        for which, beside in ((run, untuned), (untuned, run)):
            with shelf.ready(which, [beside], None, lambda *_: None) as ready:
                assert ready.taught is not None
                told = prompt(ready.tokenizer, said, ready.ends, ready.taught)
                assert ready.tokenizer.decode(told.ids, clean_up_tokenization_spaces=False).removeprefix("<s>") == words, task
                assert told.form == ("chat" if task == "instruct" else "taught")
        assert told.stops == (all_tasks()[task].writes.stops if all_tasks()[task].writes else ())


def test_a_long_prompt_in_a_run_s_form_is_not_cut_in_silence(home: Path, tmp_path: Path) -> None:
    base = writer("llama", tmp_path / "base", max_position_embeddings=4096)
    run = Which(run=str(Store(home).folder(writing_run(home, base, task="transform", max_length=8))))
    with Shelf(home).ready(run, [], None, lambda *_: None) as ready:
        given = prompt(ready.tokenizer, Said((Turn("user", "good film " * 1200),)), ready.ends, ready.taught)
        assert len(given.ids) > 2400
        over = prompt(ready.tokenizer, Said((Turn("user", "good film " * 4000),)), ready.ends, ready.taught)
        with pytest.raises(Refused, match="the model reads 4,096"):
            generate(ready.model, ready.tokenizer, [over.ids], SHORT)


def test_a_run_whose_weights_were_all_trained_is_opened_as_a_model_of_its_own(home: Path, tmp_path: Path, opened: list[str]) -> None:
    base = writer("qwen2", tmp_path / "base")
    run_id = writing_run(home, base, task="write", method="full", template="")
    run, untuned = Which(run=str(Store(home).folder(run_id))), Which(str(base))
    shelf = Shelf(home)
    tuned, how = written(shelf, run, untuned)
    assert how == "loaded"
    assert written(shelf, untuned, run) == (fresh(base), "loaded")
    assert tuned == fresh(Store(home).folder(run_id) / "model") != fresh(base)
    assert written(shelf, run, untuned) == (tuned, "there")


def test_runs_over_a_base_in_4_bits_share_it_and_write_what_each_alone_writes(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = writer("llama", tmp_path / "base")
    folders = [Store(home).folder(writing_run(home, base, method="qlora", task="write", seed=seed)) for seed in (1, 2)]
    runs = [Which(run=str(one)) for one in folders]
    expected = [written(Shelf(home), one)[0] for one in runs]
    opened: list[Path] = []
    real = shelves.trained.open_trained
    monkeypatch.setattr(shelves.trained, "open_trained", lambda folder, **told: opened.append(folder) or real(folder, **told))
    shelf = Shelf(home)
    texts, hows = zip(*(written(shelf, one, *runs) for one in (*runs, *runs)), strict=True)
    assert list(texts) == expected * 2
    assert expected[0] != expected[1]
    assert hows == ("loaded", "added", "swapped", "swapped")
    assert opened == [folders[0] / "model"]
    assert written(shelf, Which(str(base)), runs[0])[0] == fresh(base), "the untuned model is not in 4 bits"
