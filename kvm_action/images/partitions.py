"""Where a disk's root file system begins, by its partition table (sfdisk reads both kinds)."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from kvm_action import proc
from kvm_action.errors import ImageError
from kvm_action.images.tools import SEARCH_PATH, SFDISK

_LINUX: Final = "83"
_LINUX_DATA: Final = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
_ROOT_X86_64: Final = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"
"""https://uapi-group.org/specifications/specs/discoverable_partitions_specification/"""


def root_offset(disk: Path) -> int:
    """The byte at which the root file system of a raw disk begins; 0 for a disk without partitions."""
    SFDISK.require()
    done = proc.run(["sfdisk", "--json", disk], environment={"PATH": SEARCH_PATH, "LC_ALL": "C"})
    if "does not contain a recognized partition table" in done.stderr:
        return 0
    if not done.ok:
        raise ImageError(f"the partition table of {disk} cannot be read: {done.last_words}")
    table = json.loads(done.stdout)["partitiontable"]
    return start_of_root(table.get("partitions", [])) * int(table.get("sectorsize", 512))


def start_of_root(partitions: Sequence[Mapping[str, Any]]) -> int:
    """The first sector of the partition that says it is a root, or else of the largest Linux partition."""
    roots = [each for each in partitions if each["type"] == _ROOT_X86_64]
    linux = roots or [each for each in partitions if each["type"] in (_LINUX, _LINUX_DATA)]
    if not linux:
        raise ImageError("the disk has no Linux partition to take files from")
    return int(max(linux, key=lambda each: int(each["size"]))["start"])
