"""Tokens a second of `engine.generation`: one text, one that is heard word by word as in the playground, and eight at once.

python -m tests.benchmarks.gpu writing HOME --model ID
"""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from engine import models
from engine.tasks import classify
from tests.benchmarks.gpu_steps import Lines, caught, forget, looking, peak

PROMPT = "The film tells the story of a"


def writing(told: argparse.Namespace) -> Lines:
    import torch
    from transformers import AutoModelForCausalLM

    from engine.decoding import Decoding
    from engine.generation import generate

    home = looking(told.home).home
    folder = models.fetch(models.find(told.model, token=None, home=home), token=None, home=home, say=lambda *_: None)
    tokenizer = classify.load_tokenizer(folder)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    prompt = tokenizer(PROMPT)["input_ids"]
    decoding = Decoding(temperature=0.0, top_p=1.0, max_new_tokens=told.tokens)
    sampled = dataclasses.replace(decoding, temperature=0.7, top_p=0.95)
    for dtype in ("bfloat16", "float32"):
        model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype), local_files_only=True).to(device).eval()
        generate(model, tokenizer, [prompt], dataclasses.replace(decoding, max_new_tokens=4))
        for rows, how, heard in ((1, decoding, None), (1, sampled, lambda *_: None), (8, decoding, None)):

            def case(model: Any = model, rows: int = rows, how: Decoding = how, heard: Any = heard) -> dict[str, Any]:
                written = generate(model, tokenizer, [prompt] * rows, how, batch_size=rows, heard=heard)
                texts = [one for one in written.texts if one]
                alike = len({one.text for one in texts}) == 1
                told = {"tokens": written.tokens, "seconds": round(written.seconds, 2), "alike": alike, "text": texts[0].text[:200]}
                return {"tokens_a_second": round(written.tokens_per_second, 1), **told, **peak()}

            yield {"model": told.model, "dtype": dtype, "batch": rows, "sampled": how is sampled, "heard": heard is not None} | caught(case)
        del model
        forget()
