"""check(): every problem of a run at once, before it starts. Pure, a few milliseconds.

Errors keep a run from starting; warnings are what a person should know. What is wrong with the data itself `data.profile` tells.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.asked import Asked, asked
from engine.augment import BACK_TRANSLATION, NONE, SUITED
from engine.catalog import Catalog
from engine.data import split
from engine.data.columns import ANY_LABEL
from engine.data.dialogues import turns_of
from engine.data.profile import DataFacts
from engine.data.table import listed
from engine.data.tags import mark_columns
from engine.deciding import LEAST_ROOM, Deciding, cut_share, text_room
from engine.encoder_decoders import OVERFLOWS, TAUGHT
from engine.errors import Problem
from engine.hardware import Hardware, device_words
from engine.knobs import settle
from engine.methods import all_methods
from engine.models import ModelFacts, TokenFacts
from engine.rules import decide, unsupported
from engine.spec import RunSpec
from engine.tasks import all_tasks

FEW_TRAINING_ROWS = 500  # LLM Fine-Tuning on a Budget, section 1: 500 labelled rows at least
FEW_TEST_ROWS = 100  # at 100 rows the 95 % interval of an accuracy of 80 % is 16 points wide
LOPSIDED = 0.8  # share of the largest class
PIECES = 3.5  # tokens a word: English is near 1.3, Bengali under a Bengali tokenizer near 1.5
PIECES_ELSE = 3.0  # where the texts are not in Latin letters; half Bengali, half Banglish under MiniLM's tokenizer is 3.3
UNKNOWN = 0.05  # share of tokens
MUCH_CUT = 0.1  # share of rows
SEVERAL = 3  # columns of yes and no that seem to be tags whatever the label is
NEAR_FULL = 0.9  # of the free memory: the estimate may be off by a fifth


def check(
    spec: RunSpec, data: DataFacts | None, model: ModelFacts | None, tokens: TokenFacts | None, hardware: Hardware, catalog: Catalog
) -> tuple[Problem, ...]:
    """All problems of this run. None for `data` or `model`: it is not known (yet); what rests on it is left out."""
    told = asked(spec, catalog)
    problems = list(told.problems)
    problems += _precision(told, hardware)
    problems += _rate(told)
    problems += _figure(spec, told, data)
    problems += _optimizer(told, hardware)
    problems += _checkpointing(told)
    problems += _terms(spec, catalog)
    problems += _more_data(told)
    if model is not None and told.task is not None:
        problems += _encoder_decoder(told, model)
        if told.task.encoder_decoders or not model.encoder_decoder:
            problems += told.task.check(settle(told.task.knobs, told.values), model)
        model = told.task.facts(model)
        problems += _model_limits(told, model)
    if data is not None:
        problems += _data(data)
        problems += _tags(told, data)
    if data is not None and model is not None and told.method is not None and told.task is not None and data.classes:
        work = decide(told, told.method, spec.data, data, model, tokens, hardware)
        knobs = settle(split.Split, work.settings)
        problems += split.check(
            data.classes, knobs, data.layout, has_test=data.given_test is not None and knobs.folds is None, of_tags=bool(data.tags)
        )
        problems += told.method.check(work.method_knobs, model, hardware)
        problems += _rows(work)
        problems += _texts(work, catalog)
        problems += _steps(work)
        problems += memory_problems(work)
        problems += _disk(work)
    return tuple(dict.fromkeys(problems))


def _encoder_decoder(told: Asked, model: ModelFacts) -> list[Problem]:
    """Two texts, one read and one written, are all that such a model is trained on here."""
    assert told.task is not None
    if not model.encoder_decoder:
        return []
    problems = []
    if not told.task.encoder_decoders:
        fit = " or ".join(one.name for one in all_tasks().values() if one.encoder_decoders)
        message = f"{Path(model.id).name} reads a text and writes another, and “{told.task.name}” is not learnt so here."
        fix = f"Choose the task {fit}: what it writes may be a label too. Or choose another model."
        problems.append(Problem("model", message, fix))
    if told.own.get("precision") == "fp16" and model.architecture in OVERFLOWS:
        message = f"{Path(model.id).name} is a T5, whose numbers grow beyond what fp16 holds: its loss stops being a number."
        problems.append(Problem("settings.precision", message, "Leave the precision empty: bf16 is chosen, or fp32."))
    length = told.own.get("max_length")
    if isinstance(length, int) and length > TAUGHT and model.architecture in OVERFLOWS:
        message = f"It can read {length:,} tokens, but was taught on texts of up to {TAUGHT}: of longer ones it may make less."
        problems.append(Problem("settings.max_length", message, f"Set max_length to {TAUGHT} where your texts allow.", "warning"))
    return problems


def gigabytes(amount_bytes: float) -> str:
    return f"{amount_bytes / 1e9:.1f} GB"


def _precision(told: Asked, hardware: Hardware) -> Iterator[Problem]:
    precision = told.own.get("precision")
    why = unsupported(precision, hardware)
    if why:
        slow = precision == "bf16" and not hardware.gpus  # it is computed all the same
        message = f"Precision {precision} does not suit this machine: {why}."
        yield Problem("settings.precision", message, "Leave the precision empty: the best one is chosen.", "warning" if slow else "error")


def _figure(spec: RunSpec, told: Asked, data: DataFacts | None) -> Iterator[Problem]:
    if told.task is None:
        return
    asked_for = told.own.get("select_by")
    if asked_for is not None and asked_for not in told.task.figures:
        message = f"{told.task.name} has no figure {asked_for!r} on the validation rows."
        yield Problem("settings.select_by", message, f"Set select_by to {' or '.join(told.task.figures)}, or leave it empty.")
    if spec.data.target != told.task.target:
        message = f"The spec says that the label column holds {spec.data.target!r}; for this task it is {told.task.target!r}."
        yield Problem("data.target", message, f'Write "target": "{told.task.target}" in the spec\'s data.')
    yield from _told_apart(told, data)
    if told.task.pairs and data is not None and data.text and not data.second:
        message = f"{told.task.name} needs two columns of texts, and one is chosen."
        yield Problem("data.second", message, "Choose the column of the second text.")


def _told_apart(told: Asked, data: DataFacts | None) -> Iterator[Problem]:
    """Conversations for a task that reads none, and a template's place that no column fills."""
    if told.task is None or told.task.target != "text" or data is None or not data.text:
        return
    if told.task.writes and not told.task.writes.chats and (data.text == data.label or _talks(data)):
        message = f"Column {data.text!r} holds conversations, and {told.task.name} does not read them."
        yield Problem("data.text", message, "Choose the task Follow instructions, or other columns.")
    template = told.own.get("template")
    if "{context}" in str(template) and template != told.knobs["template"].default and not data.second:
        message = "The template has a place {context}, and no column stands beside the text: it stays empty."
        yield Problem("settings.template", message, "Choose the column that stands there, or take the place out.", "warning")


