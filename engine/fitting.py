"""Make it fit: when a run needs more memory than there is, or takes long, the smallest changes that help, each with its new numbers.

In the order in which they cost least: checkpointing, smaller batches with more accumulation (the same step), shorter texts, a lighter
method, a smaller model. Pure but for `find`, which looks up another model of the catalogue.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from engine import speed
from engine.asked import asked
from engine.catalog import Catalog
from engine.checks import NEAR_FULL, check, memory_problems
from engine.data.profile import DataFacts
from engine.deciding import Deciding, cut_share
from engine.errors import Refused
from engine.hardware import Hardware
from engine.knobs import Value, knobs_of
from engine.methods import all_methods
from engine.models import ModelFacts, TokenFacts
from engine.plan import load
from engine.rules import decide
from engine.spec import RunSpec

SLOW_SECONDS = 1800.0  # half an hour: longer than somebody waits in front of it
QUICKER = 0.75  # of the time, at most: less gain is not worth a click
SHORTEST = 64  # tokens
MODELS_TRIED = 2  # that must be looked up; those that are here cost nothing
LEAST_BYTES = 2.0  # a parameter, frozen and in 16 bits

Found = tuple[ModelFacts, TokenFacts | None]


@dataclass(frozen=True)
class Change:
    """One way to make a run lighter: what is set anew, in words, and what the run would then need."""

    words: str
    settings: dict[str, Value] = field(default_factory=dict)
    method: str | None = None
    model: str | None = None
    memory_bytes: int = 0
    seconds: float | None = None  # of the whole run; None: no figure for this hardware
    fits: bool = True


@dataclass(frozen=True)
class Scene:
    """All that a run is planned from."""

    spec: RunSpec
    data: DataFacts
    model: ModelFacts
    tokens: TokenFacts | None
    hardware: Hardware
    catalog: Catalog
    memory_times: float = 1.0  # what was measured over what was estimated, where this run was measured; its variants are taken to be alike
    seconds_times: float = 1.0
    ran_out_at: int | None = None  # bytes, where a measurement came to less than seemed free

    def there(self, work: Deciding) -> int:
        """Bytes that the run may take."""
        return min(work.memory_available_bytes, self.ran_out_at or work.memory_available_bytes)

    def decided(self) -> Deciding | None:
        """The settings as they come out; None where something other than memory keeps the run from being made."""
        told = asked(self.spec, self.catalog)
        if told.method is None or told.task is None or told.problems or not self.data.classes:
            return None
        work = decide(told, told.method, self.spec.data, self.data, self.model, self.tokens, self.hardware)
        of_memory = tuple(memory_problems(work))  # its own question: what does not fit by the estimate may do so by what was measured
        found = check(self.spec, self.data, self.model, self.tokens, self.hardware, self.catalog)
        return None if any(one.severity == "error" and one not in of_memory for one in found) else work


def applied(spec: RunSpec, change: Change) -> RunSpec:
    """The spec with the change made; settings that belong to another method are left out."""
    spec = replace(spec, settings={**spec.settings, **change.settings}, model=change.model or spec.model)
    return spec if change.method is None else with_method(spec, change.method)


def to_json(change: Change) -> str:
    """What the change sets, as JSON text."""
    return json.dumps({"settings": change.settings, "method": change.method, "model": change.model}, ensure_ascii=False)


def from_json(text: str) -> Change:
    """The change that `to_json` wrote, without its numbers. Raises ValueError for anything else; its values are `check`'s to judge."""
    told = json.loads(text)
    if not isinstance(told, dict) or told.keys() != {"settings", "method", "model"} or not isinstance(told["settings"], dict):
        raise ValueError("no change")
    if told["method"] is not None and told["method"] not in all_methods():
        raise ValueError("no such method")
    values = {str(name): value for name, value in told["settings"].items() if isinstance(value, (bool, int, float, str))}
    return Change("", values, told["method"], None if told["model"] is None else str(told["model"]))


def with_method(spec: RunSpec, method: str) -> RunSpec:
    """The spec with another method, without the learning rate and the settings that this one does not know."""
    own = {knob.name for knob in knobs_of(all_methods()[method].knobs)}
    foreign = {knob.name for one in all_methods().values() for knob in knobs_of(one.knobs)} - own
    settings = {name: value for name, value in spec.settings.items() if name not in foreign and name != "learning_rate"}
    return replace(spec, method=method, settings=settings)


def changes(scene: Scene, find: Callable[[str], Found]) -> tuple[Change, ...]:
    """What helps; empty where the run fits and is quick, or where it cannot be made for other reasons."""
    work = scene.decided()
    if work is None:
        return ()
    there, now = scene.there(work), _outcome(scene, work, Change(""))
    if now.memory_bytes > there:
        return tuple(_that_fit(scene, work, find))
    if now.seconds is not None and now.seconds > SLOW_SECONDS:
        return tuple(_quicker(scene, work, now.seconds, find))
    return ()


def seconds_of(scene: Scene, work: Deciding) -> float | None:
    """Of the whole run, by the estimate; None where there is no figure for the hardware."""
    timing = speed.seconds(work.model, load(work), scene.hardware)
    return sum(timing.values()) if timing else None


def _outcome(scene: Scene, work: Deciding, change: Change) -> Change:
    """The change with its numbers."""
    needed, seconds = round(scene.memory_times * work.memory().total_bytes), seconds_of(scene, work)
    seconds = None if seconds is None else scene.seconds_times * seconds
    return replace(change, memory_bytes=needed, seconds=seconds, fits=needed <= NEAR_FULL * scene.there(work))


