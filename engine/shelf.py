"""Models that write, held open: a base with any number of LoRA adapters over it, or a whole model. In the process that writes alone.

Choices over one base share its weights: an adapter is put beside them or set aside in milliseconds. What was learnt in another
way (all weights, virtual tokens, some of the weights) is opened as a model of its own. torch is imported where it is needed.
"""

from __future__ import annotations

import contextlib
import gc
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from engine import hardware, models, plan, rules, trained
from engine.checks import gigabytes
from engine.conversation import Prompt, Said, Taught, messages
from engine.data.repairs import text_as_fixed
from engine.data.table import clean
from engine.data.texts import Texts
from engine.errors import Problem, Refused
from engine.fix import read_all
from engine.generation import ends_of
from engine.hub import Said as Told
from engine.knobs import settle
from engine.methods import all_methods
from engine.models import ModelFacts
from engine.spec import Training
from engine.tasks import _language, all_tasks
from engine.tasks.classify import load_tokenizer
from engine.trained import Kept, autocast_of
from engine.writers import WRITER_FIX

How = Literal["there", "swapped", "added", "loaded"]  # nothing to do; an adapter put in place; one read first; a base opened
BESIDE_BYTES = 300_000_000  # of libraries, and of what some thousand tokens leave in the model's memory
ADAPTERS_KEPT = 8  # over one base


@dataclass(frozen=True)
class Which:
    """A model to write with: an untuned one by its id and commit, or a finished run's by its folder."""

    model: str = ""
    revision: str | None = None
    run: str = ""


@dataclass(frozen=True)
class Ready:
    """A model that may write now."""

    model: Any
    tokenizer: Any
    autocast: str | None
    ends: tuple[int, ...]  # tokens that end a text
    taught: Taught | None  # how a run's task puts a prompt: this run's, or that of one beside it over this base
    how: How
    seconds: float  # that it took to get it ready
    bytes: int  # that this process holds: of the GPU's memory where it uses one


@dataclass(frozen=True)
class _Base:
    """What tells one set of weights from another."""

    id: str
    revision: str | None
    precision: str
    bits: str = ""  # how they are stored in few bits
    alone: str = ""  # the mark of the only run that they are of


@dataclass
class _Held:
    """A base and what stands beside it."""

    model: Any  # transformers', with PEFT's layers in it once there is `over`; or the whole model of one run
    tokenizer: Any
    over: Any = None  # PEFT's, around it
    adapters: dict[str, tuple[str, Any]] = field(default_factory=dict)  # a run's mark -> PEFT's name, the run's tokenizer
    newest: str = ""  # the mark of what wrote last


@dataclass(frozen=True)
class _Run:
    """A finished run's model as it lies on the disk."""

    folder: Path
    kept: Kept
    mark: str  # changes when it is written anew
    facts: ModelFacts

    @property
    def precision(self) -> str:
        """In which it can be used here: a CPU is about 30 times slower in fp16 than in bf16, and gets NaN."""
        told = settle(Training, self.kept.settings).precision or "fp32"
        return "fp32" if told == "fp16" and not _cuda() else told

    def taught(self, tokenizer: Any) -> Taught:
        """Prompts in the form that its task gives them, cleaned as its rows were."""
        task, (fixes, _) = all_tasks()[self.kept.task], read_all(self.kept.fixes)
        html = bool(self.kept.settings["clean_html"])
        knobs: Any = settle(task.knobs, self.kept.settings)
        knobs = replace(knobs, max_length=max(self.facts.max_tokens, knobs.max_length))  # nothing is cut: what is too long is refused
        writes = task.writes
        ends = writes.ends(tokenizer, knobs) if writes and writes.ends else ()

        def cleaned(text: str) -> str:
            return clean(text_as_fixed(clean(text, clean_html=False), fixes), clean_html=html)

        def put(said: Said) -> Prompt:
            first, beside, form = cleaned(said.turns[-1].text), cleaned(said.context), "taught"
            if writes is not None and writes.chats:  # up to an answer that is to be written
                turns = [{**one, "content": cleaned(one["content"])} for one in messages(said)]
                first, beside, form = json.dumps([*turns, {"role": "assistant", "content": ""}], ensure_ascii=False), "", "chat"
            (ids,) = task.encode(tokenizer, Texts([first], [beside] if writes is not None or self._reads_pairs() else None), knobs)
            return Prompt(tuple(ids), ends, form, writes.stops if writes else ())  # type: ignore[arg-type]

        return put

    def _reads_pairs(self) -> bool:
        """Whether the run learnt from two columns."""
        try:
            return bool(json.loads((self.folder.parent / "plan.json").read_text("utf-8")).get("second"))
        except (OSError, ValueError, AttributeError):
            return False

    @property
    def is_lora(self) -> bool:
        """Whether it is an update beside unchanged weights and nothing else."""
        try:
            told = json.loads((self.folder / "adapter_config.json").read_text("utf-8"))
        except (OSError, ValueError):
            return False
        return told.get("peft_type") == "LORA" and not told.get("modules_to_save")

    @property
    def base(self) -> _Base:
        if not self.is_lora:
            return _Base(self.kept.model, self.kept.revision, self.precision, alone=self.mark)
        method = all_methods()[self.kept.method]
        quantised = method.quantisation
        bits = str(quantised(settle(method.knobs, self.kept.settings), self.facts, self.precision).to_dict()) if quantised else ""
        return _Base(self.kept.model, self.kept.revision, self.precision, bits)


