"""A finished run's folder, made in a moment: a real model with a random head, kept as the worker keeps it, judged on made-up answers."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np

from engine import account, evaluate, models, plan, spec, trained
from engine.baselines import Guess
from engine.data.split import Rows, Split
from engine.events import Ended, Queued, Started
from engine.knobs import knobs_of, settle
from engine.methods import all_methods
from engine.models import ModelFacts
from engine.scoring import Interval
from engine.store import Store
from engine.tasks import all_tasks
from engine.tasks.classify import ClassifyKnobs

CLASSES = ("Negative", "নিরপেক্ষ", "Positive")
VERSIONS = {"python": "3.11.9", "shur": "0.1.0", "torch": "2.13.0", "transformers": "5.23.0", "peft": "0.21.2"}
ROWS = 150


def finished_run(
    home: Path,
    base: str,
    method: str = "lora",
    *,
    data: str = "sample:film-reviews-en",
    task: str = "classify",
    preset: str | None = "balanced",
    **settings: Any,
) -> str:
    """The id of a run over this base (catalogue id, Hub id or folder) whose model is kept and judged."""
    learnt = all_tasks()[task]
    facts = learnt.facts(models.find(base, token=None, home=home))
    every = _settings(method, {"max_length": 16, **settings}, learnt.knobs)
    planned = plan_of(facts, method, every, task)
    asked = spec.RunSpec(
        spec.DataSpec(data, target=learnt.target),
        base,
        method,
        task=task,
        preset=preset,
        settings={"rank": 4} if method == "lora" else {},
        name="Film reviews",
    )
    store = Store(home)
    run_id = store.create(spec.to_json(asked), plan.to_json(planned), "Film reviews")
    folder = store.folder(run_id)
    store.append(run_id, Queued(1000.0))
    store.append(run_id, Started(1001.0, 1, 1.0, VERSIONS, "CPU, 2 cores"))
    _keep(run_id, folder / "model", home, planned)
    if learnt.writes:
        (folder / account.FILE).write_text(account.to_json(told(task)), "utf-8")
    else:
        (folder / "evaluation.json").write_text(evaluate.to_json(judged()), "utf-8")
    store.append(run_id, Ended(1121.0, "finished", "All 120 steps are done.", seconds=120.0))
    return run_id


def _settings(method: str, wanted: dict[str, Any], task_knobs: type = ClassifyKnobs) -> dict[str, Any]:
    decided = {"epochs": 3.0, "learning_rate": 5e-4, "batch_size": 16, "accumulation": 2, "warmup_steps": 12, "precision": "fp32",
               "evaluate_every": 12, "alpha": 8, "rank": 4}  # fmt: skip
    every = {}
    for kind in (Split, task_knobs, spec.Training, all_methods()[method].knobs):
        for knob in knobs_of(kind):
            every[knob.name] = wanted.get(knob.name, decided.get(knob.name, knob.default))
    return every


def plan_of(facts: ModelFacts, method: str, settings: dict[str, Any], task: str = "classify") -> plan.Plan:
    trainable = all_methods()[method].trainable(settle(all_methods()[method].knobs, settings), facts, len(CLASSES))
    labels = ("all rows",) if all_tasks()[task].writes else CLASSES
    return plan.Plan(
        task=task, method=method, text="text", label="label", second="", labels=labels, class_counts=dict.fromkeys(labels, 500),
        rows={"train": 1200, "validation": 150, "test": ROWS}, settings=settings, effective_batch=32, steps=120,
        decisions=(plan.Decision("batch_size", 16, "1,200 rows learn well in batches of 16 to 32."),),
        trainable_parameters=trainable, parameters=facts.parameters(len(CLASSES)), memory_bytes=10**9, memory_available_bytes=4 * 10**9,
        memory_parts={}, memory_basis="estimated", seconds=None, seconds_parts={}, seconds_basis="estimated", disk_bytes=10**8,
        disk_free_bytes=10**10, save_bytes=10**6, device="cpu", device_words="CPU, 2 cores", model=facts, data_sha256="a" * 64,
        tokens_per_word=1.3, cut_share=0.0, notes=(),
    )  # fmt: skip


def _keep(run_id: str, folder: Path, home: Path, planned: plan.Plan) -> None:
    import torch

    method, task = all_methods()[planned.method], all_tasks()[planned.task]
    base = models.fetch(planned.model, token=None, home=home, say=lambda *_: None)
    torch.manual_seed(0)
    tokenizer = task.load_tokenizer(base)
    opened = trained.open_base(base, planned.labels, planned, planned.model, tokenizer, "fp32")
    model = method.prepare(opened, settle(method.knobs, planned.settings), planned.model)
    with torch.no_grad():  # LoRA's B starts at zero: moved, so that the adapter counts
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    kept = trained.Kept(
        run_id, planned.model.id, planned.model.revision, planned.method, planned.task, planned.settings, "a" * 64, VERSIONS
    )
    trained.keep(model, tokenizer, planned.labels, kept, folder)


def told(task: str) -> account.Account:
    """An account in which the training helped: 40 rows, an answer of four letters each."""
    headline = all_tasks()[task].writes
    assert headline is not None
    names = {"perplexity_token": "Perplexity per token", "perplexity_word": "Perplexity per word", "rougeL": "ROUGE-L", "chrf": "chrF",
             "token_f1": "Token F1"}  # fmt: skip
    chosen = dict.fromkeys(("perplexity_token", "perplexity_word", headline.headline))
    figures = tuple(
        account.Told(one, names[one], "lower" if "perplexity" in one else "higher", "How it is counted.", 40, Interval(3.5, 3.1, 4.0), 9.25,
                     Interval(-5.75, -6.5, -5.0) if "perplexity" in one else Interval(5.75, 5.0, 6.5), 0.0001)
        for one in chosen
    )  # fmt: skip
    samples = tuple(account.Sample(at, f"secret text {at}", "good", "good", "bad", "end") for at in range(1, 13))
    sentence = account.sentence(headline.headline, figures)
    return account.Account(task, 40, 40, headline.headline, figures, sentence, ("Few rows.",), samples, 120)


def judged() -> evaluate.Evaluation:
    dice = random.Random(1)
    labels = [dice.randrange(3) for _ in range(ROWS)]
    answers = [label if dice.random() < 0.8 else dice.randrange(3) for label in labels]
    weaker = tuple(label if dice.random() < 0.5 else dice.randrange(3) for label in labels)
    guesses = [Guess("majority", "Largest class", (0,) * ROWS, ""), Guess("tfidf", "TF-IDF with logistic regression", weaker, "A note.")]
    test = Rows([f"secret text {at}" for at in range(ROWS)], labels, list(range(1, ROWS + 1)))
    return evaluate.evaluate(test, np.eye(3)[answers] * 0.7 + 0.1, CLASSES, guesses, step=120)
