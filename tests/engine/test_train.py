"""The loop on a toy model: an embedding, dropout and a linear head, enough to show order, resuming, stopping and every way to end."""

from __future__ import annotations

import dataclasses
import itertools
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from engine import checkpoint, evaluate
from engine.errors import RunFailed
from engine.events import Evaluated, Event, Saved, Step, Warned
from engine.spec import Training
from engine.tasks import classify
from engine.train import Encoded, Outcome, Work, batches, fit, learning_rate_at

CLASSES = ("bad", "good")
TOKENIZER = SimpleNamespace(model_input_names=(), pad_token_id=0)


class Toy(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = torch.nn.Embedding(20, 8)
        self.dropout = torch.nn.Dropout(0.2)
        self.head = torch.nn.Linear(8, 2)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> SimpleNamespace:
        seen = self.embedding(input_ids) * attention_mask.unsqueeze(-1)
        return SimpleNamespace(logits=self.head(self.dropout(seen.sum(dim=1) / attention_mask.sum(dim=1, keepdim=True))))


def rows(count: int, seed: int) -> Encoded:
    """Class 1 where tokens above 10 prevail: learnable, with lengths from 2 to 9."""
    dice = random.Random(seed)
    ids = [[dice.randint(1, 19) for _ in range(dice.randint(2, 9))] for _ in range(count)]
    return Encoded(ids, [int(sum(ids_) / len(ids_) > 10) for ids_ in ids])


SETTLED = Training(
    epochs=3, learning_rate=0.05, batch_size=8, accumulation=2, warmup_steps=2, evaluate_every=5, precision="fp32", patience=0
)  # fmt: skip


def work(folder: Path, events: list[Event], *, steps: int = 24, stop_at: int | None = None, training: Training = SETTLED) -> Work:
    def should_stop() -> bool:
        return stop_at is not None and any(isinstance(event, Step) and event.step >= stop_at for event in events)

    return Work(
        checkpoints=folder,
        model=Toy(),
        tokenizer=TOKENIZER,
        learn=classify.learn,
        counted=len,
        answers=classify.probabilities,
        scores=evaluate.scores,
        training=training,
        steps=steps,
        classes=CLASSES,
        train=rows(128, 1),
        validation=rows(40, 2),
        autocast=None,
        emit=events.append,
        should_stop=should_stop,
        clock=itertools.count().__next__,
    )


def losses(events: list[Event]) -> dict[int, float]:
    return {event.step: event.loss for event in events if isinstance(event, Step)}


def weights(one: Work) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in one.model.state_dict().items()}


def test_an_epoch_holds_every_row_once_and_its_order_is_a_function_of_seed_and_epoch() -> None:
    lengths = [len(ids) for ids in rows(1000, 3).ids]
    for grouped in (True, False):
        cut = batches(lengths, 16, grouped=grouped, seed=7, epoch=0)
        assert sorted(itertools.chain(*cut)) == list(range(1000))
        assert cut == batches(lengths, 16, grouped=grouped, seed=7, epoch=0)
        assert cut != batches(lengths, 16, grouped=grouped, seed=7, epoch=1)
        assert cut != batches(lengths, 16, grouped=grouped, seed=8, epoch=0)


def test_grouping_by_length_leaves_little_padding() -> None:
    lengths = [len(ids) for ids in rows(1000, 3).ids]

    def padding(grouped: bool) -> int:
        cut = batches(lengths, 16, grouped=grouped, seed=7, epoch=0)
        return sum(max(lengths[row] for row in batch) * len(batch) - sum(lengths[row] for row in batch) for batch in cut)

    assert padding(True) < padding(False) / 5


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_the_learning_rate_rises_over_the_warm_up_and_then_follows_its_schedule(schedule: str) -> None:
    training = dataclasses.replace(SETTLED, schedule=schedule, warmup_steps=10)
    rates = [learning_rate_at(step, 100, training) for step in range(1, 101)]
    assert rates[:10] == sorted(rates[:10])
    assert 0 < rates[0] < rates[9] < 0.05
    assert rates[10] == pytest.approx(0.05)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.05) if schedule == "constant" else 0 <= rates[-1] < 0.001


def test_a_warm_up_longer_than_the_run_still_trains() -> None:
    training = dataclasses.replace(SETTLED, warmup_steps=100)
    assert all(learning_rate_at(step, 5, training) > 0 for step in range(1, 6))


