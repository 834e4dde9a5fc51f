"""One authenticated connection in use: channels, and a watch for a guest that has fallen silent."""

import time
from contextlib import suppress
from datetime import timedelta
from threading import Event, Thread
from typing import Final

import paramiko

from kvm_action.errors import E2EError, GuestConnectionError, NoWayToPortError, PortClosedError
from kvm_action.guest_io import OutOfTimeError
from kvm_action.ssh.transport import BROKEN, ExitSignals, Wire
from kvm_action.wait import Deadline, unless_done_in

PROBE_AFTER: Final = timedelta(seconds=15)
PATIENCE: Final = timedelta(seconds=45)
"""How long the guest may take to answer a probe: one that swaps under emulation is slow, not dead."""

_FORBIDDEN: Final = 1
"""SSH_OPEN_ADMINISTRATIVELY_PROHIBITED (RFC 4254, 5.1)."""


class Link:
    """A transport with its watchdog. QEMU acknowledges TCP for a guest that is long dead, so we ask the guest."""

    def __init__(self, transport: ExitSignals, wire: Wire, probe_after: timedelta, patience: timedelta) -> None:
        """``transport`` is authenticated. Nothing is watched before `watch`."""
        self.transport = transport
        self._wire = wire
        self._probe_after = probe_after.total_seconds()
        self._patience = patience.total_seconds()
        self._stop = Event()
        self._verdict = ""

    @property
    def is_alive(self) -> bool:
        """As far as is known."""
        return bool(self.transport.is_active())

    @property
    def silence(self) -> float:
        """Seconds since the guest was last heard."""
        return time.monotonic() - self._wire.heard

    def watch(self) -> None:
        """Begin to watch, in a thread of its own."""
        Thread(target=self._watch, name="ssh-watch", daemon=True).start()

    def close(self) -> None:
        """End the connection and its watch."""
        self._stop.set()
        self.transport.close()

    def execute(self, line: str, deadline: Deadline) -> paramiko.Channel:
        """Start a command line. Raises OutOfTimeError, GuestConnectionError."""
        try:
            channel = self.transport.open_session(timeout=deadline.left)
        except BROKEN as error:
            raise self._failed("starting a command", error, deadline) from error
        try:
            with unless_done_in(deadline.left, channel.close):  # paramiko waits for the answer without a limit
                channel.exec_command(line)
        except BROKEN as error:
            raise self._failed("starting a command", error, deadline) from error
        return channel

    def dial(self, host: str, port: int, deadline: Deadline) -> paramiko.Channel:
        """A connection from the guest to ``host``, as a socket.

        Raises OutOfTimeError, PortClosedError, NoWayToPortError, GuestConnectionError.
        """
        try:
            return self.transport.open_channel(
                "direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=deadline.left
            )
        except paramiko.ChannelException as error:
            raise _refused(f"{host}:{port}", error) from error
        except BROKEN as error:
            raise self._failed(f"connecting to {host}:{port} from the guest", error, deadline) from error

    def lost(self, doing: str, error: BaseException | None = None) -> GuestConnectionError:
        """The error for a connection that broke while ``doing`` something."""
        reason = self._verdict or f"it was closed, and the guest was last heard {self.silence:.1f} s before"
        error = error or self.transport.get_exception()
        if error and str(error) and not isinstance(error, EOFError):
            reason += f" ({error})"
        return GuestConnectionError(
            f"lost the connection to the guest while {doing}: {reason}",
            hint="it may have rebooted, crashed, or lost its network or SSH server: see console.log",
        )

    def _failed(self, doing: str, error: BaseException, deadline: Deadline) -> Exception:
        if self.is_alive and deadline.passed:
            return OutOfTimeError()
        return self.lost(doing, error)

    def _watch(self) -> None:
        while not self._stop.wait(max(0.1, self._probe_after - self.silence)) and self.is_alive:
            if self.silence >= self._probe_after:
                self._probe()

    def _probe(self) -> None:
        """Ask for something that a living server answers at once; end the connection when it does not."""
        with suppress(*BROKEN):
            self.transport.open_session(timeout=self._patience).close()
        if self.silence >= self._patience and not self._stop.is_set():
            self._verdict = f"the guest has been silent for {self.silence:.0f} s"
            self.transport.close()


def _refused(target: str, error: paramiko.ChannelException) -> E2EError:
    if error.code == _FORBIDDEN:
        return NoWayToPortError(
            f"the guest's SSH server lets nobody connect to {target} through it",
            hint="AllowTcpForwarding in its sshd_config has to be `yes` or `local`",
        )
    return PortClosedError(f"the guest cannot connect to {target}: {error.text}", hint="nothing listens there")
