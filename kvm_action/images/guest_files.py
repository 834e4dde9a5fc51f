"""What we put into a new file system: our configuration, and the scripts that finish it. Starts nothing."""

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from kvm_action.images.model import Firmware

SCRIPTS: Final = "/var/tmp/kvm-e2e"  # noqa: S108 - in the guest, and gone from the finished disk
USER_SCRIPT: Final = f"{SCRIPTS}/user/script"

_MIB: Final = 1 << 20
_BEFORE: Final = _MIB
"""Before the first partition; the boot loader's core lies there, for BIOS."""
_ESP: Final = 64 * _MIB
"""Bytes of UEFI's own partition; FAT32 begins at 33 MB."""
_AFTER: Final = _MIB
"""After the last one: the second copy of a GPT, rounded up."""
_HERE = Path(__file__).parent / "guest"


@dataclass(frozen=True, kw_only=True)
class Disk:
    """The disk to make: what it boots by, its size, and what tells its file systems from others."""

    firmware: Firmware
    bytes: int
    file_system: UUID

    @property
    def root_offset(self) -> int:
        """Where the root's partition begins, in bytes."""
        return _BEFORE + (_ESP if self.firmware is Firmware.UEFI else 0)

    @property
    def root_bytes(self) -> int:
        """Its size."""
        return self.bytes - self.root_offset - (_AFTER if self.firmware is Firmware.UEFI else 0)

    @property
    def esp_serial(self) -> str:
        """The number of UEFI's FAT file system; derived, it needs only be unlike that of other disks."""
        return self.file_system.hex[:8].upper()

    @property
    def environment(self) -> dict[str, str]:
        """What `customize.sh` and `pack.sh` have to know."""
        return {
            "FIRMWARE": self.firmware,
            "FILE_SYSTEM": str(self.file_system),
            "ESP_SERIAL": self.esp_serial,
            "ESP_OFFSET": str(_BEFORE),
            "ESP_BYTES": str(_ESP),
            "ROOT_OFFSET": str(self.root_offset),
            "ROOT_KIB": str(self.root_bytes // 1024),
        }


def guest_files() -> dict[str, bytes]:
    """Contents by absolute path in the guest."""
    tree = _HERE / "tree"
    files = {f"/{file.relative_to(tree)}": file.read_bytes() for file in tree.rglob("*") if file.is_file()}
    scripts = {f"{SCRIPTS}/{file.name}": file.read_bytes() for file in _HERE.iterdir() if file.is_file()}
    return files | scripts


def guest_tar(disk: Disk, script: bytes | None = None) -> bytes:
    """The same as a tar archive, root's own, with the disk's facts filled into the boot menu.

    ``script`` is the user's own; it goes in as it is.
    """
    files = {
        path: content.replace(b"@FILE_SYSTEM@", str(disk.file_system).encode())
        for path, content in guest_files().items()
    }
    if script is not None:
        files[USER_SCRIPT] = script
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in sorted(files.items()):
            member = tarfile.TarInfo(path.lstrip("/"))
            member.size = len(content)
            member.mode = 0o755 if content.startswith(b"#!") else 0o644
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
