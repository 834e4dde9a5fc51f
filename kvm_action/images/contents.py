"""What is on a disk that somebody else made, as far as it can be seen without starting or mounting it."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kvm_action.errors import ImageError
from kvm_action.images import debugfs, partitions
from kvm_action.images.model import Firmware, Package

_OS_RELEASE: Final = "cat /usr/lib/os-release"
_SYSTEM: Final = "stat /usr/lib/os-release"
_IS_THERE: Final = "Inode:"
_CLOUD_INIT: Final = "stat /usr/bin/cloud-init"
_PACKAGES: Final = "cat /var/lib/dpkg/status"
_PLAIN: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")


@dataclass(frozen=True, kw_only=True)
class Contents:
    """``os`` such as ``debian-12``; ``cloud_init`` is None where the file system could not be read."""

    firmware: Firmware | None
    os: str = ""
    cloud_init: bool | None = None
    packages: tuple[Package, ...] = ()


def look_into(disk: Path) -> Contents:
    """At a raw disk. Raises ImageError when it is no bootable disk, or a part of one."""
    firmware = partitions.boots_by(disk)
    try:
        system, cloud_init, packages = debugfs.run(root_of(disk), [_OS_RELEASE, _CLOUD_INIT, _PACKAGES])
    except ImageError:  # another file system, or LVM: its machine may know it
        return Contents(firmware=firmware)
    return Contents(
        firmware=firmware,
        os=os_name(system),
        cloud_init=_is_there(cloud_init),
        packages=tuple(installed(packages)),
    )


def root_of(disk: Path) -> str:
    """Where debugfs finds the root of a raw disk: the partition with a system on it, since /home may be larger.

    Without such a one it is the largest. Raises ImageError when there is none at all.
    """
    places = [f"{disk}?offset={offset}" for offset in partitions.root_offsets(disk)]
    for place in places:
        with suppress(ImageError):  # another file system, or swap
            if _is_there(debugfs.run(place, [_SYSTEM])[0]):
                return place
    return places[0]


def _is_there(said: Sequence[str]) -> bool:
    return any(line.startswith(_IS_THERE) for line in said)


def os_name(lines: Sequence[str]) -> str:
    """``debian-12`` by the lines of an os-release file; empty when they do not say so plainly."""
    pairs = (line.partition("=") for line in lines)
    said = {key: value.strip().strip("\"'") for key, _, value in pairs}
    name = "-".join(filter(None, (said.get("ID", ""), said.get("VERSION_ID", ""))))
    return name if said.get("ID") and _PLAIN.fullmatch(name) else ""


def installed(lines: Sequence[str]) -> Iterator[Package]:
    """The installed packages by the lines of dpkg's status file."""
    fields: dict[str, str] = {}
    for line in (*lines, ""):
        if line:
            key, _, value = line.partition(": ")
            fields.setdefault(key, value)
            continue
        if fields.get("Status", "").endswith(" installed") and "Package" in fields:
            yield Package(name=fields["Package"], version=fields.get("Version", ""))
        fields = {}
