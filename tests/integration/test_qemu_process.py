"""The clock of a guest: it stands still while the guest waits for the host, and only then."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from uuid import uuid4

import psutil

from kvm_action.hypervisor.qemu_process import GuestClock, waits_for_cpu
from kvm_action.wait import Deadline, until

BUSY = "while True: pass"
ON_ONE_CPU = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n"
TIME = timedelta(seconds=30)


@contextmanager
def process(title: str, program: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Python program that is listed as ``title``."""
    running = subprocess.Popen([title, "-c", program], executable=sys.executable)
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def late(clock: GuestClock) -> float:
    """Seconds by which the clock is behind the host's."""
    return time.monotonic() - clock()


def is_asleep(pid: int) -> bool:
    """Does it sleep for good, after its start?"""
    return psutil.Process(pid).status() == psutil.STATUS_SLEEPING


def test_it_falls_behind_while_others_have_the_cpu() -> None:
    domain = f"test-{uuid4()}"
    with ExitStack() as running:
        guest, *_others = [
            running.enter_context(process(title, ON_ONE_CPU + BUSY)) for title in (f"guest={domain},", "a", "b")
        ]
        clock = GuestClock(domain)
        assert until(lambda: late(clock) > 0.5, Deadline(TIME))
        assert max(waits_for_cpu(guest.pid).values()) > 0.5


def test_a_guest_that_does_nothing_has_the_hosts_clock() -> None:
    domain = f"test-{uuid4()}"
    with process(f"guest={domain},", "import time; time.sleep(60)") as guest:
        clock = GuestClock(domain)
        assert until(lambda: is_asleep(guest.pid), Deadline(TIME))
        before, begun = late(clock), time.monotonic()
        assert until(lambda: time.monotonic() - begun > 1, Deadline(TIME))
        assert late(clock) - before < 0.5


def test_a_guest_that_is_not_there_has_the_hosts_clock() -> None:
    now = [0.0]
    clock = GuestClock("test-nobody", lambda: now[0])
    first = clock()
    now[0] = 7
    assert clock() - first == 7
    assert waits_for_cpu(2**22 + 1) == {}
