"""GitHub-flavoured Markdown: text from strangers escaped so that it is shown as it is, and nothing happens.

The rules are those of the GFM specification, and what GitHub does after it (mentions, issue numbers).
"""

import re
from collections.abc import Sequence
from typing import Final

from kvm_action.report.prose import pieces
from kvm_action.text import plain, plain_line


class Markdown(str):
    """Text that is Markdown already and must not be escaped again."""

    __slots__ = ()


_ENTITIES: Final = {ord(char): f"&#{ord(char)};" for char in "\\`*_[]<>|~&$"}
_LINKS: Final = re.compile(r"(?i)(?:https?|ftp|mailto|xmpp):|www\.")
_REFERENCES: Final = re.compile(r"@|#(?=\w)|\bGH-(?=\d)", re.IGNORECASE)
_LINE_START: Final = re.compile(r"^\d+[.)](?=\s|$)|^[-+=#]")
_BACKTICKS: Final = re.compile(r"`{3,}")
_ZERO_WIDTH_SPACE: Final = "\u200b"


def escape(value: object) -> Markdown:
    """``value`` as one line of text. Also jinja2's ``finalize``: what is Markdown already stays."""
    if isinstance(value, Markdown):
        return value
    return _escaped(plain_line(str(value), limit=10_000))


def _escaped(text: str) -> Markdown:
    text = _REFERENCES.sub(lambda found: found[0] + _ZERO_WIDTH_SPACE, text).translate(_ENTITIES)
    text = _LINE_START.sub(lambda found: found[0][:-1] + _entity(found[0][-1]), text)
    return Markdown(_LINKS.sub(lambda found: found[0][:-1] + _entity(found[0][-1]), text))


def _entity(char: str) -> str:
    return f"&#{ord(char)};"


def code(text: str) -> Markdown:
    """``text`` as code in a line; nothing for nothing."""
    return Markdown(f"<code>{escape(text)}</code>") if text else Markdown("")


def prose(text: str) -> Markdown:
    """A sentence, with what stands between backticks as code."""
    return Markdown("".join(_escaped(words) + code(inside) for words, inside in pieces(plain_line(text))))


def fence(lines: Sequence[str], language: str = "") -> Markdown:
    """``lines`` as a block of code, between fences longer than any in it."""
    text = plain("\n".join(lines))
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=2)
    marks = "`" * (longest + 1)
    return Markdown(f"{marks}{language}\n{text}\n{marks}")