def test_the_loss_falls_and_the_best_weights_are_in_the_model_at_the_end(tmp_path: Path) -> None:
    events: list[Event] = []
    one = work(tmp_path, events)
    outcome = fit(one)
    assert outcome.finished
    assert losses(events)[24] < 0.8 * losses(events)[1]
    checks = {event.step: event.metrics["macro_f1"] for event in events if isinstance(event, Evaluated)}
    assert set(checks) == {5, 10, 15, 20, 24}
    assert outcome.best_step == max(checks, key=lambda step: (checks[step], -step))
    chances = classify.probabilities(one.model, TOKENIZER, one.validation.ids)
    accuracy = (chances.argmax(1) == one.validation.labels).mean()
    best = next(event for event in events if isinstance(event, Evaluated) and event.step == outcome.best_step)
    assert accuracy == pytest.approx(best.metrics["accuracy"])


@pytest.mark.parametrize("stop_at", [1, 5, 7, 8, 16, 23])
def test_a_stopped_and_resumed_run_takes_the_same_steps_to_the_same_weights_as_an_unbroken_one(tmp_path: Path, stop_at: int) -> None:
    unbroken: list[Event] = []
    whole = work(tmp_path / "whole", unbroken)
    fit(whole)

    first: list[Event] = []
    stopped = fit(work(tmp_path / "broken", first, stop_at=stop_at))
    assert not stopped.finished
    assert stopped.step == stop_at
    second: list[Event] = []
    resumed = work(tmp_path / "broken", second)
    outcome = fit(resumed)

    assert outcome.finished
    assert losses(first) | losses(second) == losses(unbroken), "to the last bit"
    assert min(losses(second)) == stop_at + 1, "no step is taken twice"
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(resumed)[name])
    assert {event.step: event.metrics for event in first + second if isinstance(event, Evaluated)} == {
        event.step: event.metrics for event in unbroken if isinstance(event, Evaluated)
    }


