"""What is kept and said of a guest's command: its output up to a limit, its last words, its time that is over."""

from collections import deque
from collections.abc import Callable
from datetime import timedelta
from typing import Final, Protocol

from kvm_action.errors import CommandTimeoutError, PlanError
from kvm_action.events import Stream
from kvm_action.guest import OnOutput, Tree
from kvm_action.units import format_duration

Sink = Callable[[Stream, bytes], None]

KILL_TIME: Final = timedelta(seconds=10)
"""For the end of a command that ran out of time."""
_SHOWN: Final = 60
_LAST_WORDS: Final = 500


class OutOfTimeError(Exception):
    """A deadline passed while the way to the guest was still good; the caller knows of what."""


class Pumped(Protocol):
    """A command that goes on by being pumped."""

    def step(self) -> bool:
        """Move what can be moved now; is there more to come?"""


class Kept:
    """Output kept up to a limit for each stream, and all of it passed on."""

    def __init__(self, limit: int, on_output: OnOutput | None = None) -> None:
        """Nothing came yet."""
        self._limit = limit
        self._on_output = on_output
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.truncated = False

    def __call__(self, stream: Stream, data: bytes) -> None:
        """Take a piece."""
        kept = self.stdout if stream is Stream.STDOUT else self.stderr
        room = self._limit - len(kept)
        kept += data[:room]
        self.truncated = self.truncated or len(data) > room
        if self._on_output:
            self._on_output(stream, data)


class LastWords:
    """The end of what was said, for an error message; all of it is passed on."""

    def __init__(self, sink: Sink) -> None:
        """Nothing said yet."""
        self._sink = sink
        self.end = b""

    def __call__(self, stream: Stream, data: bytes) -> None:
        """Take a piece."""
        self.end = (self.end + data[-_LAST_WORDS:])[-_LAST_WORDS:]
        self._sink(stream, data)

    def text(self) -> str:
        """The last line, printable."""
        lines = self.end.decode(errors="replace").strip().splitlines()
        return "".join(letter if letter.isprintable() else "·" for letter in lines[-1].strip()) if lines else ""


class OutputReader:
    """A command's output as something to read from; reading pumps."""

    pump: Pumped

    def __init__(self) -> None:
        """``pump`` is set before the first read."""
        self._pieces: deque[bytes] = deque()
        self.finished = False

    def take(self, stream: Stream, data: bytes) -> None:
        """As a sink."""
        if stream is Stream.STDOUT:
            self._pieces.append(data)

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes; none at the end."""
        while not self._pieces and not self.finished:
            self.finished = not self.pump.step()
        if not self._pieces:
            return b""
        piece = self._pieces.popleft()
        if len(piece) > size:
            self._pieces.appendleft(piece[size:])
        return piece[:size]


def named(command: str) -> str:
    """A command as it is called in a message."""
    line = " ".join(command.split())
    return f"`{line if len(line) <= _SHOWN else line[: _SHOWN - 1] + '…'}`"


def overdue(doing: str, timeout: timedelta, said: LastWords) -> CommandTimeoutError:
    """The error for what took too long, with the last it said."""
    last = said.text()
    return CommandTimeoutError(
        f"{doing} took longer than {format_duration(timeout)}"
        + (f"; the last it said was: {last}" if last else " and said nothing"),
        hint="it was killed; allow it more time, or find out what it waits for",
    )


def cannot_copy(tree: Tree, status: int, errors: bytes) -> PlanError:
    """The error for a tree that the guest did not take."""
    words = errors.decode(errors="replace").strip().splitlines() or [f"status {status}"]
    return PlanError(
        f"cannot copy {tree.source} to {tree.to} in the guest: {words[0].removeprefix('tar: ')}",
        hint="the guest's user (or its sudo) must be able to write there, and its disk must have room",
    )
