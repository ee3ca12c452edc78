"""What happens on the card of studies and on a study's page. What is shown is read from the disk; nothing is kept per viewer."""

from __future__ import annotations

import hashlib
import math
import re
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import gradio as gr

from engine import study_report
from engine.errors import Problem, Refused, explain
from engine.spec import RunSpec
from engine.study import Budget
from engine.study_result import GOING
from engine.varied import Variants, by_shares, in_folds, with_and_without
from ui import figures, request, study, words
from ui.border import bind, while_open
from ui.tabs import compare, train_events
from ui.tabs.compare import MINUTES, SEEDS, Card, StudyPage
from ui.tabs.runs import pace
from ui.tabs.train import Newest, Train

if TYPE_CHECKING:
    from engine.studies import Fit
    from engine.studio import Studio

OF_THE_BUDGET = ("max_steps", "epochs", "evaluate_every", "patience")  # settings that a comparison makes equal for its own sake
KINDS = {"csv": "text/csv", "markdown": "text/markdown", "html": "text/html"}
SUFFIX = {"csv": "csv", "markdown": "md", "html": "html"}
INFO = {
    MINUTES: "For all runs together, by the estimate: as many steps as they pay for, the same for every method where possible.",
    "": "Empty: as many steps as one run by itself would take.",
}


# The card on the Train place


