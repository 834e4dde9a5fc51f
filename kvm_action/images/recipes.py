"""The images that `bootstrap` can make: which Debian suite, which packages, how large a disk. Values only."""

from dataclasses import dataclass
from typing import Final

_MACHINE = (
    "linux-image-cloud-amd64", "initramfs-tools", "zstd", "grub-pc-bin", "grub2-common", "e2fsprogs", "fdisk",
    "systemd-sysv", "systemd-resolved", "libpam-systemd", "dbus", "udev", "kmod", "qemu-guest-agent", "cloud-init",
)  # fmt: skip
_SERVER = (
    "openssh-server", "sudo", "curl", "wget", "git", "ca-certificates", "python3", "iproute2", "iputils-ping",
    "netbase", "procps", "less", "nano", "vim-tiny", "cron", "logrotate", "locales",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """An image to make."""

    name: str
    suite: str
    """Debian's code name."""
    packages: tuple[str, ...] = _MACHINE + _SERVER
    disk_bytes: int = 4 << 30
    """Size of the disk; the guest grows it at its first boot when the plan's disk is larger."""


RECIPES: Final = {
    recipe.name: recipe
    for recipe in (
        Recipe(name="debian-13", suite="trixie"),
        Recipe(name="debian-12", suite="bookworm"),
    )
}
"""By name, the default first."""
