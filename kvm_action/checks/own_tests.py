"""A user's own pytest-testinfra file, run by pytest in a process of its own against the guest."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import IO, Final

from junitparser import Error, Failure, JUnitXml, JUnitXmlError, Skipped, TestCase

from kvm_action import proc
from kvm_action.checks.facts import shown
from kvm_action.errors import HostError
from kvm_action.guest import SshAccess
from kvm_action.plan.checks import TestinfraCheck
from kvm_action.results import CheckOutcome, CheckResult
from kvm_action.units import format_duration
from kvm_action.wait import Deadline, until
from kvm_action.work_folder import scratch

_NO_TESTS: Final = 5
"""pytest's exit status when it collected nothing."""
_PRINTED: Final = 1 << 20
_GRACE: Final = timedelta(seconds=1)
_ENDED: Final = "its tests were ended before they were done"
_ENDED_WHY: Final = "the run ended"
_OUTCOMES: Final = {Failure: CheckOutcome.FAILED, Error: CheckOutcome.ERROR, Skipped: CheckOutcome.SKIPPED}


def run_own_tests(check: TestinfraCheck, access: SshAccess, folder: Path, over: Event) -> tuple[CheckResult, ...]:
    """One result for each test of the file; a single error when pytest could not run them.

    ``folder`` is the plan's. Neither the user's pytest configuration nor ours has a part in it, but a conftest.py
    beside the file has. When ``over`` is set, nobody waits for it any more, and pytest is ended at once.
    """
    path = (folder / check.path).absolute()
    if not path.exists():
        return (_error(check, f"there is no file {path}", "`testinfra` is a path relative to the plan"),)
    with (
        scratch("testinfra") as place,
        _shared_connection(access, place) as config,
    ):
        report = place / "junit.xml"
        command = pytest_command(check, path, access.host, config, report)
        try:
            ended = _run(command, folder, place, check.timeout, over)
        except HostError as error:
            return (_error(check, "pytest did not run", error.message),)
        if ended is None:
            return (_error(check, _ENDED, _ENDED_WHY) if over.is_set() else _overdue(check),)
        return _results(check, report, ended)


def _run(
    command: list[str | Path], folder: Path, place: Path, timeout: timedelta, over: Event
) -> proc.Completed | None:
    """Run pytest to its end; None when it was ended before, by its time limit or since ``over`` was set."""
    environment = {"PYTEST_ADDOPTS": "", "PYTHONDONTWRITEBYTECODE": "1"}
    with (place / "stdout").open("w+b") as stdout, (place / "stderr").open("w+b") as stderr:
        process = proc.start(command, cwd=folder, environment=environment, stdout=stdout, stderr=stderr)
        try:
            until(lambda: over.is_set() or proc.has_ended(process), Deadline(timeout))
            is_whole = proc.has_ended(process)
        finally:
            proc.end(process, _GRACE)
        if not is_whole:
            return None
        return proc.Completed(tuple(map(str, command)), process.returncode, _last(stdout), _last(stderr))


def _last(file: IO[bytes]) -> str:
    """The last of what was printed; a test may print without end."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - _PRINTED))
    return file.read().decode(errors="replace")


def pytest_command(check: TestinfraCheck, path: Path, host: str, config: Path, report: Path) -> list[str | Path]:
    """What is run."""
    return [
        *(sys.executable, "-m", "pytest", path, f"--hosts=ssh://{host}", f"--ssh-config={config}"),
        *("-c", os.devnull, f"--rootdir={path.parent}", "-p", "no:cacheprovider", "--color=no", "-q"),
        *(f"--junit-xml={report}", *check.args),
    ]


@contextmanager
def _shared_connection(access: SshAccess, place: Path) -> Iterator[Path]:
    """An ssh config with which all commands share one connection: a login costs an emulated guest a second.

    testinfra asks for a master connection that outlives it by a minute; it is ended here.
    """
    config = place / "ssh_config"
    config.write_text(f'Include "{access.config}"\nHost {access.host}\n  ControlPath "{place}/ssh"\n')
    try:
        yield config
    finally:
        if (place / "ssh").exists():
            with suppress(HostError):
                proc.run(["ssh", "-F", config, "-O", "exit", access.host], timeout=timedelta(seconds=5))


def _results(check: TestinfraCheck, report: Path, ended: proc.Completed) -> tuple[CheckResult, ...]:
    try:
        cases = [case for suite in JUnitXml.fromfile(str(report)) for case in suite]
    except (OSError, JUnitXmlError, SyntaxError):  # a damaged report is a SyntaxError of ElementTree
        return (_error(check, "pytest could not run the file", shown(ended.stderr or ended.stdout)),)
    if ended.status == _NO_TESTS or not cases:
        return (_error(check, f"{check.path} has no tests", "their names must begin with test_"),)
    return tuple(_result(check, case) for case in cases)


def _result(check: TestinfraCheck, case: TestCase) -> CheckResult:
    test = str(case.name).removesuffix("[ssh://guest]")
    bad = next((r for r in case.result if isinstance(r, Failure | Error | Skipped)), None)
    return CheckResult(
        name=f"testinfra: {check.path.name}::{test}" if case.name else check.title,
        kind=check.kind,
        outcome=_OUTCOMES[type(bad)] if bad is not None else CheckOutcome.PASSED,
        seconds=float(case.time or 0),
        expected="passes",
        actual="passes" if bad is None else shown(bad.message or bad.text or ""),
        message="" if bad is None else f"{test}: {shown(_words(bad))}",
    )


def _words(bad: Failure | Error | Skipped) -> str:
    """pytest's message; for a failed collection the message says nothing, and the text has it all."""
    return str(bad.text if bad.message == "collection failure" else bad.message or bad.text or "")


def _overdue(check: TestinfraCheck) -> CheckResult:
    return _error(check, f"its tests took longer than {format_duration(check.timeout)}", "raise its timeout")


def _error(check: TestinfraCheck, what: str, more: str) -> CheckResult:
    return CheckResult(
        name=check.title,
        kind=check.kind,
        outcome=CheckOutcome.ERROR,
        seconds=0,
        expected="passes",
        actual=what,
        message=f"{what}: {more}",
    )
