"""A study: the same data learnt under conditions that are equal but for one thing, the method as a rule (see varied). Pure.

What it holds, and how its conditions are made equal.

Its runs are ordinary runs that carry its id; `studies` queues and reads them.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from engine import spec as specs
from engine.errors import Problem, Refused
from engine.fitting import with_method
from engine.knobs import Value, knobs_of, read
from engine.methods import Method
from engine.plan import Plan
from engine.spec import RunSpec, Training
from engine.varied import Variants, Varies, name_of, notes_of

VERSION = 2  # 2: studies of one method; one of version 1 compares methods
MOST_SEEDS = 5
MOST_PASSES = 10  # over the data that a budget of minutes may pay for, where the person set no passes
LEAST_STEPS = 20  # with fewer, a shared number of steps gives way to a share of the minutes for each method
OWN_RULE = "learning_rate"  # each method's own
MOST_EPOCHS = 100.0  # as the knob allows


@dataclass(frozen=True)
class Budget:
    """How much each run may do: a number of steps, the same for all; or minutes for the whole study. None: the base's own steps."""

    kind: Literal["steps", "minutes"] = "steps"
    amount: float | None = None


@dataclass(frozen=True)
class Study:
    """What was asked for, and the conditions that were made equal; study.json holds just this."""

    id: str
    name: str
    created: float  # seconds since the epoch
    base: RunSpec  # of every run, but for method and seed; holds the equal settings
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    budget: Budget
    own: dict[str, dict[str, Value]]  # arm -> settings that are its own: its learning rate where a preset has another, its steps
    notes: tuple[str, ...]  # what is equal and what is not, a sentence each
    refused: dict[str, str]  # "arm/seed" -> why its run could not be put in the queue
    varies: Varies = "methods"
    variants: dict[str, dict[str, Value]] = field(default_factory=dict)  # arm -> settings, where one method is studied
    version: int = VERSION

    @property
    def arms(self) -> tuple[str, ...]:
        """The lines of the study: its methods, or the variants of its one method."""
        return tuple(self.variants) if self.variants else self.methods

    def method_of(self, arm: str) -> str:
        return self.methods[0] if self.variants else arm

    def name_of(self, arm: str, methods: Mapping[str, Method]) -> str:
        """What the arm is called on the page."""
        method = self.method_of(arm)
        return name_of(self.varies, self.variants.get(arm, {}), methods[method].name if method in methods else method)

    @property
    def cells(self) -> tuple[tuple[str, int], ...]:
        """Every run: all arms with the first seed, then with the next, so that each arm has a figure early."""
        return tuple((arm, seed) for seed in self.seeds for arm in self.arms)


def to_json(study: Study) -> str:
    """The study as JSON text."""
    return json.dumps(dataclasses.asdict(study), ensure_ascii=False, indent=1) + "\n"


