"""A finding: what was looked at, what was seen, and what mends it. And what all findings mean together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from kvm_action.results import AccelInfo
from kvm_action.text import counted


class Level(StrEnum):
    """How bad it is. ``problem``: no run is possible before it is mended."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    ``mend`` can be pasted into a shell as it is: commands, one a line, and comments for what no command does.
    """

    subject: str
    level: Level
    seen: str
    mend: str = ""


def ok(subject: str, seen: str) -> Finding:
    """All is well."""
    return Finding(subject=subject, level=Level.OK, seen=seen)


def warning(subject: str, seen: str, mend: str = "") -> Finding:
    """A run works, but slower, or not every run."""
    return Finding(subject=subject, level=Level.WARNING, seen=seen, mend=mend)


def problem(subject: str, seen: str, mend: str = "") -> Finding:
    """No run works."""
    return Finding(subject=subject, level=Level.PROBLEM, seen=seen, mend=mend)


def of_level(findings: Iterable[Finding], level: Level) -> list[Finding]:
    """The findings of one level, in their order."""
    return [finding for finding in findings if finding.level is level]


def is_usable(findings: Iterable[Finding]) -> bool:
    """Can any run work here?"""
    return not of_level(findings, Level.PROBLEM)


def verdict(findings: Sequence[Finding], accel: AccelInfo | None) -> str:
    """All findings in one sentence. ``accel`` is what a run would use, None when that could not be found out."""
    problems, warnings = of_level(findings, Level.PROBLEM), of_level(findings, Level.WARNING)
    if problems:
        return f"kvm-e2e cannot run here: {_both(problems, warnings)}."
    match accel:
        case AccelInfo(name="kvm"):
            how = "kvm-e2e can run here with KVM"
        case AccelInfo(reason=reason):
            how = f"kvm-e2e can run here with TCG (emulation, many times slower): {reason}"
        case _:
            how = "kvm-e2e can run here"
    return f"{how}; {_both(problems, warnings)}."


def _both(problems: Sequence[Finding], warnings: Sequence[Finding]) -> str:
    counts = [(len(problems), "problem"), (len(warnings), "warning")]
    return ", ".join(counted(count, name) for count, name in counts if count) or "nothing to mend"
