"""Disks made from the Debian 12 image for one test: with something taken away, or another boot loader."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

EFI_MODULES = "part_msdos ext2 search_fs_uuid normal configfile linux echo test serial terminal"
EFI_BYTES = 64 << 20


@dataclass(frozen=True)
class Disk:
    """A raw copy; its file system begins at byte ``start``."""

    path: Path
    start: int

    @property
    def file_system(self) -> UUID:
        """Of the ext4 superblock."""
        with self.path.open("rb") as file:
            file.seek(self.start + 1024 + 0x68)
            return UUID(bytes=file.read(16))

    def write(self, source: Path, target: str) -> None:
        """Put a file into it without mounting it."""
        self.edit(f"write {source} {target}")

    def edit(self, request: str) -> None:
        """Change its file system with a request of debugfs."""
        place = f"{self.path}?offset={self.start}"
        subprocess.run(["debugfs", "-w", "-R", request, place], check=True, capture_output=True)


def raw_copy(images: Path, folder: Path) -> Disk:
    digest = json.loads((images / "names/debian-12.json").read_text())["sha256"]
    raw = folder / "disk.raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", images / f"files/{digest}.qcow2", raw], check=True)
    return Disk(raw, max(partitions(raw), key=lambda part: part["size"])["start"] * 512)


def partitions(raw: Path) -> list[dict]:
    table = subprocess.run(["sfdisk", "--json", raw], check=True, capture_output=True).stdout
    return json.loads(table)["partitiontable"]["partitions"]


def without_cloud_init(images: Path, folder: Path) -> Path:
    """Its cloud-init is switched off, as its manual says."""
    disk = raw_copy(images, folder)
    disk.write(Path("/dev/null"), "/etc/cloud/cloud-init.disabled")
    return disk.path


def with_unit(images: Path, folder: Path, unit: str, wanted_by: str) -> Path:
    """A service of systemd more, that starts with the target ``wanted_by``."""
    disk = raw_copy(images, folder)
    file = folder / "injected.service"
    file.write_text(unit)
    disk.write(file, "/etc/systemd/system/injected.service")
    disk.edit(f"symlink /etc/systemd/system/{wanted_by}.wants/injected.service ../injected.service")
    return disk.path


def with_cloud_config(images: Path, folder: Path, text: str) -> Path:
    """The image has a setting of cloud-init of its own besides our seed."""
    disk = raw_copy(images, folder)
    file = folder / "99_injected.cfg"
    file.write_text(text)
    disk.write(file, "/etc/cloud/cloud.cfg.d/99_injected.cfg")
    return disk.path


AGENT = "/usr/sbin/qemu-ga"
LIAR = """#!/bin/sh
exec 0<>/dev/virtio-ports/org.qemu.guest_agent.0 1>&0
while read -r line; do printf '{"return": {"everything": "is fine"}}\\n'; done
"""


def with_agent(images: Path, folder: Path, program: str) -> Path:
    """Another program stands where the guest agent does; none, if it is empty."""
    disk = raw_copy(images, folder)
    script = folder / "agent"
    script.write_text(program)
    disk.edit(f"rm {AGENT}")
    if program:
        disk.write(script, AGENT)
        disk.edit(f"set_inode_field {AGENT} mode 0100755")
    return disk.path


def with_efi_boot_loader(images: Path, folder: Path) -> Path:
    """A partition more: GRUB for UEFI, where removable media have it, reading the image's own grub.cfg."""
    disk = raw_copy(images, folder)
    with disk.path.open("r+b") as file:
        file.truncate(disk.path.stat().st_size + EFI_BYTES)
    subprocess.run(["sfdisk", "--append", "--quiet", disk.path], input=b"type=ef\n", check=True)
    place = f"{disk.path}@@{partitions(disk.path)[-1]['start'] * 512}"
    subprocess.run(["mformat", "-i", place, "-F", "::"], check=True)
    subprocess.run(["mmd", "-i", place, "::/EFI", "::/EFI/BOOT"], check=True)
    subprocess.run(["mcopy", "-i", place, efi_grub(disk, folder), "::/EFI/BOOT/BOOTX64.EFI"], check=True)
    return disk.path


def efi_grub(disk: Disk, folder: Path) -> Path:
    config, program = folder / "embedded.cfg", folder / "grub.efi"
    config.write_text(f"search.fs_uuid {disk.file_system} root\nconfigfile ($root)/boot/grub/grub.cfg\n")
    subprocess.run(
        ["grub-mkimage", "--format=x86_64-efi", "--prefix=/boot/grub", f"--config={config}",
         f"--output={program}", *EFI_MODULES.split()],
        check=True,
    )  # fmt: skip
    return program
