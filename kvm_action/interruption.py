"""SIGINT and SIGTERM as one exception in the main thread, raised once; the tear-down is then left alone."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread
from types import FrameType
from typing import Final

from kvm_action.errors import CommandTimeoutError, ExitCode, InterruptedRunError
from kvm_action.units import format_duration

GRACE: Final = timedelta(seconds=6.5)
"""An Actions runner kills 10 s after its SIGINT; a call that blocks must not keep us longer than this."""

_CODES: Final = {signal.SIGINT: ExitCode.SIGINT, signal.SIGTERM: ExitCode.SIGTERM}


@contextmanager
def interruptible(grace: timedelta = GRACE) -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM into an InterruptedRunError; ignore those that follow.

    If the process has not ended ``grace`` after the signal, because a call into libvirt or the kernel does
    not return, it is ended the hard way: libvirt then destroys our domains, and the next run takes the files.
    """
    done = Event()
    fired = Event()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if fired.is_set():
            return
        fired.set()
        raise InterruptedRunError(f"interrupted by {signal.Signals(number).name}", _CODES[signal.Signals(number)])

    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def watch() -> None:
        number = os.read(reader, 1)
        os.close(reader)
        if number and not done.wait(grace.total_seconds()):
            os._exit(_CODES[signal.Signals(number[0])])

    Thread(target=watch, name="interruption", daemon=True).start()
    before = {number: signal.signal(number, on_signal) for number in _CODES}
    wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield
    finally:
        done.set()
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(writer)


@contextmanager
def time_limit(limit: timedelta | None) -> Iterator[None]:
    """Raise a CommandTimeoutError in the main thread when ``limit`` is over; None is no limit."""
    if limit is None:
        yield
        return

    def on_alarm(_number: int, _frame: FrameType | None) -> None:
        raise CommandTimeoutError(
            f"the run took longer than its limit of {format_duration(limit)}", "raise --timeout if it needs longer"
        )

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, limit.total_seconds())
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
