"""How one text is repaired: damaged letters, signs that nobody sees, HTML, links, user names. Pure; the same in training and after."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import ftfy
import pyarrow as pa
import pyarrow.compute as pc

from engine.data.table import CONTROL_PYTHON
from engine.fix import Fix

TAGS = (
    "a|abbr|b|big|blockquote|body|br|center|code|dd|div|dl|dt|em|font|form|h[1-6]|head|hr|html|i|iframe|img|input|li|link|meta|ol|p|pre|q|s|"
    "script|small|span|strike|strong|style|sub|sup|table|tbody|td|th|thead|title|tr|u|ul|video"
)
TAG = rf"(?i)</?(?:{TAGS})(?:\s[^<>]*)?/?>"
# News feeds hold " #39;s" and "quot;": an ampersand that was lost on the way. "amp;" and "lt;" alone are left: they can be meant.
BROKEN = r"(^|[^&A-Za-z0-9])(#(?:3[4-9]|6[02]|1[6-9][0-9]|2[0-4][0-9]|8[0-9]{3})|quot);"
ENTITY = r"&(?:[a-zA-Z]{2,8}|#[0-9]{2,6}|#x[0-9a-fA-F]{2,5});"
LINK = r"(?i)\b(?:https?:/+|www\.)[^\s<>\"']+"
USER = r"(^|[^A-Za-z0-9_@/])@[A-Za-z0-9_]{2,30}"
INVISIBLE = "\ufeff\u200b\u2060\u00ad"  # no joiners: Bengali needs them
# A letter as the first byte of a UTF-8 sequence looks in cp1252, and one as its next byte does; or the same gone through Mac Roman too.
DAMAGED = r"[\x{c2}-\x{f4}][\x{80}-\x{bf}€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|‰Û|å[£ÊÇ¬]|Ì[©Ê]"
BY_MAC = re.compile(r"‰Û.|å[£ÊÇ¬]|Ì[©Ê]")


def repaired(text: str) -> str:
    """The text with letters that were decoded wrongly put right, where that can be told for sure; else as it is.

    By ftfy; before it what an old Mac made of such letters on the way: "‰Û÷" was "â€˜" and is ‘ (5,572 text messages hold 500 of these).
    """
    return CONTROL_PYTHON.sub(" ", ftfy.fix_encoding(BY_MAC.sub(_from_mac, text)))  # what is left of them belongs to no letter


def _from_mac(found: re.Match[str]) -> str:
    try:
        told = ftfy.fix_encoding(found[0].encode("cp1252").decode("mac_roman"))
    except UnicodeError:
        return found[0]
    return told if len(told) == 1 else found[0]


def _without_html(text: str) -> str:
    text = re.sub(r"(?<=[A-Za-z]) #39;(?=[a-z])", "'", text)  # within a word the blank came with the damage: "won #39;t"
    text = re.sub(BROKEN, lambda found: f"{found[1]}{html.unescape(f'&{found[2]};')}", text)
    return re.sub(TAG, " ", html.unescape(text))  # in this order: "&lt;b&gt;" is a tag too


@dataclass(frozen=True)
class Repair:
    """What finds the texts concerned, in RE2's spelling, and what is done to each."""

    pattern: str
    change: Callable[[str], str]


REPAIRS: dict[str, Repair] = {
    "repair-encoding": Repair(DAMAGED, repaired),
    "strip-invisible": Repair(f"[{INVISIBLE}]", lambda text: text.translate(dict.fromkeys(map(ord, INVISIBLE)))),
    "remove-html": Repair(f"{TAG}|{ENTITY}|{BROKEN}", _without_html),
    "replace-links": Repair(LINK, lambda text: re.sub(LINK, "[link]", text)),
    "replace-users": Repair(USER, lambda text: re.sub(USER, r"\1[user]", text)),
}
OF_LABELS = ("repair-encoding", "strip-invisible")  # the others would change a class's name


def text_as_fixed(text: str, fixes: Iterable[Fix]) -> str:
    """One text as the model was shown its like."""
    for one in fixes:
        if one.kind in REPAIRS:
            text = REPAIRS[one.kind].change(text)
    return text


def column_as_fixed(values: pa.ChunkedArray, kind: str) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """The column repaired, and which of its values changed."""
    repair = REPAIRS[kind]
    mask = pc.fill_null(pc.match_substring_regex(values, repair.pattern), False)
    new = pa.array([repair.change(value) for value in values.filter(mask).to_pylist()], pa.string())
    if not len(new):
        return values, mask
    whole = pc.replace_with_mask(pa.concat_arrays(values.chunks), pa.concat_arrays(mask.chunks), new)
    changed = pc.fill_null(pc.not_equal(pa.chunked_array([whole]), values), False)
    return pa.chunked_array([whole]), changed
