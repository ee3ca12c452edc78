"""Has a model write: scores and answers test rows, tuned and then untuned, and makes the account of both. In the worker's process."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from engine import generation, likeness, redrawn, text_metrics
from engine.account import SAMPLES, Account, Sample, cut, sentence, told, warnings
from engine.data.dialogues import as_text
from engine.data.overlap import overlap
from engine.data.split import Rows
from engine.data.texts import Texts
from engine.decoding import GREEDY
from engine.generation import Written
from engine.redrawn import Redrawn
from engine.speed import MOST_WRITING, WRITTEN_AT_ONCE
from engine.tasks import Task
from engine.tasks._language import learnt

if TYPE_CHECKING:
    import numpy as np
    import torch

    from engine.resampling import Figure


@dataclass(frozen=True)
class Heard:
    """What one model made of the test rows."""

    nats: np.ndarray  # (rows, 2): as the task's `answers`
    scored: tuple[str, ...]  # the words of each row that were scored: of a long answer its beginning
    texts: tuple[Written | None, ...]  # of the chosen rows; None: the budget did not reach it


def chosen(rows: int, wanted: int) -> list[int]:
    """Places of the rows that are answered, evenly spread."""
    wanted = min(rows, wanted)
    return [at * rows // wanted for at in range(wanted)]


def part(test: Rows, places: Sequence[int]) -> Texts:
    """The texts of these rows."""
    taken = [None if column is None else [column[at] for at in places] for column in (test.texts, test.second, test.answers)]
    return Texts(taken[0] or [], taken[1], taken[2])


def heard(
    task: Task,
    knobs: Any,
    model: torch.nn.Module,
    tokenizer: Any,
    test: Rows,
    ids: list[list[int]],
    *,
    autocast: str | None,
    batch_size: int,
    tell: Callable[[str, int, int], None],
    who: str,
) -> Heard:
    """The model's surprise at every test row, and its answers to some. `tell` may raise to stop."""
    assert task.writes is not None
    words = f"Scoring the test rows with the {who} model"
    how: dict[str, Any] = {"batch_size": batch_size, "autocast": autocast, "most": knobs.max_length}
    nats = task.answers(model, tokenizer, ids, said=lambda done: tell(words, done, len(ids)), **how)
    scored = tuple(str(tokenizer.decode([~row[at] for at in learnt(row)], skip_special_tokens=True)) for row in ids)
    asked, _ = task.writes.prompts(part(test, chosen(len(test.texts), knobs.written_rows)))
    if not len(asked):
        return Heard(nats, scored, ())
    room = generation.room_of(model)
    most = min(knobs.max_length, room - min(knobs.max_new_tokens, room // 2))  # an answer needs room too
    prompts = task.encode(tokenizer, asked, replace(knobs, max_length=max(8, most)))
    done: set[int] = set()

    def listen(number: int, _: str) -> None:
        if number not in done:
            done.add(number)
            tell(f"The {who} model writes", len(done), len(prompts))

    seconds = MOST_WRITING[next(model.parameters()).device.type]
    made = generation.generate(
        model, tokenizer, prompts, replace(GREEDY, max_new_tokens=knobs.max_new_tokens), stops=task.writes.stops,
        ends=task.writes.ends(tokenizer, knobs) if task.writes.ends else (),
        batch_size=WRITTEN_AT_ONCE, budget=generation.Budget(seconds=seconds), autocast=autocast, heard=listen,
    )  # fmt: skip
    return Heard(nats, scored, made.texts)


def account(
    task: Task, knobs: Any, test: Rows, tuned: Heard, untuned: Heard, *, train: Rows, step: int, encoder: likeness.Encoder | None = None
) -> tuple[Account, str, tuple[Redrawn, ...]]:
    """The account, every answered row as JSON lines, and what it is told by redrawn.

    With an encoder, also how near in meaning the answers come to what was wanted.
    """
    assert task.writes is not None
    surprise = [
        text_metrics.perplexity(one.nats[:, 0].tolist(), one.nats[:, 1].astype(int).tolist(), one.scored) for one in (tuned, untuned)
    ]
    places = chosen(len(test.texts), knobs.written_rows)
    both = [at for at in range(len(places)) if _is_whole(tuned, at) and _is_whole(untuned, at)]
    asked, wanted = task.writes.prompts(part(test, places)) if places else (Texts([]), [])
    pairs: list[tuple[Any, Any]] = list(zip(*surprise, strict=True))
    if both:
        accepted = [wanted[at] for at in both]
        right = [task.writes.accepted(one) for one in accepted]
        pairs += zip(*(task.writes.figures([_text(one, at) for at in both], accepted) for one in (tuned, untuned)), strict=True)
        if encoder is not None and task.target == "text":
            near = (likeness.likeness(encoder, [_text(one, at) for at in both], right) for one in (tuned, untuned))
            pairs += zip(*near, strict=True)
    figures = tuple(told(first, second) for first, second in pairs)
    read = as_text if task.writes.chats else str
    lines = [
        Sample(
            test.numbers[places[at]],
            "\n\n".join(filter(None, _in_order(read(asked.first[at]), asked.second[at] if asked.second else "", task))),
            " / ".join(task.writes.accepted(wanted[at])), _text(tuned, at), _text(untuned, at),
            tuned.texts[at].ended if tuned.texts[at] else "budget",  # type: ignore[union-attr]
        )
        for at in both
    ]  # fmt: skip
    seen = overlap(train, test).counts
    headline = task.writes.headline if any(one.id == task.writes.headline for one in figures) else "perplexity_word"
    same = text_metrics.same_share([one.written for one in lines])
    made = Account(
        task=task.id, rows=len(test.texts), written=len(both), headline=headline, figures=figures, sentence=sentence(headline, figures),
        warnings=warnings(len(test.texts), lines, len(both), same, seen), samples=tuple(cut(one) for one in lines[:SAMPLES]), step=step,
        seen_rows=seen[0], nearly_seen_rows=seen[1],
    )  # fmt: skip
    scores = _scores(headline, [first for first, _ in pairs], [places[at] for at in both])
    every = "".join(json.dumps({**vars(one), **more}, ensure_ascii=False) + "\n" for one, more in zip(lines, scores, strict=True))
    return made, every, _redrawn(headline, [first for first, _ in pairs], test, lines)


def _scores(headline: str, figures: Sequence[Figure], places: Sequence[int]) -> list[dict[str, Any]]:
    """Of each answered row the figure that is told first, as `answers.Score`. `places` of these rows among the test rows."""
    figure = next((one for one in figures if one.id == headline), None)
    if figure is None:
        return [{}] * len(places)
    each = figure.of(figure.rows[list(places)] if headline == "perplexity_word" else figure.rows)
    return [{"score": {"name": figure.name, "value": float(value), "better": figure.better}} for value in each]


def _redrawn(headline: str, figures: Sequence[Figure], test: Rows, answered: Sequence[Sample]) -> tuple[Redrawn, ...]:
    """The figure told first and the perplexity per word, which every run has on all test rows."""
    spelt = test.spelt()
    every = list(zip(test.numbers, spelt.first, *filter(None, (spelt.second, spelt.answers)), strict=True))
    some = [(one.number, one.prompt, one.wanted) for one in answered]
    kept = [one for one in figures if one.id in (headline, "perplexity_word")]
    return tuple(redrawn.of(one, every if one.id == "perplexity_word" else some) for one in kept)


def _in_order(first: str, second: str, task: Task) -> tuple[str, str]:
    """As the model reads them: an instruction and then its input, but a context before its question."""
    return (first, second) if task.writes and task.writes.chats else (second, first)


def _is_whole(one: Heard, at: int) -> bool:
    """Whether the row was answered before the budget ran out."""
    text = one.texts[at] if at < len(one.texts) else None
    return text is not None and text.ended != "budget"


def _text(one: Heard, at: int) -> str:
    text = one.texts[at]
    return text.text.strip() if text else ""
