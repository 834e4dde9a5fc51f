"""testinfra over our own guest: its modules know how to ask, `guest.Guest` carries the questions."""

import threading
from typing import Any

from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

from kvm_action.checks.batch import Batches
from kvm_action.checks.facts import shown
from kvm_action.guest import Guest, GuestOutput
from kvm_action.wait import Deadline


class GuestBackend(BaseBackend):  # type: ignore[misc]  # testinfra ships no types
    """Runs testinfra's commands, for several threads at once."""

    NAME = "kvm-e2e"

    def __init__(self, batches: Batches) -> None:
        """Asks nothing yet."""
        super().__init__("guest")
        self._batches = batches
        self._thread = threading.local()

    def allow_until(self, deadline: Deadline) -> None:
        """The commands of this thread end by ``deadline``."""
        self._thread.deadline = deadline

    def run(self, command: str, *args: str, **_kwargs: Any) -> CommandResult:
        """Run a command; ``args`` are quoted into it. Raises what `Batches.ask` raises."""
        line = self.quote(command, *args)
        ended = self._batches.ask(line, self._thread.deadline)
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


def host_over(guest: Guest) -> Host:
    """A testinfra host; what it learns of the system it keeps."""
    backend = GuestBackend(Batches(guest))
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
