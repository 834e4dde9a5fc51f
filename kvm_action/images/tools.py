"""Programs that the store and the recipes need, and the two host faults they meet: not installed, disk full."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kvm_action.errors import DiskFullError, HostError
from kvm_action.units import format_size

SEARCH_PATH: Final = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
"""An ordinary user's PATH often leaves out the system programs."""


@dataclass(frozen=True)
class Tool:
    """A program and the Debian package that brings it."""

    program: str
    package: str

    @property
    def is_installed(self) -> bool:
        """Is it found on the search path?"""
        return shutil.which(self.program, path=SEARCH_PATH) is not None

    def require(self) -> None:
        """Raise HostError, with the command that installs it, when it is missing."""
        require_all([self])


QEMU_IMG: Final = Tool("qemu-img", "qemu-utils")
MMDEBSTRAP: Final = Tool("mmdebstrap", "mmdebstrap")
PRLIMIT: Final = Tool("prlimit", "util-linux")
SETPRIV: Final = Tool("setpriv", "util-linux")
NEWUIDMAP: Final = Tool("newuidmap", "uidmap")
DEBUGFS: Final = Tool("debugfs", "e2fsprogs")
SFDISK: Final = Tool("sfdisk", "fdisk")


def require_all(tools: list[Tool]) -> None:
    """Raise one HostError that names all missing tools and the one command that installs them."""
    missing = [tool for tool in tools if not tool.is_installed]
    if missing:
        programs = ", ".join(tool.program for tool in missing)
        packages = " ".join(sorted({tool.package for tool in missing}))
        raise HostError(f"missing on this host: {programs}", hint=f"sudo apt-get install -y {packages}")


def require_space(folder: Path, needed: int, purpose: str) -> None:
    """Raise HostError when the file system of ``folder`` has less than ``needed`` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise HostError(
            f"no space for {purpose}: {folder} has {format_size(free)} free, {format_size(needed)} are needed",
            hint="free some, or move the store with KVM_E2E_HOME and temporary files with TMPDIR",
        )


def out_of_space(text: str, folder: Path) -> HostError | None:
    """The error to raise when a program's last words say that the disk is full, else None."""
    if "No space left on device" not in text:
        return None
    free = format_size(shutil.disk_usage(folder).free)
    return DiskFullError(
        f"the disk is full: {folder} has {free} free now that the unfinished work is still there",
        hint="free some, or move the store with KVM_E2E_HOME and temporary files with TMPDIR",
    )
