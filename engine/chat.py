"""A model's chat template as its files tell it, and a conversation put into it, without torch: for the page.

Training and writing use transformers' own `apply_chat_template`; a test holds that both give the same text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

TOKENS = ("bos_token", "eos_token", "pad_token", "unk_token")


@dataclass(frozen=True)
class Chat:
    """`template` is Jinja, None where the model has none; `tokens` are its special tokens by what they are called in it."""

    template: str | None = None
    tokens: Mapping[str, str] = field(default_factory=dict)


def read(folder: Path) -> Chat:
    """What the folder's files say; nothing where they are missing or damaged."""
    try:
        told: Any = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    except (OSError, ValueError):
        told = {}
    told = told if isinstance(told, dict) else {}
    tokens = {}
    for name in TOKENS:
        value = told.get(name)
        value = value.get("content") if isinstance(value, dict) else value
        if isinstance(value, str):
            tokens[name] = value
    try:
        template: Any = (folder / "chat_template.jinja").read_text("utf-8")
    except OSError:
        template = told.get("chat_template")
    if isinstance(template, list):  # several, by name
        template = next((one.get("template") for one in template if isinstance(one, dict) and one.get("name") == "default"), None)
    return Chat(template if isinstance(template, str) else None, tokens)


def rendered(template: str, tokens: Mapping[str, str], turns: Sequence[Mapping[str, str]], *, asks: bool) -> str:
    """The conversation as the model reads it; with `asks` up to where the assistant is to speak. Raises jinja2.TemplateError."""
    told: str = _compiled(template).render(messages=list(turns), add_generation_prompt=asks, **tokens)
    return told


@lru_cache(maxsize=8)
def _compiled(template: str) -> Any:
    """Compiling takes 2 ms, and a preview puts each of the first rows into it twice a turn."""
    from jinja2 import TemplateError
    from jinja2.ext import Extension
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> NoReturn:
        raise TemplateError(message)

    class Generation(Extension):
        """{% generation %} marks what the assistant says, for other programs; here its words simply stand."""

        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Any) -> Any:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    place = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", Generation])
    place.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    place.filters["tojson"] = lambda value, **_: json.dumps(value, ensure_ascii=False)
    place.globals["raise_exception"] = refuse
    return place.from_string(template)
