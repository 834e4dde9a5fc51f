"""The last words on a terminal: how it ended, what broke, what to do, where the report is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kvm_action.report.checks import sections
from kvm_action.report.verdict import verdict
from kvm_action.results import Outcome, RunResult
from kvm_action.units import format_seconds

EVIDENCE_LINES: Final = 6


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Labelled lines, all plain."""

    outcome: Outcome
    symbol: str
    title: str
    facts: tuple[tuple[str, str], ...]
    evidence: tuple[str, ...]
    report: str
    """Where the page is; printed so that it can be copied, never broken into lines."""


def summary(result: RunResult, out: str) -> Summary:
    """What to say of ``result`` when its report is in the folder ``out``."""
    found = verdict(result)
    where = " in ".join(word for word in (found.word, found.step) if word)
    facts = (
        ("where", f"{found.place}. {found.place_note}".strip() if found.place else ""),
        ("hint", found.hint),
        ("checks", "; ".join(f"{one.title}: {one.summary}" for one in sections(result.checks))),
    )
    return Summary(
        outcome=found.outcome,
        symbol=found.symbol,
        title=f"{where} after {format_seconds(result.seconds)}: {found.headline}",
        facts=tuple((label, text) for label, text in facts if text),
        evidence=found.evidence[-EVIDENCE_LINES:],
        report=str(Path(out) / "report.html"),
    )
