"""How a tokenizer cuts a sample of texts, counted with the `tokenizers` library (or sentencepiece) alone: no torch, no transformers."""

from __future__ import annotations

import importlib.util
import json
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SENTENCEPIECE = ("spm.model", "sentencepiece.bpe.model", "tokenizer.model", "spiece.model")
ANY_OF = ("tokenizer.json", "vocab.txt", "vocab.json", *SENTENCEPIECE)
BESIDE = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "merges.txt")


@dataclass(frozen=True)
class TokenFacts:
    """How a model's tokenizer cuts a sample of texts."""

    tokens_per_word: float  # words are what blanks separate
    unknown_share: float  # 0 to 1: tokens that the vocabulary does not know
    lengths: tuple[int, ...]  # tokens of each text, special tokens included, ascending
    letters_per_token: float | None = None  # characters besides blanks; None: not counted
    lost_marks: float = 0.0  # 0 to 1: vowel signs and joined letters that are thrown away before a token is made


def needed(files: Collection[str]) -> list[str]:
    """Which of a repository's files counting wants; none: it cannot count for this model."""
    if "tokenizer.json" in files:
        return ["tokenizer.json"]
    if "vocab.txt" in files:
        return [name for name in ("vocab.txt", "tokenizer_config.json") if name in files]
    return [name for name in SENTENCEPIECE if name in files][:1]


def needs_sentencepiece(files: Collection[str]) -> bool:
    """Whether transformers can read this tokenizer only with the packages sentencepiece and protobuf (seen with 5.23)."""
    return "tokenizer.json" not in files and "vocab.txt" not in files and any(name in files for name in SENTENCEPIECE)


def has_sentencepiece() -> bool:
    try:
        return all(importlib.util.find_spec(name) is not None for name in ("sentencepiece", "google.protobuf"))
    except ModuleNotFoundError:  # of the package google
        return False


def count(folder: Path, texts: Sequence[str]) -> TokenFacts | None:
    """The facts of these texts; None where the folder holds no tokenizer that can be read here."""
    if not texts:
        return None
    files = needed([one.name for one in folder.iterdir()])
    if files and files[0] in SENTENCEPIECE:
        return _count_sentencepiece(folder / files[0], texts) if has_sentencepiece() else None
    tokenizer = _open(folder)
    if tokenizer is None:
        return None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True  # a text that spells a special token is text, as in training
    unknown = _unknown_id(tokenizer)
    specials = len(tokenizer.encode("").ids)
    lengths = []
    tokens = unknowns = 0
    for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False):
        tokens += len(encoding.ids)
        unknowns += encoding.ids.count(unknown) if unknown is not None else 0
        lengths.append(len(encoding.ids) + specials)
    normaliser = tokenizer.normalizer
    kept = _marks(map(normaliser.normalize_str, texts)) if normaliser is not None else None
    return _facts(texts, tokens, unknowns, lengths, kept)


def _count_sentencepiece(model: Path, texts: Sequence[str]) -> TokenFacts:
    from sentencepiece import SentencePieceProcessor

    processor = SentencePieceProcessor(model_file=str(model))
    specials = 1 if model.name == "tokenizer.model" else 2  # Llama puts one token before a text, the encoders one on either side
    rows = [processor.encode(text) for text in texts]
    unknowns = sum(row.count(processor.unk_id()) for row in rows)
    return _facts(texts, sum(len(row) for row in rows), unknowns, [len(row) + specials for row in rows])


def _facts(texts: Sequence[str], tokens: int, unknowns: int, lengths: list[int], marks_kept: int | None = None) -> TokenFacts:
    words = letters = 0
    for text in texts:
        told = text.split()
        words += len(told)
        letters += sum(map(len, told))
    marks = _marks(texts)
    lost = 0.0 if marks_kept is None or not marks else max(0.0, 1 - marks_kept / marks)
    return TokenFacts(tokens / max(words, 1), unknowns / max(tokens, 1), tuple(sorted(lengths)), letters / max(tokens, 1), lost)


def _marks(texts: Iterable[str]) -> int:
    """The signs in these texts that belong to a letter before them, as in Bengali. Accents on Latin letters are left out: words are read
    as well without them; so are the signs that choose between two looks of an emoji."""
    counts = Counter(unicodedata.normalize("NFD", "".join(texts)))
    return sum(count for sign, count in counts.items() if sign > "\u036f" and sign < "\ufe00" and unicodedata.category(sign)[0] == "M")


def _open(folder: Path) -> Tokenizer | None:
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if path.exists():
        try:
            return Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare Exception for a damaged file
            if type(error) is not Exception:
                raise
            return None
    return _from_vocabulary(folder) if (folder / "vocab.txt").exists() else None


def _from_vocabulary(folder: Path) -> Tokenizer:
    """BERT's tokenizer from vocab.txt, as transformers makes it: with lower-casing go the accents, unless it is told otherwise."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    try:
        told: dict[str, Any] = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    except (OSError, ValueError):
        told = {}
    lines = (folder / "vocab.txt").read_text("utf-8").removesuffix("\n").split("\n")  # splitlines() would also split at U+2028
    vocabulary = {token: at for at, token in enumerate(lines)}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(
        handle_chinese_chars=bool(told.get("tokenize_chinese_chars", True)),
        strip_accents=told.get("strip_accents"),
        lowercase=bool(told.get("do_lower_case", True)),
    )
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    around = [(name, vocabulary[name]) for name in ("[CLS]", "[SEP]") if name in vocabulary]
    if len(around) == 2:
        backend.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=around)
    return backend


def _unknown_id(tokenizer: Tokenizer) -> int | None:
    told = json.loads(tokenizer.to_str())["model"]
    if told.get("unk_id") is not None:
        return int(told["unk_id"])
    return tokenizer.token_to_id(told["unk_token"]) if told.get("unk_token") else None
