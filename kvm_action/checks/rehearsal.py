"""What testinfra is going to ask: learnt by carrying the checks out against an imagined Debian where all is well.

Then a guest can answer everything in one round trip. A wrong guess costs a question, never a wrong verdict: what
was not foreseen is asked when it comes up.
"""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from kvm_action.checks.backend import UNEXPECTED, allow_until, host_over
from kvm_action.checks.facts import CannotAskError
from kvm_action.checks.look import LookCheck, look
from kvm_action.guest import GuestOutput
from kvm_action.wait import Deadline

# The first expression found in a command decides; all else succeeds and says nothing.
_ANSWERS: Final = {
    r"^uname -s": "Linux",
    r"os-release": "ID=debian",
    r"^command -v": "/usr/bin/ss",
    r"^systemctl show": "LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled",
    r"^dpkg-query": "install ok installed 1",
    r"^getent passwd": "x:x:0:0:x:/x:/x",
    r"^stat ": "0",
}


def foreseen(checks: Sequence[LookCheck]) -> tuple[str, ...]:
    """The commands that the checks will ask for, each once."""
    imagined = _Imagined()
    host = host_over(imagined)
    for check in checks:
        allow_until(host, Deadline(timedelta(minutes=1)))
        try:
            look(check, host)
        except (CannotAskError, *UNEXPECTED):  # the imagination fails testinfra here; the guest will not
            continue
    return tuple(dict.fromkeys(imagined.asked))


class _Imagined:
    """Answers as a machine would that has everything."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def ask(self, command: str, _deadline: Deadline) -> GuestOutput:
        self.asked.append(command)
        text = next((text for pattern, text in _ANSWERS.items() if re.search(pattern, command)), "")
        return GuestOutput(command, 0, text.encode(), b"")
