"""A command in a container: started, its streams pumped against one deadline, its end found out."""

import select
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from kvm_action.containers.engine import GONE, Engine, in_use
from kvm_action.containers.frames import Frames
from kvm_action.containers.hijacked import Hijacked
from kvm_action.errors import GuestConnectionError
from kvm_action.events import Stream
from kvm_action.guest_io import LastWords, OutOfTimeError
from kvm_action.guest_shell import LEFT_BEHIND, SessionMark, wrap
from kvm_action.wait import Deadline, until

_GRACE: Final = 2.0
"""Seconds of quiet after which a command that has ended is over, although a daemon it left holds its output."""
_LOOK: Final = 0.5
_LOOK_AT_TALKER: Final = 5.0
_PIECE: Final = 1 << 16

# The SDK hands its socket over after the daemon's first answer and may lose what came with it: nothing is said
# before we have sent a line.
_WAIT: Final = "IFS= read -r go; "


@dataclass(frozen=True)
class Login:
    """Whose commands these are, and the environment that a login by SSH would give them."""

    user: str = "root"
    home: str = "/root"
    shell: str = "/bin/sh"
    lang: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """As sshd sets it."""
        path = "/usr/local/bin:/usr/bin:/bin:/usr/games"
        if self.user == "root":
            path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        said = {"USER": self.user, "LOGNAME": self.user, "HOME": self.home, "SHELL": self.shell, "PATH": path}
        return said | ({"LANG": self.lang} if self.lang else {})


class Pump:
    """Moves a command's input and output. One thread, no unbounded buffer. ``close`` it at the end."""

    def __init__(
        self, engine: Engine, execution: str, deadline: Deadline, said: LastWords, source: Iterable[bytes]
    ):
        """Starts the command; see `begin`."""
        self._engine = engine
        self._id = execution
        self._deadline = deadline
        self.said = said
        self._source: Iterator[bytes] | None = _with_go(source)
        self._piece = memoryview(b"")
        self._frames = Frames()
        self._mark = SessionMark()
        self._moved = self._looked = time.monotonic()
        self._ended_at: float | None = None
        with in_use():
            self._stream = Hijacked(engine.api.exec_start(execution, socket=True))
        self._socket = self._stream.socket
        self._socket.setblocking(False)

    @property
    def session(self) -> int | None:
        """The command's session in the container, once it has said so."""
        return self._mark.session

    def close(self) -> None:
        """Let go of the streams."""
        self._stream.close()

    def run(self) -> int:
        """Pump to the end; the command's status. Raises OutOfTimeError, GuestConnectionError."""
        while self.step():
            pass
        return self.status()

    def step(self) -> bool:
        """Move what can be moved, or wait a little; False when there is nothing more to come."""
        events = select.POLLIN | (select.POLLOUT if self._source else 0)
        poll = select.poll()
        poll.register(self._socket, events)
        ready = poll.poll(min(_LOOK, self._deadline.left) * 1000)
        mask = ready[0][1] if ready else 0
        if mask & select.POLLOUT and self._source:
            self._send()
        if mask & ~select.POLLOUT and not self._receive():
            return self._finish()
        if mask:
            self._moved = time.monotonic()
        if self._is_left_behind() if mask else self._is_over():
            return self._finish()
        if self._deadline.passed:
            raise OutOfTimeError
        return True

    def status(self) -> int:
        """What the command exited with. Raises GuestConnectionError when its container has gone."""
        with in_use():
            facts = until(self._ended, Deadline(timedelta(seconds=self._deadline.left + _GRACE)), every=0.02)
        if facts is None:
            raise OutOfTimeError
        return int(facts["ExitCode"])

    def _ended(self) -> dict[str, Any] | None:
        try:
            facts: dict[str, Any] = self._engine.api.exec_inspect(self._id)
        except GONE as error:
            raise GuestConnectionError("the container ended while a command ran in it") from error
        return None if facts["Running"] or facts["ExitCode"] is None else facts

    def _receive(self) -> bool:
        try:
            data = self._socket.recv(_PIECE)
        except BlockingIOError:
            return True
        except OSError:
            return False
        for stream, piece in self._frames.feed(data):
            passed = self._mark.take(piece) if stream is Stream.STDERR else piece
            if passed:
                self.said(stream, passed)
        return bool(data)

    def _send(self) -> None:
        assert self._source is not None  # noqa: S101 - asked by the caller
        try:
            self._piece = self._piece or memoryview(next(self._source))
            self._piece = self._piece[self._socket.send(self._piece) :]
        except BlockingIOError:
            return
        except StopIteration:
            self._source = None
            self._half_close()
        except OSError:  # the command does not read its input any more
            self._source = None

    def _half_close(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def _is_over(self) -> bool:
        now = time.monotonic()
        if now - self._moved < _GRACE or now - self._looked < _LOOK:
            return False
        self._looked = now
        with in_use():
            return self._ended() is not None

    def _is_left_behind(self) -> bool:
        """Did the command end long ago, so that what still talks is what it left running?"""
        now = time.monotonic()
        if self._ended_at is None and now - self._looked > _LOOK_AT_TALKER:
            self._looked = now
            with in_use():
                self._ended_at = now if self._ended() is not None else None
        return self._ended_at is not None and now - self._ended_at > LEFT_BEHIND

    def _finish(self) -> bool:
        if rest := self._mark.rest():
            self.said(Stream.STDERR, rest)
        return False


def begin(
    engine: Engine,
    container: str,
    login: Login,
    line: tuple[str, bool],
    pumping: tuple[Deadline, LastWords, Iterable[bytes]],
) -> Pump:
    """Start a command line (and whether by sudo) as ``login``; it runs while the pump is pumped."""
    command, sudo = line
    deadline, said, source = pumping
    with in_use():
        made = engine.api.exec_create(
            container,
            [login.shell, "-c", _WAIT + wrap(command, sudo)],
            stdin=True,
            user=login.user,
            environment=login.environment,
            workdir=login.home,
        )
    return Pump(engine, made["Id"], deadline, said, source)


def _with_go(source: Iterable[bytes]) -> Iterator[bytes]:
    yield b"\n"
    for piece in source:
        if piece:
            yield piece
