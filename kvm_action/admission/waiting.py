"""Waiting for one's turn: first come, first served."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from kvm_action.admission.limits import Host, Need, Running, lacking, nothing_to_wait_for, require_possible
from kvm_action.admission.tickets import Queue, Ticket, taken
from kvm_action.errors import HostError
from kvm_action.text import counted
from kvm_action.units import format_size
from kvm_action.wait import Deadline, until

VARIABLE: Final = "KVM_E2E_ADMISSION"
LONGEST: Final = timedelta(hours=6)
"""GitHub ends a job after this time too."""
EVERY: Final = 0.2


@dataclass(frozen=True)
class Admission:
    """How long it took."""

    queued_seconds: float


@contextmanager
def admitted(
    folder: Path,
    run: str,
    need: Need,
    *,
    measure: Callable[[], Host],
    tell: Callable[[str], None],
    environ: Mapping[str, str] = os.environ,
    longest: timedelta = LONGEST,
) -> Iterator[Admission]:
    """Wait until the host has room for ``need``, and hold it until the end of the context.

    ``tell`` gets a line whenever there is something new to say of the wait. Raises HostError, with numbers, when
    the host will never have the room. ``KVM_E2E_ADMISSION=off`` goes without; raises HostError for other words.
    """
    if not _is_wanted(environ):
        yield Admission(0)
        return
    host = measure()
    require_possible(need, host)
    if need.memory > host.memory_free:
        asked, free = format_size(need.memory), format_size(host.memory_free)
        tell(f"the plan asks for {asked} of memory, and the host has {free} free")
    began = time.monotonic()
    with taken(folder, run, need) as queue:
        _wait(queue, need, measure, _Told(tell), Deadline(longest))
        yield Admission(round(time.monotonic() - began, 3))


def _is_wanted(environ: Mapping[str, str]) -> bool:
    text = environ.get(VARIABLE) or "on"
    if text not in ("on", "off"):
        raise HostError(f"{VARIABLE} is {text!r}", "it must be off, for no queue, or on, which is the default")
    return text == "on"


def _wait(queue: Queue, need: Need, measure: Callable[[], Host], told: "_Told", deadline: Deadline) -> None:
    def judge(before: Sequence[Ticket]) -> bool:
        running = running_of(before)
        lack = lacking(need, measure(), running)
        if not lack and len(running) == len(before):
            return True
        if not before:
            raise nothing_to_wait_for(need, measure(), lack)
        told.waits(lack, len(before))
        return False

    def look() -> bool:
        admitted = queue.look(judge)
        told.say()  # after the look: a terminal that stands still must not keep others from theirs
        return admitted

    if not until(look, deadline, every=EVERY):
        raise HostError(
            f"the run was not admitted within {deadline.allowed.total_seconds() / 3600:.0f} h: {told.last}",
            "are the runs before it stuck? `kvm-e2e vm list` and `virsh list` show machines",
        )


def running_of(tickets: Sequence[Ticket]) -> list[Running]:
    """Those that were admitted."""
    now = time.time()
    return [
        Running(need=ticket.need, seconds=max(0.0, now - ticket.admitted_at))
        for ticket in tickets
        if ticket.admitted_at is not None
    ]


class _Told:
    """Says each thing once."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._told = self.last = ""

    def waits(self, lack: str, before: int) -> None:
        """Note it. ``lack`` is empty when there would be room, but others were first."""
        self.last = f"waiting for {lack or 'its turn'}: {counted(before, 'run')} before this one"

    def say(self) -> None:
        """Tell the last that was noted, if it is new."""
        if self.last != self._told:
            self._told = self.last
            self._tell(self.last)
