"""A machine's state in a file: saved once, loaded into as many other machines as one likes.

libvirt's own save images can be resumed only once at a time and outlive us when we are killed. QEMU's migration
stream, handed over as an open file, has neither fault: the machine that loads it is an ordinary transient domain.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

from kvm_action.errors import HostError
from kvm_action.hypervisor.domain import Domain
from kvm_action.patience import stretched
from kvm_action.wait import Deadline, until

SAVE_TIME: Final = timedelta(minutes=2)
LOAD_TIME: Final = timedelta(minutes=1)
HANDLE: Final = "kvm-e2e-state"
IGNORE_SHARED: Final = "x-ignore-shared"
"""QEMU's name for: memory that both sides have as the same file is not in the stream. Marked as unstable there."""


def save_state(domain: Domain, file: Path, *, with_memory: bool) -> None:
    """Write the state of a suspended ``domain`` to ``file``; the domain cannot go on afterwards.

    Without memory, that must be in a shared memory file. Raises HostError when QEMU cannot.
    """
    _set_ignore_shared(domain, on=not with_memory)
    domain.qmp("migrate-set-parameters", {"max-bandwidth": 1 << 40})
    with _handed_over(domain, file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC):
        domain.qmp("migrate", {"uri": f"fd:{HANDLE}"})
        _wait(domain, stretched(SAVE_TIME), "saved")


def load_state(domain: Domain, file: Path, *, with_memory: bool) -> None:
    """Load a saved state into a ``domain`` that was made for it and is paused. Raises HostError."""
    _set_ignore_shared(domain, on=not with_memory)
    with _handed_over(domain, file, os.O_RDONLY):
        domain.qmp("migrate-incoming", {"uri": f"fd:{HANDLE}"})
        _wait(domain, stretched(LOAD_TIME), "loaded")
    _set_ignore_shared(domain, on=False)


def can_share_memory(domain: Domain) -> bool:
    """Does this QEMU know how to leave shared memory out of the stream?"""
    known = domain.qmp("query-migrate-capabilities")
    return isinstance(known, list) and any(entry["capability"] == IGNORE_SHARED for entry in known)


def _set_ignore_shared(domain: Domain, *, on: bool) -> None:
    capability = {"capability": IGNORE_SHARED, "state": on}
    domain.qmp("migrate-set-capabilities", {"capabilities": [capability]})


@contextmanager
def _handed_over(domain: Domain, file: Path, flags: int) -> Iterator[None]:
    """Give QEMU an open file: so it needs no right to open it, whoever it runs as."""
    descriptor = os.open(file, flags, 0o600)
    try:
        domain.qmp("getfd", {"fdname": HANDLE}, [descriptor])
        yield
    finally:
        os.close(descriptor)


def _wait(domain: Domain, allowed: timedelta, what: str) -> None:
    """Until QEMU has done with the stream. Raises HostError when it failed, or is not done in time."""

    def state() -> str | None:
        answer = domain.qmp("query-migrate")
        status = str(answer.get("status", "")) if isinstance(answer, dict) else ""
        if status == "failed":
            reason = answer.get("error-desc", "no reason given") if isinstance(answer, dict) else ""
            raise HostError(f"the machine's state could not be {what}: {reason}")
        return status if status == "completed" else None

    if not until(state, Deadline(allowed), every=0.005):
        raise HostError(f"the machine's state was not {what} within {allowed.total_seconds():.0f} s")
