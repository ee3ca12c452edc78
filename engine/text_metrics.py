"""Figures of written texts: perplexity, BLEU, chrF, ROUGE, exact match, token F1, variety and repetition. Each a `resampling.Figure`.

References come as the accepted texts of each row, one at least. BERTScore and the cosine, which need a model, are in `likeness`.
BLEU and chrF are sacrebleu's and ROUGE is rouge-score's, with words that keep Bengali (text_words.py).
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.resampling import Figure, Floats, mean, ratio
from engine.text_words import blank_separated, normalised, words

ROUGE = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L"}
MOST_NATS = 700.0  # e to this still fits a float
REPEATED = 4  # words of a run that counts as repeated
MOST_COMPARED = 500  # words of one text that ROUGE's table of common runs is made for: it grows with the square
References = Sequence[Sequence[str]]


def perplexity(nats: Sequence[float], tokens: Sequence[int], texts: Sequence[str]) -> tuple[Figure, Figure]:
    """Per token and per word, from each row's summed negative log-likelihood in nats, its scored tokens, and the scored text.

    Per token depends on how a tokenizer cuts; per word can be compared between models. The sums are divided, never the rows' means.
    """

    def of(sums: Floats) -> Floats:
        return np.asarray(np.exp(np.minimum(ratio(sums), MOST_NATS)), dtype=np.float64)

    spent = np.asarray(nats, dtype=np.float64)
    told = np.array([blank_separated(text) for text in texts], dtype=np.float64)
    by_token = "e to the mean surprise in nats for each token. Between models with other tokenizers it cannot be compared."
    by_word = "e to the surprise in nats for each word, where a word is what stands between blanks. Can be compared between models."
    return (
        Figure("perplexity_token", "Perplexity per token", "lower", by_token, np.stack([spent, np.asarray(tokens, float)], axis=1), of),
        Figure("perplexity_word", "Perplexity per word", "lower", by_word, np.stack([spent, told], axis=1), of),
    )


def bleu(written: Sequence[str], references: References) -> Figure:
    """Corpus BLEU as sacrebleu counts it, 0 to 100. How texts are cut stands in the note, with sacrebleu's signature."""
    from sacrebleu.metrics.bleu import BLEU

    return _sacrebleu(BLEU(tokenize=bleu_tokenizer(references)), "bleu", "BLEU", written, references)


def chrf(written: Sequence[str], references: References) -> Figure:
    """Corpus chrF (chrF2) as sacrebleu counts it, 0 to 100: by letters, so that it also suits languages with many endings."""
    from sacrebleu.metrics.chrf import CHRF

    return _sacrebleu(CHRF(), "chrf", "chrF", written, references)


def bleu_tokenizer(references: References) -> str:
    """sacrebleu's tokenizer for these texts: "zh" for Chinese, "13a" (the usual) for Latin script, else "intl", which knows the danda."""
    letters = Counter(_script(letter) for row in references[:200] for letter in row[0][:500] if letter.isalpha())
    if not letters:
        return "13a"
    return {"han": "zh", "latin": "13a"}.get(letters.most_common(1)[0][0], "intl")


def _script(letter: str) -> str:
    if "\u3400" <= letter <= "\u9fff":
        return "han"
    return "latin" if unicodedata.name(letter, "").startswith("LATIN") else "other"


def _sacrebleu(metric: Any, id: str, name: str, written: Sequence[str], references: References) -> Figure:
    """sacrebleu's own statistics of each row, and its own way from their sums to the score."""
    most = max(map(len, references))
    streams = [[_nfc(row[at]) if at < len(row) else None for row in references] for at in range(most)]
    rows = np.array(metric._extract_corpus_statistics([_nfc(one) for one in written], streams), dtype=np.float64)

    def of(sums: Floats) -> Floats:
        return np.array([metric._compute_score_from_stats([round(one) for one in row]).score for row in sums])

    return Figure(id, name, "higher", f"As sacrebleu counts it, 0 to 100: {metric.get_signature()}", rows, of)


def rouge(written: Sequence[str], references: References) -> tuple[Figure, ...]:
    """ROUGE-1, ROUGE-2 and ROUGE-L, F1 of each row by rouge-score, the best of its references, 0 to 1; without stemming."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(list(ROUGE), tokenizer=_Words())
    rows = [scorer.score_multi(list(accepted), text) for text, accepted in zip(written, references, strict=True)]
    note = "Mean F1 by rouge-score, 0 to 1, without stemming. Its words are runs of letters, signs and digits of any script"
    note += f"; of a text its first {MOST_COMPARED:,}."
    return tuple(mean(id, name, np.array([row[id].fmeasure for row in rows]), better="higher", note=note) for id, name in ROUGE.items())


class _Words:
    """What rouge-score calls a tokenizer."""

    def tokenize(self, text: str) -> list[str]:
        return words(text)[:MOST_COMPARED]


def exact_match(written: Sequence[str], references: References) -> Figure:
    """The share of texts that equal one of their references by SQuAD's normalisation."""
    same = [float(any(normalised(text) == normalised(one) for one in row)) for text, row in zip(written, references, strict=True)]
    note = "Equal to an accepted answer as SQuAD compares: without capitals, punctuation and the words a, an and the."
    return mean("exact_match", "Exact match", np.array(same), better="higher", note=note)


def token_f1(written: Sequence[str], references: References) -> Figure:
    """The words that a text shares with its best reference, F1 by SQuAD's definition, 0 to 1."""
    found = [max(_shared(normalised(text), normalised(one)) for one in row) for text, row in zip(written, references, strict=True)]
    note = "F1 of the words shared with the nearest accepted answer, compared as SQuAD compares."
    return mean("token_f1", "Token F1", np.array(found), better="higher", note=note)


def _shared(first: list[str], second: list[str]) -> float:
    if not first or not second:
        return float(first == second)
    common = sum((Counter(first) & Counter(second)).values())
    return 2 * common / (len(first) + len(second))


def variety(written: Sequence[str]) -> tuple[Figure, ...]:
    """Distinct-1 and distinct-2 of each text (its different runs of so many words over all of them), and the share that repeats.

    Li et al. 2016 (https://arxiv.org/abs/1510.03055) and Welleck et al. 2020 (https://arxiv.org/abs/1908.04319): seq-rep-4. A text too
    short for one run is left out.
    """
    cut = [words(text) for text in written]
    distinct = "The share of {} that are different within a text, on average; 1: none comes twice."
    again = f"The share of runs of {REPEATED} words that stood in the same text before, on average; near 1: it goes round in circles."
    return (
        mean("distinct_1", "Distinct words", _distinct(cut, 1), better="", note=distinct.format("words")),
        mean("distinct_2", "Distinct pairs", _distinct(cut, 2), better="", note=distinct.format("pairs of words")),
        mean("repetition", "Repetition", 1 - _distinct(cut, REPEATED), better="lower", note=again),
    )


def _distinct(cut: Sequence[list[str]], length: int) -> Floats:
    """(texts,), NaN where a text is too short."""
    found = np.full(len(cut), np.nan)
    for at, text in enumerate(cut):
        runs = [tuple(text[start : start + length]) for start in range(len(text) - length + 1)]
        if runs:
            found[at] = len(set(runs)) / len(runs)
    return found


def same_share(written: Sequence[str]) -> float:
    """The share of texts that equal another one: near 1, the model gives every prompt the same answer."""
    counts = Counter(" ".join(words(text)) for text in written)
    return sum(count for count in counts.values() if count > 1) / len(written) if written else 0.0


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)
