"""A causal or sequence-to-sequence model writes: in batches, within a budget, word by word where one listens.

A causal model's prompts are padded on the left, where the text goes on from their ends; an encoder's on the right, as in training.

Used by the evaluation, by Try and by the playground. The settings are in `decoding`. transformers' own `generate` does the work, with
nothing taken from the model's generation_config.json but the tokens that end a text: some models bring a temperature or a penalty of
their own there. torch is imported where it is needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from engine.decoding import Decoding, settled, until
from engine.errors import Problem, Refused, is_out_of_memory

if TYPE_CHECKING:
    import torch

Ended = Literal["end", "stop", "length", "budget"]  # by the model; a stop word; the limit; the budget, or because it was told to
Heard = Callable[[int, str], object]  # (prompt's number, its text so far)


@dataclass(frozen=True)
class Written:
    """One text."""

    text: str  # without the stop word
    tokens: int  # new ones, the ending one among them
    ended: Ended


@dataclass(frozen=True)
class Budget:
    """What all prompts together may cost. None: as much as they take."""

    tokens: int | None = None  # new ones
    seconds: float | None = None
    may_go_on: Callable[[], bool] = field(default=lambda: True)  # asked after every token


@dataclass(frozen=True)
class Generated:
    """The texts in the prompts' order; None: the budget did not reach it."""

    texts: tuple[Written | None, ...]
    seconds: float

    @property
    def tokens(self) -> int:
        return sum(one.tokens for one in self.texts if one)

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds if self.seconds else 0.0


def generate(
    model: torch.nn.Module,
    tokenizer: Any,
    prompts: Sequence[Sequence[int]],
    decoding: Decoding,
    *,
    stops: Sequence[str] = (),
    ends: Sequence[int] = (),
    batch_size: int = 8,
    budget: Budget | None = None,
    autocast: str | None = None,
    heard: Heard | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Generated:
    """What the model writes after each prompt, given as token ids. At temperature 0 a batch writes what each prompt alone would get.

    `ends`: tokens that end a text beside those that the model and the tokenizer name, such as a chat's end of turn. A batch that does
    not fit into memory is halved. Raises Refused for a prompt that leaves no room for a token.
    """
    import torch

    _check(model, prompts)
    spent = _Spent(budget or Budget(), clock)
    found: list[Written | None] = [None] * len(prompts)
    job = _Job(model, tokenizer, decoding, tuple(stop for stop in stops if stop), ends_of(model, tokenizer, ends), spent, heard)
    device = next(model.parameters()).device
    mixed = torch.autocast(device.type, dtype=getattr(torch, autocast or "bfloat16"), enabled=autocast is not None)
    was_training = model.training
    model.eval()
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), torch.inference_mode(), mixed:
            torch.manual_seed(decoding.seed)
            for numbers in _batches(model, prompts, batch_size):
                if not spent.may_go_on():
                    break
                for at, one in _fitting(job, numbers, prompts):
                    found[at] = one
    finally:
        model.train(was_training)
    return Generated(tuple(found), clock() - spent.begun)


@dataclass
class _Spent:
    """What was used of the budget."""

    budget: Budget
    clock: Callable[[], float]
    tokens: int = 0
    begun: float = 0.0

    def __post_init__(self) -> None:
        self.begun = self.clock()

    def may_go_on(self) -> bool:
        most, seconds = self.budget.tokens, self.budget.seconds
        there = (most is None or self.tokens < most) and (seconds is None or self.clock() - self.begun < seconds)
        return there and self.budget.may_go_on()


@dataclass(frozen=True)
class _Job:
    """What is the same for every batch."""

    model: Any
    tokenizer: Any
    decoding: Decoding
    stops: tuple[str, ...]
    ends: tuple[int, ...]
    spent: _Spent
    heard: Heard | None


