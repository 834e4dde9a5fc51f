"""ctrf.json: the Common Test Report Format (ctrf.io), the checks and the steps as tests."""

import json
from datetime import datetime
from typing import Final

from kvm_action.report.verdict import EVIDENCE_LINES, EVIDENCE_WIDTH, lines
from kvm_action.results import CheckOutcome, CheckResult, RunResult, StepOutcome, StepResult
from kvm_action.text import plain, plain_line

SPEC_VERSION: Final = "0.0.0"
_STEPS: Final = {
    StepOutcome.PASSED: "passed",
    StepOutcome.FAILED: "failed",
    StepOutcome.ERROR: "other",
    StepOutcome.SKIPPED: "skipped",
    StepOutcome.INTERRUPTED: "other",
}
_CHECKS: Final = {
    CheckOutcome.PASSED: "passed",
    CheckOutcome.FAILED: "failed",
    CheckOutcome.ERROR: "other",
    CheckOutcome.SKIPPED: "skipped",
}
Json = dict[str, object]


def ctrf(result: RunResult) -> str:
    """The document. What the host or we are to blame for has the status ``other``, never ``failed``."""
    tests = [*(_step(step, result) for step in result.steps), *(_check(check) for check in result.checks)]
    document = {
        "reportFormat": "CTRF",
        "specVersion": SPEC_VERSION,
        "runId": plain_line(result.id) or "unknown",
        "timestamp": result.started_at.isoformat(),
        "generatedBy": "kvm-e2e",
        "results": {
            "tool": {"name": "kvm-e2e", "version": plain_line(result.tool_version)},
            "summary": _summary(result, [str(test["status"]) for test in tests]),
            "tests": tests,
            "environment": _environment(result),
        },
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _summary(result: RunResult, statuses: list[str]) -> Json:
    counts = {name: statuses.count(name) for name in ("passed", "failed", "skipped", "pending", "other")}
    start = result.started_at
    suites = bool(result.steps) + bool(result.checks)
    return {
        "tests": len(statuses),
        **counts,
        "suites": suites,
        "start": _milliseconds(start),
        "stop": _milliseconds(start) + round(result.seconds * 1000),
        "duration": round(result.seconds * 1000),
        "extra": {"outcome": result.outcome, "exitCode": result.exit_code},
    }


def _step(step: StepResult, result: RunResult) -> Json:
    test: Json = {
        "name": step.name,
        "status": _STEPS[step.outcome],
        "rawStatus": step.outcome,
        "duration": round(step.seconds * 1000),
        "start": _milliseconds(step.started_at),
        "stop": _milliseconds(step.started_at) + round(step.seconds * 1000),
        "suite": ["steps"],
        "type": "e2e",
        "message": plain_line(step.detail),
    }
    if result.failure and result.failure.step is step.name:
        test["message"] = plain_line(result.failure.message)
        test["trace"] = "\n".join(lines(result.failure.evidence, EVIDENCE_LINES, EVIDENCE_WIDTH))
        test["extra"] = {"class": result.failure.failure_class, "hint": plain_line(result.failure.hint)}
    return test


def _check(check: CheckResult) -> Json:
    return {
        "name": plain_line(check.name) or "(without a name)",
        "status": _CHECKS[check.outcome],
        "rawStatus": check.outcome,
        "duration": round(check.seconds * 1000),
        "suite": ["checks", plain_line(check.section) or plain_line(check.kind)],
        "type": "e2e",
        "message": plain(check.message),
        "extra": {"expected": plain(check.expected), "actual": plain(check.actual)},
    }


def _environment(result: RunResult) -> Json:
    guest = result.guest
    known = {
        "appName": plain_line(result.plan.name),
        "testEnvironment": result.backend,
        "osPlatform": plain_line(guest.os) if guest else "",
        "osRelease": plain_line(guest.kernel) if guest else "",
    }
    return {name: text for name, text in known.items() if text}


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
