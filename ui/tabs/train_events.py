"""What happens on the Train place: every change of a field asks the engine for a new preview; Start hands the spec over."""

from __future__ import annotations

import contextlib
import json
import secrets
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from engine import spec as specs
from engine.asked import asked
from engine.catalog import Recipe
from engine.errors import Problem, Refused, explain
from engine.facts import FILE
from engine.fitting import applied, from_json
from engine.guide import GUIDE, RIGHT
from engine.models import EMBEDDED
from engine.tasks import all_tasks
from ui import cards, form, methods, request, words
from ui.border import bind
from ui.tabs import arriving, doctor_events, fit_events, model_upload, more_data, own_path, token_fit_events
from ui.tabs.train import SLOTS, Newest, Train, method_title

if TYPE_CHECKING:
    from engine.data.columns import ColumnFacts
    from engine.data.profile import DataFacts
    from engine.plan import Plan
    from engine.studies import Fit
    from engine.studio import Preview, Studio

NOTHING_PASTED = Problem("data.source", "There are no rows yet.", "Paste some, with a text and its label in each line.")
NOT_A_SPEC = Problem("spec", "This is not a text file.", "Choose a spec.json that Shur wrote.")
# The page numbers what it asks in the order of the changes, since the answers may come in another; for inputs that begin with a Newest.
NUMBERED = "(newest, change, ...fields) => [newest, (shur.change = (shur.change || 0) + 1), ...fields]"
MOSTLY = 0.95  # of the letters
LABELS = {  # of the columns, by what the task learns
    ("text", "text"): "Column that is read",
    ("label", "text"): "Column to be written",
    ("label", "number"): "Column of numbers",
}
MARKED = "value => {{ document.body.classList.toggle('{name}', {values}.includes(value)); }}"
SLOT_OF = {
    "data.source": "source",
    "data.test": "source",
    "data.sheet": "source",
    "data.text": "columns",
    "data.second": "columns",
    "task": "columns",
    "data.label": "columns",
    "data.labels": "columns",
    "data.group": "split",
    "data.time": "split",
}


