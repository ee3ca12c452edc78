"""What happens on the Train place: every change of a field asks the engine for a new preview; Start hands the spec over."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from engine import spec as specs
from engine.catalog import Recipe
from engine.errors import Problem, Refused, explain
from ui import cards, form, request, words
from ui.border import bind
from ui.tabs.train import ADVANCED, SLOTS, Train

if TYPE_CHECKING:
    from engine.studio import Preview, Studio

SLOT_OF = {"data.source": "source", "data.test": "source", "data.text": "columns", "data.label": "columns"}


def wire(studio: Studio, train: Train) -> None:
    """Connects fields with handlers."""
    redraw = outputs(train)
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "trigger_mode": "always_last", "concurrency_limit": 4}
    seen: dict[str, Any] = {**quiet, "show_progress": "minimal", "show_progress_on": [train.facts]}
    change = bind(on_change, studio, train)
    everything = [train.token, *train.inputs]
    fields, part = train.fields, train.rows
    fields["data"].input(bind(on_source), [fields["data"]], _source_outputs(train), **quiet).then(change, everything, redraw, **seen)
    fields["hub_id"].change(
        bind(on_hub_id, studio),
        [fields["hub_id"], train.token],
        [fields["config"], fields["train_split"], fields["test_split"], fields["text"], fields["label"]],
        **quiet,
    ).then(change, everything, redraw, **seen)
    for upload, kept in ((train.upload, fields["file"]), (train.test_upload, fields["test_file"])):
        done = upload.upload(bind(on_upload, studio), upload, [kept, upload, train.slots["source"]], **{**seen, "trigger_mode": "once"})
        done.success(lambda: (None, None), None, [fields["text"], fields["label"]], **quiet).then(change, everything, redraw, **seen)
    slow = [fields[name] for name in ("config", "train_split", "test_split", "text", "label", "resplit")]
    gr.on([one.input for one in slow], change, everything, redraw, **seen)
    fields["model"].input(on_model, fields["model"], [part["other_model"], part["token"]], **quiet).then(
        change, everything, redraw, **quiet
    )
    typed = [fields["other_model"].submit, fields["other_model"].blur, train.token.submit, train.token.blur]
    gr.on(
        [*typed, fields["method"].input, fields["preset"].input, *(one.input for one in train.knobs.values())],
        change,
        everything,
        redraw,
        **quiet,
    )
    train.detail.input(on_detail, train.detail, part["advanced"], **quiet)
    part["suggestion"].click(bind(on_suggestion, studio, train), everything, train.inputs, **quiet).then(change, everything, redraw, **seen)
    train.download.click(bind(on_download, train), everything, train.spec_text, **quiet).then(
        None, train.spec_text, None, js="text => shur.download('spec.json', text)"
    )
    train.load.upload(bind(on_load, train), train.load, [train.refused, *train.inputs], **quiet).then(change, everything, redraw, **seen)
    train.start.click(bind(on_start, studio, train), everything, [train.started, train.refused], **{**quiet, "trigger_mode": "once"}).then(
        None, train.started, None, js="run => run && shur.go('runs', run)"
    )


def outputs(train: Train) -> list[Any]:
    fields, rows = train.fields, train.rows
    told = [train.facts, train.model_line, train.recipe_line, train.preview, train.start, train.refused]
    return [
        *told,
        fields["text"],
        fields["label"],
        rows["resplit"],
        rows["suggestion"],
        *train.slots.values(),
        *(column for _, column in train.groups),
        *train.knobs.values(),
    ]


def _source_outputs(train: Train) -> list[Any]:
    fields, rows = train.fields, train.rows
    return [rows["upload"], rows["hub"], rows["token"], fields["text"], fields["label"], fields["resplit"]]


def on_source(kind: str) -> tuple[Any, ...]:
    """Another kind of data: show its fields, and forget columns that belonged to the last."""
    return (
        gr.update(visible=kind == request.UPLOAD),
        gr.update(visible=kind == request.HUB),
        gr.update(visible=True) if kind == request.HUB else gr.skip(),
        None,
        None,
        False,
    )


def on_model(model: str) -> tuple[Any, Any]:
    return gr.update(visible=model == request.OTHER), gr.update(visible=True) if model == request.OTHER else gr.skip()


def on_detail(detail: str) -> Any:
    return gr.update(visible=detail == ADVANCED)


def on_upload(studio: Studio, path: str, progress: Any = None) -> tuple[Any, ...]:
    """Takes a file into the home and lets go of Gradio's own copy."""
    try:
        kept = studio.add_upload(path, Path(path).name)
    except Refused as refused:
        return gr.skip(), None, words.problems(refused.problems)
    finally:
        Path(path).unlink(missing_ok=True)
    return kept, None, ""


def on_hub_id(studio: Studio, hub_id: str, token: str) -> tuple[Any, ...]:
    """The subsets and splits of a data set, to choose from. What is wrong with the id shows with the next preview."""
    try:
        layout = studio.hub_layout(hub_id.strip(), token or None) if hub_id.strip() else {}
    except Refused:
        layout = {}
    splits = ["", *dict.fromkeys(split for one in layout.values() for split in one)]
    return gr.update(choices=["", *layout], value=""), gr.update(choices=splits, value=""), gr.update(choices=splits, value=""), None, None


