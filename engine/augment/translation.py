"""Texts translated there and back by models that are open in this process, which is the worker's: batched, cached, with an end in time.

A text goes piece by piece, a sentence each, for these models were made on sentences. Without sampling, so that the same texts come
out again: one copy is the likeliest wording, several are the likeliest ones of a beam search.

    HOME/cache/translations/<sha256>.jsonl    {"piece": "…", "said": ["…"]}    one file a model, pair of languages and number of wordings
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import regex

from engine.augment.translators import Translator, version
from engine.errors import Problem, RunFailed, is_out_of_memory

ROWS_AT_ONCE = 64  # taken there and back before the next ones, so that whatever time there is makes whole rows
BATCH = 16  # pieces
LONGEST = 256  # tokens of a piece that are read, and written at most
SENTENCE = regex.compile(r"(?<=[.!?।॥…])\s+|\n+")


@dataclass
class Speaker:
    """A model that is open for one direction. `said` remembers what it made of each piece, on disk too."""

    model: Any
    tokenizer: Any
    way: str
    source: str
    target: str
    wordings: int
    kept: Path
    said: dict[str, list[str]] = field(default_factory=dict)

    def learn_kept(self) -> None:
        """Reads what was translated before; a line that a crash left half written is passed over."""
        if not self.kept.exists():
            return
        for line in self.kept.read_text("utf-8", "replace").split("\n"):
            try:
                told = json.loads(line)
                self.said[told["piece"]] = [str(one) for one in told["said"]]
            except (ValueError, KeyError, TypeError):
                continue

    def say(self, pieces: Iterable[str], going: Callable[[], None]) -> None:
        """Translates what is not known yet, in batches of like length. `going` is called before each and may raise to stop."""
        new = sorted({one for one in pieces if one not in self.said}, key=lambda one: (len(one), one))
        for start in range(0, len(new), BATCH):
            going()
            batch = new[start : start + BATCH]
            told = dict(zip(batch, self._translated(batch), strict=True))
            self.said |= told
            lines = "".join(json.dumps({"piece": piece, "said": said}, ensure_ascii=False) + "\n" for piece, said in told.items())
            self.kept.parent.mkdir(parents=True, exist_ok=True)
            with self.kept.open("a", encoding="utf-8", errors="replace") as file:
                file.write(lines)

    def _translated(self, batch: Sequence[str]) -> list[list[str]]:
        try:
            return self._generated(batch)
        except RuntimeError as error:
            if len(batch) == 1 or not is_out_of_memory(error):
                raise
        half = len(batch) // 2
        return [*self._translated(batch[:half]), *self._translated(batch[half:])]

    def _generated(self, batch: Sequence[str]) -> list[list[str]]:
        import torch

        before, more = _told(self.tokenizer, self.way, self.source, self.target)
        inputs = self.tokenizer([before + one for one in batch], return_tensors="pt", padding=True, truncation=True, max_length=LONGEST)
        inputs = {name: inputs[name].to(self.model.device) for name in ("input_ids", "attention_mask")}
        longest = min(LONGEST, 2 * inputs["input_ids"].shape[1] + 8)
        with torch.inference_mode():
            ids = self.model.generate(
                **inputs, **more, max_new_tokens=longest, do_sample=False, num_beams=self.wordings, num_return_sequences=self.wordings
            )
        texts = [" ".join(one.split()) for one in self.tokenizer.batch_decode(ids, skip_special_tokens=True)]
        return [texts[at : at + self.wordings] for at in range(0, len(texts), self.wordings)]


def _told(tokenizer: Any, way: str, source: str, target: str) -> tuple[str, dict[str, Any]]:
    """What stands before a text, and what `generate` is told besides, so that the model knows the languages."""
    if way == "sentence":
        return f"translate {source} to {target}: ", {}
    if way == "pair":  # some know several targets
        wanted = f">>{target}<<"
        return (f"{wanted} " if target and wanted in tokenizer.get_vocab() else ""), {}
    codes = {"language": source, "language_between": target}
    known = {name: code_of(tokenizer, code) for name, code in codes.items()}
    unknown = [name for name, found in known.items() if found is None]
    if unknown:
        some = ", ".join(sorted(one.strip("_") for one in _codes(tokenizer))[:12])
        message = f"The model that translates knows no language {codes[unknown[0]]!r}."
        fix = f"It calls its languages so: {some} …" if some else "Choose another model."
        raise RunFailed(Problem(f"settings.{unknown[0]}", message, fix))
    tokenizer.src_lang = str(known["language"]).strip("_")
    return "", {"forced_bos_token_id": tokenizer.convert_tokens_to_ids(known["language_between"])}


def code_of(tokenizer: Any, language: str) -> str | None:
    """The token of a language: as it was written, or the only one that begins so ("bn_IN" of "bn")."""
    codes = _codes(tokenizer)
    for one in (language, f"__{language}__"):
        if one in codes:
            return one
    near = [one for one in codes if one.startswith(f"{language}_")]
    return near[0] if language and len(near) == 1 else None


def _codes(tokenizer: Any) -> set[str]:
    """The tokens that name a language: bn_IN, ben_Beng, or __bn__."""
    return {one for one in tokenizer.get_vocab() if regex.fullmatch(r"[a-z]{2,3}_[A-Z][A-Za-z]{1,3}|__[a-z]{2,3}__", one)}


def open_speaker(one: Translator, folder: Path, languages: tuple[str, str], wordings: int, *, home: Path, device: str) -> Speaker:
    """The model of a folder, for this direction. Weights from safetensors only; no code of the folder is run."""
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    model = AutoModelForSeq2SeqLM.from_pretrained(
        folder, dtype=torch.float32, use_safetensors=True, local_files_only=True, trust_remote_code=False
    )
    told = hashlib.sha256(json.dumps([one.id, version(one), one.way, *languages, wordings]).encode()).hexdigest()
    made = Speaker(model.to(device).eval(), tokenizer, one.way, *languages, wordings, home / "cache" / "translations" / f"{told}.jsonl")
    made.learn_kept()
    return made


def there_and_back(
    texts: Sequence[str],
    there: Speaker,
    back: Speaker,
    *,
    seed: int,
    seconds: float,
    clock: Callable[[], float],
    said: Callable[[int], None],
) -> dict[int, list[str]]:
    """The texts' other wordings by their place, the likeliest first, as many of them as there was time for.

    "" where a model went round in circles. The order is by chance, so that an early end leaves no class out. `said(texts done)` may
    raise to stop.
    """
    order = list(range(len(texts)))
    Random(f"{seed}/translation").shuffle(order)
    pieces = {at: [one for one in SENTENCE.split(texts[at]) if one.strip()] for at in order}
    begun, found = clock(), dict[int, list[str]]()
    for start in range(0, len(order), ROWS_AT_ONCE):
        if clock() - begun >= seconds:
            break
        rows = order[start : start + ROWS_AT_ONCE]
        there.say((one for at in rows for one in pieces[at]), lambda: said(len(found)))
        back.say((there.said[one][0] for at in rows for one in pieces[at] if there.said[one][0]), lambda: said(len(found)))
        for at in rows:
            between = [there.said[one][0] for one in pieces[at]]
            told = (" ".join(back.said[one][wording] for one in between if one) for wording in range(back.wordings))
            found[at] = [unicodedata.normalize("NFC", one) if len(one) <= 3 * len(texts[at]) + 100 else "" for one in told]
        said(len(found))
    return found