class Wide(Toy):
    """With two matrices of more than 4,096 weights: those alone AdamW of 8 bits keeps in 8 bits, with one table for all."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(600, 8)
        self.head = torch.nn.Sequential(torch.nn.Linear(8, 600), torch.nn.Linear(600, 8), torch.nn.Linear(8, 2))  # type: ignore[assignment]


def test_a_run_with_8_bit_adamw_is_saved_and_resumed_to_the_same_end(tmp_path: Path) -> None:
    training = dataclasses.replace(SETTLED, optimizer="adamw_8bit", learning_rate=0.01)

    def wide(folder: Path, events: list[Event], stop_at: int | None = None) -> Work:
        torch.manual_seed(0)
        return dataclasses.replace(work(folder, events, training=training, stop_at=stop_at), model=Wide())

    unbroken: list[Event] = []
    whole = wide(tmp_path / "whole", unbroken)
    fit(whole)
    first: list[Event] = []
    assert not fit(wide(tmp_path / "broken", first, stop_at=7)).finished
    second: list[Event] = []
    resumed = wide(tmp_path / "broken", second)
    assert fit(resumed).finished
    assert losses(first) | losses(second) == losses(unbroken)
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(resumed)[name])


def test_a_run_resumed_past_a_damaged_checkpoint_still_ends_like_an_unbroken_one(tmp_path: Path) -> None:
    unbroken: list[Event] = []
    fit(work(tmp_path / "whole", unbroken))
    first: list[Event] = []
    fit(work(tmp_path / "broken", first, stop_at=12))
    newest = checkpoint.saved(tmp_path / "broken")[-1]
    (newest / "optimizer.safetensors").unlink()
    second: list[Event] = []
    assert fit(work(tmp_path / "broken", second)).finished
    assert any(isinstance(event, Warned) and "damaged" in event.message for event in second)
    assert losses(second) == {step: loss for step, loss in losses(unbroken).items() if step >= min(losses(second))}


def test_a_finished_run_that_is_resumed_trains_no_further(tmp_path: Path) -> None:
    first: list[Event] = []
    done = work(tmp_path, first)
    fit(done)
    second: list[Event] = []
    again = work(tmp_path, second)
    assert fit(again).finished
    assert not losses(second)
    for name, tensor in weights(done).items():
        assert torch.equal(tensor, weights(again)[name])


def test_training_stops_early_when_the_checks_bring_no_gain(tmp_path: Path) -> None:
    events: list[Event] = []
    training = dataclasses.replace(SETTLED, learning_rate=1e-7, patience=2, evaluate_every=2)
    outcome = fit(work(tmp_path, events, steps=100, training=training))
    assert outcome.finished
    assert outcome.best_step == 2
    assert outcome.step == 6
    assert "2 checks brought no gain" in outcome.why


def test_patience_counts_from_before_a_stop(tmp_path: Path) -> None:
    training = dataclasses.replace(SETTLED, learning_rate=1e-7, patience=2, evaluate_every=2)
    fit(work(tmp_path, [], steps=100, training=training, stop_at=5))
    assert fit(work(tmp_path, [], steps=100, training=training)).step == 6


def test_a_run_that_is_asked_to_end_keeps_the_best_it_had(tmp_path: Path) -> None:
    events: list[Event] = []
    asked = dataclasses.replace(work(tmp_path, events, steps=100), is_enough=lambda: len(losses(events)) >= 7)
    outcome = fit(asked)
    assert outcome.finished
    assert outcome.step == 7
    assert outcome.best_step == 5, "the check that came before"
    assert outcome.why.startswith("Ended at step 7 of 100, as you asked.")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_the_run_before_it_reaches_the_weights(tmp_path: Path, bad: float) -> None:
    events: list[Event] = []
    calls = itertools.count(1)

    def learn(*given: Any) -> torch.Tensor:
        return classify.learn(*given) * (bad if next(calls) > 12 else 1.0)

    one = dataclasses.replace(work(tmp_path, events), learn=learn)
    with pytest.raises(RunFailed, match="stopped being a number"):
        fit(one)
    assert all(torch.isfinite(tensor).all() for tensor in one.model.state_dict().values())
    assert checkpoint.newest(tmp_path)[0] is not None, "and it can be resumed from before"


def test_a_gradient_that_is_not_finite_ends_the_run_too(tmp_path: Path) -> None:
    class Root(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, logits: torch.Tensor) -> torch.Tensor:
            return logits.clone()

        @staticmethod
        def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
            return grads[0] * float("inf")

    one = dataclasses.replace(work(tmp_path, []), learn=lambda *given: Root.apply(classify.learn(*given)))
    with pytest.raises(RunFailed, match="gradient stopped being a number"):
        fit(one)
    assert all(torch.isfinite(tensor).all() for tensor in one.model.state_dict().values())


def test_at_least_one_checkpoint_lands_in_every_minute_of_work(tmp_path: Path) -> None:
    """The toy clock advances one second a call; the gaps between Saved events are measured on it."""
    events: list[Event] = []
    training = dataclasses.replace(SETTLED, evaluate_every=10_000)
    fit(work(tmp_path, events, steps=100, training=training))
    times = [0.0, *(event.time for event in events if isinstance(event, Saved))]
    assert len(times) > 5
    assert max(later - earlier for earlier, later in itertools.pairwise(times)) <= 60


def test_a_check_that_takes_long_begins_with_a_fresh_checkpoint(tmp_path: Path) -> None:
    """Scoring 5,000 rows at 76 a second takes a minute, in which a crash would cost all steps since the last checkpoint."""
    events: list[Event] = []
    fit(work(tmp_path, events, steps=40, training=dataclasses.replace(SETTLED, evaluate_every=20, learning_rate=1e-7)))
    kinds = [(type(event).__name__, event.step) for event in events if isinstance(event, (Saved, Evaluated))]
    assert kinds.index(("Saved", 20)) < kinds.index(("Evaluated", 20))
    assert len({step for kind, step in kinds if kind == "Saved"}) == sum(kind == "Saved" for kind, _ in kinds), "no step is saved twice"


def test_a_stop_during_the_check_on_the_validation_rows_loses_nothing(tmp_path: Path) -> None:
    unbroken: list[Event] = []
    fit(work(tmp_path / "whole", unbroken))
    first: list[Event] = []
    broken = work(tmp_path / "broken", first)
    asked = iter([False] * 10 + [True] * 100)  # true in the middle of the first check
    stopped: Outcome = fit(dataclasses.replace(broken, should_stop=lambda: next(asked)))
    assert not stopped.finished
    second: list[Event] = []
    fit(work(tmp_path / "broken", second))
    assert losses(first) | losses(second) == losses(unbroken)


def test_gradient_accumulation_gives_the_step_of_one_large_batch(tmp_path: Path) -> None:
    def first_step(batch_size: int, accumulation: int) -> tuple[float, float]:
        events: list[Event] = []
        training = dataclasses.replace(SETTLED, batch_size=batch_size, accumulation=accumulation, length_grouping=False)
        one = work(tmp_path / f"{batch_size}", events, steps=1, training=training)
        one.model.dropout.p = 0.0  # type: ignore[union-attr]
        fit(one)
        step = next(event for event in events if isinstance(event, Step))
        return step.loss, step.grad_norm

    assert first_step(16, 1) == pytest.approx(first_step(4, 4), rel=1e-5)
