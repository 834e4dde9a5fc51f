"""/dev/kvm asked directly by ioctl: does it open, which API does it speak, does it make a VM and a vCPU?

The numbers are those of Linux' Documentation/virt/kvm/api.rst; they are the same on every architecture.
"""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

KVM_GET_API_VERSION: Final = 0xAE00
KVM_CREATE_VM: Final = 0xAE01
KVM_CREATE_VCPU: Final = 0xAE41
STABLE_API: Final = 12
"""The only version there has been since Linux 2.6.22."""


@dataclass(frozen=True)
class DeviceState:
    """What the device did. ``trouble`` is empty when it did all that was asked."""

    trouble: str = ""

    @property
    def ok(self) -> bool:
        """Was a VM with a vCPU made?"""
        return not self.trouble


def examine(device: Path = Path("/dev/kvm")) -> DeviceState:
    """Open the device and make a VM with one vCPU, which vanish again. Never raises."""
    if not device.exists():
        return DeviceState(f"{device} does not exist")
    try:
        descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        return DeviceState(f"{device} cannot be opened: {error.strerror}")
    try:
        return _ask(descriptor, device)
    finally:
        os.close(descriptor)


def _ask(descriptor: int, device: Path) -> DeviceState:
    doing = "be asked for its API version"
    try:
        version = fcntl.ioctl(descriptor, KVM_GET_API_VERSION, 0)
        if version != STABLE_API:
            return DeviceState(f"{device} speaks KVM API {version} instead of {STABLE_API}")
        doing = "make a virtual machine"
        machine = fcntl.ioctl(descriptor, KVM_CREATE_VM, 0)
        try:
            doing = "make a virtual CPU"
            os.close(fcntl.ioctl(machine, KVM_CREATE_VCPU, 0))
        finally:
            os.close(machine)
    except OSError as error:
        return DeviceState(f"{device} cannot {doing}: {error.strerror}")
    return DeviceState()
