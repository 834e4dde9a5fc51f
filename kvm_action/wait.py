"""Waiting, always against a deadline and never by a bare sleep."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Timer
from typing import Final, TypeVar

Clock = Callable[[], float]
T = TypeVar("T")

_NEVER: Final = Event()


class Deadline:
    """A moment after which there is no more waiting. Passed down, so that nested waits share one budget."""

    def __init__(self, allowed: timedelta, clock: Clock = time.monotonic) -> None:
        """``clock`` returns seconds and must not jump."""
        self.allowed = allowed
        self._clock = clock
        self._end = clock() + allowed.total_seconds()

    @property
    def left(self) -> float:
        """Seconds left, 0 when none."""
        return max(0.0, self._end - self._clock())

    @property
    def passed(self) -> bool:
        """Is there no time left?"""
        return self.left == 0

    def at_most(self, limit: timedelta) -> "Deadline":
        """A deadline ``limit`` from now, or this one if it comes first."""
        return Deadline(min(limit, timedelta(seconds=self.left)), self._clock)


def until(
    check: Callable[[], T | None],
    deadline: Deadline,
    every: float = 0.1,
    woken_by: Event = _NEVER,
    *,
    lateness: float = 0,
) -> T | None:
    """Call ``check`` until it returns something true, or the deadline passes (then None).

    Between calls it waits ``every`` seconds, or less when the event ``woken_by`` is set by somebody who knows
    that looking again is worth it. Where a call costs those who are waited for, ``lateness`` makes calls rarer the
    longer it takes: it is the part of the time waited so far by which the end may be noticed late.
    ``check`` is called at least once, and once more at the very end.
    """
    at_first = deadline.left
    while True:
        last = deadline.passed
        if found := check():
            return found
        if last:
            return None
        look_again = max(every, lateness * (at_first - deadline.left))
        if woken_by.wait(min(look_again, deadline.left)):
            woken_by.clear()


def pause(seconds: float, deadline: Deadline | None = None) -> None:
    """Let others go first: for ``seconds``, or until the deadline if that comes first."""
    _NEVER.wait(seconds if deadline is None else min(seconds, deadline.left))


@contextmanager
def unless_done_in(seconds: float, late: Callable[[], object]) -> Iterator[None]:
    """Call ``late``, in a thread, when the context takes longer than ``seconds``.

    A signal may come at any moment, also while the thread starts: it never keeps the process from ending.
    """
    timer = Timer(seconds, late)
    timer.daemon = True
    try:
        timer.start()
        yield
    finally:
        timer.cancel()
