"""Where the memory of a template goes: a tmpfs where there is room, else the disk. Judged by numbers alone."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

from kvm_action import proc
from kvm_action.procfs import Host
from kvm_action.wait import Deadline

SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - that is what it is for; our folder in it is closed
_WORTH_IT: Final = 32 << 20
_WORTH_A_CALL: Final = 1 << 20
_PUNCHING: Final = timedelta(seconds=20)
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


def look(root: Path, tmpfs: Path = SHARED_MEMORY, host: Host | None = None, in_use: Iterable[Path] = ()) -> Room:
    """How much room there is now, less what the memory files that are ``in_use`` may still grow by."""
    memory, promised = (host or Host()).memory(), sum(map(_missing, in_use))
    return Room(
        tmpfs=max(0, shutil.disk_usage(tmpfs).free - promised) if tmpfs.is_dir() else 0,
        memory_available=max(0, memory.get("MemAvailable", 0) - promised),
        memory_total=memory.get("MemTotal", 0),
        disk=shutil.disk_usage(root).free,
    )


def _missing(file: Path) -> int:
    """Bytes of a memory file's holes: where a machine writes into one, the file gets a page too."""
    with suppress(OSError):
        return max(0, file.stat().st_size - occupied(file))
    return 0


def folder_in_tmpfs(tmpfs: Path = SHARED_MEMORY) -> Path:
    """This user's folder for memory files. Others may pass, but not look: file names in it cannot be guessed."""
    folder = tmpfs / f"kvm-e2e-{os.geteuid()}"
    folder.mkdir(mode=0o711, exist_ok=True)
    if folder.stat().st_uid != os.geteuid():
        raise PermissionError(f"{folder} belongs to somebody else")
    return folder


def folder_of_store(root: Path, tmpfs: Path = SHARED_MEMORY) -> Path:
    """Stores of one user share the tmpfs; each has its own folder there, which says whose it is."""
    place = str(root.resolve())  # however it is spelled
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


def holes(file: Path) -> list[list[int]]:
    """Offset and length, in bytes, of the large ranges of a memory file that were never written."""
    found, at = [], 0
    with file.open("rb") as opened:
        descriptor, size = opened.fileno(), file.stat().st_size
        while at < size:
            hole = os.lseek(descriptor, at, os.SEEK_HOLE)
            try:
                at = os.lseek(descriptor, hole, os.SEEK_DATA)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                at = size  # nothing but a hole is left
            if at - hole >= _WORTH_A_CALL:
                found.append([hole, at - hole])
    return found


def give_back(file: Path, needed: int, never_written: Sequence[Sequence[int]]) -> None:
    """Free what a memory file takes above the ``needed`` bytes that it was made with.

    A snapshot of a machine reads all of its memory, and a tmpfs then keeps a page even for what was never written:
    the ranges that were `holes` when it was made. Nothing writes to the file, so they can become holes again while
    machines have it open. To look for zeros instead takes four times as long.
    """
    if occupied(file) - needed < _WORTH_IT:
        return
    before, deadline = file.stat(), Deadline(_PUNCHING)
    try:
        for offset, length in never_written:
            range_ = ["--offset", str(offset), "--length", str(length)]
            proc.run(
                ["fallocate", "--punch-hole", *range_, file], timeout=timedelta(seconds=max(1, deadline.left))
            )
    finally:
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # its content is what it was


def file_name(key: str) -> str:
    """A name that starts with the template's and cannot be guessed."""
    return f"{key}-{secrets.token_hex(16)}.ram"