def _check(model: torch.nn.Module, prompts: Sequence[Sequence[int]]) -> None:
    room, seq2seq = room_of(model), _writes_apart(model)
    for number, prompt in enumerate(prompts, 1):
        which = "The prompt" if len(prompts) == 1 else f"Prompt {number:,}"
        if not prompt:
            raise Refused(Problem("prompt", f"{which} is blank, and this model needs something to begin with.", "Type a few words."))
        if not seq2seq and len(prompt) >= room:
            message = f"{which} has {len(prompt):,} tokens, and the model reads {room:,}, its own words included."
            raise Refused(Problem("prompt", message, "Shorten it, or begin a new conversation."))


def room_of(model: Any) -> int:
    """Tokens that prompt and text may have together."""
    told = getattr(model.config, "max_position_embeddings", None)
    return int(told) - _virtual_tokens(model) if told else 10**9


def _virtual_tokens(model: Any) -> int:
    """Learnt tokens that PEFT puts before every text; they need room, and they bear no padding between themselves and the text."""
    told = getattr(model, "active_peft_config", None)
    return int(told.num_virtual_tokens) if told is not None and told.is_prompt_learning else 0


def _writes_apart(model: Any) -> bool:
    """Whether the text is written by a decoder of its own, as T5 does."""
    return bool(getattr(model.config, "is_encoder_decoder", False))


def ends_of(model: Any, tokenizer: Any, more: Sequence[int] = ()) -> tuple[int, ...]:
    """The tokens that end a text of this model, and `more`."""
    told = [tokenizer.eos_token_id, model.config.eos_token_id, getattr(model.generation_config, "eos_token_id", None)]
    flat = [one for part in told for one in (part if isinstance(part, (list, tuple)) else [part])]
    return tuple(dict.fromkeys([*(int(one) for one in flat if one is not None), *more]))


def _batches(model: Any, prompts: Sequence[Sequence[int]], size: int) -> Iterator[list[int]]:
    """Numbers of prompts in their order. Where padding would change what is written, prompts of one length alone share a batch."""
    alike = _virtual_tokens(model) > 0 and not _writes_apart(model)  # padding behind a prompt stands between nothing
    batch: list[int] = []
    for at, prompt in enumerate(prompts):
        if batch and (len(batch) == size or (alike and len(prompts[batch[0]]) != len(prompt))):
            yield batch
            batch = []
        batch.append(at)
    if batch:
        yield batch


def _fitting(job: _Job, numbers: list[int], prompts: Sequence[Sequence[int]]) -> Iterator[tuple[int, Written]]:
    """The batch's texts; in halves where memory runs out."""
    try:
        yield from zip(numbers, _written(job, numbers, [prompts[at] for at in numbers]), strict=True)
        return
    except RuntimeError as error:
        if len(numbers) == 1 or not is_out_of_memory(error):
            raise
    half = len(numbers) // 2
    for part in (numbers[:half], numbers[half:]):
        yield from _fitting(job, part, prompts)


def _written(job: _Job, numbers: Sequence[int], prompts: Sequence[Sequence[int]]) -> list[Written]:
    import torch
    from transformers import GenerationConfig

    device, decoding = next(job.model.parameters()).device, job.decoding
    pad = next(one for one in (job.tokenizer.pad_token_id, *job.ends, 0) if one is not None)
    width = max(map(len, prompts))
    apart = _writes_apart(job.model)
    missing = [width - len(one) for one in prompts]
    before, behind = ([0] * len(missing), missing) if apart else (missing, [0] * len(missing))
    rows = list(zip(before, prompts, behind, strict=True))
    ids = torch.tensor([[pad] * left + list(one) + [pad] * right for left, one, right in rows], device=device)
    mask = torch.tensor([[0] * left + [1] * len(one) + [0] * right for left, one, right in rows], device=device)
    room = [10**9 if apart else room_of(job.model) - len(one) for one in prompts]
    watch = _Watch(job, numbers, [[] if apart else list(one[-1:]) for one in prompts], room)
    sampled = {"temperature": decoding.temperature, "top_k": decoding.top_k, "top_p": decoding.top_p} if decoding.temperature > 0 else {}
    settings = GenerationConfig(
        max_new_tokens=decoding.max_new_tokens, do_sample=decoding.temperature > 0, num_beams=1, use_cache=True, repetition_penalty=1.0,
        no_repeat_ngram_size=0, min_length=0, typical_p=1.0, pad_token_id=pad, eos_token_id=list(job.ends) or None, **sampled,
    )  # fmt: skip
    penalty = [] if decoding.repetition_penalty == 1.0 else [_Penalty(decoding.repetition_penalty, None if apart else mask)]
    job.model.generate(input_ids=ids, attention_mask=mask, generation_config=settings, stopping_criteria=[watch], logits_processor=penalty)
    return watch.finished()


