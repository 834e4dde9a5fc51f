"""The images that `bootstrap` can make: suite, packages, disk, and what else is run in it. Starts nothing."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from kvm_action.errors import PlanError
from kvm_action.images.model import Firmware
from kvm_action.units import format_size

_MACHINE: Final = (
    "linux-image-cloud-amd64", "initramfs-tools", "zstd", "grub2-common", "e2fsprogs", "fdisk",
    "systemd-sysv", "systemd-resolved", "libpam-systemd", "dbus", "udev", "kmod", "qemu-guest-agent", "cloud-init",
)  # fmt: skip
_BOOT: Final = {Firmware.BIOS: ("grub-pc-bin",), Firmware.UEFI: ("grub-efi-amd64-bin", "mtools")}
_SERVER: Final = (
    "openssh-server", "sudo", "curl", "wget", "git", "ca-certificates", "python3", "iproute2", "iputils-ping",
    "netbase", "procps", "less", "nano", "vim-tiny", "cron", "logrotate", "locales",
)  # fmt: skip
_PACKAGE: Final = re.compile(r"[a-z0-9][a-z0-9+.-]+")
"""https://www.debian.org/doc/debian-policy/ch-controlfields.html#s-f-source"""
_SIZES: Final = (1 << 30, 2 << 40)
"""A plan's disk has no less; a partition table for BIOS ends there."""


@dataclass(frozen=True, kw_only=True)
class Script:
    """A script that is run in the new system; its first line says by what."""

    name: str
    content: bytes = field(repr=False)


def read_script(path: Path) -> Script:
    """The script in a file. Raises PlanError."""
    try:
        return Script(name=path.name, content=path.read_bytes())
    except OSError as error:
        raise PlanError(f"the script {path} cannot be read: {error.strerror}", hint="check the path") from error


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """An image to make."""

    name: str
    suite: str
    """Debian's code name."""
    firmware: Firmware = Firmware.BIOS
    extra: tuple[str, ...] = ()
    """Packages beside those that every image has."""
    script: Script | None = None
    disk_bytes: int = 4 << 30
    """Size of the disk; the guest grows it at its first boot when the plan's disk is larger."""

    @property
    def packages(self) -> tuple[str, ...]:
        """All that are asked for; what they depend on comes with them."""
        return _MACHINE + _BOOT[self.firmware] + _SERVER + self.extra


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """What a user wants otherwise; None: as the recipe has it."""

    packages: tuple[str, ...] = ()
    disk_bytes: int | None = None
    firmware: Firmware | None = None
    script: Script | None = None


def tuned(recipe: Recipe, tuning: Tuning) -> Recipe:
    """The recipe with a user's wishes. Raises PlanError for one that cannot be granted."""
    for package in tuning.packages:
        if not _PACKAGE.fullmatch(package):
            raise PlanError(f"{package!r} cannot be a package's name", hint="write one name to each --package")
    size = tuning.disk_bytes or recipe.disk_bytes
    if not _SIZES[0] <= size <= _SIZES[1]:
        raise PlanError(
            f"a disk of {format_size(size)} is not possible",
            hint=f"give it from {format_size(_SIZES[0])} to {format_size(_SIZES[1])}; a plan can enlarge it",
        )
    if tuning.script and not tuning.script.content.startswith(b"#!"):
        raise PlanError(
            f"{tuning.script.name} does not say what is to run it",
            hint="its first line must be #!/bin/sh or similar",
        )
    return replace(
        recipe,
        firmware=tuning.firmware or recipe.firmware,
        extra=(*recipe.extra, *sorted(set(tuning.packages) - set(recipe.packages))),
        script=tuning.script or recipe.script,
        disk_bytes=size // 512 * 512,
    )


RECIPES: Final = {
    recipe.name: recipe
    for recipe in (
        Recipe(name="debian-13", suite="trixie"),
        Recipe(name="debian-12", suite="bookworm"),
    )
}
"""By name, the default first."""
