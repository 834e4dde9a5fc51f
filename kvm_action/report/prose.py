"""Sentences with code in them: what stands between backticks. Each format marks it up in its own way."""

import re
from typing import Final

_CODE: Final = re.compile(r"`([^`]+)`")


def pieces(text: str) -> list[tuple[str, str]]:
    """Words and the code that follows them, again and again; code is empty where there is none.

    A backtick without its partner is only a character, and so are two with nothing between them.
    """
    found: list[tuple[str, str]] = []
    end = 0
    for code in _CODE.finditer(text):
        found.append((text[end : code.start()], code[1]))
        end = code.end()
    return [*found, (text[end:], "")]
