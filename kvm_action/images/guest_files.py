"""What we put into a new file system: our configuration, and the scripts that finish it. Starts nothing."""

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SCRIPTS: Final = "/var/tmp/kvm-e2e"  # noqa: S108 - in the guest, and gone from the finished disk
PARTITION_OFFSET: Final = 1 << 20
"""Where the partition begins, in bytes; the boot loader's core lies before it."""

_HERE = Path(__file__).parent / "guest"


@dataclass(frozen=True, kw_only=True)
class Disk:
    """The disk to make: the UUID of its file system, and its size."""

    file_system: str
    bytes: int

    @property
    def environment(self) -> dict[str, str]:
        """What `customize.sh` and `pack.sh` have to know."""
        return {
            "FILE_SYSTEM": self.file_system,
            "PARTITION_OFFSET": str(PARTITION_OFFSET),
            "PARTITION_KIB": str((self.bytes - PARTITION_OFFSET) // 1024),
        }


def guest_files() -> dict[str, bytes]:
    """Contents by absolute path in the guest."""
    tree = _HERE / "tree"
    files = {f"/{file.relative_to(tree)}": file.read_bytes() for file in tree.rglob("*") if file.is_file()}
    scripts = {f"{SCRIPTS}/{file.name}": file.read_bytes() for file in _HERE.iterdir() if file.is_file()}
    return files | scripts


def guest_tar(disk: Disk) -> bytes:
    """The same as a tar archive, root's own, with the disk's facts filled into the boot menu."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in sorted(guest_files().items()):
            filled = content.replace(b"@FILE_SYSTEM@", disk.file_system.encode())
            member = tarfile.TarInfo(path.lstrip("/"))
            member.size = len(filled)
            member.mode = 0o755 if content.startswith(b"#!") else 0o644
            archive.addfile(member, io.BytesIO(filled))
    return buffer.getvalue()