def _tried(scene: Scene, change: Change, found: Found | None = None) -> tuple[Change, Deciding] | None:
    """The change with its numbers and the settings that come of it; None where it cannot be made."""
    model, tokens = found or (scene.model, scene.tokens)
    work = replace(scene, spec=applied(scene.spec, change), model=model, tokens=tokens).decided()
    return (_outcome(scene, work, change), work) if work is not None else None


def _that_fit(scene: Scene, work: Deciding, find: Callable[[str], Found]) -> Iterator[Change]:
    """Each kind of change by itself where that is enough, else on top of those before it."""
    before = Change("")
    for kind in (_checkpointing, _batches, _lengths):
        alone = next((one for one in _numbers(scene, kind(work, Change(""))) if one.fits), None)
        if alone is not None:
            yield alone
        most = None
        for most in _numbers(scene, kind(work, before)):
            if most.fits:
                break
        if most is None:
            continue
        if most.fits and alone is None:
            yield most
            break
        before = most
    yield from _methods(scene, work)
    yield from _models(scene, work, find, lambda one: one.fits)


def _numbers(scene: Scene, tries: Iterator[Change]) -> Iterator[Change]:
    for one in tries:
        found = _tried(scene, one)
        if found is not None:
            change, decided = found
            yield replace(change, words=_with_cut(change, decided))


def _with_cut(change: Change, work: Deciding) -> str:
    if "max_length" not in change.settings:
        return change.words
    share = f"{cut_share(work):.0%}".replace("%", " %")
    return f"{change.words} ({share} of the rows are cut)"


def _on(before: Change, words: str, **settings: Value) -> Change:
    """A change on top of another."""
    both = f"{before.words}, {words[0].lower()}{words[1:]}" if before.words else words
    return Change(both, {**before.settings, **settings})


def _checkpointing(work: Deciding, before: Change) -> Iterator[Change]:
    if work.method.checkpointing and not work.settings["checkpointing"]:
        yield _on(before, "Gradient checkpointing", checkpointing=True)


def _batches(work: Deciding, before: Change) -> Iterator[Change]:
    batch, accumulation = int(work.settings["batch_size"]), int(work.settings["accumulation"])
    whole = batch * accumulation
    while batch > 1:
        batch = math.ceil(batch / 2)
        times = max(1, round(whole / batch))
        yield _on(before, f"Batches of {batch} × {times} rows", batch_size=batch, accumulation=times)


def _lengths(work: Deciding, before: Change) -> Iterator[Change]:
    length = min(int(work.settings["max_length"]), work.longest)
    while length // 2 >= SHORTEST:
        length //= 2
        yield _on(before, f"Texts of at most {length} tokens", max_length=length)


def _methods(scene: Scene, work: Deciding) -> Iterator[Change]:
    """The first in the page's order that fits."""
    for one in all_methods().values():
        if one.id != work.method.id:
            found = _tried(scene, Change(f"The method {one.name}", method=one.id))
            if found is not None and found[0].fits:
                yield found[0]
                return


def _models(scene: Scene, work: Deciding, find: Callable[[str], Found], helps: Callable[[Change], bool]) -> Iterator[Change]:
    """The largest model of the catalogue below this one that reads the data's script and helps."""
    script = next(iter(scene.data.script_shares), "Latin")
    most = min(0.8 * work.model.body_parameters, scene.there(work) / LEAST_BYTES)
    smaller = [one for one in scene.catalog.models if one.parameters < most and not one.gated and _reads(one.languages, script)]
    smaller.sort(key=lambda one: -one.parameters)
    here = [one for one in smaller[MODELS_TRIED:] if one.download_bytes == 0]
    for one in [*smaller[:MODELS_TRIED], *here]:
        try:
            found = _tried(scene, Change(f"The model {one.name}", model=one.id), find(one.id))
        except Refused:
            continue
        if found is not None and helps(found[0]):
            yield found[0]
            return


def _reads(languages: tuple[str, ...], script: str) -> bool:
    """Whether a model of these languages is suited to texts of this script."""
    if script == "Latin":
        return any("English" in one or "languages" in one or "Banglish" in one for one in languages)
    return any(script in one for one in languages)


def _quicker(scene: Scene, work: Deciding, now: float, find: Callable[[str], Found]) -> Iterator[Change]:
    """Shorter texts, fewer passes, the quickest method, a smaller model: what takes at most three quarters of the time."""

    def helps(one: Change) -> bool:
        return one.fits and one.seconds is not None and one.seconds <= QUICKER * now

    for kind in (_lengths, _passes):
        yield from [one for one in _numbers(scene, kind(work, Change(""))) if helps(one)][:1]
    tried = [_tried(scene, Change(f"The method {one.name}", method=one.id)) for one in all_methods().values() if one.id != work.method.id]
    good = [one[0] for one in tried if one is not None and helps(one[0])]
    yield from good[:1]
    yield from _models(scene, work, find, helps)


def _passes(work: Deciding, before: Change) -> Iterator[Change]:
    passes = float(work.settings["epochs"])
    while passes > 1:
        passes = max(1.0, float(math.floor(passes / 2)))
        yield _on(before, f"{passes:g} {'pass' if passes == 1 else 'passes'} over the data", epochs=passes)
