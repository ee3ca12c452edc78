"""Take home: a finished run's model as a folder and a zip, with its card and the lines that load it.

    runs/<id>/export/<id>/     README.md  example.py  labels.json  shur.json  the tokenizer's files  (temperature.json)
                               adapter_model.safetensors + adapter_config.json, delta.safetensors + delta.json,
                               or model.safetensors + config.json (with modules.json for sentence-transformers where texts are compared)
    runs/<id>/export/<id>.zip  the same, with the folder's name in front
    runs/<id>/export/<id>-merged and .zip   the adapter merged into its base (merge.py), where that was asked for

Only files of the kinds listed in KINDS go along, so no pickle and no optimiser state; every path of this machine is taken out of
the JSON. The same run gives the same zip, byte for byte. Nothing here loads torch.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import zipfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from engine import account, catalog, chat, evaluate, merge, plan, spec
from engine.asking import example
from engine.card import model_card
from engine.errors import Problem, Refused, redact
from engine.loading import Finished, Pair, base_id, sentences
from engine.store import Store
from engine.tasks import all_tasks, instruct
from engine.trained import TEMPERATURE, Kept, set_temperature, temperature_of

KINDS = (".safetensors", ".json", ".txt", ".model", ".jinja")
WEIGHTS = ".safetensors"
ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can hold
PATH_FIELDS = ("_name_or_path", "name_or_path", "base_model_name_or_path", "tokenizer_file", "vocab_file", "merges_file")
BLOCK = 1 << 20

_exporting = threading.Lock()  # two viewers may press Export at once


def export(store: Store, run_id: str, *, merged: bool = False) -> Path:
    """The zip of this run's model, made anew. Raises Refused where the run has no model yet, or the disk is full.

    `merged`: one plain model that needs nothing beside it, instead of what was learnt beside the base.
    """
    folder = store.folder(run_id)
    _has_model(folder)
    target = folder / "export" / (f"{run_id}-merged" if merged else run_id)
    with _exporting:
        try:
            model = merge.merged(folder, store.home) if merged else folder / "model"
            _write_folder(model, target, _finished(store, run_id, model))
            return _write_zip(target)
        except OSError as error:
            raise Refused(Problem("run", f"The model could not be written: {error.strerror}.", "Free some space and try again.")) from error


def _has_model(folder: Path) -> None:
    if not (folder / "model" / "shur.json").exists():
        raise Refused(Problem("run", "This run has no model yet.", "Let it finish, or resume it."))


def _finished(store: Store, run_id: str, model: Path) -> Finished:
    folder = store.folder(run_id)
    judged = folder / "evaluation.json"
    planned = plan.from_json((folder / "plan.json").read_text("utf-8"))
    writes = all_tasks()[planned.task].writes
    record = store.record(run_id)
    delta = model / "delta.json"
    return Finished(
        run_id=run_id,
        spec=spec.from_json((folder / "spec.json").read_text("utf-8")),
        plan=planned,
        kept=Kept.read(model),
        evaluation=evaluate.from_json(judged.read_text("utf-8")) if judged.exists() else None,
        account=account.from_json((folder / account.FILE).read_text("utf-8")) if (folder / account.FILE).exists() else None,
        catalog=catalog.load(),
        adapter=(model / "adapter_config.json").exists() or delta.exists(),
        delta=json.loads(delta.read_text("utf-8")) if delta.exists() else None,
        special_tokens=_special_tokens(model / "tokenizer.json"),
        pair=_pair(model) if planned.second else None,
        device=record.started.device if record.started else "",
        seconds=record.seconds,
        writes=writes is not None,
        stops=writes.stops if writes else (),
        ends=_ends(planned, model) if writes else (),
        temperature=temperature_of(folder / "model"),
    )


def _chat(planned: plan.Plan, model: Path) -> chat.Chat:
    """The form that conversations had in training; without a template for a task that has none."""
    own, chosen = chat.read(model), planned.settings.get("chat_template")
    template = {"own": own.template or instruct.PLAIN, "chatml": instruct.CHATML, "plain": instruct.PLAIN}.get(str(chosen))
    return replace(own, template=template)


def _ends(planned: plan.Plan, model: Path) -> tuple[str, ...]:
    """The special token that the chat template puts behind an answer, where it is not the tokenizer's own end."""
    told, tokenizer = _chat(planned, model), model / "tokenizer.json"
    if told.template is None or not tokenizer.exists():
        return ()
    from jinja2 import TemplateError
    from tokenizers import Tokenizer

    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "abc"}]
    try:
        after = chat.rendered(told.template, {"eos_token": "", **told.tokens}, turns, asks=False).rpartition("abc")[2]
    except (TemplateError, TypeError, ValueError):
        return ()
    opened = Tokenizer.from_file(str(tokenizer))
    first = opened.encode(after, add_special_tokens=False).ids[:1]
    added = opened.get_added_tokens_decoder()
    return tuple(added[one].content for one in first if one in added and added[one].content != told.tokens.get("eos_token"))


