"""More training rows, made from those that are there: their settings, and how many rows they make. `making` makes them.

Only ever of the training part: the rows that check and test stay as they came.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.knobs import knob

NONE, SYNONYMS, NOISE, BACK_TRANSLATION = "none", "synonyms", "noise", "back_translation"
NAMES = {SYNONYMS: "stand-in words", NOISE: "slips of typing", BACK_TRANSLATION: "translation there and back"}


@dataclass(frozen=True)
class Augmentation:
    """The knobs of more data."""

    augment: str = knob(
        NONE,
        label="Rows made from yours",
        choices={
            NONE: "None",
            SYNONYMS: "Stand-in words",
            NOISE: "Slips of typing",
            BACK_TRANSLATION: "Translated there and back",
        },
        help="Adds changed copies of the training rows, with their labels (data augmentation). Stand-in words: from a list of English, "
        "Bengali and Banglish words that comes with Shur, and other spellings that your own training rows use in the same places. It helps "
        "some data and harms other: compare with and without.",
    )
    augment_share: float = knob(
        0.15,
        label="Share of the words changed",
        low=0.01,
        high=0.5,
        help="Of each text, one word at least. 0.15 is about every seventh; much more changes what a text says.",
    )
    augment_copies: int = knob(
        1, label="Copies of each row", low=1, high=5, help="Each makes the training longer by the training rows once more."
    )
    translator: str = knob(
        "",
        label="Model that translates",
        help="Into the language between: an id of the Hub, such as Helsinki-NLP/opus-mt-bn-en, or a folder on this machine. "
        "Marian, M2M100, NLLB, mBART or T5.",
    )
    translator_back: str = knob(
        "",
        label="Model that translates back",
        help="Such as Helsinki-NLP/opus-mt-en-mul. Empty: the same one, which must know both directions (M2M100, NLLB, mBART, T5).",
    )
    language: str = knob(
        "",
        label="Language of the texts",
        help="As the model calls it: bn for M2M100, ben_Beng for NLLB, bn_IN for mBART, English for T5. A model of one pair needs none.",
    )
    language_between: str = knob(
        "",
        label="Language between",
        help="Into which the texts go, and out of which they come back: en, eng_Latn, German.",
    )
    translation_minutes: float = knob(
        60.0,
        label="Minutes to translate",
        low=0.1,
        high=1440,
        unit="minutes",
        help="At most; rows that are not reached get no copy. What was translated once is kept and costs nothing again.",
    )


SUITED = ("class", "number", "tags")  # targets of tasks: what they learn of a text stays true of a slightly changed one


def made_rows(settings: Augmentation, train_rows: int) -> int:
    """How many rows are made at most; a row that no change suits makes none."""
    return 0 if settings.augment == NONE else settings.augment_copies * train_rows
