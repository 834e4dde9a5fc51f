"""What a check found, and the verdict on it. Pure values; they know neither guest nor check."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kvm_action.results import CheckOutcome

_SHOWN: Final = 300


@dataclass(frozen=True)
class Fact:
    """One thing that was looked at. ``complaint`` is the sentence for the user when it does not hold."""

    expected: str
    actual: str
    holds: bool
    complaint: str


@dataclass(frozen=True)
class Verdict:
    """How a check ended, in words."""

    outcome: CheckOutcome
    expected: str = ""
    actual: str = ""
    message: str = ""


class CannotAskError(Exception):
    """The guest lacks what it takes to carry out a check; the text is a sentence for the user."""


def judge(facts: Sequence[Fact]) -> Verdict:
    """The verdict on all facts of one check: it fails with every complaint, not only the first."""
    bad = [fact for fact in facts if not fact.holds]
    return Verdict(
        CheckOutcome.FAILED if bad else CheckOutcome.PASSED,
        expected=", ".join(fact.expected for fact in facts),
        actual=", ".join(fact.actual for fact in facts),
        message="; ".join(fact.complaint for fact in bad),
    )


def equal(what: str, expected: str, actual: str) -> Fact:
    """Is a property what it should be? ``what`` names it: ``the shell of developer``."""
    return Fact(expected, actual, expected == actual, f"{what} is {actual}, not {expected}")


def shown(text: str | bytes) -> str:
    """The end of some output on one line, for a message; the whole of it when it is short."""
    decoded = text.decode(errors="replace") if isinstance(text, bytes) else text
    line = " ⏎ ".join(decoded.strip().splitlines())
    return line if len(line) <= _SHOWN else "…" + line[-_SHOWN:]
