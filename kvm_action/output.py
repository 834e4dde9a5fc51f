"""What a command prints, as it comes: kept in a file, cut into lines, secrets masked; memory and disk bounded."""

from collections import deque
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import IO, Final

from kvm_action.events import Stream

LINE_LIMIT: Final = 1 << 14
"""A line longer than this is cut into several."""

TAIL_LINES: Final = 200
FILE_LIMIT: Final = 256 << 20
"""Bytes of the beginning that a file keeps; of what comes after them, the last lines."""
EVENT_BYTES: Final = 32 << 20
"""Of the output, what makes events line by line; the rest is told as rarely as after very many lines."""
_LAST: Final = 1 << 20
_STRIDE: Final = 1000
MASK: Final = b"***"

OnLine = Callable[[Stream, str], None]


class Mask:
    """Replaces secrets. Values shorter than four bytes are left alone: masking them would hide nothing else."""

    def __init__(self, secrets: Iterable[str]) -> None:
        """The longest secret is replaced first, so that one inside another leaves no rest."""
        whole = {secret.encode() for secret in secrets}
        lines = {line for secret in whole for line in secret.splitlines()}
        self._secrets = sorted((s for s in whole | lines if len(s) >= 4), key=len, reverse=True)

    @property
    def longest(self) -> int:
        """Bytes of the longest secret."""
        return len(self._secrets[0]) if self._secrets else 0

    def cut(self, line: bytes, at: int) -> int:
        """``at``, or the nearest place before it where a cut goes through no secret."""
        found = at
        while starts := [start for each in self._secrets if (start := _across(line, each, found)) >= 0]:
            found = min(starts)
        return found or at

    def hide(self, line: bytes) -> bytes:
        """``line`` without secrets."""
        for secret in self._secrets:
            line = line.replace(secret, MASK)
        return line

    def hide_text(self, text: str) -> str:
        """The same for text."""
        return self.hide(text.encode(errors="surrogatepass")).decode(errors="surrogatepass")


def _across(line: bytes, secret: bytes, at: int) -> int:
    """Where a ``secret`` begins that a cut ``at`` that place would go through; -1 when there is none."""
    return line.find(secret, max(0, at - len(secret) + 1), at + len(secret) - 1)


class OutputLog:
    """Takes pieces of output of a command; a context manager, which at its end takes the unfinished lines."""

    def __init__(
        self,
        file: IO[bytes],
        on_line: OnLine,
        mask: Mask,
        event_lines: int = 20_000,
        file_limit: int = FILE_LIMIT,
    ) -> None:
        """Up to ``file_limit`` bytes go to ``file``; ``on_line`` hears of the first ``event_lines`` lines.

        After these, and after `EVENT_BYTES`, it hears of fewer and fewer, as a sign of life.
        """
        self._file = file
        self._on_line = on_line
        self._mask = mask
        self._open: dict[Stream, bytes] = {}
        self._next_event = 0
        self._event_lines = event_lines
        self._event_room = EVENT_BYTES
        self._room = file_limit
        self._beyond = _Beyond()
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
        self._file.write(self._beyond.text())
        self._file.flush()

    def __call__(self, stream: Stream, data: bytes) -> None:
        """Take a piece of output."""
        *lines, rest = (self._open.get(stream, b"") + data).split(b"\n")
        for line in lines:
            self._take(stream, line, end=b"\n")
        while len(rest) > LINE_LIMIT + self._mask.longest:  # what may be the beginning of a secret stays
            at = self._mask.cut(rest, LINE_LIMIT)
            self._take(stream, rest[:at], end=b"")
            rest = rest[at:]
        self._open[stream] = rest

    def _take(self, stream: Stream, line: bytes, end: bytes) -> None:
        shown = self._mask.hide(line)
        self._keep(shown + end)
        self.lines += 1
        self._event_room -= len(shown)
        is_early = self.lines <= self._event_lines and self._event_room >= 0
        if is_early or self.lines >= self._next_event:
            self._next_event = self.lines + max(_STRIDE, self.lines // 10)
            self._on_line(stream, shown[:LINE_LIMIT].decode(errors="replace").rstrip("\r"))
        self.tail.append(shown[-LINE_LIMIT:].decode(errors="replace").rstrip("\r"))

    def _keep(self, line: bytes) -> None:
        if len(line) <= self._room:
            self._room -= len(line)
            self._file.write(line)
        else:
            self._room = 0
            self._beyond.add(line)


class _Beyond:
    """What did not go into the file: how much, and the end of it."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._end: deque[bytes] = deque()
        self._held = 0
        self._left_out = 0

    def add(self, line: bytes) -> None:
        """Take a line, and give up the oldest ones beyond the limit."""
        self._end.append(line)
        self._held += len(line)
        while self._held > _LAST:
            gone = len(self._end.popleft())
            self._held -= gone
            self._left_out += gone

    def text(self) -> bytes:
        """A remark and the end; nothing when everything went into the file."""
        if not self._left_out:
            return b"".join(self._end)
        return b"\n[kvm-e2e: %d bytes were left out here]\n" % self._left_out + b"".join(self._end)
