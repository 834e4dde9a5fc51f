"""Does something speak SSH at an address? A single, cheap look; the session itself is `ssh`'s."""

import socket
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Address:
    """A TCP address as seen from this host."""

    host: str
    port: int

    def __str__(self) -> str:
        """As people write it."""
        return f"{self.host}:{self.port}"


def speaks_ssh(address: Address, timeout: timedelta) -> bool:
    """Does a server greet with an SSH banner (RFC 4253, 4.2) within ``timeout``?

    A connection alone proves nothing: QEMU's user network accepts for a guest that is not up yet.
    """
    with suppress(OSError):
        seconds = timeout.total_seconds()
        with socket.create_connection((address.host, address.port), seconds) as connection:
            connection.settimeout(seconds)
            return connection.recv(4) == b"SSH-"
    return False