class _Penalty:
    """Makes tokens that stood before less likely (Keskar et al. 2019, https://arxiv.org/abs/1909.05858); padding does not count.

    transformers' own counts padding, which is often the very token that ends a text: a padded row would then go on for ever.
    """

    def __init__(self, penalty: float, mask: torch.Tensor | None) -> None:
        self.penalty, self.mask = penalty, mask  # (batch, prompt) 0 where padded; None: the prompt is not among the ids

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        import torch

        if self.mask is not None:
            new = input_ids.shape[1] - self.mask.shape[1]
            real = torch.nn.functional.pad(self.mask, (0, new), value=1).bool()
            input_ids = torch.where(real, input_ids, input_ids[:, -1:])
        seen = scores.gather(1, input_ids)
        return scores.scatter(1, input_ids, torch.where(seen < 0, seen * self.penalty, seen / self.penalty))


class _Watch:
    """Sees every new token: says which texts are at their end and why, and tells who listens."""

    def __init__(self, job: _Job, numbers: Sequence[int], before: Sequence[list[int]], room: Sequence[int]) -> None:
        self.job, self.numbers, self.before, self.room = job, numbers, before, room
        self.new: list[list[int]] = [[] for _ in numbers]
        self.ended: list[Ended | None] = [None] * len(numbers)

    def __deepcopy__(self, known: Any) -> _Watch:
        """PEFT copies all that `generate` is given where learnt tokens stand before an encoder's text; who listens hears this one."""
        return self

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        import torch

        for at, token in enumerate(input_ids[:, -1].tolist()):
            if self.ended[at] is None:
                self.new[at].append(token)
                self.job.spent.tokens += 1
                self._look(at, token)
        if not self.job.spent.may_go_on():
            self.ended = [one or "budget" for one in self.ended]
        return torch.tensor([one is not None for one in self.ended], device=input_ids.device)

    def _look(self, at: int, token: int) -> None:
        """Whether this text is at its end. It is decoded only where somebody cares."""
        text, stopped = until(self._text(at), self.job.stops) if self.job.stops or self.job.heard else ("", False)
        if token in self.job.ends:
            self.ended[at] = "end"
        elif stopped:
            self.ended[at] = "stop"
        elif len(self.new[at]) >= min(self.job.decoding.max_new_tokens, self.room[at]):
            self.ended[at] = "length"
        if self.job.heard:
            self.job.heard(self.numbers[at], text if self.ended[at] else settled(text, self.job.stops))

    def _text(self, at: int) -> str:
        """Decoded behind the prompt's last token, else SentencePiece would drop the blank that the text begins with."""
        new = self.new[at][:-1] if self.new[at][-1] in self.job.ends else self.new[at]
        whole = _decoded(self.job.tokenizer, [*self.before[at], *new])
        start = _decoded(self.job.tokenizer, self.before[at])
        return whole.removeprefix(start)

    def finished(self) -> list[Written]:
        return [
            Written(until(self._text(at), self.job.stops)[0].rstrip("\ufffd"), len(self.new[at]), self.ended[at] or "length")
            for at in range(len(self.numbers))
        ]


def _decoded(tokenizer: Any, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))
