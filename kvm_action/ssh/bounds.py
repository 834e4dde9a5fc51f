"""What a server may send at most. The guest's is not trusted, and paramiko believes lengths that it is told."""

from typing import Final

import paramiko
from paramiko.packet import Packetizer

PACKET: Final = 1 << 20
"""Bytes of a packet. OpenSSH's are below 256 KiB; the length's 32 bits would allow 4 GiB."""
GREETING: Final = 1 << 18
"""Bytes before the host key is verified: a greeting and the exchange of keys take a few KiB."""


class BoundedPackets(Packetizer):
    """Refuses packets that no honest server sends, before a byte of them is kept."""

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        """As paramiko's. Raises SSHException."""
        if not 0 <= n <= PACKET:
            raise paramiko.SSHException(f"it sends a packet that claims {n:,} bytes")
        return bytes(super().read_all(n, check_rekey))


def require_window(channel: paramiko.Channel, window: int) -> None:
    """Raise SSHException when more waits on a channel than its window allows: a server that ignores it."""
    waiting = len(channel.in_buffer) + len(channel.in_stderr_buffer)
    if waiting > 2 * window:  # both streams share the window; what was read is granted anew a little early
        raise paramiko.SSHException("it sends more than it may")
