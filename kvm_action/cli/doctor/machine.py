"""The machine under us: processor, KVM, memory, disk, speed."""

import platform
from datetime import timedelta
from pathlib import Path
from tempfile import gettempdir
from typing import Final

import psutil

from kvm_action.accel import KvmFacts
from kvm_action.accel.guest import run_guest
from kvm_action.cli.doctor.circumstances import Circumstances
from kvm_action.doctor import Finding, Level, cpu, disk, kvm, memory, speed, tuning
from kvm_action.paths import Home
from kvm_action.patience import stretched
from kvm_action.plan.model import Accel
from kvm_action.procfs import Host
from kvm_action.wait import Deadline

GUEST_PATIENCE: Final = timedelta(seconds=15)


def processor(at: Circumstances) -> list[Finding]:
    """Architecture, virtualization, nesting."""
    missing = Level.OK if at.accel is Accel.TCG else at.without_kvm
    return [
        cpu.architecture(platform.machine()),
        cpu.virtualization(at.host.cpu(), missing),
        cpu.nested(at.host),
    ]


def kernel_device(at: Circumstances, facts: KvmFacts) -> list[Finding]:
    """Modules, device, ioctls, and a guest of our own."""
    missing = at.without_kvm
    seen = [kvm.modules(at.host, missing), kvm.device_node(at.host, missing)]
    if facts.device and at.opens_kvm:
        seen.append(kvm.api(facts.device.trouble, missing))
    if facts.guest:
        seen.append(kvm.guest(facts.trouble, facts.trouble or facts.guest.sentence, missing))
    return seen


def emulation() -> list[Finding]:
    """A guest of our own by emulation: QEMU works."""
    ran = run_guest("tcg", "max,-cx16", Deadline(stretched(GUEST_PATIENCE / 2)))
    level = Level.OK if ran.ok else Level.PROBLEM
    return [Finding(subject="TCG guest", level=level, seen=ran.sentence)]


def memories(host: Host) -> list[Finding]:
    """Memory of all kinds."""
    shared = psutil.disk_usage(memory.SHM).total if Path(memory.SHM).is_dir() else 0
    return [
        memory.memory(host),
        memory.swap(host),
        memory.huge_pages(host),
        memory.shared_memory(shared),
    ]


def disks(home: Home) -> list[Finding]:
    """Space and speed."""
    places = {"images": home.images, "runs": home.runs, "temporary files": Path(gettempdir())}
    return [*disk.space(places), disk.speed(home.root)]


def speeds(host: Host) -> list[Finding]:
    """Processor, load, governor."""
    return [speed.processor(), speed.load(host), tuning.governor(host)]
