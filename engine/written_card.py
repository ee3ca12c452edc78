"""What the card says of a model that writes: what it does, its figures beside the untuned model's, and how it must be asked. Pure."""

from __future__ import annotations

from engine.account import Account, Told, is_better, number, shown
from engine.loading import Finished
from engine.markdown import block, plain, table
from engine.verdict import p_words

# The Hub's names of metrics (https://huggingface.co/metrics), by ours; what has none there stands in the table alone.
METRICS = {"perplexity_token": "perplexity", "rouge1": "rouge", "rouge2": "rouge", "rougeL": "rouge", "bleu": "bleu", "chrf": "chrf",
           "exact_match": "exact_match", "token_f1": "f1", "micro_f1": "f1", "macro_f1": "f1", "exact": "accuracy"}  # fmt: skip
DOES = {
    "write": "Writes on in the manner of the texts that it learnt",
    "instruct": "Follows instructions",
    "answer": "Answers questions",
    "transform": "Turns a text into another",
}


def what_it_does(finished: Finished) -> str:
    return DOES.get(finished.plan.task, "Writes")


def figures(one: Account) -> list[tuple[str, str, float]]:
    """(the Hub's metric, name, value) of each figure that the Hub knows."""
    return [(METRICS[told.id], told.name, told.value.value) for told in _ordered(one) if told.id in METRICS and told.rows]


def results(one: Account) -> str:
    """The table of figures, and what limits them. No row of the data."""
    rows = [
        [plain(told.name), shown(told), "" if told.before is None else number(told.before), _difference(told), f"{told.rows:,}"]
        for told in _ordered(one)
        if told.rows
    ]
    notes = [f"- {plain(told.name)}: {plain(told.note)}" for told in _ordered(one) if told.rows]
    written = f" {one.written:,} of them were answered, always with the likeliest word." if one.written else ""
    told = [
        "## Results",
        f"On {one.rows:,} test rows.{written} In brackets the 95 % interval (bootstrap over the rows). “Untuned” is the base model, asked "
        "the same with the same decoding.",
        table(["", "Tuned", "Untuned", "Difference", "Rows"], rows),
        "\n".join([*(f"- {plain(warning)}" for warning in one.warnings), *notes]),
    ]
    return "\n\n".join(part for part in told if part)


def _ordered(one: Account) -> list[Told]:
    return sorted(one.figures, key=lambda told: told.id != one.headline)


def _difference(told: Told) -> str:
    if told.p_value is None:
        return ""
    better = is_better(told)
    return f"{'may be chance' if better is None else 'better' if better else 'worse'}, {p_words(told.p_value)}"


def asking(finished: Finished) -> list[str]:
    """The form in which it must be asked, and how an answer ends."""
    settings = finished.plan.settings
    parts: list[str] = []
    if "chat_template" in settings:
        parts.append("Ask it through the tokenizer's chat template (`chat_template.jinja`), in which it was taught; the lines do.")
        if settings["system_prompt"]:
            parts += ["Every conversation begins with this system prompt:", block(str(settings["system_prompt"]))]
    elif "template" in settings:
        parts += ["It was taught with this template, and must be asked with it; {{ stands for one brace:", block(str(settings["template"]))]
    if not finished.writes:
        parts.append("Its answer is the label whose name it finds likeliest behind the template, which the lines work out.")
    elif finished.stops:
        stops = ", ".join(f"`{one!r}`" for one in finished.stops)
        parts.append(f"An answer is over at the model's own end, or at one of these: {stops}.")
    return parts
