"""A mistake in a plan and the place of it, as values. How they are shown is `render`'s business."""

import re
from dataclasses import dataclass
from typing import Final

KeyPath = tuple[str | int, ...]
"""Where a value stands: ``("files", 0, "to")``."""

_NO_KEY: Final = re.compile(r"[\s=:].*", re.DOTALL)


@dataclass(frozen=True)
class Span:
    """A place: line and column from 1, and how many columns it takes; or the ``--set`` that gave the value.

    ``end`` is the line (from 1) and the column (from 0) behind its last character, where it takes several lines.
    """

    line: int
    column: int
    width: int = 1
    argument: str = ""
    end: tuple[int, int] | None = None


@dataclass(frozen=True)
class Problem:
    """One mistake: where it is, one sentence, and what may help."""

    span: Span
    message: str
    hint: str = ""
    path: KeyPath = ()


class SourceError(Exception):
    """The text cannot be read as YAML at all."""

    def __init__(self, problem: Problem) -> None:
        """``problem`` says where and what."""
        super().__init__(problem.message)
        self.problem = problem


def dotted(path: KeyPath) -> str:
    """``files.0.to``, as ``--set`` takes it; of a key that has a value in it (``TOKEN=...``) the beginning."""
    return ".".join(shown_key(str(part)) for part in path)


def shown_key(key: str) -> str:
    """``key`` up to where a value may begin: somebody wrote ``env: {TOKEN=...}``, and it is a secret."""
    return _NO_KEY.sub("…", key)
