"""The session with a guest: commands, files in and out, access for others. Implements `guest.Guest`."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from shlex import quote
from typing import Final

import paramiko

from kvm_action.archive import Limits, Packed, extract, find_command, packing, select, unpack_command
from kvm_action.errors import GuestConnectionError, HostError, PortClosedError
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
from kvm_action.guest_shell import kill_command, wrap
from kvm_action.reach import Address
from kvm_action.ssh.access import write_access
from kvm_action.ssh.command import Ended, Pump
from kvm_action.ssh.link import Link
from kvm_action.ssh.transport import BROKEN
from kvm_action.wait import Deadline

LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True)
class Login:
    """How one gets in, and who must be there. ``access_folder``: where `Session.ssh_access` writes."""

    address: Address
    user: str
    private_key: str = field(repr=False)
    host_key: str
    access_folder: Path


class Session:
    """An open session. May be used by several threads; sshd allows ten commands at a time."""

    def __init__(self, login: Login, link: Link, reopen: Callable[[Deadline], Link]) -> None:
        """Takes ``link`` over; ``reopen`` makes another one."""
        self._login = login
        self._link = link
        self._reopen = reopen

    @property
    def is_alive(self) -> bool:
        """Is the connection open, as far as is known?"""
        return self._link.is_alive

    def close(self) -> None:
        """End the connection; commands that still run in the guest lose their output."""
        self._link.close()

    def reconnect(self, deadline: Deadline) -> None:
        """A new connection to the same guest in place of this one. Raises GuestConnectionError."""
        self._link.close()
        self._link = self._reopen(deadline)

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
        line = wrap(command, sudo and self._login.user != "root")
        with self._running(line, named(command), timeout, kept, [stdin] if stdin else []) as pump:
            ended = self._finish(pump, named(command))
        return GuestOutput(
            command,
            ended.status,
            bytes(kept.stdout),
            bytes(kept.stderr),
            signal=ended.signal,
            truncated=kept.truncated,
        )

    def put(self, tree: Tree, timeout: timedelta) -> int:
        """See `guest.Guest.put`; returns the bytes of the tar stream.

        A file goes to exactly ``tree.to``, or into it when that ends with a slash. Everything belongs to the
        session's user. Sockets, pipes and devices are left out. Raises PlanError too.
        """
        selection = select(tree.source, tree.exclude)
        file = "" if tree.source.is_dir() else tree.source.name  # that of a link, not of what it leads to
        receive, name = unpack_command(tree.to, file=file, owner=self._ids)
        with packing(selection, owner=self._ids, rename=name) as packed:
            return self._send(packed, receive, tree, timeout)

    def get(self, pattern: str, into: Path, *, limit_bytes: int, timeout: timedelta) -> Received:
        """See `guest.Guest.get`: files keep their whole path below ``into``, the smallest come first.

        Read as root where that is allowed. What was left out is in the notes; nothing found is no error.
        """
        reader = OutputReader()
        command = find_command(pattern)
        line = wrap(f"if sudo -n true 2>/dev/null; then exec sudo -n sh -c {quote(command)}; else {command}; fi")
        with self._running(line, f"copying {pattern}", timeout, reader.take) as pump:
            reader.pump = pump
            received = extract(reader, into, Limits(limit_bytes))
            if reader.finished and pump.ended is None:
                raise self._link.lost(f"copying {pattern}")
        return received

    def ssh_access(self) -> SshAccess:
        """Files for OpenSSH's own programs, written into the folder that was given to `connect`."""
        login = self._login
        return write_access(login.access_folder, login.address, login.user, login.private_key, login.host_key)

    def open_port(self, port: int, timeout: timedelta) -> paramiko.Channel:
        """See `guest.Guest.open_port`: made by the guest itself, to its own loopback."""
        try:
            return self._link.dial(LOOPBACK, port, Deadline(timeout))
        except OutOfTimeError:
            raise PortClosedError(f"the guest did not connect to {LOOPBACK}:{port} in time") from None

    # --- inner

    @cached_property
    def _ids(self) -> tuple[int, int]:
        """The user's own user and group id."""
        answer = self.run("id -u; id -g", timeout=timedelta(seconds=60))
        try:
            user, group = answer.text.split()
            return int(user), int(group)
        except ValueError as error:
            raise GuestConnectionError(f"the guest does not say who {self._login.user} is: {answer}") from error

    @contextmanager
    def _running(
        self, line: str, doing: str, timeout: timedelta, sink: Sink, source: Iterable[bytes] = ()
    ) -> Iterator[Pump]:
        """A command line with its pump; at the deadline it is killed, and CommandTimeoutError raised."""
        deadline, said = Deadline(timeout), LastWords(sink)
        try:
            channel = self._link.execute(line, deadline)
        except OutOfTimeError:
            raise overdue(doing, timeout, said) from None
        pump = Pump(self._link, channel, deadline, said, source)
        try:
            yield pump
        except OutOfTimeError:
            self._kill(pump.session, min(timeout, KILL_TIME))
            raise overdue(doing, timeout, said) from None
        except BROKEN as error:
            if self.is_alive:
                raise
            raise self._link.lost(doing, error) from error
        finally:
            channel.close()

    def _finish(self, pump: Pump, doing: str) -> Ended:
        if ended := pump.run():
            return ended
        raise self._link.lost(doing)

    def _send(self, packed: Packed, receive: str, tree: Tree, timeout: timedelta) -> int:
        answer = Kept(1 << 14, None)
        doing = f"copying {tree.source} to {tree.to}"
        with self._running(wrap(receive), doing, timeout, answer, packed) as pump:
            ended = self._finish(pump, doing)
        if ended.status != 0:
            raise cannot_copy(tree, ended.status, bytes(answer.stderr))
        return packed.bytes

    def _kill(self, session: int | None, allowed: timedelta) -> None:
        """End a command for good, if the guest still can; a failure here must not hide the time-out."""
        if session is None:
            return
        with suppress(GuestConnectionError, HostError, OutOfTimeError, *BROKEN):
            deadline = Deadline(allowed)
            channel = self._link.execute(kill_command(session), deadline)
            Pump(self._link, channel, deadline, lambda _stream, _data: None).run()
            channel.close()
