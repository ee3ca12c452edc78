"""Runs that learnt to write, made in a moment: a tiny base with a random LoRA beside it, kept as PEFT keeps it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from engine import models, plan, spec
from engine.events import Ended, Queued, Started
from engine.knobs import knobs_of
from engine.store import Store
from engine.tasks import all_tasks
from engine.tasks.classify import load_tokenizer
from engine.trained import Kept
from tests.finished import VERSIONS, _settings, plan_of
from tests.tiny import tiny

CHAT = (
    "{% for one in messages %}{{ '[' + one.role + '] ' + one.content + eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '[assistant] ' }}{% endif %}"
)


def writer(architecture: str, folder: Path, *, chat: bool = False, endless: bool = False, seed: int = 0, **config: Any) -> Path:
    """A tiny base that says different words: a folder with its tokenizer, with a chat template where asked for.

    `endless`: the token that ends a text is never the likeliest.
    """
    tiny(architecture, folder, seed=seed, initializer_range=0.4, tie_word_embeddings=False, **config)
    if endless:
        weights = load_file(folder / "model.safetensors")
        weights["lm_head.weight"][json.loads((folder / "config.json").read_text())["eos_token_id"]] = 0.0
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    if chat:
        (folder / "chat_template.jinja").write_text(CHAT)
    return folder


def writing_run(
    home: Path, base: Path | str, *, seed: int = 1, name: str = "Reviews written", task: str = "label_by_writing", method: str = "lora",
    **settings: Any,
) -> str:  # fmt: skip
    """The id of a finished run over this base that writes other texts than it: by LoRA (method lora or qlora), or with all weights changed.

    One of the task label_by_writing reads "Review: {text}".
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    learnt = all_tasks()[task]
    facts = models.find(str(base), token=None, home=home)
    place = models.fetch(facts, token=None, home=home, say=lambda *_: None)
    defaults = {one.name: one.default for one in knobs_of(learnt.knobs)}
    every = {**defaults, **_settings(method, settings), "max_length": 64, "template": "Review: {text}", **settings}
    asked = spec.RunSpec(spec.DataSpec("sample:film-reviews-en"), str(base), method, task=task, name=name)
    store = Store(home)
    planned = dataclasses.replace(plan_of(learnt.facts(facts), method, every), task=task)
    run_id = store.create(spec.to_json(asked), plan.to_json(planned), name)
    for event in (Queued(1.0), Started(2.0, 1, 1.0, VERSIONS, "CPU, 2 cores"), Ended(3.0, "finished", "Done.", seconds=1.0)):
        store.append(run_id, event)
    folder = store.folder(run_id) / "model"
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model: Any = AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32)
        if method != "full":
            model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=["q_proj", "down_proj"]))
        with torch.no_grad():  # B starts at zero: moved, so that the adapter counts
            for one in model.parameters():
                if one.requires_grad:
                    one.add_((0.03 if method == "full" else 0.3) * torch.randn_like(one))
    model.save_pretrained(folder)
    load_tokenizer(place).save_pretrained(folder)
    (folder / "labels.json").write_text("[]")
    kept = Kept(run_id, str(base), None, method, task, every, "a" * 64, VERSIONS)
    (folder / "shur.json").write_text(json.dumps(dataclasses.asdict(kept)))
    return run_id
