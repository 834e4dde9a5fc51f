"""Small stand-ins for what tests cannot have or cannot break at will."""

import re
import socket
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from kvm_action.errors import E2EError, PortClosedError
from kvm_action.events import Stream
from kvm_action.guest import GuestOutput, OnOutput, Received, SshAccess, Tree

Answer = str | tuple[int, str] | GuestOutput | E2EError
"""What a command prints, or status and what it prints, or its whole end, or what is raised."""


class FakeGuest:
    """A guest that answers by a script: the first regular expression found in a command decides.

    What nothing matches exits 1 and prints nothing. ``asked`` has the commands, ``rooted`` those with sudo.
    """

    def __init__(self, answers: Mapping[str, Answer], access: SshAccess | None = None) -> None:
        self.answers = answers
        self.access = access
        self.asked: list[str] = []
        self.rooted: list[str] = []
        self.opened: list[int] = []
        self.no_ports: E2EError | None = None

    def run(
        self,
        command: str,
        *,
        timeout: timedelta,
        sudo: bool = False,
        stdin: bytes | None = None,
        on_output: OnOutput | None = None,
        keep_bytes: int = 1 << 20,
    ) -> GuestOutput:
        self.asked.append(command)
        if sudo:
            self.rooted.append(command)
        answer = next((a for pattern, a in self.answers.items() if re.search(pattern, command)), (1, ""))
        if isinstance(answer, E2EError):
            raise answer
        if not isinstance(answer, GuestOutput):
            status, text = answer if isinstance(answer, tuple) else (0, answer)
            answer = GuestOutput(command, status, text.encode(), b"")
        if on_output:
            on_output(Stream.STDOUT, answer.stdout)
            on_output(Stream.STDERR, answer.stderr)
        return answer

    def put(self, tree: Tree, timeout: timedelta) -> int:
        raise NotImplementedError

    def get(self, pattern: str, into: Path, *, limit_bytes: int, timeout: timedelta) -> Received:
        return Received(())

    def open_port(self, port: int, timeout: timedelta) -> socket.socket:
        """A real connection, to this host's loopback."""
        self.opened.append(port)
        if self.no_ports:
            raise self.no_ports
        try:
            return socket.create_connection(("127.0.0.1", port), timeout.total_seconds())
        except OSError as error:
            raise PortClosedError(f"the guest cannot connect to 127.0.0.1:{port}: {error.strerror}") from error

    def ssh_access(self) -> SshAccess | None:
        return self.access
