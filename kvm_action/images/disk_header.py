"""What a disk file is by its first bytes, read by ourselves: no program has opened it, or what it points at, yet.

qcow2: docs/interop/qcow2.txt of QEMU; vmdk: VMware's Virtual Disk Format 5.0, chapter 4. A raw disk has no header
of its own; nothing but the caller's word says that a file is one, so it is told from what is no disk at all.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HEAD_BYTES: Final = 64 << 10

_QCOW2: Final = b"QFI\xfb"
_VMDK: Final = b"KDMV"
_VMDK_TEXT: Final = b"# Disk DescriptorFile"
_EXTERNAL_DATA: Final = 1 << 2
_DESCRIPTOR_SECTORS: Final = 20
"""How far QEMU reads, whatever the header says."""

_NO_DISK: Final = {
    b"\x1f\x8b": "compressed by gzip: unpack it first (gunzip)",
    b"\xfd7zXZ\0": "compressed by xz: unpack it first (unxz)",
    b"\x28\xb5\x2f\xfd": "compressed by zstd: unpack it first (unzstd)",
    b"BZh": "compressed by bzip2: unpack it first (bunzip2)",
    b"PK\x03\x04": "a zip archive (an OVA or a Vagrant box is an archive too): take the disk out of it",
    b"<": "text, most likely a web page that came instead of the file",
    b"conectix": "VHD: qemu-img convert -f vpc -O qcow2",
    b"vhdxfile": "VHDX: qemu-img convert -f vhdx -O qcow2",
    b"<<< Oracle VM VirtualBox Disk Image >>>": "VDI: qemu-img convert -f vdi -O qcow2",
    b"<<< QEMU VM Virtual Disk Image >>>": "VDI: qemu-img convert -f vdi -O qcow2",
    b"QED\0": "QED: qemu-img convert -f qed -O qcow2",
    b"LUKS\xba\xbe": "encrypted by LUKS",
}
_ISO_MAGIC: Final = (b"CD001", 32769)
_TAR_MAGIC: Final = (b"ustar", 257)


@dataclass(frozen=True)
class Header:
    """``format`` as QEMU calls it, empty for what cannot be an image; ``objection`` says why it is refused."""

    format: str
    objection: str = ""


def header_of(path: Path) -> Header:
    """Of a file that is there. Raises OSError."""
    with path.open("rb") as file:
        return read_header(file.read(HEAD_BYTES))


def read_header(head: bytes) -> Header:
    """What the first `HEAD_BYTES` of a file say."""
    if head.startswith(_QCOW2):
        return Header("qcow2", _objection_to_qcow2(head))
    if head.startswith(_VMDK):
        return Header("vmdk", _objection_to_vmdk(head))
    if head.lstrip().startswith(_VMDK_TEXT):
        return Header("vmdk", "it is a text that only points at other files, which hold the disk")
    return _of_other(head)


def _of_other(head: bytes) -> Header:
    for magic, what in sorted(_NO_DISK.items(), key=lambda item: -len(item[0])):
        if head.startswith(magic):
            return Header("", f"it is {what}")
    if _has(head, _ISO_MAGIC):
        return Header("", "it is the image of a CD or DVD, such as an installer, and no disk")
    if _has(head, _TAR_MAGIC):
        return Header("", "it is a tar archive: take the disk out of it")
    return Header("raw")


def _has(head: bytes, magic: tuple[bytes, int]) -> bool:
    return head[magic[1] : magic[1] + len(magic[0])] == magic[0]


def _objection_to_qcow2(head: bytes) -> str:
    if len(head) < 104:
        return "it ends within its header"
    version, backing_offset, backing_length = struct.unpack_from(">IQI", head, 4)
    (crypt,) = struct.unpack_from(">I", head, 32)
    (incompatible,) = struct.unpack_from(">Q", head, 72)
    if version not in (2, 3):
        return f"it is qcow2 of version {version}; 2 and 3 are known"
    if backing_offset or backing_length:
        return f"it is not complete in itself: it needs {_text(head, backing_offset, backing_length)}"
    if version == 3 and incompatible & _EXTERNAL_DATA:
        return "it is not complete in itself: its data is in another file"
    return "it is encrypted" if crypt else ""


def _objection_to_vmdk(head: bytes) -> str:
    if len(head) < 512:
        return "it ends within its header"
    (capacity,) = struct.unpack_from("<Q", head, 12)
    (sector,) = struct.unpack_from("<Q", head, 28)
    descriptor = head[sector * 512 : (sector + _DESCRIPTOR_SECTORS) * 512]
    if not capacity:
        return "it is a text that only points at other files, which hold the disk"
    if not any(kind in descriptor for kind in (b'"monolithicSparse"', b'"streamOptimized"')):
        return "it is not complete in itself: it is one of several files that hold the disk"
    return "it is not complete in itself: it needs a parent" if b"parentFileNameHint" in descriptor else ""


def _text(head: bytes, offset: int, length: int) -> str:
    named = head[offset : offset + min(length, 1023)].decode(errors="replace")
    return named if named.isprintable() and named else "another file"
