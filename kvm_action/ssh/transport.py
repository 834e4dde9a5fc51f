"""Making a connection: TCP, key exchange, the host key verified, the login. Once; repeating is `connection`'s."""

import errno
import io
import logging
import socket
import time
from datetime import timedelta
from functools import partial
from typing import Final

import paramiko
from paramiko.common import MSG_CHANNEL_DATA, MSG_CHANNEL_EXTENDED_DATA, MSG_CHANNEL_REQUEST

from kvm_action.reach import Address
from kvm_action.ssh.bounds import GREETING, BoundedPackets, require_window
from kvm_action.wait import Deadline

WINDOW: Final = 4 << 20
"""Bytes that the guest may send ahead on a channel; paramiko's own 2 MiB makes it wait more often."""

_TCP: Final = timedelta(seconds=5)
_HANDSHAKE: Final = timedelta(seconds=60)
_KEEPALIVE: Final = 15

# What OpenSSH has had for ten years, and what costs an emulated guest least.
_KEX: Final = ("curve25519-sha256@libssh.org", "ecdh-sha2-nistp256")
_CIPHERS: Final = ("aes128-gcm@openssh.com", "aes128-ctr")
_MACS: Final = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-256")

BROKEN: Final = (paramiko.SSHException, EOFError, OSError)
"""What paramiko raises when a connection is no more."""

logging.getLogger("paramiko").setLevel(logging.CRITICAL + 1)  # it logs tracebacks of what we report as errors


class HostKeyMismatchError(Exception):
    """Another machine answered; the text is its key's fingerprint."""


class LoginRefusedError(Exception):
    """The guest's SSH server does not let us in, perhaps not yet."""


class Wire(socket.socket):
    """A TCP socket that knows when it last heard something, and whether it ever did.

    ``unproved``: bytes that may still come before we know whom we talk to; None once we do.
    """

    heard: float
    greeted: bool
    unproved: int | None

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """As any socket's. Raises OSError too when a stranger talks without end."""
        data = super().recv(size, flags)
        if self.unproved is not None:
            self.unproved -= len(data)
            if self.unproved < 0:
                raise OSError(errno.EPROTO, "it sends without end, and no SSH server's greeting")
        self.heard = time.monotonic()
        self.greeted = self.greeted or bool(data)
        return data


class ExitSignals(paramiko.Transport):
    """paramiko, with bounds; and with the request that tells which signal ended a command (RFC 4254, 6.10)."""

    def __init__(self, wire: Wire) -> None:
        """``wire`` is connected, and ours from now on."""
        super().__init__(wire, default_window_size=WINDOW, packetizer_class=BoundedPackets)
        self.signals: dict[int, str] = {}
        table = self._channel_handler_table  # type: ignore[has-type]  # private, and the only way in
        self._handle_request = table[MSG_CHANNEL_REQUEST]
        self._take = {kind: table[kind] for kind in (MSG_CHANNEL_DATA, MSG_CHANNEL_EXTENDED_DATA)}
        self._channel_handler_table = {
            **table,
            MSG_CHANNEL_REQUEST: self._note_signal,
            MSG_CHANNEL_DATA: partial(self._take_data, MSG_CHANNEL_DATA),
            MSG_CHANNEL_EXTENDED_DATA: partial(self._take_data, MSG_CHANNEL_EXTENDED_DATA),
        }

    def get_exception(self) -> Exception | None:
        """What broke the connection; always one of `BROKEN`, however strange the server's words were."""
        error = super().get_exception()
        if error is None or isinstance(error, BROKEN):
            return error
        return paramiko.SSHException(f"it does not keep to the protocol ({error})")

    def _take_data(self, kind: int, channel: paramiko.Channel, message: paramiko.Message) -> None:
        require_window(channel, WINDOW)
        self._take[kind](channel, message)

    def _note_signal(self, channel: paramiko.Channel, message: paramiko.Message) -> None:
        read = len(message.get_so_far())
        if message.get_text() == "exit-signal":
            message.get_boolean()
            self.signals[channel.get_id()] = message.get_text()
        message.rewind()
        message.get_bytes(read)
        self._handle_request(channel, message)


def open_wire(address: Address, deadline: Deadline) -> Wire:
    """A TCP connection. Raises OSError."""
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    family, kind, protocol, _, target = found[0]
    wire = Wire(family, kind, protocol)
    wire.heard, wire.greeted, wire.unproved = time.monotonic(), False, GREETING
    try:
        wire.settimeout(max(0.1, deadline.at_most(_TCP).left))
        wire.connect(target)
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        wire.close()
        raise
    return wire


def handshake(wire: Wire, host_key: str, banner: float, deadline: Deadline) -> ExitSignals:
    """Agree on keys and verify the host key, a line as in authorized_keys. ``banner``: seconds for the greeting.

    Raises HostKeyMismatchError, and what paramiko and sockets raise.
    """
    transport = ExitSignals(wire)
    kind, expected = host_key.split()[:2]
    options = transport.get_security_options()
    options.kex, options.ciphers, options.digests, options.key_types = _KEX, _CIPHERS, _MACS, (kind,)
    transport.banner_timeout = max(0.1, min(banner, deadline.left))
    try:
        transport.start_client(timeout=deadline.at_most(_HANDSHAKE).left)
        if not transport.initial_kex_done:
            raise paramiko.SSHException("the key exchange did not end in time")
        found = transport.get_remote_server_key()
        if found.get_base64() != expected:
            raise HostKeyMismatchError(found.fingerprint)
        wire.unproved = None
    except BaseException:
        transport.close()
        raise
    return transport


def log_in(transport: ExitSignals, user: str, private_key: str, deadline: Deadline) -> None:
    """Authenticate with the key and nothing else. Raises LoginRefusedError, and what paramiko raises."""
    transport.auth_timeout = deadline.at_most(_HANDSHAKE).left
    try:
        missing = transport.auth_publickey(user, paramiko.Ed25519Key(file_obj=io.StringIO(private_key)))
    except paramiko.AuthenticationException as error:
        raise LoginRefusedError(str(error)) from error
    if missing:
        raise LoginRefusedError(f"it asks for more than a key: {', '.join(missing)}")
    transport.set_keepalive(_KEEPALIVE)