def from_json(text: str) -> Study:
    """The study that `to_json` wrote. Raises Refused for one that is damaged, or of a later version."""
    damaged = Problem("study", "The file of this study is damaged.", "Delete the study; its runs stay under Runs.")
    try:
        told: dict[str, Any] = json.loads(text)
        version = told.get("version")
        if not isinstance(version, int) or version > VERSION:
            raise Refused(Problem("study", f"This study has version {version!r}; this Shur reads up to {VERSION}.", "Update Shur."))
        return Study(
            **{
                **told,
                "base": specs.from_json(json.dumps(told["base"])),
                "methods": tuple(told["methods"]),
                "seeds": tuple(int(one) for one in told["seeds"]),
                "budget": Budget(**told["budget"]),
                "notes": tuple(told["notes"]),
            }
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused(damaged) from error


def spec_of(study: Study, arm: str, seed: int, methods: Mapping[str, Method]) -> RunSpec:
    """What this run of the study asks for."""
    spec = study.base if study.variants else for_method(study.base, methods[arm])  # of one method, the person's own learning rate
    settings = {**spec.settings, **study.own.get(arm, {}), **study.variants.get(arm, {}), "seed": seed}
    name = f"{study.name} · {study.name_of(arm, methods)}" + (f" · seed {seed}" if len(study.seeds) > 1 else "")
    return replace(spec, settings=settings, name=name, study=study.id)


def arm_of(study: Study, run: RunSpec) -> str | None:
    """The line of the study that this run belongs to; None where it belongs to none."""
    if not study.variants:
        return run.method
    return next((arm for arm, own in study.variants.items() if all(run.settings.get(name) == value for name, value in own.items())), None)


def subject(spec: RunSpec) -> str:
    """What a run or a study is about, for the name that the person did not give: its data and model."""
    kind, _, place = spec.data.source.partition(":")
    data = Path(place).stem if kind == "file" else place.split("/")[-1]
    return f"{data} · {Path(spec.model).name}"


def for_method(base: RunSpec, method: Method) -> RunSpec:
    """The base with another method: without the learning rate, the seed and the settings of methods that this one does not know."""
    spec = with_method(base, method.id)
    return replace(spec, settings={name: value for name, value in spec.settings.items() if name != "seed"}, name=None, study=None)


def seeds_of(base: RunSpec, count: int) -> tuple[int, ...]:
    """So many seeds, one after the other from the base's own. Raises Refused for a number out of 1 to 5, and for what is no seed."""
    if not 1 <= count <= MOST_SEEDS:
        raise Refused(Problem("study.seeds", f"{count} seeds are asked for; a comparison takes 1 to {MOST_SEEDS}.", "Choose 1 to 5 seeds."))
    knob = next(one for one in knobs_of(Training) if one.name == "seed")
    numbers: list[int] = []
    for at in range(count):
        raw = numbers[0] + at if numbers else base.settings.get("seed", knob.default or 0)
        number, problem = read(knob, raw)
        if problem is not None:
            raise Refused(problem)
        numbers.append(int(number or 0))
    return tuple(numbers)


@dataclass(frozen=True)
class Equal:
    """The conditions that hold for all runs, what is each method's own, and sentences on both."""

    settings: dict[str, Value]
    own: dict[str, dict[str, Value]]
    notes: tuple[str, ...]


def equal(base: RunSpec, plans: Mapping[str, Plan], budget: Budget, seeds: int, *, own_rule: bool = True) -> Equal:
    """The conditions under which every one of these methods can run.

    `plans` holds a plan of each method by itself. The order of the rows follows from seed and batch size, so both are shared; the
    effective batch is the base's. Raises Refused for a budget that does not pay for one evaluation.
    """
    lead = plans.get(base.method) or max(plans.values(), key=lambda plan: plan.learnt_rows)
    batch = min(int(one.settings["batch_size"]) for one in plans.values())
    accumulation = max(1, round(lead.effective_batch / batch))
    shared: dict[str, Value] = {
        "batch_size": batch,
        "accumulation": accumulation,
        "max_length": min(int(one.settings["max_length"]) for one in plans.values()),
        "precision": lead.settings["precision"],
        "patience": base.settings.get("patience", 0),
    }
    pass_steps = math.ceil(math.ceil(lead.learnt_rows / batch) / accumulation)
    own: dict[str, dict[str, Value]] = {}
    if budget.kind == "steps":
        steps = _steps_asked(base, budget, lead, pass_steps)
        shared |= _lasting(steps, pass_steps)
        told = f"{count_of(steps)} of {batch * accumulation} rows for every run."
    else:
        told, by_method = _of_minutes(base, budget, plans, seeds, pass_steps)
        if len(set(by_method.values())) == 1:
            shared |= _lasting(next(iter(by_method.values())), pass_steps)
        else:
            own = {method: dict(_lasting(steps, pass_steps)) for method, steps in by_method.items()}
    for method, plan in plans.items():
        if own_rule and plan.reason(OWN_RULE) is None:  # the preset's, made for one method alone
            own.setdefault(method, {})[OWN_RULE] = _rule(method)
    return Equal(shared, own, (told, *_notes(base, shared, batch, accumulation)))


def equal_variants(base: RunSpec, plans: Mapping[str, Plan], variants: Variants, budget: Budget, seeds: int) -> Equal:
    """The conditions for a study of one method, `plans` by arm: as of methods, but the learning rate is the same, and so are the steps.

    Fewer rows are passed over more often. Raises Refused as `equal` does.
    """
    lead = max(plans.values(), key=lambda plan: plan.learnt_rows)
    found = equal(base, {arm: replace(plan, decisions=lead.decisions) for arm, plan in plans.items()}, budget, seeds, own_rule=False)
    shared = {**found.settings, OWN_RULE: lead.settings[OWN_RULE]}
    own: dict[str, dict[str, Value]] = {}
    for arm, plan in plans.items():
        steps = int(found.own.get(arm, shared)["max_steps"])
        passes = math.ceil(math.ceil(plan.learnt_rows / int(shared["batch_size"])) / int(shared["accumulation"]))
        own[arm] = {"max_steps": steps, "epochs": min(MOST_EPOCHS, float(math.ceil(steps / passes)))}
    return Equal(shared, own, (found.notes[0], *notes_of(variants.varies)))


def _rule(method: str) -> float:
    from engine.methods import all_methods

    return all_methods()[method].learning_rate


def _lasting(steps: int, pass_steps: int) -> dict[str, Value]:
    """The two settings that make a run this long."""
    return {"max_steps": steps, "epochs": float(math.ceil(steps / pass_steps))}


def _steps_asked(base: RunSpec, budget: Budget, lead: Plan, pass_steps: int) -> int:
    amount = lead.steps if budget.amount is None else budget.amount
    if not (math.isfinite(amount) and amount == int(amount)):
        raise Refused(Problem("study.budget", f"The budget is {amount:g} steps, but steps are whole.", "Give a whole number of steps."))
    steps = int(amount)
    every = base.settings.get("evaluate_every", 1)
    least = max(1, every) if isinstance(every, int) else 1
    if steps < least:
        message = f"A budget of {count_of(steps)} is too small for one evaluation, which comes after {least}."
        raise Refused(Problem("study.budget", message, f"Give at least {count_of(least)}; a few hundred show more."))
    if steps > 100 * pass_steps:
        message = f"{steps:,} steps are more than 100 passes over these {lead.rows['train']:,} training rows."
        raise Refused(Problem("study.budget", message, f"Give at most {100 * pass_steps:,} steps."))
    return steps


def _of_minutes(base: RunSpec, budget: Budget, plans: Mapping[str, Plan], seeds: int, pass_steps: int) -> tuple[str, dict[str, int]]:
    """A sentence on what the minutes pay for by the estimate, and the steps of each method."""
    seconds = 60 * (budget.amount or 0)
    if not 0 < seconds < math.inf:  # also what is no number
        message = f"The budget is {budget.amount or 0:g} minutes, which is no length of time."
        raise Refused(Problem("study.budget", message, "Give a number of minutes above zero."))
    unknown = [method for method, plan in plans.items() if plan.seconds is None]
    if unknown:
        message = f"How long a step takes on this hardware is not known for {', '.join(unknown)}, so minutes cannot be shared out."
        raise Refused(Problem("study.budget", message, "Give a number of steps instead."))
    fixed = {method: _fixed(plan) for method, plan in plans.items()}
    each = {method: _a_step(plan) for method, plan in plans.items()}
    once = sum(_once(plan) for plan in plans.values())
    least = seeds * (sum(fixed.values()) + sum(each.values())) + once
    if seconds < least:
        needed = _minutes(math.ceil(least / 60))
        message = f"{_minutes(budget.amount or 0)} {'is' if budget.amount == 1 else 'are'} too few: {len(plans)} runs with {seeds} "
        message += f"{'seed' if seeds == 1 else 'seeds'} take about {needed} for one step and one evaluation each."
        raise Refused(Problem("study.budget", message, f"Give at least {needed}, or make the study smaller."))
    wanted = base.settings.get("epochs")
    most = math.ceil((float(wanted) if isinstance(wanted, (int, float)) else MOST_PASSES) * pass_steps)
    if isinstance(base.settings.get("max_steps"), int):
        most = min(most, int(base.settings["max_steps"]))
    steps = int(((seconds - once) / seeds - sum(fixed.values())) / sum(each.values()))
    if steps > most:
        passes = f"{most / pass_steps:.2g}"
        told = f"{count_of(most)} for every run: {passes} {'pass' if passes == '1' else 'passes'} over the data, less than "
        told += f"{_minutes(budget.amount or 0)} would pay for."
        return told, dict.fromkeys(plans, most)
    if steps >= min(LEAST_STEPS, most):
        told = f"{count_of(steps)} for every run, as many as about {_minutes(budget.amount or 0)} in all would pay for by the estimate."
        return told, dict.fromkeys(plans, steps)
    share = seconds / seeds / len(plans)
    own = {method: max(1, min(most, int((share - fixed[method] - _once(plan) / seeds) / each[method]))) for method, plan in plans.items()}
    told = f"{_minutes(budget.amount or 0)} in all would pay for only {count_of(max(0, steps))} each, so every run gets the same share of "
    told += f"the time instead, and its own number of steps: {min(own.values()):,} to {max(own.values()):,}."
    return told, own


def _minutes(amount: float) -> str:
    """1 minute, 2.5 minutes."""
    return f"{amount:g} {'minute' if amount == 1 else 'minutes'}"


def count_of(steps: int) -> str:
    """1 step, 1,200 steps."""
    return f"{steps:,} {'step' if steps == 1 else 'steps'}"


def _fixed(plan: Plan) -> float:
    """Seconds that each run takes however few its steps are."""
    return sum(seconds for part, seconds in plan.seconds_parts.items() if part not in ("frozen", "training", "validation"))


def _once(plan: Plan) -> float:
    """Seconds that the first run of a method takes and its other seeds are spared: they read from the disk what it computed."""
    return plan.seconds_parts.get("frozen", 0.0)


def seconds_of(plan: Plan, seeds: int) -> float | None:
    """Of all runs of a method; None where there is no figure."""
    return None if plan.seconds is None else seeds * (plan.seconds - _once(plan)) + _once(plan)


def _a_step(plan: Plan) -> float:
    """Seconds of a step, with its part of the evaluations."""
    return max(1e-3, sum(plan.seconds_parts.get(part, 0.0) for part in ("training", "validation")) / plan.steps)


def _notes(base: RunSpec, shared: Mapping[str, Value], batch: int, accumulation: int) -> list[str]:
    patience = shared["patience"]
    told = [
        f"Equal for all: data and split, order of the rows, batch {batch} × {accumulation} = {batch * accumulation} rows a step, "
        f"up to {shared['max_length']} tokens a text, {shared['precision']}"
        f"{', and the steps at which it is evaluated' if 'max_steps' in shared else ''}.",
        f"Training may stop early after {patience} checks without gain, the same for all."
        if patience
        else "No run stops early; of each, the checkpoint that was best on the validation rows is kept.",
        "The learning rate is each method's own rule, since what suits one wrecks another; it stands in the table.",
    ]
    if OWN_RULE in base.settings:
        told.append(f"Your learning rate of {base.settings[OWN_RULE]} is not used here.")
    return told


def check_methods(asked: Sequence[str], known: Mapping[str, Method]) -> None:
    """Raises Refused for methods that do not exist, or fewer than two different ones."""
    problems = [
        Problem("study.methods", f"There is no method {one!r}.", f"Choose from: {', '.join(known)}.") for one in asked if one not in known
    ]
    if not problems and len(set(asked)) < 2:
        what = f"only {known[asked[0]].name} is chosen" if asked else "no method is chosen"
        problems.append(Problem("study.methods", f"A comparison needs two methods at least; {what}.", "Choose another one beside it."))
    if problems:
        raise Refused(*problems)
