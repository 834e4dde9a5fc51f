"""The two streams of a command as the daemon sends them over one: frames with a small header. Pure.

https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerAttach
"""

from collections.abc import Iterator
from typing import Final

from kvm_action.events import Stream

_HEADER: Final = 8
_STREAMS: Final = {1: Stream.STDOUT, 2: Stream.STDERR}


class Frames:
    """Takes pieces of any length, gives what they carry as soon as it is there."""

    def __init__(self) -> None:
        """At the begin of a frame."""
        self._header = bytearray()
        self._stream: Stream | None = None
        self._left = 0

    def feed(self, data: bytes) -> Iterator[tuple[Stream, bytes]]:
        """What ``data`` carries, by stream."""
        position = 0
        while position < len(data):
            if not self._left:
                taken = data[position : position + _HEADER - len(self._header)]
                position += len(taken)
                self._header += taken
                self._open()
                continue
            piece = data[position : position + self._left]
            position += len(piece)
            self._left -= len(piece)
            if self._stream:
                yield self._stream, piece

    def _open(self) -> None:
        if len(self._header) == _HEADER:
            self._stream = _STREAMS.get(self._header[0])
            self._left = int.from_bytes(self._header[4:], "big")
            self._header.clear()
