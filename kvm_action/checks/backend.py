"""testinfra over our own guest: its modules know what to ask, `batch` carries the questions."""

import threading
from typing import Any, Final, Protocol

from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

from kvm_action.checks.facts import shown
from kvm_action.guest import GuestOutput
from kvm_action.wait import Deadline

# What testinfra's modules raise when a guest answers with something that they do not expect.
UNEXPECTED: Final = (AssertionError, RuntimeError, ValueError, LookupError, TypeError, AttributeError)


class Asked(Protocol):
    """Whoever carries a question to the guest."""

    def ask(self, command: str, deadline: Deadline, /) -> GuestOutput:
        """The command's end. Raises CommandTimeoutError, GuestConnectionError."""


class GuestBackend(BaseBackend):  # type: ignore[misc]  # testinfra ships no types
    """Runs testinfra's commands, for several threads at once."""

    NAME = "kvm-e2e"

    def __init__(self, asked: Asked) -> None:
        """Asks nothing yet."""
        super().__init__("guest")
        self._asked = asked
        self._thread = threading.local()

    def allow_until(self, deadline: Deadline) -> None:
        """The commands of this thread end by ``deadline``."""
        self._thread.deadline = deadline

    def run(self, command: str, *args: str, **_kwargs: Any) -> CommandResult:
        """Run a command; ``args`` are quoted into it. Raises what `Asked.ask` raises."""
        line = self.quote(command, *args)
        ended = self._asked.ask(line, self._thread.deadline)
        self._thread.last = ended
        return self.result(ended.status, line.encode(errors="surrogateescape"), ended.stdout, ended.stderr)

    def last_answer(self) -> str:
        """What the guest said to this thread's last command, for a message about an answer that makes no sense."""
        ended: GuestOutput | None = getattr(self._thread, "last", None)
        if ended is None:
            return "nothing"
        words = shown(ended.stderr) or shown(ended.stdout) or "it printed nothing"
        return f"`{ended.command}` ended with status {ended.status}: {words}"

    def get_encoding(self) -> str:
        """UTF-8; testinfra would ask the guest's Python."""
        return "utf-8"


def host_over(asked: Asked) -> Host:
    """A testinfra host; what it learns of the system it keeps."""
    backend = GuestBackend(asked)
    host = Host(backend)
    backend.set_host(host)
    return host


def allow_until(host: Host, deadline: Deadline) -> None:
    """What this thread asks ``host`` (of `host_over`) has to be answered by ``deadline``."""
    backend: GuestBackend = host.backend
    backend.allow_until(deadline)


def last_answer(host: Host) -> str:
    """The last thing that the guest answered to this thread."""
    backend: GuestBackend = host.backend
    return backend.last_answer()