class Shelf:
    """The models that are open. For one thread."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._reserve_bytes = 0
        self._held: dict[_Base, _Held] = {}

    @contextlib.contextmanager
    def ready(self, which: Which, beside: Sequence[Which], token: str | None, say: Told, *, reserve_bytes: int = 0) -> Iterator[Ready]:
        """The model, for as long as the block lasts. `beside`: what else is wanted just now; bases of neither are put away.

        `reserve_bytes`: of the free memory that others will take.
        Raises Refused where it cannot be had, cannot write, or memory does not suffice.
        """
        begun, self._reserve_bytes = time.perf_counter(), reserve_bytes
        runs = [_run(Path(one.run)) for one in (which, *beside) if one.run]
        run = runs[0] if which.run else None
        base = run.base if run else self._untuned(which, runs, token)
        wanted = {base, *(one.base for one in runs), *(self._untuned(one, runs, token) for one in beside if not one.run)}
        for other in self._held.keys() - wanted:
            self._put_away(other)
        how: How = "there"
        if base not in self._held:
            how, self._held[base] = "loaded", self._opened(base, run, token, say)
        held, mark = self._held[base], run.mark if run and not base.alone else ""
        if how == "there" and held.newest != mark:
            how = "swapped"
        if run and mark and mark not in held.adapters:
            how = "added" if how == "swapped" else how
            _add(held, run)
        held.newest = mark
        with _only(held, mark) as model:
            tokenizer = held.adapters[mark][1] if mark else held.tokenizer
            seconds = time.perf_counter() - begun
            ends, alike = ends_of(model, tokenizer), run or next((one for one in runs if one.kept.model == base.id), None)
            taught = alike.taught(tokenizer) if alike else None  # an untuned model beside a run is asked the same, so that they compare
            yield Ready(model, tokenizer, autocast_of(base.precision), ends, taught, how, seconds, held_bytes())

    def _untuned(self, which: Which, runs: Sequence[_Run], token: str | None) -> _Base:
        """The base of an untuned model: that of a run over it where one is wanted or there, so that it is not opened twice."""
        known = [*(one.base for one in runs), *self._held]
        for one in known:
            if (one.id, one.revision) == (which.model, which.revision) and not one.bits and not one.alone:
                return one
        precision = rules.usual_precision(hardware.detect(self.home))[0]
        if precision == "fp16":  # which some architectures overflow in
            found = models.find(which.model, token=token, home=self.home, revision=which.revision)
            precision = rules.usual_precision(hardware.detect(self.home), found.architecture)[0]
        return _Base(which.model, which.revision, precision)

    def _opened(self, base: _Base, run: _Run | None, token: str | None, say: Told) -> _Held:
        say("Opening the model", 0, 0)
        facts = run.facts if run else models.find(base.id, token=token, home=self.home, revision=base.revision)
        self._make_room(base, facts)
        if run and (base.alone or base.bits):
            opened: Any = trained.open_trained(run.folder, home=self.home, token=token)
            if base.alone:
                return _Held(opened.model, opened.tokenizer)
            held = _Held(opened.model.get_base_model(), opened.tokenizer, opened.model)
            held.adapters[run.mark] = opened.model.active_adapter, opened.tokenizer
            return held
        folder = models.fetch(
            models.find(base.id, token=token, home=self.home, revision=base.revision), token=token, home=self.home, say=say
        )
        self._make_room(base, facts)  # downloading and converting take a while, and memory
        say("Opening the model", 0, 0)
        return _Held(open_writer(folder, base.id, autocast_of(base.precision) or "float32"), tokenizer_of(folder, base.id))

    def _make_room(self, base: _Base, facts: ModelFacts) -> None:
        """Puts other models away where this one would not fit beside them. Raises Refused where that does not help."""
        share = 0.7 if base.bits else 4 if base.precision == "fp32" else 2  # bytes a parameter; some stay in 16 bits beside 4
        needed = int(share * facts.body_parameters) + BESIDE_BYTES
        for other in list(self._held):
            if self._free() < needed:
                self._put_away(other)
        free = self._free()
        if free < needed:
            message = f"{Path(base.id).name} needs about {gigabytes(needed)} of memory to write, and {gigabytes(max(0, free))} are free."
            fix = "Close other programs, wait until a run has ended, or choose a smaller model."
            raise Refused(Problem("model", message, fix, of_memory=True))

    def _free(self) -> int:
        if _cuda():
            import torch

            ours = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
            return int(torch.cuda.mem_get_info()[0]) + ours - self._reserve_bytes
        return hardware.detect(self.home).ram_free_bytes - self._reserve_bytes

    def _put_away(self, base: _Base) -> None:
        del self._held[base]
        gc.collect()
        if _cuda():
            import torch

            torch.cuda.empty_cache()


def open_writer(folder: Path, name: str, dtype: str) -> Any:
    """The untuned model of a local folder, ready to write. Raises Refused for one that has nothing to write with."""
    try:
        model = _language.load_model(folder, (), dtype=dtype)
    except Refused as refused:
        message = f"{name} has no language-modelling head: it reads texts, and writes none."
        raise Refused(Problem("model", message, WRITER_FIX)) from refused
    return model.to("cuda" if _cuda() else "cpu").eval()


def tokenizer_of(folder: Path, name: str) -> Any:
    """The folder's tokenizer. Raises Refused where there is none that can be read."""
    try:
        return load_tokenizer(folder)
    except (OSError, ValueError, TypeError, AttributeError, KeyError, ImportError) as error:
        message = f"{name} has no tokenizer that can be read, so it can neither read a prompt nor write a text."
        raise Refused(Problem("model", message, "Put its tokenizer's files into its folder, or choose another model.")) from error


