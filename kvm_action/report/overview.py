"""Several results as one table: how each ended, where, and how long it took. For the summary of a matrix."""

from collections.abc import Iterable
from typing import Final

from kvm_action.report import gfm
from kvm_action.report.verdict import verdict
from kvm_action.results import CheckOutcome, Outcome, RunResult
from kvm_action.signs import EMOJI
from kvm_action.text import plain_line
from kvm_action.units import format_seconds

_WORST_FIRST: Final = (Outcome.FAILED, Outcome.ERROR, Outcome.INTERRUPTED, Outcome.PASSED)


def overview(results: Iterable[RunResult]) -> str:
    """Markdown: a sentence, and a row for each result, what did not pass first."""
    found = sorted(results, key=lambda one: (_WORST_FIRST.index(one.outcome), one.plan.name, one.id))
    passed = sum(one.outcome is Outcome.PASSED for one in found)
    head = f"## {passed} of {len(found)} runs passed\n\n"
    if not found:
        return head
    return (
        head
        + "| Plan | Image | | Checks | Time | |\n| --- | --- | --- | ---: | ---: | --- |\n"
        + "".join(_row(one) for one in found)
    )


def _row(result: RunResult) -> str:
    told = verdict(result)
    held = sum(check.outcome is CheckOutcome.PASSED for check in result.checks)
    where = f" in {told.step}" if told.step else ""
    cells = (
        gfm.escape(plain_line(result.plan.name, 80)),
        gfm.escape(plain_line(result.image.name, 60)) if result.image else "",
        f"{EMOJI[result.outcome]} {told.word.lower()}{where}",
        f"{held} of {len(result.checks)}",
        format_seconds(result.seconds),
        "" if result.outcome is Outcome.PASSED else gfm.escape(plain_line(told.headline, 200)),
    )
    return f"| {' | '.join(cells)} |\n"
