"""What failed, as remarks beside the lines of the plan and of the script; the most telling first."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kvm_action.errors import FailureClass
from kvm_action.report.verdict import verdict
from kvm_action.results import Change, CheckOutcome, CheckResult, Failure, RunResult
from kvm_action.text import plain_line
from kvm_action.workflow.commands import Annotation, Level

_EVIDENCE_LINES: Final = 5
_SCRIPT_BYTES: Final = 4 << 20
_IN_SCRIPT: Final = (
    re.compile(r"^(?P<file>[^\s:]+): line (?P<line>\d{1,7}): "),  # bash
    re.compile(r"^(?P<file>[^\s:]+): (?P<line>\d{1,7}): "),  # dash
    re.compile(r'^\s*File "(?P<file>[^"]+)", line (?P<line>\d{1,7})\b'),  # Python
)


@dataclass(frozen=True)
class Checkout:
    """The files that annotations can point at: a checkout of the repository, and where paths are relative to."""

    root: Path
    here: Path

    def path(self, name: str) -> str:
        """The path in the repository of the file that ``name`` means from `here`; empty if there is none."""
        try:
            found = (self.here / name).resolve()
            inside = found.is_relative_to(self.root.resolve()) and found.is_file()
        except (OSError, ValueError):  # a name too long, or with a NUL
            return ""
        return found.relative_to(self.root.resolve()).as_posix() if inside else ""

    def has_line(self, path: str, line: int) -> bool:
        """Does the file have that many lines?"""
        with (self.root / path).open("rb") as file:
            return 0 < line <= len(file.read(_SCRIPT_BYTES).splitlines())


def annotations(result: RunResult, checkout: Checkout) -> tuple[Annotation, ...]:
    """All there is to remark: first why it failed, then each check, then what a second run changed."""
    plan = checkout.path(result.plan.path) if result.plan.path else ""
    found = [] if result.failure is None else [_failure(result, result.failure, plan, checkout)]
    found += [_check(check, plan) for check in _worst_first(result.checks)]
    if result.idempotence and result.failure:
        found += [_change(change, plan) for change in result.idempotence.changes]
    return tuple(found)


def _failure(result: RunResult, failure: Failure, plan: str, checkout: Checkout) -> Annotation:
    told = verdict(result)
    words = [told.headline, *told.evidence[-_EVIDENCE_LINES:], told.hint]
    path, line = _in_script(failure, result.plan.path, checkout)
    if not path and failure.failure_class is FailureClass.PLAN:
        path, line = plan, 1
    return Annotation(
        level=Level.ERROR,
        title=f"{plain_line(result.plan.name, 80)}: {told.word.lower()} in {told.step}",
        message="\n".join(word for word in words if word),
        path=path,
        line=line if path else 0,
    )


def _in_script(failure: Failure, plan: str, checkout: Checkout) -> tuple[str, int]:
    """The line of the script that its last words name, if that file is in the repository."""
    if failure.failure_class not in (FailureClass.PROVISION, FailureClass.IDEMPOTENCE):
        return "", 0
    for name, line in script_lines(failure.evidence):
        for candidate in _suffixes(name):
            path = checkout.path(str(Path(plan).parent / candidate))
            if path and checkout.has_line(path, line):
                return path, line
    return "", 0


def script_lines(evidence: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Files and lines that an interpreter names, the last one first."""
    for text in reversed([*evidence]):
        for pattern in _IN_SCRIPT:
            if match := pattern.match(plain_line(text)):
                yield match["file"], int(match["line"])


def _suffixes(name: str) -> Iterator[str]:
    """``/opt/app/lib/a.sh`` in the guest may be ``lib/a.sh`` beside the plan: from long to short."""
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    yield from ("/".join(parts[at:]) for at in range(len(parts)))


def _worst_first(checks: Iterable[CheckResult]) -> list[CheckResult]:
    bad = [check for check in checks if check.outcome in (CheckOutcome.FAILED, CheckOutcome.ERROR)]
    return sorted(bad, key=lambda check: check.outcome is CheckOutcome.ERROR)


def _check(check: CheckResult, plan: str) -> Annotation:
    found = (("expected", check.expected), ("found", check.actual))
    words = [plain_line(check.message), *(f"{what}: {plain_line(text, 500)}" for what, text in found if text)]
    return Annotation(
        level=Level.ERROR,
        title=f"{'not carried out' if check.outcome is CheckOutcome.ERROR else 'failed'}: "
        f"{plain_line(check.name, 150)}",
        message="\n".join(word for word in words if word) or "It does not hold.",
        path=plan,
        line=(check.line or 1) if plan else 0,
    )


def _change(change: Change, plan: str) -> Annotation:
    return Annotation(
        level=Level.WARNING,
        title=f"a second run changed {plain_line(f'{change.area} {change.item}', 150)}",
        message=f"before: {plain_line(change.before, 300) or 'nothing'}\n"
        f"after: {plain_line(change.after, 300) or 'nothing'}",
        path=plan,
        line=1 if plan else 0,
    )
