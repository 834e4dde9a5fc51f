"""Text from strangers (scripts, consoles, guests) made harmless and readable, and small words of our own.

It knows no output format: escaping for HTML, Markdown, XML comes after this and is that format's own business.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from wcwidth import strip_sequences

_BIDI: Final = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_C1: Final = {code: "\x1b" + chr(code - 0x40) for code in range(0x80, 0xA0)}
"""The one-character forms of ``ESC [`` and its kin (ECMA-48), which not every stripper knows."""
_HARMLESS: Final[dict[int, str | None]] = {
    **dict.fromkeys((*range(0x20), 0x7F), None),
    **{ord("\n"): "\n", ord("\t"): "\t", 0x2028: "\n", 0x2029: "\n"},
    **dict.fromkeys((*range(0xD800, 0xE000), 0xFFFE, 0xFFFF), "\N{REPLACEMENT CHARACTER}"),
    **{code: f"⟨U+{code:04X}⟩" for code in _BIDI},
}


def plain(text: str) -> str:
    """``text`` without terminal escapes and control characters; only line ends and tabs stay.

    Of a line that was written over and over (a progress bar) the last state stays. Marks that turn the direction
    of writing are made visible, since they can make a line read as what it is not. The result is valid in XML.
    """
    stripped = strip_sequences(text.translate(_C1))
    return "\n".join(_last_state(line) for line in stripped.split("\n")).translate(_HARMLESS)


def _last_state(line: str) -> str:
    return line.rstrip("\r").rpartition("\r")[2]


def plain_line(text: str, limit: int = 2000) -> str:
    """``text`` as one line of at most ``limit`` characters and a note of how many are missing."""
    return shorten(" ".join(plain(text).splitlines()).rstrip(), limit)


def shorten(text: str, limit: int) -> str:
    """The first ``limit`` characters of ``text``, and a note of how many are missing, if any."""
    missing = len(text) - limit
    return text if missing <= 0 else f"{text[:limit]}… ({missing:,} more characters)"


def counted(number: int, noun: str) -> str:
    """``1 run``, ``2 runs``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A question, with a space behind it, when one of ``known`` is nearly ``word``; else empty."""
    close = get_close_matches(word, list(known), n=1)
    return f"did you mean {close[0]}? " if close else ""
