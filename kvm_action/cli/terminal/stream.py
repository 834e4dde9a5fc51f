"""A stream that may lose its reader without anybody noticing."""

import io
import os
from contextlib import suppress
from typing import TextIO, cast


def unbreakable(stream: TextIO) -> TextIO:
    """``stream``, until writing to it fails; from then on nothing is written, and nothing raised."""
    return cast(TextIO, _Unbreakable(stream))  # rich and we call no more than what is there


class _Unbreakable(io.TextIOBase):
    """Writes to another stream until that fails, then to nowhere. Characters it cannot encode become ``?``."""

    def __init__(self, stream: TextIO) -> None:
        """``stream`` stays open, whatever happens here."""
        self._stream = stream
        self._encoding = getattr(stream, "encoding", None) or "utf-8"
        self._broken = False

    @property
    def encoding(self) -> str:  # type: ignore[override] # typeshed has a plain attribute here
        """The encoding of the stream behind."""
        return self._encoding

    def writable(self) -> bool:
        """Always."""
        return True

    def isatty(self) -> bool:
        """Is the stream behind a terminal?"""
        return self._stream.isatty()

    def fileno(self) -> int:
        """The descriptor of the stream behind; rich asks it for the terminal's size."""
        return self._stream.fileno()

    def write(self, text: str, /) -> int:
        """Write, unless that has failed before."""
        if not self._broken:
            try:
                self._stream.write(text.encode(self._encoding, "replace").decode(self._encoding))
            except OSError:
                self._give_up()
        return len(text)

    def flush(self) -> None:
        """Flush, unless writing has failed before."""
        if not self._broken:
            try:
                self._stream.flush()
            except OSError:
                self._give_up()

    def _give_up(self) -> None:
        """What the stream still holds goes to nowhere too, else Python complains of it at its exit."""
        self._broken = True
        with suppress(OSError):  # a stream that is no file
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