def wire(studio: Studio, train: Train) -> None:
    """Connects fields with handlers. Newer events of the same kind replace those that wait, so fast typing costs one preview."""
    field, part = train.fields, train.rows
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "trigger_mode": "always_last", "concurrency_limit": 4}
    once = {**quiet, "trigger_mode": "once"}
    seen = {**quiet, "show_progress": "minimal", "show_progress_on": [train.facts]}
    everything = [train.token, *train.inputs]
    redraw = redrawing(studio, train)
    columns = [field["text"], field["label"], field["second"], field["labels"]]

    parts = [
        part["upload"],
        part["paste"],
        part["hub"],
        part["token"],
        *columns,
        field["resplit"],
        field["split_by"],
        field["split_column"],
    ]
    parts.append(field["corrections"])
    field["data"].input(bind(on_source), [field["data"]], parts, **quiet).then(**redraw, **seen)
    splits = [field["config"], field["train_split"], field["test_split"]]
    gr.on(
        [field["hub_id"].submit, field["hub_id"].blur], bind(on_hub_id, studio), [field["hub_id"], train.token, train.asked],
        [train.asked, *splits, *columns], **quiet,
    ).then(**redraw, **seen)  # fmt: skip
    of_file = [field["test_file"], field["corrections"], field["sheet"], field["header"], field["encoding"]]
    for upload, kept, forgotten in ((train.upload, field["file"], of_file), (train.test_upload, field["test_file"], [])):
        told = [kept, upload, train.upload_problem, *columns, *forgotten]
        upload.upload(bind(on_upload, studio, len(forgotten)), upload, told, **{**seen, "trigger_mode": "once"}).then(**redraw, **seen)
    told = [field["file"], train.pasted, train.upload_problem, *columns, *of_file]
    train.paste.click(bind(on_paste, studio, len(of_file)), train.pasted, told, **once).then(**redraw, **seen)
    told = [field["file"], train.upload_problem, *columns, *of_file]
    own_path.wire(studio, train.own_path, told, {**redraw, **seen}, once)
    train.remove.click(lambda: "", None, field["test_file"], **once).then(**redraw, **seen)
    train.uncorrect.click(lambda: "", None, field["corrections"], **once).then(**redraw, **seen)
    looked = [field[name] for name in ("sheet", "header", "encoding", "resplit", "split_by", "split_column")]
    gr.on([one.input for one in (*splits, *columns, *looked)], **redraw, **seen)
    field["task"].input(lambda: (None, None, None, []), None, columns, **once).then(**redraw, **seen)

    another: dict[str, Any] = {"fn": bind(on_model, studio), "inputs": field["model"], "outputs": [part["other_model"], part["token"]]}
    field["model"].input(**another, **quiet).then(**redraw, **quiet)
    typed = [event for one in (field["other_model"], train.token) for event in (one.submit, one.blur)]
    turned = [knob.change for name, knob in train.knobs.items() if name != "augment"]  # that one's own listener comes first
    gr.on([*typed, field["method"].input, field["preset"].input, *turned], **redraw, **quiet)
    train.picked.click(bind(on_picked), train.picked, field["method"], **quiet).then(**redraw, **quiet)
    picked = [train.change_picked, *everything]
    train.change_picked.click(bind(on_change_picked, train), picked, refill(train), **once).then(**redraw, **quiet)
    fit_events.wire(studio, train, everything, once)
    doctor_events.wire(train, everything, refill(train), {**redraw, **quiet}, once)
    model_upload.wire(studio, train, {**redraw, **seen}, once)
    arriving.wire(studio, train, everything, {**redraw, **quiet}, once)
    more_data.wire(studio, train, everything, {**redraw, **quiet}, once)
    token_fit_events.wire(studio, train, everything, another, {**redraw, **quiet}, once)
    train.fit_over.change(**redraw, **quiet)
    train.detail.input(bind(on_detail), train.detail, part["advanced"], **quiet)
    writing = [one.id for one in all_tasks().values() if one.logits]
    for told, name, values in ((train.detail, "advanced", [True]), (field["task"], "writes", writing)):  # what theme.css leaves out
        told.change(None, told, None, js=MARKED.format(name=name, values=json.dumps(values)))

    part["suggestion"].click(bind(on_suggestion, studio, train), everything, refill(train), **once).then(**redraw, **seen)
    train.load.upload(bind(on_load, studio, train), train.load, [train.refused, *refill(train)], **once).then(**redraw, **seen)
    save = "text => shur.download('spec.json', text)"
    train.download.click(bind(on_download, train), everything, train.spec_text, **once).then(None, train.spec_text, None, js=save)
    go = "run => run && shur.go('runs', run)"
    pressed = train.start.click(bind(on_pressed), None, [train.start, train.started, train.refused], **once)
    began = pressed.then(bind(on_start, studio, train), everything, [train.started, train.refused], **once)
    began.then(None, train.started, None, js=go).then(**redraw, **quiet)


def redrawing(studio: Studio, train: Train) -> dict[str, Any]:
    """The event that draws a new preview."""
    inputs = [train.newest, train.change, train.token, *train.inputs]
    return {"fn": bind(on_redraw, studio, train), "inputs": inputs, "outputs": outputs(train), "js": NUMBERED}


def refill(train: Train) -> list[Any]:
    """What `refilled` fills, in its order."""
    return [*train.inputs, *(train.rows[name] for name in ("upload", "paste", "hub", "other_model", "token"))]


def outputs(train: Train) -> list[Any]:
    """What `draw` fills, in its order."""
    told = [
        train.facts,
        train.row_preview,
        train.doctor,
        train.model_line,
        train.recipe_line,
        train.preview,
        train.previewed,
        train.changes,
        train.fit,
        train.fit_timer,
        train.check_fit,
        train.start,
        *arriving.outputs(train),
    ]
    guessed = ("guessed_text", "guessed_label", "guessed_second", "guessed_labels")
    columns = [train.fields[name] for name in ("task", "text", "label", "second", "labels", *guessed)]
    columns += [train.fields["split_by"], train.fields["split_column"]]
    columns += [train.rows["file"], train.fields["sheet"]]
    chosen = [*columns, train.rows["resplit"], train.rows["second"], train.second, train.rows["corrections"], train.rows["suggestion"]]
    return [
        *told,
        *chosen,
        *train.slots.values(),
        train.method_group,
        train.method_title,
        train.fields["method"],
        train.methods,
        train.token_fit["folded"],
        *train.knobs.values(),
    ]


