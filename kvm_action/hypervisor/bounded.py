"""Calls of libvirt that wait for QEMU, for which it sets no limit: a QEMU that stands still must not hold us."""

from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as LateError
from datetime import timedelta
from threading import Thread
from typing import TypeVar

from kvm_action.errors import HostError
from kvm_action.units import format_duration

T = TypeVar("T")


class SilentQemuError(HostError):
    """QEMU does not answer; asking it something else is of no use."""


def bounded(call: Callable[[], T], allowed: timedelta, what: str) -> T:
    """What ``call`` returns. Raises its HostError, and SilentQemuError when it takes longer than ``allowed``.

    The call then goes on in its thread, which ends with QEMU, or with us.
    """
    answer: Future[T] = Future()

    def ask() -> None:
        try:
            answer.set_result(call())
        except HostError as error:
            answer.set_exception(error)

    Thread(target=ask, name="bounded", daemon=True).start()
    try:
        return answer.result(allowed.total_seconds())
    except LateError as late:
        raise SilentQemuError(
            f"{what}: QEMU has not answered within {format_duration(allowed)}", "it stands still, or the host does"
        ) from late