def wire_card(studio: Studio, card: Card, train: Train) -> None:
    """Connects the card with the fields of the Train place, which say what is compared."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "trigger_mode": "always_last", "concurrency_limit": 4}
    once = {**quiet, "trigger_mode": "once"}
    fields = [train.token, *train.inputs]
    choice = [card.varies, card.folds, card.shares, card.methods, card.kind, card.amount, card.seeds]
    shown = [card.column, card.offered, card.methods, card.unfit]
    varied = [card.what, card.methods, card.unfit, card.folds, card.shares]
    weigh: dict[str, Any] = {
        "fn": bind(on_weigh, studio, train), "inputs": [card.newest, card.change, card.offered, *choice, *fields],
        "outputs": [card.told, card.start], "js": train_events.NUMBERED, **quiet,
    }  # fmt: skip
    near = "() => document.getElementById('compare-card')?.scrollIntoView({ block: 'start' })"
    opening: dict[str, Any] = {"fn": bind(on_open, studio, train), "inputs": fields, "outputs": shown, **once, "show_progress": "minimal"}
    with_rows = train.more_data["compare"].click(lambda: "made", None, card.varies, **once)
    for opened in (train.compare.click(**opening), with_rows.then(**opening)):
        opened.then(bind(on_varies), card.varies, varied, **quiet).then(None, None, None, js=near).then(**weigh)
    card.varies.input(bind(on_varies), card.varies, varied, **quiet).then(**weigh)
    again = while_open(train.previewed, card.offered)
    again(bind(on_fields, studio, train), [card.offered, card.methods, *fields], shown[1:], **quiet).then(**weigh)
    card.kind.input(lambda kind: gr.update(info=INFO.get(kind, INFO[""]), value=""), card.kind, card.amount, **quiet).then(**weigh)
    gr.on([one.change for one in (card.amount, card.folds, card.shares)] + [card.methods.input, card.seeds.input], **weigh)
    card.close.click(lambda: (gr.update(visible=False), ""), None, [card.column, card.offered], **quiet)
    pressed = card.start.click(
        lambda: (gr.update(interactive=False, value="Starting …"), "", ""), None, [card.start, card.started, card.refused], **once
    )
    began = pressed.then(bind(on_start, studio, train), [*choice, *fields], [card.started, card.refused], **once)
    began.then(None, card.started, None, js="study => study && shur.go('runs', '', study)").then(**weigh)


def on_varies(varies: str) -> tuple[Any, ...]:
    """Another kind of study: what it does, and the fields that it has."""
    methods = gr.update(visible=varies == "methods")
    return compare.what(varies), methods, methods, gr.update(visible=varies == "folds"), gr.update(visible=varies == "shares")


def _variants(varies: str, folds: str, shares: str, spec: RunSpec) -> Variants | None:
    """What differs between the runs; None where it is the method. Raises Refused for what is no number."""
    if varies == "made":
        return with_and_without(spec)
    try:
        if varies == "folds":
            return in_folds(int(folds))
        return by_shares([float(one.strip().removesuffix("%")) / 100 for one in shares.split(",")]) if varies == "shares" else None
    except ValueError as error:
        typed = folds if varies == "folds" else shares
        raise Refused(Problem("study.variants", f"{typed!r} is no number.", "Type in a number, or several with commas between.")) from error


def _asked(train: Train, values: Sequence[Any]) -> RunSpec:
    return request.run_spec(request.unguessed(train.offer.told(values)), train.offer)


def on_open(studio: Studio, train: Train, token: str, *values: Any) -> tuple[Any, ...]:
    """The card opens with all methods that fit chosen, and the others greyed out with the reason."""
    return gr.update(visible=True), *_offer(studio.methods_that_fit(_asked(train, values), token or None), "", [])


def on_fields(studio: Studio, train: Train, offered: str, chosen: list[str], token: str, *values: Any) -> tuple[Any, ...]:
    """Data, model or settings have changed while the card is open: other methods may fit now. What was not chosen stays so.

    Where the same ones fit, the boxes are left alone: `chosen` is what was ticked when this was asked, and a tick since then stays.
    """
    if not offered:
        return gr.skip(), gr.skip(), gr.skip()
    now, boxes, unfit = _offer(studio.methods_that_fit(_asked(train, values), token or None), offered, chosen)
    return now, gr.skip() if now == offered else boxes, unfit


def _offer(fits: Sequence[Fit], before: str, chosen: Sequence[str]) -> tuple[Any, ...]:
    """The ids on offer, the boxes, and the others with their reasons. A method that was not on offer before is chosen."""
    fitting = {one.method: one.name for one in fits if one.plan is not None}
    ticked = [one for one in fitting if one in chosen or one not in before.split()]
    boxes = gr.update(choices=[(name, method) for method, name in fitting.items()], value=ticked)
    return " ".join(fitting) or "none", boxes, study.unfit(fits)


def _budget(kind: str, amount: str) -> Budget:
    """What was typed, "1,000" a thousand and "2,5" two and a half. Raises Refused for what is no number above zero."""
    text = amount.strip()
    text = text.replace(",", "" if re.fullmatch(r"\d{1,3}(,\d{3})+", text) else ".")
    if not text:
        if kind == MINUTES:
            raise Refused(Problem("study.budget", "No minutes are given.", "Type in how many minutes the whole comparison may take."))
        return Budget()
    try:
        number = float(text)
    except ValueError as error:
        raise Refused(Problem("study.budget", f"The budget is {amount!r}, which is no number.", "Type in a number.")) from error
    if not number > 0:
        raise Refused(Problem("study.budget", f"The budget is {amount}, but it must be above zero.", "Type in a larger number."))
    if number == math.inf:
        raise Refused(Problem("study.budget", f"The budget is {amount}, which has no end.", "Type in a smaller number."))
    return Budget("minutes", number) if kind == MINUTES else Budget("steps", number)


def on_weigh(studio: Studio, train: Train, newest: Newest, change: int, offered: str, *asked: Any) -> tuple[Any, Any]:
    """How long the comparison will take in all, unless a newer choice was asked about while this one was weighed.

    "always_last" alone lets two quick ticks both through, in no order: Gradio notes the first as under way only after it has gathered
    the fields.
    """
    newest.change = max(newest.change, change)
    drawn = _weighed(studio, train, *asked) if offered and change == newest.change else (gr.skip(), gr.skip())
    return drawn if change == newest.change else (gr.skip(), gr.skip())


def _weighed(
    studio: Studio,
    train: Train,
    varies: str,
    folds: str,
    shares: str,
    chosen: list[str],
    kind: str,
    amount: str,
    seeds: str,
    token: str,
    *values: Any,
) -> tuple[Any, Any]:
    """How long the comparison will take in all and the most memory, or what keeps it from starting."""
    try:
        spec = _asked(train, values)
        variants = _variants(varies, folds, shares, spec)
        none_can_be = not chosen and not variants and not any(one.plan for one in studio.methods_that_fit(spec, token or None))
        methods = None if none_can_be else chosen  # None: what ails all of them is told
        told = studio.compare_preview(spec, methods, int(seeds), _budget(kind, amount), token or None, variants)
    except Refused as refused:
        return study.proposal(None, refused.problems), gr.update(value="Settle the problem above", interactive=False)
    return study.proposal(told, ()), gr.update(value="Start the study" if variants else "Start comparing", interactive=True)


def on_start(
    studio: Studio,
    train: Train,
    varies: str,
    folds: str,
    shares: str,
    chosen: list[str],
    kind: str,
    amount: str,
    seeds: str,
    token: str,
    *values: Any,
) -> tuple[str, str]:
    """The study's id, or what kept it from starting, told above the button."""
    spec = _asked(train, values)
    name = spec.name or (train_events.run_name(studio, spec) or "").rpartition(" · ")[0] or None
    try:
        variants = _variants(varies, folds, shares, spec)
        return studio.compare(replace(spec, name=name), chosen, int(seeds), _budget(kind, amount), token or None, variants), ""
    except Refused as refused:
        return "", words.problems(refused.problems)
    except OSError as error:
        return "", words.problem(explain(error))


# A study's page


