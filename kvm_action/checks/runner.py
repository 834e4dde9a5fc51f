"""All checks of a plan, several at a time, each to its own result; only the end of the guest ends them early."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import chain, repeat
from pathlib import Path
from threading import Event, Semaphore
from typing import Final

from testinfra.host import Host

from kvm_action.checks.backend import UNEXPECTED, allow_until, host_over, last_answer
from kvm_action.checks.batch import Batches
from kvm_action.checks.commands import check_command, check_http
from kvm_action.checks.desktop import check_desktop
from kvm_action.checks.facts import CannotAskError, Verdict
from kvm_action.checks.look import LookCheck, look
from kvm_action.checks.own_tests import run_own_tests
from kvm_action.checks.rdp import Rdp, check_rdp
from kvm_action.checks.rehearsal import foreseen
from kvm_action.errors import CommandTimeoutError, E2EError, GuestConnectionError
from kvm_action.guest import Guest
from kvm_action.plan.checks import (
    Check,
    CommandCheck,
    DesktopCheck,
    HttpCheck,
    IdeCheck,
    TestinfraCheck,
)
from kvm_action.plan.rdp_check import RdpCheck
from kvm_action.results import CheckOutcome, CheckResult
from kvm_action.units import format_duration
from kvm_action.wait import Deadline

OnResult = Callable[[CheckResult], None]
Found = tuple[CheckResult, ...]

_AT_ONCE: Final = 16
"""Checks that are under way together: what they ask at one moment goes to the guest in one round trip."""
_COMMANDS_AT_ONCE: Final = 4
"""Commands of the plan's own, which have a session each; sshd allows ten."""
_LOST: Final = "not carried out: the connection to the guest was lost before"


def run_checks(
    guest: Guest,
    checks: Sequence[Check],
    *,
    folder: Path,
    on_result: OnResult,
    lines: Sequence[int] = (),
    screenshots: Path | None = None,
) -> tuple[CheckResult, ...]:
    """Carry out all checks, whatever each comes to. Results, and calls of ``on_result``, in the plan's order.

    When it is interrupted, ``on_result`` is still called for the checks that are done, and for no other.
    ``folder`` is the plan's, for files of the user's own; ``lines`` are where the checks stand in the plan;
    ``screenshots`` is made for pictures of sessions. Never raises for the guest's sake: when the connection
    breaks, the checks that are left are errors at once.
    """
    pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="check")
    batches = Batches(guest)
    looks = [check for check in checks if isinstance(check, LookCheck)]
    foresight = pool.submit(batches.foresee, foreseen(looks) if looks else ())
    lost, over = Event(), Event()
    rdp = Rdp(guest, batches.ask, screenshots, lost)
    round_ = _Round(guest, folder, host_over(batches), foresight, rdp, lost, over)
    results: list[CheckResult] = []

    def tell(check: Check, line: int, found: Found) -> None:
        for result in found:
            results.append(replace(result, line=line, section=check.section))
            on_result(results[-1])

    waiting: deque[tuple[Check, int, Future[Found]]] = deque()
    try:
        waiting.extend(zip(checks, chain(lines, repeat(0)), _begin(pool, round_, checks), strict=False))
        while waiting:
            waiting[0][2].result()
            check, line, done = waiting.popleft()
            tell(check, line, done.result())
    finally:
        whole = [(check, line, found.result()) for check, line, found in waiting if _is_whole(found)]
        lost.set()
        over.set()
        pool.shutdown(wait=False, cancel_futures=True)  # when interrupted, their commands end with the session
        for each in whole:
            tell(*each)
    return tuple(results)


def _is_whole(found: Future[Found]) -> bool:
    """Has this check come to its end before the others were cut short?"""
    return found.done() and not found.cancelled() and found.exception() is None


def _begin(pool: ThreadPoolExecutor, round_: "_Round", checks: Sequence[Check]) -> list[Future[Found]]:
    """All checks under way; RDP logins first, since a desktop check waits for them to see what they opened."""
    begun: dict[int, Future[Found]] = {}
    for at in sorted(range(len(checks)), key=lambda at: not isinstance(checks[at], RdpCheck)):
        check = checks[at]
        begun[at] = pool.submit(round_.examine, check)
        if isinstance(check, RdpCheck) and check.user:
            round_.logins.append((check.user, begun[at]))
    return [begun[at] for at in range(len(checks))]


@dataclass
class _Round:
    """The checks of one run share what was learnt of the guest, and whether it is still there."""

    guest: Guest
    folder: Path
    host: Host
    foresight: Future[None]
    rdp: Rdp
    lost: Event
    over: Event
    """Set when nobody waits for a check any more."""
    logins: list[tuple[str, Future[Found]]] = field(default_factory=list)
    slots: Semaphore = field(default_factory=lambda: Semaphore(_COMMANDS_AT_ONCE))

    def examine(self, check: Check) -> Found:
        """Carry out one check, unless the guest is gone."""
        began = time.monotonic()
        told = self._safely(check)
        return told if isinstance(told, tuple) else (_result(check, told, time.monotonic() - began),)

    def _safely(self, check: Check) -> Verdict | Found:
        if self.lost.is_set():
            return Verdict(CheckOutcome.ERROR, message=_LOST)
        try:
            return self._verdict(check)
        except CommandTimeoutError as error:
            return _overdue(check, error)
        except (E2EError, CannotAskError, OSError, *UNEXPECTED) as error:
            return Verdict(CheckOutcome.ERROR, message=self._explain(error))

    def _own_tests(self, check: TestinfraCheck) -> Verdict | Found:
        if access := self.guest.ssh_access():
            return run_own_tests(check, access, self.folder, self.over)
        return Verdict(CheckOutcome.SKIPPED, message="testinfra files need a machine with SSH")

    def _explain(self, error: Exception) -> str:
        """Why a check could not be carried out."""
        if isinstance(error, GuestConnectionError):
            self.lost.set()
        if isinstance(error, E2EError):
            return error.message
        if isinstance(error, OSError):
            return f"the host cannot carry it out: {error.strerror or error}"
        if isinstance(error, CannotAskError):
            return str(error)
        return f"the guest gave an unexpected answer: {last_answer(self.host)}"

    def _verdict(self, check: Check) -> Verdict | Found:
        match check:
            case CommandCheck():
                with self.slots:
                    return check_command(check, self.guest, check.timeout)
            case HttpCheck():
                with self.slots:
                    return check_http(check, self.guest, check.timeout)
            case RdpCheck():
                return check_rdp(check, self.rdp)
            case DesktopCheck():
                logins = {user: found.result()[0].outcome for user, found in self.logins}
                allow_until(self.host, Deadline(check.timeout))
                return check_desktop(check, self.host, logins)
            case TestinfraCheck():
                return self._own_tests(check)
            case _:
                self.foresight.result()
                allow_until(self.host, Deadline(check.timeout))
                return look(check, self.host)


def _overdue(check: Check, error: CommandTimeoutError) -> Verdict:
    """A program of the script's or the plan's that hangs has failed; a question of ours that hangs is an error."""
    own = isinstance(check, CommandCheck | HttpCheck | IdeCheck)
    return Verdict(
        CheckOutcome.FAILED if own else CheckOutcome.ERROR,
        expected=f"within {format_duration(check.timeout)}",
        actual="not finished",
        message=error.message,
    )


def _result(check: Check, verdict: Verdict, seconds: float) -> CheckResult:
    return CheckResult(
        name=check.title,
        kind=check.kind,
        outcome=verdict.outcome,
        seconds=round(seconds, 3),
        expected=verdict.expected,
        actual=verdict.actual,
        message=verdict.message,
    )
