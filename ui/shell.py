"""The page as a whole: its head, the three places, and what it tells the server when another place is opened."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from engine.hardware import device_words
from ui import theme, words
from ui.border import bind
from ui.tabs import compare, compare_events, runs, runs_events, train, train_events, try_, write, write_events

if TYPE_CHECKING:
    from engine.studio import Studio

HEAD = """<header><a class="name" href="?place=train" data-place="train">Shur<span lang="bn">সুর</span></a>
<nav class="places" aria-label="Places"><a href="?place=train" data-place="train">Train</a><a href="?place=runs" data-place="runs">Runs</a>
<a href="?place=try" data-place="try">Try</a></nav><a class="jump" href="#side">What will happen ↓</a></header>"""
LIGHT = '<button type="button" class="light" aria-label="Light or dark" title="Light or dark">◐</button>'
HEARD = "shur.start(where => { props.value = JSON.stringify(where); trigger('click'); });"
GONE = {
    "space": "This Space has no persistent disk: runs, uploads and models go when it restarts. "
    "Take home what you want to keep, or add persistent storage in the Space's settings.",
    "colab": "Colab keeps nothing: runs, uploads and models go when its session ends. Take home what you want to keep.",
    "local": "This machine's disk does not last: runs, uploads and models go when it restarts. Take home what you want to keep.",
}

LET_IN = 1.25  # of the limit: a file a little above it comes in, so that our own words stand beside its field, not Gradio's in a corner


def build(studio: Studio, page_files: Path) -> gr.Blocks:
    """The page. `page_files` is the one folder that Gradio may serve files from."""
    page = gr.Blocks(title="Train · Shur", analytics_enabled=False)
    with page, gr.Column(elem_id="shur"):
        with gr.Row(elem_id="head-row"):
            head = gr.HTML("", html_template=HEAD, js_on_load=HEARD, elem_id="head")
            machine = gr.HTML("", elem_id="machine")
            gr.HTML(LIGHT, js_on_load="element.querySelector('button').addEventListener('click', shur.light);", elem_id="light")
        notice = gr.HTML("", elem_id="notice")
        with gr.Column(elem_classes=["place", "train"]):
            training = train.build(studio)
            comparing = compare.build_card()
        with gr.Column(elem_classes=["place", "runs"]):
            watching = runs.build()
            studying = compare.build_page()
        with gr.Column(elem_classes=["place", "try"]):
            gr.HTML("<h1>Try a model</h1>")
            with gr.Tabs(elem_id="try-sheets") as sheets:
                with gr.Tab("Ask", id="classify"):
                    trying = try_.build()
                with gr.Tab("Write", id="write"):
                    writing = write.build()
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        places = [watching.opened, watching.timer, watching.plotly, watching.seen, watching.judged, trying.run, trying.none, trying.ask]
        places += [sheets, *writing.writers.values(), studying.opened, studying.timer, studying.seen]
        where = [head, trying.run, *writing.writers.values()]
        opened = head.click(bind(on_place, studio), where, places, trigger_mode="always_last", **quiet)  # of fast clicks, the last
        opened.then(bind(runs_events.on_tick, studio), [watching.opened], [watching.seen, watching.judged], **quiet)
        opened.then(bind(compare_events.on_tick, studio), [studying.opened], [studying.seen], **quiet)
        train_events.wire(studio, training)
        runs_events.wire(studio, watching, training, page_files)
        compare_events.wire_card(studio, comparing, training)
        compare_events.wire_page(studio, studying, training)
        try_.wire(studio, trying)
        write_events.wire(studio, writing, training.token)
        page.load(bind(on_load, studio), None, [machine, notice], **quiet)
        redraw: dict[str, Any] = {**train_events.redrawing(studio, training), **quiet}
        page.load(**redraw).then(bind(train_events.on_measure, studio), None, None, **quiet).then(**redraw)
    _unwatched(page, head)
    return page


def _unwatched(page: gr.Blocks, first: gr.HTML) -> None:
    """Lets no component wait for what shows no progress.

    Twice for every event Gradio tells each component that was an output of any how far it is, and seeks it through the tree of all. Told to
    show that on the first one alone, which does not, it is done at once.
    """
    for one in page.fns.values():
        if one.show_progress == "hidden" and not one.show_progress_on:
            one.show_progress_on = [first]


def on_load(studio: Studio) -> tuple[str, str]:
    """What the machine is, in the head of the page, and whether its disk lasts."""
    hardware = studio.hardware
    memory = words.of_sizes(hardware.ram_free_bytes, hardware.ram_bytes)
    told = f"{device_words(hardware)} · {memory} free"
    if hardware.gpus:
        told = f"{hardware.gpus[0].name} · {words.of_sizes(hardware.gpus[0].free_bytes, hardware.gpus[0].total_bytes)} free"
    notices = (GONE[hardware.machine] if hardware.persistent is False else "", hardware.gpu_note, studio.trouble)
    return f"<p>{escape(told)}</p>", "".join(f"<p>{escape(one)}</p>" for one in notices if one)


def on_place(studio: Studio, where: str, chosen: str | None, left: str | None = None, right: str | None = None) -> tuple[Any, ...]:
    """Another place was opened, or this one at another run or study. Only the Runs place ticks."""
    told = json.loads(where or "{}")
    place, run_id, study_id = told.get("place", "train"), str(told.get("run", "")), str(told.get("study", ""))
    here = compare_events.on_place(study_id if place == "runs" else "")
    if place == "runs":
        opened = runs_events.on_open(run_id)
        if study_id:  # its own page ticks
            opened = (run_id, gr.update(active=False), *opened[2:])
        return (*opened, *[gr.skip()] * 6, *here)
    stopped = (gr.skip(), gr.update(active=False), gr.skip(), gr.skip(), gr.skip())
    if place != "try":
        return (*stopped, *[gr.skip()] * 6, *here)
    sheet = gr.update(selected="write" if write_events.opens(studio, run_id) else "classify") if run_id else gr.skip()
    return (*stopped, *try_.on_open(studio, run_id, chosen), sheet, *write_events.on_open(studio, run_id, left, right), *here)


def launch_options(studio: Studio) -> dict[str, Any]:
    """What keeps Gradio's page ours and its server shut: no footer, no history of calls, nothing of the home served."""
    home = studio.home
    return {
        "theme": theme.theme(),
        "head": theme.head(),
        "auth_message": "Whoever started Shur has the name and the password.",
        "footer_links": [],
        "run_history": False,
        "enable_monitoring": False,
        "blocked_paths": [str(home / name) for name in ("runs", "studies", "uploads", "cache")],
        "max_file_size": int(studio.limit_bytes * LET_IN),
        "favicon_path": Path(__file__).parent / "favicon.svg",
        "quiet": True,
        "show_error": True,
        "ssr_mode": False,
        "pwa": False,
        "mcp_server": False,
        "strict_cors": True,
    }