def on_change(studio: Studio, train: Train, token: str, *values: Any) -> list[Any]:
    """A new preview for what the fields hold now."""
    told = train.offer.told(values)
    spec = request.run_spec(told, train.offer)
    found = studio.preview(spec, token or None)
    columns = tuple(one.name for one in found.data.columns) if found.data else _columns(studio, spec, token)
    return draw(studio, train, told, spec, found, columns)


def _columns(studio: Studio, spec: specs.RunSpec, token: str) -> tuple[str, ...]:
    """The columns to choose from where the data cannot be used as it is chosen."""
    try:
        return studio.columns(spec.data, token or None)
    except Refused:
        return ()


def draw(studio: Studio, train: Train, told: dict[str, Any], spec: specs.RunSpec, found: Preview, columns: tuple[str, ...]) -> list[Any]:
    """Every output of a change, in the order of `outputs`."""
    data, plan, problems, recipe = found.data, found.plan, found.problems, _recipe(studio, spec)
    label, ready = cards.start_label(problems)
    slots = {name: [one for one in problems if _slot(one) == name] for name in SLOTS}
    return [
        cards.facts(data),
        cards.model_line(studio.catalog.model(spec.model), found.model),
        cards.recipe_line(recipe),
        cards.preview(plan, problems),
        gr.update(value=label, interactive=ready),
        "",
        gr.update(choices=list(columns), value=data.text if data else told["text"], info=data.text_why if data else None),
        gr.update(choices=list(columns), value=data.label if data else told["label"], info=data.label_why if data else None),
        gr.update(visible=bool(spec.data.test or spec.data.resplit or (data and data.given_test is not None))),
        gr.update(visible=_differs(recipe, studio, spec)),
        *(words.problems(one) for one in slots.values()),
        *(gr.update(visible=group.method == spec.method) for group, _ in train.groups),
        *(form.update(knob, plan, problems) for knob in train.offer.all_knobs),
    ]


def _slot(problem: Problem) -> str:
    """The place on the page for a problem; "" for those of single settings and of the machine, which have their own."""
    head = problem.field.partition(".")[0]
    other = {"data": "source", "model": "model", "method": "method", "preset": "method", "task": "method"}
    return SLOT_OF.get(problem.field, other.get(head, ""))


def _recipe(studio: Studio, spec: specs.RunSpec) -> Recipe | None:
    return next((one for one in studio.catalog.recipes if one.id == spec.preset), None)


def _differs(recipe: Recipe | None, studio: Studio, spec: specs.RunSpec) -> bool:
    """Whether the preset was made for another model or other data than those that are chosen."""
    if recipe is None:
        return False
    dataset = studio.catalog.dataset(recipe.data) if recipe.data else None
    return bool(recipe.model and recipe.model != spec.model) or bool(dataset and dataset.source != spec.data.source)


def on_suggestion(studio: Studio, train: Train, token: str, *values: Any) -> list[Any]:
    """The model, data and method that the chosen preset was made for."""
    told = train.offer.told(values)
    recipe = _recipe(studio, request.run_spec(told, train.offer))
    dataset = studio.catalog.dataset(recipe.data) if recipe and recipe.data else None
    if dataset:
        told |= {"data": dataset.source, "text": dataset.text, "label": dataset.label, "resplit": recipe.resplit if recipe else False}
    if recipe:
        told |= {"model": recipe.model or told["model"], "method": recipe.method or told["method"]}
    return list(told.values())


def on_download(train: Train, token: str, *values: Any) -> str:
    return specs.to_json(request.run_spec(train.offer.told(values), train.offer))


def on_load(train: Train, path: str) -> list[Any]:
    """Fills the fields from a spec. One that cannot be read changes nothing and is told why."""
    try:
        spec = specs.from_json(Path(path).read_text("utf-8"))
    except (Refused, UnicodeDecodeError) as error:
        problems = (
            error.problems
            if isinstance(error, Refused)
            else (Problem("spec", "This is not a text file.", "Choose a spec.json that Shur wrote."),)
        )
        return [words.problems(problems), *(gr.skip() for _ in train.inputs)]
    finally:
        Path(path).unlink(missing_ok=True)
    return ["", *shown(train, spec)]


def shown(train: Train, spec: specs.RunSpec) -> list[Any]:
    """The value of every input for this spec."""
    return list(request.fields(spec, train.offer).values())


def on_start(studio: Studio, train: Train, token: str, *values: Any) -> tuple[str, str]:
    """Hands the run over. What the engine refuses now, though the preview was clean, is told beside the button."""
    spec = request.run_spec(train.offer.told(values), train.offer)
    try:
        return studio.start(spec, token or None), ""
    except Refused as refused:
        return "", words.problems(refused.problems)
    except OSError as error:
        return "", words.problem(explain(error))