def on_source(kind: str) -> tuple[Any, ...]:
    """Another kind of data: show its fields, and forget columns that belonged to the last."""
    token = gr.update(visible=True) if kind == request.HUB else gr.skip()
    shown = *(gr.update(visible=kind == request.UPLOAD) for _ in range(2)), gr.update(visible=kind == request.HUB)
    return *shown, token, None, None, None, [], False, request.CHANCE, None, ""


def on_model(studio: Studio, model: str) -> tuple[Any, Any]:
    """Another model: where its id is typed, and a field for the token that its owner may ask for."""
    other, entry = model == request.OTHER, studio.catalog.model(model)
    return gr.update(visible=other), gr.update(visible=True) if other or (entry and entry.gated) else gr.skip()


def on_picked(method: str) -> str:
    """The method whose button was pressed in the table."""
    return method


def on_change_picked(train: Train, picked: str, token: str, *values: Any) -> list[Any]:
    """The fields with the change made that the button held; as they are where it held none."""
    spec = request.run_spec(request.unguessed(train.offer.told(values)), train.offer)
    with contextlib.suppress(ValueError):
        spec = applied(spec, from_json(picked))
    return refilled(request.fields(spec, train.offer))


def on_detail(advanced: bool) -> Any:
    return gr.update(visible=advanced)


def on_upload(studio: Studio, forgotten: int, path: str) -> tuple[Any, ...]:
    """Takes a file into the home and lets go of Gradio's own copy, and empties so many fields that belonged to the last one.

    A file that is refused leaves the last one in place.
    """
    try:
        kept = studio.add_upload(path, Path(path).name)
    except Refused as refused:
        return gr.skip(), None, words.problems(refused.problems), *(gr.skip() for _ in range(4 + forgotten))
    finally:
        Path(path).unlink(missing_ok=True)
    return kept, None, "", None, None, None, [], *([""] * forgotten)


def on_paste(studio: Studio, forgotten: int, text: str) -> tuple[Any, ...]:
    """The rows that were pasted as a file in the home, as an uploaded one; refused where there are none."""
    if not text.strip():
        return gr.skip(), gr.skip(), words.problems([NOTHING_PASTED]), *(gr.skip() for _ in range(4 + forgotten))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "Pasted rows.txt"
        path.write_text(text, "utf-8")
        return on_upload(studio, forgotten, str(path))


def on_hub_id(studio: Studio, hub_id: str, token: str, asked: str) -> tuple[Any, ...]:
    """The subsets and splits of a data set, to choose from. What is wrong with the id shows with the next preview."""
    name = hub_id.strip()
    if name == asked:
        return (gr.skip(),) * 8
    try:
        layout = studio.hub_layout(name, token or None) if name else {}
    except Refused:
        layout = {}
    splits = ["", *dict.fromkeys(split for one in layout.values() for split in one)]
    return (
        name if layout else "",
        gr.update(choices=["", *layout], value=""),
        *(gr.update(choices=splits, value="") for _ in range(2)),
        None,
        None,
        None,
        [],
    )


def on_measure(studio: Studio) -> None:
    """Waits until the processor's speed is known; the minutes of the first preview are told after that."""
    studio.facts.measure(wait=True)


def on_redraw(studio: Studio, train: Train, newest: Newest, change: int, token: str, *values: Any) -> list[Any]:
    """A new preview, unless a newer change was asked about while it was made: then that one's is drawn, and this one not over it."""
    newest.change = max(newest.change, change)
    drawn = on_change(studio, train, token, *values) if change == newest.change else []
    return drawn if change == newest.change else [gr.skip() for _ in outputs(train)]