def _talks(data: DataFacts) -> bool:
    """Whether most of the first rows are conversations."""
    read = [row[data.text] for row in data.sample if row.get(data.text)]
    return bool(read) and sum(one.lstrip().startswith("[{") and turns_of(one) is not None for one in read) > len(read) / 2


def _rate(told: Asked) -> Iterator[Problem]:
    rate = told.values.get("learning_rate")
    if told.method is None or not isinstance(rate, float):
        return
    low, high = told.method.learning_rate_range
    if not low <= rate <= high:
        how = "low: it may learn next to nothing" if rate < low else "high: it may forget what it knows and fail to learn"
        message = f"A learning rate of {rate:g} is unusually {how}. {told.method.name} works from {low:g} to {high:g}."
        yield Problem("settings.learning_rate", message, f"Leave it empty, or set about {told.method.learning_rate:g}.", "warning")


def _terms(spec: RunSpec, catalog: Catalog) -> Iterator[Problem]:
    entry = catalog.model(spec.model)
    if entry is not None and entry.gated:
        message = f"{entry.name} is gated: its terms ({entry.licence}) must be accepted on its page, and hold for what you train from it."
        yield Problem("model", message, f"Accept them at {entry.source_url} and type in a Hub token of your account.", "warning")


def _more_data(told: Asked) -> Iterator[Problem]:
    kind = told.values.get("augment", NONE)
    if kind != NONE and told.task is not None and told.task.target not in SUITED:
        message = "Rows are made only where a text gets a label, tags or a number: changed words would change what this task is to write."
        yield Problem("settings.augment", message, "Set augment to none.")
    elif kind == BACK_TRANSLATION and not str(told.values.get("translator", "")).strip():
        fix = "Write its id on the Hub (Helsinki-NLP/opus-mt-bn-en, and back Helsinki-NLP/opus-mt-en-mul), or choose slips of typing."
        yield Problem("settings.translator", "No model that translates is chosen.", fix)


