"""A socket in a private folder that leads to a port of the guest, for a program that cannot use our session."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock, Thread
from typing import Final

from kvm_action.checks.rdp.handshake import Open
from kvm_action.errors import E2EError, HostError
from kvm_action.guest import GuestSocket
from kvm_action.wait import Deadline

_PIECE: Final = 1 << 16


class Relay:
    """Each connection to ``listener`` gets one of its own into the guest."""

    def __init__(self, listener: socket.socket, open_port: Open, deadline: Deadline) -> None:
        """Accepts nothing yet."""
        self._listener = listener
        self._open_port = open_port
        self._deadline = deadline
        self._lock = Lock()
        self._ends: list[GuestSocket] = []
        self.error: E2EError | None = None
        """Why the last connection found no way into the guest."""

    def serve(self) -> None:
        """Until the listener is shut down."""
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connect(connection)

    def close(self) -> None:
        """End all connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        with self._lock:
            for end in self._ends:
                _end(end)

    def _connect(self, connection: socket.socket) -> None:
        try:
            guest = self._open_port(self._deadline)
        except E2EError as error:
            self.error = error
            connection.close()
            return
        guest.settimeout(None)
        with self._lock:
            self._ends += [connection, guest]
        for source, target in ((connection, guest), (guest, connection)):
            Thread(target=_pump, args=(source, target), name="rdp-relay", daemon=True).start()


@contextmanager
def relay(path: Path, open_port: Open, deadline: Deadline) -> Iterator[Relay]:
    """A relay that listens at ``path``; it and its connections are gone at the end. Raises HostError."""
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            listener.bind(str(path))
            listener.listen()
        except OSError as error:
            raise HostError(
                f"no socket can be made at {path}: {error}", hint="set TMPDIR to a short path"
            ) from error
        made = Relay(listener, open_port, deadline)
        Thread(target=made.serve, name="rdp-relay", daemon=True).start()
        try:
            yield made
        finally:
            made.close()


def _pump(source: GuestSocket, target: GuestSocket) -> None:
    with suppress(OSError):
        while data := source.recv(_PIECE):
            target.sendall(data)
    _end(target)


def _end(one: GuestSocket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    with suppress(OSError):
        one.close()
