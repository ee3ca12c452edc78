"""Which of the encodings from before Unicode a text is in, and which others it could be. Pure.

Scripts beside the Latin one are told apart by charset-normalizer; of the Latin ones, which differ in a few letters, by where these stand.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

WORDS = {
    "cp1252": "Western European (cp1252)", "cp1250": "Central European (cp1250)", "iso8859_2": "Central European (ISO 8859-2)",
    "cp1254": "Turkish (cp1254)", "cp1257": "Baltic (cp1257)", "cp1258": "Vietnamese (cp1258)", "mac_roman": "Western European (Mac Roman)",
    "cp1251": "Cyrillic (cp1251)", "koi8_r": "Cyrillic (KOI8-R)", "cp866": "Cyrillic (cp866, DOS)", "iso8859_5": "Cyrillic (ISO 8859-5)",
    "cp1253": "Greek (cp1253)", "iso8859_7": "Greek (ISO 8859-7)", "cp1255": "Hebrew (cp1255)", "cp1256": "Arabic (cp1256)",
    "cp874": "Thai (cp874, TIS-620)", "cp932": "Japanese (Shift-JIS)", "euc_jp": "Japanese (EUC-JP)",
    "gb18030": "Chinese, simplified (GB 18030)", "cp950": "Chinese, traditional (Big5)", "cp949": "Korean (EUC-KR)",
}  # fmt: skip
LATIN = ("cp1252", "cp1250", "iso8859_2", "cp1254", "cp1257", "cp1258", "mac_roman")
OTHER = tuple(codec for codec in WORDS if codec not in LATIN)
FOREIGN = 0.5  # share of bytes beyond ASCII in the words that have one; of Western European ones about a third
FOREIGN_OF_ALL = 0.15  # share of them in all words of their lines; damaged signs in English text messages are 3 % of it
FEWEST = 8  # bytes beyond ASCII that say something
CLOSE = 0.05  # difference in disorder, 0 to 1, within which two encodings are as likely
MOST_DISORDER = 0.3
KANA = re.compile("[\u3041-\u30fe]")
KANA_SHARE = 0.15  # of the characters beyond ASCII, in Japanese; read as Korean, Shift-JIS looks as orderly
# The letters beyond ASCII of what is written in each: French, German, Spanish, Portuguese, Italian, Swedish, Danish, Dutch, Icelandic;
# Czech, Slovak, Polish, Hungarian, Romanian, Croatian; Turkish; Lithuanian, Latvian, Estonian.
WESTERN = ("àâæçéèêëîïôœùûüÿ", "äöüß", "áéíóúñü¿¡", "áâãàçéêíóôõú", "àèéìòù", "åäöé", "æøåé", "éëïóöè", "áðéíóúýþæö")
CENTRAL = ("áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "ąćęłńóśźż", "áéíóöőúüű", "ăâîşţ", "čćđšž")
ALPHABETS = {
    "cp1252": WESTERN, "cp1250": CENTRAL, "iso8859_2": CENTRAL, "cp1254": ("çğıöşüâîû",), "cp1257": ("ąčęėįšųūž", "āčēģīķļņšūž", "äöõüšž"),
    "mac_roman": WESTERN,
}  # fmt: skip
FITTING = 0.7  # share of what stands beyond ASCII that has to fit: what is damaged fits no language
PREFERRED = 0.05  # by so much another one has to fit better than Western European, which is by far the commonest
TIES = "’‘ʼ´`·-–"  # signs that belong within words
WORD = re.compile(rb"[A-Za-z\x80-\xff]+")


@dataclass(frozen=True)
class Judged:
    """An encoding, the others that it may be, the likeliest first, and whether one of them is as likely."""

    codec: str
    others: tuple[str, ...]
    unsure: bool


def judged(sample: bytes) -> Judged | None:
    """The encoding of a text, from its lines beyond ASCII; None where it is in another script than the Latin one and none fits."""
    every = WORD.findall(sample)
    words = [word for word in every if max(word) >= 0x80]
    beyond = sum(sum(byte >= 0x80 for byte in word) for word in words)
    foreign = beyond >= FEWEST and beyond > FOREIGN * sum(map(len, words)) and beyond > FOREIGN_OF_ALL * sum(map(len, every))
    return _of_another_script(sample) if foreign else _latin(sample)


def _of_another_script(sample: bytes) -> Judged | None:
    from charset_normalizer import from_bytes

    found = from_bytes(sample, cp_isolation=list(OTHER), threshold=MOST_DISORDER, enable_fallback=False)
    ranked = [(match.encoding, match.chaos) for match in found if match.encoding in OTHER]
    if not ranked:
        return None
    least = min(disorder for _, disorder in ranked)
    likely = [codec for codec, disorder in ranked if disorder <= least + CLOSE]
    kana = [codec for codec, _ in ranked if _kana(sample, codec) > KANA_SHARE]
    first = kana[0] if kana else likely[0]
    others = [codec for codec, _ in ranked]
    return Judged(first, _rest(first, others, OTHER), not kana and len(likely) > 1)


def _rest(first: str, likely: list[str], every: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(codec for codec in dict.fromkeys((*likely, *every)) if codec != first)


def _kana(sample: bytes, codec: str) -> float:
    text = [sign for sign in sample.decode(codec, "replace") if sign > "\x7f"]
    return sum(KANA.match(sign) is not None for sign in text) / max(1, len(text))


def _latin(sample: bytes) -> Judged:
    fits = {codec: _fit(sample.decode(codec, "replace"), alphabets) for codec, alphabets in ALPHABETS.items()}
    fits = {codec: share if share >= FITTING else 0.0 for codec, share in fits.items()}
    fits["cp1252"] += PREFERRED
    ranked = sorted(fits, key=lambda codec: (-round(fits[codec], 2), LATIN.index(codec)))
    first = ranked[0]
    told = sample.decode(first, "replace")
    unsure = any(fits[one] >= fits[first] - PREFERRED and sample.decode(one, "replace") != told for one in ranked[1:])
    return Judged(first, _rest(first, ranked, LATIN), unsure and first != "cp1252")


def _fit(text: str, alphabets: tuple[str, ...]) -> float:
    """Share of what stands beyond ASCII that one of these languages writes: its letters, and signs that stand in no word."""
    counts: Counter[str] = Counter()
    signs = 0
    for at, sign in enumerate(text):
        if sign > "\x7f" and sign not in TIES:
            within = text[at - 1 : at].isalpha() or text[at + 1 : at + 2].isalpha()
            if sign.isalpha() or within or sign == "\ufffd":
                signs += 1
                counts[sign.lower() if not (sign.isupper() and at and text[at - 1].islower()) else "\ufffd"] += 1
    return max(sum(counts[one] for one in alphabet) for alphabet in alphabets) / max(1, signs)
