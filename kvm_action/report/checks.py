"""The checks as a reader wants them: what does not hold first and in full, the rest by kind."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kvm_action.results import CheckOutcome, CheckResult
from kvm_action.text import plain_line
from kvm_action.units import format_seconds

MOST_SHOWN: Final = 500
"""Rows of each of the two lists; all of them are in result.json."""
_WIDTH: Final = 500
_NAMES: Final = {
    CheckOutcome.FAILED: "failed",
    CheckOutcome.ERROR: "not carried out",
    CheckOutcome.SKIPPED: "skipped",
    CheckOutcome.PASSED: "passed",
}


@dataclass(frozen=True, kw_only=True)
class CheckRow:
    """One check, all texts plain and short."""

    name: str
    kind: str
    outcome: CheckOutcome
    word: str
    seconds: str
    expected: str
    actual: str
    message: str


@dataclass(frozen=True)
class CheckGroup:
    """The checks of one kind that hold or were skipped."""

    kind: str
    rows: tuple[CheckRow, ...]


@dataclass(frozen=True, kw_only=True)
class Checks:
    """All checks. ``left_out`` counts what is too much to show."""

    total: int
    summary: str
    bad: tuple[CheckRow, ...]
    groups: tuple[CheckGroup, ...]
    left_out: int


def checks_view(results: Iterable[CheckResult], most: int = MOST_SHOWN) -> Checks:
    """Sort and count ``results``; show at most ``most`` of the bad and of the good ones."""
    rows = tuple(results)
    bad = sorted((one for one in rows if _is_bad(one)), key=lambda one: one.outcome is CheckOutcome.ERROR)
    good = [one for one in rows if not _is_bad(one)]
    by_kind: dict[str, list[CheckRow]] = {}
    for one in good[:most]:
        by_kind.setdefault(plain_line(one.kind, 40), []).append(_row(one))
    return Checks(
        total=len(rows),
        summary=summary(rows),
        bad=tuple(_row(one) for one in bad[:most]),
        groups=tuple(CheckGroup(kind, tuple(found)) for kind, found in by_kind.items()),
        left_out=max(len(bad) - most, 0) + max(len(good) - most, 0),
    )


def summary(results: Iterable[CheckResult]) -> str:
    """``5 passed, 2 failed, 1 not carried out``."""
    count = Counter(one.outcome for one in results)
    order = (CheckOutcome.FAILED, CheckOutcome.ERROR, CheckOutcome.SKIPPED, CheckOutcome.PASSED)
    return ", ".join(f"{count[one]} {_NAMES[one]}" for one in order if count[one])


def _is_bad(check: CheckResult) -> bool:
    return check.outcome in (CheckOutcome.FAILED, CheckOutcome.ERROR)


def _row(check: CheckResult) -> CheckRow:
    return CheckRow(
        name=plain_line(check.name, 200) or "(without a name)",
        kind=plain_line(check.kind, 40),
        outcome=check.outcome,
        word=_NAMES[check.outcome],
        seconds=format_seconds(check.seconds),
        expected=plain_line(check.expected, _WIDTH),
        actual=plain_line(check.actual, _WIDTH),
        message=plain_line(check.message, _WIDTH),
    )
