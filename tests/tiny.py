"""Small real models, made here: random weights in transformers' own classes, real tokenizers, saved as safetensors.

    folder = tiny("qwen2", tmp_path / "qwen2")

Both come out the same every time, within 0.1 s, with some tens of thousands of parameters, so a test makes its own.
Encoders are saved bare, decoders and encoder-decoders with their language head, as the Hub's checkpoints are.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LINES = (
    "A good film with a great cast, and the best ending I have seen this year.",
    "A bad film: dull, long and poorly acted. I want my money and my evening back!",
    "The plot is neither good nor bad; it was okay, I suppose, but nothing more.",
    "জিনিসটা খুব ভালো, দামও কম। আবার কিনব।",
    "একদম বাজে পণ্য, টাকা নষ্ট। কেউ কিনবেন না!",
    "মোটামুটি, চলে আরকি। খুব ভালো না, খারাপও না।",
    "khub bhalo jinish, dam o kom. abar kinbo inshallah",
    "ekdom baje, taka noshto. bhai keu kinben na please",
)
_ENCODER = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "max_position_embeddings": 130}
_DECODER = {**_ENCODER, "num_key_value_heads": 2, "max_position_embeddings": 256}
CONFIGS: dict[str, dict[str, Any]] = {
    "bert": _ENCODER,
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "max_position_embeddings": 130},
    "roberta": {**_ENCODER, "type_vocab_size": 1},
    "xlm-roberta": {**_ENCODER, "type_vocab_size": 1},
    "electra": {**_ENCODER, "embedding_size": 16},
    "deberta-v2": {
        **_ENCODER,
        "relative_attention": True,
        "position_buckets": 16,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False,
        "type_vocab_size": 0,
    },
    "modernbert": _ENCODER,
    "qwen2": {**_DECODER, "tie_word_embeddings": True},
    "qwen3": {**_DECODER, "head_dim": 16, "tie_word_embeddings": True},
    "llama": _DECODER,
    "mistral": _DECODER,
    "gemma3_text": {**_DECODER, "head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 64},
}
ARCHITECTURES = tuple(CONFIGS)
DECODERS = ("qwen2", "qwen3", "llama", "mistral", "gemma3_text")
_T5 = {"d_model": 32, "d_kv": 12, "d_ff": 64, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": 0}
ENCODER_DECODERS: dict[str, dict[str, Any]] = {
    "t5": _T5,
    "mt5": {**_T5, "feed_forward_proj": "gated-gelu"},
    "umt5": {**_T5, "feed_forward_proj": "gated-gelu"},
}


def tiny(architecture: str, folder: Path, *, seed: int = 0, **config: Any) -> Path:
    """A tiny random model of this family with its tokenizer, as a folder. `config` overrides entries of its config.json."""
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    tokenizer = tiny_tokenizer(architecture, folder)
    ids = {f"{name}_token_id": tokenizer.convert_tokens_to_ids(token) for name, token in _specials(architecture).items() if name != "unk"}
    settings = {**(CONFIGS | ENCODER_DECODERS)[architecture], "vocab_size": len(tokenizer), **ids, **config}
    if architecture == "qwen2":  # the real one has no padding token in its config either
        settings.pop("pad_token_id")
    auto = AutoModelForCausalLM if architecture in DECODERS else AutoModelForSeq2SeqLM if architecture in ENCODER_DECODERS else AutoModel
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = auto.from_config(AutoConfig.for_model(architecture, **settings))
        if architecture == "mt5":  # a head of its own, and a config that says so, which transformers would write as tied
            model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight))
    model.save_pretrained(folder)
    if architecture == "mt5":
        told = json.loads((folder / "config.json").read_text("utf-8"))
        (folder / "config.json").write_text(json.dumps({**told, "tie_word_embeddings": False}))
    return folder


def tiny_tokenizer(architecture: str, folder: Path) -> Any:
    """A tokenizer of the family's kind with the words of LINES, saved in the folder as tokenizer.json and its config."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    specials = _specials(architecture)
    names = list(dict.fromkeys(specials.values()))
    if architecture in ("bert", "distilbert", "electra"):
        pieces = [*names, *_letters(), *(f"##{letter}" for letter in _letters()), *_words()]
        backend = Tokenizer(models.WordPiece({piece: at for at, piece in enumerate(dict.fromkeys(pieces))}, unk_token="[UNK]"))
        backend.normalizer = normalizers.BertNormalizer(lowercase=False)
        backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        backend.decoder = decoders.WordPiece()
    elif architecture in ("xlm-roberta", "deberta-v2", *ENCODER_DECODERS):
        pieces = [*names, "▁", *_letters(), *(f"▁{word}" for word in _words())]
        scores = [(piece, 0.0 if piece in names else -1.0 - len(_letters()) * (len(piece) == 1)) for piece in dict.fromkeys(pieces)]
        backend = Tokenizer(models.Unigram(scores, unk_id=names.index(specials["unk"])))
        alone = pre_tokenizers.Metaspace()
        backend.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), alone]) if "t5" in architecture else alone
        backend.decoder = decoders.Metaspace()
    else:
        backend = Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=names, initial_alphabet=alphabet, show_progress=False)
        backend.train_from_iterator(LINES, trainer)
    before, after = _around(architecture)
    if before or after:
        around = [(token, backend.token_to_id(token)) for token in before + after]
        single, pair = [*before, "$A", *after], [*before, "$A"]
        if after:
            pair += [*after, *(after if before == ["<s>"] else []), "$B:1", *(f"{one}:1" for one in after)]  # RoBERTa's has two between
        else:
            pair += ["$B:1"]
        backend.post_processor = processors.TemplateProcessing(single=" ".join(single), pair=" ".join(pair), special_tokens=around)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, **{f"{name}_token": token for name, token in specials.items()})
    tokenizer.save_pretrained(folder)
    return tokenizer


