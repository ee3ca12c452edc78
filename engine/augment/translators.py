"""Models that translate: what is known of one before a byte of its weights is read, and its files on disk. No torch here.

Any sequence-to-sequence model of the families in KINDS, of the Hub or in a local folder. Weights are read as safetensors; an old .bin
is converted once. No code of a repository is run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine import hub
from engine.augment import BACK_TRANSLATION, Augmentation
from engine.errors import Problem, Refused
from engine.hub import Repository
from engine.model_files import listed, weights_among, whole

# How a model is told the languages: it knows one pair; or by codes of its own; or by a sentence before the text.
Way = Literal["pair", "codes", "sentence"]
KINDS: dict[str, Way] = {
    "marian": "pair", "bart": "pair", "m2m_100": "codes", "mbart": "codes", "t5": "sentence", "mt5": "sentence", "umt5": "sentence",
}  # fmt: skip
SMALL = (
    "config.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.json",
    "vocab.json", "vocab.txt", "merges.txt", "source.spm", "target.spm", "sentencepiece.bpe.model", "spiece.model", "tokenizer.model",
    "model.safetensors.index.json",
)  # fmt: skip


@dataclass(frozen=True)
class Translator:
    """A model that translates, found but not opened."""

    id: str
    folder: str | None  # where its files lie; None: on the Hub
    revision: str | None  # a Hub repository's commit
    way: Way
    weight_files: tuple[str, ...]
    weights_bytes: int
    download_bytes: int  # still to fetch


def find_all(settings: Augmentation, *, token: str | None, home: Path, share: bool) -> tuple[Translator, ...]:
    """The model that translates there and the one that translates back, the same twice where there is one; none where none is wanted.

    Raises Refused with every Problem.
    """
    if settings.augment != BACK_TRANSLATION or not settings.translator.strip():
        return ()
    there = find("translator", settings.translator.strip(), token=token, home=home, share=share)
    wanted = settings.translator_back.strip()
    back = find("translator_back", wanted, token=token, home=home, share=share) if wanted else there
    problems = []
    if back is there and there.way == "pair":
        message = f"{there.id} knows one direction, so it cannot translate back."
        problems.append(Problem("settings.translator_back", message, "Name the model of the other direction."))
    for name in ("language", "language_between"):
        if not vars(settings)[name].strip() and "pair" not in (there.way, back.way):
            fix = "Write it as the model calls it: bn (M2M100), ben_Beng (NLLB), bn_IN (mBART), English (T5)."
            problems.append(Problem(f"settings.{name}", f"{there.id} must be told this language.", fix))
    if problems:
        raise Refused(*problems)
    return there, back


def find(field: str, model: str, *, token: str | None, home: Path, share: bool) -> Translator:
    """What is known of one model. `field`: the knob that named it. Raises Refused with the fix."""
    place = f"settings.{field}"
    try:
        here = Path(model).expanduser().is_dir()
    except (OSError, ValueError, RuntimeError):
        here = False
    if here or model.startswith((".", "/", "~", "\\")):
        if share:
            raise Refused(Problem(place, "In a shared app a folder cannot be used as a model.", "Write an id of the Hub."))
        if not here:
            raise Refused(Problem(place, f"There is no folder {model[:80]!r}.", "Write the path of a folder with config.json and weights."))
        return _in_folder(place, model, Path(model).expanduser().resolve())
    try:
        repo = hub.repository(model, revision=None, token=token, home=home)
        weights = _weights(place, model, repo.files)
        config = hub.download(repo, ["config.json"], token=token, home=home, say=lambda *_: None) / "config.json"
        return Translator(
            model, None, repo.commit, _way(place, model, config), weights, sum(repo.files[one] for one in weights),
            hub.missing_bytes(repo, _names(repo), home),
        )  # fmt: skip
    except Refused as refused:
        raise Refused(*(Problem(place, one.message, one.fix) for one in refused.problems)) from refused


def _in_folder(place: str, model: str, folder: Path) -> Translator:
    files = listed(folder)
    weights = _weights(place, model, files)
    for name in weights:
        if name.endswith(".safetensors") and not whole(folder / name):
            raise Refused(Problem(place, f"The file {name} in {model} is cut short or damaged.", "Copy it again from where it came."))
    size = sum(files[one] for one in weights)
    return Translator(model, str(folder), None, _way(place, model, folder / "config.json"), weights, size, 0)


def _weights(place: str, model: str, files: Collection[str]) -> tuple[str, ...]:
    weights = weights_among(files)
    if "config.json" not in files or not weights:
        raise Refused(Problem(place, f"{model} has no config.json or no weights, so it is no model that translates.", _OTHER))
    return weights


_OTHER = "Choose a Marian, M2M100, NLLB, mBART or T5 model."


def _way(place: str, model: str, config: Path) -> Way:
    try:
        told: Any = json.loads(config.read_text("utf-8"))
        kind = str(told.get("model_type"))
    except (OSError, ValueError, AttributeError) as error:
        raise Refused(Problem(place, f"The config.json of {model} cannot be read.", _OTHER)) from error
    if kind not in KINDS or "auto_map" in told:
        raise Refused(Problem(place, f"{model} is of the kind {kind!r}, which does not translate here.", _OTHER))
    return KINDS[kind]


def _names(repo: Repository) -> list[str]:
    return [*(one for one in SMALL if one in repo.files), *weights_among(repo.files)]


def fetch(one: Translator, *, token: str | None, home: Path, say: Callable[[str, int, int], None]) -> Path:
    """A folder with config, tokenizer and safetensors weights, fetched and converted where that is needed. Raises Refused."""
    old = any(name.endswith(".bin") for name in one.weight_files)
    target = home / "cache" / "models" / f"{Path(one.id).name}@{version(one)[:12]}"
    if old and target.is_dir():
        return target
    if one.folder is None:
        repo = hub.repository(one.id, revision=one.revision, token=token, home=home)
        folder = hub.download(repo, _names(repo), token=token, home=home, say=say)
    else:
        folder = Path(one.folder)
        if not folder.is_dir():
            raise Refused(Problem("settings.translator", f"The folder {one.id} is no longer there.", _OTHER))
    if not old:
        return folder
    from engine.conversion import convert

    made = convert(folder, one.weight_files, [name for name in SMALL if (folder / name).is_file()], target, say)
    for name in one.weight_files:
        hub.forget(folder, name, home)
    return made


def version(one: Translator) -> str:
    """Tells one state of a model from another: the Hub's commit, or the size and time of a folder's weights."""
    if one.revision:
        return one.revision
    stats = [(Path(one.folder or "") / name).stat() for name in one.weight_files if (Path(one.folder or "") / name).exists()]
    return hashlib.sha256(repr((one.folder, [(told.st_size, told.st_mtime_ns) for told in stats])).encode()).hexdigest()


def from_json(told: Mapping[str, Any]) -> Translator:
    """The translator that a plan's JSON holds."""
    return Translator(**{**told, "weight_files": tuple(told["weight_files"])})