def _optimizer(told: Asked, hardware: Hardware) -> Iterator[Problem]:
    optimizer = str(told.values.get("optimizer", "adamw"))
    if optimizer == "adamw":
        return
    if importlib.util.find_spec("bitsandbytes") is None:
        message = "This optimiser needs the package bitsandbytes."
        yield Problem("settings.optimizer", message, "Run: pip install bitsandbytes, or choose AdamW.")
    if str(told.own.get("optimizer")).startswith("paged") and not hardware.gpus:  # a preset's is left out by `rules`
        message = "A paged optimiser moves its averages between a GPU and the computer's memory, and there is no GPU here."
        yield Problem("settings.optimizer", message, "Choose AdamW: it lies in the computer's memory anyway.")


def _checkpointing(told: Asked) -> Iterator[Problem]:
    if told.method is not None and not told.method.checkpointing and told.own.get("checkpointing"):
        message = f"{told.method.name} cannot be combined with gradient checkpointing."
        yield Problem("settings.checkpointing", message, "Turn it off; to save memory, choose a smaller batch size instead.")


def _model_limits(told: Asked, model: ModelFacts) -> Iterator[Problem]:
    length, room, before = told.own.get("max_length", 0), model.max_tokens, ""
    if told.method is not None:
        knobs: Any = settle(told.method.knobs, told.values)
        room = text_room(told.method.footprint(knobs, model), model)
        taken = model.max_tokens - room
        before = f" beside {taken} virtual ones" if taken else ""
        if room < LEAST_ROOM:
            message = f"{taken:,} virtual tokens leave no room for the text: this model reads {model.max_tokens:,} tokens at once."
            yield Problem("settings.virtual_tokens", message, f"Set virtual_tokens to {max(1, min(20, model.max_tokens // 4))}.")
            return
    if isinstance(length, int) and length > room:
        message = f"A text length of {length:,} tokens is more than this model reads at once{before}, {room:,}."
        yield Problem("settings.max_length", message, f"Set max_length to {room} or less.")


def _data(data: DataFacts) -> Iterator[Problem]:
    if not data.classes or data.usable == 0 or data.tags:
        return
    largest, rows = max(data.classes.items(), key=lambda item: item[1])
    share = rows / sum(data.classes.values())
    if share > LOPSIDED and len(data.classes) > 1:
        message = f"{share:.0%} of the rows are {largest!r}: a model that always says so looks {share:.0%} right."
        yield Problem("data.label", message, "Judge it by macro F1, and add rows of the other classes if you can.", "warning")


def _tags(told: Asked, data: DataFacts) -> Iterator[Problem]:
    """Several columns that say yes or no: a text may have several of them, and one is learnt as a class."""
    if told.task is None or told.task.target != "class" or data.meant is not None:  # that is told with a button
        return
    marks = mark_columns(data.columns, (data.text, data.second))
    if (data.label in marks or len(marks) >= SEVERAL) and not any(name.lower() in ANY_LABEL for name in marks):
        message = (
            f"{len(marks)} columns say yes or no ({listed(marks)}), so each seems to be a tag, and {data.label!r} alone would be learnt."
        )
        name = next(one.name for one in all_tasks().values() if one.target == "tags")
        yield Problem("task", message, f"Choose “{name}” under What is learnt to learn all of them.", "warning")


def _rows(work: Deciding) -> Iterator[Problem]:
    rows = work.rows
    if rows["train"] < FEW_TRAINING_ROWS:
        message = f"{rows['train']:,} training rows are few: it may work, but 500 are the least and 1,000 are comfortable."
        yield Problem("data.source", message, "Add labelled rows if you can.", "warning")
    if rows["test"] < FEW_TEST_ROWS:
        message = f"{rows['test']:,} test rows are too few to tell good from lucky: the figure at the end will be uncertain."
        given = work.data.given_test is not None
        fix = "Give a larger test file." if given else "Cross-validate under Compare methods, raise test_share, or add rows."
        yield Problem("data.test" if given else "settings.test_share", message, fix, "warning")
    batch = work.asked.own.get("batch_size", 0)
    if isinstance(batch, int) and batch > rows["train"]:
        message = f"A batch of {batch:,} rows is more than the {rows['train']:,} training rows."
        yield Problem("settings.batch_size", message, f"Set batch_size to {max(1, min(16, rows['train'] // 4))}, or leave it empty.")


