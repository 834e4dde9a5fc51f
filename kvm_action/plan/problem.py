"""A mistake in a plan and the place of it, as values. How they are shown is `render`'s business."""

from dataclasses import dataclass

KeyPath = tuple[str | int, ...]
"""Where a value stands: ``("files", 0, "to")``."""


@dataclass(frozen=True)
class Span:
    """A place: line and column from 1, and how many columns it takes; or the ``--set`` that gave the value."""

    line: int
    column: int
    width: int = 1
    argument: str = ""


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
    """``files.0.to``, as ``--set`` takes it."""
    return ".".join(str(part) for part in path)
