"""The page's border: what a handler raises reaches the viewer in words; what is folded asks the server nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import gradio as gr

from engine.errors import Refused, explain

log = logging.getLogger("shur.page")


def bind(handler: Callable[..., Any], *first: Any) -> Callable[..., Any]:
    """The handler with its first arguments filled in, and the border around it."""

    def run(*values: Any) -> Any:
        try:
            return handler(*first, *values)
        except Refused as refused:
            raise gr.Error(str(refused), title="That is not possible", print_exception=False) from refused
        except Exception as error:
            log.exception("%s failed", handler.__name__)
            raise gr.Error(str(explain(error)), title="Something went wrong", print_exception=False) from error

    run.__name__ = handler.__name__
    return run


def while_open(heard: Any, opened: Any) -> Any:
    """The event of a change of `heard` while `opened` holds anything; the server is not asked for what is folded.

    An event of its own for each who hears: where two listeners of one wait for their turn ("always_last"), Gradio begins with all of them
    anew when either is done, and goes round for ever.
    """
    again = gr.Textbox(visible=False)
    heard.change(None, [opened, again], again, js="(opened, last) => opened ? String(Math.random()) : last")
    return again.change