def _letters() -> list[str]:
    return sorted({letter for line in LINES for letter in line if not letter.isspace()})


def _words() -> list[str]:
    return sorted({word.strip(".,:!?।") for line in LINES for word in line.split()})


def as_bin(folder: Path, *, old_format: bool = False) -> Path:
    """The same folder with its weights in the old .bin format instead of safetensors."""
    import torch
    from safetensors.torch import load_file

    weights = folder / "model.safetensors"
    torch.save(load_file(weights), folder / "pytorch_model.bin", _use_new_zipfile_serialization=not old_format)
    weights.unlink()
    return folder


def as_vocab_txt(folder: Path, *, lowercase: bool = False) -> Path:
    """The same folder of a BERT kin with vocab.txt instead of tokenizer.json, as old repositories have it."""
    path = folder / "tokenizer.json"
    vocab: dict[str, int] = json.loads(path.read_text("utf-8"))["model"]["vocab"]
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in sorted(vocab, key=vocab.__getitem__)), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": lowercase}))
    path.unlink()
    return folder


def _specials(architecture: str) -> dict[str, str]:
    match architecture:
        case "bert" | "distilbert" | "electra" | "deberta-v2" | "modernbert":
            return {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
        case "roberta" | "xlm-roberta":
            return {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "cls": "<s>", "sep": "</s>", "mask": "<mask>"}
        case "qwen2" | "qwen3":
            return {"eos": "<|endoftext|>", "pad": "<|endoftext|>"}
        case "t5" | "mt5" | "umt5":
            return {"pad": "<pad>", "eos": "</s>", "unk": "<unk>"}
        case "gemma3_text":
            return {"pad": "<pad>", "eos": "<eos>", "bos": "<bos>", "unk": "<unk>"}
        case _:  # Llama and Mistral have no padding token
            return {"bos": "<s>", "eos": "</s>", "unk": "<unk>"}


def _around(architecture: str) -> tuple[list[str], list[str]]:
    """The special tokens that the tokenizer puts before and after a text."""
    specials = _specials(architecture)
    if "cls" in specials:
        return [specials["cls"]], [specials["sep"]]
    return ([specials["bos"]] if "bos" in specials else []), ([specials["eos"]] if architecture in ENCODER_DECODERS else [])


TRANSLATORS = ("marian", "m2m_100", "t5")
LANGUAGES = ["__en__", "__bn__"]


def tiny_translator(kind: str, folder: Path, *, seed: int = 0) -> Path:
    """A tiny random model that turns texts into other texts, as a folder: of one pair, told the languages by codes, or by a sentence."""
    import torch
    from transformers import AutoConfig, AutoModelForSeq2SeqLM

    tokenizer = tiny_tokenizer("xlm-roberta", folder)
    if kind == "m2m_100":
        tokenizer.add_special_tokens({"additional_special_tokens": LANGUAGES})
        tokenizer.save_pretrained(folder)
    size: dict[str, Any] = {
        "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
        "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 300,
    }  # fmt: skip
    if kind == "t5":
        size = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 4}
    told = {"vocab_size": len(tokenizer), "decoder_start_token_id": tokenizer.eos_token_id, "forced_eos_token_id": None}
    ids = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id, "bos_token_id": tokenizer.bos_token_id}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForSeq2SeqLM.from_config(AutoConfig.for_model(kind, **size, **told, **ids, init_std=1.0))
        with torch.no_grad():  # matrices that keep the size of what they are given: else every text becomes the same other one
            for name, one in model.named_parameters():
                if one.ndim == 2 and not any(part in name for part in ("embed", "shared", "lm_head", "relative")):
                    one.copy_(torch.randn_like(one) / one.shape[1] ** 0.5)
    model.save_pretrained(folder)
    return folder
