"""Commands, and web servers asked from inside the guest."""

import re
from datetime import timedelta
from shlex import quote
from typing import Final

from kvm_action.checks.facts import CannotAskError, Fact, Verdict, judge, shown
from kvm_action.guest import Guest, GuestOutput
from kvm_action.plan.checks import CommandCheck, HttpCheck

_STATUS: Final = re.compile(rb"kvm-e2e-status (\d{3})\n?")
_NO_CLIENT: Final = 90
_QUOTED: Final = 80
"""Characters of output that a complaint repeats: it becomes the headline of a report."""

# For guests without curl. No redirects are followed, and an error status is an answer, as with curl.
_PYTHON: Final = """\
import sys, urllib.error, urllib.request
class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None
try:
    answer = urllib.request.build_opener(Stay).open(sys.argv[1], timeout=float(sys.argv[2]))
except urllib.error.HTTPError as error:
    answer = error
except OSError as error:
    sys.exit(str(error))
sys.stdout.buffer.write(answer.read(1 << 20))
sys.stderr.write("kvm-e2e-status %d\\n" % answer.getcode())
"""


def check_command(check: CommandCheck, guest: Guest, timeout: timedelta) -> Verdict:
    """Does it exit and print as expected?"""
    ended = guest.run(check.run, timeout=timeout, sudo=check.sudo)
    facts = [_exit(check, ended)]
    for name, wanted, actual in (("stdout", check.stdout, ended.stdout), ("stderr", check.stderr, ended.stderr)):
        if wanted is not None:
            facts.append(_contains(f"its {name}", wanted, actual))
    return judge(facts)


def _exit(check: CommandCheck, ended: GuestOutput) -> Fact:
    actual = f"killed by SIG{ended.signal}" if ended.signal else f"exit {ended.status}"
    words = shown(ended.stderr) or shown(ended.stdout)
    complaint = f"it ended with {actual}, expected was exit {check.exit}" + (f": {words}" if words else "")
    return Fact(f"exit {check.exit}", actual, not ended.signal and ended.status == check.exit, complaint)


def _contains(what: str, wanted: str, actual: bytes) -> Fact:
    text = shown(actual) or "(nothing)"
    holds = wanted.encode() in actual
    words = f": {text}" if len(text) <= _QUOTED else ""  # what is longer stands beside it, as what was found
    return Fact(f"{what} contains {wanted!r}", text, holds, f"{what} does not contain {wanted!r}{words}")


def check_http(check: HttpCheck, guest: Guest, timeout: timedelta) -> Verdict:
    """Does the server answer as expected?

    A program in the guest asks, not we through a forwarded port: that works with every backend, with sshd set
    to forbid forwarding, and resolves names and trusts certificates as the guest does.
    """
    seconds = max(1, round(timeout.total_seconds() * 0.9))
    ended = guest.run(http_command(check.url, seconds), timeout=timeout)
    if ended.status == _NO_CLIENT:
        raise CannotAskError("the guest has neither curl nor python3 to ask with; let the script install curl")
    found = _STATUS.search(ended.stderr)
    status = int(found[1]) if found else 0
    if not status:
        words = shown(_STATUS.sub(b"", ended.stderr)) or f"status {ended.status}"
        nothing = Fact(
            f"status {check.status}", f"no answer: {words}", False, f"{check.url} gave no answer: {words}"
        )
        return judge([nothing])
    facts = [_status(check, status)]
    if check.contains is not None:
        facts.append(_contains("the answer", check.contains, ended.stdout))
    return judge(facts)


def _status(check: HttpCheck, status: int) -> Fact:
    complaint = f"{check.url} answers with status {status}, not {check.status}"
    return Fact(f"status {check.status}", f"status {status}", status == check.status, complaint)


def http_command(url: str, seconds: int) -> str:
    """A shell command that prints the answer's body, and its status on standard error."""
    curl = f"curl -gsS --max-time {seconds} -w '%{{stderr}}kvm-e2e-status %{{http_code}}\\n' -- {quote(url)}"
    python = f"python3 -c {quote(_PYTHON)} {quote(url)} {seconds}"
    return f"""\
if command -v curl >/dev/null; then {curl}
elif command -v python3 >/dev/null; then {python}
else exit {_NO_CLIENT}
fi"""
