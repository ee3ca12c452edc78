"""The lines of Python that ask a model that writes, and was taken home, just as Shur asks it; and those for a model that sorts. Pure."""

from __future__ import annotations

import json

from engine import loading
from engine.loading import Finished, quoted
from engine.tasks import label_by_writing, write

HERE = "Path(__file__).parent"
SAMPLES = ("Write your text here.", "আপনার লেখা এখানে লিখুন।")
IDS = [
    "def ids_of(words):",
    '    return tokenizer(words, add_special_tokens=False, split_special_tokens=True)["input_ids"]',
]


def example(finished: Finished, folder: str = HERE) -> str:
    """Python that loads the model and answers two texts, with nothing of Shur. `folder` is an expression for where the files lie."""
    if finished.has_head:
        return loading.example(finished, folder)
    more, model = loading.loading(finished)
    standard = ["unicodedata", "torch"]
    if finished.plan.task == label_by_writing.TASK.id:
        standard.append("json")
        lines = [*_template(finished), *_labels(finished)]
    elif "chat_template" in finished.plan.settings:
        lines = [*_conversation(finished), *_writing(finished, "ids_of_conversation(text)")]
    else:
        lines = [*_template(finished), *_writing(finished, "prompt(text)")]
    if any("string.Formatter" in line for line in lines):
        standard.append("string")
    imports = [f"import {one}" for one in sorted(standard)]
    imports.append("from pathlib import Path")
    if any("find_spec" in line for line in model):
        imports.append("from importlib.util import find_spec")
    imports += [*more, f"from transformers import {loading.kind_that_writes(finished)}, AutoTokenizer"]
    opening = [f"folder = {folder}", "tokenizer = AutoTokenizer.from_pretrained(folder)", *model]
    return "\n".join(imports) + "\n\n" + "\n".join([*opening, *lines]) + "\n"


def _template(finished: Finished) -> list[str]:
    """Lines that define `prompt`: the template filled, in tokens; of what is too long the filling alone is cut."""
    settings = finished.plan.settings
    tail = "keep // 2" if settings.get("keep", "start" if finished.plan.task == write.TASK.id else "ends") == "ends" else "0"
    before, behind = finished.special_tokens
    behind = behind if finished.plan.model.encoder_decoder else 0  # an encoder reads the end of its text, too
    end = f' + tokenizer("a")["input_ids"][-{behind}:]' if behind else ""
    start = f'tokenizer("a")["input_ids"][:{before}]' if before else "[]"
    return [
        f"template, most = {quoted(str(settings.get('template', '{text}')))}, {int(settings['max_length']) - behind}",
        *IDS,
        'def prompt(text, context=""):',
        '    """The token ids of the template with its places filled; of what is too long the filling alone is cut."""',
        "    pieces = []",
        "    for words, place, _, _ in string.Formatter().parse(template):",
        "        if pieces and not any(piece for piece, _ in pieces):",
        "            words = words.lstrip()  # a first place that stays empty leaves no blank lines",
        "        pieces += [(words, False)] if words else []",
        '        given = {"text": text, "context": context}',
        '        pieces += [(unicodedata.normalize("NFC", given[place]), True)] if place else []',
        "    told = [(ids_of(words), fills) for words, fills in pieces]",
        f"    found = {start}",
        "    room = max(0, most - len(found) - sum(len(ids) for ids, fills in told if not fills))",
        "    loose = sum(len(ids) for ids, fills in told if fills)",
        "    for ids, fills in told:",
        "        keep = room * len(ids) // loose if fills and loose > room else len(ids)",
        f"        tail = {tail}",
        "        found += ids if keep == len(ids) else ids[: keep - tail] + ids[len(ids) - tail :]",
        f"    return found[:most]{end}",
    ]


def _conversation(finished: Finished) -> list[str]:
    """Lines that define `ids_of_conversation`: the system prompt of the training and the text, in the form of the chat template."""
    most, system = int(finished.plan.settings["max_length"]), str(finished.plan.settings["system_prompt"])
    turns = [*(['{"role": "system", "content": system}'] if system else []), '{"role": "user", "content": text}']
    return [
        *([f"system = {quoted(system)}"] if system else []),
        "def ids_of_conversation(text):",
        '    text = unicodedata.normalize("NFC", text)',
        f"    turns = [{', '.join(turns)}]",
        "    words = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)",
        '    ids = tokenizer(words, add_special_tokens=False)["input_ids"]',
        f"    return ids if len(ids) <= {most} else ids[:{most // 2}] + ids[-{most - most // 2}:]",
    ]


def _writing(finished: Finished, prompt: str) -> list[str]:
    """Lines that let it write, always the likeliest word, until an end or a stop word."""
    stops, new = finished.stops, "made[0]" if finished.plan.model.encoder_decoder else "made[0, ids.shape[1] :]"
    lines = [
        f"stops = {json.dumps(list(stops), ensure_ascii=False)}" if stops else "",
        "told = [tokenizer.eos_token_id, model.config.eos_token_id, model.generation_config.eos_token_id]",
        "ends = {one for part in told for one in (part if isinstance(part, list) else [part]) if one is not None}",
        f"ends |= set(tokenizer.convert_tokens_to_ids({json.dumps(list(finished.ends))}))" if finished.ends else "",
        f"for text in [{', '.join(quoted(one) for one in SAMPLES)}]:",
        f"    ids = torch.tensor([{prompt}])",
        "    made = model.generate(",
        f"        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens={int(finished.plan.settings['max_new_tokens'])}, "
        "do_sample=False,",
        "        repetition_penalty=1.0, use_cache=True, eos_token_id=sorted(ends), pad_token_id=min(ends),",
        "        stop_strings=stops, tokenizer=tokenizer," if stops else "",
        "    )",
        f"    written = tokenizer.decode({new}, skip_special_tokens=True, clean_up_tokenization_spaces=False)",
        "    for stop in stops:" if stops else "",
        "        written = written.split(stop)[0]" if stops else "",
        '    print(repr(text), repr(written.rstrip("\\ufffd").strip()))  # without half a letter at its end',
    ]
    return [line for line in lines if line]


def _labels(finished: Finished) -> list[str]:
    """Lines that tell the labels apart by how likely the model finds each name behind the prompt."""
    cooled = "" if finished.temperature == 1.0 else f" / {finished.temperature!r}"
    stub = quoted(label_by_writing.STUB)
    return [
        'labels = json.loads((folder / "labels.json").read_text("utf-8"))',
        f"stub, names = ids_of({stub}), []",
        "for label in labels:",
        f'    whole = ids_of({stub} + " " + label)',
        '    names.append(whole[len(stub) :] if whole[: len(stub)] == stub and len(whole) > len(stub) else ids_of(" " + label))',
        "if any(one != other and other[: len(one)] == one for one in names for other in names):",
        "    names = [[*one, tokenizer.eos_token_id] for one in names]  # one begins another, so the end counts too",
        f"for text in [{', '.join(quoted(one) for one in SAMPLES)}]:",
        "    ids, likely = prompt(text), []",
        "    for name in names:",
        "        with torch.inference_mode():",
        "            logits = model(input_ids=torch.tensor([ids + name])).logits[0, len(ids) - 1 : -1]",
        "        likely.append(logits.double().log_softmax(-1)[range(len(name)), name].sum())",
        f"    chances = (torch.stack(likely){cooled}).softmax(-1).tolist()",
        "    print(text, dict(zip(labels, chances)))",
    ]