def on_change(studio: Studio, train: Train, token: str, *values: Any) -> list[Any]:
    """A new preview for what the fields hold now."""
    told = request.unguessed(train.offer.told(values))
    spec = request.run_spec(told, train.offer)
    found, fits = studio.preview(spec, token or None), studio.methods_that_fit(spec, token or None)
    data = found.data or _looked(studio, spec, token)
    return draw(studio, train, told, spec, found, data, fits, doctor_events.shown(studio, spec, found, token))


def _looked(studio: Studio, spec: specs.RunSpec, token: str) -> DataFacts | None:
    """What can be told of data that cannot be used as it is: enough to pick other columns."""
    try:
        return studio.facts.look(spec.data, spec.settings, token or None)[0]
    except Refused:
        return None


def draw(
    studio: Studio,
    train: Train,
    told: dict[str, Any],
    spec: specs.RunSpec,
    found: Preview,
    data: DataFacts | None,
    fits: Sequence[Fit],
    checked: str,
) -> list[Any]:
    """Every output of a change, in the order of `outputs`. `checked`: what the doctor says."""
    plan, problems, recipe = found.plan, found.problems, _recipe(studio, spec)
    label, ready = cards.start_label(problems, chosen=bool(spec.data.source))
    if found.arriving is not None:
        label, problems = "Reading the data …", tuple(one for one in problems if one.field not in ("data.source", "data.test"))
    folds = spec.data.time is None and (
        data is None or data.given_test is None
    )  # elsewhere they are refused, or leave the given test aside
    columns = [(f"{one.name} · {_about(one)}", one.name) for one in data.columns] if data else []
    guessed = _guessed(spec, data)
    slots = {name: [one for one in problems if _slot(one) == name] for name in SLOTS}
    return [
        cards.facts(data),
        cards.rows_as_read(studio.rows_shown(spec, found)),
        checked,
        cards.model_line(studio.catalog.model(spec.model), found.model),
        cards.recipe_line(recipe, studio.guide() if recipe and recipe.id in (GUIDE, RIGHT) else None),
        cards.preview(plan, problems, folds=folds) if found.arriving is None else arriving.WAITING,
        secrets.token_hex(4),
        cards.changes(found.changes, plan),
        *fit_events.shown(studio, found),
        gr.update(value=label, interactive=ready),
        *arriving.shown(found),
        *_columns(studio, told, spec, data, columns),
        *(column if data and not chosen else gr.skip() for column, chosen in guessed),
        gr.update(visible=len(columns) > 2 or told["split_by"] != request.CHANCE),  # of text and label alone there is no other way
        gr.update(choices=columns, visible=told["split_by"] != request.CHANCE),
        gr.update(visible=told["data"] == request.UPLOAD and bool(spec.data.source)),
        _sheets(data),
        gr.update(visible=bool(spec.data.test or spec.data.resplit or (data and data.given_test is not None))),
        gr.update(visible=bool(spec.data.test)),
        f"<p>Second file, for testing: <b>{escape(Path(spec.data.test).name)}</b></p>" if spec.data.test else "",
        gr.update(visible=bool(spec.data.corrections)),
        gr.update(visible=_differs(recipe, studio, spec)),
        *(words.problems(one) for one in slots.values()),
        *_method_group(studio, train, spec.method),
        gr.update(choices=methods.choices(fits)),
        methods.table(fits, studio.methods, spec.method),
        gr.update(visible=_may_read_badly(spec, data)),
        *_knobs(train, spec, plan, problems),
    ]


def _guessed(spec: specs.RunSpec, data: DataFacts | None) -> tuple[tuple[str, Any], ...]:
    """Of each column what was guessed, and what a person chose."""
    if data is None:
        return (("", ""),) * 4
    asked, label = spec.data, "" if data.labels else data.label
    own = ((data.text, asked.text), (label, asked.label), (data.second, asked.second))
    return *own, (request.as_text(data.labels) if data.labels else "", asked.labels)


def _sheets(data: DataFacts | None) -> Any:
    """The sheets to choose from, where there are several; the first is taken by itself."""
    if data is None or len(data.sheets) < 2:
        return gr.update(visible=False) if data is not None else gr.skip()
    first, *others = data.sheets
    return gr.update(choices=[(f"{first} · most rows", ""), *((one, one) for one in others)], visible=True)


