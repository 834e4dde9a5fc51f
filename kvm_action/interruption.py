"""SIGINT and SIGTERM as one exception in the main thread, raised once; the tear-down is then left alone."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread
from types import FrameType
from typing import Final

from kvm_action.errors import ExitCode, InterruptedRunError, RunLimitError
from kvm_action.units import format_duration

GRACE: Final = timedelta(seconds=6.5)
"""An Actions runner kills 10 s after its SIGINT; a call that blocks must not keep us longer than this."""

WAY_BACK: Final = timedelta(minutes=5)
"""What a kept machine may take to become again what it was: its whole memory is read from a file."""

_AT_ONCE: Final = 1e-6
"""Seconds; an alarm after 0 would be none at all."""
_AT_LAST: Final = 1e9
"""Seconds; Python's timer takes no more than ten times as many."""

_CODES: Final = {signal.SIGINT: ExitCode.SIGINT, signal.SIGTERM: ExitCode.SIGTERM}


class Interruption:
    """What the handlers know: whether a signal came, and whether this is a moment that must not be disturbed."""

    def __init__(self) -> None:
        """Nothing came yet."""
        self._came = False
        self._held = False
        self.error: InterruptedRunError | None = None
        """What was raised; a library may have swallowed it (paramiko does, where it sends)."""

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let no signal disturb what goes on here (a clean-up); it is over soon, or ended at the grace's end."""
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Raise InterruptedRunError for the first signal, unless it is held."""
        first, self._came = not self._came, True
        if first and not self._held:
            kind = signal.Signals(number)
            self.error = InterruptedRunError(f"interrupted by {kind.name}", _CODES[kind])
            raise self.error


@contextmanager
def interruptible(grace: timedelta = GRACE) -> Iterator[Interruption]:
    """Turn the first SIGINT or SIGTERM into an InterruptedRunError; ignore those that follow.

    If the process has not ended ``grace`` after the signal, because a call into libvirt or the kernel does
    not return, it is ended the hard way: libvirt then destroys our domains, and the next run takes the files.
    """
    interruption, done = Interruption(), Event()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    Thread(target=_watch, args=(reader, done, grace), name="interruption", daemon=True).start()
    before = {number: signal.signal(number, interruption.on_signal) for number in _CODES}
    wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield interruption
    finally:
        done.set()
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(writer)


@contextmanager
def in_one_piece() -> Iterator[None]:
    """Let SIGINT and SIGTERM wait for the end of what would be ruined by them, but not for ever."""
    with interruptible(grace=WAY_BACK) as interruption, interruption.held():
        yield


def _watch(reader: int, done: Event, grace: timedelta) -> None:
    """End the process when a signal of ours came and the grace is over; other signals wake us for nothing."""
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        while number := pipe.read(1):
            code = _CODES.get(signal.Signals(number[0]))
            if code and not done.wait(grace.total_seconds()):
                os._exit(code)


class Limit:
    """Has it struck? ``error`` is what was raised then; a library may have swallowed it."""

    error: RunLimitError | None = None


@contextmanager
def time_limit(limit: timedelta | None) -> Iterator[Limit]:
    """Raise a RunLimitError in the main thread when ``limit`` is over; None is no limit."""
    told = Limit()
    if limit is None:
        yield told
        return

    def on_alarm(_number: int, _frame: FrameType | None) -> None:
        told.error = RunLimitError(
            f"the run took longer than its limit of {format_duration(limit)}", "raise --timeout if it needs longer"
        )
        raise told.error

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, min(max(limit.total_seconds(), _AT_ONCE), _AT_LAST))
    try:
        yield told
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
