"""A small unified diff of what a file held; or why there is none."""

from collections.abc import Callable
from difflib import unified_diff
from enum import StrEnum
from itertools import islice
from typing import Final

LINES: Final = 60
WIDTH: Final = 300
CONTEXT: Final = 2
_COMPARED: Final = 3000
"""Lines up to which two texts are compared: beyond, that can take minutes."""

Hide = Callable[[str], str]


class Remark(StrEnum):
    """In the place of a diff."""

    BINARY = "(binary: not shown)"
    PRIVATE = "(not everybody may read it, so what it holds is not shown)"
    LARGE = "(too large to show)"


def text_diff(old: bytes, new: bytes, hide: Hide = str) -> str:
    """At most `LINES` lines, and how many more there are; empty when both are the same. ``hide`` masks secrets."""
    if old == new:
        return ""
    try:
        before, after = (_lines(content, hide) for content in (old, new))
    except ValueError:
        return str(Remark.BINARY)
    if len(before) + len(after) > _COMPARED:
        return str(Remark.LARGE)
    lines = list(islice(unified_diff(before, after, n=CONTEXT, lineterm=""), 2, None))
    more = len(lines) - LINES
    shown = [line if len(line) <= WIDTH else f"{line[:WIDTH]}…" for line in lines[:LINES]]
    return "\n".join([*shown, *([f"… {more} more lines"] if more > 0 else [])]) + "\n"


def _lines(content: bytes, hide: Hide) -> list[str]:
    """Raises ValueError when it is no text."""
    if b"\0" in content:
        raise ValueError("a zero byte")
    lines = content.decode().split("\n")
    last = [] if lines[-1] == "" else [f"{lines[-1]} (no line end)"]
    return [hide(line) for line in (*lines[:-1], *last)]