def _columns(
    studio: Studio, told: dict[str, Any], spec: specs.RunSpec, data: DataFacts | None, columns: list[tuple[str, str]]
) -> list[Any]:
    """What is learnt, and the columns that it needs, by what they are for."""
    task = studio.tasks.get(spec.task)
    target = task.target if task else "class"
    text = LABELS.get(("text", target), "Text column")
    label = LABELS.get(("label", target), "Label column")
    alone = target == "nothing" or (data is not None and target == "text" and bool(data.text) and data.text == data.label)
    beside = [("Nothing", request.NO_COLUMN), *columns]
    beside_it = target != "nothing" and not alone and (len(columns) > 2 or bool(spec.data.second))
    second = (data.second if data else None) or told["second"] or request.NO_COLUMN
    return [
        gr.update(info=task.summary if task else ""),
        gr.update(choices=columns, label=text, value=(data.text if data else None) or told["text"], info=data.text_why if data else ""),
        gr.update(
            choices=columns, label=label, value=None if target == "tags" else (data.label if data else None) or told["label"],
            info=data.label_why if data else "", visible=not alone and target != "tags",
        ),
        gr.update(
            choices=beside, value=second, visible=beside_it, info=data.second_why if data else "",
        ),
        gr.update(
            choices=[name for _, name in columns], value=(list(data.labels) if data else None) or told["labels"] or [],
            visible=target == "tags", info=data.labels_why if data else "",
        ),
    ]  # fmt: skip


def _may_read_badly(spec: specs.RunSpec, data: DataFacts | None) -> bool:
    """Whether it is worth a look how the models read these texts: not of an English sample and the English model that comes with Shur."""
    return (
        spec.model != EMBEDDED
        or not spec.data.source.startswith("sample:")
        or (data is not None and data.script_shares.get("Latin", 0.0) < MOSTLY)
    )


def _method_group(studio: Studio, train: Train, method: str) -> tuple[Any, Any]:
    """The box with the method's own settings; none where Simple shows them all already."""
    own = any(not knob.basic for knob in train.offer.knobs.get(method, ()))
    return gr.update(visible=own), method_title(studio.methods[method].name) if method in studio.methods else ""


def _knobs(train: Train, spec: specs.RunSpec, plan: Plan | None, problems: tuple[Problem, ...]) -> list[Any]:
    """Every field as the chosen method and task declare it; those of others hidden."""
    here = {knob.name: knob for knob in train.offer.knobs_for(spec.method, spec.task)}
    if (task := all_tasks().get(spec.task)) is not None:
        here["select_by"] = form.narrowed(here["select_by"], task.figures)
    drawn = {one.name: form.update(here.get(one.name, one), plan, problems, shown=one.name in here) for one in train.offer.all_knobs}
    if task is not None and spec.settings.get("select_by", task.headline) not in task.figures:
        drawn["select_by"] |= {"value": form.AUTOMATIC}  # it was chosen for another task
    return list(drawn.values())


def _about(column: ColumnFacts) -> str:
    """What tells one column from another in a list."""
    if column.role == "text":
        return f"{words.count(column.mean_words)} words on average"
    return f"{words.count(column.distinct)} different" if column.distinct != 1 else "always the same"


def _slot(problem: Problem) -> str:
    """The place on the page for a problem; "" for those of single settings and of the machine, which have their own."""
    head = problem.field.partition(".")[0]
    other = {"data": "source", "model": "model", "method": "method", "preset": "method", "task": "method"}
    return SLOT_OF.get(problem.field, other.get(head, ""))


def _recipe(studio: Studio, spec: specs.RunSpec) -> Recipe | None:
    return next((one for one in studio.catalog.recipes if one.id == spec.preset), None)


