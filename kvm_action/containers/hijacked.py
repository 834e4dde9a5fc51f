"""A connection that the daemon has turned into a plain two-way stream (attach, exec)."""

import os
import socket
from contextlib import suppress
from typing import Any


class Hijacked:
    """Takes over what the SDK hands out; ``socket`` is ours, and all of it is closed with `close`."""

    def __init__(self, handed: Any) -> None:
        """``handed``: what `exec_start` and `attach_socket` return."""
        self.socket = socket.socket(fileno=os.dup(handed.fileno()))
        self._response = handed._response  # where the SDK keeps the connection, and never closes it

    def close(self) -> None:
        """Wake whoever waits for the stream, and close it."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self._response.close()
