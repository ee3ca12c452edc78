"""The lines of Python that load a model that was taken home, with nothing of Shur, and what a finished run tells of itself. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import PureWindowsPath
from typing import Any

from engine import pooling
from engine.account import Account
from engine.catalog import Catalog
from engine.evaluate import Evaluation
from engine.models import EMBEDDED, EMBEDDED_PACKAGE
from engine.plan import Plan
from engine.spec import RunSpec
from engine.tasks import all_tasks
from engine.tasks.similar import POOLING
from engine.trained import Kept

HUB = "https://huggingface.co/"


@dataclass(frozen=True)
class Pair:
    """Token ids around and between the two texts of a pair, and whether the model tells them apart by segments."""

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    segments: bool


@dataclass(frozen=True)
class Finished:
    """All that is told of a run whose model is kept."""

    run_id: str
    spec: RunSpec
    plan: Plan
    kept: Kept
    evaluation: Evaluation | None  # None: the run was broken off before the test
    catalog: Catalog
    adapter: bool  # a small file beside the base; else the whole model
    delta: dict[str, Any] | None  # of delta.json, where that is how the small file is kept (methods/_delta.py); else it is PEFT's
    special_tokens: tuple[int, int]  # that the tokenizer puts before and after a text
    device: str
    seconds: float
    pair: Pair | None = None  # how two texts are put together, where the model reads pairs
    account: Account | None = None  # instead of an evaluation, where the task gives no classes
    writes: bool = False  # whether its task is to write, and not to give a class
    stops: tuple[str, ...] = ()  # words at which an answer ends
    ends: tuple[str, ...] = ()  # special tokens that end one, besides the tokenizer's own end
    temperature: float = 1.0  # by which logits are divided, so that its confidence is true

    @property
    def sorts(self) -> bool:
        """Whether the model gives classes."""
        task = all_tasks().get(self.plan.task)
        return task is None or task.sorts

    @property
    def gives_tags(self) -> bool:
        """Whether the model gives any number of tags."""
        task = all_tasks().get(self.plan.task)
        return task is not None and task.target == "tags"

    @property
    def has_head(self) -> bool:
        """Whether a head was put in the place of the one that writes; or none, where texts are compared."""
        return bool(self.plan.model.head) or self.compares

    @property
    def compares(self) -> bool:
        """Whether the model is an encoder without a head, by which two texts are compared."""
        task = all_tasks().get(self.plan.task)
        return task is not None and task.pairs

    @property
    def name(self) -> str:
        return self.spec.name or self.run_id


def base_id(finished: Finished) -> str:
    """What the base is called outside this machine: its id on the Hub, or the name of its folder."""
    facts = finished.plan.model
    entry = finished.catalog.model(facts.id)
    if entry and entry.source_url.startswith(HUB):
        return entry.source_url.removeprefix(HUB)
    if facts.source in ("folder", "gguf"):
        return PureWindowsPath(facts.id).name or "base"  # takes / and \ alike
    return facts.id


def is_on_hub(finished: Finished) -> bool:
    """Whether others find the base by its name."""
    return finished.plan.model.source in ("hub", "package") or finished.catalog.model(finished.plan.model.id) is not None


def example(finished: Finished, folder: str = "Path(__file__).parent") -> str:
    """Python that loads the model and answers two texts, with nothing of Shur. `folder` is an expression for where the files lie."""
    settings = finished.plan.settings
    imports = ["import json", "import unicodedata", "from pathlib import Path", "import torch"]
    if finished.adapter and finished.plan.model.id == EMBEDDED:
        imports.insert(2, "from importlib.util import find_spec")
    more, lines_of_model = loading(finished)
    imports += [*more, "from transformers import AutoModelForSequenceClassification, AutoTokenizer"]
    lines = [
        f"folder = {folder}",
        'labels = json.loads((folder / "labels.json").read_text("utf-8"))',
        "tokenizer = AutoTokenizer.from_pretrained(folder)",
        *lines_of_model,
        *(_compared(finished) if finished.compares else _pairs(finished) if finished.pair else [
            'for text in ["Write your text here.", "আপনার লেখা এখানে লিখুন।"]:',
            '    ids = tokenizer(unicodedata.normalize("NFC", text))["input_ids"]',
            f"    {_cut(int(settings['max_length']), str(settings['keep']), finished.special_tokens)}",
        ]),
        *([] if finished.compares else _answer(finished)),
    ]  # fmt: skip
    told = "\n".join(imports) + "\n\n" + "\n".join(lines) + "\n"
    return told.replace("AutoModelForSequenceClassification", "AutoModel") if finished.compares else told


def _compared(finished: Finished) -> list[str]:
    """The lines that compare two texts by the vectors that are made of their words'."""
    settings = finished.plan.settings
    return [
        'for text in [("Write a text here.", "And the one beside it here.")]:',
        "    vectors = []",
        "    for part in text:",
        '        ids = tokenizer(unicodedata.normalize("NFC", part))["input_ids"]',
        f"        {_cut(int(settings['max_length']), str(settings['keep']), finished.special_tokens)}",
        "        states = model(input_ids=torch.tensor([ids])).last_hidden_state[0, -len(ids) :]",
        f"        vectors.append({pooling.line(finished.plan.model.pooling)})",
        "    print(text, torch.cosine_similarity(*vectors, dim=0).item())",
    ]