def wire_page(studio: Studio, page: StudyPage, train: Train) -> None:
    """Connects a study's page with handlers."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": 8}
    opened, button = page.opened, page.buttons
    look: dict[str, Any] = {"fn": bind(on_tick, studio), "inputs": [opened], "outputs": [page.seen], **quiet}
    page.timer.tick(**look)
    live = [page.heading, page.now, page.advice, *_moving(page), page.table, page.figures, page.conditions, page.timer]
    page.seen.change(bind(on_news, studio), [opened], live, **quiet)
    button["stop"].click(bind(on_stop, studio), opened, button["stop"], **quiet).then(**look)
    button["resume"].click(bind(on_resume, studio), [opened, train.token], None, **quiet).then(**look)
    button["extend"].click(bind(on_extend, studio), [opened, train.token], [page.extension, page.more_methods, page.more_seeds], **quiet)
    page.extend.click(bind(on_extended, studio), [opened, page.more_methods, page.more_seeds, train.token], page.extension, **quiet).then(
        **look
    )
    page.leave.click(lambda: gr.update(visible=False), None, page.extension, **quiet)
    for kind in KINDS:
        save = f"text => shur.download('comparison.{SUFFIX[kind]}', text, '{KINDS[kind]}')"
        button[kind].click(bind(on_export, studio, kind), opened, page.text, **quiet).then(None, page.text, None, js=save)
    button["delete"].click(lambda: gr.update(visible=True), None, page.ask, **quiet)
    page.no.click(lambda: gr.update(visible=False), None, page.ask, **quiet)
    page.yes.click(bind(on_delete, studio), opened, [page.ask, page.gone], **quiet).then(
        None, page.gone, None, js="gone => gone && shur.go('runs')"
    )
    page.use.click(bind(on_use, studio, train), page.use, [page.used, *train_events.refill(train)], **quiet).then(
        None, page.used, None, js="used => used && shur.go('train')"
    )


def _moving(page: StudyPage) -> list[Any]:
    return [page.buttons[name] for name in ("stop", "resume", "extend", "delete")]


def on_place(study_id: str) -> tuple[Any, ...]:
    """A study was opened (or another place: ""). Whatever was drawn before is drawn anew."""
    return study_id, gr.update(active=bool(study_id)), secrets.token_hex(4) if study_id else gr.skip()


def on_tick(studio: Studio, study_id: str) -> Any:
    """A cheap look: what has moved, as a short sum. Only when it differs from the last one is anything drawn."""
    if not study_id:
        return gr.skip()
    try:
        result = studio.study(study_id)
    except Refused:
        return f"{study_id} gone"
    told = [(row.state, row.reason, row.done, row.steps, [run.id for run in row.runs], row.saved_bytes) for row in result.rows]
    return f"{study_id} {result.state} {result.can_resume} {hashlib.blake2b(repr(told).encode(), digest_size=8).hexdigest()}"


def on_news(studio: Studio, study_id: str) -> list[Any]:
    """Everything that moves while a study goes."""
    if not study_id:
        return [gr.skip()] * 11
    try:
        result = studio.study(study_id)
    except Refused as refused:
        back = '<p><a href="?place=runs" data-place="runs">See all runs.</a></p>'
        hidden = [gr.update(visible=False)] * 4
        return [f"<h1>Study</h1>{words.problems(refused.problems)}{back}", "", "", *hidden, "", gr.skip(), "", pace(False)]
    going = result.state in GOING
    return [
        study.heading(result.study),
        study.now(result),
        study.advice(result),
        gr.update(visible=going, interactive=True),
        gr.update(visible=result.can_resume),
        gr.update(visible=True),
        gr.update(visible=result.state != "running"),
        study.table(result, study_report.notes(result)),
        figures.study(result),
        study.conditions(study_report.conditions(result)),
        pace(going),
    ]


def on_stop(studio: Studio, study_id: str) -> Any:
    studio.stop_study(study_id)
    return gr.update(interactive=False)


def on_resume(studio: Studio, study_id: str, token: str) -> None:
    studio.resume_study(study_id, token or None)


def on_extend(studio: Studio, study_id: str, token: str) -> tuple[Any, Any, Any]:
    """What can still be added: methods that fit and are not there, and seeds."""
    made = studio.study(study_id).study
    fits = [] if made.variants else studio.methods_that_fit(made.base, token or None)
    more = [(one.name, one.method) for one in fits if one.plan is not None and one.method not in made.methods]
    seeds = SEEDS[len(made.seeds) - 1 :]
    return gr.update(visible=True), gr.update(choices=more, value=[], visible=bool(more)), gr.update(choices=seeds, value=seeds[0])


def on_extended(studio: Studio, study_id: str, methods: list[str], seeds: str, token: str) -> Any:
    studio.extend_study(study_id, methods or [], int(seeds), token or None)
    return gr.update(visible=False)


def on_export(studio: Studio, kind: str, study_id: str) -> str:
    """The file as text, which page.js gives to the viewer."""
    write = {"csv": study_report.to_csv, "markdown": study_report.to_markdown, "html": study_report.to_html}[kind]
    return write(studio.study(study_id))


def on_delete(studio: Studio, study_id: str) -> tuple[Any, str]:
    studio.delete_study(study_id)
    return gr.update(visible=False), study_id


def on_use(studio: Studio, train: Train, run_id: str) -> list[Any]:
    """A method's settings, back in the fields of the Train place; how long to train is decided anew, not by the comparison's budget."""
    spec = studio.clone(run_id)
    kept = {name: value for name, value in spec.settings.items() if name not in OF_THE_BUDGET}
    return [f"{run_id} {secrets.token_hex(2)}", *train_events.shown(studio, train, replace(spec, settings=kept))]
