"""Where a disk's root file system begins, by its partition table (sfdisk reads both kinds)."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from kvm_action import proc
from kvm_action.errors import ImageError
from kvm_action.images.model import Firmware
from kvm_action.images.tools import SEARCH_PATH, SFDISK

_LINUX: Final = "83"
_LINUX_DATA: Final = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
_ROOT_X86_64: Final = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"
_EFI_SYSTEM: Final = {"ef", "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"}
"""https://uapi-group.org/specifications/specs/discoverable_partitions_specification/"""
_BOOT_MARK: Final = b"\x55\xaa"
_BOOT_CODE: Final = 440
"""Bytes of the first sector that hold a boot loader's code."""


def root_offsets(disk: Path) -> list[int]:
    """The bytes of a raw disk at which its root file system may begin; 0 for a disk without partitions."""
    if (table := _table(disk)) is None:
        return [0]
    return [start * _sector(table) for start in starts_of_roots(table.get("partitions", []))]


def boots_by(disk: Path) -> Firmware | None:
    """What a raw disk boots by: BIOS where it has the code for it, else UEFI where it has the partition for it.

    Raises ImageError when it is no disk that anything boots from, or when it ends before its partitions do.
    """
    with disk.open("rb") as file:
        first = file.read(512)
    if first[510:] != _BOOT_MARK:
        raise ImageError(
            f"{disk.name} is no disk that a machine can boot from: it does not begin with a partition table or a "
            "boot loader",
            hint="an image is a whole disk, not a single file system or another kind of file",
        )
    table = _table(disk) or {}
    _require_whole(disk, table)
    if any(first[:_BOOT_CODE]):
        return Firmware.BIOS
    types = {str(each["type"]).lower() for each in table.get("partitions", [])}
    return Firmware.UEFI if types & _EFI_SYSTEM else None


def starts_of_roots(partitions: Sequence[Mapping[str, Any]]) -> list[int]:
    """Where the partitions begin, in sectors, that say they are a root, or else all Linux ones; largest first."""
    roots = [each for each in partitions if each["type"] == _ROOT_X86_64]
    linux = roots or [each for each in partitions if each["type"] in (_LINUX, _LINUX_DATA)]
    if not linux:
        raise ImageError("the disk has no Linux partition to take files from")
    return [int(each["start"]) for each in sorted(linux, key=lambda each: int(each["size"]), reverse=True)]


def _table(disk: Path) -> Mapping[str, Any] | None:
    """What sfdisk says of a raw disk, None when it has no partition table."""
    SFDISK.require()
    done = proc.run(["sfdisk", "--json", disk], environment={"PATH": SEARCH_PATH, "LC_ALL": "C"})
    if "does not contain a recognized partition table" in done.stderr:
        return None
    if not done.ok:
        raise ImageError(f"the partition table of {disk} cannot be read: {done.last_words}")
    table: Mapping[str, Any] = json.loads(done.stdout)["partitiontable"]
    return table


def _sector(table: Mapping[str, Any]) -> int:
    return int(table.get("sectorsize", 512))


def _require_whole(disk: Path, table: Mapping[str, Any]) -> None:
    ends = [(int(each["start"]) + int(each["size"])) * _sector(table) for each in table.get("partitions", [])]
    size = disk.stat().st_size
    if max(ends, default=0) > size:
        raise ImageError(
            f"{disk.name} was cut short: its last partition ends at byte {max(ends)}, the disk at {size}",
            hint="fetch or make it again",
        )
