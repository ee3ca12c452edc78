"""The Train place: three cards, and beside them what will happen. Its handlers are in train_events.py."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr

from engine.augment import Augmentation
from engine.data import legacy
from engine.data.split import Split
from engine.knobs import Knob, knobs_of
from engine.spec import Training
from ui import form, methods
from ui.request import CHANCE, FIELDS, FIRST_TASK, GROUP, HUB, NO_COLUMN, OF_TASK, OTHER, TIME, UPLOAD, Offer
from ui.tabs import arriving, doctor_events, model_upload, more_data, own_path, token_fit_events

if TYPE_CHECKING:
    from engine.studio import Studio

TEMPLATE = "template"  # the knob that stands beside the rows it is filled with
MOST_PASTED = 2_000_000  # characters; more is a file
FIRST_DATA, FIRST_METHOD, FIRST_PRESET = "sample:film-reviews-en", "lora", "quick"
PICK = "shur.pick = method => { props.value = method; trigger('click'); };"  # the buttons of the table of methods
CHANGE = "shur.apply = words => { props.value = words; trigger('click'); };"  # those of what makes it fit
TICK_SECONDS = 1.0  # between looks at a measurement
SLOTS = ("source", "columns", "split", "model", "method")  # places for problems, beside the fields that they name


class Newest:
    """The number of the newest change that one open page asked about, so that an answer to an older one is not drawn over it."""

    def __init__(self) -> None:
        self.change = 0


@dataclass(frozen=True)
class Train:
    """The components that handlers read and write."""

    offer: Offer
    fields: dict[str, Any]  # by the names in FIELDS
    knobs: dict[str, Any]  # knob name -> its field
    method_group: Any  # the chosen method's own settings
    method_title: Any
    methods: Any  # the table of all methods
    picked: Any  # the one whose button was pressed there
    rows: dict[str, Any]  # parts that come and go: "upload", "hub", "second", "resplit", "other_model", "token", "corrections", …
    slots: dict[str, Any]  # problems beside the fields, by SLOTS
    newest: Any  # a Newest for each open page
    change: Any  # the number of a change, given by page.js
    token: Any
    detail: Any
    facts: Any
    row_preview: Any  # rows as the model reads and writes them
    doctor: Any  # what stands out in the rows
    mended: Any  # the button that was pressed there, as JSON
    model_upload: dict[str, Any]  # a GGUF file
    more_data: dict[str, Any]  # rows made from the training rows
    token_fit: dict[str, Any]  # how each model reads the texts
    model_line: Any
    recipe_line: Any
    preview: Any
    previewed: Any  # another word for every preview, also where it tells the same as the one before
    changes: Any  # what would make the run fit, or quicker
    change_picked: Any  # the one whose button was pressed, as JSON
    fit: Any  # how far the measurement is, and what it found
    fit_timer: Any
    fit_over: Any  # changes when a measurement has come to its end
    check_fit: Any
    start: Any
    refused: Any
    started: Any  # the id of the run that Start made, for page.js
    compare: Any  # opens the card of tabs/compare.py
    upload: Any
    test_upload: Any
    upload_problem: Any
    arriving: dict[str, Any]  # how far the reading of a large file is
    own_path: dict[str, Any]
    pasted: Any
    paste: Any
    second: Any  # the name of the second file
    remove: Any  # takes it away again
    uncorrect: Any  # takes the corrections of labels away
    asked: Any  # the Hub data set whose splits were asked for last
    spec_text: Any
    download: Any
    load: Any

    @property
    def inputs(self) -> list[Any]:
        return [*(self.fields[name] for name in FIELDS), *self.knobs.values()]


def groups(studio: Studio) -> tuple[form.Group, ...]:
    """Every knob of the last card, in the order of the page."""
    methods_own = [form.Group(method.name, knobs_of(method.knobs), method.id) for method in studio.methods.values()]
    return (
        *(group for group in methods_own if group.knobs),
        form.Group("Training", knobs_of(Training)),
        *(form.Group(task.name, knobs_of(task.knobs), OF_TASK + task.id) for task in studio.tasks.values()),
        form.Group("Splitting the rows", knobs_of(Split)),
    )


def offer(studio: Studio) -> Offer:
    knobs: dict[str, tuple[Knob, ...]] = {"": ()}
    for group in groups(studio):
        knobs[group.method or ""] = (*knobs.get(group.method or "", ()), *group.knobs)
    knobs[""] = (*knobs[""], *knobs_of(Augmentation))
    catalog = studio.catalog
    targets = {one.id: one.target for one in studio.tasks.values()}
    return Offer(tuple(one.source for one in catalog.datasets), tuple(one.id for one in catalog.models), knobs, targets)


def build(studio: Studio) -> Train:
    """Draws the place inside the Blocks that is open."""
    parts: dict[str, Any] = {"newest": gr.State(Newest()), "change": gr.Number(0, precision=0, visible=False)}
    with gr.Row(elem_id="train-columns"):
        with gr.Column(elem_id="cards"):
            _data_card(studio, parts)
            _model_card(studio, parts)
            _method_card(studio, parts)
        with gr.Column(elem_id="side"):
            _side(parts)
    return Train(offer=offer(studio), **parts)


def _card(number: int, title: str) -> None:
    gr.HTML(f'<h2><span class="number" aria-hidden="true">{number}</span>{title}</h2>')


def _slot(parts: dict[str, Any], name: str) -> None:
    parts.setdefault("slots", {})[name] = gr.HTML("", elem_classes=["slot"], elem_id=f"problems-{name}")


def _data_card(studio: Studio, parts: dict[str, Any]) -> None:
    fields, rows = parts.setdefault("fields", {}), parts.setdefault("rows", {})
    listed = [(f"{one.name} · {', '.join(one.languages)}", one.source) for one in studio.catalog.datasets]
    more = [("A file of mine, or rows that I paste", UPLOAD), ("Another data set of the Hugging Face Hub", HUB)]
    with gr.Column(elem_classes=["card"], elem_id="card-data"):
        _card(1, "Data")
        fields["data"] = gr.Dropdown([*listed, *more], value=FIRST_DATA, label="What it learns from", filterable=False, elem_id="data")
        with gr.Column(visible=False, elem_id="upload-row") as rows["upload"]:
            with gr.Row():
                kinds = [".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet", ".arrow", ".feather", ".xlsx", ".zip"]
                parts["upload"] = gr.File(label="Your file", file_types=kinds, height=112, elem_id="upload")
                parts["test_upload"] = gr.File(
                    label="A second file for testing, if you have one", file_types=kinds, height=112, elem_id="test-upload"
                )
            parts |= own_path.build(studio)
        with gr.Row(visible=False, elem_id="paste-row") as rows["paste"]:
            parts["pasted"] = gr.Textbox(
                label="Or paste rows", lines=3, max_lines=8, max_length=MOST_PASTED, placeholder="text,label\nভালো পণ্য,Positive", scale=4,
                info="As copied from a spreadsheet, or with commas between; a line each.", elem_id="paste",
            )  # fmt: skip
            parts["paste"] = gr.Button("Take these rows", size="sm", min_width=120, elem_id="paste-take")
        with gr.Row(visible=False, elem_id="file-row") as rows["file"]:
            fields["sheet"] = gr.Dropdown(
                [""], value="", label="Sheet or table", allow_custom_value=True, visible=False, min_width=200, elem_id="sheet"
            )
            ways = [("Judged by what it holds", ""), ("Names the columns", "names"), ("Is data already", "data")]
            fields["header"] = gr.Dropdown(ways, value="", label="The first row", filterable=False, min_width=200, elem_id="header")
            codecs = [("Unicode, or judged by its bytes", ""), *((words, codec) for codec, words in legacy.WORDS.items())]
            fields["encoding"] = gr.Dropdown(codecs, value="", label="Encoding", min_width=200, elem_id="encoding")
        with gr.Row(visible=False, elem_id="second-row") as rows["second"]:
            parts["second"] = gr.HTML("", elem_id="second")
            parts["remove"] = gr.Button("Remove", size="sm", min_width=0, elem_id="second-remove")
        with gr.Row(visible=False, elem_classes=["with-removal"]) as rows["corrections"]:
            gr.HTML("<p>Some labels of this data were put right by hand.</p>", elem_id="corrected")
            parts["uncorrect"] = gr.Button("Use them as they came", size="sm", min_width=0, elem_id="uncorrect")
        fields["corrections"] = gr.Textbox(visible=False)
        fields["file"] = gr.Textbox(visible=False)
        fields["test_file"] = gr.Textbox(visible=False)
        parts["asked"] = gr.Textbox(visible=False)
        with gr.Column(visible=False) as rows["hub"]:
            fields["hub_id"] = gr.Textbox(label="Its id on the Hub", placeholder="owner/name", max_lines=1, elem_id="hub-id")
            with gr.Row():
                any_split: dict[str, Any] = {"allow_custom_value": True, "min_width": 150}
                fields["config"] = gr.Dropdown([""], value="", label="Subset", info="Empty: the only one, or the default.", **any_split)
                fields["train_split"] = gr.Dropdown([""], value="", label="Split to train on", info="Empty: train.", **any_split)
                fields["test_split"] = gr.Dropdown(
                    [""], value="", label="Split to test on", info="Empty: test, if it is there.", **any_split
                )
        parts["upload_problem"] = gr.HTML("", elem_classes=["slot"], elem_id="problems-upload")
        parts |= arriving.build()
        _slot(parts, "source")
        parts["facts"] = gr.HTML("", elem_id="facts")
        tasks = [(one.name, one.id) for one in studio.tasks.values()]
        about = studio.tasks[FIRST_TASK].summary
        fields["task"] = gr.Dropdown(tasks, value=FIRST_TASK, label="What is learnt", info=about, filterable=False, elem_id="task")
        with gr.Row():
            column: dict[str, Any] = {"allow_custom_value": True, "min_width": 200}
            fields["text"] = gr.Dropdown([], value=None, label="Text column", elem_id="text-column", **column)
            fields["label"] = gr.Dropdown([], value=None, label="Label column", elem_id="label-column", **column)
            fields["second"] = gr.Dropdown(
                [NO_COLUMN], value=None, label="Column read beside it", visible=False, elem_id="second-column", **column
            )
        fields["labels"] = gr.Dropdown(
            [], value=[], label="Columns of tags", multiselect=True, visible=False, elem_id="labels-columns", allow_custom_value=True
        )
        template = next(knob for task in studio.tasks.values() for knob in knobs_of(task.knobs) if knob.name == TEMPLATE)
        parts["template"] = form.widget(template, shown=False)
        parts["row_preview"] = gr.HTML("", elem_id="row-preview", elem_classes=["slot"])
        parts |= doctor_events.build()
        for name in ("fixes", "guessed_text", "guessed_label", "guessed_second", "guessed_labels"):
            fields[name] = gr.Textbox(visible=False)
        _slot(parts, "columns")
        fields["resplit"] = gr.Checkbox(
            False, label="Mix the given test rows with the others and split again", visible=False, elem_id="resplit",
            info="Off: the given test rows stay the test.",
        )  # fmt: skip
        rows["resplit"] = fields["resplit"]
        _split_fields(fields)
        _slot(parts, "split")
        parts |= more_data.build()


def _split_fields(fields: dict[str, Any]) -> None:
    """How rows are split, and by which column."""
    ways = [("By chance", CHANCE), ("By a column: keep groups together", GROUP), ("By date: the newest are the test", TIME)]
    with gr.Row():
        fields["split_by"] = gr.Dropdown(
            ways, value=CHANCE, label="How rows are split", filterable=False, visible=False, min_width=200, elem_id="split-by",
            info="Keep groups together where one author or product has several rows; else the result flatters.",
        )  # fmt: skip
        fields["split_column"] = gr.Dropdown(
            [], value=None, label="Column to split by", allow_custom_value=True, visible=False, min_width=200, elem_id="split-column"
        )


def _model_card(studio: Studio, parts: dict[str, Any]) -> None:
    fields, rows = parts["fields"], parts["rows"]
    from engine.models import EMBEDDED
    from ui import words

    listed = [(f"{one.name} · {words.short_count(one.parameters)} · {_languages(one.languages)}", one.id) for one in studio.catalog.models]
    with gr.Column(elem_classes=["card"], elem_id="card-model"):
        _card(2, "Model")
        fields["model"] = gr.Dropdown(
            [*listed, ("Another model: of the Hub, in a folder, or a GGUF file", OTHER)],
            value=EMBEDDED,
            label="What is tuned",
            filterable=True,
            elem_id="model",
        )
        with gr.Column(visible=False) as rows["other_model"]:
            fields["other_model"] = gr.Textbox(
                label="Its id on the Hub, or a folder or GGUF file on this machine",
                placeholder="owner/name",
                max_lines=1,
                elem_id="other-model",
            )
            parts |= model_upload.build()
        parts["token"] = gr.Textbox(
            label="Hub token", type="password", max_lines=1, visible=False, elem_id="token",
            info="Only for models and data sets that ask for one. Kept in memory while Shur runs; never written down.",
            html_attributes=gr.InputHTMLAttributes(autocomplete="off"),
        )  # fmt: skip
        rows["token"] = parts["token"]
        parts["model_line"] = gr.HTML("", elem_id="model-line")
        _slot(parts, "model")
        parts |= token_fit_events.build()


def _languages(languages: tuple[str, ...]) -> str:
    return ", ".join(languages[:2]) + (" and more" if len(languages) > 2 else "")


def _method_card(studio: Studio, parts: dict[str, Any]) -> None:
    fields, rows = parts["fields"], parts["rows"]
    knobs: dict[str, Any] = dict(parts["more_data"]["knobs"])
    with gr.Column(elem_classes=["card"], elem_id="card-method"):
        _card(3, "Method and preset")
        presets = [(one.name, one.id) for one in studio.catalog.recipes]
        fields["preset"] = gr.Radio(presets, value=FIRST_PRESET, label="Preset", elem_classes=["segments"], elem_id="preset")
        parts["recipe_line"] = gr.HTML("", elem_id="recipe-line")
        rows["suggestion"] = gr.Button("Take this preset's own model, method and data", visible=False, size="sm", elem_id="suggestion")
        with gr.Row():
            listed = [(one.name, one.id) for one in studio.methods.values()]
            fields["method"] = gr.Dropdown(listed, value=FIRST_METHOD, label="Method", filterable=False, min_width=200, elem_id="method")
            parts["detail"] = gr.Checkbox(False, label="Advanced", info="Shows every setting.", min_width=200, elem_id="detail")
        _slot(parts, "method")
        with gr.Accordion(methods.TITLE, open=False, elem_id="methods"):
            parts["methods"] = gr.HTML("", elem_id="methods-table")
        parts["picked"] = gr.HTML("", html_template="", js_on_load=PICK, elem_classes=["slot"])
        told = offer(studio)
        first = {knob.name for knob in told.knobs_for(FIRST_METHOD, FIRST_TASK)}
        tasks_own = {knob.name for task in studio.tasks for knob in told.knobs[OF_TASK + task]}
        methods_own = [knob for knob in told.all_knobs if knob not in told.knobs[""] and knob.name not in tasks_own]
        with gr.Row(equal_height=True, elem_id="basic"):
            for knob in (*told.knobs[""], *methods_own):
                if knob.basic:
                    knobs[knob.name] = form.widget(knob, shown=knob.name in first)
        with gr.Column(visible=False, elem_id="advanced") as rows["advanced"]:
            with gr.Column(elem_classes=["group"], elem_id="method-group") as parts["method_group"]:
                parts["method_title"] = gr.HTML(method_title(studio.methods[FIRST_METHOD].name))
                with gr.Row():
                    for knob in methods_own:
                        if not knob.basic:
                            knobs[knob.name] = form.widget(knob, shown=knob.name in first)
            shared = [group for group in groups(studio) if group.method is None]
            of_tasks = [knob for knob in told.all_knobs if knob.name in tasks_own and knob.name != TEMPLATE]
            for title, own in [*((group.title, group.knobs) for group in shared), ("Texts", of_tasks)]:
                with gr.Column(elem_classes=["group"]):
                    gr.HTML(f"<h3>{title}</h3>")
                    with gr.Row():
                        for knob in own:
                            if not knob.basic:
                                knobs[knob.name] = form.widget(knob, shown=knob.name in first)
            fields["name"] = gr.Textbox(
                label="Name of the run", info="Empty: made from data, model and method.", max_lines=1, elem_id="run-name"
            )
            with gr.Row(elem_id="spec-row"):
                parts["download"] = gr.Button("Download as JSON", size="sm", elem_classes=["link"], min_width=120, elem_id="spec-download")
                parts["load"] = gr.UploadButton(
                    "Load from JSON", size="sm", file_types=[".json"], elem_classes=["link"], min_width=120, elem_id="spec-load"
                )
            parts["spec_text"] = gr.Textbox(visible=False)
    knobs[TEMPLATE] = parts.pop("template")
    parts["knobs"] = {knob.name: knobs[knob.name] for knob in told.all_knobs}


def method_title(name: str) -> str:
    return f"<h3>{escape(name)}</h3>"


def _side(parts: dict[str, Any]) -> None:
    gr.HTML("<h2>What will happen</h2>")
    parts["preview"] = gr.HTML("", elem_id="preview")
    parts["previewed"] = gr.Textbox(visible=False)
    parts["changes"] = gr.HTML("", elem_classes=["slot"], elem_id="changes")
    parts["change_picked"] = gr.HTML("", html_template="", js_on_load=CHANGE, elem_classes=["slot"])
    parts["fit"] = gr.HTML("", elem_classes=["slot"], elem_id="fit")
    parts["fit_over"] = gr.Textbox(visible=False)
    parts["fit_timer"] = gr.Timer(TICK_SECONDS, active=False)
    parts["check_fit"] = gr.Button("Check the fit", size="sm", interactive=False, elem_id="check-fit")
    parts["refused"] = gr.HTML("", elem_classes=["slot"], elem_id="refused")
    parts["start"] = gr.Button("Reading the data …", variant="primary", size="lg", interactive=False, elem_id="start")
    parts["compare"] = gr.Button("Compare methods, cross-validate …", elem_id="compare-open")
    parts["started"] = gr.Textbox(visible=False)
