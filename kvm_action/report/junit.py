"""junit.xml: a suite for the steps and one for the checks.

``failure`` is the thing under test (exit 1), ``error`` the host, the infrastructure or us. What only Ant's schema
asks for is there too, so that the file is valid by it and by Jenkins'.
"""

from datetime import UTC
from io import BytesIO

from junitparser import Attr, Error, Failure, IntAttr, JUnitXml, Skipped, TestCase, TestSuite
from junitparser.junitparser import FinalResult, SystemErr, SystemOut

from kvm_action.errors import ExitCode
from kvm_action.report.verdict import EVIDENCE_LINES, EVIDENCE_WIDTH, lines
from kvm_action.results import CheckOutcome, CheckResult, RunResult, StepOutcome, StepResult
from kvm_action.text import plain_line


class _Suite(TestSuite):
    """A suite with the two attributes that Ant's schema adds."""

    package = Attr()
    id = IntAttr()


def junit(result: RunResult) -> str:
    """The document, as text that says it is UTF-8."""
    steps = [_case(step.name, "steps", step.seconds, _of_step(step, result)) for step in result.steps]
    checks = [
        _case(plain_line(check.name), f"checks.{_group(check)}", check.seconds, _of_check(check))
        for check in result.checks
    ]
    output = "\n".join(lines(result.script_tail, 200, 1000))
    root = JUnitXml()
    root.add_testsuite(_suite(result, 0, "steps", steps, output))
    root.add_testsuite(_suite(result, 1, "checks", checks, ""))
    buffer = BytesIO()
    root.write(buffer, pretty=True)
    return buffer.getvalue().decode()


def _group(check: CheckResult) -> str:
    """Its section; viewers take a dot for a package's end."""
    return plain_line(check.section).replace(".", " ") or plain_line(check.kind)


def _suite(result: RunResult, number: int, name: str, cases: list[TestCase], output: str) -> TestSuite:
    suite = _Suite(name)
    suite.timestamp = f"{result.started_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"
    suite.hostname = _token(result.guest.hostname if result.guest else "", "unknown")
    suite.package = _token(result.plan.name, "plan")
    suite.id = number
    suite.add_property("kvm-e2e.outcome", result.outcome)
    suite.add_property("kvm-e2e.run", plain_line(result.id))
    suite.add_property("kvm-e2e.backend", result.backend)
    suite.add_testcases(cases)
    _add_output(suite, output)
    return suite


def _add_output(suite: TestSuite, output: str) -> None:
    suite.append(SystemOut(output))
    suite.append(SystemErr(""))


def _case(name: str, classname: str, seconds: float, found: FinalResult | None) -> TestCase:
    case = TestCase(_token(name, "(without a name)"), _token(classname, "checks"), round(seconds, 3))
    if found is not None:
        case.append(found)
    return case


def _of_step(step: StepResult, result: RunResult) -> FinalResult | None:
    if step.outcome is StepOutcome.PASSED:
        return None
    if step.outcome is StepOutcome.SKIPPED:
        return _skipped(step.detail)
    failure = result.failure
    if failure is None or failure.step is not step.name:
        kind = Failure if step.outcome is StepOutcome.FAILED else Error
        return _bad(kind, step.detail, step.outcome, "")
    theirs = failure.failure_class.exit_code is ExitCode.TEST_FAILED
    evidence = "\n".join(lines(failure.evidence, EVIDENCE_LINES, EVIDENCE_WIDTH))
    text = "\n".join(part for part in (plain_line(failure.hint), evidence) if part)
    return _bad(Failure if theirs else Error, failure.message, failure.failure_class, text)


def _of_check(check: CheckResult) -> FinalResult | None:
    match check.outcome:
        case CheckOutcome.PASSED:
            return None
        case CheckOutcome.SKIPPED:
            return _skipped(check.message)
        case CheckOutcome.FAILED:
            compared = f"expected: {plain_line(check.expected)}\nfound: {plain_line(check.actual)}"
            return _bad(Failure, check.message, "check", compared)
        case CheckOutcome.ERROR:
            return _bad(Error, check.message, "check", "")


def _skipped(reason: str) -> Skipped:
    """Jenkins' schema allows this element a text and no attribute."""
    skipped = Skipped()
    skipped.text = plain_line(reason)
    return skipped


def _bad(kind: type[Failure] | type[Error], message: str, type_: str, text: str) -> FinalResult:
    found = kind(plain_line(message), type_)
    found.text = text
    return found


def _token(text: str, otherwise: str) -> str:
    """As an ``xs:token``: no runs of white space, not empty."""
    return " ".join(plain_line(text).split()) or otherwise