def _answer(finished: Finished) -> list[str]:
    """The lines that turn the model's answer into what a person reads."""
    scale = finished.kept.scale
    if scale is not None:
        return [f"    print(text, {_logits(finished, 1.0)}.item() * {scale.spread!r} + {scale.mean!r})"]
    threshold = finished.kept.threshold
    if threshold is not None:
        return [
            f"    chances = dict(zip(labels, {_logits(finished, 1.0)}.sigmoid()[0].tolist()))",
            f"    print(text, [tag for tag, chance in chances.items() if chance >= {threshold!r}], chances)",
        ]
    chances = _logits(finished, finished.temperature)
    return [f"    chances = {chances}.softmax(-1)[0].tolist()", "    print(text, dict(zip(labels, chances)))"]


def _pairs(finished: Finished) -> list[str]:
    """The lines that make `ids`, and `types` where there are segments, of two texts: both cut alike (tasks/_pairs.py)."""
    pair, settings = finished.pair, finished.plan.settings
    assert pair is not None
    room = max(2, int(settings["max_length"]) - len(pair.before) - len(pair.between) - len(pair.after))
    tail = "room // 2" if settings["keep"] == "ends" else "0"
    return [
        "def cut(ids, room):",
        f"    tail = {tail}",
        "    return ids if len(ids) <= room else ids[: room - tail] + ids[len(ids) - tail :]",
        'for text in [("Write a text here.", "And the one beside it here.")]:',
        '    one, other = (tokenizer(unicodedata.normalize("NFC", part), add_special_tokens=False)["input_ids"] for part in text)',
        f"    first = min(len(one), max({room - room // 2}, {room} - len(other)))",
        f"    start = {list(pair.before)} + cut(one, first) + {list(pair.between)}",
        f"    ids = start + cut(other, min(len(other), {room} - first)) + {list(pair.after)}",
        *(["    types = torch.tensor([[0] * len(start) + [1] * (len(ids) - len(start))])"] if pair.segments else []),
    ]


def _logits(finished: Finished, temperature: float) -> str:
    """The model's answer, with its confidence corrected where that is switched on."""
    types = ", token_type_ids=types" if finished.pair and finished.pair.segments else ""
    logits = f"model(input_ids=torch.tensor([ids]){types}).logits"
    return logits if temperature == 1.0 else f"({logits} / {temperature!r})"


