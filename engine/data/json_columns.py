"""Objects within JSON records as columns of their own: {"user": {"name": "a"}} gives `user.name`. Pure.

Decided key by key from the first records: where all are objects, not of lists (SQuAD's answers are read as they stand), and of few names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

MOST_DEEP = 4  # objects within each other; what lies deeper stays JSON text
MOST_NAMES = 50  # columns that one key may become: of more, the names are values themselves


def spread(records: Sequence[dict[str, Any]]) -> frozenset[str]:
    """The keys whose objects become columns."""
    names: dict[str, set[str]] = {}
    not_so: set[str] = set()
    for record in records:
        for key, value in record.items():
            if value is None or key in not_so:
                continue
            if not isinstance(value, dict) or not _is_plain(value):
                not_so.add(key)
            else:
                told = names.setdefault(key, set())
                told.update(flat({key: value}, {key}))
                if len(told) > MOST_NAMES:
                    not_so.add(key)
    taken = {key for record in records for key in record}
    return frozenset(key for key, told in names.items() if key not in not_so and told and not told & taken)


def known(names: Sequence[str], keys: frozenset[str], before: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """All columns of these names, and the keys that turned out to have too many, with those from `before`: they stay one column each."""
    many = before | frozenset(key for key in keys if sum(name.startswith(f"{key}.") for name in names) > MOST_NAMES)
    told = (next((key for key in many if name.startswith(f"{key}.")), name) for name in names)
    return tuple(dict.fromkeys(told)), many


def flat(record: dict[str, Any], keys: frozenset[str] | set[str]) -> dict[str, Any]:
    """The record with the objects of these keys as columns."""
    told: dict[str, Any] = {}
    for key, value in record.items():
        if key in keys and isinstance(value, dict):
            _put(told, key, value, 1)
        elif key not in keys or value is not None:  # without an object there is nothing in its columns
            told[key] = value
    return told


def _put(told: dict[str, Any], name: str, value: Any, depth: int) -> None:
    if isinstance(value, dict) and value and depth <= MOST_DEEP:
        for key, inner in value.items():
            _put(told, f"{name}.{key}", inner, depth + 1)
    elif not (isinstance(value, dict) and not value):
        told[name] = value


def _is_plain(value: dict[str, Any]) -> bool:
    """Whether no list stands in it, as deep as it is looked into."""
    left: list[tuple[Any, int]] = [(value, 1)]
    while left:
        one, depth = left.pop()
        if isinstance(one, list):
            return False
        if isinstance(one, dict) and depth <= MOST_DEEP:
            left += [(inner, depth + 1) for inner in one.values()]
    return True