def held_bytes() -> int:
    """What this process holds now: of the GPU's memory where it uses one, else of the machine's."""
    if _cuda():
        import torch

        return torch.cuda.memory_allocated()
    import psutil

    return int(psutil.Process().memory_info().rss)


def _run(run_folder: Path) -> _Run:
    """Raises Refused for a run without a model."""
    folder = run_folder / "model"
    try:
        kept = Kept.read(folder)
        facts = plan.from_json((run_folder / "plan.json").read_text("utf-8")).model
    except (OSError, ValueError, TypeError) as error:
        raise Refused(Problem("run", "This run has no trained model.", "Train it to its end, or choose another run.")) from error
    return _Run(folder, kept, f"{run_folder}@{folder.stat().st_mtime_ns}", facts)


def _add(held: _Held, run: _Run) -> None:
    """Puts the run's adapter beside the base."""
    from peft import PeftModel

    from engine.methods._peft import without_casts

    name = f"run{len(held.adapters)}-{abs(hash(run.mark))}"  # PEFT takes no dot in it
    if held.over is None:
        held.over = PeftModel.from_pretrained(held.model, str(run.folder), adapter_name=name)
    else:
        held.over.load_adapter(str(run.folder), adapter_name=name)
    without_casts(held.over).eval()
    held.adapters[run.mark] = name, tokenizer_of(run.folder, run.kept.run)
    if len(held.adapters) > ADAPTERS_KEPT:
        oldest = next(iter(held.adapters))
        held.over.delete_adapter(held.adapters.pop(oldest)[0])


@contextlib.contextmanager
def _only(held: _Held, mark: str) -> Iterator[Any]:
    """The model with this run's adapter, or with none."""
    if held.over is None:
        yield held.model
    elif mark:
        held.over.set_adapter(held.adapters[mark][0])
        yield held.over
    else:
        with held.over.disable_adapter():
            yield held.model


def _cuda() -> bool:
    import torch

    return torch.cuda.is_available()