def loading(finished: Finished) -> tuple[list[str], list[str]]:
    """The imports and the lines that make `model` from the files and, where they are not the whole, from the base."""
    kind = "AutoModel" if finished.compares else "AutoModelForSequenceClassification" if finished.has_head else kind_that_writes(finished)
    if not finished.adapter:
        return [], [f'model = {kind}.from_pretrained(folder, dtype="float32").eval()']
    heads = "num_labels=len(labels), pad_token_id=tokenizer.pad_token_id, " if finished.has_head else ""
    if finished.compares:
        heads = "add_pooling_layer=False, " if finished.plan.model.architecture in POOLING else ""
    base = f'{kind}.from_pretrained({_base_expression(finished)}, {heads}dtype="float32")'
    if finished.delta is None:
        return ["from peft import PeftModel"], [f"base = {base}", "model = PeftModel.from_pretrained(base, folder).eval()"]
    lines = [
        f"model = {base}.eval()",
        'delta = load_file(folder / "delta.safetensors")',
        "model.load_state_dict(delta, strict=False)",
    ]
    imports = ["from safetensors.torch import load_file"]
    if finished.delta["added"] is None:
        return imports, lines
    return [*imports, "from torch.nn.functional import linear"], [*lines, *_adapters(finished.delta["added"])]


def sentences(finished: Finished) -> dict[str, Any]:
    """The files, name -> content, by which sentence-transformers opens a whole model that compares texts; none for any other.

    In the form that its versions since 2.0 read. It knows no text that is cut in its middle, so there are none where both ends are kept.
    """
    settings = finished.plan.settings
    if not finished.compares or finished.adapter or settings["keep"] != "start":
        return {}
    kinds = {"": "Transformer", "1_Pooling": "Pooling"}  # folder -> module
    return {
        "modules.json": [
            {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for at, (path, kind) in enumerate(kinds.items())
        ],
        "sentence_bert_config.json": {"max_seq_length": int(settings["max_length"]), "do_lower_case": False},
        pooling.FILE: pooling.config(finished.plan.model.pooling, finished.plan.model.hidden_size),
        "config_sentence_transformers.json": {"similarity_fn_name": "cosine"},
    }


def kind_that_writes(finished: Finished) -> str:
    """transformers' class that opens a model of this kind with the head that writes."""
    return "AutoModelForSeq2SeqLM" if finished.plan.model.encoder_decoder else "AutoModelForCausalLM"


def _adapters(added: dict[str, Any]) -> list[str]:
    """Lines that hook each bottleneck adapter to the output of its matrix (methods/adapter.py)."""
    lines = [
        "def bottleneck(x, w):",
        '    return linear(linear(x, w["down.weight"], w["down.bias"]).relu(), w["up.weight"], w["up.bias"])',
        'for name in sorted({one.split(".adapter.")[0] for one in delta if ".adapter." in one}):',
        '    w = {one.split(".adapter.")[1]: delta[one] for one in delta if one.startswith(name + ".adapter.")}',
    ]
    if added["takes_in"] is None:
        return [*lines, "    model.get_submodule(name).register_forward_hook(lambda module, x, y, w=w: y + bottleneck(y, w))"]
    (at,) = added["at"]
    return [
        *lines,
        f"    first, seen = name.removesuffix({quoted(at)}) + {quoted(added['takes_in'])}, dict()",
        "    model.get_submodule(first).register_forward_pre_hook(lambda module, x, seen=seen: seen.update(x=x[0]))",
        "    model.get_submodule(name).register_forward_hook(",
        f'        lambda module, x, y, w=w, seen=seen: y + {added["scale"]!r} * bottleneck(seen["x"], w)',
        "    )",
    ]


def _base_expression(finished: Finished) -> str:
    facts = finished.plan.model
    if facts.id == EMBEDDED:
        return f'Path(find_spec("{EMBEDDED_PACKAGE}").origin).parent / "model"'
    if facts.source == "hub" and facts.revision:
        return f"{quoted(base_id(finished))}, revision={quoted(facts.revision)}"
    return quoted(base_id(finished))


def _cut(max_length: int, keep: str, special_tokens: tuple[int, int]) -> str:
    """Cuts token ids as the task does: the special tokens and the first, or the first and the last, of the others."""
    before, after = special_tokens
    room = max_length - before - after
    tail = room // 2 if keep == "ends" else 0
    start, end = before + room - tail, tail + after
    last = f" + ids[-{end}:]" if end else ""
    return f"ids = ids if len(ids) <= {max_length} else ids[:{start}]{last}"


def quoted(text: str) -> str:
    """The text as a double-quoted string that Python, JSON and YAML read alike: control and separator characters are escaped."""
    return re.sub("[\x7f-\x9f\u2028\u2029\ufeff]", lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))
