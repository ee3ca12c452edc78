"""Writing: a batch writes what each prompt alone would get; stops, budgets, seeds and streaming do what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.decoding import GREEDY, Decoding, settled, until
from engine.errors import Refused
from engine.generation import Budget, generate
from engine.tasks.classify import load_tokenizer
from tests.tiny import DECODERS, tiny

TEXTS = ["A good film with a great cast", "A bad", "জিনিসটা খুব ভালো, দামও কম।", "The plot"]
SHORT = Decoding(temperature=0.0, max_new_tokens=12)


def opened(architecture: str, folder: Path, **config: Any) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM

    tiny(architecture, folder, initializer_range=0.4, tie_word_embeddings=False, **config)  # else it says one word for ever
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), load_tokenizer(folder)


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    return opened("qwen2", tmp_path_factory.mktemp("qwen"))


def ids_of(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    return [list(one) for one in tokenizer(texts)["input_ids"]]


def likeliest(model: Any, ids: list[int], count: int, ends: tuple[int, ...]) -> list[int]:
    """By hand: a whole pass for each token, without a cache, a batch or padding."""
    import torch

    new: list[int] = []
    while len(new) < count and (not new or new[-1] not in ends):
        with torch.inference_mode():
            new.append(int(model(input_ids=torch.tensor([[*ids, *new]])).logits[0, -1].argmax()))
    return new


@pytest.mark.parametrize("architecture", DECODERS)
def test_a_batch_writes_greedily_what_whole_passes_by_hand_give_each_prompt(architecture: str, tmp_path: Path) -> None:
    model, tokenizer = opened(architecture, tmp_path)
    prompts = ids_of(tokenizer, TEXTS)
    told = generate(model, tokenizer, prompts, SHORT, batch_size=3)
    for ids, one in zip(prompts, told.texts, strict=True):
        expected = likeliest(model.eval(), ids, 12, (tokenizer.eos_token_id,))
        assert one is not None
        assert one.tokens == len(expected)
        whole = tokenizer.decode([*ids, *expected], skip_special_tokens=True)
        assert one.text == whole.removeprefix(tokenizer.decode(ids, skip_special_tokens=True)).rstrip("\ufffd")
    assert told.tokens == sum(one.tokens for one in told.texts if one)


def test_learnt_tokens_before_the_prompt_bear_no_padding_behind_them(tmp_path: Path) -> None:
    """PEFT lets padding count as distance between its tokens and the text, so that a padded row would write something else."""
    import torch
    from peft import PromptTuningConfig, get_peft_model

    base, tokenizer = opened("gemma3_text", tmp_path)
    torch.manual_seed(0)
    model: Any = get_peft_model(base, PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5))
    with torch.no_grad():
        for parameter in model.prompt_encoder.parameters():
            parameter.add_(torch.randn_like(parameter))
    prompts = ids_of(tokenizer, TEXTS)
    together = generate(model, tokenizer, prompts, SHORT).texts
    assert together == tuple(generate(model, tokenizer, [one], SHORT).texts[0] for one in prompts)


def test_a_sequence_to_sequence_model_writes_in_batches_too(tmp_path: Path) -> None:
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    tokenizer = opened("llama", tmp_path)[1]
    torch.manual_seed(0)
    model = T5ForConditionalGeneration(
        T5Config(
            vocab_size=len(tokenizer),
            d_model=32,
            d_kv=8,
            d_ff=64,
            num_layers=2,
            num_heads=4,
            decoder_start_token_id=0,
            tie_word_embeddings=False,
        )
    )
    torch.nn.init.normal_(model.lm_head.weight)
    prompts = ids_of(tokenizer, TEXTS)
    together = generate(model, tokenizer, prompts, SHORT).texts
    assert together == tuple(generate(model, tokenizer, [one], SHORT).texts[0] for one in prompts)
    assert any(one and one.text for one in together)


def test_the_repetition_penalty_is_transformers_own_and_does_not_count_padding(qwen: tuple[Any, Any]) -> None:
    import torch

    model, tokenizer = qwen  # its padding is the token that ends a text
    penalised = Decoding(temperature=0.0, max_new_tokens=12, repetition_penalty=1.7)
    prompts = ids_of(tokenizer, TEXTS)
    told = generate(model, tokenizer, prompts, penalised)
    for ids, one in zip(prompts, told.texts, strict=True):
        row = torch.tensor([ids])
        theirs = model.generate(row, attention_mask=torch.ones_like(row), max_new_tokens=12, do_sample=False, repetition_penalty=1.7)
        assert one is not None
        assert one.text == tokenizer.decode(theirs[0, len(ids) :], skip_special_tokens=True).rstrip("\ufffd")
    assert told.texts != generate(model, tokenizer, prompts, SHORT).texts


def test_padding_is_no_repetition(tmp_path: Path) -> None:
    """The model ends the short text at once, just so; counted as said before, as padding would be, the ending token would lose."""
    import torch

    model, tokenizer = opened("qwen2", tmp_path)
    prompts = ids_of(tokenizer, TEXTS[:2])
    with torch.no_grad():
        states = model.model(input_ids=torch.tensor([prompts[1]])).last_hidden_state[0, -1]
        highest = float(model.lm_head(states).max())
        model.lm_head.weight[tokenizer.eos_token_id] = states * (1.2 * highest / float(states @ states))
    told = generate(model, tokenizer, prompts, Decoding(temperature=0.0, max_new_tokens=12, repetition_penalty=1.7)).texts[1]
    assert told is not None
    assert (told.tokens, told.ended) == (1, "end")


def test_a_model_s_own_sampling_habits_are_left_out(qwen: tuple[Any, Any]) -> None:
    model, tokenizer = qwen
    prompts = ids_of(tokenizer, TEXTS)
    plain = generate(model, tokenizer, prompts, SHORT).texts
    before = model.generation_config
    model.generation_config = type(before)(do_sample=True, temperature=1.5, repetition_penalty=2.0, no_repeat_ngram_size=2, min_length=90)
    assert generate(model, tokenizer, prompts, SHORT).texts == plain
    model.generation_config = before


def test_the_seed_decides_what_is_drawn(qwen: tuple[Any, Any]) -> None:
    model, tokenizer = qwen
    prompts = ids_of(tokenizer, TEXTS)
    first, second, other = (
        generate(model, tokenizer, prompts, Decoding(temperature=1.0, max_new_tokens=12, seed=seed)).texts for seed in (1, 1, 2)
    )
    assert first == second != other
    narrow = generate(model, tokenizer, prompts, Decoding(temperature=1.0, top_k=1, max_new_tokens=12))
    assert narrow.texts == generate(model, tokenizer, prompts, SHORT).texts


def test_a_stop_word_ends_the_text_before_itself(qwen: tuple[Any, Any]) -> None:
    model, tokenizer = qwen
    prompts = ids_of(tokenizer, TEXTS[:2])
    free = generate(model, tokenizer, prompts, SHORT).texts[0]
    assert free is not None
    word = free.text[len(free.text) // 2 :][:2]
    heard: list[str] = []
    told = generate(model, tokenizer, prompts[:1], SHORT, stops=["", word], heard=lambda _, text: heard.append(text)).texts[0]
    assert told is not None
    assert (told.text, told.ended) == (free.text[: free.text.find(word)], "stop")
    assert told.tokens < free.tokens
    assert heard[-1] == told.text
    assert all(word not in one for one in heard)


def test_one_who_listens_hears_the_text_grow_without_half_letters(qwen: tuple[Any, Any]) -> None:
    model, tokenizer = qwen
    heard: dict[int, list[str]] = {}
    hot = Decoding(temperature=1.5, top_p=1.0, max_new_tokens=40, seed=4)  # byte by byte: letters come in pieces
    told = generate(model, tokenizer, ids_of(tokenizer, TEXTS), hot, heard=lambda at, text: heard.setdefault(at, []).append(text))
    for at, one in enumerate(told.texts):
        assert one is not None
        assert len(heard[at]) == one.tokens
        assert heard[at][-1].rstrip("\ufffd") == one.text
        assert not any(text.endswith("\ufffd") for text in heard[at][:-1])


def test_a_budget_of_tokens_or_seconds_ends_it_and_says_what_was_not_reached(qwen: tuple[Any, Any]) -> None:
    model, tokenizer = qwen
    prompts = ids_of(tokenizer, TEXTS)
    few = generate(model, tokenizer, prompts, SHORT, batch_size=2, budget=Budget(tokens=6))
    assert [one and one.ended for one in few.texts] == ["budget", "budget", None, None]
    assert few.tokens == 6
    ticks = iter(range(1000))
    timed = generate(model, tokenizer, prompts, SHORT, batch_size=4, budget=Budget(seconds=5.0), clock=lambda: float(next(ticks)))
    assert {one and one.ended for one in timed.texts} == {"budget"}
    assert timed.seconds >= 5
    left = iter([True, True, False])
    stopped = generate(model, tokenizer, prompts[:1], SHORT, budget=Budget(may_go_on=lambda: next(left, False)))
    assert stopped.texts[0] is not None
    assert (stopped.texts[0].tokens, stopped.texts[0].ended) == (2, "budget")


def test_a_batch_that_does_not_fit_into_memory_is_halved(qwen: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = qwen
    prompts = ids_of(tokenizer, TEXTS)
    expected = generate(model, tokenizer, prompts, SHORT).texts
    asked: list[int] = []
    real = model.generate

    def small(**told: Any) -> Any:
        asked.append(len(told["input_ids"]))
        if asked[-1] > 1:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes.")
        return real(**told)

    monkeypatch.setattr(model, "generate", small)
    assert generate(model, tokenizer, prompts, SHORT, batch_size=4).texts == expected
    assert asked == [4, 2, 1, 1, 2, 1, 1]


def test_a_prompt_without_room_or_without_a_token_is_refused_with_a_fix(tmp_path: Path) -> None:
    model, tokenizer = opened("qwen2", tmp_path, max_position_embeddings=16)
    with pytest.raises(Refused, match=r"The prompt has \d+ tokens, and the model reads 16") as told:
        generate(model, tokenizer, ids_of(tokenizer, ["A good film with a great cast, and the best ending"]), SHORT)
    assert "Shorten" in told.value.problems[0].fix
    with pytest.raises(Refused, match="Prompt 2 is blank"):
        generate(model, tokenizer, [[5], []], SHORT)
    (one,) = generate(model, tokenizer, [[5] * 12], GREEDY).texts
    assert one is not None
    assert one.tokens <= 4


def test_training_goes_on_as_it_was_after_writing(qwen: tuple[Any, Any]) -> None:
    import torch

    model, tokenizer = qwen
    model.train()
    state = torch.random.get_rng_state()
    generate(model, tokenizer, [[5]], Decoding(max_new_tokens=2))
    assert model.training
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(
    ("text", "shown"), [("Yes\nUs", "Yes\n"), ("Yes ok", "Yes ok"), ("ভা\ufffd", "ভা"), ("a\nUser:", "a\n"), ("end.#", "end.")]
)
def test_what_may_become_a_stop_is_not_shown_yet(text: str, shown: str) -> None:
    stops = ["User:", "##"]
    assert settled(until(text, stops)[0], stops) == shown
