"""Keeps the terminal from writing `^C` into the lines that we draw and erase again."""

import os
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_LOCAL_FLAGS = 3
"""Their place in what tcgetattr returns."""


@contextmanager
def no_echo_of_control_keys() -> Iterator[None]:
    """Switch the echo of control keys off, and back on at the end. Nothing happens where there is no terminal."""
    if not (before := _echoing()):
        yield
        return
    _set_echo(on=False)
    try:
        yield
    finally:
        _set_echo(on=before)


def _echoing() -> bool:
    with suppress(termios.error, OSError, ValueError, AttributeError):
        return bool(termios.tcgetattr(sys.stdin.fileno())[_LOCAL_FLAGS] & termios.ECHOCTL)
    return False


def _set_echo(*, on: bool) -> None:
    """Only in the foreground: the kernel stops a background job that changes its terminal."""
    descriptor = sys.stdin.fileno()
    with suppress(termios.error, OSError):
        if os.tcgetpgrp(descriptor) == os.getpgrp():
            flags = termios.tcgetattr(descriptor)
            flags[_LOCAL_FLAGS] &= ~termios.ECHOCTL
            flags[_LOCAL_FLAGS] |= termios.ECHOCTL * on
            termios.tcsetattr(descriptor, termios.TCSADRAIN, flags)
