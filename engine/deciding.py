"""A run's settings as they fill up, and every number that follows from them and the facts. Pure.

Leaves to `rules` what a setting becomes that was left open.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from engine import memory
from engine.asked import Asked
from engine.data.profile import DataFacts
from engine.hardware import Hardware
from engine.knobs import Value, settle
from engine.memory import Memory, Shape
from engine.methods import Footprint, Method
from engine.models import ModelFacts, TokenFacts

WORD_PIECES = {"Latin": 1.4}  # tokens a word where the tokenizer cannot be read beforehand
WORD_PIECES_ELSE = 3.0
MORE_WRITTEN = 1.5  # times the mean share: answers of the longest rows of a batch
LEAST_ROOM = 16  # tokens; fewer are refused
TOKENIZER_BYTES = 2_000_000  # MiniLM 0.9 MB, XLM-R 22 MB


@dataclass(frozen=True)
class Decision:
    """A value that the person left open, and why it came out so, in words that a lay person reads."""

    name: str  # the knob's name
    value: Value
    reason: str


@dataclass
class Deciding:
    """The facts, and the settings as they fill up. Not kept: `plan` takes over what came out."""

    method: Method
    asked: Asked
    data: DataFacts
    model: ModelFacts
    tokens: TokenFacts | None
    hardware: Hardware
    settings: dict[str, Any]  # knob name -> value; None where it is not decided yet
    decisions: list[Decision] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)  # "train", "validation", "test"; "made" of the training rows, where any are

    @property
    def device(self) -> Literal["cpu", "cuda"]:
        return "cuda" if self.hardware.gpus else "cpu"

    @property
    def memory_available_bytes(self) -> int:
        return self.hardware.gpus[0].free_bytes if self.hardware.gpus else self.hardware.ram_free_bytes

    @property
    def labels(self) -> int:
        return max(2, len(self.data.answers))

    @property
    def method_knobs(self) -> Any:
        return settle(self.method.knobs, self.settings)

    @property
    def trainable(self) -> int:
        return self.method.trainable(self.method_knobs, self.model, self.labels)

    @property
    def footprint(self) -> Footprint:
        return self.method.footprint(self.method_knobs, self.model)

    @property
    def room(self) -> int:
        """Tokens of a text that the model reads at once, beside what the method puts before it."""
        return max(LEAST_ROOM, text_room(self.footprint, self.model))

    @property
    def parameters(self) -> int:
        """Of the model that is trained: the base's with its head, and what the method puts beside them."""
        base = self.model.parameters(self.labels)
        return base + max(0, self.trainable - self.footprint.own_parameters - self.model.head_parameters(self.labels))

    @property
    def learnt_rows(self) -> int:
        """Rows of one pass: those of the training part, and those made from them."""
        return self.rows["train"] + self.rows.get("made", 0)

    @property
    def batches_per_pass(self) -> int:
        return max(1, math.ceil(self.learnt_rows / int(self.settings["batch_size"])))

    @property
    def steps_per_pass(self) -> int:
        """As `train.fit` counts: the last step of a pass may be smaller."""
        return math.ceil(self.batches_per_pass / int(self.settings["accumulation"]))

    @property
    def steps(self) -> int:
        wanted = max(1, round(float(self.settings["epochs"]) * self.steps_per_pass))
        return min(wanted, int(self.settings["max_steps"] or wanted))

    @property
    def lengths(self) -> tuple[int, ...]:
        """Tokens of a sample of texts, ascending, uncut; guessed from their words where the tokenizer is not known yet."""
        if self.tokens is not None and self.tokens.lengths:
            return self.tokens.lengths
        script = next(iter(self.data.script_shares), "Latin")
        each = WORD_PIECES.get(script, WORD_PIECES_ELSE)
        return tuple(round(words * each) + 2 for words in self.data.words)

    @property
    def longest(self) -> int:
        """Tokens of the longest row after cutting; the sample may have missed the longest text."""
        each = self.tokens.tokens_per_word if self.tokens else WORD_PIECES["Latin"]
        return min(int(self.settings["max_length"]), max(self.lengths[-1], round(self.data.longest_words * each)))

    @property
    def written_share(self) -> float:
        """The share of a row's tokens, at most, behind which words are scored: of an encoder-decoder what is written alone."""
        letters = {one.name: one.mean_chars for one in self.data.columns}
        written, read = letters.get(self.data.label, 0.0), letters.get(self.data.text, 0.0) + letters.get(self.data.second, 0.0)
        if not self.model.encoder_decoder or not written:
            return 1.0
        return min(1.0, MORE_WRITTEN * written / (written + read))

    def memory(self, *, pieces: int = 1, **changed: Value) -> Memory:
        """The estimate for these settings, some of them changed, where each batch is computed in so many pieces."""
        settings = {**self.settings, **changed}
        knobs: Any = settle(self.method.knobs, settings)
        return memory.estimate(
            self.model,
            Shape(
                labels=self.labels,
                trainable=self.method.trainable(knobs, self.model, self.labels),
                freezes_body=self.method.freezes_body,
                footprint=self.method.footprint(knobs, self.model),
                precision=settings["precision"],
                batch=math.ceil(settings["batch_size"] / pieces),
                length=min(settings["max_length"], self.longest),
                checkpointing=settings["checkpointing"],
                device=self.device,
                optimizer=settings["optimizer"],
                logits=min(
                    self.asked.task.logits if self.asked.task else 0,
                    math.ceil(settings["max_length"] * self.written_share),
                    math.ceil(self.longest * self.written_share),
                ),
                mixed=memory.RATES[self.device].mixed,
                tokens_held=self.tokens_held,
                characters_held=sum(self.rows.values()) * self.data.chars[1],
            ),
        )

    @property
    def save_bytes(self) -> int:
        """What is kept at the end: weights, and the tokenizer beside them."""
        return self.method.saved_bytes(self.method_knobs, self.model, self.labels) + TOKENIZER_BYTES

    @property
    def disk_bytes(self) -> int:
        """The most that lies there at once: download, converted weights, checkpoints (best and next too), model, tokens, features."""
        model = self.model
        conversion = model.weights_bytes if model.needs_conversion else 0
        checkpoint = 12 * self.trainable  # weights and AdamW's two averages, 4 bytes each
        tokens = 4 * self.tokens_held
        kept = int(self.settings["keep_checkpoints"]) + 2
        return (model.download_bytes or 0) + conversion + kept * checkpoint + self.save_bytes + tokens + self.features_bytes

    @property
    def features_bytes(self) -> int:
        """Of what the frozen part makes of every row, where the method keeps it: of all tokens, or of the one that the head reads."""
        if not self.footprint.caches:
            return 0
        tokens = mean_length(self.lengths, self.settings["max_length"]) if self.footprint.blocks else 1
        number = 4 if self.settings["precision"] == "fp32" else 2
        return round((self.learnt_rows + self.rows["validation"]) * tokens * self.model.hidden_size * number)

    @property
    def tokens_held(self) -> int:
        return round(sum(self.rows.values()) * mean_length(self.lengths, self.settings["max_length"]))

    def value(self, name: str, value: Value, reason: str) -> None:
        """Sets it, with the reason; an earlier decision on it is replaced."""
        self.decisions = [one for one in self.decisions if one.name != name]
        self.settings[name] = value
        self.decisions.append(Decision(name, value, reason))


def text_room(footprint: Footprint, model: ModelFacts) -> int:
    """Tokens that are left for the text. A prefix takes none of what is computed, but a position each."""
    return model.max_tokens - footprint.virtual_tokens - footprint.prefix_tokens


def mean_length(lengths: tuple[int, ...], most: int) -> float:
    """Mean tokens of a row after cutting."""
    return sum(min(length, most) for length in lengths) / len(lengths)


def cut_share(work: Deciding) -> float:
    """Share of the sampled texts longer than the text length."""
    most = int(work.settings["max_length"])
    return sum(length > most for length in work.lengths) / len(work.lengths)
