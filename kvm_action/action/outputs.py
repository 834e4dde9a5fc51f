"""The outputs of the action, made of a result."""

from pathlib import Path
from typing import Final

from kvm_action.errors import E2EError, FailureClass
from kvm_action.results import CheckOutcome, Outcome, RunResult

NAMES: Final = (
    *("outcome", "result", "report", "run-id", "failure-class", "failure-step", "seconds", "start-mode"),
    *("accel", "artifact-id", "artifact-url", "check-url", "passed", "failed"),
)
OF_UPLOAD: Final = ("artifact-id", "artifact-url")
"""Known only once the artifact is uploaded, which is a step of its own."""


def outputs_of(result: RunResult, out: Path) -> dict[str, str]:
    """What ``result``, whose reports are in ``out``, says to the steps that follow."""
    held = sum(check.outcome is CheckOutcome.PASSED for check in result.checks)
    bad = sum(check.outcome in (CheckOutcome.FAILED, CheckOutcome.ERROR) for check in result.checks)
    failure = result.failure
    return {
        "outcome": result.outcome,
        "result": str(out / "result.json"),
        "report": str(out / "report.html"),
        "run-id": result.id,
        "failure-class": failure.failure_class if failure else "",
        "failure-step": failure.step if failure else "",
        "seconds": f"{result.seconds:.1f}",
        "start-mode": result.start.mode if result.start else "",
        "accel": result.accel.name if result.accel else "",
        "passed": str(held),
        "failed": str(bad),
    }


def outputs_without_result(error: E2EError) -> dict[str, str]:
    """When there was no run to speak of."""
    interrupted = error.failure_class is FailureClass.INTERRUPTED
    return {
        "outcome": Outcome.INTERRUPTED if interrupted else Outcome.ERROR,
        "failure-class": error.failure_class,
    }
