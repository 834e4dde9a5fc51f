"""Calls of libvirt that wait for QEMU, for which it sets no limit: a QEMU that stands still must not hold us."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Event, Thread
from typing import Final, TypeVar

from kvm_action.errors import HostError
from kvm_action.units import format_duration
from kvm_action.wait import Deadline, until

T = TypeVar("T")


_LOOK: Final = 0.5
"""Seconds between looks at the deadline; an answer is noticed at once."""


class SilentQemuError(HostError):
    """QEMU does not answer; asking it something else is of no use."""


def bounded(call: Callable[[], T], deadline: Deadline, what: str) -> T:
    """What ``call`` returns. Raises its HostError, and SilentQemuError when it is not back by the deadline.

    The call then goes on in its thread, which ends with QEMU, or with us.
    """
    answer: Future[T] = Future()
    back = Event()
    answer.add_done_callback(lambda _answer: back.set())

    def ask() -> None:
        try:
            answer.set_result(call())
        except HostError as error:
            answer.set_exception(error)

    Thread(target=ask, name="bounded", daemon=True).start()
    if not until(answer.done, deadline, every=_LOOK, woken_by=back):
        allowed = format_duration(deadline.allowed)
        raise SilentQemuError(
            f"{what}: QEMU has not answered within {allowed}", "it stands still, or the host does"
        )
    return answer.result()
