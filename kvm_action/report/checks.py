"""The checks as a reader wants them: what does not hold first and in full, the rest by section."""

from collections import Counter
from collections.abc import Iterable, Sequence
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
    section: str
    outcome: CheckOutcome
    word: str
    seconds: str
    expected: str
    actual: str
    message: str


@dataclass(frozen=True)
class CheckGroup:
    """The checks of one section (without sections: of one kind) that hold or were skipped."""

    title: str
    """The section; empty where there is none."""
    rows: tuple[CheckRow, ...]


@dataclass(frozen=True)
class SectionRow:
    """How a section of the plan did."""

    title: str
    outcome: CheckOutcome
    """The worst of its checks'."""
    summary: str


@dataclass(frozen=True, kw_only=True)
class Checks:
    """All checks. ``left_out`` counts what is too much to show."""

    total: int
    summary: str
    sections: tuple[SectionRow, ...]
    """Those that the plan names, in its order."""
    bad: tuple[CheckRow, ...]
    groups: tuple[CheckGroup, ...]
    left_out: int


def checks_view(results: Iterable[CheckResult], most: int = MOST_SHOWN) -> Checks:
    """Sort and count ``results``; show at most ``most`` of the bad and of the good ones."""
    rows = tuple(results)
    bad = sorted((one for one in rows if _is_bad(one)), key=lambda one: one.outcome is CheckOutcome.ERROR)
    good = [one for one in rows if not _is_bad(one)]
    return Checks(
        total=len(rows),
        summary=summary(rows),
        sections=sections(rows),
        bad=tuple(_row(one) for one in bad[:most]),
        groups=_groups(good[:most]),
        left_out=max(len(bad) - most, 0) + max(len(good) - most, 0),
    )


def _groups(good: Sequence[CheckResult]) -> tuple[CheckGroup, ...]:
    """By section; what has none by kind, after those that have."""
    groups: dict[tuple[str, str], list[CheckRow]] = {}
    for one in sorted(good, key=lambda one: not one.section):
        row = _row(one)
        groups.setdefault((row.section, "" if row.section else row.kind), []).append(row)
    return tuple(CheckGroup(section, tuple(rows)) for (section, _), rows in groups.items())


def sections(results: Iterable[CheckResult]) -> tuple[SectionRow, ...]:
    """How each section did, in the plan's order."""
    found: dict[str, list[CheckResult]] = {}
    for one in results:
        if title := _section(one):
            found.setdefault(title, []).append(one)
    return tuple(SectionRow(title, _worst(those), summary(those)) for title, those in found.items())[:MOST_SHOWN]


def _worst(results: Iterable[CheckResult]) -> CheckOutcome:
    """One skipped check does not make a section skipped, but none that holds does."""
    outcomes = {one.outcome for one in results}
    order = (CheckOutcome.FAILED, CheckOutcome.ERROR, CheckOutcome.PASSED)
    return next((one for one in order if one in outcomes), CheckOutcome.SKIPPED)


def _section(check: CheckResult) -> str:
    return plain_line(check.section, 80)


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
        section=_section(check),
        outcome=check.outcome,
        word=_NAMES[check.outcome],
        seconds=format_seconds(check.seconds),
        expected=plain_line(check.expected, _WIDTH),
        actual=plain_line(check.actual, _WIDTH),
        message=plain_line(check.message, _WIDTH),
    )
