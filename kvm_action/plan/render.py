"""Problems of a plan as one error that points: file, line, column, the line itself, a caret, a hint."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kvm_action.errors import PlanError
from kvm_action.plan import schema
from kvm_action.plan.problem import Problem, Span, dotted
from kvm_action.plan.source import Source

_SHOWN: Final = 20
_WIDTH: Final = 100
_MAY_BE_SECRET: Final = re.compile(
    r"""(\b(?:(?i:\w*(?:password|secret|token|key))\b["']?\s*[:= ]|[A-Z_][A-Z0-9_]+["']?\s*[:=])\s*)(\S.*)"""
)
"""In text that is no YAML: a password, or what looks like a variable of `env`."""
_LINE_END: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # as YAML counts lines


class InvalidPlanError(PlanError):
    """A plan with mistakes; ``problems`` has them one by one, in the order of the file."""

    def __init__(self, message: str, hint: str, problems: tuple[Problem, ...]) -> None:
        """``message`` already shows all of ``problems``."""
        super().__init__(message, hint)
        self.problems = problems


def invalid_plan(path: Path, text: str, source: Source) -> InvalidPlanError:
    """The error for all problems of ``source``, which was read from ``text``."""
    problems = sorted(set(source.problems), key=lambda problem: (problem.span.line, problem.span.column))
    lines = _without_secrets(text, source)
    if len(problems) == 1:
        only = problems[0]
        return InvalidPlanError(_block(path, lines, only), printable(only.hint), (only,))
    blocks = [_with_hint(_block(path, lines, problem), problem) for problem in problems[:_SHOWN]]
    if more := len(problems) - _SHOWN:
        blocks += [f"… and {more} more"] if more > 0 else []
    message = "\n\n".join([f"{path} has {len(problems)} mistakes", *blocks])
    return InvalidPlanError(message, f"Correct them, then try: kvm-e2e plan check {path}", tuple(problems))


def _with_hint(block: str, problem: Problem) -> str:
    return f"{block}\n{' ' * 8}{printable(problem.hint)}" if problem.hint else block


def _block(path: Path, lines: Sequence[str], problem: Problem) -> str:
    span = problem.span
    if span.argument:
        return f"--set {printable(span.argument)}: {printable(problem.message)}"
    about = f"{dotted(problem.path)}: " if problem.path else ""
    head = f"{path}:{span.line}:{span.column}: {printable(about + problem.message)}"
    return head if span.line > len(lines) else f"{head}\n{_excerpt(lines[span.line - 1], span)}"


def _excerpt(line: str, span: Span) -> str:
    """The line and a caret below it; of a long line the part around the caret."""
    start = max(0, span.column - 1 - _WIDTH // 2) if len(line) > _WIDTH else 0
    shown = line[start : start + _WIDTH]
    column = span.column - 1 - start
    carets = "^" * max(1, min(span.width, len(shown) - column))
    return f"{span.line:>5} | {shown}\n{'':>5} | {' ' * column}{carets}"


def _without_secrets(text: str, source: Source) -> list[str]:
    """The lines of ``text`` as they can be shown: secrets starred, control characters blanked."""
    lines = _LINE_END.split(text)
    if not source.raw:  # it could not be read: nobody knows what is what
        lines = [_MAY_BE_SECRET.sub(lambda found: found[1] + "*" * len(found[2]), line) for line in lines]
    for path in source.raw:
        span = source.spans[path]
        if not span.argument and schema.is_secret(path):
            line, start = lines[span.line - 1], span.column - 1
            hidden = line[start : start + span.width]
            lines[span.line - 1] = line[:start] + "*" * len(hidden) + line[start + len(hidden) :]
    return [printable(line) for line in lines]


def printable(text: str) -> str:
    """``text`` with every character that is not printable replaced by a blank, so that columns stay true."""
    return "".join(char if char.isprintable() else " " for char in text)
