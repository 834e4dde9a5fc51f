"""The log of a job as a stream: nothing that is written to it as text can be taken for a command."""

import io
from threading import RLock
from typing import TextIO

from kvm_action.workflow.commands import harmless


class JobLog(io.TextIOBase):
    """Writes whole lines to another stream, made harmless; `obey` writes commands. From whatever thread."""

    def __init__(self, stream: TextIO) -> None:
        """``stream`` stays open."""
        self._stream = stream
        self._line = ""
        self._turn = RLock()

    @property
    def encoding(self) -> str:  # type: ignore[override] # typeshed has a plain attribute here
        """Of the stream behind."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, text: str, /) -> int:
        """Write the lines that are complete, and remember the rest."""
        with self._turn:
            *lines, self._line = (self._line + text).replace("\r", "\n").split("\n")
            self._put(lines)
        return len(text)

    def obey(self, *commands: str) -> None:
        """Write commands, each on a line of its own."""
        with self._turn:
            self.end_line()
            self._stream.write("".join(f"{command}\n" for command in commands))
            self._stream.flush()

    def end_line(self) -> None:
        """Write what is left of a line."""
        with self._turn:
            if self._line:
                self._put([self._line])
                self._line = ""

    def flush(self) -> None:
        """Flush the complete lines; one that has only begun stays here, since its rest may make it a command."""
        with self._turn:
            self._stream.flush()

    def _put(self, lines: list[str]) -> None:
        encoding = self.encoding
        for line in lines:
            self._stream.write(harmless(line).encode(encoding, "replace").decode(encoding) + "\n")
