"""Where the memory of a template goes: a tmpfs where there is room, else the disk. Judged by numbers alone."""

import os
import secrets
import shutil
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

from kvm_action import proc
from kvm_action.procfs import Host

SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - that is what it is for; our folder in it is closed
_WORTH_IT: Final = 32 << 20
_DIGGING: Final = timedelta(seconds=20)
OWNER: Final = "store"
SPARE: Final = 0.25
"""The part of the host's memory that stays free of templates."""


@dataclass(frozen=True)
class Room:
    """Free bytes: in the tmpfs, of memory (and how much there is at all), and on the store's disk."""

    tmpfs: int
    memory_available: int
    memory_total: int
    disk: int

    def fits_in_tmpfs(self, size: int) -> bool:
        """Is there room for a memory file in the tmpfs, with memory left for machines?"""
        return self.tmpfs >= size and self.memory_available - size >= SPARE * self.memory_total

    def fits_on_disk(self, size: int) -> bool:
        """Is there room for it on the disk?"""
        return self.disk >= size + (2 << 30)


def look(root: Path, tmpfs: Path = SHARED_MEMORY, host: Host | None = None) -> Room:
    """How much room there is now."""
    memory = (host or Host()).memory()
    return Room(
        tmpfs=shutil.disk_usage(tmpfs).free if tmpfs.is_dir() else 0,
        memory_available=memory.get("MemAvailable", 0),
        memory_total=memory.get("MemTotal", 0),
        disk=shutil.disk_usage(root).free,
    )


def folder_in_tmpfs(tmpfs: Path = SHARED_MEMORY) -> Path:
    """This user's folder for memory files. Others may pass, but not look: file names in it cannot be guessed."""
    folder = tmpfs / f"kvm-e2e-{os.geteuid()}"
    folder.mkdir(mode=0o711, exist_ok=True)
    if folder.stat().st_uid != os.geteuid():
        raise PermissionError(f"{folder} belongs to somebody else")
    return folder


def folder_of_store(root: Path, tmpfs: Path = SHARED_MEMORY) -> Path:
    """Stores of one user share the tmpfs; each has its own folder there, which says whose it is."""
    place = str(root.absolute())
    folder = folder_in_tmpfs(tmpfs) / sha256(place.encode()).hexdigest()[:16]
    folder.mkdir(mode=0o711, exist_ok=True)
    (folder / OWNER).write_text(place)
    return folder


def forget_stores_that_are_gone(tmpfs: Path = SHARED_MEMORY) -> None:
    """Free the memory of stores whose folder somebody has removed."""
    for owner in folder_in_tmpfs(tmpfs).glob(f"*/{OWNER}"):
        place = owner.read_text()
        if place and not Path(place).is_dir():
            shutil.rmtree(owner.parent, ignore_errors=True)


def occupied(file: Path) -> int:
    """Bytes that a file really takes."""
    return file.stat().st_blocks * 512


def give_back(file: Path, needed: int) -> None:
    """Free what a memory file takes above the ``needed`` bytes that it was made with.

    A snapshot of a machine reads all of its memory, and a tmpfs then keeps a page even for what was never written.
    Nothing writes to the file, so pages of zeros can become holes again while machines have it open.
    """
    if occupied(file) - needed < _WORTH_IT:
        return
    before = file.stat()
    proc.run(["fallocate", "--dig-holes", file], timeout=_DIGGING)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # its content is what it was


def file_name(key: str) -> str:
    """A name that starts with the template's and cannot be guessed."""
    return f"{key}-{secrets.token_hex(16)}.ram"
