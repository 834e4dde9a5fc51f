"""A run's place among the runs of its host: what its machine will need, and the wait told as notes."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from kvm_action.admission import Admission, Need, admitted, measured
from kvm_action.admission.tickets import shared_folder
from kvm_action.events import Note, Sink
from kvm_action.plan.model import Plan

OVERLAY: Final = 512 << 20
"""Bytes that a run is expected to write besides its snapshots; the plan's disk size is only a limit."""


def need_of(plan: Plan) -> Need:
    """A snapshot holds the guest's memory once more, on disk. Memory in huge pages was set apart before."""
    machine = plan.machine
    disk = OVERLAY + machine.memory // 2 * len(plan.snapshots)
    return Need(memory=0 if machine.hugepages else machine.memory, cpus=machine.cpus, disk=disk)


def queued(plan: Plan, run: str, runs: Path, sink: Sink) -> AbstractContextManager[Admission]:
    """Wait for room on the host, and hold it. Raises HostError when there can be none."""
    return queued_for(need_of(plan), run, runs, lambda line: sink(Note(text=line)))


def queued_for(need: Need, run: str, runs: Path, tell: Callable[[str], None]) -> AbstractContextManager[Admission]:
    """The same for a machine that is not a plan's."""
    queue = shared_folder(runs.parent / "queue")
    return admitted(queue, run, need, measure=lambda: measured(runs), tell=tell)
