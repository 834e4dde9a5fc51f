"""What a host has, what runs need, and whether one more fits. Pure but for `measured`."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kvm_action import procfs
from kvm_action.errors import HostError
from kvm_action.units import format_size

CPU_FACTOR: Final = 20.0
"""Virtual CPUs for each real one: those of test machines idle most of the time."""
MEMORY_FACTOR: Final = 0.95
"""Of the host's memory, for all machines together; what is left is for the host itself."""
PER_MACHINE: Final = 64 << 20
"""Bytes that QEMU takes besides the guest's memory."""
SETTLED: Final = 60.0
"""Seconds after which a machine has touched the memory and the disk that it is going to touch soon."""


@dataclass(frozen=True, kw_only=True)
class Need:
    """What a run needs, in bytes. ``disk`` is what it will write, by a cautious guess."""

    memory: int
    cpus: int
    disk: int


@dataclass(frozen=True, kw_only=True)
class Running:
    """A run that was admitted, and for how many seconds it has been."""

    need: Need
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Host:
    """What the host has for machines: ``memory`` and ``cpus`` in all, the others free at this moment. Bytes."""

    memory: int
    memory_free: int
    cpus: int
    disk_free: int


def measured(runs: Path, environ: Mapping[str, str] = os.environ) -> Host:
    """This host. ``KVM_E2E_CPU_FACTOR`` and ``KVM_E2E_MEMORY_FACTOR`` say how far it may be promised."""
    memory = procfs.Host().memory()
    there = next(folder for folder in (runs, *runs.parents) if folder.is_dir())
    return Host(
        memory=int(
            (memory["MemTotal"] - memory.get("Hugetlb", 0))
            * _factor(environ, "KVM_E2E_MEMORY_FACTOR", MEMORY_FACTOR)
        ),
        memory_free=memory["MemAvailable"],
        cpus=int((os.cpu_count() or 1) * _factor(environ, "KVM_E2E_CPU_FACTOR", CPU_FACTOR)),
        disk_free=shutil.disk_usage(there).free,
    )


def _factor(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name) or str(default)
    try:
        factor = float(text)
    except ValueError:
        factor = 0
    if not 0 < factor < 1000:
        raise HostError(f"{name} is {text!r}", f"it must be a number above 0; the default is {default}")
    return factor


def require_possible(need: Need, host: Host) -> None:
    """Raise HostError, with numbers, when the run could not even have the host for itself."""
    if need.memory + PER_MACHINE > host.memory:
        raise HostError(
            f"the plan asks for {format_size(need.memory)} of memory, and this host has "
            f"{format_size(host.memory)} for machines",
            "lower machine.memory in the plan, or use a larger host",
        )
    if need.cpus > host.cpus:
        raise HostError(
            f"the plan asks for {need.cpus} CPUs, and this host gives at most {host.cpus}",
            "lower machine.cpus in the plan, or raise KVM_E2E_CPU_FACTOR",
        )


def lacking(need: Need, host: Host, running: Sequence[Running]) -> str:
    """What the host lacks for one more run at this moment: ``memory``, ``CPUs``, ``disk``, or empty.

    Memory is judged twice: by what was promised to all, and by what is free once those that have just begun have
    taken theirs. Free memory alone would admit twenty runs in the second before the first one takes any.
    """
    fresh = [each.need for each in running if each.seconds < SETTLED]
    promised = sum(each.need.memory + PER_MACHINE for each in running)
    wanted = need.memory + PER_MACHINE
    untouched = sum(each.memory + PER_MACHINE for each in fresh)
    if promised + wanted > host.memory or (running and untouched + wanted > host.memory_free):
        return "memory"
    if sum(each.need.cpus for each in running) + need.cpus > host.cpus:
        return "CPUs"
    if sum(each.disk for each in fresh) + need.disk > host.disk_free:
        return "disk"
    return ""


def nothing_to_wait_for(need: Need, host: Host, lack: str) -> HostError:
    """The error, with numbers, for a host that lacks something although no other run is there to free it."""
    if lack == "disk":
        return HostError(
            f"the host's disk is nearly full: {format_size(host.disk_free)} are free, the run wants "
            f"{format_size(need.disk)}",
            "free some, or set KVM_E2E_HOME to another disk; `kvm-e2e vm list` shows machines that were kept",
        )
    return HostError(f"this host does not have enough {lack} for the plan", "ask for less in the plan")
