"""The testbed: what host this is, and the fingerprint within which results may be compared."""

import hashlib
import os
import platform
from pathlib import Path

import psutil

from kvm_action.results import HostInfo


def host_info(*, libvirt: str, hypervisor: str, accel: str) -> HostInfo:
    """Facts of this host. Memory is the kernel's own figure: libvirt's node information can be far off."""
    cpu, memory = _cpu_model(), psutil.virtual_memory().total
    facts = (cpu, str(os.cpu_count()), str(round(memory / 2**30)), platform.release(), libvirt, hypervisor, accel)
    return HostInfo(
        fingerprint=hashlib.sha256("\n".join(facts).encode()).hexdigest()[:12],
        os=_pretty_name(),
        kernel=platform.release(),
        cpu=cpu,
        cpus=os.cpu_count() or 0,
        memory_bytes=memory,
        libvirt=libvirt,
        hypervisor=hypervisor,
    )


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _pretty_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return ""