def _differs(recipe: Recipe | None, studio: Studio, spec: specs.RunSpec) -> bool:
    """Whether the preset was made for another model, method or data than those that are chosen."""
    if recipe is None:
        return False
    dataset = studio.catalog.dataset(recipe.data) if recipe.data else None
    wanted = (
        (recipe.model, spec.model),
        (recipe.method, spec.method),
        (recipe.task, spec.task),
        (dataset.source if dataset else None, spec.data.source),
    )
    return any(own is not None and own != chosen for own, chosen in wanted)


def on_suggestion(studio: Studio, train: Train, token: str, *values: Any) -> list[Any]:
    """The model, data and method that the chosen preset was made for."""
    told = train.offer.told(values)
    recipe = _recipe(studio, request.run_spec(told, train.offer))
    dataset = studio.catalog.dataset(recipe.data) if recipe and recipe.data else None
    if dataset:
        told |= {
            "data": dataset.source,
            "text": dataset.text,
            "label": dataset.label,
            "labels": [],
            "resplit": recipe.resplit if recipe else False,
        }
    if recipe:
        chosen = {"model": recipe.model, "method": recipe.method, "task": recipe.task}
        told |= {name: value or told[name] for name, value in chosen.items()}
    return refilled(told)


def on_download(train: Train, token: str, *values: Any) -> str:
    return specs.to_json(request.run_spec(train.offer.told(values), train.offer))


def on_load(studio: Studio, train: Train, path: str) -> list[Any]:
    """Fills the fields from a spec. One that cannot be read, or that no field can show, changes nothing and is told why."""
    try:
        filled = shown(studio, train, specs.from_json(Path(path).read_text("utf-8")))
    except Refused as refused:
        return [words.problems(refused.problems), *(gr.skip() for _ in refill(train))]
    except UnicodeDecodeError:
        return [words.problem(NOT_A_SPEC), *(gr.skip() for _ in refill(train))]
    finally:
        Path(path).unlink(missing_ok=True)
    return ["", *filled]


def shown(studio: Studio, train: Train, spec: specs.RunSpec) -> list[Any]:
    """Every input, and what comes and goes with it, for this spec. Raises Refused for what no field can show."""
    told = asked(spec, studio.catalog)
    typed = {f"settings.{knob.name}" for knob in told.knobs.values() if knob.kind not in ("choice", "switch")}
    lost = [one for one in told.problems if one.field not in typed and one.field.partition(".")[0] not in ("data", "model")]
    if lost:
        raise Refused(*lost)
    return refilled(request.fields(spec, train.offer))


def refilled(told: dict[str, Any]) -> list[Any]:
    """The value of every input, then what is shown for it, in the order of `refill`."""
    hub, other = told["data"] == request.HUB, told["model"] == request.OTHER
    token = gr.update(visible=True) if hub or other else gr.skip()
    own = [gr.update(visible=told["data"] == request.UPLOAD)] * 2
    return [*told.values(), *own, gr.update(visible=hub), gr.update(visible=other), token]


def on_pressed() -> tuple[Any, str, str]:
    """Start was pressed: it cannot be pressed again until it is known what came of it."""
    return gr.update(value="Starting …", interactive=False), "", ""


def on_start(studio: Studio, train: Train, token: str, *values: Any) -> tuple[str, str]:
    """Hands the run over. What the engine refuses now, though the preview was clean, is told beside the button."""
    spec = request.run_spec(train.offer.told(values), train.offer)
    try:
        return studio.start(replace(spec, name=spec.name or run_name(studio, spec)), token or None), ""
    except Refused as refused:
        return "", words.problems(refused.problems)
    except OSError as error:
        return "", words.problem(explain(error))


def run_name(studio: Studio, spec: specs.RunSpec) -> str | None:
    """A run's name where none was typed, in the words of the page; None where the data has none there: the engine makes one."""
    dataset = next((one for one in studio.catalog.datasets if one.source == spec.data.source), None)
    model, method = studio.catalog.model(spec.model), studio.methods.get(spec.method)
    if dataset is None and not spec.data.source.startswith(FILE):
        return None
    data = dataset.name.removesuffix(" (sample)") if dataset else Path(spec.data.source).stem
    return f"{data} · {model.name if model else Path(spec.model).name} · {method.name if method else spec.method}"