def _special_tokens(tokenizer: Path) -> tuple[int, int]:
    """How many special tokens stand before and after a text; (1, 1), as BERT has them, where the file cannot tell."""
    if not tokenizer.exists():
        return 1, 1
    from tokenizers import Tokenizer

    opened = Tokenizer.from_file(str(tokenizer))
    bare, whole = opened.encode("a", add_special_tokens=False).ids, opened.encode("a").ids
    start = next((at for at in range(len(whole)) if whole[at : at + len(bare)] == bare), 0)
    return start, len(whole) - start - len(bare)


def _pair(model: Path) -> Pair | None:
    """How the kept tokenizer puts two texts together, as tasks/_pairs.py does; None where its file cannot tell."""
    if not (model / "tokenizer.json").exists():
        return None
    from tokenizers import Tokenizer

    opened = Tokenizer.from_file(str(model / "tokenizer.json"))
    one, other, line = (opened.encode(text, add_special_tokens=False).ids for text in ("a", "b", "\n"))
    whole = opened.encode("a", "b").ids
    start = next((at for at in range(len(whole)) if whole[at : at + len(one)] == one), 0)
    end = start + len(one)
    middle = next((at for at in range(end, len(whole)) if whole[at : at + len(other)] == other), end)
    config = json.loads((model / "tokenizer_config.json").read_text("utf-8"))
    segments = "token_type_ids" in config.get("model_input_names", ())
    return Pair(tuple(whole[:start]), tuple(whole[end:middle] or line), tuple(whole[middle + len(other) :]), segments)


def _write_folder(model: Path, target: Path, finished: Finished) -> None:
    """The folder, written beside and renamed into place. Weights are linked, not copied, where the disk allows."""
    beside = target.with_name(f".{target.name}.writing")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    template = _chat(finished.plan, model).template
    left_out = {TEMPERATURE, *(["chat_template.jinja"] if template else []), *(["labels.json"] if finished.writes else [])}
    for path in sorted(model.iterdir()):
        if path.suffix not in KINDS or not path.is_file() or path.name in left_out:
            continue
        if path.suffix == WEIGHTS:
            _link(path, beside / path.name)
        elif path.name == "shur.json":
            kept = replace(finished.kept, model=base_id(finished))
            (beside / path.name).write_text(json.dumps(asdict(kept), ensure_ascii=False, indent=1) + "\n", "utf-8")
        elif path.suffix == ".json" and path.name != "tokenizer.json":  # that one holds a vocabulary and no path
            told = _named(json.loads(path.read_text("utf-8")), path.name, finished)
            (beside / path.name).write_text(json.dumps(told, ensure_ascii=False, indent=2) + "\n", "utf-8")
        else:
            shutil.copyfile(path, beside / path.name)
    if template:  # so that whoever asks it does so in the form of the training
        (beside / "chat_template.jinja").write_text(template, "utf-8")
    if finished.temperature != 1.0:  # of the adapter's folder, also where its merged model is taken home
        set_temperature(beside, finished.temperature)
    for name, told in sentences(finished).items():
        (beside / name).parent.mkdir(exist_ok=True)
        (beside / name).write_text(json.dumps(told, indent=2) + "\n", "utf-8")
    (beside / "README.md").write_text(redact(model_card(finished)), "utf-8")
    (beside / "example.py").write_text(example(finished), "utf-8")
    shutil.rmtree(target, ignore_errors=True)
    beside.rename(target)


def _named(told: Any, name: str, finished: Finished) -> Any:
    """A JSON file's content with the base's id in place of paths, the base's pinned revision, and the person's label names."""
    if not isinstance(told, dict):
        return told
    told = {field: base_id(finished) if field in PATH_FIELDS and value else value for field, value in told.items()}
    if name == "adapter_config.json":
        told["revision"] = finished.plan.model.revision
    if name == "tokenizer_config.json" and "chat_template" in finished.plan.settings:
        told.pop("chat_template", None)  # it stands in a file of its own
    if name == "config.json" and not finished.has_head:
        told["use_cache"] = True  # training went without
    elif name == "config.json":
        told["id2label"] = {str(at): label for at, label in enumerate(finished.plan.labels)}
        told["label2id"] = {label: at for at, label in enumerate(finished.plan.labels)}
    return told


def _link(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except OSError:  # another disk, or one without links
        shutil.copyfile(path, target)


def _write_zip(folder: Path) -> Path:
    """The folder as a zip beside it: entries sorted, with no times; weights stored as they are, since they hardly shrink."""
    target = folder.with_name(f"{folder.name}.zip")
    beside = target.with_name(f".{target.name}.writing")
    with zipfile.ZipFile(beside, "w", allowZip64=True) as packed:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder.parent).as_posix(), ZIP_TIME)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_STORED if path.suffix == WEIGHTS else zipfile.ZIP_DEFLATED
            entry.file_size = path.stat().st_size
            with path.open("rb") as source, packed.open(entry, "w") as sink:
                shutil.copyfileobj(source, sink, BLOCK)
    with beside.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(beside, target)
    return target
