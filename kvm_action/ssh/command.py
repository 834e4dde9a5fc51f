"""A command line in the guest: its streams pumped, all of them, against one deadline."""

import select
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import paramiko

from kvm_action.events import Stream
from kvm_action.guest_io import OutOfTimeError, Sink
from kvm_action.guest_shell import LEFT_BEHIND, SessionMark
from kvm_action.ssh.link import Link
from kvm_action.ssh.transport import WINDOW
from kvm_action.wait import Deadline

_GRACE: Final = 2.0
"""Seconds of quiet after which a command that has ended is over, although a daemon it left holds its output."""
_WINDOW_WAIT: Final = 0.05
_LOOK: Final = 0.5


@dataclass(frozen=True)
class Ended:
    """How a command ended: its status, or 128 plus the signal's number."""

    status: int
    signal: str = ""


class Pump:
    """Moves a command's input and output. One thread, no unbounded buffer, so neither side can block the other."""

    def __init__(
        self, link: Link, channel: paramiko.Channel, deadline: Deadline, sink: Sink, source: Iterable[bytes] = ()
    ) -> None:
        """``sink`` gets all output as it comes; ``source`` is read as fast as the guest takes it."""
        self._link = link
        self._channel = channel
        self._deadline = deadline
        self._sink = sink
        self._packets: Iterator[bytes] | None = _packets(source, channel.out_max_packet_size - 64)
        self._packet = b""
        self._mark = SessionMark()
        self._moved = time.monotonic()
        self._ended_at: float | None = None
        self._poll = select.poll()
        self._poll.register(channel.fileno(), select.POLLIN)
        channel.settimeout(_WINDOW_WAIT)

    def run(self) -> Ended | None:
        """Pump until the command has ended; None when the connection broke before. Raises OutOfTimeError."""
        while self.step():
            pass
        return self.ended

    @property
    def ended(self) -> Ended | None:
        """How it ended, if that is known."""
        if name := self._link.transport.signals.get(self._channel.get_id()):
            return Ended(128 + _number(name), name)
        status = self._channel.exit_status
        return Ended(status) if status >= 0 else None

    def step(self) -> bool:
        """Move what can be moved, or wait a little; False when there is nothing more to come."""
        moved = any((self._receive(), self._send()))
        if moved:
            self._moved = time.monotonic()
        if self._is_left_behind() or (not moved and self._is_over()):
            if rest := self._mark.rest():
                self._sink(Stream.STDERR, rest)
            return False
        if not moved and self._packets is None:
            self._wait()
        if self._deadline.passed:
            raise OutOfTimeError
        return True

    def _receive(self) -> bool:
        channel = self._channel
        output, errors = channel.recv_ready(), channel.recv_stderr_ready()
        if errors:
            self._take_errors(channel.recv_stderr(WINDOW))
        if output:
            self._sink(Stream.STDOUT, channel.recv(WINDOW))
        return output or errors

    def _take_errors(self, data: bytes) -> None:
        if passed := self._mark.take(data):
            self._sink(Stream.STDERR, passed)

    @property
    def session(self) -> int | None:
        """The command's session in the guest, once it has said so."""
        return self._mark.session

    def _send(self) -> bool:
        if self._packets is None:
            return False
        self._packet = self._packet or next(self._packets, b"")
        if not self._packet:
            self._packets = None
            self._channel.shutdown_write()
            return True
        try:
            sent = self._channel.send(self._packet)
        except TimeoutError:  # the guest takes nothing now
            return False
        except OSError:
            sent = 0
        self._packet = self._packet[sent:]
        if sent == 0:  # nor will it ever: the command does not read its input
            self._packets = None
        return True

    def _is_over(self) -> bool:
        channel = self._channel
        if channel.closed or (channel.eof_received and self.ended):
            return not (channel.recv_ready() or channel.recv_stderr_ready())
        return self.ended is not None and time.monotonic() - self._moved > _GRACE

    def _is_left_behind(self) -> bool:
        """Did the command end long ago, so that what still talks is what it left running?"""
        if self._ended_at is None and self.ended:
            self._ended_at = time.monotonic()
        return self._ended_at is not None and time.monotonic() - self._ended_at > LEFT_BEHIND

    def _wait(self) -> None:
        seconds = min(_LOOK, self._deadline.left)
        if self._channel.eof_received:
            self._channel.status_event.wait(seconds)
        else:
            self._poll.poll(seconds * 1000)


def _packets(source: Iterable[bytes], size: int) -> Iterator[bytes]:
    """``source`` in pieces that fit a packet; when paramiko cuts, it copies all that is left each time."""
    for piece in source:
        view = memoryview(piece)
        for start in range(0, len(view), size):
            yield bytes(view[start : start + size])


def _number(name: str) -> int:
    try:
        return signal.Signals[f"SIG{name}"]
    except KeyError:
        return 0
