"""Problems of a plan as one error that points: file, line, column, the line itself, a caret, a hint."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kvm_action.errors import PlanError
from kvm_action.plan.hiding import is_hidden, shown_lines
from kvm_action.plan.problem import KeyPath, Problem, Span, dotted, shown_key
from kvm_action.plan.source import Source

_SHOWN: Final = 20
_WIDTH: Final = 100
_COMMENT: Final = re.compile(r"(?:^|:?\s)\s*#.*")
_LINE_END: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # as YAML counts lines


class InvalidPlanError(PlanError):
    """A plan with mistakes; ``problems`` has them one by one, in the order of the file."""

    def __init__(self, message: str, hint: str, problems: tuple[Problem, ...]) -> None:
        """``message`` already shows all of ``problems``."""
        super().__init__(message, hint)
        self.problems = problems


def invalid_plan(path: Path, text: str, source: Source, *, has_secrets: bool = True) -> InvalidPlanError:
    """The error for all problems of ``source``, which was read from ``text``.

    Lines are shown without what may be a secret in a plan; ``has_secrets``: is it one?
    """
    problems = sorted(set(source.problems), key=lambda problem: (problem.span.line, problem.span.column))
    lines = _LINE_END.split(text)
    lines = [printable(line) for line in (_without_secrets(lines, source) if has_secrets else lines)]
    if len(problems) == 1:
        only = problems[0]
        return InvalidPlanError(_block(path, lines, only), printable(only.hint), (only,))
    blocks = [_with_hint(_block(path, lines, problem), problem) for problem in problems[:_SHOWN]]
    if more := len(problems) - _SHOWN:
        blocks += [f"… and {more} more"] if more > 0 else []
    message = "\n\n".join([f"{path} has {len(problems)} mistakes", *blocks])
    return InvalidPlanError(message, f"Correct them, then try: kvm-e2e plan check {path}", tuple(problems))


def about(problem: Problem) -> str:
    """The key that has the problem, with a colon and a blank behind it; empty where there is none."""
    key = problem.span.argument or dotted(problem.path)
    return f"{printable(key)}: " if key else ""


def _with_hint(block: str, problem: Problem) -> str:
    return f"{block}\n{' ' * 8}{printable(problem.hint)}" if problem.hint else block


def _block(path: Path, lines: Sequence[str], problem: Problem) -> str:
    span = problem.span
    words = f"{about(problem)}{printable(problem.message)}"
    if span.argument:
        return f"--set {words}"
    head = f"{path}:{span.line}:{span.column}: {words}"
    return head if span.line > len(lines) else f"{head}\n{_excerpt(lines[span.line - 1], span)}"


def _excerpt(line: str, span: Span) -> str:
    """The line and a caret below it; of a long line the part around the caret."""
    start = max(0, span.column - 1 - _WIDTH // 2) if len(line) > _WIDTH else 0
    shown = line[start : start + _WIDTH]
    column = span.column - 1 - start
    carets = "^" * max(1, min(span.width, len(shown) - column))
    return f"{span.line:>5} | {shown}\n{'':>5} | {' ' * column}{carets}"


def _without_secrets(lines: Sequence[str], source: Source) -> list[str]:
    """``lines`` with stars in the place of what is a secret or may be one."""
    if not isinstance(source.data, dict):  # it could not be read: nobody knows what is what
        return list(shown_lines(lines))
    starred = list(lines)
    for path in source.raw:
        if not source.spans[path].argument and is_hidden(path):
            _star(starred, source.spans[path], is_key=source.spans[path] == source.key_spans.get(path))
    for path, span in source.key_spans.items():
        if not span.argument and _has_value(path) and is_hidden(path):
            _star(starred, span)
    return starred


def _has_value(path: KeyPath) -> bool:
    """Is more than a key in the key, as in ``env: {TOKEN=...}``?"""
    return shown_key(str(path[-1])) != path[-1]


def _star(lines: list[str], span: Span, *, is_key: bool = False) -> None:
    """Put stars in the place of what takes ``span`` and of the comment behind it, which may be the rest of it.

    ``is_key``: nothing but the comment, since there is no value.
    """
    last, stop = span.end or (span.line, span.column - 1 + span.width)
    for number in range(span.line, min(last, len(lines)) + 1):
        line = lines[number - 1]
        start = span.column - 1 if number == span.line else 0
        end = min(stop, len(line)) if number == last else len(line)
        shown = line[start:end] if is_key else "*" * (end - start)
        rest = _COMMENT.sub(lambda found: "*" * len(found[0]), line[end:])
        lines[number - 1] = line[:start] + shown + rest


def printable(text: str) -> str:
    """``text`` with every character that is not printable replaced by a blank, so that columns stay true."""
    return "".join(char if char.isprintable() else " " for char in text)
