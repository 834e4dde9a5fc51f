"""The guest agent: commands to a guest that needs neither network nor SSH for it. Its answers are untrusted."""

import base64
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from kvm_action.hypervisor.bounded import SilentQemuError, bounded
from kvm_action.hypervisor.domain import Domain
from kvm_action.wait import Deadline, until

ONE_CALL: Final = timedelta(seconds=5)
_LATENESS: Final = 0.1
"""Each question whether a program has ended is written to the guest's journal, and slows an emulated guest."""


@dataclass(frozen=True)
class AgentOutput:
    """A program that ended in the guest."""

    status: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True)
class Agent:
    """The agent in one domain. None stands for no answer in time, or none that can be understood."""

    domain: Domain

    def answers(self, deadline: Deadline, each: timedelta = ONE_CALL) -> bool:
        """Wait for the agent to answer at all; ``each`` question waits that long."""
        return bool(until(lambda: self._call("guest-ping", each) is not None, deadline, every=0.02))

    def run(
        self, argv: Sequence[str], deadline: Deadline, stdin: bytes = b"", overrun: float = 1
    ) -> AgentOutput | None:
        """Run a program as the guest's root and wait for its end.

        ``overrun``: how many times as long libvirt may wait for its beginning, where the deadline has a clock of
        its own.
        """
        begun = self._begin(argv, deadline, stdin, overrun)
        if not isinstance(begun, dict):
            return None
        pid = begun.get("pid")
        status = until(lambda: self._ended(pid), deadline, every=0.02, lateness=_LATENESS)
        return _output(status) if status else None

    def _begin(self, argv: Sequence[str], deadline: Deadline, stdin: bytes, overrun: float) -> object | None:
        """Start the program. A busy guest is slow to do it, and to ask again would start it twice."""
        arguments = {
            "path": argv[0],
            "arg": list(argv[1:]),
            "input-data": base64.b64encode(stdin).decode(),
            "capture-output": True,
        }
        left = timedelta(seconds=deadline.left) * overrun
        with suppress(SilentQemuError):
            # In a thread: a signal has to reach us while libvirt waits.
            return bounded(lambda: self._call("guest-exec", left, **arguments), deadline, "the guest agent")
        return None

    def time(self) -> float | None:
        """The guest's clock, in seconds since the epoch."""
        answer = self._call("guest-get-time")
        with suppress(OverflowError):
            return answer / 1e9 if isinstance(answer, int) else None
        return None

    def _ended(self, pid: object) -> dict[str, object] | None:
        status = self._call("guest-exec-status", pid=pid)
        return status if isinstance(status, dict) and status.get("exited") else None

    def _call(self, execute: str, allowed: timedelta = ONE_CALL, **arguments: object) -> object | None:
        message = {"execute": execute} | ({"arguments": arguments} if arguments else {})
        reply = self.domain.agent(json.dumps(message), allowed)
        with suppress(ValueError, KeyError, TypeError, RecursionError):
            answer: object = json.loads(reply or "")["return"]
            return answer
        return None


def _output(status: dict[str, object]) -> AgentOutput | None:
    with suppress(ValueError, TypeError):
        code = status.get("exitcode", -1)
        out, err = (base64.b64decode(str(status.get(name, ""))) for name in ("out-data", "err-data"))
        return AgentOutput(code if isinstance(code, int) else -1, out, err)
    return None
