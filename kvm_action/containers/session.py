"""Commands and files in and out of a running container. Implements `guest.Guest`."""

import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from shlex import quote
from typing import Final

from kvm_action.archive import Limits, extract, find_command, packing, select, unpack_command
from kvm_action.containers.command import Login, Pump, begin
from kvm_action.containers.container import Container
from kvm_action.errors import GuestConnectionError, HostError, NoWayToPortError, PortClosedError
from kvm_action.guest import GuestOutput, OnOutput, Received, SshAccess, Tree
from kvm_action.guest_io import (
    KILL_TIME,
    Kept,
    LastWords,
    OutOfTimeError,
    OutputReader,
    Sink,
    cannot_copy,
    named,
    overdue,
)
from kvm_action.guest_shell import kill_command
from kvm_action.wait import Deadline

_KILLED: Final = 137


class Session:
    """What a user can do in a container. May be used by several threads."""

    def __init__(self, container: Container, login: Login, access: Callable[[], SshAccess | None]) -> None:
        """Asks nothing yet; ``access`` is asked for when OpenSSH is wanted."""
        self._container = container
        self._login = login
        self._access = access
        self.last_words = b""
        """The end of what the last command that failed said, to find out of what."""

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
        """See `guest.Guest.run`. The command has ended when its shell has, even if it left a daemon."""
        kept = Kept(keep_bytes, on_output)
        line = (command, sudo and self._login.user != "root")
        with self._running(line, named(command), timeout, kept, [stdin] if stdin else []) as pump:
            status = self._finish(pump, named(command))
            self.last_words = pump.said.end if status else self.last_words
        return GuestOutput(command, status, bytes(kept.stdout), bytes(kept.stderr), truncated=kept.truncated)

    def put(self, tree: Tree, timeout: timedelta) -> int:
        """See `guest.Guest.put`; returns the bytes of the tar stream. As `ssh.Session.put`."""
        selection = select(tree.source, tree.exclude)
        file = "" if tree.source.is_dir() else tree.source.name  # that of a link, not of what it leads to
        receive, name = unpack_command(tree.to, file=file, owner=self._ids)
        answer, doing = Kept(1 << 14), f"copying {tree.source} to {tree.to}"
        with (
            packing(selection, owner=self._ids, rename=name) as packed,
            self._running((receive, False), doing, timeout, answer, packed) as pump,
        ):
            if status := self._finish(pump, doing):
                raise cannot_copy(tree, status, bytes(answer.stderr))
            return packed.bytes

    def get(self, pattern: str, into: Path, *, limit_bytes: int, timeout: timedelta) -> Received:
        """See `guest.Guest.get`. As `ssh.Session.get`."""
        reader, command = OutputReader(), find_command(pattern)
        line = f"if sudo -n true 2>/dev/null; then exec sudo -n sh -c {quote(command)}; else {command}; fi"
        with self._running((line, False), f"copying {pattern}", timeout, reader.take) as pump:
            reader.pump = pump
            return extract(reader, into, Limits(limit_bytes))

    def open_port(self, port: int, timeout: timedelta) -> socket.socket:
        """See `guest.Guest.open_port`: to the container's own address, since Docker has no way to its loopback."""
        address = self._container.address()
        if not address:
            raise NoWayToPortError("the container has no address", hint="give it a network")
        try:
            return socket.create_connection((address, port), timeout.total_seconds())
        except OSError as error:
            raise PortClosedError(
                f"the container does not take connections on port {port}: {error.strerror or error}",
                hint=f"nothing listens there at {address}; a server on the container's loopback alone is not seen",
            ) from error

    def ssh_access(self) -> SshAccess | None:
        """Access for OpenSSH, where the container's network and an SSH server in it allow that."""
        return self._access()

    # --- inner

    @cached_property
    def _ids(self) -> tuple[int, int]:
        answer = self.run("id -u; id -g", timeout=timedelta(seconds=60))
        try:
            user, group = answer.text.split()
            return int(user), int(group)
        except ValueError as error:
            raise GuestConnectionError(
                f"the container does not say who {self._login.user} is: {answer}"
            ) from error

    @contextmanager
    def _running(
        self, line: tuple[str, bool], doing: str, timeout: timedelta, sink: Sink, source: Iterable[bytes] = ()
    ) -> Iterator[Pump]:
        """A command with its pump; at the deadline it is killed, and CommandTimeoutError raised."""
        deadline, said = Deadline(timeout), LastWords(sink)
        pump = begin(self._container.engine, self._container.id, self._login, line, (deadline, said, source))
        try:
            yield pump
        except OutOfTimeError:
            self._kill(pump.session, min(timeout, KILL_TIME))
            raise overdue(doing, timeout, said) from None
        finally:
            pump.close()

    def _finish(self, pump: Pump, doing: str) -> int:
        status = pump.run()
        if status >= _KILLED and not self._container.is_running():
            raise GuestConnectionError(f"the container ended during {doing}", "see console.log")
        return status

    def _kill(self, session: int | None, allowed: timedelta) -> None:
        """End a command for good; a failure here must not hide the time-out."""
        if session is None:
            return
        with suppress(GuestConnectionError, HostError, OutOfTimeError):
            line, deadline = (kill_command(session), False), Deadline(allowed)
            pump = begin(
                self._container.engine, self._container.id, Login(), line, (deadline, LastWords(Kept(0)), ())
            )
            try:
                pump.run()
            finally:
                pump.close()
