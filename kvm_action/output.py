"""What a command prints, as it comes: kept whole in a file, cut into lines, secrets masked, memory bounded."""

from collections import deque
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import IO, Final

from kvm_action.events import Stream

LINE_LIMIT: Final = 1 << 14
"""A line longer than this is cut into several."""

TAIL_LINES: Final = 200
MASK: Final = b"***"

OnLine = Callable[[Stream, str], None]


class Mask:
    """Replaces secrets. Values shorter than four bytes are left alone: masking them would hide nothing else."""

    def __init__(self, secrets: Iterable[str]) -> None:
        """The longest secret is replaced first, so that one inside another leaves no rest."""
        whole = {secret.encode() for secret in secrets}
        lines = {line for secret in whole for line in secret.splitlines()}
        self._secrets = sorted((s for s in whole | lines if len(s) >= 4), key=len, reverse=True)

    def hide(self, line: bytes) -> bytes:
        """``line`` without secrets."""
        for secret in self._secrets:
            line = line.replace(secret, MASK)
        return line

    def hide_text(self, text: str) -> str:
        """The same for text."""
        return self.hide(text.encode(errors="surrogateescape")).decode(errors="surrogateescape")


class OutputLog:
    """Takes pieces of output of a command; a context manager, which at its end takes the unfinished lines."""

    def __init__(self, file: IO[bytes], on_line: OnLine, mask: Mask, event_lines: int = 20_000) -> None:
        """Everything goes to ``file``; ``on_line`` hears of the first ``event_lines`` lines."""
        self._file = file
        self._on_line = on_line
        self._mask = mask
        self._open: dict[Stream, bytes] = {}
        self._events_left = event_lines
        self.lines = 0
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)

    def __enter__(self) -> "OutputLog":
        """Nothing to open: the file is the caller's."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the last, unfinished lines."""
        for stream, rest in self._open.items():
            if rest:
                self._take(stream, rest, end=b"")
        self._open.clear()
        self._file.flush()

    def __call__(self, stream: Stream, data: bytes) -> None:
        """Take a piece of output."""
        *lines, rest = (self._open.get(stream, b"") + data).split(b"\n")
        for line in lines:
            self._take(stream, line, end=b"\n")
        while len(rest) > LINE_LIMIT:
            self._take(stream, rest[:LINE_LIMIT], end=b"")
            rest = rest[LINE_LIMIT:]
        self._open[stream] = rest

    def _take(self, stream: Stream, line: bytes, end: bytes) -> None:
        shown = self._mask.hide(line)
        self._file.write(shown + end)
        self.lines += 1
        if self._events_left > 0 or self.lines % 1000 == 0:
            self._events_left -= 1
            self._on_line(stream, shown[:LINE_LIMIT].decode(errors="replace").rstrip("\r"))
        self.tail.append(shown[-LINE_LIMIT:].decode(errors="replace").rstrip("\r"))
