"""libvirt's event loop, which must be one however many threads ask for it first."""

import sys
from datetime import timedelta

import pytest

from kvm_action import proc

pytestmark = pytest.mark.integration

MANY = """
import sys, threading
from kvm_action.hypervisor.connection import start_event_loop
sys.setswitchinterval(1e-6)
together = threading.Barrier(16)
callers = [threading.Thread(target=lambda: (together.wait(), start_event_loop())) for _ in range(16)]
for caller in callers:
    caller.start()
for caller in callers:
    caller.join()
print([thread.name for thread in threading.enumerate()].count("libvirt-events"))
"""


def test_threads_that_connect_first_at_once_share_one_event_loop() -> None:
    loops = [proc.run([sys.executable, "-c", MANY], timeout=timedelta(seconds=30)) for _ in range(10)]
    assert [done.stdout.strip() for done in loops] == ["1"] * 10, loops[0].stderr