def _texts(work: Deciding, catalog: Catalog) -> Iterator[Problem]:
    tokens, script = work.tokens, next(iter(work.data.script_shares), "")
    most = PIECES if script in ("", "Latin") else PIECES_ELSE
    if tokens is not None and (tokens.tokens_per_word > most or tokens.unknown_share > UNKNOWN):
        language = script if script and script != "Latin" else "your"
        yield Problem("model", _pieces(tokens, language), _better_model(work, catalog, script), "warning")
    cut, length = cut_share(work), work.settings["max_length"]
    if cut >= MUCH_CUT:
        kept = "beginning and end are" if work.settings.get("keep") == "ends" else "beginning is"
        message = f"{cut:.0%} of the texts are longer than {length:,} tokens; of those only the {kept} read."
        if work.asked.task and work.asked.task.writes:
            message = f"{cut:.0%} of the rows are longer than {length:,} tokens; of those some of the prompt or the answer is cut."
        room = work.room > length
        fix = "Raise max_length to read more; time and memory grow with it." if room else "That is all this model reads at once."
        yield Problem("settings.max_length", message, fix, "warning")


def _pieces(tokens: TokenFacts, language: str) -> str:
    if tokens.unknown_share > UNKNOWN:
        return f"{tokens.unknown_share:.0%} of the pieces of {language} texts are unknown to this model: it cannot read them."
    return f"This model breaks {language} words into {tokens.tokens_per_word:.1f} pieces on average, so it reads them slowly and poorly."


def _better_model(work: Deciding, catalog: Catalog, script: str) -> str:
    better = [one.name for one in catalog.models if script in one.languages and one.id != work.model.id]
    return f"A model made for {script} would read them better: {' or '.join(better[:2])}." if better else \
        "A model that was trained on this language would read them better."  # fmt: skip


def _steps(work: Deciding) -> Iterator[Problem]:
    warmup, steps = work.asked.own.get("warmup_steps", 0), work.steps
    if isinstance(warmup, int) and warmup >= steps > 1:
        message = f"A warm-up of {warmup:,} steps is as long as the whole training of {steps:,}: the learning rate never reaches its value."
        yield Problem("settings.warmup_steps", message, f"Leave it empty, or set it to about {round(0.1 * steps)}.", "warning")


def memory_problems(work: Deciding) -> Iterator[Problem]:
    """Too much for the free memory: an error with the nearest change that fits. Nearly too much: a warning."""
    needed, there = work.memory().total_bytes, work.memory_available_bytes
    device = device_words(work.hardware)
    if needed > there:
        message = f"Training needs about {gigabytes(needed)} of memory; {gigabytes(there)} are free on this machine ({device})."
        yield Problem(_memory_field(work), message, _what_fits(work), of_memory=True)
    elif needed > NEAR_FULL * there:
        message = f"Training needs about {gigabytes(needed)} of the {gigabytes(there)} of memory that are free: it may run out."
        yield Problem(_memory_field(work), message, "Close other programs, or choose a smaller batch size or text length.", "warning", True)


def _memory_field(work: Deciding) -> str:
    """Where the person can change it: what they set themselves, else the model."""
    return next((f"settings.{name}" for name in ("batch_size", "max_length") if name in work.asked.own), "model")


def _what_fits(work: Deciding) -> str:
    there = work.memory_available_bytes
    batch, length = int(work.settings["batch_size"]), int(work.settings["max_length"])
    tries: list[tuple[str, dict[str, Any]]] = [(f"Set batch_size to {smaller}", {"batch_size": smaller}) for smaller in _halves(batch, 1)]
    if work.method.checkpointing:
        tries.append(("Turn on gradient checkpointing", {"checkpointing": True}))
    tries += [(f"Set max_length to {shorter}", {"max_length": shorter}) for shorter in _halves(length, 64)]
    if work.method.checkpointing:
        tries.append(("Turn on gradient checkpointing and set batch_size to 1", {"checkpointing": True, "batch_size": 1}))
    for words, changed in tries:
        if work.memory(**changed).total_bytes <= there:
            return f"{words}: that would fit."
    lighter = [one.name for one in all_methods().values() if one.freezes_body and not work.method.freezes_body]
    return f"Choose a smaller model{', or the method ' + lighter[0] if lighter else ''}."


def _halves(value: int, least: int) -> list[int]:
    found = []
    while value // 2 >= least:
        value //= 2
        found.append(value)
    return found


def _disk(work: Deciding) -> Iterator[Problem]:
    needed, there = work.disk_bytes, work.hardware.disk_free_bytes
    if needed > there:
        message = f"The run needs about {gigabytes(needed)} of disk for download, checkpoints and model; {gigabytes(there)} are free."
        yield Problem("model", message, "Free some space, start with another --home, keep fewer checkpoints, or choose a smaller model.")
