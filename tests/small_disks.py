"""Small real disks: a partition table, an ext4 file system with a few files, code where a boot loader would be."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

BYTES = 24 << 20
OS_RELEASE = 'NAME="Debian GNU/Linux"\nID=debian\nVERSION_ID="12"\n'
STATUS = (
    "Package: cloud-init\nStatus: install ok installed\nVersion: 22.4.2-1\nDescription: x\n y\n\n"
    "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n"
    "Package: sudo\nStatus: install ok installed\nVersion: 1.9.13p3\n"
)
SYSTEM = {
    "usr/lib/os-release": OS_RELEASE,
    "usr/bin/cloud-init": "#!/usr/bin/python3\n",
    "var/lib/dpkg/status": STATUS,
}
DOS = "label: dos\nstart=2048, type=83, bootable\n"
EFI = "label: gpt\nstart=2048, size=4096, type=uefi\nstart=6144, type=4f68bce3-e8cd-4db1-96e7-fbcaf984b709\n"


def raw_disk(path: Path, files: Mapping[str, str] = SYSTEM, table: str = DOS, code: bool = True) -> Path:
    """A raw disk at ``path``; its last partition is the root."""
    root = path.with_name(f"{path.name}.root")
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    root.mkdir(exist_ok=True)
    with path.open("wb") as file:
        file.truncate(BYTES)
    offset = (2048 if table == DOS else 6144) * 512
    subprocess.run(
        ["mke2fs", "-q", "-F", "-t", "ext4", "-E", f"offset={offset}", "-d", root, path, "16M"], check=True
    )
    subprocess.run(["sfdisk", "-q", "--no-reread", "--no-tell-kernel", path], input=table.encode(), check=True)
    with path.open("r+b") as file:
        file.write(b"\xeb\x63\x90" if code else b"")
    return path


def with_larger_home(disk: Path) -> Path:
    """The same disk with a second Linux partition behind its root, larger, and with no system on it."""
    root_ends, home_ends = 2048 + (16 << 11), 2048 + (16 << 11) + (40 << 11)
    with disk.open("r+b") as file:
        file.truncate(home_ends * 512)
    offset = f"offset={root_ends * 512}"
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-E", offset, disk, "40M"], check=True)
    table = f"label: dos\nstart=2048, size={16 << 11}, type=83, bootable\nstart={root_ends}, type=83\n"
    subprocess.run(["sfdisk", "-q", "--no-reread", "--no-tell-kernel", disk], input=table.encode(), check=True)
    return disk


def converted(raw: Path, kind: str, *options: str) -> Path:
    """The same disk as ``kind``, beside it."""
    path = raw.with_suffix(f".{kind}")
    subprocess.run(["qemu-img", "convert", "-O", kind, *options, raw, path], check=True)
    return path
